"""Payloads are visible to the garbage collector: cycles through a queue are found and broken."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import mtsid
from mtsid import v40


class Subclass(mtsid.MessageQueue):  # type: ignore[type-arg]
    pass


class SubclassOf40(v40.MessageQueue):  # type: ignore[type-arg]
    pass


class Thing:
    """Something that can be seen to be gone."""

    to: Any = None


def itself(queue: Any, thing: Thing) -> None:
    queue.put(thing)


def in_a_tuple(queue: Any, thing: Thing) -> None:
    queue.put((thing, 1))


def in_a_list(queue: Any, thing: Thing) -> None:
    queue.put([[thing]])


def in_flight(queue: Any, thing: Thing) -> None:
    queue.put(thing)
    thing.message = queue.get()  # type: ignore[attr-defined]


def returned(queue: Any, thing: Thing) -> None:
    queue.put(thing)
    queue.nack(queue.get())


def in_a_message_of_another(queue: Any, thing: Thing) -> None:
    other: Any = mtsid.MessageQueue(1)
    other.put(thing)
    queue.put(other.get())


def in_a_queue_in_the_queue(queue: Any, thing: Thing) -> None:
    other: Any = mtsid.MessageQueue(1)
    other.put(thing)
    queue.put(other)


def far_behind(queue: Any, thing: Thing) -> None:
    queue.put_many(range(900))
    queue.put(thing)


@pytest.mark.parametrize("kind", [mtsid.MessageQueue, v40.MessageQueue, Subclass, SubclassOf40])
@pytest.mark.parametrize(
    "enter",
    [itself, in_a_tuple, in_a_list, in_flight, returned, in_a_message_of_another, in_a_queue_in_the_queue, far_behind],
)
def test_a_cycle_through_a_queue_is_collected(kind: Any, enter: Callable[..., None]) -> None:
    queue = kind(1000)
    thing = Thing()
    thing.to = queue
    enter(queue, thing)
    gone = weakref.ref(thing)
    del queue, thing
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("kind", [mtsid.MessageQueue, v40.MessageQueue, Subclass, SubclassOf40])
def test_a_queue_in_its_own_payload_is_collected(kind: Any) -> None:
    class Owner(kind):  # type: ignore[misc]
        pass

    queue = Owner(10)
    queue.put(queue)
    queue.put((queue, queue))
    gone = weakref.ref(queue)
    del queue
    gc.collect()
    assert gone() is None


def test_a_cycle_through_on_dead_is_collected() -> None:
    class Owner(mtsid.MessageQueue):  # type: ignore[type-arg]
        def __init__(self) -> None:
            super().__init__(10, max_deliveries=1, on_dead=self.bury)

        def bury(self, message: Any) -> None:
            """Nothing else holds it: the queue must let go of it to be gone."""

    def with_a_closure() -> Any:
        queue: Any = mtsid.MessageQueue(10, max_deliveries=1, on_dead=lambda message: queue.put(thing))
        thing = Thing()
        queue.put(thing)
        return weakref.ref(thing)

    owner = Owner()
    owner.put([owner])
    gone, gone_too = weakref.ref(owner), with_a_closure()
    del owner
    gc.collect()
    assert (gone(), gone_too()) == (None, None)


def test_a_payload_in_use_is_not_collected() -> None:
    queue: mtsid.MessageQueue[Thing] = mtsid.MessageQueue(10)
    thing = Thing()
    thing.to = queue
    queue.put(thing)
    del thing
    gc.collect()
    assert queue.get().body.to is queue


def test_the_collector_sees_the_bodies() -> None:
    queue: mtsid.MessageQueue[Any] = mtsid.MessageQueue(10)
    body, other = [1], [2]
    queue.put(body)
    queue.put(other)
    queue.get()
    assert gc.is_tracked(queue)
    assert sum(thing is body or thing is other for thing in gc.get_referents(queue)) == 2


def test_a_finalizer_in_a_dying_cycle_finds_a_queue_that_works() -> None:
    outcome: list[Any] = []

    class Last(Thing):
        def __del__(self) -> None:
            self.to.put("last words")
            outcome.append(self.to.audit().waiting)

    queue: mtsid.MessageQueue[Any] = mtsid.MessageQueue(10)
    last = Last()
    last.to = queue
    queue.put(last)
    del queue, last
    gc.collect()
    assert outcome == [2]


def test_the_collector_beside_threads_at_work(run_beside_collector: Callable[..., None]) -> None:
    queue: mtsid.MessageQueue[Any] = mtsid.MessageQueue(50)
    count = 2000

    def put() -> None:
        for _ in range(count):
            queue.put([queue])

    def take() -> None:
        for _ in range(count):
            message = queue.get()
            assert message.body[0] is queue
            queue.ack(message)

    run_beside_collector(put, take, put, take)
    assert queue.audit().free == 50


@pytest.mark.parametrize("kind", [mtsid.Allocator, v40.Allocator])
def test_a_cycle_through_an_allocator_is_collected(kind: Any) -> None:
    class Owner(kind):  # type: ignore[misc]
        pass

    def attribute(ids: Any, thing: Thing) -> None:
        ids.thing = thing

    def bound_method(ids: Any, thing: Thing) -> None:
        ids.thing, ids.verb, thing.to = thing, ids.release, ids.acquire

    def half_read_iterator(ids: Any, thing: Thing) -> None:
        ids.acquire_many(5)
        thing.iterator = iter(ids)  # type: ignore[attr-defined]
        next(thing.iterator)  # type: ignore[attr-defined]
        ids.thing = thing

    def payload(ids: Any, thing: Thing) -> None:
        ids.queue = mtsid.MessageQueue(3)
        ids.queue.put(thing)
        ids.message = ids.queue.get()

    for enter in (attribute, bound_method, half_read_iterator, payload):
        ids, thing = Owner(1, 9), Thing()
        thing.to = ids
        enter(ids, thing)
        gone, gone_too = weakref.ref(thing), weakref.ref(ids)
        del ids, thing
        gc.collect()
        assert (gone(), gone_too()) == (None, None), enter.__name__
