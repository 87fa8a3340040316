"""A storm finds the duplicates of 4.0, proves them, and never accuses SP2.

1.  SP2: no duplicate, nothing lost, order kept, second acks refused; on any size of queue and any number of threads.
2.  Each defect of 4.0 shows, and what it breaks is all it breaks: nothing is lost there either.
3.  A fault of any other kind (lost, doubled, out of order, a second ack believed) is reported, not hidden.
4.  The report reads well at 80 columns. Ctrl-C ends a storm with its report.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from mtsid import Audit, MessageQueue, NotInUse, v40
from mtsid.lab.storm import StormReport, storm

DEFECTS = ["premature-strip", "double-release", "racy-claim", "unchecked-wrap"]
PATIENCE = 20.0  # seconds at most until a defect has shown; all of them take milliseconds on an idle machine


def printed(report: StormReport, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    report.render(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(("size", "threads"), [(65535, 4), (64, 8), (8, 4), (3, 2), (1, 4), (100, 1)])
def test_sp2_stands_a_storm(size: int, threads: int) -> None:
    queue: MessageQueue[int] = MessageQueue(size, first=7)
    report = storm(queue, threads=threads, seconds=0.3)
    assert report.sound, report
    assert report.version == "SP2"
    assert report.acks > 300  # it did not stand still
    assert report.puts == report.acks + report.left_over
    assert report.gets >= report.acks
    assert report.left_over <= 128 * threads  # bounded, however large the queue
    assert report.full == 0 or size < threads  # each thread keeps to its share
    assert (report.duplicates, report.first_duplicate, report.out_of_order, report.believed) == (0, None, 0, 0)
    assert report.audit is not None
    assert report.audit.waiting + report.audit.in_flight == report.left_over <= size
    assert queue.audit().free == size
    assert report.throughput == pytest.approx(report.acks / report.seconds)


def test_a_storm_uses_every_verb() -> None:
    report = storm(MessageQueue(), threads=2, seconds=0.3)
    assert min(report.puts, report.gets, report.acks, report.nacks, report.refused) > 0


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_shows_and_nothing_is_lost(defect: str) -> None:
    queue: v40.MessageQueue[int] = v40.MessageQueue(defect=defect)
    report = storm(queue, threads=4, seconds=PATIENCE, stop_at_duplicate=True)
    assert report.version == "4.0"
    assert report.duplicates
    assert not report.sound
    assert report.seconds < PATIENCE
    assert report.puts == report.acks + report.left_over
    assert report.out_of_order == 0
    assert bool(report.believed) <= (defect == "double-release")
    assert all("audit" in fault or "believed" in fault for fault in report.faults), report.faults
    assert len(queue) == 0


def test_one_message_is_kept_until_the_numbers_have_come_round() -> None:
    queue: v40.MessageQueue[int] = v40.MessageQueue(8192, defect="unchecked-wrap")
    report = storm(queue, threads=1, seconds=PATIENCE, stop_at_duplicate=True)
    assert report.first_duplicate is not None
    assert report.puts < 2 * 8192


def test_the_first_duplicate_names_two_messages_and_their_holders() -> None:
    report = storm(v40.MessageQueue(defect="racy-claim"), threads=4, seconds=PATIENCE, stop_at_duplicate=True)
    twins = report.first_duplicate
    assert twins is not None
    assert 0 <= twins.seconds <= report.seconds
    assert (twins.first.producer, twins.first.sequence) != (twins.second.producer, twins.second.sequence)
    for holder in (twins.first, twins.second):
        assert 0 <= holder.thread <= 4
        assert 1 <= holder.producer <= 4
        assert holder.sequence >= 1
        assert holder.deliveries >= 1
    story = twins.story()
    assert story.count(f"MTSID {twins.mtsid}") == 2
    assert f"{twins.second.sequence:,} of thread {twins.second.producer}" in story


def test_a_duplicate_alone_is_unsound() -> None:
    report = storm(MessageQueue(), threads=1, seconds=0.1)
    assert report.sound
    assert not replace(report, duplicates=1).sound
    assert not replace(report, faults=("lost",)).sound


def test_the_report_fits_80_columns() -> None:
    sound: MessageQueue[int] = MessageQueue()
    racy: v40.MessageQueue[int] = v40.MessageQueue(defect="racy-claim")
    for report in (storm(sound, threads=4, seconds=0.3), storm(racy, threads=4, seconds=0.3)):
        lines = printed(report).splitlines()
        assert max(map(len, lines)) <= 80
        text = " ".join(" ".join(lines).split())
        for words in (
            f"mtsid storm: {report.version}",
            "duplicate MTSIDs",
            "messages a second",
            "core",
            "GIL",
            "Try next",
        ):
            assert words in text
        assert f"put {report.puts:,}" in text
        assert ("All is well" in text) == report.sound
        if report.first_duplicate:
            assert " ".join(report.first_duplicate.story().split()) in text


def test_a_defect_that_did_not_show_says_so() -> None:
    queue: v40.MessageQueue[int] = v40.MessageQueue(defect="unchecked-wrap")
    report = storm(queue, threads=1, seconds=0.001)  # too short for 65,535 numbers
    assert report.duplicates == 0
    text = " ".join(printed(report).split())
    assert "No duplicate" in text
    assert "--threads 2 --seconds 10" in text


class Named(v40.MessageQueue[int]):
    defect = "racy-claim"


def test_a_queue_that_says_its_defect_has_it_explained() -> None:
    report = storm(Named(defect="racy-claim"), threads=4, seconds=PATIENCE, stop_at_duplicate=True)
    assert report.defect == "racy-claim"
    text = " ".join(printed(report).split())
    assert "4.0 with racy-claim" in text
    assert "claims it in two steps" in text
    assert "mtsid storm --defect racy-claim" not in text  # nothing that was just done


class Faulty:
    """A sound queue behind a fault, to see whether the storm notices."""

    def __init__(self) -> None:
        self.queue: MessageQueue[int] = MessageQueue(256)
        self.calls = 0

    def __len__(self) -> int:
        return len(self.queue)

    def put(self, item: int, block: bool = True, timeout: float | None = None) -> int:
        return self.queue.put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return self.queue.get(block, timeout)

    def ack(self, message: Any) -> None:
        self.queue.ack(message)

    def nack(self, message: Any) -> None:
        self.queue.nack(message)

    def audit(self) -> Audit:
        return self.queue.audit()

    def now_and_then(self) -> bool:
        self.calls += 1
        return self.calls % 50 == 0


class Losing(Faulty):
    def put(self, item: int, block: bool = True, timeout: float | None = None) -> int:
        return 1 if self.now_and_then() else super().put(item, block, timeout)


class Mixing(Faulty):
    """Loses a message now and then, and lets the one before come twice in its stead."""

    last = 0

    def put(self, item: int, block: bool = True, timeout: float | None = None) -> int:
        self.last = self.last if self.now_and_then() else item
        return super().put(self.last, block, timeout)


class Believing(Faulty):
    def ack(self, message: Any) -> None:
        with contextlib.suppress(NotInUse):
            super().ack(message)


class Overtaking(Faulty):
    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if self.now_and_then():
            return self.queue.get_many(2, block, timeout)[-1]
        return super().get(block, timeout)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Losing, "left over"),
        (Mixing, "not the same ones"),
        (Believing, "the second time was believed"),
        (Overtaking, "could be drained"),
    ],
)
def test_other_faults_are_reported(kind: type[Faulty], words: str) -> None:
    report = storm(kind(), threads=1, seconds=0.2)
    assert not report.sound
    assert report.duplicates == 0
    assert words in " ".join(report.faults)
    assert report.version == kind.__name__
    assert words in " ".join(printed(report).split())


class Snatching(Faulty):
    """Ends a delivery behind its receiver's back now and then."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        message = super().get(block, timeout)
        if self.now_and_then():
            super().ack(message)
        return message


def test_a_delivery_that_was_ended_behind_its_receivers_back_is_reported() -> None:
    report = storm(Snatching(), threads=1, seconds=0.2)
    assert not report.sound
    assert "could not be settled" in " ".join(report.faults)


class Swapping(Faulty):
    """Lets a message overtake the one before it now and then; loses none."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[int] = []

    def put(self, item: int, block: bool = True, timeout: float | None = None) -> int:
        if self.now_and_then():
            self.queue.put(item + 1, block, timeout)
            self.waiting.append(item)
            return 1
        if self.waiting:
            return super().put(self.waiting.pop(), block, timeout)
        return super().put(item, block, timeout)

    def __len__(self) -> int:
        return len(self.queue) + len(self.waiting)


def test_a_message_that_overtakes_is_out_of_order() -> None:
    report = storm(Swapping(), threads=1, seconds=0.2)
    assert report.out_of_order > 0
    assert "came behind a later message" in " ".join(report.faults)


class Breaking(Faulty):
    def nack(self, message: Any) -> None:
        raise OSError("broken")


def test_what_the_queue_raises_ends_the_storm() -> None:
    start = time.monotonic()
    with pytest.raises(OSError, match="broken"):
        storm(Breaking(), threads=3, seconds=60)
    assert time.monotonic() - start < 30
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("storm-")]


def test_ctrl_c_ends_a_storm_with_its_report() -> None:
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    report = storm(MessageQueue(), threads=2, seconds=60)
    timer.join()
    assert report.interrupted
    assert report.sound
    assert 0 < report.seconds < 30
    assert "ended by Ctrl-C" in printed(report)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"threads": 0}, ValueError),
        ({"threads": -1}, ValueError),
        ({"threads": True}, TypeError),
        ({"threads": 1.5}, TypeError),
        ({"threads": "4"}, TypeError),
        ({"seconds": 0}, ValueError),
        ({"seconds": -1.0}, ValueError),
        ({"seconds": float("nan")}, ValueError),
        ({"seconds": float("inf")}, ValueError),
        ({"seconds": 1e300}, ValueError),
        ({"seconds": "2"}, TypeError),
        ({"seconds": None}, TypeError),
        ({"seconds": True}, TypeError),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    queue: MessageQueue[int] = MessageQueue()
    with pytest.raises(error, match=next(iter(arguments)) if error is ValueError else None):
        storm(queue, **arguments)
    assert len(queue) == 0


def test_what_is_no_empty_queue_is_refused() -> None:
    with pytest.raises(TypeError, match="lacks put"):
        storm([])  # type: ignore[arg-type]
    queue: MessageQueue[str] = MessageQueue()
    queue.put("mail")
    with pytest.raises(ValueError, match="empty queue"):
        storm(queue, seconds=0.1)
    assert queue.get().body == "mail"
