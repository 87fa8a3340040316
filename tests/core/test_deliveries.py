"""Promises of `max_deliveries`: a message past it goes to `on_dead`, once; it is never dropped in silence."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Empty, Full, Message, MessageQueue, NotInUse, ShutDown, Stale

Threads = Callable[..., None]


class Failed(Exception):
    """What `on_dead` raises here."""


def dying(on_dead: Callable[[Message[str]], object], maxsize: int = 9, deliveries: int = 1) -> MessageQueue[str]:
    """A queue whose first message is in flight for the last time."""
    queue: MessageQueue[str] = MessageQueue(maxsize, max_deliveries=deliveries, on_dead=on_dead)
    queue.put("a")
    for _ in range(deliveries - 1):
        queue.nack(queue.get())
    queue.get()
    return queue


# When ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("by_number", [False, True])
def test_the_nack_of_the_last_delivery_hands_the_message_to_on_dead(most: int, by_number: bool) -> None:
    dead: list[Message[str]] = []
    queue: MessageQueue[str] = MessageQueue(9, max_deliveries=most, on_dead=dead.append)
    queue.put("before")
    queue.ack(1)
    queue.put("a", priority="urgent")
    for delivery in range(1, most + 1):
        assert not dead
        message = queue.get()
        assert message.deliveries == delivery
        queue.nack(message.mtsid if by_number else message)
    (last,) = dead
    assert (last.mtsid, last.body, last.deliveries, last.priority) == (2, "a", most, "urgent")
    assert by_number or last is message
    assert len(queue) == 0
    assert queue.audit().free == 9
    with pytest.raises(Stale):
        queue.ack(last)


def test_only_a_nack_counts_and_a_message_that_is_acked_in_time_is_not_dead() -> None:
    dead: list[Message[str]] = []
    queue: MessageQueue[str] = MessageQueue(9, max_deliveries=2, on_dead=dead.append)
    queue.put("a")
    queue.nack(queue.get())
    queue.nack(1)  # it waits: nothing is changed
    queue.ack(queue.get())
    assert (dead, len(queue)) == ([], 0)


def test_without_a_bound_a_message_comes_back_for_ever() -> None:
    queue: MessageQueue[str] = MessageQueue(9)
    queue.put("a")
    for delivery in range(1, 1000):
        assert queue.get().deliveries == delivery
        queue.nack(1)


def test_the_next_message_in_a_slot_begins_anew() -> None:
    dead: list[Any] = []
    queue: MessageQueue[str] = MessageQueue(1, max_deliveries=2, on_dead=lambda message: dead.append(message.body))
    for body in "ab":
        queue.put(body)
        queue.nack(queue.get())
        assert queue.get().deliveries == 2
        queue.nack(1)
    assert dead == ["a", "b"]


# While it is called -------------------------------------------------------------------------------------------------


def test_meanwhile_the_message_is_in_flight_with_its_number_and_nobodys_to_settle() -> None:
    seen: list[object] = []

    def on_dead(message: Message[str]) -> None:
        for verb in (queue.ack, queue.nack):
            with pytest.raises(Stale):
                verb(message)
        queue.nack(message.mtsid)  # no second call
        seen.append((queue.peek(1), queue.in_flight(), queue.qsize(), queue.snapshot().tolist()))
        queue.audit()
        with pytest.raises(Empty):
            queue.get(False)
        assert queue.put("b") == 2

    queue = dying(on_dead)
    queue.nack(1)
    assert seen == [("a", 1, 0, [(1, "in flight", "normal", 1)])]
    assert [row[0] for row in queue.snapshot().tolist()] == [2]


@pytest.mark.parametrize("verb", ["delete", "ack"])
def test_on_dead_may_decide_by_number_what_becomes_of_it(verb: str) -> None:
    queue = dying(lambda message: getattr(queue, verb)(message.mtsid))
    queue.nack(1)
    assert len(queue) == 0
    queue.audit()


def test_a_number_that_on_dead_has_freed_and_given_to_another_is_that_ones() -> None:
    def on_dead(message: Message[str]) -> None:
        queue.delete(message.mtsid)
        assert queue.put("b") == message.mtsid

    queue = dying(on_dead, maxsize=1)
    queue.nack(1)
    assert (queue.get(False).body, queue.in_flight()) == ("b", 1)


def test_on_dead_may_put_into_the_same_queue() -> None:
    queue = dying(lambda message: queue.put(message.body + "'", False), maxsize=2)
    queue.nack(1)
    assert queue.get().body == "a'"
    queue.put("b")
    with pytest.raises(Full):  # the dying message holds the other number: it goes back
        queue.nack(2)
    assert [queue.get().body for _ in range(2)] == ["a'", "b"]
    queue.audit()


def test_on_dead_may_let_the_next_one_die() -> None:
    order: list[int] = []

    def on_dead(message: Message[int]) -> None:
        if message.body < 40:
            queue.nack(queue.get())
        order.append(message.body)

    queue: MessageQueue[int] = MessageQueue(99, max_deliveries=1, on_dead=on_dead)
    queue.put_many(range(41))
    queue.nack(queue.get())
    assert order == list(range(40, -1, -1))
    assert len(queue) == 0


def test_join_does_not_end_before_the_message_is_in_safe_hands(run_threads: Threads) -> None:
    entered, may_end = threading.Event(), threading.Event()
    safe: list[str] = []

    def on_dead(message: Message[str]) -> None:
        entered.set()
        may_end.wait(30)
        safe.append(message.body)

    queue = dying(on_dead)

    def join() -> None:
        entered.wait(30)
        threading.Timer(0.01, may_end.set).start()
        queue.join()
        assert safe == ["a"]

    run_threads(lambda: queue.nack(1), join)


def test_who_waits_for_room_gets_the_dead_ones() -> None:
    queue = dying(lambda message: None, maxsize=1)
    threading.Timer(0.01, queue.nack, (1,)).start()
    assert queue.put("b", timeout=30) == 1


# When it fails ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Failed, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("by_number", [False, True])
def test_if_on_dead_raises_the_message_goes_back_to_its_place(error: type[BaseException], by_number: bool) -> None:
    fails = [True, True, False]
    dead: list[Message[str]] = []

    def on_dead(message: Message[str]) -> None:
        if fails.pop(0):
            raise error
        dead.append(message)

    queue: MessageQueue[str] = MessageQueue(9, max_deliveries=2, on_dead=on_dead)
    queue.put_many("ab")
    queue.nack(queue.get())
    for delivery in (2, 3):
        message = queue.get()
        assert (message.mtsid, message.body, message.deliveries) == (1, "a", delivery)
        with pytest.raises(error):
            queue.nack(1 if by_number else message)
        assert (queue.qsize(), queue.in_flight(), dead) == (2, 0, [])
        queue.audit()
    queue.nack(queue.get())
    assert [(message.body, message.deliveries) for message in dead] == [("a", 4)]
    assert queue.get().body == "b"


def test_who_waits_for_a_message_gets_the_one_that_went_back(
    run_threads: Threads, waiting: Callable[[int], None]
) -> None:
    def on_dead(message: Message[str]) -> None:
        waiting(1)
        raise Failed

    queue = dying(on_dead)

    def nack() -> None:
        with pytest.raises(Failed):
            queue.nack(1)

    run_threads(lambda: queue.ack(queue.get()), nack)
    assert len(queue) == 0


def test_if_it_was_deleted_meanwhile_nothing_goes_back() -> None:
    def on_dead(message: Message[str]) -> None:
        queue.delete(message.mtsid)
        raise Failed

    queue = dying(on_dead)
    with pytest.raises(Failed):
        queue.nack(1)
    assert len(queue) == 0
    queue.audit()


def test_a_coroutine_has_done_nothing_yet_and_so_the_message_goes_back() -> None:
    letters: MessageQueue[str] = MessageQueue(9)
    queue = dying(lambda message: letters.put_async(message.body))
    with pytest.raises(TypeError, match="plain function"):
        queue.nack(1)
    assert (queue.qsize(), len(letters)) == (1, 0)


# The end ------------------------------------------------------------------------------------------------------------


def test_after_a_shutdown_a_message_dies_as_before_and_then_comes_the_end() -> None:
    dead: list[Message[str]] = []
    queue = dying(dead.append)
    queue.shutdown()
    queue.nack(1)
    assert [message.body for message in dead] == ["a"]
    with pytest.raises(ShutDown):
        queue.get()


def test_a_getter_of_a_queue_that_was_shut_down_waits_for_on_dead(run_threads: Threads) -> None:
    entered, may_fail = threading.Event(), threading.Event()

    def on_dead(message: Message[str]) -> None:
        entered.set()
        may_fail.wait(30)
        raise Failed

    queue = dying(on_dead)
    queue.shutdown()

    def nack() -> None:
        with pytest.raises(Failed):
            queue.nack(1)

    def get() -> None:
        entered.wait(30)
        threading.Timer(0.01, may_fail.set).start()
        assert queue.get().deliveries == 2

    run_threads(nack, get)


def test_after_an_immediate_shutdown_the_message_is_discarded_and_told() -> None:
    dead: list[Message[str]] = []
    queue = dying(dead.append)
    queue.shutdown(immediate=True)
    with pytest.raises(ShutDown) as caught:
        queue.nack(1)
    assert (caught.value.discarded, dead) == (("a",), [])


def test_an_immediate_shutdown_while_on_dead_fails_discards_the_message_and_tells() -> None:
    def on_dead(message: Message[str]) -> None:
        assert queue.shutdown(immediate=True) == []
        raise Failed

    queue = dying(on_dead)
    with pytest.raises(ShutDown) as caught:
        queue.nack(1)
    assert caught.value.discarded == ("a",)
    assert isinstance(caught.value.__cause__, Failed)
    assert len(queue) == 0
    queue.join()


def test_many_threads_nack_one_delivery_and_it_dies_once(run_threads: Threads) -> None:
    for _ in range(50):
        dead: list[Message[str]] = []
        queue: MessageQueue[str] = MessageQueue(9, max_deliveries=1, on_dead=dead.append)
        queue.put("a")
        message = queue.get()

        def nack(key: Any, queue: MessageQueue[str] = queue) -> None:
            with contextlib.suppress(NotInUse):
                queue.nack(key)

        run_threads(*[lambda key=key: nack(key) for key in (message, message, message.mtsid)])
        assert [each.body for each in dead] == ["a"]
        assert len(queue) == 0


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_deliveries": 0, "on_dead": print}, ValueError, r"1 \.\. 4294967295"),
        ({"max_deliveries": -1, "on_dead": print}, ValueError, r"1 \.\. 4294967295"),
        ({"max_deliveries": 2**32, "on_dead": print}, ValueError, r"1 \.\. 4294967295"),
        ({"max_deliveries": 2**70, "on_dead": print}, ValueError, r"1 \.\. 4294967295"),
        ({"max_deliveries": True, "on_dead": print}, TypeError, "must be an integer"),
        ({"max_deliveries": 1.0, "on_dead": print}, TypeError, "must be an integer"),
        ({"max_deliveries": "1", "on_dead": print}, TypeError, "must be an integer"),
        ({"max_deliveries": 3}, ValueError, "needs on_dead"),
        ({"max_deliveries": 3, "on_dead": None}, ValueError, "needs on_dead"),
        ({"on_dead": print}, ValueError, "needs max_deliveries"),
        ({"max_deliveries": 3, "on_dead": []}, TypeError, "a function of a message"),
        ({"max_deliveries": 3, "on_dead": "print"}, TypeError, "a function of a message"),
    ],
)
def test_a_bound_needs_somewhere_for_the_dead_to_go(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        MessageQueue(9, **options)


def test_the_largest_bound_is_taken() -> None:
    queue = dying(lambda message: None, deliveries=1)
    assert MessageQueue(9, max_deliveries=2**32 - 1, on_dead=print).maxsize == queue.maxsize
