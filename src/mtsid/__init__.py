"""Identifiers that are never in use twice. Public names only; no logic.

`Allocator` hands out reusable ids, `InFlightTable` keeps what each of them stands for, and `MessageQueue` numbers the
messages that it holds. `mtsid.v40` has the verbs of the first and the last with the defects of Exchange Server 4.0, for
comparison; `mtsid.lab` compares.
"""

from mtsid.core.allocator import Allocator
from mtsid.core.audit import Audit
from mtsid.core.include import get_include
from mtsid.core.message import Message
from mtsid.core.queue import MessageQueue
from mtsid.core.stats import AllocatorStats, QueueStats, TableStats
from mtsid.core.table import InFlightTable
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
    "AllocatorStats",
    "Audit",
    "AuditError",
    "Empty",
    "Exhausted",
    "Full",
    "InFlightTable",
    "InUse",
    "Late",
    "Message",
    "MessageQueue",
    "MtsidError",
    "NotInUse",
    "QueueStats",
    "ShutDown",
    "Stale",
    "TableStats",
    "get_include",
]
