"""What an audit does with an id source, phase by phase; each is the work of a watched thread (audit_watch.py).

An audit uses a source as its owner should: each acquire has one release, at most. The one exception is
`release_twice`, which comes last.
"""

from __future__ import annotations

import inspect
import threading
import time
from itertools import repeat
from random import Random
from statistics import median
from typing import Any

from mtsid.lab.audit_report import Exhaustion, SecondRelease, Turns, Twin
from mtsid.lab.audit_watch import NoId, Worker, named
from mtsid.lab.history_records import RecordedIds

__all__ = ["compete", "fill", "keep", "look", "measure", "release_twice", "take_turns"]

BLOCK = 0.002  # seconds that a block of turns should take, when their cost is measured
BLOCKS = 9  # of which the median counts
MOST = 4096  # turns in a block
OTHERS = 8  # ids that are released beside the one that is released twice


def look(worker: Worker) -> None:
    """Acquire one id and give it back. Raises TypeError or ValueError for what cannot be audited."""
    try:
        id: Any = worker.acquire()
    except NoId:
        raise ValueError("the first acquire returned None: there is nothing to audit") from None
    except Exception as error:
        raise ValueError(f"the first acquire raised {type(error).__name__}: {error}") from error
    if inspect.isawaitable(id):
        if inspect.iscoroutine(id):
            id.close()
        raise TypeError("acquire must return an id, and returned an awaitable: wrap it in what runs it")
    try:
        hash(id)
    except TypeError:
        raise TypeError(f"ids must be hashable, and acquire returned a {type(id).__name__!r}") from None
    worker.release()


def measure(worker: Worker) -> float | None:
    """Return the nanoseconds that an acquire and a release take now; None if one of them raises."""
    acquire, release, can_release = worker.source.plain_acquire, worker.source.release, worker.source.can_release

    def turns(n: int) -> float:
        worker.calls += 1
        began = time.perf_counter()
        if can_release:
            for _ in repeat(None, n):
                release(acquire())
        else:
            for _ in repeat(None, n):
                acquire()
        return time.perf_counter() - began

    try:
        n = 1
        while turns(n) < BLOCK and n < MOST:
            n *= 2
        return median(turns(n) for _ in range(BLOCKS)) / n * 1e9
    except Exception as error:
        worker.note("acquire and release", error)
        return None


def take_turns(worker: Worker, live: int, operations: int, result: Turns) -> None:
    """Hold `live` ids, and beside them acquire and release one at a time: does one of those held come again?"""
    worker.release_all()
    acquired_as: dict[Any, int] = {}  # of each id held: the number of its acquire
    used_at: dict[Any, int] = {}  # of each other: when it was acquired last
    while result.acquires < operations and not worker.stopped:
        result.acquires += 1
        try:
            id = worker.acquire()
        except Exception as error:
            worker.note("acquire", error)
            live = len(worker.held) // 2  # so many are not to be had
            while len(worker.held) > live:
                acquired_as.pop(worker.held[-1], None)
                worker.release()
            continue
        if worker.stopped:  # it hung, and was let go: another thread has released some
            return
        if id in acquired_as:
            result.found(Twin(id, acquired_as[id], result.acquires, len(acquired_as)))
        elif len(acquired_as) < live:
            acquired_as[id] = result.acquires
        else:
            if id in used_at:
                result.reused(result.acquires - used_at[id] - 1)
            used_at[id] = result.acquires
            worker.release()
    result.held = len(acquired_as)
    worker.release_all()


def compete(worker: Worker, ids: RecordedIds[Any], share: int, turns: int, start: threading.Barrier) -> None:
    """Beside other threads: acquire up to `share` ids, release some of them in random order, and again."""
    draw = Random(worker.name).random
    held = worker.held
    start.wait()
    while turns > 0 and not worker.stopped:
        while len(held) < share and turns > 0 and not worker.stopped:
            turns -= 1
            worker.calls += 1
            try:
                held.append(ids.acquire())
            except Exception as error:
                worker.note("acquire", error)
                break
        _release(worker, ids, len(held) // 2, draw)
    _release(worker, ids, 0, draw)


def _release(worker: Worker, ids: RecordedIds[Any], rest: int, draw: Any) -> None:
    held = worker.held
    while len(held) > rest:
        worker.calls += 1
        try:
            ids.release(held.pop(int(draw() * len(held))))
        except Exception as error:
            worker.note("release", error)


def fill(worker: Worker, operations: int, result: Exhaustion) -> None:
    """Acquire and release nothing, until it refuses, or gives what is held, or `operations` were acquired."""
    acquired_as: dict[Any, int] = {}
    while len(acquired_as) < operations:
        result.held = len(acquired_as)
        try:
            id = worker.acquire()
        except Exception as error:
            if worker.stopped:
                return
            result.kind, result.error = ("returns None" if isinstance(error, NoId) else "raises"), named(error)
            result.text = str(error)
            return
        if worker.stopped:
            return
        if id in acquired_as:
            result.kind = "duplicate"
            result.twin = Twin(id, acquired_as[id], len(acquired_as) + 1, len(acquired_as))
            return
        acquired_as[id] = len(acquired_as) + 1
    result.held = len(acquired_as)
    result.kind = "not reached"


def keep(worker: Worker, live: int, draw: Random | None = None) -> bool:
    """Bring what is held to `live` ids: release the latest, or any; or acquire more. Whether it could."""
    while len(worker.held) > live:
        if draw is not None:
            at = draw.randrange(len(worker.held))
            worker.held[at], worker.held[-1] = worker.held[-1], worker.held[at]
        worker.release()
    while len(worker.held) < live:
        try:
            worker.acquire()
        except Exception as error:
            worker.note("acquire", error)
            return False
    return True


def release_twice(worker: Worker, result: SecondRelease) -> None:
    """With every id held, release one twice, and acquire: does one id come to two holders?

    Some others are released before it and some after, and all of them acquired again. So it is found first or last in,
    and where a count of what is in flight keeps one back.
    """
    others = min(OTHERS, len(worker.held) - 1)
    for _ in range(others // 2):
        worker.release(0)
    id = worker.held[-1]
    worker.release()
    worker.calls += 1
    try:
        worker.source.release(id)
    except Exception as error:
        result.kind, result.error = "refused", named(error)
        return
    for _ in range(others - others // 2):
        worker.release(0)
    # If the last acquire does not even return, there was no second id to be had.
    result.kind = "ignored"
    holders = set(worker.held)
    for _ in range(others + 2):
        try:
            got = worker.acquire()
        except Exception:
            return
        if worker.stopped:
            return
        if got in holders:
            result.kind, result.id = "believed", got
            return
        holders.add(got)
