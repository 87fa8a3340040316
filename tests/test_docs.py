"""What docs/TESTING.md names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_whatever_the_table_of_promises_names_is_there() -> None:
    page = (ROOT / "docs" / "TESTING.md").read_text("utf-8").partition("## Promises")[2]
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for promise, held in rows:
        for part in held.split("; "):
            path, *names = re.findall(r"`([^`]+)`", part)
            files = [path] + [name for name in names if name.endswith(".py")]
            for file in files:
                assert (ROOT / file).exists(), f"{promise}: there is no {file}"
            text = (ROOT / path).read_text("utf-8")
            for name in names:
                if not name.endswith(".py"):
                    assert name in text, f"{promise}: there is no {name!r} in {path}"
