"""`Allocator` under 2, 4 and 8 threads: no id has two holders, nothing is exhausted that is not, nothing leaks."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Allocator, Exhausted, InUse, NotInUse

Threads = Callable[..., None]
pytestmark = pytest.mark.parametrize("threads", [2, 4, 8])


class Holders:
    """Who holds which id, without a lock that would hide a race: written after acquire, checked before release."""

    def __init__(self, ids: Allocator, last: int) -> None:
        self.ids = ids
        self.owner: list[object] = [None] * (last + 1)

    def took(self, me: object, id: int) -> None:
        assert self.owner[id] is None, f"{id} was handed to {me!r} while {self.owner[id]!r} had it"
        self.owner[id] = me

    def gives(self, me: object, id: int) -> None:
        assert self.owner[id] == me, f"{id} of {me!r} was handed to {self.owner[id]!r}"
        self.owner[id] = None

    def all_gone(self) -> None:
        assert (list(self.ids), self.ids.available) == ([], self.ids.capacity)
        assert not any(self.owner)
        self.ids._check()


@pytest.mark.parametrize("order", ["cyclic", "lowest"])
@pytest.mark.parametrize("last", [16, 64, 65535])
def test_no_id_has_two_holders(threads: int, order: Any, last: int, run_threads: Threads) -> None:
    ids = Allocator(1, last, order=order)
    holders = Holders(ids, last)
    at_once = max(1, min(20, last // threads))

    def work(me: str) -> None:
        held: deque[int] = deque()
        for _ in range(4000):
            id = ids.acquire()
            holders.took(me, id)
            held.append(id)
            if len(held) == at_once:
                holders.gives(me, held[0])
                ids.release(held.popleft())
        for id in held:
            holders.gives(me, id)
            ids.release(id)

    run_threads(*[lambda n=n: work(f"thread {n}") for n in range(threads)])
    holders.all_gone()


@pytest.mark.parametrize("last", [40, 1000])
def test_single_and_bulk_calls_mixed(threads: int, last: int, run_threads: Threads) -> None:
    ids = Allocator(0, last, exclude=[3, last])
    holders = Holders(ids, last)

    def work(me: str, seed: int) -> None:
        chance = random.Random(seed)
        held: list[int] = []
        for _ in range(1200):
            what = chance.randrange(6)
            try:
                if what == 0:
                    got = [ids.acquire()]
                elif what == 1:
                    got = ids.acquire_many(chance.randrange(8)).tolist()
                elif what == 2:
                    got = [chance.choice([0, 1, 2, *range(4, last)])]
                    ids.reserve(got[0])
                elif what == 3:
                    got = chance.sample(range(4, last), 5)
                    ids.reserve_many(got)
                else:
                    got = []
            except (Exhausted, InUse):
                got = []
            for id in got:
                holders.took(me, id)
            held += got
            if what >= 4 or len(held) > 10:
                chance.shuffle(held)
                gone, held = held[: len(held) // 2], held[len(held) // 2 :]
                for id in gone:
                    holders.gives(me, id)
                if what == 4:
                    ids.release_many(gone)
                else:
                    for id in gone:
                        ids.release(id)
        for id in held:
            holders.gives(me, id)
        ids.release_many(held)

    run_threads(*[lambda n=n: work(f"thread {n}", n) for n in range(threads)])
    holders.all_gone()


def test_exhausted_is_never_said_while_an_id_is_free(threads: int, run_threads: Threads) -> None:
    # Each thread holds at most one, and there is one for each: none may be refused, whatever bulk claims roll back.
    ids = Allocator(1, threads)

    def work() -> None:
        for _ in range(4000):
            ids.release(ids.acquire())

    def bulk() -> None:
        for _ in range(1500):
            with pytest.raises(Exhausted):
                ids.acquire_many(threads)  # one is always held: by the holder below

    ids.acquire()
    run_threads(bulk, *[work] * (threads - 1))
    assert len(ids) == 1
    ids._check()


def test_exhausted_is_never_said_while_the_free_id_moves_about(threads: int, run_threads: Threads) -> None:
    """Two ids are not taken for good, one at each end; the mover releases one before it takes another: one is free.

    Who looks at every leaf in turn may find all of them full, though they never were at one instant.
    """
    last = 65535
    ids = Allocator(0, last)
    ids.reserve_many(range(1, last))
    ids.reserve(0)
    done = [False]

    def move() -> None:
        mine = 0
        while not done[0]:
            ids.release(mine)
            other = last - mine
            for id in (other, mine, other, mine):
                try:
                    ids.reserve(id)
                except InUse:
                    continue
                mine = id
                break
            else:
                mine = ids.acquire()

    def search() -> None:
        try:
            for _ in range(300_000):
                ids.release(ids.acquire())
        finally:
            done[0] = True

    run_threads(move, search)
    ids._check()
    assert ids.available == 1


def test_of_many_releases_of_one_id_just_one_succeeds(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 500)
    ids.acquire_many(500)
    succeeded: list[list[int]] = [[] for _ in range(threads)]

    def work(mine: list[int]) -> None:
        for id in range(1, 501):
            try:
                ids.release(id)
            except NotInUse:
                continue
            mine.append(id)

    run_threads(*[lambda mine=mine: work(mine) for mine in succeeded])
    assert sorted(id for mine in succeeded for id in mine) == list(range(1, 501))
    ids._check()


def test_of_many_bulk_releases_each_id_is_released_once(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 500)
    ids.acquire_many(500)
    refused: list[int] = []

    def work() -> None:
        try:
            ids.release_many(range(1, 501))
        except NotInUse as error:
            refused.extend(error.refused)

    run_threads(*[work] * threads)
    assert sorted(refused) == sorted([*range(1, 501)] * (threads - 1))


def test_of_many_reservations_of_one_id_just_one_succeeds(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 500)
    got: list[int] = []

    def work() -> None:
        for id in range(1, 501):
            try:
                ids.reserve(id)
            except InUse:
                continue
            got.append(id)

    run_threads(*[work] * threads)
    assert sorted(got) == list(range(1, 501))


def test_resets_beside_acquires_return_every_id_once(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 64)
    acquired: list[int] = []
    freed: list[int] = []

    def acquire() -> None:
        for _ in range(3000):
            try:
                acquired.append(ids.acquire())
            except Exhausted:
                continue

    def reset() -> None:
        for _ in range(300):
            freed.extend(ids.reset().tolist())

    run_threads(reset, *[acquire] * (threads - 1))
    freed.extend(ids.reset().tolist())
    assert sorted(freed) == sorted(acquired)
    ids._check()


def test_each_id_that_iteration_lists_was_live(threads: int, run_threads: Threads) -> None:
    # The upper half is live throughout, the lowest ten are free throughout; in between they come and go.
    ids = Allocator(1, 200)
    ids.reserve_many(range(101, 201))
    done = [False]

    def churn() -> None:
        while not done[0]:
            for id in range(11, 101):
                try:
                    ids.reserve(id)
                    ids.release(id)
                except (InUse, NotInUse):
                    continue

    def look() -> None:
        try:
            for _ in range(1500):
                listed = set(ids)
                assert listed.issuperset(range(101, 201))
                assert listed.isdisjoint(range(1, 11))
        finally:
            done[0] = True

    run_threads(look, *[churn] * (threads - 1))


def test_stats_are_exact_when_all_is_over(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 100)
    taken = [0] * threads
    given = [0] * threads
    refused = [0] * threads

    def work(me: int) -> None:
        chance = random.Random(me)
        for _ in range(2000):
            what = chance.randrange(5)
            try:
                got = ids.acquire_many(chance.randrange(1, 60)).tolist() if what == 0 else [ids.acquire()]
            except Exhausted:
                continue
            taken[me] += len(got)
            given[me] += len(got)
            if what == 1:
                ids.quarantine(got[0])
            ids.release_many(got)
            if what == 2:
                try:
                    ids.release(0)
                except NotInUse:
                    refused[me] += 1

    run_threads(*[lambda me=me: work(me) for me in range(threads)])
    stats = ids.stats()
    assert (stats.acquired, stats.released, stats.live) == (sum(taken), sum(given), 0)
    assert stats.refused == sum(refused)
    assert stats.high_water <= 100
