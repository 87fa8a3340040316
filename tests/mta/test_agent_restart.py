"""An operator's restart, and the shutdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtsid.mta import (
    Associate,
    Connect,
    Disconnect,
    Drop,
    Primitive,
    Remnant,
    SessionState,
    Transfer,
)
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Agents

P = Primitive
INTERVAL, DISCONNECT = 600.0, 120.0


# Restart


@pytest.mark.parametrize("version", VERSIONS)
def test_a_restart_loses_no_message_and_leaves_no_association(version: Version, agent: Agents) -> None:
    mta = agent(version, peers=["NORTH", "SOUTH", "WEST"], control_blocks=6)
    first = mta.submit(0.0, "first", peer="NORTH")
    second = mta.submit(0.0, "second", peer="NORTH")
    other = mta.submit(0.0, "other", peer="SOUTH")
    theirs = mta.connect_indication(0.0, "WEST")
    assert theirs is not None
    [north, south] = mta.take_actions()
    mta.receive(1.0, north.handle, P.CONNECT_CONFIRM)
    mta.receive(1.0, north.handle, P.ACCEPT)
    mta.receive(1.0, south.handle, P.DISCONNECT_INDICATION)
    mta.take_actions()
    numbers = [entry.mtsid for entry in (first, second, other)]

    mta.restart(5.0)
    actions = mta.take_actions()
    assert actions[:3] == [Disconnect(handle) for handle in (north.handle, south.handle, theirs)]
    assert [(type(action), getattr(action, "peer", None)) for action in actions[3:]] == [
        (Connect, "NORTH"),
        (Connect, "SOUTH"),
    ]
    assert [entry.mtsid for entry in (first, second, other)] == numbers
    assert (len(mta), first.lost_at, second.lost_at, first.way) == (3, 5.0, None, None)
    assert (mta.kernel.in_use, mta.kernel.idle, mta.wakes_at) == (2, 4, None)
    assert [mta.state(peer) for peer in mta.next_hops] == [SessionState.OPENING] * 2 + [SessionState.IDLE]
    for handle in (north.handle, south.handle, theirs):
        assert not mta.receive(6.0, handle, P.DISCONNECT_INDICATION)
    assert mta.kernel.drops == {Drop.STALE: 3}
    mta.kernel.check()
    again = actions[3].handle
    mta.receive(7.0, again, P.CONNECT_CONFIRM)
    mta.answer(7.0, Associate, P.ACCEPT)
    assert [mta.carry(8.0).body for _ in range(2)] == ["first", "second"]


def test_a_restart_without_mail_leaves_every_block_idle(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    mta.restart(1.0)
    assert mta.take_actions() == [Disconnect(handle)]
    assert (mta.kernel.idle, mta.kernel.in_use, mta.wakes_at, mta.state()) == (20, 0, None, SessionState.IDLE)
    assert (mta.kernel.handles(), mta.events()) == ([], [])


def test_a_restart_during_the_wait_opens_at_once(agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.link_down(0.0)
    mta.take_actions()
    mta.restart(10.0)
    actions = mta.take_actions()
    assert [type(action) for action in actions] == [Disconnect, Connect]
    assert (mta.state(), mta.wakes_at) == (SessionState.OPENING, None)


def test_deferred_messages_are_still_sent_at_their_time_after_a_restart(agent: Agents) -> None:
    mta = agent()
    late = mta.submit(0.0, "late", not_before=100.0)
    mta.stand(0.0)
    assert mta.wakes_at == 100.0
    mta.restart(10.0)
    mta.take_actions()
    assert (mta.wakes_at, mta.state(), len(mta)) == (100.0, SessionState.IDLE, 1)
    mta.wake(100.0)
    mta.stand(100.0)
    assert mta.carry(101.0) is late


def test_a_deferred_message_whose_time_came_before_the_restart_is_sent_at_once(agent: Agents) -> None:
    mta = agent()
    late = mta.submit(0.0, "late", not_before=100.0)
    mta.stand(0.0)
    mta.restart(200.0)
    disconnect, connect = mta.take_actions()
    assert (type(disconnect), type(connect)) == (Disconnect, Connect)
    mta.receive(200.0, connect.handle, P.CONNECT_CONFIRM)
    mta.answer(200.0, Associate, P.ACCEPT)
    assert mta.carry(201.0) is late


@pytest.mark.parametrize("transport", [False, True])
def test_a_restart_mends_what_40_left_behind(transport: bool, agent: Agents) -> None:
    mta = agent("4.0")
    entry = mta.submit(0.0, "a")
    mta.flap(0.0, transport=transport)
    mta.take_actions()
    mta.delete(150.0, entry.mtsid)
    mta.restart(200.0)
    assert (mta.kernel.idle, [mta.kernel.count(remnant) for remnant in Remnant]) == (20, [0, 0])
    assert mta.connect_indication(201.0) is not None
    assert mta.log.counts.total() == 2


def test_a_restart_keeps_twins_and_their_collision(agent: Agents) -> None:
    mta, _, _, _ = agent.held()
    mta.take_actions()
    mta.restart(100.0)
    handle = next(action.handle for action in mta.take_actions() if isinstance(action, Connect))
    mta.receive(101.0, handle, P.CONNECT_CONFIRM)
    mta.answer(101.0, Associate, P.ACCEPT)
    assert (mta.state(), mta.log.counts[4282]) == (SessionState.HELD, 2)


def test_after_a_restart_a_queue_without_twins_is_held_no_more(agent: Agents) -> None:
    mta, _, _, _ = agent.held()
    hop = mta.next_hops["NORTH"]
    for entry in hop.entries():
        mta.delete(100.0, entry.mtsid)
    held_by = hop.collision
    assert held_by is not None
    mta.restart(101.0)
    assert (hop.collision, mta.state()) == (None, SessionState.IDLE)


def test_the_first_collision_after_a_restart_is_no_failed_open(agent: Agents) -> None:
    mta = agent("4.0", defect="double-release", open_retries=1)
    handle = mta.first()
    for _ in range(3):
        assert mta.acknowledgement_repeated(1.0)
    mta.receive(2.0, handle, P.RELEASE_INDICATION)
    mta.take_actions()
    for now in (10.0, 20.0):
        twins = [mta.submit(now, body) for body in "ab"]
        assert twins[0].mtsid == twins[1].mtsid
        mta.stand(now)
        assert (mta.state(), [entry.way for entry in twins]) == (SessionState.HELD, [None, None])
        for entry in twins:
            mta.delete(now, entry.mtsid)
        mta.restart(now)
        mta.take_actions()
    assert mta.next_hops["NORTH"].shutdowns == 2


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("transport", [False, True])
def test_after_a_restart_during_an_open_error_the_next_one_is_cleaned_up(
    version: Version, transport: bool, agent: Agents
) -> None:
    mta = agent(version, control_blocks=1)
    mta.submit(0.0, "a")
    for now in (0.0, 10.0):
        handle = mta.kernel.handles()[0]
        if transport:
            mta.receive(now, handle, P.CONNECT_CONFIRM)
        mta.receive(now, handle, P.DISCONNECT_INDICATION)
        if now == 0.0:
            mta.receive(1.0, handle, P.CONNECT_CONFIRM)  # the Open Error has something pending when the restart comes
            mta.restart(2.0)
        mta.take_actions()
    mta.wake(10.0 + DISCONNECT)
    assert (mta.kernel.idle, mta.kernel.left, mta.kernel.drops, mta.take_actions()) == (1, {}, {}, [])


def test_a_restart_gives_every_association_number_back_and_counts_from_none(agent: Agents) -> None:
    mta, _ = agent.several(3)
    mta.restart(1.0)
    assert len(mta.stand_all(2.0)) == 3
    mta.link_down(3.0)
    assert (mta.state(), mta.wakes_at) == (SessionState.RETRY, 3.0 + INTERVAL)


def test_a_second_restart_gives_nothing_back_twice(agent: Agents) -> None:
    mta, _ = agent.several(3)
    mta.restart(1.0)
    mta.restart(2.0)
    assert {entry.lost_at for entry in mta.next_hops["NORTH"].entries()} == {None, 1.0}
    assert len(mta) == mta.next_hops["NORTH"].queue.qsize() == 20


def test_after_a_restart_during_an_open_the_next_loss_is_the_last(agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.restart(1.0)
    mta.link_down(2.0)
    assert (mta.state(), mta.kernel.in_use) == (SessionState.RETRY, 1)


def test_after_a_restart_no_mail_is_sent_on_an_association_of_before(agent: Agents) -> None:
    mta, _ = agent.all_idle(2)
    mta.restart(2.0)
    mta.take_actions()
    entry = mta.submit(3.0, "a")
    handle = mta.stand(3.0)
    assert mta.one(Transfer) == Transfer("NORTH", handle, entry)


# Shutdown


def test_shutdown_returns_what_is_queued_and_drops_the_connections(agent: Agents) -> None:
    mta = agent(peers=["NORTH", "SOUTH"])
    first, second = mta.submit(0.0, "a", peer="NORTH"), mta.submit(0.0, "b", peer="NORTH")
    late = mta.submit(0.0, "c", peer="SOUTH", not_before=500.0)
    [north, south] = mta.take_actions()
    for handle in (north.handle, south.handle):
        mta.receive(1.0, handle, P.CONNECT_CONFIRM)
        mta.receive(1.0, handle, P.ACCEPT)
    mta.take_actions()
    assert mta.shutdown(2.0) == [first, second, late]
    assert mta.take_actions() == [Disconnect(north.handle), Disconnect(south.handle)]
    assert (first.way, first.lost_at, second.lost_at) == (None, 2.0, None)
    assert (mta.wakes_at, mta.kernel.idle, len(mta), mta.events()) == (None, 20, 3, [])


def test_shutdown_of_an_empty_mta_returns_nothing(agent: Agents) -> None:
    mta = agent()
    assert (mta.shutdown(0.0), mta.take_actions(), len(mta)) == ([], [], 0)
    assert mta
