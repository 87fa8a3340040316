"""One id and many: taken and given back."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from bench.harness import IDS, Benchmark, Match, side
from bench.rivals.aiologic import AIOLOGIC
from bench.rivals.cassandra import CASSANDRA
from bench.rivals.counter import COUNTER
from bench.rivals.culsans import CULSANS
from bench.rivals.floor import FLOOR
from bench.rivals.ft_utils import FT_UTILS
from bench.rivals.gmqtt import GMQTT
from bench.rivals.locked import LOCKED
from bench.rivals.pika import PIKA
from bench.rivals.py_amqp import PY_AMQP
from bench.rivals.simple_queue import SIMPLE_QUEUE
from bench.rivals.sp2 import SP2, Variant
from bench.rivals.std_queue import QUEUE
from bench.rivals.v40 import V40

CLIENTS = [GMQTT, PIKA, PY_AMQP, CASSANDRA]
QUEUES = [QUEUE, CULSANS, AIOLOGIC, FT_UTILS]

#: How many of 65,535 are live, as it is called.
OCCUPIED = {"50 %": IDS // 2, "90 %": IDS * 9 // 10, "99 %": IDS * 99 // 100, "all but one": IDS - 1}
MANY = 1 << 24
LAYOUTS = pytest.mark.parametrize("layout", ["contiguous", "random"])


def test_id_pair(match: Match, benchmark: Benchmark) -> None:
    """Against every other way to have ids, none of them live."""
    match.play(
        benchmark,
        "one id: acquire + release",
        "mtsid",
        side(SP2, "id_pair"),
        [
            *match.present([FLOOR], lambda rival: side(rival, "id_pair", goal="pair/floor")),
            side(SIMPLE_QUEUE, "id_pair", goal="pair/simple-queue"),
            side(V40, "id_pair"),
            *match.present([LOCKED, COUNTER, *CLIENTS, *QUEUES], lambda rival: side(rival, "id_pair")),
        ],
    )


@LAYOUTS
@pytest.mark.parametrize("share", OCCUPIED)
def test_occupied(match: Match, benchmark: Benchmark, share: str, layout: str) -> None:
    """Against itself with every id free, and against the others with as many live."""
    count = OCCUPIED[share]
    numbers = range(1, IDS + 1)
    live = numbers[:count] if layout == "contiguous" else Random(count).sample(numbers, count)
    match.play(
        benchmark,
        "one id of 65,535, some live",
        f"mtsid, {share} live, {layout}",
        side(SP2, "id_pair", live),
        [
            side(SP2, "id_pair", goal="occupied/99" if share == "99 %" else None, name="itself, all free"),
            side(V40, "id_pair", live),
            *match.present([SIMPLE_QUEUE, COUNTER, *CLIENTS], lambda rival: side(rival, "id_pair", live)),
        ],
        rounds=101,
    )


@LAYOUTS
def test_occupied_of_many(match: Match, benchmark: Benchmark, layout: str) -> None:
    """99.99 % of 2**24, against itself with every id free. 4.0 is left out: to fill it takes a minute."""
    import numpy

    count = MANY * 9999 // 10000
    live: Any = numpy.arange(1, count + 1, dtype=numpy.uint32)
    if layout == "random":
        live = numpy.random.default_rng(count).permutation(numpy.arange(1, MANY + 1, dtype=numpy.uint32))[:count]
    match.play(
        benchmark,
        "one id of 2**24, 99.99 % live",
        f"mtsid, {layout}",
        side(SP2, "id_pair", live, MANY),
        [side(SP2, "id_pair", (), MANY, goal="occupied/99.99", name="itself, all free")],
        rounds=201,
    )


@pytest.mark.parametrize(
    ("batch", "layout"), [(100, "contiguous"), (1000, "contiguous"), (1000, "shuffled"), (1000, "scattered")]
)
@pytest.mark.parametrize("variant", [SP2, V40], ids=["SP2", "4.0"])
def test_id_bulk(match: Match, benchmark: Benchmark, variant: Variant, batch: int, layout: str) -> None:
    """So many at once, for each id; the layouts are told in rivals/sp2.py."""
    goal = f"bulk/{layout}" if variant is SP2 and batch == 1000 and layout != "scattered" else None
    match.play(
        benchmark,
        "many ids at once, for each",
        f"{variant.name}, {batch:,}, {layout}",
        side(variant, "id_bulk", batch, layout),
        [
            side(variant, "id_pair", name="itself, one by one"),
            side(SIMPLE_QUEUE, "id_pair", name="SimpleQueue, one by one"),
        ],
        rounds=201,
        batch=batch,
        goal=goal,
    )
