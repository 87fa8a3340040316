"""The books: every message is accounted for exactly once, and the control blocks' time is kept."""

from __future__ import annotations

import json

import pytest

from mtsid.lab.ledger import AccountingError, Ledger, Result
from mtsid.mta import MTA, Collision, Entry, Policy, Primitive, Refusal, Version, Way

PEERS = ("NORTH", "SOUTH")


def close(ledger: Ledger, mta: MTA[str], now: float = 1.0) -> Result:
    return ledger.close(now, mta, ids=10, undated=0)


def books(version: Version = "SP2", **policy: int) -> tuple[Ledger, MTA[str]]:
    ledger = Ledger(PEERS)

    def left(entry: Entry[str]) -> None:
        ledger.leaves(entry, entry.body)

    return ledger, MTA(version, peers=PEERS, ids=2, policy=Policy(**policy), on_left=left)


def enter(ledger: Ledger, mta: MTA[str], peer: str, now: float = 0.0) -> Entry[str]:
    entry = mta.submit(now, peer, peer=peer)
    ledger.entered(entry, peer, len(mta))
    return entry


def test_what_enters_is_queued_or_has_left() -> None:
    ledger, mta = books()
    for peer in ("NORTH", "NORTH", "NORTH", "SOUTH"):  # the third finds its queue full
        enter(ledger, mta, peer)
    mta.delete(0.5, 1, peer="NORTH")
    [north, _] = mta.take_actions()
    mta.receive(1.0, north.handle, Primitive.CONNECT_CONFIRM)
    mta.receive(1.0, north.handle, Primitive.ACCEPT)
    mta.receive(1.0, north.handle, Primitive.TRANSFER_CONFIRM)
    result = close(ledger, mta)
    assert (result.messages, result.delivered, result.non_delivered, result.still_queued) == (4, 1, 2, 1)
    assert result.non_delivered_by == {Way.OPERATOR.value: 1, Way.QUEUE_FULL.value: 1}
    assert result.most_queued == 3
    assert (result.version, result.defect, result.ids, result.undated) == ("SP2", None, 10, 0)


def test_the_books_refuse_a_lost_message() -> None:
    ledger, mta = books()
    enter(ledger, mta, "NORTH")
    assert close(ledger, mta).still_queued == 1
    queue = mta.next_hops["NORTH"].queue
    queue.ack(queue.get(False))  # behind the MTA's back
    with pytest.raises(AccountingError, match=r"SP2: 1 message entered, but 0 delivered.*the queues hold 0"):
        close(ledger, mta)


def test_the_books_refuse_a_message_that_nobody_entered() -> None:
    ledger, mta = books("4.0")
    enter(ledger, mta, "NORTH")
    mta.submit(0.0, "SOUTH", peer="SOUTH")
    with pytest.raises(AccountingError, match=r"4\.0: 1 message entered.*2 still queued = 2"):
        close(ledger, mta)


@pytest.mark.parametrize(("entered", "words"), [(0, "0 messages"), (1, "1 message"), (2, "2 messages")])
def test_the_books_do_not_say_1_messages(entered: int, words: str) -> None:
    ledger, mta = books()
    for _ in range(entered):
        enter(ledger, mta, "NORTH")
    mta.submit(0.0, "SOUTH", peer="SOUTH")
    with pytest.raises(AccountingError, match=rf"^SP2: {words} entered, but"):
        close(ledger, mta)


def test_the_books_refuse_a_message_that_left_twice() -> None:
    ledger, mta = books()
    enter(ledger, mta, "NORTH")
    entry = mta.delete(0.5, 1, peer="NORTH")
    assert close(ledger, mta).non_delivered == 1
    ledger.leaves(entry, "NORTH")
    with pytest.raises(AccountingError, match="2 non-delivered"):
        close(ledger, mta)


def test_a_message_that_never_entered_hangs_nowhere() -> None:
    ledger, mta = books()
    for _ in range(3):
        entry = enter(ledger, mta, "NORTH")
    assert entry.way is Way.QUEUE_FULL
    hop = mta.next_hops["NORTH"]
    hop.collision = Collision(1.0, 1, 2)
    ledger.clocks["NORTH"].look(1.0, hop, True)
    assert ledger.clocks["NORTH"].messages == 2
    assert (ledger.messages, ledger.left) == (3, {Way.QUEUE_FULL: 1})


def test_each_peer_has_a_clock_of_its_own() -> None:
    ledger, mta = books()
    north, south = ledger.clocks["NORTH"], ledger.clocks["SOUTH"]
    north.hangs, north.messages, north.seconds, north.longest = 2, 3, 100.0, 60.0
    south.hangs, south.messages, south.seconds, south.longest = 1, 5, 70.0, 70.0
    result = close(ledger, mta)
    assert (result.hangs, result.hung_messages, result.hung_seconds, result.longest_hang_seconds) == (3, 8, 170.0, 70.0)


def test_the_time_without_an_idle_control_block_is_counted() -> None:
    ledger, mta = books(control_blocks=1)
    ledger.look(5.0, mta)
    handle = mta.connect_indication(10.0, "NORTH")
    assert handle is not None
    for now in (10.0, 12.0, 20.0):  # looked at again and again: it began at the first
        ledger.look(now, mta)
    assert close(ledger, mta, 22.0).seconds_without_kcb == 12.0  # up to the end
    mta.receive(25.0, handle, Primitive.RELEASE_INDICATION)
    ledger.look(25.0, mta)
    ledger.look(30.0, mta)
    assert close(ledger, mta, 100.0).seconds_without_kcb == 15.0
    assert mta.connect_indication(100.0, "NORTH") is not None
    ledger.look(100.0, mta)
    assert close(ledger, mta, 103.0).seconds_without_kcb == 18.0


def test_a_pool_that_is_not_exhausted_counts_no_time() -> None:
    ledger, mta = books(control_blocks=2)
    mta.connect_indication(10.0, "NORTH")
    ledger.look(10.0, mta)
    assert close(ledger, mta, 50.0).seconds_without_kcb == 0.0


def test_refusals_are_counted_apart() -> None:
    ledger, mta = books(control_blocks=1)
    assert mta.connect_indication(0.0, "SOUTH") is not None
    assert mta.connect_indication(1.0, "SOUTH") is None
    enter(ledger, mta, "NORTH", 2.0)
    result = close(ledger, mta, 3.0)
    assert (result.associations_refused, result.opens_refused) == (1, 1)
    assert result.opens_refused_by == {Refusal.NO_BLOCK.value: 1}
    assert result.control_blocks == 1


def test_late_primitives_are_drops_and_confirms_of_nothing() -> None:
    ledger, mta = books()
    handle = mta.connect_indication(0.0, "NORTH")
    assert handle is not None
    mta.receive(1.0, handle, Primitive.TRANSFER_CONFIRM)
    assert close(ledger, mta).late_primitives == 1
    mta.receive(1.0, handle, Primitive.ACCEPT)  # out of turn
    mta.receive(1.0, handle, Primitive.RELEASE_INDICATION)
    mta.receive(1.0, handle, Primitive.PRESENTATION_INDICATION)  # of an earlier generation
    assert close(ledger, mta).late_primitives == 3


def test_events_that_never_came_are_listed_too() -> None:
    ledger, mta = books()
    assert close(ledger, mta).events == dict.fromkeys(
        ("1004", "1008", "1198", "1277", "4282", "4283", "4284", "4287"), 0
    )


def test_the_figures_are_json_and_seconds_are_rounded_to_the_millisecond() -> None:
    ledger, mta = books("4.0")
    ledger.clocks["NORTH"].seconds = 1 / 3
    ledger.clocks["NORTH"].longest = 2 / 3
    data = close(ledger, mta).to_json()
    assert (data["hung_seconds"], data["longest_hang_seconds"], data["defect"]) == (0.333, 0.667, "premature-strip")
    assert "version" not in data
    assert json.loads(json.dumps(data)) == data
