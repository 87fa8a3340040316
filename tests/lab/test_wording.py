"""Numbers, lengths of time and points in time, as people read them."""

import pytest

from mtsid.lab.wording import clock, count, duration, times


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
    assert clock(-1.0, calendar=False) == "day 0 23:59:59"
    assert clock(86_399.999, calendar=False) == "23:59:59"
    assert clock(0.0, calendar=True) == "1970-01-01 00:00:00"
    assert clock(-1.0, calendar=True) == "1969-12-31 23:59:59"


def test_numbers_of_things() -> None:
    assert [count(n, "message") for n in (0, 1, 2, 2000)] == ["0 messages", "1 message", "2 messages", "2,000 messages"]
    assert [times(n) for n in (1, 2, 3, 2000)] == ["once", "twice", "3 times", "2,000 times"]
