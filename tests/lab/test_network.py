"""The network: small scenes by hand, a real MTA in virtual time, every answer at its second."""

from __future__ import annotations

import pytest
import simpy

from mtsid.lab.network import ANSWER, MEMORY, PATIENCE, Network
from mtsid.lab.outages import Outage
from mtsid.lab.remnants import FirstRemnant
from mtsid.lab.traffic import Link, Mail
from mtsid.mta import MTA, Disconnect, Drop, Entry, Handle, Policy, Remnant, State, Version, Way

LINK = Link(bytes_per_second=1000.0, turnaround=1.0, connect=2.0, accept=3.0)
RECOVERY, DISCONNECT = Policy().recovery, Policy().disconnect
ABORTS, SPEAKS = 1.5, 1.0  # the peer's last word, drawn by the outage: seconds at which such a one begins


class Scene:
    """One MTA, its network, and whatever is due: run up to a second, then look."""

    def __init__(self, version: Version = "SP2", *, peers: tuple[str, ...] = ("NORTH",), **policy: float) -> None:
        self.env = simpy.Environment()
        self.mta: MTA[Mail] = MTA(version, peers=peers, ids=100, policy=Policy(**policy))  # type: ignore[arg-type]
        self.reconnected: list[tuple[float, str]] = []
        self.network = Network(
            self.env,
            self.mta,
            LINK,
            settled=self.settle,
            reconnected=lambda peer: self.reconnected.append((self.env.now, peer)),
        )
        self.messages = 0

    def settle(self) -> None:
        while actions := self.mta.take_actions():
            for action in actions:
                self.network.do(action)

    def until(self, time: float) -> Scene:
        """Run everything that is due by `time`."""
        while True:
            event, wakes_at = self.env.peek(), self.mta.wakes_at
            if min(event, float("inf") if wakes_at is None else wakes_at) > time:
                break
            if wakes_at is None or event <= wakes_at:
                self.env.step()
            else:
                if wakes_at > self.env.now:
                    self.env.run(until=wakes_at)
                self.mta.wake(self.env.now)
                self.settle()
        if time > self.env.now:
            self.env.run(until=time)
        return self

    def mail(self, size: int = 4000, peer: str = "NORTH") -> Entry[Mail]:
        self.messages += 1
        body = Mail(self.messages, self.env.now, "a", "b", peer, size, "normal", None)
        entry = self.mta.submit(self.env.now, body, peer=peer)
        self.settle()
        return entry

    def outage(self, start: float, end: float, peer: str = "NORTH") -> Scene:
        """Lose the link at `start`, get it back at `end`."""
        self.until(start).network.link_down(peer)
        self.until(end).network.link_up(peer, Outage(start, end, peer))
        return self

    def events(self, *ids: int) -> list[tuple[float, int]]:
        return [(entry.time, entry.event.id) for entry in self.mta.log if not ids or entry.event.id in ids]

    def states(self) -> dict[int, State]:
        """The blocks that are not idle."""
        kernel = self.mta.kernel
        blocks = [kernel.block(index) for index in range(1, kernel.size + 1)]
        return {block.index: block.state for block in blocks if block.state is not State.IDLE}


# A message's way.


def test_a_message_is_carried_end_to_end() -> None:
    scene = Scene()
    entry = scene.mail(size=4000)
    assert scene.until(1.9).states() == {1: State.AWAIT_TRANSPORT}
    assert scene.until(2.0).states() == {1: State.AWAIT_ACCEPT}
    assert scene.until(4.9).states() == {1: State.AWAIT_ACCEPT}
    assert scene.until(5.0).states() == {1: State.OPEN}
    assert scene.until(9.9).mta.next_hops["NORTH"].queue.qsize() == 0
    assert len(scene.mta) == 1
    scene.until(10.0)
    assert (entry.way, entry.left_at, entry.transfers) == (Way.DELIVERED, 10.0, 1)
    # The association is kept for its lifetime, then released.
    assert scene.until(309.9).states() == {1: State.OPEN}
    assert scene.until(310.0).states() == {1: State.CLOSING}
    assert scene.until(312.0).states() == {}
    assert scene.events() == []
    assert not scene.mta.kernel.drops
    assert scene.mta.wakes_at is None


def test_the_next_message_goes_at_once_while_the_association_stands() -> None:
    scene = Scene()
    scene.mail()
    later = scene.until(200.0).mail(size=9000)
    scene.until(1000.0)
    assert later.left_at == 210.0
    assert scene.events() == []


def test_two_messages_on_one_line_take_turns() -> None:
    scene = Scene(threshold=1)  # one message waiting for each association, and a second one is opened
    entries = [scene.mail(size=size) for size in (20_000, 1000, 3000, 1000)]
    scene.until(10.0)
    assert scene.states() == {1: State.OPEN, 2: State.OPEN}
    scene.until(1000.0)
    # The first from 5 on, 21 s; the second is handed over at 10, and its turn is at 26.
    assert [entry.left_at for entry in entries] == [26.0, 28.0, 32.0, 34.0]


def test_two_lines_do_not_wait_for_each_other() -> None:
    scene = Scene(peers=("NORTH", "SOUTH"))
    entries = [scene.mail(size=20_000, peer="NORTH"), scene.mail(size=1000, peer="SOUTH")]
    scene.until(100.0)
    assert [entry.left_at for entry in entries] == [26.0, 7.0]


# What a loss cuts off.


def test_a_loss_during_a_transfer_sends_the_message_again() -> None:
    scene = Scene()
    entry = scene.mail()
    scene.outage(7.0, 20.0)
    assert entry.lost_at == 7.0
    assert scene.events() == [(7.0, 4284), (7.0, 4287)]
    scene.until(20.0 + RECOVERY + 9.9)
    assert len(scene.mta) == 1
    scene.until(20.0 + RECOVERY + 10.0)
    assert (entry.way, entry.left_at, entry.transfers) == (Way.DELIVERED, 90.0, 2)
    assert scene.network.attempts == {}  # it stood: nothing is answered late
    assert not scene.mta.kernel.drops  # the first transfer's confirm died with its connection


def test_the_line_is_free_again_after_a_loss() -> None:
    scene = Scene()
    first = scene.mail(size=1_000_000)
    scene.outage(7.0, 20.0)
    scene.mta.delete(scene.env.now, first.mtsid)
    second = scene.mail(size=1000)
    scene.until(2000.0)
    assert second.left_at == 20.0 + RECOVERY + 5.0 + 2.0


def test_a_loss_of_an_idle_association_is_no_event() -> None:
    scene = Scene()
    scene.mail()
    scene.outage(50.0, 60.0)
    assert scene.states() == {}
    assert scene.until(2000.0).events() == []
    later = scene.mail()
    scene.until(3000.0)
    assert later.left_at == 2010.0


def test_a_loss_while_the_association_closes_is_no_event() -> None:
    scene = Scene()
    scene.mail()
    assert scene.until(311.0).states() == {1: State.CLOSING}
    scene.outage(311.0, 330.0)
    assert scene.states() == {}
    scene.until(2000.0)
    assert (scene.events(), scene.network.attempts) == ([], {})
    assert not scene.mta.kernel.drops


def test_an_open_over_a_link_that_is_down_fails_at_once() -> None:
    scene = Scene()
    scene.network.link_down("NORTH")
    scene.until(100.0).mail()
    scene.until(1350.0)
    # K: a pair at every open interval while the link is down and mail is queued.
    assert scene.events(4284) == [(100.0, 4284), (700.0, 4284), (1300.0, 4284)]
    assert scene.events(4284) == [(time, 4284) for time, _ in scene.events(4287)]
    scene.network.link_up("NORTH", Outage(0.0, 1350.0, "NORTH"))
    assert scene.network.attempts == {}  # no attempt was under way when the link was lost
    scene.until(1420.0)
    assert len(scene.mta) == 0


def test_the_loss_of_one_link_leaves_the_others_alone() -> None:
    scene = Scene(peers=("NORTH", "SOUTH"))
    north, south = scene.mail(peer="NORTH"), scene.mail(peer="SOUTH")
    scene.until(7.0).network.link_down("NORTH")
    assert not scene.network.is_up("NORTH")
    assert scene.network.is_up("SOUTH")
    scene.until(50.0)
    assert (north.way, south.left_at) == (None, 10.0)


def test_a_reconnection_is_told_once_an_association_stands_after_a_loss() -> None:
    scene = Scene(peers=("NORTH", "SOUTH"))
    scene.mail(peer="NORTH")
    scene.mail(peer="SOUTH")
    scene.until(6.0)
    assert scene.reconnected == []  # the first of all is no re-connection
    scene.outage(7.0, 20.0)
    scene.until(85.0)
    assert scene.reconnected == [(20.0 + RECOVERY + 5.0, "NORTH")]
    scene.until(1000.0).mail(peer="NORTH")
    scene.until(2000.0)
    assert len(scene.reconnected) == 1


# What is answered late.


def test_an_attempt_to_connect_is_answered_late_if_the_link_is_back_in_time() -> None:
    for seconds, answered in ((10.0, True), (MEMORY, True), (MEMORY + 0.001, False)):
        scene = Scene()
        scene.mail()
        scene.outage(1.0, 1.0 + seconds)
        assert scene.events() == [(1.0, 4284), (1.0, 4287)]
        [(handle, attempt)] = scene.network.attempts.items() or [(None, None)]
        assert (attempt is not None) == answered
        if attempt is not None:
            assert handle == attempt.handle == Handle(1, 0)
            assert (attempt.peer, attempt.state) == ("NORTH", State.AWAIT_TRANSPORT)
            assert (attempt.lost_at, attempt.back_at) == (1.0, 1.0 + seconds)
        block = scene.mta.kernel.block(1)
        scene.until(1.0 + seconds + ANSWER - 0.01)
        assert block.pending == []
        scene.until(1.0 + seconds + ANSWER)
        assert len(block.pending) == answered


def test_an_attempt_to_associate_is_answered_late_as_well() -> None:
    scene = Scene()
    scene.mail()
    scene.outage(3.0, 11.0)
    [attempt] = scene.network.attempts.values()
    assert (attempt.state, attempt.lost_at, attempt.back_at) == (State.AWAIT_ACCEPT, 3.0, 11.0)
    scene.until(11.0 + ANSWER)
    assert [primitive.name for primitive in scene.mta.kernel.block(1).pending] == ["ACCEPT"]
    assert scene.reconnected == []  # it stands for the peer alone


def test_sp2_drops_the_late_answer_and_counts_it() -> None:
    for lost_at in (1.0, 3.0):
        scene = Scene()
        entry = scene.mail()
        scene.outage(lost_at, 11.0)
        scene.until(lost_at + DISCONNECT - 0.1)
        assert scene.mta.kernel.block(1).state is State.OPEN_ERROR
        assert scene.mta.kernel.drops.total() == 0
        scene.until(lost_at + DISCONNECT)
        assert scene.mta.kernel.drops == {Drop.STALE: 1}
        scene.until(3000.0)
        assert scene.mta.kernel.drops == {Drop.STALE: 1}  # the disconnect ended what the peer still had to say
        assert entry.left_at == 11.0 + RECOVERY + 10.0
        assert scene.events() == [(lost_at, 4284), (lost_at, 4287)]
        assert (scene.states(), scene.mta.kernel.idle) == ({}, 20)
        scene.mta.kernel.check()


def test_without_a_late_answer_the_versions_agree() -> None:
    for lost_at in (1.0, 3.0, 7.0):
        seen = []
        versions: tuple[Version, Version] = ("SP2", "4.0")
        for version in versions:
            scene = Scene(version)
            entry = scene.mail()
            scene.outage(lost_at, lost_at + MEMORY + 1)
            scene.until(3000.0)
            seen.append((scene.events(), entry.left_at, scene.mta.kernel.drops, scene.mta.kernel.idle))
        assert seen[0] == seen[1]


def test_40_leaves_a_block_stuck_then_1004_and_1277() -> None:
    scene = Scene("4.0")
    entry = scene.mail()
    scene.outage(3.0, 11.0)
    scene.until(3.0 + DISCONNECT - 0.1)
    assert scene.mta.kernel.left.total() == 0
    scene.until(3.0 + DISCONNECT)
    block = scene.mta.kernel.block(1)
    assert (block.remnant, block.state, block.handle) == (Remnant.STUCK, State.OPEN_ERROR, None)
    assert scene.mta.kernel.drops == {Drop.CUT: 1}  # the answer itself: its path is gone
    assert entry.left_at == 11.0 + RECOVERY + 10.0  # on the second association, while the first one failed
    scene.until(11.0 + PATIENCE)
    assert scene.mta.kernel.drops == {Drop.CUT: 2}  # the peer releases what it had accepted
    assert scene.events() == [(3.0, 4284), (3.0, 4287)]
    # A peer that calls is refused; a local retry selects the block.
    scene.until(500.0).network.call("NORTH", 60.0)
    assert scene.events(1277) == [(500.0, 1277)]
    later = scene.until(600.0).mail()
    assert scene.events(1004) == [(600.0, 1004)]
    scene.until(1199.0).network.call("NORTH", 60.0)
    assert scene.events(1277) == [(500.0, 1277), (1199.0, 1277)]
    assert scene.mta.remote_refusals == 2
    scene.until(3000.0)
    assert later.left_at == 1210.0  # put off by the open interval
    assert block.remnant is Remnant.STUCK
    assert scene.mta.kernel.idle == 19
    assert len(scene.events(1004)) == 1
    scene.mta.kernel.check()


def test_40_leaves_a_block_dangling_then_1198() -> None:
    scene = dangling(SPEAKS)
    scene.until(11.0 + PATIENCE)
    assert scene.events() == [(SPEAKS, 4284), (SPEAKS, 4287), (11.0 + PATIENCE, 1198)]
    assert scene.mta.log.filter(ids=[1198])[0].event.fields == {"index": 1}
    assert returned(scene)


def test_40_leaves_a_block_dangling_then_1008() -> None:
    scene = dangling(ABORTS)
    scene.until(11.0 + PATIENCE)
    assert scene.events() == [(ABORTS, 4284), (ABORTS, 4287), (11.0 + PATIENCE, 1008)]
    assert returned(scene)


def test_a_loss_before_the_peers_last_word_is_1008_too() -> None:
    scene = dangling(SPEAKS)
    scene.until(140.0).network.link_down("NORTH")
    assert scene.events(1008, 1198) == [(140.0, 1008)]
    scene.until(145.0).network.link_up("NORTH", Outage(140.0, 145.0, "NORTH"))
    assert [attempt.lost_at for attempt in scene.network.attempts.values()] == [SPEAKS]  # it is not answered once more
    scene.until(3000.0)
    assert scene.events(1008, 1198) == [(140.0, 1008)]
    assert returned(scene)


def test_a_loss_between_the_late_answer_and_the_open_errors_end() -> None:
    scene = Scene("4.0")
    scene.mail()
    scene.outage(SPEAKS, 11.0)
    scene.outage(40.0, 50.0)  # the peer's connection is gone before the Open Error is processed
    scene.until(SPEAKS + DISCONNECT)
    assert scene.events(1008, 1198) == [(SPEAKS + DISCONNECT, 1008)]
    assert scene.mta.kernel.left == {Remnant.DANGLING: 1}
    assert scene.until(3000.0).events(1008, 1198) == [(SPEAKS + DISCONNECT, 1008)]
    assert returned(scene)


def test_a_second_loss_before_the_answer_leaves_nothing_for_good() -> None:
    scene = Scene("4.0")
    scene.mail()
    scene.outage(1.0, 5.0)
    scene.outage(5.2, 9.0)  # before the answer, half a second after the link's return
    scene.until(3000.0)
    assert scene.mta.kernel.left[Remnant.STUCK] == 0
    assert scene.mta.kernel.idle == 20
    scene.mta.kernel.check()


@pytest.mark.parametrize("version", ["SP2", "4.0"])
@pytest.mark.parametrize("lost_at", [1.0, 3.0])
def test_an_answer_that_is_lost_again_on_its_way_leaves_no_disconnect_pending(version: Version, lost_at: float) -> None:
    scene = Scene(version)
    entry = scene.mail()
    scene.outage(lost_at, 5.0)
    block = scene.mta.kernel.block(1)
    scene.until(5.2).network.link_down("NORTH")  # the answer would come half a second after the link's return
    assert (block.state, block.pending) == (State.OPEN_ERROR, [])
    scene.until(9.0).network.link_up("NORTH", Outage(5.2, 9.0, "NORTH"))
    scene.until(lost_at + DISCONNECT - 0.1)
    assert (block.state, block.pending) == (State.OPEN_ERROR, [])
    scene.until(lost_at + DISCONNECT)
    assert (block.state, block.remnant, scene.mta.kernel.idle) == (State.IDLE, None, 19)  # one stands again
    scene.until(3000.0)
    assert (scene.mta.kernel.left.total(), scene.mta.kernel.drops.total(), scene.mta.kernel.idle) == (0, 0, 20)
    assert scene.events() == [(lost_at, 4284), (lost_at, 4287)]
    assert entry.way is Way.DELIVERED
    scene.mta.kernel.check()


def test_a_long_list_of_flaps_does_not_fill_the_memory_with_attempts() -> None:
    scene = Scene()
    scene.mail()
    lost: list[float] = []
    for _ in range(100):
        start = scene.env.now + 1.0  # while the transport is being asked for
        scene.outage(start, start + 1.0)
        lost.append(start)
        assert [attempt.lost_at for attempt in scene.network.attempts.values()] == lost[-64:]
        assert all(handle == attempt.handle for handle, attempt in scene.network.attempts.items())
        scene.until(start + 1.0 + RECOVERY)
    assert len(scene.mta) == 1  # it was tried all the time


def test_a_1004_of_another_block_of_the_same_peer_is_not_told_as_this_ones() -> None:
    scene = Scene("4.0", threshold=1)
    watcher = FirstRemnant()
    watcher.attempts = scene.network.attempts
    scene.network.call("NORTH", 60.0)  # association 1, block 1
    scene.mail()  # association 2, block 2: cut off at 3, left behind at 123
    scene.outage(3.0, 11.0)
    # Association 1, block 3: cut off at 74, left behind at 194. Open once more at 214: by then 1 is the lowest again.
    scene.outage(74.0, 154.0)
    scene.until(3.0 + DISCONNECT)
    watcher.remained(scene.env.now, Handle(2, 0), Remnant.STUCK)
    scene.until(214.0)
    kernel = scene.mta.kernel
    assert [kernel.block(index).remnant for index in (1, 2, 3)] == [None, Remnant.STUCK, Remnant.STUCK]
    assert scene.events(1004) == [(214.0, 1004)]
    for _ in range(4):  # enough for a second association: number 2
        scene.mail(size=100_000)
    scene.until(3000.0)
    for entry in scene.mta.log:
        watcher.logged(entry)
    first, second = scene.mta.log.filter(ids=[1004])
    assert [entry.event.fields["association"] for entry in (first, second)] == [1, 2]
    assert watcher.story is not None
    assert watcher.story.consequences == [second]


def dangling(lost_at: float) -> Scene:
    scene = Scene("4.0")
    entry = scene.mail()
    scene.outage(lost_at, 11.0)
    scene.until(lost_at + DISCONNECT)
    block = scene.mta.kernel.block(1)
    assert (block.remnant, block.state, block.entity) == (Remnant.DANGLING, State.IDLE, None)
    assert block.handle == Handle(1, 0)
    assert scene.mta.kernel.idle == 18  # and another association stands
    assert entry.left_at == 11.0 + RECOVERY + 10.0
    return scene


def returned(scene: Scene) -> bool:
    """Whether the peer's last word was the end of what was left: the block is in the pool again."""
    scene.until(3000.0)
    assert scene.mta.kernel.count(Remnant.DANGLING) == 0
    assert scene.mta.kernel.idle == 20
    assert scene.mta.kernel.drops.total() == 0
    scene.mta.kernel.check()
    return True


def test_the_peers_last_word_depends_on_the_outage_alone() -> None:
    words: dict[float, int] = {}
    for start in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75):
        for _ in range(2):
            scene = Scene("4.0")
            scene.mail()
            scene.outage(start, 11.0)
            scene.until(3000.0)
            [(_, id)] = scene.events(1008, 1198)
            assert words.setdefault(start, id) == id
    assert set(words.values()) == {1008, 1198}


# Disconnect, and the peers' own calls.


def test_a_disconnect_ends_all_further_answers_of_a_connection() -> None:
    scene = Scene()
    scene.mail()
    scene.until(1.0).network.do(Disconnect(Handle(1, 0)))
    assert scene.until(500.0).states() == {1: State.AWAIT_TRANSPORT}
    scene.network.do(Disconnect(Handle(1, 0)))  # it does not stand any more: nothing to do
    scene.network.do(Disconnect(Handle(7, 3)))
    assert scene.mta.kernel.drops.total() == 0


def test_a_restart_breaks_a_transfer_off() -> None:
    scene = Scene()
    entry = scene.mail(size=20_000)
    scene.until(10.0)
    scene.mta.restart(10.0)
    scene.settle()
    scene.until(1000.0)
    assert (entry.way, entry.transfers) == (Way.DELIVERED, 2)
    assert scene.mta.kernel.drops.total() == 0


def test_a_disconnect_stops_the_transfer_of_that_connection_alone() -> None:
    scene = Scene(threshold=1)
    entries = [scene.mail(size=10_000) for _ in range(3)]
    scene.until(11.0)
    assert scene.states() == {1: State.OPEN, 2: State.OPEN}
    scene.network.do(Disconnect(Handle(2, 0)))
    scene.until(200.0)
    assert [entry.way for entry in entries] == [Way.DELIVERED, None, Way.DELIVERED]


def test_a_peer_that_calls_occupies_a_block_for_its_time() -> None:
    scene = Scene()
    scene.until(100.0).network.call("NORTH", 30.0)
    assert scene.states() == {1: State.OPEN}
    assert scene.until(129.9).states() == {1: State.OPEN}
    assert scene.until(130.0).states() == {}
    assert (scene.mta.kernel.idle, scene.mta.remote_refusals, scene.events()) == (20, 0, [])
    scene.until(1000.0)
    assert scene.mta.kernel.drops.total() == 0


def test_a_call_that_finds_no_block_is_refused_and_ends_there() -> None:
    scene = Scene(control_blocks=1)
    scene.network.call("NORTH", 30.0)
    scene.until(10.0).network.call("NORTH", 500.0)
    assert scene.events() == [(10.0, 1277)]
    assert scene.until(30.0).states() == {}
    assert scene.mta.remote_refusals == 1


def test_a_call_over_a_link_that_is_down_does_nothing() -> None:
    scene = Scene("4.0", control_blocks=1)
    scene.network.link_down("NORTH")
    scene.until(5.0).network.call("NORTH", 30.0)
    scene.until(10.0)
    assert (scene.states(), scene.events(), scene.mta.remote_refusals) == ({}, [], 0)
    scene.network.link_up("NORTH", Outage(0.0, 10.0, "NORTH"))
    scene.network.call("NORTH", 30.0)
    assert scene.states() == {1: State.OPEN}


def test_a_loss_ends_a_call() -> None:
    scene = Scene()
    scene.network.call("NORTH", 60.0)
    scene.outage(10.0, 20.0)
    assert scene.states() == {}
    scene.until(1000.0)
    assert (scene.events(), scene.network.attempts) == ([], {})
    assert scene.mta.kernel.drops.total() == 0


def test_calls_and_mail_share_no_connection() -> None:
    scene = Scene()
    scene.network.call("NORTH", 8.0)
    entry = scene.mail()
    scene.until(3.0)
    assert scene.states() == {1: State.OPEN, 2: State.AWAIT_ACCEPT}
    scene.until(100.0)
    assert entry.left_at == 10.0
    assert scene.states() == {2: State.OPEN}
