"""A `MessageQueue` beside a plain model, a list of messages. 4.0's goes without: it must only not crash or leak."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fuzz.source import Outcome, Session, Source
from mtsid import AuditError, Empty, Full, Message, NotInUse, ShutDown, Stale

__all__ = ["QueueSession"]

SIZES = (1, 2, 3, 5, 8, 127, 128, 129, 300)  # memory grows by 128 slots
PRIORITIES = ("urgent", "normal", "non-urgent")
DEFECTS = ("premature-strip", "double-release", "racy-claim", "unchecked-wrap")


class Body:
    """A payload that is counted while it lives, and may have last words."""

    def __init__(self, number: int, alive: set[int], last_words: Callable[[], object] | None = None) -> None:
        self.number = number
        self.alive = alive
        self.last_words = last_words
        alive.add(number)

    def __del__(self) -> None:
        self.alive.remove(self.number)
        if self.last_words:
            self.last_words()

    def __repr__(self) -> str:
        return f"body {self.number}"


def echo_into(queue: Any) -> Callable[[], None]:
    """Last words: one more message, if it is let in."""

    def put() -> None:
        with suppress(Full, ShutDown):
            queue.put("echo", False)

    return put


@dataclass(eq=False)
class Entry:
    mtsid: int
    body: int
    priority: str
    deliveries: int = 0
    receipt: Message[Body] | None = None

    def row(self) -> tuple[int, str, str, int]:
        return self.mtsid, "in flight" if self.receipt else "waiting", self.priority, self.deliveries


class QueueSession(Session):
    operations = (
        "put",
        "get",
        "ack",
        "nack",
        "put_many",
        "get_many",
        "ack_many",
        "nack_held",
        "peek",
        "delete",
        "look",
        "refuse",
        "break_off",
        "end",
    )

    def __init__(
        self,
        source: Source,
        kind: Callable[..., Any],
        *,
        modelled: bool,
        reentrant: bool = False,
        defect: bool = False,
        log: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(source, log)
        self.modelled, self.reentrant, self.sound = modelled, reentrant, not defect
        self.maxsize = SIZES[source.below(len(SIZES))]
        self.first = (0, 1, 2**32 - self.maxsize)[source.below(3)]
        options = {"defect": DEFECTS[source.below(len(DEFECTS))]} if defect else {}
        self.queue = self.call(kind, self.maxsize, first=self.first, **options).returned()
        self.entries: dict[int, Entry] = {}  # by MTSID, in the order of entry
        self.deliveries: list[Message[Body]] = []  # every one there ever was
        self.bodies = 0
        self.closed = ""
        self.alive: set[int] = set()

    # The model --------------------------------------------------------------------------------------------------------

    def waiting(self) -> list[Entry]:
        """In the order of service."""
        return sorted((e for e in self.entries.values() if not e.receipt), key=lambda e: PRIORITIES.index(e.priority))

    def in_flight(self) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.receipt]

    def body(self) -> Body:
        self.bodies += 1
        return Body(
            self.bodies, self.alive, echo_into(self.queue) if self.reentrant and self.source.byte() & 1 else None
        )

    def priority(self) -> str:
        return PRIORITIES[self.source.below(3)]

    def entered(self, mtsid: int, body: int, priority: str) -> None:
        assert self.first <= mtsid < self.first + self.maxsize, mtsid
        assert mtsid not in self.entries, f"{mtsid} is in use already"
        self.entries[mtsid] = Entry(mtsid, body, priority)

    def got(self, messages: list[Message[Body]], expected: list[Entry]) -> None:
        self.deliveries += messages
        for message, entry in zip(messages, expected, strict=False):
            entry.deliveries += 1
            entry.receipt = message
            seen = (message.mtsid, message.body.number, message.priority, message.deliveries)
            assert seen == (entry.mtsid, entry.body, entry.priority, entry.deliveries), f"{seen} instead of {entry}"

    def no_message(self) -> type[Exception]:
        """Why a get that finds nothing fails."""
        return ShutDown if self.closed and not self.in_flight() else Empty

    def key(self) -> Any:
        """A number, a delivery that still holds, or one of any time."""
        how = self.source.byte()
        if how % 4 == 0 or not self.deliveries:
            return self.first + (how >> 2) % min(self.maxsize + 1, 64)
        holding = [entry.receipt for entry in self.in_flight()]
        if how % 4 < 3 and holding:
            return holding[(how >> 2) % len(holding)]
        return self.deliveries[(how >> 2) % len(self.deliveries)]

    def named(self, key: Any) -> Entry | None:
        if not isinstance(key, Message):
            return self.entries.get(key)
        entry = self.entries.get(key.mtsid)
        return entry if entry and entry.receipt is key else None

    @staticmethod
    def refused(outcome: Outcome, key: Any) -> None:
        outcome.raised(Stale if isinstance(key, Message) else NotInUse)

    # In and out -------------------------------------------------------------------------------------------------------

    def put(self) -> None:
        body, priority = self.body(), self.priority()
        outcome = self.call(self.queue.put, body, False, priority=priority)
        if not self.modelled:
            return
        if self.closed:
            outcome.raised(ShutDown)
        elif len(self.entries) == self.maxsize:
            outcome.raised(Full, live=self.maxsize, capacity=self.maxsize)
        else:
            self.entered(outcome.returned(), body.number, priority)

    def put_many(self) -> None:
        shape = self.source.byte()
        n = shape % 8 if shape < 224 else shape - 90  # seldom more than memory grows by
        bodies, priority = [self.body() for _ in range(n)], self.priority()
        outcome = self.call(self.queue.put_many, bodies, False, priority=priority)
        if not self.modelled:
            return
        if self.closed:
            outcome.raised(ShutDown)
        elif n > self.maxsize - len(self.entries):
            outcome.raised(Full, live=len(self.entries), wanted=n)
        else:
            for body, mtsid in zip(bodies, outcome.returned().tolist(), strict=True):
                self.entered(mtsid, body.number, priority)

    def break_off(self) -> None:
        """An iterable that fails half way leaves nothing behind."""

        def broken() -> Any:
            yield self.body()
            raise ZeroDivisionError

        for verb in (self.queue.put_many, self.queue.ack_many):
            try:
                verb(broken())
            except ZeroDivisionError:
                continue
            raise AssertionError("an iterable's own exception was lost")

    def get(self) -> None:
        waiting = self.waiting()
        outcome = self.call(self.queue.get, False)
        if self.modelled and not waiting:
            outcome.raised(self.no_message())
        elif self.modelled or outcome.error is None:
            self.got([outcome.returned()], waiting)

    def get_many(self) -> None:
        most = self.source.byte()
        waiting = self.waiting()
        outcome = self.call(self.queue.get_many, most, False)
        if self.modelled and most and not waiting:
            outcome.raised(self.no_message())
        elif self.modelled or outcome.error is None:
            messages = outcome.returned()
            assert not self.modelled or len(messages) == min(most, len(waiting))
            self.got(messages, waiting)

    # Settled ----------------------------------------------------------------------------------------------------------

    def ack(self) -> None:
        key = self.key()
        outcome = self.call(self.queue.ack, key)
        if not self.modelled:
            return
        entry = self.named(key)
        if entry:
            outcome.returned()
            del self.entries[entry.mtsid]
        else:
            self.refused(outcome, key)

    def ack_many(self) -> None:
        keys = [self.key() for _ in range(self.source.below(12))]
        outcome = self.call(self.queue.ack_many, keys)
        if not self.modelled:
            return
        numbers = [key for key in keys if not isinstance(key, Message)]
        receipts = [key for key in keys if isinstance(key, Message)]
        twice = len(set(numbers)) < len(numbers) or len(set(map(id, receipts))) < len(receipts)
        if (
            twice
            or any(message.mtsid in numbers for message in receipts)
            or any(not self.first <= number < self.first + self.maxsize for number in numbers)
        ):
            outcome.raised(ValueError)
            return
        refused = []
        for key in keys:
            entry = self.named(key)
            if entry:
                del self.entries[entry.mtsid]
            else:
                refused.append(key)
        if refused:
            outcome.raised(NotInUse, refused=tuple(refused))
        else:
            outcome.returned()

    def nack(self) -> None:
        self._nack(self.key())

    def nack_held(self) -> None:
        """Messages come back in any order and go to their places: the heap's work."""
        holding = [entry.receipt for entry in self.in_flight()] if self.modelled else self.deliveries
        if holding:
            self._nack(holding[self.source.below(len(holding))])

    def _nack(self, key: Any) -> None:
        outcome = self.call(self.queue.nack, key)
        if not self.modelled:
            return
        entry = self.named(key)
        if not entry:
            self.refused(outcome, key)
        elif entry.receipt and self.closed == "at once":
            outcome.raised(ShutDown)
            assert isinstance(outcome.error, ShutDown)
            assert [body.number for body in outcome.error.discarded] == [entry.body]
            del self.entries[entry.mtsid]
        else:
            outcome.returned()
            entry.receipt = None

    # An operator's hand -----------------------------------------------------------------------------------------------

    def peek(self) -> None:
        self._by_number(self.queue.peek)

    def delete(self) -> None:
        entry = self._by_number(self.queue.delete)
        if entry:
            del self.entries[entry.mtsid]

    def _by_number(self, verb: Callable[[int], Any]) -> Entry | None:
        mtsid = self.first + self.source.below(min(self.maxsize + 1, 64))
        outcome = self.call(verb, mtsid)
        if not self.modelled:
            return None
        entry = self.named(mtsid)
        if entry:
            assert outcome.returned().number == entry.body
        else:
            outcome.raised(NotInUse, id=mtsid)
        return entry

    def refuse(self) -> None:
        """What is no key changes nothing."""
        verbs = ("ack", "nack", "peek", "delete", "ack_many", "get_many")
        verb = verbs[self.source.below(len(verbs))]
        bad = self.bad()
        if bad != () and not (verb == "get_many" and isinstance(bad, int)):
            self.call(getattr(self.queue, verb), bad).raised((TypeError, ValueError, NotInUse))

    def end(self) -> None:
        """Three bytes in four do nothing, or few sequences would be long."""
        how = self.source.byte()
        if how & 3:
            return
        at_once = bool(how & 4)
        outcome = self.call(self.queue.shutdown, at_once)
        if not self.modelled:
            return
        discarded = self.waiting() if at_once else []
        assert [body.number for body in outcome.returned()] == [entry.body for entry in discarded]
        for entry in discarded:
            del self.entries[entry.mtsid]
        self.closed = "at once" if at_once else self.closed or "gently"

    # What holds -------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        rows = [tuple(row) for row in self.queue.snapshot().tolist()]
        repr(self.queue)
        if self.modelled:
            assert rows == [entry.row() for entry in self.waiting() + self.in_flight()]

    def check(self) -> None:
        outcome = self.call(self.queue.audit)
        audit = outcome.value
        if isinstance(outcome.error, AuditError) and not self.sound:
            audit = outcome.error.audit  # 4.0 has twins; all else must be in order
            assert not audit.faults, audit
        elif outcome.error:
            raise AssertionError("the audit failed") from outcome.error
        assert audit.free + audit.waiting + audit.in_flight == self.maxsize
        if self.modelled:
            flying = len(self.in_flight())
            assert (audit.waiting, audit.in_flight) == (len(self.entries) - flying, flying)
            assert (len(self.queue), self.queue.full()) == (len(self.entries), len(self.entries) == self.maxsize)

    def finish(self) -> None:
        self.look()
        self.deliveries.clear()
        for entry in self.entries.values():
            entry.receipt = None
        if self.modelled:
            assert self.alive == {entry.body for entry in self.entries.values()}
        if len(self.queue) == 0:
            self.queue.join()
        if self.reentrant:
            self.queue.shutdown(immediate=True)  # bodies with last words hold their queue: no echo, no cycle
            self.queue.ack_many(self.queue.snapshot()["mtsid"])
            self.check()
        del self.queue
        assert not self.alive, f"bodies {self.alive} outlived their queue"
