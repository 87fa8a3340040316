"""mtsid itself, every check on; and the loops for whatever has its verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice, repeat
from random import Random
from typing import Any

from bench.harness import IDS, Loop
from bench.rivals import Rival
from bench.threads import Flow, HandOff
from mtsid import Allocator, InFlightTable, MessageQueue


@dataclass(frozen=True)
class Variant(Rival):
    """An allocator and a queue with mtsid's verbs."""

    name: str
    allocator: Callable[..., Any]
    queue: Callable[..., Any]

    def id_pair(self, live: Any = (), last: int = IDS) -> Loop:
        """Acquire and release, after a lap round the free ids, so that all is as use leaves it."""
        ids = self.allocator(1, last)
        ids.reserve_many(live)
        acquire, release = ids.acquire, ids.release

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                release(acquire())

        if len(live):
            loop(ids.available)
        return loop

    def id_bulk(self, batch: int, layout: str = "contiguous") -> Loop:
        """Acquire and release so many at once.

        "contiguous": as they come. "shuffled": each batch is released in random order. "scattered": half of all ids are
        live, at random, so that a batch is put together from gaps.
        """
        import numpy

        chance = Random(batch)
        # Ids come in order, round a range that holds a whole number of batches: so who has which next is known.
        last = IDS // batch * batch
        ids = self.allocator(1, IDS if layout == "scattered" else last)
        acquire, release = ids.acquire_many, ids.release_many
        blocks = []
        for start in range(1, last, batch):
            blocks.append(numpy.array(chance.sample(range(start, start + batch), batch), numpy.uint32))
        if layout == "scattered":
            ids.reserve_many(chance.sample(range(1, IDS + 1), IDS // 2))
        in_turn = cycle(blocks)

        def loop(n: int) -> None:
            for _ in repeat(None, n // batch):
                release(acquire(batch))

        def shuffled(n: int) -> None:
            for block in islice(in_turn, n // batch):
                acquire(batch)
                release(block)

        return shuffled if layout == "shuffled" else loop

    def cycle(self, body: Any = b"") -> Loop:
        """Put, get, ack."""
        queue = self.queue(IDS)
        put, get, ack = queue.put, queue.get, queue.ack

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

    def hand_off(self) -> HandOff:
        """Put, and a get that waits; then ack."""
        queue = self.queue(IDS)
        return HandOff(queue.put, queue.get, queue.ack)

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


class Table(Rival):
    """The map of pending requests; 4.0 has none."""

    name = "mtsid"

    def request(self, live: Any = ()) -> Loop:
        """Add and pop."""
        table: InFlightTable[object] = InFlightTable(1, IDS)
        for number in live:
            table.add(None, id=number)
        add, pop = table.add, table.pop
        request = object()

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                pop(add(request))

        return loop


TABLE = Table()
SP2 = Variant("mtsid", Allocator, MessageQueue)
