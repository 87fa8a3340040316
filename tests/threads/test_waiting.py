"""Blocking: whoever waits is woken, in time, once, and by whatever makes his wait vain; a wake-up is never lost."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import mtsid
from mtsid import Allocator, Empty, Exhausted, Full, MessageQueue, ShutDown, v40

Threads = Callable[..., None]
Waiting = Callable[..., None]


def full_queue(maxsize: int = 1) -> MessageQueue[Any]:
    queue: MessageQueue[Any] = MessageQueue(maxsize)
    queue.put_many(range(maxsize))
    return queue


def full_allocator(last: int = 1) -> Allocator:
    ids = Allocator(1, last)
    ids.acquire_many(last)
    return ids


# A wait ends with what it waited for ------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, float("inf"), 1000, 1e300])
def test_a_release_wakes_an_acquire(timeout: Any, run_threads: Threads, waiting: Waiting) -> None:
    ids = full_allocator()
    got: list[int] = []

    def release() -> None:
        waiting(1)
        ids.release(1)

    run_threads(lambda: got.append(ids.acquire(timeout)), release)
    assert got == [1]


def test_a_release_ends_a_wait_before_its_timeout(run_threads: Threads, waiting: Waiting) -> None:
    """And not at it, when it would look once more by itself."""
    ids = full_allocator()
    took: list[float] = []

    def acquire() -> None:
        begin = time.monotonic()
        ids.acquire(5)
        took.append(time.monotonic() - begin)

    def release() -> None:
        waiting(1)
        ids.release(1)

    run_threads(acquire, release)
    assert took[0] < 5


def test_a_bulk_release_wakes_as_many_as_it_frees(run_threads: Threads, waiting: Waiting) -> None:
    ids = full_allocator(3)
    got: list[int] = []

    def release() -> None:
        waiting(3)
        ids.release_many([1, 2, 3])

    run_threads(*[lambda: got.append(ids.acquire(None))] * 3, release)
    assert sorted(got) == [1, 2, 3]


@pytest.mark.parametrize("free", [lambda ids: ids.release_many([1, 2]), lambda ids: ids.reset()])
def test_4_0_wakes_too(free: Callable[[v40.Allocator], object], run_threads: Threads, waiting: Waiting) -> None:
    ids = v40.Allocator(1, 2, defect="racy-claim")
    ids.acquire_many(2)
    got: list[int] = []

    def give_back() -> None:
        waiting(2)
        with pytest.raises(Exhausted):
            ids.acquire_many(1)  # whoever fails leaves the others in line
        free(ids)

    run_threads(*[lambda: got.append(ids.acquire(None))] * 2, give_back)
    assert len(got) == 2


def test_a_reset_wakes_those_who_wait_for_an_id(run_threads: Threads, waiting: Waiting) -> None:
    ids = full_allocator(2)

    def reset() -> None:
        waiting(2)
        ids.reset()

    run_threads(*[lambda: ids.acquire(None)] * 2, reset)
    assert list(ids) == [1, 2]


def test_a_put_wakes_a_get(run_threads: Threads, waiting: Waiting) -> None:
    queue: MessageQueue[str] = MessageQueue(5)
    got: list[str] = []

    def put() -> None:
        waiting(2)
        queue.put("a")
        waiting(1)
        queue.put_many(["b"])

    run_threads(*[lambda: got.append(queue.get().body)] * 2, put)
    assert got == ["a", "b"]


def test_a_returned_message_wakes_a_get(run_threads: Threads, waiting: Waiting) -> None:
    queue = full_queue()
    message = queue.get()

    def give_back() -> None:
        waiting(1)
        queue.nack(message)

    run_threads(lambda: queue.get(), give_back)
    assert queue.in_flight() == 1


@pytest.mark.parametrize(
    "leave",
    [
        lambda queue, message: queue.ack(message),
        lambda queue, message: queue.ack(message.mtsid),
        lambda queue, message: queue.delete(message.mtsid),
        lambda queue, message: queue.ack_many([message]),
    ],
)
def test_whatever_leaves_wakes_a_put(leave: Callable[..., None], run_threads: Threads, waiting: Waiting) -> None:
    queue = full_queue()
    message = queue.get()

    def make_room() -> None:
        waiting(1)
        leave(queue, message)

    run_threads(lambda: queue.put("b"), make_room)
    assert queue.qsize() == 1


def test_a_get_many_waits_for_the_first_only(run_threads: Threads, waiting: Waiting) -> None:
    queue: MessageQueue[str] = MessageQueue(5)
    got: list[int] = []

    def put() -> None:
        waiting(1)
        queue.put("a")

    run_threads(lambda: got.append(len(queue.get_many(5))), put)
    assert got == [1]


def test_a_put_many_waits_for_room_for_all_and_lets_smaller_ones_pass(
    run_threads: Threads, waiting: Waiting, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    queue = full_queue(4)
    order: list[str] = []

    def large() -> None:
        queue.put_many("xyz")
        order.append("large")

    def small() -> None:
        waiting(1)
        queue.put("s")
        order.append("small")

    def make_room() -> None:
        waiting(2)
        queue.ack(1)
        eventually(lambda: order == ["small"])
        waiting(1)
        queue.ack_many([2, 3, 4])

    run_threads(large, small, make_room)
    assert order == ["small", "large"]
    assert queue.audit().free == 0


def test_join_ends_when_the_last_message_leaves_and_not_before(run_threads: Threads, waiting: Waiting) -> None:
    queue = full_queue(3)
    ended: list[str] = []

    def join() -> None:
        queue.join()
        ended.append("join")

    def settle() -> None:
        waiting(2)
        for message in queue.get_many(3):
            assert not ended
            queue.ack(message)

    run_threads(join, join, settle)
    assert ended == ["join", "join"]


# A wait ends in time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "error"),
    [
        (lambda: full_allocator().acquire(0.05), Exhausted),
        (lambda: full_queue().put("x", timeout=0.05), Full),
        (lambda: full_queue().put_many("x", timeout=0.05), Full),
        (lambda: MessageQueue(1).get(timeout=0.05), Empty),
        (lambda: MessageQueue(1).get_many(3, timeout=0.05), Empty),
        (lambda: v40.MessageQueue(1).get(timeout=0.05), Empty),
    ],
)
def test_a_wait_in_vain_ends_after_its_timeout(wait: Callable[[], object], error: type[Exception]) -> None:
    begin = time.monotonic()
    with pytest.raises(error):
        wait()
    assert time.monotonic() - begin >= 0.05


def test_a_timeout_is_for_the_whole_wait_however_often_it_is_woken(run_threads: Threads) -> None:
    """Messages come all the time, but others are quicker; the slow one's patience ends all the same."""
    queue: MessageQueue[int] = MessageQueue(10)
    done = threading.Event()
    outcome: list[str] = []

    def patient() -> None:
        begin = time.monotonic()
        try:
            while time.monotonic() < begin + 0.3:
                queue.ack(queue.get(timeout=0.3))
        except Empty:
            pass
        outcome.append("ended")
        done.set()

    def busy() -> None:
        while not done.is_set():
            queue.put(1, False)
            try:
                queue.ack(queue.get(False))
            except Empty:
                continue

    run_threads(patient, busy, seconds=30)
    assert outcome == ["ended"]


def test_the_wake_up_of_one_who_gives_up_is_passed_on(run_threads: Threads) -> None:
    """Impatient getters leave the line all the time; each message still finds a patient one."""
    queue: MessageQueue[int] = MessageQueue(1000)
    count = 500
    got: list[int] = []

    def patient() -> None:
        while True:
            try:
                message = queue.get()
            except ShutDown:
                return
            got.append(message.body)
            queue.ack(message)

    def impatient() -> None:
        while True:
            try:
                message = queue.get(timeout=0.00001)
            except Empty:
                continue
            except ShutDown:
                return
            got.append(message.body)
            queue.ack(message)

    def put() -> None:
        for n in range(count):
            queue.put(n)
            if n % 2:
                queue.join()  # a lost wake-up would leave the message waiting for ever
        queue.shutdown()

    run_threads(patient, impatient, impatient, put)
    assert sorted(got) == list(range(count))


def test_the_wake_up_of_one_whose_time_is_up_goes_to_the_next(
    run_threads: Threads, waiting: Waiting, eventually: Callable[..., None]
) -> None:
    """His time is up while the putter holds the GIL: he is woken, says Empty all the same, and passes it on."""
    queue: MessageQueue[str] = MessageQueue(5)
    got: list[str] = []

    def impatient() -> None:
        try:
            got.append(queue.get(timeout=0.2).body)
        except Empty:
            got.append("nothing")

    def patient() -> None:
        waiting(1, or_came=got)
        try:
            got.append(queue.get().body)
        except ShutDown:
            got.append("the end")

    def put() -> None:
        waiting(2, or_came=got)
        begin = time.monotonic()
        sys.setswitchinterval(100)
        while time.monotonic() < begin + 0.4:
            pass
        queue.put("a")
        sys.setswitchinterval(1e-5)
        eventually(lambda: "a" in got)
        queue.shutdown()
        queue.ack(1)

    run_threads(impatient, patient, put)
    assert got.count("a") == 1


# No wake-up is lost -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [mtsid, v40])
@pytest.mark.parametrize("threads", [2, 4, 8])
@pytest.mark.parametrize("last", [1, 2])
def test_few_ids_for_many_threads(module: Any, threads: int, last: int, run_threads: Threads) -> None:
    ids = module.Allocator(1, last)

    def work() -> None:
        for _ in range(400):
            ids.release(ids.acquire(None))

    run_threads(*[work] * threads)
    assert len(ids) == 0


@pytest.mark.parametrize("module", [mtsid, v40])
@pytest.mark.parametrize("pairs", [1, 2, 4])
@pytest.mark.parametrize("maxsize", [1, 2])
def test_a_tiny_queue_between_many_threads(module: Any, pairs: int, maxsize: int, run_threads: Threads) -> None:
    queue = module.MessageQueue(maxsize)

    def put() -> None:
        for n in range(400):
            queue.put(n)

    def take() -> None:
        for _ in range(400):
            queue.ack(queue.get())

    run_threads(*[put] * pairs, *[take] * pairs)
    assert len(queue) == 0


def test_bulk_puts_among_single_ones(run_threads: Threads) -> None:
    queue: MessageQueue[int] = MessageQueue(3)
    rounds = 300

    def bulk(size: int) -> None:
        for _ in range(rounds):
            queue.put_many(range(size))

    def take(count: int) -> None:
        for _ in range(count):
            queue.ack(queue.get())

    run_threads(
        *[lambda n=n: bulk(n) for n in (1, 2, 3)], lambda: bulk(1), lambda: take(rounds * 4), lambda: take(rounds * 3)
    )
    assert queue.audit().free == 3


# A shutdown wakes all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_wakes_every_get_of_an_empty_queue(immediate: bool, run_threads: Threads, waiting: Waiting) -> None:
    queue: MessageQueue[Any] = MessageQueue(1)

    def get(take: Callable[[], object]) -> None:
        with pytest.raises(ShutDown):
            take()

    def close() -> None:
        waiting(4)
        queue.shutdown(immediate)

    run_threads(*[lambda: get(queue.get)] * 2, *[lambda: get(lambda: queue.get_many(3))] * 2, close)


@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_wakes_every_put_into_a_full_queue(immediate: bool, run_threads: Threads, waiting: Waiting) -> None:
    queue = full_queue(2)

    def put(bodies: Any) -> None:
        with pytest.raises(ShutDown):
            queue.put_many(bodies) if bodies else queue.put("x")

    def close() -> None:
        waiting(4)
        queue.shutdown(immediate)

    run_threads(*[lambda: put("")] * 2, *[lambda: put("xy")] * 2, close)


def test_a_get_outlasts_a_shutdown_while_a_message_may_return(run_threads: Threads, waiting: Waiting) -> None:
    queue = full_queue()
    message = queue.get()
    got: list[Any] = []

    def close() -> None:
        waiting(1)
        queue.shutdown()
        queue.nack(message)

    run_threads(lambda: got.append(queue.get().deliveries), close)
    assert got == [2]


@pytest.mark.parametrize("immediate", [False, True])
def test_the_last_message_in_flight_ends_every_get_after_a_shutdown(
    immediate: bool, run_threads: Threads, waiting: Waiting
) -> None:
    queue = full_queue()
    message = queue.get()

    def get() -> None:
        with pytest.raises(ShutDown):
            queue.get()

    def close() -> None:
        waiting(3)
        queue.shutdown(immediate)
        if immediate:
            with pytest.raises(ShutDown):
                queue.nack(message)
        else:
            queue.ack(message)

    run_threads(get, get, get, close)


def test_an_immediate_shutdown_ends_join_once_nothing_is_in_flight(run_threads: Threads, waiting: Waiting) -> None:
    queue = full_queue(3)
    message = queue.get()

    def close() -> None:
        waiting(1)
        queue.shutdown(immediate=True)
        queue.ack(message)

    run_threads(queue.join, close)
    assert queue.audit().free == 3


# Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="a lock cannot be interrupted there")
@pytest.mark.parametrize("timeout", ["None", "1000"])
@pytest.mark.parametrize(
    ("setup", "wait", "after"),
    [
        ("ids = mtsid.Allocator(1, 1); ids.acquire()", "ids.acquire({})", "ids.release(1); ids.acquire(None)"),
        ("q = mtsid.MessageQueue(1)", "q.get(timeout={})", "q.put(1); q.get()"),
        ("q = mtsid.MessageQueue(1); q.put(1)", "q.put(2, timeout={})", "q.ack(1); q.put(2)"),
        ("q = mtsid.MessageQueue(2); q.put(1)", "q.put_many([1, 2], timeout={})", "q.ack(1); q.put_many([1, 2])"),
        ("q = mtsid.MessageQueue(1); q.put(1)", "q.join()", "q.ack(1); q.join()"),
    ],
)
def test_ctrl_c_ends_a_wait_and_leaves_all_in_order(
    setup: str, wait: str, after: str, timeout: str, in_child: Callable[..., str]
) -> None:
    in_child(
        f"""
import os, signal, threading, time
import mtsid
from mtsid.core.waiting import _waiters
{setup}
def interrupt():
    while not _waiters():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    {wait.format(timeout)}
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("the wait ended otherwise")
{after}
"""
    )
