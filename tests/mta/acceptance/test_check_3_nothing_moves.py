"""Check 3: in 4.0 nothing on that queue moves until either twin leaves, then the rest drains. Each twin, each way out.

The ways out (A): an acknowledged transfer, a non-delivery report, an operator's delete.
"""

from typing import Any

import pytest

from mtsid.mta import Collision, Entry, Primitive, SessionState, State, Way


def hang(line: Any, **policy: Any) -> tuple[Any, Entry[str], Entry[str]]:
    """Return a 4.0 MTA held by a collision at 63.0, and its twins."""
    at = line("4.0", **policy)
    older, _ = at.enter(0.0, "older", "between")
    at.open(0.0)
    at.lose(1.0)
    [younger] = at.enter(2.0, "younger")
    at.mta.link_up(3.0)
    now = at.reopen()
    assert now == 63.0
    assert at.hop.state is SessionState.HELD
    assert at.hop.collision == Collision(63.0, older.mtsid, 2)
    assert younger.mtsid == older.mtsid
    return at, older, younger


def leave_by_receipt(at: Any, entry: Entry[str], way: Way) -> None:
    """Let one twin leave by its receipt, and put the others back. A number would find the oldest only."""
    queue = at.hop.queue
    receipts = []
    while queue.qsize():
        receipts.append(queue.get(False))
    for receipt in reversed(receipts):
        if receipt.body is entry:
            queue.ack(receipt)
            at.hop.left_elsewhere(200.0, entry, way)
        else:
            queue.nack(receipt)


def test_the_loss_logs_4284_and_4287_and_the_collision_4282_and_4283(line: Any) -> None:
    at, _, _ = hang(line)
    logged = [(entry.time, entry.event.id) for entry in at.mta.log]
    assert logged == [(1.0, 4284), (1.0, 4287), (63.0, 4282), (63.0, 4283)]


def test_the_collision_shuts_the_transport_session_down(line: Any) -> None:
    at, _, _ = hang(line)
    assert at.asks() == []  # the connection was dropped, nothing is asked for
    assert at.mta.kernel.handles() == []
    assert {at.mta.kernel.block(i).state for i in range(1, at.mta.kernel.size + 1)} == {State.IDLE}


def test_every_later_open_closes_again_and_nothing_moves(line: Any) -> None:
    at, _, _ = hang(line)
    at.mta.submit(100.0, "urgent", priority="urgent")
    for n in range(1, 11):
        assert at.reopen() == 63.0 + 600 * n
        assert at.hop.state is SessionState.HELD
        assert at.carried() is None
    assert (at.hop.shutdowns, len(at.hop)) == (11, 4)
    assert (at.mta.log.counts[4282], at.mta.log.counts[4283]) == (11, 11)


def test_a_restart_is_no_way_out(line: Any) -> None:
    at, _, _ = hang(line)
    at.mta.restart(100.0)
    at.open(100.0)
    assert (at.hop.state, at.hop.shutdowns) == (SessionState.HELD, 2)


def test_the_operator_deletes_a_twin_by_its_number(line: Any) -> None:
    at, older, younger = hang(line)
    assert at.mta.delete(100.0, older.mtsid) is older  # by number the oldest goes
    assert (older.way, at.duplicates()) == (Way.OPERATOR, ())
    assert at.carry(at.reopen()) == ["between", "younger"]
    assert younger.way is Way.DELIVERED
    assert at.hop.collision is None


@pytest.mark.parametrize("way", [Way.DELIVERED, Way.RETRIES, Way.OPERATOR])
@pytest.mark.parametrize("which", ["older", "younger"])
def test_when_either_twin_has_left_either_way_the_rest_drains(line: Any, which: str, way: Way) -> None:
    at, older, younger = hang(line)
    leave_by_receipt(at, older if which == "older" else younger, way)
    rest = ["between", "younger"] if which == "older" else ["older", "between"]
    assert at.carry(at.reopen()) == rest
    assert (len(at.hop), at.hop.collision) == (0, None)


def test_the_open_retries_return_what_went_through_all_of_them(line: Any) -> None:
    at, older, younger = hang(line, open_retries=4)
    for n in range(1, 5):
        at.reopen()
        if n == 1:
            [late] = at.enter(700.0, "late")
    assert (older.way, older.left_at) == (Way.RETRIES, 63.0 + 2400)
    assert younger.way is Way.RETRIES  # it went through as many
    assert late.way is None
    assert at.carry(at.reopen()) == ["late"]


def test_the_open_retries_return_the_older_twin_alone_if_the_younger_came_later(line: Any) -> None:
    at = line("4.0", open_retries=4)
    older, _ = at.enter(0.0, "older", "between")
    at.open(0.0)
    at.lose(1.0)
    for _ in range(2):  # two opens fail before the younger enters
        now = at.wake()
        while not at.asks():
            now = at.wake()
        at.answer(now, Primitive.DISCONNECT_INDICATION)
    [younger] = at.enter(now, "younger")
    assert younger.mtsid == older.mtsid
    at.reopen()
    assert at.hop.state is SessionState.HELD
    while older.way is None:
        at.reopen()
    assert (older.way, younger.way) == (Way.RETRIES, None)
    assert at.carry(at.reopen()) == ["younger"]


def test_a_hang_ends_when_no_mail_is_left(line: Any) -> None:
    at, _, _ = hang(line)
    for entry in at.hop.entries():
        at.mta.delete(100.0, entry.mtsid)
    at.wake()
    assert (at.hop.collision, at.hop.state, at.asks()) == (None, SessionState.IDLE, [])
