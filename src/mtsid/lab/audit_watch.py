"""Threads that are watched: a call that gives no answer in time ends the work, and not the program.

No thread can be ended from outside. A call that hangs is given a chance: one of the ids that its thread holds is
released in another thread, which lets go whoever waits, or searches, for a free one. If that does not help, the thread
is left behind: it is a daemon, and ends with the process.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

__all__ = ["NoId", "Source", "Worker", "let_go", "run"]

LOOK = 0.1  # seconds between two looks at whether the threads get on, at most


class NoId(Exception):
    """Acquire returned None: it has no id."""


class Source:
    """The id source that is audited: its two functions. Without a release, ids are given back by forgetting them."""

    def __init__(self, acquire: Callable[[], Hashable | None], release: Callable[[Any], object] | None) -> None:
        self.plain_acquire = acquire
        self.release: Callable[[Any], object] = release or _forget
        self.can_release = release is not None

    def acquire(self) -> Hashable:
        """Return an id; `NoId` instead of None."""
        id = self.plain_acquire()
        if id is None:
            raise NoId("acquire returned None")
        return id


def _forget(id: object) -> None:
    pass


class Worker:
    """One thread's work on a source: what it holds, and whether it gets on. Others write `stopped` alone."""

    def __init__(self, source: Source, name: str = "audit") -> None:
        self.name = name
        self.source = source
        self.calls = 0  # begun; the watcher sees by it that the thread gets on
        self.held: list[Any] = []  # in the order in which they were acquired; a twin for each time
        self.raised: Counter[str] = Counter()  # which verb raised what, how often
        self.stopped = False  # by the watcher: return as soon as you can
        self.done = threading.Event()
        self.failure: BaseException | None = None  # of ours, not of the source

    def acquire(self) -> Hashable:
        """Acquire an id and hold it. Raises what the source raises."""
        self.calls += 1
        id = self.source.acquire()
        self.held.append(id)
        return id

    def release(self, at: int = -1) -> None:
        """Release one of those held; what that raises is counted."""
        self.calls += 1
        id = self.held.pop(at)
        try:
            self.source.release(id)
        except Exception as error:
            self.note("release", error)

    def release_all(self) -> None:
        """Release all, the latest first, unless stopped."""
        while self.held and not self.stopped:
            self.release()

    def note(self, verb: str, error: Exception) -> None:
        """Count what a call raised."""
        self.raised[f"{verb}: {named(error)}"] += 1

    def work(self, task: Callable[[Worker], object]) -> None:
        """Do it, in the thread of this worker."""
        try:
            task(self)
        except BaseException as error:
            self.failure = error
        finally:
            self.done.set()


def named(error: Exception) -> str:
    """Return what a call raised as a name; what it returned, if that was None."""
    return "returned None" if isinstance(error, NoId) else type(error).__name__


def run(task: Callable[[Worker], object], workers: Sequence[Worker], timeout: float) -> list[Worker]:
    """Let each worker do the task in a thread of its own; return those that hang, when the others have ended.

    A worker hangs if none of its calls has returned for `timeout` seconds. Raises what a worker failed of, and
    KeyboardInterrupt: the others then end as soon as their calls return.
    """
    try:
        for worker in workers:
            worker.done.clear()
            threading.Thread(target=worker.work, args=(task,), name=worker.name, daemon=True).start()
        hung = _watch(workers, timeout)
    except BaseException:
        for worker in workers:
            worker.stopped = True
        raise
    for worker in workers:
        if worker.failure is not None:
            raise worker.failure
    return hung


def _watch(workers: Sequence[Worker], timeout: float) -> list[Worker]:
    progress = {worker: (worker.calls, time.monotonic()) for worker in workers}
    while True:
        running = [worker for worker in workers if not worker.done.is_set()]
        now = time.monotonic()
        for worker in running:
            if worker.calls != progress[worker][0]:
                progress[worker] = worker.calls, now
        hung = [worker for worker in running if now - progress[worker][1] > timeout]
        if hung or any(worker.failure is not None for worker in workers):
            for worker in workers:
                worker.stopped = True
        if len(hung) == len(running):
            return hung
        next(worker for worker in running if worker not in hung).done.wait(min(LOOK, timeout / 4))


def let_go(hung: Sequence[Worker], timeout: float) -> bool:
    """Release one id of each worker that hangs, so that its call may return; whether all have ended then."""
    for worker in hung:
        worker.stopped = True
        if worker.held:
            id = worker.held.pop(0)
            releasing = Worker(worker.source)
            releasing.held.append(id)
            run(Worker.release_all, [releasing], timeout)
    deadline = time.monotonic() + timeout
    return all(worker.done.wait(max(0.0, deadline - time.monotonic())) for worker in hung)
