"""Soak: very many operations on the stock library, and not one duplicate, loss or growth in memory.

    python tools/soak.py [SCALE]

Scale 1 is 10^9 native operations (threads without the GIL, compiled against the installed .pxd files) and 10^8 calls
from Python: allocator and queue, four threads, bulk calls, reservations, priorities, returns and deletes. An operation
is one call, however many ids it moves. Each phase runs in slices; after each one all threads stand still, everything
has been given back, and then

- the totals add up: what was acquired was released, each body that was put left just once;
- the library's own audit finds nothing (`_check`, `audit`), and nothing is live;
- memory is sampled. The median of a phase's last quarter of samples must not exceed that of its second quarter (the
  first is warm-up) by more than 1 MiB of resident memory, nor by more than 500 allocated blocks.

Within a slice each id has an owner word: natively an atomic exchange, from Python an element that is looked at and
written. A foreign owner is a duplicate. Prints a report; status 1 if anything was wrong, 2 for a bad scale.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import mtsid
from mtsid import Allocator, Empty, MessageQueue, MtsidError, Stale

NATIVE, PYTHON = 10**9, 10**8  # operations at scale 1
SLICES = 24  # of each phase, at least
LARGEST_SLICE = 2_000_000  # Python calls: what a slice keeps for its books stays small
RSS_SLACK, BLOCK_SLACK = 1 << 20, 500

BUILD = """
import mtsid
from Cython.Build import cythonize
from setuptools import Extension, setup
setup(
    name="soak_native",
    ext_modules=cythonize([Extension("soak_native", ["soak_native.pyx"], include_dirs=[mtsid.get_include()],
                                     extra_compile_args=["-O2"])], quiet=True, language_level=3,
                          compiler_directives={"freethreading_compatible": True}),
    script_args=["-q", "build_ext", "--inplace"],
)
"""


@dataclass
class Books:
    """What a slice's threads did, and what was wrong."""

    operations: int = 0
    moved: int = 0  # ids acquired, or messages put
    wrong: dict[str, int] = field(default_factory=dict)

    def fault(self, what: str, count: int = 1) -> None:
        """Note what must not be."""
        if count:
            self.wrong[what] = self.wrong.get(what, 0) + count

    def add(self, other: Books) -> None:
        """Add another's."""
        self.operations += other.operations
        self.moved += other.moved
        for what, count in other.wrong.items():
            self.fault(what, count)


@dataclass(frozen=True)
class Phase:
    """One kind of work. `slice_of` does so many operations with that many threads, and checks what they left."""

    name: str
    threads: int
    operations: int
    slice_of: Callable[[int, int], Books]
    is_python: bool = True


def side_by_side(threads: int, work: Callable[[int], Books]) -> Books:
    """Run `work(1)`, `work(2)` ... in threads, all off at once, and add up their books. What one raises is raised."""
    books = Books()
    results: list[Books | BaseException] = []
    start = threading.Barrier(threads)

    def run(me: int) -> None:
        try:
            start.wait()
            results.append(work(me))
        except BaseException as error:
            results.append(error)

    workers = [threading.Thread(target=run, args=(me,), daemon=True) for me in range(1, threads + 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
        books.add(result)
    return books


# Native -----------------------------------------------------------------------------------------------------------


def build_native(folder: str) -> Any:
    """Compile and import the native part."""
    source = Path(__file__).with_name("soak_native.pyx")
    Path(folder, source.name).write_text(source.read_text("utf-8"), "utf-8")
    built = subprocess.run([sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True, check=False)
    if built.returncode:
        raise SystemExit(f"the native part cannot be built (it needs Cython, setuptools, a compiler):\n{built.stderr}")
    sys.path.insert(0, folder)
    return importlib.import_module("soak_native")


def native_phase(
    native: Any, name: str, operations: int, threads: int, at_once: int, *range: int, **rest: Any
) -> Phase:
    """Threads without the GIL on one allocator; each holds `at_once` ids."""
    import numpy as np

    reserving = rest.pop("reserving", False)
    ids = Allocator(*range, **rest)
    owner = np.zeros(range[1] + 1, np.uint32)

    def slice_of(calls: int, count: int) -> Books:
        # With reservations a round is about 2 + 1/7 operations.
        rounds = max(1, calls * 7 // (15 if reserving else 14) // count)

        def work(me: int) -> Books:
            done, duplicates, refused, exhausted = native.churn(ids, owner, me, rounds, at_once, reserving)
            books = Books(done, rounds)
            books.fault("duplicates: an id had two owners", duplicates)
            books.fault("releases of a live id that were refused", refused)
            books.fault("Exhausted though an id was free", exhausted)
            return books

        books = side_by_side(count, work)
        books.fault("owner words left behind", int(np.count_nonzero(owner)))
        check_allocator(ids, books)
        return books

    return Phase(name, threads, operations, slice_of, is_python=False)


def check_allocator(ids: Any, books: Books) -> None:
    """Everything was released: is nothing live, and is the allocator's own record in order?"""
    books.fault("ids live though all were released", len(ids))
    books.fault("ids lost: fewer available than there are", ids.capacity - ids.available)
    if hasattr(ids, "_check"):
        ids._check()


# Python: the allocator --------------------------------------------------------------------------------------------


def churn_ids(ids: Any, owner: list[int], me: int, calls: int) -> Books:
    """One thread: acquire, hold, release; singly, in bulk, and by number."""
    books, chance = Books(), random.Random(me)
    acquire, release = ids.acquire, ids.release
    held: deque[int] = deque()
    duplicates = moved = operations = 0
    while operations < calls:
        for _ in range(40):
            id = acquire()
            duplicates += owner[id] != 0
            owner[id] = me
            held.append(id)
            if len(held) > 20:
                id = held.popleft()
                duplicates += owner[id] != me
                owner[id] = 0
                release(id)
                operations += 1
        operations += 40
        moved += 40
        got = ids.acquire_many(chance.randrange(1, 12)).tolist()
        number = chance.randrange(1, len(owner))
        try:
            ids.reserve(number)
            got.append(number)
        except mtsid.InUse:
            pass
        for id in got:
            duplicates += owner[id] != 0
            owner[id] = me
        moved += len(got)
        held.extend(got)
        gone = [held.popleft() for _ in range(len(held) - 15)]
        for id in gone:
            duplicates += owner[id] != me
            owner[id] = 0
        ids.release_many(gone)
        operations += 3
    for id in held:
        duplicates += owner[id] != me
        owner[id] = 0
    ids.release_many(held)
    books.operations, books.moved = operations + 1, moved
    books.fault("duplicates: an id had two owners", duplicates)
    return books


def allocator_phase(name: str, operations: int, threads: int, ids: Any, last: int) -> Phase:
    """Python threads on one allocator."""
    owner = [0] * (last + 1)

    def slice_of(calls: int, count: int) -> Books:
        books = side_by_side(count, lambda me: churn_ids(ids, owner, me, calls // count))
        books.fault("owner words left behind", sum(map(bool, owner)))
        check_allocator(ids, books)
        return books

    return Phase(name, threads, operations, slice_of)


# Python: the queue ------------------------------------------------------------------------------------------------

BURST = 12  # puts, then about as many gets, before a thread settles what it holds
HANDS = 24  # messages that a thread keeps
PRIORITIES = ("normal", "urgent", "normal", "non-urgent")
PUT, LEFT = 1, 2  # what became of a body, in a byte of the slice's books


class QueueSlice:
    """The books of one slice. A body is an integer, sequence * threads + producer; what became of it is a byte."""

    def __init__(self, queue: Any, threads: int, calls: int, fate: bytearray) -> None:
        self.queue = queue
        self.threads = threads
        self.calls = calls // threads
        self.fate = fate
        self.holder: list[Any] = [None] * (queue.maxsize + 1)  # by MTSID: the message in flight
        self.high_water = queue.maxsize - threads * BURST  # with no more than this, all may put a burst: never Full

    def work(self, me: int) -> Books:
        """One thread: put, get, settle, by every verb."""
        books = Books()
        hands: list[Any] = []
        try:
            self._work(me, books, hands)
            for message in hands:
                self.holder[message.mtsid] = None
                self.queue.nack(message)
        except MtsidError as error:
            books.fault(f"{type(error).__name__} for no reason: {error}")
        books.operations += len(hands)
        return books

    def _work(self, me: int, books: Books, hands: list[Any]) -> None:
        queue, holder, threads = self.queue, self.holder, self.threads
        chance, priorities = random.Random(me), cycle(PRIORITIES)
        newest: dict[tuple[int, str], int] = {}
        body, limit = me - 1, len(self.fate) - threads * BURST
        while books.operations < self.calls and body < limit:
            operations = 0
            if len(queue) <= self.high_water:
                body = self._put(body, priorities)
                books.moved += BURST
                operations += BURST - 3
            got: list[Any] = []
            with contextlib.suppress(Empty):
                for _ in range(BURST - 4):
                    operations += 1
                    got.append(queue.get_nowait())
                operations += 1
                got += queue.get_many(5, False)
            for message in got:
                number = message.mtsid
                if holder[number] is not None:
                    books.fault("duplicates: two messages in flight under one MTSID")
                holder[number] = message
                if message.deliveries == 1:
                    line = message.body % threads, message.priority
                    if newest.get(line, -1) > message.body:
                        books.fault("messages behind a later one of their producer and priority")
                    newest[line] = message.body
            hands += got
            chance.shuffle(hands)
            books.operations += operations + self._settle(hands, chance.getrandbits, books)

    def _put(self, body: int, priorities: Iterator[str]) -> int:
        """Put a burst, the last four of it in one call; returns the body that comes next."""
        queue, fate, threads = self.queue, self.fate, self.threads
        for _ in range(BURST - 4):
            fate[body] = PUT
            queue.put_nowait(body, priority=next(priorities))
            body += threads
        several = [*range(body, body + 4 * threads, threads)]
        for one in several:
            fate[one] = PUT
        queue.put_many(several, False, priority=next(priorities))
        return body + 4 * threads

    def _settle(self, hands: list[Any], bits: Callable[[int], int], books: Books) -> int:
        """Settle all but a few, in every way; returns how many calls that took."""
        queue, holder = self.queue, self.holder
        batch = []
        operations = 1
        while len(hands) > HANDS:
            message = hands.pop()
            number = message.mtsid
            if holder[number] is not message:
                books.fault("duplicates: two messages in flight under one MTSID")
            holder[number] = None
            operations += 1
            what = bits(4)
            if what < 2:
                queue.nack(message)
                continue
            self._left(message.body, books)
            if what < 8:
                batch.append(message)
                operations -= 1
            elif what > 8:
                queue.ack(message)
            else:
                queue.delete(number)
                operations += 1
                with contextlib.suppress(Stale):
                    queue.ack(message)
                    books.fault("acks of a deleted message that were believed")
        queue.ack_many(batch)
        return operations

    def drain(self, books: Books) -> None:
        """Take out what waits, half of it by an operator's delete, and see whether each body left just once."""
        try:
            self._drain(books)
        except MtsidError as error:
            books.fault(f"{type(error).__name__} for no reason: {error}")
        books.fault("messages lost", self.fate.count(PUT))
        books.fault("messages too few or too many", abs(self.fate.count(LEFT) - books.moved))
        books.fault("messages left in the queue", len(self.queue))

    def _drain(self, books: Books) -> None:
        queue = self.queue
        for number in queue.snapshot()["mtsid"].tolist()[::2]:
            self._left(queue.delete(number), books)
            books.operations += 1
        while not queue.empty():
            messages = queue.get_many(100, False)
            for message in messages:
                self._left(message.body, books)
            queue.ack_many(messages)
            books.operations += 2
        books.fault("MTSIDs lost", queue.maxsize - queue.audit().free)

    def _left(self, body: int, books: Books) -> None:
        if self.fate[body] != PUT:
            books.fault("messages that left twice, or were never put")
        self.fate[body] = LEFT


def queue_phase(name: str, operations: int, threads: int, queue: Any) -> Phase:
    """Python threads on one queue."""
    calls = slice_size(operations)
    fate = bytearray(calls + 2 * threads * BURST)  # one for all slices: memory shall be flat

    def slice_of(calls: int, count: int) -> Books:
        fate[:] = bytes(len(fate))
        part = QueueSlice(queue, count, calls, fate)
        books = side_by_side(count, part.work)
        part.drain(books)
        return books

    return Phase(name, threads, operations, slice_of)


# A phase, its memory, the report ----------------------------------------------------------------------------------


def slice_size(operations: int) -> int:
    """Return how many operations a slice has, if Python does them."""
    return math.ceil(operations / max(SLICES, math.ceil(operations / LARGEST_SLICE)))


def resident() -> int:
    """Return the bytes of this process in memory; 0 where that cannot be had."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def growth(samples: Sequence[int]) -> float:
    """Return how far the last quarter's median lies above the second quarter's."""
    quarter = len(samples) // 4
    return statistics.median(samples[-quarter:]) - statistics.median(samples[quarter : 2 * quarter])


def soak(phase: Phase) -> bool:
    """Run a phase in slices, print its lines, and return whether all was well."""
    # Arrays, so that the samples take no blocks of their own.
    books, memory, blocks = Books(), array("q"), array("q")
    spent = 0.0
    calls = slice_size(phase.operations) if phase.is_python else math.ceil(phase.operations / SLICES)
    while books.operations < phase.operations and not books.wrong:
        start = time.perf_counter()
        books.add(phase.slice_of(calls, phase.threads))
        spent += time.perf_counter() - start
        gc.collect()
        memory.append(resident())
        blocks.append(sys.getallocatedblocks())
    if len(memory) >= SLICES - 4:
        books.fault("bytes that resident memory grew by", growth(memory) > RSS_SLACK and int(growth(memory)))
        books.fault("allocated blocks more than before", growth(blocks) > BLOCK_SLACK and int(growth(blocks)))
    each = spent / max(books.operations, 1) * 1e9
    print(
        f"{phase.name:<46} {phase.threads:>2} threads {books.operations:>13,} operations {books.moved:>12,} moved "
        f"{spent:>7.1f} s {each:>6.0f} ns each"
    )
    rss = " ".join(f"{memory[i * (len(memory) - 1) // 7] / 2**20:.1f}" for i in range(8))
    print(f"    {len(memory)} checks; resident MiB {rss}; blocks {blocks[len(blocks) // 4]:,} .. {blocks[-1]:,}")
    for what, count in books.wrong.items():
        print(f"    WRONG: {count:,} {what}")
    sys.stdout.flush()
    return not books.wrong


def phases(scale: float, native: Any) -> list[Phase]:
    """Return all of it, at a scale."""
    quarter, half = int(NATIVE * scale) // 4, int(PYTHON * scale) // 4
    return [
        native_phase(native, "native: 65,535 ids", quarter, 2, 8, 1, 65535),
        native_phase(
            native,
            "native: 4,096 ids, lowest first, reservations",
            quarter,
            4,
            8,
            0,
            4095,
            order="lowest",
            exclude=range(100, 200),
            reserving=True,
        ),
        native_phase(native, "native: 64 ids, all of them in use", quarter, 2, 32, 1, 64),
        native_phase(native, "native: 65,535 ids, reservations", quarter, 4, 60, 1, 65535, reserving=True),
        allocator_phase("allocator: 65,535 ids", half, 4, Allocator(), 65535),
        allocator_phase("allocator: 250 ids, lowest first", half, 4, Allocator(1, 250, order="lowest"), 250),
        queue_phase("queue: 65,535 MTSIDs", half, 4, MessageQueue()),
        queue_phase("queue: 250 MTSIDs", half, 4, MessageQueue(250)),
    ]


def main() -> int:
    """Run the command line."""
    try:
        scale = float(sys.argv[1] if len(sys.argv) > 1 else "1")
    except ValueError:
        scale = math.nan
    if len(sys.argv) > 2 or not 0.00001 <= scale <= 1000:
        print("soak: the scale must be a number from 0.00001 to 1000, like SOAK=0.001", file=sys.stderr)
        return 2
    is_gil_enabled = getattr(sys, "_is_gil_enabled", None)
    with tempfile.TemporaryDirectory(prefix="mtsid-soak.") as folder:
        native = build_native(folder)
        gil = "on" if is_gil_enabled is None or is_gil_enabled() else "off"
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        where = f"CPython {platform.python_version()}, GIL {gil}, {cores} cores, {platform.machine()}"
        print(f"soak at scale {scale:g}: {where}")
        sys.setswitchinterval(1e-4)  # threads shall meet often
        start = time.monotonic()
        well = True
        for phase in phases(scale, native):
            well &= soak(phase)
    verdict = "no duplicate, no loss, no growth in memory" if well else "NOT WELL, see above"
    print(f"{verdict}: {time.monotonic() - start:.0f} s in all")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
