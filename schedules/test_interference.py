"""Exact exhaustion, on the compiled code: an id is free at every instant, and the search is fooled where it can be."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from mtsid import Allocator, Exhausted
from schedules.interference import explore

LEAF = 32  # ids


def nearly_full(free: int, order: str) -> Callable[[], Allocator]:
    """Two leaves, all live but one id."""

    def make() -> Allocator:
        ids = Allocator(1, 2 * LEAF, order=order)  # type: ignore[arg-type]
        ids.reserve_many([id for id in range(1, 2 * LEAF + 1) if id != free])
        return ids

    return make


def move(free: int, live: int) -> Callable[[Allocator], None]:
    """Release one id, then take another: some id is free all the while, until the call has its own."""

    def change(ids: Allocator) -> None:
        if ids.state(free) == "free":
            ids.release(live)
            ids.reserve(free)

    return change


def acquire(ids: Allocator) -> str:
    try:
        ids.acquire()
    except Exhausted:
        return "Exhausted, though an id was free at every instant"
    return ""


@pytest.mark.parametrize("order", ["lowest", "cyclic"])
def test_an_id_that_is_always_free_somewhere_is_found(scheduler: ctypes.CDLL, order: str) -> None:
    # The free id goes from leaf to leaf, behind the search each time: five times fool a search, a pass, and another.
    there, back = move(40, 1), move(1, 40)
    make = nearly_full(40, order)
    placed = explore(scheduler, make, acquire, [there, back, there, back, there], Allocator._check)
    assert placed.violation == "", placed
    assert placed.placements > 5_000
    print(f"\n{order}: {placed.placements:,} placements of 5 moves in calls of up to {placed.longest} steps")


def test_exhausted_is_still_said_when_it_is_true(scheduler: ctypes.CDLL) -> None:
    def call(ids: Allocator) -> str:
        return "" if acquire(ids) else "an id was found where there was none"

    def full() -> Allocator:
        ids = Allocator(1, 2 * LEAF)
        ids.acquire_many(2 * LEAF)
        return ids

    assert explore(scheduler, full, call, []).violation == ""


def test_a_placement_that_goes_wrong_is_found_and_named(scheduler: ctypes.CDLL) -> None:
    def call(ids: Allocator) -> str:
        return "it was another" if ids.acquire() != 40 else ""

    placed = explore(scheduler, nearly_full(40, "lowest"), call, [move(40, 1)])
    assert placed.violation == "it was another"
    assert len(placed.where) == 1
