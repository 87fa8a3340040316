"""One id and many: taken and given back."""

from __future__ import annotations

from random import Random

import pytest

from bench.harness import IDS, Benchmark, Match, timed
from bench.rivals import floor, locked, simple_queue
from bench.rivals.sp2 import SP2, Variant
from bench.rivals.v40 import V40

#: How many of 65,535 are live, as it is called.
OCCUPIED = {"50 %": IDS // 2, "90 %": IDS * 9 // 10, "99 %": IDS * 99 // 100, "all but one": IDS - 1}
VARIANTS = pytest.mark.parametrize("variant", [SP2, V40], ids=["SP2", "4.0"])


def test_id_pair(match: Match, benchmark: Benchmark) -> None:
    """Against every other way to have ids."""
    match.play(
        benchmark,
        "one id: acquire + release",
        "mtsid",
        timed(SP2.name, SP2.id_pair()),
        [
            timed(floor.NAME, floor.id_pair()),
            timed("SimpleQueue free list", simple_queue.id_pair(), goal=1.2),
            timed(locked.NAME, locked.id_pair()),
            timed(V40.name, V40.id_pair()),
        ],
    )


@pytest.mark.parametrize("layout", ["contiguous", "random"])
@pytest.mark.parametrize("share", OCCUPIED)
@VARIANTS
def test_occupied(match: Match, benchmark: Benchmark, variant: Variant, share: str, layout: str) -> None:
    """Against itself with every id free."""
    count = OCCUPIED[share]
    numbers = range(1, IDS + 1)
    live = numbers[:count] if layout == "contiguous" else Random(count).sample(numbers, count)
    match.play(
        benchmark,
        "one id of 65,535, some live",
        f"{variant.name}, {share} live, {layout}",
        timed(variant.name, variant.id_pair(live)),
        [timed("itself, all free", variant.id_pair(), goal=2 if variant is SP2 and share == "99 %" else None)],
        rounds=201,
    )


@pytest.mark.parametrize("batch", [100, 1000])
@VARIANTS
def test_id_bulk(match: Match, benchmark: Benchmark, variant: Variant, batch: int) -> None:
    """So many at once, for each id."""
    match.play(
        benchmark,
        "many ids at once, for each",
        f"{variant.name}, {batch:,}",
        timed(variant.name, variant.id_bulk(batch)),
        [
            timed("itself, one by one", variant.id_pair()),
            timed("SimpleQueue, one by one", simple_queue.id_pair()),
        ],
        rounds=201,
        batch=batch,
    )
