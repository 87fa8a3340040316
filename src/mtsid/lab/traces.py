"""Traces: when which message entered the queue. Readers of real ones, and a generated day.

Two formats, told apart by the first line:

- `sender recipient seconds` lines, sorted by time (whole seconds or fractions); empty lines and lines that begin with
  "#" are skipped. Streamed: nothing of it is kept.
- an mbox (RFC 4155: its first line begins with "From " and holds a date). An mbox is in order of filing, so it is read
  once, and date, size and the two addresses of each message are kept and sorted by the Date header.
  Messages without a Date that can be read are left out and counted in `undated`.
"""

from __future__ import annotations

import contextlib
import email.parser
import email.policy
import email.utils
import math
import os
import re
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import NamedTuple, Protocol

from mtsid.lab.source import LINE_LIMIT, Source, TraceError, printable

__all__ = ["GeneratedDay", "LineTrace", "MboxTrace", "Row", "Survey", "Trace", "TraceError", "open_trace", "survey"]

LATEST = 1e11  # seconds, some 3,000 years: beyond it a float no longer holds milliseconds
SEPARATOR = re.compile(rb"From .*\b\w{3} \w{3} +\d{1,2} \d\d:\d\d")
HEADER_LIMIT = 1 << 20  # bytes of a header that are looked at


class Row(NamedTuple):
    """One message of a trace. `time` in seconds; `size` in bytes, None where the trace does not tell."""

    time: float
    sender: str
    recipient: str
    size: int | None = None


class Trace(Protocol):
    """Rows sorted by time; each iteration begins at the first one again."""

    @property
    def name(self) -> str:
        """What to call it in a report."""

    @property
    def calendar(self) -> bool:
        """True: times are seconds since 1970 (UTC). False: seconds since the trace's own midnight."""

    @property
    def undated(self) -> int:
        """Messages left out because they have no date."""

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows; raises TraceError at the first one that is broken."""

    def close(self) -> None:
        """Let go of what it reads from."""


class Survey(NamedTuple):
    """What a first pass over a trace tells: how many messages, and the times of the first and the last (seconds)."""

    messages: int
    first: float
    last: float


def survey(trace: Trace) -> Survey:
    """Read a trace to its end. Raises TraceError if any of it is broken, or if it holds no message."""
    count = 0
    first = last = 0.0
    for row in trace:
        last = row.time
        if not count:
            first = last
        count += 1
    if not count:
        missing = f"; {trace.undated} without a date that can be read" if trace.undated else ""
        raise TraceError(trace.name, None, f"empty: there is no message in it{missing}")
    return Survey(count, first, last)


def open_trace(path: str | os.PathLike[str]) -> Trace:
    """Open a trace file of either format, plain, .gz or .xz; "-" is standard input. Raises TraceError."""
    source = Source(path)
    try:
        with contextlib.closing(source.lines()) as lines:
            _, first = next(lines, (0, b""))
        return MboxTrace(source) if SEPARATOR.match(first) else LineTrace(source)
    except BaseException:
        source.close()
        raise


class LineTrace:
    """`sender recipient seconds` lines. Iterating raises TraceError, naming the line, for anything else."""

    calendar = False
    undated = 0

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = source.name

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows, reading the source once more."""
        before = -math.inf
        for number, line in self._source.lines():
            fields = line.split()
            if not fields or fields[0].startswith(b"#"):
                continue
            try:
                sender, recipient, seconds = fields
                time = float(seconds)
                row = Row(time, sender.decode(), recipient.decode())
            except ValueError:
                raise TraceError(self.name, number, _what_is_wrong(line)) from None
            if not -LATEST < time < LATEST:  # false for NaN too
                raise TraceError(self.name, number, f"the time must be finite and plausible, not {seconds.decode()}")
            if time < before:
                raise TraceError(self.name, number, f"time runs backwards: {seconds.decode()} after {before:.15g}")
            if not (row.sender.isprintable() and row.recipient.isprintable()):
                raise TraceError(self.name, number, "holds control characters: is it a text file?")
            if len(line) >= LINE_LIMIT:
                raise TraceError(self.name, number, _what_is_wrong(line))
            before = time
            yield row


def _what_is_wrong(line: bytes) -> str:
    """Say why a line could not be taken apart."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "is not text (UTF-8)"
    if not text.strip().replace("\t", " ").isprintable():
        return "holds control characters: is it a text file?"
    if len(line) >= LINE_LIMIT:
        return f"is longer than {LINE_LIMIT:,} bytes: is it a text file?"
    fields = text.split()
    if len(fields) != 3:
        count = f"{len(fields)} field" + "s" * (len(fields) != 1)
        return f"{count} instead of 3 (sender recipient seconds): {printable(text.strip(), 40)}"
    return f"the time must be a number of seconds, not {printable(fields[2], 40)}"


class MboxTrace:
    """The messages of an mbox in order of their Date headers. `undated` counts those left out for want of one."""

    calendar = True

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.undated = 0
        self._rows: list[Row] = []
        addresses: dict[str, str] = {}  # one string an address, not one a message
        for header, size in _messages(source):
            row = _row(header, size, addresses)
            if row is None:
                self.undated += 1
            else:
                self._rows.append(row)
        self._rows.sort(key=lambda row: row.time)
        source.close()

    def close(self) -> None:
        """Do nothing: the source was closed once it was read."""

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the dated messages."""
        return iter(self._rows)


def _messages(source: Source) -> Iterator[tuple[bytes, int]]:
    """Iterate over (header, size in bytes) of the messages of an mbox."""
    header = bytearray()
    size = 0
    in_header = False
    after_blank = True  # a separator stands first, or after an empty line
    begun = False
    for _, line in source.lines():
        if after_blank and SEPARATOR.match(line):
            if begun:
                yield bytes(header), size
            header.clear()
            size, in_header, begun, after_blank = 0, True, True, False
            continue
        size += len(line)
        after_blank = line in (b"\n", b"\r\n")
        if after_blank:
            in_header = False
        elif in_header and len(header) < HEADER_LIMIT:
            header += line
    if begun:
        yield bytes(header), size


_PARSER = email.parser.BytesHeaderParser(policy=email.policy.compat32)


def _row(header: bytes, size: int, addresses: dict[str, str]) -> Row | None:
    message = _PARSER.parsebytes(header)
    try:
        date: datetime = email.utils.parsedate_to_datetime(str(message["Date"]))
        time = date.timestamp() if date.tzinfo else (date - datetime(1970, 1, 1)).total_seconds()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None

    def address(name: str) -> str:
        found = email.utils.getaddresses([str(message[name] or "")])
        text = printable(found[0][1] if found and found[0][1] else "unknown")
        return addresses.setdefault(text, text)

    return Row(time, address("From"), address("To"), size)


class GeneratedDay:
    """A working day of some 1,200 messages among 60 people, drawn from a seed: a quiet night, two peaks, bursts."""

    calendar = False
    undated = 0
    name = "a generated working day"

    PEOPLE = 60
    # Letters an hour, by hour of the day. One in eight goes to several recipients in the same second.
    HOURS = (3, 2, 1, 1, 2, 5, 12, 40, 75, 85, 80, 70, 50, 70, 80, 75, 60, 45, 22, 12, 9, 8, 6, 4)

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def close(self) -> None:
        """Do nothing."""

    def __iter__(self) -> Iterator[Row]:
        """Draw the day; the same one at each iteration."""
        rng = Random(f"{self._seed}/day")
        for hour, letters in enumerate(self.HOURS):
            for second in sorted(rng.randrange(3600) for _ in range(letters)):
                copies = rng.randint(2, 9) if rng.random() < 0.125 else 1
                sender = rng.randrange(self.PEOPLE)
                for _ in range(copies):
                    recipient = rng.randrange(self.PEOPLE)
                    yield Row(3600.0 * hour + second, f"user{sender}", f"user{recipient}")
