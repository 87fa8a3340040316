"""The control block's table: that it is well formed, and what the two versions differ in."""

from __future__ import annotations

from collections import defaultdict

import pytest

from mtsid.mta import Primitive, State
from mtsid.mta.life_cycle import ANSWERS, CLEAN_UP, FROM_NETWORK, SP2, TABLES, V40, Key, Row, Step, When
from mtsid.mta.versions import VERSIONS, Version

CUTS = (Step.CUT_ENTITY, Step.CUT_ASSOCIATION, Step.CUT_HANDLE)
LOGS = (Step.LOG_1004, Step.LOG_1008, Step.LOG_1198, Step.LOG_1277)
OPENING = {State.AWAIT_TRANSPORT, State.AWAIT_ACCEPT}

# What an open that failed may still bring: the peer's answer, and the end of the connection.
ANSWERED = {Primitive.CONNECT_CONFIRM, Primitive.ACCEPT, Primitive.REFUSE}
ENDED = {Primitive.DISCONNECT_INDICATION, Primitive.SESSION_INDICATION, Primitive.PRESENTATION_INDICATION}

# The whole life of a block in SP2, but for what OPEN_ERROR holds: state, primitive -> next state.
ARROWS = {
    State.IDLE: {
        Primitive.ASSOCIATE_REQUEST: State.AWAIT_TRANSPORT,
        Primitive.CONNECT_INDICATION: State.OPEN,
    },
    State.AWAIT_TRANSPORT: {
        Primitive.CONNECT_CONFIRM: State.AWAIT_ACCEPT,
        Primitive.DISCONNECT_INDICATION: State.OPEN_ERROR,
        Primitive.SESSION_INDICATION: State.OPEN_ERROR,
        Primitive.ABORT_REQUEST: State.IDLE,
    },
    State.AWAIT_ACCEPT: {
        Primitive.ACCEPT: State.OPEN,
        Primitive.REFUSE: State.OPEN_ERROR,
        Primitive.DISCONNECT_INDICATION: State.OPEN_ERROR,
        Primitive.SESSION_INDICATION: State.OPEN_ERROR,
        Primitive.ABORT_REQUEST: State.IDLE,
    },
    State.OPEN: {
        Primitive.TRANSFER_CONFIRM: State.OPEN,
        Primitive.PRESENTATION_INDICATION: State.OPEN,
        Primitive.RELEASE_REQUEST: State.CLOSING,
        Primitive.RELEASE_INDICATION: State.IDLE,
        Primitive.DISCONNECT_INDICATION: State.IDLE,
        Primitive.SESSION_INDICATION: State.IDLE,
        Primitive.ABORT_REQUEST: State.IDLE,
    },
    State.CLOSING: {
        Primitive.RELEASE_CONFIRM: State.IDLE,
        Primitive.RELEASE_INDICATION: State.IDLE,
        Primitive.DISCONNECT_INDICATION: State.IDLE,
        Primitive.SESSION_INDICATION: State.IDLE,
        Primitive.ABORT_REQUEST: State.IDLE,
        Primitive.DISCONNECT_TIMER: State.IDLE,
    },
    State.OPEN_ERROR: {
        Primitive.DISCONNECT_TIMER: State.IDLE,
        **dict.fromkeys(ANSWERED | ENDED, State.OPEN_ERROR),
    },
}


def named(key: Key) -> str:
    state, primitive, when = key
    return f"{state.name} {primitive.name} {when.name}"


def rows(version: Version) -> list[Row]:
    return list(TABLES[version].values())


def reachable(arrows: dict[State, set[State]], start: State) -> set[State]:
    found, todo = {start}, [start]
    while todo:
        for state in arrows[todo.pop()] - found:
            found.add(state)
            todo.append(state)
    return found


def arrows(version: Version) -> dict[State, set[State]]:
    after = defaultdict(set)
    for row in rows(version):
        after[row.state].add(row.next)
    return after


def test_idle_has_the_number_that_event_1198_prints() -> None:
    assert State.IDLE.value == 0
    assert [state.value for state in State] == list(range(6))


def test_no_two_rows_answer_to_one_key() -> None:
    assert len({row.key for row in SP2}) == len(SP2) == len(TABLES["SP2"])
    assert len({row.key for row in V40}) == len(V40)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_row_stands_under_its_own_key(version: Version) -> None:
    assert all(key == row.key == (row.state, row.primitive, row.when) for key, row in TABLES[version].items())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_state_and_primitive_have_one_row_for_always_or_rows_with_predicates_only(version: Version) -> None:
    predicates = defaultdict(list)
    for row in rows(version):
        predicates[row.state, row.primitive].append(row.when)
    for whens in predicates.values():
        assert whens == [When.ALWAYS] or When.ALWAYS not in whens


def test_the_predicates_on_what_is_pending_come_together() -> None:
    for version in VERSIONS:
        whens = {row.when for row in rows(version) if (row.state, row.primitive) == (State.OPEN_ERROR, TIMER)}
        assert whens == {When.NOTHING_PENDING, When.PENDING_AFTER_1, When.PENDING_AFTER_2}


TIMER = Primitive.DISCONNECT_TIMER


def test_sp2s_arrows_are_the_models() -> None:
    found: dict[State, dict[Primitive, State]] = {state: {} for state in State}
    for row in SP2:
        assert found[row.state].setdefault(row.primitive, row.next) is row.next
    assert found == ARROWS


def test_the_clean_up_stops_the_timer_cuts_the_three_paths_bumps_and_returns_last() -> None:
    assert (Step.STOP_TIMER, *CUTS, Step.BUMP_GENERATION, Step.RETURN_TO_POOL) == CLEAN_UP


@pytest.mark.parametrize("row", [row for row in SP2 if row.next is State.IDLE], ids=lambda row: named(row.key))
def test_sp2_cleans_up_whole_whenever_a_block_turns_idle(row: Row) -> None:
    assert row.state is not State.IDLE
    assert row.steps[-len(CLEAN_UP) :] == CLEAN_UP
    before = row.steps[: -len(CLEAN_UP)]
    assert not set(before) & set(CLEAN_UP)
    report = Step.REPORT_CLEAN if row.state is State.OPEN_ERROR else Step.REPORT_CLOSED
    assert before in ((report,), (Step.SEND_DISCONNECT, report))


@pytest.mark.parametrize("row", [row for row in SP2 if row.next is not State.IDLE], ids=lambda row: named(row.key))
def test_sp2_cleans_nothing_up_before(row: Row) -> None:
    assert not set(row.steps) & set(CLEAN_UP)


def test_a_connection_that_may_still_stand_is_disconnected() -> None:
    ends = {State.IDLE, State.OPEN_ERROR}
    gone = {Primitive.DISCONNECT_INDICATION, Primitive.RELEASE_CONFIRM}
    for row in SP2:
        ending = row.next in ends and row.state is not row.next
        asked = row.primitive not in gone and row.when is not When.NOTHING_PENDING
        assert (Step.SEND_DISCONNECT in row.steps) == (ending and asked), named(row.key)


@pytest.mark.parametrize("version", VERSIONS)
def test_paths_are_linked_when_a_block_leaves_the_pool_and_only_then(version: Version) -> None:
    for row in rows(version):
        taken = row.state is State.IDLE and row.next is not State.IDLE
        assert (row.steps[:1] == (Step.LINK_PATHS,)) == taken
        assert Step.LINK_PATHS not in row.steps[1:]


def test_each_send_and_report_is_where_the_model_has_it() -> None:
    for row in SP2:
        assert (Step.SEND_CONNECT in row.steps) == (row.next is State.AWAIT_TRANSPORT)
        assert (Step.SEND_ASSOCIATE in row.steps) == (row.next is State.AWAIT_ACCEPT)
        assert (Step.SEND_RELEASE in row.steps) == (row.next is State.CLOSING)
        assert (Step.REPORT_OPEN in row.steps) == (row.next is State.OPEN and row.state is not State.OPEN)
        assert (Step.REPORT_TRANSFER in row.steps) == (row.primitive is Primitive.TRANSFER_CONFIRM and not held(row))
        failing = row.next is State.OPEN_ERROR and row.state in OPENING
        assert (Step.REPORT_FAILED in row.steps) == failing
        assert (Step.START_TIMER in row.steps) == (failing or row.next is State.CLOSING)


def held(row: Row) -> bool:
    return row.steps == (Step.HOLD,)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_open_error_holds_an_answer_and_the_connections_end_and_nothing_else_holds(version: Version) -> None:
    holding = {(row.state, row.primitive) for row in rows(version) if Step.HOLD in row.steps}
    assert holding == {(State.OPEN_ERROR, primitive) for primitive in ANSWERED | ENDED}
    assert all(held(row) for row in rows(version) if Step.HOLD in row.steps)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_only_an_association_that_stood_brings_has_no_row_in_an_open_error(version: Version) -> None:
    brought = {row.primitive for row in rows(version) if row.state is State.OPEN_ERROR} & FROM_NETWORK
    assert FROM_NETWORK - brought == {
        Primitive.TRANSFER_CONFIRM,
        Primitive.RELEASE_INDICATION,
        Primitive.RELEASE_CONFIRM,
    }


def test_an_answer_alone_is_what_counts_as_pending() -> None:
    assert ANSWERS == ANSWERED


def test_what_comes_from_the_network_is_neither_a_request_nor_a_timer_nor_a_connect_indication() -> None:
    assert set(Primitive) - FROM_NETWORK == {
        Primitive.ASSOCIATE_REQUEST,
        Primitive.RELEASE_REQUEST,
        Primitive.ABORT_REQUEST,
        Primitive.CONNECT_INDICATION,
        Primitive.DISCONNECT_TIMER,
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_every_state_is_reachable_from_idle(version: Version) -> None:
    assert reachable(arrows(version), State.IDLE) == set(State)


def test_sp2_comes_back_to_idle_from_every_state() -> None:
    for state in State:
        assert State.IDLE in reachable(arrows("SP2"), state)


def test_sp2_logs_nothing_itself_and_never_returns_early() -> None:
    assert not any({*LOGS, Step.RETURN_EARLY} & set(row.steps) for row in SP2)


def test_40_differs_from_sp2_in_its_own_rows_and_in_no_other() -> None:
    old, new = TABLES["SP2"], TABLES["4.0"]
    assert {key for key in new if old.get(key) != new[key]} == {row.key for row in V40}
    assert set(old) <= set(new)
    assert all(new[row.key] is row for row in V40)


def test_40_returns_early_when_an_answer_is_pending_and_nowhere_else() -> None:
    early = [row for row in rows("4.0") if Step.RETURN_EARLY in row.steps]
    assert {(row.state, row.primitive, row.when, row.next) for row in early} == {
        (State.OPEN_ERROR, TIMER, When.PENDING_AFTER_1, State.IDLE),
        (State.OPEN_ERROR, TIMER, When.PENDING_AFTER_2, State.OPEN_ERROR),
    }
    for row in early:
        assert row.steps[-1] is Step.RETURN_EARLY
        assert row.steps[:2] == (Step.REPORT_CLEAN, Step.STOP_TIMER)
        assert Step.RETURN_TO_POOL not in row.steps
        assert Step.BUMP_GENERATION not in row.steps


def test_what_the_two_early_returns_leave() -> None:
    table = TABLES["4.0"]
    dangling = table[State.OPEN_ERROR, TIMER, When.PENDING_AFTER_1].steps
    stuck = table[State.OPEN_ERROR, TIMER, When.PENDING_AFTER_2].steps
    assert [step for step in CUTS if step not in dangling] == [Step.CUT_HANDLE]
    assert [step for step in CUTS if step not in stuck] == [Step.CUT_ENTITY, Step.CUT_ASSOCIATION]


def test_each_of_40s_events_has_its_rows() -> None:
    where = defaultdict(set)
    for row in rows("4.0"):
        for step in row.steps:
            if step in LOGS:
                where[step].add(row.key)
    assert where == {
        Step.LOG_1004: {(State.OPEN_ERROR, Primitive.ASSOCIATE_REQUEST, When.HANDLE_CUT)},
        Step.LOG_1277: {(State.OPEN_ERROR, Primitive.CONNECT_INDICATION, When.HANDLE_CUT)},
        Step.LOG_1198: {(State.IDLE, Primitive.PRESENTATION_INDICATION, When.ALWAYS)},
        Step.LOG_1008: {
            (State.IDLE, Primitive.SESSION_INDICATION, When.ALWAYS),
            (State.IDLE, Primitive.DISCONNECT_INDICATION, When.ALWAYS),
        },
    }


def test_a_dangling_block_that_is_terminated_goes_back_to_the_pool_with_a_new_generation() -> None:
    for row in V40:
        if row.state is State.IDLE and row.steps:
            assert row.next is State.IDLE
            assert row.steps[1:] == (Step.SEND_DISCONNECT, Step.CUT_HANDLE, Step.BUMP_GENERATION, Step.RETURN_TO_POOL)


def test_a_stuck_block_never_leaves_its_state() -> None:
    stuck = [row for row in rows("4.0") if row.when is When.HANDLE_CUT]
    assert len(stuck) == 2
    assert all(row.state is row.next is State.OPEN_ERROR for row in stuck)
    assert not any({Step.BUMP_GENERATION, Step.RETURN_TO_POOL, Step.CUT_ENTITY} & set(row.steps) for row in stuck)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_block_comes_back_to_the_pool_in_the_state_idle_only(version: Version) -> None:
    for row in rows(version):
        assert row.steps.count(Step.RETURN_TO_POOL) <= 1
        if Step.RETURN_TO_POOL in row.steps:
            assert row.next is State.IDLE
            assert row.steps[-2:] == (Step.BUMP_GENERATION, Step.RETURN_TO_POOL)
