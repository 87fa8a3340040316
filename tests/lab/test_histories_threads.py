"""A recorder beside real threads: no alarm on SP2; 4.0's defects and a client's lost race are proven."""

from __future__ import annotations

import doctest
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Allocator, Empty, MessageQueue, v40
from mtsid.lab import Recorder, histories, storm

Threads = Callable[..., None]
PATIENCE = 20.0  # seconds at most until a real race has shown; it takes milliseconds on an idle machine


# Real threads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 4, 8])
@pytest.mark.parametrize("last", [16, 65535])
def test_no_alarm_on_the_allocator(threads: int, last: int, run_threads: Threads) -> None:
    recorder = Recorder()
    source = Allocator(1, last)
    ids = recorder.ids(source.acquire, source.release)

    def work() -> None:
        held: deque[int] = deque()
        for _ in range(4000):
            held.append(ids.acquire())
            if len(held) == max(1, min(20, last // threads)):
                ids.release(held.popleft())
        while held:
            ids.release(held.popleft())

    run_threads(*[work] * threads)
    report = recorder.check(expect_empty=True)
    assert report.ok, str(report)
    assert (report.acquired, report.released, report.threads) == (4000 * threads, 4000 * threads, threads)
    source._check()


@pytest.mark.parametrize("threads", [2, 4, 8])
@pytest.mark.parametrize("maxsize", [3, 1000])
def test_no_alarm_on_the_queue(threads: int, maxsize: int, run_threads: Threads) -> None:
    recorder = Recorder()
    queue = recorder.queue(MessageQueue(maxsize))

    def produce(me: int) -> None:
        for n in range(1500):
            queue.put((me, n), priority=("normal", "urgent", "non-urgent")[n % 3])

    def consume(me: int) -> None:
        for n in itertools.count(me):
            try:
                messages = queue.get_many(3, timeout=0.5) if n % 4 == 0 else [queue.get(timeout=0.5)]
            except Empty:
                return
            for message in messages:
                queue.nack(message) if (n + message.mtsid) % 5 == 0 else queue.ack(message)

    run_threads(*[lambda n=n: (produce if n % 2 else consume)(n) for n in range(threads)])
    report = recorder.check(expect_empty=True)
    assert report.ok, str(report)
    assert report.put == report.left == 1500 * (threads // 2)
    assert report.returned > 100
    assert report.delivered == report.put + report.returned
    queue.audit()


def test_a_storm_through_a_recorder_agrees_with_it() -> None:
    recorder = Recorder()
    report = storm(recorder.queue(MessageQueue()), threads=4, seconds=0.3)
    history = recorder.check(expect_empty=True)
    assert report.sound
    assert history.ok, str(history)
    assert history.put == report.puts
    assert history.left == report.puts
    assert history.returned == report.nacks


# Duplicates -------------------------------------------------------------------------------------------------------


def test_double_release_of_4_0_is_told_as_a_stray_and_an_overlap() -> None:
    recorder = Recorder()
    source = v40.Allocator(1, 2, defect="double-release")
    ids = recorder.ids(source.acquire, source.release)
    ids.release(ids.acquire())
    ids.release(1)
    assert [ids.acquire() for _ in range(3)] == [2, 1, 1]
    report = recorder.check()
    assert (report.strays, report.overlaps, report.stray_ids) == (1, 1, (1,))


def test_premature_strip_of_4_0_shows_without_threads() -> None:
    recorder = Recorder()
    queue = recorder.queue(v40.MessageQueue(10))
    queue.put("first")
    queue.put("second")
    queue.nack(queue.get())
    assert queue.put("third") == 1
    report = recorder.check()
    assert (report.overlaps, report.lost, report.still_there) == (1, 0, 3)
    twin = report.first_overlaps[0]
    assert (twin.id, twin.first.body, twin.second.body) == (1, "first", "third")


@pytest.mark.parametrize("defect", ["double-release", "racy-claim", "unchecked-wrap", "premature-strip"])
def test_each_defect_of_4_0_shows_under_a_storm(defect: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        recorder = Recorder()
        queue = recorder.queue(v40.MessageQueue(4096, defect=defect))
        storm(queue, threads=4, seconds=PATIENCE, stop_at_duplicate=True)
        report = recorder.check()
        if report.overlaps:
            break
        assert time.monotonic() < deadline
    assert (report.lost, report.unexpected, report.renumbered, report.overtaken) == (0, 0, 0, 0), str(report)
    assert bool(report.duplicated) <= (defect == "double-release")


def test_racy_claim_of_4_0s_allocator_shows_under_real_threads(run_threads: Threads) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        recorder = Recorder()
        source = v40.Allocator(1, 65535, defect="racy-claim")
        ids = recorder.ids(source.acquire, source.release)

        def work(ids: Any = ids) -> None:
            held = [ids.acquire() for _ in range(1000)]
            for id in held:
                ids.release(id)

        run_threads(*[work] * 4)
        report = recorder.check(expect_empty=True)
        if report.overlaps:
            assert report.strays == 0
            return
    pytest.fail("it never showed")


class CheckThenClaim:
    """An id source as py-amqp 5.4.2 has it: a free number is looked up and claimed in two steps, without a lock."""

    def __init__(self, between: Callable[[], object]) -> None:
        self.used: set[int] = set()
        self.between = between

    def acquire(self) -> int:
        id = next(id for id in itertools.count(1) if id not in self.used)
        self.between()
        self.used.add(id)
        return id

    def release(self, id: int) -> None:
        self.used.discard(id)


def test_check_then_claim_is_caught_when_its_race_is_lost(run_threads: Threads) -> None:
    looked, claimed, both = threading.Event(), threading.Event(), threading.Barrier(2)

    def between() -> None:
        if not looked.is_set():
            looked.set()
            assert claimed.wait(20)

    recorder = Recorder()
    source = CheckThenClaim(between)
    ids = recorder.ids(source.acquire, source.release)

    def slow() -> None:
        id = ids.acquire()
        both.wait(20)
        ids.release(id)

    def fast() -> None:
        assert looked.wait(20)
        id = ids.acquire()
        claimed.set()
        both.wait(20)
        ids.release(id)

    run_threads(slow, fast)
    report = recorder.check(expect_empty=True)
    assert (report.overlaps, report.strays) == (1, 0)
    assert report.first_overlaps[0].id == 1
    assert report.first_overlaps[0].first.thread != report.first_overlaps[0].second.thread


def test_check_then_claim_is_not_accused_when_nothing_happened() -> None:
    recorder = Recorder()
    source = CheckThenClaim(lambda: None)
    ids = recorder.ids(source.acquire, source.release)
    for _ in range(3):
        ids.release(ids.acquire())
    assert recorder.check(expect_empty=True).ok


# The module ----------------------------------------------------------------------------------------------------


def test_the_examples_run() -> None:
    results = doctest.testmod(histories)
    assert results.failed == 0
    assert results.attempted > 10


def test_it_needs_neither_rich_nor_simpy(in_child: Callable[..., str]) -> None:
    told = in_child(
        """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('rich', 'simpy'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Missing())
from mtsid import Allocator
from mtsid.lab import Recorder, storm
recorder = Recorder()
source = Allocator()
ids = recorder.ids(source.acquire, source.release)
ids.release(ids.acquire())
print(recorder.check())
import mtsid.lab
try:
    mtsid.lab.compare
except ModuleNotFoundError as error:
    print(error)
print(hasattr(mtsid.lab, "nonsense"))
"""
    )
    assert told.startswith("all is well: 2 events of 1 thread in ")
    assert told.endswith("\nmtsid.lab.compare needs simpy: pip install 'mtsid[lab]'\nFalse\n")
