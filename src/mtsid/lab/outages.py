"""Outages: when the link to which peer is down. A user's own list, or one drawn from the seed.

A list is text, one outage a line: `start end peer`, times in seconds on the trace's own clock, `*` for every peer;
empty lines and lines that begin with "#" are skipped. What is drawn (A) is plausible for wide-area links of 1996, the
same for both versions, and can be written in that form; its parameters stand here and nowhere else.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from mtsid.lab.source import Source, TraceError, printable
from mtsid.lab.traces import LATEST, Trace

__all__ = ["EVERY", "Edge", "Outage", "check_outages", "draw_outages", "edges", "format_outages", "read_outages"]

EVERY = "*"  # in place of a peer: all of them
HOUR = 3600.0


@dataclass(frozen=True)
class Outage:
    """The link to `peer` (EVERY: all links) is down from `start` until `end`, in seconds."""

    start: float
    end: float
    peer: str

    def fault(self, peers: Sequence[str]) -> str:
        """Return what is wrong with it by itself; empty: nothing."""
        if not (-LATEST < self.start < LATEST and -LATEST < self.end < LATEST):  # NaN too
            return f"start and end must be finite and plausible, not {self.start!r} and {self.end!r}"
        if self.end <= self.start:
            return f"the outage is reversed: it ends at {self.end:.15g}, but begins at {self.start:.15g}"
        if self.peer != EVERY and self.peer not in peers:
            return f"there is no peer {printable(self.peer)!r}: the peers are {', '.join(peers)}, and * for all"
        return ""


N = TypeVar("N")


def _overlaps(outages: Iterable[tuple[N, Outage]], peers: Sequence[str]) -> tuple[N, N] | None:
    """Return two that hold one link down at the same time, the later one first; None: there are no such two."""
    last: dict[str, tuple[float, N]] = {}
    for name, outage in sorted(outages, key=lambda pair: (pair[1].start, pair[1].end)):
        for peer in peers if outage.peer == EVERY else (outage.peer,):
            end, other = last.get(peer, (-math.inf, name))
            if outage.start < end:
                return name, other
            last[peer] = outage.end, name
    return None


def check_outages(outages: Iterable[Outage], peers: Sequence[str]) -> list[Outage]:
    """Return them in order of time. Raises ValueError for one that is reversed, overlaps another, or names no peer."""
    known = list(outages)
    for outage in known:
        if fault := outage.fault(peers):
            raise ValueError(f"outage {outage.start!r} {outage.end!r} {outage.peer}: {fault}")
    pair = _overlaps(((outage, outage) for outage in known), peers)
    if pair is not None:
        raise ValueError(f"two outages of one link overlap: {pair[1]} and {pair[0]}")
    return sorted(known, key=lambda outage: (outage.start, outage.end))


def read_outages(path: str | os.PathLike[str], peers: Sequence[str]) -> list[Outage]:
    """Read a list of outages, plain, .gz or .xz; "-" is standard input. Raises TraceError, naming the line."""
    source = Source(path)
    read: list[tuple[int, Outage]] = []
    try:
        for number, line in source.lines():
            fields = line.split()
            if not fields or fields[0].startswith(b"#"):
                continue
            try:
                start, end, peer = fields
                outage = Outage(float(start), float(end), peer.decode())
            except ValueError:
                shown = printable(line.decode(errors="replace").strip(), 40)
                raise TraceError(source.name, number, f"should be `start end peer`, in seconds: {shown}") from None
            if fault := outage.fault(peers):
                raise TraceError(source.name, number, fault)
            read.append((number, outage))
    finally:
        source.close()
    pair = _overlaps(read, peers)
    if pair is not None:
        raise TraceError(source.name, pair[0], f"overlaps line {pair[1]}: a link that is down cannot be lost")
    return check_outages((outage for _, outage in read), peers)


def format_outages(outages: Iterable[Outage]) -> str:
    """Return a list of outages as text that `read_outages` takes, to the bit."""
    return "".join(f"{outage.start!r} {outage.end!r} {outage.peer}\n" for outage in outages)


@dataclass(frozen=True)
class Edge:
    """One change of the links: at `time` those to `peers` go down or come up."""

    time: float
    up: bool
    peers: tuple[str, ...]
    outage: Outage


def edges(outages: Iterable[Outage], peers: Sequence[str]) -> list[Edge]:
    """Return the outages' beginnings and ends in order of time; at one instant, what ends comes before what begins."""
    found = []
    for outage in outages:
        of = tuple(peers) if outage.peer == EVERY else (outage.peer,)
        found += [Edge(outage.start, False, of, outage), Edge(outage.end, True, of, outage)]
    return sorted(found, key=lambda edge: (edge.time, not edge.up))


MESSAGES_PER_INCIDENT = 600
LONG = 0.6  # share of the incidents that begin with a longer outage; the others are flaps alone
MEDIAN_OUTAGE, OUTAGE_SIGMA, LONGEST = 0.4 * HOUR, 1.0, 48 * HOUR  # log-normal
FLAPS = (1, 2, 2, 3, 4)  # a link that comes back is lost again so many times: "cycling up and down" (S)
FLAP = 40.0  # mean seconds of a flap, exponential
AT_OPEN = 0.5  # share of the flaps that come while the session is being opened: a shaky line fails when it is used
FLAP_AFTER = (65.0, 240.0)  # seconds from the link's return to any other flap: the backlog is on its way
EVERYWHERE = 0.15  # share of the incidents that are our own line's: every peer is cut off at once


BUSY = 10.0  # seconds: a link is as likely to be lost as so many messages of the last ten, cubed
AFTER_ENTRY = (0.0, 10.0)  # seconds from the message that brings an incident to the loss


def _incidents(trace: Trace, messages: int, seed: int, peer_of: Callable[[str], str]) -> Iterator[tuple[float, str]]:
    """Iterate over (time, peer) of the messages that bring an incident: a link is lost when it is backed up (S).

    One in each stretch of the trace; three at the least if there are as many messages. Weighted reservoir sampling, so
    that one pass over the trace will do (Efraimidis and Spirakis, 2006).
    """
    rng = Random(f"{seed}/incidents")
    count = max(min(3, messages), round(messages / MESSAGES_PER_INCIDENT))
    recent: dict[str, deque[float]] = {}
    stretch, best, chosen = 0, -1.0, (0.0, "")
    for index, row in enumerate(trace):
        if index * count // messages != stretch:
            yield chosen
            stretch, best = index * count // messages, -1.0
        peer = peer_of(row.recipient)
        times = recent.setdefault(peer, deque())
        times.append(row.time)
        while times[0] < row.time - BUSY:
            times.popleft()
        key = rng.random() ** (1 / len(times) ** 3)
        if key > best:
            best, chosen = key, (row.time, peer)
    yield chosen


def _incident(rng: Random, start: float, peer: str, opening: tuple[float, float], *, first: bool) -> Iterator[Outage]:
    """Draw one incident: its outages in order. The `first` of a trace begins with a longer one, of one peer's link."""
    if rng.random() < EVERYWHERE and not first:
        peer = EVERY
    at = start + rng.uniform(*AFTER_ENTRY)
    if rng.random() < LONG or first:
        end = at + min(LONGEST, MEDIAN_OUTAGE * rng.lognormvariate(0, OUTAGE_SIGMA))
    else:
        end = at + 2 + rng.expovariate(1 / FLAP)
    yield Outage(round(at, 3), round(end, 3), peer)
    for _ in range(rng.choice(FLAPS)):
        at = end + rng.uniform(*(opening if rng.random() < AT_OPEN else FLAP_AFTER))
        end = at + 2 + rng.expovariate(1 / FLAP)
        yield Outage(round(at, 3), round(end, 3), peer)


def draw_outages(
    trace: Trace,
    messages: int,
    seed: int,
    peers: Sequence[str],
    peer_of: Callable[[str], str],
    opening: tuple[float, float],
) -> list[Outage]:
    """Draw the outages of a trace of so many messages, reading it once.

    `peer_of` tells a recipient's peer; `opening` when, in seconds after a link's return, its session is being opened.
    """
    rng = Random(f"{seed}/outages")
    busy = dict.fromkeys(peers, -math.inf)  # until when an incident holds the link
    drawn: list[Outage] = []
    for time, peer in _incidents(trace, messages, seed, peer_of):
        incident = list(_incident(rng, time, peer, opening, first=not drawn))
        of = peers if incident[0].peer == EVERY else (incident[0].peer,)
        if all(busy[name] < incident[0].start for name in of):  # one at a time: a link that is down cannot be lost
            busy.update(dict.fromkeys(of, incident[-1].end))
            drawn += incident
    return check_outages(drawn, peers)
