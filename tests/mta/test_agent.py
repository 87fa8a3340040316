"""The MTA as a driver meets it: actions out, primitives in, time, events, restart and shutdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtsid import NotInUse, ShutDown
from mtsid.mta import (
    DEFECTS,
    MTA,
    Action,
    Associate,
    Connect,
    Disconnect,
    Drop,
    Entry,
    EventLog,
    Handle,
    Policy,
    Primitive,
    Refusal,
    Release,
    Remnant,
    SessionState,
    State,
    Transfer,
    Way,
)
from mtsid.mta.life_cycle import FROM_NETWORK
from mtsid.mta.versions import VERSIONS, Version

P = Primitive
PAIR = [4284, 4287]
INTERVAL, RECOVERY, LIFETIME, DISCONNECT = 600.0, 60.0, 300.0, 120.0
ENTITY = "/O=ORGANIZATION/OU=SITE/CN=CONFIGURATION/CN=SERVERS/CN={}/CN=MICROSOFT MTA"


def agent(version: Version = "SP2", *, peers: Any = ("NORTH",), ids: int = 100, **policy: Any) -> MTA[str]:
    return MTA(version, peers=peers, ids=ids, policy=Policy(**policy))


def one(mta: MTA[str], kind: type[Action]) -> Any:
    """Take the one action that is to be done, which is of that kind."""
    [action] = mta.take_actions()
    assert isinstance(action, kind)
    return action


def answer(mta: MTA[str], now: float, kind: type[Action], primitive: Primitive) -> Handle:
    handle: Handle = one(mta, kind).handle
    assert mta.receive(now, handle, primitive)
    return handle


def stand(mta: MTA[str], now: float) -> Handle:
    """Answer an open that was asked for; return the handle of the association that stands."""
    answer(mta, now, Connect, P.CONNECT_CONFIRM)
    return answer(mta, now, Associate, P.ACCEPT)


def carry(mta: MTA[str], now: float) -> Entry[str]:
    """Confirm the one transfer that is to be done; return its message."""
    transfer = one(mta, Transfer)
    assert mta.receive(now, transfer.handle, P.TRANSFER_CONFIRM)
    entry: Entry[str] = transfer.entry
    return entry


def idle(mta: MTA[str]) -> Handle:
    """Let one message be carried at 0.0; return the handle of the association, which has nothing to send."""
    mta.submit(0.0, "first")
    handle = stand(mta, 0.0)
    carry(mta, 0.0)
    return handle


def events(mta: MTA[str]) -> list[tuple[float, int]]:
    return [(entry.time, entry.event.id) for entry in mta.log]


def ways(*entries: Entry[str]) -> list[Way | None]:
    return [entry.way for entry in entries]


def state(mta: MTA[str], peer: str = "NORTH") -> SessionState:
    return mta.next_hops[peer].state


def look(mta: MTA[str]) -> tuple[object, ...]:
    """Everything that an input may change, but the actions and the count of drops."""
    kernel = mta.kernel
    blocks = [kernel.block(index) for index in range(1, kernel.size + 1)]
    return (
        (len(mta), mta.wakes_at, events(mta), dict(mta.refusals), mta.remote_refusals, mta.unmatched_confirms),
        [(b.generation, b.state, b.entity, b.association, b.handle, b.remnant) for b in blocks],
        [list(block.pending) for block in blocks],
        [(hop.state, hop.collision, hop.deferred_until, hop.queue.qsize()) for hop in mta.next_hops.values()],
        [[(e.mtsid, e.way, e.transfers, e.lost_at) for e in hop.entries()] for hop in mta.next_hops.values()],
    )


# One message


@pytest.mark.parametrize("version", VERSIONS)
def test_one_message_from_its_entry_to_the_end_of_its_association(version: Version) -> None:
    left: list[Entry[str]] = []
    mta: MTA[str] = MTA(version, peers=["NORTH"], ids=100, on_left=left.append)
    assert (len(mta), mta.wakes_at, mta.take_actions(), state(mta)) == (0, None, [], SessionState.IDLE)

    entry = mta.submit(10.0, "hello", mts_id="C=XX;A=400;P=ORG;L=0001")
    assert (len(mta), state(mta), mta.wakes_at) == (1, SessionState.OPENING, None)
    connect = one(mta, Connect)
    assert (connect.peer, connect.handle) == ("NORTH", (1, 0))
    assert mta.take_actions() == []

    assert mta.receive(11.0, connect.handle, P.CONNECT_CONFIRM)
    assert one(mta, Associate) == Associate("NORTH", connect.handle)
    assert mta.receive(12.0, connect.handle, P.ACCEPT)
    transfer = one(mta, Transfer)
    assert transfer == Transfer("NORTH", connect.handle, entry)
    assert (state(mta), mta.wakes_at, entry.transfers, left) == (SessionState.OPEN, None, 1, [])

    assert mta.receive(13.0, connect.handle, P.TRANSFER_CONFIRM)
    assert (entry.way, entry.left_at, left, len(mta)) == (Way.DELIVERED, 13.0, [entry], 0)
    assert (mta.take_actions(), mta.wakes_at, state(mta)) == ([], 13.0 + LIFETIME, SessionState.OPEN)

    mta.wake(313.0)
    assert one(mta, Release) == Release("NORTH", connect.handle)
    assert (state(mta), mta.wakes_at) == (SessionState.IDLE, 313.0 + DISCONNECT)
    assert mta.receive(314.0, connect.handle, P.RELEASE_CONFIRM)
    assert (mta.take_actions(), mta.wakes_at, mta.kernel.idle) == ([], None, 20)
    assert (events(mta), mta.kernel.drops, mta.refusals, mta.unmatched_confirms) == ([], {}, {}, 0)
    mta.kernel.check()


def test_a_release_that_nobody_confirms_ends_with_the_disconnect_timer() -> None:
    mta = agent()
    handle = idle(mta)
    mta.wake(LIFETIME)
    mta.take_actions()
    mta.wake(LIFETIME + DISCONNECT - 1)
    assert (mta.take_actions(), mta.kernel.in_use) == ([], 1)
    mta.wake(LIFETIME + DISCONNECT)
    assert one(mta, Disconnect) == Disconnect(handle)
    assert (mta.kernel.idle, mta.wakes_at, events(mta), state(mta)) == (20, None, [], SessionState.IDLE)
    assert not mta.receive(421.0, handle, P.RELEASE_CONFIRM)
    assert mta.kernel.drops == {Drop.STALE: 1}


@pytest.mark.parametrize(
    ("primitive", "disconnects"),
    [(P.RELEASE_INDICATION, True), (P.DISCONNECT_INDICATION, False), (P.SESSION_INDICATION, True)],
)
def test_a_release_that_meets_something_else_ends_without_an_event(primitive: Primitive, disconnects: bool) -> None:
    mta = agent()
    handle = idle(mta)
    mta.wake(LIFETIME)
    mta.take_actions()
    assert mta.receive(301.0, handle, primitive)
    assert mta.take_actions() == ([Disconnect(handle)] if disconnects else [])
    assert (mta.kernel.idle, mta.wakes_at, events(mta), state(mta)) == (20, None, [], SessionState.IDLE)


def test_an_association_that_got_mail_in_time_is_not_released() -> None:
    mta = agent()
    handle = idle(mta)
    entry = mta.submit(200.0, "second")
    assert one(mta, Transfer) == Transfer("NORTH", handle, entry)
    assert mta.wakes_at is None
    mta.wake(LIFETIME)
    assert mta.take_actions() == []
    mta.receive(350.0, handle, P.TRANSFER_CONFIRM)
    assert mta.wakes_at == 350.0 + LIFETIME


def test_mail_that_comes_during_a_release_opens_an_association_of_its_own() -> None:
    mta = agent()
    handle = idle(mta)
    mta.wake(LIFETIME)
    one(mta, Release)
    mta.submit(310.0, "second")
    connect = one(mta, Connect)
    assert connect.handle != handle
    assert mta.receive(311.0, handle, P.RELEASE_CONFIRM)
    assert (state(mta), mta.kernel.in_use, mta.take_actions()) == (SessionState.OPENING, 1, [])
    mta.receive(312.0, connect.handle, P.CONNECT_CONFIRM)
    answer(mta, 313.0, Associate, P.ACCEPT)
    assert carry(mta, 314.0).body == "second"


def test_a_wake_before_its_time_or_without_timers_does_nothing() -> None:
    mta = agent()
    mta.wake(0.0)
    idle(mta)
    before = look(mta)
    mta.wake(LIFETIME - 0.001)
    assert (look(mta), mta.take_actions()) == (before, [])


def test_messages_go_one_after_the_other_on_one_association() -> None:
    mta = agent()
    for body in "abc":
        mta.submit(0.0, body)
    handle = stand(mta, 0.0)
    assert [carry(mta, float(n)).body for n in range(3)] == list("abc")
    assert (mta.take_actions(), mta.kernel.handles()) == ([], [handle])


def test_urgent_mail_goes_first() -> None:
    mta = agent()
    for body, priority in (("later", "non-urgent"), ("normal", "normal"), ("first", "urgent")):
        mta.submit(0.0, body, priority=priority)  # type: ignore[arg-type]
    stand(mta, 0.0)
    assert [carry(mta, 0.0).body for _ in range(3)] == ["first", "normal", "later"]


def test_a_full_queue_returns_a_message_at_once() -> None:
    left: list[Entry[str]] = []
    mta: MTA[str] = MTA(peers=["NORTH"], ids=1, on_left=left.append)
    mta.submit(0.0, "a")
    refused = mta.submit(1.0, "b")
    assert (refused.way, refused.left_at, refused.mtsid, left, len(mta)) == (Way.QUEUE_FULL, 1.0, -1, [refused], 1)


def test_the_permanent_mts_id_stays_apart_from_the_mtsid() -> None:
    mta = agent()
    first = mta.submit(0.0, "a", mts_id="1")
    second = mta.submit(0.0, "b", mts_id="1")
    third = mta.submit(0.0, "c")
    assert [(entry.mtsid, entry.mts_id) for entry in (first, second, third)] == [(1, "1"), (2, "1"), (3, None)]
    stand(mta, 0.0)
    assert carry(mta, 0.0).mts_id == "1"
    assert (first.mtsid, first.mts_id) == (1, "1")


def test_a_deferred_message_waits_for_its_time_and_lets_others_pass() -> None:
    mta = agent()
    late, other = mta.submit(0.0, "late", not_before=100.0), mta.submit(0.0, "other")
    stand(mta, 0.0)
    assert carry(mta, 1.0) is other
    assert (mta.take_actions(), mta.wakes_at, len(mta)) == ([], 100.0, 1)
    mta.wake(100.0)
    assert carry(mta, 101.0) is late
    assert mta.wakes_at == 101.0 + LIFETIME


def test_a_deferred_message_opens_the_session_when_its_time_comes() -> None:
    mta = agent()
    mta.submit(0.0, "late", not_before=1000.0)
    handle = stand(mta, 0.0)
    assert mta.wakes_at == LIFETIME
    mta.wake(LIFETIME)
    one(mta, Release)
    mta.receive(301.0, handle, P.RELEASE_CONFIRM)
    assert (state(mta), mta.wakes_at, len(mta)) == (SessionState.IDLE, 1000.0, 1)
    mta.wake(1000.0)
    stand(mta, 1001.0)
    assert carry(mta, 1002.0).body == "late"


def test_deleting_what_is_in_transfer_makes_its_confirm_stale() -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    handle = stand(mta, 0.0)
    assert mta.delete(1.0, entry.mtsid) is entry
    assert (entry.way, entry.left_at, len(mta)) == (Way.OPERATOR, 1.0, 0)
    assert mta.receive(2.0, handle, P.TRANSFER_CONFIRM)
    assert mta.next_hops["NORTH"].stale_acknowledgements == 1
    assert mta.wakes_at == 2.0 + LIFETIME


def test_a_confirm_while_nothing_is_in_transfer_is_counted_and_changes_nothing() -> None:
    mta = agent()
    handle = idle(mta)
    before = look(mta)
    for count in (1, 2):
        mta.receive(1.0, handle, P.TRANSFER_CONFIRM)
        assert mta.unmatched_confirms == count
    mta.unmatched_confirms = 0
    assert (look(mta), mta.take_actions()) == (before, [])


def test_data_on_an_association_that_stands_changes_nothing() -> None:
    mta = agent()
    handle = idle(mta)
    before = look(mta)
    assert mta.receive(1.0, handle, P.PRESENTATION_INDICATION)
    assert (look(mta), mta.take_actions()) == (before, [])


def test_a_repeated_acknowledgement_is_stale_in_sp2_and_taken_by_double_release() -> None:
    for mta, is_taken in (
        (agent(), False),
        (MTA[str]("4.0", peers=["NORTH"], ids=100, defect="double-release"), True),
    ):
        assert not mta.acknowledgement_repeated(0.0)
        idle(mta)
        assert mta.acknowledgement_repeated(1.0) is is_taken
        assert mta.next_hops["NORTH"].stale_acknowledgements == int(not is_taken)


# Losses and opens that fail


@pytest.mark.parametrize("version", VERSIONS)
def test_a_loss_requeues_the_message_logs_a_pair_and_opens_after_the_interval(version: Version) -> None:
    mta = agent(version)
    first = mta.submit(0.0, "first")
    handle = stand(mta, 0.0)
    one(mta, Transfer)
    assert mta.receive(5.0, handle, P.DISCONNECT_INDICATION)
    assert events(mta) == [(5.0, id) for id in PAIR]
    assert (first.lost_at, first.way, state(mta)) == (5.0, None, SessionState.RETRY)
    assert (mta.take_actions(), mta.wakes_at, mta.kernel.idle) == ([], 5.0 + INTERVAL, 20)
    mta.wake(605.0)
    stand(mta, 606.0)
    assert carry(mta, 607.0) is first
    assert (first.transfers, first.left_at, len(mta.log)) == (2, 607.0, 2)


@pytest.mark.parametrize("primitive", [P.DISCONNECT_INDICATION, P.SESSION_INDICATION])
def test_a_loss_without_mail_is_no_event_and_opens_nothing(primitive: Primitive) -> None:
    mta = agent()
    handle = idle(mta)
    assert mta.receive(1.0, handle, primitive)
    assert mta.take_actions() == ([] if primitive is P.DISCONNECT_INDICATION else [Disconnect(handle)])
    assert (events(mta), state(mta), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)
    mta.submit(2.0, "second")
    one(mta, Connect)


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
    version: Version, before: tuple[Primitive, ...], primitive: Primitive, disconnects: bool
) -> None:
    mta = agent(version)
    mta.submit(0.0, "a")
    handle = mta.kernel.handles()[0]
    for step in before:
        mta.receive(1.0, handle, step)
    mta.take_actions()
    assert mta.receive(2.0, handle, primitive)
    assert mta.take_actions() == ([Disconnect(handle)] if disconnects else [])
    assert (events(mta), state(mta)) == ([(2.0, id) for id in PAIR], SessionState.RETRY)
    assert (mta.kernel.in_use, mta.wakes_at) == (1, 2.0 + DISCONNECT)
    mta.wake(2.0 + DISCONNECT)
    assert (mta.kernel.idle, mta.wakes_at, mta.take_actions()) == (20, 2.0 + INTERVAL, [])
    mta.wake(2.0 + INTERVAL)
    assert one(mta, Connect).handle != handle
    assert len(mta.log) == 2


def test_an_open_that_fails_when_its_mail_is_gone_is_no_event() -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    connect = one(mta, Connect)
    mta.delete(1.0, entry.mtsid)
    mta.receive(2.0, connect.handle, P.DISCONNECT_INDICATION)
    assert (events(mta), state(mta), mta.wakes_at) == ([], SessionState.IDLE, 2.0 + DISCONNECT)
    mta.wake(200.0)
    assert (mta.wakes_at, mta.kernel.idle) == (None, 20)


def test_mail_deleted_during_the_wait_opens_nothing() -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    mta.link_down(0.0)
    mta.take_actions()
    mta.delete(1.0, entry.mtsid)
    mta.wake(INTERVAL)
    assert (mta.take_actions(), state(mta), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)


def test_a_long_outage_logs_pairs_one_interval_apart_and_ends_in_a_report_at_the_last_retry() -> None:
    mta = agent(open_retries=3)
    entry = mta.submit(0.0, "a")
    answer(mta, 0.0, Connect, P.DISCONNECT_INDICATION)
    for now in (INTERVAL, 2 * INTERVAL, 3 * INTERVAL):
        assert ways(entry) == [None]
        mta.wake(now)
        answer(mta, now, Connect, P.DISCONNECT_INDICATION)
    assert events(mta) == [(INTERVAL * number, id) for number in range(4) for id in PAIR]
    assert (entry.way, entry.left_at) == (Way.RETRIES, 3 * INTERVAL)
    mta.wake(4 * INTERVAL)
    assert (mta.take_actions(), state(mta), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)
    assert len(mta.log) == 8


def test_a_first_open_that_fails_is_not_yet_a_retry() -> None:
    mta = agent(open_retries=1)
    entry = mta.submit(0.0, "a")
    answer(mta, 0.0, Connect, P.DISCONNECT_INDICATION)
    assert ways(entry) == [None]
    mta.wake(INTERVAL)
    answer(mta, INTERVAL, Connect, P.DISCONNECT_INDICATION)
    assert (entry.way, entry.left_at, len(mta)) == (Way.RETRIES, INTERVAL, 0)


def test_a_loss_of_an_association_that_stood_is_not_a_failed_open() -> None:
    mta = agent(open_retries=1)
    entry = mta.submit(0.0, "a")
    answer(mta, 0.0, Connect, P.DISCONNECT_INDICATION)
    mta.wake(INTERVAL)
    handle = stand(mta, INTERVAL)
    mta.receive(601.0, handle, P.DISCONNECT_INDICATION)
    assert (entry.way, state(mta)) == (None, SessionState.RETRY)


def test_link_up_shortens_the_wait_to_the_recovery_and_never_lengthens_it() -> None:
    mta = agent()
    mta.submit(0.0, "a")
    answer(mta, 0.0, Connect, P.SESSION_INDICATION)
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
    one(mta, Connect)
    assert mta.wakes_at is None


def test_link_up_late_in_the_interval_leaves_its_end_alone() -> None:
    mta = agent()
    mta.submit(0.0, "a")
    answer(mta, 0.0, Connect, P.DISCONNECT_INDICATION)
    mta.wake(DISCONNECT)
    mta.link_up(INTERVAL - 1)
    assert mta.wakes_at == INTERVAL


@pytest.mark.parametrize("where", ["idle", "opening", "open"])
def test_link_up_means_nothing_to_a_session_that_does_not_wait(where: str) -> None:
    mta = agent()
    if where == "open":
        idle(mta)
    elif where == "opening":
        mta.submit(0.0, "a")
    mta.take_actions()
    before = look(mta)
    mta.link_up(1.0)
    assert (look(mta), mta.take_actions()) == (before, [])


def test_link_down_with_nothing_open_is_no_loss() -> None:
    mta = agent()
    before = look(mta)
    mta.link_down(1.0)
    assert (look(mta), mta.take_actions()) == (before, [])


def test_link_down_while_a_session_waits_is_no_second_loss() -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.link_down(1.0)
    mta.take_actions()
    before = look(mta)
    mta.link_down(2.0)
    assert (look(mta), mta.take_actions(), mta.kernel.drops) == (before, [], {})


def test_link_down_during_a_release_closes_without_an_event() -> None:
    mta = agent()
    idle(mta)
    mta.wake(LIFETIME)
    mta.take_actions()
    mta.link_down(301.0)
    assert (events(mta), mta.kernel.idle, mta.wakes_at) == ([], 20, None)


# The peer's doing


def test_a_peer_that_releases_our_association_causes_no_event_and_mail_reopens_at_once() -> None:
    mta = agent()
    entry = mta.submit(0.0, "a")
    handle = stand(mta, 0.0)
    one(mta, Transfer)
    assert mta.receive(1.0, handle, P.RELEASE_INDICATION)
    disconnect, connect = mta.take_actions()
    assert (disconnect, type(connect)) == (Disconnect(handle), Connect)
    assert (events(mta), entry.lost_at, entry.way) == ([], 1.0, None)
    mta.receive(1.0, connect.handle, P.CONNECT_CONFIRM)
    answer(mta, 1.0, Associate, P.ACCEPT)
    assert carry(mta, 2.0) is entry
    assert events(mta) == []


def test_a_peer_that_releases_an_idle_association_leaves_nothing() -> None:
    mta = agent()
    handle = idle(mta)
    assert mta.receive(1.0, handle, P.RELEASE_INDICATION)
    assert mta.take_actions() == [Disconnect(handle)]
    assert (events(mta), state(mta), mta.wakes_at, mta.kernel.idle) == ([], SessionState.IDLE, None, 20)


def test_a_peer_opens_an_association() -> None:
    mta = agent()
    handle = mta.connect_indication(0.0)
    assert handle == (1, 0)
    assert (mta.kernel.block(1).state, mta.kernel.in_use) == (State.OPEN, 1)
    assert (mta.take_actions(), mta.wakes_at, state(mta), mta.remote_refusals) == ([], None, SessionState.IDLE, 0)
    assert mta.receive(1.0, handle, P.RELEASE_INDICATION)
    assert (mta.take_actions(), mta.kernel.idle, events(mta)) == ([Disconnect(handle)], 20, [])


@pytest.mark.parametrize("primitive", [P.DISCONNECT_INDICATION, P.SESSION_INDICATION, P.RELEASE_INDICATION])
def test_the_loss_of_a_peers_association_is_no_event_of_ours(primitive: Primitive) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    assert mta.receive(1.0, theirs, primitive)
    assert (events(mta), state(mta), mta.kernel.in_use) == ([], SessionState.OPENING, 1)


def test_a_peers_association_carries_none_of_our_mail() -> None:
    mta = agent()
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    mta.submit(1.0, "a")
    connect = one(mta, Connect)
    assert connect.handle != theirs
    mta.receive(2.0, theirs, P.TRANSFER_CONFIRM)
    assert (mta.unmatched_confirms, len(mta), mta.take_actions()) == (1, 1, [])


def test_a_peer_over_its_limit_is_refused_with_1277_and_again_welcome_later() -> None:
    mta = agent(associations=2)
    first, second = mta.connect_indication(0.0), mta.connect_indication(0.0)
    assert first is not None
    assert second is not None
    assert mta.connect_indication(1.0) is None
    assert (events(mta), mta.remote_refusals, mta.kernel.in_use) == ([(1.0, 1277)], 1, 2)
    [entry] = mta.log
    assert entry.event.fields == {"index": 0, "entity": ENTITY.format("NORTH")}
    mta.receive(2.0, first, P.RELEASE_INDICATION)
    assert mta.connect_indication(3.0) is not None
    assert len(mta.log) == 1


def test_a_peer_that_finds_no_block_is_refused_with_1277() -> None:
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


def test_an_open_without_a_block_is_counted_and_tried_again_after_the_interval() -> None:
    mta = agent(control_blocks=1)
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    entry = mta.submit(1.0, "a")
    assert (mta.take_actions(), mta.refusals) == ([], {Refusal.NO_BLOCK: 1})
    assert (events(mta), state(mta), mta.wakes_at) == ([], SessionState.RETRY, 1.0 + INTERVAL)
    mta.wake(601.0)
    assert (mta.refusals, mta.wakes_at) == ({Refusal.NO_BLOCK: 2}, 601.0 + INTERVAL)
    mta.receive(700.0, theirs, P.RELEASE_INDICATION)
    mta.take_actions()
    mta.wake(1201.0)
    stand(mta, 1201.0)
    assert carry(mta, 1202.0) is entry


def test_an_open_without_a_number_is_counted_and_tried_again() -> None:
    mta = agent(associations=1)
    theirs = mta.connect_indication(0.0)
    assert theirs is not None
    mta.submit(1.0, "a")
    assert (mta.take_actions(), mta.refusals, mta.wakes_at) == ([], {Refusal.NO_NUMBER: 1}, 1.0 + INTERVAL)
    mta.receive(2.0, theirs, P.RELEASE_INDICATION)
    mta.take_actions()
    mta.wake(601.0)
    one(mta, Connect)


def test_opens_without_a_block_count_as_failed_opens_from_the_first_retry_on() -> None:
    mta = agent(control_blocks=1, open_retries=2)
    mta.connect_indication(0.0)
    entry = mta.submit(0.0, "a")
    mta.wake(600.0)
    assert ways(entry) == [None]
    mta.wake(1200.0)
    assert (entry.way, entry.left_at) == (Way.RETRIES, 1200.0)
    mta.wake(1800.0)
    assert (state(mta), mta.wakes_at) == (SessionState.IDLE, None)


def test_what_comes_too_late_or_out_of_turn_is_counted_and_changes_nothing() -> None:
    mta = agent()
    handle = idle(mta)
    before = look(mta)
    assert not mta.receive(1.0, handle, P.CONNECT_CONFIRM)
    assert not mta.receive(1.0, handle, P.RELEASE_CONFIRM)
    assert (look(mta), mta.take_actions(), mta.kernel.drops) == (before, [], {Drop.OUT_OF_TURN: 2})
    mta.receive(2.0, handle, P.RELEASE_INDICATION)
    mta.take_actions()
    before = look(mta)
    for primitive in FROM_NETWORK:
        assert not mta.receive(3.0, handle, primitive)
    assert (look(mta), mta.take_actions()) == (before, [])
    assert mta.kernel.drops == {Drop.OUT_OF_TURN: 2, Drop.STALE: len(FROM_NETWORK)}


# Several associations


def opened(mta: MTA[str], now: float) -> list[Handle]:
    """Answer every open that is asked for, until none is; return the handles of those whose transfers were started."""
    busy = []
    while actions := mta.take_actions():
        for action in actions:
            if isinstance(action, Connect):
                assert mta.receive(now, action.handle, P.CONNECT_CONFIRM)
            elif isinstance(action, Associate):
                assert mta.receive(now, action.handle, P.ACCEPT)
            elif isinstance(action, Transfer):
                busy.append(action.handle)
    return busy


def test_a_backlog_above_the_threshold_opens_one_more() -> None:
    mta = agent(threshold=2)
    for number in range(3):
        mta.submit(0.0, f"{number}")
    handle = stand(mta, 0.0)
    one(mta, Transfer)  # one in transfer, two wait: not above the threshold
    mta.submit(1.0, "3")
    more = one(mta, Connect)
    assert more.handle != handle
    mta.submit(2.0, "4")
    assert mta.take_actions() == []  # four wait for two
    mta.submit(3.0, "5")
    one(mta, Connect)
    assert mta.kernel.in_use == 3


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_backlog_opens_as_many_associations_as_the_policy_allows(most: int) -> None:
    mta = agent(threshold=1, associations=most)
    for number in range(30):
        mta.submit(0.0, f"{number}")
    busy = opened(mta, 0.0)
    assert len(busy) == len(set(busy)) == mta.kernel.in_use == most
    assert (mta.refusals, events(mta)) == ({Refusal.NO_NUMBER: 1}, [])
    mta.submit(1.0, "more")
    assert mta.refusals == {Refusal.NO_NUMBER: 1}  # not asked for again before the interval is over
    mta.submit(INTERVAL, "more")
    assert mta.refusals == {Refusal.NO_NUMBER: 2}
    mta.kernel.check()


def test_all_mail_leaves_once_whatever_the_number_of_associations() -> None:
    mta = agent(threshold=2, associations=3)
    entries = [mta.submit(0.0, f"{number}") for number in range(20)]
    busy = opened(mta, 0.0)
    while busy:
        assert mta.receive(1.0, busy.pop(0), P.TRANSFER_CONFIRM)
        busy += opened(mta, 1.0)
    assert {(entry.way, entry.transfers) for entry in entries} == {(Way.DELIVERED, 1)}
    assert (mta.kernel.in_use, mta.wakes_at) == (3, 1.0 + LIFETIME)
    mta.wake(1.0 + LIFETIME)
    assert [type(action) for action in mta.take_actions()] == [Release] * 3


def several(count: int = 3, **policy: Any) -> tuple[MTA[str], list[Handle]]:
    mta = agent(threshold=1, associations=count, **policy)
    for number in range(20):
        mta.submit(0.0, f"{number}")
    busy = opened(mta, 0.0)
    assert len(busy) == count
    return mta, busy


def test_several_associations_lost_at_once_are_one_loss() -> None:
    mta, _ = several()
    in_transfer = [entry for entry in mta.next_hops["NORTH"].entries() if entry.transfers]
    mta.link_down(5.0)
    assert events(mta) == [(5.0, id) for id in PAIR]
    assert [entry.lost_at for entry in in_transfer] == [5.0] * 3
    assert (state(mta), mta.wakes_at, mta.kernel.idle) == (SessionState.RETRY, 5.0 + INTERVAL, 20)
    assert (len(mta), mta.next_hops["NORTH"].queue.qsize()) == (20, 20)


def test_one_association_lost_among_several_is_a_pair_and_the_session_goes_on() -> None:
    mta, busy = several()
    mta.receive(5.0, busy[0], P.DISCONNECT_INDICATION)
    assert (events(mta), state(mta), mta.wakes_at) == ([(5.0, id) for id in PAIR], SessionState.OPEN, None)
    assert (mta.take_actions(), mta.kernel.in_use) == ([], 2)
    mta.receive(6.0, busy[1], P.TRANSFER_CONFIRM)
    transfer = one(mta, Transfer)
    assert (transfer.handle, transfer.entry.lost_at) == (busy[1], 5.0)
    mta.receive(5.0 + INTERVAL, busy[1], P.TRANSFER_CONFIRM)
    assert [type(action) for action in mta.take_actions()] == [Transfer, Connect]


def test_the_last_association_lost_ends_the_session() -> None:
    mta, busy = several(2)
    mta.receive(5.0, busy[0], P.DISCONNECT_INDICATION)
    mta.receive(6.0, busy[1], P.DISCONNECT_INDICATION)
    assert events(mta) == [(now, id) for now in (5.0, 6.0) for id in PAIR]
    assert (state(mta), mta.wakes_at) == (SessionState.RETRY, 6.0 + INTERVAL)


def test_a_further_association_that_cannot_be_opened_leaves_the_others_alone() -> None:
    mta = agent(threshold=1)
    for number in range(3):
        mta.submit(0.0, f"{number}")
    stand(mta, 0.0)
    transfer, more = mta.take_actions()
    assert (type(transfer), type(more)) == (Transfer, Connect)
    mta.receive(1.0, more.handle, P.DISCONNECT_INDICATION)
    assert (events(mta), state(mta)) == ([(1.0, id) for id in PAIR], SessionState.OPEN)
    assert (mta.take_actions(), mta.wakes_at) == ([], 1.0 + DISCONNECT)
    mta.wake(121.0)
    assert mta.kernel.in_use == 1
    assert isinstance(transfer, Transfer)
    assert mta.receive(122.0, transfer.handle, P.TRANSFER_CONFIRM)
    assert len(mta) == 2


def test_a_session_whose_first_association_is_released_waits_for_the_one_being_opened() -> None:
    mta = agent(threshold=1)
    for number in range(3):
        mta.submit(0.0, f"{number}")
    handle = stand(mta, 0.0)
    _, more = mta.take_actions()
    mta.receive(1.0, handle, P.RELEASE_INDICATION)
    assert (events(mta), state(mta)) == ([], SessionState.OPEN)
    mta.take_actions()
    mta.receive(2.0, more.handle, P.CONNECT_CONFIRM)
    mta.receive(2.0, more.handle, P.ACCEPT)
    transfers = [action for action in mta.take_actions() if isinstance(action, Transfer)]
    assert [(transfer.handle, transfer.entry.body) for transfer in transfers] == [(more.handle, "0")]


# Several peers


def test_each_peer_has_its_own_queue_numbers_and_session() -> None:
    mta = agent(peers=["NORTH", "SOUTH", "WEST"])
    north, south = mta.submit(0.0, "n", peer="NORTH"), mta.submit(0.0, "s", peer="SOUTH")
    assert (north.mtsid, south.mtsid) == (1, 1)
    assert list(mta.next_hops) == ["NORTH", "SOUTH", "WEST"]
    assert [len(hop) for hop in mta.next_hops.values()] == [1, 1, 0]
    first, second = mta.take_actions()
    assert (first, second) == (Connect("NORTH", Handle(1, 0)), Connect("SOUTH", Handle(2, 0)))
    mta.receive(1.0, Handle(1, 0), P.CONNECT_CONFIRM)
    answer(mta, 1.0, Associate, P.ACCEPT)
    assert one(mta, Transfer) == Transfer("NORTH", Handle(1, 0), north)
    mta.link_down(2.0, "SOUTH")
    assert [state(mta, name) for name in mta.next_hops] == [SessionState.OPEN, SessionState.RETRY, SessionState.IDLE]
    assert mta.receive(3.0, Handle(1, 0), P.TRANSFER_CONFIRM)
    assert (north.way, south.way, len(mta)) == (Way.DELIVERED, None, 1)
    mta.link_up(4.0, "NORTH")
    assert mta.wakes_at == 2.0 + DISCONNECT
    mta.link_up(4.0, "SOUTH")
    assert mta.wakes_at == 4.0 + RECOVERY
    assert mta.delete(5.0, 1, peer="SOUTH") is south


def test_the_entity_of_a_peer_is_made_of_its_name_or_given() -> None:
    assert agent(peers=["NORTH"]).next_hops["NORTH"].entity == ENTITY.format("NORTH")
    mta = agent(peers={"NORTH": "/CN=N", "SOUTH": "/CN=S"})
    assert {name: (hop.name, hop.entity) for name, hop in mta.next_hops.items()} == {
        "NORTH": ("NORTH", "/CN=N"),
        "SOUTH": ("SOUTH", "/CN=S"),
    }
    mta.submit(0.0, "a", peer="SOUTH")
    assert one(mta, Connect).peer == "SOUTH"
    assert mta.kernel.block(1).entity == "/CN=S"


def test_the_peers_share_the_control_blocks() -> None:
    mta = agent(peers=["NORTH", "SOUTH"], control_blocks=1)
    mta.submit(0.0, "n", peer="NORTH")
    mta.submit(0.0, "s", peer="SOUTH")
    assert one(mta, Connect).peer == "NORTH"
    assert (state(mta, "SOUTH"), mta.refusals) == (SessionState.RETRY, {Refusal.NO_BLOCK: 1})


# 4.0


def held(**policy: Any) -> tuple[MTA[str], Entry[str], Entry[str], Handle]:
    """Return a 4.0 MTA held by a collision at 63.0, its twins, and the handle of the association that collided."""
    mta = agent("4.0", **policy)
    blocker = mta.connect_indication(0.0)  # so that the block's number is not the association's
    assert blocker is not None
    older = mta.submit(0.0, "older")
    mta.submit(0.0, "middle")
    stand(mta, 0.0)
    mta.link_down(1.0)
    mta.take_actions()
    younger = mta.submit(2.0, "younger")
    assert older.mtsid == younger.mtsid
    mta.link_up(3.0)
    mta.wake(63.0)
    handle = answer(mta, 63.0, Connect, P.CONNECT_CONFIRM)
    assert mta.receive(63.0, handle, P.ACCEPT)
    return mta, older, younger, handle


def test_a_collision_logs_4282_and_4283_and_shuts_the_session_down() -> None:
    mta, older, younger, handle = held()
    associate, disconnect = mta.take_actions()
    assert (associate, disconnect) == (Associate("NORTH", handle), Disconnect(handle))
    assert events(mta) == [(1.0, 4284), (1.0, 4287), (63.0, 4282), (63.0, 4283)]
    hop = mta.next_hops["NORTH"]
    assert hop.collision is not None
    assert (hop.collision.mtsid, hop.collision.entries, hop.shutdowns) == (older.mtsid, 2, 1)
    assert (state(mta), mta.wakes_at, mta.kernel.idle) == (SessionState.HELD, 63.0 + INTERVAL, 20)
    assert (older.way, younger.way, len(mta)) == (None, None, 3)


def test_4283_prints_the_handle_of_the_association_that_collided() -> None:
    mta, _, _, handle = held()
    [entry] = mta.log.filter(ids={4283})
    assert entry.event.fields == {"handle": f"1-3-{handle.block}"}
    assert handle.block == 3
    assert "(LP1) 1-3-3 Error" in entry.event.text()


def test_a_held_session_collides_at_every_interval_and_link_up_does_not_hurry_it() -> None:
    mta, _, _, _ = held()
    mta.take_actions()
    for number in range(1, 4):
        mta.link_up(63.0 + INTERVAL * number - 100.0)
        assert mta.wakes_at == 63.0 + INTERVAL * number
        mta.wake(63.0 + INTERVAL * number)
        handle = stand(mta, 63.0 + INTERVAL * number)
        assert one(mta, Disconnect) == Disconnect(handle)
    assert (mta.log.counts[4282], mta.log.counts[4283], mta.log.counts[4284]) == (4, 4, 1)
    assert (mta.next_hops["NORTH"].shutdowns, len(mta)) == (4, 3)


def test_a_held_queue_drains_at_the_next_open_after_a_twin_has_left() -> None:
    mta, older, _, _ = held()
    mta.take_actions()
    assert mta.delete(100.0, older.mtsid) is older
    assert (mta.take_actions(), mta.wakes_at) == ([], 63.0 + INTERVAL)
    mta.wake(663.0)
    stand(mta, 663.0)
    assert [carry(mta, 664.0).body for _ in range(2)] == ["middle", "younger"]
    assert (len(mta), mta.next_hops["NORTH"].collision, state(mta)) == (0, None, SessionState.OPEN)


def test_a_held_queue_without_mail_is_left_alone() -> None:
    mta, _, _, _ = held()
    mta.take_actions()
    for entry in mta.next_hops["NORTH"].entries():
        mta.delete(100.0, entry.mtsid)
    mta.wake(663.0)
    assert (mta.take_actions(), state(mta), mta.wakes_at) == ([], SessionState.IDLE, None)
    assert mta.next_hops["NORTH"].collision is None


def test_a_collision_closes_every_association_of_ours_and_none_of_the_peers() -> None:
    mta = MTA[str]("4.0", peers=["NORTH"], ids=100, defect="double-release", policy=Policy(threshold=2))
    handle = idle(mta)
    theirs = mta.connect_indication(1.0)
    busy = mta.submit(1.0, "busy")
    one(mta, Transfer)
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
    assert state(mta) is SessionState.HELD
    assert mta.kernel.handles() == [theirs]
    closed = {action.handle for action in mta.take_actions() if isinstance(action, Disconnect)}
    assert {handle, more.handle} <= closed
    assert theirs not in closed
    assert (mta.log.counts[4282], mta.log.counts[4284]) == (1, 0)
    assert len(mta) == mta.next_hops["NORTH"].queue.qsize() == 5
    mta.kernel.check()


def flap(mta: MTA[str], now: float, *, transport: bool) -> Handle:
    """Let an open fail, with or without its transport, and the link come back before the Open Error is processed."""
    handle: Handle = one(mta, Connect).handle
    if transport:
        mta.receive(now, handle, P.CONNECT_CONFIRM)
        mta.take_actions()
    mta.receive(now, handle, P.DISCONNECT_INDICATION)
    mta.receive(now, handle, P.CONNECT_CONFIRM)
    mta.wake(now + DISCONNECT)
    return handle


def test_1004_the_next_open_meets_r1_and_is_tried_again_after_the_interval() -> None:
    mta = agent("4.0")
    entry = mta.submit(0.0, "a")
    flap(mta, 0.0, transport=True)
    assert (mta.kernel.count(Remnant.STUCK), mta.take_actions()) == (1, [])
    mta.wake(INTERVAL)
    assert (mta.take_actions(), mta.refusals) == ([], {Refusal.STATE_CHECK: 1})
    assert events(mta) == [(0.0, 4284), (0.0, 4287), (INTERVAL, 1004)]
    logged = list(mta.log)[-1].event
    assert logged.fields == {"association": 1, "entity": ENTITY.format("NORTH")}
    assert (state(mta), mta.wakes_at) == (SessionState.RETRY, 2 * INTERVAL)
    mta.wake(2 * INTERVAL)
    stand(mta, 2 * INTERVAL)
    assert carry(mta, 2 * INTERVAL) is entry
    assert len(mta.log) == 3
    mta.kernel.check()


def test_1277_a_peer_meets_r1_at_every_connect() -> None:
    mta = agent("4.0")
    mta.submit(0.0, "a")
    handle = flap(mta, 0.0, transport=True)
    for count in (1, 2):
        assert mta.connect_indication(200.0) is None
        assert (mta.log.counts[1277], mta.remote_refusals) == (count, count)
    assert list(mta.log)[-1].event.fields == {"index": handle.block, "entity": ENTITY.format("NORTH")}
    mta.kernel.check()


@pytest.mark.parametrize(
    ("primitive", "id"),
    [(P.PRESENTATION_INDICATION, 1198), (P.SESSION_INDICATION, 1008), (P.DISCONNECT_INDICATION, 1008)],
)
def test_1198_and_1008_end_r2(primitive: Primitive, id: int) -> None:
    mta = agent("4.0")
    mta.submit(0.0, "a")
    handle = flap(mta, 0.0, transport=False)
    assert (mta.kernel.count(Remnant.DANGLING), mta.kernel.idle) == (1, 19)
    assert mta.receive(200.0, handle, primitive)
    assert one(mta, Disconnect) == Disconnect(handle)
    assert events(mta) == [(0.0, 4284), (0.0, 4287), (200.0, id)]
    assert list(mta.log)[-1].event.fields == ({"index": handle.block} if id == 1198 else {})
    assert (mta.kernel.idle, mta.wakes_at) == (20, INTERVAL)
    mta.kernel.check()


def test_link_down_does_not_reach_r2() -> None:
    mta = agent("4.0")
    mta.submit(0.0, "a")
    flap(mta, 0.0, transport=False)
    mta.link_down(200.0)
    assert (mta.kernel.count(Remnant.DANGLING), len(mta.log)) == (1, 2)


def test_the_numbers_of_associations_left_behind_are_given_again() -> None:
    mta = agent("4.0", associations=1)
    mta.submit(0.0, "a")
    flap(mta, 0.0, transport=False)
    mta.wake(INTERVAL)
    one(mta, Connect)
    assert mta.refusals == {}


# Restart


@pytest.mark.parametrize("version", VERSIONS)
def test_a_restart_loses_no_message_and_leaves_no_association(version: Version) -> None:
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
    assert [state(mta, peer) for peer in mta.next_hops] == [SessionState.OPENING] * 2 + [SessionState.IDLE]
    for handle in (north.handle, south.handle, theirs):
        assert not mta.receive(6.0, handle, P.DISCONNECT_INDICATION)
    assert mta.kernel.drops == {Drop.STALE: 3}
    mta.kernel.check()
    again = actions[3].handle
    mta.receive(7.0, again, P.CONNECT_CONFIRM)
    answer(mta, 7.0, Associate, P.ACCEPT)
    assert [carry(mta, 8.0).body for _ in range(2)] == ["first", "second"]


def test_a_restart_without_mail_leaves_every_block_idle() -> None:
    mta = agent()
    handle = idle(mta)
    mta.restart(1.0)
    assert mta.take_actions() == [Disconnect(handle)]
    assert (mta.kernel.idle, mta.kernel.in_use, mta.wakes_at, state(mta)) == (20, 0, None, SessionState.IDLE)
    assert (mta.kernel.handles(), events(mta)) == ([], [])


def test_a_restart_during_the_wait_opens_at_once() -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.link_down(0.0)
    mta.take_actions()
    mta.restart(10.0)
    actions = mta.take_actions()
    assert [type(action) for action in actions] == [Disconnect, Connect]
    assert (state(mta), mta.wakes_at) == (SessionState.OPENING, None)


def test_deferred_messages_are_still_sent_at_their_time_after_a_restart() -> None:
    mta = agent()
    late = mta.submit(0.0, "late", not_before=100.0)
    stand(mta, 0.0)
    assert mta.wakes_at == 100.0
    mta.restart(10.0)
    mta.take_actions()
    assert (mta.wakes_at, state(mta), len(mta)) == (100.0, SessionState.IDLE, 1)
    mta.wake(100.0)
    stand(mta, 100.0)
    assert carry(mta, 101.0) is late


def test_a_deferred_message_whose_time_came_before_the_restart_is_sent_at_once() -> None:
    mta = agent()
    late = mta.submit(0.0, "late", not_before=100.0)
    stand(mta, 0.0)
    mta.restart(200.0)
    disconnect, connect = mta.take_actions()
    assert (type(disconnect), type(connect)) == (Disconnect, Connect)
    mta.receive(200.0, connect.handle, P.CONNECT_CONFIRM)
    answer(mta, 200.0, Associate, P.ACCEPT)
    assert carry(mta, 201.0) is late


@pytest.mark.parametrize("transport", [False, True])
def test_a_restart_mends_what_40_left_behind(transport: bool) -> None:
    mta = agent("4.0")
    entry = mta.submit(0.0, "a")
    flap(mta, 0.0, transport=transport)
    mta.take_actions()
    mta.delete(150.0, entry.mtsid)
    mta.restart(200.0)
    assert (mta.kernel.idle, [mta.kernel.count(remnant) for remnant in Remnant]) == (20, [0, 0])
    assert mta.connect_indication(201.0) is not None
    assert mta.log.counts.total() == 2


def test_a_restart_keeps_twins_and_their_collision() -> None:
    mta, _, _, _ = held()
    mta.take_actions()
    mta.restart(100.0)
    handle = next(action.handle for action in mta.take_actions() if isinstance(action, Connect))
    mta.receive(101.0, handle, P.CONNECT_CONFIRM)
    answer(mta, 101.0, Associate, P.ACCEPT)
    assert (state(mta), mta.log.counts[4282]) == (SessionState.HELD, 2)


def test_a_restart_gives_every_association_number_back() -> None:
    mta, _ = several(3)
    mta.restart(1.0)
    assert len(opened(mta, 2.0)) == 3


# Shutdown


def test_shutdown_returns_what_is_queued_and_drops_the_connections() -> None:
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
    assert (mta.wakes_at, mta.kernel.idle, len(mta), events(mta)) == (None, 20, 3, [])


def test_shutdown_of_an_empty_mta_returns_nothing() -> None:
    mta = agent()
    assert (mta.shutdown(0.0), mta.take_actions(), len(mta)) == ([], [], 0)
    assert mta


INPUTS: dict[str, Callable[[MTA[str], float], object]] = {
    "submit": lambda mta, now: mta.submit(now, "x"),
    "delete": lambda mta, now: mta.delete(now, 1),
    "restart": lambda mta, now: mta.restart(now),
    "shutdown": lambda mta, now: mta.shutdown(now),
    "receive": lambda mta, now: mta.receive(now, Handle(1, 0), P.DISCONNECT_INDICATION),
    "connect_indication": lambda mta, now: mta.connect_indication(now),
    "link_down": lambda mta, now: mta.link_down(now),
    "link_up": lambda mta, now: mta.link_up(now),
    "acknowledgement_repeated": lambda mta, now: mta.acknowledgement_repeated(now),
    "wake": lambda mta, now: mta.wake(now),
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_after_a_shutdown_is_refused(name: str) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.shutdown(1.0)
    mta.take_actions()
    before = look(mta)
    with pytest.raises(ShutDown, match="shut down"):
        INPUTS[name](mta, 2.0)
    assert (look(mta), mta.take_actions(), mta.kernel.drops) == (before, [], {})


# Bad input


def busy_agent(version: Version = "SP2") -> MTA[str]:
    """Return an MTA in the middle of its work, at 10.0: a message in transfer, one deferred, and one that waits."""
    mta = agent(version, ids=5)
    mta.submit(0.0, "deferred", not_before=1000.0)
    mta.submit(0.0, "transfer")
    mta.submit(0.0, "waits")
    stand(mta, 10.0)
    one(mta, Transfer)
    return mta


def refused(mta: MTA[str], call: Callable[[], object], error: type[Exception], words: str) -> None:
    """Assert that the call is refused and changes nothing."""
    before, drops = look(mta), dict(mta.kernel.drops)
    with pytest.raises(error, match=words):
        call()
    assert (look(mta), mta.take_actions(), mta.kernel.drops) == (before, [], drops)
    mta.wake(10.0)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_not_finite_is_refused(name: str, now: float) -> None:
    mta = busy_agent()
    refused(mta, lambda: INPUTS[name](mta, now), ValueError, "the time must be finite")


@pytest.mark.parametrize("name", INPUTS)
def test_a_time_that_runs_backwards_is_refused(name: str) -> None:
    mta = busy_agent()
    refused(mta, lambda: INPUTS[name](mta, 9.999), ValueError, r"time must not run backwards: 9.999 after 10.0")


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("now", ["10", None, [10.0]])
def test_a_time_that_is_no_number_is_refused(name: str, now: Any) -> None:
    mta = busy_agent()
    before = look(mta)
    with pytest.raises(TypeError):
        INPUTS[name](mta, now)
    assert (look(mta), mta.take_actions()) == (before, [])


@pytest.mark.parametrize("name", INPUTS)
def test_a_time_that_stands_still_is_taken(name: str) -> None:
    INPUTS[name](busy_agent(), 10.0)


WITH_PEER: dict[str, Callable[[MTA[str], Any], object]] = {
    "submit": lambda mta, peer: mta.submit(10.0, "x", peer=peer),
    "delete": lambda mta, peer: mta.delete(10.0, 1, peer=peer),
    "connect_indication": lambda mta, peer: mta.connect_indication(10.0, peer),
    "link_down": lambda mta, peer: mta.link_down(10.0, peer),
    "link_up": lambda mta, peer: mta.link_up(10.0, peer),
    "acknowledgement_repeated": lambda mta, peer: mta.acknowledgement_repeated(10.0, peer),
}


@pytest.mark.parametrize("name", WITH_PEER)
@pytest.mark.parametrize("peer", ["EAST", "north", "", 1, ["NORTH"], True])
def test_a_peer_that_there_is_not_is_refused(name: str, peer: Any) -> None:
    mta = busy_agent()
    refused(mta, lambda: WITH_PEER[name](mta, peer), ValueError, "there is no peer .*: the peers are NORTH")


@pytest.mark.parametrize("name", WITH_PEER)
def test_no_peer_at_all_is_refused_where_there_are_several(name: str) -> None:
    mta = agent(peers=["NORTH", "SOUTH"])
    before = look(mta)
    with pytest.raises(ValueError, match="the peers are NORTH, SOUTH"):
        WITH_PEER[name](mta, None)
    assert (look(mta), mta.take_actions()) == (before, [])


@pytest.mark.parametrize("priority", ["fast", "", "URGENT", "Normal"])
def test_a_bad_priority_is_refused(priority: Any) -> None:
    mta = busy_agent()
    refused(mta, lambda: mta.submit(10.0, "x", priority=priority), ValueError, "priority")


@pytest.mark.parametrize("not_before", [float("nan"), float("inf"), float("-inf")])
def test_a_deferral_that_is_not_finite_is_refused(not_before: float) -> None:
    mta = busy_agent()
    refused(mta, lambda: mta.submit(10.0, "x", not_before=not_before), ValueError, "not_before must be finite")


def test_a_deferral_that_is_no_number_is_refused() -> None:
    mta = busy_agent()
    refused(mta, lambda: mta.submit(10.0, "x", not_before="soon"), TypeError, "number")  # type: ignore[arg-type]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mtsid", [4, 5])
def test_a_number_that_is_not_live_is_not_deleted(version: Version, mtsid: int) -> None:
    mta = busy_agent(version)
    refused(mta, lambda: mta.delete(10.0, mtsid), NotInUse, str(mtsid))


@pytest.mark.parametrize("mtsid", [0, 6, -1])
def test_a_number_out_of_range_is_not_deleted(mtsid: int) -> None:
    mta = busy_agent()
    refused(mta, lambda: mta.delete(10.0, mtsid), ValueError, str(mtsid))


@pytest.mark.parametrize("mtsid", [True, "1", 1.0, None])
def test_what_is_no_number_is_not_deleted(mtsid: Any) -> None:
    mta = busy_agent()
    refused(mta, lambda: mta.delete(10.0, mtsid), TypeError, ".")


@pytest.mark.parametrize(
    ("handle", "primitive", "error", "words"),
    [
        (Handle(0, 0), P.ACCEPT, ValueError, "there is no control block 0: indices are 1 to 20"),
        (Handle(21, 0), P.ACCEPT, ValueError, "there is no control block 21"),
        (Handle(1, 1), P.ACCEPT, ValueError, "never given out"),
        (Handle(2, 0), P.ACCEPT, ValueError, "never given out"),
        (Handle(1, -1), P.ACCEPT, ValueError, "never given out"),
        (Handle(1, 0), P.DISCONNECT_TIMER, ValueError, "does not come from the network"),
        (Handle(1, 0), P.ABORT_REQUEST, ValueError, "does not come from the network"),
        (Handle(1, 0), P.CONNECT_INDICATION, ValueError, "does not come from the network"),
        (Handle(1, 0), "RT-TRANSFER confirm", TypeError, "must be a Primitive"),
        (None, P.ACCEPT, TypeError, "must be one that this MTA gave out"),
        ("1-3-1", P.ACCEPT, TypeError, "must be one that this MTA gave out"),
        (1, P.ACCEPT, TypeError, "must be one that this MTA gave out"),
    ],
)
def test_a_handle_or_primitive_that_cannot_be_is_refused(
    handle: Any, primitive: Any, error: type[Exception], words: str
) -> None:
    mta = busy_agent()
    refused(mta, lambda: mta.receive(10.0, handle, primitive), error, words)


@pytest.mark.parametrize(
    ("peers", "error"),
    [
        ([], ValueError),
        ({}, ValueError),
        (["NORTH", "NORTH"], ValueError),
        ({"NORTH": "/CN=X", "SOUTH": "/CN=X"}, ValueError),
        ("NORTH", TypeError),
        ("", TypeError),
        (["NORTH", ""], TypeError),
        ([1], TypeError),
        ([None], TypeError),
        ({"NORTH": ""}, TypeError),
        ({"NORTH": None}, TypeError),
        ({1: "/CN=X"}, TypeError),
        (None, TypeError),
        (7, TypeError),
    ],
)
def test_bad_peers_are_refused(peers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        MTA(peers=peers)


def test_peers_may_come_from_any_iterable() -> None:
    assert list(MTA[str](peers=(name for name in ("A", "B"))).next_hops) == ["A", "B"]


@pytest.mark.parametrize("version", ["5.5", "sp2", "", None, 4.0])
def test_an_unknown_version_is_refused(version: Any) -> None:
    with pytest.raises(ValueError, match="version must be"):
        MTA(version)


@pytest.mark.parametrize("defect", ["typo", "", "PREMATURE-STRIP"])
def test_an_unknown_defect_is_refused(defect: str) -> None:
    with pytest.raises(ValueError, match="defect must be one of premature-strip"):
        MTA("4.0", defect=defect)


@pytest.mark.parametrize("defect", DEFECTS)
def test_40_has_each_defect_and_sp2_none(defect: str) -> None:
    assert MTA[str]("4.0", defect=defect, ids=10).defect == defect
    with pytest.raises(ValueError, match="SP2 has no defect to choose"):
        MTA("SP2", defect=defect)


@pytest.mark.parametrize("ids", [0, -1])
def test_a_queue_without_ids_is_refused(ids: int) -> None:
    with pytest.raises(ValueError):
        MTA(ids=ids)


def test_the_defaults() -> None:
    mta: MTA[str] = MTA()
    assert (mta.version, mta.defect, mta.policy, list(mta.next_hops)) == ("SP2", None, Policy(), ["PEER"])
    assert MTA[str]("4.0").defect == "premature-strip"
    assert (mta.kernel.size, bool(mta), len(mta.log)) == (20, True, 0)


def test_an_mta_takes_a_policy_and_a_log() -> None:
    log, policy = EventLog(), Policy(control_blocks=3)
    mta: MTA[str] = MTA(log=log, policy=policy)
    assert (mta.log, mta.policy, mta.kernel.size) == (log, policy, 3)
