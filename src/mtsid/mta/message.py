"""One message in an MTA's queue, and the queue's verbs that the MTA uses.

Two identifiers, kept apart: `mtsid` is the queue's own number, given at entry, stripped when the message leaves and
then free for another (S, Q152897); `mts_id` is X.411's permanent MTS-Identifier, which stays with the message to its
destination (K, Q163323) and means nothing to the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Literal, Protocol, TypeVar

__all__ = ["Entry", "Priority", "Queue", "Way"]

B = TypeVar("B")

Priority = Literal["urgent", "normal", "non-urgent"]  # X.400's three (K)


class Way(Enum):
    """How a message left the queue ("leaves" is A), or why it never entered."""

    DELIVERED = "delivered"  # its transfer was acknowledged
    RETRIES = "open retries exhausted"  # non-delivery report after `open_retries` failed opens (K, Q157630)
    OPERATOR = "deleted by the operator"  # counted as not delivered
    QUEUE_FULL = "queue full"  # no MTSID was free at entry: a non-delivery report at once (A)


@dataclass(slots=True, eq=False)
class Entry(Generic[B]):
    """What the MTA knows of a message beside the caller's own `body`. Times in seconds."""

    body: B
    entered: float
    mtsid: int = -1  # -1: it never entered (queue full)
    mts_id: str | None = None  # X.411's, permanent
    not_before: float | None = None  # deferred delivery: no transfer starts before that time
    failures_before: int = 0  # its next hop's count of failed opens when it entered
    transfers: int = 0  # transfers started
    lost_at: float | None = None  # when the transport was last lost with this message in transfer
    left_at: float | None = None
    way: Way | None = None  # how it left; None while it is queued


class Queue(Protocol):
    """The verbs that a next hop uses, with the meaning that the library's own queues give them."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None, *, priority: Priority = "normal") -> int:
        """Enter a message; return its MTSID, or raise Full."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the receipt of the next message (`.mtsid`, `.body`), or raise Empty."""

    def ack(self, message: Any) -> None:
        """Let a message leave."""

    def nack(self, message: Any) -> None:
        """Put a message back in its place."""

    def delete(self, mtsid: int) -> Any:
        """Remove the message of that number (of twins: the oldest); return its body."""

    def qsize(self) -> int:
        """Return how many messages wait."""

    def __len__(self) -> int:
        """Return how many messages wait or are in flight."""
