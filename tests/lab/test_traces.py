"""Readers of traces: both formats, every packing, and everything that may be broken."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mtsid.lab.source import LINE_LIMIT, Source, printable
from mtsid.lab.traces import GeneratedDay, Row, TraceError, open_trace, survey

LINES = b"ann bob 0\nbob cid 1.5\n\n# a comment\ncid ann 1.5\n"
ROWS = [Row(0.0, "ann", "bob"), Row(1.5, "bob", "cid"), Row(1.5, "cid", "ann")]
PACKINGS: dict[str, Callable[[bytes], bytes]] = {"plain": lambda data: data, "gz": gzip.compress, "xz": lzma.compress}

MBOX = b"""\
From ann@example.org Sat Jan  3 01:05:34 1996
From: Ann <ann@example.org>
To: bob@example.org, cid@example.org
Date: Wed, 3 Jan 1996 10:00:10 +0100
Subject: second

text
From ann@example.org Sat Jan  3 01:05:34 1996 is text here: the line before it is not empty

From the text again, no date in it

From bob@example.org Sat Jan  3 01:05:35 1996
From: bob@example.org
To: ann@example.org
Date: Wed, 3 Jan 1996 09:00:00 -0000

x

From cid@example.org Sat Jan  3 01:05:36 1996
Subject: no date

From dan@example.org Sat Jan  3 01:05:37 1996
Date: yesterday, I think

"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(data: bytes, name: str = "trace") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("packing", PACKINGS)
def test_lines_are_read_in_every_packing_as_often_as_wanted(write: Callable[..., Path], packing: str) -> None:
    trace = open_trace(write(PACKINGS[packing](LINES)))
    assert list(trace) == list(trace) == ROWS
    assert survey(trace) == (3, 0.0, 1.5)
    assert not trace.calendar
    trace.close()


@pytest.mark.parametrize("packing", PACKINGS)
def test_mbox_is_sorted_by_date_and_counts_the_undated(write: Callable[..., Path], packing: str) -> None:
    trace = open_trace(write(PACKINGS[packing](MBOX)))
    rows = list(trace)
    assert [(row.sender, row.recipient) for row in rows] == [
        ("bob@example.org", "ann@example.org"),
        ("ann@example.org", "bob@example.org"),
    ]
    assert rows[1].time - rows[0].time == 10.0
    assert rows[0].time == 820659600.0  # 1996-01-03 09:00:00 UTC
    assert trace.undated == 2
    assert trace.calendar
    assert rows[0].size is not None
    assert rows[1].size is not None
    assert rows[1].size > rows[0].size


def test_mbox_with_windows_line_ends(write: Callable[..., Path]) -> None:
    trace = open_trace(write(MBOX.replace(b"\n", b"\r\n")))
    assert len(list(trace)) == 2
    assert trace.undated == 2


def test_mbox_without_any_date_is_empty(write: Callable[..., Path]) -> None:
    trace = open_trace(write(b"From a@b Sat Jan  3 01:05:36 1996\nSubject: x\n\n"))
    with pytest.raises(TraceError, match="1 without a date"):
        survey(trace)


BROKEN = {
    "too few fields": (b"a b 1\na b\n", 2, "2 fields instead of 3"),
    "too many fields": (b"a b 1 2\n", 1, "4 fields instead of 3"),
    "text for a number": (b"a b 1\na b c\n", 2, "must be a number of seconds, not c"),
    "not a number": (b"a b nan\n", 1, "finite"),
    "infinite": (b"a b 1\na b inf\n", 2, "finite"),
    "minus infinity": (b"a b -inf\n", 1, "finite"),
    "beyond any calendar": (b"a b 1e300\n", 1, "finite and plausible"),
    "backwards": (b"a b 5\na b 4.5\n", 2, "time runs backwards: 4.5 after 5"),
    "binary junk": (b"a b 1\n\xff\xfe\x80\x81\n", 2, "not text"),
    "binary in a field": (b"a\x80 b 1\n", 1, "not text"),
    "control characters": (b"a b 1\n\x00\x01\x02\n", 2, "control characters"),
    "escape sequence": (b"a \x1b[31m 1\n", 1, "control characters"),
    "endless line": (b"a b 1\n" + b"x" * 100_000, 2, "longer than 65,536 bytes"),
    "endless line of blanks": (b"a b 1" + b" " * 100_000, 1, "longer than 65,536 bytes"),
    "cut .xz": (lzma.compress(LINES)[:-20], 1, "cut"),
    "cut .gz": (gzip.compress(LINES)[:-9], 6, "cut"),
    "damaged .xz": (lzma.compress(LINES)[:30] + b"?" * 60, 1, "damaged"),
    "damaged .gz": (gzip.compress(LINES)[:-8] + bytes(8), 1, "damaged"),
    "empty": (b"", None, "empty"),
    "empty .xz": (lzma.compress(b""), None, "empty"),
    "only blanks": (b"\n\n", None, "empty"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_trace_is_refused_with_file_and_line(write: Callable[..., Path], case: str) -> None:
    data, line, reason = BROKEN[case]
    path = write(data)
    with pytest.raises(TraceError) as caught:
        survey(open_trace(path))
    error = caught.value
    assert error.name == str(path)
    if "." not in case:  # where a compressed file breaks is for its decoder to say
        assert error.line == line
    assert reason in error.reason
    assert str(error) == f"{path}: " + ("" if error.line is None else f"line {error.line}: ") + error.reason
    assert "\n" not in str(error)


def test_a_cut_file_tells_how_far_it_could_be_read(write: Callable[..., Path]) -> None:
    data = b"".join(b"ann bob %d\n" % (n * 7919) for n in range(20_000))
    path = write(lzma.compress(data)[:-2000])
    with pytest.raises(TraceError) as caught:
        survey(open_trace(path))
    assert caught.value.line is not None
    assert caught.value.line > 1


def test_a_line_longer_than_a_piece_is_counted_once(write: Callable[..., Path]) -> None:
    path = write(b"x" * (LINE_LIMIT + 5) + b"\ny\n")
    assert [(number, len(piece)) for number, piece in Source(path).lines()] == [(1, LINE_LIMIT), (1, 6), (2, 2)]


def test_missing_directory_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere: No such file"):
        open_trace(tmp_path / "nowhere")
    with pytest.raises(TraceError, match="is a directory"):
        open_trace(tmp_path)
    with pytest.raises(TraceError, match="null"):
        open_trace("a\0b")
    if os.getuid() == 0:
        pytest.skip("root may read every file")
    path = tmp_path / "secret"
    path.touch(0)
    with pytest.raises(TraceError, match="Permission denied"):
        open_trace(path)


def test_a_name_is_printed_without_its_control_characters(tmp_path: Path) -> None:
    with pytest.raises(TraceError) as caught:
        open_trace(tmp_path / "a\nb\x1b[31m")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("data", [LINES, MBOX], ids=["lines", "mbox"])
def test_a_pipe_can_be_read_more_than_once(tmp_path: Path, packing: str, data: bytes) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(PACKINGS[packing](data),))
    writer.start()
    trace = open_trace(path)
    first = list(trace)
    writer.join()
    assert first == list(trace)
    assert len(first) in (2, 3)
    trace.close()


def test_standard_input_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drops(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(3)

    class Stdin:
        buffer = Drops(LINES)

    monkeypatch.setattr("sys.stdin", Stdin())
    trace = open_trace("-")
    assert trace.name == "standard input"
    assert list(trace) == list(trace) == ROWS
    trace.close()


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(TraceError, match="closed"):
        open_trace("-")


def test_an_endless_pipe_of_junk_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        served = 0

        def read(self, size: int) -> bytes:
            self.served += size
            return b"x" * size

    class Stdin:
        buffer = Endless()

    monkeypatch.setattr("sys.stdin", Stdin())
    trace = open_trace("-")
    with pytest.raises(TraceError, match="longer than"):
        survey(trace)
    trace.close()
    assert Stdin.buffer.served < 1_000_000


def test_generated_day_is_the_same_for_the_same_seed() -> None:
    day = list(GeneratedDay(1))
    assert day == list(GeneratedDay(1))
    assert day != list(GeneratedDay(2))
    assert 1000 < len(day) < 1600
    times = [row.time for row in day]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] < 86400
    assert survey(GeneratedDay(1)).messages == len(day)


def test_printable_cuts_and_escapes() -> None:
    assert printable("plain") == "plain"
    assert printable("a\tb\udcff") == "a\\tb\\udcff"
    assert printable("x" * 100, 10) == "xxxxxxx..."


def test_survey_of_negative_and_fractional_times(write: Callable[..., Path]) -> None:
    assert survey(open_trace(write(b"a b -1.25\na b 0\na b 1e3\n"))) == (3, -1.25, 1000.0)


def test_a_row_is_yielded_before_the_next_line_is_read(write: Callable[..., Path]) -> None:
    rows: Iterator[Row] = iter(open_trace(write(b"a b 1\na b x\n")))
    assert next(rows).time == 1.0
    with pytest.raises(TraceError):
        next(rows)
