"""Forks, exits and want of memory: each in an interpreter of its own."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

BUSY = """
import os, signal, sys, threading, time, warnings
import mtsid
from mtsid import v40
warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads: that is the point

def child(work):
    "Fork; the child works, under a watchdog; its status."
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitpid(pid, 0)[1]
"""

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@fork
@pytest.mark.parametrize("module", ["mtsid", "v40"])
def test_a_child_forked_while_others_are_at_work_has_working_copies(module: str, in_child: Callable[..., str]) -> None:
    in_child(
        BUSY
        + f"""
import numpy
ids, queue = {module}.Allocator(1, 500), {module}.MessageQueue(64)
done = threading.Event()
def churn():
    while not done.is_set():
        ids.release_many(ids.acquire_many(40))
        ids.release(ids.acquire())
def traffic():
    while not done.is_set():
        try:
            queue.put_many([1, 2, 3], False)
            queue.put(4, False)
            queue.ack_many(queue.get_many(4, False))
        except mtsid.MtsidError:
            pass
threads = [threading.Thread(target=work) for work in (churn, churn, traffic, traffic)]
for thread in threads:
    thread.start()
def work():
    ids.release(ids.acquire())
    ids.release_many(ids.acquire_many(100))
    while queue.qsize():
        queue.ack(queue.get())
    number = queue.put("child", timeout=5)
    assert queue.get(timeout=5).body == "child"
    queue.nack(number)
    queue.delete(number)
    queue.snapshot(), list(ids)
    thread = threading.Thread(target=lambda: queue.ack(queue.get(timeout=10)))
    thread.start()
    queue.put("again")
    thread.join()
statuses = [child(work) for _ in range(25)]
done.set()
for thread in threads:
    thread.join()
assert not any(statuses), statuses
assert len(ids) == 0
""",
        seconds=60,
    )


@fork
def test_a_fork_beside_long_steps_comes_to_an_end(in_child: Callable[..., str]) -> None:
    # Without the GIL a mutex may be handed over to a thread that the fork has stopped already.
    in_child(
        BUSY
        + """
queue = mtsid.MessageQueue(200_000)
queue.put_many(range(150_000))
done = threading.Event()
def look():
    while not done.is_set():
        queue.audit(), queue.nack(queue.get())
threads = [threading.Thread(target=look, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
statuses = [child(lambda: queue.ack(queue.get())) for _ in range(20)]
done.set()
for thread in threads:
    thread.join()
assert not any(statuses), statuses
""",
        seconds=40,
    )


@fork
def test_a_child_forked_while_others_wait_is_not_held_up_by_them(in_child: Callable[..., str]) -> None:
    in_child(
        BUSY
        + """
from mtsid.core.waiting import _waiters
ids, empty, full = mtsid.Allocator(1, 1), mtsid.MessageQueue(1), mtsid.MessageQueue(1)
ids.acquire(), full.put(0)
waits = (lambda: ids.acquire(None), empty.get, lambda: full.put(1), full.join)
threads = [threading.Thread(target=wait, daemon=True) for wait in waits]
for thread in threads:
    thread.start()
while _waiters() < len(threads):
    time.sleep(0.001)
def work():
    for wake, wait in (  # each behind one who is not here any more
        (lambda: ids.release(1), lambda: ids.acquire(10)),
        (lambda: empty.put("a"), lambda: empty.get(timeout=10)),
        (lambda: full.delete(1), lambda: full.put(2, timeout=10)),
        (lambda: full.ack(full.get()), full.join),
    ):
        ended = []
        before = _waiters()
        thread = threading.Thread(target=lambda: ended.append(wait()), daemon=True)
        thread.start()
        while _waiters() == before:
            time.sleep(0.001)
        wake()
        thread.join(5)
        assert ended, "nobody was woken"
assert child(work) == 0
# The parent's waiters are still there, and are woken here.
ids.release(1)
empty.put("b")
full.ack(full.get())
for thread in threads[:3]:
    thread.join(10)
    assert not thread.is_alive()
"""
    )


@fork
def test_a_fork_is_a_copy_and_the_ids_of_vanished_threads_stay_live(in_child: Callable[..., str]) -> None:
    in_child(
        BUSY
        + """
ids, queue = mtsid.Allocator(1, 5), mtsid.MessageQueue(5)
thread = threading.Thread(target=lambda: (ids.acquire(), queue.put("a"), queue.get()))
thread.start(), thread.join()
def work():
    assert (list(ids), queue.in_flight()) == ([1], 1)
    ids.acquire(), queue.ack(1)
assert child(work) == 0
assert (list(ids), queue.in_flight()) == ([1], 1)
"""
    )


@pytest.mark.parametrize("module", ["mtsid", "v40"])
def test_an_interpreter_may_exit_while_daemon_threads_wait(module: str, in_child: Callable[..., str]) -> None:
    in_child(
        BUSY
        + f"""
from mtsid.core.waiting import _waiters
ids, empty, full = {module}.Allocator(1, 1, exclude=()), {module}.MessageQueue(1), {module}.MessageQueue(1)
ids.acquire(), full.put(0)
waits = (lambda: ids.acquire(None), lambda: empty.get(timeout=1000), empty.get, lambda: full.put(1), full.join)
for wait in waits:
    threading.Thread(target=wait, daemon=True).start()
while _waiters() < len(waits):
    time.sleep(0.001)
"""
    )


@pytest.mark.parametrize("module", ["mtsid", "v40"])
def test_an_interpreter_may_exit_while_daemon_threads_are_at_work(module: str, in_child: Callable[..., str]) -> None:
    in_child(
        BUSY
        + f"""
ids, queue = {module}.Allocator(1, 100), {module}.MessageQueue(10)
started = threading.Barrier(5)
def work():
    started.wait()
    while True:
        ids.release(ids.acquire())
        queue.put([queue])
        queue.ack(queue.get())
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
started.wait()
"""
    )


def test_globals_that_die_at_exit_may_use_a_queue(in_child: Callable[..., str]) -> None:
    in_child(
        """
import mtsid
class Late:
    def __del__(self):
        queue.put("late")
        ids.acquire()
ids, queue = mtsid.Allocator(), mtsid.MessageQueue()
queue.put(Late())
queue.ack(queue.get())
queue.put(Late())
mtsid.keep = (Late(), queue, ids)
"""
    )


NO_MEMORY = """
import sys
try:
    from _testcapi import set_nomemory, remove_mem_hooks
except ImportError:
    print("no _testcapi")
    raise SystemExit
import numpy
import mtsid

def starve(call):
    "Fail each allocation of the call in turn, once, until it succeeds."
    failures = 0
    for start in range(200):
        set_nomemory(start, start + 1)
        try:
            result = call()
        except MemoryError:
            remove_mem_hooks()
            failures += 1
            continue
        finally:
            remove_mem_hooks()
        yield result
        if failures and start > failures + 5:
            return
"""


@pytest.mark.parametrize(
    "work",
    [
        """
ids = mtsid.Allocator(1, 5000)
ids.reserve_many(range(1, 300))  # small integers need no memory
kept = list(starve(ids.acquire))
assert sorted([*range(1, 300), *kept]) == list(ids)
""",
        """
ids = mtsid.Allocator(1, 5000)
kept = [id for array in starve(lambda: ids.acquire_many(3)) for id in array.tolist()]
assert sorted(kept) == list(ids)
""",
        """
ids = mtsid.Allocator(1, 5000)
ids.acquire_many(1000)
kept = [id for array in starve(ids.reset) for id in array.tolist()]
assert len(kept) + len(ids) == 1000
""",
        """
queue = mtsid.MessageQueue(5000)
numbers = list(starve(lambda: queue.put("a")))
assert len(numbers) == len(queue) == queue.audit().waiting
numbers = [len(array) for array in starve(lambda: queue.put_many("abc"))]
assert len(queue) == queue.audit().waiting
""",
        """
queue = mtsid.MessageQueue(5000)
queue.put_many(range(1000))
messages = list(starve(queue.get))
assert len(messages) == queue.in_flight(), (len(messages), queue.in_flight())
""",
        """
queue = mtsid.MessageQueue(5000)
queue.put_many(range(1000))
messages = [message for got in starve(lambda: queue.get_many(3)) for message in got]
assert len(messages) == queue.in_flight(), (len(messages), queue.in_flight())
""",
        """
queue = mtsid.MessageQueue(5000)
queue.put_many(range(1000))
list(starve(queue.audit))
messages = iter(queue.get_many(1000))
list(starve(lambda: queue.nack(next(messages))))
discarded = [body for bodies in starve(lambda: queue.shutdown(immediate=True)) for body in bodies]
queue.audit()
""",
    ],
    ids=["acquire", "acquire_many", "reset", "put", "get", "get_many", "shutdown"],
)
def test_without_memory_nothing_is_lost(work: str, in_child: Callable[..., str]) -> None:
    if "no _testcapi" in in_child(NO_MEMORY + work):
        pytest.skip("this interpreter has no _testcapi to take memory away with")
