"""Record what real threads do with an id source or a queue, and check the history: is any id ever in use twice?

    recorder = Recorder()
    ids = recorder.ids(client.next_id, client.free_id)      # threads call ids.acquire() and ids.release(id)
    ...                                                      # afterwards, when no thread is inside:
    print(recorder.check())

What is claimed. An id is surely held from after `acquire` has returned until before `release` is called. The clock is
read at these two instants and nowhere nearer, so a recorded interval lies within the true one: two intervals of one id
that overlap prove a duplicate, and a history without a duplicate never shows one.

The clock. Only its order counts, across threads: a reading that happens after another one must not be less. That is
what `time.perf_counter_ns` keeps: one clock for the whole system (CLOCK_MONOTONIC on Linux, the performance counter on
Windows, mach_absolute_time on macOS), with the GIL or without. `time.thread_time` would not do, nor would `time.time`,
which is set back at times. Nor would a shared counter: each thread would wait for it and bring its memory along, and
races would hide from the recorder. Two equal readings say nothing about which was first, so nothing is claimed then.

Memory and order. Each thread writes to lists of its own, one `extend` an event, so that a signal handler or `__del__`
that comes in between cannot tear an event apart; no lock is taken, and no thread sees what another one wrote before
`check`. An acquire or a release takes about 50 bytes, a message on its way through about 350, and what they name stays
alive with the recorder.

Costs, on two busy cores of a virtual machine, CPython 3.11, medians of one run (`bench/bench_histories.py`): acquire
and release 621 ns recorded, 40 bare, 477 with a dict of owners and a lock, at which threads would queue up; put, get
and ack 1.1 us recorded, 0.08 bare. So races are rarer beside a recorder than without it: run longer, or let threads do
more. A check of 10**6 events takes 0.4 s for ids and 1.0 s for messages. The checks themselves: history_checks.py.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sized
from typing import Any, Protocol

from mtsid.lab.history_records import Id, Local, RecordedIds, RecordedQueue, Track
from mtsid.lab.history_report import HistoryReport, check_ids, check_queue

__all__ = ["Recorder"]


class Storable(Protocol):
    """What a queue must have to be recorded; any more of this project's verbs that it has can be called too."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None, /) -> int: ...
    def get(self, block: bool = True, timeout: float | None = None, /) -> Any: ...
    def ack(self, message: Any, /) -> None: ...
    def nack(self, message: Any, /) -> None: ...


class Recorder:
    """Records one namespace of ids: those of an id source, or of one queue. `check` reports on it.

    A source may have many fronts (a connection a thread, say): call `ids` for each. Threads record beside one another
    without a lock; `check` needs that none of them is inside a recorded call, so join them or wait for them before.

    `clock` returns integers, nanoseconds if the report's times shall be right. It must be monotonic across threads, and
    need not be fine: equal readings raise no alarm, they only prove less.

    >>> from mtsid import v40
    >>> recorder = Recorder()
    >>> source = v40.Allocator(1, 3)                                    # with the defect "double-release"
    >>> ids = recorder.ids(source.acquire, source.release)
    >>> first = ids.acquire()
    >>> ids.release(first); ids.release(first)
    >>> [ids.acquire() for _ in range(4)]
    [2, 3, 1, 1]
    >>> report = recorder.check()
    >>> report.ok, report.overlaps, report.first_overlaps[0].id, report.strays
    (False, 1, 1, 1)

    >>> from mtsid import MessageQueue
    >>> recorder = Recorder()
    >>> queue = recorder.queue(MessageQueue())
    >>> _ = queue.put("mail")
    >>> message = queue.get()
    >>> queue.nack(message)
    >>> queue.ack(queue.get())
    >>> print(recorder.check(expect_empty=True))                        # doctest: +ELLIPSIS
    all is well: 5 events of 1 thread in ...
    1 put, 2 deliveries, 1 returned, 1 left, 0 still there
    no MTSID was two messages' at once, nothing was lost, duplicated or made up, and the order was kept
    """

    def __init__(self, *, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock = clock
        self._began = clock()
        self._tracks: list[Track] = []
        self._local = Local(self._tracks)
        self._sources = 0
        self._queue: Any = None

    def ids(self, acquire: Callable[..., Id], release: Callable[..., object]) -> RecordedIds[Id]:
        """Return a front that calls `acquire()`, which returns an id, and `release(id)`, and records both.

        Ids may be anything hashable. Raises TypeError if one of the two cannot be called; ValueError if a queue is
        recorded here.
        """
        for verb in (acquire, release):
            if not callable(verb):
                raise TypeError(f"acquire and release must be callable, not {type(verb).__name__!r}")
        if self._queue is not None:
            raise ValueError("a recorder is for one namespace of ids, and this one records a queue: make another")
        self._sources += 1
        return RecordedIds(self._local, self._clock, acquire, release)

    def queue(self, queue: Storable) -> RecordedQueue[Any]:
        """Return a front that has the queue's verbs and records them. The queue must be empty and nobody else's.

        Raises TypeError for what lacks put, get, ack or nack; ValueError if it is not empty, or if something is
        recorded here already.
        """
        for verb in ("put", "get", "ack", "nack"):
            if not hasattr(queue, verb):
                raise TypeError(f"a queue with put, get, ack and nack is needed; this one lacks {verb}")
        if self._queue is not None or self._sources:
            raise ValueError("a recorder is for one namespace of ids, and this one records another: make a new one")
        holds = len(queue) if isinstance(queue, Sized) else 0
        if holds:
            raise ValueError(f"the queue must be empty, and holds {holds}: what is not recorded looks made up")
        self._queue = queue
        return RecordedQueue(self._local, self._clock, queue)

    def check(
        self,
        *,
        expect_empty: bool = False,
        key: Callable[[Any], Hashable] | None = None,
        remaining: Iterable[Any] | None = None,
    ) -> HistoryReport:
        """Check everything up to now, and report. May be called again later; no thread may be inside meanwhile.

        expect_empty
            All ids should have been released, all messages have left: what has not is a fault.
        key
            Makes a hashable thing of a message's body, for bodies that are not hashable or are equal to others. What
            is put once is checked for everything; equal ones are only counted.
        remaining
            The bodies still in the queue. By default they are looked up by `snapshot` and `peek`.

        Raises TypeError for an id or a body that is not hashable; ValueError if it cannot be known what is still in the
        queue.
        """
        tracks = list(self._tracks)
        if self._queue is None:
            return check_ids(tracks, self._began, expect_empty)
        if remaining is None:
            bodies, nameless = _still_there(self._queue)
        else:
            bodies, nameless = list(remaining), 0
        return check_queue(tracks, self._began, expect_empty, key, bodies, nameless)


def _still_there(queue: Any) -> tuple[list[Any], int]:
    """Return the bodies in the queue, and how many more there are: of twins, `peek` shows only one."""
    if hasattr(queue, "snapshot") and hasattr(queue, "peek"):
        numbers: list[int] = queue.snapshot()["mtsid"].tolist()
        holders = Counter(numbers)
        bodies = [queue.peek(number) for number in numbers if holders[number] == 1]
        return bodies, len(numbers) - len(bodies)
    if hasattr(queue, "__len__") and not len(queue):
        return [], 0
    raise ValueError("what is still in this queue cannot be looked up: pass it as remaining=, or drain it before")
