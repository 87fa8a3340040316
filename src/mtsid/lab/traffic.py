"""What a trace does not tell, drawn from the seed: peers, sizes, priorities, deferred delivery, the peers' own calls.

All of it is assumption (A), plausible for wide-area links of 1996 and the same for both versions. The parameters stand
here and nowhere else; those of the outages stand in outages.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from mtsid.lab.traces import Trace
from mtsid.mta import Priority

__all__ = ["PEERS", "QUIET", "Call", "Link", "Mail", "calls", "mail", "peer_of"]

HOUR = 3600.0
PEERS = ("NORTH", "EAST", "SOUTH", "WEST")  # the servers that mail goes to


@dataclass(frozen=True, slots=True)
class Mail:
    """One message of the comparison, shared by both versions: the body that the queues carry."""

    index: int  # its place in the trace, from 1
    time: float  # seconds
    sender: str
    recipient: str
    peer: str  # the next hop
    size: int  # bytes
    priority: Priority
    not_before: float | None  # deferred delivery: no transfer before that time (seconds)


@dataclass(frozen=True)
class Link:
    """The line to a peer. It carries one message at a time."""

    bytes_per_second: float = 8000.0  # 64 kbit/s
    turnaround: float = 1.5  # seconds a message beside its bytes: open of the activity, acknowledgement
    connect: float = 1.5  # seconds from the request for a transport connection to its confirm
    accept: float = 1.5  # seconds from the proposal of an association to its acceptance

    def seconds(self, size: int) -> float:
        """Return how long a message of `size` bytes takes, acknowledgement included."""
        return self.turnaround + size / self.bytes_per_second


MEDIAN_SIZE, SIZE_SIGMA, LARGEST = 4000, 1.2, 2_000_000  # bytes, log-normal
URGENT, NON_URGENT = 0.03, 0.05  # shares of the messages; the rest is normal
DEFERRED, DEFERRAL = 1 / 250, (6 * HOUR, 24 * HOUR)  # share, and for how long


def peer_of(recipient: str, peers: Sequence[str]) -> str:
    """Return the peer that a recipient's mail goes to: one for each domain, or for each name without a domain."""
    domain = recipient.rpartition("@")[2]
    return peers[zlib.crc32(domain.lower().encode()) % len(peers)]


def mail(trace: Trace, seed: int, peers: Sequence[str] = PEERS) -> Iterator[Mail]:
    """Iterate over a trace's messages, completed from the seed."""
    rng = Random(f"{seed}/mail")
    draw = rng.random
    for index, row in enumerate(trace, 1):
        chosen = draw()
        priority: Priority = "urgent" if chosen < URGENT else "non-urgent" if chosen > 1 - NON_URGENT else "normal"
        size = min(LARGEST, int(MEDIAN_SIZE * rng.lognormvariate(0, SIZE_SIGMA)))
        not_before = row.time + rng.uniform(*DEFERRAL) if draw() < DEFERRED else None
        yield Mail(
            index,
            row.time,
            row.sender,
            row.recipient,
            peer_of(row.recipient, peers),
            size if row.size is None else min(LARGEST, row.size),
            priority,
            not_before,
        )


CALL_EVERY = 2 * HOUR  # mean, exponential: how often a peer opens an association to us
CALL_SECONDS = (30.0, 600.0)
QUIET = 24 * HOUR  # when no mail has gone out for so long, no peer calls before some does


@dataclass(frozen=True)
class Call:
    """A peer opens an association to us `after` seconds, and keeps it open for `seconds`."""

    after: float
    seconds: float


def calls(peer: str, seed: int) -> Iterator[Call]:
    """Iterate over one peer's calls, one after the other, without end."""
    rng = Random(f"{seed}/calls/{peer}")
    while True:
        yield Call(rng.expovariate(1 / CALL_EVERY), rng.uniform(*CALL_SECONDS))
