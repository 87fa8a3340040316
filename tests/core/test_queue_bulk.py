"""`put_many` is all or none; `get_many` waits for the first only; `ack_many` settles what it can and lists the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mtsid import Empty, Full, MessageQueue, NotInUse, ShutDown


def filled(count: int, maxsize: int = 10) -> MessageQueue[int]:
    queue: MessageQueue[int] = MessageQueue(maxsize)
    queue.put_many(range(count))
    return queue


def bodies(messages: list[Any]) -> list[Any]:
    return [message.body for message in messages]


# In ---------------------------------------------------------------------------------------------------------------


def test_put_many_returns_the_numbers_in_the_order_of_the_items() -> None:
    queue: MessageQueue[str] = MessageQueue(10, first=5)
    numbers = queue.put_many(["a", "b", "c"])
    assert (numbers.dtype.name, numbers.tolist()) == ("uint32", [5, 6, 7])
    assert [queue.peek(number) for number in numbers] == ["a", "b", "c"]


def test_put_many_takes_anything_iterable() -> None:
    queue: MessageQueue[Any] = MessageQueue(10)
    queue.put_many(n for n in range(2))
    queue.put_many({"x": 1})
    queue.put_many(np.array([7]))
    assert bodies(queue.get_many(9)) == [0, 1, "x", 7]


def test_put_many_of_one_priority() -> None:
    queue = filled(2)
    queue.put_many([10, 11], priority="urgent")
    assert bodies(queue.get_many(9)) == [10, 11, 0, 1]


def test_put_many_without_room_for_all_puts_none() -> None:
    queue = filled(8)
    with pytest.raises(Full) as caught:
        queue.put_many([1, 2, 3], False)
    assert (caught.value.live, caught.value.capacity, caught.value.wanted) == (8, 10, 3)
    assert len(queue) == 8
    assert len(queue.put_many([1, 2], False)) == 2


def test_more_than_the_queue_can_ever_hold_is_full_at_once() -> None:
    queue = filled(0)
    with pytest.raises(Full):
        queue.put_many(range(11))
    with pytest.raises(Full):
        queue.put_many(range(11), timeout=None)
    assert len(queue) == 0


def test_put_many_of_nothing_is_an_empty_array_even_when_full() -> None:
    queue = filled(10)
    assert queue.put_many([]).shape == (0,)


def test_an_iterable_that_fails_puts_nothing() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more")

    queue = filled(1)
    with pytest.raises(RuntimeError, match="no more"):
        queue.put_many(items())
    assert len(queue) == 1


@pytest.mark.parametrize("count", [255, 256, 257, 1000, 70_000])
def test_put_many_makes_memory_as_it_needs_it(count: int) -> None:
    queue = filled(0, maxsize=70_000)
    queue.put(-1)
    numbers = queue.put_many(range(min(count, 69_999)))
    assert len(set(numbers.tolist())) == len(numbers)
    assert bodies(queue.get_many(70_000)) == [-1, *range(len(numbers))]
    queue.audit()


# Out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "got"), [(1, [0]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (5, [0, 1, 2, 3]), (2**70, [0, 1, 2, 3])]
)
def test_get_many_gets_what_there_is_up_to_so_many(most: int, got: list[int]) -> None:
    queue = filled(4)
    assert bodies(queue.get_many(most)) == got
    assert queue.in_flight() == len(got)


def test_get_many_of_none_takes_nothing_and_does_not_wait() -> None:
    assert MessageQueue(1).get_many(0) == []


def test_get_many_of_an_empty_queue_is_empty() -> None:
    queue = filled(1)
    queue.get()
    with pytest.raises(Empty) as caught:
        queue.get_many(5, False)
    assert caught.value.in_flight == 1


def mixed() -> MessageQueue[int]:
    """Three lines; in the first two, messages that came back before some that were never got."""
    queue: MessageQueue[int] = MessageQueue(20)
    queue.put_many(range(6))
    queue.put_many([10, 11], priority="urgent")
    queue.put_many([20, 21, 22], priority="non-urgent")
    for message in reversed(queue.get_many(5)):
        queue.nack(message)
    queue.put_many([12, 13], priority="urgent")
    return queue


def used(queue: MessageQueue[int], left: int) -> MessageQueue[int]:
    """Nearly all of its numbers were used and are free again, in an order of their own; `left` messages wait."""
    queue.put_many(range(100, 100 + queue.maxsize - 3))
    queue.ack_many([4, 2, 5])
    while queue.qsize() > left:
        queue.ack(queue.get(False))
    return queue


@pytest.mark.parametrize("count", range(8))
@pytest.mark.parametrize("left", range(3))
def test_put_many_puts_as_as_many_puts_do(left: int, count: int) -> None:
    """Into numbers never used, then into those free again; behind others, or as the first of their line."""
    queue, other = used(MessageQueue(20), left), used(MessageQueue(20), left)
    numbers = queue.put_many(range(count), priority="urgent").tolist()
    assert numbers == [other.put(n, priority="urgent") for n in range(count)]
    for each in (queue, other):
        each.audit()
    assert queue.put_many([7, 8]).tolist() == [other.put(7), other.put(8)]
    for each in (queue, other):
        for number in numbers[1::2]:
            each.delete(number)
        each.put(9)
        each.audit()
    assert np.array_equal(queue.snapshot(), other.snapshot())
    assert bodies(queue.get_many(20, False)) == [other.get(False).body for _ in range(other.qsize())]
    assert queue.stats() == other.stats()


@pytest.mark.parametrize("most", range(1, 14))
def test_get_many_takes_what_as_many_gets_take_and_leaves_what_they_leave(most: int) -> None:
    queue, other = mixed(), mixed()
    taken, expected = queue.get_many(most), [other.get() for _ in range(most)]
    assert [repr(message) for message in taken] == [repr(message) for message in expected]
    for each in (queue, other):
        each.put(7)
        each.delete(int(each.snapshot()["mtsid"][0]))  # the head of what is left
        each.audit()
    assert np.array_equal(queue.snapshot(), other.snapshot())
    for each, messages in ((queue, taken), (other, expected)):
        each.ack_many(messages[::2])
        for message in messages[1::2]:
            each.nack(message)
        each.audit()
    assert bodies(queue.get_many(20)) == [other.get().body for _ in range(other.qsize())]


def test_each_message_of_get_many_is_a_receipt_of_its_own() -> None:
    queue = filled(3)
    first, second, third = queue.get_many(3)
    queue.nack(second)
    queue.ack(first)
    queue.ack(third)
    assert bodies(queue.get_many(3)) == [1]


# Settled ----------------------------------------------------------------------------------------------------------


def test_ack_many_takes_messages_and_numbers_mixed() -> None:
    queue = filled(5)
    messages = queue.get_many(3)
    queue.ack_many([messages[2], 1, messages[1], 5])
    assert queue.snapshot()["mtsid"].tolist() == [4]


@pytest.mark.parametrize("spelling", [tuple, iter, list])
def test_ack_many_takes_any_sequence(spelling: Any) -> None:
    queue = filled(3)
    queue.ack_many(spelling(queue.get_many(3)))
    assert len(queue) == 0


def test_ack_many_takes_an_array_of_numbers() -> None:
    queue: MessageQueue[int] = MessageQueue(100)
    queue.ack_many(queue.put_many(range(100)))
    assert len(queue) == 0


def test_ack_many_skips_what_is_not_live_settles_the_rest_and_lists_the_refused() -> None:
    queue, other = filled(6), filled(1)
    messages = queue.get_many(4)
    foreign = other.get()
    queue.ack(messages[0])
    queue.nack(messages[1])
    keys: list[Any] = [foreign, messages[3], 9, messages[0], 6, messages[1]]
    with pytest.raises(NotInUse) as caught:
        queue.ack_many(keys)
    assert caught.value.refused == (foreign, 9, messages[0], messages[1])
    assert queue.snapshot()["mtsid"].tolist() == [2, 5, 3]
    other.ack(foreign)


@pytest.mark.parametrize("count", range(7))
def test_ack_many_settles_as_as_many_acks_do(count: int) -> None:
    """The numbers are free again in the same order, and what is between the deliveries breaks no run."""
    queue, other = used(MessageQueue(10), 0), used(MessageQueue(10), 0)
    for each in (queue, other):
        each.put_many(range(10))
    first, second = queue.get_many(8), other.get_many(8)
    order = [6, 0, 3, 7, 5, 2][:count]
    keys: list[Any] = [first[n] for n in order]
    keys[2:2] = [first[1].mtsid] * (count > 2)
    queue.ack_many(keys)
    for key in [*order[:2], 1, *order[2:]] if count > 2 else order:
        other.ack(second[key] if key != 1 else second[1].mtsid)
    for each in (queue, other):
        each.audit()
    assert np.array_equal(queue.snapshot(), other.snapshot())
    room = 10 - len(queue)
    assert queue.put_many(range(room)).tolist() == [other.put(n) for n in range(room)]
    assert queue.stats() == other.stats()


def test_a_delivery_that_others_have_settled_ends_no_run() -> None:
    queue = filled(6)
    messages = queue.get_many(6)
    queue.nack(messages[2])
    queue.delete(messages[4].mtsid)
    again = queue.get()
    with pytest.raises(NotInUse) as caught:
        queue.ack_many(messages)
    assert caught.value.refused == (messages[2], messages[4])
    assert (again.body, queue.in_flight(), queue.stats().stale) == (2, 1, 2)
    queue.ack_many([again])


def test_a_batch_that_had_no_place_is_its_callers_again() -> None:
    bodies = [[n] for n in range(5)]
    before = [sys.getrefcount(body) for body in bodies]
    queue: MessageQueue[Any] = MessageQueue(4)
    for _ in range(3):
        with pytest.raises(Full):
            queue.put_many(bodies, False)
    assert [sys.getrefcount(body) for body in bodies] == before
    queue.put_many(bodies[:4])
    assert [sys.getrefcount(body) for body in bodies] == [*(count + 1 for count in before[:4]), before[4]]
    queue.ack_many(queue.get_many(4))
    assert [sys.getrefcount(body) for body in bodies] == before


def test_ack_many_of_nothing_does_nothing() -> None:
    queue = filled(1)
    queue.ack_many([])
    assert len(queue) == 1


def test_ack_many_of_thousands() -> None:
    queue: MessageQueue[int] = MessageQueue(5000)
    queue.put_many(range(5000))
    messages = queue.get_many(5000)
    queue.ack_many(messages[::2])
    with pytest.raises(NotInUse) as caught:
        queue.ack_many(messages)
    assert caught.value.refused == tuple(messages[::2])
    assert queue.audit().free == 5000


def test_put_many_after_a_shutdown_puts_nothing() -> None:
    queue = filled(1)
    queue.shutdown()
    with pytest.raises(ShutDown):
        queue.put_many([1, 2])
    assert len(queue) == 1
