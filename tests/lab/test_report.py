"""What people read: durations, points in time, the table, the story, and the page of HTML."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mtsid.lab import Comparison, compare
from mtsid.lab.report import clock, duration, html, render


def text(comparison: Comparison, width: int = 80) -> str:
    file = io.StringIO()
    render(comparison, Console(file=file, width=width))
    return file.getvalue()


def folded(report: str) -> str:
    return " ".join(report.split())


@pytest.fixture(scope="module")
def day() -> Comparison:
    return compare()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "under 1 s"),
        (1, "1 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (7199, "2 h"),
        (86399, "1 d"),
        (90061, "1 d 1 h"),
        (150.3 * 86400, "150 d 7 h"),
    ],
)
def test_durations_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_no_duration(seconds: float) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(seconds)


def test_points_in_time() -> None:
    assert clock(37_815.9, calendar=False) == "10:30:15"
    assert clock(86_400 + 61, calendar=False) == "day 2 00:01:01"
    assert clock(820_659_600, calendar=True) == "1996-01-03 09:00:00"


def test_the_table_has_every_row_with_both_versions(day: Comparison) -> None:
    report = text(day)
    old, new = day.versions["4.0"], day.versions["SP2"]
    for name, a, b in (
        ("messages", old.messages, new.messages),
        ("delivered", old.delivered, new.delivered),
        ("non-delivered", old.non_delivered, new.non_delivered),
        ("still queued", old.still_queued, new.still_queued),
        ("duplicate MTSIDs", old.duplicate_mtsids, new.duplicate_mtsids),
        ("session shutdowns by collision", old.session_shutdowns, new.session_shutdowns),
        ("hung messages", old.hung_messages, new.hung_messages),
        ("event 4282", old.events["4282"], 0),
        ("event 4283", old.events["4283"], 0),
        ("event 4284", old.events["4284"], new.events["4284"]),
        ("event 4287", old.events["4287"], new.events["4287"]),
    ):
        rows = [line.split() for line in report.splitlines() if line.startswith(f"{name} ")]
        assert [*name.split(), f"{a:,}", f"{b:,}"] in rows
    assert f"longest hang {duration(old.longest_hang_seconds)} 0 s" in folded(report)
    assert f"total hang {duration(old.hung_seconds)} 0 s" in folded(report)


def test_the_story_names_both_twins_the_events_and_who_freed_the_queue(day: Comparison) -> None:
    report = folded(text(day))
    story = day.story
    assert story is not None
    assert f"The first collision in 4.0: MTSID {story.mtsid}" in report
    for twin in (story.older, story.younger):
        assert f"Message {twin.mail.index} ({twin.mail.sender} to {twin.mail.recipient}) enters" in report
    for entry in (*story.loss_events, *story.collision_events):
        assert f"{entry.event.id} {entry.event.text('kb')}" in report
    assert f"hang for {duration(story.hung_seconds)}" in report
    assert f"An operator has noticed and deletes MTSID {story.mtsid}: message {story.older.mail.index}" in report
    assert "Why SP2 logs 4284 and 4287 too" in report


def test_the_report_fits_its_width_but_for_commands(day: Comparison) -> None:
    assert max(map(len, text(day, 80).splitlines())) <= 80
    assert max(map(len, text(day, 60).splitlines())) <= 60


def test_piped_output_has_no_control_sequences(day: Comparison) -> None:
    assert "\x1b" not in text(day)


@pytest.mark.parametrize(
    ("defect", "words"),
    [("double-release", "on the free list a second time"), ("unchecked-wrap", "did not look whether")],
)
def test_each_defect_has_its_own_story(defect: str, words: str) -> None:
    report = folded(text(compare(defect=defect, ids=500)))
    assert words in report
    assert "has stripped that too" not in report


def test_a_defect_that_did_not_show_says_what_to_change() -> None:
    report = folded(text(compare(defect="unchecked-wrap")))
    assert "No collision in 4.0" in report
    assert "Try a smaller --ids" in report
    assert "mtsid compare --defect unchecked-wrap --ids 500" in report


def test_what_to_try_next_never_repeats_the_run(day: Comparison) -> None:
    lines = text(day).splitlines()
    assert "  mtsid compare" not in lines
    assert "  mtsid storm --defect racy-claim" in lines


def test_a_story_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    assert "the queue still hangs" in folded(text(compare(extra_time=3600.0)))


def test_a_story_that_ends_in_an_ndr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    assert "is returned to its sender (NDR)" in folded(text(compare()))


def test_the_page_of_html_holds_the_report(day: Comparison) -> None:
    page = html(day)
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert "duplicate MTSIDs" in page
    assert "The first collision in 4.0" in page
