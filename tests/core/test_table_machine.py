"""`InFlightTable` against a plain model, dicts and a cursor, under whatever sequence of calls Hypothesis thinks of.

Time is the library's own clock, which the machine moves; half hours, so that what a test itself takes is of no account.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mtsid import Exhausted, InFlightTable, InUse, Late, NotInUse, Stale
from mtsid.core.waiting import _advance_clock

HOUR = 3600.0
offsets = st.integers(0, 4201)
how_many = st.integers(1, 300)
whiles = st.one_of(st.none(), st.integers(0, 5))


class TableMachine(RuleBasedStateMachine):
    table: InFlightTable[object]

    @initialize(
        size=st.sampled_from([1, 2, 3, 63, 64, 65, 130, 300, 4200]),
        place=st.sampled_from(["zero", "one", "end"]),
        exclude=st.sets(st.integers(0, 129), max_size=8),
        order=st.sampled_from(["cyclic", "lowest"]),
    )
    def make(self, size: int, place: str, exclude: set[int], order: Any) -> None:
        self.first = {"zero": 0, "one": 1, "end": 2**32 - size}[place]
        self.size = size
        out = {self.first + offset for offset in exclude if offset < size - 1}
        self.table = InFlightTable(self.first, self.first + size - 1, exclude=out, order=order)
        self.all = set(range(self.first, self.first + size)) - out
        self.live: dict[int, object] = {}
        self.resting: dict[int, float | None] = {}  # until when, in half hours
        self.generations: dict[int, int] = {}  # of both
        self.over: list[tuple[int, int]] = []  # ids and generations of uses that are over
        self.seen: set[int] = set()
        self.now = 0.0
        self.added = self.exhausted = self.refused = self.late = self.stale = self.most = 0
        self.lowest = order == "lowest"
        self.cursor = self.first

    # The model ----------------------------------------------------------------------------------------------------

    def next_free(self) -> int | None:
        free = self.all - self.live.keys() - self.resting.keys()
        if not free:
            return None
        behind = [] if self.lowest else [id for id in free if id >= self.cursor]
        return min(behind or free)

    def began(self, id: int, payload: object) -> None:
        self.live[id] = payload
        self.generations[id] = self.table.generation(id)
        assert self.generations[id] not in self.seen
        self.seen.add(self.generations[id])
        self.added += 1
        self.most = max(self.most, len(self.live))

    def ended(self, id: int) -> None:
        self.live.pop(id, None)
        self.resting.pop(id, None)
        self.over.append((id, self.generations.pop(id)))

    def id_of(self, offset: int) -> int:
        return self.first + offset % (self.size + 2) - 1

    # The verbs ----------------------------------------------------------------------------------------------------

    @rule()
    def add(self) -> None:
        expected = self.next_free()
        payload = object()
        if expected is None:
            self.exhausted += 1
            with pytest.raises(Exhausted) as caught:
                self.table.add(payload)
            error = caught.value
            assert (error.live, error.quarantined, error.capacity) == (
                len(self.live),
                len(self.resting),
                len(self.all),
            )
        else:
            assert self.table.add(payload) == expected
            self.began(expected, payload)
            self.cursor = expected + 1

    @rule(count=how_many)
    def add_some(self, count: int) -> None:
        for _ in range(count):
            self.add()

    @rule(offset=offsets)
    def reserve(self, offset: int) -> None:
        id = self.id_of(offset)
        payload = object()
        if id not in self.all:
            with pytest.raises(ValueError):
                self.table.add(payload, id=id)
        elif id in self.live or id in self.resting:
            with pytest.raises(InUse) as caught:
                self.table.add(payload, id=id)
            assert caught.value.id == id
        else:
            assert self.table.add(payload, id=id) == id
            self.began(id, payload)

    @rule(offset=offsets, known=st.booleans())
    def pop(self, offset: int, known: bool) -> None:
        id = self.id_of(offset)
        options = {"generation": self.generations[id]} if known and id in self.generations else {}
        if id in self.live:
            assert self.table.pop(id, **options) is self.live[id]
            self.ended(id)
        elif id in self.resting:
            self.late += 1
            with pytest.raises(Late):
                self.table.pop(id, **options)
            self.ended(id)
        else:
            self.refused += 1
            with pytest.raises(NotInUse) as caught:
                self.table.pop(id)
            assert type(caught.value) is NotInUse

    @rule(part=st.integers(1, 4), which=st.integers(0, 4200), count=how_many)
    def pop_live_ones(self, part: int, which: int, count: int) -> None:
        for id in (sorted(self.live)[which % (len(self.live) + 1) :] or sorted(self.live))[::part][:count]:
            self.pop(id - self.first + 1, False)

    @rule(which=st.integers(0, 10**6), verb=st.sampled_from(["pop", "quarantine"]))
    def an_old_generation(self, which: int, verb: str) -> None:
        if self.over:
            id, generation = self.over[which % len(self.over)]
            self.stale += 1
            with pytest.raises(Stale):
                getattr(self.table, verb)(id, generation=generation)

    @rule(offset=offsets, hours=whiles)
    def quarantine(self, offset: int, hours: int | None) -> None:
        id = self.id_of(offset)
        if id in self.live:
            assert self.table.quarantine(id, None if hours is None else hours * HOUR) is self.live.pop(id)
            self.resting[id] = None if hours is None else self.now + hours
            self.pass_time(0)
        else:
            self.refused += 1
            with pytest.raises(NotInUse) as caught:
                self.table.quarantine(id)
            assert caught.value.id == id

    @rule(part=st.integers(1, 4), hours=whiles, count=how_many)
    def quarantine_live_ones(self, part: int, hours: int | None, count: int) -> None:
        for id in sorted(self.live)[::part][:count]:
            self.quarantine(id - self.first + 1, hours)

    @rule(which=st.integers(0, 10**6))
    def a_late_answer(self, which: int) -> None:
        if self.resting:
            self.pop(sorted(self.resting)[which % len(self.resting)] - self.first + 1, False)

    @rule(hours=st.sampled_from([0.5, 1.0, 2.5]))
    def pass_time(self, hours: float) -> None:
        _advance_clock(hours * HOUR)
        self.now += hours
        for id, due in list(self.resting.items()):
            if due is not None and due <= self.now:
                self.ended(id)

    @rule()
    def reset(self) -> None:
        pairs = self.table.reset()
        assert [id for id, _ in pairs] == sorted(self.live)
        assert all(payload is self.live[id] for id, payload in pairs)
        for id in [*self.live, *self.resting]:
            self.ended(id)

    # What holds at all times --------------------------------------------------------------------------------------

    @invariant()
    def it_shows_what_the_model_has(self) -> None:
        if not hasattr(self, "live"):
            return
        stats = self.table.stats()
        assert stats._asdict() == {
            "capacity": len(self.all),
            "live": len(self.live),
            "quarantined": len(self.resting),
            "available": len(self.all) - len(self.live) - len(self.resting),
            "waiting": 0,
            "high_water": self.most,
            "added": self.added,
            "released": self.added - len(self.live) - len(self.resting),
            "exhausted": self.exhausted,
            "refused": self.refused,
            "late": self.late,
            "stale": self.stale,
        }
        assert list(self.table.items()) == sorted(self.live.items())
        assert list(self.table) == sorted(self.live)
        assert (len(self.table), bool(self.table)) == (len(self.live), bool(self.live))
        self.table._check()

    @rule(offset=offsets)
    def look(self, offset: int) -> None:
        id = self.id_of(offset)
        assert (id in self.table) == (id in self.live)
        assert self.table.get(id) is self.live.get(id)
        if id in self.all:
            state = "live" if id in self.live else "quarantined" if id in self.resting else "free"
            assert self.table.state(id) == state
        else:
            with pytest.raises(ValueError):
                self.table.state(id)
        if id in self.generations:
            assert self.table.generation(id) == self.generations[id]
        else:
            with pytest.raises(NotInUse):
                self.table.generation(id)


TestTableMachine = TableMachine.TestCase
TestTableMachine.settings = settings(
    deadline=None, max_examples=300, stateful_step_count=40, suppress_health_check=list(HealthCheck), database=None
)
