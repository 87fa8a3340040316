"""The queue to one next hop: its messages and their numbers, deferral, the collision.

Non-delivery: test_non_delivery.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from mtsid import MessageQueue, NotInUse, v40
from mtsid.mta import Collision, Entry, NextHop, Policy, SessionState, Way
from mtsid.mta.session import TURNS, Turn


def hop(ids: int = 100, *, queue: Any = None, left: list[Entry[str]] | None = None, **policy: Any) -> NextHop[str]:
    on_left = None if left is None else left.append
    return NextHop("NORTH", "/CN=NORTH", MessageQueue(ids) if queue is None else queue, Policy(**policy), on_left)


def enter(
    hop: NextHop[str], now: float, body: str, *, not_before: float | None = None, priority: Any = "normal"
) -> Any:
    entry = Entry(body, now, not_before=not_before)
    hop.enter(now, entry, priority)
    return entry


def taken(hop: NextHop[str], now: float) -> Any:
    """Return the receipt of the next message, which there is."""
    receipt = hop.take(now)
    assert receipt is not None
    assert not isinstance(receipt, Collision)
    return receipt


def waits_until(hop: NextHop[str]) -> float | None:
    return hop.deferred_until


def ways(*entries: Entry[str]) -> list[Way | None]:
    return [entry.way for entry in entries]


def twins(left: list[Entry[str]] | None = None, **policy: Any) -> tuple[NextHop[str], Entry[str], Entry[str]]:
    """Return a hop of 4.0's and two of its messages with one number: the older was in transfer at the loss."""
    made = hop(queue=v40.MessageQueue(100, defect="premature-strip"), left=left, **policy)
    older, middle = enter(made, 0.0, "older"), enter(made, 0.0, "middle")
    made.give_back(1.0, taken(made, 0.0))
    younger = enter(made, 2.0, "younger")
    assert older.mtsid == younger.mtsid != middle.mtsid
    assert (made.live(older.mtsid), made.duplicates) == (2, 1)
    return made, older, younger


# In and out


def test_a_message_enters_is_taken_and_leaves() -> None:
    left: list[Entry[str]] = []
    north = hop(left=left)
    entry = enter(north, 1.0, "hello")
    assert (entry.mtsid, entry.entered, entry.way, entry.left_at, entry.transfers) == (1, 1.0, None, None, 0)
    assert (len(north), north.live(1), list(north.entries()), north.has_mail(1.0)) == (1, 1, [entry], True)
    receipt = taken(north, 2.0)
    assert (receipt.body, receipt.mtsid, entry.transfers) == (entry, 1, 1)
    assert (len(north), north.live(1), north.has_mail(2.0), north.take(2.0)) == (1, 1, False, None)
    north.acknowledge(5.0, receipt)
    assert (entry.way, entry.left_at, left) == (Way.DELIVERED, 5.0, [entry])
    assert (len(north), north.live(1), list(north.entries()), len(north.queue)) == (0, 0, [], 0)
    assert (north.last_acknowledged, north.stale_acknowledgements, north.duplicates) == (entry, 0, 0)


def test_messages_are_taken_by_priority_and_then_by_entry() -> None:
    north = hop()
    priorities = ("non-urgent", "normal", "urgent", "normal", "urgent")
    for number, priority in enumerate(priorities):
        enter(north, 0.0, f"{priority} {number}", priority=priority)
    order = [taken(north, 0.0).body.body for _ in priorities]
    assert order == ["urgent 2", "urgent 4", "normal 1", "normal 3", "non-urgent 0"]


def test_a_bad_priority_is_refused_and_nothing_enters() -> None:
    north = hop()
    with pytest.raises(ValueError, match="priority"):
        enter(north, 0.0, "a", priority="fast")
    assert (len(north), list(north.entries()), north.has_mail(0.0)) == (0, [], False)


def test_entries_may_leave_while_they_are_iterated_over() -> None:
    north = hop()
    for body in "abc":
        enter(north, 0.0, body)
    for entry in north.entries():
        north.delete(1.0, entry.mtsid)
    assert len(north) == 0


def test_a_message_given_back_keeps_its_place_and_number() -> None:
    north = hop()
    first, second = enter(north, 0.0, "first"), enter(north, 0.0, "second")
    receipts = [taken(north, 0.0), taken(north, 0.0)]
    for now, receipt in ((3.0, receipts[0]), (4.0, receipts[1])):
        north.give_back(now, receipt)
    assert (first.lost_at, second.lost_at, first.mtsid, north.live(first.mtsid)) == (3.0, 4.0, 1, 1)
    assert [taken(north, 5.0).body for _ in range(2)] == [first, second]
    assert (first.transfers, first.way) == (2, None)


def test_a_full_queue_returns_the_message_at_once() -> None:
    left: list[Entry[str]] = []
    north = hop(1, left=left)
    kept, refused = enter(north, 0.0, "a"), enter(north, 1.0, "b")
    assert (kept.way, refused.way, refused.left_at, refused.mtsid) == (None, Way.QUEUE_FULL, 1.0, -1)
    assert (left, list(north.entries()), len(north), north.live(-1), north.duplicates) == ([refused], [kept], 1, 0, 0)
    north.acknowledge(2.0, taken(north, 2.0))
    assert enter(north, 3.0, "c").way is None


def test_a_number_is_free_for_another_message_when_its_own_has_left() -> None:
    north = hop(1)
    for body in "abc":
        entry = enter(north, 0.0, body)
        assert (entry.mtsid, north.live(1)) == (1, 1)
        north.acknowledge(1.0, taken(north, 0.0))
    assert north.duplicates == 0


def test_an_operators_delete() -> None:
    left: list[Entry[str]] = []
    north = hop(left=left)
    entry, other = enter(north, 0.0, "a"), enter(north, 0.0, "b")
    assert north.delete(1.0, entry.mtsid) is entry
    assert (entry.way, entry.left_at, left) == (Way.OPERATOR, 1.0, [entry])
    assert list(north.entries()) == [other]
    for number in (entry.mtsid, 50):
        with pytest.raises(NotInUse):
            north.delete(2.0, number)
    assert (left, len(north)) == ([entry], 1)


def test_the_acknowledgement_of_a_deleted_message_is_stale() -> None:
    left: list[Entry[str]] = []
    north = hop(left=left)
    entry = enter(north, 0.0, "a")
    receipt = taken(north, 0.0)
    north.delete(1.0, entry.mtsid)
    north.acknowledge(2.0, receipt)
    assert (entry.way, entry.left_at, left) == (Way.OPERATOR, 1.0, [entry])
    assert (north.stale_acknowledgements, north.last_acknowledged) == (1, None)


def test_the_acknowledgement_of_a_deleted_message_is_believed_by_double_release_and_nothing_leaves_twice() -> None:
    left: list[Entry[str]] = []
    north = hop(queue=v40.MessageQueue(100, defect="double-release"), left=left)
    entry, other = enter(north, 0.0, "a"), enter(north, 0.0, "b")
    receipt = taken(north, 0.0)
    north.delete(1.0, entry.mtsid)
    north.acknowledge(2.0, receipt)
    assert (entry.way, entry.left_at, left) == (Way.OPERATOR, 1.0, [entry])
    assert (north.stale_acknowledgements, north.last_acknowledged) == (0, entry)
    assert (list(north.entries()), north.live(entry.mtsid), len(north.queue)) == ([other], 0, 1)
    assert [enter(north, 3.0, body).mtsid for body in "cd"] == [entry.mtsid] * 2  # its number is free twice
    assert (north.duplicates, north.live(entry.mtsid)) == (1, 2)


def test_a_deleted_message_is_not_given_back() -> None:
    north = hop()
    entry = enter(north, 0.0, "a")
    receipt = taken(north, 0.0)
    north.delete(1.0, entry.mtsid)
    north.give_back(2.0, receipt)
    assert (len(north), len(north.queue), entry.lost_at, entry.left_at) == (0, 0, None, 1.0)


def test_a_message_settled_elsewhere_is_noted_once() -> None:
    left: list[Entry[str]] = []
    north = hop(left=left)
    entry = enter(north, 0.0, "a")
    north.queue.ack(north.queue.get(False))
    north.left_elsewhere(1.0, entry, Way.DELIVERED)
    assert (entry.way, entry.left_at, len(north), north.live(entry.mtsid)) == (Way.DELIVERED, 1.0, 0, 0)
    with pytest.raises(NotInUse, match="not queued") as refusal:
        north.left_elsewhere(2.0, entry, Way.OPERATOR)
    assert refusal.value.id == entry.mtsid
    assert (left, entry.way, entry.left_at) == ([entry], Way.DELIVERED, 1.0)


# Repeated acknowledgements


def test_a_peer_has_nothing_to_repeat_before_its_first_acknowledgement() -> None:
    north = hop()
    assert not north.acknowledgement_repeated()
    assert north.stale_acknowledgements == 0


def test_a_repeated_acknowledgement_is_stale_in_sp2_each_time() -> None:
    north = hop()
    enter(north, 0.0, "a")
    north.acknowledge(1.0, taken(north, 0.0))
    for times in (1, 2, 3):
        assert not north.acknowledgement_repeated()
        assert north.stale_acknowledgements == times


def test_a_repeated_acknowledgement_does_not_take_the_number_from_its_new_owner() -> None:
    north = hop(1)
    enter(north, 0.0, "a")
    north.acknowledge(1.0, taken(north, 0.0))
    entry = enter(north, 2.0, "b")
    taken(north, 2.0)
    assert not north.acknowledgement_repeated()
    assert (north.live(1), entry.way, len(north.queue)) == (1, None, 1)


def test_a_repeated_acknowledgement_is_taken_by_double_release() -> None:
    north = hop(queue=v40.MessageQueue(100, defect="double-release"))
    done = enter(north, 0.0, "a")
    north.acknowledge(1.0, taken(north, 0.0))
    assert north.last_acknowledged is done
    assert north.acknowledgement_repeated()
    assert north.stale_acknowledgements == 0
    assert enter(north, 2.0, "b").mtsid == enter(north, 2.0, "c").mtsid == 1
    assert (north.duplicates, north.live(1)) == (1, 2)


# Deferral


def test_a_deferred_message_waits_in_flight_and_lets_others_pass() -> None:
    north = hop()
    late, other = enter(north, 0.0, "late", not_before=100.0), enter(north, 1.0, "other")
    assert waits_until(north) is None  # nobody has come to it yet
    assert taken(north, 1.0).body is other
    assert north.take(1.0) is None
    assert (waits_until(north), len(north), north.live(late.mtsid), late.transfers) == (100.0, 2, 1, 0)
    assert (north.has_mail(99.9), north.take(99.9)) == (False, None)
    assert north.has_mail(100.0)
    assert taken(north, 100.0).body is late
    assert (late.transfers, north.deferred_until, north.has_mail(100.0)) == (1, None, False)


def test_a_message_whose_time_has_come_is_not_deferred() -> None:
    north = hop()
    entry = enter(north, 0.0, "a", not_before=5.0)
    assert taken(north, 5.0).body is entry
    assert north.deferred_until is None


def test_deferred_messages_are_sent_in_the_order_of_their_times_and_then_of_their_turns() -> None:
    north = hop()
    for body, at in (("c", 30.0), ("a", 10.0), ("b1", 20.0), ("b2", 20.0), ("b3", 20.0)):
        enter(north, 0.0, body, not_before=at)
    assert north.take(0.0) is None
    assert north.deferred_until == 10.0
    assert [taken(north, 30.0).body.body for _ in range(5)] == ["a", "b1", "b2", "b3", "c"]


def test_a_deferred_message_whose_time_has_come_goes_before_the_queue() -> None:
    north = hop()
    late = enter(north, 0.0, "late", not_before=10.0)
    assert north.take(0.0) is None
    enter(north, 10.0, "urgent", priority="urgent")
    assert taken(north, 10.0).body is late


def test_a_deferred_message_that_was_deleted_is_not_sent() -> None:
    north = hop()
    late = enter(north, 0.0, "late", not_before=100.0)
    later = enter(north, 0.0, "later", not_before=200.0)
    assert north.take(0.0) is None
    north.delete(50.0, late.mtsid)
    assert (north.deferred_until, north.has_mail(150.0), north.take(150.0)) == (200.0, False, None)
    assert taken(north, 200.0).body is later


def test_a_deferred_message_that_was_broken_off_is_sent_again() -> None:
    north = hop()
    late = enter(north, 0.0, "late", not_before=10.0)
    assert north.take(0.0) is None
    north.give_back(11.0, taken(north, 10.0))
    assert (late.lost_at, taken(north, 12.0).body, late.transfers) == (11.0, late, 2)


# The collision


def test_a_collision_fires_when_a_transfer_of_a_twin_would_start() -> None:
    made, older, younger = twins()
    assert made.collision is None
    collision = made.take(63.0)
    assert collision == Collision(63.0, older.mtsid, 2)
    assert (made.collision, made.shutdowns, len(made), made.queue.qsize()) == (collision, 1, 3, 3)
    assert (older.transfers, younger.transfers) == (1, 0)


def test_nothing_moves_before_a_twin_leaves_urgent_mail_neither() -> None:
    made, older, _ = twins()
    made.take(63.0)
    enter(made, 100.0, "urgent", priority="urgent")
    for number in (2, 3, 4):
        assert made.take(600.0 * number) == Collision(600.0 * number, older.mtsid, 2)
        assert (made.shutdowns, len(made), made.queue.qsize()) == (number, 4, 4)


def test_urgent_mail_passes_a_collision_that_has_not_fired() -> None:
    made, _, _ = twins()
    urgent = enter(made, 3.0, "urgent", priority="urgent")
    assert taken(made, 4.0).body is urgent
    assert isinstance(made.take(4.0), Collision)


def reused(times: int) -> tuple[NextHop[str], int]:
    """Return a hop of 4.0's on which a number is free `times` too often."""
    made = hop(queue=v40.MessageQueue(100, defect="double-release"))
    done = enter(made, 0.0, "done")
    made.acknowledge(0.0, taken(made, 0.0))
    for _ in range(times):
        assert made.acknowledgement_repeated()
    return made, done.mtsid


def test_a_deferred_twin_collides_at_its_time_and_goes_back_into_the_line() -> None:
    made, number = reused(1)
    late = enter(made, 0.0, "late", not_before=10.0)
    assert made.take(0.0) is None
    other = enter(made, 1.0, "other")
    assert late.mtsid == other.mtsid == number
    assert made.take(10.0) == Collision(10.0, number, 2)
    assert (made.queue.qsize(), made.deferred_until, len(made)) == (2, None, 2)
    made.delete(11.0, number)
    assert taken(made, 12.0).body.way is None


@pytest.mark.parametrize("way", [Way.OPERATOR, Way.DELIVERED])
def test_the_queue_drains_when_one_twin_has_left(way: Way) -> None:
    made, older, younger = twins()
    made.take(63.0)
    if way is Way.OPERATOR:
        assert made.delete(100.0, older.mtsid) is older  # by number: the oldest
    else:
        made.queue.ack(made.queue.get(False))
        made.left_elsewhere(100.0, older, way)
    assert older.way is way
    order = []
    for _ in range(2):
        receipt = taken(made, 663.0)
        assert made.collision is None
        made.acknowledge(664.0, receipt)
        order.append(receipt.body.body)
    assert order == ["middle", "younger"]
    assert (len(made), made.shutdowns, younger.way) == (0, 1, Way.DELIVERED)


def test_a_first_collision_is_not_yet_a_failed_open_and_the_later_ones_are() -> None:
    made, older, younger = twins(open_retries=3)
    made.take(63.0)
    for number in (1, 2):
        made.take(63.0 + 600.0 * number)
        assert ways(older, younger) == [None, None]
    late = enter(made, 1300.0, "late")
    made.take(63.0 + 1800.0)
    assert ways(older, younger, late) == [Way.RETRIES, Way.RETRIES, None]
    assert (older.left_at, made.shutdowns) == (1863.0, 4)
    assert taken(made, 2463.0).body is late


def test_a_number_shared_by_three_is_held_until_two_have_left() -> None:
    made, number = reused(2)
    three = [enter(made, 2.0, body) for body in "bcd"]
    assert {entry.mtsid for entry in three} == {number}
    assert (made.live(number), made.duplicates) == (3, 2)
    assert made.take(3.0) == Collision(3.0, number, 3)
    made.delete(4.0, number)
    assert made.take(5.0) == Collision(5.0, number, 2)
    made.delete(6.0, number)
    assert taken(made, 7.0).body is three[2]


# The session's turns

_S, _T = SessionState, Turn
EXPECTED = {
    _S.IDLE: {_T.OPENS: _S.OPENING, _T.LOST: _S.RETRY},
    _S.OPENING: {_T.STANDS: _S.OPEN, _T.LOST: _S.RETRY, _T.EMPTY: _S.IDLE},
    _S.OPEN: {_T.LOST: _S.RETRY, _T.COLLIDES: _S.HELD, _T.EMPTY: _S.IDLE},
    _S.RETRY: {_T.OPENS: _S.OPENING, _T.LOST: _S.RETRY, _T.EMPTY: _S.IDLE},
    _S.HELD: {_T.OPENS: _S.OPENING, _T.LOST: _S.RETRY, _T.EMPTY: _S.IDLE},
}


def test_a_session_begins_idle() -> None:
    assert hop().state is SessionState.IDLE


def test_the_table_of_turns_is_the_models() -> None:
    found: dict[SessionState, dict[Turn, SessionState]] = {state: {} for state in SessionState}
    for (state, turn), after in TURNS.items():
        found[state][turn] = after
    assert found == {state: {**turns, Turn.RESTART: SessionState.IDLE} for state, turns in EXPECTED.items()}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("turn", Turn)
def test_a_turn_is_the_tables_or_a_defect(state: SessionState, turn: Turn) -> None:
    north = hop()
    north.state = state
    after = TURNS.get((state, turn))
    if after is None:
        with pytest.raises(RuntimeError, match="a defect of mtsid"):
            north.turn(turn)
        after = state
    else:
        north.turn(turn)
    assert north.state is after


def test_a_queue_without_mail_has_no_collision() -> None:
    made, older, _ = twins()
    made.take(63.0)
    for entry in made.entries():
        made.delete(64.0, entry.mtsid)
    made.state = SessionState.HELD
    made.turn(Turn.EMPTY)
    assert (made.collision, made.live(older.mtsid)) == (None, 0)


def test_a_restart_ends_a_collision_only_if_a_twin_has_left() -> None:
    made, older, _ = twins()
    collision = made.take(63.0)
    made.turn(Turn.RESTART)
    assert made.collision is collision
    made.delete(64.0, older.mtsid)
    made.turn(Turn.RESTART)
    assert made.collision is None
