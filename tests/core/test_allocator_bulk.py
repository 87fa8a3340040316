"""Promises of `Allocator`, many ids at a time: all or none to take, as many as can be to give back."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mtsid import Allocator, Exhausted, InUse, NotInUse

# Each way to say the same ids.
SPELLINGS: list[Callable[[list[int]], Any]] = [
    list,
    tuple,
    iter,
    lambda ids: array.array("I", ids),
    lambda ids: memoryview(array.array("I", ids)),
    lambda ids: np.array(ids, np.uint32),
    lambda ids: np.array(ids, np.int64),
    lambda ids: np.array(ids, np.uint16),
    lambda ids: np.array(ids, ">u4"),
    lambda ids: np.repeat(np.array(ids, np.uint32), 2)[::2],
]


@pytest.fixture(params=SPELLINGS)
def spelled(request: pytest.FixtureRequest) -> Callable[[list[int]], Any]:
    spelling: Callable[[list[int]], Any] = request.param
    return spelling


def test_acquire_many_is_a_uint32_array_in_the_order_of_acquire() -> None:
    ids = Allocator(1, 10)
    ids.reserve(4)
    ids.acquire()
    got = ids.acquire_many(5)
    assert (got.dtype.name, got.tolist()) == ("uint32", [2, 3, 5, 6, 7])
    assert ids.acquire() == 8


def test_acquire_many_wraps() -> None:
    ids = Allocator(0, 99)
    ids.acquire_many(90)
    ids.release_many(range(50))
    assert ids.acquire_many(30).tolist() == [*range(90, 100), *range(20)]
    assert ids.acquire() == 20


def test_acquire_many_that_ends_at_the_end_starts_again_at_the_beginning() -> None:
    ids = Allocator(1, 64)
    ids.acquire_many(64)
    ids.release_many([1, 5])
    assert ids.acquire() == 1


def test_acquire_many_lowest_takes_the_lowest() -> None:
    ids = Allocator(1, 100, order="lowest")
    ids.acquire_many(60)
    ids.release_many([40, 3, 33])
    assert ids.acquire_many(5).tolist() == [3, 33, 40, 61, 62]


@pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 1000, 65535])
def test_acquire_many_takes_them_all(size: int) -> None:
    ids = Allocator(1, size)
    assert ids.acquire_many(size).tolist() == list(range(1, size + 1))
    assert ids.available == 0
    ids._check()


def test_none_is_an_empty_array_even_when_nothing_is_free() -> None:
    ids = Allocator(1, 1)
    ids.acquire()
    empty = ids.acquire_many(0)
    assert (empty.shape, empty.dtype.name) == ((0,), "uint32")


def test_one_too_many_takes_nothing() -> None:
    ids = Allocator(1, 100)
    ids.acquire_many(61)
    ids.release_many([7, 40])
    live = list(ids)
    with pytest.raises(Exhausted) as caught:
        ids.acquire_many(42)
    error = caught.value
    assert (error.live, error.capacity, error.wanted) == (59, 100, 42)
    assert list(ids) == live
    assert ids.acquire() == 62
    ids._check()


@pytest.mark.parametrize("n", [6, 2**32, 2**70])
def test_more_than_the_range_has_is_exhausted(n: int) -> None:
    ids = Allocator(1, 5)
    ids.acquire()
    with pytest.raises(Exhausted) as caught:
        ids.acquire_many(n)
    assert (caught.value.live, caught.value.capacity, caught.value.wanted) == (1, 5, n)
    assert list(ids) == [1]


def test_release_many_takes_any_spelling(spelled: Callable[[list[int]], Any]) -> None:
    ids = Allocator(1, 100)
    ids.acquire_many(100)
    ids.release_many(spelled([90, 2, 33, 32, 65]))
    assert set(range(1, 101)) - set(ids) == {90, 2, 33, 32, 65}
    ids._check()


def test_reserve_many_takes_any_spelling(spelled: Callable[[list[int]], Any]) -> None:
    ids = Allocator(1, 100)
    ids.reserve_many(spelled([90, 2, 33, 32, 65]))
    assert list(ids) == [2, 32, 33, 65, 90]
    ids._check()


@pytest.mark.parametrize("verb", ["release_many", "reserve_many"])
def test_nothing_asked_is_nothing_done(verb: str) -> None:
    ids = Allocator(1, 5)
    ids.acquire()
    getattr(ids, verb)([])
    getattr(ids, verb)(np.array([], np.uint32))
    assert list(ids) == [1]


def test_release_many_skips_what_is_not_live_releases_the_rest_and_lists_the_refused() -> None:
    ids = Allocator(1, 200)
    ids.reserve_many([1, 70, 71, 150])
    with pytest.raises(NotInUse) as caught:
        ids.release_many([72, 71, 3, 150, 69, 1])
    assert caught.value.refused == (72, 3, 69)
    assert caught.value.id is None
    assert list(ids) == [70]


def test_release_many_leaves_the_callers_array_alone() -> None:
    ids = Allocator(5, 9)
    ids.reserve_many([5, 7])
    mine = np.array([6, 5, 8, 7], np.uint32)
    with pytest.raises(NotInUse) as caught:
        ids.release_many(mine)
    assert caught.value.refused == (6, 8)
    assert mine.tolist() == [6, 5, 8, 7]


def test_reserve_many_is_all_or_none_and_names_one_that_is_live() -> None:
    ids = Allocator(1, 100)
    ids.reserve(64)
    with pytest.raises(InUse) as caught:
        ids.reserve_many([1, 33, 64, 99])
    assert caught.value.id == 64
    assert list(ids) == [64]
    ids._check()


def test_a_roll_back_lets_the_freed_ids_be_found_again() -> None:
    ids = Allocator(1, 64)
    ids.acquire_many(40)
    for _ in range(100):
        with pytest.raises(Exhausted):
            ids.acquire_many(25)
    assert ids.acquire_many(24).tolist() == list(range(41, 65))


def test_the_ends_of_the_32_bits_in_bulk() -> None:
    ids = Allocator(2**32 - 40, 2**32 - 1)
    got = ids.acquire_many(40)
    assert got.tolist() == list(range(2**32 - 40, 2**32))
    ids.release_many(got)
    ids.reserve_many(np.array([2**32 - 1, 2**32 - 40], np.uint64))
    assert ids.reset().tolist() == [2**32 - 40, 2**32 - 1]


def test_ids_at_regular_distances_are_checked_for_duplicates_in_a_breath() -> None:
    # Such ids once fell into one place of the hash table, and the check took minutes.
    ids = Allocator(0, 2**26)
    spread = np.arange(2**16, dtype=np.uint32)[::-1] * np.uint32(2**10)
    ids.reserve_many(spread)
    ids.release_many(spread)
    assert ids.available == ids.capacity


def test_an_array_that_lies_about_its_dimensions_is_refused() -> None:
    class Flat(np.ndarray[Any, Any]):
        """It says that it is flat."""

        @property
        def ndim(self) -> int:
            return 1

    ids = Allocator(1, 100)
    ids.acquire_many(4)
    with pytest.raises(TypeError, match="flat"):
        ids.release_many(np.array([[1, 2], [3, 4]], "uint32").view(Flat))
    assert len(ids) == 4


@pytest.mark.parametrize("start", [1, 31, 32, 33, 63, 64])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 100])
def test_blocks_that_begin_and_end_anywhere(start: int, n: int) -> None:
    """Whole words of 32 ids have a way of their own."""
    ids = Allocator(0, 255)
    ids.acquire_many(256)
    block = np.arange(start, start + n, dtype=np.uint32)
    ids.release_many(block)
    assert set(ids) == set(range(256)) - set(block.tolist())
    assert ids.acquire_many(n).tolist() == block.tolist()
    with pytest.raises(Exhausted):
        ids.acquire()


@pytest.mark.parametrize("other", [5, 200])
def test_a_word_whose_ends_alone_are_in_their_places(other: int) -> None:
    """In between stands an id from elsewhere, or two have changed places."""
    ids = Allocator(0, 255)
    ids.acquire_many(256)
    given = np.arange(32, 64, dtype=np.uint32)
    given[7] = other
    ids.release_many(given)
    assert set(ids) == set(range(256)) - set(given.tolist())
    with pytest.raises(NotInUse) as caught:
        ids.release_many(np.arange(32, 64))
    assert list(caught.value.refused) == [n for n in range(32, 64) if n != 39]
    assert set(ids) == set(range(256)) - set(given.tolist()) - {39}


@pytest.mark.parametrize("wrong", [0, 9, 110, 65535])
def test_one_id_outside_the_range_is_named_and_nothing_changes(wrong: int, spelled: Callable[[list[int]], Any]) -> None:
    ids = Allocator(10, 109)
    ids.acquire_many(100)
    with pytest.raises(ValueError, match=f"^id {wrong} is outside the range 10 .. 109$"):
        ids.release_many(spelled([*range(10, 90), wrong, 300]))
    assert len(ids) == 100
