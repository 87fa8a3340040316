"""Ctrl-C and other signals while a call is blocked: the wait ends or goes on, and all is in order behind it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a lock cannot be interrupted there")

# The main thread waits; another one sends the signal once it does.
SIGNALLED = """
import os, signal, threading, time
import mtsid
from mtsid import v40
from mtsid.core.waiting import _waiters
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored

def signal_once_waiting(number):
    def send():
        deadline = time.monotonic() + 30
        while not _waiters() and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(os.getpid(), number)
    threading.Thread(target=send, daemon=True).start()
"""

# What is set up; the call that blocks; what must work afterwards.
BLOCKING = {
    "acquire": ("ids = M.Allocator(1, 1); ids.acquire()", "ids.acquire(None)", "ids.release(1); ids.acquire(None)"),
    "get": ("q = M.MessageQueue(1)", "q.get()", "q.put(1); q.get()"),
    "get_many": ("q = M.MessageQueue(1)", "q.get_many(5)", "q.put(1); q.get_many(1)"),
    "put": ("q = M.MessageQueue(1); q.put(1)", "q.put(2)", "q.ack(1); q.put(2)"),
    "put_many": ("q = M.MessageQueue(2); q.put(1)", "q.put_many([1, 2])", "q.ack(1); q.put_many([1, 2])"),
    "join": ("q = M.MessageQueue(1); q.put(1)", "q.join()", "q.ack(1); q.join()"),
}


OF_SP2 = {
    "receive": ("q = M.MessageQueue(1)", "q.receive().__enter__()", "q.put(1); q.receive().__enter__()"),
    "get_async": ("q = M.MessageQueue(1)", "asyncio.run(q.get_async())", "q.put(1); asyncio.run(q.get_async())"),
    "put_async": (
        "q = M.MessageQueue(1); q.put(1)",
        "asyncio.run(q.put_async(2))",
        "q.ack(1); asyncio.run(q.put_async(2))",
    ),
}


@pytest.mark.parametrize("verb", OF_SP2)
def test_ctrl_c_in_what_sp2_alone_has_ends_it_too(verb: str, in_child: Callable[..., str]) -> None:
    setup, wait, after = OF_SP2[verb]
    in_child(
        SIGNALLED
        + f"""
import asyncio, gc
M = mtsid
{setup}
before = q.audit()
signal_once_waiting(signal.SIGINT)
try:
    {wait}
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("the wait ended otherwise")
assert q.audit() == before
gc.collect()
assert _waiters() == 0, "the waiter stands in line still"
{after}
"""
    )


@pytest.mark.parametrize("module", ["mtsid", "v40"])
@pytest.mark.parametrize("verb", BLOCKING)
def test_ctrl_c_in_a_blocked_call_ends_it_and_changes_nothing(
    verb: str, module: str, in_child: Callable[..., str]
) -> None:
    setup, wait, after = BLOCKING[verb]
    in_child(
        SIGNALLED
        + f"""
M = {module}
{setup}
before = len(ids) if "ids" in globals() else q.audit()
signal_once_waiting(signal.SIGINT)
try:
    {wait}
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("the wait ended otherwise")
assert (len(ids) if "ids" in globals() else q.audit()) == before
assert _waiters() == 0, "the waiter stands in line still"
{after}
"""
    )


@pytest.mark.parametrize(
    ("setup", "handler", "wait"),
    [
        ("q = M.MessageQueue(1)", "q.put('from the handler')", "assert q.get().body == 'from the handler'"),
        ("q = M.MessageQueue(1)", "q.put('from the handler')", "assert len(q.get_many(3)) == 1"),
        ("q = M.MessageQueue(1); q.put(1)", "q.ack(q.get())", "q.put(2)"),
        ("q = M.MessageQueue(2); q.put(1)", "q.ack(q.get())", "q.put_many([2, 3])"),
        ("q = M.MessageQueue(1); q.put(1)", "q.ack(q.get())", "q.join()"),
        ("ids = M.Allocator(1, 1); ids.acquire()", "ids.release(1)", "assert ids.acquire(None) == 1"),
    ],
    ids=["get", "get_many", "put", "put_many", "join", "acquire"],
)
@pytest.mark.parametrize("module", ["mtsid", "v40"])
def test_a_signal_handler_may_end_the_wait_that_it_interrupted(
    module: str, setup: str, handler: str, wait: str, in_child: Callable[..., str]
) -> None:
    """The thread that waits is the one that wakes itself: a lock held while it sleeps would never be had."""
    in_child(
        SIGNALLED
        + f"""
M = {module}
{setup}
signal.signal(signal.SIGUSR1, lambda number, frame: {handler})
signal_once_waiting(signal.SIGUSR1)
{wait}
"""
    )


def test_an_exception_of_a_signal_handler_at_any_instant_leaves_a_sound_queue(in_child: Callable[..., str]) -> None:
    """Ctrl-C after Ctrl-C, in the middle of whatever is under way. A call may be cut short; no invariant may be."""
    in_child(
        SIGNALLED
        + """
import sys
import numpy  # an import that is interrupted is another story
class Interrupt(Exception):
    pass
def interrupt(number, frame):
    raise Interrupt
signal.signal(signal.SIGALRM, interrupt)
q, ids = mtsid.MessageQueue(3), mtsid.Allocator(1, 40)
empty = mtsid.MessageQueue(1)
body = object()
references = sys.getrefcount(body)

def work_until_interrupted(seconds, waits):
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        q.put_many([body, body], timeout=0)
        q.nack(q.get())
        q.ack_many(q.get_many(3))
        ids.release_many(ids.acquire_many(20))
        ids.release(ids.acquire())
        if waits:
            try:
                # Not for ever: a signal that comes as the thread falls asleep is seen a second late (waiting.pyx).
                # Without the GIL and beside other processes that may be every other one: minutes, in all.
                empty.get(timeout=0.002)
            except mtsid.Empty:
                pass

for n in range(1000):
    try:
        # Sown anew each time, at another distance: a handler that raises may come between any two steps. The loop is
        # in a function of its own, for CPython 3.13 leaves some of a loop's jumps out of the `try` that stands round
        # it, and what a handler raises there goes past the `except`.
        work_until_interrupted(0.00002 + n * 0.000001, waits=n % 2)
    except Interrupt:
        pass
    # What the cut-short round held: received and not settled, acquired and not released. Never more than it can be.
    audit = q.audit()
    assert audit.waiting + audit.in_flight <= 2 and len(ids) <= 20, (n, audit, len(ids))
    ids._check()
    assert _waiters() == 0, n
    ids.reset()
    q.ack_many(q.snapshot()["mtsid"])
    assert sys.getrefcount(body) == references, n
q.put_many("abc")
assert len(ids.acquire_many(40)) == 40
"""
    )


def test_an_exception_of_a_signal_handler_at_any_instant_loses_no_message(in_child: Callable[..., str]) -> None:
    """In a block it goes back, in `on_dead` too; the end of its life is the only way out."""
    in_child(
        SIGNALLED
        + """
class Interrupt(Exception):
    pass
def interrupt(number, frame):
    raise Interrupt
signal.signal(signal.SIGALRM, interrupt)
q = mtsid.MessageQueue(3, max_deliveries=3, on_dead=lambda message: [len(repr(message)) for _ in range(20)])
q.put_many("abc")

def work_until_interrupted(seconds):
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        try:
            # Not for ever, as in the test above: a signal that comes as the thread falls asleep is seen a second late.
            with q.receive(timeout=0.002):
                len(q), len(q), len(q), len(q), len(q)  # no loop: CPython 3.13 would leave its jumps out of the block
        except mtsid.Empty:
            q.put_many("abc")

def die_until_interrupted(seconds):
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        q.put("more", False)
        for _ in range(3):
            q.nack(q.snapshot()["mtsid"][0] if q.get().deliveries % 2 else q.snapshot()["mtsid"][-1])

for n in range(600):
    try:
        try:
            if n % 2:
                die_until_interrupted(0.00005 + n * 0.000002)
            else:
                work_until_interrupted(0.00002 + n * 0.000001)
        except (mtsid.Empty, mtsid.Full):
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupt:  # once, be it as late as beside those two
        pass
    stats, audit = q.stats(), q.audit()
    assert stats.put == stats.waiting + stats.in_flight + stats.acked + stats.dead, stats
    assert _waiters() == 0, n
    if n % 2 == 0:
        # Whatever was in hand when the signal came has gone back, or was acked.
        assert audit.in_flight == 0, (n, audit)
    q.ack_many(q.snapshot()["mtsid"])
    q.put_many("abc")
"""
    )
