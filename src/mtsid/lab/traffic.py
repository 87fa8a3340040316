"""What a trace does not tell, drawn from the seed: sizes, priorities, deferred delivery, and the link's outages.

All of it is assumption (A), plausible for a wide-area link of 1996 and the same for both versions. The parameters stand
here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from mtsid.lab.traces import Trace
from mtsid.mta import Priority

__all__ = ["Link", "Mail", "Outage", "incident", "incident_indices", "mail"]

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Mail:
    """One message of the comparison, shared by both versions: the body that the queues carry."""

    index: int  # its place in the trace, from 1
    time: float  # seconds
    sender: str
    recipient: str
    size: int  # bytes
    priority: Priority
    not_before: float | None  # deferred delivery: no transfer before that time (seconds)


@dataclass(frozen=True)
class Link:
    """The line to the next hop. It carries one message at a time."""

    bytes_per_second: float = 8000.0  # 64 kbit/s
    turnaround: float = 1.5  # seconds a message beside its bytes: open of the activity, acknowledgement

    def seconds(self, size: int) -> float:
        """Return how long a message of `size` bytes takes, acknowledgement included."""
        return self.turnaround + size / self.bytes_per_second


MEDIAN_SIZE, SIZE_SIGMA, LARGEST = 4000, 1.2, 2_000_000  # bytes, log-normal
URGENT, NON_URGENT = 0.03, 0.05  # shares of the messages; the rest is normal
DEFERRED, DEFERRAL = 1 / 250, (6 * HOUR, 24 * HOUR)  # share, and for how long


def mail(trace: Trace, seed: int) -> Iterator[Mail]:
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
            size if row.size is None else min(LARGEST, row.size),
            priority,
            not_before,
        )


@dataclass(frozen=True)
class Outage:
    """The link stays up for `after` seconds more, then it is lost for `seconds`."""

    after: float
    seconds: float


MESSAGES_PER_INCIDENT = 600
LONG = 0.6  # share of the incidents that begin with a longer outage; the others are flaps alone
MEDIAN_OUTAGE, OUTAGE_SIGMA, LONGEST = 0.4 * HOUR, 1.0, 48 * HOUR  # log-normal
FLAPS = (1, 1, 2, 2, 3)  # a link that comes back is lost again so many times
FLAP = 40.0  # mean seconds of a flap, exponential
FLAP_AFTER = (65.0, 240.0)  # seconds from the link's return to the flap: the backlog is on its way


def incident_indices(messages: int, seed: int) -> Iterator[int]:
    """Iterate over the messages (from 1) whose entry brings an incident: a link is lost when it is in use (S).

    One in each stretch of the trace, at a message drawn from it; three at the least if there are as many messages.
    """
    rng = Random(f"{seed}/incidents")
    count = max(min(3, messages), round(messages / MESSAGES_PER_INCIDENT))
    for i in range(count):
        low, high = i * messages // count, (i + 1) * messages // count
        yield rng.randint(low + 1, high)


def incident(rng: Random, *, first: bool) -> Iterator[Outage]:
    """Draw one incident: its outages in order. The `first` of a trace begins with a longer one."""
    if rng.random() < LONG or first:
        yield Outage(rng.uniform(0, 5), min(LONGEST, MEDIAN_OUTAGE * rng.lognormvariate(0, OUTAGE_SIGMA)))
    else:
        yield Outage(rng.uniform(0, 5), 2 + rng.expovariate(1 / FLAP))
    for _ in range(rng.choice(FLAPS)):
        yield Outage(rng.uniform(*FLAP_AFTER), 2 + rng.expovariate(1 / FLAP))
