"""Result files: written beside their place and moved there once whole, so that no half of one is ever found."""

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType
from typing import TextIO

__all__ = ["OutputError", "OutputFile"]


class OutputError(ValueError):
    """A result file cannot be written. The text names it and says why."""


def _is_standard_stream(found: os.stat_result) -> bool:
    """Is it what standard output or standard error was redirected to? Then it must not be replaced under them."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(found, os.fstat(descriptor)):
                return True
        except OSError:  # closed
            continue
    return False


class OutputFile:
    """A text file (UTF-8) that replaces `path` when the block ends well, and leaves no trace when it does not.

    What is no regular file (a pipe), and what standard output goes to, is written directly. Raises OutputError.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._target = ""
        self._part = ""  # where it is written; empty: it is written directly
        self._file: TextIO | None = None
        self._mode: int | None = None  # of the file to replace

    def __enter__(self) -> OutputFile:
        """Open it at once: a path that cannot be written is known before the work begins."""
        try:
            found = os.stat(self.path) if os.path.exists(self.path) else None
            mode = None if found is None else found.st_mode
            self._target = os.path.realpath(self.path)
            if found is not None and (not stat.S_ISREG(found.st_mode) or _is_standard_stream(found)):
                self._file = open(self.path, "a" if stat.S_ISREG(found.st_mode) else "w", encoding="utf-8")
            else:
                if mode is not None:
                    if not os.access(self._target, os.W_OK):
                        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                    self._mode = stat.S_IMODE(mode)
                part = f"{self._target}.{os.getpid()}.part"
                self._file = open(part, "x", encoding="utf-8")
                self._part = part
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        return self

    def write(self, text: str) -> None:
        """Add `text`."""
        assert self._file is not None
        try:
            self._file.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failed(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it; move it to its place, or remove it after an exception."""
        assert self._file is not None
        try:
            self._file.close()
            if self._part and kind is None:
                if self._mode is not None:
                    os.chmod(self._part, self._mode)
                os.replace(self._part, self._target)
        except BrokenPipeError:
            raise
        except OSError as failure:
            if kind is None:
                raise self._failed(failure) from failure
        finally:
            if self._part and os.path.lexists(self._part):
                os.unlink(self._part)

    def _failed(self, error: Exception) -> OutputError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return OutputError(f"cannot write {self.path!r}: {reason}")
