"""`Message`: what it shows, and what it does not allow."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest

from mtsid import Message, MessageQueue


@pytest.fixture
def message() -> Message[str]:
    queue: MessageQueue[str] = MessageQueue(10, first=7)
    queue.put("hello", priority="urgent")
    return queue.get()


def test_it_shows_number_body_deliveries_and_priority(message: Message[str]) -> None:
    assert (message.mtsid, message.body, message.deliveries, message.priority) == (7, "hello", 1, "urgent")


@pytest.mark.parametrize("name", ["mtsid", "body", "deliveries", "priority", "receipt", "note"])
def test_it_is_immutable(message: Message[str], name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(message, name, 1)


def test_it_is_made_by_get_only() -> None:
    with pytest.raises(TypeError, match=r"MessageQueue\.get"):
        Message()
    with pytest.raises(TypeError):
        type("Forged", (Message,), {})


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_can_be_neither_pickled_nor_copied(message: Message[str], way: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        way(message)


def test_it_is_equal_to_itself_only_and_may_be_a_key(message: Message[str]) -> None:
    queue: MessageQueue[str] = MessageQueue(10, first=7)
    queue.put("hello", priority="urgent")
    assert message != queue.get()
    assert {message: 1}[message] == 1


def test_its_repr_tells_all(message: Message[str]) -> None:
    assert repr(message) == "<Message 7, urgent, delivery 1: 'hello'>"


def test_it_is_generic_for_type_checkers() -> None:
    assert Message[int].__origin__ is Message  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", ["ack", "nack"])
def test_one_that_came_about_otherwise_settles_nothing(verb: str) -> None:
    queue: MessageQueue[Any] = MessageQueue(1)
    queue.put("a")
    queue.get()
    with pytest.raises(KeyError):
        getattr(queue, verb)(Message.__new__(Message))
    assert queue.in_flight() == 1


@pytest.mark.parametrize("verb", ["ack", "nack"])
def test_what_lay_in_its_memory_before_settles_nothing_either(verb: str) -> None:
    """With the GIL a new message is made where an old one was: one that was got, and dropped without a word."""
    queue: MessageQueue[Any] = MessageQueue(1)
    queue.put("a")
    queue.get()
    with pytest.raises(KeyError):
        getattr(queue, verb)(blank := Message.__new__(Message))
    assert (blank.body, blank.mtsid, blank.deliveries) == (None, 0, 0)
    assert queue.in_flight() == 1


@pytest.mark.parametrize(
    ("body", "tracked"), [(b"bytes", False), ("text", False), (None, False), (7, False), ([], True)]
)
def test_the_collector_looks_at_one_whose_body_may_be_part_of_a_cycle(body: object, tracked: bool) -> None:
    queue: MessageQueue[Any] = MessageQueue(10)
    queue.put_many([body] * 5)
    assert [gc.is_tracked(message) for message in [queue.get(), *queue.get_many(4)]] == [tracked] * 5
    queue.ack_many(range(1, 6))
    queue.put([])
    message = queue.get()  # where an untracked one was, perhaps
    assert gc.is_tracked(message)
    assert gc.get_referents(message) == [[]]


def test_the_collector_looks_at_one_whose_body_holds_others_that_it_does_not_see() -> None:
    """An array of objects is not the collector's, nor is a date with its time zone; they may hold messages."""
    queue: MessageQueue[Any] = MessageQueue(10)
    for body in (np.empty(1, object), datetime.now(timezone.utc)):
        queue.put(body)
        assert not gc.is_tracked(body)
        assert gc.is_tracked(queue.get())


def test_more_of_them_than_are_kept_come_and_go() -> None:
    """Memory of the dead is kept for 256 of them; here many more die at once, of both kinds."""
    queue: MessageQueue[Any] = MessageQueue(3000)
    for _ in range(3):
        queue.put_many([b"", []] * 1500)
        messages = queue.get_many(3000)
        assert [message.body for message in messages] == [b"", []] * 1500
        queue.ack_many(messages)
