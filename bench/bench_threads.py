"""Messages between threads: how many a second, and how long one takes to a thread that waits for it."""

from __future__ import annotations

from typing import Any

import pytest

from bench.harness import Benchmark, Match, Row, Side
from bench.rivals.aiologic import AIOLOGIC
from bench.rivals.conditions import CONDITIONS
from bench.rivals.culsans import CULSANS
from bench.rivals.ft_utils import FT_UTILS
from bench.rivals.locked import LOCKED
from bench.rivals.simple_queue import SIMPLE_QUEUE
from bench.rivals.sp2 import SP2
from bench.rivals.std_queue import QUEUE
from bench.rivals.v40 import V40
from bench.threads import flowing, handing

BOUND = 1024
#: Not `queue.Queue` alone: it is in LOCKED. Some of these do a few thousand a second.
FLOWING = [V40, LOCKED, CONDITIONS, CULSANS, AIOLOGIC, FT_UTILS]
WAITING = [V40, QUEUE, CONDITIONS, CULSANS, AIOLOGIC, FT_UTILS]


def flow(rival: Any, pairs: int, goal: str | None = None, name: str | None = None) -> Side:
    """A side of so many pairs of threads."""
    return flowing(name or rival.called("flow"), rival.flow(BOUND), pairs, goal)


@pytest.mark.parametrize("pairs", [1, 2, 4, 8])
def test_threads(match: Match, benchmark: Benchmark, pairs: int) -> None:
    """Producers and consumers at once, 1,024 messages at most between them."""
    rivals = [flow(SIMPLE_QUEUE, pairs, goal="threads/one" if pairs == 1 else "threads/many")]
    rivals += match.present(FLOWING, lambda rival: flow(rival, pairs))
    if pairs == 8:
        rivals.append(flow(SP2, 2, goal="threads/kept", name="itself, 2 + 2"))
    match.play(
        benchmark,
        f"threads, at most {BOUND:,} messages between them",
        f"mtsid, {pairs} + {pairs}",
        flow(SP2, pairs),
        rivals,
        seconds=0.1,
        rounds=15,
        batch=pairs,
        unit="rate",
    )


def test_hand_off(match: Match, benchmark: Benchmark) -> None:
    """From `put` to the return of `get` in a thread that waits: the median round by round, then the slowest of all."""
    samples: dict[str, list[int]] = {}

    def waiting(rival: Any) -> Side:
        name = rival.called("hand_off")
        goal = "latency/p50" if rival is SIMPLE_QUEUE else None
        return handing(name, rival.hand_off(), samples.setdefault(name, []), goal)

    subject, *rivals = match.present([SP2, SIMPLE_QUEUE, *WAITING], waiting)
    group = "hand-off to a thread that waits"
    if match.play(benchmark, group, "mtsid, p50", subject, rivals, seconds=0.004, rounds=101) is None:
        return
    for part, name in ((0.99, "p99"), (0.999, "p99.9")):
        tail = {side: sorted(taken)[int(len(taken) * part)] * 1e-9 for side, taken in samples.items()}
        mine = tail.pop(SP2.name)
        match.keep(benchmark, Row.plain(group, f"mtsid, {name}", SP2.name, mine, tail, "time"))
