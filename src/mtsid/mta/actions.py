"""What an MTA asks of whoever drives it: one small value an action, in the order in which they are to be done.

A driver answers with `MTA.receive(now, handle, primitive)`; each action names the primitives that answer it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from mtsid.mta.kernel import Handle
from mtsid.mta.message import Entry

__all__ = ["Action", "Associate", "Connect", "Disconnect", "Release", "Transfer"]


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a transport connection to `peer`: CONNECT_CONFIRM, or DISCONNECT_INDICATION."""

    peer: str
    handle: Handle


@dataclass(frozen=True, slots=True)
class Associate:
    """Propose an association on the connection: ACCEPT or REFUSE, or DISCONNECT_INDICATION."""

    peer: str
    handle: Handle


@dataclass(frozen=True, slots=True)
class Transfer:
    """Carry a message: TRANSFER_CONFIRM, once, or DISCONNECT_INDICATION.

    The confirm does not name the message: it is of the transfer under way. What a peer repeats after a re-connection
    goes to `MTA.acknowledgement_repeated`.
    """

    peer: str
    handle: Handle
    entry: Entry[Any]


@dataclass(frozen=True, slots=True)
class Release:
    """Release the association: RELEASE_CONFIRM, or DISCONNECT_INDICATION."""

    peer: str
    handle: Handle


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Drop the transport connection, if it still stands. Nothing answers it."""

    handle: Handle


Action: TypeAlias = Connect | Associate | Transfer | Release | Disconnect
