"""The match that all benchmarks share, the one table after the run, and the JSON file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

# `bench` is no installed package, and a bare `pytest` does not put the project on the path.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from bench import machine
from bench.harness import Match
from bench.table import lines

ROOT = Path(__file__).resolve().parents[1]
MATCH = Match()


@pytest.fixture(scope="session")
def match() -> Match:
    """What measures sides against one another."""
    return MATCH


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a fortieth of the rounds: to see that all works")


def pytest_configure(config: pytest.Config) -> None:
    # pytest-benchmark's own table shows one side of each comparison only, and the time of a whole turn.
    # --benchmark-verbose brings it back.
    option = config.option
    option.benchmark_quiet = True
    MATCH.is_quick = option.quick
    # A part of the benchmarks must not take the place of a whole run.
    is_whole = config.args == ["bench"] and not option.keyword and not option.markexpr and not option.collectonly
    if is_whole and not option.benchmark_json and not option.benchmark_disable:
        folder = ROOT / ".benchmarks" / ("quick" if option.quick else "")
        folder.mkdir(parents=True, exist_ok=True)
        option.benchmark_json = str(folder / f"{machine.label()}.json")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info.pop("node", None)  # the host's name is nobody's business
    machine_info["mtsid"] = machine.describe()


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    output_json["notes"] = MATCH.notes
    for benchmark in output_json["benchmarks"]:
        # The subject's turns stand in extra_info, beside those of the others.
        benchmark["stats"].pop("data", None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if MATCH.rows:
        terminalreporter.section("mtsid beside its rivals")
        for line in lines(MATCH.rows, MATCH.notes):
            terminalreporter.write_line(line)
        if config.option.benchmark_json:
            terminalreporter.write_line(
                f"for make bench-report: {Path(config.option.benchmark_json).relative_to(ROOT)}"
            )
