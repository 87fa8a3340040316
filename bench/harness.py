"""How two things are compared: in turns of less than a millisecond, many times over.

What a shared machine does to one side in a round it mostly does to the others in that round. So a ratio is taken within
each round, and what is reported is the median of those, with their middle half. A turn is much shorter than what a busy
system gives a process at once, so that most rounds pass undisturbed. The order of the rivals changes every round; the
subject comes last, since pytest-benchmark takes its time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Literal, Protocol

__all__ = ["IDS", "Flow", "Loop", "Match", "Ratio", "Row", "Side", "flowing", "timed"]

IDS = 65535

Loop = Callable[[int], None]  # does something so many times
Unit = Literal["time", "rate", "bytes"]  # how a cost is shown


@dataclass(frozen=True)
class Flow:
    """What producers and consumers do so many times, and how many messages are left."""

    produce: Loop
    consume: Loop
    left: Callable[[], int]


@dataclass(frozen=True)
class Side:
    """One of those compared: `run(n)` does its work n times and returns the seconds that took."""

    name: str
    run: Callable[[int], float]
    goal: float | None = None  # as a rival: what the ratio should be at most


def timed(name: str, loop: Loop, goal: float | None = None) -> Side:
    """A side from a loop."""

    def run(n: int) -> float:
        start = perf_counter()
        loop(n)
        return perf_counter() - start

    return Side(name, run, goal)


def flowing(name: str, flow: Flow, pairs: int, goal: float | None = None) -> Side:
    """A side of `pairs` producers and as many consumers, which start together: from the first start to the last end."""

    def run(n: int) -> float:
        share = max(1, n // pairs)
        barrier = threading.Barrier(2 * pairs)
        starts: list[float] = []
        ends: list[float] = []

        def work(loop: Loop) -> None:
            barrier.wait()
            starts.append(perf_counter())
            loop(share)
            ends.append(perf_counter())
            barrier.wait()

        loops = [flow.produce, flow.consume] * pairs
        threads = [threading.Thread(target=work, args=(loop,), daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(ends) == 2 * pairs, "a thread failed or hangs"
        assert flow.left() == 0
        return (max(ends) - min(starts)) * n / (share * pairs)

    return Side(name, run, goal)


@dataclass(frozen=True)
class Ratio:
    """What the subject costs over what a rival costs."""

    rival: str
    cost: float  # the rival's: seconds or bytes for one
    middle: float
    low: float  # the quarter below
    high: float  # the quarter above
    goal: float | None

    @property
    def met(self) -> bool | None:
        """Is the goal met, if there is one?"""
        return None if self.goal is None else self.middle <= self.goal


@dataclass
class Row:
    """One line of the result, with a line below it for each further rival."""

    group: str
    work: str
    subject: str
    cost: float  # seconds or bytes for one
    unit: Unit
    ratios: list[Ratio] = field(default_factory=list)


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
    ) -> None:
        """Compare; `seconds` is about the length of one side's turn, and `batch` divides every number of repetitions.

        pytest-benchmark times the subject's turns and records them; the rivals have theirs in the set-up of each round.
        """
        sides = [subject, *rivals]
        if benchmark.disabled:
            for side in sides:
                side.run(4 * batch)
        count = {side.name: batch if benchmark.disabled else _calibrate(side, seconds, batch) for side in sides}
        costs: dict[str, list[float]] = {side.name: [] for side in sides}
        assert len(costs) == len(sides), "two sides of one name"

        def turn(side: Side) -> None:
            costs[side.name].append(side.run(count[side.name]) / count[side.name])

        def others() -> None:
            start = len(costs[subject.name]) % max(1, len(rivals))
            for rival in [*rivals[start:], *rivals[:start]]:
                turn(rival)

        benchmark.group = group
        benchmark.pedantic(lambda: turn(subject), setup=others, rounds=rounds)
        if benchmark.disabled:
            return
        row = Row(group, work, subject.name, median(costs[subject.name]), unit)
        for rival in rivals:
            ratios = [mine / its for mine, its in zip(costs[subject.name], costs[rival.name], strict=True)]
            low, middle, high = quantiles(ratios, n=4)
            row.ratios.append(Ratio(rival.name, median(costs[rival.name]), middle, low, high, rival.goal))
        self.rows.append(row)
        benchmark.extra_info.update(work=work, repetitions=count[subject.name], costs=costs)


def _calibrate(side: Side, seconds: float, batch: int) -> int:
    """How many repetitions take about that long; warms the side up, too.

    The better of two runs counts: a slow one (an import, page faults, a neighbour) would make every turn too short.
    """
    n = batch
    side.run(n)
    while (elapsed := min(side.run(n), side.run(n))) < seconds / 4:
        n *= 4
    return max(1, round(n / batch * seconds / elapsed)) * batch
