"""The states of one session and of one message, and every allowed transition.

Source: KB Q152897 (S) for "enters", "leaves", "hangs"; the states and transitions are the project's model (A).
Control blocks are another table.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["TRANSITIONS", "State", "Way"]


class State(Enum):
    """Where the session of one queue stands."""

    IDLE = "idle"  # closed; no mail asked for it since it was closed
    OPEN = "open"  # the association stands, nothing is in transfer
    TRANSFER = "transfer"  # one message is in transfer, not yet acknowledged
    RETRY = "retry"  # closed: the transport was lost, or an open failed; the next open is due at an interval
    HELD = "held"  # closed by a collision; the next open is due at an interval


# What may follow what. A session that leaves this table has a defect of its own: it raises RuntimeError.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.IDLE: frozenset({State.OPEN, State.RETRY}),  # an open that succeeds; one that fails
    State.OPEN: frozenset({State.TRANSFER, State.HELD, State.RETRY, State.IDLE}),  # start; collision; loss (mail, none)
    State.TRANSFER: frozenset({State.OPEN, State.RETRY, State.IDLE}),  # acknowledged; loss; loss, no mail left
    State.RETRY: frozenset({State.OPEN, State.RETRY, State.IDLE}),  # opened; failed again; no mail is left
    State.HELD: frozenset({State.OPEN, State.RETRY, State.IDLE}),  # opened; the link is down; no mail is left
}


class Way(Enum):
    """How a message left the queue ("leaves" is A), or why it never entered."""

    DELIVERED = "delivered"  # its transfer was acknowledged
    RETRIES = "open retries exhausted"  # non-delivery report after `open_retries` failed opens (K, Q157630)
    OPERATOR = "deleted by the operator"  # counted as not delivered
    QUEUE_FULL = "queue full"  # no MTSID was free at entry: a non-delivery report at once (A)
