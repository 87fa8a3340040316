"""The plots of the report, as SVG: a panel an interpreter, Okabe and Ito's colours, and a marker besides each colour.

Lines carry their names where they end, so that no legend has to be matched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from bench.harness import Row

if TYPE_CHECKING:
    from bench.report import Run

__all__ = ["draw"]

# Okabe and Ito, 2008: told apart by all kinds of colour vision; their yellow is darkened, for white paper. mtsid is the
# blue one, with circles.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
MINE, RIVAL = COLOURS[0], COLOURS[1]

#: In the plot at hand: each side's place in COLOURS and MARKERS, the same in all panels.
styles: dict[str, int] = {}

# Files that differ only if the figures do.
plt.rcParams.update({"svg.hashsalt": "mtsid", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
plt.rcParams.update({"svg.fonttype": "none", "axes.titlesize": 10})


def draw(runs: Sequence[Run], folder: Path) -> list[tuple[str, str]]:
    """Write them all; returns each file's name and caption. A plot without figures is left out."""
    written = []
    for name, caption, paint in PLOTS:
        figure, panels = plt.subplots(1, len(runs), figsize=(5.4 * len(runs), 4.2), squeeze=False, layout="constrained")
        styles.clear()
        painted = [paint(panel, run.rows) for panel, run in zip(panels[0], runs, strict=True)]
        for panel, run in zip(panels[0], runs, strict=True):
            panel.set_title(run.title)
        if any(painted):
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            written.append((f"{name}.svg", caption))
        plt.close(figure)
    return written


def ratios(panel: Any, row: Row) -> None:
    """A dot a rival with the middle half as a line, on a scale of ratios; right of 1 we lose."""
    order = sorted(row.ratios, key=lambda ratio: ratio.middle)
    for place, ratio in enumerate(order):
        lost = ratio.middle > 1
        panel.plot([ratio.low, ratio.high], [place, place], color=RIVAL if lost else MINE, linewidth=2)
        panel.plot(ratio.middle, place, marker="s" if lost else "o", color=RIVAL if lost else MINE)
        panel.annotate(f"{ratio.middle:.2g}", (ratio.middle, place), (0, 5), textcoords="offset points", ha="center")
    panel.axvline(1, color="black", linewidth=0.8, linestyle="--")
    panel.set_xscale("log")
    panel.set_xlim(right=panel.get_xlim()[1] * 1.4)  # a figure at the edge is not cut
    panel.set_yticks(range(len(order)), [ratio.rival for ratio in order])
    panel.set_ylim(-0.6, len(order) - 0.2)
    panel.set_xlabel("our cost over theirs; squares: we lose")


def lines(panel: Any, series: dict[str, list[tuple[float, float]]], ticks: Sequence[str]) -> None:
    """A line a side over a few places; its name stands at its end."""
    ends = []
    for name, points in series.items():
        number = styles.setdefault(name, len(styles))
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        panel.plot(*zip(*points, strict=True), color=colour, marker=marker, linewidth=2.5 if number == 0 else 1.2)
        ends.append((points[-1], name, colour))
    panel.set_yscale("log")
    panel.set_xticks(range(len(ticks)), ticks)
    _name_ends(panel, ends)


def _name_ends(panel: Any, ends: Iterable[tuple[tuple[float, float], str, str]]) -> None:
    """Names right of the last points, moved apart where they would overlap."""
    transform = panel.transData
    last = float("-inf")
    for point, name, colour in sorted(ends, key=lambda end: end[0][1]):
        height = max(transform.transform(point)[1], last + 11)
        offset = (height - transform.transform(point)[1]) * 72 / panel.figure.dpi
        panel.annotate(name, point, (8, offset), textcoords="offset points", color=colour, va="center", fontsize=8)
        last = height


def _of(rows: Sequence[Row], group: str) -> list[Row]:
    return [row for row in rows if row.group.startswith(group)]


def _row(group: str) -> Callable[[Any, Sequence[Row]], bool]:
    """Paints the ratios of a group's one row."""

    def paint(panel: Any, rows: Sequence[Row]) -> bool:
        found = _of(rows, group)
        if found:
            ratios(panel, found[0])
        return bool(found)

    return paint


def _occupied(layout: str) -> Callable[[Any, Sequence[Row]], bool]:
    """Paints costs over how many ids are live."""

    def paint(panel: Any, rows: Sequence[Row]) -> bool:
        found = [row for row in _of(rows, "one id of 65,535") if row.work.endswith(layout)]
        series: dict[str, list[tuple[float, float]]] = {}
        for place, row in enumerate(found):
            series.setdefault(row.subject, []).append((place, row.cost * 1e9))
            for ratio in row.ratios:
                if ratio.rival != "itself, all free":
                    series.setdefault(ratio.rival, []).append((place, ratio.cost * 1e9))
        if found:
            lines(panel, series, [re.sub(r".*, (.*) live.*", r"\1", row.work) for row in found])
            panel.set_xlabel(f"ids live, {layout}")
            panel.set_ylabel("acquire + release, ns")
            panel.set_xlim(-0.2, len(found) + 0.6)
            panel.set_ylim(top=panel.get_ylim()[1] * 8)  # the names at the lines' ends stand above one another
        return bool(found)

    return paint


def _threads(panel: Any, rows: Sequence[Row]) -> bool:
    """Throughput over pairs of threads."""
    found = _of(rows, "threads, at most")
    series: dict[str, list[tuple[float, float]]] = {}
    for place, row in enumerate(found):
        series.setdefault(row.subject, []).append((place, 1e-3 / row.cost))
        for ratio in row.ratios:
            if not ratio.rival.startswith("itself"):
                series.setdefault(ratio.rival, []).append((place, 1e-3 / ratio.cost))
    if found:
        lines(panel, series, [row.work.split(", ")[1] for row in found])
        panel.set_xlabel("producers + consumers")
        panel.set_ylabel("thousand messages a second")
        panel.set_xlim(-0.2, len(found) + 0.8)
    return bool(found)


def _native(panel: Any, rows: Sequence[Row]) -> bool:
    """Costs of native pairs in 1 and 2 threads."""
    found = [row for row in _of(rows, "native threads: acquire_id") if "65,535" in row.work]
    if not found:
        return False
    names = [found[0].subject, *(ratio.rival for ratio in found[0].ratios)]
    for number, row in enumerate(found):
        costs = [row.cost, *(ratio.cost for ratio in row.ratios)]
        places = [place + 0.4 * number - 0.2 for place in range(len(names))]
        style = {"color": COLOURS[number], "edgecolor": "black", "hatch": ("", "//")[number % 2]}
        bars = panel.barh(places, [value * 1e9 for value in costs], 0.36, **style)
        panel.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    panel.set_yticks(range(len(names)), names)
    panel.set_xscale("log")
    panel.set_xlabel("ns for a pair in all (plain: 1 thread, hatched: 2)")
    panel.invert_yaxis()
    return True


def _latency(panel: Any, rows: Sequence[Row]) -> bool:
    """The median and the tail of each side's hand-offs."""
    found = _of(rows, "hand-off")
    if not found:
        return False
    names = [found[0].subject, *(ratio.rival for ratio in found[0].ratios)]
    for number, row in enumerate(found):
        costs: dict[str, float] = {row.subject: row.cost, **{ratio.rival: ratio.cost for ratio in row.ratios}}
        values = [costs[name] * 1e6 for name in names]
        panel.plot(values, range(len(names)), linestyle="", marker=MARKERS[number], color=COLOURS[number])
        label = row.work.split(", ")[1]
        panel.annotate(label, (values[0], 0), (0, 8), textcoords="offset points", ha="center", color=COLOURS[number])
    panel.set_yticks(range(len(names)), names)
    panel.set_xscale("log")
    panel.set_xlabel("microseconds from put to the return of get")
    panel.set_ylim(len(names) - 0.5, -0.8)
    return True


def _memory(panel: Any, rows: Sequence[Row]) -> bool:
    """Bytes an id and a slot."""
    found = [row for row in _of(rows, "resident memory") if row.work.startswith(("an id", "a slot"))]
    bars: list[tuple[str, float, bool]] = []
    for row in found:
        what = row.work.split(",")[0]
        bars.append((f"{what}: {row.subject}", row.cost, True))
        bars += [(f"{what}: {ratio.rival}", ratio.cost, False) for ratio in row.ratios]
    for place, (_, value, mine) in enumerate(bars):
        painted = panel.barh(
            place, value, color=MINE if mine else COLOURS[4], edgecolor="black", hatch="" if mine else "//"
        )
        panel.bar_label(painted, fmt="%.1f", padding=3, fontsize=8)
    panel.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    panel.set_xlabel("resident bytes")
    panel.invert_yaxis()
    return bool(found)


PLOTS: list[tuple[str, str, Callable[[Any, Sequence[Row]], bool]]] = [
    ("ids", "acquire + release beside other ways to have ids, none live", _row("one id: acquire + release")),
    ("occupied-random", "acquire + release as ids fill up, at random", _occupied("random")),
    ("occupied-contiguous", "acquire + release as ids fill up, in one block", _occupied("contiguous")),
    ("messages", "put + get + ack beside other ways to do it", _row("one message: put + get + ack")),
    ("threads", "Messages between threads, at most 1,024 under way", _threads),
    ("latency", "From put to a thread that waits: median and tail", _latency),
    ("native", "Native threads: a pair of acquire_id and release_id beside rings as free lists", _native),
    ("memory", "Memory of an id and of a slot", _memory),
]
