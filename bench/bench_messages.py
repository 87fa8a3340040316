"""The whole way of a message: it enters, is got and leaves."""

from __future__ import annotations

import pytest

from bench.harness import Benchmark, Match, flowing, timed
from bench.rivals import floor, locked, simple_queue
from bench.rivals.sp2 import SP2, Variant
from bench.rivals.v40 import V40

BOUND = 1024


def test_cycle(match: Match, benchmark: Benchmark) -> None:
    """Put, get and ack in one thread."""
    match.play(
        benchmark,
        "one message: put + get + ack",
        "mtsid",
        timed(SP2.name, SP2.cycle()),
        [
            timed(floor.NAME, floor.cycle()),
            timed(simple_queue.NAME_CYCLE, simple_queue.cycle(), goal=0.6),
            timed(locked.NAME_CYCLE, locked.cycle()),
            timed(V40.name, V40.cycle()),
        ],
    )


@pytest.mark.parametrize("batch", [10, 100])
@pytest.mark.parametrize("variant", [SP2, V40], ids=["SP2", "4.0"])
def test_cycle_bulk(match: Match, benchmark: Benchmark, variant: Variant, batch: int) -> None:
    """So many at once, for each message."""
    match.play(
        benchmark,
        "many messages at once, for each",
        f"{variant.name}, {batch:,}",
        timed(variant.name, variant.cycle_bulk(batch)),
        [
            timed("itself, one by one", variant.cycle()),
            timed(f"{simple_queue.NAME_CYCLE}, one by one", simple_queue.cycle()),
        ],
        rounds=201,
        batch=batch,
    )


@pytest.mark.parametrize("pairs", [1, 2, 4, 8])
def test_threads(match: Match, benchmark: Benchmark, pairs: int) -> None:
    """Producers and consumers at once, 1,024 messages at most between them."""
    match.play(
        benchmark,
        f"threads, at most {BOUND:,} messages between them",
        f"mtsid, {pairs} + {pairs}",
        flowing(SP2.name, SP2.flow(BOUND), pairs),
        [
            flowing(V40.name, V40.flow(BOUND), pairs),
            flowing(simple_queue.NAME_CYCLE, simple_queue.flow(BOUND), pairs),
            flowing(locked.NAME_CYCLE, locked.flow(BOUND), pairs),
        ],
        seconds=0.15,
        rounds=15,
        batch=pairs,
        unit="rate",
    )
