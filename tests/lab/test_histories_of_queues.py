"""A recorder of a queue proves what was lost, doubled, made up or overtaken, and never accuses the innocent.

Hand-made histories on a clock of their own, and each verb on a real queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from mtsid import Empty, Full, MessageQueue, NotInUse, ShutDown, Stale
from mtsid.lab import HistoryReport, Recorder


class Script:
    """A queue that does as it is told, and threads that call it when they are told to, on a clock set by hand."""

    def __init__(self) -> None:
        self.now = 0
        self.recorder = Recorder(clock=lambda: self.now)
        self.queue = self.recorder.queue(self)
        self.threads: dict[str, ThreadPoolExecutor] = {}
        self.answer: Any = None
        self.until = 0

    def close(self) -> None:
        for thread in self.threads.values():
            thread.shutdown()

    def _obey(self, *_: Any, **__: Any) -> Any:
        self.now = self.until
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    put = get = ack = nack = put_many = get_many = ack_many = delete = shutdown = _obey

    def call(self, thread: str, act: Callable[[], Any], answer: Any, at: tuple[int, int]) -> Any:
        self.now, self.until = at
        self.answer = answer
        if thread not in self.threads:
            self.threads[thread] = ThreadPoolExecutor(1, thread_name_prefix=thread)
        return self.threads[thread].submit(act).result(20)

    def puts(self, thread: str, body: Any, mtsid: int, *at: int, priority: str = "normal") -> None:
        self.call(thread, lambda: self.queue.put(body, priority=priority), mtsid, (at[0], at[-1]))

    def gets(self, thread: str, body: Any, mtsid: int, *at: int, deliveries: int = 1) -> Any:
        message = SimpleNamespace(body=body, mtsid=mtsid, deliveries=deliveries)
        return self.call(thread, self.queue.get, message, (at[0], at[-1]))

    def acks(self, thread: str, body: Any, at: int) -> None:
        self.call(thread, lambda: self.queue.ack(SimpleNamespace(body=body)), None, (at, at))  # type: ignore[arg-type]

    def nacks(self, thread: str, body: Any, *at: int, deliveries: int = 1) -> None:
        message: Any = SimpleNamespace(body=body, deliveries=deliveries)
        self.call(thread, lambda: self.queue.nack(message), None, (at[0], at[-1]))

    def check(self, *remaining: Any, **options: Any) -> HistoryReport:
        return self.recorder.check(remaining=remaining, **options)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.close()


def test_a_message_that_goes_its_way_is_well(script: Script) -> None:
    script.puts("A", "x", 1, 1, 2)
    script.gets("B", "x", 1, 3, 4)
    script.nacks("B", "x", 5, 6)
    script.gets("C", "x", 1, 7, 8, deliveries=2)
    script.acks("C", "x", 9)
    script.puts("A", "y", 1, 10)
    report = script.check("y")
    assert report.ok, str(report)
    assert (report.put, report.delivered, report.returned, report.left, report.still_there) == (2, 2, 1, 1, 1)
    assert (report.events, report.threads) == (6, 3)
    assert not script.check("y", expect_empty=True).ok
    assert "1 message still in the queue" in str(script.check("y", expect_empty=True))


@pytest.mark.parametrize(
    ("times", "overlaps"),
    [
        ((1, 2, 5, 5, 6), 0),  # reused at once: at one time, the ack may have been first
        ((1, 2, 5, 4, 6), 1),
        ((1, 5, 5, 4, 5), 0),
        ((1, 2, 5, 2, 2), 0),
        ((1, 2, 5, 3, 3), 1),  # no time at all, but within the other's
        ((7, 9, 8, 7, 8), 0),  # left before its put was back: no hold is certain
    ],
)
def test_mtsids_of_messages_that_wait_overlap(script: Script, times: tuple[int, ...], overlaps: int) -> None:
    called, returned, left, second, second_left = times
    script.puts("A", "x", 1, called, returned)
    script.puts("B", "y", 1, second, second)
    script.acks("C", "x", left)
    script.acks("C", "y", second_left)
    report = script.check()
    assert report.overlaps == overlaps
    assert report.ok is not overlaps
    if overlaps:
        assert "MTSID 1 was that of message 'x' of A_0" in str(report)


def test_one_overlap_does_not_make_another_of_equal_times(script: Script) -> None:
    for body, put, left in (("x", 1, 5), ("y", 3, 6), ("z", 6, 8), ("no time", 8, 8), ("last", 8, 9)):
        script.puts("A", body, 1, put)
        script.acks("B", body, left)
    assert script.check().overlaps == 1


def test_an_mtsid_is_held_from_the_first_delivery_even_before_put_is_back(script: Script) -> None:
    script.puts("A", "x", 1, 1, 9)
    script.gets("B", "x", 1, 2, 3)
    script.puts("C", "y", 1, 4)
    script.acks("B", "x", 5)
    assert script.check("y").overlaps == 1


def test_a_returned_message_keeps_its_mtsid(script: Script) -> None:
    script.puts("A", "x", 1, 1)
    script.gets("B", "x", 1, 2)
    script.nacks("B", "x", 3)
    script.puts("A", "y", 1, 4)
    report = script.check("x", "y")
    assert report.overlaps == 1
    assert report.first_overlaps[0].second.until is None


def test_lost_doubled_and_made_up_messages_are_told_apart(script: Script) -> None:
    for n, body in enumerate(["lost", "twice", "there", "again", "well"]):
        script.puts("A", body, n, n)
    script.gets("B", "twice", 1, 10)
    script.acks("B", "twice", 11)
    script.acks("B", "twice", 12)
    script.gets("B", "again", 3, 13)
    script.gets("B", "again", 3, 14)  # nobody returned it
    script.gets("B", "made up", 7, 15)
    report = script.check("there", "again", "well", "found")
    assert (report.lost, report.duplicated, report.unexpected) == (1, 2, 2)
    text = str(report)
    assert "1 message lost: put, but it neither left nor is there: 'lost'" in text
    assert "2 messages too many: left, or delivered, oftener than put: 'twice', 'again'" in text
    assert "2 messages made up: never put: 'made up', 'found'" in text


def test_a_message_that_left_and_is_there_is_one_too_many(script: Script) -> None:
    script.puts("A", "x", 1, 1)
    script.acks("A", "x", 2)
    assert script.check("x").duplicated == 1


def test_a_delivery_under_another_number_is_told(script: Script) -> None:
    script.puts("A", "x", 1, 1)
    script.gets("B", "x", 2, 2)
    report = script.check("x")
    assert report.renumbered == 1
    assert "delivered under another MTSID than put returned: 'x'" in str(report)


def line_up(script: Script, *bodies: str, priority: str = "normal") -> None:
    for n, body in enumerate(bodies):
        script.puts("A", body, n, n, priority=priority)


@pytest.mark.parametrize(
    ("x", "y", "overtaken"),
    [
        ((20, 21), (22, 23), 0),
        ((22, 23), (20, 21), 1),  # y wholly before x
        ((21, 23), (20, 21), 0),  # x was called when y had just returned: who knows
        ((20, 25), (21, 22), 0),  # both at a time
        (None, (20, 21), 1),  # x waits still
        ((20, 21), None, 0),
    ],
)
def test_a_later_message_is_not_delivered_before_an_earlier_one(
    script: Script, x: tuple[int, int] | None, y: tuple[int, int] | None, overtaken: int
) -> None:
    line_up(script, "x", "y")
    for thread, body, mtsid, at in (("C", "y", 1, y), ("B", "x", 0, x)):
        if at:
            script.gets(thread, body, mtsid, *at)
    report = script.check("x", "y")
    assert report.overtaken == overtaken
    assert report.ok is not overtaken
    if overtaken:
        assert "'x' of A_0 waited, and 'y' was delivered to C_0." in str(report)


def test_one_consumer_sees_a_producers_messages_in_order_at_equal_times_too(script: Script) -> None:
    line_up(script, "x", "y", "z")
    messages: Any = [SimpleNamespace(body=body, mtsid=n, deliveries=1) for body, n in (("y", 1), ("x", 0), ("z", 2))]
    script.call("B", lambda: script.queue.get_many(3), messages, (5, 5))
    report = script.check("x", "y", "z")
    assert report.overtaken == 1
    assert "'x' of A_0 waited, and 'y' was delivered to B_0." in str(report)


def test_producers_and_priorities_are_not_compared(script: Script) -> None:
    script.puts("A", "first", 1, 1)
    script.puts("B", "others", 2, 2)
    script.puts("A", "urgent", 3, 3, priority="urgent")
    for n, body in enumerate(["urgent", "others", "first"]):
        script.gets("C", body, [3, 2, 1][n], 10 + n)
    assert script.check("first", "others", "urgent").ok


@pytest.mark.parametrize(
    ("returned", "other", "again", "overtaken"),
    [
        ((6, 7), (8, 9), (10, 11), 1),  # x was back before the get of y was called
        ((6, 7), (7, 9), (10, 11), 0),  # or was it
        ((6, 7), (8, 9), (9, 11), 0),
        ((6, 7), (8, 9), None, 1),
        ((6, 7), (2, 9), (10, 11), 0),  # y's get waited since before
        ((6, 7), (2, 3), (10, 11), 0),
    ],
)
def test_a_returned_message_goes_back_to_its_place(
    script: Script, returned: tuple[int, int], other: tuple[int, int], again: tuple[int, int] | None, overtaken: int
) -> None:
    line_up(script, "x", "y")
    script.gets("B", "x", 0, 1)
    script.nacks("B", "x", *returned)
    script.gets("C", "y", 1, *other)
    if again:
        script.gets("B", "x", 0, *again, deliveries=2)
    assert script.check("x", "y").overtaken == overtaken


def test_a_guilty_delivery_is_found_behind_one_that_may_be_innocent(script: Script) -> None:
    line_up(script, "x", "y", "z")
    script.gets("B", "x", 0, 3)
    script.nacks("B", "x", 4, 5)
    script.gets("C", "z", 2, 3, 8)  # called before x was back
    script.gets("D", "y", 1, 6, 7)  # called after
    report = script.check("x", "y", "z")
    assert report.overtaken == 1  # y and z were got at a time
    assert "'x' of A_0 waited, and 'y' was delivered to D_0." in str(report)


def test_what_was_deleted_or_lost_does_not_count_as_waiting(script: Script) -> None:
    line_up(script, "deleted", "lost", "late", "y")
    script.call("O", lambda: script.queue.delete(0), "deleted", (10, 10))
    script.gets("C", "y", 3, 11)
    script.call("O", lambda: script.queue.delete(2), "late", (12, 12))
    report = script.check("y")
    assert (report.lost, report.overtaken) == (1, 1)
    assert "'late' of A_0 waited" in str(report)


def test_the_latest_of_many_is_found(script: Script) -> None:
    line_up(script, "a", "b", "waits", "c", "d")
    for n, (body, mtsid) in enumerate([("a", 0), ("b", 1), ("c", 3)]):
        script.gets("BCD"[n], body, mtsid, 10 + n)
    assert script.check("a", "b", "waits", "c", "d").overtaken == 1


def test_what_was_overtaken_and_lost_afterwards_is_both(script: Script) -> None:
    line_up(script, "x", "y")
    script.gets("B", "y", 1, 10)
    script.gets("C", "x", 0, 12)
    report = script.check("y")
    assert (report.lost, report.overtaken) == (1, 1)


def test_another_threads_clock_readings_do_not_touch_a_producers_order(script: Script) -> None:
    line_up(script, "w")
    script.puts("A", "others", 9, 1, 50)
    for n, body in enumerate("xy"):
        script.puts("B", body, n, 10 + n)
    script.gets("C", "y", 1, 60)
    assert script.check("others", "w", "x", "y").overtaken == 1


def test_a_put_inside_a_put_of_the_same_thread_has_no_known_place(script: Script) -> None:
    """A signal handler or `__del__` may put in the middle of a put: which of the two entered first is unknown."""

    def outer(*_: Any) -> int:
        script.queue.queue = SimpleNamespace(put=lambda *_: 2)
        script.queue.put("inner")
        script.now = 5
        return 1

    script.queue.queue = SimpleNamespace(put=outer)
    script.call("A", lambda: script.queue.put("outer"), None, (1, 1))
    script.queue.queue = script
    script.puts("A", "last", 3, 6)
    for n, (body, mtsid) in enumerate([("last", 3), ("outer", 1), ("inner", 2)]):
        script.gets("B", body, mtsid, 10 + n)
    report = script.check("outer", "inner", "last")
    assert report.overtaken == 1
    assert "'inner' of A_0 waited, and 'last' was delivered to B_0." in str(report)


def test_messages_of_one_batch_are_in_its_order(script: Script) -> None:
    script.puts("A", "w", 5, 0)
    script.call("A", lambda: script.queue.put_many("xyz"), [1, 2, 3], (1, 4))
    for n, (body, mtsid) in enumerate([("w", 5), ("x", 1), ("z", 3), ("y", 2)]):
        script.gets("B", body, mtsid, 10 + n)
    assert script.check(*"wxyz").overtaken == 1


def test_equal_bodies_are_counted_and_a_key_tells_them_apart(script: Script) -> None:
    for n in range(3):
        script.puts("A", ["mail"], n, n)
    script.gets("B", ["mail"], 0, 5)
    script.acks("B", ["mail"], 6)
    with pytest.raises(TypeError, match="unhashable"):
        script.check(["mail"])
    report = script.check(["mail"], key=lambda body: body[0])
    assert (report.lost, report.overtaken, report.renumbered, report.overlaps, report.not_unique) == (1, 0, 0, 0, 3)
    assert "3 messages of equal bodies" in str(report)
    assert script.check(["mail"], ["mail"], key=tuple).ok


def test_what_an_interrupt_cut_short_is_not_judged(script: Script) -> None:
    stop = KeyboardInterrupt()
    line_up(script, "w", "x", "y", "z")
    with pytest.raises(KeyboardInterrupt):
        script.call("A", lambda: script.queue.put("perhaps"), stop, (5, 6))
    message = script.gets("B", "x", 1, 7)
    with pytest.raises(KeyboardInterrupt):
        script.call("B", lambda: script.queue.ack(message), stop, (8, 9))
    script.puts("A", "again", 1, 10)  # so x did leave
    with pytest.raises(KeyboardInterrupt):
        script.call("C", script.queue.get, stop, (11, 12))  # it may have w
    last = script.gets("B", "y", 2, 13)
    with pytest.raises(KeyboardInterrupt):
        script.call("B", lambda: script.queue.nack(last), stop, (14, 15))
    script.gets("B", "y", 2, 16, deliveries=2)  # so it did go back
    assert script.check("perhaps", "again", "w", "y", "z").ok
    assert script.check("again", "w", "y", "z").ok
    assert script.check("again", "y", "z").lost == 1


def test_what_a_shutdown_discards_has_left(script: Script) -> None:
    line_up(script, "x", "y", "z")
    message = script.gets("B", "x", 0, 5)
    assert script.call("O", lambda: script.queue.shutdown(immediate=True), ["y", "z"], (6, 6)) == ["y", "z"]
    with pytest.raises(ShutDown):
        script.call("B", lambda: script.queue.nack(message), ShutDown("", discarded=["x"]), (7, 7))
    report = script.check(expect_empty=True)
    assert report.ok, str(report)
    assert (report.left, report.returned) == (3, 0)


def test_what_is_still_there_must_be_known(script: Script) -> None:
    with pytest.raises(ValueError, match="remaining="):
        script.recorder.check()


# Queues: the front, on real ones ----------------------------------------------------------------------------------


def test_every_verb_is_recorded() -> None:
    recorder = Recorder()
    queue = recorder.queue(MessageQueue(10))
    assert queue.maxsize == 10
    assert queue.put("a") == 1
    assert queue.put_nowait("b", priority="urgent") == 2
    assert queue.put_many("cdef", priority="non-urgent").tolist() == [3, 4, 5, 6]
    assert queue.get_nowait().body == "b"
    message = queue.get()
    queue.nack(message)
    with pytest.raises(Stale):
        queue.nack(message)
    with pytest.raises(Stale):
        queue.ack(message)
    first, *others = queue.get_many(4)
    queue.ack(first)
    with pytest.raises(NotInUse):
        queue.ack_many([*others, first])
    queue.ack_many(queue.get_many(1))
    assert queue.delete(2) == "b"
    with pytest.raises(NotInUse):
        queue.delete(2)
    with pytest.raises(Empty):
        queue.get_nowait()
    assert queue.audit().free == 10
    assert len(queue) == 0
    report = recorder.check(expect_empty=True)
    assert report.ok, str(report)
    assert (report.put, report.delivered, report.returned, report.left, report.refused) == (6, 7, 1, 6, 5)


def test_what_was_refused_is_no_message() -> None:
    recorder = Recorder()
    queue = recorder.queue(MessageQueue(2))
    with pytest.raises(Full):
        queue.put_many("abc", block=False)
    assert queue.put_many("").tolist() == []
    queue.put("a")
    message = queue.get()
    with pytest.raises(ValueError, match="twice"):
        queue.ack_many([message, message])
    queue.ack(message)
    report = recorder.check(expect_empty=True)
    assert report.ok, str(report)
    assert (report.put, report.left) == (1, 1)


def test_an_empty_queue_without_a_snapshot_is_known_to_be_empty() -> None:
    class Plain:
        """The verbs and a length, and nothing to look a message up with."""

        def __init__(self) -> None:
            self.inside: MessageQueue[str] = MessageQueue()
            self.put, self.get = self.inside.put, self.inside.get
            self.ack, self.nack = self.inside.ack, self.inside.nack

        def __len__(self) -> int:
            return len(self.inside)

    recorder = Recorder()
    queue = recorder.queue(Plain())
    queue.put("a")
    with pytest.raises(ValueError, match="remaining="):
        recorder.check()
    queue.ack(queue.get())
    assert recorder.check(expect_empty=True).ok


def test_what_is_in_the_queue_is_looked_up() -> None:
    recorder = Recorder()
    queue = recorder.queue(MessageQueue())
    queue.put_many(range(5))
    queue.get()
    assert recorder.check().still_there == 5
    queue.queue.delete(2)  # behind the recorder's back
    assert recorder.check().lost == 1
    queue.queue.put("foreign")
    assert recorder.check().unexpected == 1


def test_a_bare_number_is_refused() -> None:
    queue = Recorder().queue(MessageQueue())
    number = queue.put("mail")
    queue.get()
    verbs: list[Callable[[Any], None]] = [queue.ack, queue.nack, lambda n: queue.ack_many([n])]
    for verb in verbs:
        with pytest.raises(TypeError, match="does not say which message"):
            verb(number)
    assert len(queue) == 1
