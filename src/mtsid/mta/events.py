"""The MTA's events: one table row an event, and the log that counts them.

Source: KB Q152897 (S) for texts, codes and tags; its misprints and their corrections are from sibling articles (K),
named beside each row. Two renderings: `kb` is the article's own wording, misprints included, with white space folded;
`normalised` mends the known misprints. The source tag is kept as fields (component, process, thread, proc, severity:
K, Q159566) and built last.

This file knows the table and nothing of queues, sessions or clocks: a time is whatever number the caller passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ROWS", "Event", "EventLog", "LogEntry", "Rendering", "Row"]

Rendering = Literal["kb", "normalised"]

SOURCE = "MSExchangeMTA"
TAG = "[{component} {process} {thread} {proc}] ({severity})"


@dataclass(frozen=True)
class Row:
    """One event of the table. Texts are `str.format` templates over `parameters`, tags over the tag's own fields."""

    id: int
    kb: str  # the article's sentence, misprints included
    code: int  # "Error code=" as the article prints it
    component: str
    process: str
    thread: int
    proc: int
    normalised: str = ""  # the mended sentence; empty: the article's is right
    normalised_code: int = 0  # the mended code; 0: the article's is right
    kb_tag: str = TAG  # how the article prints the tag, where it does not print it in the usual way
    category: str = "X.400 Service"
    severity: int = 14  # K: 14 is mostly an NT Warning, 16 mostly an Error
    parameters: Mapping[str, object] = field(default_factory=dict)  # the article's own values


ROWS: dict[int, Row] = {
    row.id: row
    for row in (
        Row(
            4282,
            kb="An interoperability error occurred. Interface protocol {interface} was violated.",
            code=8453,
            component="POP4",
            process="MAIN BASE",
            thread=1,
            proc=18,
            parameters={"interface": 131},
        ),
        Row(
            4283,
            # "LP1" is LPI (K, Q266792). 1-3-14 reads as locality 1, process 3, control block 14 (K, Q319936, Q188040).
            kb="Unable to recognize an internal message identifier. Internal connection handle (LP1) {handle}",
            normalised="Unable to recognize an internal message identifier. Internal connection handle (LPI) {handle}",
            code=8464,
            component="POP4",
            process="POP4 UP",
            thread=5,
            proc=228,
            parameters={"handle": "1-3-14"},
        ),
        Row(
            4284,
            kb="An error has occurred during connection/disconnection.",
            code=8511,
            component="POP4",
            process="POP4 DOWN",
            thread=4,
            proc=179,
        ),
        Row(
            4287,
            # "An internal MTA error occurred" (K, Q175354); 8640 (K, Q153655, Q175354, Q232602); "DOWN 4".
            kb="An internal MTA occurred. Contact Microsoft Product Support Services.",
            normalised="An internal MTA error occurred. Contact Microsoft Product Support Services.",
            code=8650,
            normalised_code=8640,
            component="POP4",
            process="POP4 DOWN",
            thread=4,
            proc=18,
            kb_tag="[{component} {process}{thread} {proc}] ({severity})",
        ),
    )
}


@dataclass(frozen=True)
class Event:
    """One event of the table, with the values it was logged with.

    `fields` replaces the article's own parameters, by name (`Event(4283, {"handle": "1-3-20"})`).
    Raises KeyError for an id that is not in the table and ValueError for a field that the event has not.
    """

    id: int
    fields: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse unknown ids and fields at once, not when the text is printed."""
        if self.id not in ROWS:
            raise KeyError(f"event {self.id} is not in the table; known: {', '.join(map(str, sorted(ROWS)))}")
        unknown = set(self.fields) - set(ROWS[self.id].parameters)
        if unknown:
            raise ValueError(f"event {self.id} has no field {', '.join(sorted(unknown))}")

    @property
    def source(self) -> str:
        """The service that logs it."""
        return SOURCE

    @property
    def category(self) -> str:
        """The category printed by the Event Viewer."""
        return ROWS[self.id].category

    @property
    def severity(self) -> int:
        """The number in round brackets at the end of the tag."""
        return ROWS[self.id].severity

    @property
    def tag(self) -> str:
        """The source tag as the article prints it: `[component process thread proc] (severity)`."""
        return self._tag(ROWS[self.id].kb_tag)

    def text(self, rendering: Rendering = "kb") -> str:
        """Return the whole entry, from its first word to the end of the tag, `Error code=` included.

        `kb`: the article's own characters, misprints included. `normalised`: the known misprints mended.
        Raises ValueError for another rendering.
        """
        row = ROWS[self.id]
        if rendering == "kb":
            sentence, code, tag = row.kb, row.code, row.kb_tag
        elif rendering == "normalised":
            sentence, code, tag = row.normalised or row.kb, row.normalised_code or row.code, TAG
        else:
            raise ValueError(f"rendering must be 'kb' or 'normalised', not {rendering!r}")
        return f"{sentence.format(**{**row.parameters, **self.fields})} Error code={code} {self._tag(tag)}"

    def _tag(self, template: str) -> str:
        row = ROWS[self.id]
        return template.format(
            component=row.component, process=row.process, thread=row.thread, proc=row.proc, severity=row.severity
        )


@dataclass(frozen=True)
class LogEntry:
    """An event and when it was logged (seconds, on the caller's clock)."""

    time: float
    event: Event


class EventLog:
    """The events in the order they were logged, and how many of each.

    `on_event(entry)` is called for each one, so that a long run can write them away; with `keep=N` the log keeps the
    first N only (counts stay exact), with `keep=None` all of them.
    """

    def __init__(self, *, on_event: Callable[[LogEntry], None] | None = None, keep: int | None = None) -> None:
        self.counts: Counter[int] = Counter()
        self._entries: list[LogEntry] = []
        self._on_event = on_event
        self._keep = keep

    def write(self, time: float, event: Event) -> None:
        """Add `event`, logged at `time` (seconds)."""
        entry = LogEntry(time, event)
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
        return sum(self.counts.values())
