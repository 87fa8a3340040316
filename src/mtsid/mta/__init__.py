"""The message transfer agent of the two articles: events, sessions and their timers. Pure Python, no I/O, no clock."""

from mtsid.mta.agent import DEFECTS, MTA, Version
from mtsid.mta.events import Event, EventLog, LogEntry
from mtsid.mta.policy import Policy
from mtsid.mta.session import Collision, Entry, Priority, Queue, Session
from mtsid.mta.states import State, Way

__all__ = [
    "Collision",
    "DEFECTS",
    "Entry",
    "Event",
    "EventLog",
    "LogEntry",
    "MTA",
    "Policy",
    "Priority",
    "Queue",
    "Session",
    "State",
    "Version",
    "Way",
]
