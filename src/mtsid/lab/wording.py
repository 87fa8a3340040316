"""Numbers, lengths of time and points in time, in words for people."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

__all__ = ["clock", "count", "duration", "times"]


def duration(seconds: float) -> str:
    """Return a length of time for people, in its two largest units: `2 h 5 min`. Negative or not finite: ValueError."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a duration must be finite and not negative, not {seconds!r}")
    if 0 < seconds < 1:
        return "under 1 s"
    rest = round(seconds)
    if rest >= 3600:
        rest = round(rest / 60) * 60  # seconds do not matter beside hours, nor minutes beside days
    if rest >= 86400:
        rest = round(rest / 3600) * 3600
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number:,} {unit}")
    return " ".join(parts[:2]) or "0 s"


def clock(seconds: float, calendar: bool) -> str:
    """Return a point in time for people: a date (UTC) if `calendar`, else the trace's own day and time."""
    if calendar:
        return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    day, rest = divmod(int(seconds // 1), 86400)
    time = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return time if day == 0 else f"day {day + 1} {time}"


def count(number: int, noun: str) -> str:
    """Return a number of things: `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def times(number: int) -> str:
    """Return how often: `once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")
