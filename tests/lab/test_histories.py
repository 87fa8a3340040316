"""A recorder of ids proves duplicates, and never accuses the innocent.

1.  Hand-made histories on a clock of their own, with what equal times, hand-overs and interrupts leave open.
2.  Hypothesis: sequential histories raise no alarm, an injected overlap always does; a search of all orders agrees.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsid import Allocator, Exhausted, MessageQueue, NotInUse
from mtsid.lab import HistoryReport, Recorder


class Cast:
    """Threads by name that act one at a time, when they are told to, on a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0
        self.recorder = Recorder(clock=lambda: self.now)
        self.threads: dict[str, ThreadPoolExecutor] = {}

    def let(self, name: str, act: Callable[..., Any], *arguments: Any) -> Any:
        if name not in self.threads:
            self.threads[name] = ThreadPoolExecutor(1, thread_name_prefix=name)
        return self.threads[name].submit(act, *arguments).result(20)

    def close(self) -> None:
        for thread in self.threads.values():
            thread.shutdown()


# Ids: hand-made histories -----------------------------------------------------------------------------------------


def play(script: str, **options: Any) -> HistoryReport:
    """`A+7@1 B-7@2`: thread A is back with id 7 at time 1, thread B calls release at time 2."""
    cast = Cast()
    ids = cast.recorder.ids(int, int)
    for thread, sign, id, now in re.findall(r"(\w)([+-])(\d+)@(\d+)", script):
        cast.now = int(now)
        note = ids.note_acquired if sign == "+" else ids.note_release
        cast.let(thread, note, [int(id)])
    cast.close()
    return cast.recorder.check(**options)


@pytest.mark.parametrize(
    "script",
    [
        "",
        "A+7@1 A-7@2 B+7@3 B-7@4",
        "A+7@1 A-7@5 B+7@5 B-7@9",  # at one time: the release may have been first
        "B+7@5 B-7@9 A+7@1 A-7@5",  # whatever order the threads' records come in
        "A+7@5 A-7@5 B+7@5 B-7@5 A+7@5 A-7@5",  # a clock that stands still
        "A+7@1 A-7@2 A+7@2 A-7@3 A+7@3 A-7@4",  # reused at once
        "A+7@1 B-7@2 A+7@3 B-7@4",  # handed to another thread, which releases it
        "A+7@1 B+8@1 A-7@9 B-8@9",
        "A+7@1 A-7@5 A+8@2 B-8@3 B+7@5",
        "A+7@1",
        "A+0@1 A-0@2 A+0@3",
    ],
)
def test_a_history_in_turns_is_well(script: str) -> None:
    report = play(script)
    assert report.ok, str(report)
    assert (report.overlaps, report.first_overlaps, report.strays, report.stray_ids) == (0, (), 0, ())
    assert report.events == report.acquired + report.released == len(script.split())
    assert report.still_there == script.count("+") - script.count("-")


@pytest.mark.parametrize(
    ("script", "overlaps"),
    [
        ("A+7@1 B+7@2 A-7@3 B-7@4", 1),
        ("B+7@2 B-7@4 A+7@1 A-7@3", 1),
        ("A+7@1 B+7@2 B-7@3 A-7@4", 1),  # one within the other
        ("A+7@1 A+7@2 A-7@3 A-7@4", 1),  # the same thread twice
        ("A+7@1 B+7@2 C+7@3 A-7@4 B-7@5 C-7@6", 2),
        ("A+7@1 B+7@9", 1),  # never released: held to the end
        ("A+7@5 B+7@5", 1),  # at one time, but neither was released: both had it afterwards
        ("A+7@1 B+7@5 A-7@6 B-7@6", 1),
        ("A+7@1 A-7@2 A+7@3 B+7@4 A-7@5 B-7@6 A+7@7", 1),
        ("A+8@1 A+7@1 A-8@2 B+7@2 B+8@3 B-8@4 A-7@5 B-7@6", 1),
    ],
)
def test_two_holds_of_one_id_are_an_overlap(script: str, overlaps: int) -> None:
    report = play(script)
    assert not report.ok
    assert report.overlaps == len(report.first_overlaps) == overlaps
    assert {twin.id for twin in report.first_overlaps} == {7}
    assert report.strays == 0


def test_an_overlap_names_both_holders_and_when() -> None:
    report = play("A+7@1000 B+7@3000 A-7@4500 C+8@9 B-7@2000000")
    (twin,) = report.first_overlaps
    assert twin.first.thread.startswith("A")
    assert twin.second.thread.startswith("B")
    assert (twin.first.since, twin.first.until, twin.second.since, twin.second.until) == (1000, 4500, 3000, 2_000_000)
    story = twin.story()
    assert "Id 7 was held by A_0 from 1.000 us until 4.500 us, and by B_0 from 3.000 us until 2.000 ms" in story
    assert "both had it for 1.500 us" in story
    assert story in str(report)
    assert str(report).startswith("NOT WELL: 5 events of 3 threads in 0.002 s\n")


def test_an_overlap_that_lasts_says_so() -> None:
    report = play("A+7@1 B+7@9")
    assert report.first_overlaps[0].second.until is None
    assert "from 0.009 us to the end: both had it to the end." in str(report)
    assert report.still_there == 2


def test_a_long_hold_is_told_in_seconds() -> None:
    assert "from 0.000 us until 2.500 s" in str(play("A+7@0 B+7@9 B-7@10 A-7@2500000000"))


@pytest.mark.parametrize(
    ("script", "strays", "overlaps"),
    [
        ("A+7@1 A-7@2 A-7@3", 1, 0),
        ("A+7@1 A-7@2 B-7@2", 1, 0),
        ("A-7@1", 1, 0),
        ("A-7@1 A+7@2", 1, 0),  # released before anybody had it
        ("A+7@1 A-7@2 A-7@3 A+7@4 B+7@5", 1, 1),  # and it hides no overlap
        ("A+7@1 A-7@2 A-7@2 A+7@2 A-7@3", 1, 0),
        ("A-7@1 A-7@2 A-8@3 A+9@4 A-9@5", 3, 0),
    ],
)
def test_a_release_of_what_nobody_has_is_a_stray(script: str, strays: int, overlaps: int) -> None:
    report = play(script)
    assert not report.ok
    assert (report.strays, report.overlaps) == (strays, overlaps)
    assert set(report.stray_ids) <= {7, 8}
    assert "A_0 released 7 at" in str(report) or "B_0 released 7 at" in str(report)


def test_what_is_not_released_is_a_fault_only_if_nothing_should_be_held() -> None:
    script = "A+7@1 A+8@2 A-7@3 A+9@4"
    assert play(script).ok
    assert play(script).held_ids == (8, 9)
    report = play(script, expect_empty=True)
    assert not report.ok
    assert "2 ids not released: 8, 9" in str(report)
    assert play("A+7@1 A-7@2", expect_empty=True).ok


def test_after_a_stray_release_the_count_of_holders_is_right() -> None:
    assert play("A-7@1 A+7@2").still_there == 1
    assert play("A+7@1 A-7@2 A-7@3").still_there == 0


def test_a_release_ends_the_hold_of_the_thread_that_releases() -> None:
    (twin,) = play("A+7@1 B+7@2 B-7@3 A-7@4").first_overlaps
    assert (twin.first.until, twin.second.until) == (4, 3)


def test_an_id_that_had_an_overlap_is_not_accused_of_more() -> None:
    report = play("A+7@1 B+7@2 A-7@3 B-7@4 A+7@5 A-7@5 B+7@5 B-7@5")
    assert (report.overlaps, report.strays, report.still_there) == (1, 0, 0)


def test_of_many_faults_the_first_are_told_and_all_are_counted() -> None:
    report = play(" ".join(f"A+{id}@1 B+{id}@{id + 2}" for id in range(30)))
    assert report.overlaps == 30
    assert [twin.id for twin in report.first_overlaps] == list(range(10))
    assert "30 acquires of an id that was surely held. The first 10:" in report.faults
    assert len(report.faults) == 11


# Ids: the front ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["a", "b"], [2**70, -5], [(1, 2), 3], [0.5, 1.5], [True, "x"], [10**9, 1], [-3, -2]])
def test_ids_may_be_anything_hashable(names: list[Any]) -> None:
    for last, well in ((names[0], False), (names[1], True)):
        recorder = Recorder()
        ids = recorder.ids(iter([names[0], last]).__next__, id)
        first = ids.acquire()
        ids.acquire()
        report = recorder.check()
        assert report.ok is well
        ids.release(first)
        assert recorder.check().still_there == 1


def test_what_is_not_hashable_is_refused() -> None:
    recorder = Recorder()
    unhashable: Any = list
    recorder.ids(unhashable, id).acquire()
    with pytest.raises(TypeError, match="unhashable"):
        recorder.check()


def test_arguments_and_results_pass_through() -> None:
    recorder = Recorder()
    source = Allocator(1, 1)
    ids = recorder.ids(source.acquire, lambda id, why=None: source.release(id))
    assert ids.acquire(timeout=None) == 1
    with pytest.raises(Exhausted):
        ids.acquire(0.0)
    ids.release(1, why="done")
    with pytest.raises(NotInUse):
        ids.release(1)
    report = recorder.check(expect_empty=True)
    assert report.ok
    assert (report.acquired, report.released, report.refused) == (1, 1, 2)
    assert "2 calls refused" in str(report)


def test_a_refused_release_does_not_end_a_hold() -> None:
    cast = Cast()
    source = Allocator(1, 1)
    ids = cast.recorder.ids(source.acquire, source.release)
    cast.now = 1
    assert cast.let("A", ids.acquire) == 1
    cast.now = 2
    with pytest.raises(NotInUse):
        cast.let("B", lambda: ids.release(9))
    cast.now = 3
    cast.let("B", lambda: ids.note_acquired([1]))
    cast.close()
    report = cast.recorder.check()
    assert (report.overlaps, report.strays, report.released) == (1, 0, 0)


def test_a_refused_release_takes_back_its_own_record_and_no_other() -> None:
    """In the middle of the call a signal handler of the same thread may use the recorder, too."""
    recorder = Recorder()

    def refuse(id: int) -> None:
        ids.note_release([2])
        ids.note_release([3])
        raise NotInUse("never heard of it")

    ids = recorder.ids(iter([1, 2, 3]).__next__, refuse)
    for _ in range(3):
        ids.acquire()
    with pytest.raises(NotInUse):
        ids.release(1)
    report = recorder.check()
    assert report.ok
    assert report.held_ids == (1,)


def test_an_interrupted_release_may_have_freed_the_id() -> None:
    recorder = Recorder()
    source = Allocator(1, 1)

    def release(id: int) -> None:
        source.release(id)
        raise KeyboardInterrupt

    ids = recorder.ids(source.acquire, release)
    with pytest.raises(KeyboardInterrupt):
        ids.release(ids.acquire())
    ids.acquire()
    report = recorder.check()
    assert report.ok
    assert report.refused == 0


def test_many_fronts_share_one_history() -> None:
    recorder = Recorder()
    for _ in range(2):
        recorder.ids(Allocator(1, 1).acquire, id).acquire()  # each its own range, and so each its 1
    assert recorder.check().overlaps == 1


def test_a_check_may_be_made_again_later() -> None:
    recorder = Recorder()
    assert recorder.check().ok
    ids = recorder.ids(Allocator().acquire, Allocator().release)
    ids.acquire()
    assert recorder.check().acquired == 1
    ids.acquire()
    assert recorder.check().acquired == 2


def test_bad_arguments_are_refused() -> None:
    ids = Allocator()
    for acquire, release in ((1, ids.release), (ids.acquire, None)):
        with pytest.raises(TypeError, match="callable"):
            Recorder().ids(acquire, release)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="lacks put"):
        Recorder().queue(ids)  # type: ignore[arg-type]
    queue: MessageQueue[int] = MessageQueue()
    uses: list[Callable[[Recorder], object]] = [
        lambda recorder: recorder.ids(ids.acquire, ids.release),
        lambda recorder: recorder.queue(queue),
    ]
    for use in uses:
        recorder = Recorder()
        use(recorder)
        with pytest.raises(ValueError, match="namespace"):
            recorder.queue(queue)
    with pytest.raises(ValueError, match="records a queue"):
        recorder.ids(ids.acquire, ids.release)
    queue.put(1)
    with pytest.raises(ValueError, match="must be empty, and holds 1"):
        Recorder().queue(queue)


# Ids: Hypothesis --------------------------------------------------------------------------------------------------


@st.composite
def sequential(draw: st.DrawFn, *, equal_times: bool) -> list[tuple[str, str, int, int]]:
    """Three threads and three ids in turns; who holds an id may pass it on. Times may stand still, or go by tens."""
    events = []
    held: set[int] = set()
    now = 0
    for id, thread, wait in draw(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ABC"), st.booleans()))):
        now += 10 if wait or not equal_times else 0
        events.append((thread, "-" if id in held else "+", id, now))
        held ^= {id}
    return events


def written(events: list[tuple[str, str, int, int]]) -> str:
    return " ".join(f"{thread}{sign}{id}@{now}" for thread, sign, id, now in events)


@settings(deadline=None)
@given(sequential(equal_times=True))
def test_a_sequential_history_raises_no_alarm(events: list[tuple[str, str, int, int]]) -> None:
    report = play(written(events))
    assert report.ok, str(report)
    assert report.still_there == sum(1 if sign == "+" else -1 for _, sign, _, _ in events)


@settings(deadline=None)
@given(sequential(equal_times=False), st.data())
def test_an_injected_overlap_always_raises_an_alarm(
    events: list[tuple[str, str, int, int]], data: st.DataObject
) -> None:
    events += [("A", "+", 0, 10_000), ("B", "-", 0, 10_010)] if not any(id == 0 for _, _, id, _ in events) else []
    starts = [(id, now) for _, sign, id, now in events if sign == "+"]
    id, since = data.draw(st.sampled_from(starts))
    thread = data.draw(st.sampled_from("ABCD"))
    twin = [(thread, "+", id, since + data.draw(st.integers(1, 4)))]
    if data.draw(st.booleans()):
        twin.append((thread, "-", id, since + data.draw(st.integers(5, 30))))
    report = play(written([*events, *twin]))
    assert report.overlaps >= 1
    assert id in {overlap.id for overlap in report.first_overlaps}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("+-"), st.just(7), st.integers(0, 4)), max_size=7))
def test_an_alarm_is_raised_if_and_only_if_no_order_explains_the_history(
    events: list[tuple[str, str, int, int]],
) -> None:
    signs = [sign for _, sign, _, _ in sorted(events, key=lambda event: event[3])]
    times = sorted(event[3] for event in events)
    # All orders of those that have one time, one after the other: does any of them go + - + - ...?
    groups = [[sign for sign, at in zip(signs, times, strict=True) if at == now] for now in sorted(set(times))]
    orders = itertools.product(*(set(itertools.permutations(group)) for group in groups))
    explained = any(
        all(sign == "+-"[n % 2] for n, sign in enumerate(itertools.chain.from_iterable(order))) for order in orders
    )
    assert play(written(events)).ok is explained
