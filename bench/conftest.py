"""The match that all benchmarks share, and the one table after the run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# `bench` is no installed package, and a bare `pytest` does not put the project on the path.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from bench.harness import Match
from bench.table import lines

MATCH = Match()


@pytest.fixture(scope="session")
def match() -> Match:
    """What measures sides against one another."""
    return MATCH


def pytest_configure(config: pytest.Config) -> None:
    # pytest-benchmark's own table shows one side of each comparison only, and the time of a whole turn.
    # --benchmark-verbose brings it back.
    config.option.benchmark_quiet = True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if MATCH.rows:
        terminalreporter.section("mtsid beside its rivals")
        for line in lines(MATCH.rows):
            terminalreporter.write_line(line)
