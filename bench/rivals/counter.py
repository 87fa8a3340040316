"""What a careful client writes: a lock round a counter that looks whether a number is in use before it gives it out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from threading import Lock

from bench.harness import IDS, Loop
from bench.rivals import Rival


class Counter(Rival):
    """A lock, a counter and the set of what is in use."""

    name = "lock + counter, checked"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Count on to a number that is not in use; a release of one that is not is refused."""
        lock, used, last = Lock(), set(live), 0

        def acquire() -> int:
            nonlocal last
            with lock:
                if len(used) == IDS:
                    raise RuntimeError("all are in use")
                while True:
                    last = last + 1 if last < IDS else 1
                    if last not in used:
                        used.add(last)
                        return last

        def release(number: int) -> None:
            with lock:
                used.remove(number)

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                release(acquire())

        return loop


COUNTER = Counter()
