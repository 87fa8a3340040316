"""The result of a run as tables of plain text: every comparison, then the goals."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench import machine
from bench.goals import GOALS, Goal
from bench.harness import Ratio, Row, Unit

__all__ = ["cost", "figure", "lines", "verdict", "worst"]

HEADER = ("work", "cost", "beside", "its cost", "ratio", "middle half", "")


def cost(value: float, unit: Unit) -> str:
    """Show a cost: the time of one, the rate at that time, or bytes."""
    if unit == "rate":
        return f"{1e-3 / value:,.0f} k/s"
    if unit == "bytes":
        return f"{value:,.1f} B" if value < 1000 else f"{value / 1024:,.1f} KiB"
    for size, name in ((1e-6, "ns"), (1e-3, "us"), (1.0, "ms")):
        if value < size:
            scaled = value / size * 1000
            return f"{scaled:.{1 if scaled < 100 else 0}f} {name}"
    return f"{value:.2f} s"


def figure(ratio: float) -> str:
    """Show a ratio."""
    return f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.1g}"


def verdict(ratio: Ratio, gil: bool) -> str:
    """The goal and whether it is met; without one, only a plain loss is said: the whole middle half above 1."""
    if ratio.goal is not None:
        goal = GOALS[ratio.goal]
        return f"{goal.wish(gil)} {'met' if goal.met(ratio.middle, gil) else 'MISSED'}"
    return "dearer" if ratio.low > 1 else ""


def worst(rows: Iterable[Row]) -> dict[str, float]:
    """For each goal that was measured the ratio, or the cost, that is furthest from it."""
    found: dict[str, float] = {}
    for row in rows:
        for key, value in row.figures():
            found[key] = max(value, found.get(key, 0.0))
    return found


def lines(rows: Sequence[Row], notes: Mapping[str, str]) -> Iterator[str]:
    """The tables, and what they mean."""
    gil = machine.has_gil()
    cells: list[Sequence[str]] = [HEADER]
    for group in dict.fromkeys(row.group for row in rows):
        cells.append((f"-- {group}",))
        for row in rows:
            if row.group == group:
                cells.extend(_cells(row, gil))
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    yield f"{machine.title()}, {machine.cores()} cores, {platform.machine()}{load}"
    yield ""
    yield from _laid_out(cells, (1, 3, 4))
    yield ""
    yield "ratio: the cost of the work over that of what stands beside it, round by round; below 1 the work is cheaper."
    yield from (f"{name}: {note}" for name, note in notes.items())
    yield ""
    found = worst(rows)
    goals: list[Sequence[str]] = [("goal", "beside", "wished", "found", "")]
    goals += [_goal(GOALS[key], found[key], gil) for key in GOALS if key in found]
    yield from _laid_out(goals, (2, 3))
    met = sum(GOALS[key].met(value, gil) for key, value in found.items())
    yield f"goals: {met} of {len(found)} met"


def _goal(goal: Goal, value: float, gil: bool) -> tuple[str, ...]:
    return goal.work, goal.beside, goal.wish(gil), goal.shown(value), "met" if goal.met(value, gil) else "MISSED"


def _cells(row: Row, gil: bool) -> Iterator[Sequence[str]]:
    for i, ratio in enumerate(row.ratios):
        start = (row.work, cost(row.cost, row.unit)) if i == 0 else ("", "")
        spread = f"{figure(ratio.low)} - {figure(ratio.high)}" if ratio.low != ratio.high else ""
        yield *start, ratio.rival, cost(ratio.cost, row.unit), figure(ratio.middle), spread, verdict(ratio, gil)


def _laid_out(cells: Sequence[Sequence[str]], right: Sequence[int]) -> Iterator[str]:
    """In columns; those of `right` are aligned to that side. A line of one cell stands across."""
    widths = [max(len(line[i]) for line in cells if len(line) > 1) for i in range(len(cells[0]))]
    for line in cells:
        yield "  ".join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=False))
        ).rstrip()
