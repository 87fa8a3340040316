"""`make schedules`: explore every scenario, tell 4.0's race, and say what was seen.

Exit status: 0 if every search went as far as it says and found nothing in SP2, and 4.0's race was found; else 1.
"""

from __future__ import annotations

import argparse
import sys
import time

from schedules.build import build, load

#: A scenario that needs more runs than that wants a bound.
TOO_MANY = 200_000


def main() -> int:
    """Build, explore, report."""
    parser = argparse.ArgumentParser(prog="python -m schedules", description=__doc__.partition("\n")[0])
    parser.add_argument("-k", metavar="TEXT", default="", help="only the scenarios whose name holds TEXT")
    parser.add_argument("--limit", type=int, metavar="N", help="no more runs a scenario, at its end or not")
    parser.add_argument("--seed", type=int, default=1996, metavar="N", help="of the schedules drawn at random")
    parser.add_argument(
        "--random", type=int, default=300, metavar="N", help="of those a scenario (default: %(default)s)"
    )
    options = parser.parse_args()
    place = build()
    scheduler = load(place)
    # Only now: they import mtsid, which is the scheduled one from here on.
    from schedules.explorer import Explorer, story
    from schedules.scenarios import racy_claim, sp2

    explorer = Explorer(scheduler)
    print(f"{'scenario: threads are set apart by |':<62}{'schedules':>10}  {'searched':<16}{'steps':>6}{'seconds':>9}")
    wrong = total = 0
    for plan in sp2():
        if options.k not in plan.scenario.name:
            continue
        begun = time.monotonic()
        found = explorer.search(plan.scenario, bound=plan.bound, limit=options.limit or TOO_MANY)
        extent = "all" if plan.bound is None else f"{plan.bound} preemptions"
        if not found.complete:
            extent = f"not to the end of {extent}"
        drawn = explorer.sample(plan.scenario, seed=options.seed, runs=options.random) if not found.violation else found
        seconds = time.monotonic() - begun
        total += found.schedules + drawn.schedules
        print(f"{found.scenario:<62}{found.schedules:>10,}  {extent:<16}{found.longest:>6}{seconds:>9.1f}", flush=True)
        for bad in (found, drawn):
            if bad.violation and bad.run is not None:
                print(f"  VIOLATION: {bad.violation}", *story(bad.run), sep="\n  ")
                break
        cut_short = not found.complete and not options.limit
        wrong += bool(found.violation or drawn.violation or cut_short)
    print(f"\n{total:,} schedules, {options.random} a scenario drawn at random (seed {options.seed}); {wrong} wrong.")
    if options.k:
        return int(wrong > 0)
    race = explorer.shortest(racy_claim())
    if race.run is None:
        print("4.0's race was not found.")
        return 1
    print(f"\nThe same search in {race.scenario} finds, with {race.bound} preemptions: {race.violation}.")
    print("The shortest schedule that does it:")
    print(*story(race.run), sep="\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
