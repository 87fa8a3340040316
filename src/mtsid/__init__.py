"""Identifiers that are never in use twice. Public names only; no logic."""

from mtsid.core.allocator import Allocator
from mtsid.core.message import Message
from mtsid.core.queue import MessageQueue
from mtsid.errors import (
    AuditError,
    Empty,
    Exhausted,
    Full,
    InUse,
    Late,
    MtsidError,
    NotInUse,
    ShutDown,
    Stale,
)

__all__ = [
    "Allocator",
    "AuditError",
    "Empty",
    "Exhausted",
    "Full",
    "InUse",
    "Late",
    "Message",
    "MessageQueue",
    "MtsidError",
    "NotInUse",
    "ShutDown",
    "Stale",
]
