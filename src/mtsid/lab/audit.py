"""An audit of anybody's id source: is an id ever in use twice, what happens when there are no more, what does it cost?

    report = audit_ids(client.next_id, client.free_id)
    print(report)

In this order, so that what may spoil the source comes last:

1.  One acquire and release: is it an id source at all? The cost with nothing live.
2.  Turns: `live` ids are held, and beside them one at a time is acquired and released, `operations` times: enough for a
    counter of 16 bits to come round three times. A counter that does not look gives out what is held.
3.  Threads, with `live` ids in their hands together, as fast as they can, recorded (histories.py): two holds of one id
    that overlap for certain are a duplicate. Threads change as often as the interpreter lets them.
4.  Fill: acquire only, until it refuses, hangs, or returns what is held. That tells how many ids there are.
5.  The cost with 90 % and 99 % of them live: those acquired first, which for most sources is one block, and any.
6.  With all of them live, one is released twice, and as many are acquired as are free: does it come twice?

A call without an answer for `timeout` seconds hangs (audit_watch.py). At exhaustion that is an answer too, and the
audit goes on if a release lets the call return; elsewhere it ends there.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from operator import index
from random import Random
from typing import Any, Literal, NoReturn

from mtsid.lab import audit_phases as phases
from mtsid.lab.audit_report import AuditReport, Cost
from mtsid.lab.audit_watch import Source, Worker, let_go, run
from mtsid.lab.histories import Recorder
from mtsid.lab.wording import count

__all__ = ["audit_ids"]

OPERATIONS = 200_000  # by default: three rounds of 16 bits
BEGIN = 60.0  # seconds until all threads have begun, at most


def audit_ids(
    acquire: Callable[[], Hashable | None],
    release: Callable[[Any], object] | None,
    *,
    threads: int = 4,
    live: int = 16,
    operations: int = OPERATIONS,
    timeout: float = 5.0,
    name: str = "",
) -> AuditReport:
    """Audit the id source behind `acquire()` and `release(id)`, and report. It must be nobody else's meanwhile.

    Ids may be anything hashable. `acquire` raises, or returns None, when it has none. Nothing of it is printed; the
    report is, by `print(report)` or `report.render(console)`, and `report.ok` says whether no id was in use twice.

    release
        None for a source that is not told when an id is done, as a counter is.
    threads
        That use the source at once; 1 for a source that is made for one thread: that phase is left out then.
    live
        Ids that are held meanwhile, by one thread or by all together. A source that has fewer is audited with fewer.
    operations
        Acquires in each phase, at most; a source with more ids is not exhausted.
    timeout
        Seconds without an answer after which a call counts as hanging.
    name
        Stands at the head of the report.

    Afterwards what was acquired is released, unless a call hung. But what a source does wrong stays done: audit one
    that is made for it. A call that hangs to the end leaves its thread behind, a daemon. All calls come from threads
    other than the caller's, which waits; `sys.setswitchinterval` is lowered meanwhile, and set back.

    Raises TypeError for what cannot be called, for ids that cannot be hashed, for an `acquire` that must be awaited,
    and for numbers that are none; ValueError for numbers out of range, and if the first acquire yields nothing.

    >>> from mtsid import Allocator, v40
    >>> ids = Allocator(1, 100)
    >>> report = audit_ids(ids.acquire, ids.release, operations=1000)
    >>> report.ok, report.exhaustion.kind, report.exhaustion.error, report.second_release.kind
    (True, 'raises', 'Exhausted', 'refused')
    >>> ids = v40.Allocator(1, 100, defect="unchecked-wrap")
    >>> report = audit_ids(ids.acquire, ids.release, threads=1, operations=1000)
    >>> report.ok, report.exhaustion.kind
    (False, 'duplicate')
    >>> report.story()                                                    # doctest: +ELLIPSIS
    'Acquire 1 returned id ..., which was not released. Acquire 101 returned ... again, ...
    """
    for verb, function in (("acquire", acquire), ("release", release)):
        if not callable(function) and not (verb == "release" and function is None):
            raise TypeError(f"{verb} must be callable, not {type(function).__name__!r}")
    threads, live = _number("threads", threads, 1, 1024), _number("live", live, 1, 1 << 20)
    operations = _number("operations", operations, 1, 1 << 32)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number, not {type(timeout).__name__!r}")
    if not 0 < timeout <= threading.TIMEOUT_MAX:  # NaN is neither
        raise ValueError(f"timeout must be positive and finite, but is {timeout!r}")
    report = AuditReport(name, threads, live, operations, timeout, release is not None)
    _Audit(Source(acquire, release), report).run()
    return report


def _number(name: str, value: int, least: int, most: int) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not a bool")
    if not least <= index(value) <= most:
        raise ValueError(f"{name} must be {least:,} to {most:,}, but is {value!r}")
    return index(value)


class _Hung(Exception):
    """A call gave no answer, and the source cannot be used any more."""


class _Audit:
    """One audit, from outside its threads."""

    def __init__(self, source: Source, report: AuditReport) -> None:
        self.source = source
        self.report = report
        self.one = Worker(source)  # whoever works alone
        self.raised: Counter[str] = Counter()

    def run(self) -> None:
        """Go through the phases, and fill the report."""
        report, timeout = self.report, self.report.timeout
        if run(phases.look, [self.one], timeout):
            let_go([self.one], timeout)
            verb = "acquire" if self.one.calls == 1 else "release"
            raise ValueError(f"the first {verb} gave no answer within {timeout:g} s: there is nothing to audit")
        try:
            self._measure(0, "none")
            self._take_turns()
            if report.threads > 1:
                self._compete()
            if self._fill():
                self._when_full()
            self._alone(Worker.release_all, "The last releases")
        except _Hung as error:
            report.faults.append(str(error))
        report.raised = dict(self.raised + self.one.raised)

    def _alone(self, task: Callable[[Worker], object], what: str) -> None:
        if run(task, [self.one], self.report.timeout):
            self._hung([self.one], what)

    def _hung(self, workers: Sequence[Worker], what: str) -> NoReturn:
        silent = self._silent(what, workers)
        let_go(workers, self.report.timeout)
        raise _Hung(silent)

    def _silent(self, what: str, workers: Sequence[Worker]) -> str:
        held = count(sum(len(worker.held) for worker in workers), "id")
        return f"{what}: no answer within {self.report.timeout:g} s, with {held} held. The audit ended there."

    def _measure(self, percent: int, layout: Literal["none", "block", "random"]) -> None:
        costs: list[float | None] = []
        live = len(self.one.held)
        self._alone(lambda worker: costs.append(phases.measure(worker)), f"Turns with {percent} % live")
        if costs[0] is not None:
            self.report.costs.append(Cost(percent, live, layout, costs[0]))

    def _take_turns(self) -> None:
        report, one = self.report, self.one

        def turns(live: int) -> Callable[[Worker], None]:
            return lambda worker: phases.take_turns(worker, live, report.operations, report.turns)

        if run(turns(report.live), [one], report.timeout):
            if not let_go([one], report.timeout):
                raise _Hung(self._silent(f"One thread that wanted to hold {report.live:,} ids", [one]))
            # It has no more than that, and lets callers wait: once more, with half of them.
            one.stopped = False
            self._alone(turns(len(one.held) // 2), f"One thread that held {len(one.held) // 2:,} ids and took turns")

    def _compete(self) -> None:
        report = self.report
        recorder = Recorder()
        ids = recorder.ids(self.source.acquire, self.source.release)
        share, turns = max(1, report.turns.held // report.threads), -(-report.operations // report.threads)
        # That many threads may take longer to begin than a call to answer; which of them hang is the watcher's to say.
        start = threading.Barrier(report.threads, timeout=max(BEGIN, report.timeout))
        workers = [Worker(self.source, f"thread {number}") for number in range(1, report.threads + 1)]
        with _frequent_switches():
            hung = run(lambda worker: phases.compete(worker, ids, share, turns, start), workers, report.timeout)
        for worker in workers:
            self.raised += worker.raised
        if hung:
            self._hung(hung, f"{len(hung)} of {count(report.threads, 'thread')}")
        report.history = recorder.check()

    def _fill(self) -> bool:
        """Whether the number of ids is known now, and all of them are held."""
        report, found = self.report, self.report.exhaustion
        if run(lambda worker: phases.fill(worker, report.operations, found), [self.one], report.timeout):
            found.kind = "hangs"
            if not let_go([self.one], report.timeout):
                raise _Hung("At exhaustion, acquire did not return when an id was released. The audit ended there.")
            self.one.stopped = False
        if found.kind not in ("raises", "returns None", "hangs"):
            return False
        if found.held == 0:  # and the phases before may have had none either
            report.faults.append("Every id was released, and none is to be had again. The audit ended there.")
        return found.held > 0

    def _when_full(self) -> None:
        report, size = self.report, self.report.exhaustion.held
        draw = Random(size)
        levels = [(percent, live) for percent in (90, 99) if 0 < (live := size * percent // 100) < size]
        for percent, live in levels:
            if not self._keep(live):
                return
            self._measure(percent, "block")
        if not self._keep(size):
            return
        for percent, live in reversed(levels):
            self._keep(live, draw)
            self._measure(percent, "random")
        if self.source.can_release and self._keep(size):
            found = report.second_release
            if run(lambda worker: phases.release_twice(worker, found), [self.one], report.timeout):
                let_go([self.one], report.timeout)
                if found.kind == "not tried":
                    raise _Hung(f"A second release gave no answer within {report.timeout:g} s. The audit ended there.")
                self.one.stopped = False

    def _keep(self, live: int, draw: Random | None = None) -> bool:
        done: list[bool] = []
        self._alone(lambda worker: done.append(phases.keep(worker, live, draw)), f"Bringing it to {live:,} held")
        return done[0]


@contextmanager
def _frequent_switches() -> Iterator[None]:
    """With a GIL, threads must change often to meet at all."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
