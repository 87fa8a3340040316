"""What each hot path may cost: budget.json, by CPython's minor version. `python -m bench.guards --write` writes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from bench import machine
from bench.guards.counts import Count
from bench.guards.paths import PATHS, PLANTED

__all__ = ["MARGIN", "judge", "load", "write"]

FILE = Path(__file__).with_name("budget.json")
MARGIN = 1.05  # of instructions: another release of the compiler; calls have none


def key() -> str:
    """Under which the budget of this interpreter stands."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}{'' if machine.has_gil() else ', without the GIL'}"


def load() -> dict[str, Count] | None:
    """The budget of this interpreter, if there is one."""
    found = json.loads(FILE.read_text("utf-8")).get(key())
    return None if found is None else {name: Count(**count) for name, count in found.items()}


def judge(found: Count, budget: Count) -> str | None:
    """What is wrong with a count; None if nothing is."""
    if found.instructions > budget.instructions * MARGIN:
        return f"{found.instructions:.1f} instructions, {budget.instructions:.1f} are granted"
    if found.calls > budget.calls + 0.05:
        return f"{found.calls:.2f} calls into the interpreter and the C library, {budget.calls:.2f} are granted"
    return None


def write(counts: Mapping[str, Count]) -> None:
    """Grant what was counted."""
    everything = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    everything[key()] = {
        name: {"instructions": round(counts[name].instructions, 1), "calls": round(counts[name].calls, 2)}
        for name in PATHS
        if name != PLANTED
    }
    FILE.write_text(json.dumps(everything, indent=4) + "\n", "utf-8")
