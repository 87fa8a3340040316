"""What one costs before it does anything: to make, to import, and in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.harness import Benchmark, Match, Row, Side, side
from bench.rivals.conditions import CONDITIONS
from bench.rivals.culsans import CULSANS
from bench.rivals.locked import LOCKED
from bench.rivals.simple_queue import SIMPLE_QUEUE
from bench.rivals.sp2 import SP2
from bench.rivals.v40 import V40

IMPORT = """
from time import perf_counter
start = perf_counter()
import {modules}
print(perf_counter() - start)
"""

#: `things` is a list of what is measured, `count` how many ids or messages they hold together.
MEMORY = """
import os
import numpy
from collections import deque
from queue import SimpleQueue
from mtsid import Allocator, MessageQueue, v40

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def filled(queue, count):
    while len(queue) < count:
        queue.put_many([None] * min(1000, count - len(queue)))
    return queue

def taken(ids, count):
    ids.acquire_many(count)
    return ids

def free_list(count):
    free = SimpleQueue()
    for number in range(1, count + 1):
        free.put(number)
    return free

def with_dict(count):
    free, ready, table = free_list(count), SimpleQueue(), {{}}
    while len(table) < count:
        number = free.get()
        table[number] = None
        ready.put(number)
    return free, ready, table

# What a first use loads or allocates once is no part of it.
warm = taken(Allocator(1, 100), 100), filled(MessageQueue(100), 100), taken(v40.Allocator(1, 100), 100)
warm = warm, filled(v40.MessageQueue(100), 100), with_dict(100)
count = {count}
before = resident()
things = {things}
print((resident() - before) / {divisor})
"""


def child(code: str) -> float:
    """Run the code in a fresh interpreter, with this one's path; it prints one number."""
    code = f"import sys; sys.path[:] = {sys.path!r}\n{code}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return float(run.stdout)


def test_create_ids(match: Match, benchmark: Benchmark) -> None:
    """65,535 ids, ready to be taken."""
    match.play(
        benchmark,
        "to make one",
        "65,535 ids: mtsid",
        side(SP2, "create_ids"),
        [side(SIMPLE_QUEUE, "create_ids"), side(LOCKED, "create_ids"), side(V40, "create_ids")],
        rounds=51,
    )


def test_create_queue(match: Match, benchmark: Benchmark) -> None:
    """Room for 65,535 messages."""
    match.play(
        benchmark,
        "to make one",
        "a queue of 65,535: mtsid",
        side(SP2, "create_queue"),
        [
            side(SIMPLE_QUEUE, "create_queue"),
            side(CONDITIONS, "create_queue"),
            side(V40, "create_queue"),
            *match.present([CULSANS], lambda rival: side(rival, "create_queue")),
        ],
        rounds=51,
    )


def test_import(match: Match, benchmark: Benchmark) -> None:
    """In a fresh interpreter; what the rivals import stands beside it, and numpy for scale."""

    def importing(name: str, modules: str) -> Side:
        code = IMPORT.format(modules=modules)
        return Side(name, lambda n: sum(child(code) for _ in range(n)))

    match.play(
        benchmark,
        "to import",
        "mtsid",
        importing("mtsid", "mtsid"),
        [
            importing("collections, queue, threading", "collections, queue, threading"),
            importing("asyncio", "asyncio"),
            importing("numpy", "numpy"),
            importing("mtsid.v40", "mtsid.v40"),
        ],
        seconds=0.0001,
        rounds=11,
    )


@pytest.mark.parametrize(
    ("work", "things", "rivals"),
    [
        (
            "an id, all live: mtsid",
            "taken(Allocator(1, count), count)",
            {
                "SimpleQueue as free list": "free_list(count)",
                "lock + deque": "deque(range(1, count + 1))",
                "the set of what is in use": "set(range(1, count + 1))",
                "4.0": "taken(v40.Allocator(1, count), count)",
            },
        ),
        (
            "a slot, all full: mtsid",
            "filled(MessageQueue(count), count)",
            {"2 SimpleQueues + dict": "with_dict(count)", "4.0": "filled(v40.MessageQueue(count), count)"},
        ),
        (
            "an allocator of 65,535, 1 live: mtsid",
            "[taken(Allocator(), 1) for _ in range(400)]",
            {"4.0": "[taken(v40.Allocator(), 1) for _ in range(400)]"},
        ),
        (
            "a queue of 65,535, 1 in it: mtsid",
            "[filled(MessageQueue(), 1) for _ in range(400)]",
            {"4.0": "[filled(v40.MessageQueue(), 1) for _ in range(400)]"},
        ),
    ],
    ids=["id", "slot", "allocator", "queue"],
)
def test_memory(match: Match, benchmark: Benchmark, work: str, things: str, rivals: dict[str, str]) -> None:
    """Resident memory, in a fresh process. No time is taken; the fixture says whether to measure at all."""
    count = 1 << (10 if benchmark.disabled else 20)
    divisor = "len(things)" if "range(400)" in things else "count"
    mine, *others = (
        child(MEMORY.format(count=count, things=code, divisor=divisor)) for code in (things, *rivals.values())
    )
    benchmark.pedantic(lambda: None, setup=lambda: None, rounds=1)
    if benchmark.disabled:
        return
    others_named = dict(zip(rivals, others, strict=True))
    match.keep(benchmark, Row.plain("resident memory", work, SP2.name, mine, others_named, "bytes"))
