"""Turn what `make bench` has measured into docs/benchmarks.md and its plots.

    python -m bench.report [--to DIRECTORY] [FILE ...]

Without files: those in .benchmarks, one an interpreter.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.goals import GOALS, LIMITS
from bench.harness import Ratio, Row
from bench.table import cost, figure, verdict, worst

__all__ = ["Run", "load", "text"]

ROOT = Path(__file__).resolve().parents[1]

HEAD = """\
# Benchmarks

What the library costs beside what else does the work. `make bench` measures, `make bench-report` writes this page;
[bench/README.md](../bench/README.md) says how it is measured, and what each rival does and does not check. Most check
nothing. Everything that was measured is here, what we lose included.

A **ratio** is the cost of the work over that of what stands beside it, taken round by round in one run, in which the
sides take turns in an order drawn anew each round: the median, and the middle half of the rounds. Below 1 the work is
cheaper. A time says as much about the machine as about the code.
"""


@dataclass(frozen=True)
class Run:
    """What one interpreter's file says."""

    title: str
    gil: bool
    about: dict[str, Any]  # machine.describe()
    notes: dict[str, str]
    rows: list[Row]

    @property
    def short(self) -> str:
        """`3.11` or `3.13, no GIL`."""
        version = ".".join(self.title.split()[1].rstrip(",").split(".")[:2])
        return version if self.gil else f"{version}, no GIL"


def load(path: Path) -> Run:
    """Read a file that `make bench` wrote."""
    data = json.loads(path.read_text("utf-8"))
    about = data["machine_info"]["mtsid"]
    rows = []
    for benchmark in data["benchmarks"]:
        for row in benchmark["extra_info"].get("rows", []):
            rows.append(Row(**{**row, "ratios": [Ratio(**ratio) for ratio in row["ratios"]]}))
    return Run(about["title"], about["gil"], about, data.get("notes", {}), rows)


def text(runs: Sequence[Run], plots: Iterable[tuple[str, str]] = ()) -> str:
    """The page; `plots` are files and what they show."""
    parts = [HEAD, *_machines(runs), "## Goals\n", *_goals(runs), "## What we lose\n", *_losses(runs)]
    if shown := list(plots):
        parts += ["## Pictures\n", *(f"![{caption}](benchmarks/{name})\n\n*{caption}*\n" for name, caption in shown)]
    parts += ["## Everything\n", *_everything(runs)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _machines(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        about = run.about
        libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
        packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
        yield (
            f"**{run.title}**: {about['cores']} cores, {about['processor']}; {about['compiler']}; load {about['load']} "
            f"at the end. {libraries}. Debian's {packages or 'packages: none of those used'}.\n"
        )
        if run.notes:
            yield "".join(f"- {name}: {note}\n" for name, note in run.notes.items())


def _goals(runs: Sequence[Run]) -> Iterator[str]:
    header = ["work", "beside"]
    for run in runs:
        header += [f"{run.short}: goal", "found", ""]
    found = [worst(run.rows) for run in runs]
    rows = []
    for key, goal in GOALS.items():
        cells = [goal.work, goal.beside]
        for run, values in zip(runs, found, strict=True):
            if key in values:
                met = goal.met(values[key], run.gil)
                cells += [goal.wish(run.gil), f"**{goal.shown(values[key])}**", "met" if met else "**missed**"]
            else:
                cells += [goal.wish(run.gil), "", "not measured"]
        rows.append(cells)
    yield _table(header, rows)
    for run, values in zip(runs, found, strict=True):
        reached = sum(GOALS[key].met(value, run.gil) for key, value in values.items())
        yield f"{run.short}: {reached} of {len(GOALS)} met. Where a goal bears on several figures, the worst is shown."
    told = [
        f"- **{GOALS[key].work}, beside {GOALS[key].beside}.** {limit}\n"
        for key, limit in LIMITS.items()
        if any(
            key in values and not GOALS[key].met(values[key], run.gil) for run, values in zip(runs, found, strict=True)
        )
    ]
    if told:
        yield "What stands in the way of those that are missed:\n"
        yield "".join(told)


def _losses(runs: Sequence[Run]) -> Iterator[str]:
    """Ratios of which the whole middle half is above 1."""
    yield "Wherever the work costs more than what stands beside it, in more than three quarters of the rounds.\n"
    for run in runs:
        rows = [
            (row.work, row.group, ratio.rival, _cost(row, row.cost), _cost(row, ratio.cost), _ratio(ratio))
            for row in run.rows
            for ratio in row.ratios
            if ratio.low > 1
        ]
        yield f"### {run.title}\n"
        yield _table(("work", "of", "beside", "cost", "its cost", "ratio"), rows) if rows else "Nothing.\n"


def _everything(runs: Sequence[Run]) -> Iterator[str]:
    groups = dict.fromkeys(row.group for run in runs for row in run.rows)
    for group in groups:
        yield f"### {group[0].upper()}{group[1:]}\n"
        for run in runs:
            rows = []
            for row in run.rows:
                if row.group == group:
                    for i, ratio in enumerate(row.ratios):
                        start = (row.work, _cost(row, row.cost)) if i == 0 else ("", "")
                        rows.append(
                            (*start, ratio.rival, _cost(row, ratio.cost), _ratio(ratio), verdict(ratio, run.gil))
                        )
            if rows:
                yield f"{run.title}:\n"
                yield _table(("work", "cost", "beside", "its cost", "ratio", ""), rows)


def _cost(row: Row, value: float) -> str:
    return cost(value, row.unit)


def _ratio(ratio: Ratio) -> str:
    spread = f" ({figure(ratio.low)} - {figure(ratio.high)})" if ratio.low != ratio.high else ""
    return f"{figure(ratio.middle)}{spread}"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description="Write the benchmarks' page and plots.")
    parser.add_argument("--to", type=Path, default=ROOT / "docs", metavar="DIRECTORY", help="where to (docs)")
    parser.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="what make bench wrote (.benchmarks/*.json)"
    )
    options = parser.parse_args()
    files = options.files or sorted((ROOT / ".benchmarks").glob("*.json"))
    if not files:
        print("bench-report: nothing is measured yet: make bench", file=sys.stderr)
        return 2
    runs = [load(path) for path in files]
    from bench.plots import draw

    folder = options.to / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    plots = draw(runs, folder)
    page = options.to / "benchmarks.md"
    page.write_text(text(runs, plots), "utf-8")
    print(f"{page}: {len(runs)} interpreter{'s' * (len(runs) > 1)}, {len(plots)} plots")
    return 0


if __name__ == "__main__":
    sys.exit(main())
