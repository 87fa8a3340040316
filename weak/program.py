"""Programs for the machine: threads that load, store and update words, each operation with its C11 order.

A thread is a generator. It yields an operation and is sent what that returned, so it reads like the code it stands
for. What it is sent is a `Seen`: a number that remembers which operations it was computed from. So the dependencies
that ARM respects need no annotation: a `Seen` in a stored value is a data dependency, one in `address=` an address
dependency, and one that decides an `if` or a `while` a control dependency of everything behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

__all__ = [
    "STUCK",
    "Body",
    "CompareExchange",
    "Fence",
    "Fetch",
    "Load",
    "Node",
    "Operation",
    "Order",
    "Outcome",
    "Program",
    "Routine",
    "Seen",
    "Store",
    "Thread",
    "Value",
]

NOTHING: frozenset[int] = frozenset()


class Order(Enum):
    """C11's memory orders, without consume."""

    RELAXED = "relaxed"
    ACQUIRE = "acquire"
    RELEASE = "release"
    ACQ_REL = "acq_rel"
    SEQ_CST = "seq_cst"

    @property
    def acquires(self) -> bool:
        """Whether a read of this order acquires."""
        return self in (Order.ACQUIRE, Order.ACQ_REL, Order.SEQ_CST)

    @property
    def releases(self) -> bool:
        """Whether a write of this order releases."""
        return self in (Order.RELEASE, Order.ACQ_REL, Order.SEQ_CST)


_decided: set[int] = set()  # what the running thread's branches have depended on


@contextmanager
def _recording(decided: set[int]) -> Iterator[None]:
    global _decided
    before, _decided = _decided, decided
    try:
        yield
    finally:
        _decided = before


class Seen:
    """A number, and the operations it was computed from."""

    __slots__ = ("sources", "value")

    def __init__(self, value: int, sources: frozenset[int] = NOTHING) -> None:
        self.value = value
        self.sources = sources

    def _with(self, other: Value, value: int) -> Seen:
        return Seen(value, self.sources | sources_of(other))

    def __and__(self, other: Value) -> Seen:
        return self._with(other, self.value & plain(other))

    def __or__(self, other: Value) -> Seen:
        return self._with(other, self.value | plain(other))

    def __xor__(self, other: Value) -> Seen:
        return self._with(other, self.value ^ plain(other))

    def __add__(self, other: Value) -> Seen:
        return self._with(other, self.value + plain(other))

    def __sub__(self, other: Value) -> Seen:
        return self._with(other, self.value - plain(other))

    def __lt__(self, other: Value) -> Seen:
        return self._with(other, self.value < plain(other))

    def __eq__(self, other: Value) -> Seen:  # type: ignore[override]  # a comparison is a value with sources as well
        return self._with(other, self.value == plain(other))

    def __ne__(self, other: Value) -> Seen:  # type: ignore[override]
        return self._with(other, self.value != plain(other))

    __hash__ = None  # type: ignore[assignment]  # to hash it would hide a dependency

    def __bool__(self) -> bool:
        """Decide a branch: all that the thread does from here on is control dependent on the sources."""
        _decided.update(self.sources)
        return bool(self.value)

    def __int__(self) -> int:
        """Go by the number: a branch for each value that it may have."""
        _decided.update(self.sources)
        return self.value

    def __repr__(self) -> str:
        return f"Seen({self.value})"


Value: TypeAlias = "Seen | int"


def plain(value: Value) -> int:
    """Return the number alone."""
    return value.value if isinstance(value, Seen) else value


def sources_of(value: Value) -> frozenset[int]:
    """Return the operations that a value was computed from."""
    return value.sources if isinstance(value, Seen) else NOTHING


@dataclass(frozen=True)
class Load:
    """Returns the word."""

    where: str
    order: Order = Order.RELAXED
    address: Value = 0  # only its sources count: `where` was computed from it


@dataclass(frozen=True)
class Store:
    """Returns nothing of use."""

    where: str
    value: Value
    order: Order = Order.RELAXED
    address: Value = 0


@dataclass(frozen=True)
class CompareExchange:
    """Strong; returns what it found. If that was not `expected`, it was a load."""

    where: str
    expected: Value
    desired: Value
    order: Order = Order.SEQ_CST


@dataclass(frozen=True)
class Fetch:
    """One step of `how`: add, or, and; returns what it found."""

    where: str
    how: str
    operand: Value
    order: Order = Order.SEQ_CST


@dataclass(frozen=True)
class Fence:
    """SEQ_CST: all before, all behind. ACQUIRE: loads before, all behind."""

    order: Order = Order.SEQ_CST


Operation: TypeAlias = "Load | Store | CompareExchange | Fetch | Fence"
Routine: TypeAlias = Generator[Operation, Seen, Any]
Body: TypeAlias = Callable[[], Routine]

STUCK = object()  # returned by a thread that would wait on: such a run is no complete execution


@dataclass
class Node:
    """Where a thread stands: what it does next, or what it returned."""

    values: tuple[int, ...]  # what its operations so far have returned
    operation: Operation | None  # None: it is done
    control: frozenset[int] = NOTHING
    address: frozenset[int] = NOTHING
    data: frozenset[int] = NOTHING
    expected: int = 0  # a compare-exchange's
    operand: int = 0  # what is stored, exchanged for, or fetched with
    compared: frozenset[int] = NOTHING  # the sources of `expected`
    result: Hashable = None
    stuck: bool = False
    after: dict[int, Node] = field(default_factory=dict)


def _hashable(result: Any) -> Hashable:
    if isinstance(result, Seen):
        return result.value
    if isinstance(result, (tuple, list)):
        return tuple(map(_hashable, result))
    assert isinstance(result, Hashable)
    return result


class Thread:
    """A thread as a tree: a branch for each value that an operation may return. Generators cannot be copied, so a new
    node costs a run from the start; but each is made once, for all memories.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self.start = self._node(())

    def after(self, node: Node, value: int) -> Node:
        """Return where the thread stands once its operation returned `value`."""
        following = node.after.get(value)
        if following is None:
            following = node.after[value] = self._node((*node.values, value))
        return following

    def _node(self, values: tuple[int, ...]) -> Node:
        decided: set[int] = set()
        with _recording(decided):
            routine = self._body()
            try:
                operation = next(routine)
                for number, value in enumerate(values):
                    operation = routine.send(Seen(value, frozenset({number})))
            except StopIteration as end:
                if end.value is STUCK:
                    return Node(values, None, stuck=True)
                return Node(values, None, result=_hashable(end.value))
        node = Node(values, operation, frozenset(decided))
        if isinstance(operation, (Load, Store)):
            node.address = sources_of(operation.address)
        if isinstance(operation, Store):
            node.operand, node.data = plain(operation.value), sources_of(operation.value)
        elif isinstance(operation, Fetch):
            node.operand, node.data = plain(operation.operand), sources_of(operation.operand)
        elif isinstance(operation, CompareExchange):
            node.operand, node.data = plain(operation.desired), sources_of(operation.desired)
            node.expected, node.compared = plain(operation.expected), sources_of(operation.expected)
        return node


@dataclass(frozen=True)
class Outcome:
    """What an execution ended in."""

    results: tuple[Any, ...]  # of each thread
    memory: dict[str, int]


@dataclass(frozen=True)
class Program:
    """Threads, the words they begin with (0 if not named), and what must not come of it."""

    name: str
    threads: tuple[Body, ...]
    initial: dict[str, int]
    wrong: Callable[[Outcome], str]  # what is wrong with an outcome, in words; empty: nothing
