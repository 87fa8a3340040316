"""Promises of `MessageQueue`: entry, delivery, settlement, the operator's verbs, counts."""

from __future__ import annotations

import copy
import pickle
import queue as standard
from collections.abc import Callable
from typing import Any

import pytest

import mtsid
from mtsid import Empty, Full, MessageQueue, MtsidError, NotInUse, ShutDown, Stale

LARGEST = 2**32 - 1


def filled(*bodies: Any, maxsize: int = 10) -> MessageQueue[Any]:
    queue: MessageQueue[Any] = MessageQueue(maxsize)
    for body in bodies:
        queue.put(body)
    return queue


def rows(queue: MessageQueue[Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in queue.snapshot().tolist()]


# In and out -------------------------------------------------------------------------------------------------------


def test_a_message_keeps_its_number_until_it_leaves() -> None:
    queue = filled("a", "b")
    message = queue.get()
    assert (message.mtsid, message.body, message.deliveries, message.priority) == (1, "a", 1, "normal")
    queue.nack(message)
    again = queue.get()
    assert (again.mtsid, again.body, again.deliveries) == (1, "a", 2)
    queue.ack(again)
    assert rows(queue) == [(2, "waiting", "normal", 0)]


@pytest.mark.parametrize(("maxsize", "first"), [(1, 0), (1, 1), (3, 0), (1, LARGEST), (4, LARGEST - 3), (600, 5)])
def test_exactly_the_numbers_of_the_range_are_given(maxsize: int, first: int) -> None:
    queue: MessageQueue[int] = MessageQueue(maxsize, first=first)
    for turn in range(3):
        given = [queue.put(n) for n in range(maxsize)]
        assert sorted(given) == list(range(first, first + maxsize)), turn
        with pytest.raises(Full):
            queue.put_nowait(None)  # type: ignore[arg-type]
        queue.ack_many(queue.get_many(maxsize))
        queue.audit()


def test_the_largest_queue_costs_little_until_it_is_used() -> None:
    queue: MessageQueue[str] = MessageQueue(LARGEST, first=0)
    assert queue.put("a") == 0
    assert (len(queue), queue.maxsize, queue.audit().free) == (1, LARGEST, LARGEST - 1)


def test_any_object_may_be_a_body() -> None:
    things: list[Any] = [None, False, 0, "", [], (), object(), Full(), float("nan")]
    queue = filled(*things)
    assert all(queue.get().body is thing for thing in things)


def test_nothing_is_lost_or_doubled_when_slots_are_used_again_and_again() -> None:
    queue = filled(maxsize=3)
    seen = []
    for n in range(1000):
        queue.put(n)
        if n % 3 == 2:
            for message in queue.get_many(3):
                seen.append(message.body)
                queue.ack(message)
    assert seen == list(range(999))
    assert queue.audit().waiting == 1


# A Message is the receipt of one delivery -------------------------------------------------------------------------


def settled(queue: MessageQueue[Any], message: Any) -> None:
    queue.ack(message)


def returned(queue: MessageQueue[Any], message: Any) -> None:
    queue.nack(message)


def returned_and_got_again(queue: MessageQueue[Any], message: Any) -> None:
    queue.nack(message)
    assert queue.get().mtsid == message.mtsid


def deleted_in_flight(queue: MessageQueue[Any], message: Any) -> None:
    assert queue.delete(message.mtsid) == message.body


def settled_by_number(queue: MessageQueue[Any], message: Any) -> None:
    queue.ack(message.mtsid)


def number_reused(queue: MessageQueue[Any], message: Any) -> None:
    queue.ack(message)
    while queue.put("another") != message.mtsid:
        pass


def number_reused_and_got(queue: MessageQueue[Any], message: Any) -> None:
    number_reused(queue, message)
    while queue.get().mtsid != message.mtsid:
        pass


ENDINGS = [
    settled,
    returned,
    returned_and_got_again,
    deleted_in_flight,
    settled_by_number,
    number_reused,
    number_reused_and_got,
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("verb", ["ack", "nack"])
def test_a_delivery_that_ended_is_stale(ending: Callable[[Any, Any], None], verb: str) -> None:
    queue = filled("a", "b")
    message = queue.get()
    ending(queue, message)
    before = rows(queue)
    with pytest.raises(Stale) as caught:
        getattr(queue, verb)(message)
    assert caught.value.id == message.mtsid
    assert isinstance(caught.value, NotInUse)
    assert rows(queue) == before


@pytest.mark.parametrize("verb", ["ack", "nack"])
def test_a_delivery_of_another_queue_is_stale(verb: str) -> None:
    queue, other = filled("a"), filled("a")
    message = other.get()
    queue.get()
    before = rows(queue)
    with pytest.raises(Stale):
        getattr(queue, verb)(message)
    assert rows(queue) == before
    other.ack(message)


def test_a_delivery_of_a_queue_that_is_gone_is_stale_in_the_next_one() -> None:
    queue = filled("a")
    message = queue.get()
    del queue
    for _ in range(100):
        queue = filled("b")
        queue.get()
        with pytest.raises(Stale):
            queue.ack(message)


def test_only_the_latest_of_many_deliveries_counts() -> None:
    queue = filled("a")
    deliveries = []
    for n in range(1, 300):
        deliveries.append(queue.get())
        assert deliveries[-1].deliveries == n
        queue.nack(deliveries[-1])
    last = queue.get()
    for old in deliveries:
        with pytest.raises(Stale):
            queue.ack(old)
    queue.ack(last)


# A bare number ----------------------------------------------------------------------------------------------------


def test_a_bare_number_settles_a_message_in_flight() -> None:
    queue = filled("a", "b")
    queue.get()
    queue.ack(1)
    assert rows(queue) == [(2, "waiting", "normal", 0)]


def test_a_bare_number_settles_a_message_that_waits() -> None:
    queue = filled("a", "b", "c")
    queue.ack(2)
    assert [queue.get().body, queue.get().body, queue.empty()] == ["a", "c", True]


def test_a_bare_number_cannot_be_told_from_its_reuse() -> None:
    queue = filled("a", maxsize=1)
    queue.ack(queue.get())
    assert queue.put("b") == 1
    queue.ack(1)
    assert len(queue) == 0


def test_a_bare_number_returns_a_message_in_flight() -> None:
    queue = filled("a", "b")
    queue.get()
    queue.nack(1)
    assert [queue.get().body, queue.get().body] == ["a", "b"]


def test_to_return_what_waits_already_changes_nothing() -> None:
    queue = filled("a", "b")
    queue.nack(queue.get())
    before = rows(queue)
    queue.nack(1)
    queue.nack(2)
    assert rows(queue) == before


@pytest.mark.parametrize("verb", ["ack", "nack", "peek", "delete"])
@pytest.mark.parametrize("number", [1, 3, 10])
def test_a_number_that_is_not_live_is_refused(verb: str, number: int) -> None:
    queue = filled("a", "b")
    queue.ack(1)
    with pytest.raises(NotInUse) as caught:
        getattr(queue, verb)(number)
    assert type(caught.value) is NotInUse
    assert (caught.value.id, rows(queue)) == (number, [(2, "waiting", "normal", 0)])


def test_a_number_is_whatever_has_an_index() -> None:
    class Number:
        def __index__(self) -> int:
            return 1

    queue: MessageQueue[str] = MessageQueue(Number(), first=Number())
    queue.put("a")
    assert queue.peek(Number()) == "a"
    queue.get()
    queue.nack(Number())
    queue.get()
    queue.ack(Number())
    with pytest.raises(NotInUse) as caught:
        queue.delete(Number())
    assert caught.value.id == 1


# An operator's hand -----------------------------------------------------------------------------------------------


def test_peek_shows_a_body_and_leaves_it_there() -> None:
    queue = filled("a", "b")
    queue.get()
    assert (queue.peek(1), queue.peek(2), len(queue)) == ("a", "b", 2)


def test_delete_of_a_waiting_message_takes_it_out_of_the_line() -> None:
    queue = filled("a", "b", "c")
    assert queue.delete(2) == "b"
    assert [queue.get().body, queue.get().body, queue.empty()] == ["a", "c", True]
    queue.audit()


def test_delete_of_a_returned_message_takes_it_out_of_the_line() -> None:
    queue = filled(*"abcde")
    for message in reversed(queue.get_many(4)):
        queue.nack(message)
    assert queue.delete(2) == "b"
    assert [message.body for message in queue.get_many(9)] == ["a", "c", "d", "e"]
    queue.audit()


def test_delete_in_flight_frees_the_number_at_once_and_the_holders_ack_is_stale() -> None:
    queue = filled("a", maxsize=1)
    message = queue.get()
    assert queue.delete(1) == "a"
    assert queue.put("b") == 1
    with pytest.raises(Stale):
        queue.ack(message)
    assert queue.peek(1) == "b"


# Full and empty ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call", [lambda q: q.put("x", False), lambda q: q.put_nowait("x"), lambda q: q.put("x", timeout=0.001)]
)
def test_full_says_how_full(call: Callable[[MessageQueue[Any]], object]) -> None:
    queue = filled("a", "b", maxsize=2)
    queue.get()
    with pytest.raises(Full) as caught:
        call(queue)
    assert (caught.value.live, caught.value.capacity, caught.value.wanted) == (2, 2, 1)
    assert isinstance(caught.value, (standard.Full, mtsid.Exhausted, MtsidError))
    assert len(queue) == 2


@pytest.mark.parametrize("call", [lambda q: q.get(False), lambda q: q.get_nowait(), lambda q: q.get(timeout=0.001)])
def test_empty_says_what_may_yet_return(call: Callable[[MessageQueue[Any]], object]) -> None:
    queue = filled("a")
    queue.get()
    with pytest.raises(Empty) as caught:
        call(queue)
    assert caught.value.in_flight == 1
    assert isinstance(caught.value, (standard.Empty, MtsidError))


def test_a_message_in_flight_takes_up_room() -> None:
    queue = filled("a", maxsize=1)
    message = queue.get()
    with pytest.raises(Full):
        queue.put_nowait("b")
    queue.ack(message)
    queue.put_nowait("b")


# Counts and views -------------------------------------------------------------------------------------------------


def test_counts_follow_a_message_through_its_life() -> None:
    queue: MessageQueue[str] = MessageQueue(1)

    def counts() -> tuple[object, ...]:
        return queue.qsize(), queue.in_flight(), len(queue), queue.empty(), queue.full()

    assert counts() == (0, 0, 0, True, False)
    queue.put("a")
    assert counts() == (1, 0, 1, False, True)
    message = queue.get()
    assert counts() == (0, 1, 1, True, True)
    queue.nack(message)
    assert counts() == (1, 0, 1, False, True)
    queue.ack(queue.get())
    assert counts() == (0, 0, 0, True, False)


def test_snapshot_lists_those_that_wait_in_order_of_service_then_those_in_flight_by_entry() -> None:
    queue: MessageQueue[str] = MessageQueue(10)
    for priority in ("non-urgent", "normal", "urgent", "normal", "urgent", "non-urgent"):
        queue.put("", priority=priority)
    taken = queue.get_many(3)
    queue.nack(taken[1])
    snapshot = queue.snapshot()
    assert snapshot.dtype.names == ("mtsid", "state", "priority", "deliveries")
    assert snapshot["mtsid"].dtype.name == snapshot["deliveries"].dtype.name == "uint32"
    assert rows(queue) == [
        (5, "waiting", "urgent", 1),
        (4, "waiting", "normal", 0),
        (1, "waiting", "non-urgent", 0),
        (6, "waiting", "non-urgent", 0),
        (2, "in flight", "normal", 1),
        (3, "in flight", "urgent", 1),
    ]


def test_an_empty_queue_has_an_empty_snapshot() -> None:
    snapshot = MessageQueue(5).snapshot()
    assert (len(snapshot), snapshot.dtype.names) == (0, ("mtsid", "state", "priority", "deliveries"))


def test_a_snapshot_does_not_change_with_the_queue() -> None:
    queue = filled("a")
    snapshot = queue.snapshot()
    queue.ack(1)
    assert snapshot["mtsid"].tolist() == [1]


def test_an_audit_counts_every_id_once() -> None:
    queue = filled(*"abcde")
    queue.get_many(3)
    queue.ack(1)
    audit = queue.audit()
    assert (audit.capacity, audit.free, audit.waiting, audit.in_flight, audit.duplicates) == (10, 6, 2, 2, ())


# A Python object among others -------------------------------------------------------------------------------------


def test_a_queue_is_true_even_when_it_is_empty() -> None:
    queue = filled()
    assert queue
    assert (queue or MessageQueue(1)) is queue


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_pickling_and_copying_are_refused(way: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        way(filled("a"))


def test_a_queue_is_generic_for_type_checkers_and_the_same_at_run_time() -> None:
    queue = MessageQueue[int](3)
    assert type(queue) is MessageQueue
    assert queue.put(7) == 1
    assert MessageQueue[int].__origin__ is MessageQueue  # type: ignore[attr-defined]


def test_a_second_init_is_refused_and_changes_nothing() -> None:
    queue = filled("a")
    with pytest.raises(TypeError, match="once"):
        queue.__init__(5)  # type: ignore[misc]
    assert (queue.maxsize, rows(queue)) == (10, [(1, "waiting", "normal", 0)])


def test_there_is_no_task_done() -> None:
    assert not hasattr(MessageQueue(1), "task_done")


def test_the_repr_tells_what_is_in_the_queue() -> None:
    queue = filled("a", "b")
    queue.get()
    assert "of 10: 1 waiting, 1 in flight" in repr(queue)
    queue.shutdown()
    assert "shut down" in repr(queue)


def test_join_of_an_empty_queue_returns_at_once() -> None:
    queue = filled("a")
    queue.ack(queue.get())
    queue.join()


def test_the_errors_of_the_standard_queue_are_bases() -> None:
    assert issubclass(ShutDown, getattr(standard, "ShutDown", Exception))
    assert issubclass(Full, standard.Full)
    assert issubclass(Empty, standard.Empty)


def test_every_argument_may_be_given_by_its_name() -> None:
    """The commonest calls have a way in of their own; these go the long way, to the same end."""
    queue: MessageQueue[str] = MessageQueue(2)
    assert queue.put(item="a") == 1
    assert queue.put("b", block=False, priority="urgent") == 2
    message = queue.get(block=True, timeout=None)
    assert message.body == "b"
    queue.ack(message_or_mtsid=message)
    with pytest.raises(Stale):
        queue.ack(message_or_mtsid=message)
    verbs: Any = queue
    for verb, arguments, names in (
        (verbs.put, (), {}),
        (verbs.put, ("a",), {"thing": 1}),
        (verbs.get, (1, 2, 3), {}),
        (verbs.ack, (), {}),
    ):
        with pytest.raises(TypeError):
            verb(*arguments, **names)
    assert queue.audit().waiting == 1
