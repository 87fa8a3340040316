"""What runs inside a sanitized interpreter: `python -m stress.program native|threads SCALE` (see __main__.py).

Prints a line a scenario: name, threads, operations, seconds. Ends with status 1 if anything was wrong that the program
itself could see; what only the sanitizer sees, the sanitizer says.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

import mtsid
from stress.sanitizers import FREE_THREADED

__all__ = ["main", "native"]

#: (size, lowest, occupied) of a range: one id, a leaf or two, a nearly full one, one with hints of three levels.
RANGES = [
    (1, False, 0),
    (3, True, 0),
    (33, False, 0),
    (64, True, 40),
    (4096, False, 4080),
    (4096, True, 0),
    (65535, False, 65500),
    (300_000, False, 0),
]


def report(name: str, threads: int, operations: int, seconds: float) -> None:
    """A line of the table."""
    print(f"    {name:<44}{threads:>8}{operations:>12,}{seconds:>9.1f}", flush=True)


def native(stress: Any, rounds: int) -> None:
    """Native threads on bitmaps with bulk claims, and on allocators."""
    for size, lowest, occupied in RANGES:
        for threads in (2, 4, 8):
            begun = time.monotonic()
            done, _, _, faults = stress.on_bitmap(size, lowest, occupied, threads, rounds // threads, threads)
            if faults:
                raise AssertionError(f"{faults} faults: bitmap of {size}, lowest={lowest}, {occupied} occupied")
            ids = mtsid.Allocator(7, size + 6, exclude=range(43, size + 6, 37), order="lowest" if lowest else "cyclic")
            before = [id for id in range(7, 7 + occupied) if ids_hold(ids, id)]
            ids.reserve_many(before)
            desk = stress.Desk(size)
            roomy = ids.available >= threads * 24
            more, _, _, faults = stress.on_allocator(ids, desk, roomy, threads, 1, rounds // threads, threads)
            ids._check()
            if faults or desk.signed() or list(ids) != before:
                raise AssertionError(f"{faults} faults: allocator of {size}, lowest={lowest}, {occupied} occupied")
            name = f"{size:,} ids, {occupied:,} taken{', lowest' if lowest else ''}"
            report(name, threads, done + more, time.monotonic() - begun)


def ids_hold(ids: mtsid.Allocator, id: int) -> bool:
    """Is it in the range, and not excluded?"""
    try:
        ids.state(id)
    except ValueError:
        return False
    return True


def main() -> int:
    """Run one kind of program."""
    kind, scale = sys.argv[1], float(sys.argv[2])
    if "sanitized-" not in (mtsid.__file__ or ""):
        raise RuntimeError(f"this is another build: {mtsid.__file__}")
    stress = importlib.import_module("stress_native")
    planted = importlib.import_module("stress_planted")
    if kind == "planted":
        getattr(planted, sys.argv[3])()
    elif kind == "weakened":
        native(importlib.import_module("stress_weakened"), 20_000)
    elif kind == "native":
        native(stress, int(150_000 * scale))
    else:
        from stress import threads

        if FREE_THREADED and getattr(sys, "_is_gil_enabled")():  # noqa: B009
            raise RuntimeError("the GIL is on")
        planted.guarded()
        threads.run(stress, scale)
    return 0


if __name__ == "__main__":
    sys.exit(main())
