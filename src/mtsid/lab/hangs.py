"""The clock of one queue's hangs: how long mail was held behind a collision while the link was up, and how much of it.

A hang begins at the collision that shuts the session down and ends when a transfer starts again (or no mail is left);
its clock stands still while the link is down.
"""

from __future__ import annotations

from typing import Any

from mtsid.mta import Entry, NextHop

__all__ = ["HangClock"]


class HangClock:
    """Clocks the hangs of one next hop. Each message is counted once, so all this is O(1) a message."""

    def __init__(self) -> None:
        self.hangs = 0
        self.messages = 0  # held at some time
        self.seconds = 0.0  # of the hangs that ended
        self.longest = 0.0
        self.hanging = False
        self._present = 0.0  # seconds of the present hang
        self._since: float | None = None  # the clock runs since then; None: it stands
        self._unhung: set[int] = set()  # id(entry) of the queued messages that were never held so far
        self._deferred: dict[int, float] = {}  # the same of deferred ones, and their time: until then they wish to wait

    def entered(self, entry: Entry[Any]) -> None:
        """Note a message that entered the queue."""
        if entry.not_before is not None:
            self._deferred[id(entry)] = entry.not_before
        elif self._since is not None:
            self.messages += 1
        else:
            self._unhung.add(id(entry))

    def leaves(self, entry: Entry[Any]) -> None:
        """Note that a message left."""
        self._unhung.discard(id(entry))
        self._deferred.pop(id(entry), None)

    def look(self, now: float, hop: NextHop[Any], link_is_up: bool) -> None:
        """Start, pause, resume or end the clock, by what the next hop says."""
        held = hop.collision is not None
        if held and link_is_up:
            if self._since is None:
                self._since = now
            self._hold(now)  # at each look: a deferred message may have come to its time
        elif self._since is not None:
            self._present += now - self._since
            self._since = None
        if held and not self.hanging:
            self.hanging = True
            self.hangs += 1
            self._present = 0.0
        elif not held and self.hanging:
            self.hanging = False
            self.seconds += self._present
            self.longest = max(self.longest, self._present)

    def open_hang(self, now: float) -> float:
        """Return how long the present hang has lasted (seconds); 0: there is none."""
        if not self.hanging:
            return 0.0
        return self._present + (0.0 if self._since is None else now - self._since)

    def _hold(self, now: float) -> None:
        """Count whatever is queued as held."""
        due = [key for key, time in self._deferred.items() if time <= now]
        for key in due:
            del self._deferred[key]
        self.messages += len(self._unhung) + len(due)
        self._unhung.clear()
