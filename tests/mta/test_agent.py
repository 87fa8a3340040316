"""The MTA as a driver meets it: actions out, primitives in, one message after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtsid.mta import (
    MTA,
    Associate,
    Connect,
    Disconnect,
    Drop,
    Entry,
    EventLog,
    Policy,
    Primitive,
    Release,
    SessionState,
    Transfer,
    Way,
)
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Agents

P = Primitive
LIFETIME, DISCONNECT = 300.0, 120.0


@pytest.mark.parametrize("version", VERSIONS)
def test_one_message_from_its_entry_to_the_end_of_its_association(version: Version, agent: Agents) -> None:
    left: list[Entry[str]] = []
    mta = agent(version, on_left=left.append)
    assert (len(mta), mta.wakes_at, mta.take_actions(), mta.state()) == (0, None, [], SessionState.IDLE)

    entry = mta.submit(10.0, "hello", mts_id="C=XX;A=400;P=ORG;L=0001")
    assert (len(mta), mta.state(), mta.wakes_at) == (1, SessionState.OPENING, None)
    connect = mta.one(Connect)
    assert (connect.peer, connect.handle) == ("NORTH", (1, 0))
    assert mta.take_actions() == []

    assert mta.receive(11.0, connect.handle, P.CONNECT_CONFIRM)
    assert mta.one(Associate) == Associate("NORTH", connect.handle)
    assert mta.receive(12.0, connect.handle, P.ACCEPT)
    transfer = mta.one(Transfer)
    assert transfer == Transfer("NORTH", connect.handle, entry)
    assert (mta.state(), mta.wakes_at, entry.transfers, left) == (SessionState.OPEN, None, 1, [])

    assert mta.receive(13.0, connect.handle, P.TRANSFER_CONFIRM)
    assert (entry.way, entry.left_at, left, len(mta)) == (Way.DELIVERED, 13.0, [entry], 0)
    assert (mta.take_actions(), mta.wakes_at, mta.state()) == ([], 13.0 + LIFETIME, SessionState.OPEN)

    mta.wake(313.0)
    assert mta.one(Release) == Release("NORTH", connect.handle)
    assert (mta.state(), mta.wakes_at) == (SessionState.IDLE, 313.0 + DISCONNECT)
    assert mta.receive(314.0, connect.handle, P.RELEASE_CONFIRM)
    assert (mta.take_actions(), mta.wakes_at, mta.kernel.idle) == ([], None, 20)
    assert (mta.events(), mta.kernel.drops, mta.refusals) == ([], {}, {})
    mta.kernel.check()


def test_a_release_that_nobody_confirms_ends_with_the_disconnect_timer(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    mta.wake(LIFETIME)
    mta.take_actions()
    mta.wake(LIFETIME + DISCONNECT - 1)
    assert (mta.take_actions(), mta.kernel.in_use) == ([], 1)
    mta.wake(LIFETIME + DISCONNECT)
    assert mta.one(Disconnect) == Disconnect(handle)
    assert (mta.kernel.idle, mta.wakes_at, mta.events(), mta.state()) == (20, None, [], SessionState.IDLE)
    assert not mta.receive(421.0, handle, P.RELEASE_CONFIRM)
    assert mta.kernel.drops == {Drop.STALE: 1}


@pytest.mark.parametrize(
    ("primitive", "disconnects"),
    [(P.RELEASE_INDICATION, True), (P.DISCONNECT_INDICATION, False), (P.SESSION_INDICATION, True)],
)
def test_a_release_that_meets_something_else_ends_without_an_event(
    primitive: Primitive, disconnects: bool, agent: Agents
) -> None:
    mta = agent()
    handle = mta.first()
    mta.wake(LIFETIME)
    mta.take_actions()
    assert mta.receive(301.0, handle, primitive)
    assert mta.take_actions() == ([Disconnect(handle)] if disconnects else [])
    assert (mta.kernel.idle, mta.wakes_at, mta.events(), mta.state()) == (20, None, [], SessionState.IDLE)


def test_an_association_that_got_mail_in_time_is_not_released(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    entry = mta.submit(200.0, "second")
    assert mta.one(Transfer) == Transfer("NORTH", handle, entry)
    assert mta.wakes_at is None
    mta.wake(LIFETIME)
    assert mta.take_actions() == []
    mta.receive(350.0, handle, P.TRANSFER_CONFIRM)
    assert mta.wakes_at == 350.0 + LIFETIME


def test_mail_that_comes_during_a_release_opens_an_association_of_its_own(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    mta.wake(LIFETIME)
    mta.one(Release)
    mta.submit(310.0, "second")
    connect = mta.one(Connect)
    assert connect.handle != handle
    assert mta.receive(311.0, handle, P.RELEASE_CONFIRM)
    assert (mta.state(), mta.kernel.in_use, mta.take_actions()) == (SessionState.OPENING, 1, [])
    mta.receive(312.0, connect.handle, P.CONNECT_CONFIRM)
    mta.answer(313.0, Associate, P.ACCEPT)
    assert mta.carry(314.0).body == "second"


def test_a_wake_before_its_time_or_without_timers_does_nothing(agent: Agents) -> None:
    mta = agent()
    mta.wake(0.0)
    mta.first()
    before = mta.look()
    mta.wake(LIFETIME - 0.001)
    assert (mta.look(), mta.take_actions()) == (before, [])


def test_messages_go_one_after_the_other_on_one_association(agent: Agents) -> None:
    mta = agent()
    for body in "abc":
        mta.submit(0.0, body)
    handle = mta.stand(0.0)
    assert [mta.carry(float(n)).body for n in range(3)] == list("abc")
    assert (mta.take_actions(), mta.kernel.handles()) == ([], [handle])


def test_urgent_mail_goes_first(agent: Agents) -> None:
    mta = agent()
    for body, priority in (("later", "non-urgent"), ("normal", "normal"), ("first", "urgent")):
        mta.submit(0.0, body, priority=priority)  # type: ignore[arg-type]
    mta.stand(0.0)
    assert [mta.carry(0.0).body for _ in range(3)] == ["first", "normal", "later"]


def test_a_full_queue_returns_a_message_at_once(agent: Agents) -> None:
    left: list[Entry[str]] = []
    mta = agent(ids=1, on_left=left.append)
    mta.submit(0.0, "a")
    refused = mta.submit(1.0, "b")
    assert (refused.way, refused.left_at, refused.mtsid, left, len(mta)) == (Way.QUEUE_FULL, 1.0, -1, [refused], 1)


def test_the_permanent_mts_id_stays_apart_from_the_mtsid(agent: Agents) -> None:
    mta = agent()
    first = mta.submit(0.0, "a", mts_id="1")
    second = mta.submit(0.0, "b", mts_id="1")
    third = mta.submit(0.0, "c")
    assert [(entry.mtsid, entry.mts_id) for entry in (first, second, third)] == [(1, "1"), (2, "1"), (3, None)]
    mta.stand(0.0)
    assert mta.carry(0.0).mts_id == "1"
    assert (first.mtsid, first.mts_id) == (1, "1")


def test_a_deferred_message_waits_for_its_time_and_lets_others_pass(agent: Agents) -> None:
    mta = agent()
    late, other = mta.submit(0.0, "late", not_before=100.0), mta.submit(0.0, "other")
    mta.stand(0.0)
    assert mta.carry(1.0) is other
    assert (mta.take_actions(), mta.wakes_at, len(mta)) == ([], 100.0, 1)
    mta.wake(100.0)
    assert mta.carry(101.0) is late
    assert mta.wakes_at == 101.0 + LIFETIME


def test_a_deferred_message_opens_the_session_when_its_time_comes(agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "late", not_before=1000.0)
    handle = mta.stand(0.0)
    assert mta.wakes_at == LIFETIME
    mta.wake(LIFETIME)
    mta.one(Release)
    mta.receive(301.0, handle, P.RELEASE_CONFIRM)
    assert (mta.state(), mta.wakes_at, len(mta)) == (SessionState.IDLE, 1000.0, 1)
    mta.wake(1000.0)
    mta.stand(1001.0)
    assert mta.carry(1002.0).body == "late"


def test_deleting_what_is_in_transfer_makes_its_confirm_stale(agent: Agents) -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    handle = mta.stand(0.0)
    assert mta.delete(1.0, entry.mtsid) is entry
    assert (entry.way, entry.left_at, len(mta)) == (Way.OPERATOR, 1.0, 0)
    assert mta.receive(2.0, handle, P.TRANSFER_CONFIRM)
    assert mta.next_hops["NORTH"].stale_acknowledgements == 1
    assert mta.wakes_at == 2.0 + LIFETIME


def test_a_confirm_while_nothing_is_in_transfer_is_out_of_turn_and_changes_nothing(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    before = mta.look()
    for count in (1, 2):
        assert not mta.receive(1.0, handle, P.TRANSFER_CONFIRM)
        assert mta.kernel.drops == {Drop.OUT_OF_TURN: count}
    assert (mta.look(), mta.take_actions()) == (before, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_confirm_that_had_nothing_to_confirm_does_not_pass_for_one_of_use(version: Version, agent: Agents) -> None:
    mta = agent(version)
    handle = mta.first()
    assert not mta.receive(1.0, handle, P.TRANSFER_CONFIRM)
    assert mta.kernel.drops == {Drop.OUT_OF_TURN: 1}
    entry = mta.submit(2.0, "second")
    assert mta.carry(3.0) is entry  # and the next one, which has, is not taken for another such
    assert (entry.way, mta.kernel.drops) == (Way.DELIVERED, {Drop.OUT_OF_TURN: 1})
    assert mta.receive(4.0, handle, P.DISCONNECT_INDICATION)


def test_data_on_an_association_that_stands_changes_nothing(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    before = mta.look()
    assert mta.receive(1.0, handle, P.PRESENTATION_INDICATION)
    assert (mta.look(), mta.take_actions()) == (before, [])


def test_a_repeated_acknowledgement_is_stale_in_sp2_and_taken_by_double_release(agent: Agents) -> None:
    for mta, is_taken in (
        (agent(), False),
        (agent("4.0", defect="double-release"), True),
    ):
        assert not mta.acknowledgement_repeated(0.0)
        mta.first()
        assert mta.acknowledgement_repeated(1.0) is is_taken
        assert mta.next_hops["NORTH"].stale_acknowledgements == int(not is_taken)


def test_the_defaults() -> None:
    mta: MTA[str] = MTA()
    assert (mta.version, mta.defect, mta.policy, list(mta.next_hops)) == ("SP2", None, Policy(), ["PEER"])
    assert MTA[str]("4.0").defect == "premature-strip"
    assert (mta.kernel.size, bool(mta), len(mta.log)) == (20, True, 0)


def test_an_mta_takes_a_policy_and_a_log() -> None:
    log, policy = EventLog(), Policy(control_blocks=3)
    mta: MTA[str] = MTA(log=log, policy=policy)
    assert (mta.log, mta.policy, mta.kernel.size) == (log, policy, 3)
