"""What an audit of an id source found, in figures and in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mtsid.lab.history_report import HistoryReport
from mtsid.lab.wording import count

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["AuditReport", "Cost", "Exhaustion", "SecondRelease", "Turns", "Twin"]


@dataclass(frozen=True)
class Twin:
    """One id that came twice in one thread, while it was held. Acquires count from 1, in their phase."""

    id: Any
    first: int  # the acquire that returned it, and whose holder still has it
    second: int  # the acquire that returned it again
    held: int  # ids that were held then

    def story(self) -> str:
        """Tell it in plain sentences."""
        return (
            f"Acquire {self.first:,} returned id {self.id!r}, which was not released. Acquire {self.second:,} returned "
            f"{self.id!r} again, in the same thread, with {count(self.held, 'id')} held: two hold it now, and whoever "
            "is answered first frees it for a third."
        )


@dataclass
class Turns:
    """One thread that holds some ids, and beside them acquires and releases one at a time."""

    held: int = 0
    acquires: int = 0  # those that raised too
    duplicates: int = 0  # acquires that returned what was held
    first: Twin | None = None
    #: The fewest acquires between two uses of one id; None: no id came twice. At most `acquires`.
    rest: int | None = None

    def found(self, twin: Twin) -> None:
        """Note a duplicate."""
        self.duplicates += 1
        self.first = self.first or twin

    def reused(self, between: int) -> None:
        """Note that an id came back, with so many acquires of others since."""
        self.rest = between if self.rest is None else min(self.rest, between)


@dataclass
class Exhaustion:
    """What acquire does when the ids are used up.

    "raises", "returns None", "hangs" (no answer in time), "duplicate" (it returns what is held), or "not reached" with
    as many ids held as were to be tried.
    """

    kind: Literal["raises", "returns None", "hangs", "duplicate", "not reached", "not tried"] = "not tried"
    held: int = 0  # ids, each once; how many there are, unless it was not reached
    error: str = ""  # the exception's class
    text: str = ""  # and what it says
    twin: Twin | None = None


@dataclass
class SecondRelease:
    """What a second release of one id does, when every other id is held.

    "refused" (it raises), "ignored" (no harm came of it), "believed" (the id was given to two holders).
    """

    kind: Literal["refused", "ignored", "believed", "not tried"] = "not tried"
    error: str = ""  # the exception's class
    id: Any = None  # that was given to two


@dataclass(frozen=True)
class Cost:
    """Of one acquire and one release, in one thread."""

    percent: int
    live: int  # ids held
    layout: Literal["none", "block", "random"]  # the first ones acquired are held, or any
    nanoseconds: float


@dataclass
class AuditReport:
    """What an audit did and found. A phase that was not run, or did not end, is told in `faults` or is "not tried"."""

    name: str
    threads: int
    live: int  # ids held meanwhile
    operations: int  # acquires in a phase, at most
    timeout: float  # seconds without an answer that count as hanging
    can_release: bool
    turns: Turns = field(default_factory=Turns)
    history: HistoryReport | None = None  # of the threads
    exhaustion: Exhaustion = field(default_factory=Exhaustion)
    second_release: SecondRelease = field(default_factory=SecondRelease)
    costs: list[Cost] = field(default_factory=list)
    raised: dict[str, int] = field(default_factory=dict)  # besides exhaustion: "release: ValueError", and how often
    faults: list[str] = field(default_factory=list)  # why the audit is not complete, in words

    @property
    def duplicates(self) -> int:
        """Acquires that returned an id which was held, all phases together; of a second release none are counted."""
        threaded = 0 if self.history is None else self.history.overlaps
        return self.turns.duplicates + threaded + (self.exhaustion.kind == "duplicate")

    @property
    def ok(self) -> bool:
        """Was every phase that tells run to its end, and no id in use twice?

        What acquire does at exhaustion, if it is no duplicate, and what a second release does, are told and not judged.
        """
        return not self.duplicates and not self.faults

    def cost(self, percent: int) -> Cost | None:
        """Return the cost with that many live, where they lie so that it is dearest; None if it was not measured."""
        costs = [cost for cost in self.costs if cost.percent == percent]
        return max(costs, key=lambda cost: cost.nanoseconds, default=None)

    def story(self) -> str | None:
        """Tell the first duplicate in plain sentences; None if there is none."""
        if self.turns.first is not None:
            return self.turns.first.story()
        if self.history is not None and self.history.first_overlaps:
            return self.history.first_overlaps[0].story()
        return None if self.exhaustion.twin is None else self.exhaustion.twin.story()

    def to_json(self) -> str:
        """Return all of it as a JSON object; an id that JSON has not is its `repr`."""
        data = asdict(self)
        history = self.history
        data["history"] = history and {
            name: getattr(history, name) for name in ("threads", "acquired", "released", "refused", "overlaps")
        }
        data.update(duplicates=self.duplicates, ok=self.ok, story=self.story())
        return json.dumps(data, indent=2, default=repr) + "\n"

    def __str__(self) -> str:
        """Return the report as plain text."""
        rows = list(self._rows())
        name, figure = (max(len(row[i]) for row in rows) for i in range(2))
        lines = [f"{row[0]:<{name}}  {row[1]:>{figure}}  {row[2]}".rstrip() for row in rows]
        findings = [line for heading, text in self._findings() for line in ("", heading, text)]
        return "\n".join([self._heading(), "", *lines, *findings])

    def render(self, console: Console) -> None:
        """Print one table and the findings (rich). Plain text outside a terminal."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for row in self._rows():
            table.add_row(*map(Text, row))
        console.print(Text(self._heading(), style="bold"))
        console.print()
        console.print(table)
        for heading, text in self._findings():
            console.print()
            console.print(Text(heading, style="bold"))
            console.print(Text(text))

    def _heading(self) -> str:
        head = f"mtsid audit: {self.name}" if self.name else "mtsid audit"
        return f"{head}, {count(self.threads, 'thread')}, {count(self.live, 'id')} held meanwhile"

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        turns, history = self.turns, self.history
        if turns.acquires:
            yield "duplicates, 1 thread", f"{turns.duplicates:,}", f"in {count(turns.acquires, 'acquire')}"
            within = f"within {count(turns.acquires, 'acquire')}"
            if turns.rest is None:
                yield "an id comes back after", "-", f"not {within}"
            else:
                yield "an id comes back after", f"{turns.rest:,}", "acquires of others, at the earliest"
        if history is not None:
            note = f"in {count(history.acquired, 'acquire')}"
            yield f"duplicates, {count(self.threads, 'thread')}", f"{history.overlaps:,}", note
        if self.exhaustion.kind != "not tried":
            yield "ids", f"{self.exhaustion.held:,}", self._at_exhaustion()
        second = self.second_release
        if second.kind != "not tried":
            notes = {"refused": f"by {second.error}", "believed": f"id {second.id!r} was then given to two holders"}
            yield "a second release is", second.kind, notes.get(second.kind, "no id was given to two holders")
        what = "acquire + release" if self.can_release else "acquire"
        for percent in sorted({cost.percent for cost in self.costs}):
            cost = self.cost(percent)
            assert cost is not None
            note = {"none": "", "block": "in one block", "random": "at random places"}[cost.layout]
            yield f"{what}, {percent} % live", f"{cost.nanoseconds:,.0f} ns", note

    def _at_exhaustion(self) -> str:
        found = self.exhaustion
        return {
            "raises": f"then acquire raises {found.error}",
            "returns None": "then acquire returns None",
            "hangs": f"then acquire gives no answer within {self.timeout:g} s",
            "duplicate": f"then acquire returns {found.twin and found.twin.id!r}, which is held",
        }.get(found.kind, "were acquired, and more are to be had")

    def _findings(self) -> Iterator[tuple[str, str]]:
        story = self.story()
        if story is not None:
            yield "The first duplicate", story
        if self.faults:
            yield "Not complete", "\n".join(self.faults)
        if self.ok:
            yield "No duplicate", "No id was in use twice, as far as was tried."
        if self.second_release.kind == "believed":
            text = "Nothing refuses it, and then two hold one id: an answer that comes twice is enough."
            yield "An id released twice is free twice", text
        if self.raised:
            yield "What calls raised", ", ".join(f"{what} ({times:,})" for what, times in sorted(self.raised.items()))
