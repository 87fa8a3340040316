"""Bad input for what SP2 has and 4.0 has not: `TypeError` or `ValueError`, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mtsid import Allocator, MessageQueue, NotInUse

NO_INTEGERS: list[Any] = [True, np.True_, 1.0, float("nan"), "1", b"1", None, [1], 1j, Decimal(1), Fraction(1)]
NO_SECONDS: list[tuple[Any, type[Exception]]] = [
    (-1, ValueError),
    (-0.001, ValueError),
    (-(10**400), ValueError),
    (float("-inf"), ValueError),
    (float("nan"), ValueError),
    (np.float32("nan"), ValueError),
    (True, TypeError),
    ("1", TypeError),
    (bytearray(b"1"), TypeError),
    ([], TypeError),
    (1j, TypeError),
    (np.complex64(1), TypeError),
]


@pytest.fixture
def ids() -> Iterator[Allocator]:
    """Ids 1 .. 9 of which 1 .. 3 are live; and so they are afterwards."""
    ids = Allocator(1, 9)
    ids.acquire_many(3)
    yield ids
    assert (list(ids), ids.available, ids.capacity) == ([1, 2, 3], 6, 9)
    ids._check()


@pytest.mark.parametrize("bad", NO_INTEGERS)
def test_only_an_integer_is_quarantined(ids: Allocator, bad: Any) -> None:
    with pytest.raises(TypeError, match="must be an integer"):
        ids.quarantine(bad, 1)


@pytest.mark.parametrize(("seconds", "error"), NO_SECONDS)
def test_a_quarantine_takes_seconds_or_none(ids: Allocator, seconds: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="seconds") as caught:
        ids.quarantine(1, seconds)
    assert not isinstance(caught.value, NotInUse)


@pytest.mark.parametrize(("timeout", "error"), NO_SECONDS)
def test_a_lease_takes_seconds_or_none(ids: Allocator, timeout: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout"):
        ids.lease(timeout)


@pytest.mark.parametrize("bad", NO_INTEGERS)
def test_a_bound_is_an_integer(ids: Allocator, bad: Any) -> None:
    with pytest.raises(TypeError, match="must be an integer"):
        ids.resize(bad)


@pytest.mark.parametrize(("timeout", "error"), NO_SECONDS)
def test_a_coroutine_waits_for_seconds_or_none(ids: Allocator, timeout: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout"):
        ids.acquire_async(timeout).send(None)


@pytest.fixture
def queue() -> Iterator[MessageQueue[str]]:
    """Of three messages one is in flight and two wait; and so they do afterwards."""
    queue: MessageQueue[str] = MessageQueue(9)
    queue.put_many("abc")
    queue.get()
    before = queue.stats()
    yield queue
    assert queue.stats() == before
    queue.audit()


@pytest.mark.parametrize(("timeout", "error"), NO_SECONDS)
def test_a_coroutine_and_a_block_wait_for_seconds_or_none(
    queue: MessageQueue[str], timeout: Any, error: type[Exception]
) -> None:
    for wait in (
        lambda: queue.get_async(timeout).send(None),
        lambda: queue.put_async("d", timeout).send(None),
        lambda: queue.receive(True, timeout),
        lambda: queue.receive_async(timeout),
    ):
        with pytest.raises(error, match="timeout"):
            wait()
    queue.receive(False, timeout)  # it is ignored


@pytest.mark.parametrize("flag", ["yes", "", b"no"])
def test_a_block_takes_no_text_for_a_flag(queue: MessageQueue[str], flag: Any) -> None:
    with pytest.raises(TypeError, match="true or false"):
        queue.receive(flag)


@pytest.mark.parametrize(
    ("priority", "error"),
    [("high", ValueError), ("", ValueError), (None, TypeError), (1, TypeError), (b"x", TypeError)],
)
def test_a_coroutines_priority_is_one_of_three(queue: MessageQueue[str], priority: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="'non-urgent'"):
        queue.put_async("d", priority=priority).send(None)
