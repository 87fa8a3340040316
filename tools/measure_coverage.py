"""`make coverage`: which lines of src/mtsid the tests run, and which branches of its Python.

    python tools/measure_coverage.py [PYTEST ARGUMENT ...]

Python is measured by coverage.py, child processes too. The compiled modules and the headers are measured by gcov, in
builds of their own under build/: gcov counts lines of the generated C, and Cython's comments there say which line of a
.pyx or .pxd each was made from. The package runs as it always does, only slower: nothing is called between its steps.

What two threads must meet for is run by `python -m schedules`, in short, so that it does not depend on luck. Its build
adds to what was run, never to what counts: a line counts if it is in the normal build.

Exit status: 0 if the suite passes and no figure is below its limit; else 1.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "coverage"
SCHEDULED = ROOT / "build" / "coverage-scheduled"  # as schedules/build.py names it

LINES, BRANCHES = 95.0, 90.0  # per cent, at least

#: Left out, each with its reason; and whatever is marked `long`: it runs again what others run.
LEFT_OUT = {
    "tests/core/test_footprint.py": "weighs memory",
    "tests/hazards/test_levels.py": "weighs memory, over a million rounds",
    "tests/test_soak.py": "holds a tool, not the package",
}

#: Run without coverage.py, whose tracer crashes or gives up where memory ends, and crashes from CPython 3.12 on in a
#: subinterpreter.
UNTRACED = [
    "tests/core/test_no_memory.py",
    "tests/hazards/test_subinterpreters.py",
    "tests/hazards/test_no_address_space.py",
    "tests/hazards/test_processes.py::test_without_memory_nothing_is_lost",
]

Counts = dict[str, dict[int, int]]  # file -> line -> how often it was run


def run(*command: str, **environment: str) -> bool:
    """Run a command in the checkout; whether it ended well."""
    status = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode
    if status:
        print(f"status {status}: {' '.join(command[1:5])} ...", flush=True)
    return status == 0


def measure(arguments: list[str]) -> bool:
    """Build, and run all that counts; whether all of it passed."""
    for place in (PLACE, SCHEDULED):
        shutil.rmtree(place, ignore_errors=True)  # with the counts of the last time
    build = ["setup.py", "-q", "build", "--build-base", str(PLACE), "--build-lib", str(PLACE / "lib")]
    if not run(sys.executable, *build, MTSID_COVERAGE="1"):
        return False
    for test, reason in LEFT_OUT.items():
        print(f"left out: {test}: {reason}", flush=True)
    here = {"PYTHONPATH": str(PLACE / "lib"), "COVERAGE_FILE": str(PLACE / "python")}
    pytest = ["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
    options = ["-m", "not long", *(f"--deselect={test}" for test in (*LEFT_OUT, *UNTRACED))]
    passed = [
        run(sys.executable, "-m", "coverage", "run", *pytest, *options, *arguments, **here),
        run(sys.executable, *pytest, *UNTRACED, **here),
        run(sys.executable, "-m", "schedules", "--limit", "300", MTSID_COVERAGE="1"),
        run(sys.executable, "-m", "coverage", "combine", "--quiet", **here),
        run(sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(PLACE / "python.json"), **here),
    ]
    return all(passed)


def sources(generated: Path) -> dict[int, tuple[str, int]]:
    """For each line of a generated C file the line that it was made from: Cython says so before each statement."""
    where, current = {}, None
    for number, text in enumerate(generated.read_text("utf-8").splitlines(), 1):
        comment = re.match(r' */\* "(mtsid/.+)":(\d+)$', text)
        if comment:
            current = comment[1], int(comment[2])
        elif text == "}":
            current = None  # between the functions is Cython's own
        if current:
            where[number] = current
    return where


def compiled(place: Path) -> Counts:
    """The lines of the compiled modules, of what they include and of the headers. Several modules share a line."""
    counts: Counts = defaultdict(lambda: defaultdict(int))
    for notes in place.rglob("*.gcno"):
        command = ["gcov", "--json-format", "--stdout", str(notes)]
        told = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
        for file in told["files"]:
            name = file["file"]
            origin = sources(ROOT / name) if name.endswith(".c") else None
            for line in file["lines"]:
                number = line["line_number"]
                if origin is not None:
                    if number in origin:
                        source, at = origin[number]
                        counts[source][at] += line["count"]
                elif "src/mtsid/" in name:
                    counts["mtsid/" + name.partition("src/mtsid/")[2]][number] += line["count"]
    return counts


def told(name: str, missed: set[int], known: set[int]) -> list[str]:
    """The missed lines, a stretch in a line with its first words. What no line of code parts is one stretch."""
    text = (ROOT / "src" / name).read_text("utf-8").splitlines()
    rows = []
    for is_missed, group in groupby(sorted(known), key=missed.__contains__):
        lines = list(group)
        if is_missed:
            span = f"{lines[0]}" if len(lines) == 1 else f"{lines[0]}-{lines[-1]}"
            rows.append(f"    {span:<9} {text[lines[0] - 1].strip()}"[:118])
    return rows


def share(word: str, done: int, known: int, *, limit: float) -> bool:
    """Print one figure; whether it suffices."""
    enough = 100 * done >= limit * known > 0
    percent = 100 * done / max(known, 1)
    print(f"{word:<22}{done:>6,} of{known:>6,}  {percent:5.1f} %{'' if enough else f'  BELOW {limit:g} %'}")
    return enough


def report() -> bool:
    """Print whatever was not run, and the figures; whether they suffice."""
    native, scheduled = compiled(PLACE), compiled(SCHEDULED)
    python: dict[str, Any] = {
        (ROOT / name).relative_to(PLACE / "lib").as_posix(): file
        for name, file in json.loads((PLACE / "python.json").read_text("utf-8"))["files"].items()
    }
    totals = {name: [0, 0] for name in ("python", "compiled", "branches")}

    def count(name: str, done: int, known: int) -> None:
        totals[name][0] += done
        totals[name][1] += known

    print("\nnot run:")
    for name in sorted({*native, *python}):
        rows = []
        if name in native:
            known = set(native[name])
            missed = {line for line in known if not native[name][line] and not scheduled[name][line]}
            count("compiled", len(known) - len(missed), len(known))
            rows += told(name, missed, known)
        else:
            file = python[name]
            missed, known = set(file["missing_lines"]), {*file["missing_lines"], *file["executed_lines"]}
            count("python", len(known) - len(missed), len(known))
            count("branches", file["summary"]["covered_branches"], file["summary"]["num_branches"])
            rows += told(name, missed, known)
            for origin, target in file["missing_branches"]:
                if abs(target) not in missed:  # else the line itself says so
                    rows.append(f"    {origin} to {target if target > 0 else 'its end'}")
        if rows:
            print(f"  src/{name}", *rows, sep="\n")
    print(f"\nPython {platform.python_version()}")
    together = [python + compiled for python, compiled in zip(totals["python"], totals["compiled"], strict=True)]
    return all(
        [
            share("lines of Python", *totals["python"], limit=LINES),
            share("lines compiled", *totals["compiled"], limit=LINES),
            share("lines together", *together, limit=LINES),
            share("branches of Python", *totals["branches"], limit=BRANCHES),
        ]
    )


def main() -> int:
    """Measure, then tell."""
    if shutil.which("gcov") is None:
        print("no gcov here: it comes with gcc, which this needs as the compiler", file=sys.stderr)
        return 1
    begun = time.monotonic()
    passed = measure(sys.argv[1:])
    if not (PLACE / "python.json").exists():
        return 1
    enough = report()
    print(f"{time.monotonic() - begun:.0f} s")
    if not passed:
        print("something failed above", file=sys.stderr)
    return int(not (passed and enough))


if __name__ == "__main__":
    sys.exit(main())
