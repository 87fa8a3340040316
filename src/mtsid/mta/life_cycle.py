"""The life cycle of a kernel control block (KCB) as a table: state x primitive -> next state, steps.

Source: KB Q152877 (S): control blocks are created when associations are established; when the session closes on an
Open Error the block "is not always returned to an idle state and some paths leading to the KCB are left in conflicting
states". The states (only 0 is attested: "Current state 0"), the primitives and the steps are the project's model (A),
named as in X.225, X.226 and X.217. As in the state tables of those standards, a row may carry a predicate.

`SP2` is the whole table; `V40` lists the rows in which 4.0 differs, and nothing else. Both are data: `kernel.py` runs
them, `side_by_side` compares them, `diagrams.py` draws them.

It must not know: blocks, paths, timers' lengths, mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from mtsid.mta.versions import Version

__all__ = [
    "ANSWERS",
    "CLEAN_UP",
    "FROM_NETWORK",
    "SP2",
    "TABLES",
    "V40",
    "Key",
    "Primitive",
    "Row",
    "State",
    "Step",
    "When",
]


class State(IntEnum):
    """Where a control block stands. 0 is the number that event 1198 prints; the others are A."""

    IDLE = 0  # in the pool
    AWAIT_TRANSPORT = 1  # a transport connection was asked for
    AWAIT_ACCEPT = 2  # the transport stands, the association was asked for
    OPEN = 3  # the association stands
    CLOSING = 4  # its release was asked for
    OPEN_ERROR = 5  # it could not be opened; what is left of the connection has the disconnect timer's time to go


class Primitive(Enum):
    """What a block is told: requests from above, indications and confirms from below, and its timer."""

    ASSOCIATE_REQUEST = "A-ASSOCIATE request"
    RELEASE_REQUEST = "A-RELEASE request"
    ABORT_REQUEST = "A-ABORT request"
    CONNECT_INDICATION = "T-CONNECT indication"  # the peer's whole proposal (A: X.225 sends it in two parts)
    CONNECT_CONFIRM = "T-CONNECT confirm"
    DISCONNECT_INDICATION = "T-DISCONNECT indication"
    ACCEPT = "A-ASSOCIATE confirm, accepted"
    REFUSE = "A-ASSOCIATE confirm, refused"
    RELEASE_INDICATION = "A-RELEASE indication"
    RELEASE_CONFIRM = "A-RELEASE confirm"
    TRANSFER_CONFIRM = "RT-TRANSFER confirm"  # the peer has the message
    SESSION_INDICATION = "S-P-ABORT indication"
    PRESENTATION_INDICATION = "P-DATA indication"
    DISCONNECT_TIMER = "disconnect timer"  # in OPEN_ERROR: the Open Error is processed


#: What shows that the link came back: the peer's answer to the open that was given up.
ANSWERS = frozenset({Primitive.CONNECT_CONFIRM, Primitive.ACCEPT, Primitive.REFUSE})

#: What may come from the network for a block that stands. A connect indication names an entity, not a block.
FROM_NETWORK = frozenset(
    {
        Primitive.CONNECT_CONFIRM,
        Primitive.DISCONNECT_INDICATION,
        Primitive.ACCEPT,
        Primitive.REFUSE,
        Primitive.RELEASE_INDICATION,
        Primitive.RELEASE_CONFIRM,
        Primitive.TRANSFER_CONFIRM,
        Primitive.SESSION_INDICATION,
        Primitive.PRESENTATION_INDICATION,
    }
)


class When(Enum):
    """A row's predicate. For each state and primitive either ALWAYS has a row, or some of the others have."""

    ALWAYS = ""
    NOTHING_PENDING = "no answer pending"
    PENDING_AFTER_1 = "answer pending, failed in state 1"  # it came while the block stood in OPEN_ERROR
    PENDING_AFTER_2 = "answer pending, failed in state 2"
    HANDLE_CUT = "POP-4 path cut"  # R1: the clean-up has been and left it


class Step(Enum):
    """What a row does, in its order."""

    LINK_PATHS = "link the three paths"
    CUT_ENTITY = "cut the entity's path"
    CUT_ASSOCIATION = "cut the association's path"
    CUT_HANDLE = "cut the POP-4 path"
    START_TIMER = "start the disconnect timer"
    STOP_TIMER = "stop timers"
    BUMP_GENERATION = "bump the generation"
    RETURN_TO_POOL = "return to the pool"
    RETURN_EARLY = "return early"  # 4.0: the rest of the clean-up is not done
    HOLD = "leave the primitive pending"
    SEND_CONNECT = "ask for the transport"
    SEND_ASSOCIATE = "ask for the association"
    SEND_RELEASE = "ask for the release"
    SEND_DISCONNECT = "disconnect the transport"
    REPORT_OPEN = "report: open"
    REPORT_FAILED = "report: open error"
    REPORT_CLOSED = "report: closed"
    REPORT_CLEAN = "report: cleaned up"
    REPORT_TRANSFER = "report: transfer confirmed"
    LOG_1004 = "log 1004"
    LOG_1008 = "log 1008"
    LOG_1198 = "log 1198"
    LOG_1277 = "log 1277"


@dataclass(frozen=True)
class Row:
    """One row: in `state`, told `primitive`, and if `when` holds, the block does `steps` and is then in `next`."""

    state: State
    primitive: Primitive
    next: State
    steps: tuple[Step, ...] = ()
    when: When = When.ALWAYS

    @property
    def key(self) -> Key:
        """What the row answers to."""
        return self.state, self.primitive, self.when


Key = tuple[State, Primitive, When]

#: SP2's clean-up, one step for whoever looks on. 4.0's is the same, but may return before its end.
CLEAN_UP = (
    Step.STOP_TIMER,
    Step.CUT_ENTITY,
    Step.CUT_ASSOCIATION,
    Step.CUT_HANDLE,
    Step.BUMP_GENERATION,
    Step.RETURN_TO_POOL,
)

#: What may come for a connection that never stood: an answer, and its end. Of these an answer alone is "pending" (A).
HELD = ANSWERS | {Primitive.DISCONNECT_INDICATION, Primitive.SESSION_INDICATION, Primitive.PRESENTATION_INDICATION}

_CLOSED = (Step.REPORT_CLOSED, *CLEAN_UP)
_ABORTED = (Step.SEND_DISCONNECT, Step.REPORT_CLOSED, *CLEAN_UP)
_FAILED = (Step.REPORT_FAILED, Step.START_TIMER)
_REFUSED = (Step.SEND_DISCONNECT, *_FAILED)

S, P, W = State, Primitive, When

SP2 = (
    # A block leaves the pool for an association that is opened from here, or from there.
    Row(S.IDLE, P.ASSOCIATE_REQUEST, S.AWAIT_TRANSPORT, (Step.LINK_PATHS, Step.SEND_CONNECT)),
    Row(S.IDLE, P.CONNECT_INDICATION, S.OPEN, (Step.LINK_PATHS, Step.REPORT_OPEN)),
    # Opening.
    Row(S.AWAIT_TRANSPORT, P.CONNECT_CONFIRM, S.AWAIT_ACCEPT, (Step.SEND_ASSOCIATE,)),
    Row(S.AWAIT_TRANSPORT, P.DISCONNECT_INDICATION, S.OPEN_ERROR, _FAILED),
    Row(S.AWAIT_TRANSPORT, P.SESSION_INDICATION, S.OPEN_ERROR, _REFUSED),
    Row(S.AWAIT_TRANSPORT, P.ABORT_REQUEST, S.IDLE, _ABORTED),
    Row(S.AWAIT_ACCEPT, P.ACCEPT, S.OPEN, (Step.REPORT_OPEN,)),
    Row(S.AWAIT_ACCEPT, P.REFUSE, S.OPEN_ERROR, _REFUSED),
    Row(S.AWAIT_ACCEPT, P.DISCONNECT_INDICATION, S.OPEN_ERROR, _FAILED),
    Row(S.AWAIT_ACCEPT, P.SESSION_INDICATION, S.OPEN_ERROR, _REFUSED),
    Row(S.AWAIT_ACCEPT, P.ABORT_REQUEST, S.IDLE, _ABORTED),
    # Open.
    Row(S.OPEN, P.TRANSFER_CONFIRM, S.OPEN, (Step.REPORT_TRANSFER,)),
    Row(S.OPEN, P.PRESENTATION_INDICATION, S.OPEN),
    Row(S.OPEN, P.RELEASE_REQUEST, S.CLOSING, (Step.SEND_RELEASE, Step.START_TIMER)),
    Row(S.OPEN, P.RELEASE_INDICATION, S.IDLE, _ABORTED),
    Row(S.OPEN, P.DISCONNECT_INDICATION, S.IDLE, _CLOSED),
    Row(S.OPEN, P.SESSION_INDICATION, S.IDLE, _ABORTED),
    Row(S.OPEN, P.ABORT_REQUEST, S.IDLE, _ABORTED),
    # Closing.
    Row(S.CLOSING, P.RELEASE_CONFIRM, S.IDLE, _CLOSED),
    Row(S.CLOSING, P.RELEASE_INDICATION, S.IDLE, _ABORTED),  # both sides released at once
    Row(S.CLOSING, P.DISCONNECT_INDICATION, S.IDLE, _CLOSED),
    Row(S.CLOSING, P.SESSION_INDICATION, S.IDLE, _ABORTED),
    Row(S.CLOSING, P.ABORT_REQUEST, S.IDLE, _ABORTED),
    Row(S.CLOSING, P.DISCONNECT_TIMER, S.IDLE, _ABORTED),
    # Open Error: what the failed connection still brings waits until the error is processed.
    *(Row(S.OPEN_ERROR, primitive, S.OPEN_ERROR, (Step.HOLD,)) for primitive in P if primitive in HELD),
    Row(S.OPEN_ERROR, P.DISCONNECT_TIMER, S.IDLE, (Step.REPORT_CLEAN, *CLEAN_UP), W.NOTHING_PENDING),
    Row(
        S.OPEN_ERROR,
        P.DISCONNECT_TIMER,
        S.IDLE,
        (Step.SEND_DISCONNECT, Step.REPORT_CLEAN, *CLEAN_UP),
        W.PENDING_AFTER_1,
    ),
    Row(
        S.OPEN_ERROR,
        P.DISCONNECT_TIMER,
        S.IDLE,
        (Step.SEND_DISCONNECT, Step.REPORT_CLEAN, *CLEAN_UP),
        W.PENDING_AFTER_2,
    ),
)

_TERMINATED = (Step.SEND_DISCONNECT, Step.CUT_HANDLE, Step.BUMP_GENERATION, Step.RETURN_TO_POOL)

#: Where 4.0 differs (A). The first two are the defect, the others what follows from it: in SP2 nothing leads to an idle
#: block, and no block has lost its POP-4 path alone, so these rows have nothing to answer to.
V40 = (
    # DEFECT open-error (A): the clean-up returns early if the peer's answer is pending. R2, dangling: idle, the
    # entity's path cut, the POP-4 path still live.
    Row(
        S.OPEN_ERROR,
        P.DISCONNECT_TIMER,
        S.IDLE,
        (Step.REPORT_CLEAN, Step.STOP_TIMER, Step.CUT_ENTITY, Step.CUT_ASSOCIATION, Step.RETURN_EARLY),
        W.PENDING_AFTER_1,
    ),
    # DEFECT open-error (A), the same one stage further. R1, stuck: not idle, the entity's path kept, POP-4's cut.
    Row(
        S.OPEN_ERROR,
        P.DISCONNECT_TIMER,
        S.OPEN_ERROR,
        (Step.REPORT_CLEAN, Step.STOP_TIMER, Step.CUT_HANDLE, Step.RETURN_EARLY),
        W.PENDING_AFTER_2,
    ),
    # R1 keeps its block until a restart. The first local retry of its association still selects it.
    Row(S.OPEN_ERROR, P.ASSOCIATE_REQUEST, S.OPEN_ERROR, (Step.LOG_1004, Step.CUT_ASSOCIATION), W.HANDLE_CUT),
    Row(S.OPEN_ERROR, P.CONNECT_INDICATION, S.OPEN_ERROR, (Step.LOG_1277,), W.HANDLE_CUT),
    # R2: "the association will be terminated" (S), and that is the end of what was left of it.
    Row(S.IDLE, P.PRESENTATION_INDICATION, S.IDLE, (Step.LOG_1198, *_TERMINATED)),
    Row(S.IDLE, P.SESSION_INDICATION, S.IDLE, (Step.LOG_1008, *_TERMINATED)),
    Row(S.IDLE, P.DISCONNECT_INDICATION, S.IDLE, (Step.LOG_1008, *_TERMINATED)),  # X.225: it comes up as S-P-ABORT
    Row(S.IDLE, P.CONNECT_CONFIRM, S.IDLE),  # the transport stands, and nobody wants it
)


def _keyed(*rows: Row) -> dict[Key, Row]:
    table = {row.key: row for row in rows}
    assert len(table) == len(rows), "two rows answer to the same"
    return table


TABLES: dict[Version, dict[Key, Row]] = {"SP2": _keyed(*SP2), "4.0": {**_keyed(*SP2), **_keyed(*V40)}}
