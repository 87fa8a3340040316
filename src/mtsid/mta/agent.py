"""The MTA of one version: its queue, its session, its event log. What `mtsid compare` has two of, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from mtsid import MessageQueue, v40
from mtsid.mta.events import EventLog
from mtsid.mta.policy import Policy
from mtsid.mta.session import Entry, Queue, Session

__all__ = ["DEFECTS", "MTA", "Version"]

Version = Literal["SP2", "4.0"]
DEFECTS = ("premature-strip", "double-release", "unchecked-wrap", "racy-claim")  # 4.0's; the first is the default


class MTA:
    """A message transfer agent with one next hop: `.queue`, `.session`, `.log`.

    `ids` is the size of the id range, `defect` one of DEFECTS (4.0 only). Raises ValueError for another version or
    defect, and what the queue raises for a range that it refuses.
    """

    def __init__(
        self,
        version: Version = "SP2",
        *,
        ids: int = 65535,
        defect: str | None = None,
        policy: Policy | None = None,
        log: EventLog | None = None,
        on_left: Callable[[Entry[Any]], None] | None = None,
    ) -> None:
        if version == "4.0":
            defect = DEFECTS[0] if defect is None else defect
            if defect not in DEFECTS:
                raise ValueError(f"defect must be one of {', '.join(DEFECTS)}, not {defect!r}")
            self.queue: Queue = v40.MessageQueue(ids, defect=defect)
        elif version == "SP2":
            if defect is not None:
                raise ValueError("SP2 has no defect to choose: leave defect out, or ask for version '4.0'")
            self.queue = MessageQueue(ids)
        else:
            raise ValueError(f"version must be 'SP2' or '4.0', not {version!r}")
        self.version = version
        self.defect = defect
        self.log = EventLog() if log is None else log
        self.session: Session[Any] = Session(self.queue, log=self.log, policy=policy, on_left=on_left)
