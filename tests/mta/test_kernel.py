"""The pool of control blocks, driven directly: what a block goes through, and what 4.0 leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mtsid.mta import AssociationId, ControlBlock, Drop, Handle, Primitive, Refusal, Remnant, State
from mtsid.mta.life_cycle import FROM_NETWORK, TABLES, Step
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Pool, Pools

NORTH, SOUTH = "/O=ORG/CN=NORTH", "/O=ORG/CN=SOUTH"
P = Primitive
TIMER = Primitive.DISCONNECT_TIMER
SENT = [primitive for primitive in Primitive if primitive in FROM_NETWORK]  # by the network
ANSWERS = [P.CONNECT_CONFIRM, P.ACCEPT, P.REFUSE]  # the other things that come in an Open Error: test_open_error.py


def name(number: int = 1, entity: str = NORTH) -> AssociationId:
    return AssociationId(entity, number)


def stuck(kernel: Pool, number: int = 1) -> ControlBlock:
    block = kernel.flap(P.CONNECT_CONFIRM, number=number)
    assert block.remnant is Remnant.STUCK
    return block


def dangling(kernel: Pool, number: int = 1) -> tuple[ControlBlock, Handle]:
    block = kernel.flap(number=number)
    assert block.remnant is Remnant.DANGLING
    assert block.handle is not None
    return block, block.handle


def paths(kernel: Pool, block: ControlBlock) -> tuple[bool, bool, bool]:
    """Which paths lead to the block: from its entity, from its association, from its POP-4 handle."""
    association, handle = block.association, block.handle
    assert association is None or kernel.of(association) is block
    assert handle is None or (handle in kernel.handles() and kernel.block(handle.block) is block)
    return block.entity is not None, association is not None, handle is not None


# The pool


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_pool_is_idle(version: Version, make: Pools) -> None:
    kernel, port = make(version, 3)
    assert (kernel.size, kernel.idle, kernel.in_use) == (3, 3, 0)
    assert [kernel.block(index).index for index in (1, 2, 3)] == [1, 2, 3]
    assert all(kernel.block(index).state is State.IDLE for index in (1, 2, 3))
    assert kernel.handles() == kernel.handles(NORTH) == []
    assert kernel.of(name()) is None
    assert (port.steps, port.logs, kernel.drops, kernel.left) == ([], [], {}, {})
    assert [kernel.count(remnant) for remnant in Remnant] == [0, 0]


def test_a_handle_is_printed_as_event_4283_prints_it() -> None:
    assert str(Handle(14, 7)) == "1-3-14"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_three_paths_lead_to_a_block_in_use(version: Version, make: Pools) -> None:
    kernel, _ = make(version)
    block, handle = kernel.opening()
    assert paths(kernel, block) == (True, True, True)
    assert (block.entity, block.association, handle) == (NORTH, name(), (block.index, block.generation))
    assert kernel.of(name()) is block
    assert (kernel.idle, kernel.in_use) == (3, 1)


def test_handles_are_listed_oldest_first_and_by_entity(make: Pools) -> None:
    kernel, _ = make()
    _, first = kernel.opening()
    _, other = kernel.opening(1, SOUTH)
    _, second = kernel.opening(2)
    assert kernel.handles() == [first, other, second]
    assert kernel.handles(NORTH) == [first, second]
    assert kernel.handles(SOUTH) == [other]
    assert kernel.handles("nobody") == []


# A life


@pytest.mark.parametrize("version", VERSIONS)
def test_an_association_opened_from_here(version: Version, make: Pools) -> None:
    kernel, port = make(version)
    block, handle = kernel.opening()
    assert (block.state.value, port.take()) == (1, [Step.SEND_CONNECT])
    kernel.told(handle, P.CONNECT_CONFIRM)
    assert (block.state.value, port.take()) == (2, [Step.SEND_ASSOCIATE])
    kernel.told(handle, P.ACCEPT)
    assert (block.state.value, port.take()) == (3, [Step.REPORT_OPEN])
    kernel.told(handle, P.TRANSFER_CONFIRM, P.PRESENTATION_INDICATION)
    assert (block.state.value, port.take()) == (3, [Step.REPORT_TRANSFER])
    kernel.request(name(), P.RELEASE_REQUEST)
    assert (block.state.value, port.take()) == (4, [Step.SEND_RELEASE, Step.START_TIMER])
    kernel.told(handle, P.RELEASE_CONFIRM)
    assert (block.state.value, port.take()) == (0, [Step.REPORT_CLOSED, Step.STOP_TIMER])
    assert (kernel.idle, port.logs, kernel.drops) == (4, [], {})


@pytest.mark.parametrize("version", VERSIONS)
def test_an_association_opened_by_the_peer(version: Version, make: Pools) -> None:
    kernel, port = make(version)
    block = kernel.connect_indication(name(), NORTH)
    assert isinstance(block, ControlBlock)
    assert (block.state, port.take(), paths(kernel, block)) == (State.OPEN, [Step.REPORT_OPEN], (True, True, True))
    assert kernel.of(name()) is block
    assert block.handle is not None
    kernel.told(block.handle, P.RELEASE_INDICATION)
    assert port.take() == [Step.SEND_DISCONNECT, Step.REPORT_CLOSED, Step.STOP_TIMER]
    assert (kernel.idle, port.logs) == (4, [])


DISCONNECTED: dict[bool, list[Step]] = {False: [], True: [Step.SEND_DISCONNECT]}

ENDS = [
    (State.AWAIT_TRANSPORT, P.ABORT_REQUEST, True),
    (State.AWAIT_ACCEPT, P.ABORT_REQUEST, True),
    (State.OPEN, P.RELEASE_INDICATION, True),
    (State.OPEN, P.DISCONNECT_INDICATION, False),
    (State.OPEN, P.SESSION_INDICATION, True),
    (State.OPEN, P.ABORT_REQUEST, True),
    (State.CLOSING, P.RELEASE_CONFIRM, False),
    (State.CLOSING, P.RELEASE_INDICATION, True),
    (State.CLOSING, P.DISCONNECT_INDICATION, False),
    (State.CLOSING, P.SESSION_INDICATION, True),
    (State.CLOSING, P.ABORT_REQUEST, True),
    (State.CLOSING, TIMER, True),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("state", "primitive", "disconnects"), ENDS)
def test_an_end_reports_cuts_the_paths_and_returns_the_block(
    version: Version, state: State, primitive: Primitive, disconnects: bool, make: Pools
) -> None:
    kernel, port = make(version)
    block, handle = kernel.bring_to(state)
    port.take()
    if primitive in FROM_NETWORK:
        kernel.told(handle, primitive)
    else:
        kernel.request(name(), primitive)
    assert port.take() == [*DISCONNECTED[disconnects], Step.REPORT_CLOSED, Step.STOP_TIMER]
    assert (block.state, block.generation, paths(kernel, block)) == (State.IDLE, 1, (False, False, False))
    assert (kernel.of(name()), kernel.handles(), kernel.handles(NORTH)) == (None, [], [])
    assert (kernel.idle, kernel.in_use) == (4, 0)
    assert kernel.receive(handle, P.DISCONNECT_INDICATION) is Drop.STALE


FAILURES = [
    (State.AWAIT_TRANSPORT, P.DISCONNECT_INDICATION, False),
    (State.AWAIT_TRANSPORT, P.SESSION_INDICATION, True),
    (State.AWAIT_ACCEPT, P.REFUSE, True),
    (State.AWAIT_ACCEPT, P.DISCONNECT_INDICATION, False),
    (State.AWAIT_ACCEPT, P.SESSION_INDICATION, True),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("state", "primitive", "disconnects"), FAILURES)
def test_an_open_that_fails_waits_for_the_timer_and_is_cleaned_up(
    version: Version, state: State, primitive: Primitive, disconnects: bool, make: Pools
) -> None:
    kernel, port = make(version)
    block, handle = kernel.bring_to(state)
    port.take()
    kernel.told(handle, primitive)
    assert port.take() == [*DISCONNECTED[disconnects], Step.REPORT_FAILED, Step.START_TIMER]
    assert (block.state, block.failed_in, kernel.in_use) == (State.OPEN_ERROR, state, 1)
    assert paths(kernel, block) == (True, True, True)
    kernel.request(name(), TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.state, block.generation, paths(kernel, block)) == (State.IDLE, 1, (False, False, False))
    assert (kernel.idle, port.logs, kernel.left) == (4, [], {})
    assert kernel.receive(handle, P.CONNECT_CONFIRM) is Drop.STALE


@pytest.mark.parametrize("version", VERSIONS)
def test_a_block_used_again_has_another_handle(version: Version, make: Pools) -> None:
    kernel, _ = make(version, 1)
    _, before = kernel.bring_to(State.OPEN)
    kernel.told(before, P.DISCONNECT_INDICATION)
    block, after = kernel.opening(2)
    assert (before, after) == ((1, 0), (1, 1))
    state = kernel.look()
    for primitive in FROM_NETWORK:
        assert kernel.receive(before, primitive) is Drop.STALE
    assert kernel.look() == state
    assert kernel.drops == {Drop.STALE: len(FROM_NETWORK)}
    kernel.told(after, P.CONNECT_CONFIRM)
    assert block.state is State.AWAIT_ACCEPT


# No block


@pytest.mark.parametrize("version", VERSIONS)
def test_an_exhausted_pool_refuses_both_ways_and_logs_the_remote_one(version: Version, make: Pools) -> None:
    kernel, port = make(version, 2)
    kernel.opening()
    _, handle = kernel.bring_to(State.OPEN, 2)
    state = kernel.look()
    assert kernel.open(name(3)) is Refusal.NO_BLOCK
    assert kernel.look() == state
    assert kernel.connect_indication(name(3, SOUTH), SOUTH) is Refusal.NO_BLOCK
    assert port.logs == [(1277, None, SOUTH)]
    assert (kernel.idle, kernel.in_use, kernel.of(name(3)), kernel.drops) == (0, 2, None, {})
    kernel.told(handle, P.DISCONNECT_INDICATION)
    assert isinstance(kernel.open(name(3)), ControlBlock)


def test_a_peer_that_may_have_no_more_is_refused_with_1277(make: Pools) -> None:
    kernel, port = make()
    assert isinstance(kernel.connect_indication(None, NORTH), Refusal)
    assert port.logs == [(1277, None, NORTH)]
    assert (kernel.idle, port.steps) == (4, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_peer_at_its_limit_is_refused_for_want_of_a_number_and_not_of_a_block(version: Version, make: Pools) -> None:
    kernel, port = make(version, 1)
    assert kernel.connect_indication(None, NORTH) is Refusal.NO_NUMBER
    kernel.opening()
    assert kernel.connect_indication(None, NORTH) is Refusal.NO_NUMBER
    assert kernel.connect_indication(name(2), NORTH) is Refusal.NO_BLOCK
    assert port.logs == [(1277, None, NORTH)] * 3
    assert (kernel.idle, kernel.in_use, kernel.drops) == (0, 1, {})


def test_a_peer_at_its_limit_still_meets_r1(make: Pools) -> None:
    kernel, port = make("4.0")
    block = stuck(kernel)
    assert kernel.connect_indication(None, NORTH) is Refusal.STATE_CHECK
    assert port.logs == [(1277, block.index, NORTH)]


def test_an_association_that_stands_is_not_opened_again(make: Pools) -> None:
    kernel, _ = make()
    kernel.bring_to(State.OPEN)
    state = kernel.look()
    assert kernel.open(name()) is Refusal.STATE_CHECK
    assert kernel.look() == state


# What 4.0 leaves behind


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", [(), (P.CONNECT_CONFIRM,)])
def test_the_versions_agree_when_nothing_is_pending(version: Version, before: tuple[Primitive], make: Pools) -> None:
    kernel, port = make(version)
    block, handle = kernel.opening()
    kernel.told(handle, *before, P.DISCONNECT_INDICATION)
    port.take()
    kernel.request(name(), TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.remnant, paths(kernel, block), kernel.idle) == (None, (False, False, False), 4)


@pytest.mark.parametrize("before", [(), (P.CONNECT_CONFIRM,)])
@pytest.mark.parametrize("pending", ANSWERS)
def test_sp2_cleans_up_and_drops_the_answers_that_are_pending_as_stale(
    pending: Primitive, before: tuple[Primitive], make: Pools
) -> None:
    kernel, port = make()
    block, handle = kernel.opening()
    kernel.told(handle, *before, P.DISCONNECT_INDICATION, pending, pending)
    assert block.pending == [pending, pending]
    port.take()
    kernel.request(name(), TIMER)
    assert port.take() == [Step.SEND_DISCONNECT, Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.state, block.generation, block.pending, block.failed_in) == (State.IDLE, 1, [], None)
    assert (block.remnant, paths(kernel, block), kernel.idle) == (None, (False, False, False), 4)
    assert (kernel.drops, port.logs, kernel.left) == ({Drop.STALE: 2}, [], {})


def test_sp2_forgets_what_was_pending_before_the_blocks_next_use(make: Pools) -> None:
    kernel, port = make(size=1)
    kernel.flap()
    _, handle = kernel.opening()
    kernel.told(handle, P.DISCONNECT_INDICATION)
    port.take()
    kernel.request(name(), TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert kernel.drops == {Drop.STALE: 1}


@pytest.mark.parametrize("pending", ANSWERS)
def test_r1_is_stuck_with_its_entity_and_its_association_and_no_handle(pending: Primitive, make: Pools) -> None:
    kernel, port = make("4.0")
    block, handle = kernel.opening()
    kernel.told(handle, P.CONNECT_CONFIRM, P.DISCONNECT_INDICATION, pending, pending)
    port.take()
    kernel.request(name(), TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.state, block.remnant, block.generation) == (State.OPEN_ERROR, Remnant.STUCK, 0)
    assert paths(kernel, block) == (True, True, False)
    assert (block.entity, kernel.of(name()), kernel.handles()) == (NORTH, block, [])
    assert (kernel.idle, kernel.in_use, kernel.count(Remnant.STUCK), kernel.left) == (3, 0, 1, {Remnant.STUCK: 1})
    assert (kernel.drops, port.logs, block.pending) == ({Drop.CUT: 2}, [], [])


@pytest.mark.parametrize("pending", ANSWERS)
def test_r2_dangles_by_its_handle_alone(pending: Primitive, make: Pools) -> None:
    kernel, port = make("4.0")
    block, handle = kernel.opening()
    kernel.told(handle, P.DISCONNECT_INDICATION, pending)
    port.take()
    kernel.request(name(), TIMER)
    assert port.take() == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert (block.state.value, block.remnant, block.generation) == (0, Remnant.DANGLING, 0)
    assert paths(kernel, block) == (False, False, True)
    assert (kernel.of(name()), kernel.handles(), kernel.handles(NORTH)) == (None, [handle], [])
    assert (kernel.idle, kernel.in_use, kernel.count(Remnant.DANGLING)) == (3, 0, 1)
    assert kernel.left == {Remnant.DANGLING: 1}
    assert kernel.drops == ({} if pending is P.CONNECT_CONFIRM else {Drop.OUT_OF_TURN: 1})
    assert (port.logs, block.pending) == ([], [])


def test_1004_alone_a_local_retry_selects_r1_and_loses_its_association(make: Pools) -> None:
    kernel, port = make("4.0")
    block = stuck(kernel)
    port.take()
    assert kernel.open(name()) is Refusal.STATE_CHECK
    assert (port.logs, port.take()) == ([(1004, block.index, NORTH)], [])
    assert paths(kernel, block) == (True, False, False)
    assert (block.state, block.remnant, kernel.of(name())) == (State.OPEN_ERROR, Remnant.STUCK, None)
    retried = kernel.open(name())
    assert isinstance(retried, ControlBlock)
    assert retried is not block
    assert len(port.logs) == 1


def test_1277_alone_a_peer_meets_r1_at_every_connect(make: Pools) -> None:
    kernel, port = make("4.0")
    block = stuck(kernel)
    port.take()
    for count in (1, 2, 3):
        assert kernel.connect_indication(name(2), NORTH) is Refusal.STATE_CHECK
        assert (port.logs, port.take()) == ([(1277, block.index, NORTH)] * count, [])
    assert paths(kernel, block) == (True, True, False)
    assert isinstance(kernel.connect_indication(name(1, SOUTH), SOUTH), ControlBlock)
    assert len(port.logs) == 3


def test_1277_still_comes_after_1004(make: Pools) -> None:
    kernel, port = make("4.0")
    block = stuck(kernel)
    kernel.open(name())
    assert kernel.connect_indication(name(2), NORTH) is Refusal.STATE_CHECK
    assert port.logs == [(1004, block.index, NORTH), (1277, block.index, NORTH)]


def test_a_peer_meets_r1_behind_a_block_that_is_well(make: Pools) -> None:
    kernel, port = make("4.0")
    kernel.bring_to(State.OPEN, 1)
    block = stuck(kernel, 2)
    assert kernel.connect_indication(name(3), NORTH) is Refusal.STATE_CHECK
    assert port.logs == [(1277, block.index, NORTH)]


R2_EVENTS = [(P.PRESENTATION_INDICATION, 1198), (P.SESSION_INDICATION, 1008), (P.DISCONNECT_INDICATION, 1008)]


@pytest.mark.parametrize(("primitive", "id"), R2_EVENTS)
def test_1198_and_1008_each_alone_end_r2(primitive: Primitive, id: int, make: Pools) -> None:
    kernel, port = make("4.0")
    block, handle = dangling(kernel)
    port.take()
    kernel.told(handle, primitive)
    assert (port.logs, port.take()) == ([(id, block.index, "")], [Step.SEND_DISCONNECT])
    assert (block.state, block.remnant, block.generation) == (State.IDLE, None, 1)
    assert paths(kernel, block) == (False, False, False)
    assert (kernel.idle, kernel.count(Remnant.DANGLING), kernel.left) == (4, 0, {Remnant.DANGLING: 1})
    assert kernel.receive(handle, primitive) is Drop.STALE
    assert len(port.logs) == 1


def test_nothing_else_ends_r2(make: Pools) -> None:
    kernel, _ = make("4.0")
    _, handle = dangling(kernel)
    state = kernel.look()
    ends = {primitive for primitive, _ in R2_EVENTS}
    for primitive in FROM_NETWORK - ends - {P.CONNECT_CONFIRM}:
        assert kernel.receive(handle, primitive) is Drop.OUT_OF_TURN
    kernel.told(handle, P.CONNECT_CONFIRM)
    assert kernel.look() == state


def test_r2_answers_neither_to_its_entity_nor_to_its_association(make: Pools) -> None:
    kernel, port = make("4.0")
    block, _ = dangling(kernel)
    ours = kernel.open(name())
    theirs = kernel.connect_indication(name(2), NORTH)
    assert isinstance(ours, ControlBlock)
    assert isinstance(theirs, ControlBlock)
    assert len({block.index, ours.index, theirs.index}) == 3
    assert port.logs == []


def test_nothing_ends_r1_but_a_restart(make: Pools) -> None:
    kernel, _ = make("4.0")
    block, handle = kernel.opening()
    kernel.told(handle, P.CONNECT_CONFIRM, P.DISCONNECT_INDICATION, P.CONNECT_CONFIRM)
    kernel.request(name(), TIMER)
    for primitive in FROM_NETWORK:
        assert kernel.receive(handle, primitive) is Drop.CUT
    for primitive in (TIMER, P.RELEASE_REQUEST, P.ABORT_REQUEST):
        with pytest.raises(RuntimeError, match="no place"):
            kernel.request(name(), primitive)
    kernel.open(name())
    kernel.connect_indication(name(2), NORTH)
    assert (block.state, block.remnant, block.generation) == (State.OPEN_ERROR, Remnant.STUCK, 0)
    assert paths(kernel, block) == (True, False, False)
    assert kernel.idle == 3
    kernel.reset()
    assert (block.state, block.remnant, block.generation) == (State.IDLE, None, 1)
    assert (kernel.idle, paths(kernel, block), kernel.count(Remnant.STUCK)) == (4, (False, False, False), 0)
    assert kernel.receive(handle, P.CONNECT_CONFIRM) is Drop.STALE


def test_enough_flaps_exhaust_the_pool_of_40_and_never_that_of_sp2(make: Pools) -> None:
    for version in VERSIONS:
        kernel, port = make(version, 3)
        for number in range(1, 4):
            kernel.flap(P.CONNECT_CONFIRM, number=number)
        assert kernel.idle == (3 if version == "SP2" else 0)
        if version == "4.0":
            assert kernel.open(name(9)) is Refusal.NO_BLOCK
            assert kernel.connect_indication(name(9, SOUTH), SOUTH) is Refusal.NO_BLOCK
            assert port.logs == [(1277, None, SOUTH)]
            assert (kernel.count(Remnant.STUCK), kernel.left) == (3, {Remnant.STUCK: 3})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reset_cuts_every_path_and_makes_every_handle_stale(version: Version, make: Pools) -> None:
    kernel, port = make(version, 6)
    handles = [kernel.bring_to(state, number)[1] for number, state in enumerate(kernel.WAY_TO, start=1)]
    port.take()
    kernel.reset()
    assert (kernel.idle, kernel.in_use, kernel.handles(), kernel.handles(NORTH), port.steps) == (6, 0, [], [], [])
    assert [kernel.block(handle.block).generation for handle in handles] == [1] * 5
    assert kernel.block(6).generation == 0
    assert all(kernel.of(name(number)) is None for number in range(1, 6))
    for handle in handles:
        assert kernel.receive(handle, P.DISCONNECT_INDICATION) is Drop.STALE


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", [(), (P.CONNECT_CONFIRM,)])
def test_after_a_reset_during_an_open_error_the_next_clean_one_has_nothing_pending(
    version: Version, before: tuple[Primitive], make: Pools
) -> None:
    kernel, port = make(version, 1)
    block, handle = kernel.opening()
    kernel.told(handle, *before, P.DISCONNECT_INDICATION, P.CONNECT_CONFIRM)
    kernel.reset()
    assert (block.state, block.pending, block.failed_in) == (State.IDLE, [], None)
    port.take()
    kernel.flap(*before, pending=None)
    steps = port.take()
    assert steps[-2:] == [Step.REPORT_CLEAN, Step.STOP_TIMER]
    assert Step.SEND_DISCONNECT not in steps
    assert (block.remnant, kernel.idle, kernel.left, kernel.drops) == (None, 1, {}, {})


def test_a_reset_ends_r2(make: Pools) -> None:
    kernel, port = make("4.0")
    block, handle = dangling(kernel)
    kernel.reset()
    assert (block.remnant, block.generation, kernel.idle) == (None, 1, 4)
    assert kernel.receive(handle, P.SESSION_INDICATION) is Drop.STALE
    assert port.logs == []


# Any sequence

NUMBERS = st.integers(1, 3)
ENTITIES = st.sampled_from([NORTH, SOUTH])
CALLS = st.one_of(
    st.tuples(st.just("open"), NUMBERS, ENTITIES, st.just(P.ASSOCIATE_REQUEST)),
    st.tuples(st.just("connect"), NUMBERS, ENTITIES, st.just(P.CONNECT_INDICATION)),
    st.tuples(st.just("request"), NUMBERS, ENTITIES, st.sampled_from([TIMER, P.RELEASE_REQUEST, P.ABORT_REQUEST])),
    st.tuples(st.just("timer"), NUMBERS, ENTITIES, st.just(TIMER)),
    st.tuples(st.just("receive"), st.integers(0, 99), ENTITIES, st.sampled_from(SENT)),
    st.tuples(st.just("late"), st.integers(0, 99), ENTITIES, st.sampled_from(SENT)),
    st.tuples(st.just("reset"), st.just(0), ENTITIES, st.just(TIMER)).filter(lambda call: call[2] == SOUTH),
)


@pytest.mark.parametrize("version", VERSIONS)
@given(calls=st.lists(CALLS, max_size=60))
@example(
    calls=[
        ("open", 1, NORTH, P.ASSOCIATE_REQUEST),
        ("receive", 0, NORTH, P.DISCONNECT_INDICATION),
        ("receive", 0, NORTH, P.CONNECT_CONFIRM),  # pending
        ("reset", 0, SOUTH, TIMER),
    ]
)
def test_any_sequence_keeps_the_invariants(
    version: Version, pool: type[Pool], calls: list[tuple[str, int, str, Primitive]]
) -> None:
    answered = {(state, primitive) for state, primitive, _ in TABLES[version]}
    kernel = pool(version, 4)
    given_out: list[Handle] = []
    left = 0
    for call, number, entity, primitive in calls:
        association = name(number, entity)
        block = kernel.of(association)
        if call == "open":
            kernel.open(association)
        elif call == "connect":
            kernel.connect_indication(None if block is not None else association, entity)
        elif call in ("request", "timer"):
            if block is not None and (block.state, primitive) in answered and block.handle is not None:
                kernel.request(association, primitive)
        elif call == "reset":
            kernel.reset()
            assert (kernel.idle, kernel.handles()) == (4, [])
            for index in range(1, 5):
                assert (kernel.block(index).pending, kernel.block(index).failed_in) == ([], None)
        else:
            among = kernel.handles() if call == "receive" else given_out
            if among:
                kernel.receive(among[number % len(among)], primitive)
        given_out += [handle for handle in kernel.handles() if handle not in given_out]
        kernel.check()
        assert kernel.left.total() >= left
        left = kernel.left.total()
        if version == "SP2":
            assert kernel.idle + kernel.in_use == kernel.size
            assert left == 0
            assert {id for id, _, _ in kernel.port.logs} <= {1277}
    assert len(set(given_out)) == len(given_out)


def test_check_finds_a_block_in_the_pool_that_a_path_still_leads_to(pool: type[Pool]) -> None:
    kernel = pool("SP2", 2)
    block, _ = kernel.opening()
    kernel.check()
    block.state = State.IDLE
    with pytest.raises(AssertionError):
        kernel.check()
