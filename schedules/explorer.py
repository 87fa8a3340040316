"""Stateless search: a scenario is run again and again, each time by another schedule, until all have been seen.

Depth first, with sleep sets (Godefroid, 1996) when the search is to be complete: of runs that differ only in the order
of independent operations one is enough. With a bound on preemptions (Musuvathi and Qadeer, 2007) the search is complete
within it: a preemption is a change of threads where the running one could have gone on. Beyond that, at random.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

__all__ = ["Explorer", "Found", "Operation", "Run", "Scenario", "story"]

NAMES = ("load", "store", "update", "fence", "yield", "lock", "unlock", "park", "unpark", "call", "start")
CALL = NAMES.index("call")
DEADLOCK, ASTRAY, REDUNDANT = 1, 2, 4  # a run's outcome


@dataclass(frozen=True)
class Operation:
    """One operation of a history: what was called, what came of it, and when it began and ended (in events)."""

    thread: int
    name: str
    arguments: tuple[Any, ...]
    result: Any  # a value, or the exception's class
    begun: int
    ended: int

    def __str__(self) -> str:
        """Return it as a line of a story."""
        shown = ", ".join(map(repr, self.arguments))
        result = self.result.__name__ if isinstance(self.result, type) else repr(self.result)
        return f"thread {self.thread}: {self.name}({shown}) -> {result}"


@dataclass
class Scenario:
    """What to run: `setup()` makes a fresh subject, `threads` hold the calls of each thread, `check(run)` judges.

    A call is (name, arguments); an argument may be a function of the thread's earlier results. A call whose argument
    turns out to be an exception is left out.
    """

    name: str
    setup: Callable[[], Any]
    threads: list[list[tuple[str, tuple[Any, ...]]]]
    check: Callable[[Run], str]  # what is wrong, in words; empty: nothing
    perform: Callable[[Any, str, tuple[Any, ...]], Any] | None = None  # None: a method of that name


@dataclass
class Run:
    """One schedule and what came of it."""

    subject: Any
    history: list[Operation]
    schedule: list[int]  # the thread chosen at each point
    kinds: list[str]  # what it did there
    deadlock: bool
    failures: list[BaseException] = field(default_factory=list)


@dataclass
class Found:
    """What a search found."""

    scenario: str
    schedules: int = 0  # not counting redundant ones
    redundant: int = 0
    complete: bool = False  # every interleaving (within the bound) was seen
    bound: int | None = None  # on preemptions; None: without
    longest: int = 0  # steps of a run
    violation: str = ""  # the first one found, in words; empty: none
    run: Run | None = None  # ... and its run


@dataclass
class _Node:
    chosen: int
    before: int  # who ran before; 255: nobody, or it was done
    kind: int  # of the chosen thread's operation
    ready: int
    sleep: int
    tried: int


class Explorer:
    """Runs scenarios on the scheduler's threads."""

    def __init__(self, scheduler: ctypes.CDLL, threads: int = 3) -> None:
        self._scheduler = scheduler
        scheduler.schedule_record.restype = ctypes.c_void_p
        self._work: list[Callable[[], None] | None] = [None] * threads
        self._begin = [threading.Semaphore(0) for _ in range(threads)]
        self._ended = threading.Semaphore(0)
        self._clock = 0
        for number in range(threads):
            threading.Thread(target=self._worker, args=(number,), daemon=True).start()

    def search(self, scenario: Scenario, *, bound: int | None = None, limit: int = 1_000_000) -> Found:
        """See every schedule, or every one with at most `bound` preemptions; at most `limit` runs."""
        found = Found(scenario.name, bound=bound)
        for run in self._runs(scenario, found, bound):
            if not self._judge(scenario, run, found):
                return found
            if found.schedules + found.redundant >= limit:
                return found
        found.complete = True
        return found

    def sample(self, scenario: Scenario, *, seed: int, runs: int) -> Found:
        """Run by schedules drawn at random."""
        found = Found(scenario.name)
        rng = Random(seed)
        for _ in range(runs):
            run = self._random_run(scenario, rng)
            found.schedules += 1
            found.longest = max(found.longest, len(run.schedule))
            if not self._judge(scenario, run, found):
                break
        return found

    def replay(self, scenario: Scenario, schedule: list[int]) -> Run:
        """Run by one schedule again."""
        return self._run(scenario, schedule, 0)[0]

    def shortest(self, scenario: Scenario, *, bound: int = 3) -> Found:
        """Find a violation with as few preemptions as possible, and of those the one in the fewest steps."""
        for preemptions in range(bound + 1):
            best: Found | None = None
            for found in self._violations(scenario, preemptions):
                assert found.run is not None
                if best is None or best.run is None or len(found.run.schedule) < len(best.run.schedule):
                    best = found
            if best is not None:
                return best
        return Found(scenario.name, bound=bound, complete=True)

    # Inside

    def _violations(self, scenario: Scenario, bound: int) -> Iterator[Found]:
        counted = Found(scenario.name, bound=bound)
        for run in self._runs(scenario, counted, bound):
            if not self._judge(scenario, run, counted):
                yield replace(counted)

    def _runs(self, scenario: Scenario, found: Found, bound: int | None) -> Iterator[Run]:
        """Iterate over one run for each schedule, redundant ones left out, and count them in `found`."""
        path: list[_Node] = []
        while True:
            prefix = [node.chosen for node in path]
            sleep = path[-1].sleep if path and bound is None else 0
            run, outcome, record = self._run(scenario, prefix, sleep)
            # A node's last choice is new; what stood before it, and what it chose between, must be as it was.
            if outcome & ASTRAY or any(
                record[at][3] != node.ready or (node is not path[-1] and record[at][2] != node.kind)
                for at, node in enumerate(path)
            ):
                raise RuntimeError(
                    f"{scenario.name}: the same choices led elsewhere: the scenario is not deterministic"
                )
            if outcome & REDUNDANT:
                found.redundant += 1
            else:
                found.schedules += 1
                found.longest = max(found.longest, len(record))
                yield run
            if path:
                path[-1].kind = record[len(path) - 1][2]
            for at in range(len(path), len(record)):
                chosen, before, kind, ready, asleep = record[at]
                path.append(_Node(chosen, before, kind, ready, asleep, 1 << chosen))
            if not self._next(path, bound):
                return

    @staticmethod
    def _judge(scenario: Scenario, run: Run, found: Found) -> bool:
        if run.deadlock:
            found.violation = "a lost wake-up: a thread waits, and nobody is left to wake it"
        elif run.failures:
            found.violation = f"an exception that no operation may raise: {run.failures[0]!r}"
        else:
            found.violation = scenario.check(run)
        if found.violation:
            found.run = run
        return not found.violation

    @staticmethod
    def _next(path: list[_Node], bound: int | None) -> bool:
        """Change the path to the next one in order; False: there is none."""
        while path:
            node = path[-1]
            spent = 0 if bound is None else sum(_is_preemption(other, other.chosen) for other in path[:-1])
            left = node.ready & ~node.tried
            if bound is None:
                left &= ~node.sleep
            while left:
                choice = (left & -left).bit_length() - 1
                left &= ~(1 << choice)
                if bound is not None and spent + _is_preemption(node, choice) > bound:
                    continue
                node.sleep |= node.tried  # those have been explored from here
                node.tried |= 1 << choice
                node.chosen = choice
                return True
            path.pop()
        return False

    def _random_run(self, scenario: Scenario, rng: Random) -> Run:
        # A change of threads at each of a few points drawn over the length of a run: most errors need few.
        run, _, record = self._run(scenario, [], 0)
        for at in sorted(rng.randrange(len(record)) for _ in range(rng.randint(3, 6))):
            if at >= len(record):
                break
            ready = [i for i in range(8) if record[at][3] >> i & 1]
            choices = [step[0] for step in record[:at]] + [rng.choice(ready)]
            run, _, record = self._run(scenario, choices, 0)
        return run

    def _run(
        self, scenario: Scenario, choices: list[int], sleep: int
    ) -> tuple[Run, int, list[tuple[int, int, int, int, int]]]:
        scheduler = self._scheduler
        subject = scenario.setup()
        history: list[Operation] = []
        failures: list[BaseException] = []
        self._clock = 0
        given = (ctypes.c_ubyte * max(1, len(choices)))(*choices)
        gc.disable()  # what it frees takes steps, and it would come at another call each time
        scheduler.schedule_begin(len(scenario.threads), given, len(choices), sleep)
        for number, calls in enumerate(scenario.threads):
            self._work[number] = self._caller(scenario, subject, number, calls, history, failures)
            self._begin[number].release()
        scheduler.schedule_run()
        for _ in scenario.threads:
            self._ended.acquire()
        gc.enable()
        steps = scheduler.schedule_steps()
        raw = ctypes.string_at(scheduler.schedule_record(), steps * 5)
        record = list(zip(raw[0::5], raw[1::5], raw[2::5], raw[3::5], raw[4::5], strict=True))
        outcome = scheduler.schedule_outcome()
        history.sort(key=lambda operation: operation.begun)
        run = Run(
            subject,
            history,
            [step[0] for step in record],
            [NAMES[step[2]] for step in record],
            bool(outcome & DEADLOCK),
            failures,
        )
        return run, outcome, record

    def _caller(
        self,
        scenario: Scenario,
        subject: Any,
        number: int,
        calls: list[tuple[str, tuple[Any, ...]]],
        history: list[Operation],
        failures: list[BaseException],
    ) -> Callable[[], None]:
        def call_all() -> None:
            results: list[Any] = []
            for name, arguments in calls:
                self._scheduler.mtsid_schedule_point(CALL, None)
                self._clock += 1
                begun = self._clock
                given = tuple(argument(results) if callable(argument) else argument for argument in arguments)
                if any(isinstance(argument, type) for argument in given):
                    continue  # the call before it failed, so there is nothing to go on with
                try:
                    if scenario.perform is not None:
                        result = scenario.perform(subject, name, given)
                    else:
                        result = getattr(subject, name)(*given)
                except Exception as error:
                    result = type(error)
                    if not type(error).__module__.startswith("mtsid"):
                        failures.append(error)
                self._clock += 1
                results.append(result)
                history.append(Operation(number, name, given, result, begun, self._clock))

        return call_all

    def _worker(self, number: int) -> None:
        while True:
            self._begin[number].acquire()
            work = self._work[number]
            assert work is not None
            self._scheduler.schedule_enter(number)
            work()
            self._work[number] = work = None
            self._scheduler.schedule_leave()
            self._ended.release()


def _is_preemption(node: _Node, choice: int) -> bool:
    """Whether the thread that ran before could have gone on."""
    return node.before < 8 and choice != node.before and bool(node.ready >> node.before & 1)


def story(run: Run) -> Iterator[str]:
    """A run in words, a line for each time that another thread goes on, and what each call gave in the end."""
    line, last = "", -1
    for thread, kind in zip(run.schedule, run.kinds, strict=True):
        if thread != last and line:
            yield line
        line = f"thread {thread}: {kind}" if thread != last else f"{line}, {kind}"
        last = thread
    yield line
    for operation in run.history:
        yield f"  {operation}"
