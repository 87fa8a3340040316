"""What comes for a control block in OPEN_ERROR: an answer, the end of the connection, or what has no place there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtsid.mta import AssociationId, Connect, Disconnect, Drop, Primitive, Remnant, SessionState, State
from mtsid.mta.life_cycle import FROM_NETWORK, Step
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Agents, Pools

P = Primitive
TIMER = Primitive.DISCONNECT_TIMER
FIRST = AssociationId("/O=ORG/CN=NORTH", 1)
INTERVAL, DISCONNECT = 600.0, 120.0

ANSWERS = [P.CONNECT_CONFIRM, P.ACCEPT, P.REFUSE]
ENDS = [(P.PRESENTATION_INDICATION, 1198), (P.SESSION_INDICATION, 1008), (P.DISCONNECT_INDICATION, 1008)]
INDICATIONS = [primitive for primitive, _ in ENDS]
NO_PLACE = [P.TRANSFER_CONFIRM, P.RELEASE_INDICATION, P.RELEASE_CONFIRM]
BEFORE = [(), (P.CONNECT_CONFIRM,)]  # failed in state 1, in state 2


def test_each_primitive_of_the_network_is_of_one_kind() -> None:
    kinds = [*ANSWERS, *INDICATIONS, *NO_PLACE]
    assert set(kinds) == FROM_NETWORK
    assert len(kinds) == len(FROM_NETWORK)


# The end of the connection: it waits, and does not count as pending


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("held", INDICATIONS)
def test_an_indication_alone_is_held_and_dropped_as_stale_after_a_whole_clean_up(
    held: Primitive, before: tuple[Primitive, ...], version: Version, make: Pools
) -> None:
    kernel, port = make(version)
    block, handle = kernel.opening()
    kernel.told(handle, *before, P.DISCONNECT_INDICATION, held, held)
    assert (block.state, block.pending, kernel.drops) == (State.OPEN_ERROR, [held, held], {})
    port.take()
    kernel.request(FIRST, TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.state, block.generation, block.pending, block.failed_in) == (State.IDLE, 1, [], None)
    assert (block.entity, block.association, block.handle, block.remnant) == (None, None, None, None)
    assert (kernel.idle, kernel.handles(), kernel.of(FIRST)) == (4, [], None)
    assert (kernel.drops, port.logs, kernel.left) == ({Drop.STALE: 2}, [], {})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", BEFORE)
def test_indications_of_all_kinds_together_do_not_count_either(
    before: tuple[Primitive, ...], version: Version, make: Pools
) -> None:
    kernel, port = make(version)
    block, handle = kernel.opening()
    kernel.told(handle, *before, P.DISCONNECT_INDICATION, *INDICATIONS)
    kernel.request(FIRST, TIMER)
    assert (block.state, block.generation, block.remnant, kernel.idle) == (State.IDLE, 1, None, 4)
    assert (kernel.drops, port.logs, kernel.left) == ({Drop.STALE: 3}, [], {})


# What has no place


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("primitive", NO_PLACE)
def test_what_only_an_association_that_stood_could_bring_is_out_of_turn(
    primitive: Primitive, before: tuple[Primitive, ...], version: Version, make: Pools
) -> None:
    kernel, port = make(version)
    block, handle = kernel.opening()
    kernel.told(handle, *before, P.DISCONNECT_INDICATION)
    state = kernel.look()
    assert kernel.receive(handle, primitive) is Drop.OUT_OF_TURN
    assert kernel.receive(handle, primitive) is Drop.OUT_OF_TURN
    assert (kernel.look(), kernel.drops) == (state, {Drop.OUT_OF_TURN: 2})
    port.take()
    kernel.request(FIRST, TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.state, block.generation, block.remnant, kernel.idle) == (State.IDLE, 1, None, 4)
    assert (kernel.drops, port.logs, kernel.left) == ({Drop.OUT_OF_TURN: 2}, [], {})


# An answer and an indication


@pytest.mark.parametrize("answer_first", [True, False])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(("end", "id"), ENDS)
def test_an_indication_that_was_held_with_an_answer_ends_r2_at_once(
    end: Primitive, id: int, answer: Primitive, answer_first: bool, make: Pools
) -> None:
    kernel, port = make("4.0")
    block, handle = kernel.opening()
    held = [answer, end] if answer_first else [end, answer]
    kernel.told(handle, P.DISCONNECT_INDICATION, *held)
    assert block.pending == held
    port.take()
    kernel.request(FIRST, TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER, Step.SEND_DISCONNECT]
    assert port.logs == [(id, block.index, "")]
    assert (block.state, block.generation, block.remnant, block.handle) == (State.IDLE, 1, None, None)
    assert (kernel.idle, kernel.left) == (4, {Remnant.DANGLING: 1})
    out_of_turn = {} if answer is P.CONNECT_CONFIRM else {Drop.OUT_OF_TURN: 1}
    assert kernel.drops == (out_of_turn if answer_first else {Drop.STALE: 1})


@pytest.mark.parametrize(("first", "id"), ENDS)
@pytest.mark.parametrize("second", INDICATIONS)
def test_of_the_indications_held_the_first_ends_r2_and_those_behind_it_are_stale(
    first: Primitive, id: int, second: Primitive, make: Pools
) -> None:
    kernel, port = make("4.0")
    block, handle = kernel.opening()
    kernel.told(handle, P.DISCONNECT_INDICATION, P.CONNECT_CONFIRM, first, second)
    kernel.request(FIRST, TIMER)
    assert port.logs == [(id, block.index, "")]
    assert (block.remnant, kernel.idle, kernel.left) == (None, 4, {Remnant.DANGLING: 1})
    assert kernel.drops == {Drop.STALE: 1}


@pytest.mark.parametrize("answer_first", [True, False])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("end", INDICATIONS)
def test_an_indication_that_was_held_with_an_answer_does_not_reach_r1(
    end: Primitive, answer: Primitive, answer_first: bool, make: Pools
) -> None:
    kernel, port = make("4.0")
    block, handle = kernel.opening()
    held = [answer, end] if answer_first else [end, answer]
    kernel.told(handle, P.CONNECT_CONFIRM, P.DISCONNECT_INDICATION, *held)
    kernel.request(FIRST, TIMER)
    assert (block.state, block.remnant, block.generation) == (State.OPEN_ERROR, Remnant.STUCK, 0)
    assert (kernel.drops, port.logs, kernel.left) == ({Drop.CUT: 2}, [], {Remnant.STUCK: 1})


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("end", INDICATIONS)
def test_sp2_drops_both_as_stale(end: Primitive, answer: Primitive, before: tuple[Primitive, ...], make: Pools) -> None:
    kernel, port = make()
    block, handle = kernel.opening()
    kernel.told(handle, *before, P.DISCONNECT_INDICATION, end, answer)
    port.take()
    kernel.request(FIRST, TIMER)
    assert port.take() == [Step.SEND_DISCONNECT, Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.state, block.generation, block.remnant, kernel.idle) == (State.IDLE, 1, None, 4)
    assert (kernel.drops, port.logs, kernel.left) == ({Drop.STALE: 2}, [], {})


# On a whole MTA


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("primitive", [*INDICATIONS, *NO_PLACE])
def test_without_an_answer_an_open_that_failed_leaves_nothing_behind(
    primitive: Primitive, before: tuple[Primitive, ...], version: Version, agent: Agents
) -> None:
    mta = agent(version)
    mta.submit(0.0, "a")
    handle = mta.one(Connect).handle
    for step in before:
        assert mta.receive(0.0, handle, step)
    assert mta.receive(0.0, handle, P.DISCONNECT_INDICATION)
    mta.take_actions()
    assert mta.receive(1.0, handle, primitive) == (primitive in INDICATIONS)
    mta.wake(DISCONNECT)
    assert (mta.take_actions(), mta.kernel.idle, mta.kernel.left) == ([], 20, {})
    assert mta.kernel.drops == {Drop.STALE if primitive in INDICATIONS else Drop.OUT_OF_TURN: 1}
    assert (mta.events(), mta.state()) == ([(0.0, 4284), (0.0, 4287)], SessionState.RETRY)
    mta.wake(INTERVAL)
    mta.one(Connect)
    assert mta.refusals == {}


@pytest.mark.parametrize(("end", "id"), ENDS)
def test_what_ends_r2_at_once_is_logged_when_the_open_error_is_processed(
    end: Primitive, id: int, agent: Agents
) -> None:
    mta = agent("4.0")
    mta.submit(0.0, "a")
    handle = mta.one(Connect).handle
    for primitive in (P.DISCONNECT_INDICATION, end, P.PRESENTATION_INDICATION):
        assert mta.receive(0.0, handle, primitive)
    assert mta.receive(1.0, handle, P.CONNECT_CONFIRM)
    mta.wake(DISCONNECT)
    assert mta.take_actions() == [Disconnect(handle)]
    assert mta.events() == [(0.0, 4284), (0.0, 4287), (DISCONNECT, id)]
    assert (mta.kernel.idle, mta.kernel.left, mta.kernel.drops) == (20, {Remnant.DANGLING: 1}, {Drop.STALE: 2})
