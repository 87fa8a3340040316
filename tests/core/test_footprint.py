"""The promised footprint, as the system counts it: resident pages of a process of its own, over many objects."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")

MEASURE = """
import gc, resource
import numpy
import mtsid

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

def bytes_each(make, count):
    kept = [make() for _ in range(20)]
    before = resident()
    kept += [make() for _ in range(count)]
    return (resident() - before) / count
"""


@pytest.fixture
def bytes_each(in_child: Callable[..., str]) -> Callable[..., float]:
    def measure(make: str, count: int) -> float:
        return float(in_child(f"{MEASURE}\n{make}\nprint(bytes_each(make, {count}))"))

    return measure


def test_an_allocator_takes_half_a_byte_an_id_and_a_constant(bytes_each: Callable[..., float]) -> None:
    used = "def make():\n    ids = mtsid.Allocator(1, 65535)\n    ids.acquire_many(65535)\n    return ids"
    assert bytes_each(used, 300) <= 65535 / 2 + 4096


def test_an_allocator_with_exclusions_keeps_to_it(bytes_each: Callable[..., float]) -> None:
    used = "def make():\n    ids = mtsid.Allocator(0, 65535, exclude=[0])\n    ids.acquire_many(65535)\n    return ids"
    assert bytes_each(used, 300) <= 65536 / 2 + 4096


def test_an_idle_queue_takes_at_most_16_kb(bytes_each: Callable[..., float]) -> None:
    assert bytes_each("make = mtsid.MessageQueue", 1000) <= 16 * 1024


def test_an_idle_table_takes_at_most_16_kb_with_exclusions_too(bytes_each: Callable[..., float]) -> None:
    assert bytes_each("make = mtsid.InFlightTable", 1000) <= 16 * 1024
    assert bytes_each("def make(): return mtsid.InFlightTable(0, 65535, exclude=[0, 65535])", 1000) <= 16 * 1024


def test_a_table_that_was_used_over_and_over_is_as_small_again(bytes_each: Callable[..., float]) -> None:
    used = """
import collections
def make():
    table = mtsid.InFlightTable()
    flying = collections.deque(table.add(None) for _ in range(300))
    for _ in range(70_000):
        flying.append(table.add(None))
        table.pop(flying.popleft())
    table.reset()
    return table
"""
    assert bytes_each(used, 50) <= 16 * 1024


def test_a_full_table_takes_17_bytes_an_id(bytes_each: Callable[..., float]) -> None:
    used = "def make():\n    t = mtsid.InFlightTable()\n    for _ in range(65535): t.add(None)\n    return t"
    assert bytes_each(used, 20) <= 65535 * 17 + 16 * 1024


def test_a_queue_takes_48_bytes_a_slot_and_the_payloads_pointer(bytes_each: Callable[..., float]) -> None:
    used = "def make():\n    q = mtsid.MessageQueue(65535)\n    q.put_many([None] * 65535)\n    return q"
    assert bytes_each(used, 20) <= 65535 * (48 + 8) + 16 * 1024


def test_the_largest_allocator_takes_pages_only_as_ids_are_used(bytes_each: Callable[..., float]) -> None:
    used = "def make():\n    ids = mtsid.Allocator(0, 2**32 - 1)\n    ids.acquire_many(1000)\n    return ids"
    assert bytes_each(used, 20) <= 64 * 1024
