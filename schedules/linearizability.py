"""Is a history linearizable? Wing and Gong's search (1993), with Lowe's memory of what was tried (2017).

A history is linearizable if each operation can be given an instant between its call and its return such that, in the
order of those instants, a sequential model gives every result that was seen: the numbers, and `Exhausted`, `Empty`,
`Full`, `NotInUse`, `Stale`, `ShutDown` as well. A model may leave a choice open (which of the free ids), so it answers
with the states that may follow.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from mtsid import Empty, Exhausted, Full, InUse, Late, NotInUse, ShutDown, Stale
from schedules.explorer import Operation

__all__ = ["Counted", "Ids", "Messages", "Model", "Requests", "linearizable"]


class Model(Protocol):
    """The sequential specification of one subject. States are hashable."""

    def start(self) -> Hashable:
        """Return the state before the first operation."""

    def after(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Return the states that may follow if the operation's result is right in this state; none: it is wrong."""


def linearizable(history: list[Operation], model: Model) -> bool:
    """Return whether the history is linearizable."""
    everything = frozenset(range(len(history)))
    seen: set[tuple[frozenset[int], Hashable]] = set()

    def search(left: frozenset[int], state: Hashable) -> bool:
        if not left:
            return True
        if (left, state) in seen:
            return False
        seen.add((left, state))
        first_end = min(history[i].ended for i in left)
        return any(
            search(left - {i}, following)
            for i in left
            if history[i].begun < first_end
            for following in model.after(state, history[i])
        )

    return search(everything, model.start())


class Counted(NamedTuple):
    """`Exhausted`, with what it counted."""

    live: int
    quarantined: int


class Known(NamedTuple):
    """The state of the model's allocator."""

    live: frozenset[int]
    resting: frozenset[tuple[int, float]]  # in quarantine, each until when
    now: float = 0.0
    leased: frozenset[tuple[int, int]] = frozenset()  # ids and the threads that leased them, since the last reset
    bound: float = math.inf


class Ids:
    """An allocator: the ids that are live, those that rest and until when, and a clock that only `tick` moves."""

    def __init__(
        self, first: int, last: int, live: Iterable[int] = (), resting: Iterable[tuple[int, float]] = ()
    ) -> None:
        self.range = frozenset(range(first, last + 1))
        self.before = Known(frozenset(live), frozenset(resting))

    def start(self) -> Hashable:
        """Return what there is at first."""
        return self.before

    def after(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Return what may be there afterwards."""
        assert isinstance(state, Known)
        state = state._replace(resting=frozenset((id, due) for id, due in state.resting if due > state.now))
        name, result = operation.name, operation.result
        if name.endswith("_many"):
            given = frozenset(operation.arguments[0]) if name != "acquire_many" else frozenset[int]()
        else:
            given = frozenset(operation.arguments[:1])
        return getattr(self, f"_{name.removesuffix('_many')}")(state, operation, given, result)  # type: ignore[no-any-return]

    def _acquire(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        single = operation.name == "acquire"
        wanted = 1 if single else operation.arguments[0]
        free = {id for id in self.range if id <= state.bound} - state.live - {id for id, _ in state.resting}
        if isinstance(result, Counted):
            return [state] if len(free) < wanted and result == (len(state.live), len(state.resting)) else []
        if result is Exhausted:
            return [state] if len(free) < wanted else []
        taken = frozenset([result] if single else result)
        return [state._replace(live=state.live | taken)] if len(taken) == wanted and taken <= free else []

    def _release(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        right = None if given <= state.live | {id for id, _ in state.resting} else NotInUse
        if result is not right:
            return []
        return [
            state._replace(
                live=state.live - given, resting=frozenset(rest for rest in state.resting if rest[0] not in given)
            )
        ]

    def _reserve(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        in_use = given & (state.live | {id for id, _ in state.resting})
        if result is None:
            return [] if in_use else [state._replace(live=state.live | given)]
        return [state] if result is InUse and in_use else []

    def _quarantine(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        if result is NotInUse:
            return [] if given <= state.live else [state]
        seconds = operation.arguments[1] if len(operation.arguments) > 1 else math.inf
        rest = {(id, state.now + seconds) for id in given}
        return [state._replace(live=state.live - given, resting=state.resting | rest)] if given <= state.live else []

    def _reset(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        empty = state._replace(live=frozenset(), resting=frozenset(), leased=frozenset())
        return [empty] if result == tuple(sorted(state.live)) else []

    def _lease(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        acquired = self._acquire(state, replace(operation, name="acquire"), given, result)
        if result is Exhausted:
            return acquired
        return [now._replace(leased=state.leased | {(int(result), operation.thread)}) for now in acquired]

    def _end(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        lease = (int(operation.arguments[0]), operation.thread)
        if result is Stale:
            return [] if lease in state.leased else [state]
        if result is not None or lease not in state.leased:
            return []
        return [state._replace(live=state.live - {lease[0]}, leased=state.leased - {lease})]

    def _resize(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        return [state._replace(bound=operation.arguments[0])]

    def _tick(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        return [state._replace(now=state.now + operation.arguments[0])]

    def _state(self, state: Known, operation: Operation, given: frozenset[int], result: Any) -> list[Known]:
        rests = given <= {id for id, _ in state.resting}
        right = "live" if given <= state.live else "quarantined" if rests else "free"
        return [state] if result == right else []


class Use(NamedTuple):
    """What an id of the model's table stands for; nothing while it rests, `due` says until when."""

    id: int
    generation: int
    payload: object
    due: float = math.inf


class InFlight(NamedTuple):
    """The state of the model's table."""

    live: frozenset[Use]
    resting: frozenset[Use]
    uses: int
    now: float = 0.0


class Requests:
    """A table: what is in flight, what rests and until when, and how many uses there were, which numbers them."""

    def __init__(
        self, last: int, added_before: Iterable[object] = (), resting: Iterable[tuple[int, float]] = ()
    ) -> None:
        self.range = frozenset(range(1, last + 1))
        dues = dict(resting)
        uses = [Use(i, i, payload, dues.get(i, math.inf)) for i, payload in enumerate(added_before, 1)]
        rest = frozenset(use._replace(payload=None) for use in uses if use.id in dues)
        self.before = InFlight(frozenset(use for use in uses if use.id not in dues), rest, len(uses))

    def start(self) -> Hashable:
        """Return the table at first."""
        return self.before

    def after(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Return what may be in the table afterwards."""
        assert isinstance(state, InFlight)
        state = state._replace(resting=frozenset(use for use in state.resting if use.due > state.now))
        return getattr(self, f"_{operation.name}")(state, operation)  # type: ignore[no-any-return]

    def _use(self, uses: frozenset[Use], id: int) -> Use | None:
        return next((use for use in uses if use.id == id), None)

    def _add(self, state: InFlight, operation: Operation) -> list[InFlight]:
        result = operation.result
        free = self.range - {use.id for use in state.live | state.resting}
        if isinstance(result, Counted):
            return [state] if not free and result == (len(state.live), len(state.resting)) else []
        if result not in free:
            return []
        use = Use(result, state.uses + 1, operation.arguments[0])
        return [state._replace(live=state.live | {use}, uses=state.uses + 1)]

    _wait = _add

    def _add_this(self, state: InFlight, operation: Operation) -> list[InFlight]:
        in_use = any(use.id == operation.arguments[1] for use in state.live | state.resting)
        if operation.result is InUse:
            return [state] if in_use else []
        return self._add(state, operation) if operation.result == operation.arguments[1] else []

    def _pop(self, state: InFlight, operation: Operation) -> list[InFlight]:
        id, *generation = operation.arguments
        live, resting = self._use(state.live, id), self._use(state.resting, id)
        found = live or resting
        if generation and (found is None or found.generation != generation[0]):
            return [state] if operation.result is Stale else []
        if live is not None:
            return [state._replace(live=state.live - {live})] if operation.result == live.payload else []
        if resting is not None:
            return [state._replace(resting=state.resting - {resting})] if operation.result is Late else []
        return [state] if operation.result is NotInUse else []

    def _quarantine(self, state: InFlight, operation: Operation) -> list[InFlight]:
        id, *seconds = operation.arguments
        live = self._use(state.live, id)
        if live is None:
            return [state] if operation.result is NotInUse else []
        use = live._replace(payload=None, due=state.now + (seconds[0] if seconds else math.inf))
        following = state._replace(live=state.live - {live}, resting=state.resting | {use})
        return [following] if operation.result == live.payload else []

    def _reset(self, state: InFlight, operation: Operation) -> list[InFlight]:
        following = state._replace(live=frozenset(), resting=frozenset())
        return [following] if self._items(state, operation) else []

    def _items(self, state: InFlight, operation: Operation) -> list[InFlight]:
        return [state] if operation.result == tuple(sorted((use.id, use.payload) for use in state.live)) else []

    def _generation(self, state: InFlight, operation: Operation) -> list[InFlight]:
        use = self._use(state.live | state.resting, operation.arguments[0])
        return [state] if operation.result == (NotInUse if use is None else use.generation) else []

    def _state(self, state: InFlight, operation: Operation) -> list[InFlight]:
        id = operation.arguments[0]
        rests = self._use(state.resting, id) is not None
        right = "live" if self._use(state.live, id) is not None else "quarantined" if rests else "free"
        return [state] if operation.result == right else []

    def _tick(self, state: InFlight, operation: Operation) -> list[InFlight]:
        return [state._replace(now=state.now + operation.arguments[0])]


class Held(NamedTuple):
    """A message in the model's queue."""

    entry: int  # its place in the order of entry
    mtsid: int
    body: object
    deliveries: int


class Contents(NamedTuple):
    """The state of the model's queue."""

    waiting: tuple[Held, ...]  # in order of entry
    flying: frozenset[Held]
    entries: int
    closed: bool
    gone: bool = False  # shut down at once


class Messages:
    """A queue of one priority: what waits, in order of entry, and what is in flight.

    Results of `get` are (mtsid, body, deliveries); those three name a delivery, as a receipt does, if bodies differ.
    Of those put before, the first so many were got too. With `most`, a message nacked so often is dead, and gone; or it
    goes back, if `on_dead` raises `Late`, which no queue does.
    """

    def __init__(
        self, capacity: int, put_before: Iterable[tuple[int, object]] = (), *, got: int = 0, most: int | None = None
    ) -> None:
        self.capacity, self.most = capacity, most
        before = [Held(i, mtsid, body, int(i < got)) for i, (mtsid, body) in enumerate(put_before)]
        self.got, self.before = frozenset(before[:got]), tuple(before[got:])

    def start(self) -> Hashable:
        """Return the queue at first."""
        return Contents(self.before, self.got, len(self.before) + len(self.got), False)

    def after(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Return what may be in the queue afterwards."""
        assert isinstance(state, Contents)
        return getattr(self, f"_{operation.name}")(state, operation)  # type: ignore[no-any-return]

    def _live(self, state: Contents) -> set[int]:
        return {held.mtsid for held in (*state.waiting, *state.flying)}

    def _put(self, state: Contents, operation: Operation) -> list[Contents]:
        result, live = operation.result, self._live(state)
        if result is ShutDown:
            return [state] if state.closed else []
        if state.closed:
            return []
        if result is Full:
            return [state] if len(live) == self.capacity else []
        if not 1 <= result <= self.capacity or result in live:
            return []
        held = Held(state.entries, result, operation.arguments[0], 0)
        return [state._replace(waiting=(*state.waiting, held), entries=state.entries + 1)]

    _put_nowait = _put

    def _put_many(self, state: Contents, operation: Operation) -> list[Contents]:
        items, result = operation.arguments[0], operation.result
        if result is ShutDown or state.closed:
            return [state] if result is ShutDown and state.closed else []
        if result is Full:
            return [state] if len(self._live(state)) + len(items) > self.capacity else []
        states = [state]
        for item, mtsid in zip(items, result, strict=True):
            single = replace(operation, name="put", arguments=(item,), result=mtsid)
            states = [following for before in states for following in self._put(before, single)]
        return states

    def _get(self, state: Contents, operation: Operation) -> list[Contents]:
        result = operation.result
        over = state.closed and not state.flying
        if not state.waiting:
            return [state] if result is (ShutDown if over else Empty) else []
        head = state.waiting[0]
        if result != (head.mtsid, head.body, head.deliveries + 1):
            return []
        flying = state.flying | {head._replace(deliveries=head.deliveries + 1)}
        return [state._replace(waiting=state.waiting[1:], flying=flying)]

    _get_nowait = _get

    def _flying(self, state: Contents, receipt: object) -> Held | None:
        return next((held for held in state.flying if (held.mtsid, held.body, held.deliveries) == receipt), None)

    def _ack(self, state: Contents, operation: Operation) -> list[Contents]:
        held = self._flying(state, operation.arguments[0])
        if operation.result is None:
            return [] if held is None else [state._replace(flying=state.flying - {held})]
        return [state] if operation.result is Stale and held is None else []

    def _nack(self, state: Contents, operation: Operation) -> list[Contents]:
        held = self._flying(state, operation.arguments[0])
        if state.gone:
            # After a shutdown at once the message is discarded, and the caller told.
            if operation.result is ShutDown and held is not None:
                return [state._replace(flying=state.flying - {held})]
            return [state] if operation.result is Stale and held is None else []
        last = self.most is not None and held is not None and held.deliveries >= self.most
        if operation.result is None and last:
            return [state._replace(flying=state.flying - {held})]
        if operation.result is (Late if last else None):
            if held is None:
                return []
            waiting = tuple(sorted((*state.waiting, held)))
            return [state._replace(waiting=waiting, flying=state.flying - {held})]
        return [state] if operation.result is Stale and held is None else []

    def _delete(self, state: Contents, operation: Operation) -> list[Contents]:
        mtsid = operation.arguments[0]
        for held in (*state.waiting, *state.flying):
            if held.mtsid == mtsid:
                waiting = tuple(other for other in state.waiting if other != held)
                return [state._replace(waiting=waiting, flying=state.flying - {held})] * (operation.result == held.body)
        return [state] if operation.result is NotInUse else []

    def _shutdown(self, state: Contents, operation: Operation) -> list[Contents]:
        if not operation.arguments:
            return [state._replace(closed=True)] if operation.result == () else []
        # At once: closing is one step, and taking out each message another; what others get meanwhile is not in the
        # result. As one step, the last, it is right as long as one message waits at most.
        if operation.result != tuple(held.body for held in state.waiting):
            return []
        return [state._replace(closed=True, gone=True, waiting=())]

    def _join(self, state: Contents, operation: Operation) -> list[Contents]:
        return [] if state.waiting or state.flying else [state]
