"""What the pool of control blocks refuses or drops, and that nothing changes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mtsid.mta import AssociationId, Drop, Handle, Primitive, State
from mtsid.mta.life_cycle import FROM_NETWORK, TABLES
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Pools

NORTH = "/O=ORG/CN=NORTH"
P = Primitive


def name(number: int = 1, entity: str = NORTH) -> AssociationId:
    return AssociationId(entity, number)


# Out of turn


def without_row(version: Version) -> list[tuple[State, Primitive]]:
    rows = {(state, primitive) for state, primitive, _ in TABLES[version]}
    states = [state for state in State if state is not State.IDLE]
    return [(state, primitive) for state in states for primitive in P if (state, primitive) not in rows]


PAIRS = [(version, *pair) for version in VERSIONS for pair in without_row(version)]


@pytest.mark.parametrize(("version", "state", "primitive"), [pair for pair in PAIRS if pair[2] in FROM_NETWORK])
def test_what_comes_out_of_turn_is_counted_and_changes_nothing(
    version: Version, state: State, primitive: Primitive, make: Pools
) -> None:
    kernel, _ = make(version)
    _, handle = kernel.bring_to(state)
    before = kernel.look()
    assert kernel.receive(handle, primitive) is Drop.OUT_OF_TURN
    assert kernel.receive(handle, primitive) is Drop.OUT_OF_TURN
    assert kernel.look() == before
    assert kernel.drops == {Drop.OUT_OF_TURN: 2}


@pytest.mark.parametrize(("version", "state", "primitive"), [pair for pair in PAIRS if pair[2] not in FROM_NETWORK])
def test_a_request_out_of_turn_is_a_defect_and_changes_nothing(
    version: Version, state: State, primitive: Primitive, make: Pools
) -> None:
    kernel, _ = make(version)
    kernel.bring_to(state)
    before = kernel.look()
    with pytest.raises(RuntimeError, match="a defect of mtsid"):
        kernel.request(name(), primitive)
    assert kernel.look() == before
    assert kernel.drops == {}


def test_a_request_for_an_association_that_there_is_not_is_a_defect(make: Pools) -> None:
    kernel, _ = make()
    with pytest.raises(RuntimeError, match="a defect of mtsid"):
        kernel.request(name(), P.ABORT_REQUEST)


# Bad input


@pytest.mark.parametrize("index", [0, 5, -1, 2**40])
def test_a_block_out_of_range_is_refused(index: int, make: Pools) -> None:
    kernel, _ = make(size=4)
    with pytest.raises(ValueError, match="1 to 4"):
        kernel.block(index)


@pytest.mark.parametrize("index", [True, "1", 1.0, None])
def test_an_index_that_is_no_whole_number_is_refused(index: Any, make: Pools) -> None:
    kernel, _ = make()
    with pytest.raises(TypeError, match="whole number"):
        kernel.block(index)


def made(block: Any, generation: Any) -> Handle:
    return Handle(block, generation)


BAD: list[tuple[Any, Any, type[Exception], str]] = [
    (made(0, 0), P.ACCEPT, ValueError, "1 to 4"),
    (made(5, 0), P.ACCEPT, ValueError, "1 to 4"),
    (made(-1, 0), P.ACCEPT, ValueError, "1 to 4"),
    (made(2**70, 0), P.ACCEPT, ValueError, "1 to 4"),
    (made(1, 2), P.ACCEPT, ValueError, "never given out"),
    (made(1, -1), P.ACCEPT, ValueError, "never given out"),
    (made(1, 2**70), P.ACCEPT, ValueError, "never given out"),
    (made(2, 1), P.ACCEPT, ValueError, "never given out"),
    (made(4, 1), P.ACCEPT, ValueError, "never given out"),
    (None, P.ACCEPT, TypeError, "handle must be"),
    ("1-3-1", P.ACCEPT, TypeError, "handle must be"),
    ("11", P.ACCEPT, TypeError, "handle must be"),
    (1, P.ACCEPT, TypeError, "handle must be"),
    ((), P.ACCEPT, TypeError, "handle must be"),
    ((1,), P.ACCEPT, TypeError, "handle must be"),
    ((1, 1, 1), P.ACCEPT, TypeError, "handle must be"),
    ([1, 1], P.ACCEPT, TypeError, "handle must be"),
    ((0, 0), P.ACCEPT, TypeError, "handle must be"),
    ((1, 0), P.ACCEPT, TypeError, "handle must be"),
    (made("1", 1), P.ACCEPT, TypeError, "whole number"),
    (made(1.5, 1), P.ACCEPT, TypeError, "whole number"),
    (made(True, 0), P.ACCEPT, TypeError, "whole number"),
    (made(1, "1"), P.ACCEPT, TypeError, "whole number"),
    (made(1, 0.5), P.ACCEPT, TypeError, "whole number"),
    (made(1, None), P.ACCEPT, TypeError, "whole number"),
    (made(1, False), P.ACCEPT, TypeError, "whole number"),
    (made(1, []), P.ACCEPT, TypeError, "whole number"),
    *(
        (made(1, 1), primitive, ValueError, "does not come from the network")
        for primitive in P
        if primitive not in FROM_NETWORK
    ),
    (made(1, 1), "A-RELEASE indication", TypeError, "must be a Primitive"),
    (made(1, 1), "ACCEPT", TypeError, "must be a Primitive"),
    (made(1, 1), None, TypeError, "must be a Primitive"),
    (made(1, 1), 3, TypeError, "must be a Primitive"),
    (made(1, 1), State.OPEN, TypeError, "must be a Primitive"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("handle", "primitive", "error", "words"), BAD)
def test_bad_input_is_refused_and_changes_nothing(
    version: Version, handle: Any, primitive: Any, error: type[Exception], words: str, make: Pools
) -> None:
    kernel, _ = make(version)
    for number in range(1, 5):  # every block is of generation 1 then
        kernel.flap(pending=None, number=number)
    _, present = kernel.opening()
    assert present == (1, 1)
    before = kernel.look()
    with pytest.raises(error, match=words):
        kernel.receive(handle, primitive)
    assert kernel.look() == before
    assert kernel.drops == {}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("look_alike", [(1, 1), (True, 1), (1, True), (1.0, 1)])
def test_a_plain_tuple_that_equals_a_handle_is_not_taken_for_it(version: Version, look_alike: Any, make: Pools) -> None:
    kernel, _ = make(version, 1)
    kernel.flap(pending=None)
    _, handle = kernel.opening()
    assert handle == look_alike
    before = kernel.look()
    with pytest.raises(TypeError, match="handle must be one that this MTA gave out"):
        kernel.receive(look_alike, P.CONNECT_CONFIRM)
    assert (kernel.look(), kernel.drops) == (before, {})
