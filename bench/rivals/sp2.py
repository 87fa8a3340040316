"""mtsid itself, every check on; and the loops for whatever has its verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from bench.harness import IDS, Flow, Loop
from mtsid import Allocator, MessageQueue


@dataclass(frozen=True)
class Variant:
    """An allocator and a queue with mtsid's verbs."""

    name: str
    allocator: Callable[..., Any]
    queue: Callable[..., Any]

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Acquire and release."""
        ids = self.allocator(1, IDS)
        ids.reserve_many(live)
        acquire, release = ids.acquire, ids.release

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                release(acquire())

        return loop

    def id_bulk(self, batch: int) -> Loop:
        """Acquire and release so many at once."""
        ids = self.allocator(1, IDS)
        acquire, release = ids.acquire_many, ids.release_many

        def loop(n: int) -> None:
            for _ in repeat(None, n // batch):
                release(acquire(batch))

        return loop

    def cycle(self) -> Loop:
        """Put, get, ack."""
        queue = self.queue(IDS)
        put, get, ack = queue.put, queue.get, queue.ack
        body = object()

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                put(body)
                ack(get())

        return loop

    def cycle_bulk(self, batch: int) -> Loop:
        """Put, get, ack so many at once."""
        queue = self.queue(IDS)
        put, get, ack = queue.put_many, queue.get_many, queue.ack_many
        bodies = [object() for _ in range(batch)]

        def loop(n: int) -> None:
            for _ in repeat(None, n // batch):
                put(bodies)
                ack(get(batch))

        return loop

    def flow(self, bound: int) -> Flow:
        """Put here, get and ack there."""
        queue = self.queue(bound)
        put, get, ack = queue.put, queue.get, queue.ack
        body = object()

        def produce(n: int) -> None:
            for _ in repeat(None, n):
                put(body)

        def consume(n: int) -> None:
            for _ in repeat(None, n):
                ack(get())

        return Flow(produce, consume, queue.__len__)

    def create_ids(self) -> Loop:
        """An allocator of 65,535 ids."""
        make = self.allocator

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                make(1, IDS)

        return loop

    def create_queue(self) -> Loop:
        """A queue of 65,535 messages."""
        make = self.queue

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                make(IDS)

        return loop


SP2 = Variant("mtsid", Allocator, MessageQueue)
