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

    def called(self, verb: str) -> str:
        """With a dict, where there is something to keep; what is a key of it is in use."""
        return f"{self.name}, dict" if verb == "request" else self.name

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

    def request(self, live: Sequence[int] = ()) -> Loop:
        """The map of pending requests that clients keep: the next number that is no key of it."""
        lock, last = Lock(), 0
        pending: dict[int, object] = dict.fromkeys(live)
        request = object()

        def add(payload: object) -> int:
            nonlocal last
            with lock:
                if len(pending) == IDS:
                    raise RuntimeError("all are in use")
                while True:
                    last = last + 1 if last < IDS else 1
                    if last not in pending:
                        pending[last] = payload
                        return last

        def pop(number: int) -> object:
            with lock:
                return pending.pop(number)

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                pop(add(request))

        return loop


COUNTER = Counter()
