"""Check 1: an outage without a backlog makes no duplicate, in either variant."""

from typing import Any

from mtsid.mta import Version


def test_an_outage_without_a_backlog_makes_no_duplicate(line: Any, version: Version) -> None:
    at = line(version)
    [first] = at.enter(0.0, "first")
    at.open(0.0)
    assert at.carried() == "first"
    at.lose(1.0)
    [late] = at.enter(2.0, "late")
    assert first.mtsid != late.mtsid
    assert (at.hop.duplicates, at.duplicates()) == (0, ())
    at.mta.link_up(3.0)
    now = at.reopen()
    assert at.carry(now) == ["first", "late"]
    assert at.ids() == [4284, 4287]


def test_an_outage_with_nothing_in_the_queue_is_no_event(line: Any, version: Version) -> None:
    at = line(version)
    at.enter(0.0, "first")
    at.open(0.0)
    assert at.carry(1.0) == ["first"]
    at.lose(2.0)
    assert at.ids() == []
