"""Counts what a hot path costs in instructions of mtsid's own compiled code, and in calls out of it.

valgrind's callgrind runs paths.py once. A path is run for a short and for a long time; the difference of the two
counts, over the difference of their lengths, is free of what happens once. What the interpreter does is not counted, so
that the figures hold for any build of the same CPython; what mtsid asks of it is: each call from mtsid's objects into
others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.guards.paths import PATHS
from bench.harness import Absent

__all__ = ["Count", "count", "parse"]

ROOT = Path(__file__).resolve().parents[2]
OWN = re.compile(r"/mtsid/core/[^/]+\.so$")
NAME = re.compile(r"\((\d+)\)(?: (.*))?")


@dataclass(frozen=True)
class Count:
    """What one operation takes."""

    instructions: float  # in mtsid's compiled modules
    calls: float  # from these into the interpreter and the C library


def count() -> dict[str, Count]:
    """Each path's count."""
    if shutil.which("valgrind") is None:
        raise Absent("no valgrind here: apt-get install valgrind")
    with tempfile.TemporaryDirectory(prefix="mtsid-guards.") as folder:
        tool = ["valgrind", "--tool=callgrind", "--dump-line=no", f"--callgrind-out-file={folder}/counts"]
        # The modules are built before, and not under valgrind.
        command = [sys.executable, "-m", "bench.guards.paths"]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        for whole in (command, [*tool, *command]):
            done = subprocess.run(whole, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(whole)}: status {done.returncode}\n{done.stderr}")
        totals = dict(parse(path.read_text("utf-8").splitlines()) for path in Path(folder).glob("counts.*"))
    found = {}
    for name, path in PATHS.items():
        short, long = totals[f"short {name}"], totals[f"long {name}"]
        length = path.long - path.short
        found[name] = Count((long[0] - short[0]) / length, (long[1] - short[1]) / length)
    return found


def parse(lines: Iterable[str]) -> tuple[str, tuple[int, int]]:
    """A dump's name, and the instructions in mtsid's objects and the calls that leave them."""
    mark, instructions, calls = "", 0, 0
    names: dict[str, str] = {}
    here = called = ""
    is_call = False

    def name_of(text: str) -> str:
        """A name stands in full where it comes first, and after that as its number."""
        found = NAME.fullmatch(text)
        assert found is not None, text
        if found[2] is not None:
            names[found[1]] = found[2]
        return names[found[1]]

    for line in lines:
        key, _, value = line.partition("=")
        if line.startswith("desc: Trigger: Client Request: "):
            mark = line.removeprefix("desc: Trigger: Client Request: ")
        elif key == "ob":
            here = called = name_of(value)
        elif key == "cob":
            called = name_of(value)
        elif key == "calls":
            is_call = True
            if OWN.search(here) and not OWN.search(called):
                calls += int(value.split()[0])
            called = here
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            # The line after `calls=` is what the called function took, which is counted where that stands.
            if not is_call and OWN.search(here):
                instructions += int(line.split()[1])
            is_call = False
    return mark, (instructions, calls)
