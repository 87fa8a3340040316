"""docs/MTA.md holds each sentence of both articles against the code and a test: complete, and true of the tree."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "MTA.md").read_text("utf-8")
ARTICLES = {"Q152897": "q152897.txt", "Q152877": "q152877.txt"}


def rows(article: str) -> list[tuple[str, str, str]]:
    """(sentence, code, test) of one article's table."""
    section = PAGE.partition(f"### {article}:")[2].partition("\n### ")[0]
    cells = [tuple(line.strip("| ").split(" | ")) for line in section.splitlines() if line.startswith("| ")]
    return [(a, b, c) for a, b, c in cells[1:]]


def places(cell: str) -> list[tuple[str, list[str]]]:
    """The files that a cell names, each with what is to be found in it."""
    found = []
    for part in cell.split("; "):
        path, *names = re.findall(r"`([^`]+)`", part)
        found.append((path, names))
    return found


@pytest.mark.parametrize("article", ARTICLES)
def test_whatever_the_table_names_is_there(article: str) -> None:
    assert len(rows(article)) > 10
    for sentence, code, test in rows(article):
        assert (code == "-") == (test == "-"), sentence
        for folder, cell in (("src/mtsid", code), ("tests", test)):
            for path, names in [] if cell == "-" else places(cell):
                text = (ROOT / folder / path).read_text("utf-8")
                assert names, f"{path} is named without a place in it"
                for name in names:
                    assert re.search(rf"\b{name}\b", text), f"there is no {name} in {path}"


@pytest.mark.parametrize("article", ARTICLES)
def test_no_sentence_of_the_article_is_missing(article: str) -> None:
    folder = Path(os.environ.get("MTSID_ARTICLES") or ROOT.parent / "shared" / "reference")
    path = folder / ARTICLES[article]
    if not path.exists():
        pytest.skip(f"the article is not at {path}; set MTSID_ARTICLES to the folder that holds it")
    text = " ".join(path.read_text("utf-8").split()).partition("SYMPTOMS")[2]
    for head in ("Modification Type:", "Additional query words:"):
        text = text.partition(head)[0]
    for sentence, _, _ in rows(article):
        assert sentence in text, f"not in the article: {sentence}"
        text = text.replace(sentence, "", 1)
    rest = re.sub(r"STATUS|MORE INFORMATION|=+", "", text)
    assert rest.strip() == "", f"not in the table: {rest.strip()}"
