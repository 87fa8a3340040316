"""What clients write: a lock round a deque of free ids, and with it a dict and a `queue.Queue`. Checks nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from queue import Queue
from threading import Lock

from bench.harness import IDS, Loop
from bench.rivals import Rival
from bench.threads import Flow


class Locked(Rival):
    """A lock and a deque."""

    name = "lock + deque"

    def called(self, verb: str) -> str:
        """The deque alone, or all of it."""
        return f"{self.name}, dict, Queue" if verb in ("cycle", "flow") else self.name

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Take the id at one end, put it back at the other."""
        lock, free = Lock(), deque(range(1, IDS + 1 - len(live)))
        take, give = free.popleft, free.append

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                with lock:
                    number = take()
                with lock:
                    give(number)

        return loop

    def cycle(self) -> Loop:
        """Inline, in one thread."""
        lock, free = Lock(), deque(range(1, IDS + 1))
        ready: Queue[int] = Queue(IDS)
        table: dict[int, object] = {}
        take, give, put, get = free.popleft, free.append, ready.put, ready.get
        item = object()

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                with lock:
                    number = take()
                    table[number] = item
                put(number)
                number = get()
                with lock:
                    _body = table[number]
                    del table[number]
                    give(number)

        return loop

    def flow(self, bound: int) -> Flow:
        """A bounded Queue; ids are never short, so that a producer need not wait for one."""
        lock, free = Lock(), deque(range(1, IDS + 1))
        ready: Queue[int] = Queue(bound)
        table: dict[int, object] = {}
        take, give, put, get = free.popleft, free.append, ready.put, ready.get
        item = object()

        def produce(n: int) -> None:
            for _ in repeat(None, n):
                with lock:
                    number = take()
                    table[number] = item
                put(number)

        def consume(n: int) -> None:
            for _ in repeat(None, n):
                number = get()
                with lock:
                    _body = table[number]
                    del table[number]
                    give(number)

        return Flow(produce, consume, table.__len__)

    def create_ids(self) -> Loop:
        """A lock and a deque of 65,535 ids."""

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                _parts = Lock(), deque(range(1, IDS + 1))

        return loop


LOCKED = Locked()
