"""Sides with threads: producers and consumers in bulk, and one message at a time to a thread that waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import Any

from bench.harness import Loop, Side

__all__ = ["Flow", "HandOff", "flowing", "handing"]

PATIENCE = 120  # seconds; then a thread hangs


@dataclass(frozen=True)
class Flow:
    """What producers and consumers do so many times, and how many messages are left."""

    produce: Loop
    consume: Loop
    left: Callable[[], int]


@dataclass(frozen=True)
class HandOff:
    """How one thread gives another an object: `get` waits for it, `settle` does what is left to do with it."""

    put: Callable[[Any], Any]
    get: Callable[[], Any]
    settle: Callable[[Any], Any] | None = None


def flowing(name: str, flow: Flow, pairs: int, goal: str | None = None) -> Side:
    """A side of `pairs` producers and as many consumers, with a barrier at either end: from first start to last end."""

    def run(n: int) -> float:
        share = max(1, n // pairs)
        barrier = threading.Barrier(2 * pairs)
        starts: list[float] = []
        ends: list[float] = []

        def work(loop: Loop) -> None:
            barrier.wait()
            starts.append(perf_counter())
            loop(share)
            ends.append(perf_counter())
            barrier.wait()

        loops = [flow.produce, flow.consume] * pairs
        threads = [threading.Thread(target=work, args=(loop,), daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(ends) == 2 * pairs, "a thread failed or hangs"
        assert flow.left() == 0
        return (max(ends) - min(starts)) * n / (share * pairs)

    return Side(name, run, goal)


def handing(name: str, hand_off: HandOff, samples: list[int], goal: str | None = None) -> Side:
    """A side whose cost is the median time from `put` here to the return of `get` in a thread that waits there.

    The next object is not put before the last has arrived, so the other thread is asleep, or about to be. Each time
    goes into `samples`, in nanoseconds.
    """
    put, get = hand_off.put, hand_off.get
    settle = hand_off.settle or (lambda got: None)

    def run(n: int) -> float:
        arrived: SimpleQueue[int] = SimpleQueue()
        taken = []

        def consume() -> None:
            for _ in range(n + 1):
                got = get()
                now = perf_counter_ns()
                settle(got)
                arrived.put(now)

        thread = threading.Thread(target=consume, daemon=True)
        thread.start()
        for _ in range(n + 1):
            start = perf_counter_ns()
            put(None)
            taken.append(arrived.get(timeout=PATIENCE) - start)
        thread.join(PATIENCE)
        del taken[0]  # the thread had to begin
        samples.extend(taken)
        return median(taken) * 1e-9 * n

    return Side(name, run, goal)
