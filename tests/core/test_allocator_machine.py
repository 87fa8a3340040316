"""`Allocator` against a plain model, a set and a cursor, under whatever sequence of calls Hypothesis thinks of.

Time is the library's own clock, which the machine moves; half hours, so that what a test itself takes is of no account.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mtsid import Allocator, Exhausted, InUse, NotInUse
from mtsid.core.waiting import _advance_clock

HOUR = 3600.0


class AllocatorMachine(RuleBasedStateMachine):
    ids: Allocator

    @initialize(
        size=st.sampled_from([1, 2, 3, 31, 32, 33, 70, 2100]),
        place=st.sampled_from(["zero", "one", "end"]),
        exclude=st.sets(st.integers(0, 69), max_size=8),
        order=st.sampled_from(["cyclic", "lowest"]),
    )
    def make(self, size: int, place: str, exclude: set[int], order: Any) -> None:
        self.first = {"zero": 0, "one": 1, "end": 2**32 - size}[place]
        self.size = size
        out = {self.first + offset for offset in exclude if offset < size - 1}
        self.ids = Allocator(self.first, self.first + size - 1, exclude=out, order=order)
        self.built = set(range(self.first, self.first + size)) - out
        self.all = self.built  # those up to the bound
        self.live: set[int] = set()
        self.resting: dict[int, float | None] = {}  # until when, in half hours
        self.now = 0.0
        self.acquired = self.exhausted = self.refused = self.most = 0
        self.lowest = order == "lowest"
        self.cursor = self.first

    # The model ----------------------------------------------------------------------------------------------------

    def free_in_order(self) -> list[int]:
        """The free ids in the order in which they are to be handed out."""
        free = sorted(self.all - self.live - self.resting.keys())
        if self.lowest:
            return free
        return [id for id in free if id >= self.cursor] + [id for id in free if id < self.cursor]

    def taken(self, given: list[int]) -> None:
        assert given == self.free_in_order()[: len(given)]
        self.live.update(given)
        self.acquired += len(given)
        if given:
            self.cursor = given[-1] + 1

    def rest_of_all(self) -> set[int]:
        """Those up to the bound that rest."""
        return self.all & self.resting.keys()

    def id_of(self, offset: int) -> int:
        return self.first + offset % (self.size + 2) - 1

    # One id -------------------------------------------------------------------------------------------------------

    @rule()
    def acquire(self) -> None:
        if not self.free_in_order():
            self.exhausted += 1
            with pytest.raises(Exhausted) as caught:
                self.ids.acquire()
            error = caught.value
            assert (error.live, error.quarantined, error.capacity) == (
                len(self.all & self.live),
                len(self.rest_of_all()),
                len(self.all),
            )
        else:
            self.taken([self.ids.acquire()])

    @rule(offset=st.integers(0, 2101))
    def release(self, offset: int) -> None:
        id = self.id_of(offset)
        if id in self.live or id in self.resting:
            self.ids.release(id)
            self.live.discard(id)
            self.resting.pop(id, None)
        else:
            self.refused += 1
            with pytest.raises(NotInUse) as caught:
                self.ids.release(id)
            assert caught.value.id == id

    @rule(which=st.integers(0, 10**6))
    def release_a_live_one(self, which: int) -> None:
        if self.live:
            id = sorted(self.live)[which % len(self.live)]
            self.ids.release(id)
            self.live.remove(id)

    @rule(offset=st.integers(0, 2101))
    def reserve(self, offset: int) -> None:
        id = self.id_of(offset)
        if id not in self.all:
            with pytest.raises(ValueError):
                self.ids.reserve(id)
        elif id in self.live or id in self.resting:
            with pytest.raises(InUse) as caught:
                self.ids.reserve(id)
            assert caught.value.id == id
        else:
            self.ids.reserve(id)
            self.live.add(id)
            self.acquired += 1

    # Quarantine ---------------------------------------------------------------------------------------------------

    @rule(offset=st.integers(0, 2101), hours=st.one_of(st.none(), st.integers(0, 5)))
    def quarantine(self, offset: int, hours: int | None) -> None:
        id = self.id_of(offset)
        if id in self.live:
            self.ids.quarantine(id, None if hours is None else hours * HOUR)
            self.live.remove(id)
            self.resting[id] = None if hours is None else self.now + hours
            self.pass_time(0)
        else:
            with pytest.raises(NotInUse) as caught:
                self.ids.quarantine(id)
            assert caught.value.id == id

    @rule(part=st.integers(1, 4), hours=st.one_of(st.none(), st.integers(0, 5)))
    def quarantine_live_ones(self, part: int, hours: int | None) -> None:
        for id in sorted(self.live)[::part][:100]:
            self.quarantine(id - self.first + 1, hours)

    @rule(hours=st.sampled_from([0.5, 1.0, 2.5]))
    def pass_time(self, hours: float) -> None:
        _advance_clock(hours * HOUR)
        self.now += hours
        self.resting = {id: due for id, due in self.resting.items() if due is None or due > self.now}

    @rule(which=st.integers(0, 10**6))
    def release_a_quarantined_one(self, which: int) -> None:
        if self.resting:
            self.release(sorted(self.resting)[which % len(self.resting)] - self.first + 1)

    # The bound ----------------------------------------------------------------------------------------------------

    @rule(offset=st.one_of(st.integers(0, 2101), st.sampled_from([0, 2101])))
    def resize(self, offset: int) -> None:
        last = self.first + min(offset, self.size - 1)
        inside = {id for id in self.built if id <= last}
        if inside:
            self.ids.resize(last)
            self.all = inside
        else:
            with pytest.raises(ValueError):
                self.ids.resize(last)

    # Many ids -----------------------------------------------------------------------------------------------------

    @rule(n=st.one_of(st.integers(0, 5), st.integers(0, 2200)))
    def acquire_many(self, n: int) -> None:
        if n > len(self.free_in_order()):
            self.exhausted += 1
            with pytest.raises(Exhausted) as caught:
                self.ids.acquire_many(n)
            error = caught.value
            live, resting = len(self.all & self.live), len(self.rest_of_all())
            assert (error.live, error.quarantined, error.wanted) == (live, resting, n)
        else:
            given = self.ids.acquire_many(n).tolist()
            assert len(given) == n
            self.taken(given)

    @rule(short=st.integers(0, 2))
    def fill_up(self, short: int) -> None:
        self.acquire_many(max(0, len(self.free_in_order()) - short))

    @rule(offsets=st.lists(st.integers(0, 2101), max_size=40), spelling=st.sampled_from([list, tuple, np.array]))
    def release_many(self, offsets: list[int], spelling: Any) -> None:
        chosen = [self.id_of(offset) for offset in offsets]
        if len(set(chosen)) < len(chosen) or not self.built.issuperset(chosen):
            with pytest.raises(ValueError) as caught:
                self.ids.release_many(chosen)
            assert not isinstance(caught.value, NotInUse)
            return
        refused = tuple(id for id in chosen if id not in self.live and id not in self.resting)
        spelled = np.array(chosen, np.int64) if spelling is np.array else spelling(chosen)
        self.refused += len(refused)
        if refused:
            with pytest.raises(NotInUse) as refusal:
                self.ids.release_many(spelled)
            assert refusal.value.refused == refused
        else:
            self.ids.release_many(spelled)
        self.live.difference_update(chosen)
        for id in chosen:
            self.resting.pop(id, None)

    @rule(part=st.integers(1, 4))
    def release_many_live_ones(self, part: int) -> None:
        chosen = sorted(self.live)[::part][::-1]
        self.ids.release_many(chosen)
        self.live.difference_update(chosen)

    @rule(offsets=st.lists(st.integers(0, 2101), max_size=40))
    def reserve_many(self, offsets: list[int]) -> None:
        chosen = [self.id_of(offset) for offset in offsets]
        if len(set(chosen)) < len(chosen) or not self.all.issuperset(chosen):
            with pytest.raises(ValueError) as caught:
                self.ids.reserve_many(chosen)
            assert not isinstance(caught.value, InUse)
        elif self.live.isdisjoint(chosen) and self.resting.keys().isdisjoint(chosen):
            self.ids.reserve_many(chosen)
            self.live.update(chosen)
            self.acquired += len(chosen)
        else:
            with pytest.raises(InUse) as in_use:
                self.ids.reserve_many(chosen)
            assert in_use.value.id in (self.live | self.resting.keys()).intersection(chosen)

    @rule()
    def reset(self) -> None:
        assert self.ids.reset().tolist() == sorted(self.live)
        self.live.clear()
        self.resting.clear()

    @rule(bad=st.sampled_from([True, 1.0, "1", None, 2**70, -1]), verb=st.sampled_from(["release", "reserve", "state"]))
    def bad_input(self, bad: Any, verb: str) -> None:
        self.refused += verb == "release" and isinstance(bad, int) and not isinstance(bad, bool)
        with pytest.raises((TypeError, ValueError)):
            getattr(self.ids, verb)(bad)

    # What holds after each step -----------------------------------------------------------------------------------

    @invariant()
    def the_views_agree(self) -> None:
        if not hasattr(self, "ids"):
            return
        assert list(self.ids) == sorted(self.live)
        assert (len(self.ids), self.ids.capacity) == (len(self.live), len(self.all))
        assert self.ids.available == len(self.free_in_order())
        for id in (self.id_of(len(self.live)), *list(self.resting)[:2], max(self.all), max(self.built)):
            assert (id in self.ids) == (id in self.live)
            if id in self.live or id in self.resting:
                assert self.ids.state(id) == ("live" if id in self.live else "quarantined")
            elif id in self.all:
                assert self.ids.state(id) == "free"
            else:
                with pytest.raises(ValueError):
                    self.ids.state(id)
        self.ids._check()
        self.most = max(self.most, len(self.live))  # each step is looked at
        stats = self.ids.stats()
        assert stats == (
            len(self.all),
            len(self.live),
            len(self.resting),
            len(self.free_in_order()),
            0,
            self.most,
            self.acquired,
            self.acquired - len(self.live) - len(self.resting),
            self.exhausted,
            self.refused,
            0,
        ), stats


TestAllocatorMachine = AllocatorMachine.TestCase
TestAllocatorMachine.settings = settings(
    deadline=None, max_examples=300, stateful_step_count=40, suppress_health_check=list(HealthCheck), database=None
)
