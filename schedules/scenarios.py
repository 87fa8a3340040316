"""What is explored: two or three threads, one to four ids, few calls; each with its model, and how far to search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mtsid import Allocator, AuditError, Exhausted, InFlightTable, Late, Message, MessageQueue, v40
from mtsid.core.waiting import _advance_clock
from schedules.explorer import Operation, Run, Scenario
from schedules.linearizability import Counted, Ids, Messages, Model, Requests, linearizable

__all__ = ["Plan", "racy_claim", "sp2"]

Calls = list[tuple[str, tuple[Any, ...]]]

# numpy is imported at the first bulk call: that one takes steps which no other takes.
Allocator(1, 1).acquire_many(1)
MessageQueue[None](1).put_many([None])


@dataclass(frozen=True)
class Plan:
    """A scenario, and how far its search goes: bound None means every interleaving."""

    scenario: Scenario
    bound: int | None


def _ids(subject: Allocator, name: str, arguments: tuple[Any, ...]) -> Any:
    if name == "tick":
        _advance_clock(*arguments)
        return None
    if name == "lease":
        return subject.lease().__enter__()
    if name == "end":
        return arguments[0].lease.__exit__(None, None, None)
    result = getattr(subject, name)(*arguments)
    return tuple(result.tolist()) if name in ("acquire_many", "reset") else result


def _ids_counted(subject: Allocator, name: str, arguments: tuple[Any, ...]) -> Any:
    """As `_ids`, with what `Exhausted` counted."""
    try:
        return _ids(subject, name, arguments)
    except Exhausted as error:
        return Counted(error.live, error.quarantined)


def _requests(table: InFlightTable[str], name: str, arguments: tuple[Any, ...]) -> Any:
    """Call a table's method, with what `Exhausted` counted."""
    try:
        match name:
            case "tick":
                return _advance_clock(*arguments)
            case "wait":
                return table.add(*arguments, timeout=None)
            case "add_this":
                return table.add(arguments[0], id=arguments[1])
            case "pop" if len(arguments) == 2:
                return table.pop(arguments[0], generation=arguments[1])
        result = getattr(table, name)(*arguments)
    except Exhausted as error:
        return Counted(error.live, error.quarantined)
    return tuple(result) if name in ("items", "reset") else result


def _messages(subject: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    """Call a queue's method. A delivery is told as (mtsid, body, deliveries), and given back as that."""
    queue, receipts = subject

    def told(message: Any) -> tuple[Any, ...]:
        delivery = (message.mtsid, message.body, message.deliveries)
        receipts[delivery] = message
        return delivery

    if name in ("ack", "nack"):
        return getattr(queue, name)(receipts[arguments[0]])
    if name == "ack_many":
        return queue.ack_many([receipts[delivery] for delivery in arguments[0]])
    result = getattr(queue, name)(*arguments)
    if name in ("get", "get_nowait"):
        return told(result)
    if name == "get_many":
        return tuple(map(told, result))
    if name == "put_many":
        return tuple(result.tolist())
    return tuple(result) if name == "shutdown" else result


def _single(history: list[Operation]) -> list[Operation]:
    """The history with what is not one step taken apart: a `get_many` is so many gets, an `ack_many` so many acks."""
    singles = []
    for operation in history:
        if operation.name == "get_many" and isinstance(operation.result, tuple):
            singles += [replace(operation, name="get", arguments=(), result=delivery) for delivery in operation.result]
        elif operation.name == "ack_many" and operation.result is None:
            singles += [replace(operation, name="ack", arguments=(delivery,)) for delivery in operation.arguments[0]]
        else:
            singles.append(operation)
    return singles


def _judge(model: Callable[[], Model] | None, sound: Callable[[Any], None]) -> Callable[[Run], str]:
    def check(run: Run) -> str:
        try:
            sound(run.subject)
        except (AssertionError, AuditError) as error:
            return f"{error}"
        if model and not linearizable(_single(run.history), model()):
            return "the history is not linearizable"
        return ""

    return check


def _allocator(
    name: str,
    last: int,
    threads: list[Calls],
    *,
    live: tuple[int, ...] = (),
    resting: tuple[tuple[int, float], ...] = (),
    bound: int | None = None,
    perform: Callable[[Allocator, str, tuple[Any, ...]], Any] = _ids,
    **options: Any,
) -> Plan:
    def setup() -> Allocator:
        ids = Allocator(1, last, **options)
        for id in live:
            ids.reserve(id)
        for id, seconds in resting:
            ids.reserve(id)
            ids.quarantine(id, seconds)
        return ids

    check = _judge(lambda: Ids(1, last, live, resting), lambda ids: ids._check())
    return Plan(Scenario(name, setup, threads, check, perform), bound)


def _table(
    name: str,
    last: int,
    threads: list[Calls],
    *,
    added: tuple[str, ...] = (),
    resting: tuple[tuple[int, float], ...] = (),
    bound: int | None = None,
) -> Plan:
    def setup() -> InFlightTable[str]:
        table: InFlightTable[str] = InFlightTable(1, last)
        for payload in added:
            table.add(payload)
        for id, seconds in resting:
            table.quarantine(id, seconds)
        return table

    check = _judge(lambda: Requests(last, added, resting), lambda table: table._check())
    return Plan(Scenario(name, setup, threads, check, _requests), bound)


def _queue(
    name: str,
    capacity: int,
    threads: list[Calls],
    *,
    put: tuple[str, ...] = (),
    got: int = 0,
    on_dead: Callable[[Message[str]], None] | None = None,
    free: bool = False,
    bound: int | None = None,
) -> Plan:
    """`got` of those that were `put` are in flight. With `on_dead` the first delivery is the last.

    A nack of a last delivery is two steps, and what comes in between by number no model of one step explains: `free`
    leaves it at the invariants.
    """
    most = 1 if on_dead else None

    def setup() -> Any:
        queue: MessageQueue[str] = MessageQueue(capacity, max_deliveries=most, on_dead=on_dead)
        for body in put:
            queue.put(body)
        messages = [queue.get() for _ in range(got)]
        return queue, {(message.mtsid, message.body, message.deliveries): message for message in messages}

    before = [(1 + i, body) for i, body in enumerate(put)]
    model = None if free else lambda: Messages(capacity, before, got=got, most=most)
    check = _judge(model, lambda subject: _balanced(subject[0]))
    return Plan(Scenario(name, setup, threads, check, _messages), bound)


def _balanced(queue: MessageQueue[str]) -> None:
    """Its invariants, and that what was put is here or has left."""
    queue.audit()
    stats = queue.stats()
    left = stats.acked + stats.deleted + stats.dead + stats.discarded
    assert stats.put == stats.waiting + stats.in_flight + left
    assert stats.acked <= stats.put, "more were counted out than in"


def _take(message: Message[str]) -> None:
    """`on_dead` that takes what it is given."""


def _refuse(message: Message[str]) -> None:
    """`on_dead` that fails."""
    raise Late


def _last(results: list[Any]) -> Any:
    return results[-1]


ACQUIRE: Calls = [("acquire", ())]
CLAIM: Calls = [("acquire_many", (2,))]
PAIR: Calls = [("acquire", ()), ("release", (_last,))]
LEASE: Calls = [("lease", ()), ("end", (_last,))]
RESET: Calls = [("reset", ())]
WAIT: Calls = [("acquire", (None,))]
REST: Calls = [("quarantine", (1,))]
RELEASE: Calls = [("release", (1,))]
FOR_EVER = ((1, math.inf),)
AN_HOUR = ((1, 3600.0),)
OVER = ((1, 0.0),)
ADD: Calls = [("add", ("x",))]
ADD_POP: Calls = [*ADD, ("pop", (_last,))]
ADD_WAITS: Calls = [("wait", ("x",))]
POP: Calls = [("pop", (1,))]
LOOK: Calls = [("items", ())]
GET_ACK: Calls = [("get", ()), ("ack", (_last,))]
GET_NACK: Calls = [("get_nowait", ()), ("nack", (_last,))]
GET_ACK_MANY: Calls = [("get_many", (2,)), ("ack_many", (_last,))]
BOTH = ("a", "b")
FIRST = (1, "a", 1)  # a delivery
NACK: Calls = [("nack", (FIRST,))]
TRY: Calls = [("get_nowait", ())]
GET_ACK_NOW: Calls = [*TRY, ("ack", (_last,))]
DELETE: Calls = [("delete", (1,))]
PUTS: Calls = [("put_nowait", ("a",)), ("put_nowait", ("b",))]


def sp2() -> list[Plan]:
    """Return what SP2 must hold."""
    full = list(range(2, 33))  # a leaf but its first id
    return [
        # The allocator: one id.
        _allocator("acquire | acquire, 2 ids", 2, [ACQUIRE, ACQUIRE]),
        _allocator("acquire | acquire, 1 id: one is Exhausted", 1, [ACQUIRE, ACQUIRE]),
        _allocator("acquire | release of the only id", 1, [ACQUIRE, [("release", (1,))]], live=(1,)),
        _allocator("release | release of one id: one is NotInUse", 2, [[("release", (1,))]] * 2, live=(1,)),
        _allocator("reserve | reserve of one id: one is InUse", 2, [[("reserve", (1,))]] * 2),
        _allocator("acquire | reserve", 2, [ACQUIRE, [("reserve", (1,))]]),
        _allocator("pair | pair, 1 id", 1, [PAIR, PAIR], bound=3),
        _allocator("pair | pair, 2 ids", 2, [PAIR, PAIR], bound=3),
        _allocator("pair | pair | pair, 2 ids", 2, [PAIR, PAIR, PAIR], bound=2),
        # Exact exhaustion: an id is freed behind the search, past the hints, in another leaf.
        _allocator(
            "acquire | release behind it, acquire before it; 2 leaves",
            64,
            [ACQUIRE, [("release", (1,)), ("acquire", ())]],
            live=tuple(range(1, 65)),
            bound=2,
        ),
        _allocator(
            "acquire | release, 2 leaves, all live",
            64,
            [ACQUIRE, [("release", (40,))]],
            live=tuple(range(1, 65)),
            bound=3,
            order="lowest",
        ),
        _allocator(
            "pair | release, reserve; a hint set and opened",
            64,
            [PAIR, [("release", (2,)), ("reserve", (2,))]],
            live=tuple(full),
            bound=2,
            order="lowest",
        ),
        _allocator(
            "acquire | release; a full leaf opened",
            64,
            [ACQUIRE, [("release", (2,))]],
            live=tuple(range(1, 33)),
            bound=3,
            order="lowest",
        ),
        # Many ids: all or none.
        _allocator("acquire_many(2) | acquire, 2 ids", 2, [[("acquire_many", (2,))], ACQUIRE]),
        _allocator("acquire_many(2) | acquire_many(2), 3 ids", 3, [[("acquire_many", (2,))]] * 2, bound=3),
        _allocator(
            "acquire_many(2) | release, 2 ids", 2, [[("acquire_many", (2,))], [("release", (1,))]], live=(1,), bound=3
        ),
        _allocator(
            "acquire_many(2) rolled back | pair",
            2,
            [[("acquire_many", (2,))], PAIR],
            live=(2,),
            bound=3,
        ),
        _allocator(
            "acquire_many(2) rolled back | release of what it holds",
            2,
            [CLAIM, [("release", (1,))]],
            live=(2,),
            bound=3,
        ),
        _allocator("acquire_many(2) rolled back | reserve", 2, [CLAIM, [("reserve", (1,))]], live=(2,), bound=3),
        _allocator("acquire_many(2) rolled back | state", 2, [CLAIM, [("state", (1,))]], live=(2,), bound=3),
        _allocator(
            "acquire_many(2) rolled back | acquire_many(1)", 2, [CLAIM, [("acquire_many", (1,))]], live=(2,), bound=3
        ),
        _allocator("reserve_many | acquire", 2, [[("reserve_many", ((1, 2),))], ACQUIRE]),
        _allocator(
            "release_many | release of one of them",
            3,
            [[("release_many", ((1, 2),))], [("release", (1,))]],
            live=(1, 2),
        ),
        # Ids that rest.
        _allocator("quarantine | release of one id", 2, [REST, RELEASE], live=(1,), bound=3),
        _allocator("quarantine | quarantine of one id: one is NotInUse", 2, [REST, REST], live=(1,), bound=3),
        _allocator("release | release of a quarantined id", 1, [RELEASE, RELEASE], resting=FOR_EVER, bound=3),
        _allocator("quarantine, release | acquire of the only id", 1, [REST + RELEASE, ACQUIRE], live=(1,), bound=2),
        _allocator("quarantine | pair, state", 1, [REST, [*PAIR, ("state", (1,))]], live=(1,), bound=2),
        _allocator("quarantine | release, acquire, release", 1, [REST, RELEASE + PAIR], live=(1,), bound=2),
        _allocator(
            "quarantine | acquire is Exhausted, and counts",
            2,
            [REST, ACQUIRE],
            live=(1, 2),
            bound=2,
            perform=_ids_counted,
        ),
        _allocator(
            "release, reserve of a quarantined id | acquire, and counts",
            2,
            [[("release", (1,)), ("reserve", (1,))], ACQUIRE],
            live=(2,),
            resting=FOR_EVER,
            bound=3,
            perform=_ids_counted,
        ),
        _allocator("an hour | acquire: a quarantine is over", 1, [[("tick", (3600,))], ACQUIRE], resting=AN_HOUR),
        _allocator(
            "an hour, reserve of the other | acquire is never Exhausted",
            2,
            [[("tick", (3600,)), ("reserve", (2,))], ACQUIRE],
            resting=AN_HOUR,
            bound=3,
        ),
        _allocator("acquire | acquire, one whose quarantine is over", 1, [ACQUIRE, ACQUIRE], resting=OVER, bound=3),
        _allocator("acquire | release, one whose quarantine is over", 1, [ACQUIRE, RELEASE], resting=OVER, bound=3),
        _allocator(
            "acquire_many(2) | an hour, state",
            2,
            [CLAIM, [("tick", (3600,)), ("state", (1,))]],
            resting=AN_HOUR,
            bound=3,
        ),
        _allocator("acquire_many(2) rolled back | quarantine of what it holds", 2, [CLAIM, REST], live=(2,), bound=2),
        _allocator("quarantine | reset", 2, [REST, RESET], live=(1, 2), bound=3),
        _allocator("reset | release of a quarantined id", 1, [RESET, RELEASE], resting=FOR_EVER, bound=3),
        _allocator(
            "acquire waits | release of a quarantined id",
            1,
            [[("acquire", (None,))], RELEASE],
            resting=FOR_EVER,
            bound=2,
        ),
        # The bound.
        _allocator(
            "resize | acquire: nobody gets what is beyond", 2, [[("resize", (1,))], ACQUIRE], live=(1,), bound=3
        ),
        _allocator("resize | release beyond it", 2, [[("resize", (1,))], [("release", (2,))]], live=(2,), bound=3),
        _allocator(
            "resize, acquire | release beyond it",
            2,
            [[("resize", (1,)), *ACQUIRE], [("release", (2,))]],
            live=(1, 2),
            bound=3,
        ),
        _allocator(
            "resize down, up | release beyond it",
            2,
            [[("resize", (1,)), ("resize", (2,))], [("release", (2,))]],
            live=(2,),
            bound=3,
        ),
        _allocator("resize | acquire_many(2) rolled back", 3, [[("resize", (2,))], CLAIM], live=(1, 2), bound=2),
        # Leases.
        _allocator("lease, end | lease, end of the only id", 1, [LEASE, LEASE], bound=3),
        _allocator("lease, end | reset", 1, [LEASE, RESET], bound=3),
        _allocator("lease, end | reset, reserve: it stays reserved", 1, [LEASE, [*RESET, ("reserve", (1,))]], bound=3),
        # Waiting: the wake-up is never lost.
        _allocator("acquire waits | release", 1, [[("acquire", (None,))], [("release", (1,))]], live=(1,), bound=3),
        _allocator(
            "2 acquires wait | 2 releases",
            2,
            [[("acquire", (None,))], [("acquire", (None,))], [("release", (1,)), ("release", (2,))]],
            live=(1, 2),
            bound=2,
        ),
        # The table: a payload and its id are one thing.
        _table("table: add | add of the only id: one is Exhausted", 1, [ADD, [("add", ("y",))]]),
        _table("table: add, pop | add, pop | items", 2, [ADD_POP, [("add", ("y",)), ("pop", (_last,))], LOOK], bound=2),
        _table("table: add | pop of the only id", 1, [ADD, POP], added=("a",)),
        _table("table: pop | pop of one id: one is NotInUse", 2, [POP, POP], added=("a",)),
        _table("table: add | reserve, items", 2, [ADD, [("add_this", ("y", 1)), *LOOK]]),
        _table("table: pop | quarantine of one id, items", 2, [POP, [*REST, *LOOK]], added=("a", "b")),
        _table("table: quarantine | quarantine of one id", 2, [REST, REST], added=("a",)),
        _table("table: pop | pop of a quarantined id: one is Late", 1, [POP, POP], added=("a",), resting=FOR_EVER),
        _table("table: quarantine, pop | add is Exhausted, and counts", 1, [REST + POP, ADD], added=("a",)),
        _table("table: pop, add | pop of the first use: Stale", 1, [POP + ADD, [("pop", (1, 1))]], added=("a",)),
        _table(
            "table: an hour, add | pop: Late, or it is another's",
            1,
            [[("tick", (3600,)), *ADD], POP],
            added=("a",),
            resting=AN_HOUR,
        ),
        _table(
            "table: add, one whose quarantine is over | add | state",
            1,
            [ADD, [("add", ("y",))], [("state", (1,))]],
            added=("a",),
            resting=OVER,
            bound=2,
        ),
        _table("table: reset | pop, add", 2, [RESET, POP + ADD], added=("a", "b")),
        _table("table: reset | quarantine | items", 2, [RESET, REST, LOOK], added=("a", "b"), bound=2),
        _table("table: reset, generation | add of a use", 1, [[*RESET, ("generation", (1,))], ADD], added=("a",)),
        _table("table: add waits | pop", 1, [ADD_WAITS, POP], added=("a",), bound=3),
        _table("table: add waits | reset", 1, [ADD_WAITS, RESET], added=("a",), bound=3),
        _table(
            "table: add waits | pop of a quarantined id", 1, [ADD_WAITS, POP], added=("a",), resting=FOR_EVER, bound=2
        ),
        _table("table: 2 adds wait | 2 pops", 2, [ADD_WAITS, ADD_WAITS, [*POP, ("pop", (2,))]], added=BOTH, bound=2),
        # The queue.
        _queue("put | put, room for one: one is Full", 1, [[("put_nowait", ("a",))], [("put_nowait", ("b",))]]),
        _queue("put | get", 2, [[("put_nowait", ("a",))], TRY]),
        _queue("get | get, one message: one is Empty", 2, [TRY, TRY], put=("a",)),
        _queue(
            "put, put | get, get: first in, first out",
            2,
            [[("put_nowait", ("a",)), ("put_nowait", ("b",))], TRY * 2],
            bound=3,
        ),
        _queue("get, ack | get, nack", 2, [GET_ACK, GET_NACK], put=("a", "b"), bound=3),
        _queue("get | delete of the same", 2, [TRY, DELETE], put=("a",)),
        _queue("get, ack | delete of the same: an ack is Stale", 2, [GET_ACK_NOW, DELETE], put=("a",), bound=3),
        _queue("get, nack | delete of the same, put", 1, [GET_NACK, [*DELETE, PUTS[0]]], put=("b",), bound=3),
        _queue(
            "get, nack | get, get: back to its place",
            3,
            [GET_NACK, TRY * 2],
            put=("a", "b"),
            bound=3,
        ),
        _queue(
            "put_many(2) | put, room for two",
            2,
            [[("put_many", (("a", "b"), False))], [("put_nowait", ("c",))]],
            bound=3,
        ),
        _queue("put_many(2) waits | get, ack", 2, [[("put_many", (("b", "c"),))], GET_ACK], put=("a",), bound=2),
        _queue("put_many(2) | get_many(2)", 3, [[("put_many", (BOTH,))], [("get_many", (2,))]], bound=3),
        _queue("get_many(2), ack_many | get, ack", 3, [GET_ACK_MANY, GET_ACK], put=("a", "b", "c"), bound=3),
        _queue("get waits | put", 1, [[("get", ())], [("put_nowait", ("a",))]]),
        _queue("put waits | get, ack", 1, [[("put", ("b",))], GET_ACK], put=("a",), bound=3),
        _queue(
            "2 gets wait | 2 puts",
            2,
            [[("get", ())], [("get", ())], [("put_nowait", ("a",)), ("put_nowait", ("b",))]],
            bound=2,
        ),
        _queue("get waits | shutdown", 1, [[("get", ())], [("shutdown", ())]]),
        _queue("get, ack | get waits, ack | shutdown", 1, [GET_ACK, GET_ACK, [("shutdown", ())]], put=("a",), bound=2),
        _queue("shutdown at once | get, nack", 2, [[("shutdown", (True,))], GET_NACK], put=("a",), bound=3),
        _queue("put waits | shutdown", 1, [[("put", ("b",))], [("shutdown", ())]], put=("a",), bound=3),
        _queue("join | get, ack", 1, [[("join", ())], GET_ACK], put=("a",), bound=3),
        # The end of redelivery: `on_dead` runs between two steps.
        _queue("nack | nack of one last delivery: it dies once", 1, [NACK, NACK], put=("a",), got=1, on_dead=_take),
        _queue("nack | ack of one last delivery", 1, [NACK, [("ack", (FIRST,))]], put=("a",), got=1, on_dead=_take),
        _queue("nack of the last delivery | delete", 1, [NACK, DELETE], put=("a",), got=1, on_dead=_take, free=True),
        _queue("put waits | nack of the last delivery", 1, [[("put", ("b",))], NACK], put=("a",), got=1, on_dead=_take),
        _queue("get waits | nack that on_dead refuses", 1, [[("get", ())], NACK], put=("a",), got=1, on_dead=_refuse),
        _queue("join | nack of the last delivery", 1, [[("join", ())], NACK], put=("a",), got=1, on_dead=_take),
        _queue(
            "get waits | nack of the last delivery | shutdown",
            1,
            [[("get", ())], NACK, [("shutdown", ())]],
            put=("a",),
            got=1,
            on_dead=_take,
            bound=2,
        ),
        _queue(
            "nack that on_dead refuses | delete, put",
            1,
            [NACK, [*DELETE, PUTS[1]]],
            put=("a",),
            got=1,
            on_dead=_refuse,
            free=True,
            bound=3,
        ),
    ]


def racy_claim() -> Scenario:
    """4.0's race: two puts, and a look for twins."""

    def check(run: Run) -> str:
        try:
            run.subject.audit()
        except AuditError as error:
            return f"{error}"
        return ""

    return Scenario(
        "put | put, 4.0's racy-claim",
        lambda: v40.MessageQueue(4, defect="racy-claim"),
        [[("put_nowait", ("alice",))], [("put_nowait", ("bob",))]],
        check,
    )
