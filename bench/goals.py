"""The goals, in this one place: the sides of a comparison name them by key, the table and the report say which are met.

A goal is a ratio within one run, but for those in nanoseconds. Each counts where it is worst, in whatever row names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["GOALS", "LIMITS", "Goal"]

Kind = Literal["ratio", "throughput", "ns"]


@dataclass(frozen=True)
class Goal:
    """One goal, with the GIL and without it."""

    work: str
    beside: str
    with_gil: float
    without_gil: float
    kind: Kind = "ratio"  # a ratio of costs; the ratio of throughputs, its inverse; or nanoseconds

    def limit(self, gil: bool) -> float:
        """What is wished for: at most this, or at least this throughput."""
        return self.with_gil if gil else self.without_gil

    def figure(self, cost: float) -> float:
        """A measured ratio of costs (or, for `ns`, a cost in seconds) in the terms of the goal."""
        return {"ratio": cost, "throughput": 1 / cost if cost else 0.0, "ns": cost * 1e9}[self.kind]

    def met(self, cost: float, gil: bool) -> bool:
        """Is it met by that ratio or cost?"""
        figure, limit = self.figure(cost), self.limit(gil)
        return figure >= limit if self.kind == "throughput" else figure <= limit

    def wish(self, gil: bool) -> str:
        """The limit as it is shown."""
        return {"ratio": "<= {:g}", "throughput": ">= {:g}x", "ns": "<= {:g} ns"}[self.kind].format(self.limit(gil))

    def shown(self, cost: float) -> str:
        """The figure as it is shown."""
        return {"ratio": "{:.2f}", "throughput": "{:.2f}x", "ns": "{:.1f} ns"}[self.kind].format(self.figure(cost))


QUEUES = "two SimpleQueues and a dict"
AT_BOUND = "put + get + ack, at most 1,024 messages"

GOALS = {
    "pair/floor": Goal("acquire + release", "two compiled calls without work", 1.5, 1.4),
    "pair/simple-queue": Goal("acquire + release", "a SimpleQueue as free list", 1.0, 1.0),
    "occupied/99": Goal("acquire + release, 99 % of 65,535 live", "itself, none live", 1.3, 1.3),
    "occupied/99.99": Goal("acquire + release, 99.99 % of 2**24 live", "itself, none live", 3, 3),
    "table/counter": Goal("InFlightTable: add + pop", "a lock, a checked counter and a dict", 0.2, 0.2),
    "cycle/queues": Goal("put + get + ack", QUEUES, 0.35, 0.40),
    "cycle/floor": Goal("put + get + ack", "three compiled calls without work", 1.4, 1.3),
    "threads/one": Goal(f"{AT_BOUND}, 1 pair of threads", QUEUES, 2, 2, "throughput"),
    "threads/many": Goal(f"{AT_BOUND}, 2, 4, 8 pairs of threads", QUEUES, 1.5, 1.5, "throughput"),
    "threads/kept": Goal(f"{AT_BOUND}, 8 pairs of threads", "itself, 2 pairs", 0.8, 0.8, "throughput"),
    "native/scaling": Goal("acquire_id + release_id, 2 native threads", "itself, 1 thread", 1.6, 1.6, "throughput"),
    "native/rings": Goal("acquire_id + release_id, 1 and 2 native threads", "the best ring as free list", 1.0, 1.0),
    "bulk/contiguous": Goal("acquire_many + release_many of 1,000, an id", "nothing: a time", 3, 3, "ns"),
    "bulk/shuffled": Goal("the same, released in random order, an id", "nothing: a time", 15, 15, "ns"),
    "bulk/messages": Goal("put_many + get_many + ack_many of 100, a message", "itself, one by one", 0.3, 0.3),
    "latency/p50": Goal("hand-off to a waiting thread, median", "a SimpleQueue", 1.1, 1.1),
}

#: Of goals that were missed somewhere: what stands in the way, as far as it was found.
LIMITS = {
    "cycle/queues": (
        "The calls by themselves. The same three, compiled and without work, are in the table: with a fresh int "
        "and a fresh message they already take most of what the goal grants, and mtsid is within a sixth of them. "
        "A body that holds nothing (bytes, a number) costs less than one at which the collector has to look (a "
        "dict); the goal counts where it is worst. The rival's own time differs from run to run by a quarter and "
        "more, and the ratio with it: with the GIL 0.33 to 0.42 in several runs. Tried, and kept: docs/DESIGN.md, "
        "from 505 to 445 instructions."
    ),
    "bulk/contiguous": (
        "A time, and so the machine's. It was 3.0 ns where one by one took 61; in the run shown one by one takes "
        "what the table says beside it, and within one process the same call took 1.9 ns at best and 3.0 to 3.6 in "
        "the median. 17 instructions an id, by `make guards`, where it was 47."
    ),
    "bulk/shuffled": (
        "A time, and so the machine's: 7.3 ns where one by one took 61, and within one process 9.9 at best and 20 "
        "in the median on the machine of the run shown. Each id's leaf is another than the one before, so each "
        "release is a locked exchange, and the look for duplicates is a hash table."
    ),
    "native/rings": (
        "Two locked exchanges are in each of ck_ring's, rte_ring's and mtsid's pairs. The rest is instructions, "
        "counted by valgrind with the loop: ck_ring 39, rte_ring 55, moodycamel 85, oneTBB 92, Boost 102, mtsid "
        "135. What mtsid spends more is what a ring does not do: to look whether the id is in the range, live and "
        "not at rest, the leaf's version, the hints above it, and whether anybody waits for an id. With two "
        "threads a ring's two ends are each a cache line that both cores want; mtsid's threads keep to leaves of "
        "their own."
    ),
    "bulk/messages": (
        "A list of a hundred fresh messages, made and dropped by compiled calls that do nothing else, is in the "
        "same group of the table (`compiled calls without work`): two thirds of what the goal grants. The rest "
        "would have to do for putting, getting and settling. Of mtsid's 219 instructions for each message, in a "
        "batch of a hundred, 86 are the step that gets it and gives it its body, 52 the step that settles it, 42 "
        "the step that puts it, 32 the look at what `ack_many` was given. Tried, and kept: places for the whole "
        "list at once, runs that join a line, leave it and are freed at once, references handed on instead of "
        "taken and dropped, no reference to each key: 325 before the runs, while one by one became cheaper itself."
    ),
    "threads/one": (
        "The ratio of the calls themselves, nearly. With the GIL, in one run: 1.94 in one thread that puts 1,024 "
        "messages and then takes them out, 2.04 between two threads on one core, 1.95 on two cores; so neither "
        "sleep nor the way from core to core is what the rest goes to. Without the GIL two threads on two cores "
        "paid 132 ns a message more than one thread, and the rival 226, for cache lines that both want. Tried: a "
        "wait that sets no alarm, shorter ways for every verb, backing off from a taken monitor, slots fetched "
        "ahead (docs/DESIGN.md)."
    ),
}
