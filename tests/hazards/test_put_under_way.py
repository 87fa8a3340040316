"""`put` from where Python calls unasked, while another `put` of the same queue is under way in the same thread."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import mtsid
from mtsid import Full, v40

Threads = Callable[..., None]


@pytest.fixture(params=[mtsid.MessageQueue, v40.MessageQueue], ids=["SP2", "4.0"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


class Finalized:
    def __init__(self, last_words: Callable[[], object]) -> None:
        self.last_words = last_words

    def __del__(self) -> None:
        self.last_words()


def bodies(queue: Any) -> list[Any]:
    return [message.body for message in queue.get_many(1000, False)]


def test_put_from_del_of_an_item_while_put_many_reads_them(kind: Any) -> None:
    queue = kind(100)

    def items() -> Iterator[str]:
        for n in range(3):
            Finalized(partial(queue.put, f"from __del__ {n}"))
            yield f"item {n}"

    queue.put_many(items())
    queue.audit()
    assert bodies(queue) == [f"from __del__ {n}" for n in range(3)] + [f"item {n}" for n in range(3)]


def test_put_from_the_truth_of_block_and_the_text_of_priority(kind: Any) -> None:
    queue = kind(100)

    class Block:
        def __bool__(self) -> bool:
            queue.put("from __bool__")
            return False

    class Priority(str):
        def __eq__(self, other: object) -> bool:
            queue.put("from __eq__")
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    queue.put("last", Block(), priority=Priority("normal"))
    assert bodies(queue) == ["from __eq__", "from __bool__", "last"]


def test_put_from_del_of_a_message_that_was_refused(kind: Any) -> None:
    queue = kind(1)
    queue.put("first")

    def make_room_and_put() -> None:
        queue.ack(queue.get())
        queue.put("from __del__")

    with pytest.raises(Full):
        queue.put(Finalized(make_room_and_put), False)
    gc.collect()
    assert bodies(queue) == ["from __del__"]


def test_put_from_a_collector_callback_while_put_makes_memory(kind: Any) -> None:
    queue = kind(10_000)
    count = 0

    def callback(phase: str, info: object) -> None:
        nonlocal count
        if phase == "stop":
            queue.put("from the collector")
            count += 1

    def items() -> Iterator[list[int]]:
        for n in range(300):
            if n % 100 == 0:
                gc.collect()  # in the middle of put_many
            yield [n]

    gc.callbacks.append(callback)
    try:
        queue.put_many(items())
    finally:
        gc.callbacks.remove(callback)
    got = bodies(queue)
    assert count >= 3
    assert [body for body in got if isinstance(body, list)] == [[n] for n in range(300)]
    assert len(got) == 300 + count
    queue.audit()


def test_put_from_del_into_a_full_queue_beside_a_put_that_waits(
    kind: Any, run_threads: Threads, waiting: Callable[[int], None]
) -> None:
    """The body that dies makes room and wants it at once, and so does the one that was woken: both come in."""
    queue = kind(1)
    out = threading.Event()

    def last_words() -> None:
        out.set()
        queue.put("from __del__", timeout=30)

    number = queue.put(Finalized(last_words))
    got: list[str] = []

    def make_room() -> None:
        waiting(1)
        queue.ack(number)

    def take() -> None:
        assert out.wait(30)
        for _ in range(2):
            message = queue.get(timeout=30)
            got.append(message.body)
            queue.ack(message)

    run_threads(lambda: queue.put("the one that waited", timeout=30), make_room, take)
    assert sorted(got) == ["from __del__", "the one that waited"]
