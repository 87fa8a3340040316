"""Every exception of the library. A leaf: it imports nothing of mtsid.

Each error carries the data that a handler needs, says what to do next, and inherits from the standard exception that a
caller may already catch (`queue.Full`, `queue.Empty`, `KeyError`, `ValueError`).
"""

import queue as _queue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AuditError",
    "Empty",
    "Exhausted",
    "Full",
    "InUse",
    "Late",
    "MtsidError",
    "NotInUse",
    "ShutDown",
    "Stale",
]


class MtsidError(Exception):
    """The base of every exception of this library."""


class Exhausted(MtsidError):
    """No id was free (or not as many as were asked for) at some instant during the call.

    `live`, `quarantined` and `capacity` count the ids at that instant; `wanted` is how many were asked for.
    """

    def __init__(self, message: str = "", *, live: int = 0, quarantined: int = 0, capacity: int = 0, wanted: int = 1):
        super().__init__(message)
        self.live = live
        self.quarantined = quarantined
        self.capacity = capacity
        self.wanted = wanted


class NotInUse(MtsidError, ValueError, KeyError):
    """The id is not live: it was released already, or never acquired. Nothing was freed.

    `id` is the number that was refused; for bulk calls it is None and `refused` lists them all, in the caller's order.
    """

    def __init__(self, message: str = "", *, id: int | None = None, refused: "Sequence[Any] | None" = None):
        super().__init__(message)
        self.id = id
        self.refused: tuple[Any, ...] = tuple(refused) if refused is not None else ((id,) if id is not None else ())

    # KeyError prints the repr of its argument; this is a sentence.
    __str__ = Exception.__str__


class Stale(NotInUse):
    """The receipt, lease or generation is of an earlier use: what it stood for was settled, returned or deleted."""


class Late(NotInUse):
    """The answer came after the request was given up; its id rested until now and is free again."""


class InUse(MtsidError, ValueError):
    """The id is live already, so it cannot be reserved. `id` is the number; nothing changed."""

    def __init__(self, message: str = "", *, id: int | None = None):
        super().__init__(message)
        self.id = id


class AuditError(MtsidError):
    """An audit found ids in two places, or in none. `audit` is what it counted."""

    def __init__(self, message: str = "", *, audit: Any = None):
        super().__init__(message)
        self.audit = audit


class Full(Exhausted, _queue.Full):
    """The queue had no room for the message, or not for all of them, at some instant during the call."""


class Empty(MtsidError, _queue.Empty):
    """Nothing was waiting at some instant during the call. `in_flight` counts the messages that may yet return."""

    def __init__(self, message: str = "", *, in_flight: int = 0):
        super().__init__(message)
        self.in_flight = in_flight


if TYPE_CHECKING:
    _QueueShutDown = Exception
else:
    _QueueShutDown = getattr(_queue, "ShutDown", Exception)


class ShutDown(MtsidError, _QueueShutDown):
    """The queue was shut down. A message that `nack` could not return is in `discarded`, so that nothing is lost."""

    def __init__(self, message: str = "", *, discarded: "Sequence[Any]" = ()):
        super().__init__(message)
        self.discarded: tuple[Any, ...] = tuple(discarded)
