"""What a 4.0 does to itself: the collision that holds a queue, and the control blocks left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtsid.mta import (
    Associate,
    Connect,
    Disconnect,
    Entry,
    Primitive,
    Refusal,
    Remnant,
    SessionState,
    Transfer,
    Way,
)

if TYPE_CHECKING:
    from .conftest import Agents

P = Primitive
INTERVAL, DISCONNECT = 600.0, 120.0
ENTITY = "/O=ORGANIZATION/OU=SITE/CN=CONFIGURATION/CN=SERVERS/CN={}/CN=MICROSOFT MTA"


def test_a_collision_logs_4282_and_4283_and_shuts_the_session_down(agent: Agents) -> None:
    mta, older, younger, handle = agent.held()
    associate, disconnect = mta.take_actions()
    assert (associate, disconnect) == (Associate("NORTH", handle), Disconnect(handle))
    assert mta.events() == [(1.0, 4284), (1.0, 4287), (63.0, 4282), (63.0, 4283)]
    hop = mta.next_hops["NORTH"]
    assert hop.collision is not None
    assert (hop.collision.mtsid, hop.collision.entries, hop.shutdowns) == (older.mtsid, 2, 1)
    assert (mta.state(), mta.wakes_at, mta.kernel.idle) == (SessionState.HELD, 63.0 + INTERVAL, 20)
    assert (older.way, younger.way, len(mta)) == (None, None, 3)


def test_4283_prints_the_handle_of_the_association_that_collided(agent: Agents) -> None:
    mta, _, _, handle = agent.held()
    [entry] = mta.log.filter(ids={4283})
    assert entry.event.fields == {"handle": f"1-3-{handle.block}"}
    assert handle.block == 3
    assert "(LP1) 1-3-3 Error" in entry.event.text()


def test_a_held_session_collides_at_every_interval_and_link_up_does_not_hurry_it(agent: Agents) -> None:
    mta, _, _, _ = agent.held()
    mta.take_actions()
    for number in range(1, 4):
        mta.link_up(63.0 + INTERVAL * number - 100.0)
        assert mta.wakes_at == 63.0 + INTERVAL * number
        mta.wake(63.0 + INTERVAL * number)
        handle = mta.stand(63.0 + INTERVAL * number)
        assert mta.one(Disconnect) == Disconnect(handle)
    assert (mta.log.counts[4282], mta.log.counts[4283], mta.log.counts[4284]) == (4, 4, 1)
    assert (mta.next_hops["NORTH"].shutdowns, len(mta)) == (4, 3)


def test_a_held_queue_drains_at_the_next_open_after_a_twin_has_left(agent: Agents) -> None:
    mta, older, _, _ = agent.held()
    mta.take_actions()
    assert mta.delete(100.0, older.mtsid) is older
    assert (mta.take_actions(), mta.wakes_at) == ([], 63.0 + INTERVAL)
    mta.wake(663.0)
    mta.stand(663.0)
    assert [mta.carry(664.0).body for _ in range(2)] == ["middle", "younger"]
    assert (len(mta), mta.next_hops["NORTH"].collision, mta.state()) == (0, None, SessionState.OPEN)


def test_a_held_queue_without_mail_is_left_alone(agent: Agents) -> None:
    mta, _, _, _ = agent.held()
    mta.take_actions()
    for entry in mta.next_hops["NORTH"].entries():
        mta.delete(100.0, entry.mtsid)
    mta.wake(663.0)
    assert (mta.take_actions(), mta.state(), mta.wakes_at) == ([], SessionState.IDLE, None)
    assert mta.next_hops["NORTH"].collision is None


def test_a_collision_closes_every_association_of_ours_and_none_of_the_peers(agent: Agents) -> None:
    mta = agent("4.0", defect="double-release", threshold=2)
    handle = mta.first()
    theirs = mta.connect_indication(1.0)
    busy = mta.submit(1.0, "busy")
    mta.one(Transfer)
    for number in range(4):
        mta.submit(1.0, f"wait {number}")
    [more, *_] = mta.take_actions()
    assert isinstance(more, Connect)
    mta.receive(2.0, handle, P.TRANSFER_CONFIRM)
    assert mta.acknowledgement_repeated(2.0)
    twins = [mta.submit(3.0, "twin", priority="urgent") for _ in range(2)]
    assert twins[0].mtsid == twins[1].mtsid == busy.mtsid
    mta.take_actions()
    mta.receive(4.0, handle, P.TRANSFER_CONFIRM)
    assert mta.state() is SessionState.HELD
    assert mta.kernel.handles() == [theirs]
    closed = {action.handle for action in mta.take_actions() if isinstance(action, Disconnect)}
    assert {handle, more.handle} <= closed
    assert theirs not in closed
    assert (mta.log.counts[4282], mta.log.counts[4284]) == (1, 0)
    assert len(mta) == mta.next_hops["NORTH"].queue.qsize() == 5
    mta.kernel.check()
    mta.delete(5.0, twins[0].mtsid)
    mta.wake(4.0 + INTERVAL)
    again = mta.stand(605.0)
    mta.receive(606.0, again, P.DISCONNECT_INDICATION)
    [*_, last] = mta.take_actions()
    assert isinstance(last, Connect)  # the second one, for the backlog
    mta.receive(607.0, last.handle, P.DISCONNECT_INDICATION)
    assert mta.state() is SessionState.RETRY


def test_4283_prints_the_association_on_which_the_transfer_was_to_start(agent: Agents) -> None:
    mta, handles = agent.all_idle(3, "4.0", "double-release")
    assert mta.acknowledgement_repeated(2.0)
    mta.submit(2.0, "twin")
    assert mta.one(Transfer).handle == handles[2]
    mta.submit(2.0, "twin")
    assert list(mta.log)[-1].event.fields == {"handle": str(handles[1])}


def test_a_collision_leaves_the_associations_of_other_peers_alone(agent: Agents) -> None:
    mta = agent("4.0", peers=["NORTH", "SOUTH"], defect="double-release")
    mta.submit(0.0, "s", peer="SOUTH")
    south = mta.stand(0.0)
    mta.take_actions()
    mta.submit(0.0, "n", peer="NORTH")
    mta.stand(0.0)
    mta.carry(0.0)
    assert mta.acknowledgement_repeated(1.0, "NORTH")
    mta.submit(1.0, "twin", peer="NORTH")
    mta.submit(1.0, "twin", peer="NORTH")
    mta.receive(2.0, mta.one(Transfer).handle, P.DISCONNECT_INDICATION)
    mta.wake(2.0 + INTERVAL)
    mta.stand(602.0)
    assert (mta.state("NORTH"), mta.kernel.handles()) == (SessionState.HELD, [south])
    assert mta.receive(603.0, south, P.TRANSFER_CONFIRM)
    assert len(mta.next_hops["SOUTH"]) == 0


def test_a_collision_leaves_an_open_error_to_its_timer(agent: Agents) -> None:
    mta = agent("4.0", defect="double-release", threshold=1)
    handle = mta.first()
    assert mta.acknowledgement_repeated(1.0)
    assert mta.acknowledgement_repeated(1.0)
    assert [mta.submit(1.0, body).mtsid for body in "abc"] == [1, 1, 1]
    _, connect = mta.take_actions()
    mta.receive(2.0, connect.handle, P.DISCONNECT_INDICATION)
    mta.receive(3.0, handle, P.TRANSFER_CONFIRM)
    assert (mta.state(), mta.take_actions()) == (SessionState.HELD, [Disconnect(handle)])
    assert mta.kernel.handles() == [connect.handle]
    mta.wake(2.0 + DISCONNECT)
    assert (mta.kernel.idle, mta.state(), mta.wakes_at) == (20, SessionState.HELD, 3.0 + INTERVAL)


def test_double_release_believes_the_acknowledgement_of_a_message_that_was_deleted(agent: Agents) -> None:
    left: list[Entry[str]] = []
    mta = agent("4.0", defect="double-release", on_left=left.append)
    entry = mta.submit(0.0, "a")
    handle = mta.stand(0.0)
    mta.one(Transfer)
    mta.delete(1.0, entry.mtsid)
    assert mta.receive(2.0, handle, P.TRANSFER_CONFIRM)
    assert (left, entry.way, entry.left_at, len(mta)) == ([entry], Way.OPERATOR, 1.0, 0)
    assert (mta.state(), mta.next_hops["NORTH"].stale_acknowledgements) == (SessionState.OPEN, 0)
    other = mta.submit(3.0, "b")
    assert mta.carry(4.0) is other


def test_1004_the_next_open_meets_r1_and_is_tried_again_after_the_interval(agent: Agents) -> None:
    mta = agent("4.0", peers=["NORTH", "SOUTH"])
    assert mta.connect_indication(0.0, "SOUTH") is not None  # so that the block's number is not the association's
    entry = mta.submit(0.0, "a", peer="NORTH")
    mta.flap(0.0, transport=True)
    assert (mta.kernel.count(Remnant.STUCK), mta.take_actions()) == (1, [])
    mta.wake(INTERVAL)
    assert (mta.take_actions(), mta.refusals) == ([], {Refusal.STATE_CHECK: 1})
    assert mta.events() == [(0.0, 4284), (0.0, 4287), (INTERVAL, 1004)]
    logged = list(mta.log)[-1].event
    assert logged.fields == {"association": 1, "entity": ENTITY.format("NORTH")}
    assert (mta.state(), mta.wakes_at) == (SessionState.RETRY, 2 * INTERVAL)
    mta.wake(2 * INTERVAL)
    mta.stand(2 * INTERVAL)
    assert mta.carry(2 * INTERVAL) is entry
    assert len(mta.log) == 3
    mta.kernel.check()


def test_a_refused_reopen_after_the_peer_released_us_waits_for_the_interval(agent: Agents) -> None:
    mta = agent("4.0", threshold=1)
    for body in "abc":
        mta.submit(0.0, body)
    first, second = mta.stand_all(0.0)
    mta.receive(1.0, first, P.RELEASE_INDICATION)
    _, connect = mta.take_actions()  # the first one's number again, for the backlog
    for primitive in (P.CONNECT_CONFIRM, P.DISCONNECT_INDICATION, P.CONNECT_CONFIRM):
        assert mta.receive(1.0, connect.handle, primitive)
    mta.wake(1.0 + DISCONNECT)
    assert (mta.kernel.count(Remnant.STUCK), mta.state()) == (1, SessionState.OPEN)
    mta.take_actions()
    assert mta.receive(700.0, second, P.RELEASE_INDICATION)
    assert mta.take_actions() == [Disconnect(second)]
    assert mta.next_hops["NORTH"].queue.qsize() == 3
    assert mta.events() == [(1.0, 4284), (1.0, 4287), (700.0, 1004)]
    assert (mta.refusals, mta.state()) == ({Refusal.STATE_CHECK: 1}, SessionState.RETRY)
    assert mta.wakes_at == 700.0 + INTERVAL
    mta.wake(699.9 + INTERVAL)
    assert mta.take_actions() == []
    mta.wake(700.0 + INTERVAL)
    mta.one(Connect)
    assert (mta.log.counts[1004], mta.refusals) == (1, {Refusal.STATE_CHECK: 1})


def test_1277_a_peer_meets_r1_at_every_connect(agent: Agents) -> None:
    mta = agent("4.0")
    mta.submit(0.0, "a")
    handle = mta.flap(0.0, transport=True)
    for count in (1, 2):
        assert mta.connect_indication(200.0) is None
        assert (mta.log.counts[1277], mta.remote_refusals) == (count, count)
    assert list(mta.log)[-1].event.fields == {"index": handle.block, "entity": ENTITY.format("NORTH")}
    mta.kernel.check()


@pytest.mark.parametrize(
    ("primitive", "id"),
    [(P.PRESENTATION_INDICATION, 1198), (P.SESSION_INDICATION, 1008), (P.DISCONNECT_INDICATION, 1008)],
)
def test_1198_and_1008_end_r2(primitive: Primitive, id: int, agent: Agents) -> None:
    mta = agent("4.0")
    mta.submit(0.0, "a")
    handle = mta.flap(0.0, transport=False)
    assert (mta.kernel.count(Remnant.DANGLING), mta.kernel.idle) == (1, 19)
    assert mta.receive(200.0, handle, primitive)
    assert mta.one(Disconnect) == Disconnect(handle)
    assert mta.events() == [(0.0, 4284), (0.0, 4287), (200.0, id)]
    assert list(mta.log)[-1].event.fields == ({"index": handle.block} if id == 1198 else {})
    assert (mta.kernel.idle, mta.wakes_at) == (20, INTERVAL)
    mta.kernel.check()


def test_link_down_does_not_reach_r2(agent: Agents) -> None:
    mta = agent("4.0")
    mta.submit(0.0, "a")
    mta.flap(0.0, transport=False)
    mta.link_down(200.0)
    assert (mta.kernel.count(Remnant.DANGLING), len(mta.log)) == (1, 2)


def test_the_numbers_of_associations_left_behind_are_given_again(agent: Agents) -> None:
    mta = agent("4.0", associations=1)
    mta.submit(0.0, "a")
    mta.flap(0.0, transport=False)
    mta.wake(INTERVAL)
    mta.one(Connect)
    assert mta.refusals == {}
