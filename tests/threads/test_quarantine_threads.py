"""Quarantine under threads: no id comes back early, twice or never; and whoever waits is woken when a time is over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from mtsid import Allocator, Exhausted, NotInUse

Threads = Callable[..., None]
Waiting = Callable[..., None]
THREADS = pytest.mark.parametrize("threads", [2, 4, 8])


@THREADS
@pytest.mark.parametrize("last", [16, 200])
def test_no_id_has_two_holders_whatever_rests(threads: int, last: int, run_threads: Threads) -> None:
    """Each id that rests is one that some thread put to rest; no time, a short one or none that ends by itself."""
    ids = Allocator(1, last)
    owner: list[object] = [None] * (last + 1)
    resting: list[list[int]] = [[] for _ in range(threads)]

    def work(me: int) -> None:
        chance = random.Random(me)
        held: list[int] = []
        for _ in range(3000):
            try:
                id = ids.acquire()
            except Exhausted:
                id = 0
            if id:
                assert owner[id] is None, f"{id} was handed to {me} while {owner[id]} had it"
                owner[id] = me
                held.append(id)
            if held and (not id or len(held) > last // threads // 2):
                id = held.pop(chance.randrange(len(held)))
                assert owner[id] == me
                owner[id] = None
                what = chance.randrange(4)
                if what == 0:
                    ids.release(id)
                elif what == 1:
                    ids.quarantine(id)
                    resting[me].append(id)
                else:
                    ids.quarantine(id, chance.choice([0, 0.0001, 0.001]))
            if len(resting[me]) > last // threads // 2:
                ids.release(resting[me].pop(0))
        for id in held:
            owner[id] = None
            ids.release(id)

    run_threads(*[lambda me=me: work(me) for me in range(threads)])
    ids._check()
    forever = sorted(id for mine in resting for id in mine)
    deadline = time.monotonic() + 10
    while ids.available != last - len(forever):
        assert time.monotonic() < deadline
    assert (len(ids), [id for id in range(1, last + 1) if ids.state(id) == "quarantined"]) == (0, forever)


@THREADS
def test_of_many_releases_of_one_quarantined_id_just_one_succeeds(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 500)
    for id in ids.acquire_many(500).tolist():
        ids.quarantine(id)
    succeeded: list[int] = []

    def work() -> None:
        for id in range(1, 501):
            try:
                ids.release(id)
            except NotInUse:
                continue
            succeeded.append(id)

    run_threads(*[work] * threads)
    assert sorted(succeeded) == list(range(1, 501))
    ids._check()


@THREADS
def test_an_id_is_either_released_or_quarantined(threads: int, run_threads: Threads) -> None:
    ids = Allocator(1, 500)
    ids.acquire_many(500)
    rested: list[int] = []
    freed: list[int] = []

    def work(verb: Callable[[int], None], done: list[int]) -> None:
        for id in range(1, 501):
            try:
                verb(id)
            except NotInUse:
                continue
            done.append(id)

    run_threads(
        *[lambda: work(ids.quarantine, rested)] * (threads // 2),
        *[lambda: work(ids.release, freed)] * (threads // 2),
    )
    # A quarantine succeeds only on a live id, a release also on one that rests, so each id was freed once, or rests.
    assert len(set(rested)) == len(rested)
    assert len(set(freed)) == len(freed)
    assert ids.available == len(freed)
    assert set(rested) - set(freed) == {id for id in range(1, 501) if ids.state(id) == "quarantined"}
    ids._check()


@THREADS
def test_exhausted_counts_are_of_one_instant(threads: int, run_threads: Threads) -> None:
    """Ids 1 .. 10 of 40 go to rest and back by one thread, one at a time, and the others stay live."""
    ids = Allocator(1, 40)
    ids.acquire_many(40)
    done = [False]

    def churn() -> None:
        while not done[0]:
            for id in range(1, 11):
                ids.quarantine(id)
            for id in range(1, 11):
                ids.release(id)
                ids.reserve(id)

    def look() -> None:
        try:
            for _ in range(2000):
                with pytest.raises(Exhausted) as caught:
                    ids.acquire_many(2)  # one may be free for a moment, but never two
                error = caught.value
                assert error.live + error.quarantined in (39, 40)
                assert error.quarantined <= 10
        finally:
            done[0] = True

    run_threads(churn, *[look] * (threads - 1))
    ids._check()


# Waiting for the end of a quarantine ------------------------------------------------------------------------------


def resting(seconds: float | None, last: int = 1) -> Allocator:
    ids = Allocator(1, last)
    for id in ids.acquire_many(last).tolist():
        ids.quarantine(id, seconds)
    return ids


@pytest.mark.parametrize("timeout", [None, 1000])
def test_who_waits_is_woken_when_the_time_is_over(timeout: float | None) -> None:
    begin = time.monotonic()
    ids = resting(0.1)
    assert ids.acquire(timeout) == 1
    assert 0.1 <= time.monotonic() - begin < 30


def test_a_timeout_that_ends_first_ends_the_wait() -> None:
    ids = resting(1000)
    with pytest.raises(Exhausted) as caught:
        ids.acquire(0.02)
    assert (caught.value.live, caught.value.quarantined) == (0, 1)


def test_a_release_of_a_quarantined_id_wakes_who_waits(run_threads: Threads, waiting: Waiting) -> None:
    ids = resting(1000)

    def release() -> None:
        waiting(1)
        ids.release(1)

    run_threads(lambda: ids.acquire(None), release)


def test_all_who_wait_are_served_as_ids_come_back(run_threads: Threads) -> None:
    ids = Allocator(1, 5)
    for id in ids.acquire_many(5).tolist():
        ids.quarantine(id, 0.02 * id)
    got: list[int] = []
    run_threads(*[lambda: got.append(ids.acquire(None))] * 5)
    assert sorted(got) == [1, 2, 3, 4, 5]


def test_a_quarantine_that_ends_earlier_wakes_whoever_sleeps_for_a_later_one(
    run_threads: Threads, waiting: Waiting
) -> None:
    ids = Allocator(1, 2)
    ids.acquire_many(2)
    ids.quarantine(1, 1000)

    def sooner() -> None:
        waiting(1)
        ids.quarantine(2, 0.05)

    run_threads(lambda: ids.acquire(None), sooner)
    assert (ids.state(1), ids.state(2)) == ("quarantined", "live")


def test_a_quarantine_that_begins_while_others_wait_for_a_release_wakes_them_at_its_end(
    run_threads: Threads, waiting: Waiting
) -> None:
    ids = Allocator(1, 1)
    ids.acquire()

    def rest() -> None:
        waiting(1)
        ids.quarantine(1, 0.05)

    run_threads(lambda: ids.acquire(None), rest)


def test_when_the_first_in_line_gives_up_the_next_one_minds_the_time(run_threads: Threads, waiting: Waiting) -> None:
    ids = resting(0.3)
    outcome: list[str] = []

    def first() -> None:
        with pytest.raises(Exhausted):
            ids.acquire(0.1)
        outcome.append("gave up")

    def second() -> None:
        waiting(1, or_came=outcome)
        ids.acquire(None)
        outcome.append("got it")

    run_threads(first, second)
    assert outcome == ["gave up", "got it"]


def test_when_the_first_in_line_is_served_the_next_one_minds_the_time(run_threads: Threads, waiting: Waiting) -> None:
    ids = Allocator(1, 2)
    ids.acquire_many(2)
    ids.quarantine(1, 0.3)

    served: list[int] = []

    def acquire() -> None:
        served.append(ids.acquire(None))

    def release() -> None:
        waiting(2, or_came=served)
        ids.release(2)

    run_threads(acquire, acquire, release)
    assert list(ids) == sorted(served) == [1, 2]


def test_a_reset_wakes_all_for_whom_it_frees_an_id(run_threads: Threads, waiting: Waiting) -> None:
    ids = resting(None, 3)

    def reset() -> None:
        waiting(3)
        assert ids.reset().tolist() == []

    run_threads(*[lambda: ids.acquire(None)] * 3, reset)
    assert list(ids) == [1, 2, 3]


@THREADS
def test_few_ids_that_rest_a_moment_for_many_threads(threads: int, run_threads: Threads) -> None:
    """A wake-up that is lost would leave somebody waiting for ever."""
    ids = Allocator(1, 2)

    def work() -> None:
        for _ in range(150):
            ids.quarantine(ids.acquire(None), 0.0002)

    run_threads(*[work] * threads)
    ids._check()


def test_ctrl_c_ends_a_wait_for_the_end_of_a_quarantine(in_child: Callable[..., str]) -> None:
    in_child(
        """
import os, signal, threading, time
import mtsid
from mtsid.core.waiting import _waiters
ids = mtsid.Allocator(1, 1)
ids.quarantine(ids.acquire(), 1000)
def interrupt():
    while not _waiters():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    ids.acquire(None)
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("the wait ended otherwise")
ids.release(1)
ids.acquire(None)
"""
    )


@THREADS
def test_the_timetable_grows_under_all_of_them(threads: int, run_threads: Threads) -> None:
    """Each thread puts some to rest: the first ones of all, and the table has to grow again and again."""
    for _ in range(10):
        ids = Allocator(1, 4000)
        shares = [ids.acquire_many(4000 // threads).tolist() for _ in range(threads)]

        def work(mine: list[int], ids: Allocator = ids) -> None:
            for id in mine:
                ids.quarantine(id, 1000 + id)

        run_threads(*[lambda mine=mine, work=work: work(mine) for mine in shares])
        ids._check()
        assert ids.stats().quarantined == 4000 // threads * threads
