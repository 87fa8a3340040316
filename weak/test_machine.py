"""The machine against the literature's litmus tests, and against ARM's axioms on programs drawn at random."""

from __future__ import annotations

from random import Random

import pytest

from weak.axiomatic import outcomes
from weak.litmus import ADDR, CTRL, DATA, DMB, DMB_LD, LITMUS, Litmus, bits, cas, r, thread, w
from weak.machine import Machine, Rmw
from weak.program import Body, Load, Order, Program, Routine, Store

CASES = [(litmus, rmw) for litmus in LITMUS for rmw in litmus.only]


@pytest.mark.parametrize(("litmus", "rmw"), CASES, ids=[f"{one.program.name}-{rmw.value}" for one, rmw in CASES])
def test_verdict_of_the_literature(litmus: Litmus, rmw: Rmw) -> None:
    found = Machine(rmw).explore(litmus.program)
    assert found.executions
    assert bool(found.violation) == litmus.allowed


@pytest.mark.parametrize(("litmus", "rmw"), CASES, ids=[f"{one.program.name}-{rmw.value}" for one, rmw in CASES])
def test_litmus_by_the_axioms(litmus: Litmus, rmw: Rmw) -> None:
    assert outcomes(litmus.program, rmw, {"x", "y", "z"}) == Machine(rmw).explore(litmus.program).outcomes


def _drawn(rng: Random, threads: int, length: int) -> Program:
    loads, stores = [Order.RELAXED, Order.ACQUIRE, Order.SEQ_CST], [Order.RELAXED, Order.RELEASE]

    def body() -> Body:
        steps: list[tuple[str, str, int, Order]] = []
        loaded = False
        for _ in range(rng.randint(2, length)):
            where = rng.choice("xy")
            kind = rng.choice(["load"] * 4 + ["store"] * 4 + ["or", "cas", "fence"])
            if loaded and kind in ("load", "store") and rng.random() < 0.4:
                steps.append(rng.choice([ADDR, CTRL] if kind == "load" else [ADDR, CTRL, DATA]))
            if kind == "load":
                steps.append(r(where, rng.choice(loads)))
            elif kind == "store":
                steps.append(w(where, rng.randint(1, 2), rng.choice(stores)))
            elif kind == "fence":
                steps.append(rng.choice([DMB, DMB_LD]))
            elif kind == "or":
                steps.append(bits(where, rng.randint(1, 2), rng.choice(list(Order))))
            else:
                steps.append(cas(where, rng.randint(1, 2), rng.choice(list(Order))))
            loaded |= kind in ("load", "or", "cas")
        return thread(*steps)

    return Program("drawn", tuple(body() for _ in range(threads)), {}, lambda _: "")


@pytest.mark.parametrize("rmw", Rmw)
@pytest.mark.parametrize(("threads", "length", "programs"), [(2, 4, 40), (2, 3, 100), (3, 2, 60)])
def test_random_programs_by_the_axioms(rmw: Rmw, threads: int, length: int, programs: int) -> None:
    rng = Random(1996)
    for _ in range(programs):
        program = _drawn(rng, threads, length)
        assert outcomes(program, rmw, {"x", "y"}) == Machine(rmw).explore(program).outcomes


def test_the_axioms_and_the_machine_can_differ() -> None:
    program = next(litmus.program for litmus in LITMUS if litmus.program.name == "SB+rmws")
    assert outcomes(program, Rmw.LSE, {"x", "y"}) < Machine(Rmw.LSE_2018).explore(program).outcomes


def test_what_a_thread_promises_it_can_keep() -> None:
    """No value comes out of thin air: each thread stores what it read, and nobody ever stores anything else."""

    def copier(here: str, there: str) -> Body:
        def body() -> Routine:
            seen = yield Load(here)
            yield Store(there, seen)
            return seen

        return body

    program = Program("thin air", (copier("x", "y"), copier("y", "x")), {}, lambda _: "")
    for machine in (Machine(), Machine(dependencies=False)):
        assert {outcome[:2] for outcome in machine.explore(program).outcomes} == {(0, 0)}


def test_a_trace_can_be_read() -> None:
    program = next(litmus.program for litmus in LITMUS if litmus.program.name == "MP+rel+po")
    assert Machine().explore(program).trace == [
        "at first: everything 0",
        "what reached memory, in this order:",
        "  1. x := 1, by thread 0",
        "  2. y := 1, by thread 0",
        "thread 0, in the order of its program, returned ():",
        "  store x := 1 (relaxed)  [message 1]",
        "  store y := 1 (release)  [message 2]",
        "thread 1, in the order of its program, returned (1, 0):",
        "  load y (relaxed) -> 1  [message 2]",
        "  load x (relaxed) -> 0, the one before message 1  [as at first]",
    ]
