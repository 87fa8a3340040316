"""The queue to one next hop: its messages, their MTSIDs, the collision, deferred mail, and non-delivery.

Source: KB Q152897 (S), the retries' default (K, Q157630), and the project's model where both are silent (A):

- S: a collision shuts the session down and mail hangs until one of the twins leaves. A: it fires when a transfer starts
  and the MTSID resolves to two or more live entries; the entry is requeued. Every later open gets as far and closes
  again, so the whole queue hangs, mail that came later with a higher priority included.
- K: after 144 failed opens the messages that went through all of them are returned (NDR). A: a collision's close counts
  as a failed open, an acknowledged transfer starts the count anew.
- A: a deferred message (X.400 deferred delivery) is taken out of the line at its turn and stays in flight until its
  time.

Whether an MTSID resolves to several entries is asked at every transfer, so the hop keeps its own count of live entries
by MTSID, O(1) a message; an audit of the queue would be O(n) each time. It works on any queue with this project's
verbs, and knows nothing of versions: what 4.0 does otherwise, the queue does. Nothing of associations, control blocks
or events either: agent.py brings them together.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mtsid.errors import Empty, Full, NotInUse
from mtsid.mta.message import Entry, Priority, Queue, Way
from mtsid.mta.policy import Policy
from mtsid.mta.session import TURNS, SessionState, Turn

__all__ = ["Collision", "NextHop"]

B = TypeVar("B")


@dataclass(frozen=True)
class Collision:
    """What shut the session down: a transfer was to start, but its MTSID stands for several live messages."""

    time: float
    mtsid: int
    entries: int  # live entries with that MTSID, two or more


class NextHop(Generic[B]):
    """One next hop. `state` is its session's, `collision` the one that holds the queue now (None: none does).

    Its methods are the MTA's to call; a user reads its attributes, and its entries.
    """

    def __init__(
        self,
        name: str,
        entity: str,
        queue: Queue,
        policy: Policy,
        on_left: Callable[[Entry[B]], None] | None = None,
    ) -> None:
        self.name = name
        self.entity = entity
        self.queue = queue
        self.state = SessionState.IDLE
        self.collision: Collision | None = None
        self.shutdowns = 0  # closes by a collision
        self.duplicates = 0  # entrants that were given an MTSID then live
        self.stale_acknowledgements = 0  # refused by the queue, as they should be
        self.last_acknowledged: Entry[B] | None = None
        self._policy = policy
        self._last_receipt: Any = None  # of last_acknowledged, for a peer that repeats itself
        self._entries: dict[int, Entry[B]] = {}  # by id(entry), in order of entry
        self._live: Counter[int] = Counter()  # live entries by MTSID
        self._deferred: list[tuple[float, int, Any, Entry[B]]] = []  # heap: in flight, waiting for their time
        self._deferrals = 0
        self._failures = 0  # failed opens, ever
        self._counted_to: float | None = None  # in a row of failures: until when they are counted; None: in no row
        self._forgiven = 0  # their count at the last acknowledged transfer
        self._on_left = on_left

    # Views

    def entries(self) -> Iterator[Entry[B]]:
        """Iterate over the messages in the queue, oldest first, those in flight included."""
        return iter(list(self._entries.values()))

    def live(self, mtsid: int) -> int:
        """Return how many messages in the queue have this MTSID: 0, 1, or more for twins."""
        return self._live[mtsid]

    def __len__(self) -> int:
        """Return how many messages are in the queue, waiting and in flight."""
        return len(self._entries)

    def has_mail(self, now: float) -> bool:
        """Return whether something wants to be sent."""
        if self.queue.qsize():
            return True
        due = self.deferred_until
        return due is not None and due <= now

    @property
    def deferred_until(self) -> float | None:
        """When the next deferred message has its time; None: none waits for one."""
        deferred = self._deferred
        while deferred and deferred[0][3].way is not None:  # it left meanwhile: an operator's delete
            heapq.heappop(deferred)
        return deferred[0][0] if deferred else None

    # Mail

    def enter(self, now: float, entry: Entry[B], priority: Priority) -> None:
        """Enter a message. A full queue returns it to its sender at once: its `way` is then QUEUE_FULL."""
        entry.failures_before = self._failures + self._uncounted(now)
        try:
            entry.mtsid = self.queue.put(entry, False, priority=priority)
        except Full:
            self._report(now, entry, Way.QUEUE_FULL)
            return
        self._entries[id(entry)] = entry
        self._live[entry.mtsid] += 1
        if self._live[entry.mtsid] > 1:
            self.duplicates += 1

    def delete(self, now: float, mtsid: int, way: Way = Way.OPERATOR) -> Entry[B]:
        """Delete as an operator does, by number: of twins the oldest goes. Raises NotInUse for a number not live."""
        # The body tells which of two twins went: the number cannot.
        entry: Entry[B] = self.queue.delete(mtsid)
        self._leave(now, entry, way)
        return entry

    def left_elsewhere(self, now: float, entry: Entry[B], way: Way) -> None:
        """Note that a message left the queue past this MTA: somebody settled its receipt.

        Raises NotInUse if it is not in the queue by this hop's count.
        """
        if id(entry) not in self._entries:
            raise NotInUse(f"the message that entered at {entry.entered} is not queued", id=entry.mtsid)
        self._leave(now, entry, way)

    # Transfers

    def take(self, now: float) -> Any:
        """Return the receipt of the next message to carry, None if there is none, or the Collision that forbids it."""
        if self.collision is not None and self._live[self.collision.mtsid] > 1:
            return self._collide(now, self.collision.mtsid)  # nothing moves before a twin leaves, urgent mail neither
        receipt = self._next_receipt(now)
        if receipt is None:
            return None
        if self._live[receipt.mtsid] > 1:
            self.queue.nack(receipt)
            return self._collide(now, receipt.mtsid)
        self.collision = None
        receipt.body.transfers += 1
        return receipt

    def acknowledge(self, now: float, receipt: Any) -> None:
        """Let a message leave: the peer has it. An operator may have deleted it meanwhile."""
        self._forgiven, self._counted_to = self._failures, None
        try:
            self.queue.ack(receipt)
        except NotInUse:
            self.stale_acknowledgements += 1
        else:
            self.last_acknowledged, self._last_receipt = receipt.body, receipt
            if receipt.body.way is None:  # else it was deleted, and 4.0 with double-release takes the receipt once more
                self._leave(now, receipt.body, Way.DELIVERED)

    def acknowledgement_repeated(self) -> bool:
        """Take the last acknowledgement once more; return whether the queue took it, too. It should be stale."""
        if self._last_receipt is None:
            return False
        try:
            self.queue.ack(self._last_receipt)
        except NotInUse:
            self.stale_acknowledgements += 1
            return False
        return True

    def give_back(self, now: float, receipt: Any) -> None:
        """Put a message whose transfer was broken off back in its place, unless it left meanwhile."""
        entry: Entry[B] = receipt.body
        if entry.way is None:
            entry.lost_at = now
            self.queue.nack(receipt)

    # The session

    def turn(self, turn: Turn) -> None:
        """Change the session's state, as the table allows."""
        after = TURNS.get((self.state, turn))
        if after is None:
            raise RuntimeError(f"no turn {turn.value!r} in state {self.state.value!r}: a defect of mtsid")
        self.state = after
        resolved = self.collision is not None and self._live[self.collision.mtsid] < 2
        if turn is Turn.EMPTY or (turn is Turn.RESTART and resolved):
            self.collision = None
        if turn in (Turn.EMPTY, Turn.RESTART):
            self._counted_to = None

    def failed(self, now: float) -> None:
        """Count a failure: an open that failed, a loss, a collision; return the messages that went through too many.

        The first of a row is not yet a retry. After it one counts for each interval, as if the opens came by the clock:
        a link that cycles up and down brings on more of them, and would use up a day's retries in hours (A).
        By number, as everything leaves that nobody holds a receipt for: of twins the oldest goes, whichever was due.
        """
        if self._counted_to is None:
            self._counted_to = now
        intervals = self._uncounted(now)
        self._counted_to += intervals * self._policy.open_interval
        self._failures += intervals
        retries = self._policy.open_retries
        if self._failures - self._forgiven < retries:
            return
        patience = retries * self._policy.open_interval
        due = []
        for entry in self._entries.values():
            if self._failures - max(entry.failures_before, self._forgiven) < retries:
                break  # entered later, and so did all that follow
            if entry.not_before is None or entry.not_before + patience <= now:  # the same patience, from its time on
                due.append(entry)
        for entry in due:
            if entry.way is None:  # else its number found it already, in the place of its twin
                self.delete(now, entry.mtsid, Way.RETRIES)

    # Inside

    def _uncounted(self, now: float) -> int:
        """Return how many whole intervals of the present row have passed and not been counted yet."""
        if self._counted_to is None:
            return 0
        # Opens that come by the clock come just at an interval's end.
        return math.floor((now - self._counted_to) / self._policy.open_interval + 1e-6)

    def _next_receipt(self, now: float) -> Any:
        """Take the next message whose time has come, setting aside those whose time has not; None: there is none."""
        due = self.deferred_until
        if due is not None and due <= now:
            return heapq.heappop(self._deferred)[2]
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

    def _collide(self, now: float, mtsid: int) -> Collision:
        self.collision = Collision(now, mtsid, self._live[mtsid])
        self.shutdowns += 1
        self.failed(now)
        return self.collision

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
