"""The main job: the same traffic and the same outages through a 4.0 and an SP2 queue, in virtual time (simpy).

One environment, one feeder, one link, two sides. The feeder enters each message of the trace into both queues; the
link goes down and comes up for both at once; each side's line opens its session, carries one message at a time and
waits for the acknowledgement. All chance comes from the seed, so the same trace and seed give the same result to the
byte. A trace is read twice: first to check it and to count, then to run it; nothing of it is kept but what is queued.

One outbound queue; a second next hop would be a second `Side` for each version, with a link of its own.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import simpy

from mtsid.lab.ledger import Ledger, Result
from mtsid.lab.operating import Operator
from mtsid.lab.story import Story, StoryTeller
from mtsid.lab.traces import GeneratedDay, Survey, Trace, open_trace, survey
from mtsid.lab.traffic import Link, Mail, incident, incident_indices, mail
from mtsid.mta import DEFECTS, MTA, Collision, Entry, EventLog, LogEntry, Policy, State, Version

__all__ = ["DEFAULT_IDS", "DEFAULT_SEED", "Comparison", "Side", "check", "compare"]

DEFAULT_SEED = 152897
DEFAULT_IDS = 65535
LARGEST_IDS = 1 << 24
EXTRA_TIME = 3 * 86400.0  # seconds
PROGRESS_EVERY = 500  # messages

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. `versions` has the keys "4.0" and "SP2".

    `story` is 4.0's first collision, None without one; `span` counts the messages and tells their first and last time;
    `outages` and `down_seconds` are the link's, the same for both. `calendar`: times are seconds since 1970 (mbox), not
    since the trace's own midnight.
    """

    trace: str
    trace_path: str | None  # as the caller gave it; None: the generated day, or a Trace of the caller's own
    seed: int
    calendar: bool
    span: Survey
    outages: int
    down_seconds: float
    versions: dict[Version, Result]
    story: Story | None

    def to_json(self) -> str:
        """Return the result as JSON text, the same for the same trace and seed to the byte."""
        versions = {version: result.to_json() for version, result in self.versions.items()}
        return json.dumps({"trace": self.trace, "seed": self.seed, "versions": versions}, indent=2) + "\n"


class Side:
    """One version's half of the comparison: its MTA, its books, and the processes that drive them."""

    def __init__(
        self,
        env: simpy.Environment,
        version: Version,
        *,
        ids: int,
        defect: str | None,
        policy: Policy,
        link: Link,
        operator: Operator,
        on_event: Callable[[LogEntry], None],
    ) -> None:
        self.env = env
        self.version: Version = version
        self.log = EventLog(on_event=on_event, keep=0)
        self.mta = MTA(version, ids=ids, defect=defect, policy=policy, log=self.log, on_left=self._left)
        self.session = self.mta.session
        self.ledger = Ledger()
        self.on_left: Callable[[Entry[Mail]], None] = lambda entry: None
        self.on_collision: Callable[[], None] = lambda: None
        self.on_resumed: Callable[[], None] = lambda: None
        self.on_repeated: Callable[[Entry[Mail] | None], None] = lambda entry: None
        self.on_drained: Callable[[], None] = lambda: None
        self.drained = env.event()
        self._link = link
        self._operator = operator
        self._last_mail_entered = False
        self._reconnecting = False
        self._seen: Collision | None = None  # the last collision that was told
        self._listens = False  # the line waits, and a new message or the link's return may shorten the wait
        self._line = env.process(self._carry())

    # Inputs, applied to both sides by the feeder and the outages

    def enter(self, message: Mail) -> None:
        """Enter one message, and wake a line that waits for mail."""
        entry = self.session.enter(self.env.now, message, priority=message.priority, not_before=message.not_before)
        self.ledger.entered(entry, len(self.session))
        if self._listens and self.session.state in (State.IDLE, State.OPEN):
            self._wake()

    def last_mail_entered(self) -> None:
        """Note that the trace is at its end."""
        self._last_mail_entered = True
        self._check_drained()

    def link_down(self) -> None:
        """Lose the transport."""
        self.session.link_down(self.env.now)
        self._reconnecting = True
        self._look()
        self._wake()

    def link_up(self) -> None:
        """Get the transport back."""
        self.session.link_up(self.env.now)
        self._look()
        if self._listens:
            self._wake()

    def result(self, *, ids: int, undated: int) -> Result:
        """Close the books."""
        return self.ledger.close(
            self.env.now, self.version, self.session, defect=self.mta.defect, ids=ids, undated=undated
        )

    # Processes

    def _carry(self) -> Process:
        """The line: open, start, wait for the acknowledgement, and again. A wait ends early if something wakes it."""
        env, session = self.env, self.session
        while True:
            if session.state is State.OPEN:
                entry = session.start(env.now)
                self._look()
                if entry is not None:
                    try:
                        yield env.timeout(self._link.seconds(entry.body.size))
                    except simpy.Interrupt:
                        continue  # the link was lost; the session knows
                    session.acknowledged(env.now)
                    if not session.queue.qsize():
                        self.on_drained()
                    continue
            at = session.wakes_at
            if at is not None and at <= env.now:
                self._open()
                continue
            self._listens = True
            try:
                yield env.event() if at is None else env.timeout(at - env.now)
            except simpy.Interrupt:
                continue
            finally:
                self._listens = False

    def _open(self) -> None:
        if self.session.open(self.env.now) and self._reconnecting:
            self._reconnecting = False
            # The peer cannot know whether its last acknowledgement arrived before the loss (A).
            if self.session.acknowledgement_repeated():
                self.on_repeated(self.session.last_acknowledged)
        self._look()

    def _wake(self) -> None:
        self._listens = False
        self._line.interrupt()

    def _look(self) -> None:
        """See whether a hang began or ended."""
        hung = self.ledger.hanging
        collision = self.session.collision
        before = self._seen
        self.ledger.look(self.env.now, self.session)
        if collision is not None and collision is not before:
            self._seen = collision
            self.on_collision()
        if self.ledger.hanging and not hung:
            self.env.process(self._operate(self.ledger.hangs))
        elif hung and not self.ledger.hanging:
            self.on_resumed()

    def _operate(self, hang: int) -> Process:
        """The operator: one visit to one hang, and further looks until the queue moves."""
        delay = self._operator.delay(self.env.now)
        while True:
            yield self.env.timeout(delay)
            collision = self.session.collision
            if collision is None or self.ledger.hangs != hang:
                return  # it moves again, or another hang has begun, with a visit of its own
            if self.session.live(collision.mtsid) > 1:
                self.session.delete(self.env.now, collision.mtsid)
            self._operator.last_delete = self.env.now
            delay = self._operator.attentive

    def _left(self, entry: Entry[Mail]) -> None:
        self.ledger.leaves(entry)
        self.on_left(entry)
        self._check_drained()

    def _check_drained(self) -> None:
        if self._last_mail_entered and not len(self.session) and not self.drained.triggered:
            self.drained.succeed()


class _Run:
    """The two sides and what they share: the feeder, the outages, the teller of the story."""

    def __init__(self, env: simpy.Environment, sides: tuple[Side, Side], seed: int) -> None:
        self.env = env
        self.sides = sides
        self.outages = 0
        self.down_seconds = 0.0
        self.teller = StoryTeller()
        self._rng = Random(f"{seed}/outages")
        self._incident = False
        old, new = sides
        old.on_left = self.teller.left
        new.on_left = self.teller.left_sp2
        old.on_collision = lambda: self.teller.collided(old.session, new.session)
        old.on_resumed = lambda: self.teller.resumed(env.now, old.ledger.hung_messages, old.ledger.hung_seconds)
        old.on_repeated = lambda entry: self.teller.repeated(env.now, entry)
        old.on_drained = lambda: self.teller.drained(env.now)

    def feed(self, messages: Iterator[Mail], incidents: Iterator[int], progress: Callable[[int], None]) -> Process:
        """Enter every message into both queues at its time, and let the incidents happen."""
        env, (old, new) = self.env, self.sides
        next_incident = next(incidents, 0)
        for message in messages:
            if message.time > env.now:
                yield env.timeout(message.time - env.now)
            old.enter(message)
            new.enter(message)
            if message.index == next_incident:
                next_incident = next(incidents, 0)
                if not self._incident:  # one at a time: a link that is down cannot be lost
                    env.process(self._suffer())
            if not message.index % PROGRESS_EVERY:
                progress(message.index)
        old.last_mail_entered()
        new.last_mail_entered()

    def _suffer(self) -> Process:
        """One incident: the link is lost and comes back, perhaps several times."""
        self._incident = True
        for outage in incident(self._rng, first=not self.outages):
            yield self.env.timeout(outage.after)
            self.outages += 1
            self.down_seconds += outage.seconds
            self.teller.lost(self.env.now)
            for side in self.sides:
                side.link_down()
            yield self.env.timeout(outage.seconds)
            for side in self.sides:
                side.link_up()
        self._incident = False


def compare(
    trace: str | os.PathLike[str] | Trace | None = None,
    *,
    seed: int = DEFAULT_SEED,
    defect: str = DEFECTS[0],
    ids: int = DEFAULT_IDS,
    policy: Policy | None = None,
    link: Link | None = None,
    extra_time: float = EXTRA_TIME,
    progress: Callable[[int, int], None] | None = None,
    on_event: Callable[[Version, LogEntry], None] | None = None,
) -> Comparison:
    """Run a trace through both versions and return what happened to it.

    `trace`: a path ("-" is standard input), a Trace, or None for a generated working day. `seed` draws sizes,
    priorities, outages and the operator's delays. `defect`: what 4.0 does wrong, one of DEFECTS but `racy-claim`.
    `ids`: how many MTSIDs either queue has. `policy`, `link`: the timers and the line. `extra_time`: for how many
    seconds after the last message the run may go on to drain the queues. `progress(done, total)` is called every few
    hundred messages, `on_event(version, entry)` for every event, in order of time.

    Raises TraceError for a trace that cannot be read, ValueError for another bad argument, and AccountingError if a
    message is unaccounted for, which would be a defect of this program.
    """
    check(seed, defect, ids)
    if not (math.isfinite(extra_time) and extra_time >= 0):
        raise ValueError(f"extra_time must be finite and not negative, not {extra_time!r}")
    source: Trace
    path: str | None = None
    if trace is None:
        source = GeneratedDay(seed)
    elif isinstance(trace, (str, os.PathLike)):
        path = os.fspath(trace)
        source = open_trace(path)
    else:
        source = trace
    try:
        return _compare(
            source,
            path,
            seed=seed,
            defect=defect,
            ids=ids,
            policy=policy or Policy(),
            link=link or Link(),
            extra_time=extra_time,
            progress=progress or (lambda done, total: None),
            on_event=on_event or (lambda version, entry: None),
        )
    finally:
        if source is not trace:
            source.close()


def check(seed: int = DEFAULT_SEED, defect: str = DEFECTS[0], ids: int = DEFAULT_IDS) -> None:
    """Check the arguments of `compare`. Raises ValueError, whose text is one line."""
    for name, value in (("seed", seed), ("ids", ids)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name} must be a whole number, not {value!r}")
    if not 1 <= ids <= LARGEST_IDS:
        raise ValueError(f"ids must be 1 to {LARGEST_IDS:,}, not {ids}")
    if defect not in DEFECTS:
        raise ValueError(f"defect must be one of {', '.join(DEFECTS[:3])}, not {defect!r}")
    if defect == "racy-claim":
        raise ValueError(
            "racy-claim is a race of real threads and has no place in virtual time: "
            "run `mtsid storm --defect racy-claim`"
        )


def _compare(
    trace: Trace,
    path: str | None,
    *,
    seed: int,
    defect: str,
    ids: int,
    policy: Policy,
    link: Link,
    extra_time: float,
    progress: Callable[[int, int], None],
    on_event: Callable[[Version, LogEntry], None],
) -> Comparison:
    span = survey(trace)
    env = simpy.Environment(initial_time=span.first)

    def side(version: Version) -> Side:
        def logged(entry: LogEntry) -> None:
            if version == "4.0":
                run.teller.logged(entry)
            on_event(version, entry)

        return Side(
            env,
            version,
            ids=ids,
            defect=defect if version == "4.0" else None,
            policy=policy,
            link=link,
            operator=Operator(Random(f"{seed}/operator")),
            on_event=logged,
        )

    run = _Run(env, (side("4.0"), side("SP2")), seed)
    env.process(
        run.feed(mail(trace, seed), incident_indices(span.messages, seed), lambda done: progress(done, span.messages))
    )
    both = env.all_of([side.drained for side in run.sides])
    env.run(until=both | env.timeout(span.last - span.first + extra_time))
    progress(span.messages, span.messages)
    results = {side.version: side.result(ids=ids, undated=trace.undated) for side in run.sides}
    return Comparison(
        trace=trace.name,
        trace_path=path,
        seed=seed,
        calendar=trace.calendar,
        span=span,
        outages=run.outages,
        down_seconds=run.down_seconds,
        versions=results,
        story=run.teller.story,
    )
