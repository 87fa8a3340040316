"""Programs for the core's labelled pairs, and for exact exhaustion, each with what may not come of it.

Leaf 0, bit 1 is "id a", leaf 1, bit 1 "id b". `payload` is what an id's owner keeps: plain data, so relaxed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from weak.core import BUSY, EXHAUSTED, FREE, LIVE, RESTS, VERSION, Core, Orders, Steps
from weak.program import STUCK, Body, Load, Outcome, Program, Store, Value

__all__ = ["PAIRS", "Pair"]

A, B = (0, 1), (1, 1)


@dataclass(frozen=True)
class Pair:
    """A program of a pair, to be made with any orders."""

    label: str
    build: Callable[[Core], Program]
    core: Core  # its shape

    def program(self, orders: Orders | None = None, **faults: Any) -> Program:
        """Make it, with other orders than the source's or with a fault."""
        return self.build(replace(self.core, orders=orders or self.core.orders, **faults))


def _program(name: str, *threads: Body, wrong: Callable[[Outcome], str], **initial: int) -> Program:
    return Program(name, threads, initial, wrong)


def _read() -> Steps:
    return (yield Load("payload"))


def _write(value: Value) -> Steps:
    yield Store("payload", value)


# L0 -> L1: an id changes hands ----------------------------------------------------------------------------------------


def _owner(core: Core) -> Steps:
    yield from _write(1)
    seen = yield from _read()
    yield from core.release(*A)
    return seen


def _next_owner(core: Core, take: Callable[[], Steps]) -> Steps:
    if (yield from take()) != A:
        return None
    seen = yield from _read()
    yield from _write(2)
    return seen


def _handed_over(outcome: Outcome) -> str:
    own, *others = outcome.results
    for seen in others:
        if seen not in (None, 1):
            return "the next owner of the id does not see what the last one wrote"
    if own != 1:
        return "the last owner of the id sees what the next one wrote"
    if any(seen is not None for seen in others) and outcome.memory["payload"] != 2:
        return "what the last owner wrote comes over what the next one wrote"
    return ""


def _hand_over(core: Core) -> Program:
    threads = (lambda: _owner(core), lambda: _next_owner(core, lambda: core.claim_in(0)))
    return _program("an id released, then acquired", *threads, wrong=_handed_over, leaf0=1)


def _hand_over_by_reserve(core: Core) -> Program:
    threads = (lambda: _owner(core), lambda: _next_owner(core, lambda: core.reserve(*A)))
    return _program("an id released, then reserved", *threads, wrong=_handed_over, leaf0=1)


def _hand_over_after_loss(core: Core) -> Program:
    """Id a is the owner's, the leaf's other id is free: an acquire that loses its exchange gets id a instead."""
    threads = (lambda: _owner(core), lambda: _next_owner(core, lambda: core.claim_in(0)))
    return _program("the same, by a lost exchange", *threads, wrong=_handed_over, leaf0=1)


def _hand_over_in_bulk(core: Core) -> Program:
    def second() -> Steps:
        if (yield from core.reserve_many(A)) != FREE:
            return None
        seen = yield from _read()
        yield from _write(2)
        return seen

    return _program("an id released, then reserved in bulk", lambda: _owner(core), second, wrong=_handed_over, leaf0=1)


def _taken_between(core: Core, name: str, take: Callable[[], Steps]) -> Program:
    """Who looks at a free id and loses the exchange to one who takes it and gives it back, and wins the next one."""

    def first() -> Steps:
        if (yield from core.claim_in(0)) != A:
            return None
        yield from _write(1)
        yield from core.release(*A)
        return "had it"

    def second() -> Steps:
        if (yield from take()) not in (A, FREE):
            return None
        return (yield from _read())

    def wrong(outcome: Outcome) -> str:
        if outcome.results == ("had it", 0):
            return "the next owner of the id does not see what the last one wrote"
        return ""

    return _program(name, first, second, wrong=wrong)


def _reserve_loses(core: Core) -> Program:
    return _taken_between(core, "a reserve that loses an exchange", lambda: core.reserve(*A))


def _bulk_loses(core: Core) -> Program:
    return _taken_between(core, "a bulk claim that loses an exchange", lambda: core.reserve_many(A))


def _hand_over_twice(core: Core) -> Program:
    def middle() -> Steps:
        if (yield from core.claim_in(0)) == A:
            yield from core.release(*A)
        return None

    def wrong(outcome: Outcome) -> str:
        own, _, seen = outcome.results
        return _handed_over(Outcome((own, seen), outcome.memory))

    threads = (lambda: _owner(core), middle, lambda: _next_owner(core, lambda: core.claim_in(0)))
    return _program("... by way of a third, who does not look", *threads, wrong=wrong, leaf0=1)


def _unique(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        taken = [result for result in outcome.results if result is not EXHAUSTED]
        return "two threads have one id" if len(set(taken)) < len(taken) else ""

    threads = [lambda: core.claim_in(0)] * 3
    return _program("three acquire, two ids", *threads, wrong=wrong)


def _double_release(core: Core) -> Program:
    """One id, live once: two releases and an acquire between them may succeed as often as they can in some order."""

    def wrong(outcome: Outcome) -> str:
        first, second, taken = outcome.results
        released = [first, second].count(FREE)
        return "an id is released twice" if released > (1 if taken is EXHAUSTED else 2) else ""

    threads = (lambda: core.release(*A), lambda: core.release(*A), lambda: core.claim_in(0))
    return _program("two release one id, one acquires", *threads, wrong=wrong, leaf0=1)


# C0 -> C1: a bulk claim that is half done -----------------------------------------------------------------------------


def _half_done(name: str, core: Core, reader: Body, wrong: Callable[[Outcome], str], *others: Body) -> Program:
    """Id b is live, so a bulk claim of a and b takes a and gives it back: a is never live."""

    def all_wrong(outcome: Outcome) -> str:
        if outcome.results[0] not in (LIVE, BUSY):
            return "a bulk claim takes an id that is live"
        return wrong(outcome)

    return _program(name, lambda: core.reserve_many(A, B), reader, *others, wrong=all_wrong, leaf1=1)


def _reserve_beside_claim(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "InUse is said of an id that was never live" if outcome.results[1] is LIVE else ""

    return _half_done("reserve beside a claim rolled back", core, lambda: core.reserve(*A), wrong)


def _live_beside_claim(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "an id is called live that never was" if outcome.results[1] == 1 else ""

    return _half_done("state beside a claim rolled back", core, lambda: core.live(0), wrong)


def _release_beside_claim(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "an id is released that was never live" if outcome.results[1] is FREE else ""

    return _half_done("release beside a claim rolled back", core, lambda: core.release(*A), wrong)


def _release_beside_owner(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        _, released, reserved = outcome.results
        return "an id is released that was never live" if released is FREE and reserved != A else ""

    return _half_done(
        "... and beside one who reserves it", core, lambda: core.release(*A), wrong, lambda: core.reserve(*A)
    )


def _release_beside_release(core: Core) -> Program:
    """Id a is live, once. Its owner and another release it, while a bulk claim comes for it."""

    def wrong(outcome: Outcome) -> str:
        return "an id is released twice" if outcome.results == (LIVE, FREE, FREE) else ""

    threads = (lambda: core.reserve_many(A, B), lambda: core.release(*A), lambda: core.release(*A))
    return _program("two releases beside a claim rolled back", *threads, wrong=wrong, leaf0=1, leaf1=1)


def _certify_beside_claim(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "Exhausted, though an id was free all the time" if outcome.results[1] is EXHAUSTED else ""

    return _half_done("acquire beside a claim rolled back", core, core.search_or_certify, wrong)


def _claim_beside_claim(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "InUse is said of an id that was never live" if outcome.results[1] is LIVE else ""

    return _half_done("two bulk claims", core, lambda: core.reserve_many(A), wrong)


def _acquire_many_twice(core: Core) -> Program:
    """Id b is live: a bulk claim of two fails and gives a back, so one of one must not call the range exhausted."""

    def wrong(outcome: Outcome) -> str:
        two, one = outcome.results
        if isinstance(two, tuple):
            return "a bulk claim takes an id that is live"
        return "Exhausted, though an id was free all the time" if one is EXHAUSTED else ""

    threads = (lambda: core.acquire_many(2), lambda: core.acquire_many(1))
    return _program("two bulk claims, by number", *threads, wrong=wrong, leaf1=1)


def _all_or_none(core: Core) -> Program:
    def reader() -> Steps:
        first = yield from core.live(0)
        second = yield from core.live(1)
        return first, second

    def wrong(outcome: Outcome) -> str:
        return "half of a bulk claim is seen" if outcome.results[1] == (1, 0) else ""

    return _program("state beside a claim that succeeds", lambda: core.reserve_many(A, B), reader, wrong=wrong)


# Invariant 2: exact exhaustion ----------------------------------------------------------------------------------------


def _exhausted(outcome: Outcome) -> str:
    return "Exhausted, though an id was free all the time" if EXHAUSTED in outcome.results else ""


def _moving(core: Core) -> Program:
    """Id a is live, b free; a worker releases a, takes b, and the other way round: one is free all the time."""

    def worker() -> Steps:
        for here, there in ((A, B), (B, A), (A, B)):
            yield from core.release(*here)
            if (yield from core.reserve(*there)) != there:
                break
        return None

    return _program("one free id that moves to and fro", worker, core.search_or_certify, wrong=_exhausted, leaf0=1)


def _moving_past_bulk(core: Core) -> Program:
    """A bulk claim certifies in the same way. A release that looked before the claim began may come after that."""

    def worker() -> Steps:
        if (yield from core.release(*A)) is FREE:
            yield from core.reserve(*B)
        return None

    threads = (worker, lambda: core.acquire_many(1))
    return _program("... past a bulk claim of one", *threads, wrong=_exhausted, leaf0=1)


def _moving_by_two(core: Core) -> Program:
    """The same, but who takes b is another thread, which has seen that a was released."""

    def second() -> Steps:
        if (yield from core.live(0)) != 0:
            return None
        yield from core.reserve(*B)
        return None

    threads = (lambda: core.release(*A), second, core.search_or_certify)
    return _program("... moved by two threads", *threads, wrong=_exhausted, leaf0=1)


def _everyone_releases_first(core: Core) -> Program:
    def worker(mine: tuple[int, int]) -> Steps:
        yield from core.release(*mine)
        return (yield from core.search_or_certify())

    threads = (lambda: worker(A), lambda: worker(B))
    return _program("two threads, two ids, each releases first", *threads, wrong=_exhausted, leaf0=1, leaf1=1)


def _two_observers(core: Core) -> Program:
    """A release of a and a reservation of b; who sees both free and who sees both live must not meet in one history."""

    def observer() -> Steps:
        if (yield from core.live(0)) != 0:
            return None
        return "both free" if (yield from core.live(1)) == 0 else None

    def wrong(outcome: Outcome) -> str:
        _, _, certified, seen = outcome.results
        if certified is EXHAUSTED and seen == "both free":
            return "two threads see a release and an acquire in opposite orders"
        return ""

    threads = (lambda: core.release(*A), lambda: core.reserve(*B), core.search_or_certify, observer)
    return _program("two observers of a release and an acquire", *threads, wrong=wrong, leaf0=1)


# H0 <> H1 -------------------------------------------------------------------------------------------------------------


def _hints_wrong(core: Core) -> Callable[[Outcome], str]:
    """With no operation under way, a hint of 1 means full."""

    def wrong(outcome: Outcome) -> str:
        memory = outcome.memory
        for level, bits in enumerate(core.hints):
            for index in range(bits):
                if memory.get(f"hint{level}.{index // 2}", 0) >> index % 2 & 1:
                    below = f"leaf{index}" if level == 0 else f"hint{level - 1}.{index}"
                    full = core.full if level == 0 else 3
                    if memory[below] & full != full:
                        return f"a hint of level {level} hides a free id for good"
        return ""

    return wrong


def _hint_and_release(core: Core) -> Program:
    threads = (lambda: core.claim_in(0), lambda: core.release(*A))
    return _program("a searcher, a release", *threads, wrong=_hints_wrong(core), leaf0=1, **{"hint0.0": 2})


def _hint_and_two(core: Core) -> Program:
    def other() -> Steps:
        yield from core.claim_in(0)
        return (yield from core.claim_in(0))

    threads = (lambda: core.claim_in(0), lambda: core.release(*A), other)
    return _program(
        "... and who acquires it and looks on", *threads, wrong=_hints_wrong(core), leaf0=1, **{"hint0.0": 2}
    )


def _hint_and_two_releases(core: Core) -> Program:
    """Both ids of the leaf are live; only the first of two releases finds it full and goes to the hints."""
    threads = (lambda: core.claim_in(0), lambda: core.release(0, 1), lambda: core.release(0, 2))
    return _program("a searcher, two releases", *threads, wrong=_hints_wrong(core), leaf0=3, **{"hint0.0": 2})


LEVELS_INITIAL = {"leaf0": 1, "leaf1": 1, "leaf2": 1, "leaf3": 1, "hint0.0": 3, "hint0.1": 2, "hint1.0": 1}


def _hints_of_two_levels(core: Core) -> Program:
    """All leaves are full and hinted so, but leaf 2, and above it: a searcher sets its hint, comes by again, climbs."""
    threads = (core.search, lambda: core.release(2))
    return _program("two levels: a searcher, a release", *threads, wrong=_hints_wrong(core), **LEVELS_INITIAL)


def _hints_set_before(core: Core) -> Program:
    """The hint of leaf 2 is set, that above it not yet: the searchers only climb."""

    def again() -> Steps:
        yield from core.release(2)
        if (yield from core.claim_in(2)) is not EXHAUSTED:
            yield from core.claim_in(2)
        return None

    threads = (lambda: core.next_leaf(0), again)
    initial = LEVELS_INITIAL | {"hint0.1": 3}
    return _program("two levels: one climbs, one turns leaf over", *threads, wrong=_hints_wrong(core), **initial)


def _two_climb(core: Core) -> Program:
    threads = (lambda: core.next_leaf(0), lambda: core.next_leaf(0), lambda: core.release(2))
    initial = LEVELS_INITIAL | {"hint0.1": 3}
    return _program("two levels: two climb, a release", *threads, wrong=_hints_wrong(core), **initial)


def _one_climbs(core: Core) -> Program:
    """Who undoes a hint, since the leaf was opened meanwhile, undoes it upwards; another sets the one above."""
    threads = (lambda: core.claim_in(2), lambda: core.next_leaf(0), lambda: core.release(2))
    return _program(
        "two levels: a searcher, one climbs, a release", *threads, wrong=_hints_wrong(core), **LEVELS_INITIAL
    )


# W0 <> W1 -------------------------------------------------------------------------------------------------------------


def _waiter(core: Core) -> Steps:
    yield from core.enter()
    return "sleeps" if (yield from core.search_or_certify()) is EXHAUSTED else "goes on"


def _waker(core: Core, mine: tuple[int, int] = A) -> Steps:
    yield from core.release(*mine)
    return "wakes" if (yield from core.needed()) else "sees nobody"


def _lost(outcome: Outcome) -> str:
    sleeps, woken = outcome.results.count("sleeps"), outcome.results.count("wakes")
    return "a wake-up is lost: one sleeps, an id is free, nobody was woken" if sleeps and not woken else ""


def _wait(core: Core) -> Program:
    return _program("a waiter, a release", lambda: _waiter(core), lambda: _waker(core), wrong=_lost, leaf0=1)


def _two_wait(core: Core) -> Program:
    """One id comes free. If both sleep, who released has seen one of them."""
    threads = (lambda: _waiter(core), lambda: _waiter(core), lambda: _waker(core))

    def wrong(outcome: Outcome) -> str:
        return _lost(outcome) if outcome.results.count("sleeps") == 2 else ""

    return _program("two waiters, a release", *threads, wrong=wrong, leaf0=1)


def _wait_in_monitor(core: Core) -> Program:
    """The queue's way: who operates and who tries do so under one mutex, and the count is read outside."""

    def waiter() -> Steps:
        yield from core.enter()
        if not (yield from core.take_gil()):
            return STUCK
        there = yield Load("payload")
        yield from core.drop_gil()
        return "goes on" if there else "sleeps"

    def waker() -> Steps:
        if not (yield from core.take_gil()):
            return STUCK
        yield Store("payload", 1)
        yield from core.drop_gil()
        return "wakes" if (yield from core.needed()) else "sees nobody"

    return _program("a waiter, a put, in a monitor", waiter, waker, wrong=_lost)


# R0 -> R1: ids that rest ----------------------------------------------------------------------------------------------

AT_REST = {"leaf0": 1, "rest": 2, "resting0": 1, "entry0": 1, "quarantined": 1}


def _rest_beside_release(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "an id is released, and rests as well" if outcome.results == (RESTS, FREE) else ""

    threads = (lambda: core.quarantine(*A), lambda: core.release(*A))
    return _program("an id put to rest, a release", *threads, wrong=wrong, leaf0=1)


def _rest_twice(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "an id is put to rest twice" if outcome.results == (RESTS, RESTS) else ""

    threads = [lambda: core.quarantine(*A)] * 2
    return _program("an id put to rest by two", *threads, wrong=wrong, leaf0=1)


def _rest_beside_state(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "an id is called free that never was" if outcome.results[1] == (0, 0) else ""

    threads = (lambda: core.quarantine(*A), lambda: core.live(0))
    return _program("an id put to rest, state", *threads, wrong=wrong, leaf0=1)


def _end_beside_state(core: Core) -> Program:
    def wrong(outcome: Outcome) -> str:
        return "an id is called live that never was" if outcome.results[1] == (1, 0) else ""

    return _program("a rest ended, state", lambda: core.end_rest(*A), lambda: core.live(0), wrong=wrong, **AT_REST)


def _counted(core: Core) -> Program:
    """Exhausted counts at the instant that it certifies: between two passes, in which no version moved."""

    def observer() -> Steps:
        first, before = yield from core.claim_past_hints()
        if first is not EXHAUSTED:
            return None
        counted = yield from core.see_rest()
        second, after = yield from core.claim_past_hints()
        if counted is BUSY or second is not EXHAUSTED or before != after:
            return None
        return int(after) & ~1, counted

    def wrong(outcome: Outcome) -> str:
        if outcome.results[2] in ((0, 0), (VERSION, 1)):
            return "what is counted as resting is not of the instant at which no id was free"
        return ""

    threads = (lambda: core.end_rest(*A), lambda: core.reserve(*A), observer)
    return _program("a rest ended, a reserve, Exhausted", *threads, wrong=wrong, **AT_REST)


def _rest_beside_bulk(core: Core) -> Program:
    """Id b is live, so a bulk claim of a and b takes a and gives it back: there is nothing to put to rest."""

    def wrong(outcome: Outcome) -> str:
        return "an id is put to rest that was never live" if outcome.results[1] is RESTS else ""

    threads = (lambda: core.reserve_many(A, B), lambda: core.quarantine(*A))
    return _program("an id put to rest, a claim rolled back", *threads, wrong=wrong, leaf1=1)


# E0 -> E1: a lease of before a reset ----------------------------------------------------------------------------------


def _lease_beside_reset(core: Core) -> Program:
    """Id a is leased in epoch 0. A reset frees it, and the same thread reserves it: it must stay reserved."""

    def reset() -> Steps:
        freed = yield from core.reset(*A)
        return freed, (yield from core.reserve(*A))

    def wrong(outcome: Outcome) -> str:
        ended, (freed, reserved) = outcome.results
        return (
            "a lease of before a reset frees another's id" if ended is FREE and (freed, reserved) == (FREE, A) else ""
        )

    threads = (lambda: core.release(*A, epoch=0), reset)
    return _program("a lease that ends, beside a reset", *threads, wrong=wrong, leaf0=1)


# G0 -> G1 -------------------------------------------------------------------------------------------------------------


def _with_gil(core: Core, call: Callable[[], Steps]) -> Steps:
    if not (yield from core.take_gil()):
        return STUCK
    result = yield from call()
    yield from core.drop_gil()
    return result


def _native(core: Core, call: Callable[[], Steps]) -> Steps:
    if not (yield from core.go_native()):
        return STUCK
    return (yield from call())


def _native_beside_gil(core: Core) -> Program:
    """Two ids; one acquires under the GIL by load and store, two come without it."""

    def wrong(outcome: Outcome) -> str:
        taken = [result for result in outcome.results if result is not EXHAUSTED]
        return "two threads have one id" if len(set(taken)) < len(taken) else ""

    threads = (
        lambda: _with_gil(core, lambda: core.claim_in(0)),
        lambda: _native(core, lambda: core.claim_in(0)),
        lambda: _native(core, lambda: core.claim_in(0)),
    )
    return _program("one under the GIL, two native", *threads, wrong=wrong, under_gil=1)


def _hand_over_to_native(core: Core) -> Program:
    """What was released under the GIL, by a plain store, is acquired by one who found the flag cleared."""

    def opener() -> Steps:
        return None if (yield from core.go_native()) else STUCK

    def wrong(outcome: Outcome) -> str:
        own, _, seen = outcome.results
        return _handed_over(Outcome((own, seen), outcome.memory))

    def native() -> Steps:
        if (yield Load("under_gil", core.orders.flag_look)):  # the program before this one has the rest
            return None
        return (yield from _next_owner(core, lambda: core.claim_in(0)))

    threads = (lambda: _with_gil(core, lambda: _owner(core)), opener, native)
    return _program("an id handed from the GIL to a native caller", *threads, wrong=wrong, leaf0=1, under_gil=1)


ONE, TWO_LEAVES, TWO_IDS = Core(), Core(leaves=2), Core(full=3)
REST, REST_TWO_LEAVES = Core(rests=True), Core(rests=True, leaves=2)
HINTS, HINTS_TWO_IDS, LEVELS = Core(hints=(1,)), Core(hints=(1,), full=3), Core(leaves=4, hints=(4, 2))
assert VERSION > 3

PAIRS = (
    Pair("L", _hand_over, ONE),
    Pair("L", _hand_over_by_reserve, ONE),
    Pair("L", _hand_over_after_loss, TWO_IDS),
    Pair("L", _hand_over_in_bulk, ONE),
    Pair("L", _reserve_loses, ONE),
    Pair("L", _bulk_loses, ONE),
    Pair("L", _hand_over_twice, ONE),
    Pair("L", _unique, TWO_IDS),
    Pair("L", _double_release, ONE),
    Pair("C", _reserve_beside_claim, TWO_LEAVES),
    Pair("C", _live_beside_claim, TWO_LEAVES),
    Pair("C", _release_beside_claim, TWO_LEAVES),
    Pair("C", _release_beside_owner, TWO_LEAVES),
    Pair("C", _release_beside_release, TWO_LEAVES),
    Pair("C", _certify_beside_claim, TWO_LEAVES),
    Pair("C", _claim_beside_claim, TWO_LEAVES),
    Pair("C", _acquire_many_twice, TWO_LEAVES),
    Pair("C", _all_or_none, TWO_LEAVES),
    Pair("exhaustion", _moving, TWO_LEAVES),
    Pair("exhaustion", _moving_past_bulk, TWO_LEAVES),
    Pair("exhaustion", _moving_by_two, TWO_LEAVES),
    Pair("exhaustion", _everyone_releases_first, TWO_LEAVES),
    Pair("exhaustion", _two_observers, TWO_LEAVES),
    Pair("H", _hint_and_release, HINTS),
    Pair("H", _hint_and_two, HINTS),
    Pair("H", _hint_and_two_releases, HINTS_TWO_IDS),
    Pair("H", _hints_of_two_levels, LEVELS),
    Pair("H", _hints_set_before, LEVELS),
    Pair("H", _two_climb, LEVELS),
    Pair("H", _one_climbs, LEVELS),
    Pair("W", _wait, ONE),
    Pair("W", _two_wait, ONE),
    Pair("W", _wait_in_monitor, ONE),
    Pair("R", _rest_beside_release, REST),
    Pair("R", _rest_twice, REST),
    Pair("R", _rest_beside_state, REST),
    Pair("R", _end_beside_state, REST),
    Pair("R", _counted, REST),
    Pair("R", _rest_beside_bulk, REST_TWO_LEAVES),
    Pair("E", _lease_beside_reset, ONE),
    Pair("G", _native_beside_gil, Core(full=3, flag=True)),
    Pair("G", _hand_over_to_native, Core(flag=True)),
)
