"""What CI says last: how many tests passed, what was skipped and why, which steps failed and what they said.

    python3 tools/count_tests.py FAILURES [FILE ...]

FAILURES is a folder with a file a failed step: its name in the first line, then what it said last. Each FILE is a
JUnit file of pytest's. If steps failed but no test, that counts as one failure. The last line is `N passed, N failed`
over all. Status 1 if anything failed, if a file is missing, if one of them has run no test, or if there is none.
"""

import collections
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main() -> int:
    passed = failed = 0
    reasons: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    failures = sorted(Path(sys.argv[1]).iterdir())
    files = sys.argv[2:]
    for path in map(Path, files):
        outcomes: collections.Counter[str] = collections.Counter()
        # A run that was killed leaves no file, or half a one.
        try:
            cases = list(ElementTree.parse(path).iter("testcase"))
        except (OSError, ElementTree.ParseError) as error:
            print(f"  {path.stem:20} left no result: {error}")
            failed += 1
            continue
        for case in cases:
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                outcomes["failed"] += 1
            elif skip is not None:
                outcomes["skipped"] += 1
                reasons[skip.get("message", "no reason")][path.stem] += 1
            else:
                outcomes["passed"] += 1
        print(f"  {path.stem:20} {', '.join(f'{outcomes[name]} {name}' for name in ('passed', 'failed', 'skipped'))}")
        if not outcomes["passed"] and not outcomes["failed"]:
            print(f"  {path.stem:20} ran no test")
            outcomes["failed"] += 1
        passed += outcomes["passed"]
        failed += outcomes["failed"]
    for reason, suites in sorted(reasons.items()):
        print(f"  skipped: {reason}: {', '.join(f'{count} x {name}' for name, count in suites.items())}")
    for failure in failures:
        print(f"\n  FAILED: {failure.read_text('utf-8', 'replace')}", end="")
    if failures or not files:
        failed = max(failed, 1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
