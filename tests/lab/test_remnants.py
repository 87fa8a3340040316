"""The first control block left behind: which one is told of, and which events are about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import pytest

from mtsid.lab import Outage, Row, compare
from mtsid.lab.network import PATIENCE, Attempt
from mtsid.lab.remnants import FirstRemnant, RemnantStory
from mtsid.mta import Event, Handle, LogEntry, Remnant, State
from mtsid.mta.agent import ENTITY

NORTH, EAST = Handle(3, 7), Handle(4, 2)


def watching(*left: tuple[float, Handle, Remnant]) -> FirstRemnant:
    """One that was told of the blocks in this order: NORTH's and EAST's opens failed at 10, their links were back."""
    watcher = FirstRemnant()
    for handle, peer, state in ((NORTH, "NORTH", State.AWAIT_ACCEPT), (EAST, "EAST", State.AWAIT_TRANSPORT)):
        watcher.attempts[handle] = Attempt(handle, peer, state, 10.0, 20.0)
    for now, handle, remnant in left:
        watcher.remained(now, handle, remnant)
    return watcher


def log(watcher: FirstRemnant, time: float, id: int, *, peer: str = "", block: int | None = None) -> LogEntry:
    fields: dict[str, object] = {}
    if id in (1004, 1277):
        fields["entity"] = ENTITY.format(name=peer)
    if id in (1198, 1277):
        fields["index"] = block or 0  # as it is printed; 1004 and 1008 print none
    entry = LogEntry(time, Event(id, fields), block)
    watcher.logged(entry)
    return entry


def told(watcher: FirstRemnant) -> RemnantStory:
    assert watcher.story is not None
    return watcher.story


def test_nothing_left_behind_is_no_story() -> None:
    watcher = watching()
    log(watcher, 30.0, 1277, peer="NORTH", block=3)
    watcher.restarted(40.0)
    assert watcher.story is None


def test_the_story_begins_with_the_attempt_that_was_cut_off() -> None:
    story = told(watching((130.0, NORTH, Remnant.STUCK)))
    assert (story.handle, story.remnant, story.peer, story.state) == (
        NORTH,
        Remnant.STUCK,
        "NORTH",
        State.AWAIT_ACCEPT,
    )
    assert (story.lost_at, story.back_at, story.left_at) == (10.0, 20.0, 130.0)
    assert (story.consequences, story.restarted_at) == ([], None)


def test_the_first_of_a_kind_is_told_of_and_a_stuck_one_before_a_dangling_one() -> None:
    assert told(watching((130.0, NORTH, Remnant.STUCK), (140.0, EAST, Remnant.STUCK))).handle == NORTH
    assert told(watching((130.0, EAST, Remnant.STUCK), (140.0, NORTH, Remnant.STUCK))).handle == EAST
    assert told(watching((130.0, EAST, Remnant.DANGLING))).handle == EAST
    assert told(watching((130.0, EAST, Remnant.DANGLING), (140.0, NORTH, Remnant.STUCK))).handle == NORTH
    assert told(watching((130.0, NORTH, Remnant.STUCK), (140.0, EAST, Remnant.DANGLING))).handle == NORTH


def test_a_block_of_which_no_attempt_is_known_is_not_told_of() -> None:
    assert watching((130.0, Handle(9, 0), Remnant.STUCK)).story is None
    watcher = watching()
    watcher.attempts[NORTH].back_at = None
    watcher.remained(130.0, NORTH, Remnant.STUCK)
    assert watcher.story is None


def test_a_stuck_block_explains_the_first_1004_and_1277_of_its_peer() -> None:
    watcher = watching((130.0, NORTH, Remnant.STUCK))
    for time, id in ((140.0, 4284), (140.0, 4287), (150.0, 1008), (160.0, 1198)):
        log(watcher, time, id)
    for block in (None, 4):  # there was no block to be had, or it was another one, be it the same peer's
        for peer in ("EAST", "NORTH"):
            log(watcher, 200.0, 1004, peer=peer, block=block)
            log(watcher, 210.0, 1277, peer=peer, block=block)
    refused = log(watcher, 230.0, 1277, peer="NORTH", block=3)
    selected = log(watcher, 240.0, 1004, peer="NORTH", block=3)
    log(watcher, 250.0, 1277, peer="NORTH", block=3)
    log(watcher, 260.0, 1004, peer="NORTH", block=3)
    log(watcher, 270.0, 4283, block=3)
    assert told(watcher).consequences == [refused, selected]


def test_a_peers_name_is_not_looked_for_in_the_middle_of_anothers() -> None:
    watcher = watching((130.0, NORTH, Remnant.STUCK))
    log(watcher, 200.0, 1004, peer="NORTHWEST", block=5)
    log(watcher, 200.0, 1004, peer="UPNORTH", block=6)
    assert told(watcher).consequences == []


@pytest.mark.parametrize("remnant", list(Remnant))
@pytest.mark.parametrize("id", [1004, 1008, 1198, 1277])
def test_an_event_of_another_block_is_not_told_as_this_ones(remnant: Remnant, id: int) -> None:
    watcher = watching((130.0, NORTH, remnant))
    other = log(watcher, 200.0, id, peer="NORTH", block=4)
    watcher.logged(dataclasses.replace(other, block=None))
    assert told(watcher).consequences == []
    own = dataclasses.replace(other, time=210.0, block=3)
    watcher.logged(own)
    assert told(watcher).consequences == [own]


class Rows:
    """A trace in memory."""

    name = "rows"
    calendar = False
    undated = 0

    def __init__(self, rows: Iterable[tuple[float, str, str]]) -> None:
        self.rows = [Row(*row) for row in rows]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def close(self) -> None:
        pass


def test_the_1008_of_another_peers_block_is_not_told_as_this_ones() -> None:
    # r5's mail goes to NORTH, r1's to EAST. NORTH's block is left first, EAST's has its last word first, an abort.
    comparison = compare(
        Rows([(1000.0, "s", "r5"), (1005.0, "s", "r1"), (9000.0, "s", "r5")]),
        outages=[Outage(1000.5, 1010.0, "NORTH"), Outage(1005.75, 1008.0, "EAST")],
    )
    story, old = comparison.remnant, comparison.versions["4.0"]
    assert (old.kcbs_dangling, old.kcbs_stuck, old.events["1008"], old.events["1198"]) == (2, 0, 1, 1)
    assert story is not None
    assert (story.peer, story.remnant) == ("NORTH", Remnant.DANGLING)
    [entry] = story.consequences
    assert (entry.event.id, entry.time) == (1198, 1010.0 + PATIENCE)
    assert entry.event.fields == {"index": story.handle.block}


def test_a_dangling_block_explains_one_event_and_has_then_gone() -> None:
    watcher = watching((130.0, EAST, Remnant.DANGLING))
    log(watcher, 140.0, 1004, peer="EAST", block=3)
    log(watcher, 150.0, 1277, peer="EAST", block=9)
    log(watcher, 155.0, 1277, peer="EAST")
    log(watcher, 160.0, 1198, block=3)
    log(watcher, 165.0, 1008, block=3)
    last = log(watcher, 170.0, 1198, block=4)
    log(watcher, 180.0, 1008, block=4)
    assert told(watcher).consequences == [last]
    watcher = watching((130.0, EAST, Remnant.DANGLING))
    last = log(watcher, 170.0, 1008, block=4)
    log(watcher, 180.0, 1198, block=4)
    assert told(watcher).consequences == [last]


def test_nothing_is_about_a_block_after_the_restart() -> None:
    watcher = watching((130.0, NORTH, Remnant.STUCK))
    selected = log(watcher, 200.0, 1004, peer="NORTH", block=3)
    watcher.restarted(300.0)
    log(watcher, 400.0, 1277, peer="NORTH", block=3)
    watcher.restarted(500.0)
    assert told(watcher).consequences == [selected]
    assert told(watcher).restarted_at == 300.0
