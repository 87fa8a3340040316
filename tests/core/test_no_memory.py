"""No error path keeps an id: what fails for want of memory changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from mtsid import Allocator, InFlightTable, Message, MessageQueue, NotInUse

_testcapi = pytest.importorskip("_testcapi", reason="this CPython was built without _testcapi, which makes memory fail")

FAILED = object()


def call_without_memory(call: Callable[[], Any], allocations: int) -> Any:
    """Let so many allocations succeed, then none. What the call returned, or FAILED if it raised MemoryError."""
    result = [FAILED]
    try:
        _testcapi.set_nomemory(allocations, 0)
        try:
            result[0] = call()
        finally:
            _testcapi.remove_mem_hooks()
    except MemoryError:  # the call's, or if there is a result this function's own
        pass
    return result[0]


def test_an_acquire_without_memory_for_its_number_leaves_the_id_free() -> None:
    # Small ints are not allocated: ids from 10,000 on are.
    failed = 0
    for allocations in range(12):
        ids = Allocator(10_000, 10_001)
        if call_without_memory(ids.acquire, allocations) is FAILED:
            failed += 1
            assert (len(ids), ids.available) == (0, 2)
        ids._check()
    assert failed


@pytest.mark.parametrize("verb", ["acquire_many", "reset"])
def test_a_bulk_call_without_memory_leaves_the_ids_as_they_were(verb: str) -> None:
    failed = 0
    for allocations in range(12):
        ids = Allocator(10_000, 10_100)
        ids.acquire_many(1)  # numpy is imported by now
        call = partial(ids.acquire_many, 50) if verb == "acquire_many" else ids.reset
        if call_without_memory(call, allocations) is FAILED:
            failed += 1
            assert sorted(ids) == [10_000]
        ids._check()
    assert failed


@pytest.mark.parametrize("kind", [list, partial(np.array, dtype="uint32")])
def test_a_bulk_release_without_memory_releases_nothing(kind: Callable[[list[int]], Any]) -> None:
    failed = 0
    for allocations in range(12):
        ids = Allocator(10_000, 10_100)
        ids.acquire_many(50)
        some = kind([10_009, 10_003, 10_005])  # not in order: they are looked through for duplicates
        if call_without_memory(partial(ids.release_many, some), allocations) is FAILED and len(ids) == 50:
            failed += 1
        else:
            assert len(ids) == 47
        ids._check()
    assert failed


def test_bulk_calls_that_cannot_tell_what_they_refused_have_done_the_rest_and_keep_nothing() -> None:
    body = object()
    before = sys.getrefcount(body)
    failed = 0
    for allocations in range(30):
        ids = Allocator(10_000, 10_100)
        ids.reserve_many([10_001, 10_003])
        queue: MessageQueue[object] = MessageQueue(300, first=10_000)
        queue.put_many([body] * 260)
        numbers = list(range(10_000, 10_260))
        queue.delete(10_002)
        queue.delete(10_259)
        for verb, given in ((ids.release_many, [10_001, 10_002, 10_003]), (queue.ack_many, numbers)):
            refused: tuple[Any, ...] = ()
            try:
                failed += call_without_memory(partial(verb, given), allocations) is FAILED
            except NotInUse as error:
                refused = error.refused
            assert refused in ((), (10_002,) if verb == ids.release_many else (10_002, 10_259))
        ids._check()
        queue.audit()
        assert len(ids) in (0, 2)
        assert len(queue) in (0, 258)
        assert sys.getrefcount(body) == before + len(queue)
        queue.shutdown(immediate=True)
    assert failed


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("put", ("second",)), ("get", (False,)), ("put_many", (["second", "third"],)), ("get_many", (5,))],
)
def test_a_queue_without_memory_loses_and_invents_nothing(verb: str, arguments: tuple[Any, ...]) -> None:
    failed = 0
    for allocations in range(16):
        queue: MessageQueue[str] = MessageQueue(20_000, first=10_000)
        queue.put("first")
        result = call_without_memory(partial(getattr(queue, verb), *arguments), allocations)
        if result is FAILED:
            failed += 1
            assert (len(queue), queue.qsize(), queue.in_flight()) == (1, 1, 0)
        elif verb == "get_many":
            assert [message.body for message in result] == ["first"]
        queue.audit()
    assert failed or verb == "get"  # a Message may come from a free list


@pytest.mark.parametrize("by_number", [False, True])
def test_a_message_that_cannot_be_told_to_on_dead_goes_back(by_number: bool) -> None:
    failed = 0
    for allocations in range(8):
        dead: list[Message[str]] = []
        queue: MessageQueue[str] = MessageQueue(20_000, first=10_000, max_deliveries=1, on_dead=dead.append)
        queue.put("first")
        key = queue.get()
        nack = partial(queue.nack, key.mtsid if by_number else key)
        if call_without_memory(nack, allocations) is FAILED and not dead:
            failed += 1
            assert (queue.qsize(), queue.in_flight()) == (1, 0)
        else:
            assert ([message.body for message in dead], len(queue)) == (["first"], 0)
        queue.audit()
    assert failed


def test_a_block_without_memory_loses_and_invents_nothing() -> None:
    for allocations in range(12):
        queue: MessageQueue[str] = MessageQueue(20_000, first=10_000)
        queue.put("first")

        def work(queue: MessageQueue[str] = queue) -> None:
            with queue.receive(False):
                pass

        done = call_without_memory(work, allocations) is not FAILED
        assert queue.in_flight() == 0
        assert len(queue) == (0 if done else 1) or queue.stats().acked == 1
        queue.audit()


def test_a_put_without_memory_for_its_number_leaves_the_queue_as_it_was_and_its_payload_alone() -> None:
    # The message is in before its number can be told: then it is taken out again.
    payload = ["payload"]
    queue: MessageQueue[list[str]] = MessageQueue(20_000, first=10_000)
    queue.put([])  # the slots' memory is there
    put = partial(queue.put, payload)
    before = sys.getrefcount(payload)
    assert call_without_memory(put, 0) is FAILED
    assert (len(queue), sys.getrefcount(payload)) == (1, before)
    assert (queue.stats().put, queue.stats().acked) == (1, 0)
    queue.audit()


@pytest.mark.parametrize("verb", ["add", "add this", "pop", "quarantine", "reset", "items", "iter"])
def test_a_table_without_memory_loses_and_invents_nothing(verb: str) -> None:
    # Small ints are not allocated, so the ids are large; a reset has taken all out before it can tell what.
    failed = 0
    for allocations in range(24):
        table: InFlightTable[list[int]] = InFlightTable(10_000, 10_999)
        payloads = [[n] for n in range(200)]
        live = {table.add(payload): payload for payload in payloads}
        for id in (10_000, 10_100):
            del live[id]
            table.pop(id)
        generations = {id: table.generation(id) for id in live}
        call: Any = {
            "add": partial(table.add, payloads[7]),
            "add this": partial(table.add, payloads[7], id=10_500),
            "pop": partial(table.pop, 10_007),
            "quarantine": partial(table.quarantine, 10_007, 1000),
            "reset": table.reset,
            "items": table.items,
            "iter": partial(iter, table),
        }[verb]
        before = sys.getrefcount(payloads[7])
        if call_without_memory(call, allocations) is FAILED:
            failed += 1
            after = sys.getrefcount(payloads[7])
            assert after == before
            assert dict(table) == live
            assert {id: table.generation(id) for id in live} == generations
            assert (table.available, table.stats().quarantined) == (802, 0)
        table._check()
    assert failed or verb == "pop"
