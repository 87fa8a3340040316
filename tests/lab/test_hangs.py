"""The clock of one queue's hangs: when it runs, when it stands, and whom it counts."""

from __future__ import annotations

from mtsid import MessageQueue
from mtsid.lab.hangs import HangClock
from mtsid.mta import MTA, Collision, Entry, NextHop, Policy, Primitive
from mtsid.mta.actions import Associate, Connect


class Hop:
    """A next hop that is held, or not, as the test says."""

    def __init__(self) -> None:
        self.hop: NextHop[str] = NextHop("PEER", "PEER", MessageQueue(100), Policy())
        self.clock = HangClock()
        self.entries: list[Entry[str]] = []  # a clock knows a message by its place in memory: it must stay alive

    def look(self, now: float, *, held: bool, up: bool = True) -> None:
        self.hop.collision = Collision(now, 1, 2) if held else None
        self.clock.look(now, self.hop, up)

    def enter(self, now: float, *, not_before: float | None = None) -> Entry[str]:
        entry = Entry("a", now, not_before=not_before)
        self.entries.append(entry)
        self.clock.entered(entry)
        return entry


def connect(mta: MTA[str], now: float, *, down: bool = False) -> None:
    """Answer what the MTA asks for: the association stands at once, or the link is down."""
    while actions := mta.take_actions():
        for action in actions:
            if isinstance(action, Connect):
                answer = Primitive.DISCONNECT_INDICATION if down else Primitive.CONNECT_CONFIRM
                mta.receive(now, action.handle, answer)
            elif isinstance(action, Associate):
                mta.receive(now, action.handle, Primitive.ACCEPT)


def test_the_hang_clock_stands_while_the_link_is_down() -> None:
    mta: MTA[str] = MTA("4.0", ids=10)
    hop, clock = mta.next_hops["PEER"], HangClock()
    first = mta.submit(0.0, "a")
    entries = [first, mta.submit(0.0, "b")]
    connect(mta, 0.0)
    mta.link_down(1.0)  # with "a" in transfer and "b" behind it
    entries.append(mta.submit(2.0, "twin"))
    for entry in entries:
        clock.entered(entry)
    mta.link_up(3.0)
    mta.wake(63.0)
    connect(mta, 63.0)
    assert hop.collision is not None
    clock.look(63.0, hop, True)
    assert (clock.hanging, clock.messages) == (True, 3)
    clock.entered(mta.submit(70.0, "held from its entry on"))
    clock.entered(mta.submit(70.0, "held by its own wish", not_before=9e9))
    assert clock.messages == 4
    mta.link_down(100.0)
    clock.look(100.0, hop, False)
    mta.wake(663.0)
    connect(mta, 663.0, down=True)
    clock.look(663.0, hop, False)
    mta.link_up(1100.0)
    clock.look(1100.0, hop, True)
    mta.delete(1150.0, first.mtsid)
    clock.look(1150.0, hop, True)
    assert clock.hanging  # until a transfer starts again
    mta.wake(1160.0)
    assert hop.collision is not None
    connect(mta, 1200.0)
    clock.look(1200.0, hop, True)
    assert (clock.hangs, clock.hanging, clock.seconds, clock.messages) == (1, False, 37.0 + 100.0, 4)
    assert clock.longest == 137.0


def test_the_present_hang_is_known_before_it_is_over() -> None:
    hop = Hop()
    assert hop.clock.open_hang(5.0) == 0.0
    hop.look(10.0, held=True)
    assert hop.clock.open_hang(10.0) == 0.0
    assert hop.clock.open_hang(25.0) == 15.0
    hop.look(30.0, held=True, up=False)
    assert hop.clock.open_hang(99.0) == 20.0
    hop.look(100.0, held=True)
    assert hop.clock.open_hang(101.0) == 21.0
    assert (hop.clock.seconds, hop.clock.longest) == (0.0, 0.0)
    hop.look(105.0, held=False)
    assert hop.clock.open_hang(200.0) == 0.0
    assert (hop.clock.seconds, hop.clock.longest) == (25.0, 25.0)


def test_looking_again_changes_nothing() -> None:
    hop = Hop()
    hop.enter(0.0)
    for now in (10.0, 11.0, 11.0, 20.0):
        hop.look(now, held=True)
    for now in (30.0, 31.0):
        hop.look(now, held=False)
    assert (hop.clock.hangs, hop.clock.messages, hop.clock.seconds) == (1, 1, 20.0)


def test_a_collision_found_while_the_link_is_down_hangs_nothing_before_the_link_is_up() -> None:
    hop = Hop()
    hop.enter(0.0)
    hop.look(10.0, held=True, up=False)
    assert (hop.clock.hanging, hop.clock.hangs, hop.clock.messages) == (True, 1, 0)
    hop.look(50.0, held=True)
    assert hop.clock.messages == 1
    hop.look(60.0, held=False)
    assert hop.clock.seconds == 10.0


def test_hangs_add_up_and_the_longest_is_kept() -> None:
    hop = Hop()
    for begin, end in ((0.0, 10.0), (20.0, 50.0), (60.0, 65.0)):
        hop.look(begin, held=True)
        hop.look(end, held=False)
    assert (hop.clock.hangs, hop.clock.seconds, hop.clock.longest) == (3, 45.0, 30.0)


def test_each_message_is_counted_once_in_however_many_hangs() -> None:
    hop = Hop()
    hop.enter(0.0)
    hop.look(1.0, held=True)
    hop.enter(2.0)
    hop.look(3.0, held=False)
    hop.enter(4.0)
    assert hop.clock.messages == 2
    hop.look(5.0, held=True)
    hop.look(6.0, held=True, up=False)
    hop.enter(7.0)
    assert hop.clock.messages == 3
    hop.look(8.0, held=True)
    assert hop.clock.messages == 4


def test_a_message_that_left_before_a_hang_is_not_held_by_it() -> None:
    hop = Hop()
    gone = hop.enter(0.0)
    deferred = hop.enter(0.0, not_before=5.0)
    hop.enter(0.0)
    hop.clock.leaves(gone)
    hop.clock.leaves(deferred)
    hop.clock.leaves(deferred)  # twice: an operator's delete of a twin may come first
    hop.look(10.0, held=True)
    assert hop.clock.messages == 1


def test_a_deferred_message_that_comes_to_its_time_during_a_hang_is_not_forgotten() -> None:
    hop = Hop()
    hop.enter(0.0, not_before=20.0)
    hop.look(10.0, held=True)
    hop.enter(11.0, not_before=30.0)
    hop.enter(11.0, not_before=99.0)
    counts = []
    for now in (19.9, 20.0, 25.0, 31.0, 31.0):
        hop.look(now, held=True)
        counts.append(hop.clock.messages)
    assert counts == [0, 1, 1, 2, 2]  # at the next look, and once
    hop.look(40.0, held=False)
    hop.look(120.0, held=True)  # the third comes to its time between two hangs, and meets the second
    assert hop.clock.messages == 3
    hop.look(121.0, held=True)
    hop.look(130.0, held=False)
    assert (hop.clock.messages, hop.clock.hangs, hop.clock.seconds) == (3, 2, 40.0)


def test_a_deferred_message_is_not_held_while_the_link_is_down() -> None:
    hop = Hop()
    hop.enter(0.0, not_before=20.0)
    hop.look(10.0, held=True)
    hop.look(15.0, held=True, up=False)
    hop.look(25.0, held=True, up=False)
    assert hop.clock.messages == 0
    hop.look(30.0, held=True)
    assert hop.clock.messages == 1


def test_a_deferred_message_is_held_once_its_time_has_come() -> None:
    hop = Hop()
    hop.enter(0.0, not_before=5.0)
    hop.enter(0.0, not_before=5.1)
    hop.look(5.0, held=True)
    assert hop.clock.messages == 1
    hop.look(6.0, held=True, up=False)
    hop.look(7.0, held=True)
    assert hop.clock.messages == 2
