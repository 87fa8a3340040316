"""The first collision's story while several queues hang at once: each figure is of its own queue."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mtsid.lab import Outage, Row, compare
from mtsid.lab.outages import EVERY, Edge
from mtsid.lab.story import FirstCollision, Sp2Fate, Story
from mtsid.lab.telling import collision_scenes
from mtsid.lab.traffic import PEERS, Link, Mail, peer_of
from mtsid.mta import Entry, Event, LogEntry, Policy, Version, Way

LINK, POLICY = Link(), Policy()
OPEN = LINK.connect + LINK.accept  # seconds of an open
AGAIN = POLICY.open_interval + OPEN  # seconds from one close by collision to the next


class Busy:
    """Five hours of three messages to each peer every twenty seconds: whatever is lost, some wait and others follow."""

    name = "busy"
    calendar = False
    undated = 0

    def __iter__(self) -> Iterator[Row]:
        names = [next(f"r{n}" for n in range(99) if peer_of(f"r{n}", PEERS) == peer) for peer in PEERS]
        return (Row(20.0 * n + copy / 10, "s", name) for n in range(900) for name in names for copy in range(3))

    def close(self) -> None:
        pass


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_each_figure_is_of_the_queue_that_collided_first(seed: int) -> None:
    collisions: list[float] = []

    def on_event(version: Version, entry: LogEntry) -> None:
        if entry.event.id == 4282:
            assert version == "4.0"
            collisions.append(entry.time)

    comparison = compare(Busy(), seed=seed, outages=[Outage(1001.0, 1031.0, EVERY)], on_event=on_event)
    result, story = comparison.versions["4.0"], comparison.story
    assert result.hangs >= 4  # all four queues
    assert story is not None
    assert story.peer in PEERS
    assert story.lost_at == 1001.0
    assert story.collided_at == collisions[0] == 1031.0 + POLICY.recovery + OPEN
    assert [entry.time for entry in story.loss_events] == [1001.0, 1001.0]
    # The link is up all the time: the clock runs from the collision to the open that succeeds.
    assert story.resumed_at is not None
    assert story.hung_seconds == pytest.approx(story.resumed_at - story.collided_at)
    assert story.closes == round(story.hung_seconds / AGAIN)
    assert story.later_closes == 0
    assert story.closes < result.session_shutdowns
    assert story.backlog < story.hung_messages < result.hung_messages
    # Freed by one twin of that queue's, and the next open succeeds.
    assert story.freed is not None
    assert story.freed.left_at is not None
    assert story.freed is story.older
    assert story.freed.mail.peer == story.peer == story.younger.mail.peer
    assert story.freed.way in (Way.OPERATOR, Way.RETRIES)
    assert story.closes == 1 + int((story.freed.left_at - story.collided_at) / AGAIN)
    assert 0 <= story.resumed_at - story.freed.left_at <= AGAIN
    # Then the line carries what has hung, one message at a time.
    assert story.drained_at is not None
    assert story.drained_at - story.resumed_at > story.hung_messages * LINK.turnaround
    for twin in (story.older, story.younger):
        assert twin.sp2_way is Way.DELIVERED
        assert twin.sp2_mtsid is not None
        assert twin.sp2_left_at is not None
        assert twin.sp2_left_at < story.collided_at + 600  # before the next close
    assert story.older.sp2_mtsid != story.younger.sp2_mtsid


@pytest.mark.long
@pytest.mark.parametrize("order", [PEERS, PEERS[::-1]])
def test_losses_line_by_line_are_the_loss_of_all_links_at_once(order: tuple[str, ...]) -> None:
    lines = [Outage(1001.0, 1031.0, peer) for peer in order]
    each, every = compare(Busy(), outages=lines).story, compare(Busy(), outages=[Outage(1001.0, 1031.0, EVERY)]).story
    assert each is not None
    assert every is not None
    assert [(entry.time, entry.event.id) for entry in each.loss_events] == [(1001.0, 4284), (1001.0, 4287)]
    assert each.loss_events == every.loss_events
    assert (each.lost_at, each.collided_at) == (every.lost_at, every.collided_at)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
def test_a_double_release_has_its_cause_before_its_effect(seed: int) -> None:
    comparison = compare(defect="double-release", seed=seed, ids=100)
    story = comparison.story
    if story is None:
        assert comparison.versions["4.0"].session_shutdowns == 0
        return
    assert story.repeated is not None
    assert story.repeated.time <= story.younger.entered <= story.collided_at
    assert story.repeated.index < story.younger.mail.index
    assert "a second time: it can be given to two" in told(story, "double-release")


# By hand: what 4.0's watcher is told, step by step.


def told(story: Story, defect: str = "premature-strip") -> str:
    return "\n".join(str(text) for _, text in collision_scenes(story, defect, 100, False))


def entry(index: int, entered: float, mtsid: int = 7, lost_at: float | None = None) -> Entry[Mail]:
    body = Mail(index, entered, "a", "b", "ONE", 100, "normal", None)
    return Entry(body, entered, mtsid, lost_at=lost_at)


class Watching:
    """A FirstCollision, and the one queue that it hears of."""

    def __init__(self) -> None:
        self.watcher = FirstCollision(Sp2Fate())
        sp2: Any = SimpleNamespace(next_hops={"ONE": SimpleNamespace(entries=list)})
        clock: Any = SimpleNamespace(messages=5, seconds=1234.0)
        self.watcher.sp2, self.watcher.clock = sp2, {"ONE": clock}

    def hop(self, time: float, *entries: Entry[Mail], mtsid: int = 7) -> Any:
        class Hop:
            name = "ONE"
            collision = SimpleNamespace(time=time, mtsid=mtsid, entries=2)

            def entries(self) -> Iterator[Entry[Mail]]:
                return iter(entries)

            def __len__(self) -> int:
                return len(entries)

        return Hop()

    def lose(self, time: float, *peers: str) -> None:
        self.watcher.edge(time, Edge(time, False, peers, Outage(time, time + 30, peers[0])))

    def log(self, time: float, *ids: int) -> list[LogEntry]:
        entries = [LogEntry(time, Event(id, {"handle": "1.0"} if id == 4283 else {})) for id in ids]
        for logged in entries:
            self.watcher.logged(logged)
        return entries

    @property
    def story(self) -> Story:
        assert self.watcher.story is not None
        return self.watcher.story


@pytest.mark.parametrize(
    ("repeated", "cause"),
    [
        ([(50.0, 3)], (50.0, 3)),
        ([(50.0, 3), (60.0, 4), (101.0, 5)], (60.0, 4)),  # the last is too late to be the cause
        ([(60.0, 4), (100.0, 5)], (100.0, 5)),  # at the very entry
        ([(101.0, 5)], None),
        ([], None),
    ],
)
def test_the_cause_is_the_latest_repeated_acknowledgement_before_the_second_entry(
    repeated: list[tuple[float, int]], cause: tuple[float, int] | None
) -> None:
    watching = Watching()
    for time, index in repeated:
        watching.watcher.repeated(time, entry(index, time - 10))
        watching.watcher.repeated(time + 0.5, entry(index + 50, time - 10, mtsid=8))  # another number's
    watching.watcher.collided(watching.hop(110.0, entry(10, 90.0), entry(9, 95.0, mtsid=8), entry(11, 100.0)))
    found = watching.story.repeated
    assert (None if found is None else (found.time, found.index)) == cause


def test_collisions_after_a_twin_has_left_are_counted_apart() -> None:
    watching = Watching()
    older, younger, third, fourth = (entry(n, 10.0 * n, 7 if n < 3 else 8) for n in range(1, 5))
    for time in (100.0, 700.0, 1300.0):
        watching.watcher.collided(watching.hop(time, older, younger, third, fourth))
    assert (watching.story.closes, watching.story.later_closes) == (3, 0)
    older.way, older.left_at = Way.OPERATOR, 1400.0
    watching.watcher.left(older)
    for time in (1900.0, 2500.0):
        watching.watcher.collided(watching.hop(time, younger, third, fourth, mtsid=8))
    younger.way, younger.left_at = Way.DELIVERED, 2600.0
    watching.watcher.left(younger)
    assert (watching.story.closes, watching.story.later_closes) == (3, 2)
    watching.watcher.resumed(2700.0, watching.hop(2500.0))
    watching.watcher.collided(watching.hop(3000.0, third, fourth, mtsid=8))  # another hang
    assert (watching.story.closes, watching.story.later_closes) == (3, 2)
    text = told(watching.story)
    assert "Every open ends like that, 3 times in all." in text
    assert "\n2 more opens end in a collision all the same" in text
    assert "An open succeeds and the queue moves again." in text
    assert "The next open succeeds" not in text
    one = told(dataclasses.replace(watching.story, later_closes=1))
    assert "\n1 more open ends in a collision all the same" in one
    none = told(dataclasses.replace(watching.story, later_closes=0))
    assert "all the same" not in none
    assert "The next open succeeds and the queue moves again." in none


def test_the_events_of_a_loss_are_kept_though_another_link_is_lost_at_that_instant() -> None:
    watching = Watching()
    watching.lose(50.0, "ONE")
    pair = watching.log(50.0, 4284, 4287)
    watching.lose(50.0, "TWO")
    watching.lose(70.0, "THREE")
    watching.log(70.0, 4284, 4287)
    watching.watcher.collided(watching.hop(110.0, entry(1, 40.0, lost_at=50.0), entry(2, 60.0)))
    assert watching.story.loss_events == pair


def test_only_the_two_events_of_a_loss_are_told_with_it() -> None:
    watching = Watching()
    watching.lose(50.0, "TWO")
    watching.log(50.0, 1008, 1004)
    watching.lose(50.0, "ONE")
    watching.log(50.0, 1198)
    pair = watching.log(50.0, 4284, 4287)
    watching.log(51.0, 4284)
    watching.watcher.collided(watching.hop(110.0, entry(1, 40.0, lost_at=50.0), entry(2, 60.0)))
    assert watching.story.loss_events == pair
