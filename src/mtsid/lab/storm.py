"""A storm: real threads put, get, ack and nack on one queue, and watch whether two live messages ever share a number.

What counts as a duplicate is proven, not guessed. A thread that got a message records it under its MTSID, in one atomic
step (`dict.setdefault`), and takes the record away before it settles the message. So whoever finds another's record
under the number that it just got holds one message while the other thread holds one: two are in flight under one number at
that instant. Nothing else is evidence: the number that `put` returns may have left, and been reused, before `put` is back.

The records are spread over many dicts, so that threads seldom meet at one and the watching does not put the queue's
operations in an order of its own.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from operator import index
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mtsid import Audit, AuditError, Empty, Full, MessageQueue, NotInUse, v40

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Duplicate", "Holder", "StormReport", "storm"]

SHARE = 128  # messages in the queue for each thread: memory stays bounded, and twins stay long enough to meet


WHY = {
    "premature-strip": "4.0 had put the number back on its free list when a message was returned that still bore it.",
    "double-release": "4.0 had believed a repeated acknowledgement, and put the number on its free list twice.",
    "racy-claim": "4.0 looks a number up and claims it in two steps, and two threads were between them at once.",
    "unchecked-wrap": "4.0's counter had come round, and did not look whether the number was still in use.",
}


class Holder(NamedTuple):
    """One of two messages in flight under one number. Threads and messages count from 1; thread 0 is the last drain."""

    thread: int  # got it, and has not settled it
    producer: int  # the thread that put it
    sequence: int  # which of the producer's messages it is
    deliveries: int

    def message(self) -> str:
        """Name the message."""
        return f"message {self.sequence:,} of thread {self.producer}"

    def name(self) -> str:
        """Name the thread."""
        return f"thread {self.thread}" if self.thread else "the last drain"


@dataclass(frozen=True)
class Duplicate:
    """Two messages in flight at one instant under one number."""

    mtsid: int
    seconds: float  # since the start of the storm
    first: Holder
    second: Holder

    def story(self) -> list[str]:
        """Tell it in plain sentences."""
        again = f", its delivery {self.second.deliveries}" if self.second.deliveries > 1 else ""
        return [
            f"Thread {self.first.producer} put {self.first.message()}, and its number was {self.mtsid}. "
            f"{self.first.name().capitalize()} got it and had not settled it yet,",
            f"when {self.second.name()} got {self.second.message()}{again}, and its number was {self.mtsid} too.",
            f"Both were in flight at that instant: whoever settles {self.mtsid} by its number cannot know which one leaves.",
        ]


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
    duplicates: int  # gets whose number another thread held at that instant
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

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for row in self._rows():
            table.add_row(*row)
        defect = f", {self.defect}" if self.defect else ""
        how = f"{_count(self.threads, 'thread')} for {self.seconds:.1f} s"
        _heading(console, f"mtsid storm: {self.version}{defect}, {how}{', ended by Ctrl-C' * self.interrupted}")
        console.print()
        console.print(table, highlight=False)
        console.print()
        for line in self._story():
            console.print(line, highlight=False)
        _heading(console, "Try next")
        for command in self._next():
            console.print(f"  {command}", highlight=False, soft_wrap=True)

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        yield "put", f"{self.puts:,}", f"{self.full:,} more found no room" if self.full else ""
        yield "got", f"{self.gets:,}", ""
        yield "acknowledged", f"{self.acks:,}", ""
        yield "returned", f"{self.nacks:,}", ""
        yield "acknowledged twice", f"{self.refused + self.believed:,}", f"{self.refused:,} refused as stale"
        yield "left over", f"{self.left_over:,}", "drained at the end"
        cores = f"on {_count(self.cores, 'core')}, {'with' if self.gil else 'without'} the GIL"
        yield "messages a second", f"{self.throughput:,.0f}", cores
        yield "duplicate MTSIDs", f"{self.duplicates:,}", "gets whose number was in flight already"
        yield "out of order", f"{self.out_of_order:,}", ""
        if self.audit is not None:
            places = f"{self.audit.free:,} free, {self.audit.waiting:,} waiting, {self.audit.in_flight:,} in flight"
            yield "audit", f"{self.audit.capacity:,}", f"ids: {places}"

    def _story(self) -> Iterator[Text | str]:
        from rich.text import Text

        if self.first_duplicate is not None:
            first = self.first_duplicate
            yield Text(f"The first duplicate: MTSID {first.mtsid}, {first.seconds:.3f} s into the storm", style="bold")
            yield Text(" ".join([*first.story(), WHY.get(self.defect or "", "")]).rstrip())
            yield ""
        elif self.version == "4.0":
            yield Text("No duplicate in this run: the defect did not come together. Give it more time or threads.")
            yield ""
        if self.faults:
            yield Text("What else was wrong", style="bold")
            yield from (Text(f"  {fault}") for fault in self.faults)
            yield ""
        if self.sound:
            yield Text("No two live messages shared a number, none was lost, and each producer's order was kept.")
            yield ""

    def _next(self) -> Iterator[str]:
        if self.version == "4.0":
            yield f"mtsid storm --version SP2 --threads {self.threads}"
            if not self.duplicates:
                yield f"mtsid storm --defect {self.defect or 'racy-claim'} --threads {2 * self.threads} --seconds 10"
            yield from (f"mtsid storm --defect {name}" for name in WHY if name != self.defect)
        else:
            yield f"mtsid storm --defect racy-claim --threads {self.threads}"
            yield f"mtsid storm --threads {2 * self.threads} --seconds 60"
            yield "mtsid compare"


def storm(queue: Storable, *, threads: int = 4, seconds: float = 2.0, stop_at_duplicate: bool = False) -> StormReport:
    """Let `threads` threads put, get, ack and nack on an empty queue for `seconds`, and report.

    Every thread does both roles: it puts until its share of the queue is used, gets, and keeps a handful of messages for a
    while before it settles them in random order; an eighth goes back, one in 64 is acknowledged twice, and one a thread is
    kept for about a lap of the numbers. At the end the queue is audited, drained, and audited again; nothing else may use it
    meanwhile. Ctrl-C ends the storm early, with its report. `stop_at_duplicate` ends it at the first duplicate.

    Raises TypeError for what is no queue or no number, ValueError for a queue with messages in it, fewer than one thread, or
    seconds that are not positive and finite; RuntimeError if the threads cannot be had; and what the queue raises.
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
    if not (math.isfinite(seconds) and 0 < seconds <= threading.TIMEOUT_MAX):
        raise ValueError(f"seconds must be positive and finite, but is {seconds!r}")
    if len(queue):
        raise ValueError(f"a storm needs an empty queue, and this one holds {len(queue)}: drain it, or make a new one")
    return _Storm(queue, index(threads), stop_at_duplicate).run(seconds)


class _Storm:
    """What the threads share."""

    def __init__(self, queue: Storable, threads: int, stop_at_duplicate: bool) -> None:
        self.queue = queue
        self.threads = threads
        self.stop_at_duplicate = stop_at_duplicate
        self.records: tuple[dict[int, Held], ...] = tuple({} for _ in range(STRIPES))
        self.capacity: int = getattr(queue, "maxsize", 65535)
        self.share = max(1, min(SHARE, self.capacity // threads))
        self.go = threading.Event()
        self.stop = threading.Event()
        self.stopped = False  # the same; a plain attribute is cheaper to look at
        self.started = 0.0
        self.lock = threading.Lock()  # for what is rare: the first duplicate, failures
        self.first: Duplicate | None = None
        self.failure: BaseException | None = None

    def end(self) -> None:
        self.stopped = True
        self.stop.set()

    def run(self, seconds: float) -> StormReport:
        workers = [Worker(self, number) for number in range(1, self.threads + 1)]
        running: list[threading.Thread] = []
        interrupted = False
        try:
            for worker in workers:
                thread = threading.Thread(target=worker.run, name=f"storm-{worker.number}", daemon=True)
                thread.start()
                running.append(thread)
            self.started = time.monotonic()
            self.go.set()
            self.stop.wait(seconds)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self.started = self.started or time.monotonic()
            self.end()
            self.go.set()
            for thread in running:
                thread.join()
        elapsed = time.monotonic() - self.started
        if self.failure is not None:
            raise self.failure
        return self._report(workers, elapsed, interrupted)

    def found(self, number: int, mine: Held, other: Held) -> None:
        if self.first is not None:
            return
        with self.lock:
            if self.first is None:
                since = time.monotonic() - self.started
                self.first = Duplicate(number, since, self._holder(other), self._holder(mine))
        if self.stop_at_duplicate:
            self.end()

    def _holder(self, held: Held) -> Holder:
        message, thread = held
        sequence, producer = divmod(message.body, self.threads)
        return Holder(thread, producer + 1, sequence + 1, message.deliveries)

    def _report(self, workers: list[Worker], elapsed: float, interrupted: bool) -> StormReport:
        faults: list[str] = []
        left_over = len(self.queue)
        audit = self._audit(faults)
        acks = sum(worker.acks for worker in workers)
        gets = sum(worker.gets for worker in workers)
        puts = sum(worker.puts for worker in workers)
        drain = Worker(self, 0)
        drain.drain(workers, puts)
        everybody = [*workers, drain]
        settled = acks + drain.acks
        self._audit(faults)
        if puts != acks + left_over:
            faults.append(f"{puts:,} were put, but {acks:,} acknowledged and {left_over:,} left over")
        elif puts != settled or len(self.queue):
            faults.append(f"{puts:,} were put, but only {settled:,} came out again; {len(self.queue):,} are stuck")
        elif sum(worker.put_sum for worker in workers) != sum(worker.ack_sum for worker in everybody):
            faults.append("as many came out as were put, but not the same ones: some were lost and others came twice")
        for count, text in (
            (sum(worker.out_of_order for worker in everybody), "came behind a later one of the same producer"),
            (sum(worker.rejected for worker in everybody), "were in a thread's hands, and could not be settled"),
            (sum(worker.believed for worker in workers), "were acknowledged twice, and the second time was believed"),
        ):
            if count:
                faults.append(f"{count:,} messages {text}")
        version = "SP2" if isinstance(self.queue, MessageQueue) else type(self.queue).__name__
        is_gil_enabled = getattr(sys, "_is_gil_enabled", None)
        return StormReport(
            version="4.0" if isinstance(self.queue, v40.MessageQueue) else version,
            defect=getattr(self.queue, "defect", None),
            threads=self.threads,
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            gil=True if is_gil_enabled is None else bool(is_gil_enabled()),
            seconds=elapsed,
            interrupted=interrupted,
            puts=puts,
            gets=gets,
            acks=acks,
            nacks=sum(worker.nacks for worker in workers),
            full=sum(worker.full for worker in workers),
            refused=sum(worker.refused for worker in workers),
            believed=sum(worker.believed for worker in workers),
            left_over=left_over,
            duplicates=sum(worker.duplicates for worker in everybody),
            first_duplicate=self.first,
            out_of_order=sum(worker.out_of_order for worker in everybody),
            audit=audit,
            faults=tuple(faults),
        )

    def _audit(self, faults: list[str]) -> Audit | None:
        try:
            return self.queue.audit()
        except AuditError as error:
            faults.append(f"audit: {error}")
            return error.audit if isinstance(error.audit, Audit) else None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


def _heading(console: Console, text: str) -> None:
    console.print(text, style="bold", highlight=False)
