"""References and memory stay level over a million cycles, on the error paths too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# `rise(work, rounds)`: by how much references to the payload, allocated blocks, and resident memory rose.
LEVELS = """
import gc, os, sys
import mtsid
from mtsid import v40
body = object()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def rise(work, rounds):
    work(rounds // 20)  # what is made once is made
    gc.collect()
    before = sys.getrefcount(body), sys.getallocatedblocks(), resident()
    work(rounds)
    gc.collect()
    return [now - then for then, now in zip(before, (sys.getrefcount(body), sys.getallocatedblocks(), resident()))]

def refused(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except (mtsid.MtsidError, TypeError, ValueError):
        return
    raise SystemExit(f"{call} {arguments} succeeded")
"""

QUEUE = """
q = M.MessageQueue(100)
def work(rounds):
    for _ in range(rounds):
        q.put(body)
        q.ack(q.get())
"""
QUEUE_RETURNS = """
q = M.MessageQueue(100)
q.put_many([body] * 5)
def work(rounds):
    for _ in range(rounds):
        number = q.put(body, priority="urgent")
        q.nack(q.get())
        q.peek(number), q.delete(number)
"""
QUEUE_BULK = """
q = M.MessageQueue(1000)
def work(rounds):
    for _ in range(rounds // 100):
        q.put_many([body] * 100)
        q.ack_many(q.get_many(100))
"""
QUEUE_ERRORS = """
q = M.MessageQueue(2)
q.put_many([body] * 2)
stale = q.get()
q.nack(stale)
def broken():
    yield body
    raise ValueError
def work(rounds):
    for _ in range(rounds // 20):
        refused(q.put, body, False)
        refused(q.put, body, True, 0)
        refused(q.put, body, priority="x")
        refused(q.put, body, timeout="x")
        refused(q.put_many, [body, body], False)
        refused(q.put_many, broken())
        refused(q.nack, stale)
        refused(q.ack_many, [1, 1])
        refused(q.peek, 3)
        refused(q.delete, body)
"""
ALLOCATOR = """
ids = M.Allocator(1, 1000, exclude=[5])
def work(rounds):
    for _ in range(rounds):
        ids.release(ids.acquire())
"""
ALLOCATOR_BULK = """
ids = M.Allocator(1, 1000)
def work(rounds):
    for _ in range(rounds // 100):
        ids.release_many(ids.acquire_many(100))
        ids.reserve_many(range(1, 50)), list(ids), ids.reset()
"""
ALLOCATOR_ERRORS = """
ids = M.Allocator(1, 3)
ids.acquire_many(3)
def work(rounds):
    for _ in range(rounds // 20):
        refused(ids.acquire)
        refused(ids.acquire, -1)
        refused(ids.acquire_many, 2)
        refused(ids.acquire_many, 2**70)
        refused(ids.reserve, 2)
        refused(ids.reserve_many, [1, 2])
        refused(ids.release, 9)
        refused(ids.release, body)
        refused(ids.release_many, [1, 1])
        refused(ids.state, 2**70)
"""
FRESH = """
def work(rounds):
    for _ in range(rounds // 100):
        q = M.MessageQueue(3)
        q.put_many([body, body])  # no cycle: when the collector comes is its own affair
        q.get().mtsid, q.snapshot()
        ids = M.Allocator(1, 70, exclude=range(3, 9))
        ids.acquire_many(9), repr(ids)
        refused(M.MessageQueue, 0)
        refused(M.Allocator, 5, 4)
        refused(M.Allocator, 1, 9, exclude=[body])
"""


@pytest.mark.parametrize(("module", "rounds"), [("mtsid", 1_000_000), ("v40", 50_000)])
@pytest.mark.parametrize(
    "work",
    [QUEUE, QUEUE_RETURNS, QUEUE_BULK, QUEUE_ERRORS, ALLOCATOR, ALLOCATOR_BULK, ALLOCATOR_ERRORS, FRESH],
    ids=["queue", "returns", "bulk", "errors", "ids", "ids_bulk", "ids_errors", "fresh"],
)
def test_references_and_memory_stay_level_over_a_million_cycles(
    work: str, module: str, rounds: int, in_child: Callable[..., str]
) -> None:
    # A leak of one reference or block a cycle, or of one in a thousand, stands far out of what an interpreter needs.
    # Memory may rise to a new height once, when the collector comes at another time; a leak rises each time.
    in_child(
        LEVELS
        + f"M = {module}\n{work}\nrounds = {rounds}\n"
        + """
for attempt in range(3):
    references, blocks, memory = rise(work, rounds)
    assert references == 0, references
    if blocks < 500 and memory < 4 << 20:
        break
else:
    raise SystemExit(f"{blocks} blocks and {memory} bytes more, after three times {rounds} cycles")
""",
        seconds=300,
    )
