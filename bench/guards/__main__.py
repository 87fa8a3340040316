"""Show what the hot paths cost beside their budget; `--write` grants what was counted, after a change that is meant."""

from __future__ import annotations

import sys

from bench.guards.budget import load, write
from bench.guards.counts import count


def main() -> int:
    """Run the command line."""
    if sys.argv[1:] not in ([], ["--write"]):
        print("usage: python -m bench.guards [--write]", file=sys.stderr)
        return 2
    counts, budget = count(), load() or {}
    print(f"{'an operation':<50} {'instructions':>12} {'granted':>8} {'calls':>7} {'granted':>8}")
    for name, found in counts.items():
        granted = budget.get(name)
        shown = (f"{granted.instructions:.1f}", f"{granted.calls:.2f}") if granted else ("-", "-")
        print(f"{name:<50} {found.instructions:>12.1f} {shown[0]:>8} {found.calls:>7.2f} {shown[1]:>8}")
    if sys.argv[1:]:
        write(counts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
