"""Audits of id sources: of right ones, of each way to be wrong, of those that hang, and of what is none."""

from __future__ import annotations

import _thread
import doctest
import importlib
import io
import itertools
import json
import queue
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from mtsid import Allocator, v40
from mtsid.lab import AuditReport, audit_ids
from mtsid.lab.audit_report import Cost

HANG = 1.0  # seconds; what hangs in these tests hangs for good, and nothing else is near that


class Lowest:
    """A right source: the lowest number that is free. It notes what its user does wrong."""

    def __init__(self, size: int, *, first: int = 1) -> None:
        self.numbers = range(first, first + size)
        self.used: set[int] = set()
        self.wrong: list[int] = []  # releases of what was not in use
        self.lock = threading.Lock()

    def choose(self) -> int:
        return next(number for number in self.numbers if number not in self.used)

    def acquire(self) -> int | None:
        with self.lock:
            if len(self.used) == len(self.numbers):
                return self.none()
            number = self.choose()
            self.used.add(number)
            return number

    def none(self) -> int | None:
        raise OverflowError("all are in use")

    def release(self, number: int) -> None:
        with self.lock:
            if number not in self.used:
                self.wrong.append(number)
                raise KeyError(number)
            self.used.remove(number)


class Cyclic(Lowest):
    """The first free number after the last one."""

    last = 0

    def choose(self) -> int:
        size = len(self.numbers)
        turns = (self.numbers[(self.last + step) % size] for step in range(size))
        number = next(number for number in turns if number not in self.used)
        self.last = self.numbers.index(number) + 1
        return number


def audit(source: Any, **options: Any) -> AuditReport:
    return audit_ids(source.acquire, source.release, **options)


# Right sources ----------------------------------------------------------------------------------------------------


def test_our_own_allocator_has_no_duplicate() -> None:
    ids = Allocator()
    report = audit(ids, operations=70_000)
    assert report.ok, str(report)
    assert report.duplicates == 0
    assert report.story() is None
    assert (report.exhaustion.kind, report.exhaustion.held, report.exhaustion.error) == ("raises", 65535, "Exhausted")
    assert (report.second_release.kind, report.second_release.error) == ("refused", "NotInUse")
    assert report.turns.rest == 65535 - 16 - 1
    assert [(cost.percent, cost.live, cost.layout) for cost in report.costs] == [
        (0, 0, "none"),
        (90, 58981, "block"),
        (99, 64879, "block"),
        (99, 64879, "random"),
        (90, 58981, "random"),
    ]
    assert report.history is not None
    assert (report.history.acquired, report.history.released) == (70_000, 70_000)
    assert (report.raised, report.faults) == ({}, [])
    assert len(ids) == 0
    ids._check()


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([Lowest, Cyclic]),
    st.integers(1, 40),
    st.integers(1, 50),
    st.integers(1, 200),
    st.sampled_from([1, 1, 3]),
)
def test_a_right_source_is_used_rightly_and_found_right(
    kind: type[Lowest], size: int, live: int, operations: int, threads: int
) -> None:
    source = kind(size)
    report = audit(source, live=live, operations=operations, threads=threads, timeout=60)
    assert report.ok, str(report)
    assert source.used == set()
    if operations > size:
        assert (report.exhaustion.kind, report.exhaustion.held) == ("raises", size)
        assert report.second_release.kind == "refused"
    else:
        assert (report.exhaustion.kind, report.exhaustion.held) == ("not reached", operations)
        assert report.second_release.kind == "not tried"
    assert len(source.wrong) == (report.second_release.kind == "refused")
    assert not any(what.startswith("release") for what in report.raised)


def test_how_long_an_id_rests_is_told() -> None:
    assert audit(Lowest(100), threads=1, operations=500).turns.rest == 0
    assert audit(Cyclic(100), threads=1, operations=500).turns.rest == 100 - 16 - 1
    assert audit(Cyclic(1000), threads=1, operations=500).turns.rest is None


def test_a_source_with_fewer_ids_than_are_to_be_held_is_audited_with_fewer() -> None:
    for size, held in ((1, 0), (5, 2), (16, 8), (17, 16)):
        report = audit(Lowest(size), operations=200, timeout=60)
        assert report.ok
        assert report.turns.held == held
        assert report.exhaustion.held == size


def test_acquire_may_return_none_when_it_has_no_id() -> None:
    class Polite(Lowest):
        def none(self) -> None:
            return None

    report = audit(Polite(100), operations=1000)
    assert report.ok
    assert (report.exhaustion.kind, report.exhaustion.held) == ("returns None", 100)
    assert report.second_release.kind == "refused"
    assert "then acquire returns None" in str(report)


def test_ids_may_be_anything_hashable() -> None:
    numbers = Cyclic(50)
    names = [f"id-{number}" for number in range(51)]
    report = audit_ids(
        lambda: names[numbers.acquire() or 0], lambda name: numbers.release(names.index(name)), operations=500
    )
    assert report.ok
    assert report.exhaustion.held == 50
    assert not numbers.used


def test_a_source_without_an_end_is_told_as_such() -> None:
    report = audit_ids(itertools.count().__next__, None, operations=1000)
    assert report.ok
    assert (report.exhaustion.kind, report.exhaustion.held) == ("not reached", 1000)
    assert report.second_release.kind == "not tried"
    assert [cost.percent for cost in report.costs] == [0]
    assert "acquire, 0 % live" in str(report)


# Wrong ones -------------------------------------------------------------------------------------------------------


def test_a_counter_that_does_not_look_is_found_in_one_thread() -> None:
    ids = v40.Allocator(defect="unchecked-wrap")
    report = audit(ids, threads=1)
    assert not report.ok
    # 65,535 numbers come round three times in 200,000 acquires, and meet the 16 that are held each time.
    assert report.turns.duplicates == 48
    assert report.turns.first is not None
    assert report.turns.first.second - report.turns.first.first == 65535
    assert (report.exhaustion.kind, report.exhaustion.held) == ("duplicate", 65535)
    assert report.duplicates == 49
    assert report.history is None


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 200), st.integers(1, 20))
def test_a_counter_that_does_not_look_is_found_whatever_its_size(size: int, live: int) -> None:
    numbers = itertools.cycle(range(size))
    report = audit_ids(lambda: next(numbers), None, threads=1, live=live, operations=size + live)
    assert report.turns.duplicates
    assert (report.exhaustion.kind, report.exhaustion.held) == ("duplicate", size)


def test_the_first_duplicate_is_told_as_a_story() -> None:
    report = audit_ids(lambda: "b", None, threads=1, live=1, operations=10)
    assert report.story() == (
        "Acquire 1 returned id 'b', which was not released. Acquire 2 returned 'b' again, in the same thread, with 1 "
        "id held: two hold it now, and whoever is answered first frees it for a third."
    )
    assert "The first duplicate\nAcquire 1 returned id 'b'" in str(report)


def test_a_duplicate_at_exhaustion_alone_is_found() -> None:
    class Desperate(Lowest):
        def none(self) -> int:
            return self.numbers[3]

    report = audit(Desperate(100), threads=1)
    assert not report.ok
    assert report.turns.duplicates == 0
    assert (report.exhaustion.kind, report.duplicates) == ("duplicate", 1)
    assert "Acquire 4 returned id 4" in (report.story() or "")
    assert "then acquire returns 4, which is held" in str(report)


class Racy(Lowest):
    """Looks up and claims in two steps; two threads are between them at once, the first time that they compete."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.meeting = threading.Barrier(2)
        self.calls = {"thread 1": 0, "thread 2": 0}

    def meet(self) -> int:
        """Wait for the other thread, in the first acquire and the second; which one it is. 0: not among threads."""
        name = threading.current_thread().name
        if name not in self.calls:
            return 0
        self.calls[name] += 1
        if self.calls[name] <= 2:
            self.meeting.wait(30)
        return self.calls[name]

    def acquire(self) -> int:
        number = self.choose()
        if self.meet() == 1:
            number = 1  # which both have seen to be free
        elif number == 1:
            number = next(number for number in self.numbers if number not in self.used | {1})
        self.used.add(number)
        return number

    def release(self, number: int) -> None:
        self.used.discard(number)


def test_a_race_is_found_by_threads_and_told_with_both_holders() -> None:
    report = audit(Racy(100), threads=2, live=8, operations=100, timeout=60)
    assert not report.ok
    assert report.turns.duplicates == 0
    assert report.history is not None
    assert report.history.overlaps >= 1
    story = report.story() or ""
    assert story.startswith("Id 1 was held by thread")
    assert "thread 1 from" in story
    assert "thread 2 from" in story


def test_racy_claim_is_found() -> None:
    ids = v40.Allocator(1, 1000, defect="racy-claim")
    for _ in range(20):  # it shows in thousandths of a second, but two threads must meet
        report = audit(ids, operations=20_000)
        if not report.ok:
            break
    assert report.history is not None
    assert report.history.overlaps > 0
    assert report.turns.duplicates == 0
    assert report.second_release.kind == "refused"


def test_double_release_is_found_and_not_held_against_rightful_use() -> None:
    report = audit(v40.Allocator(1, 100, defect="double-release"), operations=1000)
    assert report.ok
    assert report.second_release.kind == "believed"
    assert report.second_release.id in range(1, 101)
    assert "An id released twice is free twice" in str(report)


def test_a_free_list_believes_a_second_release_and_a_set_ignores_it() -> None:
    numbers = deque(range(100))
    assert audit_ids(numbers.popleft, numbers.append, operations=500).second_release.kind == "believed"

    class Forgiving(Lowest):
        def release(self, number: int) -> None:
            self.used.discard(number)

    report = audit(Forgiving(100), operations=500)
    assert report.second_release.kind == "ignored"
    assert "no id was given to two holders" in str(report)


def test_what_calls_raise_is_counted_by_name() -> None:
    class Fragile(Lowest):
        def release(self, number: int) -> None:
            super().release(number)
            if number == 7:
                raise ConnectionError("the line is down")

    for threads in (1, 2):
        report = audit(Fragile(20), threads=threads, operations=100, live=10, timeout=60)
        assert report.raised["release: ConnectionError"] >= 1
        assert "release: ConnectionError (" in str(report)


def test_a_source_that_breaks_at_exhaustion_is_told_without_what_cannot_be_measured() -> None:
    class Broken(Lowest):
        ended = False

        def acquire(self) -> int | None:
            if self.ended:
                raise ConnectionError
            return super().acquire()

        def none(self) -> None:
            self.ended = True
            raise OverflowError

    source = Broken(100)
    report = audit(source, threads=1, operations=500)
    assert (report.exhaustion.error, report.exhaustion.held) == ("OverflowError", 100)
    assert [cost.percent for cost in report.costs] == [0]
    assert report.second_release.kind == "not tried"
    assert report.raised == {"acquire and release: ConnectionError": 1, "acquire: ConnectionError": 1}
    assert not source.used


# Those that hang --------------------------------------------------------------------------------------------------


def blocking(size: int) -> queue.Queue[int]:
    numbers: queue.Queue[int] = queue.Queue()
    for number in range(size):
        numbers.put(number)
    return numbers


def test_a_source_that_waits_for_ever_at_exhaustion_is_told_and_audited_to_the_end() -> None:
    numbers = blocking(100)
    report = audit_ids(numbers.get, numbers.put, operations=1000, timeout=HANG)
    assert report.ok, str(report)
    assert (report.exhaustion.kind, report.exhaustion.held) == ("hangs", 100)
    assert [cost.live for cost in report.costs] == [0, 90, 99, 99, 90]
    assert report.second_release.kind == "believed"
    assert "then acquire gives no answer within 1 s" in str(report)


def test_a_source_that_searches_for_ever_is_let_go_by_a_release(
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    class Spinning(Lowest):
        """Its acquire looks round and round, as long as all are in use."""

        def acquire(self) -> int:
            for number in itertools.cycle(self.numbers):
                if number not in self.used:
                    self.used.add(number)
                    return number
            raise AssertionError

    source = Spinning(50)
    report = audit(source, threads=1, operations=1000, timeout=HANG)
    assert (report.exhaustion.kind, report.exhaustion.held) == ("hangs", 50)
    assert report.second_release.kind == "refused"
    assert report.ok, str(report)
    assert not source.used
    eventually(lambda: all(thread.name != "audit" for thread in threading.enumerate()))


def test_a_source_that_waits_and_has_fewer_ids_than_are_to_be_held_is_audited_with_fewer() -> None:
    numbers = blocking(3)
    report = audit_ids(numbers.get, numbers.put, operations=300, timeout=HANG)
    assert report.ok, str(report)
    assert (report.turns.held, report.turns.acquires) == (1, 300)
    assert (report.exhaustion.kind, report.exhaustion.held) == ("hangs", 3)
    assert numbers.qsize() == 4  # the release that came twice, believed


def test_an_id_that_was_released_to_let_a_call_go_is_no_duplicate() -> None:
    class Fewer(Lowest):
        """It has two ids, and one once somebody had to wait. Who waits gets what is released."""

        handed_over: queue.Queue[int] = blocking(0)
        waiting = False

        def acquire(self) -> int | None:
            if len(self.used) < len(self.numbers):
                return super().acquire()
            self.numbers, self.waiting = range(1, 2), True
            return self.handed_over.get()

        def release(self, number: int) -> None:
            if self.waiting:
                self.waiting = False
                self.handed_over.put(number)
            else:
                super().release(number)

    report = audit(Fewer(2), operations=1000, timeout=HANG)
    assert not report.ok
    assert "no answer within 1 s" in report.faults[0]
    assert report.duplicates == 0
    assert report.story() is None


@contextmanager
def stuck(size: int, when: Callable[[Lowest], bool]) -> Iterator[Lowest]:
    """A source whose acquire takes its lock and never lets go of it, when that is so: the release hangs as well."""
    end = threading.Event()

    class Stuck(Lowest):
        def acquire(self) -> int | None:
            if when(self):
                with self.lock:
                    end.wait()
            return super().acquire()

    source = Stuck(size)
    yield source
    end.set()  # so that the threads left behind do not stay


def test_a_deadlock_at_exhaustion_ends_the_audit_and_what_was_found_stays() -> None:
    with stuck(50, lambda source: len(source.used) == 50) as source:
        report = audit(source, operations=1000, timeout=HANG)
    assert (report.exhaustion.kind, report.exhaustion.held) == ("hangs", 50)
    assert not report.ok
    assert report.faults == ["At exhaustion, acquire did not return when an id was released. The audit ended there."]
    assert report.turns.acquires == 1000
    assert report.history is not None
    assert report.second_release.kind == "not tried"
    assert "Not complete" in str(report)


def test_a_deadlock_before_that_ends_the_audit_too() -> None:
    with stuck(50, lambda source: len(source.used) == 5) as source:
        report = audit(source, timeout=HANG)
    assert not report.ok
    assert "One thread that wanted to hold 16 ids: no answer within 1 s" in report.faults[0]
    assert report.exhaustion.kind == "not tried"


def test_a_deadlock_of_threads_is_told_and_ends_the_audit() -> None:
    with stuck(50, lambda _: threading.current_thread().name == "thread 2") as source:
        report = audit(source, operations=10_000, timeout=HANG)
    assert not report.ok
    [fault] = report.faults
    assert "of 4 threads: no answer within 1 s" in fault
    assert report.turns.acquires == 10_000
    assert report.history is None


def test_threads_that_begin_late_end_in_a_report_as_others_do() -> None:
    for _ in range(5):
        ids = Allocator(1, 100)
        with suppress(ValueError):  # the first acquire was as late
            report = audit_ids(ids.acquire, ids.release, threads=64, operations=1000, timeout=0.001)
            assert report.duplicates == 0


def test_a_source_that_hangs_at_once_is_refused() -> None:
    with stuck(50, lambda _: True) as source, pytest.raises(ValueError, match="no answer within 1 s"):
        audit(source, timeout=HANG)


def test_a_release_that_hangs_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="first release gave no answer"):
        audit_ids(itertools.count().__next__, lambda _: threading.Event().wait(), timeout=HANG)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("size", [1, 20])
def test_a_source_that_runs_dry_has_not_passed(size: int, threads: int) -> None:
    report = audit_ids(iter(range(size)).__next__, lambda _: None, threads=threads, operations=200)
    assert (report.ok, report.duplicates, report.exhaustion.held) == (False, 0, 0)
    assert report.faults == ["Every id was released, and none is to be had again. The audit ended there."]
    assert "Not complete\nEvery id was released" in str(report)


def test_a_second_release_that_hangs_ends_the_audit() -> None:
    end = threading.Event()

    class Touchy(Lowest):
        def release(self, number: int) -> None:
            if number not in self.used:
                with self.lock:
                    end.wait()
            super().release(number)

    report = audit(Touchy(50), operations=100, timeout=HANG)
    end.set()
    assert not report.ok
    assert "A second release gave no answer" in report.faults[0]


# What is none -----------------------------------------------------------------------------------------------------


def failing() -> Hashable:
    raise ConnectionError("no broker here")


async def later() -> int:
    return 1


class Promise:
    def __await__(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("acquire", "error", "words"),
    [
        (failing, ValueError, "the first acquire raised ConnectionError: no broker here"),
        (lambda: None, ValueError, "the first acquire returned None"),
        (list, TypeError, "hashable, and acquire returned a 'list'"),
        (later, TypeError, "returned an awaitable"),
        (Promise, TypeError, "returned an awaitable"),
    ],
)
def test_what_is_no_id_source_is_refused(acquire: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        audit_ids(acquire, None)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"threads": 0}, ValueError),
        ({"threads": 1025}, ValueError),
        ({"threads": True}, TypeError),
        ({"threads": 2.0}, TypeError),
        ({"live": 0}, ValueError),
        ({"live": "many"}, TypeError),
        ({"operations": 0}, ValueError),
        ({"operations": -5}, ValueError),
        ({"timeout": 0}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": float("inf")}, ValueError),
        ({"timeout": "5"}, TypeError),
        ({"timeout": True}, TypeError),
    ],
)
def test_bad_numbers_are_refused_before_anything_is_called(options: dict[str, Any], error: type[Exception]) -> None:
    calls: list[int] = []
    with pytest.raises(error, match=next(iter(options)) if error is ValueError else None):
        audit_ids(lambda: calls.append(1), calls.remove, **options)
    assert not calls


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="acquire must be callable"):
        audit_ids(7, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="release must be callable"):
        audit_ids(Allocator().acquire, 7)  # type: ignore[arg-type]


def test_ctrl_c_ends_the_audit() -> None:
    end = threading.Event()

    class Waiting(Lowest):
        def acquire(self) -> int | None:
            if len(self.used) == 10:
                _thread.interrupt_main()
                end.wait()
            return super().acquire()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in the background of a shell
    try:
        with pytest.raises(KeyboardInterrupt):
            audit(Waiting(100), timeout=60)
    finally:
        end.set()
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_in_a_call_ends_the_audit_and_sets_back_how_often_threads_change() -> None:
    interval = sys.getswitchinterval()

    class Interrupted(Lowest):
        def acquire(self) -> int | None:
            if threading.current_thread().name == "thread 2":
                raise KeyboardInterrupt
            return super().acquire()

    with pytest.raises(KeyboardInterrupt):
        audit(Interrupted(100), operations=1000)
    assert sys.getswitchinterval() == interval


# The report -------------------------------------------------------------------------------------------------------


def test_the_report_is_the_same_text_in_plain_and_by_rich() -> None:
    report = audit(v40.Allocator(1, 100, defect="unchecked-wrap"), operations=1000, name="mine")
    file = io.StringIO()
    report.render(Console(file=file, width=200))
    rich = [line.split() for line in file.getvalue().splitlines()]
    assert rich == [line.split() for line in str(report).splitlines()]
    assert str(report).startswith("mtsid audit: mine, 4 threads, 16 ids held meanwhile\n")


def test_the_report_as_json_has_all_of_it() -> None:
    data = json.loads(audit(v40.Allocator(1, 100, defect="unchecked-wrap"), operations=1000, name="mine").to_json())
    assert (data["name"], data["ok"]) == ("mine", False)
    assert data["duplicates"] == data["turns"]["duplicates"] + data["history"]["overlaps"] + 1
    assert data["exhaustion"]["kind"] == "duplicate"
    assert data["story"].startswith("Acquire 1 returned id")
    data = json.loads(audit_ids(lambda: frozenset([1]), None, threads=1, operations=10).to_json())
    assert data["turns"]["first"]["id"] == "frozenset({1})"


def test_the_cost_that_is_told_is_that_of_the_dearest_layout() -> None:
    report = AuditReport("", 4, 16, 1000, 5.0, True)
    report.costs = [Cost(0, 0, "none", 5.0), Cost(90, 9, "block", 7.0), Cost(90, 9, "random", 6.0)]
    assert report.cost(90) == Cost(90, 9, "block", 7.0)
    assert report.cost(99) is None
    assert str(report).splitlines()[2:4] == [
        "acquire + release, 0 % live   5 ns",
        "acquire + release, 90 % live  7 ns  in one block",
    ]


@pytest.mark.parametrize("take", [deque.pop, deque.popleft])
def test_a_count_of_what_is_in_flight_does_not_hide_an_id_that_is_free_twice(take: Callable[[deque[int]], int]) -> None:
    """As cassandra-driver has it: the count is right, the list of free ids is not."""
    free, flying = deque(range(101)), set[int]()

    def acquire() -> int:
        if len(flying) == 100:  # one less than there are ids
            raise OverflowError
        number = take(free)
        flying.add(number)
        return number

    def release(number: int) -> None:
        flying.discard(number)
        free.append(number)

    report = audit_ids(acquire, release, threads=1, operations=1000)
    assert report.ok
    assert report.second_release.kind == "believed"


@pytest.mark.parametrize("size", [1, 2, 3, 9, 100])
@pytest.mark.parametrize("take", [deque.pop, deque.popleft])
def test_first_or_last_in_an_id_that_is_free_twice_is_found(take: Callable[[deque[int]], int], size: int) -> None:
    free = deque(range(size))
    assert audit_ids(lambda: take(free), free.append, threads=1, operations=500).second_release.kind == "believed"


def test_the_page_shows_the_report_as_it_is_printed() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "AUDIT.md").read_text("utf-8")
    [shown] = re.findall(r"^```text\n(mtsid audit: .*?)^```$", page, re.MULTILINE | re.DOTALL)
    ids = Allocator()
    printed = str(audit(ids, name="mtsid:Allocator", timeout=60)) + "\n"

    def untimed(text: str) -> list[str]:
        return re.sub(r" {2,}", "  ", re.sub(r" +[\d,]+ ns.*", " ns", text)).splitlines()

    assert untimed(shown) == untimed(printed)


def test_the_examples_in_the_docstring_run() -> None:
    results = doctest.testmod(importlib.import_module("mtsid.lab.audit"))
    assert results.attempted
    assert not results.failed
