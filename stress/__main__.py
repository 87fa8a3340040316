"""`make sanitize`: build the package with each sanitizer, see that it reports planted faults, and run it under stress.

Exit status: 0 if every planted fault was reported and nothing else was; else 1.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from pathlib import Path

from stress.build import ROOT, build
from stress.sanitizers import FREE_THREADED, LEFT_OUT, SANITIZERS, SUITE, Sanitizer


class Runner:
    """Runs programs under one sanitizer and gathers what it reports."""

    def __init__(self, sanitizer: Sanitizer, place: Path, scale: float) -> None:
        self.sanitizer, self.place, self.scale = sanitizer, place, scale
        self.reports = place / "reports"
        self.reports.mkdir(exist_ok=True)

    def run(self, *command: str, quiet: bool = False) -> tuple[int, str]:
        """The status of a Python program, and every report of it and of its children."""
        for old in self.reports.glob("report.*"):
            old.unlink()
        environment = self.sanitizer.environ(self.place / "lib", self.reports / "report")
        whole = [*self.sanitizer.launcher(), sys.executable, *command]
        done = subprocess.run(whole, cwd=ROOT, env=environment, capture_output=quiet, text=True, check=False)
        told = "".join(path.read_text("utf-8", "replace") for path in sorted(self.reports.glob("report.*")))
        return done.returncode, told

    def program(self, *words: str, quiet: bool = False) -> tuple[int, str]:
        """The same for a program of stress/program.py."""
        return self.run("-m", "stress.program", words[0], str(self.scale), *words[1:], quiet=quiet)

    def blind(self) -> list[str]:
        """The planted faults that are not reported."""
        unseen = []
        for planted in self.sanitizer.planted:
            if FREE_THREADED not in planted.builds:
                continue
            status, told = self.program(*planted.program, quiet=True)
            seen = status != 0 and planted.reported in told
            print(f"    planted: {' '.join(planted.program):<35} {'reported' if seen else 'NOT REPORTED'}", flush=True)
            if not seen:
                unseen.append(f"planted: {' '.join(planted.program)}: no {planted.reported!r}, status {status}\n{told}")
        return unseen

    def faults(self, *command: str) -> list[str]:
        """What is wrong with a program that should be right."""
        begun = time.monotonic()
        status, told = self.run(*command)
        print(f"    {' '.join(command[1:3])}: {time.monotonic() - begun:.0f} s", flush=True)
        return [f"{' '.join(command)}: status {status}\n{told}"] if status or told else []


def check(name: str, scale: float, with_suite: bool) -> list[str]:
    """Everything for one sanitizer; what is wrong."""
    begun = time.monotonic()
    sanitizer = SANITIZERS[name]
    runner = Runner(sanitizer, build(name), scale)
    print(f"{name}: built in {time.monotonic() - begun:.0f} s", flush=True)
    wrong = runner.blind()
    if wrong:
        return wrong  # what a blind check says of the rest is worth nothing
    print(f"    {'scenario':<44}{'threads':>8}{'operations':>12}{'seconds':>9}")
    for kind in ("native", "threads"):
        wrong += runner.faults("-m", "stress.program", kind, str(scale))
    if sanitizer.suite and with_suite:
        options = [f"--deselect={test}" for test in LEFT_OUT]
        for test, reason in LEFT_OUT.items():
            print(f"    left out: {test}: {reason}")
        wrong += runner.faults("-m", "pytest", "--quiet", "-p", "no:cacheprovider", *options, *SUITE)
    print(f"{name}: {time.monotonic() - begun:.0f} s, {len(wrong)} wrong\n", flush=True)
    return wrong


def main() -> int:
    """Each sanitizer in turn."""
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="SANITIZER", help=f"of {', '.join(SANITIZERS)} (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="N", help="so many times the operations")
    parser.add_argument("--no-suite", action="store_true", help="without the test suite under address and undefined")
    options = parser.parse_args()
    for name in options.names:
        if name not in SANITIZERS:
            parser.error(f"no sanitizer {name!r}: choose of {', '.join(SANITIZERS)}")
    print(f"Python {platform.python_version()}, {'without' if FREE_THREADED else 'with'} the GIL\n", flush=True)
    wrong: list[str] = []
    for name in options.names or SANITIZERS:
        wrong += [f"{name}: {line}" for line in check(name, options.scale, not options.no_suite)]
    for line in wrong:
        print(line, file=sys.stderr)
    print("nothing was reported but what was planted" if not wrong else f"{len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
