"""Promises of `MessageQueue.stats`: what was put is here or has left, and what each number counts."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from mtsid import Empty, Full, Message, MessageQueue, NotInUse, QueueStats, ShutDown, Stale


def balanced(queue: MessageQueue[Any]) -> QueueStats:
    stats = queue.stats()
    left = stats.acked + stats.deleted + stats.dead + stats.discarded
    assert stats.put == stats.waiting + stats.in_flight + left
    assert stats.capacity == stats.free + stats.waiting + stats.in_flight
    assert (stats.waiting, stats.in_flight) == (queue.qsize(), queue.in_flight())
    assert stats.waiting + stats.in_flight <= stats.high_water <= min(stats.capacity, stats.put)
    return stats


def test_a_new_queue_has_counted_nothing() -> None:
    assert balanced(MessageQueue(99)) == QueueStats(99, 0, 0, 99, *[0] * 14)


def test_every_way_in_and_out_is_counted() -> None:
    dead: list[Message[str]] = []
    queue: MessageQueue[str] = MessageQueue(99, max_deliveries=2, on_dead=dead.append)
    queue.put("a")
    queue.put_many("bcdefgh")
    queue.ack(queue.get())
    queue.ack_many([*queue.get_many(2), 4])  # 4 waits still
    queue.delete(5)
    queue.nack(queue.get())
    queue.nack(queue.get())  # the second time
    with queue.receive():
        pass
    assert [message.body for message in dead] == ["f"]
    stats = balanced(queue)
    assert (stats.put, stats.got, stats.acked, stats.returned) == (8, 6, 5, 1)
    assert (stats.deleted, stats.dead, stats.discarded, stats.waiting) == (1, 1, 0, 1)
    flying = queue.get()
    queue.put("i")
    assert queue.shutdown(immediate=True) == ["i"]
    with pytest.raises(ShutDown):
        queue.nack(flying)
    stats = balanced(queue)
    assert (stats.put, stats.got, stats.discarded, stats.waiting, stats.in_flight) == (9, 7, 2, 0, 0)


def test_a_message_that_on_dead_refused_has_come_back_once_more() -> None:
    def refuse(message: Message[str]) -> None:
        raise ZeroDivisionError

    queue: MessageQueue[str] = MessageQueue(9, max_deliveries=1, on_dead=refuse)
    queue.put("a")
    with pytest.raises(ZeroDivisionError):
        queue.nack(queue.get())
    assert (balanced(queue).returned, balanced(queue).dead) == (1, 0)


def test_the_high_water_mark_is_exact() -> None:
    queue: MessageQueue[int] = MessageQueue(1000)
    queue.put_many(range(300))
    assert balanced(queue).high_water == 300
    queue.ack_many(queue.get_many(250))
    queue.put_many(range(100))
    assert balanced(queue).high_water == 300
    queue.put_many(range(200))
    assert balanced(queue).high_water == 350
    queue.shutdown(immediate=True)
    assert balanced(queue).high_water == 350


def test_full_and_empty_count_calls_that_ended_so() -> None:
    queue: MessageQueue[str] = MessageQueue(2)
    for timeout in (0, 0.001):  # however often it looked
        with pytest.raises(Empty):
            queue.get(timeout=timeout)
    with pytest.raises(Empty):
        queue.get_many(2, False)
    with pytest.raises(Empty):
        queue.get_async(0).send(None)
    queue.put_many("ab")
    for timeout in (0, 0.001):
        with pytest.raises(Full):
            queue.put("c", timeout=timeout)
    with pytest.raises(Full):
        queue.put_many("cde")
    with pytest.raises(Full):
        queue.put_async("c", 0).send(None)
    queue.shutdown()
    with pytest.raises(ShutDown):
        queue.put("c")
    assert (balanced(queue).empty, balanced(queue).full) == (4, 4)


def test_stale_receipts_and_numbers_that_nobody_has_are_counted() -> None:
    queue: MessageQueue[str] = MessageQueue(9)
    queue.put_many("ab")
    other: MessageQueue[str] = MessageQueue(9)
    other.put("c")
    foreign, message = other.get(), queue.get()
    queue.ack(message)
    for verb in (queue.ack, queue.nack):
        with pytest.raises(Stale):
            verb(message)
        with pytest.raises(Stale):
            verb(foreign)
        with pytest.raises(NotInUse):
            verb(1)
    with pytest.raises(NotInUse):
        queue.delete(1)
    with pytest.raises(NotInUse):
        queue.ack_many([message, 3, 2, foreign])
    assert (balanced(queue).stale, balanced(queue).refused) == (6, 4)


def test_what_changes_nothing_counts_nothing() -> None:
    queue: MessageQueue[str] = MessageQueue(9)
    queue.put("a")
    before = queue.stats()
    queue.nack(1), queue.peek(1), queue.snapshot(), queue.audit(), len(queue)  # type: ignore[func-returns-value]
    for call in (lambda: queue.ack(77), lambda: queue.ack_many([1, 1]), lambda: queue.peek(2)):
        with contextlib.suppress(ValueError):
            call()
    assert queue.stats() == before
