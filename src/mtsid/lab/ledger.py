"""The books of one version in a comparison: what happened to every message, and how long the queue was held.

Nothing is lost: messages = delivered + non-delivered + still queued. The ledger counts from what the session reports
and compares with what the queue itself holds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from mtsid.mta import Entry, Session, Way
from mtsid.mta.events import ROWS

__all__ = ["AccountingError", "Ledger", "Result"]


class AccountingError(RuntimeError):
    """A message was lost or counted twice: a defect of this program, not of either version."""


@dataclass(frozen=True)
class Result:
    """What one version did with the traffic. Times in seconds."""

    version: str
    defect: str | None
    ids: int
    messages: int
    delivered: int
    non_delivered: int
    non_delivered_by: dict[str, int]  # why, in words
    still_queued: int
    duplicate_mtsids: int  # entrants that were given an MTSID then live
    session_shutdowns: int  # by collision
    hangs: int
    hung_messages: int  # held behind a collision while the link was up; each counted once
    hung_seconds: float  # how long the queue was so held
    longest_hang_seconds: float
    stale_acknowledgements: int  # repeated by the peer, refused by the queue
    most_queued: int
    undated: int  # messages of the trace that have no date, left out of `messages`
    events: dict[str, int]

    def to_json(self) -> dict[str, object]:
        """Return the figures as JSON takes them; seconds to the millisecond."""
        data = dict(self.__dict__)
        del data["version"]
        for name in ("hung_seconds", "longest_hang_seconds"):
            data[name] = round(data[name], 3)
        return data


class Ledger:
    """Counts what leaves and clocks the hangs.

    A hang begins at the collision that shuts the session down and ends when a transfer starts again (or no mail is
    left); its clock stands still while the link is down.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.left: Counter[Way] = Counter()
        self.hangs = 0
        self.hung_messages = 0
        self.hung_seconds = 0.0
        self.longest_hang = 0.0
        self.most_queued = 0
        self.hanging = False
        self._hang_seconds = 0.0  # of the present hang
        self._since: float | None = None  # the clock runs since then; None: it stands
        self._unhung: set[int] = set()  # id(entry) of the queued messages that were never held so far
        self._deferred: dict[int, float] = {}  # the same of deferred ones, and their time: until then they wish to wait

    def entered(self, entry: Entry[Any], queued: int) -> None:
        """Note a message at the queue's door; `queued` are in the queue now."""
        self.messages += 1
        self.most_queued = max(self.most_queued, queued)
        if entry.way is not None:
            return
        if entry.not_before is not None:
            self._deferred[id(entry)] = entry.not_before
        elif self._since is not None:
            self.hung_messages += 1
        else:
            self._unhung.add(id(entry))

    def leaves(self, entry: Entry[Any]) -> None:
        """Note that a message left."""
        assert entry.way is not None
        self.left[entry.way] += 1
        self._unhung.discard(id(entry))
        self._deferred.pop(id(entry), None)

    def look(self, now: float, session: Session[Any]) -> None:
        """Start, pause, resume or end the hang's clock, by what the session says."""
        runs = session.collision is not None and session.link_is_up
        if runs and self._since is None:
            self._since = now
            self._hold(now)
        elif not runs and self._since is not None:
            self._hang_seconds += now - self._since
            self._since = None
        if session.collision is not None and not self.hanging:
            self.hanging = True
            self.hangs += 1
            self._hang_seconds = 0.0
        elif session.collision is None and self.hanging:
            self.hanging = False
            self.hung_seconds += self._hang_seconds
            self.longest_hang = max(self.longest_hang, self._hang_seconds)

    def _hold(self, now: float) -> None:
        """Count whatever is queued as hung. Each message is counted once, so all this is O(1) a message."""
        due = [key for key, time in self._deferred.items() if time <= now]
        for key in due:
            del self._deferred[key]
        self.hung_messages += len(self._unhung) + len(due)
        self._unhung.clear()

    def close(
        self, now: float, version: str, session: Session[Any], *, defect: str | None, ids: int, undated: int
    ) -> Result:
        """Close the books at `now`. Raises AccountingError unless every message is accounted for exactly once."""
        hang, since = self._hang_seconds, self._since
        open_hang = 0.0 if not self.hanging else hang + (0.0 if since is None else now - since)
        delivered = self.left[Way.DELIVERED]
        non_delivered = {way.value: self.left[way] for way in Way if way is not Way.DELIVERED and self.left[way]}
        still_queued = len(session)
        in_queue = len(session.queue)
        total = delivered + sum(non_delivered.values()) + still_queued
        if self.messages != total or still_queued != in_queue:
            raise AccountingError(
                f"{version}: {self.messages} messages entered, but {delivered} delivered + "
                f"{sum(non_delivered.values())} non-delivered + {still_queued} still queued = {total}; "
                f"the queue itself holds {in_queue}. This is a defect of mtsid: please report it with trace and seed."
            )
        return Result(
            version=version,
            defect=defect,
            ids=ids,
            messages=self.messages,
            delivered=delivered,
            non_delivered=sum(non_delivered.values()),
            non_delivered_by=non_delivered,
            still_queued=still_queued,
            duplicate_mtsids=session.duplicates,
            session_shutdowns=session.shutdowns,
            hangs=self.hangs,
            hung_messages=self.hung_messages,
            hung_seconds=self.hung_seconds + open_hang,
            longest_hang_seconds=max(self.longest_hang, open_hang),
            stale_acknowledgements=session.stale_acknowledgements,
            most_queued=self.most_queued,
            undated=undated,
            events={str(id): session.log.counts[id] for id in ROWS},  # those that never came too
        )
