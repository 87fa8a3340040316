"""The first collision, told: who got which number when, how long mail hung, who freed it, what SP2 did meanwhile."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mtsid.lab.traffic import Mail
from mtsid.mta import Entry, LogEntry, Session, Way

__all__ = ["Story", "StoryTeller", "Twin"]


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

    mtsid: int
    older: Twin
    younger: Twin
    collided_at: float
    lost_at: float | None  # when the transport was last lost with the older twin in transfer
    repeated: Repeated | None  # the acknowledgement that put the number on the free list twice (double-release)
    backlog: int  # messages in the queue at the collision
    loss_events: list[LogEntry] = field(default_factory=list)
    collision_events: list[LogEntry] = field(default_factory=list)
    closes: int = 1  # by collision, until the hang ended
    freed: Twin | None = None
    resumed_at: float | None = None
    hung_messages: int = 0
    hung_seconds: float = 0.0
    drained_at: float | None = None


class StoryTeller:
    """Watches both sessions until the first hang of 4.0 is over."""

    def __init__(self) -> None:
        self.story: Story | None = None
        self._losses: deque[tuple[float, list[LogEntry]]] = deque(maxlen=16)  # when, and the events logged at that time
        self._latest: deque[LogEntry] = deque(maxlen=2)
        self._repeated: dict[int, Repeated] = {}  # by MTSID
        self._entries: dict[int, Twin] = {}  # id(entry) in 4.0
        self._watched: dict[int, Twin] = {}  # trace index, in SP2

    def logged(self, entry: LogEntry) -> None:
        """Note an event of 4.0."""
        if self.story is not None:
            return
        self._latest.append(entry)
        if self._losses and self._losses[-1][0] == entry.time:
            self._losses[-1][1].append(entry)

    def lost(self, now: float) -> None:
        """Note that the link is lost; to be told before the sessions are."""
        if self.story is None:
            self._losses.append((now, []))

    def repeated(self, now: float, entry: Entry[Mail] | None) -> None:
        """Note that 4.0 took the acknowledgement of `entry` a second time."""
        if self.story is None and entry is not None:
            self._repeated[entry.mtsid] = Repeated(now, entry.body.index)

    def collided(self, session: Session[Mail], sp2: Session[Mail]) -> None:
        """Note a collision of 4.0; the first one begins the story."""
        collision = session.collision
        assert collision is not None
        if self.story is not None:
            if self.story.resumed_at is None:
                self.story.closes += 1
            return
        older, younger = [entry for entry in session.entries() if entry.mtsid == collision.mtsid][:2]
        losses = dict(self._losses)
        twins = [self._watch(entry) for entry in (older, younger)]
        for entry in sp2.entries():
            if entry.body.index in self._watched:
                self._watched[entry.body.index].sp2_mtsid = entry.mtsid
        self.story = Story(
            mtsid=collision.mtsid,
            older=twins[0],
            younger=twins[1],
            collided_at=collision.time,
            lost_at=older.lost_at,
            repeated=self._repeated.get(collision.mtsid),
            backlog=len(session),
            loss_events=[] if older.lost_at is None else losses.get(older.lost_at, []),
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

    def left_sp2(self, entry: Entry[Mail]) -> None:
        """Note that a message left SP2's queue."""
        if self._watched and (twin := self._watched.pop(entry.body.index, None)) is not None:
            twin.sp2_way, twin.sp2_left_at = entry.way, entry.left_at

    def resumed(self, now: float, messages: int, seconds: float) -> None:
        """Note that the first hang is over: it held `messages` for `seconds`."""
        if self.story is not None and self.story.resumed_at is None:
            self.story.resumed_at = now
            self.story.hung_messages, self.story.hung_seconds = messages, seconds

    def drained(self, now: float) -> None:
        """Note that nothing waits in 4.0's queue."""
        story = self.story
        if story is not None and story.drained_at is None and story.resumed_at is not None:
            story.drained_at = now

    def _watch(self, entry: Entry[Mail]) -> Twin:
        twin = Twin(entry.body, entry.entered)
        self._entries[id(entry)] = twin
        self._watched[entry.body.index] = twin
        return twin
