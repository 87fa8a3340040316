"""Ids for native threads: the allocator's calls without the GIL, beside native rings as free lists."""

from __future__ import annotations

import pytest

from bench.harness import IDS, Absent, Benchmark, Match
from bench.rivals.rings import RINGS, allocator, turns


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ids", [IDS, 1023])
def test_native(match: Match, benchmark: Benchmark, ids: int, threads: int) -> None:
    """acquire_id + release_id, beside every ring; the goal is the best of them."""
    goal = "native/rings" if ids == IDS else None
    try:
        subject = allocator(ids, threads)
    except Absent as why:
        pytest.skip(str(why))
    match.play(
        benchmark,
        "native threads: acquire_id + release_id, time for one in all",
        f"mtsid, {ids:,} ids, {threads} thread{'s' * (threads > 1)}",
        subject,
        match.present(RINGS, lambda ring: ring.side(ids, threads, goal)),
        seconds=0.0004 if threads == 1 else 0.004,
        rounds=201 if threads == 1 else 101,
    )
    if turns["not side by side"]:
        match.notes["two native threads"] = (
            f"the machine gave them one core in {turns['not side by side']:,} of {turns['all']:,} turns"
        )


@pytest.mark.parametrize("ids", [IDS, 1023])
def test_native_scaling(match: Match, benchmark: Benchmark, ids: int) -> None:
    """Two threads beside one."""
    try:
        subject = allocator(ids, 2)
    except Absent as why:
        pytest.skip(str(why))
    match.play(
        benchmark,
        "native threads: two beside one",
        f"mtsid, {ids:,} ids, 2 threads",
        subject,
        [allocator(ids, 1, "itself, 1 thread", "native/scaling" if ids == IDS else None)],
        seconds=0.004,
        rounds=101,
        unit="rate",
    )
