"""`acquire_async`: coroutines of any number of loops, and threads, in one line; no id and no wake-up is ever lost."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Allocator, Exhausted

Threads = Callable[..., None]
Waiting = Callable[[int], None]
Eventually = Callable[[Callable[[], bool]], None]
Forget = Callable[[list[asyncio.Task[Any]]], None]
Stepped = Any  # of conftest.py


def full(last: int = 1) -> Allocator:
    ids = Allocator(1, last)
    ids.acquire_many(last)
    return ids


# What it gives ----------------------------------------------------------------------------------------------------


def test_a_free_id_is_had_without_a_pause() -> None:
    coroutine = Allocator(4, 4).acquire_async(0)
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    assert caught.value.value == 4


def test_a_free_id_needs_no_loop_and_a_wait_without_one_loses_nothing() -> None:
    ids = full()
    with pytest.raises(RuntimeError, match="no running event loop"):
        ids.acquire_async().send(None)
    ids.release(1)
    assert ids.acquire() == 1


@pytest.mark.parametrize("timeout", [None, float("inf"), 1000, 1e300])
def test_a_release_wakes_it(timeout: Any, stepped: Callable[[], Stepped]) -> None:
    ids, loop = full(), stepped()
    task = loop.task(ids.acquire_async(timeout))
    loop.turn(3)
    assert not task.done()
    ids.release(1)
    loop.turn(3)
    assert task.result() == 1


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_a_wait_in_vain_ends_after_its_timeout(timeout: float) -> None:
    ids = full()
    ids.quarantine(1)

    async def wait() -> None:
        begin = time.monotonic()
        with pytest.raises(Exhausted) as caught:
            await ids.acquire_async(timeout)
        assert time.monotonic() - begin >= timeout - 0.001
        assert (caught.value.live, caught.value.quarantined) == (0, 1)

    asyncio.run(wait())


def test_a_task_of_any_loop_is_woken_from_any_thread(run_threads: Threads, waiting: Waiting) -> None:
    ids = full(3)
    got: list[int] = []

    async def wait() -> None:
        got.append(await ids.acquire_async())

    def release() -> None:
        waiting(3)
        ids.release_many([1, 2, 3])

    run_threads(
        lambda: asyncio.run(wait()), lambda: asyncio.run(wait()), lambda: got.append(ids.acquire(None)), release
    )
    assert sorted(got) == [1, 2, 3]


def test_first_come_first_served_over_loops(stepped: Callable[[], Stepped]) -> None:
    ids = full()
    loops = [stepped(), stepped()]
    order: list[int] = []

    async def wait(number: int) -> int:
        id = await ids.acquire_async()
        order.append(number)
        return id

    for number in range(6):
        loops[number % 2].task(wait(number))
        loops[number % 2].turn()
    for _ in range(6):
        ids.release(1)
        for loop in loops:
            loop.turn(3)
    assert order == list(range(6))


def test_a_newcomer_may_overtake_and_who_was_woken_in_vain_keeps_his_place(stepped: Callable[[], Stepped]) -> None:
    ids, loop = full(), stepped()
    tasks = [loop.task(ids.acquire_async()) for _ in range(2)]
    loop.turn(3)
    ids.release(1)
    assert ids.acquire() == 1
    loop.turn(3)
    assert not any(task.done() for task in tasks)
    for task in tasks:
        ids.release(1)
        loop.turn(3)
        assert task.done()


def test_the_end_of_a_quarantine_wakes_the_first_and_then_the_next(stepped: Callable[[], Stepped]) -> None:
    ids = Allocator(1, 2)
    ids.acquire_many(2)

    async def both() -> list[int]:
        tasks = [asyncio.create_task(ids.acquire_async()) for _ in range(2)]
        await asyncio.sleep(0)
        ids.quarantine(1, 0.05)
        ids.quarantine(2, 0.1)
        return sorted(await asyncio.gather(*tasks))

    assert asyncio.run(both()) == [1, 2]


def test_when_the_first_in_line_is_cancelled_the_next_one_minds_the_time() -> None:
    ids = full()

    async def second_only() -> int:
        first, second = (asyncio.create_task(ids.acquire_async()) for _ in range(2))
        await asyncio.sleep(0)
        ids.quarantine(1, 0.2)
        for _ in range(5):
            await asyncio.sleep(0)  # it has looked, and sleeps again
        first.cancel()
        return await second

    assert asyncio.run(second_only()) == 1


# Cancelled at every point -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled_first", [True, False])
@pytest.mark.parametrize("released_at", range(6))
@pytest.mark.parametrize("cancelled_at", range(6))
@pytest.mark.parametrize("victim", [0, 1])
def test_cancelled_at_any_turn_nothing_is_lost(
    victim: int, cancelled_at: int, released_at: int, cancelled_first: bool, stepped: Callable[[], Stepped]
) -> None:
    """Two tasks of two loops and one id: whichever is cancelled, and when, the other gets the id in the end."""
    ids = full()
    loops = [stepped(), stepped()]
    tasks = [loop.task(ids.acquire_async()) for loop in loops]
    for turn in range(6):
        if turn == cancelled_at and cancelled_first:
            tasks[victim].cancel()
        if turn == released_at:
            ids.release(1)
        if turn == cancelled_at and not cancelled_first:
            tasks[victim].cancel()
        for loop in loops:
            loop.turn()
    for loop in loops:
        loop.turn(4)
    if tasks[victim].done() and not tasks[victim].cancelled():
        ids.release(tasks[victim].result())  # it was served before it was cancelled
        for loop in loops:
            loop.turn(4)
    assert tasks[1 - victim].result() == 1
    assert list(ids) == [1]


@pytest.mark.parametrize("woken", [False, True])
@pytest.mark.parametrize("how", ["throw", "close", "drop"])
def test_thrown_at_its_await_it_passes_its_wake_up_on(how: str, woken: bool, stepped: Callable[[], Stepped]) -> None:
    """The coroutine by hand, without a task: it waits at one point only, and there it may end in three ways."""
    ids, loop = full(), stepped()

    async def by_hand() -> None:
        coroutine = ids.acquire_async()
        coroutine.send(None)  # it is first in line: the other has not begun
        await asyncio.sleep(0)
        if woken:
            ids.release(1)
        if how == "throw":
            with pytest.raises(asyncio.CancelledError):
                coroutine.throw(asyncio.CancelledError())
        elif how == "close":
            coroutine.close()
        del coroutine
        gc.collect()
        if not woken:
            ids.release(1)

    task, other = loop.task(by_hand()), loop.task(ids.acquire_async())
    loop.turn(6)
    task.result()
    assert other.result() == 1


def test_a_timeout_from_outside_loses_nothing() -> None:
    ids = full()

    async def impatient() -> None:
        for _ in range(20):
            with pytest.raises((asyncio.TimeoutError, TimeoutError)):
                await asyncio.wait_for(ids.acquire_async(), 0.001)
        ids.release(1)
        assert await ids.acquire_async() == 1

    asyncio.run(impatient())


# Loops that end ---------------------------------------------------------------------------------------------------


def test_a_loop_that_was_closed_is_passed_over(stepped: Callable[[], Stepped], forget: Forget) -> None:
    ids, dead, alive = full(), stepped(), stepped()
    lost = [dead.task(ids.acquire_async()) for _ in range(3)]
    dead.turn(2)
    task = alive.task(ids.acquire_async())
    alive.turn(2)
    dead.close()
    ids.release(1)
    alive.turn(3)
    assert task.result() == 1
    forget(lost)


def test_a_wake_up_that_a_closed_loop_had_accepted_goes_to_the_next(
    stepped: Callable[[], Stepped], forget: Forget
) -> None:
    ids, dead, alive = full(), stepped(), stepped()
    lost = [dead.task(ids.acquire_async())]
    dead.turn(2)
    task = alive.task(ids.acquire_async())
    alive.turn(2)
    ids.release(1)  # into the loop that is closed before it can run it
    dead.close()
    alive.turn(3)
    assert task.result() == 1
    forget(lost)


def test_a_thread_gets_what_a_closed_loop_cannot_take(
    stepped: Callable[[], Stepped], run_threads: Threads, waiting: Waiting, forget: Forget
) -> None:
    ids, dead = full(), stepped()
    lost = [dead.task(ids.acquire_async())]
    dead.turn(2)

    def release() -> None:
        waiting(2)  # the dead task, and the thread
        dead.close()
        ids.release(1)

    run_threads(lambda: ids.acquire(None), release)
    assert list(ids) == [1]
    forget(lost)


def test_thousands_in_a_closed_loop_do_not_overflow_the_stack(stepped: Callable[[], Stepped], forget: Forget) -> None:
    ids, dead, alive = full(), stepped(), stepped()
    lost = [dead.task(ids.acquire_async()) for _ in range(5000)]
    dead.turn(2)
    task = alive.task(ids.acquire_async())
    alive.turn(2)
    ids.release(1)
    dead.close()
    alive.turn(3)
    assert task.result() == 1
    forget(lost)


def test_a_signal_handler_may_release_what_the_loop_waits_for(in_child: Callable[..., str]) -> None:
    in_child(
        """
import asyncio, signal
import mtsid
ids = mtsid.Allocator(1, 1)
ids.acquire()
signal.signal(signal.SIGALRM, lambda *_: ids.release(1))
async def main():
    for _ in range(20):
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        assert await ids.acquire_async(20) == 1
asyncio.run(main())
assert list(ids) == [1]
"""
    )


# Many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loops", [1, 3])
@pytest.mark.parametrize("last", [1, 3])
def test_few_ids_for_many_loops_and_threads_some_of_whom_give_up(loops: int, last: int, run_threads: Threads) -> None:
    """Each one takes and gives back, or is cancelled at a random moment; a lost wake-up would leave one waiting."""
    ids = Allocator(1, last)
    owner: list[object] = [None] * (last + 1)

    def took(id: int, me: object) -> None:
        assert owner[id] is None, f"{id} was handed to {me} while {owner[id]} had it"
        owner[id] = me

    async def worker(me: object, chance: random.Random) -> None:
        for _ in range(60):
            what = chance.randrange(4)
            try:
                id = await ids.acquire_async(0.0005 if what == 1 else None)
            except Exhausted:
                continue
            took(id, me)
            try:
                if what:
                    await asyncio.sleep(0)
            finally:
                owner[id] = None
                if what == 3:
                    ids.quarantine(id, 0.0001)
                else:
                    ids.release(id)

    async def crowd(seed: int) -> None:
        chance = random.Random(seed)
        tasks = [asyncio.create_task(worker((seed, n), random.Random(n))) for n in range(20)]
        for task in chance.sample(tasks, 8):
            await asyncio.sleep(chance.random() * 0.01)
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome

    def thread(me: int) -> None:
        for _ in range(200):
            id = ids.acquire(None)
            took(id, me)
            owner[id] = None
            ids.release(id)

    run_threads(
        *[lambda seed=seed: asyncio.run(crowd(seed)) for seed in range(loops)],
        *[lambda me=me: thread(me) for me in range(2)],
        seconds=60,
    )
    deadline = time.monotonic() + 10
    while ids.available < last:
        assert time.monotonic() < deadline
    assert len(ids) == 0
    ids._check()


def test_the_line_is_empty_when_all_are_gone(eventually: Eventually) -> None:
    from mtsid.core.waiting import _waiters

    gc.collect()  # what the tests before have left
    before = _waiters()
    ids = full()

    async def give_up() -> None:
        tasks = [asyncio.create_task(ids.acquire_async(0.01)) for _ in range(50)]
        await asyncio.sleep(0)
        assert _waiters() == before + 50
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(give_up())
    gc.collect()
    eventually(lambda: _waiters() == before)


def test_asyncio_is_imported_only_where_it_runs(in_child: Callable[..., str]) -> None:
    in_child(
        """
import sys, mtsid
ids = mtsid.Allocator(1, 1)
try:
    ids.acquire_async().send(None)
except StopIteration:
    pass
assert "asyncio" not in sys.modules
"""
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is of 3.11")
def test_asyncio_timeout_ends_a_wait() -> None:
    ids = full()

    async def wait() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ids.acquire_async()
        ids.release(1)
        assert await ids.acquire_async() == 1

    asyncio.run(wait())


def test_a_waker_in_another_thread_wakes_a_loop_that_sleeps() -> None:
    ids = full()

    async def wait() -> int:
        threading.Timer(0.05, ids.release, (1,)).start()
        return await ids.acquire_async()

    assert asyncio.run(wait()) == 1
