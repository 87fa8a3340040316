"""The event log: what was logged when, how often, and written away for other programs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from mtsid.mta.events import Event

__all__ = ["COLUMNS", "EventLog", "LogEntry", "TextFile"]

#: What a record of an entry holds, in this order.
COLUMNS = ("time", "source", "id", "category", "severity", "text", "tag")


class TextFile(Protocol):
    """Anything with `write(text)`."""

    def write(self, text: str, /) -> object:
        """Add `text`."""


@dataclass(frozen=True)
class LogEntry:
    """An event, when it was logged (seconds, on the caller's clock), and which control block it is about.

    `block` is that block's index whether the event prints it or not; None: it is about none.
    """

    time: float
    event: Event
    block: int | None = None

    def record(self) -> dict[str, object]:
        """Return the entry as COLUMNS name it: `time` to the millisecond, `text` in the `kb` rendering."""
        event = self.event
        values = (round(self.time, 3), event.source, event.id, event.category, event.severity, event.text(), event.tag)
        return dict(zip(COLUMNS, values, strict=True))


class EventLog:
    """The events in the order they were logged, and how many of each (`counts`, exact in any case).

    `on_event(entry)` is called for each one, so that a long run can write them away; with `keep=N` the log keeps the
    first N only, with `keep=None` all of them. Raises ValueError for a negative `keep`, TypeError for what is no whole
    number. For one thread at a time.
    """

    def __init__(self, *, on_event: Callable[[LogEntry], None] | None = None, keep: int | None = None) -> None:
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int)):
            raise TypeError(f"keep must be None or a whole number, not {keep!r}")
        if keep is not None and keep < 0:
            raise ValueError(f"keep must be None or how many entries to keep, not {keep!r}")
        self.counts: Counter[int] = Counter()
        self._entries: list[LogEntry] = []
        self._on_event = on_event
        self._keep = keep

    def write(self, time: float, event: Event, block: int | None = None) -> None:
        """Add `event`, logged at `time` (seconds), about the control block of that index."""
        entry = LogEntry(time, event, block)
        self.counts[event.id] += 1
        if self._keep is None or len(self._entries) < self._keep:
            self._entries.append(entry)
        if self._on_event is not None:
            self._on_event(entry)

    def __iter__(self) -> Iterator[LogEntry]:
        """Iterate over the entries kept, in the order they were logged."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return how many events were logged, kept or not."""
        return self.counts.total()

    def __bool__(self) -> bool:
        """Be true, empty or not."""
        return True

    def filter(
        self,
        *,
        ids: Collection[int] | None = None,
        category: str | None = None,
        severity: int | None = None,
        since: float = float("-inf"),
        until: float = float("inf"),
    ) -> list[LogEntry]:
        """Return the entries kept that match everything asked for; `since` <= time < `until` (seconds)."""
        return [
            entry
            for entry in self._entries
            if (ids is None or entry.event.id in ids)
            and (category is None or entry.event.category == category)
            and (severity is None or entry.event.severity == severity)
            and since <= entry.time < until
        ]

    def write_json(self, file: TextFile) -> None:
        """Write the entries kept as JSON lines: one object a line, with the keys of COLUMNS."""
        for entry in self._entries:
            file.write(json.dumps(entry.record()) + "\n")

    def write_csv(self, file: TextFile) -> None:
        """Write the entries kept as CSV (RFC 4180), the first line naming the COLUMNS. Open a file with newline=""."""
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for entry in self._entries:
            writer.writerow(entry.record().values())
