"""The message transfer agent of the two articles: queues, sessions, control blocks, events. No I/O, no clock.

`docs/MTA.md` holds each sentence of the articles against the code and the tests.
"""

from mtsid.mta.actions import Action, Associate, Connect, Disconnect, Release, Transfer
from mtsid.mta.agent import MTA
from mtsid.mta.event_log import EventLog, LogEntry
from mtsid.mta.events import Event
from mtsid.mta.kernel import AssociationId, ControlBlock, Drop, Handle, Kernel, Refusal, Remnant
from mtsid.mta.life_cycle import Primitive, State
from mtsid.mta.message import Entry, Priority, Queue, Way
from mtsid.mta.next_hop import Collision, NextHop
from mtsid.mta.policy import Policy
from mtsid.mta.session import SessionState
from mtsid.mta.versions import DEFECTS, VERSIONS, Version

__all__ = [
    "Action",
    "Associate",
    "AssociationId",
    "Collision",
    "Connect",
    "ControlBlock",
    "DEFECTS",
    "Disconnect",
    "Drop",
    "Entry",
    "Event",
    "EventLog",
    "Handle",
    "Kernel",
    "LogEntry",
    "MTA",
    "NextHop",
    "Policy",
    "Primitive",
    "Priority",
    "Queue",
    "Refusal",
    "Release",
    "Remnant",
    "SessionState",
    "State",
    "Transfer",
    "VERSIONS",
    "Version",
    "Way",
]
