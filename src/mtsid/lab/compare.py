"""The main job: the same mail and the same outages through a 4.0 and an SP2 MTA, in virtual time (simpy).

One environment, one feeder, one list of outages, two sides. The feeder enters each message of the trace into both MTAs;
links go down and come up for both at once; each side's network does what its MTA asks for. All chance comes from the
seed, so the same trace and seed give the same result to the byte. A trace is read three times: to check it and to
count, to draw the outages at messages of it, and to run it; nothing of it is kept but what is queued.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from mtsid.lab.ledger import Result
from mtsid.lab.outages import Outage, check_outages, draw_outages, edges, read_outages
from mtsid.lab.remnants import FirstRemnant, RemnantStory
from mtsid.lab.side import Process, Side
from mtsid.lab.source import named
from mtsid.lab.story import FirstCollision, Sp2Fate, Story
from mtsid.lab.traces import GeneratedDay, Survey, Trace, TraceError, open_trace, survey
from mtsid.lab.traffic import PEERS, Link, Mail, mail, peer_of
from mtsid.mta import DEFECTS, LogEntry, Policy, Version

__all__ = ["DEFAULT_IDS", "DEFAULT_SEED", "Comparison", "check", "compare", "drawn_outages"]

DEFAULT_SEED = 152897
DEFAULT_IDS = 65535
LARGEST_IDS = 1 << 24
EXTRA_TIME = 3 * 86400.0  # seconds
PROGRESS_EVERY = 500  # messages


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. `versions` has the keys "4.0" and "SP2".

    `outages` are those that began before the run ended, `own_outages` whether they are the caller's, and
    `outages_outside` how many of the caller's lie outside the trace. `story` is 4.0's first collision, `remnant` the
    first control block that it left behind, None without one; `span` counts the messages and tells their first and last
    time. `calendar`: times are seconds since 1970 (mbox), not since the trace's own midnight.
    """

    trace: str
    trace_path: str | None  # as the caller gave it; None: the generated day, or a Trace of the caller's own
    seed: int
    calendar: bool
    span: Survey
    peers: tuple[str, ...]
    outages: tuple[Outage, ...]
    own_outages: bool
    outages_path: str | None  # as the caller gave it; None: they are drawn, or the caller gave a list
    outages_outside: int
    down_seconds: float  # during the run, all outages added up
    versions: dict[Version, Result]
    story: Story | None
    remnant: RemnantStory | None

    def to_json(self) -> str:
        """Return the result as JSON text, the same for the same trace and seed to the byte."""
        data = {
            "trace": self.trace,
            "seed": self.seed,
            "peers": list(self.peers),
            "outages": [[outage.start, outage.end, outage.peer] for outage in self.outages],
            "versions": {version: result.to_json() for version, result in self.versions.items()},
        }
        return json.dumps(data, indent=2) + "\n"


def compare(
    trace: str | os.PathLike[str] | Trace | None = None,
    *,
    seed: int = DEFAULT_SEED,
    defect: str = DEFECTS[0],
    ids: int = DEFAULT_IDS,
    peers: Sequence[str] = PEERS,
    outages: str | os.PathLike[str] | Iterable[Outage] | None = None,
    policy: Policy | None = None,
    link: Link | None = None,
    extra_time: float = EXTRA_TIME,
    progress: Callable[[int, int], None] | None = None,
    on_event: Callable[[Version, LogEntry], None] | None = None,
) -> Comparison:
    """Run a trace through both versions and return what happened to it.

    `trace`: a path ("-" is standard input), a Trace, or None for a generated working day. `seed` draws sizes,
    priorities, the peers' calls and the operator's delays. `defect`: what 4.0's queues do wrong, one of DEFECTS but
    `racy-claim`. `ids`: how many MTSIDs each queue has. `peers`: the servers that mail goes to. `outages`: a path
    ("-" is standard input), a list, or None for some drawn from the seed. `policy`, `link`: limits and timers; the
    lines. `extra_time`: for how many seconds after the last message the run may go on to drain the queues.
    `progress(done, total)` is called every few hundred messages, `on_event(version, entry)` for every event, in order
    of time.

    Raises TraceError for a trace or a list of outages that cannot be read, or of which none lies within the trace,
    ValueError for another bad argument, and AccountingError if a message is unaccounted for, which would be a defect of
    this program.
    """
    check(seed, defect, ids)
    if not (math.isfinite(extra_time) and extra_time >= 0):
        raise ValueError(f"extra_time must be finite and not negative, not {extra_time!r}")
    if isinstance(peers, str) or not peers or len(set(peers)) < len(peers):
        raise ValueError(f"peers must be at least one name, each once, not {peers!r}")
    outages_path: str | None = None
    own: list[Outage] | None = None
    if trace == outages == "-":
        raise ValueError("the trace and the outages cannot both be standard input: put one of them in a file")
    if isinstance(outages, (str, os.PathLike)):
        outages_path = os.fspath(outages)
        own = read_outages(outages, peers)
    elif outages is not None:
        own = check_outages(outages, peers)
    path = os.fspath(trace) if isinstance(trace, (str, os.PathLike)) else None
    source = _source(trace, seed)
    try:
        return _compare(
            source,
            path,
            own,
            outages_path,
            seed=seed,
            defect=defect,
            ids=ids,
            peers=tuple(peers),
            policy=policy or Policy(),
            link=link or Link(),
            extra_time=extra_time,
            progress=progress or (lambda done, total: None),
            on_event=on_event or (lambda version, entry: None),
        )
    finally:
        if source is not trace:
            source.close()


def drawn_outages(
    trace: str | os.PathLike[str] | Trace | None = None,
    *,
    seed: int = DEFAULT_SEED,
    peers: Sequence[str] = PEERS,
    policy: Policy | None = None,
    link: Link | None = None,
) -> list[Outage]:
    """Return the outages that `compare` would draw for a trace. Raises as `compare` does."""
    check(seed)
    source = _source(trace, seed)
    try:
        return _draw(source, survey(source), seed, peers, policy or Policy(), link or Link())
    finally:
        if source is not trace:
            source.close()


def check(seed: int = DEFAULT_SEED, defect: str = DEFECTS[0], ids: int = DEFAULT_IDS) -> None:
    """Check arguments of `compare`. Raises ValueError, whose text is one line."""
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


def _source(trace: str | os.PathLike[str] | Trace | None, seed: int) -> Trace:
    if trace is None:
        return GeneratedDay(seed)
    return open_trace(trace) if isinstance(trace, (str, os.PathLike)) else trace


def _draw(trace: Trace, span: Survey, seed: int, peers: Sequence[str], policy: Policy, link: Link) -> list[Outage]:
    opening = (policy.recovery, policy.recovery + link.connect + link.accept)
    return draw_outages(trace, span.messages, seed, peers, lambda recipient: peer_of(recipient, peers), opening)


def _feed(
    env: simpy.Environment, sides: Iterable[Side], messages: Iterator[Mail], progress: Callable[[int], None]
) -> Process:
    """Enter every message into both MTAs at its time."""
    for message in messages:
        if message.time > env.now:
            yield env.timeout(message.time - env.now)
        for side in sides:
            side.enter(message)
        if not message.index % PROGRESS_EVERY:
            progress(message.index)
    for side in sides:
        side.last_mail_entered()


def _change_links(
    env: simpy.Environment, sides: Iterable[Side], outages: list[Outage], peers: Sequence[str]
) -> Process:
    for edge in edges(outages, peers):
        if edge.time > env.now:
            yield env.timeout(edge.time - env.now)
        for side in sides:
            side.edge(edge)


def _compare(
    trace: Trace,
    path: str | None,
    own: list[Outage] | None,
    outages_path: str | None,
    *,
    seed: int,
    defect: str,
    ids: int,
    peers: tuple[str, ...],
    policy: Policy,
    link: Link,
    extra_time: float,
    progress: Callable[[int, int], None],
    on_event: Callable[[Version, LogEntry], None],
) -> Comparison:
    span = survey(trace)
    end = span.last + extra_time
    if own is None:
        outages = _draw(trace, span, seed, peers, policy, link)
    else:
        outages = [outage for outage in own if outage.end > span.first and outage.start < end]
        if own and not outages:
            raise TraceError(
                "the outages" if outages_path is None else named(outages_path),
                None,
                f"none of them lies within the trace, which runs from {span.first:.15g} to {span.last:.15g}: "
                "are their seconds the trace's?",
            )
    env = simpy.Environment(initial_time=span.first)
    shared: dict[str, Any] = {"peers": peers, "ids": ids, "policy": policy, "link": link, "seed": seed}
    fate, remnant = Sp2Fate(), FirstRemnant()
    collision = FirstCollision(fate)
    old = Side(
        env,
        "4.0",
        defect=defect,
        on_event=lambda entry: on_event("4.0", entry),
        watchers=(collision, remnant),
        **shared,
    )
    new = Side(env, "SP2", defect=None, on_event=lambda entry: on_event("SP2", entry), watchers=(fate,), **shared)
    collision.clock, collision.sp2 = old.ledger.clocks, new.mta
    remnant.attempts = old.network.attempts
    sides = (old, new)
    env.process(_change_links(env, sides, outages, peers))
    env.process(_feed(env, sides, mail(trace, seed, peers), lambda done: progress(done, span.messages)))
    both = env.all_of([side.drained for side in sides])
    env.run(until=both | env.timeout(end - span.first))
    progress(span.messages, span.messages)
    happened = tuple(outage for outage in outages if outage.start <= env.now)
    return Comparison(
        trace=trace.name,
        trace_path=path,
        seed=seed,
        calendar=trace.calendar,
        span=span,
        peers=peers,
        outages=happened,
        own_outages=own is not None,
        outages_path=outages_path,
        outages_outside=0 if own is None else len(own) - len(happened),
        down_seconds=sum(min(outage.end, env.now) - max(outage.start, span.first) for outage in happened),
        versions={side.version: side.result(ids=ids, undated=trace.undated) for side in sides},
        story=collision.story,
        remnant=remnant.story,
    )
