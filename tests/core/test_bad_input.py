"""Bad input raises `TypeError` or `ValueError` and changes nothing: in SP2, and in 4.0 with each of its defects."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import mtsid
from mtsid import v40

ALLOCATORS: dict[str, Callable[..., Any]] = {"SP2": mtsid.Allocator}
QUEUES: dict[str, Callable[..., Any]] = {"SP2": mtsid.MessageQueue}
for _defect in ("double-release", "racy-claim", "unchecked-wrap"):
    ALLOCATORS[_defect] = lambda *args, _defect=_defect, **kwargs: v40.Allocator(*args, defect=_defect, **kwargs)
for _defect in ("premature-strip", "double-release", "racy-claim", "unchecked-wrap"):
    QUEUES[_defect] = lambda *args, _defect=_defect, **kwargs: v40.MessageQueue(*args, defect=_defect, **kwargs)

NAN = float("nan")
NO_INTEGERS: list[Any] = [
    True,
    False,
    np.True_,
    1.0,
    NAN,
    "1",
    b"1",
    None,
    [1],
    1j,
    Decimal(1),
    Fraction(1),
    np.float64(1),
]
NO_TIMEOUTS: list[tuple[Any, type[Exception]]] = [
    (-1, ValueError),
    (-0.001, ValueError),
    (-(10**400), ValueError),
    (float("-inf"), ValueError),
    (NAN, ValueError),
    (np.float32("nan"), ValueError),
    (True, TypeError),
    ("1", TypeError),
    (b"1", TypeError),
    (bytearray(b"1"), TypeError),
    ([], TypeError),
    (1j, TypeError),
    (np.complex128(1), TypeError),
    (np.complex64(1), TypeError),
    (np.array(1j), TypeError),
]
# What no bulk call takes: in ids 1 .. 9 of which 1, 2, 3 are live.
NO_IDS: list[tuple[Any, type[Exception]]] = [
    ("12", TypeError),
    (b"12", TypeError),
    (bytearray(b"12"), TypeError),
    (5, TypeError),
    (None, TypeError),
    ([1, 2.0], TypeError),
    ([1, True], TypeError),
    ([1, "2"], TypeError),
    ([1, None], TypeError),
    ([[1, 2]], TypeError),
    ([1, 0], ValueError),
    ([1, 10], ValueError),
    ([1, -1], ValueError),
    ([1, 2**32 + 1], ValueError),
    ([1, 2**70], ValueError),
    ([1, 2, 1], ValueError),
    (np.ma.array([1, 2], mask=[False, True], dtype=np.uint32), TypeError),
    (np.ma.array([1, -5], mask=[False, True], dtype=np.int64), TypeError),
    ([4, 4], ValueError),
    (np.array([1.0, 2.0]), TypeError),
    (np.array([True, False]), TypeError),
    (np.array([1, 2], object), TypeError),
    (np.array(["1", "2"]), TypeError),
    (np.array([1, 2], "m8[s]"), TypeError),
    (np.array([(1, 2)], "i4,i4"), TypeError),
    (np.array([[1, 2], [3, 4]]), ValueError),
    (np.array(1), ValueError),
    (np.uint32(1), ValueError),
    (np.array([1, 0]), ValueError),
    (np.array([1, 10], np.uint8), ValueError),
    (np.array([1, -1]), ValueError),
    (np.array([1, 2**32 + 1], np.uint64), ValueError),
    (np.array([1, 2**64 - 1], np.uint64), ValueError),
    (np.array([2, 1, 2], np.uint32), ValueError),
    (memoryview(bytes(4)).cast("B", (2, 2)), ValueError),
]


@pytest.fixture(params=ALLOCATORS)
def make_allocator(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return ALLOCATORS[request.param]


@pytest.fixture(params=QUEUES)
def make_queue(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return QUEUES[request.param]


def state_of(thing: Any) -> object:
    if hasattr(thing, "snapshot"):
        return thing.snapshot().tolist(), thing.audit(), len(thing)
    return list(thing), len(thing), thing.available


# How to make one --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", NO_INTEGERS)
def test_an_allocators_bound_is_an_integer(make_allocator: Callable[..., Any], bad: Any) -> None:
    for arguments in ((bad, 9), (1, bad)):
        with pytest.raises(TypeError, match="must be an integer"):
            make_allocator(*arguments)
    with pytest.raises(TypeError, match="must be an integer"):
        make_allocator(1, 9, exclude=[bad])


@pytest.mark.parametrize(
    ("first", "last"), [(5, 4), (-1, 4), (0, 2**32), (2**32, 2**32), (2**70, 2**71), (-(2**70), 5), (1, -1)]
)
def test_an_allocators_range_lies_within_32_bits_and_runs_upwards(
    make_allocator: Callable[..., Any], first: int, last: int
) -> None:
    with pytest.raises(ValueError):
        make_allocator(first, last)


@pytest.mark.parametrize(
    ("exclude", "error"),
    [
        (5, TypeError),
        (None, TypeError),
        ("1", TypeError),
        (b"\1", TypeError),
        ([-1], ValueError),
        ([2**32], ValueError),
        ([2**70], ValueError),
        (range(1, 10), ValueError),
        (np.array([[1]]), ValueError),
        (np.array([1.0]), TypeError),
    ],
)
def test_exclusions_are_ids_and_leave_one(
    make_allocator: Callable[..., Any], exclude: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        make_allocator(1, 9, exclude=exclude)


@pytest.mark.parametrize(
    ("order", "error"), [("random", ValueError), ("", ValueError), (None, TypeError), (1, TypeError)]
)
def test_an_order_is_cyclic_or_lowest(make_allocator: Callable[..., Any], order: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="'cyclic' or 'lowest'"):
        make_allocator(1, 9, order=order)


@pytest.mark.parametrize("bad", NO_INTEGERS)
def test_a_queues_size_and_first_are_integers(make_queue: Callable[..., Any], bad: Any) -> None:
    with pytest.raises(TypeError, match="must be an integer"):
        make_queue(bad)
    with pytest.raises(TypeError, match="must be an integer"):
        make_queue(5, first=bad)


@pytest.mark.parametrize(
    ("maxsize", "first"),
    [(-1, 1), (2**32, 0), (2**70, 1), (-(2**70), 1), (5, -1), (5, 2**32), (5, 2**70), (2, 2**32 - 1)],
)
def test_a_queues_numbers_lie_within_32_bits(make_queue: Callable[..., Any], maxsize: int, first: int) -> None:
    with pytest.raises(ValueError):
        make_queue(maxsize, first=first)


def test_a_queue_without_a_bound_is_refused_with_the_reason(make_queue: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="every message needs a number"):
        make_queue(0)


@pytest.mark.parametrize(("kind", "known"), [(v40.Allocator, "double-release"), (v40.MessageQueue, "premature-strip")])
def test_a_defect_is_one_of_those_that_are_known(kind: Any, known: str) -> None:
    with pytest.raises(ValueError, match=known):
        kind(defect="none")
    with pytest.raises(TypeError, match=known):
        kind(defect=None)


def test_4_0_refuses_more_ids_than_its_list_can_hold() -> None:
    class Large:
        def __index__(self) -> int:
            return 2**24 + 1

    for size in (2**24 + 1, Large(), np.uint32(2**24 + 1)):
        with pytest.raises(ValueError, match="16777216"):
            v40.Allocator(1, size.__index__())
        with pytest.raises(ValueError, match="16777216"):
            v40.MessageQueue(size)


# An allocator's verbs ---------------------------------------------------------------------------------------------


@pytest.fixture
def allocator(make_allocator: Callable[..., Any]) -> Any:
    ids = make_allocator(1, 9)
    ids.acquire_many(3)
    return ids


@pytest.mark.parametrize("bad", NO_INTEGERS)
@pytest.mark.parametrize("verb", ["release", "reserve", "state", "acquire_many"])
def test_an_allocators_verb_takes_integers_only(allocator: Any, verb: str, bad: Any) -> None:
    before = state_of(allocator)
    with pytest.raises(TypeError, match="must be an integer"):
        getattr(allocator, verb)(bad)
    assert state_of(allocator) == before


@pytest.mark.parametrize("outside", [0, 10, -1, 2**32 + 1, 2**70, -(2**70)])
@pytest.mark.parametrize("verb", ["release", "reserve", "state"])
def test_an_id_outside_the_range_is_a_value_error(allocator: Any, verb: str, outside: int) -> None:
    before = state_of(allocator)
    with pytest.raises(ValueError):
        getattr(allocator, verb)(outside)
    assert state_of(allocator) == before


@pytest.mark.parametrize("n", [-1, -(2**70)])
def test_fewer_than_none_is_a_value_error(allocator: Any, n: int) -> None:
    before = state_of(allocator)
    with pytest.raises(ValueError, match="must not be negative"):
        allocator.acquire_many(n)
    assert state_of(allocator) == before


@pytest.mark.parametrize(("timeout", "error"), NO_TIMEOUTS)
def test_an_allocators_timeout_is_seconds_or_none(allocator: Any, timeout: Any, error: type[Exception]) -> None:
    before = state_of(allocator)
    with pytest.raises(error, match="timeout"):
        allocator.acquire(timeout)
    assert state_of(allocator) == before


@pytest.mark.parametrize(("bad", "error"), NO_IDS)
@pytest.mark.parametrize("verb", ["release_many", "reserve_many"])
def test_a_bulk_call_with_bad_ids_changes_nothing(allocator: Any, verb: str, bad: Any, error: type[Exception]) -> None:
    before = state_of(allocator)
    with pytest.raises(error) as caught:
        getattr(allocator, verb)(bad)
    assert not isinstance(caught.value, mtsid.MtsidError)
    assert state_of(allocator) == before


# A queue's verbs --------------------------------------------------------------------------------------------------


@pytest.fixture
def queue(make_queue: Callable[..., Any]) -> Any:
    """Ids 1 .. 9; 1 and 2 in flight, 3 waits."""
    queue = make_queue(9)
    queue.put_many(["a", "b", "c"])
    queue.get_many(2)
    return queue


@pytest.mark.parametrize("bad", NO_INTEGERS)
@pytest.mark.parametrize("verb", ["ack", "nack", "peek", "delete", "get_many"])
def test_a_queues_verb_takes_integers_only(queue: Any, verb: str, bad: Any) -> None:
    before = state_of(queue)
    with pytest.raises(TypeError, match="must be an integer"):
        getattr(queue, verb)(bad)
    assert state_of(queue) == before


@pytest.mark.parametrize("outside", [0, 10, -1, 2**32 + 1, 2**70, -(2**70)])
@pytest.mark.parametrize("verb", ["ack", "nack", "peek", "delete"])
def test_an_mtsid_outside_the_range_is_not_in_use(queue: Any, verb: str, outside: int) -> None:
    before = state_of(queue)
    with pytest.raises(mtsid.NotInUse) as caught:
        getattr(queue, verb)(outside)
    assert caught.value.id == outside
    assert state_of(queue) == before


@pytest.mark.parametrize("verb", ["peek", "delete"])
def test_an_operators_verb_takes_a_number_not_a_delivery(queue: Any, verb: str) -> None:
    message = queue.get()
    before = state_of(queue)
    with pytest.raises(TypeError, match=r"message\.mtsid"):
        getattr(queue, verb)(message)
    assert state_of(queue) == before


@pytest.mark.parametrize(("timeout", "error"), NO_TIMEOUTS)
def test_a_queues_timeout_is_seconds_or_none(queue: Any, timeout: Any, error: type[Exception]) -> None:
    before = state_of(queue)
    calls: list[Callable[[], object]] = [
        lambda: queue.put("d", timeout=timeout),
        lambda: queue.put_many(["d"], True, timeout),
        lambda: queue.get(True, timeout),
        lambda: queue.get_many(2, True, timeout),
    ]
    for call in calls:
        with pytest.raises(error, match="timeout"):
            call()
    assert state_of(queue) == before


@pytest.mark.parametrize(("timeout", "error"), NO_TIMEOUTS)
def test_without_block_the_timeout_is_ignored(queue: Any, timeout: Any, error: type[Exception]) -> None:
    queue.put("d", False, timeout)
    queue.put_many(["e"], False, timeout)
    assert queue.get(False, timeout).body == "c"
    assert [message.body for message in queue.get_many(2, False, timeout)] == ["d", "e"]


@pytest.mark.parametrize(
    ("priority", "error"),
    [
        ("high", ValueError),
        ("", ValueError),
        ("Urgent", ValueError),
        (None, TypeError),
        (1, TypeError),
        (b"urgent", TypeError),
    ],
)
def test_a_priority_is_one_of_three(queue: Any, priority: Any, error: type[Exception]) -> None:
    before = state_of(queue)
    for call in (queue.put, queue.put_nowait):
        with pytest.raises(error, match="'non-urgent'"):
            call("d", priority=priority)
    with pytest.raises(error, match="'non-urgent'"):
        queue.put_many(["d"], priority=priority)
    assert state_of(queue) == before


@pytest.mark.parametrize("flag", ["yes", "", b"no"])
def test_text_is_no_flag(queue: Any, flag: Any) -> None:
    before = state_of(queue)
    calls: list[Callable[[], object]] = [
        lambda: queue.put("d", flag),
        lambda: queue.get(flag),
        lambda: queue.shutdown(flag),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="true or false"):
            call()
    assert state_of(queue) == before
    assert queue.put("d") in range(1, 10)


@pytest.mark.parametrize("max", [-1, -(2**70)])
def test_to_get_fewer_than_none_is_a_value_error(queue: Any, max: int) -> None:
    before = state_of(queue)
    with pytest.raises(ValueError, match="must not be negative"):
        queue.get_many(max)
    assert state_of(queue) == before


@pytest.mark.parametrize("items", [None, 5])
def test_put_many_wants_several(queue: Any, items: Any) -> None:
    before = state_of(queue)
    with pytest.raises(TypeError):
        queue.put_many(items)
    assert state_of(queue) == before


@pytest.mark.parametrize(("bad", "error"), [row for row in NO_IDS if not isinstance(row[0], np.ndarray | np.generic)])
def test_ack_many_with_bad_keys_changes_nothing(queue: Any, bad: Any, error: type[Exception]) -> None:
    before = state_of(queue)
    with pytest.raises(error) as caught:
        queue.ack_many(bad)
    assert not isinstance(caught.value, mtsid.MtsidError)
    assert state_of(queue) == before


def test_one_message_twice_in_an_ack_many_changes_nothing(queue: Any) -> None:
    message = queue.get()
    before = state_of(queue)
    for keys in ([message, message], [message, message.mtsid], [message.mtsid, 1, message]):
        with pytest.raises(ValueError, match="twice") as caught:
            queue.ack_many(keys)
        assert not isinstance(caught.value, mtsid.MtsidError)
        assert state_of(queue) == before
