"""The books of one version in a comparison: what happened to every message, the hangs, and the control blocks.

Nothing is lost: messages = delivered + non-delivered + still queued. The ledger counts from what the MTA reports and
compares with what the queues themselves hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mtsid.lab.hangs import HangClock
from mtsid.lab.wording import count
from mtsid.mta import MTA, Entry, Remnant, Way
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
    hung_seconds: float  # how long queues were so held, all queues added up
    longest_hang_seconds: float
    stale_acknowledgements: int  # repeated by the peer, refused by the queue
    most_queued: int
    control_blocks: int  # in the pool
    kcbs_stuck: int  # left not idle by a clean-up that returned early (R1), in all
    kcbs_dangling: int  # left idle with a path that still leads there (R2), in all
    most_kcbs_left: int  # R1 and R2 at once
    seconds_without_kcb: float  # no control block was idle
    associations_refused: int  # to peers that called
    opens_refused: int  # of our own: no control block was to be had, or its state check failed
    opens_refused_by: dict[str, int]  # why, in words
    late_primitives: int  # from the network, dropped: of an earlier generation, out of turn, or no path led anywhere
    restarts: int  # by the operator
    undated: int  # messages of the trace that have no date, left out of `messages`
    events: dict[str, int]

    def to_json(self) -> dict[str, object]:
        """Return the figures as JSON takes them; seconds to the millisecond."""
        data = dict(self.__dict__)
        del data["version"]
        for name in ("hung_seconds", "longest_hang_seconds", "seconds_without_kcb"):
            data[name] = round(data[name], 3)
        return data


class Ledger:
    """Counts what enters and leaves, one clock of hangs for each peer, and the time without an idle control block."""

    def __init__(self, peers: Iterable[str]) -> None:
        self.messages = 0
        self.left: Counter[Way] = Counter()
        self.most_queued = 0
        self.clocks = {peer: HangClock() for peer in peers}
        self.restarts = 0
        self.most_kcbs_left = 0
        self._without = 0.0  # seconds without an idle control block
        self._without_since: float | None = None

    def entered(self, entry: Entry[Any], peer: str, queued: int) -> None:
        """Note a message at the door of the queue for `peer`; `queued` are in all queues now."""
        self.messages += 1
        self.most_queued = max(self.most_queued, queued)
        if entry.way is None:
            self.clocks[peer].entered(entry)

    def leaves(self, entry: Entry[Any], peer: str) -> None:
        """Note that a message left."""
        assert entry.way is not None
        self.left[entry.way] += 1
        self.clocks[peer].leaves(entry)

    def look(self, now: float, mta: MTA[Any]) -> None:
        """Look at the pool of control blocks."""
        if not mta.kernel.idle:
            if self._without_since is None:
                self._without_since = now
        elif self._without_since is not None:
            self._without += now - self._without_since
            self._without_since = None

    def close(self, now: float, mta: MTA[Any], *, ids: int, undated: int) -> Result:
        """Close the books at `now`. Raises AccountingError unless every message is accounted for exactly once."""
        hops, clocks = mta.next_hops.values(), self.clocks.values()
        delivered = self.left[Way.DELIVERED]
        non_delivered = {way.value: self.left[way] for way in Way if way is not Way.DELIVERED and self.left[way]}
        still_queued = len(mta)
        in_queues = sum(len(hop.queue) for hop in hops)
        total = delivered + sum(non_delivered.values()) + still_queued
        if self.messages != total or still_queued != in_queues:
            raise AccountingError(
                f"{mta.version}: {count(self.messages, 'message')} entered, but {delivered} delivered + "
                f"{sum(non_delivered.values())} non-delivered + {still_queued} still queued = {total}; "
                f"the queues hold {in_queues}. This is a defect of mtsid: please report it with trace and seed."
            )
        kernel = mta.kernel
        return Result(
            version=mta.version,
            defect=mta.defect,
            ids=ids,
            messages=self.messages,
            delivered=delivered,
            non_delivered=sum(non_delivered.values()),
            non_delivered_by=non_delivered,
            still_queued=still_queued,
            duplicate_mtsids=sum(hop.duplicates for hop in hops),
            session_shutdowns=sum(hop.shutdowns for hop in hops),
            hangs=sum(clock.hangs for clock in clocks),
            hung_messages=sum(clock.messages for clock in clocks),
            hung_seconds=sum(clock.seconds + clock.open_hang(now) for clock in clocks),
            longest_hang_seconds=max(max(clock.longest, clock.open_hang(now)) for clock in clocks),
            stale_acknowledgements=sum(hop.stale_acknowledgements for hop in hops),
            most_queued=self.most_queued,
            control_blocks=kernel.size,
            kcbs_stuck=kernel.left[Remnant.STUCK],
            kcbs_dangling=kernel.left[Remnant.DANGLING],
            most_kcbs_left=self.most_kcbs_left,
            seconds_without_kcb=self._without + (0.0 if self._without_since is None else now - self._without_since),
            associations_refused=mta.remote_refusals,
            opens_refused=mta.refusals.total(),
            opens_refused_by={refusal.value: count for refusal, count in sorted(mta.refusals.items(), key=str)},
            late_primitives=kernel.drops.total(),
            restarts=self.restarts,
            undated=undated,
            events={str(id): mta.log.counts[id] for id in ROWS},  # those that never came too
        )
