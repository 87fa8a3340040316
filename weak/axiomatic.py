"""The same memory model once more, as axioms: to hold the machine to, on small programs.

Candidate executions are made by brute force, and each is kept if ARM's three axioms hold of it: internal visibility
(`po-loc | rf | co | fr` is acyclic), atomicity, and external visibility (`ob` is acyclic), after Pulte et al. (POPL
2018) and herd7's aarch64hwreqs.cat. Nothing is shared with the machine but the programs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import permutations, product

from weak.machine import Rmw
from weak.program import CompareExchange, Fence, Fetch, Load, Node, Order, Program, Store, Thread

__all__ = ["outcomes"]


@dataclass(frozen=True)
class Event:
    """A read or a write."""

    thread: int
    step: int  # of its thread
    write: bool
    where: str
    value: int
    order: Order
    address: frozenset[int] = frozenset()  # steps whose reads it depends on
    data: frozenset[int] = frozenset()
    control: frozenset[int] = frozenset()
    rmw: bool = False


@dataclass(frozen=True)
class Path:
    """One way through a thread."""

    events: tuple[Event, ...]
    fences: tuple[tuple[int, Order], ...]  # (step, order)
    result: Hashable


def _paths(thread: Thread, number: int, values: dict[str, set[int]], rmw: Rmw) -> Iterator[Path]:
    """Each way through a thread if loads may return any of `values`."""

    def walk(node: Node, events: tuple[Event, ...], fences: tuple[tuple[int, Order], ...], control: frozenset[int]
             ) -> Iterator[Path]:  # fmt: skip
        operation, step = node.operation, len(node.values)
        if operation is None:
            if not node.stuck:
                yield Path(events, fences, node.result)
            return
        control = control | node.control
        if isinstance(operation, Fence):
            yield from walk(thread.after(node, 0), events, (*fences, (step, operation.order)), control)
            return
        where, order = operation.where, operation.order
        if isinstance(operation, Store):
            event = Event(number, step, True, where, node.operand, order, node.address, node.data, control)
            yield from walk(thread.after(node, 0), (*events, event), fences, control)
            return
        for value in sorted(values[where]):
            exchange = not isinstance(operation, Load)
            read = Event(number, step, False, where, value, order, node.address, rmw=exchange)
            following, behind, data = (*events, read), control, node.data
            written: int | None = None
            if isinstance(operation, CompareExchange):
                if rmw is Rmw.EXCLUSIVES:
                    behind = control | node.compared | {step}
                written = node.operand if value == node.expected else None
            elif isinstance(operation, Fetch):
                if rmw is Rmw.EXCLUSIVES:
                    data = data | {step}
                changed = {"add": value + node.operand, "or": value | node.operand, "and": value & node.operand}
                written = changed[operation.how]
            if written is not None:
                write = Event(number, step, True, where, written, order, frozenset(), data, behind, rmw=True)
                following = (*following, write)
            yield from walk(thread.after(node, value), following, fences, behind)

    yield from walk(thread.start, (), (), frozenset())


def _values(threads: list[Thread], initial: dict[str, int], places: set[str], rmw: Rmw) -> dict[str, set[int]]:
    """All values that a word may ever have; what additions make of each other, up to 3."""
    values = {where: {initial.get(where, 0)} for where in places}
    while True:
        before = {where: set(known) for where, known in values.items()}
        for number, thread in enumerate(threads):
            for path in _paths(thread, number, before, rmw):
                for event in path.events:
                    if event.write and event.value <= 3:
                        values[event.where].add(event.value)
        if values == before:
            return values


def _acyclic(edges: list[set[int]]) -> bool:
    state = [0] * len(edges)

    def visit(at: int) -> bool:
        state[at] = 1
        for following in edges[at]:
            if state[following] == 1 or (state[following] == 0 and not visit(following)):
                return False
        state[at] = 2
        return True

    return all(state[at] or visit(at) for at in range(len(edges)))


def _local(events: list[Event], fences: list[tuple[tuple[int, Order], ...]], rmw: Rmw) -> list[set[int]]:
    """What a thread keeps in order, whoever reads from whom: dob, aob and bob, but for what needs rf."""
    edges: list[set[int]] = [set() for _ in events]
    for i, first in enumerate(events):
        for j in range(i + 1, len(events)):
            second = events[j]
            if second.thread != first.thread:
                break
            same = first.step == second.step
            kept = not first.write and (first.step in second.address or first.step in second.data)
            kept |= not first.write and second.write and first.step in second.control
            kept |= same  # rmw
            kept |= second.write and second.where == first.where  # lws
            kept |= not first.write and first.order.acquires  # [A | Q]; po
            kept |= second.write and second.order.releases  # po; [L]
            strong = not second.write and (second.order is Order.SEQ_CST or (second.rmw and second.order.acquires))
            kept |= first.write and first.order.releases and strong  # [L]; po; [A]
            for step, order in fences[first.thread]:
                between = first.step < step < second.step
                kept |= between and (order is not Order.ACQUIRE or not first.write)
            full = first.rmw and first.write and first.order.acquires and first.order.releases
            kept |= full and rmw is Rmw.LSE
            if rmw is Rmw.LSE_2018:  # po; [A]; amo; [L]; po
                kept |= any(
                    other.rmw and other.write and other.order.acquires and other.order.releases
                    and first.step < other.step < second.step
                    for other in events if other.thread == first.thread
                )  # fmt: skip
            if second.write and not kept:  # addr; po; [W]
                kept = any(
                    first.step in other.address and other.step < second.step and not first.write
                    for other in events if other.thread == first.thread
                )  # fmt: skip
            if kept:
                edges[i].add(j)
    return edges


def _consistent(
    events: list[Event], local: list[set[int]], sources: dict[int, int], orders: list[tuple[int, ...]]
) -> bool:
    """Do the axioms hold? `sources`: read -> write (-1: as at first); `orders`: the writes of each word, in order."""
    place = {write: (number, at) for number, order in enumerate(orders) for at, write in enumerate(order)}
    words = {events[order[0]].where: number for number, order in enumerate(orders) if order}
    internal: list[set[int]] = [set() for _ in events]
    external = [set(edges) for edges in local]

    def add(first: int, second: int) -> None:
        internal[first].add(second)
        if events[first].thread != events[second].thread:
            external[first].add(second)

    for order in orders:
        for at, earlier in enumerate(order):
            for later in order[at + 1 :]:
                add(earlier, later)
    for read, source in sources.items():
        after: tuple[int, ...] = ()
        if source >= 0:
            add(source, read)
            number, at = place[source]
            after = orders[number][at + 1 :]
            if events[source].thread == events[read].thread:  # rfi
                for before, event in enumerate(events):
                    depends = event.step in events[source].address or event.step in events[source].data
                    half = event.step == events[source].step and events[read].order.acquires
                    if event.thread == events[read].thread and not event.write and (depends or half):
                        external[before].add(read)
        elif events[read].where in words:
            after = orders[words[events[read].where]]
        for later in after:
            if later != read:
                add(read, later)
        if events[read].rmw and read + 1 < len(events) and events[read + 1].write:
            write = read + 1
            if (events[write].thread, events[write].step) == (events[read].thread, events[read].step):
                number, at = place[write]
                begin = place[source][1] + 1 if source >= 0 else 0
                if any(events[other].thread != events[read].thread for other in orders[number][begin:at]):
                    return False
    for i, first in enumerate(events):
        for j in range(i + 1, len(events)):
            if events[j].thread == first.thread and events[j].where == first.where:
                internal[i].add(j)
    return _acyclic(internal) and _acyclic(external)


def outcomes(program: Program, rmw: Rmw, places: set[str]) -> set[tuple[Hashable, ...]]:
    """Return what the program may end in: the results, then the final memory of `places`."""
    threads = [Thread(body) for body in program.threads]
    values = _values(threads, program.initial, places, rmw)
    found: set[tuple[Hashable, ...]] = set()
    for paths in product(*(list(_paths(thread, number, values, rmw)) for number, thread in enumerate(threads))):
        events = [event for path in paths for event in path.events]
        local = _local(events, [path.fences for path in paths], rmw)
        reads = [at for at, event in enumerate(events) if not event.write]
        choices = [
            [
                *(at for at, event in enumerate(events) if event.write and event.where == events[read].where
                  and event.value == events[read].value),
                *([-1] if events[read].value == program.initial.get(events[read].where, 0) else []),
            ]
            for read in reads
        ]  # fmt: skip
        writes = [[at for at, event in enumerate(events) if event.write and event.where == where] for where in places]
        for orders in product(*(list(permutations(word)) for word in writes)):
            final = dict(program.initial) | {
                events[order[-1]].where: events[order[-1]].value for order in orders if order
            }
            outcome = (*(path.result for path in paths), tuple(sorted(final.items())))
            if outcome in found:
                continue
            if any(_consistent(events, local, dict(zip(reads, chosen, strict=True)), list(orders))
                   for chosen in product(*choices)):  # fmt: skip
                found.add(outcome)
    return found
