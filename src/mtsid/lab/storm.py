"""A storm: real threads put, get, ack and nack on one queue, and watch whether two live messages ever share a number.

A duplicate is proven, not guessed: two messages in flight at one instant under one number (storm_threads.py). What went
in is counted against what comes out, and the queue is audited with messages in it and again when they have left.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from mtsid import Audit, AuditError, MessageQueue, v40
from mtsid.lab.storm_threads import Held, Shared, Storable, Worker

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Duplicate", "Holder", "StormReport", "storm"]

WHY = {
    "premature-strip": "4.0 puts the number of a returned message on its free list, though the message still bears it.",
    "double-release": "4.0 believes a repeated acknowledgement, and puts the number on its free list twice.",
    "racy-claim": "4.0 looks a number up and claims it in two steps, and two threads were between them at once.",
    "unchecked-wrap": "4.0's counter came round, and did not look whether the number was still in use.",
}


class Holder(NamedTuple):
    """One of two messages in flight under one number. Threads and messages count from 1; thread 0 is the last drain."""

    thread: int  # got it, and has not settled it
    producer: int  # the thread that put it
    sequence: int  # which of the producer's messages it is
    deliveries: int


@dataclass(frozen=True)
class Duplicate:
    """Two messages in flight at one instant under one number."""

    mtsid: int
    seconds: float  # since the start of the storm
    first: Holder
    second: Holder

    def story(self) -> str:
        """Tell it in plain sentences."""
        a, b = self.first, self.second
        again = f" (delivery {b.deliveries})" if b.deliveries > 1 else ""
        return (
            f"Thread {a.producer} put its message {a.sequence:,}, which got MTSID {self.mtsid}; {_name(a)} took it and "
            f"had not settled it yet. Then {_name(b)} took message {b.sequence:,} of thread {b.producer}{again}, and "
            f"that was MTSID {self.mtsid} too. Both were in flight at that instant: whoever settles {self.mtsid} by "
            "its number cannot know which of them leaves."
        )


@dataclass(frozen=True)
class StormReport:
    """What a storm did and found. Counts are of messages, save where a line says otherwise."""

    version: str  # "SP2", "4.0", or the class of another queue
    defect: str | None  # None too if the queue does not say
    threads: int
    cores: int  # that this process may use
    gil: bool
    seconds: float  # that the threads ran
    interrupted: bool  # ended by Ctrl-C
    puts: int
    gets: int
    acks: int  # while the threads ran
    nacks: int
    full: int  # puts that found no room
    refused: int  # second acks of one delivery that were refused, as they should be
    believed: int  # second acks that were not
    left_over: int  # in the queue when the threads ended; drained then
    duplicates: int  # gets whose number was in flight already at that instant
    first_duplicate: Duplicate | None
    out_of_order: int  # first deliveries behind a later message of the same producer
    audit: Audit | None  # with the left-over messages in the queue
    faults: tuple[str, ...]  # whatever else was wrong, in words

    @property
    def throughput(self) -> float:
        """Messages a second that went the whole way from put to ack, the storm's own book-keeping included."""
        return self.acks / self.seconds

    @property
    def sound(self) -> bool:
        """Is there neither a duplicate nor any other fault?"""
        return not self.duplicates and not self.faults

    def render(self, console: Console) -> None:
        """Print one table, the first duplicate's story, and what to try next (rich). Plain text outside a terminal."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for name, figure, note in self._rows():
            table.add_row(Text(name), Text(figure), Text(note))
        defect = f" with {self.defect}" if self.defect else ""
        how = f"{_count(self.threads, 'thread')} for {self.seconds:.1f} s"
        end = ", ended by Ctrl-C" if self.interrupted else ""
        console.print(Text(f"mtsid storm: {self.version}{defect}, {how}{end}", style="bold"))
        console.print()
        console.print(table)
        console.print()
        for heading, paragraph in self._findings():
            console.print(Text(heading, style="bold"))
            console.print(Text(paragraph))
            console.print()
        console.print(Text("Try next", style="bold"))
        for command in self._next():
            console.print(Text(f"  {command}"), soft_wrap=True)

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        yield "put", f"{self.puts:,}", f"{self.full:,} more found no room" if self.full else ""
        yield "got", f"{self.gets:,}", ""
        yield "acknowledged", f"{self.acks:,}", ""
        yield "returned (nack)", f"{self.nacks:,}", ""
        yield "left over", f"{self.left_over:,}", "when the storm ended"
        yield "second acks", f"{self.refused + self.believed:,}", f"{self.refused:,} refused as stale"
        cores = f"on {_count(self.cores, 'core')}, {'with' if self.gil else 'without'} the GIL"
        yield "messages a second", f"{self.throughput:,.0f}", cores
        yield "duplicate MTSIDs", f"{self.duplicates:,}", "gets of a number in flight already"
        yield "out of order", f"{self.out_of_order:,}", ""
        if self.audit is not None:
            places = f"{self.audit.free:,} free, {self.audit.waiting:,} waiting, {self.audit.in_flight:,} in flight"
            yield "MTSIDs", f"{self.audit.capacity:,}", f"left {places}"

    def _findings(self) -> Iterator[tuple[str, str]]:
        first = self.first_duplicate
        if first is not None:
            when = f"{first.seconds:.1f} s" if first.seconds >= 1 else f"{first.seconds * 1000:.1f} ms"
            story = f"{first.story()} {WHY.get(self.defect or '', '')}".rstrip()
            yield f"The first duplicate: MTSID {first.mtsid}, {when} into the storm", story
        elif self.version == "4.0":
            yield "No duplicate", "The defect did not come together in this run: give it more time or more threads."
        if self.sound and self.version != "4.0":
            yield "All is well", "No two live messages shared a number, none was lost, and the order was kept."
        elif self.faults:
            yield "What else was wrong", "\n".join(self.faults)

    def _next(self) -> Iterator[str]:
        if self.version != "4.0":
            yield f"mtsid storm --defect racy-claim --threads {self.threads}"
            yield f"mtsid storm --threads {2 * self.threads} --seconds 60"
            yield "mtsid compare"
            return
        yield f"mtsid storm --version SP2 --threads {self.threads}"
        if not self.duplicates:
            yield f"mtsid storm --defect {self.defect or 'racy-claim'} --threads {2 * self.threads} --seconds 10"
        yield from (f"mtsid storm --defect {name}" for name in WHY if name != self.defect)


def storm(queue: Storable, *, threads: int = 4, seconds: float = 2.0, stop_at_duplicate: bool = False) -> StormReport:
    """Let `threads` threads put, get, ack and nack on an empty queue for `seconds`, and report.

    Every thread plays both parts. It puts until its share of the queue is used, gets, and keeps some messages for a
    while before it settles them in random order: an eighth goes back, one in 64 is acknowledged twice, and one a thread
    is kept until the numbers have come round. At the end the queue is audited, drained, and audited again. Nothing else
    may use it meanwhile. Ctrl-C ends the storm early, with its report; `stop_at_duplicate` ends it at the first one.

    Raises TypeError for what is no queue or no number; ValueError for a queue with messages in it, fewer than one
    thread, or seconds that are not positive and finite; RuntimeError if the threads cannot be had; and whatever the
    queue raises.
    """
    missing = [verb for verb in ("put", "get", "ack", "nack", "audit", "__len__") if not hasattr(queue, verb)]
    if missing:
        raise TypeError(f"a queue with put, get, ack, nack, audit and len is needed; this one lacks {missing[0]}")
    if isinstance(threads, bool):
        raise TypeError("threads must be an integer, not a bool")
    if index(threads) < 1:
        raise ValueError(f"threads must be at least 1, but is {threads}")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"seconds must be a number, not {type(seconds).__name__!r}")
    if not 0 < seconds <= threading.TIMEOUT_MAX:  # NaN is neither
        raise ValueError(f"seconds must be positive and finite, but is {seconds!r}")
    if len(queue):
        raise ValueError(f"a storm needs an empty queue, and this one holds {len(queue)}: drain it, or make a new one")
    return _Storm(queue, index(threads), stop_at_duplicate).run(seconds)


class _Storm:
    """One storm, from outside its threads."""

    def __init__(self, queue: Storable, threads: int, stop_at_duplicate: bool) -> None:
        self.shared = Shared(queue, threads, self._found)
        self.workers = [Worker(self.shared, number) for number in range(1, threads + 1)]
        self.stop_at_duplicate = stop_at_duplicate
        self.lock = threading.Lock()
        self.first: Duplicate | None = None

    def run(self, seconds: float) -> StormReport:
        shared = self.shared
        running: list[threading.Thread] = []
        interrupted = False
        try:
            for worker in self.workers:
                thread = threading.Thread(target=worker.run, name=f"storm-{worker.number}", daemon=True)
                thread.start()
                running.append(thread)
            shared.start()
            shared.stop.wait(seconds)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            shared.end()
            if not shared.go.is_set():
                shared.start()
            for thread in running:
                thread.join()
        elapsed = time.monotonic() - shared.started
        if shared.failure is not None:
            raise shared.failure
        return self._report(elapsed, interrupted)

    def _found(self, number: int, first: Held, second: Held) -> None:
        if self.first is None:
            since = time.monotonic() - self.shared.started
            with self.lock:
                self.first = self.first or Duplicate(number, since, self._holder(first), self._holder(second))
            if self.stop_at_duplicate:
                self.shared.end()

    def _holder(self, held: Held) -> Holder:
        message, thread = held
        sequence, producer = divmod(message.body, self.shared.threads)
        return Holder(thread, producer + 1, sequence + 1, message.deliveries)

    def _report(self, elapsed: float, interrupted: bool) -> StormReport:
        queue = self.shared.queue
        faults: list[str] = []
        left_over = len(queue)
        audit = self._audit(faults)
        drain = Worker(self.shared, 0)
        acks = sum(worker.acks for worker in self.workers)
        drain.drain(self.workers, sum(worker.puts for worker in self.workers))
        self._audit(faults)
        everybody = [*self.workers, drain]
        puts = sum(worker.puts for worker in everybody)
        out_of_order = sum(worker.out_of_order for worker in everybody)
        believed = sum(worker.believed for worker in everybody)
        rejected = sum(worker.rejected for worker in everybody)
        if puts != acks + left_over:
            faults.append(f"{puts:,} were put, but {acks:,} acknowledged and {left_over:,} left over.")
        elif drain.acks != left_over or len(queue):
            faults.append(
                f"{left_over:,} were left over, but {drain.acks:,} could be drained, and {len(queue):,} stay."
            )
        elif sum(worker.put_sum for worker in everybody) != sum(worker.ack_sum for worker in everybody):
            faults.append("As many came out as were put, but not the same ones: some are lost and others came twice.")
        if out_of_order:
            faults.append(f"{out_of_order:,} came behind a later message of the same thread.")
        if rejected:
            faults.append(f"{rejected:,} were in a thread's hands and could not be settled.")
        if believed:
            faults.append(f"{believed:,} were acknowledged twice, and the second time was believed.")
        is_gil_enabled = getattr(sys, "_is_gil_enabled", None)
        return StormReport(
            version=_version(queue),
            defect=getattr(queue, "defect", None),
            threads=self.shared.threads,
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            gil=True if is_gil_enabled is None else bool(is_gil_enabled()),
            seconds=elapsed,
            interrupted=interrupted,
            puts=puts,
            gets=sum(worker.gets for worker in self.workers),
            acks=acks,
            nacks=sum(worker.nacks for worker in self.workers),
            full=sum(worker.full for worker in self.workers),
            refused=sum(worker.refused for worker in self.workers),
            believed=believed,
            left_over=left_over,
            duplicates=sum(worker.duplicates for worker in everybody),
            first_duplicate=self.first,
            out_of_order=out_of_order,
            audit=audit,
            faults=tuple(dict.fromkeys(faults)),
        )

    def _audit(self, faults: list[str]) -> Audit | None:
        try:
            return self.shared.queue.audit()
        except AuditError as error:
            faults.append(f"The audit: {error}.")
            return error.audit if isinstance(error.audit, Audit) else None


def _version(queue: Storable) -> str:
    if isinstance(queue, v40.MessageQueue):
        return "4.0"
    return "SP2" if isinstance(queue, MessageQueue) else type(queue).__name__


def _name(holder: Holder) -> str:
    return f"thread {holder.thread}" if holder.thread else "the last drain"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)
