"""One contract for `MessageQueue`, held against SP2 and each defect of 4.0. The table is the point.

A row is a promise, a column a version; `x` says that it breaks the promise. SP2 keeps them all. A defect breaks
exactly what its column lists: a listed promise that holds fails the test as much as an unlisted one that breaks.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

import mtsid
from mtsid import AuditError, Empty, Full, NotInUse, ShutDown, Stale, v40

TABLE = """
                                                     SP2  premature-strip  double-release  racy-claim  unchecked-wrap
messages_that_pass_by_never_share_a_number           .    .                .               .           x
a_broken_transfer_with_a_backlog_makes_no_twin       .    x                .               .           .
a_broken_transfer_without_a_backlog_makes_no_twin    .    .                .               .           .
an_audit_after_a_broken_transfer_is_clean            .    x                .               .           .
a_number_finds_its_message_after_a_broken_transfer   .    x                .               .           .
an_ack_by_number_settles_that_message                .    x                .               .           .
puts_in_two_threads_never_share_a_number             .    .                .               x           .
a_second_ack_is_stale                                .    .                x               .           .
a_second_ack_by_number_is_refused                    .    .                x               .           .
an_ack_of_what_never_entered_is_refused              .    .                x               .           .
a_second_ack_makes_no_twin                           .    .                x               .           .
the_ack_of_a_deleted_message_is_stale                .    .                x               .           .
ack_many_lists_what_was_not_live                     .    .                x               .           .
a_second_nack_is_stale                               .    .                .               .           .
the_ack_of_another_queues_message_is_stale           .    .                .               .           .
the_ack_of_a_returned_message_is_stale               .    .                .               .           .
a_message_keeps_its_number                           .    .                .               .           .
first_in_first_out_within_a_priority                 .    .                .               .           .
a_returned_message_goes_back_to_its_place            .    .                .               .           .
full_comes_at_maxsize_and_not_before                 .    .                .               .           .
put_many_is_all_or_none                              .    .                .               .           .
nothing_is_lost_in_an_outage                         .    .                .               .           .
a_queue_that_ran_dry_is_sound                        .    .                .               .           .
a_shutdown_returns_what_it_discards                  .    .                .               .           .
bad_input_changes_nothing                            .    .                .               .           .
"""

Make = Callable[..., Any]


def distinct(queue: Any) -> bool:
    numbers = queue.snapshot()["mtsid"].tolist()
    return len(set(numbers)) == len(numbers)


def outage(make: Make) -> Any:
    """A transfer is broken off with a backlog behind it, and the next message enters: a, b, c wait."""
    queue = make(10)
    queue.put("a")
    queue.put("b")
    queue.nack(queue.get())
    queue.put("c")
    return queue


# The promises -----------------------------------------------------------------------------------------------------


def messages_that_pass_by_never_share_a_number(make: Make) -> None:
    queue = make(4)
    queue.put("stays")
    queue.get()
    for n in range(12):
        queue.put(n)
        assert distinct(queue)
        queue.ack(queue.get())


def a_broken_transfer_with_a_backlog_makes_no_twin(make: Make) -> None:
    assert distinct(outage(make))


def a_broken_transfer_without_a_backlog_makes_no_twin(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    queue.nack(queue.get())
    queue.put("b")
    assert distinct(queue)


def an_audit_after_a_broken_transfer_is_clean(make: Make) -> None:
    queue = outage(make)
    try:
        queue.audit()
    except AuditError as error:
        raise AssertionError("duplicates were found") from error


def a_number_finds_its_message_after_a_broken_transfer(make: Make) -> None:
    queue = outage(make)
    assert queue.peek(queue.put("d")) == "d"
    assert [queue.peek(number) for number in queue.snapshot()["mtsid"]] == ["a", "b", "c", "d"]


def an_ack_by_number_settles_that_message(make: Make) -> None:
    queue = outage(make)
    newest = queue.snapshot()["mtsid"][2]
    queue.ack(newest)
    assert [message.body for message in queue.get_many(9)] == ["a", "b"]


def puts_in_two_threads_never_share_a_number(make: Make) -> None:
    rounds, workers, each = 8, 4, 5000
    for _ in range(rounds):
        queue = make(workers * each)  # so many that nothing wraps
        start = threading.Barrier(workers)

        def work(queue: Any = queue, start: threading.Barrier = start) -> None:
            start.wait()
            for n in range(each):
                queue.put(n)

        threads = [threading.Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert distinct(queue)


def a_second_ack_is_stale(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    message = queue.get()
    queue.ack(message)
    with pytest.raises(Stale):
        queue.ack(message)


def a_second_ack_by_number_is_refused(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    queue.ack(1)
    with pytest.raises(NotInUse) as caught:
        queue.ack(1)
    assert caught.value.id == 1


def an_ack_of_what_never_entered_is_refused(make: Make) -> None:
    with pytest.raises(NotInUse) as caught:
        make(10).ack(7)
    assert caught.value.id == 7


def a_second_ack_makes_no_twin(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    message = queue.get()
    queue.ack(message)
    with contextlib.suppress(Stale):
        queue.ack(message)
    queue.put_many(["b", "c"])
    assert distinct(queue)


def the_ack_of_a_deleted_message_is_stale(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    message = queue.get()
    assert queue.delete(message.mtsid) == "a"
    with pytest.raises(Stale):
        queue.ack(message)


def ack_many_lists_what_was_not_live(make: Make) -> None:
    queue = make(10)
    queue.put_many("abc")
    first, second, third = queue.get_many(3)
    queue.ack(second)
    with pytest.raises(NotInUse) as caught:
        queue.ack_many([first, second, 9, third])
    refusal = caught.value
    assert refusal.refused == (second, 9)


def a_second_nack_is_stale(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    message = queue.get()
    queue.nack(message)
    with pytest.raises(Stale):
        queue.nack(message)


def the_ack_of_another_queues_message_is_stale(make: Make) -> None:
    queue, other = make(10), make(10)
    queue.put("a")
    other.put("a")
    queue.get()
    with pytest.raises(Stale):
        queue.ack(other.get())


def the_ack_of_a_returned_message_is_stale(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    message = queue.get()
    queue.nack(message)
    with pytest.raises(Stale):
        queue.ack(message)
    queue.get()
    with pytest.raises(Stale):
        queue.ack(message)


def a_message_keeps_its_number(make: Make) -> None:
    queue = make(10)
    number = queue.put("a")
    for _ in range(5):
        message = queue.get()
        assert (message.mtsid, message.body) == (number, "a")
        queue.nack(message)


def first_in_first_out_within_a_priority(make: Make) -> None:
    queue = make(10)
    queue.put("normal 1")
    queue.put("non-urgent", priority="non-urgent")
    queue.put("urgent", priority="urgent")
    queue.put("normal 2")
    assert [message.body for message in queue.get_many(9)] == ["urgent", "normal 1", "normal 2", "non-urgent"]


def a_returned_message_goes_back_to_its_place(make: Make) -> None:
    queue = make(10)
    queue.put_many("abcd")
    taken = queue.get_many(3)
    for n in (1, 0, 2):
        queue.nack(taken[n])
    assert [message.body for message in queue.get_many(9)] == ["a", "b", "c", "d"]


def full_comes_at_maxsize_and_not_before(make: Make) -> None:
    queue = make(10)
    for n in range(10):
        queue.put_nowait(n)
    with pytest.raises(Full) as caught:
        queue.put_nowait(10)
    refusal = caught.value
    assert (refusal.live, refusal.capacity) == (10, 10)


def put_many_is_all_or_none(make: Make) -> None:
    queue = make(10)
    queue.put_many(range(8))
    with pytest.raises(Full):
        queue.put_many(range(3), False)
    assert len(queue) == 8


def nothing_is_lost_in_an_outage(make: Make) -> None:
    queue = outage(make)
    bodies = []
    while not queue.empty():
        message = queue.get()
        bodies.append(message.body)
        queue.ack(message)
    assert bodies == ["a", "b", "c"]
    with pytest.raises(Empty):
        queue.get_nowait()


def a_queue_that_ran_dry_is_sound(make: Make) -> None:
    queue = outage(make)
    queue.ack_many(queue.get_many(10))
    queue.put_many(range(10))
    assert distinct(queue)
    assert queue.audit().waiting == 10


def a_shutdown_returns_what_it_discards(make: Make) -> None:
    queue = make(10)
    queue.put_many("abc")
    message = queue.get()
    assert queue.shutdown(immediate=True) == ["b", "c"]
    with pytest.raises(ShutDown) as caught:
        queue.nack(message)
    assert caught.value.discarded == ("a",)
    assert len(queue) == 0


def bad_input_changes_nothing(make: Make) -> None:
    queue = make(10)
    queue.put("a")
    for bad in (True, 1.0, "1", None):
        with pytest.raises(TypeError):
            queue.ack(bad)
        with pytest.raises(TypeError):
            queue.ack_many([1, bad])
    with pytest.raises(ValueError):
        queue.ack_many([1, 1])
    assert queue.snapshot()["mtsid"].tolist() == [1]


# The table, checked -----------------------------------------------------------------------------------------------


def test_contract(promise: str, version: str, broken: bool, hold: Callable[..., None]) -> None:
    make: Make = mtsid.MessageQueue if version == "SP2" else functools.partial(v40.MessageQueue, defect=version)
    hold(globals()[promise], make, broken)


def test_sp2_keeps_all_and_each_defect_breaks_something(marks: dict[str, int]) -> None:
    assert marks.pop("SP2") == 0
    assert set(marks) == {"premature-strip", "double-release", "racy-claim", "unchecked-wrap"}
    assert all(marks.values())
