"""Non-delivery: how failures are counted, and the messages that went through too many of them.

The first failure of a row begins it. Each later one counts the whole intervals since, as if opens came by the clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mtsid import MessageQueue, v40
from mtsid.mta import Associate, Connect, Entry, NextHop, Policy, Primitive, Transfer, Way
from mtsid.mta.session import SessionState, Turn
from mtsid.mta.versions import VERSIONS, Version

if TYPE_CHECKING:
    from .conftest import Agents, Driven

P = Primitive
INTERVAL, DAY = 600.0, 24 * 3600.0
NEVER = math.inf


def hop(*, queue: Any = None, left: list[Entry[str]] | None = None, **policy: Any) -> NextHop[str]:
    on_left = None if left is None else left.append
    return NextHop("NORTH", "/CN=NORTH", MessageQueue(100) if queue is None else queue, Policy(**policy), on_left)


def enter(hop: NextHop[str], now: float, body: str, *, not_before: float | None = None) -> Entry[str]:
    entry = Entry(body, now, not_before=not_before)
    hop.enter(now, entry, "normal")
    return entry


def ways(*entries: Entry[str]) -> list[Way | None]:
    return [entry.way for entry in entries]


def fail(hop: NextHop[str], times: int, now: float) -> None:
    """Let so many opens fail, from `now` on and one interval apart: each counts one, but the first of a row."""
    for number in range(times):
        hop.failed(now + INTERVAL * number)


# One hop: what counts


def test_messages_are_returned_after_their_own_open_retries() -> None:
    left: list[Entry[str]] = []
    north = hop(left=left, open_retries=3)
    early = enter(north, 0.0, "early")
    fail(north, 2, 0.0)
    late = enter(north, 700.0, "late")
    fail(north, 1, 1200.0)
    assert ways(early, late) == [None, None]
    fail(north, 1, 1800.0)
    assert ways(early, late) == [Way.RETRIES, None]
    fail(north, 1, 2400.0)
    assert ways(early, late) == [Way.RETRIES, Way.RETRIES]
    assert (early.left_at, late.left_at, left, len(north.queue)) == (1800.0, 2400.0, [early, late], 0)


def test_a_default_policy_returns_mail_at_the_144th_failed_open_after_the_first() -> None:
    north = hop()
    entry = enter(north, 0.0, "a")
    fail(north, 144, 0.0)
    assert ways(entry) == [None]
    north.failed(DAY - 0.1)
    assert ways(entry) == [None]
    north.failed(DAY)
    assert (entry.way, entry.left_at) == (Way.RETRIES, DAY)


def test_the_first_failure_of_a_row_counts_nothing_however_late_it_comes() -> None:
    north = hop(open_retries=1)
    entry = enter(north, 0.0, "a")
    for now in (DAY, DAY, DAY + 599.9):
        north.failed(now)
        assert ways(entry) == [None]
    north.failed(DAY + 600.0)
    assert (entry.way, entry.left_at) == (Way.RETRIES, DAY + 600.0)


def test_failures_inside_an_interval_do_not_count() -> None:
    north = hop(open_retries=3)
    entry = enter(north, 0.0, "a")
    for now in (10.0, 10.0, 70.0, 609.9, 610.0, 610.0, 1209.9, 1210.0, 1809.9):
        north.failed(now)
        assert ways(entry) == [None]
    north.failed(1810.0)
    assert (entry.way, entry.left_at) == (Way.RETRIES, 1810.0)


@pytest.mark.parametrize("step", [1.0, 60.0, 450.0, 540.0, 590.0, 599.0, 600.0])
def test_failures_a_step_apart_count_by_the_clock_and_the_rest_of_an_interval_is_not_lost(step: float) -> None:
    north = hop(open_retries=20)
    entry = enter(north, 0.0, "a")
    now = 0.0
    while now < 20 * INTERVAL:
        north.failed(now)
        assert ways(entry) == [None]
        now += step
    north.failed(now)
    assert (entry.way, entry.left_at) == (Way.RETRIES, now)


@pytest.mark.parametrize("intervals", [1, 2, 3, 10])
def test_one_failure_counts_as_many_as_whole_intervals_have_passed(intervals: int) -> None:
    for retries, way in ((intervals, Way.RETRIES), (intervals + 1, None)):
        north = hop(open_retries=retries)
        entry = enter(north, 0.0, "a")
        for now in (100.0, 100.0 + intervals * INTERVAL):
            assert ways(entry) == [None]
            north.failed(now)
        north.failed(100.0 + intervals * INTERVAL + 599.9)
        assert ways(entry) == [way]


def test_what_is_left_of_an_interval_after_several_were_counted_is_kept() -> None:
    north = hop(open_retries=4)
    entry = enter(north, 0.0, "a")
    for now in (0.0, 1799.9, 2399.9):  # none, two, one
        north.failed(now)
        assert ways(entry) == [None]
    north.failed(2400.0)
    assert (entry.way, entry.left_at) == (Way.RETRIES, 2400.0)


def test_another_interval_counts_its_own_failures() -> None:
    north = hop(open_retries=2, open_interval=5.0)
    entry = enter(north, 0.0, "a")
    for now in (0.0, 4.9, 5.0, 9.9):
        north.failed(now)
        assert ways(entry) == [None]
    north.failed(10.0)
    assert (entry.way, entry.left_at) == (Way.RETRIES, 10.0)


@pytest.mark.parametrize("interval", [0.1, 0.7, 7.3, 600.1])
def test_opens_that_come_by_the_clock_count_each_in_floats_too(interval: float) -> None:
    north = hop(open_interval=interval)
    entry = enter(north, 0.0, "a")
    now = 0.3
    north.failed(now)
    for _ in range(144):
        assert ways(entry) == [None]
        now += interval
        north.failed(now)
    assert (entry.way, entry.left_at) == (Way.RETRIES, now)


def test_a_collision_begins_the_row_and_one_each_minute_counts_once_an_interval() -> None:
    made = hop(queue=v40.MessageQueue(100, defect="premature-strip"), open_retries=2)
    older = enter(made, 0.0, "older")
    enter(made, 0.0, "middle")
    made.give_back(1.0, made.take(0.0))
    younger = enter(made, 2.0, "younger")
    assert older.mtsid == younger.mtsid
    for minute in range(20):
        made.take(60.0 * minute)
        assert ways(older, younger) == [None, None]
    made.take(1200.0)
    assert ways(older, younger) == [Way.RETRIES, Way.RETRIES]
    assert made.shutdowns == 21


def test_all_that_went_through_as_many_are_returned_together_and_no_other() -> None:
    north = hop(open_retries=2)
    early = [enter(north, 0.0, body) for body in "abc"]
    fail(north, 2, 0.0)
    late = [enter(north, 601.0, body) for body in "de"]
    fail(north, 1, 1200.0)
    assert ways(*early, *late) == [Way.RETRIES] * 3 + [None] * 2


# One hop: where a row begins anew


def test_an_acknowledged_transfer_starts_the_count_and_the_row_anew() -> None:
    north = hop(open_retries=3)
    first, second = enter(north, 0.0, "a"), enter(north, 0.0, "b")
    fail(north, 3, 0.0)
    north.acknowledge(1201.0, north.take(1201.0))
    fail(north, 3, 5000.0)  # the first begins the row: the wait before it does not count
    assert ways(first, second) == [Way.DELIVERED, None]
    north.failed(6799.9)
    assert ways(first, second) == [Way.DELIVERED, None]
    north.failed(6800.0)
    assert ways(first, second) == [Way.DELIVERED, Way.RETRIES]


def test_even_the_acknowledgement_of_a_deleted_message_starts_the_count_anew() -> None:
    north = hop(open_retries=2)
    gone, kept = enter(north, 0.0, "a"), enter(north, 0.0, "b")
    fail(north, 2, 0.0)
    receipt = north.take(601.0)
    assert receipt.body is gone
    north.delete(602.0, gone.mtsid)
    north.acknowledge(603.0, receipt)
    fail(north, 2, 1200.0)
    assert ways(kept) == [None]
    fail(north, 1, 2400.0)
    assert ways(kept) == [Way.RETRIES]


@pytest.mark.parametrize("turn", [Turn.EMPTY, Turn.RESTART])
def test_an_empty_session_or_a_restart_ends_the_row_and_keeps_what_was_counted(turn: Turn) -> None:
    north = hop(open_retries=3)
    entry = enter(north, 0.0, "a")
    fail(north, 2, 0.0)  # one
    north.state = SessionState.RETRY
    north.turn(turn)
    for now in (10_000.0, 10_600.0, 11_199.9):  # it begins anew, two
        north.failed(now)
        assert ways(entry) == [None]
    north.failed(11_200.0)
    assert (entry.way, entry.left_at) == (Way.RETRIES, 11_200.0)


@pytest.mark.parametrize("turn", [Turn.OPENS, Turn.LOST])
def test_no_other_turn_ends_the_row(turn: Turn) -> None:
    north = hop(open_retries=3)
    entry = enter(north, 0.0, "a")
    north.failed(0.0)
    north.state = SessionState.RETRY
    north.turn(turn)
    north.failed(1799.9)
    assert ways(entry) == [None]
    north.failed(1800.0)
    assert ways(entry) == [Way.RETRIES]


# One hop: deferred messages


def test_a_deferred_message_has_the_same_patience_from_its_time_on() -> None:
    north = hop(open_retries=2)
    late, other = enter(north, 0.0, "late", not_before=1000.0), enter(north, 0.0, "other")
    fail(north, 3, 1.0)
    assert ways(other, late) == [Way.RETRIES, None]
    north.failed(2199.9)
    assert ways(late) == [None]
    north.failed(2799.9)
    assert (late.way, late.left_at) == (Way.RETRIES, 2799.9)


def test_a_deferred_messages_patience_ends_to_the_second() -> None:
    north = hop(open_retries=2)
    late = enter(north, 0.0, "late", not_before=1000.0)
    for now in (0.0, 600.0, 1200.0, 1800.0, 2199.9):  # it went through two at the third
        north.failed(now)
        assert ways(late) == [None]
    north.failed(2200.0)  # 1,000 s and two intervals
    assert (late.way, late.left_at) == (Way.RETRIES, 2200.0)


def test_a_deferred_message_set_aside_can_be_returned() -> None:
    north = hop(open_retries=1)
    late = enter(north, 0.0, "late", not_before=10.0)
    assert north.take(0.0) is None
    fail(north, 2, 10.0)
    assert (late.way, late.left_at) == (Way.RETRIES, 610.0)
    assert (north.deferred_until, north.take(700.0), len(north.queue)) == (None, None, 0)


# The whole MTA: 24 hours, whatever the link does in between


class Link(NamedTuple):
    """A link that carries nothing."""

    up_every: float = NEVER  # seconds between two link_up
    stands_each: int = 0  # one in so many opens gets as far as a transfer
    stands_for: float = 100.0  # seconds until it is lost again


LINKS = [
    pytest.param(Link(), id="outage"),
    pytest.param(Link(up_every=60.0), id="up each 60 s"),
    pytest.param(Link(up_every=540.0), id="up each 540 s"),
    pytest.param(Link(up_every=590.0), id="up each 590 s"),
    pytest.param(Link(stands_each=3), id="stands now and then"),
    pytest.param(Link(up_every=60.0, stands_each=2, stands_for=500.0), id="up each 60 s and stands now and then"),
]


def stand(mta: Driven, now: float, connect: Connect) -> None:
    """Let an open succeed: its transfer is the next action."""
    assert mta.receive(now, connect.handle, P.CONNECT_CONFIRM)
    mta.answer(now, Associate, P.ACCEPT)


def connects(mta: Driven) -> list[Connect]:
    return [action for action in mta.take_actions() if isinstance(action, Connect)]


def suffer(mta: Driven, link: Link, lost_at: float, until: float) -> list[float]:
    """Go on from a loss until that time, or until no mail is left; return when something was lost or failed to open."""
    now, up, down, opens, losses = lost_at, lost_at + link.up_every, NEVER, 0, [lost_at]
    while len(mta) and (now < until or down < NEVER):
        wakes_at = mta.wakes_at
        now = min(up, down, NEVER if wakes_at is None else wakes_at)
        assert now < NEVER
        mta.wake(now)
        if down <= now:
            mta.link_down(now)
            losses.append(now)
            down = NEVER
        for connect in connects(mta):
            opens += 1
            if link.stands_each and opens % link.stands_each == 0:
                stand(mta, now, connect)
                mta.one(Transfer)
                down = now + link.stands_for
            else:
                mta.link_down(now)
                losses.append(now)
        if up <= now:
            mta.link_up(now)
            up += link.up_every
    return losses


def returned_in_time(entry: Entry[str], losses: list[float]) -> bool:
    """Whether it was returned at the first failure at or after 24 hours from the first one, and that came in time."""
    *before, last = losses
    return (
        entry.way is Way.RETRIES
        and entry.left_at == last
        and before[-1] < losses[0] + DAY <= last < losses[0] + DAY + INTERVAL
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("stood", [False, True])
def test_mail_that_cannot_be_carried_is_returned_24_hours_after_the_first_loss(
    version: Version, link: Link, stood: bool, agent: Agents
) -> None:
    mta = agent(version)
    entries = [mta.submit(0.0, body) for body in "abc"]
    lost_at = 0.0
    if stood:
        mta.stand(0.0)
        mta.one(Transfer)
        lost_at = 5000.0  # the row begins here, not with the message
    mta.link_down(lost_at)
    mta.take_actions()
    losses = suffer(mta, link, lost_at, lost_at + 3 * DAY)
    assert [returned_in_time(entry, losses) for entry in entries] == [True] * 3
    assert (len(mta), mta.log.counts[4284], mta.log.counts[4287]) == (0, len(losses), len(losses))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("link", LINKS)
def test_an_acknowledged_transfer_begins_the_24_hours_anew(version: Version, link: Link, agent: Agents) -> None:
    mta = agent(version)
    first, second = mta.submit(0.0, "first"), mta.submit(0.0, "second")
    mta.link_down(0.0)
    mta.take_actions()
    suffer(mta, link, 0.0, 0.9 * DAY)
    opened: list[Connect] = []
    while not opened:
        assert mta.wakes_at is not None
        now = mta.wakes_at
        mta.wake(now)
        opened = connects(mta)
    stand(mta, now, opened[0])
    assert mta.carry(now) is first
    mta.one(Transfer)
    mta.link_down(now + 10.0)
    mta.take_actions()
    losses = suffer(mta, link, now + 10.0, 3 * DAY)
    assert ways(first, second) == [Way.DELIVERED, Way.RETRIES]
    assert returned_in_time(second, losses)
