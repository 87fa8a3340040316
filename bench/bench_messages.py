"""The whole way of a message, in one thread: it enters, is got and leaves."""

from __future__ import annotations

import pytest

from bench.harness import Benchmark, Match, side
from bench.rivals.aiologic import AIOLOGIC
from bench.rivals.conditions import CONDITIONS
from bench.rivals.culsans import CULSANS
from bench.rivals.floor import FLOOR
from bench.rivals.ft_utils import FT_UTILS
from bench.rivals.locked import LOCKED
from bench.rivals.simple_queue import SIMPLE_QUEUE
from bench.rivals.sp2 import SP2, Variant
from bench.rivals.std_queue import QUEUE
from bench.rivals.v40 import V40

OTHERS = [LOCKED, CONDITIONS, QUEUE, CULSANS, AIOLOGIC, FT_UTILS]


def test_cycle(match: Match, benchmark: Benchmark) -> None:
    """Put, get and ack; the body is bytes."""
    match.play(
        benchmark,
        "one message: put + get + ack",
        "mtsid",
        side(SP2, "cycle"),
        [
            *match.present([FLOOR], lambda rival: side(rival, "cycle", goal="cycle/floor")),
            side(SIMPLE_QUEUE, "cycle", goal="cycle/queues"),
            side(V40, "cycle"),
            *match.present(OTHERS, lambda rival: side(rival, "cycle")),
        ],
    )


def test_cycle_of_a_dict(match: Match, benchmark: Benchmark) -> None:
    """The collector has to look at a message that may be part of a cycle."""
    match.play(
        benchmark,
        "one message: put + get + ack",
        "mtsid, a dict as body",
        side(SP2, "cycle", {}),
        [side(SP2, "cycle", name="itself, bytes as body"), side(SIMPLE_QUEUE, "cycle", goal="cycle/queues")],
    )


@pytest.mark.parametrize("batch", [10, 100])
@pytest.mark.parametrize("variant", [SP2, V40], ids=["SP2", "4.0"])
def test_cycle_bulk(match: Match, benchmark: Benchmark, variant: Variant, batch: int) -> None:
    """So many at once, for each message."""
    goal = "bulk/messages" if variant is SP2 and batch == 100 else None
    match.play(
        benchmark,
        "many messages at once, for each",
        f"{variant.name}, {batch:,}",
        side(variant, "cycle_bulk", batch),
        [
            side(variant, "cycle", goal=goal, name="itself, one by one"),
            *match.present([FLOOR], lambda rival: side(rival, "cycle_bulk", batch)),
            side(SIMPLE_QUEUE, "cycle", name="2 SimpleQueues + dict, one by one"),
        ],
        rounds=201,
        batch=batch,
    )
