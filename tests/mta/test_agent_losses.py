"""What an MTA does about links that are lost and opens that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtsid.mta import (
    Connect,
    Disconnect,
    Entry,
    Primitive,
    SessionState,
    Transfer,
    Way,
)
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Agents

P = Primitive
PAIR = [4284, 4287]
INTERVAL, RECOVERY, LIFETIME, DISCONNECT = 600.0, 60.0, 300.0, 120.0


def ways(*entries: Entry[str]) -> list[Way | None]:
    return [entry.way for entry in entries]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_loss_requeues_the_message_logs_a_pair_and_opens_after_the_interval(version: Version, agent: Agents) -> None:
    mta = agent(version)
    first = mta.submit(0.0, "first")
    handle = mta.stand(0.0)
    mta.one(Transfer)
    assert mta.receive(5.0, handle, P.DISCONNECT_INDICATION)
    assert mta.events() == [(5.0, id) for id in PAIR]
    assert (first.lost_at, first.way, mta.state()) == (5.0, None, SessionState.RETRY)
    assert (mta.take_actions(), mta.wakes_at, mta.kernel.idle) == ([], 5.0 + INTERVAL, 20)
    mta.wake(605.0)
    mta.stand(606.0)
    assert mta.carry(607.0) is first
    assert (first.transfers, first.left_at, len(mta.log)) == (2, 607.0, 2)


@pytest.mark.parametrize("primitive", [P.DISCONNECT_INDICATION, P.SESSION_INDICATION])
def test_a_loss_without_mail_is_no_event_and_opens_nothing(primitive: Primitive, agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    assert mta.receive(1.0, handle, primitive)
    assert mta.take_actions() == ([] if primitive is P.DISCONNECT_INDICATION else [Disconnect(handle)])
    assert (mta.events(), mta.state(), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)
    mta.submit(2.0, "second")
    mta.one(Connect)


FAILURES = [
    ((), P.DISCONNECT_INDICATION, False),
    ((), P.SESSION_INDICATION, True),
    ((P.CONNECT_CONFIRM,), P.REFUSE, True),
    ((P.CONNECT_CONFIRM,), P.DISCONNECT_INDICATION, False),
    ((P.CONNECT_CONFIRM,), P.SESSION_INDICATION, True),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("before", "primitive", "disconnects"), FAILURES)
def test_an_open_that_fails_logs_a_pair_and_is_tried_again_after_the_interval(
    version: Version, before: tuple[Primitive, ...], primitive: Primitive, disconnects: bool, agent: Agents
) -> None:
    mta = agent(version)
    mta.submit(0.0, "a")
    handle = mta.kernel.handles()[0]
    for step in before:
        mta.receive(1.0, handle, step)
    mta.take_actions()
    assert mta.receive(2.0, handle, primitive)
    assert mta.take_actions() == ([Disconnect(handle)] if disconnects else [])
    assert (mta.events(), mta.state()) == ([(2.0, id) for id in PAIR], SessionState.RETRY)
    assert (mta.kernel.in_use, mta.wakes_at) == (1, 2.0 + DISCONNECT)
    mta.wake(2.0 + DISCONNECT)
    assert (mta.kernel.idle, mta.wakes_at, mta.take_actions()) == (20, 2.0 + INTERVAL, [])
    mta.wake(2.0 + INTERVAL)
    assert mta.one(Connect).handle != handle
    assert len(mta.log) == 2


def test_an_open_that_fails_when_its_mail_is_gone_is_no_event(agent: Agents) -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    connect = mta.one(Connect)
    mta.delete(1.0, entry.mtsid)
    mta.receive(2.0, connect.handle, P.DISCONNECT_INDICATION)
    assert (mta.events(), mta.state(), mta.wakes_at) == ([], SessionState.IDLE, 2.0 + DISCONNECT)
    mta.wake(200.0)
    assert (mta.wakes_at, mta.kernel.idle) == (None, 20)


def test_mail_deleted_during_the_wait_opens_nothing(agent: Agents) -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    mta.link_down(0.0)
    mta.take_actions()
    mta.delete(1.0, entry.mtsid)
    mta.wake(INTERVAL)
    assert (mta.take_actions(), mta.state(), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)


def test_a_long_outage_logs_pairs_one_interval_apart_and_ends_in_a_report_at_the_last_retry(agent: Agents) -> None:
    mta = agent(open_retries=3)
    entry = mta.submit(0.0, "a")
    mta.answer(0.0, Connect, P.DISCONNECT_INDICATION)
    for now in (INTERVAL, 2 * INTERVAL, 3 * INTERVAL):
        assert ways(entry) == [None]
        mta.wake(now)
        mta.answer(now, Connect, P.DISCONNECT_INDICATION)
    assert mta.events() == [(INTERVAL * number, id) for number in range(4) for id in PAIR]
    assert (entry.way, entry.left_at) == (Way.RETRIES, 3 * INTERVAL)
    mta.wake(4 * INTERVAL)
    assert (mta.take_actions(), mta.state(), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)
    assert len(mta.log) == 8


def test_a_first_open_that_fails_is_not_yet_a_retry(agent: Agents) -> None:
    mta = agent(open_retries=1)
    entry = mta.submit(0.0, "a")
    mta.answer(0.0, Connect, P.DISCONNECT_INDICATION)
    assert ways(entry) == [None]
    mta.wake(INTERVAL)
    mta.answer(INTERVAL, Connect, P.DISCONNECT_INDICATION)
    assert (entry.way, entry.left_at, len(mta)) == (Way.RETRIES, INTERVAL, 0)


def test_a_first_loss_of_an_association_that_stood_is_not_yet_a_retry(agent: Agents) -> None:
    mta = agent(open_retries=1)
    entry = mta.submit(0.0, "a")
    handle = mta.stand(0.0)
    mta.one(Transfer)
    mta.receive(5 * INTERVAL, handle, P.DISCONNECT_INDICATION)  # what it waited before is no row of failures
    assert (ways(entry), mta.state()) == ([None], SessionState.RETRY)
    mta.wake(6 * INTERVAL)
    mta.answer(6 * INTERVAL, Connect, P.DISCONNECT_INDICATION)
    assert (entry.way, entry.left_at, len(mta)) == (Way.RETRIES, 6 * INTERVAL, 0)


def test_a_later_loss_of_an_association_that_stood_and_carried_nothing_counts_as_a_failed_open_does(
    agent: Agents,
) -> None:
    mta = agent(open_retries=2)
    entry = mta.submit(0.0, "a")
    mta.answer(0.0, Connect, P.DISCONNECT_INDICATION)
    for opened, lost in ((INTERVAL, 601.0), (1201.0, 1202.0)):
        assert ways(entry) == [None]
        mta.wake(opened)
        handle = mta.stand(opened)
        mta.one(Transfer)
        assert ways(entry) == [None]
        mta.receive(lost, handle, P.DISCONNECT_INDICATION)
    assert (entry.way, entry.left_at, len(mta)) == (Way.RETRIES, 1202.0, 0)


def test_link_up_shortens_the_wait_to_the_recovery_and_never_lengthens_it(agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.answer(0.0, Connect, P.SESSION_INDICATION)
    mta.wake(DISCONNECT)
    mta.take_actions()
    assert mta.wakes_at == INTERVAL
    mta.link_up(200.0)
    assert mta.wakes_at == 200.0 + RECOVERY
    mta.link_up(250.0)
    assert mta.wakes_at == 200.0 + RECOVERY
    mta.wake(259.9)
    assert mta.take_actions() == []
    mta.wake(260.0)
    mta.one(Connect)
    assert mta.wakes_at is None


def test_link_up_late_in_the_interval_leaves_its_end_alone(agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.answer(0.0, Connect, P.DISCONNECT_INDICATION)
    mta.wake(DISCONNECT)
    mta.link_up(INTERVAL - 1)
    assert mta.wakes_at == INTERVAL


@pytest.mark.parametrize("where", ["idle", "opening", "open"])
def test_link_up_means_nothing_to_a_session_that_does_not_wait(where: str, agent: Agents) -> None:
    mta = agent()
    if where == "open":
        mta.first()
    elif where == "opening":
        mta.submit(0.0, "a")
    mta.take_actions()
    before = mta.look()
    mta.link_up(1.0)
    assert (mta.look(), mta.take_actions()) == (before, [])


def test_link_down_with_nothing_open_is_no_loss(agent: Agents) -> None:
    mta = agent()
    before = mta.look()
    mta.link_down(1.0)
    assert (mta.look(), mta.take_actions()) == (before, [])


def test_link_down_while_a_session_waits_is_no_second_loss(agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.link_down(1.0)
    mta.take_actions()
    before = mta.look()
    mta.link_down(2.0)
    assert (mta.look(), mta.take_actions(), mta.kernel.drops) == (before, [], {})


def test_link_down_during_a_release_closes_without_an_event(agent: Agents) -> None:
    mta = agent()
    mta.first()
    mta.wake(LIFETIME)
    mta.take_actions()
    mta.link_down(301.0)
    assert (mta.events(), mta.kernel.idle, mta.wakes_at) == ([], 20, None)
