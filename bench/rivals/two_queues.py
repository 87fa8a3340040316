"""What any thread-safe queue can be made into: a free list of ids; with a second one and a dict, a queue of messages.

Written as a careful client would for speed: inline, with methods bound beforehand. Checks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from bench.harness import IDS, Loop
from bench.rivals import Rival
from bench.threads import Flow, HandOff


class TwoQueues(Rival):
    """The loops over queues that `make` makes; `put` and `get` are what their methods are called."""

    def __init__(self, name: str, make: Callable[[], Any], put: str = "put", get: str = "get") -> None:
        self.name = name
        self.make = make
        self.verbs = put, get

    def called(self, verb: str) -> str:
        """It is one queue or two."""
        if verb in ("id_pair", "create_ids"):
            return f"{self.name} as free list"
        many = f"{self.name}s" if self.name.endswith("Queue") else f"{self.name} queues"
        return self.name if verb == "hand_off" else f"2 {many} + dict"

    def bound(self, count: int = 0) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
        """The two methods of a new queue with the ids 1 .. count in it, each an object of its own."""
        queue = self.make()
        put, get = (getattr(queue, verb) for verb in self.verbs)
        for number in range(1, count + 1):
            put(number)
        return put, get

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Take an id off the free list and put it back; which ones are live makes no difference to it."""
        put, get = self.bound(IDS - len(live))

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                put(get())

        return loop

    def cycle(self) -> Loop:
        """Free list, dict and queue."""
        give, take = self.bound(IDS)
        put, get = self.bound()
        table: dict[int, object] = {}
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

    def flow(self, bound: int) -> Flow:
        """The same, apart; bounded by the ids."""
        give, take = self.bound(bound)
        put, get = self.bound()
        table: dict[int, object] = {}
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

    def hand_off(self) -> HandOff:
        """The bare queue: no ids, no dict."""
        return HandOff(*self.bound())

    def create_ids(self) -> Loop:
        """A free list of 65,535 ids."""

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                self.bound(IDS)

        return loop

    def create_queue(self) -> Loop:
        """A free list, a queue and a dict."""

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                _parts = self.bound(IDS), self.bound(), dict[int, object]()

        return loop
