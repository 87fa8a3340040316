"""The result of a run as one table of plain text."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence

from bench.harness import Ratio, Row, Unit

HEADER = ("work", "cost", "beside", "its cost", "ratio", "middle half", "goal")


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


def verdict(ratio: Ratio) -> str:
    """The goal and whether it is met; without one, only a plain loss is said: the whole middle half above 1."""
    if ratio.goal is not None:
        return f"<= {ratio.goal:g} {'met' if ratio.met else 'MISSED'}"
    return "dearer" if ratio.low > 1 else ""


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The table, and what it means."""
    cells: list[Sequence[str]] = [HEADER]
    for group in dict.fromkeys(row.group for row in rows):
        cells.append((f"-- {group}",))
        for row in rows:
            if row.group == group:
                cells.extend(_cells(row))
    widths = [max(len(line[i]) for line in cells if len(line) > 1) for i in range(len(HEADER))]
    yield f"{platform.python_implementation()} {platform.python_version()}, {_build()}, {platform.machine()}"
    yield ""
    for line in cells:
        yield "  ".join(
            text.rjust(width) if i in (1, 3, 4) else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=False))
        ).rstrip()
    yield ""
    yield "ratio: the cost of the work over that of what stands beside it, round by round; below 1 the work is cheaper."
    goals = [ratio for row in rows for ratio in row.ratios if ratio.goal is not None]
    yield f"goals: {sum(ratio.met is True for ratio in goals)} of {len(goals)} met"


def _cells(row: Row) -> Iterable[Sequence[str]]:
    for i, ratio in enumerate(row.ratios):
        start = (row.work, cost(row.cost, row.unit)) if i == 0 else ("", "")
        spread = f"{_figure(ratio.low)} - {_figure(ratio.high)}" if ratio.low != ratio.high else ""
        yield *start, ratio.rival, cost(ratio.cost, row.unit), _figure(ratio.middle), spread, verdict(ratio)


def _figure(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.1g}"


def _build() -> str:
    probe = getattr(sys, "_is_gil_enabled", None)
    gil = "with the GIL" if probe is None or probe() else "without the GIL"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"{gil}, {cores} core{'s' * (cores != 1)}{load}"
