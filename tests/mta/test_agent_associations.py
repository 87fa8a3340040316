"""Several associations, those that a peer opens, and several peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtsid.mta import (
    Associate,
    Connect,
    Disconnect,
    Drop,
    Entry,
    Handle,
    Primitive,
    Refusal,
    Release,
    SessionState,
    State,
    Transfer,
    Way,
)
from mtsid.mta.life_cycle import FROM_NETWORK

if TYPE_CHECKING:
    from .conftest import Agents

P = Primitive
PAIR = [4284, 4287]
INTERVAL, RECOVERY, LIFETIME, DISCONNECT = 600.0, 60.0, 300.0, 120.0
ENTITY = "/O=ORGANIZATION/OU=SITE/CN=CONFIGURATION/CN=SERVERS/CN={}/CN=MICROSOFT MTA"


def ways(*entries: Entry[str]) -> list[Way | None]:
    return [entry.way for entry in entries]


# The peer's doing


def test_a_peer_that_releases_our_association_causes_no_event_and_mail_reopens_at_once(agent: Agents) -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    handle = mta.stand(0.0)
    mta.one(Transfer)
    assert mta.receive(1.0, handle, P.RELEASE_INDICATION)
    disconnect, connect = mta.take_actions()
    assert (disconnect, type(connect)) == (Disconnect(handle), Connect)
    assert (mta.events(), entry.lost_at, entry.way) == ([], 1.0, None)
    mta.receive(1.0, connect.handle, P.CONNECT_CONFIRM)
    mta.answer(1.0, Associate, P.ACCEPT)
    assert mta.carry(2.0) is entry
    assert mta.events() == []


def test_a_peer_that_releases_an_idle_association_leaves_nothing(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    assert mta.receive(1.0, handle, P.RELEASE_INDICATION)
    assert mta.take_actions() == [Disconnect(handle)]
    assert (mta.events(), mta.state(), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)


def test_a_peer_opens_an_association(agent: Agents) -> None:
    mta = agent()
    handle = mta.connect_indication(0.0)
    assert handle == (1, 0)
    assert (mta.kernel.block(1).state, mta.kernel.in_use) == (State.OPEN, 1)
    assert (mta.take_actions(), mta.wakes_at, mta.state(), mta.remote_refusals) == ([], None, SessionState.IDLE, 0)
    assert mta.receive(1.0, handle, P.RELEASE_INDICATION)
    assert (mta.take_actions(), mta.kernel.idle, mta.events()) == ([Disconnect(handle)], 20, [])


@pytest.mark.parametrize("primitive", [P.DISCONNECT_INDICATION, P.SESSION_INDICATION, P.RELEASE_INDICATION])
def test_the_loss_of_a_peers_association_is_no_event_of_ours(primitive: Primitive, agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    assert mta.receive(1.0, theirs, primitive)
    assert (mta.events(), mta.state(), mta.kernel.in_use) == ([], SessionState.OPENING, 1)


def test_a_peers_association_carries_none_of_our_mail(agent: Agents) -> None:
    mta = agent()
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    mta.submit(1.0, "a")
    connect = mta.one(Connect)
    assert connect.handle != theirs
    assert not mta.receive(2.0, theirs, P.TRANSFER_CONFIRM)
    assert (mta.kernel.drops, len(mta), mta.take_actions()) == ({Drop.OUT_OF_TURN: 1}, 1, [])


def test_a_peer_over_its_limit_is_refused_with_1277_and_again_welcome_later(agent: Agents) -> None:
    mta = agent(associations=2)
    first, second = mta.connect_indication(0.0), mta.connect_indication(0.0)
    assert first is not None
    assert second is not None
    assert mta.connect_indication(1.0) is None
    assert (mta.events(), mta.remote_refusals, mta.kernel.in_use) == ([(1.0, 1277)], 1, 2)
    [entry] = mta.log
    assert entry.event.fields == {"index": 0, "entity": ENTITY.format("NORTH")}
    mta.receive(2.0, first, P.RELEASE_INDICATION)
    assert mta.connect_indication(3.0) is not None
    assert len(mta.log) == 1


def test_a_peer_that_finds_no_block_is_refused_with_1277(agent: Agents) -> None:
    mta = agent(peers=["NORTH", "SOUTH"], control_blocks=1)
    north = mta.connect_indication(0.0, "NORTH")
    assert north is not None
    for count in (1, 2):
        assert mta.connect_indication(1.0, "SOUTH") is None
        assert (mta.log.counts, mta.remote_refusals) == ({1277: count}, count)
    mta.receive(2.0, north, P.RELEASE_INDICATION)
    for _ in range(3):
        south = mta.connect_indication(3.0, "SOUTH")
        assert south is not None
        association = mta.kernel.block(1).association
        assert association is not None
        assert association.number == 1  # the refusals kept none
        mta.receive(3.0, south, P.RELEASE_INDICATION)


def test_an_open_without_a_block_is_counted_and_tried_again_after_the_interval(agent: Agents) -> None:
    mta = agent(control_blocks=1, associations=2)
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    entry = mta.submit(1.0, "a")
    assert (mta.take_actions(), mta.refusals) == ([], {Refusal.NO_BLOCK: 1})
    assert (mta.events(), mta.state(), mta.wakes_at) == ([], SessionState.RETRY, 1.0 + INTERVAL)
    mta.wake(601.0)
    assert (mta.refusals, mta.wakes_at) == ({Refusal.NO_BLOCK: 2}, 601.0 + INTERVAL)
    mta.receive(700.0, theirs, P.RELEASE_INDICATION)
    mta.take_actions()
    mta.wake(1201.0)
    mta.stand(1201.0)
    assert mta.carry(1202.0) is entry
    mta.submit(1203.0, "b")
    mta.link_down(1204.0)
    assert (mta.state(), mta.events()) == (SessionState.RETRY, [(1204.0, id) for id in PAIR])


def test_an_open_without_a_number_is_counted_and_tried_again(agent: Agents) -> None:
    mta = agent(associations=1)
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    mta.submit(1.0, "a")
    assert (mta.take_actions(), mta.refusals, mta.wakes_at) == ([], {Refusal.NO_NUMBER: 1}, 1.0 + INTERVAL)
    mta.receive(2.0, theirs, P.RELEASE_INDICATION)
    mta.take_actions()
    mta.wake(601.0)
    mta.one(Connect)


def test_opens_without_a_block_count_as_failed_opens_from_the_first_retry_on(agent: Agents) -> None:
    mta = agent(control_blocks=1, open_retries=2)
    mta.connect_indication(0.0)
    entry = mta.submit(0.0, "a")
    mta.wake(600.0)
    assert ways(entry) == [None]
    mta.wake(1200.0)
    assert (entry.way, entry.left_at) == (Way.RETRIES, 1200.0)
    mta.wake(1800.0)
    assert (mta.state(), mta.wakes_at) == (SessionState.IDLE, None)


def test_what_comes_too_late_or_out_of_turn_is_counted_and_changes_nothing(agent: Agents) -> None:
    mta = agent()
    handle = mta.first()
    before = mta.look()
    assert not mta.receive(1.0, handle, P.CONNECT_CONFIRM)
    assert not mta.receive(1.0, handle, P.RELEASE_CONFIRM)
    assert (mta.look(), mta.take_actions(), mta.kernel.drops) == (before, [], {Drop.OUT_OF_TURN: 2})
    mta.receive(2.0, handle, P.RELEASE_INDICATION)
    mta.take_actions()
    before = mta.look()
    for primitive in FROM_NETWORK:
        assert not mta.receive(3.0, handle, primitive)
    assert (mta.look(), mta.take_actions()) == (before, [])
    assert mta.kernel.drops == {Drop.OUT_OF_TURN: 2, Drop.STALE: len(FROM_NETWORK)}


# Several associations


def test_a_backlog_above_the_threshold_opens_one_more(agent: Agents) -> None:
    mta = agent(threshold=2)
    for number in range(3):
        mta.submit(0.0, f"{number}")
    handle = mta.stand(0.0)
    mta.one(Transfer)  # one in transfer, two wait: not above the threshold
    mta.submit(1.0, "3")
    more = mta.one(Connect)
    assert more.handle != handle
    mta.submit(2.0, "4")
    assert mta.take_actions() == []  # four wait for two
    mta.submit(3.0, "5")
    mta.one(Connect)
    assert mta.kernel.in_use == 3


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_backlog_opens_as_many_associations_as_the_policy_allows(most: int, agent: Agents) -> None:
    mta = agent(threshold=1, associations=most)
    for number in range(30):
        mta.submit(0.0, f"{number}")
    busy = mta.stand_all(0.0)
    assert len(busy) == len(set(busy)) == mta.kernel.in_use == most
    assert (mta.refusals, mta.events()) == ({Refusal.NO_NUMBER: 1}, [])
    mta.submit(1.0, "more")
    assert mta.refusals == {Refusal.NO_NUMBER: 1}  # not asked for again before the interval is over
    mta.submit(INTERVAL, "more")
    assert mta.refusals == {Refusal.NO_NUMBER: 2}
    mta.kernel.check()


def test_all_mail_leaves_once_whatever_the_number_of_associations(agent: Agents) -> None:
    mta = agent(threshold=2, associations=3)
    entries = [mta.submit(0.0, f"{number}") for number in range(20)]
    busy = mta.stand_all(0.0)
    while busy:
        assert mta.receive(1.0, busy.pop(0), P.TRANSFER_CONFIRM)
        busy += mta.stand_all(1.0)
    assert {(entry.way, entry.transfers) for entry in entries} == {(Way.DELIVERED, 1)}
    assert (mta.kernel.in_use, mta.wakes_at) == (3, 1.0 + LIFETIME)
    mta.wake(1.0 + LIFETIME)
    assert [type(action) for action in mta.take_actions()] == [Release] * 3


def test_mail_is_sent_on_the_association_used_last_so_that_the_others_may_end(agent: Agents) -> None:
    mta, handles = agent.all_idle(3)
    for now in (100.0, 200.0):
        mta.submit(now, "a")
        transfer = mta.one(Transfer)
        assert transfer.handle == handles[-1]
        mta.receive(now, transfer.handle, P.TRANSFER_CONFIRM)
    mta.wake(1.0 + LIFETIME)
    assert [action.handle for action in mta.take_actions() if isinstance(action, Release)] == handles[:2]
    assert (mta.state(), mta.kernel.in_use) == (SessionState.OPEN, 3)


def test_several_associations_lost_at_once_are_one_loss(agent: Agents) -> None:
    mta, _ = agent.several()
    in_transfer = [entry for entry in mta.next_hops["NORTH"].entries() if entry.transfers]
    mta.link_down(5.0)
    assert mta.events() == [(5.0, id) for id in PAIR]
    assert [entry.lost_at for entry in in_transfer] == [5.0] * 3
    assert (mta.state(), mta.wakes_at, mta.kernel.idle) == (SessionState.RETRY, 5.0 + INTERVAL, 20)
    assert (len(mta), mta.next_hops["NORTH"].queue.qsize()) == (20, 20)


def test_one_association_lost_among_several_is_a_pair_and_the_session_goes_on(agent: Agents) -> None:
    mta, busy = agent.several()
    mta.receive(5.0, busy[0], P.DISCONNECT_INDICATION)
    assert (mta.events(), mta.state(), mta.wakes_at) == ([(5.0, id) for id in PAIR], SessionState.OPEN, None)
    assert (mta.take_actions(), mta.kernel.in_use) == ([], 2)
    mta.receive(6.0, busy[1], P.TRANSFER_CONFIRM)
    transfer = mta.one(Transfer)
    assert (transfer.handle, transfer.entry.lost_at) == (busy[1], 5.0)
    mta.receive(5.0 + INTERVAL, busy[1], P.TRANSFER_CONFIRM)
    assert [type(action) for action in mta.take_actions()] == [Transfer, Connect]


def test_the_last_association_lost_ends_the_session(agent: Agents) -> None:
    mta, busy = agent.several(2)
    mta.receive(5.0, busy[0], P.DISCONNECT_INDICATION)
    mta.receive(6.0, busy[1], P.DISCONNECT_INDICATION)
    assert mta.events() == [(now, id) for now in (5.0, 6.0) for id in PAIR]
    assert (mta.state(), mta.wakes_at) == (SessionState.RETRY, 6.0 + INTERVAL)


def test_a_further_association_that_cannot_be_opened_leaves_the_others_alone(agent: Agents) -> None:
    mta = agent(threshold=1)
    for number in range(3):
        mta.submit(0.0, f"{number}")
    mta.stand(0.0)
    transfer, more = mta.take_actions()
    assert (type(transfer), type(more)) == (Transfer, Connect)
    mta.receive(1.0, more.handle, P.DISCONNECT_INDICATION)
    assert (mta.events(), mta.state()) == ([(1.0, id) for id in PAIR], SessionState.OPEN)
    assert (mta.take_actions(), mta.wakes_at) == ([], 1.0 + DISCONNECT)
    mta.wake(121.0)
    assert mta.kernel.in_use == 1
    assert isinstance(transfer, Transfer)
    assert mta.receive(122.0, transfer.handle, P.TRANSFER_CONFIRM)
    assert len(mta) == 2


def test_a_session_whose_first_association_is_released_waits_for_the_one_being_opened(agent: Agents) -> None:
    mta = agent(threshold=1)
    for number in range(3):
        mta.submit(0.0, f"{number}")
    handle = mta.stand(0.0)
    _, more = mta.take_actions()
    mta.receive(1.0, handle, P.RELEASE_INDICATION)
    assert (mta.events(), mta.state()) == ([], SessionState.OPEN)
    mta.take_actions()
    mta.receive(2.0, more.handle, P.CONNECT_CONFIRM)
    mta.receive(2.0, more.handle, P.ACCEPT)
    transfers = [action for action in mta.take_actions() if isinstance(action, Transfer)]
    assert [(transfer.handle, transfer.entry.body) for transfer in transfers] == [(more.handle, "0")]


def test_a_backlog_asks_for_one_more_only_while_one_stands(agent: Agents) -> None:
    mta = agent(threshold=1)
    for number in range(3):
        mta.submit(0.0, f"{number}")
    handle = mta.stand(0.0)
    _, more = mta.take_actions()
    mta.receive(1.0, handle, P.RELEASE_INDICATION)
    assert mta.take_actions() == [Disconnect(handle)]
    for number in range(3, 9):
        mta.submit(2.0, f"{number}")
    assert (mta.take_actions(), mta.state(), mta.kernel.in_use) == ([], SessionState.OPEN, 1)
    mta.receive(3.0, more.handle, P.CONNECT_CONFIRM)
    mta.receive(3.0, more.handle, P.ACCEPT)
    assert [type(action) for action in mta.take_actions()] == [Associate, Transfer, Connect]


def test_a_session_released_with_a_backlog_is_opened_anew_as_the_first_time(agent: Agents) -> None:
    mta = agent(threshold=1, associations=1)
    for number in range(9):
        mta.submit(0.0, f"{number}")
    [handle] = mta.stand_all(0.0)
    mta.receive(INTERVAL, handle, P.RELEASE_INDICATION)
    assert [type(action) for action in mta.take_actions()] == [Disconnect, Connect]
    assert (mta.state(), mta.events(), mta.wakes_at) == (SessionState.OPENING, [], None)


# Several peers


def test_each_peer_has_its_own_queue_numbers_and_session(agent: Agents) -> None:
    mta = agent(peers=["NORTH", "SOUTH", "WEST"])
    north, south = mta.submit(0.0, "n", peer="NORTH"), mta.submit(0.0, "s", peer="SOUTH")
    assert (north.mtsid, south.mtsid) == (1, 1)
    assert list(mta.next_hops) == ["NORTH", "SOUTH", "WEST"]
    assert [len(hop) for hop in mta.next_hops.values()] == [1, 1, 0]
    first, second = mta.take_actions()
    assert (first, second) == (Connect("NORTH", Handle(1, 0)), Connect("SOUTH", Handle(2, 0)))
    mta.receive(1.0, Handle(1, 0), P.CONNECT_CONFIRM)
    mta.answer(1.0, Associate, P.ACCEPT)
    assert mta.one(Transfer) == Transfer("NORTH", Handle(1, 0), north)
    mta.link_down(2.0, "SOUTH")
    assert [mta.state(name) for name in mta.next_hops] == [SessionState.OPEN, SessionState.RETRY, SessionState.IDLE]
    assert mta.receive(3.0, Handle(1, 0), P.TRANSFER_CONFIRM)
    assert (north.way, south.way, len(mta)) == (Way.DELIVERED, None, 1)
    mta.link_up(4.0, "NORTH")
    assert mta.wakes_at == 2.0 + DISCONNECT
    mta.link_up(4.0, "SOUTH")
    assert mta.wakes_at == 4.0 + RECOVERY
    assert mta.delete(5.0, 1, peer="SOUTH") is south


def test_the_entity_of_a_peer_is_made_of_its_name_or_given(agent: Agents) -> None:
    assert agent(peers=["NORTH"]).next_hops["NORTH"].entity == ENTITY.format("NORTH")
    mta = agent(peers={"NORTH": "/CN=N", "SOUTH": "/CN=S"})
    assert {name: (hop.name, hop.entity) for name, hop in mta.next_hops.items()} == {
        "NORTH": ("NORTH", "/CN=N"),
        "SOUTH": ("SOUTH", "/CN=S"),
    }
    mta.submit(0.0, "a", peer="SOUTH")
    assert mta.one(Connect).peer == "SOUTH"
    assert mta.kernel.block(1).entity == "/CN=S"


def test_the_peers_share_the_control_blocks(agent: Agents) -> None:
    mta = agent(peers=["NORTH", "SOUTH"], control_blocks=1)
    mta.submit(0.0, "n", peer="NORTH")
    mta.submit(0.0, "s", peer="SOUTH")
    assert mta.one(Connect).peer == "NORTH"
    assert (mta.state("SOUTH"), mta.refusals) == (SessionState.RETRY, {Refusal.NO_BLOCK: 1})
