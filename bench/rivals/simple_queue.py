"""The strict rival: a `queue.SimpleQueue` as a free list of ids, two of them with a dict as a queue. Checks nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from queue import SimpleQueue

from bench.harness import IDS, Flow, Loop

NAME = "SimpleQueue"
NAME_CYCLE = "2 SimpleQueues + dict"


def free_list(count: int) -> SimpleQueue[int]:
    """A SimpleQueue with the ids 1 .. count in it, each an object of its own."""
    free: SimpleQueue[int] = SimpleQueue()
    for number in range(1, count + 1):
        free.put(number)
    return free


def id_pair(live: Sequence[int] = ()) -> Loop:
    """Take an id off the free list and put it back; which ones are live makes no difference to it."""
    free = free_list(IDS - len(live))
    get, put = free.get, free.put

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            put(get())

    return loop


def cycle() -> Loop:
    """Free list, dict and queue, inline as a client would write it."""
    free = free_list(IDS)
    ready: SimpleQueue[int] = SimpleQueue()
    table: dict[int, object] = {}
    take, give, put, get = free.get, free.put, ready.put, ready.get
    item = object()

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            number = take()
            table[number] = item
            put(number)
            number = get()
            _body = table[number]
            del table[number]
            give(number)

    return loop


def flow(bound: int) -> Flow:
    """The same, apart; bounded by the ids."""
    free = free_list(bound)
    ready: SimpleQueue[int] = SimpleQueue()
    table: dict[int, object] = {}
    take, give, put, get = free.get, free.put, ready.put, ready.get
    item = object()

    def produce(n: int) -> None:
        for _ in repeat(None, n):
            number = take()
            table[number] = item
            put(number)

    def consume(n: int) -> None:
        for _ in repeat(None, n):
            number = get()
            _body = table[number]
            del table[number]
            give(number)

    return Flow(produce, consume, table.__len__)


def create_ids() -> Loop:
    """A free list of 65,535 ids."""

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            free_list(IDS)

    return loop


def create_queue() -> Loop:
    """A free list, a queue and a dict."""

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            _parts = free_list(IDS), SimpleQueue[int](), dict[int, object]()

    return loop
