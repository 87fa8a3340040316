"""An exhaustive, operational model of ARMv8: Promising-ARM.

The model is that of Pulte, Pichon-Pharabod, Kang, Lee and Hur, "Promising-ARM/RISC-V: a simpler and faster operational
concurrency model" (PLDI 2019), which they prove equivalent to ARM's axiomatic one (Pulte, Flur, Deacon, French, Sarkar,
Sewell: "Simplifying ARM concurrency", POPL 2018). Views and promises are those of Kang, Hur, Lahav, Vafeiadis and
Dreyer, "A promising semantics for relaxed-memory concurrency" (POPL 2017). Single-instruction atomics (LSE) follow the
`amo` edges of the axiomatic model as ARM publishes it, aarch64hwreqs.cat of herd7.

Memory is one list of messages (word, value, thread), in the order in which they reach it, which is the same for all
threads: ARMv8 is multi-copy atomic. A message's number is its time. A view is a time: "all up to here has been seen".
A thread goes through its program in order, with views instead of a clock:

    coherence   a word: the newest message of it that the thread has read or written
    read_new    what a later read must have seen; raised by acquire loads and fences
    write_new   what a later write must come behind; the same
    read_old    the newest that any read so far has seen: what a release or a fence orders
    write_old   the newest that any write so far was
    control     what branches and addresses so far depended on: a later write must come behind it
    released    the newest release write so far: a later seq_cst (LDAR) load must have seen it

A load may read any message that is not older than its view, so reads happen early or late as on a machine that runs
them out of order, and speculates. A write may happen early too: its message is promised, long before the thread comes
to it, by a thread that can show (by running on alone) that it will come to it, whatever the others do.

What a load, a store, a fence is, see `docs/weak-memory.md`: the mapping from C11 to ARMv8, and its pitfalls.

The search puts all promises first, by which nothing is lost, as that paper shows. So what is searched are memories: all
that certified promises lead to; and in a finished memory each thread's runs are independent of the others'.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from typing import NamedTuple, TypeAlias

from weak.program import (
    CompareExchange,
    Fence,
    Fetch,
    Load,
    Node,
    Order,
    Outcome,
    Program,
    Store,
    Thread,
)

__all__ = ["Found", "Machine", "Message", "Rmw", "Step"]


class Rmw(Enum):
    """What a read-modify-write is compiled to, and, of LSE, by which text of ARM's model.

    It was strengthened in 2022 (herdtools7, pull request 322). Until then one instruction that acquires and releases
    ordered what is before it with what is behind it, but not its own write with what is behind it.
    """

    EXCLUSIVES = "LL/SC"
    LSE_2018 = "LSE 2018"
    LSE = "LSE"


class Message(NamedTuple):
    """A write that has reached memory, or that is promised."""

    where: str
    value: int
    thread: int


ALL = 1 << 30  # later than any message

Memory: TypeAlias = tuple[Message, ...]


class Step(NamedTuple):
    """What one operation did, for a trace."""

    operation: str
    time: int  # of the message read or written; -1: neither
    view: int
    before: Step | None


class Forward(NamedTuple):
    """The thread's own last write of a word: a read of it may be served before it reaches memory."""

    time: int
    view: int  # of the address and the value
    acquired: int  # the same for an acquire load, which an exclusive's write serves only once its own read is done


@dataclass(frozen=True)
class State:
    """Where a thread stands, and its views."""

    node: Node
    memory: Memory  # the given one, and what the thread has added in running on alone
    promised: frozenset[int]  # times of its messages it has not come to yet
    added: frozenset[tuple[str, int]]  # what it came to, that is not in the given memory, but may be promised there
    views: tuple[int, ...] = ()  # of what its operations returned
    coherence: tuple[tuple[str, int], ...] = ()
    forward: tuple[tuple[str, Forward], ...] = ()
    read_new: int = 0
    write_new: int = 0
    read_old: int = 0
    write_old: int = 0
    control: int = 0
    released: int = 0
    trace: Step | None = None


@dataclass
class Ways:
    """How one thread can go through one memory."""

    promises: set[tuple[str, int]] = field(default_factory=set)  # what it can promise next
    results: dict[Hashable, Step | None] = field(default_factory=dict)  # of complete runs, each with an example
    runs: int = 0
    steps: int = 0


@dataclass
class Found:
    """What a search saw."""

    program: str
    memories: int = 0  # prefixes of memories, by certified promises
    steps: int = 0  # steps of threads in them
    executions: int = 0  # complete ones: a memory and a run of each thread in it
    outcomes: set[tuple[Hashable, ...]] = field(default_factory=set)  # results, then final memory
    violation: str = ""  # the first one, in words; empty: none
    trace: list[str] = field(default_factory=list)


def _get(pairs: tuple[tuple[str, int], ...], where: str) -> int:
    for name, value in pairs:
        if name == where:
            return value
    return 0


def _put(pairs: tuple[tuple[str, int], ...], where: str, value: int) -> tuple[tuple[str, int], ...]:
    return (*(pair for pair in pairs if pair[0] != where), (where, value))


class Machine:
    """Runs programs.

    `rmw`: what a read-modify-write is. Exclusives: LDXR and STXR, in a loop. Else one LSE instruction.
    `dependencies`: the machine respects address, data and control dependencies, as ARM does. Without, it respects none
    (but a read-modify-write's own), as if a compiler had computed them away: what holds then holds by the orders alone.
    """

    def __init__(self, rmw: Rmw = Rmw.EXCLUSIVES, *, dependencies: bool = True) -> None:
        self.rmw = rmw
        self.dependencies = dependencies

    def __str__(self) -> str:
        """Return its name for tables."""
        return f"{self.rmw.value}{'' if self.dependencies else ', no dependencies'}"

    # The search ------------------------------------------------------------------------------------------------------

    def explore(self, program: Program, *, stop: bool = False) -> Found:
        """See every execution; `stop` at the first wrong one."""
        found = Found(program.name)
        threads = [Thread(body) for body in program.threads]
        names = set(program.initial)
        seen: set[Memory] = {()}
        left: list[Memory] = [()]
        while left:
            memory = left.pop()
            found.memories += 1
            ways = [self._ways(thread, number, memory, program.initial) for number, thread in enumerate(threads)]
            found.steps += sum(way.steps for way in ways)
            for number, way in enumerate(ways):
                for where, value in way.promises:
                    longer = (*memory, Message(where, value, number))
                    if longer not in seen:
                        seen.add(longer)
                        left.append(longer)
            if all(way.results for way in ways):
                runs = 1
                for way in ways:
                    runs *= way.runs
                found.executions += runs
                final = dict(program.initial)
                for message in memory:
                    final[message.where] = message.value
                    names.add(message.where)
                self._judge(program, found, memory, ways, final)
                if found.violation and stop:
                    break
        return found

    @staticmethod
    def _judge(program: Program, found: Found, memory: Memory, ways: list[Ways], final: dict[str, int]) -> None:
        for results in product(*(way.results for way in ways)):
            outcome = (*results, tuple(sorted(final.items())))
            if outcome in found.outcomes:
                continue
            found.outcomes.add(outcome)
            wrong = program.wrong(Outcome(results, final))
            if wrong and not found.violation:
                found.violation = wrong
                found.trace = list(_story(program, memory, ways, results))

    def _ways(self, thread: Thread, number: int, memory: Memory, initial: dict[str, int]) -> Ways:
        """Run one thread in every way through `memory`, and beyond its end alone."""
        ways = Ways()
        mine = frozenset(time for time, message in enumerate(memory, 1) if message.thread == number)
        stack = [State(thread.start, memory, mine, frozenset())]
        while stack:
            state = stack.pop()
            if state.promised and min(state.promised) <= max(state.write_new, state.control):
                continue  # it has promised what it may not do any more
            node = state.node
            if node.operation is None:
                if not state.promised:
                    ways.promises |= state.added
                    if not node.stuck and len(state.memory) == len(memory):
                        ways.runs += 1
                        ways.results.setdefault(node.result, state.trace)
                continue
            ways.steps += 1
            stack.extend(self._after(thread, number, len(memory), state, initial))
        return ways

    # One step --------------------------------------------------------------------------------------------------------

    def _after(self, thread: Thread, number: int, given: int, state: State, initial: dict[str, int]) -> Iterator[State]:
        node = state.node
        operation = node.operation
        control = max(state.control, self._view(state, node.control))
        if isinstance(operation, Fence):
            yield self._fence(thread, state, operation, control)
            return
        address = self._view(state, node.address)
        data = self._view(state, node.data)
        control = max(control, address)
        if isinstance(operation, Store):
            yield from self._write(
                thread, number, given, state, operation.where, node.operand, operation.order,
                control=control, address=address, data=data,
            )  # fmt: skip
            return
        assert isinstance(operation, (Load, CompareExchange, Fetch))
        where, order = operation.where, operation.order
        exclusive = not isinstance(operation, Load)
        # LDAR and LDAXR come behind earlier STLR and STLXR, LDAPR does not.
        strong = order is Order.SEQ_CST or (exclusive and order.acquires)
        before = max(address, state.read_new, state.released if strong else 0)
        for time, value in self._readable(state, where, before, initial):
            forward = dict(state.forward).get(where)
            if forward is not None and forward.time == time:
                view = max(before, forward.acquired if order.acquires else forward.view)
            else:
                view = max(before, time)
            following = State(
                thread.after(node, value),
                state.memory,
                state.promised,
                state.added,
                (*state.views, view),
                _put(state.coherence, where, max(_get(state.coherence, where), view)),
                state.forward,
                max(state.read_new, view) if order.acquires else state.read_new,
                max(state.write_new, view) if order.acquires else state.write_new,
                max(state.read_old, view),
                state.write_old,
                control,
                state.released,
                state.trace,
            )
            carried = data
            if isinstance(operation, CompareExchange):
                if self.rmw is Rmw.EXCLUSIVES:  # a compare and a branch stand between the two
                    compared = max(self._view(state, node.compared), view if self.dependencies else 0)
                    following = _replace(following, control=max(control, compared))
                desired = node.operand if value == node.expected else None
            elif isinstance(operation, Fetch):
                desired = _fetched(operation.how, value, node.operand)
                if self.rmw is Rmw.EXCLUSIVES:  # registers carry it from the one to the other
                    carried = max(data, view if self.dependencies else 0)
            else:
                desired = None
            if desired is None:
                stale = _overtaken(state.memory, where, time)
                words = f"{_name(operation)} {where} ({order.value}) -> {value}{stale}"
                yield _replace(following, trace=Step(words, time, view, state.trace))
                continue
            # One LSE instruction that acquires and releases: [range([A]; amo; [L])]; po, which in 2018 was
            # po; [A]; amo; [L]; po. A pair of exclusives has nothing of it.
            barrier = 0
            if self.rmw is not Rmw.EXCLUSIVES and order.acquires and order.releases:
                barrier = ALL if self.rmw is Rmw.LSE else max(state.read_old, state.write_old)
            yield from self._write(
                thread, number, given, following, where, desired, order, control=following.control, address=address,
                data=carried, read=time, read_view=view, found=value, barrier=barrier,
            )  # fmt: skip

    def _view(self, state: State, sources: frozenset[int]) -> int:
        return max((state.views[source] for source in sources), default=0) if self.dependencies else 0

    @staticmethod
    def _readable(state: State, where: str, before: int, initial: dict[str, int]) -> Iterator[tuple[int, int]]:
        """Each message of `where` that is not older than the view, and not a promise of the thread's own."""
        floor = max(before, _get(state.coherence, where))
        for time in range(len(state.memory), 0, -1):
            message = state.memory[time - 1]
            if message.where == where:
                if time not in state.promised:
                    yield time, message.value
                if time <= floor:
                    return
        yield 0, initial.get(where, 0)

    @staticmethod
    def _fence(thread: Thread, state: State, fence: Fence, control: int) -> State:
        view = state.read_old
        if fence.order is not Order.ACQUIRE:  # DMB ISH; else DMB ISHLD
            view = max(view, state.write_old)
        return _replace(
            state,
            node=thread.after(state.node, 0),
            views=(*state.views, 0),
            read_new=max(state.read_new, view),
            write_new=max(state.write_new, view),
            control=control,
            trace=Step(f"fence ({fence.order.value})", -1, view, state.trace),
        )

    def _write(
        self, thread: Thread, number: int, given: int, state: State, where: str, value: int, order: Order, *,
        control: int, address: int, data: int, read: int = -1, read_view: int = 0, found: int = 0, barrier: int = 0,
    ) -> Iterator[State]:  # fmt: skip
        """Come to a promise, or add a message behind all others. `read`: the message that an exchange replaces."""
        before = max(address, data, state.write_new, control, _get(state.coherence, where))
        if order.releases:
            before = max(before, state.read_old, state.write_old)
        times = [
            time
            for time in state.promised
            if time > before and state.memory[time - 1][:2] == (where, value)
        ]  # fmt: skip
        end = len(state.memory) + 1
        for time in (*times, end):
            if read >= 0 and any(
                state.memory[other - 1].where == where and state.memory[other - 1].thread != number
                for other in range(read + 1, time)
            ):
                continue  # another write lies between the one read and this one
            memory, promised, added = state.memory, state.promised, state.added
            if time == end:
                memory = (*memory, Message(where, value, number))
                if before <= given:
                    added = added | {(where, value)}
            else:
                promised = promised - {time}
            words = f"store {where} := {value} ({order.value})"
            node, views = state.node, state.views
            if read >= 0:
                words = f"exchange {where}: {found} -> {value} ({order.value})"
            else:
                node, views = thread.after(node, 0), (*views, 0)
            yield State(
                node,
                memory,
                promised,
                added,
                views,
                _put(state.coherence, where, time),
                (
                    *(pair for pair in state.forward if pair[0] != where),
                    (where, Forward(time, max(address, data), max(address, data, read_view))),
                ),
                max(state.read_new, min(barrier, time)),
                max(state.write_new, min(barrier, time)),
                state.read_old,
                max(state.write_old, time),
                control,
                max(state.released, time) if order.releases else state.released,
                Step(words, time, before, state.trace),
            )


def _replace(state: State, **changes: object) -> State:
    new = object.__new__(State)
    new.__dict__.update(state.__dict__, **changes)
    return new


def _fetched(how: str, value: int, operand: int) -> int:
    return {"add": value + operand, "or": value | operand, "and": value & operand}[how]


# Stories --------------------------------------------------------------------------------------------------------------


def _name(operation: Load | CompareExchange | Fetch) -> str:
    return "load" if isinstance(operation, Load) else "failing exchange"


def _overtaken(memory: Memory, where: str, time: int) -> str:
    newer = [later for later in range(time + 1, len(memory) + 1) if memory[later - 1].where == where]
    return f", the one before message {newer[0]}" if newer else ""


def _steps(last: Step | None) -> Iterator[Step]:
    if last is not None:
        yield from _steps(last.before)
        yield last


def _story(program: Program, memory: Memory, ways: list[Ways], results: tuple[Hashable, ...]) -> Iterator[str]:
    """Tell an execution: what reached memory, in that order, and what each thread did in the order of its program."""
    initial = "".join(f"{where} = {value}, " for where, value in sorted(program.initial.items()))
    yield f"at first: {initial}everything {'else ' if initial else ''}0"
    yield "what reached memory, in this order:"
    for time, message in enumerate(memory, 1):
        yield f"  {time}. {message.where} := {message.value}, by thread {message.thread}"
    for number, (way, result) in enumerate(zip(ways, results, strict=True)):
        yield f"thread {number}, in the order of its program, returned {result!r}:"
        for step in _steps(way.results[result]):
            at = f"  [message {step.time}]" if step.time > 0 else "  [as at first]" if step.time == 0 else ""
            yield f"  {step.operation}{at}"
