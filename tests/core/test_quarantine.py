"""Promises of `Allocator.quarantine`: an id that rests is neither live nor free, and comes back when it should.

Time is the library's own clock, moved by hand; what sleeps on it is in tests/threads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtsid import Allocator, Exhausted, InUse, NotInUse
from mtsid.core.waiting import _advance_clock

HOUR = 3600.0


@pytest.fixture
def ids() -> Iterator[Allocator]:
    """Ids 1 .. 4: 1 and 2 live, 3 in quarantine, 4 free."""
    ids = Allocator(1, 4)
    ids.reserve_many([1, 2, 3])
    ids.quarantine(3)
    yield ids
    ids._check()


def test_a_quarantined_id_is_neither_live_nor_free(ids: Allocator) -> None:
    assert [ids.state(id) for id in (1, 2, 3, 4)] == ["live", "live", "quarantined", "free"]
    assert (3 in ids, len(ids), list(ids), ids.available, ids.capacity) == (False, 2, [1, 2], 1, 4)
    assert "2 of 4 live" in repr(ids)


def test_it_is_handed_out_to_nobody(ids: Allocator) -> None:
    assert ids.acquire() == 4
    with pytest.raises(Exhausted):
        ids.acquire()
    with pytest.raises(Exhausted):
        ids.acquire_many(1)
    for reserve in (ids.reserve, lambda id: ids.reserve_many([id])):
        with pytest.raises(InUse, match="quarantined") as caught:
            reserve(3)
        assert caught.value.id == 3


def test_exhausted_tells_the_live_from_the_quarantined(ids: Allocator) -> None:
    ids.acquire()
    ids.quarantine(2)
    for call, wanted in ((ids.acquire, 1), (lambda: ids.acquire_many(3), 3), (lambda: ids.acquire(0.001), 1)):
        with pytest.raises(Exhausted) as caught:
            call()
        error = caught.value
        assert (error.live, error.quarantined, error.capacity, error.wanted) == (2, 2, 4, wanted)
    with pytest.raises(Exhausted, match="2 are live and 2 quarantined"):
        ids.acquire()
    ids.release(1)
    with pytest.raises(Exhausted) as caught:
        ids.acquire_many(2)
    assert (caught.value.live, caught.value.quarantined) == (1, 2)


@pytest.mark.parametrize("release", [Allocator.release, lambda ids, id: ids.release_many([id])])
def test_a_release_frees_it_once(ids: Allocator, release: Callable[[Allocator, int], None]) -> None:
    release(ids, 3)
    assert (ids.state(3), ids.available) == ("free", 2)
    with pytest.raises(NotInUse) as caught:
        release(ids, 3)
    assert caught.value.refused == (3,)
    ids.reserve(3)


def test_release_many_of_live_and_quarantined_and_free_ones_refuses_only_the_free(ids: Allocator) -> None:
    with pytest.raises(NotInUse) as caught:
        ids.release_many([4, 3, 2])
    assert caught.value.refused == (4,)
    assert (list(ids), ids.available) == ([1], 3)


@pytest.mark.parametrize("id", [3, 4, 0, 5, -1, 2**32, 2**70])
def test_only_a_live_id_can_be_quarantined(ids: Allocator, id: int) -> None:
    with pytest.raises(NotInUse) as caught:
        ids.quarantine(id)
    assert caught.value.id == id
    assert [ids.state(id) for id in (1, 2, 3, 4)] == ["live", "live", "quarantined", "free"]


def test_an_excluded_id_cannot_be_quarantined() -> None:
    with pytest.raises(NotInUse, match="excluded"):
        Allocator(1, 4, exclude=[2]).quarantine(2)


@pytest.mark.parametrize("seconds", [None, float("inf"), 1e300, 10**400, 1e12])
def test_without_a_time_it_rests_until_it_is_released(seconds: float | None) -> None:
    ids = Allocator(1, 1)
    ids.quarantine(ids.acquire(), seconds)
    _advance_clock(20 * 365 * 24 * HOUR)
    assert ids.state(1) == "quarantined"
    ids.release(1)
    assert ids.acquire() == 1


def refused(verb: Callable[[Any], object], argument: Any) -> bool:
    with pytest.raises(NotInUse):
        verb(argument)
    return True


LOOKS: dict[str, Callable[[Allocator], object]] = {
    "state": lambda ids: ids.state(1) == "free",
    "available": lambda ids: ids.available == 1,
    "acquire": lambda ids: ids.acquire() == 1,
    "acquire_many": lambda ids: ids.acquire_many(1).tolist() == [1],
    "reserve": lambda ids: list(map(ids.reserve, [1])),
    "reserve_many": lambda ids: list(map(ids.reserve_many, [[1]])),
    "release": lambda ids: refused(ids.release, 1),
    "release_many": lambda ids: refused(ids.release_many, [1]),
}


@pytest.mark.parametrize("look", LOOKS)
def test_its_time_over_it_is_free_for_whoever_looks_first(look: str) -> None:
    ids = Allocator(1, 1)
    ids.acquire()
    ids.quarantine(1, HOUR)
    _advance_clock(HOUR - 60)
    assert ids.state(1) == "quarantined"
    _advance_clock(60)
    assert LOOKS[look](ids)
    ids._check()


def test_a_quarantine_of_no_time_is_over_at_once() -> None:
    ids = Allocator(1, 1)
    ids.quarantine(ids.acquire(), 0)
    assert (ids.state(1), ids.acquire()) == ("free", 1)


@pytest.mark.parametrize(("order", "next"), [("cyclic", 3), ("lowest", 1)])
def test_an_id_whose_time_is_over_stands_in_the_order_again(order: str, next: int) -> None:
    ids = Allocator(1, 3, order=order)  # type: ignore[arg-type]
    ids.acquire_many(2)
    ids.quarantine(1, HOUR)
    _advance_clock(HOUR)
    assert ids.acquire() == next


def test_a_released_one_is_not_released_again_when_its_time_comes() -> None:
    ids = Allocator(1, 1)
    ids.quarantine(ids.acquire(), HOUR)
    ids.release(1)
    assert ids.acquire() == 1
    _advance_clock(2 * HOUR)
    assert ids.state(1) == "live"
    with pytest.raises(Exhausted):
        ids.acquire()


def test_the_second_quarantine_of_an_id_counts_and_not_the_first() -> None:
    ids = Allocator(1, 1)
    ids.quarantine(ids.acquire(), HOUR)
    ids.release(1)
    ids.quarantine(ids.acquire(), 3 * HOUR)
    _advance_clock(2 * HOUR)
    assert ids.state(1) == "quarantined"
    _advance_clock(HOUR)
    assert ids.state(1) == "free"


def test_a_reset_ends_quarantine_and_returns_only_what_was_live(ids: Allocator) -> None:
    assert ids.reset().tolist() == [1, 2]
    assert (len(ids), ids.available, ids.state(3)) == (0, 4, "free")
    assert sorted(ids.acquire() for _ in range(4)) == [1, 2, 3, 4]
    _advance_clock(HOUR)
    assert len(ids) == 4


def test_many_rest_and_come_back_in_the_order_of_their_times() -> None:
    chance = random.Random(152897)
    last = 5000
    ids = Allocator(1, last)
    times = {id: chance.choice([HOUR * chance.randrange(1, 100), None]) for id in ids.acquire_many(last).tolist()}
    for id, seconds in times.items():
        ids.quarantine(id, seconds)
    ids._check()
    for id in chance.sample(range(1, last + 1), last // 3):
        ids.release(id)
        times[id] = 0
    ids._check()
    for hours in range(1, 101):
        over = {id for id, seconds in times.items() if seconds is not None and seconds < hours * HOUR}
        assert ids.available == len(over)
        _advance_clock(HOUR)
    ids._check()
    assert ids.available == sum(seconds is not None for seconds in times.values())


def test_all_ids_of_several_leaves_rest_and_are_exhausted() -> None:
    ids = Allocator(0, 99, exclude=[50])
    for id in ids.acquire_many(99).tolist():
        ids.quarantine(id, HOUR)
    with pytest.raises(Exhausted) as caught:
        ids.acquire()
    assert (caught.value.live, caught.value.quarantined) == (0, 99)
    assert (len(ids), ids.available, ids.reset().tolist(), ids.available) == (0, 0, [], 99)
    ids._check()


def test_at_the_ends_of_the_32_bits() -> None:
    ids = Allocator(0, 2**32 - 1)
    ids.reserve_many([0, 2**32 - 1])
    ids.quarantine(2**32 - 1)
    ids.quarantine(0, HOUR)
    assert (ids.state(0), ids.state(2**32 - 1)) == ("quarantined", "quarantined")
    ids.release(2**32 - 1)
    assert (ids.state(2**32 - 1), ids.acquire()) == ("free", 1)


def test_the_state_of_an_id_outside_the_range() -> None:
    ids = Allocator(1, 4, exclude=[2])
    for id in (0, 2, 5, -1, 2**70):
        with pytest.raises(ValueError, match="outside the range"):
            ids.state(id)
