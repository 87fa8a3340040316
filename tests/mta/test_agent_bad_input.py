"""What an MTA refuses; a refused input changes nothing, its time included."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from mtsid import NotInUse, ShutDown
from mtsid.mta import (
    DEFECTS,
    MTA,
    EventLog,
    Handle,
    Policy,
    Primitive,
)
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Agents, Driven

P = Primitive

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

WITH_PEER: dict[str, Callable[[MTA[str], Any], object]] = {
    "submit": lambda mta, peer: mta.submit(20.0, "x", peer=peer),
    "delete": lambda mta, peer: mta.delete(20.0, 1, peer=peer),
    "connect_indication": lambda mta, peer: mta.connect_indication(20.0, peer),
    "link_down": lambda mta, peer: mta.link_down(20.0, peer),
    "link_up": lambda mta, peer: mta.link_up(20.0, peer),
    "acknowledgement_repeated": lambda mta, peer: mta.acknowledgement_repeated(20.0, peer),
}


def refused(mta: Driven, call: Callable[[], object], error: type[Exception], words: str) -> None:
    """Assert that the call is refused and changes nothing, the time included: `mta` stands at 10.0."""
    before, drops = mta.look(), dict(mta.kernel.drops)
    with pytest.raises(error, match=words):
        call()
    assert (mta.look(), mta.take_actions(), mta.kernel.drops) == (before, [], drops)
    mta.wake(10.0)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_not_finite_is_refused(name: str, now: float, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: INPUTS[name](mta, now), ValueError, "the time must be finite")


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_time_beyond_any_float_is_a_value_error(name: str, sign: int, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: INPUTS[name](mta, sign * 10**400), ValueError, "the time must be finite")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_deferral_beyond_any_float_is_a_value_error(sign: int, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: mta.submit(20.0, "x", not_before=sign * 10**400), ValueError, "not_before must be finite")


@pytest.mark.parametrize("name", INPUTS)
def test_a_time_that_runs_backwards_is_refused(name: str, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: INPUTS[name](mta, 9.999), ValueError, r"time must not run backwards: 9.999 after 10.0")


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("now", ["10", None, [10.0]])
def test_a_time_that_is_no_number_is_refused(name: str, now: Any, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: INPUTS[name](mta, now), TypeError, ".")


@pytest.mark.parametrize("name", INPUTS)
def test_a_time_that_stands_still_is_taken(name: str, agent: Agents) -> None:
    INPUTS[name](agent.busy(), 10.0)


@pytest.mark.parametrize("name", [name for name in INPUTS if name != "shutdown"])
def test_an_input_that_is_taken_moves_the_time(name: str, agent: Agents) -> None:
    mta = agent.busy()
    INPUTS[name](mta, 20.0)
    with pytest.raises(ValueError, match=r"backwards: 19\.0 after 20\.0"):
        mta.wake(19.0)


@pytest.mark.parametrize("name", WITH_PEER)
@pytest.mark.parametrize("peer", ["EAST", "north", "", 1, ["NORTH"], True])
def test_a_peer_that_there_is_not_is_refused(name: str, peer: Any, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: WITH_PEER[name](mta, peer), ValueError, "there is no peer .*: the peers are NORTH")


@pytest.mark.parametrize("name", WITH_PEER)
def test_no_peer_at_all_is_refused_where_there_are_several(name: str, agent: Agents) -> None:
    mta = agent(peers=["NORTH", "SOUTH"])
    refused(mta, lambda: WITH_PEER[name](mta, None), ValueError, "the peers are NORTH, SOUTH")


@pytest.mark.parametrize("priority", ["fast", "", "URGENT", "Normal"])
def test_a_bad_priority_is_refused(priority: Any, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: mta.submit(20.0, "x", priority=priority), ValueError, "priority")


@pytest.mark.parametrize("not_before", [float("nan"), float("inf"), float("-inf")])
def test_a_deferral_that_is_not_finite_is_refused(not_before: float, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: mta.submit(20.0, "x", not_before=not_before), ValueError, "not_before must be finite")


def test_a_deferral_that_is_no_number_is_refused(agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: mta.submit(20.0, "x", not_before="soon"), TypeError, "number")  # type: ignore[arg-type]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mtsid", [4, 5])
def test_a_number_that_is_not_live_is_not_deleted(version: Version, mtsid: int, agent: Agents) -> None:
    mta = agent.busy(version)
    refused(mta, lambda: mta.delete(20.0, mtsid), NotInUse, str(mtsid))


@pytest.mark.parametrize("mtsid", [0, 6, -1])
def test_a_number_out_of_range_is_not_deleted(mtsid: int, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: mta.delete(20.0, mtsid), ValueError, str(mtsid))


@pytest.mark.parametrize("mtsid", [True, "1", 1.0, None])
def test_what_is_no_number_is_not_deleted(mtsid: Any, agent: Agents) -> None:
    mta = agent.busy()
    refused(mta, lambda: mta.delete(20.0, mtsid), TypeError, ".")


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
        ((1, 0), P.TRANSFER_CONFIRM, TypeError, "must be one that this MTA gave out"),
        ((True, 0), P.TRANSFER_CONFIRM, TypeError, "must be one that this MTA gave out"),
    ],
)
def test_a_handle_or_primitive_that_cannot_be_is_refused(
    handle: Any, primitive: Any, error: type[Exception], words: str, agent: Agents
) -> None:
    mta = agent.busy()
    refused(mta, lambda: mta.receive(20.0, handle, primitive), error, words)


#: What an MTA with the peer NORTH and five numbers refuses at any time, but for its arguments.
REFUSED: dict[str, Callable[[MTA[str], float], object]] = {
    "submit: priority": lambda mta, now: mta.submit(now, "x", priority=cast(Any, "fast")),
    "submit: not_before": lambda mta, now: mta.submit(now, "x", not_before=float("nan")),
    "submit: not_before beyond any float": lambda mta, now: mta.submit(now, "x", not_before=10**400),
    "submit: not_before that is no number": lambda mta, now: mta.submit(now, "x", not_before=cast(Any, "soon")),
    "submit: peer": lambda mta, now: mta.submit(now, "x", peer="EAST"),
    "delete: not live": lambda mta, now: mta.delete(now, 5),
    "delete: out of range": lambda mta, now: mta.delete(now, 6),
    "delete: no number": lambda mta, now: mta.delete(now, cast(Any, "1")),
    "delete: peer": lambda mta, now: mta.delete(now, 1, peer="EAST"),
    "receive: no handle": lambda mta, now: mta.receive(now, cast(Any, None), P.ACCEPT),
    "receive: plain tuple": lambda mta, now: mta.receive(now, cast(Any, (1, 0)), P.ACCEPT),
    "receive: no such block": lambda mta, now: mta.receive(now, Handle(21, 0), P.ACCEPT),
    "receive: never given out": lambda mta, now: mta.receive(now, Handle(1, 7), P.ACCEPT),
    "receive: no primitive": lambda mta, now: mta.receive(now, Handle(1, 0), cast(Any, "ACCEPT")),
    "receive: not from the network": lambda mta, now: mta.receive(now, Handle(1, 0), P.ABORT_REQUEST),
    "connect_indication: peer": lambda mta, now: mta.connect_indication(now, "EAST"),
    "link_down: peer": lambda mta, now: mta.link_down(now, "EAST"),
    "link_up: peer": lambda mta, now: mta.link_up(now, "EAST"),
    "acknowledgement_repeated: peer": lambda mta, now: mta.acknowledgement_repeated(now, "EAST"),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", REFUSED)
def test_after_a_refused_input_an_earlier_time_is_not_taken_for_running_backwards(
    name: str, version: Version, agent: Agents
) -> None:
    mta = agent.busy(version)
    with pytest.raises((TypeError, ValueError, NotInUse)):
        REFUSED[name](mta, 500.0)
    assert mta.submit(11.0, "next").entered == 11.0
    with pytest.raises(ValueError, match=r"backwards: 10\.5 after 11\.0"):
        mta.wake(10.5)


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


@pytest.mark.parametrize("bad", [3, 0, False, "", {}, [], Policy, EventLog, object()])
def test_a_policy_or_a_log_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="policy must be a Policy and log an EventLog"):
        MTA(policy=bad)
    with pytest.raises(TypeError, match="policy must be a Policy and log an EventLog"):
        MTA(log=bad)


def test_a_policy_and_a_log_are_not_taken_for_each_other() -> None:
    with pytest.raises(TypeError, match="policy must be a Policy"):
        MTA(policy=cast(Any, EventLog()))
    with pytest.raises(TypeError, match="log an EventLog"):
        MTA(log=cast(Any, Policy()))


@pytest.mark.parametrize("ids", [0, -1])
def test_a_queue_without_ids_is_refused(ids: int) -> None:
    with pytest.raises(ValueError):
        MTA(ids=ids)


# After a shutdown


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_after_a_shutdown_is_refused(name: str, agent: Agents) -> None:
    mta = agent()
    mta.submit(0.0, "a")
    mta.shutdown(1.0)
    mta.take_actions()
    before = mta.look()
    with pytest.raises(ShutDown, match="shut down"):
        INPUTS[name](mta, 2.0)
    assert (mta.look(), mta.take_actions(), mta.kernel.drops) == (before, [], {})


@pytest.mark.parametrize("name", REFUSED)
def test_bad_arguments_after_a_shutdown_are_a_shutdown_too(name: str, agent: Agents) -> None:
    mta = agent(ids=5)
    mta.submit(0.0, "a")
    mta.shutdown(1.0)
    mta.take_actions()
    before = mta.look()
    with pytest.raises(ShutDown, match="shut down"):
        REFUSED[name](mta, 2.0)
    assert (mta.look(), mta.take_actions(), mta.kernel.drops) == (before, [], {})


@pytest.mark.parametrize("name", WITH_PEER)
def test_an_unnamed_peer_after_a_shutdown_is_a_shutdown_even_where_there_are_several(name: str, agent: Agents) -> None:
    mta = agent(peers=["NORTH", "SOUTH"])
    mta.shutdown(1.0)
    with pytest.raises(ShutDown, match="shut down"):
        WITH_PEER[name](mta, None)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("now", [0.5, float("nan"), None, "2", pytest.param(10**400, id="beyond any float")])
def test_a_bad_time_after_a_shutdown_is_a_shutdown_too(name: str, now: Any, agent: Agents) -> None:
    mta = agent()
    mta.shutdown(1.0)
    with pytest.raises(ShutDown, match="shut down"):
        INPUTS[name](mta, now)
