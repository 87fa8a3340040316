"""A bound that moves while others take and give back: no twins, nobody is left waiting, and the counts end right."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from mtsid import Allocator, Exhausted

Threads = Callable[..., None]
Waiting = Callable[[int], None]


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_no_id_has_two_holders_while_the_bound_moves(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 200)
    owner: list[object] = [None] * 201
    done = [0]

    def work(me: int) -> None:
        chance = random.Random(me)
        held: list[int] = []
        for _ in range(3000):
            what = chance.randrange(5)
            try:
                got = ids.acquire_many(chance.randrange(5)).tolist() if what == 0 else [ids.acquire()]
            except Exhausted:
                got = []
            for id in got:
                assert owner[id] is None, f"{id} was handed to {me} while {owner[id]} had it"
                owner[id] = me
            held += got
            while len(held) > 20 or (held and what > 2):
                id = held.pop(chance.randrange(len(held)))
                owner[id] = None
                if what == 4:
                    ids.quarantine(id, 0.0001)
                else:
                    ids.release(id)
        for id in held:
            owner[id] = None
        ids.release_many(held)
        done[0] += 1

    def move() -> None:
        chance = random.Random(threads)
        while done[0] < threads - 1:
            ids.resize(chance.randrange(1, 201))

    run_threads(move, *[lambda me=me: work(me) for me in range(threads - 1)])
    ids._check()
    ids.reset()
    ids.resize(200)
    assert (len(ids), ids.available) == (0, 200)
    ids._check()


def test_a_bound_that_moves_down_is_kept_by_whoever_comes_after(run_threads: Threads) -> None:
    """Once `resize` has returned, nobody gets an id beyond it, whatever was released meanwhile."""
    ids = Allocator(1, 64)
    done = [False]

    def churn() -> None:
        while not done[0]:
            ids.release(ids.acquire())

    def move() -> None:
        try:
            for _ in range(500):
                ids.resize(40)
                got = ids.acquire_many(30)
                assert max(got) <= 40
                ids.release_many(got)
                ids.resize(64)
        finally:
            done[0] = True

    run_threads(move, churn)
    ids._check()


def test_a_bound_that_moves_up_wakes_as_many_as_it_frees(run_threads: Threads, waiting: Waiting) -> None:
    ids = Allocator(1, 10)
    ids.resize(1)
    ids.acquire()
    got: list[int] = []

    def move() -> None:
        waiting(3)
        ids.resize(4)

    run_threads(*[lambda: got.append(ids.acquire(None))] * 3, move)
    assert sorted(got) == [2, 3, 4]
