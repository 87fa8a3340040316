"""A process at the limit of its address space: a MemoryError, and whatever was there is whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("resource", reason="this system has no limit of the address space")

CHILD = """
import resource
import mtsid
import numpy
from mtsid import v40

def within(megabytes, call):
    "What the call's MemoryError says, if no more than this is to be had."
    pages = int(open("/proc/self/statm").read().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 2**20, hard))
    try:
        call()
    except MemoryError as error:
        return str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
"""


@pytest.mark.parametrize(
    ("call", "megabytes", "words"),
    [
        ("mtsid.Allocator(0, 2**32 - 1)", 100, "no memory for a bitmap of 4294967296 ids"),
        ("mtsid.Allocator(1, 2**30, exclude=[5])", 300, "no memory for the excluded ids"),
        ("mtsid.MessageQueue(2**32 - 1)", 100, "no memory for a queue of 4294967295 messages"),
        ("v40.Allocator(1, 10**7)", 60, "no memory for 10000000 ids"),
        ("v40.Allocator(1, 10**7, exclude=[5])", 85, "no memory for the excluded ids"),
        ("v40.MessageQueue(10**7)", 60, "no memory for a queue of 10000000 messages"),
        ("v40.MessageQueue(10**7)", 250, "no memory for a queue of 10000000 messages"),
    ],
)
def test_what_is_too_large_for_memory_is_refused(
    call: str, megabytes: int, words: str, in_child: Callable[..., str]
) -> None:
    assert in_child(f"{CHILD}print(within({megabytes}, lambda: {call}))").strip() == words


@pytest.mark.parametrize("module", ["mtsid", "v40"])
def test_a_queue_that_cannot_grow_refuses_the_put_and_goes_on(module: str, in_child: Callable[..., str]) -> None:
    in_child(
        f"""{CHILD}
queue = {module}.MessageQueue(10**6)
many = [None] * 900_000

def fill():
    while True:
        queue.put(None)

assert within(20, lambda: queue.put_many(many)) == "no memory for 900000 more messages"
assert len(queue) == 0
assert within(2, fill) == "no memory for more messages"
put = len(queue)
assert 0 < put < 10**6
assert queue.audit().waiting == put
queue.put("afterwards")
assert queue.audit().waiting == put + 1
queue.ack_many(queue.get_many(put))
assert queue.get().body == "afterwards"
"""
    )
