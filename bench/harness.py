"""How two things are compared: in turns of less than a millisecond, many times over.

What a shared machine does to one side in a round it mostly does to the others in that round. So a ratio is taken within
each round, and what is reported is the median of those, with their middle half. A turn is much shorter than what a busy
system gives a process at once, so that most rounds pass undisturbed. The order of the sides is drawn anew every round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Literal, Protocol

from bench.goals import GOALS

__all__ = ["IDS", "Absent", "Benchmark", "Loop", "Match", "Ratio", "Row", "Side", "side", "timed"]

IDS = 65535

Loop = Callable[[int], None]  # does something so many times
Unit = Literal["time", "rate", "bytes"]  # how a cost is shown


class Absent(Exception):
    """A rival cannot be had here; says why."""


@dataclass(frozen=True)
class Side:
    """One of those compared: `run(n)` does its work n times and returns the seconds that took."""

    name: str
    run: Callable[[int], float]
    goal: str | None = None  # as a rival: the key of what is wished for in goals.py

    def __post_init__(self) -> None:
        assert self.goal is None or self.goal in GOALS


def timed(name: str, loop: Loop, goal: str | None = None) -> Side:
    """A side from a loop."""

    def run(n: int) -> float:
        start = perf_counter()
        loop(n)
        return perf_counter() - start

    return Side(name, run, goal)


def side(rival: Any, verb: str, *arguments: Any, goal: str | None = None, name: str | None = None) -> Side:
    """A side from a rival's loop for that verb; see rivals/__init__.py."""
    return timed(name or rival.called(verb), getattr(rival, verb)(*arguments), goal)


@dataclass(frozen=True)
class Ratio:
    """What the subject costs over what a rival costs."""

    rival: str
    cost: float  # the rival's: seconds or bytes for one
    middle: float
    low: float  # the quarter below
    high: float  # the quarter above
    goal: str | None = None


@dataclass
class Row:
    """One line of the result, with a line below it for each further rival."""

    group: str
    work: str
    subject: str
    cost: float  # seconds or bytes for one
    unit: Unit
    ratios: list[Ratio] = field(default_factory=list)
    goal: str | None = None  # for the cost itself

    @classmethod
    def plain(cls, group: str, work: str, subject: str, cost: float, rivals: Mapping[str, float], unit: Unit) -> Row:
        """A row of figures that were taken once, so that the ratios have no spread."""
        ratios = [Ratio(name, its, cost / its, cost / its, cost / its) for name, its in rivals.items()]
        return cls(group, work, subject, cost, unit, ratios)

    def figures(self) -> Iterable[tuple[str, float]]:
        """Each goal that this row bears on, with the ratio or cost."""
        if self.goal:
            yield self.goal, self.cost
        for ratio in self.ratios:
            if ratio.goal:
                yield ratio.goal, ratio.middle


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    disabled: bool
    group: str | None
    extra_info: dict[str, Any]

    def pedantic(self, target: Callable[[], None], *, setup: Callable[[], None], rounds: int) -> None: ...


class Match:
    """Measures sides against one another and keeps the rows. One for the whole run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.notes: dict[str, str] = {}  # what to know of the figures: rivals that cannot be had here, and why
        self.is_quick = False  # a fortieth of the rounds: shows that all works, and no more

    def rounds(self, wanted: int) -> int:
        """How many rounds to do of those wanted."""
        return max(3, wanted // 40) if self.is_quick else wanted

    def present(self, rivals: Iterable[Any], make: Callable[[Any], Side]) -> list[Side]:
        """A side from each rival that can be had here; the others are noted."""
        found = []
        for rival in rivals:
            try:
                found.append(make(rival))
            except Absent as why:
                self.notes[rival.name] = f"left out: {why}"
        return found

    def play(
        self,
        benchmark: Benchmark,
        group: str,
        work: str,
        subject: Side,
        rivals: Sequence[Side],
        *,
        seconds: float = 0.0004,
        rounds: int = 401,
        batch: int = 1,
        unit: Unit = "time",
        goal: str | None = None,
    ) -> Row | None:
        """Compare; `seconds` is about the length of one side's turn, and `batch` divides every number of repetitions.

        pytest-benchmark times the subject's turns and records them; the rivals have theirs in the set-up of each round.
        Returns the row, unless nothing is measured.
        """
        sides = [subject, *rivals]
        if benchmark.disabled:
            for one in sides:
                one.run(4 * batch)
        count = {one.name: batch if benchmark.disabled else _calibrate(one, seconds, batch) for one in sides}
        costs: dict[str, list[float]] = {one.name: [] for one in sides}
        assert len(costs) == len(sides), "two sides of one name"
        chance = Random(work)
        after: list[Side] = []

        def turn(one: Side) -> None:
            costs[one.name].append(one.run(count[one.name]) / count[one.name])

        def others() -> None:
            """Those left of the last round, then those that come before the subject in this one."""
            for one in after:
                turn(one)
            order = chance.sample(sides, len(sides))
            place = order.index(subject)
            after[:] = order[place + 1 :]
            for one in order[:place]:
                turn(one)

        benchmark.group = group
        benchmark.pedantic(lambda: turn(subject), setup=others, rounds=self.rounds(rounds))
        for one in after:
            turn(one)
        if benchmark.disabled:
            return None
        row = Row(group, work, subject.name, median(costs[subject.name]), unit, goal=goal)
        for rival in rivals:
            ratios = [mine / its for mine, its in zip(costs[subject.name], costs[rival.name], strict=True)]
            low, middle, high = quantiles(ratios, n=4)
            row.ratios.append(Ratio(rival.name, median(costs[rival.name]), middle, low, high, rival.goal))
        self.keep(benchmark, row)
        benchmark.extra_info.update(repetitions=count, costs=costs)
        return row

    def keep(self, benchmark: Benchmark, *rows: Row) -> None:
        """Put rows into the table and into the JSON file."""
        self.rows += rows
        benchmark.extra_info.setdefault("rows", []).extend(asdict(row) for row in rows)


def _calibrate(one: Side, seconds: float, batch: int) -> int:
    """How many repetitions take about that long; warms the side up, too.

    The better of two runs counts: a slow one (an import, page faults, a neighbour) would make every turn too short.
    """
    n = batch
    one.run(n)
    while (elapsed := min(one.run(n), one.run(n))) < seconds / 4:
        n *= 4
    return max(1, round(n / batch * seconds / elapsed)) * batch
