"""The first collision, told: who got which number when, how long mail hung, who freed it, what SP2 did meanwhile."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mtsid.lab.hangs import HangClock
from mtsid.lab.outages import Edge
from mtsid.lab.side import Watcher
from mtsid.lab.traffic import Mail
from mtsid.mta import MTA, Entry, LogEntry, NextHop, Way

__all__ = ["FirstCollision", "Sp2Fate", "Story", "Twin"]


@dataclass
class Twin:
    """One of the messages that share an MTSID in 4.0, and its fate in both versions. Times in seconds."""

    mail: Mail
    entered: float
    way: Way | None = None
    left_at: float | None = None
    sp2_mtsid: int | None = None
    sp2_way: Way | None = None
    sp2_left_at: float | None = None


@dataclass(frozen=True)
class Repeated:
    """An acknowledgement that the peer repeated after a re-connection and that 4.0 took a second time."""

    time: float
    index: int  # the message acknowledged


@dataclass
class Story:
    """The first collision of 4.0."""

    peer: str
    mtsid: int
    older: Twin
    younger: Twin
    collided_at: float
    lost_at: float | None  # when the transport was last lost with the older twin in transfer
    repeated: Repeated | None  # the acknowledgement that put the number on the free list twice (double-release)
    backlog: int  # messages in the queue at the collision
    loss_events: list[LogEntry] = field(default_factory=list)
    collision_events: list[LogEntry] = field(default_factory=list)
    closes: int = 1  # by this collision
    later_closes: int = 0  # by collisions of other numbers, before the hang ended
    freed: Twin | None = None
    resumed_at: float | None = None
    hung_messages: int = 0
    hung_seconds: float = 0.0
    drained_at: float | None = None


class Sp2Fate(Watcher):
    """What became in SP2 of the twins of 4.0."""

    def __init__(self) -> None:
        self._watched: dict[int, Twin] = {}  # by the message's place in the trace

    def watch(self, twin: Twin, sp2: NextHop[Mail]) -> None:
        """Note what becomes of `twin` in SP2's queue, where it may still be."""
        self._watched[twin.mail.index] = twin
        for entry in sp2.entries():
            if entry.body.index == twin.mail.index:
                twin.sp2_mtsid = entry.mtsid

    def left(self, entry: Entry[Mail]) -> None:
        """Note that a message left SP2's queue."""
        if self._watched and (twin := self._watched.pop(entry.body.index, None)) is not None:
            twin.sp2_way, twin.sp2_left_at = entry.way, entry.left_at


class FirstCollision(Watcher):
    """Watches 4.0 until its first hang is over."""

    def __init__(self, fate: Sp2Fate) -> None:
        self.story: Story | None = None
        self.clock: dict[str, HangClock] = {}  # 4.0's, by peer; set before the run begins
        self.sp2: MTA[Mail] | None = None  # set before the run begins
        self._fate = fate
        self._losses: deque[tuple[float, list[LogEntry]]] = deque(maxlen=16)  # when, and 4284 and 4287 of that time
        self._latest: deque[LogEntry] = deque(maxlen=2)
        self._repeated: dict[tuple[str, int], list[Repeated]] = {}  # by peer and MTSID, oldest first
        self._entries: dict[int, Twin] = {}  # id(entry) in 4.0

    def logged(self, entry: LogEntry) -> None:
        """Note an event of 4.0."""
        if self.story is not None:
            return
        self._latest.append(entry)
        if self._losses and self._losses[-1][0] == entry.time and entry.event.id in (4284, 4287):
            self._losses[-1][1].append(entry)

    def edge(self, now: float, edge: Edge) -> None:
        """Note that a link is lost."""
        if self.story is None and not edge.up and not (self._losses and self._losses[-1][0] == now):
            self._losses.append((now, []))

    def repeated(self, now: float, entry: Entry[Mail]) -> None:
        """Note that 4.0 took the acknowledgement of `entry` a second time."""
        if self.story is None:
            self._repeated.setdefault((entry.body.peer, entry.mtsid), []).append(Repeated(now, entry.body.index))

    def collided(self, hop: NextHop[Mail]) -> None:
        """Note a collision of 4.0; the first one begins the story."""
        collision = hop.collision
        assert collision is not None
        if self.story is not None:
            if self.story.resumed_at is None and self.story.peer == hop.name:
                if collision.mtsid == self.story.mtsid:
                    self.story.closes += 1
                else:
                    self.story.later_closes += 1
            return
        older, younger = [entry for entry in hop.entries() if entry.mtsid == collision.mtsid][:2]
        losses = dict(self._losses)
        twins = []
        assert self.sp2 is not None
        for entry in (older, younger):
            twin = Twin(entry.body, entry.entered)
            self._entries[id(entry)] = twin
            self._fate.watch(twin, self.sp2.next_hops[hop.name])
            twins.append(twin)
        self.story = Story(
            peer=hop.name,
            mtsid=collision.mtsid,
            older=twins[0],
            younger=twins[1],
            collided_at=collision.time,
            lost_at=older.lost_at,
            repeated=max(
                (r for r in self._repeated.get((hop.name, collision.mtsid), ()) if r.time <= younger.entered),
                key=lambda repeated: repeated.time,
                default=None,
            ),
            backlog=len(hop),
            loss_events=[] if older.lost_at is None else losses.get(older.lost_at, [])[:2],
            collision_events=list(self._latest),
        )

    def left(self, entry: Entry[Mail]) -> None:
        """Note that a message left 4.0's queue."""
        twin = self._entries.pop(id(entry), None)
        if twin is None or self.story is None:
            return
        twin.way, twin.left_at = entry.way, entry.left_at
        if self.story.freed is None:
            self.story.freed = twin

    def resumed(self, now: float, hop: NextHop[Mail]) -> None:
        """Note that the first hang is over."""
        story = self.story
        if story is not None and story.resumed_at is None and story.peer == hop.name:
            clock = self.clock[hop.name]
            story.resumed_at = now
            story.hung_messages, story.hung_seconds = clock.messages, clock.seconds

    def drained(self, now: float, hop: NextHop[Mail]) -> None:
        """Note that nothing waits in a queue of 4.0's."""
        story = self.story
        if story is not None and story.drained_at is None and story.resumed_at is not None and story.peer == hop.name:
            story.drained_at = now
