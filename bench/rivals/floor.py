"""The floor: compiled methods without work (floor.pyx). Nothing that is called from Python can cost less."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from pathlib import Path

from bench.compiled import cython_module
from bench.harness import Loop
from bench.rivals import Rival

SOURCE = Path(__file__).with_name("floor.pyx")


class Floor(Rival):
    """Calls, arguments and results by themselves."""

    name = "compiled calls without work"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Two calls; one returns a fresh int, the other takes one."""
        ids = cython_module(SOURCE).Ids()
        acquire, release = ids.acquire, ids.release

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                release(acquire())

        return loop

    def cycle(self) -> Loop:
        """Three calls; one returns a fresh int, one a fresh message."""
        queue = cython_module(SOURCE).Queue()
        put, get, ack = queue.put, queue.get, queue.ack
        body = object()

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                put(body)
                ack(get())

        return loop

    def cycle_bulk(self, batch: int) -> Loop:
        """Three calls; one returns so many fresh messages."""
        queue = cython_module(SOURCE).Queue()
        put, get, ack = queue.put_many, queue.get_many, queue.ack_many
        bodies = [object() for _ in range(batch)]

        def loop(n: int) -> None:
            for _ in repeat(None, n // batch):
                put(bodies)
                ack(get(batch))

        return loop


FLOOR = Floor()
