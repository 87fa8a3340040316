"""What stands for what: a pending request is added under a free id, and popped when its answer comes."""

from __future__ import annotations

from random import Random

import pytest

from bench.harness import IDS, Benchmark, Match, side
from bench.rivals.counter import COUNTER
from bench.rivals.sp2 import SP2, TABLE

MOST = IDS * 99 // 100


def test_request(match: Match, benchmark: Benchmark) -> None:
    """Against what clients write by hand, and against an allocator, which keeps nothing."""
    match.play(
        benchmark,
        "one request: add + pop",
        "mtsid",
        side(TABLE, "request"),
        [side(COUNTER, "request", goal="table/counter"), side(SP2, "id_pair", name="Allocator, acquire + release")],
    )


@pytest.mark.parametrize("layout", ["contiguous", "random"])
def test_request_among_many(match: Match, benchmark: Benchmark, layout: str) -> None:
    """With 99 % live."""
    numbers = range(1, IDS + 1)
    live = numbers[:MOST] if layout == "contiguous" else Random(MOST).sample(numbers, MOST)
    match.play(
        benchmark,
        f"one request among {MOST:,}",
        f"mtsid, {layout}",
        side(TABLE, "request", live),
        [side(TABLE, "request", name="itself, none live"), side(COUNTER, "request", live)],
        rounds=101,
    )
