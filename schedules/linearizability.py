"""Is a history linearizable? Wing and Gong's search (1993), with Lowe's memory of what was tried (2017).

A history is linearizable if each operation can be given an instant between its call and its return such that, in the
order of those instants, a sequential model gives every result that was seen: the numbers, and `Exhausted`, `Empty`,
`Full`, `NotInUse`, `Stale`, `ShutDown` as well. A model may leave a choice open (which of the free ids), so it answers
with the states that may follow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import NamedTuple, Protocol

from mtsid import Empty, Exhausted, Full, InUse, NotInUse, ShutDown, Stale
from schedules.explorer import Operation

__all__ = ["Ids", "Messages", "Model", "linearizable"]


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


class Ids:
    """An allocator: the set of live ids."""

    def __init__(self, first: int, last: int, live: Iterable[int] = ()) -> None:
        self.range = frozenset(range(first, last + 1))
        self.live = frozenset(live)

    def start(self) -> Hashable:
        """Return the ids that are live at first."""
        return self.live

    def after(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Return what may be live afterwards."""
        assert isinstance(state, frozenset)
        name, result = operation.name, operation.result
        if name in ("acquire", "acquire_many"):
            wanted = 1 if name == "acquire" else operation.arguments[0]
            if result is Exhausted:
                return [state] if len(self.range) - len(state) < wanted else []
            taken = frozenset([result] if name == "acquire" else result)
            return [state | taken] if len(taken) == wanted and taken <= self.range - state else []
        if name in ("release", "release_many"):
            given = frozenset([operation.arguments[0]] if name == "release" else operation.arguments[0])
            right = None if given <= state else NotInUse
            return [state - given] if result is right else []
        if name in ("reserve", "reserve_many"):
            given = frozenset([operation.arguments[0]] if name == "reserve" else operation.arguments[0])
            if result is None:
                return [] if given & state else [state | given]
            return [state] if result is InUse and given & state else []
        assert name == "state"
        return [state] if result == ("live" if operation.arguments[0] in state else "free") else []


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
    """

    def __init__(self, capacity: int, put_before: Iterable[tuple[int, object]] = ()) -> None:
        self.capacity = capacity
        self.before = tuple(Held(i, mtsid, body, 0) for i, (mtsid, body) in enumerate(put_before))

    def start(self) -> Hashable:
        """Return the queue at first."""
        return Contents(self.before, frozenset(), len(self.before), False)

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
        if operation.result is None:
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
