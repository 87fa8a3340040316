"""What each verb does after `shutdown()` and after `shutdown(immediate=True)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Empty, MessageQueue, NotInUse, ShutDown, Stale


@pytest.fixture
def queue() -> MessageQueue[str]:
    """a, b, c and d wait."""
    queue: MessageQueue[str] = MessageQueue(10)
    queue.put_many("abcd")
    return queue


@pytest.mark.parametrize("immediate", [False, True])
@pytest.mark.parametrize(
    "put",
    [
        lambda q: q.put("x"),
        lambda q: q.put("x", False),
        lambda q: q.put("x", timeout=0),
        lambda q: q.put_nowait("x"),
        lambda q: q.put_many("xy"),
        lambda q: q.put_many("xy", False),
    ],
)
def test_a_put_is_refused(queue: MessageQueue[str], put: Callable[[Any], object], immediate: bool) -> None:
    queue.shutdown(immediate)
    before = len(queue)
    with pytest.raises(ShutDown) as caught:
        put(queue)
    assert (len(queue), caught.value.discarded) == (before, ())


def test_a_put_into_a_full_queue_is_refused_for_the_shutdown() -> None:
    queue: MessageQueue[str] = MessageQueue(1)
    queue.put("a")
    queue.shutdown()
    with pytest.raises(ShutDown):
        queue.put("b")


def test_what_waits_is_still_served_and_then_comes_the_end(queue: MessageQueue[str]) -> None:
    assert queue.shutdown() == []
    for body in "abcd":
        message = queue.get()
        assert message.body == body
        queue.ack(message)
    for get in (queue.get, queue.get_nowait, lambda: queue.get(timeout=0), lambda: queue.get_many(3)):
        with pytest.raises(ShutDown):
            get()


def test_a_returned_message_is_served_again(queue: MessageQueue[str]) -> None:
    message = queue.get()
    queue.shutdown()
    queue.nack(message)
    assert (queue.get().body, queue.get().body) == ("a", "b")


def test_while_something_is_in_flight_it_is_empty_not_over(queue: MessageQueue[str]) -> None:
    queue.shutdown()
    messages = queue.get_many(4)
    with pytest.raises(Empty) as caught:
        queue.get_nowait()
    assert caught.value.in_flight == 4
    queue.ack_many(messages)
    with pytest.raises(ShutDown):
        queue.get_nowait()


def test_a_shutdown_of_an_empty_queue_is_its_end() -> None:
    queue: MessageQueue[str] = MessageQueue(1)
    assert queue.shutdown() == []
    with pytest.raises(ShutDown):
        queue.get()
    queue.join()


def test_an_immediate_shutdown_returns_what_it_discarded_in_the_order_of_service() -> None:
    queue: MessageQueue[str] = MessageQueue(10)
    for priority in ("non-urgent", "normal", "urgent"):
        queue.put(f"{priority} 1", priority=priority)
        queue.put(f"{priority} 2", priority=priority)
    messages = queue.get_many(4)
    queue.nack(messages[2])
    queue.nack(messages[0])
    discarded = queue.shutdown(immediate=True)
    assert discarded == ["urgent 1", "normal 1", "non-urgent 1", "non-urgent 2"]
    assert (queue.qsize(), queue.in_flight(), queue.audit().free) == (0, 2, 8)


def test_after_an_immediate_shutdown_a_message_in_flight_may_be_settled(queue: MessageQueue[str]) -> None:
    message = queue.get()
    queue.shutdown(immediate=True)
    queue.ack(message)
    assert len(queue) == 0
    with pytest.raises(ShutDown):
        queue.get()


@pytest.mark.parametrize("by_number", [False, True])
def test_after_an_immediate_shutdown_a_returned_message_is_discarded(queue: MessageQueue[str], by_number: bool) -> None:
    message = queue.get()
    queue.shutdown(immediate=True)
    with pytest.raises(ShutDown) as caught:
        queue.nack(message.mtsid if by_number else message)
    assert caught.value.discarded == ("a",)
    assert queue.audit().free == 10
    with pytest.raises(Stale):
        queue.ack(message)
    with pytest.raises(NotInUse):
        queue.nack(message.mtsid)


def test_an_immediate_shutdown_after_an_ordinary_one(queue: MessageQueue[str]) -> None:
    queue.shutdown()
    assert queue.shutdown(immediate=True) == ["a", "b", "c", "d"]
    assert queue.shutdown(immediate=True) == []


def test_an_ordinary_shutdown_does_not_soften_an_immediate_one(queue: MessageQueue[str]) -> None:
    message = queue.get()
    queue.shutdown(immediate=True)
    assert queue.shutdown() == []
    with pytest.raises(ShutDown):
        queue.nack(message)


def test_an_operator_may_look_and_delete_after_a_shutdown(queue: MessageQueue[str]) -> None:
    queue.shutdown()
    assert (queue.peek(2), queue.delete(2), queue.qsize()) == ("b", "b", 3)
    queue.ack(3)
    queue.audit()


def test_the_numbers_of_the_discarded_are_not_live(queue: MessageQueue[str]) -> None:
    queue.shutdown(immediate=True)
    for number in range(1, 5):
        with pytest.raises(NotInUse):
            queue.ack(number)
