"""What the README shows of a comparison is what the comparison prints."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from mtsid.lab import compare
from mtsid.lab.report import render

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_shows_the_report_as_it_is_printed() -> None:
    file = io.StringIO()
    render(compare(), Console(file=file, width=80))
    printed = [line.rstrip() for line in file.getvalue().splitlines()]
    blocks = re.findall(r"^```text\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    [shown] = [block.splitlines() for block in blocks if block.startswith("mtsid compare:")]
    assert shown == printed
