"""Outages of the caller's: a list or a file, and what of it lies outside the trace."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtsid.lab import Comparison, Outage, Row, TraceError, compare
from mtsid.lab.compare import EXTRA_TIME
from mtsid.lab.outages import EVERY, format_outages
from mtsid.lab.report import render
from mtsid.lab.source import printable
from mtsid.mta import MTA, Policy

START = 864_000.0  # ten days after the trace's own midnight
HOURS = 6
LAST = START + HOURS * 3600 - 20


class Rows:
    """A trace in memory."""

    name = "rows"
    calendar = False
    undated = 0

    def __init__(self, rows: Iterable[tuple[float, str, str]]) -> None:
        self.rows = [Row(*row) for row in rows]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def close(self) -> None:
        pass


def late() -> Rows:
    """A message every 20 s for some hours, long after midnight."""
    return Rows((START + 20 * n, "s", f"r{n % 10}") for n in range(180 * HOURS))


def figures(comparison: Comparison) -> dict[str, dict[str, object]]:
    return {
        version: {field.name: getattr(result, field.name) for field in fields(result)}
        for version, result in comparison.versions.items()
    }


def head(comparison: Comparison) -> str:
    file = io.StringIO()
    render(comparison, Console(file=file, width=80))
    return " ".join(file.getvalue().partition("\n\n")[0].split())


INSIDE = Outage(START + 5000, START + 5600, "NORTH")
BEFORE = Outage(0.0, 1.0, "NORTH")
AFTER = Outage(LAST + EXTRA_TIME + 5, LAST + EXTRA_TIME + 9, EVERY)


def test_an_outage_days_before_the_trace_does_not_start_the_run_then() -> None:
    # Else the peers call from then on, and hold the only block for a while each time.
    policy = Policy(control_blocks=1)
    plain = compare(late(), outages=[INSIDE], policy=policy)
    given = compare(late(), outages=[AFTER, BEFORE, INSIDE], policy=policy)
    assert figures(given) == figures(plain)
    assert (given.story, given.remnant, given.to_json()) == (plain.story, plain.remnant, plain.to_json())
    assert (given.outages, given.outages_outside) == ((INSIDE,), 2)
    assert (plain.outages, plain.outages_outside) == ((INSIDE,), 0)


def test_the_run_begins_at_the_first_message(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[float] = []
    monkeypatch.setattr(MTA, "connect_indication", lambda self, now, peer=None: called.append(now))
    compare(late(), outages=[Outage(0.0, START + 10, "NORTH")])
    assert called
    assert min(called) >= START


def test_an_outage_that_began_before_the_trace_holds_from_the_first_message_on() -> None:
    for peer in ("NORTH", EVERY):
        early = compare(late(), outages=[Outage(0.0, START + 1000, peer)])
        exact = compare(late(), outages=[Outage(START, START + 1000, peer)])
        none = compare(late(), outages=[])
        assert figures(early) == figures(exact) != figures(none)
        assert (early.outages, early.outages_outside) == ((Outage(0.0, START + 1000, peer),), 0)
        assert early.versions["SP2"].events["4284"] > 0


@pytest.mark.parametrize(
    ("outage", "within"),
    [
        (Outage(START - 9, START, "NORTH"), False),
        (Outage(START - 9, START + 0.001, "NORTH"), True),
        (Outage(START, START + 1, "NORTH"), True),
        (Outage(LAST, LAST + 1, "NORTH"), True),
        (Outage(LAST + EXTRA_TIME - 0.001, LAST + EXTRA_TIME + 9, "NORTH"), True),
        (Outage(LAST + EXTRA_TIME, LAST + EXTRA_TIME + 9, "NORTH"), False),
        (Outage(-9.0, LAST + EXTRA_TIME + 9, EVERY), True),
    ],
)
def test_which_outages_lie_outside_the_trace(outage: Outage, within: bool) -> None:
    if within:
        comparison = compare(late(), outages=[outage])
        assert comparison.outages_outside == 1 - len(comparison.outages)
        assert len(comparison.outages) == (outage.start <= LAST)  # the run is over soon after
    else:
        assert compare(late(), outages=[INSIDE, outage]).outages_outside == 1
        with pytest.raises(TraceError, match="none of them lies within the trace"):
            compare(late(), outages=[outage])


def test_the_time_after_the_trace_is_the_callers() -> None:
    outage = Outage(LAST + 100, LAST + 110, "NORTH")
    holding = Outage(LAST - 500, LAST + 1000, "EAST")  # mail waits, and the run goes on for as long as it may
    assert compare(late(), outages=[holding, outage], extra_time=101.0).outages_outside == 0
    assert compare(late(), outages=[holding, outage], extra_time=99.0).outages_outside == 1
    compare(late(), outages=[outage], extra_time=101.0)  # it might have come
    with pytest.raises(TraceError, match="none of them lies within the trace"):
        compare(late(), outages=[outage], extra_time=99.0)


def test_outages_that_all_lie_outside_the_trace_are_not_run_in_silence(tmp_path: Path) -> None:
    events: list[object] = []
    words = rf"none of them lies within the trace, which runs from {START:.0f} to {LAST:.0f}"
    with pytest.raises(TraceError, match=words) as caught:
        compare(late(), outages=[BEFORE, AFTER], on_event=lambda version, entry: events.append(entry))
    assert str(caught.value).startswith("the outages: ")
    assert "\n" not in str(caught.value)
    path = tmp_path / "list"
    path.write_text(format_outages([BEFORE, AFTER]))
    with pytest.raises(TraceError, match=words) as caught:
        compare(late(), outages=path)
    assert (caught.value.name, caught.value.line) == (str(path), None)
    assert events == []


def test_what_lies_outside_the_trace_is_named_as_any_other_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = format_outages([BEFORE, AFTER])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with pytest.raises(TraceError, match=r"^standard input: none of them lies within the trace") as caught:
        compare(late(), outages="-")
    assert caught.value.name == "standard input"
    path = tmp_path / "two\nlines\x1b[31m"
    path.write_text(text)
    with pytest.raises(TraceError, match="none of them lies within the trace") as caught:
        compare(late(), outages=path)
    assert str(caught.value).isprintable()
    assert caught.value.name == printable(str(path), 200)


def test_one_standard_input_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a b 36000\n")))
    with pytest.raises(ValueError, match="cannot both be standard input"):
        compare("-", outages="-")
    assert sys.stdin.read() == "a b 36000\n"  # refused before anything is read


def test_the_time_down_is_the_runs_own() -> None:
    # Down since before the first message, and still down when the run has ended.
    since, until = Outage(0.0, START + 100, "NORTH"), Outage(LAST - 500, LAST + EXTRA_TIME + 900, "EAST")
    comparison = compare(late(), outages=[since, INSIDE, until], extra_time=1000.0)
    assert comparison.outages == (since, INSIDE, until)
    assert comparison.down_seconds == pytest.approx(100 + 600 + 1500)
    assert "A link was lost 3 times and down for 36 min 40 s in all." in head(comparison)
    assert compare(late(), outages=[INSIDE]).down_seconds == pytest.approx(600)
    assert compare(late(), outages=[]).down_seconds == 0


def test_an_outage_that_the_run_did_not_live_to_see_lies_outside() -> None:
    # Before the first message, after all time, and after the last message had left.
    never = Outage(LAST + EXTRA_TIME - 5, LAST + EXTRA_TIME + 5, "NORTH")
    for outside in ([BEFORE], [AFTER], [never], [BEFORE, never, AFTER]):
        comparison = compare(late(), outages=[INSIDE, *outside])
        assert (comparison.outages, comparison.outages_outside) == ((INSIDE,), len(outside))
        assert comparison.down_seconds == pytest.approx(600)


def test_an_empty_list_does_not_lie_outside_the_trace(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# none\n\n")
    empty: tuple[list[Outage] | Path, ...] = ([], tmp_path / "list")
    for outages in empty:
        comparison = compare(late(), outages=outages)
        assert (comparison.outages, comparison.outages_outside, comparison.own_outages) == ((), 0, True)
        assert "No link was lost." in head(comparison)


def test_how_many_outages_lie_outside_the_trace_is_told() -> None:
    assert "A link was lost once and down for 10 min in all (2 outages lie outside of the run)." in head(
        compare(late(), outages=[BEFORE, INSIDE, AFTER])
    )
    assert "outside" not in head(compare(late(), outages=[INSIDE]))
    many = [Outage(10.0 * n, 10.0 * n + 1, "NORTH") for n in range(2000)]
    assert "in all (2,000 outages lie outside of the run)." in head(compare(late(), outages=[*many, INSIDE]))
    never = Outage(LAST + EXTRA_TIME - 5, LAST + EXTRA_TIME + 5, "NORTH")  # the run has ended before
    assert "No link was lost (3 outages lie outside of the run)." in head(
        compare(late(), outages=[BEFORE, never, AFTER])
    )
    assert "in all (1 outage lies outside of the run)." in head(compare(late(), outages=[never, INSIDE]))


def test_drawn_outages_do_not_lie_outside() -> None:
    assert (compare().outages_outside, compare().outages_path) == (0, None)


# A file of them.


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_of_outages_is_not_iterated_over_as_a_list(tmp_path: Path, kind: Any, packed: bool) -> None:
    outages = [Outage(36_000.0, 36_600.0, "NORTH"), Outage(37_000.0, 37_010.5, EVERY)]
    text = format_outages(reversed(outages)).encode()
    path = tmp_path / "list"
    path.write_bytes(gzip.compress(text) if packed else text)
    read, listed = compare(outages=kind(path)), compare(outages=outages)
    assert read.to_json() == listed.to_json()
    assert (read.outages, read.own_outages, read.outages_path) == (tuple(outages), True, str(path))
    assert (listed.outages, listed.own_outages, listed.outages_path) == (tuple(outages), True, None)


def test_outages_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"# mine\n36000 36600 NORTH\n")))
    comparison = compare(outages="-")
    assert comparison.outages == (Outage(36_000.0, 36_600.0, "NORTH"),)
    assert comparison.outages_path == "-"


def test_a_file_of_outages_names_the_callers_peers(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("36000 36600 A\n")
    assert compare(peers=["A", "B"], outages=path).outages == (Outage(36_000.0, 36_600.0, "A"),)
    with pytest.raises(TraceError, match="line 1: there is no peer 'A': the peers are NORTH"):
        compare(outages=path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("36000 36600\n", "list: line 1: should be `start end peer`"),
        ("# x\n36000 36600 NORTH\n36500 36700 *\n", "list: line 3: overlaps line 2"),
    ],
)
def test_a_broken_file_of_outages_is_refused_before_anything_runs(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "list"
    path.write_text(content)
    events: list[object] = []
    with pytest.raises(TraceError, match=words):
        compare(outages=path, on_event=lambda version, entry: events.append(entry))
    assert events == []


def test_a_file_of_outages_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="none: No such file"):
        compare(outages=tmp_path / "none")
    with pytest.raises(TraceError, match=r"is a directory, not a file$"):
        compare(outages=tmp_path)


def test_the_path_of_the_outages_is_not_among_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("36000 36600 NORTH\n")
    data = json.loads(compare(outages=path).to_json())
    assert list(data) == ["trace", "seed", "peers", "outages", "versions"]
