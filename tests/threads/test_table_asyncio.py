"""`InFlightTable.add_async`: coroutines and threads in one line; a cancelled one adds nothing and loses no wake-up."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from mtsid import Exhausted, InFlightTable

Threads = Callable[..., None]
Waiting = Callable[[int], None]


def full(last: int = 1) -> InFlightTable[Any]:
    table: InFlightTable[Any] = InFlightTable(1, last)
    for _ in range(last):
        table.add("first")
    return table


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    turn(loop)
    loop.close()


def turn(loop: asyncio.AbstractEventLoop, turns: int = 3) -> None:
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_a_free_id_is_had_without_a_pause_and_without_a_loop() -> None:
    table: InFlightTable[str] = InFlightTable(4, 4)
    with pytest.raises(StopIteration) as caught:
        table.add_async("payload", timeout=0).send(None)
    assert (caught.value.value, table[4]) == (4, "payload")


def test_a_wait_without_a_loop_adds_nothing() -> None:
    table = full()
    with pytest.raises(RuntimeError, match="no running event loop"):
        table.add_async("second").send(None)
    table.pop(1)
    assert table.add("third") == 1


@pytest.mark.parametrize("verb", ["pop", "reset", "quarantine"])
@pytest.mark.parametrize("timeout", [None, float("inf"), 1000])
def test_whatever_frees_an_id_wakes_it(verb: str, timeout: Any) -> None:
    table = full()

    async def wait() -> None:
        task = asyncio.ensure_future(table.add_async("second", timeout=timeout))
        await asyncio.sleep(0)
        assert table.stats().waiting == 1
        if verb == "pop":
            table.pop(1)
        elif verb == "reset":
            table.reset()
        else:
            table.quarantine(1, 0.02)
        assert await task == 1

    asyncio.run(wait())
    assert dict(table) == {1: "second"}
    assert table.stats().waiting == 0


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_a_wait_in_vain_ends_after_its_timeout(timeout: float) -> None:
    table = full()
    with pytest.raises(Exhausted) as caught:
        asyncio.run(table.add_async("second", timeout=timeout))
    assert (caught.value.live, table.stats().exhausted, dict(table)) == (1, 1, {1: "first"})


class Payload:
    """Something that can be seen to be gone."""


@pytest.mark.parametrize("turns", range(4))  # cancelled before and after it was woken, and when it has its id already
def test_one_that_is_cancelled_adds_nothing_and_its_wake_up_goes_on(
    turns: int, loop: asyncio.AbstractEventLoop
) -> None:
    table = full()
    payload = Payload()
    gone = weakref.ref(payload)
    task = loop.create_task(table.add_async(payload))
    turn(loop, 2)
    next_one = loop.create_task(table.add_async("next"))
    turn(loop, 2)
    table.pop(1)
    turn(loop, turns)
    if task.done():
        assert dict(table) == {task.result(): payload}
        table.pop(1)
    task.cancel()
    turn(loop)
    assert (next_one.result(), dict(table)) == (1, {1: "next"})
    del task, payload
    gc.collect()
    assert gone() is None
    table._check()


def test_one_that_is_dropped_while_it_waits_adds_nothing(loop: asyncio.AbstractEventLoop) -> None:
    table = full()

    async def drop() -> None:
        coroutine = table.add_async("second")
        coroutine.send(None)
        assert table.stats().waiting == 1
        coroutine.close()

    loop.run_until_complete(drop())
    assert table.stats().waiting == 0
    table.pop(1)
    assert (dict(table), table.add("third")) == ({}, 1)


def test_threads_and_loops_in_one_line(run_threads: Threads, waiting: Waiting) -> None:
    table = full(3)
    got: list[int] = []

    async def wait() -> None:
        got.append(await table.add_async("second"))

    def pop() -> None:
        waiting(3)
        for id in (1, 2, 3):
            table.pop(id)

    run_threads(
        lambda: asyncio.run(wait()),
        lambda: asyncio.run(wait()),
        lambda: got.append(table.add("second", timeout=None)),
        pop,
    )
    assert sorted(got) == [1, 2, 3]


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_few_ids_for_many_loops_some_of_whom_give_up(threads: int, run_threads: Threads) -> None:
    table: InFlightTable[tuple[int, int]] = InFlightTable(1, 2)

    async def one(payload: tuple[int, int]) -> None:
        id = await table.add_async(payload)
        try:
            await asyncio.sleep(0)
        finally:
            assert table.pop(id) == payload

    async def many(me: int) -> None:
        chance = random.Random(me)
        for n in range(0, 100, 5):
            tasks = [asyncio.ensure_future(one((me, n + i))) for i in range(5)]
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            tasks[chance.randrange(5)].cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if result is not None and not isinstance(result, asyncio.CancelledError):
                    raise result

    def run(coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run(coroutine)

    run_threads(*[lambda me=me: run(many(me)) for me in range(threads)])
    assert (len(table), table.stats().waiting) == (0, 0)
    table._check()
