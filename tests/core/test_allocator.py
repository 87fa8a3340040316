"""Promises of `Allocator`, one id at a time. Bulk calls, bad input and threads have files of their own."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Allocator, Exhausted, InUse, MtsidError, NotInUse

LARGEST = 2**32 - 1


class Number:
    """An integer by `__index__` only."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def drawn(ids: Allocator, count: int) -> list[int]:
    return [ids.acquire() for _ in range(count)]


# The range --------------------------------------------------------------------------------------------------------


def test_the_default_range_is_1_to_65535() -> None:
    ids = Allocator()
    assert (ids.capacity, ids.available, len(ids), ids.acquire()) == (65535, 65535, 0, 1)
    with pytest.raises(ValueError):
        ids.reserve(0)
    with pytest.raises(ValueError):
        ids.reserve(65536)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 0),
        (7, 7),
        (LARGEST, LARGEST),
        (0, 31),
        (0, 32),
        (1, 32),
        (5, 70),
        (LARGEST - 40, LARGEST),
        (0, 2047),
        (3, 4100),
    ],
)
@pytest.mark.parametrize("order", ["cyclic", "lowest"])
def test_exactly_the_ids_of_the_range_are_handed_out(first: int, last: int, order: Any) -> None:
    ids = Allocator(first, last, order=order)
    assert drawn(ids, last - first + 1) == list(range(first, last + 1))
    with pytest.raises(Exhausted):
        ids.acquire()
    assert list(ids) == list(range(first, last + 1))
    ids._check()


def test_zero_is_an_id_like_any_other() -> None:
    ids = Allocator(0, 1)
    assert ids.acquire() == 0
    assert 0 in ids
    ids.release(0)
    assert 0 not in ids
    ids.reserve(0)
    assert list(ids) == [0]


def test_the_whole_range_of_32_bits_costs_little_until_it_is_used() -> None:
    ids = Allocator(0, LARGEST)
    assert ids.capacity == 2**32
    ids.reserve(LARGEST)
    ids.reserve(2**31)
    assert drawn(ids, 3) == [0, 1, 2]
    assert LARGEST in ids
    assert LARGEST - 1 not in ids
    ids.release(LARGEST)
    assert (ids.state(LARGEST), ids.state(2**31)) == ("free", "live")


def test_cyclic_wraps_at_the_end_of_the_32_bits() -> None:
    ids = Allocator(LARGEST - 2, LARGEST)
    first = drawn(ids, 3)
    for id in first:
        ids.release(id)
    assert drawn(ids, 3) == first == [LARGEST - 2, LARGEST - 1, LARGEST]


# Order ------------------------------------------------------------------------------------------------------------


def test_cyclic_does_not_repeat_an_id_while_another_is_free() -> None:
    ids = Allocator(1, 3)
    seen = []
    for _ in range(7):
        seen.append(ids.acquire())
        ids.release(seen[-1])
    assert seen == [1, 2, 3, 1, 2, 3, 1]


def test_cyclic_goes_on_behind_the_last_one_returned_whatever_was_released_or_reserved() -> None:
    ids = Allocator(0, 9)
    assert drawn(ids, 5) == [0, 1, 2, 3, 4]
    ids.release(1)
    ids.reserve(5)
    ids.release(3)
    assert drawn(ids, 6) == [6, 7, 8, 9, 1, 3]


def test_a_failed_acquire_does_not_move_the_cursor() -> None:
    ids = Allocator(1, 4)
    drawn(ids, 4)
    ids.release(2)
    assert ids.acquire() == 2
    with pytest.raises(Exhausted):
        ids.acquire()
    for id in (1, 2, 3):
        ids.release(id)
    assert ids.acquire() == 3


def test_lowest_hands_out_the_lowest_free_id() -> None:
    ids = Allocator(1, 100, order="lowest")
    drawn(ids, 80)
    for id in (70, 3, 33, 64):
        ids.release(id)
    assert drawn(ids, 5) == [3, 33, 64, 70, 81]


@pytest.mark.parametrize("order", ["cyclic", "lowest"])
@pytest.mark.parametrize("size", [1, 5, 32, 33, 64, 2048, 2049, 70_000])
def test_the_only_free_id_is_found_wherever_it_is(size: int, order: Any) -> None:
    ids = Allocator(10, 9 + size, order=order)
    ids.acquire_many(size)
    chance = random.Random(size)
    for id in {10, 9 + size, *(chance.randint(10, 9 + size) for _ in range(50))}:
        ids.release(id)
        assert ids.acquire() == id
        with pytest.raises(Exhausted):
            ids.acquire()
    ids._check()


# Exclusions -------------------------------------------------------------------------------------------------------


def test_an_excluded_id_is_out_of_range() -> None:
    ids = Allocator(0, 5, exclude=(0, 3))
    assert ids.capacity == ids.available == 4
    assert drawn(ids, 4) == [1, 2, 4, 5]
    assert 3 not in ids
    assert list(ids) == [1, 2, 4, 5]
    with pytest.raises(NotInUse, match="excluded"):
        ids.release(3)
    for refused in (ids.reserve, ids.state):
        with pytest.raises(ValueError, match="excluded"):
            refused(3)
    for many in (ids.release_many, ids.reserve_many):
        with pytest.raises(ValueError, match="excluded"):
            many([1, 3])
    assert list(ids) == [1, 2, 4, 5]
    ids._check()


def test_exclusions_outside_the_range_and_twice_are_of_no_account() -> None:
    ids = Allocator(1, 3, exclude=[0, 2, 2, 77])
    assert (ids.capacity, drawn(ids, 2)) == (2, [1, 3])


def test_reset_and_refusals_leave_exclusions_alone() -> None:
    ids = Allocator(0, 70, exclude=range(30, 40))
    with pytest.raises(Exhausted):
        ids.acquire_many(62)
    assert len(ids.acquire_many(61)) == 61
    assert len(ids.reset()) == 61
    assert set(ids.acquire_many(61).tolist()) == {*range(30), *range(40, 71)}
    ids._check()


# Release and reserve ----------------------------------------------------------------------------------------------


def test_a_second_release_frees_nothing_and_says_so() -> None:
    ids = Allocator(1, 5)
    id = ids.acquire()
    ids.release(id)
    with pytest.raises(NotInUse) as caught:
        ids.release(id)
    assert (caught.value.id, caught.value.refused) == (id, (id,))
    assert drawn(ids, 5) == [2, 3, 4, 5, 1]


@pytest.mark.parametrize("foreign", [2, 0, 6, -1, 2**32, 2**70, -(2**70)])
def test_a_foreign_release_frees_nothing_and_says_so(foreign: int) -> None:
    ids = Allocator(1, 5)
    ids.acquire()
    with pytest.raises(NotInUse) as caught:
        ids.release(foreign)
    assert caught.value.id == foreign
    assert str(foreign) in str(caught.value)
    assert isinstance(caught.value, (ValueError, KeyError, MtsidError))
    assert list(ids) == [1]


def test_reserve_takes_this_very_id() -> None:
    ids = Allocator(1, 5)
    ids.reserve(3)
    assert ids.state(3) == "live"
    assert drawn(ids, 4) == [1, 2, 4, 5]


def test_reserve_of_a_live_id_is_refused_with_the_id() -> None:
    ids = Allocator(1, 5)
    ids.reserve(3)
    with pytest.raises(InUse) as caught:
        ids.reserve(3)
    assert caught.value.id == 3
    assert isinstance(caught.value, ValueError)
    assert list(ids) == [3]


# Exhausted --------------------------------------------------------------------------------------------------------


def test_exhausted_carries_what_was_live_and_how_many_there_are() -> None:
    ids = Allocator(1, 4, exclude=[2])
    drawn(ids, 3)
    with pytest.raises(Exhausted) as caught:
        ids.acquire()
    error = caught.value
    assert (error.live, error.capacity, error.wanted, error.quarantined) == (3, 3, 1, 0)
    assert "release" in str(error)


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, 0.001, Number(0)])
def test_a_full_allocator_says_so_in_time(timeout: Any) -> None:
    ids = Allocator(1, 1)
    ids.acquire()
    if isinstance(timeout, Number):
        timeout = timeout.__index__()
    with pytest.raises(Exhausted):
        ids.acquire(timeout)
    assert list(ids) == [1]


@pytest.mark.parametrize("timeout", [None, float("inf"), 0, 1e300, 10**400, 5])
def test_a_free_id_is_had_at_once_whatever_the_timeout(timeout: Any) -> None:
    assert Allocator(4, 4).acquire(timeout) == 4


# Views ------------------------------------------------------------------------------------------------------------


def test_len_available_and_capacity_add_up() -> None:
    ids = Allocator(1, 100)
    for live in range(1, 101):
        ids.acquire()
        assert (len(ids), ids.available, ids.capacity) == (live, 100 - live, 100)


def test_iteration_is_sorted() -> None:
    ids = Allocator(0, 200)
    for id in (199, 0, 64, 33, 31, 32, 200):
        ids.reserve(id)
    assert list(ids) == [0, 31, 32, 33, 64, 199, 200]


def test_an_iterator_survives_what_happens_meanwhile() -> None:
    ids = Allocator(1, 100)
    ids.acquire_many(100)
    seen = []
    for id in ids:
        seen.append(id)
        ids.release(id)
    assert (seen, len(ids)) == (list(range(1, 101)), 0)


@pytest.mark.parametrize("stranger", [0, 6, -1, 2**70, True, 1.0, "1", None, float("nan"), [1]])
def test_what_cannot_be_an_id_is_not_in_the_allocator(stranger: Any) -> None:
    ids = Allocator(1, 5)
    ids.acquire()
    assert stranger not in ids


def test_reset_releases_all_and_returns_them_sorted() -> None:
    ids = Allocator(5, 300)
    for id in (200, 7, 70, 5, 300):
        ids.reserve(id)
    freed = ids.reset()
    assert (freed.tolist(), freed.dtype.name, len(ids), list(ids)) == ([5, 7, 70, 200, 300], "uint32", 0, [])
    assert ids.reset().tolist() == []
    ids._check()


def test_an_id_is_whatever_has_an_index() -> None:
    ids = Allocator(Number(1), Number(9), exclude=[Number(2)])
    assert drawn(ids, 2) == [1, 3]
    ids.reserve(Number(5))
    assert Number(5) in ids
    assert ids.state(Number(5)) == "live"
    ids.release(Number(5))
    with pytest.raises(NotInUse) as caught:
        ids.release(Number(5))
    assert caught.value.id == 5
    assert len(ids.acquire_many(Number(2))) == 2


def test_ids_are_plain_ints() -> None:
    assert type(Allocator(0, 2**32 - 1).acquire()) is int


# A Python object among others -------------------------------------------------------------------------------------


def test_an_allocator_is_true_even_when_nothing_is_live() -> None:
    ids = Allocator(1, 1)
    assert ids
    assert (ids or Allocator()) is ids
    ids.acquire()
    assert ids


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_pickling_and_copying_are_refused(way: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        way(Allocator())


def test_a_second_init_is_refused_and_changes_nothing() -> None:
    ids = Allocator(1, 3)
    ids.acquire()
    with pytest.raises(TypeError, match="once"):
        ids.__init__(1, 10)  # type: ignore[misc]
    assert (list(ids), ids.capacity) == ([1], 3)


def test_the_repr_names_the_range_and_what_is_live() -> None:
    ids = Allocator(2, 9)
    ids.acquire()
    assert "2 .. 9, 1 of 8 live" in repr(ids)


def test_a_subclass_may_have_attributes_of_its_own() -> None:
    class Named(Allocator):
        name = "orders"

    ids = Named(1, 2)
    assert (ids.name, ids.acquire()) == ("orders", 1)
