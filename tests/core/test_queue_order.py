"""The promise of order: FIFO by entry within a priority, urgent first, and a returned message in its old place."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from mtsid import MessageQueue

PRIORITIES: tuple[Any, ...] = ("urgent", "normal", "non-urgent")


def drained(queue: MessageQueue[Any]) -> list[Any]:
    return [message.body for message in queue.get_many(10**6, False)] if queue.qsize() else []


def test_first_in_first_out() -> None:
    queue: MessageQueue[int] = MessageQueue(1000)
    queue.put_many(range(1000))
    assert drained(queue) == list(range(1000))


def test_urgent_before_normal_before_non_urgent() -> None:
    queue: MessageQueue[tuple[str, int]] = MessageQueue(90)
    for n in range(90):
        priority = random.Random(n).choice(PRIORITIES)
        queue.put((priority, n), priority=priority)
    bodies = drained(queue)
    assert bodies == sorted(bodies, key=lambda body: (PRIORITIES.index(body[0]), body[1]))


def test_an_urgent_message_overtakes_those_that_wait_not_those_in_flight() -> None:
    queue: MessageQueue[str] = MessageQueue(10)
    queue.put_many(["first", "second"])
    first = queue.get()
    queue.put("urgent", priority="urgent")
    queue.nack(first)
    assert drained(queue) == ["urgent", "first", "second"]


@pytest.mark.parametrize("returns", list(itertools.permutations(range(4))))
def test_whatever_the_order_of_returns_messages_stand_by_entry(returns: tuple[int, ...]) -> None:
    queue: MessageQueue[int] = MessageQueue(10)
    queue.put_many(range(6))
    taken = queue.get_many(4)
    for n in returns:
        queue.nack(taken[n])
        queue.audit()
    assert drained(queue) == list(range(6))


def test_a_returned_message_goes_back_among_its_own_priority() -> None:
    queue: MessageQueue[str] = MessageQueue(20)
    for n, priority in itertools.product(range(2), PRIORITIES):
        queue.put(f"{priority} {n}", priority=priority)
    taken = queue.get_many(5)
    for n in (4, 0, 2, 3, 1):
        queue.nack(taken[n])
    assert drained(queue) == [f"{priority} {n}" for priority in PRIORITIES for n in range(2)]


def test_returned_messages_stand_before_those_that_entered_later() -> None:
    queue: MessageQueue[str] = MessageQueue(10)
    queue.put("old")
    message = queue.get()
    queue.put("new")
    queue.nack(message)
    assert drained(queue) == ["old", "new"]


def test_entry_counts_not_the_number() -> None:
    queue: MessageQueue[str] = MessageQueue(2)
    queue.put_many(["first", "second"])
    queue.ack(queue.get())
    assert queue.put("third") == 1
    assert drained(queue) == ["second", "third"]


@pytest.mark.parametrize("seed", range(5))
def test_many_returns_in_random_order_with_deletions_between(seed: int) -> None:
    chance = random.Random(seed)
    queue: MessageQueue[int] = MessageQueue(2000)
    numbers = queue.put_many(range(2000)).tolist()
    taken = queue.get_many(1500)
    chance.shuffle(taken)
    gone = set()
    for message in taken:
        if message.body in gone:
            continue
        queue.nack(message)
        if chance.random() < 0.3:
            victim = chance.randrange(2000)
            if victim not in gone:
                gone.add(queue.delete(numbers[victim]))
        if chance.random() < 0.05:
            queue.nack(queue.get())
            queue.audit()
    assert drained(queue) == [n for n in range(2000) if n not in gone]
    queue.audit()


def test_a_number_rests_while_others_are_free() -> None:
    queue: MessageQueue[None] = MessageQueue(5)
    given = []
    for _ in range(10):
        given.append(queue.put(None))
        queue.ack(queue.get())
    assert given == [1, 2, 3, 4, 5] * 2
