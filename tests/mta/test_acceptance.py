"""The model's acceptance checks 1, 2, 3, 4 and 7, on both variants."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from mtsid import AuditError, MessageQueue
from mtsid.mta import MTA, Entry, Policy, Session, State, Way

VERSIONS = ("SP2", "4.0")


def begin(version: Any, *, backlog: int, **policy: Any) -> tuple[MTA, list[Entry[str]]]:
    """Return an MTA whose first message is in transfer, with `backlog` more behind it."""
    mta = MTA(version, ids=100, policy=Policy(**policy))
    entries = [mta.session.enter(0.0, f"m{i}") for i in range(1 + backlog)]
    mta.session.open(0.0)
    assert mta.session.start(0.0) is entries[0]
    return mta, entries


def drain(session: Session[str], now: float) -> list[str]:
    """Open and carry all there is; return the bodies in the order of their delivery."""
    carried = []
    assert session.open(now)
    while session.start(now) is not None:
        carried.append(session.acknowledged(now).body)
    assert session.state is State.OPEN
    return carried


def duplicates(mta: MTA) -> tuple[tuple[int, int], ...]:
    queue: Any = mta.queue
    try:
        queue.audit()
    except AuditError as error:
        return tuple(error.audit.duplicates)
    return ()


@pytest.mark.parametrize("version", VERSIONS)
def test_1_an_outage_without_a_backlog_makes_no_duplicate(version: str) -> None:
    mta, entries = begin(version, backlog=0)
    mta.session.link_down(1.0)
    late = mta.session.enter(2.0, "late")
    assert entries[0].mtsid != late.mtsid
    assert (mta.session.duplicates, duplicates(mta)) == (0, ())
    mta.session.link_up(3.0)
    assert drain(mta.session, 63.0) == ["m0", "late"]
    assert {entry.event.id for entry in mta.log} == {4284, 4287}


@pytest.mark.parametrize("version", VERSIONS)
def test_2_an_outage_with_a_backlog_duplicates_one_id_in_40_and_none_in_sp2(version: str) -> None:
    mta, entries = begin(version, backlog=3)
    mta.session.link_down(1.0)
    late = mta.session.enter(2.0, "late")
    if version == "SP2":
        assert (mta.session.duplicates, duplicates(mta)) == (0, ())
    else:
        assert late.mtsid == entries[0].mtsid
        assert mta.session.duplicates == 1
        assert duplicates(mta) == ((late.mtsid, 2),)


def hang(*, open_retries: int = 144) -> tuple[MTA, Entry[str], Entry[str]]:
    """Return a 4.0 MTA held by a collision at 63.0, and its twins."""
    mta, entries = begin("4.0", backlog=1, open_retries=open_retries)
    session = mta.session
    session.link_down(1.0)
    younger = session.enter(2.0, "younger")
    session.link_up(3.0)
    assert session.open(63.0)
    assert session.start(63.0) is None
    assert session.state is State.HELD
    assert session.collision is not None
    assert (session.collision.mtsid, session.collision.entries) == (younger.mtsid, 2)
    return mta, entries[0], younger


def test_3_a_collision_logs_4282_then_4283_after_the_loss() -> None:
    mta, _, _ = hang()
    assert [(entry.time, entry.event.id) for entry in mta.log] == [(1.0, 4284), (1.0, 4287), (63.0, 4282), (63.0, 4283)]


def test_3_every_later_open_closes_again_and_nothing_moves() -> None:
    mta, _, _ = hang()
    session = mta.session
    session.enter(100.0, "urgent", priority="urgent")
    for n in range(1, 11):
        now = 63.0 + 600 * n
        assert session.wakes_at == now
        assert session.open(now)
        assert session.start(now) is None
        assert session.state is State.HELD
    assert session.shutdowns == 11
    assert len(session) == 4
    assert (mta.log.counts[4282], mta.log.counts[4283]) == (11, 11)


def test_3_way_out_operator_deletes_the_older_twin() -> None:
    mta, older, younger = hang()
    assert mta.session.delete(100.0, older.mtsid) is older  # by number: the oldest
    assert older.way is Way.OPERATOR
    assert drain(mta.session, 663.0) == ["m1", "younger"]
    assert younger.way is Way.DELIVERED
    assert mta.session.collision is None


@pytest.mark.parametrize("way", [Way.DELIVERED, Way.OPERATOR, Way.RETRIES])
@pytest.mark.parametrize("which", ["older", "younger"])
def test_3_way_out_one_twin_leaves_by_its_receipt(which: str, way: Way) -> None:
    # A number finds the oldest only; the receipt of a delivery names its own message.
    mta, older, younger = hang()
    leave_by_receipt(mta.session, mta.queue, older if which == "older" else younger, way)
    rest = ["m1", "younger"] if which == "older" else ["m0", "m1"]
    assert drain(mta.session, 663.0) == rest


def test_3_way_out_the_older_twin_is_returned_after_the_open_retries() -> None:
    mta, older, younger = hang(open_retries=4)
    session = mta.session
    for n in range(1, 5):
        session.open(63.0 + 600 * n)
        session.start(63.0 + 600 * n)
        if n == 1:
            late = session.enter(700.0, "late")
    assert (older.way, older.left_at) == (Way.RETRIES, 63.0 + 2400)
    assert younger.way is Way.RETRIES  # it went through as many opens
    assert late.way is None
    assert drain(session, 63.0 + 3000) == ["late"]


def test_3_a_hang_ends_when_no_mail_is_left() -> None:
    mta, _, _ = hang()
    session = mta.session
    for entry in session.entries():
        session.delete(100.0, entry.mtsid)
    assert not session.open(663.0)
    assert session.collision is None
    assert session.state is State.IDLE


def leave_by_receipt(session: Session[str], queue: Any, entry: Entry[str], way: Way) -> None:
    """Let one twin leave by its receipt, as an acknowledgement on another association does, and put the others back."""
    receipts = []
    while queue.qsize():
        receipts.append(queue.get(False))
    for receipt in reversed(receipts):
        if receipt.body is entry:
            queue.ack(receipt)
            session.left_elsewhere(200.0, entry, way)
        else:
            queue.nack(receipt)


def test_4_sp2_never_has_two_live_messages_of_one_number() -> None:
    queue: MessageQueue[Entry[int]] = MessageQueue(50)
    left: list[Entry[int]] = []
    session: Session[int] = Session(queue, on_left=left.append, policy=Policy(open_retries=5))
    rng = Random(4)
    now, entered = 0.0, 0
    for _ in range(20_000):
        now += rng.choice((1.0, 10.0, 300.0))
        act = rng.random()
        if act < 0.45:
            entered += 1
            session.enter(now, entered)
        elif act < 0.5:
            session.link_down(now)
        elif act < 0.6:
            session.link_up(now)
        elif act < 0.62 and len(session):
            session.delete(now, rng.choice([entry.mtsid for entry in session.entries()]))
        elif session.state is State.TRANSFER:
            session.acknowledged(now)
        elif session.state is State.OPEN:
            session.start(now)
        elif session.wakes_at is not None and session.wakes_at <= now:
            session.open(now)
        live = [entry.mtsid for entry in session.entries()]
        assert len(set(live)) == len(live) == len(queue)
        queue.audit()
    assert len(left) + len(session) == entered
    assert len({id(entry) for entry in left}) == len(left)
    assert {entry.way for entry in left} == set(Way)
    assert (session.duplicates, session.shutdowns, session.collision) == (0, 0, None)


@pytest.mark.parametrize("version", VERSIONS)
def test_7_a_long_outage_logs_pairs_one_interval_apart_and_ends_in_an_ndr(version: str) -> None:
    mta, entries = begin(version, backlog=2)
    session = mta.session
    session.link_down(1000.0)
    while len(session):
        now = session.wakes_at
        assert now is not None
        assert not session.open(now)
    times = {id: [entry.time for entry in mta.log if entry.event.id == id] for id in (4284, 4287)}
    assert times[4284] == times[4287] == [1000.0 + 600 * n for n in range(145)]
    assert {entry.way for entry in entries} == {Way.RETRIES}
    assert {entry.left_at for entry in entries} == {1000.0 + 24 * 3600}
    assert set(mta.log.counts) == {4284, 4287}
