"""The session that carries one outbound queue: sans-IO. No clock, no I/O, no threads.

Inputs are method calls that bring the time (seconds, never running backwards). What comes out: events, written to the
`EventLog` that the caller passed; messages that leave, reported one by one to `on_left`; and `wakes_at`, the time at
which the session wants its next call. It works on any queue with this project's verbs, and knows nothing of versions:
what 4.0 does otherwise, the queue does.

Source: KB Q152897 (S), the timers' defaults (K, Q234157, Q157630), and the project's model where both are silent (A):

- S: at a loss with mail queued, 4284 and 4287. K: again at every open interval while the link is down (Q175354).
- S: a collision shuts the session down and mail hangs until one of the twins leaves. A: it fires when a transfer starts
  and the MTSID resolves to two or more live entries; 4282, then 4283; the entry is requeued. Every later open gets as
  far and closes again, so the whole queue hangs, mail that came later with a higher priority included.
- K: after 144 failed opens the messages that went through all of them are returned (NDR). A: a collision's close counts
  as a failed open, an acknowledged transfer starts the count anew.
- A: a deferred message (X.400 deferred delivery) is taken out of the line at its turn and stays in flight until its
  time.

Whether an MTSID resolves to several entries is asked at every transfer, so the session keeps its own count of live
entries by MTSID, O(1) a message; an audit of the queue would be O(n) each time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from mtsid.errors import Empty, Full, NotInUse
from mtsid.mta.events import Event, EventLog
from mtsid.mta.policy import Policy
from mtsid.mta.states import TRANSITIONS, State, Way

__all__ = ["Collision", "Entry", "Priority", "Queue", "Session"]

B = TypeVar("B")

Priority = Literal["urgent", "normal", "non-urgent"]  # X.400's three (K)

LOSS = (Event(4284), Event(4287))  # K: a pair at the loss, and at every open that fails
COLLISION = (Event(4282), Event(4283))  # A: in this order


class Queue(Protocol):
    """The verbs that a session uses, with the meaning that the library's own queues give them."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None, *, priority: Priority = "normal") -> int:
        """Enter a message; return its MTSID, or raise Full."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the receipt of the next message (`.mtsid`, `.body`), or raise Empty."""

    def ack(self, message: Any) -> None:
        """Let a message leave."""

    def nack(self, message: Any) -> None:
        """Put a message back in its place."""

    def delete(self, mtsid: int) -> Any:
        """Remove the message of that number (of twins: the oldest); return its body."""

    def qsize(self) -> int:
        """Return how many messages wait."""

    def __len__(self) -> int:
        """Return how many messages wait or are in flight."""


@dataclass(slots=True, eq=False)
class Entry(Generic[B]):
    """One message in the queue: what the session knows of it beside the caller's own `body`."""

    body: B
    entered: float
    mtsid: int = -1  # -1: it never entered (queue full)
    not_before: float | None = None  # deferred delivery: no transfer starts before that time
    failures_before: int = 0  # the session's count of failed opens when this message entered
    transfers: int = 0  # transfers started
    lost_at: float | None = None  # when the transport was last lost with this message in transfer
    left_at: float | None = None
    way: Way | None = None  # how it left; None while it is queued


@dataclass(frozen=True)
class Collision:
    """What shut the session down: a transfer was to start, but its MTSID stands for several live messages."""

    time: float
    mtsid: int
    entries: int  # live entries with that MTSID, two or more


class Session(Generic[B]):
    """One queue's session. `state` is its state, `collision` the one that holds the queue now (None: none does)."""

    def __init__(
        self,
        queue: Queue,
        *,
        log: EventLog | None = None,
        policy: Policy | None = None,
        on_left: Callable[[Entry[B]], None] | None = None,
    ) -> None:
        self.queue = queue
        self.log = EventLog() if log is None else log
        self.policy = Policy() if policy is None else policy
        self.state = State.IDLE
        self.link_is_up = True
        self.collision: Collision | None = None
        self.shutdowns = 0  # closes by a collision
        self.duplicates = 0  # entrants that were given an MTSID then live
        self.stale_acknowledgements = 0  # refused by the queue, as they should be
        self.in_transfer: Entry[B] | None = None
        self._receipt: Any = None  # of the message in transfer
        self.last_acknowledged: Entry[B] | None = None
        self._last_receipt: Any = None  # its receipt, for a peer that repeats itself
        self._entries: dict[int, Entry[B]] = {}  # by id(entry), in order of entry
        self._live: Counter[int] = Counter()  # live entries by MTSID
        self._deferred: list[tuple[float, int, Any, Entry[B]]] = []  # heap: in flight, waiting for their time
        self._deferrals = 0
        self._opens_at = 0.0  # meaningful in RETRY and HELD
        self._failures = 0  # failed opens, ever
        self._forgiven = 0  # their count at the last acknowledged transfer
        self._on_left = on_left

    # What a driver asks

    @property
    def wakes_at(self) -> float | None:
        """When to call `open` (closed) or `start` (open) next, in seconds; None: not before another input."""
        if self.state is State.TRANSFER:
            return None
        if self.state in (State.RETRY, State.HELD):
            return self._opens_at
        if self.queue.qsize():
            return float("-inf")  # at once
        return self._deferred[0][0] if self._deferred else None

    def entries(self) -> Iterator[Entry[B]]:
        """Iterate over the messages in the queue, oldest first, those in flight included."""
        return iter(list(self._entries.values()))

    def live(self, mtsid: int) -> int:
        """Return how many messages in the queue have this MTSID: 0, 1, or more for twins."""
        return self._live[mtsid]

    def __len__(self) -> int:
        """Return how many messages are in the queue, waiting and in flight."""
        return len(self._entries)

    # Inputs: mail

    def enter(self, now: float, body: B, *, priority: Priority = "normal", not_before: float | None = None) -> Entry[B]:
        """Enter a message. A full queue returns it to its sender at once: its `way` is then QUEUE_FULL."""
        entry = Entry(body, now, not_before=not_before, failures_before=self._failures)
        try:
            entry.mtsid = self.queue.put(entry, False, priority=priority)
        except Full:
            self._report(now, entry, Way.QUEUE_FULL)
            return entry
        self._entries[id(entry)] = entry
        self._live[entry.mtsid] += 1
        if self._live[entry.mtsid] > 1:
            self.duplicates += 1
        return entry

    def delete(self, now: float, mtsid: int) -> Entry[B]:
        """Delete as an operator does, by number: of twins the oldest goes. Raises NotInUse for a number not live."""
        return self._remove(now, mtsid, Way.OPERATOR)

    def left_elsewhere(self, now: float, entry: Entry[B], way: Way) -> None:
        """Note that a message left the queue past this session: settled by a receipt, on another association, say.

        Raises NotInUse if it is not in the queue by this session's count.
        """
        if id(entry) not in self._entries:
            raise NotInUse(f"the message that entered at {entry.entered} is not queued", id=entry.mtsid)
        self._leave(now, entry, way)

    # Inputs: the association

    def open(self, now: float) -> bool:
        """Open the association; return whether it stands. Only in IDLE, RETRY and HELD.

        With the link down the open fails: 4284 and 4287, and the next one is due after the open interval.
        With no mail left nothing is opened.
        """
        if not self._has_mail(now):
            self.collision = None
            if self.state is not State.IDLE:
                self._go(State.IDLE)
            return False
        if self.link_is_up:
            self._go(State.OPEN)
            return True
        first = self.state is State.IDLE  # the first open is not yet a retry
        self._go(State.RETRY)
        self._opens_at = now + self.policy.open_interval
        self._write(now, LOSS)
        if not first:
            self._failed(now)
        return False

    def start(self, now: float) -> Entry[B] | None:
        """Start the next transfer and return its entry; only in OPEN.

        None: there is nothing to send, or a collision has just shut the session down (then `state` is HELD).
        """
        if self.state is not State.OPEN:
            raise RuntimeError(f"a transfer cannot start in state {self.state.value!r}: open the session first")
        if self.collision is not None and self._live[self.collision.mtsid] > 1:
            self._collide(now, self.collision.mtsid)  # nothing moves before a twin leaves, urgent mail neither
            return None
        receipt = self._next_receipt(now)
        if receipt is None:
            return None
        entry: Entry[B] = receipt.body
        if self._live[receipt.mtsid] > 1:
            self.queue.nack(receipt)
            self._collide(now, receipt.mtsid)
            return None
        self.collision = None
        self._go(State.TRANSFER)
        entry.transfers += 1
        self.in_transfer, self._receipt = entry, receipt
        return entry

    def acknowledged(self, now: float) -> Entry[B]:
        """Note that the peer acknowledged the message in transfer: it leaves. Only in TRANSFER."""
        if self.in_transfer is None:
            raise RuntimeError(f"nothing is in transfer in state {self.state.value!r}")
        entry, receipt = self.in_transfer, self._receipt
        self._end_transfer(State.OPEN)
        self._forgiven = self._failures
        try:
            self.queue.ack(receipt)
        except NotInUse:  # an operator deleted it meanwhile
            self.stale_acknowledgements += 1
        else:
            self.last_acknowledged, self._last_receipt = entry, receipt
            self._leave(now, entry, Way.DELIVERED)
        return entry

    def acknowledgement_repeated(self) -> bool:
        """Note that the peer repeated its last acknowledgement; return whether the queue took it a second time.

        A peer does so after a re-connection, when it cannot know that the first one arrived. SP2 refuses it as stale;
        4.0 with `double-release` takes it, and its MTSID is free twice.
        """
        if self._last_receipt is None:
            return False
        try:
            self.queue.ack(self._last_receipt)
        except NotInUse:
            self.stale_acknowledgements += 1
            return False
        return True

    # Inputs: the link

    def link_down(self, now: float) -> None:
        """Note that the transport is lost: a message in transfer goes back to its place in the queue.

        With mail queued, 4284 and 4287 are logged, and the next open is due after the open interval.
        """
        self.link_is_up = False
        if self.state not in (State.OPEN, State.TRANSFER):
            return
        entry, receipt = self.in_transfer, self._receipt
        self._end_transfer()
        if entry is not None and entry.way is None:
            entry.lost_at = now
            self.queue.nack(receipt)
        if self._has_mail(now):
            self._go(State.RETRY)
            self._opens_at = now + self.policy.open_interval
            self._write(now, LOSS)
        else:
            self._go(State.IDLE)

    def link_up(self, now: float) -> None:
        """Note that the transport is back: a session that waits for its interval opens after the recovery time."""
        self.link_is_up = True
        if self.state is State.RETRY:
            self._opens_at = min(self._opens_at, now + self.policy.recovery)

    # Inside

    def _go(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"no transition from {self.state.value!r} to {state.value!r}")
        self.state = state

    def _write(self, now: float, events: tuple[Event, ...]) -> None:
        for event in events:
            self.log.write(now, event)

    def _has_mail(self, now: float) -> bool:
        return self.queue.qsize() > 0 or (bool(self._deferred) and self._deferred[0][0] <= now)

    def _next_receipt(self, now: float) -> Any:
        """Take the next message whose time has come, setting aside those whose time has not; None: there is none."""
        while self._deferred and self._deferred[0][0] <= now:
            _, _, receipt, entry = heapq.heappop(self._deferred)
            if entry.way is None:  # else it left meanwhile: an operator's delete
                return receipt
        while True:
            try:
                receipt = self.queue.get(False)
            except Empty:
                return None
            entry = receipt.body
            if entry.not_before is None or entry.not_before <= now:
                return receipt
            self._deferrals += 1  # breaks ties: receipts have no order
            heapq.heappush(self._deferred, (entry.not_before, self._deferrals, receipt, entry))

    def _collide(self, now: float, mtsid: int) -> None:
        """Shut the session down: 4282, 4283, the next open after the interval."""
        again = self.collision is not None
        self.collision = Collision(now, mtsid, self._live[mtsid])
        self.shutdowns += 1
        self._go(State.HELD)
        self._opens_at = now + self.policy.open_interval
        self._write(now, COLLISION)
        if again:
            self._failed(now)

    def _failed(self, now: float) -> None:
        """Count a failed open; return to their senders the messages that went through too many of them."""
        self._failures += 1
        retries = self.policy.open_retries
        if self._failures - self._forgiven < retries:
            return
        patience = retries * self.policy.open_interval
        due = []
        for entry in self._entries.values():
            if self._failures - max(entry.failures_before, self._forgiven) < retries:
                break  # entered later, and so did all that follow
            if entry.not_before is None or entry.not_before + patience <= now:  # the same patience, from its time on
                due.append(entry)
        for entry in due:
            if entry.way is None:  # else its number found it already, in the place of its twin
                self._remove(now, entry.mtsid, Way.RETRIES)

    def _remove(self, now: float, mtsid: int, way: Way) -> Entry[B]:
        # The body tells which of two twins went: the number cannot.
        entry: Entry[B] = self.queue.delete(mtsid)
        self._leave(now, entry, way)
        return entry

    def _end_transfer(self, state: State | None = None) -> None:
        self.in_transfer = self._receipt = None
        if state is not None:
            self._go(state)

    def _leave(self, now: float, entry: Entry[B], way: Way) -> None:
        del self._entries[id(entry)]
        self._live[entry.mtsid] -= 1
        if not self._live[entry.mtsid]:
            del self._live[entry.mtsid]
        self._report(now, entry, way)

    def _report(self, now: float, entry: Entry[B], way: Way) -> None:
        entry.left_at, entry.way = now, way
        if self._on_left is not None:
            self._on_left(entry)
