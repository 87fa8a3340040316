"""Promises of `Allocator.resize`: the bound moves, and nobody loses an id or gets one beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from mtsid import Allocator, Exhausted, NotInUse, Stale
from mtsid.core.waiting import _advance_clock

HOUR = 3600.0


def test_no_id_beyond_the_bound_is_handed_out() -> None:
    ids = Allocator(1, 1000)
    ids.resize(3)
    assert (ids.capacity, ids.available) == (3, 3)
    assert [ids.acquire() for _ in range(3)] == [1, 2, 3]
    for call in (ids.acquire, lambda: ids.acquire_many(1), lambda: ids.acquire_many(4)):
        with pytest.raises(Exhausted) as caught:
            call()
        assert (caught.value.live, caught.value.capacity) == (3, 3)
    for reserve in (ids.reserve, lambda id: ids.reserve_many([id])):
        with pytest.raises(ValueError, match=r"1 \.\. 3"):
            reserve(4)
    with pytest.raises(ValueError, match=r"1 \.\. 3"):
        ids.state(4)
    with pytest.raises(NotInUse):
        ids.release(4)
    assert "1 .. 3, 3 of 3 live" in repr(ids)
    ids._check()


@pytest.mark.parametrize("order", ["cyclic", "lowest"])
@pytest.mark.parametrize("bounds", [(31, 32, 33, 64), (1, 70, 2, 69), (65, 64, 63, 1, 70), (0, 70)])
def test_exactly_the_ids_up_to_the_bound_are_there(order: Any, bounds: tuple[int, ...]) -> None:
    ids = Allocator(0, 70, order=order)
    for last in bounds:
        ids.resize(last)
        assert ids.capacity == ids.available == last + 1
        assert sorted(ids.acquire_many(last + 1).tolist()) == list(range(last + 1))
        with pytest.raises(Exhausted):
            ids.acquire()
        ids._check()
        ids.release_many(range(last + 1))


@pytest.mark.parametrize("way", ["release", "release_many", "reset"])
def test_a_live_id_beyond_the_bound_stays_live_until_it_is_released(way: str) -> None:
    ids = Allocator(1, 100)
    ids.reserve_many([2, 70, 100])
    ids.resize(10)
    assert (list(ids), len(ids), ids.capacity, ids.available) == ([2, 70, 100], 3, 10, 9)
    assert (ids.state(70), 70 in ids) == ("live", True)
    if way == "reset":
        assert ids.reset().tolist() == [2, 70, 100]
    elif way == "release":
        ids.release(70)
        ids.release(100)
    else:
        ids.release_many([70, 100])
    for id in (70, 100):
        assert id not in ids
        with pytest.raises(NotInUse):
            ids.release(id)
        with pytest.raises(ValueError):
            ids.state(id)
    assert ids.available == (10 if way == "reset" else 9)
    ids._check()
    ids.resize(100)
    assert (ids.state(70), ids.available) == ("free", 100 if way == "reset" else 99)
    ids._check()


def test_the_bound_moves_up_again_and_live_ids_stay_live() -> None:
    ids = Allocator(1, 100)
    ids.reserve(50)
    ids.resize(10)
    ids.resize(60)
    assert (ids.capacity, ids.available, list(ids)) == (60, 59, [50])
    ids.release(50)
    assert (ids.available, ids.state(50)) == (60, "free")
    ids._check()


def test_an_exhausted_one_has_ids_again_when_the_bound_moves_up() -> None:
    ids = Allocator(1, 100)
    ids.resize(2)
    ids.acquire_many(2)
    ids.resize(3)
    assert ids.acquire() == 3


def test_excluded_ids_stay_excluded() -> None:
    ids = Allocator(0, 100, exclude=[0, 5, 40, 100])
    assert ids.capacity == 97
    ids.resize(10)
    assert (ids.capacity, ids.acquire_many(9).tolist()) == (9, [1, 2, 3, 4, 6, 7, 8, 9, 10])
    ids.resize(100)
    assert (ids.capacity, ids.available) == (97, 88)
    assert 40 not in ids.acquire_many(88)
    ids._check()


def test_cyclic_goes_on_behind_the_last_one_returned_and_wraps_at_the_bound() -> None:
    ids = Allocator(1, 9)
    given = [ids.acquire() for _ in range(3)]
    ids.resize(4)
    given += [ids.acquire()]
    ids.release_many([1, 2])
    given += [ids.acquire()]
    ids.resize(6)
    given += [ids.acquire(), ids.acquire()]
    assert given == [1, 2, 3, 4, 1, 2, 5]


# Beside quarantine and leases -------------------------------------------------------------------------------------


def test_a_quarantine_outlasts_a_bound_that_moves_down_and_up() -> None:
    ids = Allocator(1, 100)
    ids.reserve_many([3, 70, 80])
    ids.quarantine(70, 2 * HOUR)
    ids.quarantine(80)
    ids.quarantine(3)
    ids.resize(10)
    assert (ids.state(70), ids.state(80), ids.available) == ("quarantined", "quarantined", 9)
    with pytest.raises(Exhausted) as caught:
        ids.acquire_many(10)
    assert (caught.value.live, caught.value.quarantined, caught.value.capacity) == (0, 1, 10)
    _advance_clock(HOUR)
    ids.resize(100)
    assert (ids.state(70), ids.available) == ("quarantined", 97)
    ids.resize(75)
    _advance_clock(HOUR)
    assert (ids.state(70), ids.state(80), ids.available) == ("free", "quarantined", 74)
    ids._check()
    ids.release(80)
    with pytest.raises(ValueError):
        ids.state(80)
    ids.resize(100)
    assert (ids.state(80), ids.available) == ("free", 99)
    ids._check()


def test_a_quarantine_that_ends_beyond_the_bound_frees_nothing() -> None:
    ids = Allocator(1, 100)
    ids.reserve(70)
    ids.quarantine(70, HOUR)
    ids.resize(10)
    _advance_clock(HOUR)
    assert ids.available == 10
    with pytest.raises(ValueError):
        ids.state(70)
    with pytest.raises(NotInUse):
        ids.release(70)
    ids._check()


def test_a_live_id_beyond_the_bound_can_be_quarantined() -> None:
    ids = Allocator(1, 100)
    ids.reserve(70)
    ids.resize(10)
    ids.quarantine(70)
    assert (ids.state(70), len(ids), ids.available) == ("quarantined", 0, 10)
    assert ids.reset().tolist() == []
    with pytest.raises(ValueError):
        ids.state(70)
    ids._check()


def test_a_lease_beyond_the_bound_ends_as_any_other() -> None:
    ids = Allocator(1, 100)
    ids.acquire_many(50)
    with ids.lease() as id:
        ids.resize(10)
        assert ids.state(id) == "live"
    assert 51 not in ids
    ids.resize(100)
    with ids.lease() as id:
        ids.resize(10)
        ids.quarantine(id)
    assert ids.state(52) == "quarantined"
    ids.resize(100)
    lease = ids.lease()
    id = lease.__enter__()
    ids.resize(10)
    ids.reset()
    ids.resize(100)
    ids.reserve(id)
    ids.resize(10)
    with pytest.raises(Stale):
        lease.__exit__(None, None, None)
    assert list(ids) == [id]
    ids._check()


# What is no bound -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [0, 10, -1, 2**32, 2**70, -(2**70)])
def test_a_bound_outside_the_range_is_refused(last: int) -> None:
    ids = Allocator(1, 9)
    ids.resize(5)
    with pytest.raises(ValueError, match=r"1 \.\. 9"):
        ids.resize(last)
    assert ids.capacity == 5


def test_a_bound_that_leaves_no_id_is_refused() -> None:
    ids = Allocator(0, 9, exclude=[0, 1])
    with pytest.raises(ValueError, match="none is left"):
        ids.resize(1)
    ids.resize(2)
    assert (ids.capacity, ids.acquire()) == (1, 2)


def test_at_the_ends_of_the_32_bits() -> None:
    ids = Allocator(2**32 - 70, 2**32 - 1)
    ids.reserve(2**32 - 1)
    ids.resize(2**32 - 70)
    assert (ids.capacity, ids.acquire(), list(ids)) == (1, 2**32 - 70, [2**32 - 70, 2**32 - 1])
    ids.resize(2**32 - 1)
    assert ids.available == 68
    ids._check()
