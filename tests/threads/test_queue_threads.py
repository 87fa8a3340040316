"""`MessageQueue` under 2, 4 and 8 threads. A payload says who put it and as which: none is lost or doubled."""

from __future__ import annotations

import gc
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from mtsid import Empty, Full, Message, MessageQueue, NotInUse, ShutDown, Stale
from mtsid.lab import RecordedQueue, Recorder

Threads = Callable[..., None]
Payload = tuple[int, int]  # producer, sequence
EACH = 2000


def every_payload(producers: int, each: int = EACH) -> list[Payload]:
    return [(producer, sequence) for producer in range(producers) for sequence in range(each)]


def end(queue: RecordedQueue[Payload]) -> None:
    queue.shutdown()


def produce_singly(queue: RecordedQueue[Payload], me: int) -> None:
    for sequence in range(EACH):
        queue.put((me, sequence))


def produce_in_bulk(queue: RecordedQueue[Payload], me: int) -> None:
    chance, sequence = random.Random(me), 0
    while sequence < EACH:
        count = min(chance.randint(1, queue.maxsize), EACH - sequence)
        numbers = queue.put_many([(me, sequence + n) for n in range(count)])
        assert len(set(numbers.tolist())) == count
        sequence += count


def consume(queue: RecordedQueue[Payload], take: Callable[[], list[Any]]) -> None:
    while True:
        try:
            messages = take()
        except ShutDown:
            return
        for message in messages:
            queue.ack(message)


@pytest.mark.parametrize("produce", [produce_singly, produce_in_bulk])
@pytest.mark.parametrize("maxsize", [1, 2, 7, 1000])
@pytest.mark.parametrize("pairs", [1, 2, 4])
def test_nothing_is_lost_or_doubled_and_each_producers_order_is_kept(
    pairs: int, maxsize: int, produce: Callable[..., None], run_threads: Threads
) -> None:
    recorder = Recorder()
    queue = recorder.queue(MessageQueue(maxsize))
    producing = threading.Barrier(pairs, lambda: end(queue))  # by the last one

    def producer(me: int) -> None:
        produce(queue, me)
        producing.wait()

    def consumer(n: int) -> None:
        consume(queue, (lambda: queue.get_many(3)) if n % 2 else (lambda: [queue.get()]))

    run_threads(
        *[lambda n=n: producer(n) for n in range(pairs)],
        *[lambda n=n: consumer(n) for n in range(pairs)],
    )
    history = recorder.check(expect_empty=True)
    assert history.ok, str(history)
    assert history.put == history.left == pairs * EACH
    assert queue.audit().free == maxsize


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_returns_and_deletions_between(threads: int, run_threads: Threads) -> None:
    """Consumers send back half of what they get; an operator deletes; every message ends up in just one hand."""
    recorder = Recorder()
    queue = recorder.queue(MessageQueue(50))
    settled: list[Payload] = []
    producing = threading.Barrier(threads // 2, lambda: end(queue))

    def producer(me: int) -> None:
        for sequence in range(EACH):
            queue.put((me, sequence))
        producing.wait()

    def consumer(seed: int) -> None:
        chance = random.Random(seed)
        while True:
            try:
                message = queue.get()
            except ShutDown:
                return
            try:
                if chance.random() < 0.4:
                    queue.nack(message)
                    continue
                queue.ack(message)
            except Stale:
                continue  # the operator has it
            settled.append(message.body)

    def operator() -> None:
        chance = random.Random(99)
        while not producing.broken and (len(queue) or producing.n_waiting or len(settled) < EACH):
            try:
                settled.append(queue.delete(chance.randint(1, 50)))
            except NotInUse:
                queue.audit()

    run_threads(
        operator,
        *[lambda n=n: producer(n) for n in range(threads // 2)],
        *[lambda n=n: consumer(n) for n in range(threads // 2)],
    )
    assert sorted(settled) == every_payload(threads // 2)
    history = recorder.check(expect_empty=True)
    assert history.ok, str(history)
    assert queue.audit().free == 50


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_one_delivery_is_settled_once(threads: int, run_threads: Threads) -> None:
    queue: MessageQueue[int] = MessageQueue(1000)
    queue.put_many(range(1000))
    messages = queue.get_many(1000)
    settled: list[int] = []

    def settle(verb: Callable[[Any], None]) -> None:
        for message in messages:
            try:
                verb(message)
            except Stale:
                continue
            settled.append(message.body)

    run_threads(*[lambda n=n: settle(queue.nack if n % 2 else queue.ack) for n in range(threads)])
    assert sorted(settled) == list(range(1000))
    queue.audit()


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_of_many_bulk_acks_each_message_is_settled_once(threads: int, run_threads: Threads) -> None:
    queue: MessageQueue[int] = MessageQueue(1000)
    queue.put_many(range(1000))
    messages = queue.get_many(1000)
    refused: list[Any] = []

    def settle() -> None:
        try:
            queue.ack_many(messages)
        except NotInUse as error:
            refused.extend(error.refused)

    run_threads(*[settle] * threads)
    assert len(refused) == 1000 * (threads - 1)
    assert queue.audit().free == 1000


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_views_are_exact_snapshots(threads: int, run_threads: Threads) -> None:
    """Five messages go round and round: every view sees five, each number once."""
    queue: MessageQueue[int] = MessageQueue(8)
    queue.put_many(range(5))
    done = [False]

    def go_round() -> None:
        while not done[0]:
            try:
                queue.nack(queue.get(False))
            except Empty:
                continue

    def look() -> None:
        try:
            for _ in range(1000):
                snapshot = queue.snapshot()
                assert sorted(snapshot["mtsid"].tolist()) == [1, 2, 3, 4, 5]
                assert len(queue) == 5
                audit = queue.audit()
                assert (audit.free, audit.waiting + audit.in_flight) == (3, 5)
        finally:
            done[0] = True

    run_threads(look, *[go_round] * (threads - 1))


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_peek_beside_ack_and_delete_neither_keeps_nor_loses_a_reference(threads: int, run_threads: Threads) -> None:
    """The collector is at work throughout. Each body is new, and holds what is counted at the end."""
    queue: MessageQueue[list[object]] = MessageQueue(threads)
    kept = object()
    done = [False]
    looks = [0] * threads

    def settle(seed: int) -> None:
        chance = random.Random(seed)
        while not done[0]:
            with suppress(Full):
                queue.put([kept], False)
            with suppress(Empty, NotInUse):  # Stale too: another one has deleted it
                what = chance.randrange(5)
                if what == 0:
                    assert queue.delete(chance.randint(1, threads))[0] is kept
                elif what == 1:
                    queue.nack(queue.get(False))
                elif what == 2:
                    queue.ack_many(queue.get_many(2, False))
                else:
                    queue.ack(queue.get(False))

    def look(me: int) -> None:
        while not done[0]:
            time.sleep(0.00001)  # or, without the GIL, it would keep the others out and look at the same bodies
            for mtsid in range(1, threads + 1):
                with suppress(NotInUse):
                    assert queue.peek(mtsid)[0] is kept
                    looks[me] += 1

    def collect() -> None:
        enough = time.monotonic() + 1  # a collection takes from milliseconds to half a second
        try:
            while time.monotonic() < enough or sum(looks) <= 100:
                gc.collect()
                time.sleep(0.005)
        finally:
            done[0] = True

    before = sys.getrefcount(kept)
    run_threads(
        collect,
        *[lambda n=n: settle(n) for n in range(threads // 2)],
        *[lambda n=n: look(n) for n in range(threads // 2)],
    )
    queue.ack_many(queue.snapshot()["mtsid"])
    gc.collect()
    assert sys.getrefcount(kept) == before
    assert queue.audit().free == threads


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_full_and_empty_are_never_said_without_cause(threads: int, run_threads: Threads) -> None:
    """As many messages as threads and room for them all: who has put one may get one, who has settled one may put."""
    queue: MessageQueue[int] = MessageQueue(threads)

    def work() -> None:
        for n in range(EACH):
            queue.put_nowait(n)
            queue.ack(queue.get_nowait())

    run_threads(*[work] * threads)
    assert queue.audit().free == threads


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_an_immediate_shutdown_in_the_thick_of_it_loses_nothing(threads: int, run_threads: Threads) -> None:
    queue: MessageQueue[Payload] = MessageQueue(20)
    entered: list[Payload] = []
    left: list[Payload] = []

    def producer(me: int) -> None:
        for sequence in itertools.count():
            try:
                queue.put((me, sequence), False)
            except Full:
                continue
            except ShutDown:
                return
            entered.append((me, sequence))

    def consumer() -> None:
        while True:
            try:
                message = queue.get()
                if message.deliveries > 1 or message.body[1] % 3:
                    queue.ack(message)
                    left.append(message.body)
                else:
                    queue.nack(message)
            except ShutDown as end:
                left.extend(end.discarded)
                if not end.discarded:
                    return

    def close() -> None:
        while len(left) < 500:
            pass
        left.extend(queue.shutdown(immediate=True))

    run_threads(
        close,
        *[lambda n=n: producer(n) for n in range(threads // 2)],
        *[consumer] * (threads // 2),
    )
    assert sorted(left) == sorted(entered)
    assert queue.audit().free == 20


def test_an_immediate_shutdown_counts_while_others_put(in_child: Callable[..., str]) -> None:
    # It once made its list for as many as waited, and filled it for as many as waited a moment later: past its end.
    in_child(
        """
import threading
import mtsid
for _ in range(50):
    queue = mtsid.MessageQueue(1_000_000)
    queue.put_many(range(20_000))
    entered, left, start = [], [], threading.Barrier(4)
    def put():
        start.wait()
        try:
            while True:
                entered.append(len(queue.put_many([1, 2, 3])))
        except mtsid.ShutDown:
            pass
    threads = [threading.Thread(target=put) for _ in range(3)]
    for thread in threads:
        thread.start()
    start.wait()
    while len(queue) < 20_030:
        pass
    left = queue.shutdown(immediate=True)
    for thread in threads:
        thread.join()
    assert len(left) == 20_000 + sum(entered)
    assert None not in left
    del left  # where the allocator of -X dev looks at the list's ends
""",
        options=("-X", "dev"),
    )


class Refused(Exception):
    """What `on_dead` raises now and then."""


@pytest.mark.parametrize("most", [1, 3])
def test_every_message_is_acked_or_dies_once_whoever_nacks(most: int, run_threads: Threads) -> None:
    """Consumers nack at random, an operator nacks by number what others hold, and `on_dead` refuses some at first."""
    dead: list[int] = []
    acked: list[int] = []
    left = threading.Semaphore(0)

    def on_dead(message: Message[int]) -> None:
        if message.body % 5 == 0 and message.deliveries < most + 2:
            raise Refused
        dead.append(message.body)

    queue: MessageQueue[int] = MessageQueue(30, max_deliveries=most, on_dead=on_dead)

    def produce(first: int) -> None:
        for body in range(first, first + 500):
            queue.put(body)
        left.release()

    def consume(seed: int) -> None:
        chance = random.Random(seed)
        with suppress(ShutDown):
            while True:
                message = queue.get()
                with suppress(Stale, Refused):
                    if chance.randrange(2):
                        queue.nack(message)
                    else:
                        queue.ack(message)
                        acked.append(message.body)

    def operate() -> None:
        chance = random.Random(0)
        for _ in range(3000):
            with suppress(NotInUse, Refused):
                queue.nack(chance.randrange(1, 31))

    def close() -> None:
        assert left.acquire(timeout=60)
        assert left.acquire(timeout=60)
        queue.shutdown()

    run_threads(
        lambda: produce(0), lambda: produce(500), lambda: consume(1), lambda: consume(2), operate, close, seconds=120
    )
    assert sorted(acked + dead) == list(range(1000))
    stats = queue.stats()
    assert (stats.put, stats.acked, stats.dead, len(queue)) == (1000, len(acked), len(dead), 0)
    queue.audit()
