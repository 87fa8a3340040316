"""`put` and its like, called from where Python calls unasked: finalizers, the collector, signals, `__index__`."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mtsid
from mtsid import Allocator, MessageQueue, v40


@pytest.fixture(params=[mtsid.MessageQueue, v40.MessageQueue], ids=["SP2", "4.0"])
def queue(request: pytest.FixtureRequest) -> Any:
    return request.param(10_000)


class Finalized:
    """Calls back when it dies."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback

    def __del__(self) -> None:
        self.callback()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def drained(queue: Any) -> list[Any]:
    bodies = []
    while queue.qsize():
        message = queue.get()
        bodies.append(message.body)
        queue.ack(message)
    return bodies


@pytest.mark.parametrize("verb", ["ack", "delete", "ack_many", "shutdown"])
def test_a_body_that_dies_may_use_the_queue(queue: Any, verb: str) -> None:
    seen: list[tuple[int, int]] = []

    def callback() -> None:
        if verb != "shutdown":
            queue.ack(queue.put("from __del__"))
        seen.append((len(queue), queue.audit().in_flight))

    queue.put("other")
    number = queue.put(Finalized(callback))
    if verb == "ack":
        queue.ack(number)
    elif verb == "delete":
        queue.delete(number)
    elif verb == "ack_many":
        queue.ack_many([number])
    else:
        queue.shutdown(immediate=True)
    gc.collect()
    assert seen == [(0 if verb == "shutdown" else 1, 0)]
    queue.audit()


def test_a_body_that_dies_may_put_into_its_own_queue_again_and_again(queue: Any) -> None:
    lives = [0]

    def again() -> None:
        lives[0] += 1
        if lives[0] < 1000:
            queue.put(Finalized(again))

    queue.put(Finalized(again))
    while queue.qsize():
        message = queue.get()
        queue.ack(message)
        del message
    assert lives == [1000]
    queue.audit()


def test_a_body_that_dies_with_its_queue_finds_other_objects_in_order() -> None:
    ids, other = Allocator(1, 10), MessageQueue[int](10)
    queue: MessageQueue[Any] = MessageQueue(10)
    for _ in range(5):
        queue.put(Finalized(lambda: other.put(ids.acquire())))
    del queue
    gc.collect()
    assert sorted(drained(other)) == [1, 2, 3, 4, 5]


def test_the_collector_may_put(queue: Any, no_collector: None) -> None:
    bodies = []

    def callback(phase: str, info: object) -> None:
        if phase == "start":
            bodies.append(queue.put("from the collector"))

    gc.callbacks.append(callback)
    try:
        before = gc.get_threshold()
        gc.set_threshold(5, 1, 1)
        gc.enable()
        for n in range(2000):
            queue.put([n])
            if n % 200 == 0:  # without the GIL the collector does not come by itself
                gc.collect(0)
        gc.set_threshold(*before)
    finally:
        gc.callbacks.remove(callback)
    got = drained(queue)
    assert [body[0] for body in got if isinstance(body, list)] == list(range(2000))
    assert len(got) == 2000 + len(bodies)
    assert bodies


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an interval timer")
def test_a_signal_handler_may_put_and_get_while_put_runs(queue: Any) -> None:
    entered: list[int] = []

    def handler(number: int, frame: object) -> None:
        entered.append(queue.put("signal"))
        queue.nack(queue.get())

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        deadline = time.monotonic() + 30
        bodies: list[Any] = []
        n = 0
        while len(entered) < 50 and time.monotonic() < deadline:
            queue.put(n)
            bodies += drained(queue)
            n += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for _ in range(1000):
            len(queue)  # the last one may be pending
        signal.signal(signal.SIGALRM, before)
    bodies += drained(queue)
    assert len(entered) >= 50
    assert [body for body in bodies if body != "signal"] == list(range(n))
    assert bodies.count("signal") == len(entered)
    queue.audit()


def test_a_signal_handler_may_acquire_and_release(in_child: Callable[..., str]) -> None:
    in_child(
        """
import signal, time
import numpy  # a handler that comes while numpy is half imported is another story
from mtsid import Allocator
ids = Allocator(1, 100)
count = [0]
def handler(number, frame):
    ids.release(ids.acquire())
    ids.release_many(ids.acquire_many(50))
    count[0] += 1
    signal.setitimer(signal.ITIMER_REAL, 0.0005)  # only now: handlers within handlers would use up the ids
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
deadline = time.monotonic() + 30
while count[0] < 50 and time.monotonic() < deadline:
    ids.release_many(ids.acquire_many(50))
    ids.release(ids.acquire())
signal.setitimer(signal.ITIMER_REAL, 0)
for _ in range(1000):
    len(ids)
ids._check()
assert (len(ids), count[0] >= 50) == (0, True)
"""
    )


class Meddling:
    """A number whose `__index__` uses the very object that asked for it."""

    def __init__(self, value: int, meddle: Callable[[], object]) -> None:
        self.value, self.meddle = value, meddle

    def __index__(self) -> int:
        self.meddle()
        return self.value


def test_a_number_that_meddles_is_read_before_anything_is_done(queue: Any) -> None:
    queue.put("a")
    queue.put("b")
    queue.ack(Meddling(2, lambda: queue.put("c")))
    assert drained(queue) == ["a", "c"]
    ids = Allocator(1, 9)
    ids.acquire()
    ids.release_many([1, Meddling(2, ids.acquire)])
    assert list(ids) == []


class Failing:
    def __index__(self) -> int:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __bool__(self) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


def test_what_a_number_raises_comes_through_and_nothing_changed(queue: Any) -> None:
    queue.put("a")
    ids = Allocator(1, 9)
    ids.acquire()
    calls: list[Callable[[Any], object]] = [
        queue.ack,
        queue.nack,
        queue.peek,
        queue.delete,
        queue.get_many,
        lambda bad: queue.ack_many([1, bad]),
        lambda bad: queue.put("b", bad),
        queue.shutdown,
        ids.release,
        ids.reserve,
        ids.acquire_many,
        ids.state,
        lambda bad: bad in ids,
        lambda bad: ids.release_many([1, bad]),
        lambda bad: ids.reserve_many([2, bad]),
    ]
    for call in calls:
        with pytest.raises(ZeroDivisionError):
            call(Failing())
    assert (list(ids), queue.audit().waiting, queue.put("b")) == ([1], 1, 2)


def test_a_body_is_never_compared_hashed_or_asked_for_its_truth(queue: Any) -> None:
    body = Failing()
    queue.put_many([body, body])
    for message in queue.get_many(2):
        assert message.body is body
        queue.nack(message)
    queue.ack(1)
    assert queue.shutdown(immediate=True)[0] is body


@pytest.mark.parametrize("kind", ["mtsid.MessageQueue", "v40.MessageQueue", "mtsid.Allocator", "v40.Allocator"])
def test_a_subclass_that_forgot_to_initialise_its_base_is_harmless(kind: str, in_child: Callable[..., str]) -> None:
    in_child(
        f"""
import mtsid
from mtsid import v40
class Forgot({kind}):
    def __init__(self):
        pass
thing = Forgot()
verbs = dict.fromkeys(("acquire", "get_nowait", "reset", "snapshot", "audit", "shutdown", "qsize", "_check"), ())
verbs |= dict.fromkeys(("release", "reserve", "state", "acquire_many", "ack", "nack", "delete", "__contains__"), (1,))
verbs |= dict.fromkeys(("release_many", "reserve_many", "ack_many"), ([1],))
verbs |= dict.fromkeys(("__repr__", "__len__", "__iter__", "__bool__"), ())
verbs |= {{"put": ("a", False), "put_many": ("ab", False), "get": (False,), "get_many": (3, False)}}
verbs |= {{"receive": (False,), "receive_async": (0,), "stats": ()}}
for name, arguments in verbs.items():
    if hasattr(thing, name):
        try:
            getattr(thing, name)(*arguments)
        except (TypeError, ValueError, mtsid.MtsidError):
            pass
list(thing) if hasattr(thing, "acquire") else None
"""
    )


def test_a_long_chain_of_queues_falls_apart_without_recursion(in_child: Callable[..., str]) -> None:
    # Each queue is the payload of the next; to drop the last once overflowed the stack.
    in_child(
        """
import sys
import numpy
import mtsid
from mtsid import v40
for kind in (mtsid.MessageQueue, v40.MessageQueue):
    queue = None
    for _ in range(60_000):
        outer = kind(1)
        outer.put(queue)
        queue = outer
    del outer, queue
queue = mtsid.MessageQueue(1)
def in_an_array(message):  # at which the collector does not look
    array = numpy.empty((), object)
    array[()] = message
    return array

wraps = [lambda message: message, lambda message: (message,)]
if sys.version_info < (3, 12):  # later ones let numpy's frames overrun the stack: with tuples in place of messages too
    wraps.append(in_an_array)
for wrap in wraps:
    message = None
    for _ in range(500_000):
        queue.put(wrap(message))
        message = queue.get()
        queue.ack(message)
    del message
"""
    )


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="CPython only")
def test_references_stay_level_over_many_rounds_and_every_error(in_child: Callable[..., str]) -> None:
    in_child(
        """
import sys
import mtsid
from mtsid import v40
body = object()

def attempt(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except (mtsid.MtsidError, TypeError, ValueError, RuntimeError):
        return
    raise SystemExit(f"{call} {arguments} succeeded")

def broken():
    yield body
    raise ValueError

def once(kind):
    queue = kind(3)
    queue.put(body)
    queue.put_many([body, body])
    attempt(queue.put, body, False)
    attempt(queue.put, body, timeout=0)
    attempt(queue.put, body, timeout="x")
    attempt(queue.put, body, priority="x")
    attempt(queue.put_many, [body] * 9)
    attempt(queue.put_many, [body], False)
    attempt(queue.put_many, broken())
    first, second = queue.get_many(2)
    queue.peek(1)
    repr(first), queue.snapshot()
    queue.nack(first)
    attempt(queue.ack, first)
    attempt(queue.ack, 77)
    attempt(queue.ack_many, [second, second])
    attempt(queue.ack_many, [second, "x"])
    attempt(queue.ack_many, [first, second])
    third = queue.get()
    queue.delete(third.mtsid)
    attempt(queue.nack, third)
    queue.nack(queue.get())
    fourth = queue.get()
    queue.put(body)
    if kind is mtsid.MessageQueue:
        once_more(kind)
    queue.shutdown(immediate=True)
    attempt(queue.nack, fourth)
    attempt(queue.put, body)
    attempt(queue.put_many, [body])
    attempt(queue.get)

def finish(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value

def refuse(message):
    if message.deliveries < 3:
        raise ValueError

def once_more(kind):
    queue = kind(3, max_deliveries=1, on_dead=refuse)
    queue.put(body)
    attempt(queue.nack, queue.get())
    attempt(queue.nack, queue.get().mtsid)
    queue.nack(queue.get().mtsid)
    with queue.receive() if queue.put(body) else None:
        pass
    assert finish(queue.put_async(body)) and finish(queue.put_async(body, 0)) and finish(queue.put_async(body))
    attempt(finish, queue.put_async(body, 0))
    attempt(finish, queue.put_async(body, priority="x"))
    attempt(finish, queue.get_async("x"))
    block = queue.receive_async()
    finish(block.__aenter__())
    attempt(finish, block.__aenter__())
    finish(block.__aexit__(None, None, None))
    finish(queue.get_async())
    queue.receive(), queue.receive_async(), queue.get_async().close(), queue.put_async(body).close(), queue.stats()

def level(kind, rounds):
    for _ in range(5):
        once(kind)
    before = sys.getrefcount(body)
    for _ in range(rounds):
        once(kind)
    return sys.getrefcount(body) - before

assert level(mtsid.MessageQueue, 3000) == 0
assert level(v40.MessageQueue, 1000) == 0

queue = mtsid.MessageQueue(3)
before = sys.getrefcount(body)
for _ in range(100_000):
    queue.put(body)
    message = queue.get()
    queue.nack(message)
    queue.ack(queue.get())
del message
assert sys.getrefcount(body) == before
"""
    )


def test_memory_does_not_grow_with_use(in_child: Callable[..., str]) -> None:
    in_child(
        """
import resource, gc
import mtsid
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def once():
    ids = mtsid.Allocator(1, 500, exclude=[3])
    try:
        ids.acquire_many(500)
    except mtsid.Exhausted:
        pass
    try:
        ids.release_many([1, 2])
    except mtsid.NotInUse:
        pass
    ids.acquire_many(100), ids.reset(), list(ids), repr(ids)
    queue = mtsid.MessageQueue(500)
    queue.put_many(range(500))
    queue.ack_many(queue.get_many(300))
    queue.snapshot(), queue.audit(), queue.shutdown(immediate=True)
for _ in range(200):
    once()
before = peak()
for _ in range(2000):
    once()
assert peak() - before < 4096, peak() - before
"""
    )
