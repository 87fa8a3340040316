"""Audit the stock clients and print what was found as a Markdown table.

    python -m clients                   # make clients
    python -m clients --write FILE      # put the table into a page, between its two marks

Exit status: 0; 1 if a client is not installed, and nothing is written then.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from clients import CLIENTS, Client
from mtsid import Allocator
from mtsid.lab import AuditReport, audit_ids

BEGIN, END = "<!-- by python -m clients -->", "<!-- end -->"
HEAD = (
    "",
    "made for",
    "duplicates, 1 thread",
    "4 threads",
    "at exhaustion",
    "an id rests for",
    "a second release",
    "ns at 0 / 90 / 99 % live",
)


def row(name: str, threads: str, report: AuditReport) -> list[str]:
    """What the report tells, in the order of HEAD."""
    end = report.exhaustion
    after = {
        "raises": f"raises {end.error}",
        "hangs": "hangs",
        "returns None": "returns None",
        "duplicate": f"id {end.twin and end.twin.id} twice",
    }
    costs = [report.cost(percent) for percent in (0, 90, 99)]
    threaded = "-" if report.history is None else f"{report.history.overlaps:,}"
    return [
        name,
        threads,
        f"{report.turns.duplicates:,}",
        threaded,
        f"{end.held:,}, then {after.get(end.kind, end.kind)}",
        "no use comes again" if report.turns.rest is None else f"{report.turns.rest:,} acquires",
        "cannot be told" if not report.can_release else report.second_release.kind,
        " / ".join("-" if cost is None else f"{cost.nanoseconds:,.0f}" for cost in costs),
    ]


def audit(client: Client) -> AuditReport:
    """Audit one client, with the defaults of `mtsid audit`."""
    acquire, release, _ = client.make()
    return audit_ids(acquire, release, name=client.package)


def table() -> list[str]:
    """The table's lines. Raises ImportError for a client that is not there."""
    rows = [list(HEAD), ["---"] * len(HEAD)]
    for client in CLIENTS:
        report = audit(client)
        name = f"{client.package} {version(client.package)}, {client.what} (`clients:{client.make.__name__}`)"
        rows.append(row(name, client.threads, report))
        print(f"{client.package}: {report.story() or 'no duplicate'}", file=sys.stderr)
    ids = Allocator()
    rows.append(row("**mtsid** (`mtsid:Allocator`)", "threads", audit_ids(ids.acquire, ids.release)))
    return ["| " + " | ".join(cells) + " |" for cells in rows]


def written(page: str, lines: list[str]) -> str:
    """The page with the table in its place."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"clients: the page needs the marks {BEGIN} and {END}")
    return "\n".join([before + begin, "", *lines, "", end + after])


def main() -> int:
    """Audit, then print or write."""
    parser = argparse.ArgumentParser(prog="python -m clients", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this page")
    options = parser.parse_args()
    try:
        lines = table()
    except ImportError as error:
        print(f"clients: {error}: pip install -e '.[lab,clients]'", file=sys.stderr)
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines += ["", f"{platform.python_implementation()} {platform.python_version()}, {cores} cores."]
    if options.write is None:
        print("\n".join(lines))
    else:
        options.write.write_text(written(options.write.read_text("utf-8"), lines), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
