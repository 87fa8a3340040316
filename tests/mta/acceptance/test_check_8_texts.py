"""Check 8: the eight `kb` renderings equal the articles' text to the character, white space folded.

The articles are not the project's to ship: the test reads them beside the checkout, or where MTSID_ARTICLES says, and
skips where they are absent. tests/mta/test_events.py holds the same eight texts without them.
"""

import os
import re
from pathlib import Path

import pytest

from mtsid.mta import Event

ROOT = Path(__file__).resolve().parents[3]
ARTICLES = {"q152897.txt": (4282, 4283, 4284, 4287), "q152877.txt": (1004, 1008, 1277, 1198)}


def article(name: str) -> str:
    folder = Path(os.environ.get("MTSID_ARTICLES") or ROOT.parent / "shared" / "reference")
    path = folder / name
    if not path.exists():
        pytest.skip(f"the article is not at {path}; set MTSID_ARTICLES to the folder that holds it")
    return " ".join(path.read_text("utf-8").split())


def printed(name: str, id: int) -> str:
    """What the article prints below an event's heading, up to the next heading."""
    heading = r"(?:MSExchangeMTA ?Event )?ID \d{4}(?: Category X\.400 Service)?|STATUS|MORE INFORMATION"
    parts = re.split(f"({heading}) ", article(name).partition("SYMPTOMS")[2])
    for head, text in zip(parts[1::2], parts[2::2], strict=True):
        if re.search(rf"ID {id}\b", head):
            return text.strip()
    raise AssertionError(f"{name} prints no event {id}")


@pytest.mark.parametrize(("name", "id"), [(name, id) for name, ids in ARTICLES.items() for id in ids])
def test_the_kb_rendering_is_the_articles_text_to_the_character(name: str, id: int) -> None:
    event = Event(id)
    assert event.text("kb") == printed(name, id)
    assert event.text("kb").endswith(event.tag)


@pytest.mark.parametrize("name", ARTICLES)
def test_no_event_of_the_articles_is_missing(name: str) -> None:
    symptoms = article(name).partition("SYMPTOMS")[2].partition("MORE INFORMATION")[0]
    assert {int(id) for id in re.findall(r"\bID (\d{4})\b", symptoms)} == set(ARTICLES[name])
