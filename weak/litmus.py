"""Classic litmus tests with ARMv8's verdicts, to hold the model to what is known.

Names and verdicts are those of the literature: Maranget, Sarkar, Sewell, "A tutorial introduction to the ARM and POWER
relaxed memory models" (2012), for the families; Pulte et al. (POPL 2018) for what ARMv8's revision to a multi-copy
atomic model decided, for PPOCA and PPOAA, and for LDAR and STLR; the ARM Architecture Reference Manual, B2.3, and
herd7's aarch64hwreqs.cat, with its pull request 322, for LDAPR and single-instruction atomics (LSE); Deacon's commit
8e86f0b409a4 to Linux (2014) for exclusives that acquire and release and are no full barrier.

`rel` is STLR, `acq` LDAR (C11: seq_cst), `acqpc` LDAPR (C11: acquire), `dmb` DMB ISH.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from weak.machine import Rmw
from weak.program import Body, CompareExchange, Fence, Fetch, Load, Order, Outcome, Program, Routine, Seen, Store

__all__ = ["LITMUS", "Litmus"]

RELAXED, ACQUIRE, RELEASE, SEQ_CST = Order.RELAXED, Order.ACQUIRE, Order.RELEASE, Order.SEQ_CST

EXCLUSIVES, LSE_2018, LSE = Rmw


@dataclass(frozen=True)
class Litmus:
    """Is one outcome allowed?"""

    program: Program  # `wrong` says "seen" of the outcome in question
    allowed: bool  # by the literature
    only: tuple[Rmw, ...] = tuple(Rmw)  # the machines for which the verdict is this one


def w(where: str, value: int = 1, order: Order = RELAXED) -> tuple[str, str, int, Order]:
    """Store."""
    return ("store", where, value, order)


def r(where: str, order: Order = RELAXED) -> tuple[str, str, int, Order]:
    """Load; the thread returns what its loads and exchanges saw, in order."""
    return ("load", where, 0, order)


def add(where: str, order: Order = SEQ_CST) -> tuple[str, str, int, Order]:
    """Add one, in one step."""
    return ("add", where, 1, order)


def bits(where: str, value: int, order: Order = SEQ_CST) -> tuple[str, str, int, Order]:
    """Set these bits, in one step."""
    return ("or", where, value, order)


def cas(where: str, desired: int, order: Order = SEQ_CST) -> tuple[str, str, int, Order]:
    """Put `desired` for 0."""
    return ("cas", where, desired, order)


DMB = ("fence", "", 0, SEQ_CST)
DMB_LD = ("fence", "", 0, ACQUIRE)
DATA = ("data", "", 0, RELAXED)  # the next operation depends on the last load in this way
ADDR = ("addr", "", 0, RELAXED)
CTRL = ("ctrl", "", 0, RELAXED)


def thread(*steps: tuple[str, str, int, Order]) -> Body:
    """Make a thread of steps in a row."""

    def body() -> Routine:
        returned: list[Seen] = []
        address = data = Seen(0)
        for kind, where, value, order in steps:
            if kind in ("data", "addr"):
                nothing = returned[-1] ^ returned[-1]
                address, data = (nothing, data) if kind == "addr" else (address, nothing)
                continue
            if kind == "ctrl":
                bool(returned[-1])
                continue
            if kind == "fence":
                yield Fence(order)
            elif kind == "store":
                yield Store(where, data + value, order, address)
            elif kind == "load":
                returned.append((yield Load(where, order, address)))
            elif kind in ("add", "or"):
                returned.append((yield Fetch(where, kind, value, order)))
            else:
                returned.append((yield CompareExchange(where, 0, value, order)))
            address = data = Seen(0)
        return tuple(returned)

    return body


def _asks(question: Callable[..., bool], arity: int) -> Callable[[Outcome], str]:
    def wrong(outcome: Outcome) -> str:
        values = [value for result in outcome.results for value in result]
        asked = question(*values, outcome.memory) if len(values) == arity - 1 else question(*values)
        return "seen" if asked else ""

    return wrong


def _all() -> Iterator[Litmus]:
    def test(
        name: str, allowed: bool, question: Callable[..., bool], *threads: Body, only: tuple[Rmw, ...] = tuple(Rmw)
    ) -> Litmus:
        wrong = _asks(question, question.__code__.co_argcount)
        return Litmus(Program(name, threads, {}, wrong), allowed, only)

    def mp(name: str, allowed: bool, *middle: tuple[tuple[str, str, int, Order], ...]) -> Litmus:
        """Thread 0 writes x then y, thread 1 reads y then x: can it see the second write and not the first?"""
        return test(f"MP{name}", allowed, lambda y, x: y == 1 and x == 0, *(thread(*m) for m in middle))

    x, y, z = "x", "y", "z"
    po, rel, dmb = (w(x), w(y)), (w(x), w(y, 1, RELEASE)), (w(x), DMB, w(y))
    yield mp("", True, po, (r(y), r(x)))
    yield mp("+rel+acq", False, rel, (r(y, SEQ_CST), r(x)))
    yield mp("+rel+acqpc", False, rel, (r(y, ACQUIRE), r(x)))
    yield mp("+rel+po", True, rel, (r(y), r(x)))
    yield mp("+po+acq", True, po, (r(y, SEQ_CST), r(x)))
    yield mp("+dmb+po", True, dmb, (r(y), r(x)))
    yield mp("+dmbs", False, dmb, (r(y), DMB, r(x)))
    yield mp("+dmb+dmb.ld", False, dmb, (r(y), DMB_LD, r(x)))
    yield mp("+dmb.ld+addr", True, (w(x), DMB_LD, w(y)), (r(y), ADDR, r(x)))
    yield mp("+dmb+addr", False, dmb, (r(y), ADDR, r(x)))
    yield mp("+dmb+ctrl", True, dmb, (r(y), CTRL, r(x)))

    def no_fence(a: int, b: int) -> bool:
        return a == 0 and b == 0

    yield test("SB", True, no_fence, thread(w(x), r(y)), thread(w(y), r(x)))
    yield test("SB+dmbs", False, no_fence, thread(w(x), DMB, r(y)), thread(w(y), DMB, r(x)))
    yield test("SB+dmb+po", True, no_fence, thread(w(x), DMB, r(y)), thread(w(y), r(x)))
    sc = [thread(w(a, 1, RELEASE), r(b, SEQ_CST)) for a, b in ((x, y), (y, x))]
    yield test("SB+rel-acqs", False, no_fence, *sc)
    pc = [thread(w(a, 1, RELEASE), r(b, ACQUIRE)) for a, b in ((x, y), (y, x))]
    yield test("SB+rel-acqpcs", True, no_fence, *pc)
    yield test("SB+rel-acq+rel-acqpc", True, no_fence, sc[0], pc[1])

    def no_fence_rmw(_a: int, b: int, _c: int, d: int) -> bool:
        return b == 0 and d == 0

    sc = [thread(add(a), r(b)) for a, b in ((x, y), (y, x))]
    yield test("SB+rmws", True, no_fence_rmw, *sc, only=(EXCLUSIVES, LSE_2018))
    yield test("SB+rmws", False, no_fence_rmw, *sc, only=(LSE,))
    relaxed = [thread(add(a, RELAXED), r(b)) for a, b in ((x, y), (y, x))]
    yield test("SB+rmw-relaxeds", True, no_fence_rmw, *relaxed)
    pc = [thread(add(a), r(b, ACQUIRE)) for a, b in ((x, y), (y, x))]
    yield test("SB+rmw-acqpcs", True, no_fence_rmw, *pc, only=(EXCLUSIVES, LSE_2018))
    yield test("SB+rmw-acqpcs", False, no_fence_rmw, *pc, only=(LSE,))
    acq = [thread(add(a), r(b, SEQ_CST)) for a, b in ((x, y), (y, x))]
    yield test("SB+rmw-acqs", False, no_fence_rmw, *acq)
    half = [thread(add(a, ACQUIRE), r(b, SEQ_CST)) for a, b in ((x, y), (y, x))]
    yield test("SB+rmw.acq-acqs", True, no_fence_rmw, *half)
    threads = [thread(add(a), DMB, r(b)) for a, b in ((x, y), (y, x))]
    yield test("SB+rmw-dmbs", False, no_fence_rmw, *threads)
    barrier = (thread(w(x), add(z), w(y)), thread(r(y), DMB, r(x)))
    yield test("MP+rmw+dmb", True, lambda _z, b, a: b == 1 and a == 0, *barrier, only=(EXCLUSIVES,))
    yield test("MP+rmw+dmb", False, lambda _z, b, a: b == 1 and a == 0, *barrier, only=(LSE_2018, LSE))

    def both(a: int, b: int) -> bool:
        return a == 1 and b == 1

    yield test("LB", True, both, thread(r(x), w(y)), thread(r(y), w(x)))
    yield test("LB+acq+po", True, both, thread(r(x, ACQUIRE), w(y)), thread(r(y), w(x)))
    yield test("LB+acqpcs", False, both, thread(r(x, ACQUIRE), w(y)), thread(r(y, ACQUIRE), w(x)))
    yield test("LB+rels", False, both, thread(r(x), w(y, 1, RELEASE)), thread(r(y), w(x, 1, RELEASE)))
    yield test("LB+datas", False, both, thread(r(x), DATA, w(y)), thread(r(y), DATA, w(x)))
    yield test("LB+data+po", True, both, thread(r(x), DATA, w(y)), thread(r(y), w(x)))
    yield test("LB+ctrls", False, both, thread(r(x), CTRL, w(y)), thread(r(y), CTRL, w(x)))
    yield test("LB+addrs", False, both, thread(r(x), ADDR, w(y)), thread(r(y), ADDR, w(x)))

    yield test("CoRR", False, lambda a, b: a == 1 and b == 0, thread(w(x)), thread(r(x), r(x)))
    yield test("CoWW", False, lambda m: m[x] == 1, thread(w(x, 1), w(x, 2)))
    yield test("CoWR", False, lambda a, m: a == 2 and m[x] == 1, thread(w(x, 1), r(x)), thread(w(x, 2)))
    yield test("CoRW1", False, lambda a: a == 1, thread(r(x), w(x)))
    yield test("CoRW2", False, lambda a, m: a == 2 and m[x] == 2, thread(r(x), w(x, 1)), thread(w(x, 2)))

    def apart(a: int, b: int, c: int, d: int) -> bool:
        return (a, b, c, d) == (1, 0, 1, 0)

    writers = (thread(w(x)), thread(w(y)))
    yield test("IRIW", True, apart, *writers, thread(r(x), r(y)), thread(r(y), r(x)))
    yield test("IRIW+addrs", False, apart, *writers, thread(r(x), ADDR, r(y)), thread(r(y), ADDR, r(x)))
    yield test("IRIW+acqpcs", False, apart, *writers, thread(r(x, ACQUIRE), r(y)), thread(r(y, ACQUIRE), r(x)))
    yield test("IRIW+acqpc+po", True, apart, *writers, thread(r(x, ACQUIRE), r(y)), thread(r(y), r(x)))

    def crossed(m: dict[str, int]) -> bool:
        return m[x] == 1 and m[y] == 1

    yield test("2+2W", True, crossed, thread(w(x, 1), w(y, 2)), thread(w(y, 1), w(x, 2)))
    two = [thread(w(a, 1), w(b, 2, RELEASE)) for a, b in ((x, y), (y, x))]
    yield test("2+2W+rels", False, crossed, *two)
    yield test("2+2W+rel+po", True, crossed, two[0], thread(w(y, 1), w(x, 2)))
    yield test("2+2W+dmbs", False, crossed, thread(w(x, 1), DMB, w(y, 2)), thread(w(y, 1), DMB, w(x, 2)))

    def s(a: int, m: dict[str, int]) -> bool:
        return a == 1 and m[x] == 2

    yield test("S", True, s, thread(w(x, 2), w(y)), thread(r(y), w(x)))
    yield test("S+rel+po", True, s, thread(w(x, 2), w(y, 1, RELEASE)), thread(r(y), w(x)))
    yield test("S+rel+data", False, s, thread(w(x, 2), w(y, 1, RELEASE)), thread(r(y), DATA, w(x)))
    yield test("S+rel+acqpc", False, s, thread(w(x, 2), w(y, 1, RELEASE)), thread(r(y, ACQUIRE), w(x)))

    def later(a: int, m: dict[str, int]) -> bool:
        return a == 0 and m[y] == 2

    yield test("R", True, later, thread(w(x), w(y)), thread(w(y, 2), r(x)))
    yield test("R+dmbs", False, later, thread(w(x), DMB, w(y)), thread(w(y, 2), DMB, r(x)))
    yield test("R+dmb+po", True, later, thread(w(x), DMB, w(y)), thread(w(y, 2), r(x)))
    yield test("R+rel+rel-acq", False, later, thread(w(x), w(y, 1, RELEASE)), thread(w(y, 2, RELEASE), r(x, SEQ_CST)))
    yield test("R+rel+rel-acqpc", True, later, thread(w(x), w(y, 1, RELEASE)), thread(w(y, 2, RELEASE), r(x, ACQUIRE)))

    def far(a: int, b: int, c: int) -> bool:
        return (a, b, c) == (1, 1, 0)

    yield test("WRC", True, far, thread(w(x)), thread(r(x), w(y)), thread(r(y), r(x)))
    yield test("WRC+addrs", False, far, thread(w(x)), thread(r(x), ADDR, w(y)), thread(r(y), ADDR, r(x)))
    yield test("WRC+rel+acqpc", False, far, thread(w(x)), thread(r(x), w(y, 1, RELEASE)), thread(r(y, ACQUIRE), r(x)))
    yield test("WRC+acqpc+po", True, far, thread(w(x)), thread(r(x, ACQUIRE), w(y)), thread(r(y), r(x)))
    yield test(
        "ISA2+rel+acqpcs", False, far,
        thread(w(x), w(y, 1, RELEASE)), thread(r(y, ACQUIRE), w(z)), thread(r(z, ACQUIRE), r(x)),
    )  # fmt: skip

    def spec(a: int, b: int, c: int) -> bool:
        return (a, b, c) == (1, 1, 0)

    first = thread(w(x), DMB, w(y))
    yield test("PPOCA", True, spec, first, thread(r(y), CTRL, w(z), r(z), ADDR, r(x)))
    yield test("PPOAA", False, spec, first, thread(r(y), ADDR, w(z), r(z), ADDR, r(x)))

    def carried(a: int, b: int, c: int) -> bool:
        return a == 1 and b == 2 and c == 0

    sequence = [thread(w(x), w(y, 1, RELEASE)), thread(r(y, ACQUIRE), r(x))]
    yield test(
        "release sequence through an RMW", False, carried, sequence[0], thread(add(y, RELAXED)),
        thread(r(y, ACQUIRE), r(x)),
    )  # fmt: skip
    yield test(
        "the same, of a relaxed store", True, carried, thread(w(x), w(y)), thread(add(y, RELAXED)), sequence[1]
    )  # fmt: skip
    yield test("two CAS, both succeed", False, no_fence, thread(cas(x, 1)), thread(cas(x, 2)))
    yield test("the same, relaxed", False, no_fence, thread(cas(x, 1, RELAXED)), thread(cas(x, 2, RELAXED)))
    yield test("an addition lost", False, lambda _a, _b, m: m[x] == 1, *[thread(add(x, RELAXED))] * 2)
    yield test(
        "a CAS before a store, and last", False, lambda a, b, m: a == 0 and b == 1 and m[x] == 2,
        thread(cas(x, 2)), thread(w(x, 1), DMB, r(x)),
    )  # fmt: skip


LITMUS = tuple(_all())
