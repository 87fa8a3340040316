"""Sum up pytest's JUnit files for CI.

    python3 tools/count_tests.py [--broken STEP] [FILE ...]

STEP is a step that failed; if no test failed in it, it counts as one failure itself. Prints one line a file
(its name, and how many passed, failed and were skipped), the reasons of the skips, and as the last line
`N passed, N failed` over all. Status 1 if anything failed, if a file is missing, or if one of them has run no test.
"""

import collections
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main() -> int:
    passed = failed = 0
    reasons: collections.Counter[str] = collections.Counter()
    files = sys.argv[1:]
    broken: list[str] = []
    while files[:1] == ["--broken"]:
        broken.append(files[1])
        files = files[2:]
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
                reasons[f"{path.stem}: {skip.get('message', 'no reason')}"] += 1
            else:
                outcomes["passed"] += 1
        print(f"  {path.stem:20} {', '.join(f'{outcomes[name]} {name}' for name in ('passed', 'failed', 'skipped'))}")
        if not outcomes["passed"] and not outcomes["failed"]:
            print(f"  {path.stem:20} ran no test")
            outcomes["failed"] += 1
        passed += outcomes["passed"]
        failed += outcomes["failed"]
    for step in broken:
        print(f"  FAILED: {step}")
    if broken or not files:
        failed = max(failed, 1)
    for reason, count in sorted(reasons.items()):
        print(f"  skipped {count} x {reason}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
