"""`make weak`: hold the model to the literature, the core's labelled pairs to the model, and both to their mutants.

Exit status: 0 if every litmus test has its known verdict, no pair is violated, and every mutant is caught, or is known
to do no harm and does none; else 1.
"""

from __future__ import annotations

import argparse
import sys
import time

from weak.litmus import LITMUS
from weak.machine import Found, Machine, Rmw
from weak.mutants import MACHINES, MUTANTS, hunt
from weak.pairs import PAIRS


def _litmus() -> int:
    """Print each litmus test, what the model says and what the literature does; return how many differ."""
    wrong = 0
    print(f"{'litmus test':<42}{'model':<11}{'literature':<11}read-modify-writes are")
    for litmus in LITMUS:
        seen = [Machine(rmw).explore(litmus.program) for rmw in litmus.only]
        verdicts = {bool(found.violation) for found in seen if found.executions}
        model = "allowed" if verdicts == {True} else "forbidden" if verdicts == {False} else "UNCLEAR"
        known = "allowed" if litmus.allowed else "forbidden"
        machines = "any" if len(litmus.only) == len(Rmw) else ", ".join(rmw.value for rmw in litmus.only)
        wrong += model != known
        print(f"{litmus.program.name:<42}{model:<11}{known:<11}{machines}{'' if model == known else '   WRONG'}")
    return wrong


def _pairs(text: str) -> tuple[int, int]:
    """Print each program of a pair on each machine; return how many there were, and how many are violated."""
    wrong = programs = 0
    print(f"\n{'pair':<12}{'program':<47}{'machine':<10}{'memories':>9}{'steps':>8}{'executions':>12}  violations")
    for pair in PAIRS:
        if text not in f"{pair.label} {pair.program().name}":
            continue
        for machine in MACHINES:
            found = machine.explore(pair.program())
            bad = bool(found.violation) or not found.executions
            print(
                f"{pair.label:<12}{found.program:<47}{machine!s:<10}{found.memories:>9,}{found.steps:>8,}"
                f"{found.executions:>12,}  {int(bad)}", flush=True,
            )  # fmt: skip
            programs += 1
            wrong += bad
            if bad:
                _tell(found)
    return programs, wrong


def _mutants(text: str, *, tell: bool) -> int:
    """Print each mutant and who noticed; return how many were not as they should be."""
    wrong = 0
    print(f"\n{'pair':<16}{'mutant':<42}{'':<10}by")
    for mutant in MUTANTS:
        if text not in f"{mutant.labels} {mutant.name}":
            continue
        caught = hunt(mutant)
        by = f"no harm: {mutant.harmless}"
        if caught.first is not None:
            by = f"{caught.first.program} ({', '.join(caught.machines)})"
        verdict = "survives" if caught.first is None else "caught"
        print(
            f"{mutant.labels:<16}{mutant.name:<42}{verdict:<10}{by if caught.as_expected else 'WRONG'}", flush=True
        )  # fmt: skip
        wrong += not caught.as_expected
        if caught.first is not None and (tell or not caught.as_expected):
            _tell(caught.first)
    return wrong


def _tell(found: Found) -> None:
    print(f"  {found.violation or 'no execution is complete'}", *found.trace, sep="\n  ")


def main() -> int:
    """Check everything, report."""
    parser = argparse.ArgumentParser(prog="python -m weak", description=__doc__.partition("\n")[0])
    parser.add_argument("-k", metavar="TEXT", default="", help="only the programs and mutants whose name holds TEXT")
    parser.add_argument("--tell", action="store_true", help="tell each mutant's execution, step by step")
    options = parser.parse_args()
    begun = time.monotonic()
    litmus = _litmus()
    programs, pairs = _pairs(options.k)
    mutants = _mutants(options.k, tell=options.tell)
    print(
        f"\n{len(LITMUS)} litmus tests, {litmus} wrong; {programs} searches of {programs // len(MACHINES)} programs, "
        f"{pairs} violated; {len(MUTANTS)} mutants, {mutants} not as expected; {time.monotonic() - begun:.0f} s."
    )
    return int(litmus + pairs + mutants > 0)


if __name__ == "__main__":
    sys.exit(main())
