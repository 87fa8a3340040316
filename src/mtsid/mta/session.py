"""The states of a next hop's transport session, and what turns one into another, as a table.

Source: KB Q152897 (S): a collision "will then cause the transport session to shut down", and the transport connection
may be lost. The states are the project's model (A). A next hop has one session, which may use several associations;
what a single association goes through is its control block's life cycle: life_cycle.py.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["TURNS", "SessionState", "Turn"]


class SessionState(Enum):
    """Where the session of one next hop stands."""

    IDLE = "idle"  # no association of ours stands, and no mail asks for one
    OPENING = "opening"  # the first one is being opened
    OPEN = "open"  # at least one stands, or did and the next one is being opened
    RETRY = "retry"  # all were lost, or none could be opened; the next open is due at an interval
    HELD = "held"  # shut down by a collision; the next open is due at an interval


class Turn(Enum):
    """What changes the state."""

    OPENS = "an open begins"
    STANDS = "an association stands"
    LOST = "lost or refused, with mail queued"
    COLLIDES = "an MTSID collision"
    EMPTY = "nothing to send"
    RESTART = "restart"


_I, _O, _T = SessionState.IDLE, SessionState.OPENING, Turn

TURNS: dict[tuple[SessionState, Turn], SessionState] = {
    (_I, _T.OPENS): _O,
    (_I, _T.LOST): SessionState.RETRY,  # no control block was to be had
    (_O, _T.STANDS): SessionState.OPEN,
    (_O, _T.LOST): SessionState.RETRY,
    (_O, _T.EMPTY): _I,  # the open failed, and an operator deleted the mail meanwhile
    (SessionState.OPEN, _T.LOST): SessionState.RETRY,
    (SessionState.OPEN, _T.COLLIDES): SessionState.HELD,
    (SessionState.OPEN, _T.EMPTY): _I,
    (SessionState.RETRY, _T.OPENS): _O,
    (SessionState.RETRY, _T.LOST): SessionState.RETRY,
    (SessionState.RETRY, _T.EMPTY): _I,
    (SessionState.HELD, _T.OPENS): _O,
    (SessionState.HELD, _T.LOST): SessionState.RETRY,
    (SessionState.HELD, _T.EMPTY): _I,
    **{(state, _T.RESTART): _I for state in SessionState},
}
