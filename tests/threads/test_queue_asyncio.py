"""`put_async` and `get_async`: coroutines of any number of loops, and threads, in one line; nothing is ever lost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Empty, Full, Message, MessageQueue, ShutDown

Threads = Callable[..., None]
Waiting = Callable[[int], None]
Eventually = Callable[[Callable[[], bool]], None]
Forget = Callable[[list[asyncio.Task[Any]]], None]
Stepped = Any  # of conftest.py
Queue = MessageQueue[Any]


def full(maxsize: int = 1) -> Queue:
    """Its messages wait, and no other fits in."""
    queue: Queue = MessageQueue(maxsize)
    queue.put_many(range(maxsize))
    return queue


def result_of(coroutine: Any) -> Any:
    """What it returns without a pause."""
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    return caught.value.value


class Way:
    """Waiting for a message, or for room: who waits, what ends one wait, and what shows that it has ended."""

    def __init__(self, verb: str) -> None:
        self.gets = verb == "get"
        self.queue: Queue = MessageQueue(1) if self.gets else full()
        self.bodies = iter(range(1, 1000))

    async def wait(self, timeout: float | None = None) -> Any:
        if self.gets:
            return (await self.queue.get_async(timeout)).body
        return await self.queue.put_async(next(self.bodies), timeout)

    def wait_in_thread(self) -> Any:
        return self.queue.get().body if self.gets else self.queue.put(next(self.bodies))

    def supply(self) -> None:
        """A message is there to be got; or there is room for one."""
        if self.gets:
            self.queue.put(0)
        else:
            self.queue.ack(1)

    def use_up(self) -> None:
        """What was supplied has been had, and the next may be supplied."""
        if self.gets:
            self.queue.ack(1)

    def newcomer(self) -> None:
        """Overtake who waits."""
        if self.gets:
            self.queue.get(False)
        else:
            self.queue.put("a newcomer's", False)

    def check(self) -> None:
        self.queue.audit()
        assert len(self.queue) == 1


@pytest.fixture(params=["get", "put"])
def way(request: pytest.FixtureRequest) -> Way:
    return Way(request.param)


# What they give ---------------------------------------------------------------------------------------------------


def test_what_is_there_is_had_without_a_pause_and_without_a_loop() -> None:
    queue: Queue = MessageQueue(3)
    assert result_of(queue.put_async("a", 0)) == 1
    assert result_of(queue.put_async("b", priority="urgent")) == 2
    message: Message[Any] = result_of(queue.get_async())
    assert (message.mtsid, message.body, message.priority, message.deliveries) == (2, "b", "urgent", 1)
    queue.nack(message)
    assert result_of(queue.get_async()).deliveries == 2


def test_a_wait_without_a_loop_loses_nothing(way: Way) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        way.wait().send(None)
    way.supply()
    way.newcomer()
    way.check()


@pytest.mark.parametrize("timeout", [None, float("inf"), 1000, 1e300])
def test_a_supply_wakes_it(way: Way, timeout: Any, stepped: Callable[[], Stepped]) -> None:
    loop = stepped()
    task = loop.task(way.wait(timeout))
    loop.turn(3)
    assert not task.done()
    way.supply()
    loop.turn(3)
    assert task.done()
    way.check()


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_a_wait_in_vain_ends_after_its_timeout(way: Way, timeout: float) -> None:
    async def wait() -> None:
        begin = time.monotonic()
        with pytest.raises(Empty if way.gets else Full):
            await way.wait(timeout)
        assert time.monotonic() - begin >= timeout - 0.001

    asyncio.run(wait())
    way.supply()
    way.newcomer()


def test_a_returned_message_wakes_it(stepped: Callable[[], Stepped]) -> None:
    queue, loop = full(), stepped()
    held = queue.get()
    task = loop.task(queue.get_async())
    loop.turn(3)
    queue.nack(held)
    loop.turn(3)
    assert task.result().deliveries == 2


def test_what_on_dead_has_taken_leaves_room_and_what_it_refused_is_there(stepped: Callable[[], Stepped]) -> None:
    refuse = [True, False]

    def on_dead(message: Message[Any]) -> None:
        if refuse.pop(0):
            raise ZeroDivisionError

    queue: Queue = MessageQueue(1, max_deliveries=1, on_dead=on_dead)
    loop = stepped()
    queue.put("a")
    held = queue.get()
    getter, putter = loop.task(queue.get_async()), loop.task(queue.put_async("b"))
    loop.turn(3)
    with pytest.raises(ZeroDivisionError):
        queue.nack(held)
    loop.turn(3)
    assert getter.result().deliveries == 2
    assert not putter.done()
    queue.nack(getter.result())
    loop.turn(3)
    assert putter.result() == 1


def test_tasks_of_any_loop_are_woken_from_any_thread(way: Way, run_threads: Threads, waiting: Waiting) -> None:
    def supply() -> None:
        waiting(3)
        for left in range(3):
            way.supply()
            while way.queue.empty() != way.gets:  # until it is had
                time.sleep(0.001)
            way.use_up()
            if not way.gets and left < 2:
                assert way.queue.full()

    run_threads(lambda: asyncio.run(way.wait()), lambda: asyncio.run(way.wait()), way.wait_in_thread, supply)


def test_first_come_first_served_over_loops(way: Way, stepped: Callable[[], Stepped]) -> None:
    loops = [stepped(), stepped()]
    order: list[int] = []

    async def wait(number: int) -> None:
        await way.wait()
        order.append(number)

    for number in range(6):
        loops[number % 2].task(wait(number))
        loops[number % 2].turn()
    for _ in range(6):
        way.supply()
        for loop in loops:
            loop.turn(3)
        way.use_up()
    assert order == list(range(6))


def test_a_newcomer_may_overtake_and_who_was_woken_in_vain_keeps_his_place(
    way: Way, stepped: Callable[[], Stepped]
) -> None:
    loop = stepped()
    tasks = [loop.task(way.wait()) for _ in range(2)]
    loop.turn(3)
    way.supply()
    way.newcomer()
    loop.turn(3)
    assert not any(task.done() for task in tasks)
    way.use_up()
    for task in tasks:
        way.supply()
        loop.turn(3)
        assert task.done()
        way.use_up()


def test_a_batch_that_waits_for_more_room_is_passed_over(
    stepped: Callable[[], Stepped], run_threads: Threads, waiting: Waiting
) -> None:
    queue = full(3)

    def acks() -> None:
        waiting(1)  # the batch of two is first in line
        loop = stepped()
        task = loop.task(queue.put_async("one"))
        loop.turn(3)
        queue.ack(1)
        loop.turn(3)
        assert task.result() == 1
        queue.ack_many([2, 3])

    run_threads(lambda: queue.put_many("ab"), acks)
    assert [message.body for message in queue.get_many(9)] == ["one", "a", "b"]


# Cancelled at every point -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled_first", [True, False])
@pytest.mark.parametrize("supplied_at", range(6))
@pytest.mark.parametrize("cancelled_at", range(6))
@pytest.mark.parametrize("victim", [0, 1])
def test_cancelled_at_any_turn_nothing_is_lost(
    way: Way, victim: int, cancelled_at: int, supplied_at: int, cancelled_first: bool, stepped: Callable[[], Stepped]
) -> None:
    """Two tasks of two loops and one supply: whichever is cancelled, and when, the other is served in the end."""
    loops = [stepped(), stepped()]
    tasks = [loop.task(way.wait()) for loop in loops]
    for turn in range(6):
        if turn == cancelled_at and cancelled_first:
            tasks[victim].cancel()
        if turn == supplied_at:
            way.supply()
        if turn == cancelled_at and not cancelled_first:
            tasks[victim].cancel()
        for loop in loops:
            loop.turn()
    for loop in loops:
        loop.turn(4)
    if tasks[victim].done() and not tasks[victim].cancelled():
        way.use_up()  # it was served before it was cancelled
        way.supply()
        for loop in loops:
            loop.turn(4)
    assert tasks[1 - victim].done()
    tasks[1 - victim].result()
    way.check()
    assert way.queue.stats().put == way.queue.stats().acked + 1, "one that was cancelled has put"


@pytest.mark.parametrize("supplied_at", range(5))
@pytest.mark.parametrize("cancelled_at", range(6))
def test_a_block_cancelled_at_any_turn_gives_back_what_it_has(
    supplied_at: int, cancelled_at: int, stepped: Callable[[], Stepped]
) -> None:
    queue: Queue = MessageQueue(1)
    loop = stepped()
    done: list[object] = []

    async def work() -> None:
        async with queue.receive_async() as message:
            await asyncio.sleep(0)
            done.append(message.body)

    task = loop.task(work())
    for turn in range(6):
        if turn == cancelled_at:
            task.cancel()
        if turn == supplied_at:
            queue.put("a")
        loop.turn()
    loop.turn(4)
    assert task.done()
    assert queue.in_flight() == 0
    assert len(queue) + len(done) == 1, "either it was worked on, or it waits"
    queue.audit()


@pytest.mark.parametrize("woken", [False, True])
@pytest.mark.parametrize("how", ["throw", "close", "drop"])
def test_thrown_at_its_await_it_passes_its_wake_up_on(
    way: Way, how: str, woken: bool, stepped: Callable[[], Stepped]
) -> None:
    """The coroutine by hand, without a task: it waits at one point only, and there it may end in three ways."""
    loop = stepped()

    async def by_hand() -> None:
        coroutine = way.queue.get_async() if way.gets else way.queue.put_async("by hand")
        coroutine.send(None)  # it is first in line: the other has not begun
        await asyncio.sleep(0)
        if woken:
            way.supply()
        if how == "throw":
            with pytest.raises(asyncio.CancelledError):
                coroutine.throw(asyncio.CancelledError())
        elif how == "close":
            coroutine.close()
        del coroutine
        gc.collect()
        if not woken:
            way.supply()

    first, other = loop.task(by_hand()), loop.task(way.wait())
    loop.turn(6)
    first.result()
    assert other.done()
    way.check()


def test_a_timeout_from_outside_loses_nothing(way: Way) -> None:
    async def impatient() -> None:
        for _ in range(20):
            with pytest.raises((asyncio.TimeoutError, TimeoutError)):
                await asyncio.wait_for(way.wait(), 0.001)
        way.supply()
        await way.wait()

    asyncio.run(impatient())
    way.check()


# Loops that end ---------------------------------------------------------------------------------------------------


def test_a_loop_that_was_closed_is_passed_over(way: Way, stepped: Callable[[], Stepped], forget: Forget) -> None:
    dead, alive = stepped(), stepped()
    lost = [dead.task(way.wait()) for _ in range(3)]
    dead.turn(2)
    task = alive.task(way.wait())
    alive.turn(2)
    dead.close()
    way.supply()
    alive.turn(3)
    task.result()
    way.check()
    forget(lost)


def test_a_wake_up_that_a_closed_loop_had_accepted_goes_to_the_next(
    way: Way, stepped: Callable[[], Stepped], forget: Forget
) -> None:
    dead, alive = stepped(), stepped()
    lost = [dead.task(way.wait())]
    dead.turn(2)
    task = alive.task(way.wait())
    alive.turn(2)
    way.supply()  # into the loop that is closed before it can run it
    dead.close()
    alive.turn(3)
    task.result()
    way.check()
    forget(lost)


def test_a_thread_gets_what_a_closed_loop_cannot_take(
    way: Way, stepped: Callable[[], Stepped], run_threads: Threads, waiting: Waiting, forget: Forget
) -> None:
    dead = stepped()
    lost = [dead.task(way.wait())]
    dead.turn(2)

    def supply() -> None:
        waiting(2)  # the dead task, and the thread
        dead.close()
        way.supply()

    run_threads(way.wait_in_thread, supply)
    way.check()
    forget(lost)


# The end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_wakes_coroutines_of_every_loop(
    way: Way, immediate: bool, stepped: Callable[[], Stepped], forget: Forget
) -> None:
    loops = [stepped(), stepped(), stepped()]
    tasks = [loop.task(way.wait()) for loop in loops for _ in range(3)]
    for loop in loops:
        loop.turn(2)
    loops[1].close()
    way.queue.shutdown(immediate)
    loops[0].turn(3), loops[2].turn(3)
    for task in tasks[:3] + tasks[6:]:
        with pytest.raises(ShutDown):
            task.result()
    forget(tasks)


def test_the_last_ack_after_a_shutdown_wakes_those_who_wait_for_a_message(stepped: Callable[[], Stepped]) -> None:
    queue, loop = full(), stepped()
    message = queue.get()
    tasks = [loop.task(queue.get_async()) for _ in range(3)]
    loop.turn(2)
    queue.shutdown()
    loop.turn(3)
    assert not any(task.done() for task in tasks), "it may be returned yet"
    tasks[0].cancel()
    queue.ack(message)
    loop.turn(3)
    for task in tasks[1:]:
        with pytest.raises(ShutDown):
            task.result()


def test_join_in_a_thread_ends_with_the_last_message_of_a_loop(run_threads: Threads, waiting: Waiting) -> None:
    queue = full(5)

    async def work() -> None:
        with contextlib.suppress(Empty):
            while True:
                async with queue.receive_async(0):
                    await asyncio.sleep(0)

    def works() -> None:
        waiting(1)
        asyncio.run(work())

    run_threads(queue.join, works)
    assert len(queue) == 0


# Many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loops", [1, 3])
@pytest.mark.parametrize("maxsize", [1, 3])
def test_many_loops_and_threads_some_of_whom_give_up(loops: int, maxsize: int, run_threads: Threads) -> None:
    """Producers and consumers; tasks are cancelled at random. What was put and told is worked on once, all of it."""
    queue: Queue = MessageQueue(maxsize)
    put: list[object] = []  # what a put has told; list.append is one step
    maybe: list[object] = []  # begun, and cancelled: it may have been put, for the task may have been done already
    worked: list[object] = []
    producers = threading.Semaphore(0)

    async def produce(me: object) -> None:
        for n in range(25):
            body = (me, n)
            maybe.append(body)
            while True:
                try:
                    await queue.put_async(body, 0.0005 if n % 4 == 1 else None)
                    break
                except Full:
                    await asyncio.sleep(0)
            put.append(body)

    async def consume(chance: random.Random) -> None:
        while True:
            try:
                async with queue.receive_async(0.0005 if chance.randrange(4) == 1 else None) as message:
                    if chance.randrange(2):
                        await asyncio.sleep(0)
                    worked.append(message.body)
            except Empty:
                await asyncio.sleep(0)

    async def crowd(seed: int) -> None:
        chance = random.Random(seed)
        consumers = [asyncio.create_task(consume(random.Random(n))) for n in range(8)]
        makers = [asyncio.create_task(produce((seed, n))) for n in range(8)]
        for task in chance.sample(makers, 3) + chance.sample(consumers, 4):
            await asyncio.sleep(chance.random() * 0.005)
            task.cancel()
        for outcome in await asyncio.gather(*makers, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
        producers.release()
        for outcome in await asyncio.gather(*consumers, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError | ShutDown), outcome

    def produce_in_thread(me: int) -> None:
        for n in range(100):
            queue.put((me, n))
            put.append((me, n))
        producers.release()

    def consume_in_thread() -> None:
        with contextlib.suppress(ShutDown):
            while True:
                with queue.receive() as message:
                    worked.append(message.body)

    def end() -> None:
        for _ in range(loops + 2):
            assert producers.acquire(timeout=60)
        queue.shutdown()

    run_threads(
        *[lambda seed=seed: asyncio.run(crowd(seed)) for seed in range(loops)],
        *[lambda me=me: produce_in_thread(me) for me in (-1, -2)],
        consume_in_thread,
        consume_in_thread,
        end,
        seconds=120,
    )
    assert len(queue) == 0
    queue.audit()
    assert max(Counter(worked).values()) == 1
    assert set(put) <= set(worked) <= set(put) | set(maybe)
    stats = queue.stats()
    assert (stats.put, stats.acked) == (len(worked), len(worked))
    assert (stats.getters, stats.putters) == (0, 0)


def test_the_line_is_empty_when_all_are_gone(way: Way, eventually: Eventually) -> None:
    from mtsid.core.waiting import _waiters

    gc.collect()  # what the tests before have left
    before = _waiters()

    async def give_up() -> None:
        tasks = [asyncio.create_task(way.wait(0.01)) for _ in range(50)]
        await asyncio.sleep(0)
        assert _waiters() == before + 50
        stats = way.queue.stats()
        assert (stats.getters, stats.putters) == ((50, 0) if way.gets else (0, 50))
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(give_up())
    gc.collect()
    eventually(lambda: _waiters() == before)
    assert way.queue.stats()[4:6] == (0, 0)


def test_a_waker_in_another_thread_wakes_a_loop_that_sleeps(way: Way) -> None:
    async def wait() -> None:
        threading.Timer(0.05, way.supply).start()
        await way.wait()

    asyncio.run(wait())
    way.check()


def test_a_signal_handler_may_end_the_wait_of_a_loop(in_child: Callable[..., str]) -> None:
    in_child(
        """
import asyncio, signal
import mtsid
queue = mtsid.MessageQueue(1)
signal.signal(signal.SIGALRM, lambda *_: queue.put("signal"))
async def main():
    for _ in range(20):
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        async with queue.receive_async(20) as message:
            assert message.body == "signal"
asyncio.run(main())
assert len(queue) == 0
"""
    )


def test_asyncio_is_imported_only_where_it_runs(in_child: Callable[..., str]) -> None:
    in_child(
        """
import sys, mtsid
queue = mtsid.MessageQueue(1)
for coroutine in (queue.put_async("a"), queue.get_async()):
    try:
        coroutine.send(None)
    except StopIteration:
        pass
queue.receive_async()
assert "asyncio" not in sys.modules
"""
    )
