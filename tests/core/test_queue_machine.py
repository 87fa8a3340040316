"""`MessageQueue` against a plain model, a list of messages, under whatever sequence of calls Hypothesis thinks of.

4.0 runs through the same machine with each of its defects: its numbers may be twins, all else is as sound as SP2's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import mtsid
from mtsid import AuditError, Empty, Full, Message, NotInUse, ShutDown, Stale, v40

PRIORITIES = ("urgent", "normal", "non-urgent")
priorities = st.sampled_from(PRIORITIES)


@dataclass(eq=False)
class Entry:
    number: int
    body: int
    priority: str
    deliveries: int = 0
    receipt: Message[int] | None = None

    def row(self) -> tuple[int, str, str, int]:
        return self.number, "in flight" if self.receipt else "waiting", self.priority, self.deliveries


class QueueMachine(RuleBasedStateMachine):
    defect: ClassVar[str | None] = None
    queue: Any

    @initialize(
        maxsize=st.sampled_from([1, 2, 3, 6, 300]),
        first=st.sampled_from([0, 1, 2**32 - 301]),
        most=st.sampled_from([None, 1, 2]),
    )
    def make(self, maxsize: int, first: int, most: int | None) -> None:
        self.most = None
        if self.defect is None and most:
            self.most = most
            self.queue = mtsid.MessageQueue(maxsize, first=first, max_deliveries=most, on_dead=self.on_dead)
        elif self.defect is None:
            self.queue = mtsid.MessageQueue(maxsize, first=first)
        else:
            self.queue = v40.MessageQueue(maxsize, first=first, defect=self.defect)
        self.maxsize, self.first = maxsize, first
        self.entries: list[Entry] = []  # by entry
        self.deliveries: list[Message[int]] = []  # every one there ever was
        self.bodies = 0
        self.closed: str | None = None
        self.dead: list[int] = []
        self.refuses = False
        self.most_at_once = 0
        self.counts = Counter[str]()  # what has left, and how

    # The model ----------------------------------------------------------------------------------------------------

    def waiting(self) -> list[Entry]:
        """In the order of service."""
        return sorted((e for e in self.entries if not e.receipt), key=lambda entry: PRIORITIES.index(entry.priority))

    def in_flight(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.receipt]

    def entered(self, number: int, priority: str) -> None:
        if self.defect in (None, "racy-claim"):  # a race needs two
            assert all(number != entry.number for entry in self.entries)
        assert self.first <= number < self.first + self.maxsize
        self.entries.append(Entry(number, self.bodies, priority))
        self.bodies += 1

    def taken(self, message: Message[int]) -> None:
        entry = self.waiting()[0]
        entry.deliveries += 1
        entry.receipt = message
        assert (message.mtsid, message.body, message.priority, message.deliveries) == (
            entry.number,
            entry.body,
            entry.priority,
            entry.deliveries,
        )
        self.deliveries.append(message)

    def named(self, key: Any) -> Entry | None:
        """What a delivery or a number stands for; of twins, the oldest."""
        for entry in self.entries:
            if entry.receipt is key or entry.number == key:
                return entry
        return None

    def key_of(self, kind: str, n: int) -> Any:
        """A number, a delivery of any time, or one that still holds."""
        if kind == "number":
            return self.first + n % min(self.maxsize, 8)
        if kind == "holding":
            holding = [entry.receipt for entry in self.in_flight()]
            return holding[n % len(holding)] if holding else self.first
        return self.deliveries[n % len(self.deliveries)] if self.deliveries else self.first

    def no_message(self) -> type[Exception] | None:
        """Why a get fails that does not wait; None if it succeeds."""
        if self.waiting():
            return None
        return ShutDown if self.closed and not self.in_flight() else Empty

    def gone(self, entry: Entry, how: str) -> None:
        self.entries.remove(entry)
        self.counts[how] += 1

    def on_dead(self, message: Message[int]) -> None:
        entry = self.named(message.mtsid)
        assert entry
        assert (message.body, message.deliveries) == (entry.body, entry.deliveries)
        assert self.most is not None
        assert entry.deliveries >= self.most
        if self.refuses:
            raise ZeroDivisionError
        self.dead.append(message.body)

    # In -----------------------------------------------------------------------------------------------------------

    @rule(priority=priorities)
    def put(self, priority: str) -> None:
        if self.closed or len(self.entries) == self.maxsize:
            with pytest.raises(ShutDown if self.closed else Full):
                self.queue.put(self.bodies, False, priority=priority)
        else:
            self.entered(self.queue.put(self.bodies, priority=priority), priority)

    @rule(n=st.integers(0, 7), priority=priorities)
    def put_many(self, n: int, priority: str) -> None:
        items = range(self.bodies, self.bodies + n)
        room = self.maxsize - len(self.entries)
        if self.closed or n > room:
            with pytest.raises(ShutDown if self.closed else Full):
                self.queue.put_many(items, False, priority=priority)
        else:
            for number in self.queue.put_many(items, priority=priority).tolist():
                self.entered(number, priority)

    # Out ----------------------------------------------------------------------------------------------------------

    @rule()
    def get(self) -> None:
        error = self.no_message()
        if error:
            with pytest.raises(error):
                self.queue.get(False)
        else:
            self.taken(self.queue.get())

    @rule(most=st.integers(0, 5))
    def get_many(self, most: int) -> None:
        error = self.no_message()
        if error and most:
            with pytest.raises(error):
                self.queue.get_many(most, False)
        else:
            messages = self.queue.get_many(most)
            assert len(messages) == min(most, len(self.waiting()))
            for message in messages:
                self.taken(message)

    # Settled ------------------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(["number", "delivery", "holding"]), n=st.integers(0, 1000))
    def ack(self, kind: str, n: int) -> None:
        key = self.key_of(kind, n)
        entry = self.named(key)
        if entry:
            self.queue.ack(key)
            self.gone(entry, "acked")
        else:
            self.refused(self.queue.ack, key)

    def refused(self, verb: Any, key: Any) -> None:
        if self.defect == "double-release" and verb == self.queue.ack:
            try:
                verb(key)  # which ones it believes is its own affair; no message may come to harm
            except NotInUse:
                assert isinstance(key, Message)
            return
        with pytest.raises(NotInUse) as caught:
            verb(key)
        assert type(caught.value) is (Stale if isinstance(key, Message) else NotInUse)

    @rule(kind=st.sampled_from(["number", "delivery", "holding"]), n=st.integers(0, 1000), refuses=st.booleans())
    def nack(self, kind: str, n: int, refuses: bool) -> None:
        key = self.key_of(kind, n)
        entry = self.named(key)
        if not entry:
            self.refused(self.queue.nack, key)
        elif entry.receipt and self.closed == "at once":
            with pytest.raises(ShutDown) as caught:
                self.queue.nack(key)
            assert caught.value.discarded == (entry.body,)
            self.gone(entry, "discarded")
        elif entry.receipt and self.most and entry.deliveries >= self.most:
            self.refuses = refuses
            if refuses:
                with pytest.raises(ZeroDivisionError):
                    self.queue.nack(key)
                entry.receipt = None
                self.counts["returned"] += 1
            else:
                self.queue.nack(key)
                assert self.dead.pop() == entry.body
                self.gone(entry, "dead")
        else:
            self.queue.nack(key)
            self.counts["returned"] += entry.receipt is not None
            entry.receipt = None

    @rule(settle=st.sampled_from([None, "ack", "nack", "raise"]))
    def receive(self, settle: str | None) -> None:
        if self.defect is not None or self.no_message() or (settle == "nack" and self.closed == "at once"):
            return
        entry = self.waiting()[0]
        last = self.most is not None and entry.deliveries + 1 >= self.most and settle in ("nack", "raise")
        self.refuses = False
        raised: type[Exception] | None = None
        try:
            with self.queue.receive(False) as message:
                self.taken(message)
                if settle == "raise":
                    raise KeyError
                if settle:
                    getattr(self.queue, settle)(message)
        except (KeyError, ShutDown) as error:
            raised = type(error)
        assert raised is (None if settle != "raise" else ShutDown if self.closed == "at once" else KeyError)
        if raised is ShutDown:
            self.gone(entry, "discarded")
        elif last:
            assert self.dead.pop() == entry.body
            self.gone(entry, "dead")
        elif settle in ("nack", "raise"):
            entry.receipt = None
            self.counts["returned"] += 1
        else:
            self.gone(entry, "acked")

    @rule(
        wanted=st.lists(st.tuples(st.sampled_from(["number", "delivery", "holding"]), st.integers(0, 1000)), max_size=6)
    )
    def ack_many(self, wanted: list[tuple[str, int]]) -> None:
        keys = [self.key_of(kind, n) for kind, n in wanted]
        numbers = [key for key in keys if not isinstance(key, Message)]
        deliveries = [key for key in keys if isinstance(key, Message)]
        twice = len(set(map(id, deliveries))) < len(deliveries) or len(set(numbers)) < len(numbers)
        if not twice and any(delivery.mtsid in numbers for delivery in deliveries):
            return  # whether these are one message or two has a test of its own
        if twice:
            with pytest.raises(ValueError) as caught:
                self.queue.ack_many(keys)
            assert not isinstance(caught.value, NotInUse)
            return
        refused = []
        for key in keys:
            entry = self.named(key)
            if entry:
                self.gone(entry, "acked")
            else:
                refused.append(key)
        told: tuple[Any, ...] = ()
        try:
            self.queue.ack_many(keys)
        except NotInUse as error:
            told = error.refused
        if self.defect == "double-release":
            assert set(told) <= set(refused)
        else:
            assert told == tuple(refused)

    # An operator's hand -------------------------------------------------------------------------------------------

    @rule(n=st.integers(0, 1000), delete=st.booleans())
    def peek_or_delete(self, n: int, delete: bool) -> None:
        key = self.key_of("number", n)
        entry = self.named(key)
        verb = self.queue.delete if delete else self.queue.peek
        if not entry:
            self.refused(verb, key)
            return
        assert verb(key) == entry.body
        if delete:
            self.gone(entry, "deleted")

    @rule(
        bad=st.sampled_from([True, 1.0, "1", None, 2**70, -1]), verb=st.sampled_from(["ack", "nack", "peek", "delete"])
    )
    def bad_input(self, bad: Any, verb: str) -> None:
        with pytest.raises((TypeError, ValueError)):
            getattr(self.queue, verb)(bad)

    @rule(chance=st.integers(0, 15))
    def shutdown(self, chance: int) -> None:
        if chance == 0:
            assert self.queue.shutdown() == []
            self.closed = self.closed or "gently"
        elif chance == 1:
            assert self.queue.shutdown(immediate=True) == [entry.body for entry in self.waiting()]
            for entry in self.waiting():
                self.gone(entry, "discarded")
            self.closed = "at once"

    # What holds after each step -----------------------------------------------------------------------------------

    def twins(self) -> Iterator[tuple[int, int]]:
        for number, holders in sorted(Counter(entry.number for entry in self.entries).items()):
            if holders > 1:
                yield number, holders

    @invariant()
    def the_views_agree(self) -> None:
        if not hasattr(self, "queue"):
            return
        waiting, in_flight = self.waiting(), self.in_flight()
        assert [tuple(row) for row in self.queue.snapshot().tolist()] == [entry.row() for entry in waiting + in_flight]
        assert (self.queue.qsize(), self.queue.in_flight(), len(self.queue)) == (
            len(waiting),
            len(in_flight),
            len(self.entries),
        )
        assert (self.queue.empty(), self.queue.full()) == (not waiting, len(self.entries) == self.maxsize)
        twins = tuple(self.twins())
        try:
            audit = self.queue.audit()
        except AuditError as error:
            audit = error.audit
            assert twins
        assert (audit.free, audit.waiting, audit.in_flight) == (
            self.maxsize - len(self.entries),
            len(waiting),
            len(in_flight),
        )
        assert (audit.duplicates, audit.faults) == (twins, ())
        if self.defect is None:
            stats = self.queue.stats()
            assert (stats.put, stats.got) == (self.bodies, len(self.deliveries))
            assert (stats.waiting, stats.in_flight, stats.free) == (audit.waiting, audit.in_flight, audit.free)
            for how in ("acked", "deleted", "dead", "discarded", "returned"):
                assert getattr(stats, how) == self.counts[how], how
            self.most_at_once = max(self.most_at_once, len(self.entries))
            assert stats.high_water == self.most_at_once


class DoubleRelease(QueueMachine):
    defect = "double-release"


class RacyClaim(QueueMachine):
    defect = "racy-claim"


class UncheckedWrap(QueueMachine):
    defect = "unchecked-wrap"


class PrematureStrip(QueueMachine):
    defect = "premature-strip"


TestQueueMachine = QueueMachine.TestCase
TestDoubleRelease = DoubleRelease.TestCase
TestRacyClaim = RacyClaim.TestCase
TestUncheckedWrap = UncheckedWrap.TestCase
TestPrematureStrip = PrematureStrip.TestCase
for _case, _examples in (
    (TestQueueMachine, 300),
    (TestDoubleRelease, 40),
    (TestRacyClaim, 40),
    (TestUncheckedWrap, 40),
    (TestPrematureStrip, 40),
):
    _case.settings = settings(
        deadline=None,
        max_examples=_examples,
        stateful_step_count=40,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
del _case
