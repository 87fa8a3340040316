"""The goals, the table, the report and its plots, from made-up figures; and whether the README tells of every rival."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import table
from bench.goals import GOALS, LIMITS, Goal
from bench.harness import Ratio, Row
from bench.report import load, main

HERE = Path(__file__).parent
PAIR = "one id: acquire + release"


def rows(won: float, lost: float) -> list[Row]:
    """A goal that is met by `won`, two figures for another, and a comparison without a goal that we lose."""
    ratios = [
        Ratio("SimpleQueue as free list", 50e-9, won, won - 0.1, won + 0.1, "pair/simple-queue"),
        Ratio("something quick", 10e-9, lost, lost - 0.1, lost + 0.1),
    ]
    flows = [
        Row(
            "threads",
            f"mtsid, {pairs}",
            "mtsid",
            1e-6,
            "rate",
            [Ratio("2 queues", 2e-6, value, 0.1, 0.9, "threads/many")],
        )
        for pairs, value in (("2 + 2", 0.5), ("4 + 4", 0.8))
    ]
    bulk = Row(
        "bulk", "mtsid, 1,000", "mtsid", 2e-9, "time", [Ratio("itself", 4e-8, 0.05, 0.04, 0.06)], "bulk/contiguous"
    )
    return [Row(PAIR, "mtsid", "mtsid", 40e-9, "time", ratios), *flows, bulk]


def written(folder: Path, title: str, gil: bool, measured: list[Row]) -> Path:
    """A file as `make bench` writes it."""
    machine = {"processor": "a processor", "cores": 2, "compiler": "a compiler", "load": "0.1"}
    about = {"title": title, "gil": gil, "libraries": {"mtsid": "1.0"}, "packages": {}, **machine}
    benchmarks = [{"extra_info": {"rows": [asdict(row)]}} for row in measured]
    path = folder / f"{title.split()[1]}.json"
    notes = {"culsans": "left out: not installed"}
    path.write_text(json.dumps({"machine_info": {"mtsid": about}, "benchmarks": benchmarks, "notes": notes}), "utf-8")
    return path


@pytest.mark.parametrize(
    ("goal", "cost", "met", "shown"),
    [
        (Goal("work", "rival", 1.0, 0.5), 0.7, (True, False), "0.70"),
        (Goal("work", "rival", 2, 4, "throughput"), 0.4, (True, False), "2.50x"),
        (Goal("work", "rival", 3, 1, "ns"), 2e-9, (True, False), "2.0 ns"),
    ],
    ids=["ratio", "throughput", "ns"],
)
def test_a_goal_is_met_or_missed(goal: Goal, cost: float, met: tuple[bool, bool], shown: str) -> None:
    assert (goal.met(cost, gil=True), goal.met(cost, gil=False)) == met
    assert goal.shown(cost) == shown


def test_a_goal_counts_where_it_is_worst() -> None:
    found = table.worst(rows(0.9, 3.0))
    assert found == {"pair/simple-queue": 0.9, "threads/many": 0.8, "bulk/contiguous": 2e-9}
    assert GOALS["threads/many"].shown(found["threads/many"]) == "1.25x"


def test_the_report_tells_goals_losses_and_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        written(tmp_path, "CPython 3.11.7, with the GIL", True, rows(0.9, 3.0)),
        written(tmp_path, "CPython 3.13.5, without the GIL", False, rows(1.2, 0.5)),
    ]
    monkeypatch.setitem(LIMITS, "threads/many", "What stands in the way of many threads.")
    monkeypatch.setattr("sys.argv", ["report", "--to", str(tmp_path), *map(str, files)])
    assert main() == 0
    page = (tmp_path / "benchmarks.md").read_text("utf-8")
    goals, _, rest = page.partition("## What we lose")
    assert (
        "| acquire + release | a SimpleQueue as free list | <= 1 | **0.90** | met | <= 1 | **1.20** | **missed** |"
        in goals
    )
    assert ">= 1.5x | **1.25x** | **missed**" in goals
    assert "not measured" in goals
    assert "What stands in the way of many threads." in goals
    assert LIMITS["native/rings"] not in goals
    assert "culsans: left out: not installed" in goals
    with_gil, _, without = rest.partition("### CPython 3.13.5")
    assert (
        "| mtsid | one id: acquire + release | something quick | 40.0 ns | 10.0 ns | 3.00 (2.90 - 3.10) |" in with_gil
    )
    assert "SimpleQueue as free list" in without.partition("## Pictures")[0]
    pictures = set(page.split("](benchmarks/")[1:])
    assert {name.partition(")")[0] for name in pictures} == {path.name for path in tmp_path.glob("benchmarks/*.svg")}
    assert (tmp_path / "benchmarks" / "ids.svg").exists()


def test_the_report_says_what_stands_in_the_way_of_a_missed_goal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for figure, told in ((0.9, False), (1.8, True)):
        ring = Row(PAIR, "mtsid", "mtsid", 9e-9, "time", [Ratio("a ring", 5e-9, figure, 0.8, 1.9, "native/rings")])
        file = written(tmp_path, "CPython 3.11.7, with the GIL", True, [ring])
        monkeypatch.setattr("sys.argv", ["report", "--to", str(tmp_path), str(file)])
        assert main() == 0
        page = (tmp_path / "benchmarks.md").read_text("utf-8")
        assert (LIMITS["native/rings"] in page) is told


def test_the_same_figures_give_the_same_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "CPython 3.11.7, with the GIL", True, rows(0.9, 3.0))
    for name in ("one", "two"):
        monkeypatch.setattr("sys.argv", ["report", "--to", str(tmp_path / name), str(file)])
        assert main() == 0
    assert (tmp_path / "one/benchmarks/ids.svg").read_bytes() == (tmp_path / "two/benchmarks/ids.svg").read_bytes()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    measured = rows(0.9, 3.0)
    run = load(written(tmp_path, "CPython 3.13.5, without the GIL", False, measured))
    assert run.rows == measured
    assert run.short == "3.13, no GIL"


def test_the_readme_says_of_each_rival_what_it_checks() -> None:
    page = (HERE / "README.md").read_text("utf-8")
    table_of_rivals = [line.split("|")[2] for line in page.splitlines() if line.count("|") > 8]
    told = {cell.strip(" `") for cell in table_of_rivals if cell.endswith(".py` ")}
    assert told == {path.name for path in HERE.glob("rivals/*.py")} - {"__init__.py", "two_queues.py"}
