"""4.0's `Allocator` against a plain model of its free list, defect by defect: the defect is as exact as the rest."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mtsid import Exhausted, InUse, NotInUse
from mtsid.v40 import Allocator


class DoubleRelease(RuleBasedStateMachine):
    """Twice released, twice on the free list."""

    defect: ClassVar[Any] = "double-release"
    ids: Allocator

    @initialize(
        size=st.sampled_from([1, 2, 3, 64, 70]), first=st.sampled_from([0, 1, 2**32 - 70]), lowest=st.booleans()
    )
    def make(self, size: int, first: int, lowest: bool) -> None:
        out = {first + 1} if size > 2 else set()
        order: Any = "lowest" if lowest else "cyclic"
        self.ids = Allocator(first, first + size - 1, exclude=out, order=order, defect=self.defect)
        self.all = [id for id in range(first, first + size) if id not in out]
        self.spare = Counter(self.all)  # how often each is on the free list
        self.holders: Counter[int] = Counter()
        self.first, self.size, self.lowest, self.next = first, size, lowest, first

    def looked_up(self) -> int | None:
        """The id that is handed out next."""
        free = [id for id in self.all if self.spare[id]]
        behind = [] if self.lowest else [id for id in free if id >= self.next]
        return (behind + free + [None])[0]

    def claimed(self, id: int) -> None:
        self.spare[id] = max(0, self.spare[id] - 1)
        self.holders[id] += 1
        self.next = id + 1

    def believed(self, id: int) -> bool:
        """Is a release of this id, which nobody holds, taken for good?"""
        return True

    def given_back(self, id: int) -> bool:
        if self.holders[id] == 0:
            if self.believed(id):
                self.spare[id] += 1
                return True
            return False
        self.holders[id] -= 1
        if self.holders[id] == 0:
            self.spare[id] += 1
        return True

    def id_of(self, n: int) -> int:
        return self.all[n % len(self.all)]

    @rule()
    def acquire(self) -> None:
        expected = self.looked_up()
        if expected is None:
            with pytest.raises(Exhausted):
                self.ids.acquire()
        else:
            assert self.ids.acquire() == expected
            self.claimed(expected)

    @rule(n=st.integers(0, 71))
    def acquire_many(self, n: int) -> None:
        if (
            n > len(self.all)
            or (self.looked_up() is None and n)
            or (self.defect != "unchecked-wrap" and n > self.spares())
        ):
            with pytest.raises(Exhausted):
                self.ids.acquire_many(n)
            return
        for id in self.ids.acquire_many(n).tolist():
            assert id == self.looked_up()
            self.claimed(id)

    def spares(self) -> int:
        return sum(self.spare.values())

    @rule(n=st.integers(0, 1000))
    def release(self, n: int) -> None:
        id = self.id_of(n)
        if self.given_back(id):
            self.ids.release(id)
        else:
            with pytest.raises(NotInUse):
                self.ids.release(id)

    @rule(wanted=st.sets(st.integers(0, 69), max_size=10))
    def release_many(self, wanted: set[int]) -> None:
        chosen = list({self.id_of(n) for n in wanted})
        refused = tuple(id for id in chosen if not self.given_back(id))
        if refused:
            with pytest.raises(NotInUse) as caught:
                self.ids.release_many(chosen)
            assert caught.value.refused == refused
        else:
            self.ids.release_many(chosen)

    @rule(n=st.integers(0, 1000))
    def reserve(self, n: int) -> None:
        id, before = self.id_of(n), self.next
        if self.holders[id]:
            with pytest.raises(InUse):
                self.ids.reserve(id)
        else:
            self.ids.reserve(id)
            self.claimed(id)
            self.next = before

    @rule()
    def reset(self) -> None:
        live = sorted(self.holders.elements())
        assert self.ids.reset().tolist() == live
        for id in live:
            self.given_back(id)

    @invariant()
    def the_views_agree(self) -> None:
        if hasattr(self, "ids"):
            assert list(self.ids) == sorted(self.holders.elements())
            assert (len(self.ids), self.ids.available) == (sum(self.holders.values()), self.spares())


class RacyClaim(DoubleRelease):
    """Alone, a thread wins every race."""

    defect = "racy-claim"

    def believed(self, id: int) -> bool:
        return False


class UncheckedWrap(RacyClaim):
    """Whatever the counter says, held or not."""

    defect = "unchecked-wrap"

    def looked_up(self) -> int | None:
        return next((id for id in self.all if id >= self.next), self.all[0])


TestDoubleRelease = DoubleRelease.TestCase
TestRacyClaim = RacyClaim.TestCase
TestUncheckedWrap = UncheckedWrap.TestCase
TestDoubleRelease.settings = TestRacyClaim.settings = TestUncheckedWrap.settings = settings(
    deadline=None, max_examples=80, stateful_step_count=40, suppress_health_check=list(HealthCheck), database=None
)
