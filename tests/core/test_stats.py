"""Promises of `Allocator.stats`: what was taken is live, rests or was given back; and what each number counts."""

from __future__ import annotations

import contextlib

import pytest

from mtsid import Allocator, AllocatorStats, Exhausted, NotInUse, Stale
from mtsid.core.waiting import _advance_clock

HOUR = 3600.0


def balanced(ids: Allocator) -> AllocatorStats:
    stats = ids.stats()
    assert stats.acquired == stats.released + stats.live + stats.quarantined
    assert (stats.live, stats.available, stats.capacity) == (len(ids), ids.available, ids.capacity)
    return stats


def test_a_new_allocator_has_counted_nothing() -> None:
    assert balanced(Allocator(0, 99, exclude=[7])) == (99, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0)


def test_every_verb_that_takes_or_gives_back_is_counted() -> None:
    ids = Allocator(1, 100)
    ids.release(ids.acquire())
    ids.reserve(50)
    ids.release_many(ids.acquire_many(40))
    ids.reserve_many([1, 2, 3])
    with ids.lease():
        pass
    stats = balanced(ids)
    assert (stats.acquired, stats.released, stats.live) == (1 + 1 + 40 + 3 + 1, 1 + 40 + 1, 4)
    ids.reset()
    assert (balanced(ids).acquired, balanced(ids).released) == (46, 46)


def test_an_id_that_rests_is_given_back_when_that_ends() -> None:
    ids = Allocator(1, 5)
    for id in ids.acquire_many(4).tolist():
        ids.quarantine(id, HOUR * id)
    ids.release(4)
    assert (balanced(ids).quarantined, balanced(ids).released) == (3, 1)
    _advance_clock(HOUR)
    assert (balanced(ids).quarantined, balanced(ids).released) == (2, 2)
    ids.reset()
    assert (balanced(ids).quarantined, balanced(ids).released, balanced(ids).acquired) == (0, 4, 4)


def test_what_is_beyond_the_bound_is_counted_too() -> None:
    ids = Allocator(1, 100)
    ids.acquire_many(100)
    for id in (60, 70, 80, 90):
        ids.quarantine(id, HOUR if id > 75 else None)
    ids.resize(10)
    ids.release(20), ids.release(60)  # type: ignore[func-returns-value]
    _advance_clock(HOUR)
    stats = balanced(ids)
    assert (stats.capacity, stats.live, stats.quarantined, stats.released) == (10, 95, 1, 4)
    ids.reset()
    ids.resize(100)
    assert (balanced(ids).acquired, balanced(ids).released, balanced(ids).available) == (100, 100, 100)


def test_what_failed_is_counted_and_takes_nothing() -> None:
    ids = Allocator(1, 40)
    ids.acquire_many(30)
    for n in (11, 41):
        with pytest.raises(Exhausted):
            ids.acquire_many(n)
    ids.acquire_many(10)
    with pytest.raises(Exhausted):
        ids.acquire(0.001)  # one call, however often it looked
    with pytest.raises(Exhausted):
        ids.acquire_async(0).send(None)
    assert (balanced(ids).exhausted, balanced(ids).acquired, balanced(ids).released) == (4, 40, 0)


def test_refused_and_stale_releases_are_counted() -> None:
    ids = Allocator(1, 5, exclude=[5])
    ids.acquire()
    for id in (2, 5, 6, -1):
        with pytest.raises(NotInUse):
            ids.release(id)
    with pytest.raises(NotInUse):
        ids.release_many([1, 2, 3])
    assert (balanced(ids).refused, balanced(ids).stale) == (6, 0)
    with pytest.raises(Stale), ids.lease():
        ids.reset()
    with contextlib.suppress(ZeroDivisionError), ids.lease():
        ids.reset()
        raise ZeroDivisionError
    assert (balanced(ids).refused, balanced(ids).stale) == (6, 2)
    with pytest.raises(NotInUse), ids.lease() as id:
        ids.release(id)
    assert (balanced(ids).refused, balanced(ids).stale) == (7, 2)


def test_the_high_water_mark_is_exact_once_the_allocator_was_exhausted() -> None:
    ids = Allocator(1, 10)
    ids.acquire_many(10)
    with pytest.raises(Exhausted):
        ids.acquire()
    ids.release_many(range(1, 10))
    assert (balanced(ids).high_water, balanced(ids).live) == (10, 1)


def test_a_peak_that_nobody_saw_is_missed_and_one_that_somebody_saw_is_not() -> None:
    ids = Allocator(1, 100)
    ids.release_many(ids.acquire_many(50))
    assert balanced(ids).high_water == 0
    many = ids.acquire_many(30)
    len(ids)
    ids.release_many(many)
    assert balanced(ids).high_water == 30
