"""Check 5: an Open Error with no pending transport event: the variants agree. With one pending, 4.0 leaves R1 or R2.

And each of the four events of Q152877 is reachable alone.
"""

from typing import Any

import pytest

from mtsid.mta import Drop, Handle, Primitive, Refusal, Remnant, State, Version

Q152877 = {1004, 1008, 1198, 1277}


def fail(line: Any, version: Version, state: State) -> tuple[Any, Handle]:
    """Return an MTA whose open failed at 10.0 in that state; its Open Error is processed at 130.0."""
    at = line(version)
    at.enter(0.0, "first")
    if state is State.AWAIT_ACCEPT:
        at.answer(1.0, Primitive.CONNECT_CONFIRM)
    handle = at.asks()[0].handle
    assert at.mta.kernel.block(handle.block).state is state
    at.lose(10.0)
    assert at.mta.kernel.block(handle.block).state is State.OPEN_ERROR
    return at, handle


def flap(line: Any, version: Version, state: State) -> tuple[Any, Handle]:
    """The same, but the link is back at 20.0, and the peer answers the open that was given up."""
    at, handle = fail(line, version, state)
    at.mta.link_up(20.0)
    answer = Primitive.CONNECT_CONFIRM if state is State.AWAIT_TRANSPORT else Primitive.ACCEPT
    assert at.mta.receive(21.0, handle, answer)
    at.mta.wake(130.0)
    return at, handle


def logged(at: Any) -> set[int]:
    return Q152877 & set(at.ids())


@pytest.mark.parametrize("state", [State.AWAIT_TRANSPORT, State.AWAIT_ACCEPT])
def test_with_nothing_pending_the_variants_agree(line: Any, version: Version, state: State) -> None:
    at, handle = fail(line, version, state)
    at.mta.wake(130.0)
    kernel, block = at.mta.kernel, at.mta.kernel.block(handle.block)
    assert (block.state, block.generation, block.remnant) == (State.IDLE, handle.generation + 1, None)
    assert (block.entity, block.association, block.handle) == (None, None, None)
    assert (kernel.idle, kernel.in_use, kernel.left.total()) == (kernel.size, 0, 0)
    at.mta.link_up(140.0)
    assert at.carry(at.reopen()) == ["first"]
    assert at.ids() == [4284, 4287]


@pytest.mark.parametrize("state", [State.AWAIT_TRANSPORT, State.AWAIT_ACCEPT])
def test_with_one_pending_sp2_cleans_up_all_the_same(line: Any, state: State) -> None:
    at, handle = flap(line, "SP2", state)
    block = at.mta.kernel.block(handle.block)
    assert (block.generation, block.remnant) == (handle.generation + 1, None)
    assert at.mta.kernel.left.total() == 0
    assert at.mta.kernel.drops == {Drop.STALE: 1}  # the answer: of an earlier generation
    at.mta.kernel.check()
    assert logged(at) == set()


def test_pending_after_state_2_leaves_r1_in_40(line: Any) -> None:
    at, handle = flap(line, "4.0", State.AWAIT_ACCEPT)
    block = at.mta.kernel.block(handle.block)
    assert block.remnant is Remnant.STUCK
    assert block.state is not State.IDLE
    assert block.entity == at.hop.entity  # kept
    assert block.handle is None  # cut
    assert block.generation == handle.generation


def test_pending_after_state_1_leaves_r2_in_40(line: Any) -> None:
    at, handle = flap(line, "4.0", State.AWAIT_TRANSPORT)
    block = at.mta.kernel.block(handle.block)
    assert block.remnant is Remnant.DANGLING
    assert block.state is State.IDLE
    assert block.entity is None  # cut
    assert block.handle == handle  # still live
    assert block.generation == handle.generation


def test_1004_alone_a_local_retry_selects_r1(line: Any) -> None:
    at, handle = flap(line, "4.0", State.AWAIT_ACCEPT)
    at.open(131.0)  # the retry that the link's return brought on, by another association
    assert at.carry(132.0) == ["first"]
    assert logged(at) == set()
    at.mta.wake(500.0)  # its lifetime ends
    at.answer(501.0, Primitive.RELEASE_CONFIRM)
    at.enter(600.0, "second")
    assert logged(at) == {1004}
    [entry] = at.mta.log.filter(ids={1004})
    assert entry.event.fields == {"association": 1, "entity": at.hop.entity}
    assert at.asks() == []  # "terminated and restarted if necessary": at the next interval
    assert at.carry(at.reopen()) == ["second"]
    assert at.mta.kernel.block(handle.block).remnant is Remnant.STUCK  # until a restart
    assert at.ids().count(1004) == 1


def test_1277_alone_a_remote_connect_meets_r1(line: Any) -> None:
    at, handle = flap(line, "4.0", State.AWAIT_ACCEPT)
    assert at.mta.connect_indication(140.0) is None
    assert logged(at) == {1277}
    [entry] = at.mta.log.filter(ids={1277})
    assert entry.event.fields == {"index": handle.block, "entity": at.hop.entity}
    assert at.mta.connect_indication(150.0) is None  # and again, until a restart
    at.mta.restart(160.0)
    assert at.mta.connect_indication(170.0) is not None


def test_1198_alone_a_presentation_indication_meets_r2(line: Any) -> None:
    at, handle = flap(line, "4.0", State.AWAIT_TRANSPORT)
    assert at.mta.receive(140.0, handle, Primitive.PRESENTATION_INDICATION)
    assert logged(at) == {1198}
    [entry] = at.mta.log.filter(ids={1198})
    assert entry.event.fields == {"index": handle.block}
    assert "to entity . Presentation error: state check failure. Current state 0, service type 20" in entry.event.text()
    assert at.mta.kernel.count(Remnant.DANGLING) == 0  # "the association will be terminated"


@pytest.mark.parametrize("primitive", [Primitive.SESSION_INDICATION, Primitive.DISCONNECT_INDICATION])
def test_1008_alone_a_session_event_meets_r2(line: Any, primitive: Primitive) -> None:
    at, handle = flap(line, "4.0", State.AWAIT_TRANSPORT)
    assert at.mta.receive(140.0, handle, primitive)
    assert logged(at) == {1008}
    assert "an association with entity . The association" in at.mta.log.filter(ids={1008})[0].event.text()
    assert at.mta.kernel.count(Remnant.DANGLING) == 0


def test_r1_keeps_its_block_so_enough_flaps_exhaust_the_pool_and_mail_stops(line: Any) -> None:
    at = line("4.0", control_blocks=2)
    at.enter(0.0, "never sent")
    now = 0.0
    while at.mta.kernel.count(Remnant.STUCK) < 2:
        if not at.asks():
            now = at.wake()
            continue
        at.answer(now, Primitive.CONNECT_CONFIRM)
        handle = at.asks()[0].handle
        at.lose(now + 1)
        at.mta.receive(now + 2, handle, Primitive.ACCEPT)
    assert (at.mta.kernel.idle, at.mta.kernel.in_use) == (0, 0)
    for _ in range(20):
        at.wake()
        assert at.asks() == []
    assert (len(at.hop), next(at.hop.entries()).transfers) == (1, 0)
    assert at.mta.refusals[Refusal.NO_BLOCK] > 0
    at.mta.restart(1e6)
    at.open(1e6)
    assert at.carry(1e6) == ["never sent"]


def test_sp2_logs_1277_for_a_genuine_refusal(line: Any, version: Version) -> None:
    at = line(version, control_blocks=1)
    assert at.mta.connect_indication(0.0) is not None
    assert at.mta.connect_indication(1.0) is None
    assert at.ids() == [1277]
