"""The session on one queue: every input, in every state in which it may come."""

from __future__ import annotations

from typing import Any

import pytest

from mtsid import MessageQueue, NotInUse
from mtsid.mta import MTA, Entry, EventLog, Policy, Session, State, Way
from mtsid.mta.states import TRANSITIONS

INTERVAL = 600.0


def events(session: Session[str]) -> list[tuple[float, int]]:
    return [(entry.time, entry.event.id) for entry in session.log]


def ways(*entries: Entry[str]) -> list[Way | None]:
    return [entry.way for entry in entries]


def stands(session: Session[str], state: State) -> bool:
    return session.state is state


def sp2(maxsize: int = 100, **policy: Any) -> Session[str]:
    queue: MessageQueue[Entry[str]] = MessageQueue(maxsize)
    return Session(queue, policy=Policy(**policy))


def test_a_message_is_carried_and_its_number_stripped() -> None:
    left: list[Entry[str]] = []
    queue: MessageQueue[Entry[str]] = MessageQueue(10)
    session: Session[str] = Session(queue, on_left=left.append)
    entry = session.enter(1.0, "hello")
    assert (entry.body, entry.mtsid, session.live(entry.mtsid), len(session)) == ("hello", 1, 1, 1)
    assert session.open(2.0)
    assert session.start(2.0) is entry
    assert stands(session, State.TRANSFER)
    assert session.acknowledged(5.0) is entry
    assert (entry.way, entry.left_at) == (Way.DELIVERED, 5.0)
    assert left == [entry]
    assert (session.live(entry.mtsid), len(session), len(queue)) == (0, 0, 0)
    assert stands(session, State.OPEN)
    assert session.start(5.0) is None
    assert events(session) == []


def test_wakes_at_tells_when_the_next_call_is_due() -> None:
    session = sp2()
    assert session.wakes_at is None  # no mail
    session.enter(0.0, "a")
    assert session.wakes_at == float("-inf")  # at once
    session.open(0.0)
    session.start(0.0)
    assert session.wakes_at is None  # the peer has the word
    session.link_down(3.0)
    assert session.wakes_at == 3.0 + INTERVAL
    session.link_up(10.0)
    assert session.wakes_at == 70.0  # the recovery time is shorter than the rest of the interval
    session.link_down(11.0)
    session.link_up(560.0)
    assert session.wakes_at == 70.0  # ... and never puts an open off


def test_a_loss_requeues_the_message_in_its_place() -> None:
    session = sp2()
    first, second = session.enter(0.0, "first"), session.enter(0.0, "second")
    session.open(0.0)
    assert session.start(0.0) is first
    session.link_down(1.0)
    assert (session.state, first.lost_at, first.way) == (State.RETRY, 1.0, None)
    assert events(session) == [(1.0, 4284), (1.0, 4287)]
    session.link_up(2.0)
    session.open(62.0)
    assert session.start(62.0) is first
    assert first.transfers == 2
    session.acknowledged(63.0)
    assert session.start(63.0) is second


def test_a_loss_without_mail_is_not_an_event() -> None:
    session = sp2()
    session.enter(0.0, "a")
    session.open(0.0)
    session.start(0.0)
    session.acknowledged(1.0)
    session.link_down(2.0)
    assert (session.state, events(session), session.wakes_at) == (State.IDLE, [], None)


def test_an_open_without_mail_opens_nothing() -> None:
    session = sp2()
    assert not session.open(0.0)
    assert stands(session, State.IDLE)
    entry = session.enter(0.0, "a")
    session.link_down(0.0)
    session.open(0.0)
    assert stands(session, State.RETRY)
    session.delete(1.0, entry.mtsid)
    assert not session.open(600.0)
    assert (session.state, events(session)) == (State.IDLE, [(0.0, 4284), (0.0, 4287)])


def test_an_operators_delete_during_the_transfer() -> None:
    session = sp2()
    entry = session.enter(0.0, "a")
    session.open(0.0)
    session.start(0.0)
    assert session.delete(1.0, entry.mtsid) is entry
    assert session.acknowledged(2.0) is entry
    assert (entry.way, entry.left_at) == (Way.OPERATOR, 1.0)
    assert (session.stale_acknowledgements, session.state) == (1, State.OPEN)


def test_a_delete_and_then_a_loss_requeue_nothing() -> None:
    session = sp2()
    entry = session.enter(0.0, "a")
    session.open(0.0)
    session.start(0.0)
    session.delete(1.0, entry.mtsid)
    session.link_down(2.0)
    assert (len(session), session.state, events(session)) == (0, State.IDLE, [])


def test_deleting_a_number_that_is_not_live_is_refused() -> None:
    session = sp2()
    with pytest.raises(NotInUse):
        session.delete(0.0, 5)
    assert len(session) == 0


def test_a_message_settled_elsewhere_is_noted_once() -> None:
    session = sp2()
    entry = session.enter(0.0, "a")
    session.queue.ack(session.queue.get(False))
    session.left_elsewhere(1.0, entry, Way.DELIVERED)
    assert (entry.way, entry.left_at, len(session), session.live(entry.mtsid)) == (Way.DELIVERED, 1.0, 0, 0)
    with pytest.raises(NotInUse):
        session.left_elsewhere(2.0, entry, Way.DELIVERED)


def test_a_repeated_acknowledgement_is_stale_in_sp2() -> None:
    session = sp2()
    assert not session.acknowledgement_repeated()  # none yet
    assert session.stale_acknowledgements == 0
    session.enter(0.0, "a")
    session.open(0.0)
    session.start(0.0)
    session.acknowledged(1.0)
    assert not session.acknowledgement_repeated()
    assert session.stale_acknowledgements == 1


def test_a_repeated_acknowledgement_is_taken_by_double_release() -> None:
    session = MTA("4.0", ids=100, defect="double-release").session
    done = session.enter(0.0, "a")
    session.open(0.0)
    session.start(0.0)
    session.acknowledged(1.0)
    assert session.last_acknowledged is done
    assert session.acknowledgement_repeated()
    twins = [session.enter(2.0, "b"), session.enter(2.0, "c")]
    assert twins[0].mtsid == twins[1].mtsid == done.mtsid
    assert (session.duplicates, session.live(done.mtsid)) == (1, 2)


def test_a_full_queue_returns_the_message_at_once() -> None:
    session = sp2(maxsize=1)
    first, refused = session.enter(0.0, "a"), session.enter(1.0, "b")
    assert (first.way, refused.way, refused.left_at, refused.mtsid) == (None, Way.QUEUE_FULL, 1.0, -1)
    assert len(session) == 1


def test_a_deferred_message_waits_in_flight_and_lets_others_pass() -> None:
    session = sp2()
    late, other = session.enter(0.0, "late", not_before=100.0), session.enter(1.0, "other")
    session.open(1.0)
    assert session.start(1.0) is other
    session.acknowledged(2.0)
    assert session.start(2.0) is None
    assert (session.wakes_at, len(session), session.live(late.mtsid)) == (100.0, 1, 1)
    assert session.start(100.0) is late
    session.acknowledged(101.0)
    assert late.way is Way.DELIVERED


def test_a_deferred_message_that_was_deleted_is_not_sent() -> None:
    session = sp2()
    late = session.enter(0.0, "late", not_before=100.0)
    session.open(0.0)
    assert session.start(0.0) is None
    session.delete(50.0, late.mtsid)
    assert session.start(100.0) is None
    assert session.wakes_at is None


def test_urgent_mail_goes_first() -> None:
    session = sp2()
    normal, urgent = session.enter(0.0, "normal"), session.enter(0.0, "urgent", priority="urgent")
    session.open(0.0)
    assert session.start(0.0) is urgent
    session.acknowledged(1.0)
    assert session.start(1.0) is normal


def test_inputs_out_of_turn_are_refused() -> None:
    session = sp2()
    session.enter(0.0, "a")
    with pytest.raises(RuntimeError, match="open the session first"):
        session.start(0.0)
    with pytest.raises(RuntimeError, match="nothing is in transfer"):
        session.acknowledged(0.0)
    session.open(0.0)
    with pytest.raises(RuntimeError, match="no transition"):
        session.open(0.0)
    session.start(0.0)
    with pytest.raises(RuntimeError, match="open the session first"):
        session.start(0.0)


def test_messages_are_returned_after_their_own_open_retries() -> None:
    session = sp2(open_retries=3)
    session.link_down(0.0)
    early = session.enter(0.0, "early")
    session.open(0.0)  # the first open is not yet a retry
    session.open(600.0)
    late = session.enter(700.0, "late")
    session.open(1200.0)
    assert ways(early, late) == [None, None]
    session.open(1800.0)
    assert ways(early, late) == [Way.RETRIES, None]
    session.open(2400.0)
    assert ways(early, late) == [Way.RETRIES, Way.RETRIES]
    assert (early.left_at, late.left_at) == (1800.0, 2400.0)


def test_a_transfer_acknowledged_starts_the_count_of_retries_anew() -> None:
    session = sp2(open_retries=3)
    first, second = session.enter(0.0, "a"), session.enter(0.0, "b")
    session.link_down(0.0)
    session.open(0.0)
    for retry in (600.0, 1200.0):
        session.open(retry)
    session.link_up(1300.0)
    session.open(1360.0)
    session.start(1360.0)
    session.acknowledged(1362.0)
    session.link_down(1363.0)
    for retry in (1963.0, 2563.0):
        session.open(retry)
    assert ways(first, second) == [Way.DELIVERED, None]
    session.open(3163.0)
    assert ways(first, second) == [Way.DELIVERED, Way.RETRIES]


def test_a_deferred_message_has_the_same_patience_from_its_time_on() -> None:
    session = sp2(open_retries=2)
    late = session.enter(0.0, "late", not_before=1000.0)
    other = session.enter(0.0, "other")
    session.open(0.0)
    session.start(0.0)  # sets the deferred one aside
    session.link_down(1.0)
    session.open(601.0)
    session.open(1201.0)
    assert ways(other, late) == [Way.RETRIES, None]
    session.open(1801.0)
    assert ways(other, late) == [Way.RETRIES, None]
    session.open(2401.0)
    assert ways(other, late) == [Way.RETRIES, Way.RETRIES]


def test_the_table_of_transitions_names_every_state() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("name", ["open_interval", "open_retries", "recovery"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_policy_refuses_impossible_timers(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Policy(**{name: value})  # type: ignore[arg-type]


def test_an_mta_has_a_queue_a_session_and_a_log() -> None:
    log = EventLog()
    mta = MTA("4.0", ids=3, log=log)
    assert (mta.version, mta.defect, mta.session.queue, mta.log) == ("4.0", "premature-strip", mta.queue, log)
    assert MTA().version == "SP2"
    assert MTA().defect is None


def test_an_mta_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="version"):
        MTA("5.5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="defect"):
        MTA("4.0", defect="typo")
    with pytest.raises(ValueError, match="SP2 has no defect"):
        MTA("SP2", defect="double-release")
