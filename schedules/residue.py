"""Nothing of the scheduled build is left in the normal one: the instructions of both sources are the same.

The package is compiled twice in the normal way: as it is, and from a copy out of which every scheduling point has been
cut. Instruction by instruction (operands apart, since line numbers are among them) the modules must be equal.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from schedules.build import ROOT

__all__ = ["main", "strip"]

POINT = re.compile(r"^ *MTSID_POINT\(.*\);\n", re.MULTILINE)
PARKING = """        if scheduled():
            return schedule_park(<void*> waiter) == 0  # else nobody is left to wake it, as the scheduler notes
"""
COUNTERS = """    if FIRST_VERSION:
        for i in range(self.leaf_count):
            store_relaxed(&self.leaves[i], load_relaxed(&self.leaves[i]) | FIRST_VERSION << 32)
"""
UNPARKING = """        if scheduled():
            schedule_unpark(<void*> self)
            return True
"""


def strip(source: Path) -> int:
    """Cut every scheduling point out of a copy of src/; return how many there were. The lines keep their numbers."""
    core = source / "mtsid" / "core"
    header = core / "atomic.h"
    text, points = POINT.subn("\n", header.read_text("utf-8"))
    header.write_text(text, "utf-8")
    header = core / "bitmap.pxd"
    text = header.read_text("utf-8")
    if text.count(COUNTERS) != 1:
        raise RuntimeError("bitmap.pxd sets its counters in another way: bring schedules/residue.py up to date")
    header.write_text(text.replace(COUNTERS, "\n" * COUNTERS.count("\n")), "utf-8")
    waiting = core / "waiting.pyx"
    text = waiting.read_text("utf-8")
    for piece in (PARKING, UNPARKING):
        if text.count(piece) != 1:
            raise RuntimeError(
                "waiting.pyx has changed where it asks the scheduler: bring schedules/residue.py up to date"
            )
        text = text.replace(piece, "\n" * piece.count("\n"))
        points += 1
    waiting.write_text(text, "utf-8")
    return points


def _instructions(module: Path) -> dict[str, list[str]]:
    """The mnemonics of each function of a compiled module."""
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(module)], capture_output=True, text=True, check=True
    ).stdout
    functions: dict[str, list[str]] = {}
    name = ""
    for line in listing.splitlines():
        if begins := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            name = begins[1]
            functions[name] = []
        elif found := re.match(r" +[0-9a-f]+:\t(\S+)", line):
            functions[name].append(found[1])
    return functions


def _build(tree: Path) -> dict[str, dict[str, list[str]]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MTSID_")}
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", "out", "--build-lib", "out/lib"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    place = tree / "out" / "lib"
    return {str(path.relative_to(place)): _instructions(path) for path in sorted(place.rglob("*.so"))}


def main() -> int:
    """Compare; 0 if nothing is left."""
    with tempfile.TemporaryDirectory() as folder:
        trees = [Path(folder, name) for name in ("as-it-is", "cut")]
        for tree in trees:
            tree.mkdir()
            for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
                shutil.copy(ROOT / name, tree)
            shutil.copytree(
                ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
            )
        points = strip(trees[1] / "src")
        with_points, without = map(_build, trees)
    differing = [
        f"{module}: {name}"
        for module in with_points
        for name in with_points[module].keys() | without[module].keys()
        if with_points[module].get(name) != without[module].get(name)
    ]
    total = sum(len(body) for functions in with_points.values() for body in functions.values())
    print(
        f"{points} scheduling points, {len(with_points)} modules, {total:,} instructions; differing: {len(differing)}"
    )
    for line in sorted(differing)[:20]:
        print(f"  {line}")
    return int(bool(differing) or with_points.keys() != without.keys() or not total)


if __name__ == "__main__":
    sys.exit(main())
