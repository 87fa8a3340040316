"""Fuzz the compiled core, or replay inputs.

    python -m fuzz [--seconds N] [--seed N]     see that a planted fault is found, then fuzz for N seconds
    python -m fuzz FILE ...                     replay inputs on the installed package, and tell each call

Exit status: 0 nothing found, 1 a finding or a planted fault that was missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fuzz.build import ROOT, build
from fuzz.target import QUEUE, run

__all__ = ["Report", "fuzz", "main"]

SEEDS = ROOT / "fuzz" / "corpus"
PLANT_SECONDS = 300  # a limit; it takes some 10, and is a matter of chance


@dataclass(frozen=True)
class Report:
    """What libFuzzer said of one run."""

    seconds: float
    executions: int
    edges: int
    edges_at_start: int
    edges_at_end: int
    finding: Path | None
    output: str


def _number(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def fuzz(library: Path, work: Path, seconds: int, *, seed: int, queue: str, seeds: tuple[Path, ...] = ()) -> Report:
    """Fuzz in a process of its own, until the time is up or something is found. Inputs of value collect in `work`."""
    spec = importlib.util.find_spec("atheris")
    if spec is None or spec.origin is None:
        raise RuntimeError("no atheris here: python -m pip install 'mtsid[fuzz]'")
    corpus = work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "PYTHONPATH": f"{library}{os.pathsep}{ROOT}",
        "LD_PRELOAD": str(Path(spec.origin).parents[1] / "asan_with_fuzzer.so"),
        "ASAN_OPTIONS": "detect_leaks=0",  # CPython keeps much until it ends
        QUEUE: queue,
    }
    command = [sys.executable, "-m", "fuzz.target", str(corpus), *map(str, seeds), f"-max_total_time={seconds}"]
    # Long inputs from the start: what matters here are sequences. 20 s for one input is a hang.
    command += [f"-seed={seed}", "-len_control=0", "-max_len=200", "-timeout=20", "-rss_limit_mb=3000"]
    command += ["-print_final_stats=1", f"-artifact_prefix={work}/finding-"]
    begin = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=seconds + 120)
    output = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    # Each new input has a line, each word of a dictionary too: thousands, and nobody reads them.
    told = [line for line in output.splitlines() if not re.match(r'#\d+\s+(NEW|REDUCE)|\s+NEW_FUNC|"', line)]
    written = re.findall(r"Test unit written to (\S+)", output)
    executions = _number(r"stat::number_of_executed_units: (\d+)", output)
    if not executions or (done.returncode and not written):
        raise RuntimeError(f"the fuzzer ended with status {done.returncode}:\n" + "\n".join(told))
    started = re.search(r"INITED cov: (\d+)", output)
    return Report(
        seconds=time.monotonic() - begin,
        executions=executions,
        edges=_number(r"Loaded \d+ PC tables \((\d+) PCs\)", output),
        edges_at_start=int(started[1]) if started else 0,
        edges_at_end=_number(r"cov: (\d+)", output),
        finding=Path(written[-1]) if written else None,
        output="\n".join(told),
    )


def _tell(name: str, report: Report) -> None:
    print(
        f"{name}: {report.executions:,} inputs in {report.seconds:.0f} s; of {report.edges:,} edges "
        f"{report.edges_at_start:,} were covered at the start and {report.edges_at_end:,} at the end",
        flush=True,
    )


def _campaign(seconds: int, seed: int) -> int:
    library = build()
    place = ROOT / "build" / "fuzz"
    shutil.rmtree(place / "planted", ignore_errors=True)  # it must be found from nothing
    planted = fuzz(library, place / "planted", PLANT_SECONDS, seed=seed, queue="fuzz_planted:MessageQueue")
    _tell("planted fault", planted)
    if planted.finding is None or "AssertionError" not in planted.output:
        print(f"the planted fault was not found\n{planted.output}", file=sys.stderr)
        return 1
    print("planted fault: found, as it must be", flush=True)
    real = fuzz(library, place / "real", seconds, seed=seed, queue="mtsid:MessageQueue", seeds=(SEEDS,))
    _tell("mtsid", real)
    if real.finding is None:
        print("mtsid: nothing found")
        return 0
    print(real.output, file=sys.stderr)
    print(f"mtsid: a finding; see it happen with: make fuzz ARGS={real.finding.relative_to(ROOT)}", file=sys.stderr)
    return 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="*", type=Path, help="inputs to replay")
    parser.add_argument("--seconds", type=int, default=60, help="how long to fuzz (60)")
    parser.add_argument("--seed", type=int, default=0, help="libFuzzer's seed (0: another each time)")
    arguments = parser.parse_args()
    if not arguments.file:
        return _campaign(arguments.seconds, arguments.seed)
    for file in arguments.file:
        print(f"{file}:")
        run(file.read_bytes(), lambda line: print(f"  {line}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
