"""A trace's bytes, line by line: plain, .gz or .xz; a file that can be read twice, or a pipe that cannot.

What may go wrong with bytes goes wrong here, as a `TraceError` that names the file and the line. A pipe is copied to a
temporary file while it is read for the first time, so that every trace can be read more than once and an endless or
broken one is noticed before it fills a disk.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Generator
from typing import IO, cast

__all__ = ["LINE_LIMIT", "Source", "TraceError", "named", "printable"]

LINE_LIMIT = 65536  # bytes; a longer piece comes in several
STDIN = "-"


class TraceError(ValueError):
    """The trace cannot be read. `name` is the file, `line` the line (None: the file as a whole), `reason` says why."""

    def __init__(self, name: str, line: int | None, reason: str) -> None:
        super().__init__(f"{name}: {reason}" if line is None else f"{name}: line {line}: {reason}")
        self.name = name
        self.line = line
        self.reason = reason


def printable(text: str, limit: int = 60) -> str:
    """Return `text` fit for one line of a terminal: control characters escaped, `limit` characters at most."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def named(path: str) -> str:
    """Return what to call a source in a message."""
    return "standard input" if path == STDIN else printable(path, 200)


class _Pipe:
    """What came through a pipe so far, kept in a temporary file, and the pipe itself for the rest."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._read = getattr(stream, "read1", stream.read)  # read1: what is there, without waiting for more
        self._stream = stream
        self._copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (it lives as long as this object)
        self._length = 0

    def read(self, position: int, most: int) -> bytes:
        if position < self._length:
            return os.pread(self._copy.fileno(), most, position)
        data: bytes = self._read(most)
        self._copy.write(data)
        self._length += len(data)
        return data

    def close(self) -> None:
        self._copy.close()
        if self._stream is not sys.stdin.buffer:
            self._stream.close()


class _Replay(io.RawIOBase):
    """A pipe from its beginning, as often as wanted."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self._pipe.read(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _unpacked(raw: io.BufferedReader) -> io.BufferedReader:
    magic = raw.peek(1)[:1]
    # Neither byte can begin a text.
    if magic == b"\x1f":
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)))
    if magic == b"\xfd":
        return io.BufferedReader(cast(io.RawIOBase, lzma.LZMAFile(raw)))
    return raw


class Source:
    """A trace's bytes. `path` may be "-" for standard input. Each `lines()` begins at the first line again.

    Raises TraceError for what cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.name = named(self.path)
        self._pipe: _Pipe | None = None
        if self.path == STDIN:
            if sys.stdin is None:
                raise TraceError(self.name, None, "is closed")
            self._once = True
        else:
            try:
                mode = os.stat(self.path).st_mode
            except (OSError, ValueError) as error:
                raise self._broken(None, error) from error
            if stat.S_ISDIR(mode):
                raise TraceError(self.name, None, "is a directory, not a file")
            self._once = not stat.S_ISREG(mode)

    def close(self) -> None:
        """Let go of a pipe and its copy. A regular file is open only while it is read."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def lines(self) -> Generator[tuple[int, bytes], None, None]:
        """Iterate over (line number from 1, bytes with the line's end). A piece over LINE_LIMIT bytes has no end.

        Raises TraceError when the bytes cannot be read, among them a compressed file that was cut.
        """
        number = 0
        whole = True  # the last piece ended its line
        try:
            with self._open_raw() as raw, _unpacked(raw) as stream:
                while piece := stream.readline(LINE_LIMIT):
                    number += whole
                    yield number, piece
                    whole = piece.endswith(b"\n")
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            damaged = not isinstance(error, OSError) or isinstance(error, gzip.BadGzipFile)
            raise self._broken(number + 1 if number or damaged else None, error) from error

    def _open_raw(self) -> io.BufferedReader:
        if not self._once:
            return open(self.path, "rb")
        if self._pipe is None:
            self._pipe = _Pipe(sys.stdin.buffer if self.path == STDIN else open(self.path, "rb"))  # noqa: SIM115
        return io.BufferedReader(_Replay(self._pipe))

    def _broken(self, line: int | None, error: Exception) -> TraceError:
        if isinstance(error, EOFError):
            reason = "the compressed data ends too early: the file was cut"
        elif isinstance(error, (lzma.LZMAError, zlib.error, gzip.BadGzipFile)):
            reason = f"the compressed data is damaged ({error})"
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = str(error)
        return TraceError(self.name, line, reason)
