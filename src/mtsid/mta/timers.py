"""Timers without a clock: what is due when, by key. The caller brings the time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Timers"]

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """At most one timer a key. Those due at the same time end in the order they were started.

    A stopped timer stays in the heap until its time has come: O(log n) to start one, O(1) to stop it.
    """

    def __init__(self) -> None:
        self._at: dict[K, tuple[float, int]] = {}  # when, and in which order started
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    def start(self, key: K, at: float) -> None:
        """Start a timer that ends at `at` (seconds), in place of the key's present one."""
        order = next(self._order)
        self._at[key] = at, order
        heapq.heappush(self._heap, (at, order, key))

    def stop(self, key: K) -> None:
        """Stop the key's timer, if it has one."""
        self._at.pop(key, None)

    def clear(self) -> None:
        """Stop every timer."""
        self._at.clear()
        self._heap.clear()

    def at(self, key: K) -> float | None:
        """Return when the key's timer ends; None: it has none."""
        found = self._at.get(key)
        return None if found is None else found[0]

    @property
    def next(self) -> float | None:
        """When the first timer ends; None: there is none."""
        heap = self._heap
        while heap:
            at, order, key = heap[0]
            if self._at.get(key) == (at, order):
                return at
            heapq.heappop(heap)
        return None

    def pop_due(self, now: float) -> K | None:
        """Take the first timer that has ended by `now` and return its key; None: there is none."""
        at = self.next
        if at is None or at > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._at[key]
        return key
