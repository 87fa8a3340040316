"""What docs/TESTING.md and docs/NEEDS.md name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(("page", "behind", "least"), [("TESTING.md", "## Promises", 21), ("NEEDS.md", "# ", 13)])
def test_whatever_a_table_names_as_holding_it_is_there(page: str, behind: str, least: int) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8").partition(behind)[2]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= least
    for promise, *_, held in rows:
        for part in held.split("; "):
            path, *names = re.findall(r"`([^`]+)`", part)
            files = [path] + [name for name in names if name.endswith(".py")]
            for file in files:
                assert (ROOT / file).exists(), f"{promise}: there is no {file}"
            text = (ROOT / path).read_text("utf-8")
            for name in names:
                if not name.endswith(".py"):
                    assert name in text, f"{promise}: there is no {name!r} in {path}"
