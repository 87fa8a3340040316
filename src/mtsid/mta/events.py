"""The MTA's events: one table row an event.

Source: KB Q152897 (4282, 4283, 4284, 4287) and Q152877 (1004, 1008, 1198, 1277), both S, for texts, codes and tags;
misprints and their corrections are from sibling articles (K), named beside each row. Two renderings: `kb` is the
article's own wording, misprints included, with white space folded; `normalised` mends the known misprints, and in
Q152877, whose four texts print an entity, a tag and a full stop in four ways, puts them alike (A): no number is
changed, none is added. The source tag is kept as fields (component, process, thread, proc, severity: K, Q159566) and
built last.

This file knows the table and nothing of queues, sessions or clocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ROWS", "Event", "Rendering", "Row"]

Rendering = Literal["kb", "normalised"]

SOURCE = "MSExchangeMTA"
TAG = "[{component} {process} {thread} {proc}] ({severity})"
RESTARTED = "The association will be terminated and restarted if necessary."


@dataclass(frozen=True)
class Row:
    """One event of the table. Texts and tags are `str.format` templates over `parameters` and the tag's own fields."""

    id: int
    kb: str  # the article's sentence, misprints included
    component: str
    process: str
    thread: int | None = None  # None: the article prints none, or not where it belongs
    proc: int | None = None
    code: int | None = None  # "Error code=" as the article prints it; None: it prints none
    normalised: str = ""  # the mended sentence; empty: the article's is right
    normalised_code: int | None = None  # the mended code; None: the article's is right
    kb_tag: str = TAG  # how the article prints the tag, where it does not print it in the usual way
    normalised_tag: str = TAG
    gap: str = " "  # between the sentence and the tag, as the article prints it
    category: str = "X.400 Service"  # Q152877 names none; that of event 57, about associations too (K, Q194589)
    severity: int = 14  # K: 14 is mostly an NT Warning, 16 mostly an Error
    parameters: Mapping[str, object] = field(default_factory=dict)  # the article's own values


ROWS: dict[int, Row] = {
    row.id: row
    for row in (
        Row(
            1004,
            kb=f"An error occurred while processing an association {{association}} with entity.{{entity}}. {RESTARTED}",
            normalised=f"An error occurred while processing an association {{association}} with entity {{entity}}. "
            f"{RESTARTED}",
            component="PLATFORM",
            process="KERNEL",
            proc=10,
            # Five numbers, and nothing tells which is the thread: they stay where they are.
            kb_tag="[2 20 1 8 {component} {process} {proc}] ({severity})",
            normalised_tag="[2 20 1 8 {component} {process} {proc}] ({severity})",
            parameters={
                "association": 1,
                "entity": "/O=organization/OU=site/CN=CONFIGURATION/CN=SERVERS /CN=MICROSOFT MTA",
            },
        ),
        Row(
            1008,
            kb=f"An error occurred while processing an association with entity . {RESTARTED}",
            component="PLATFORM",
            process="KERNEL",
            # The article prints no severity here: 14, as in the other three (A).
            kb_tag="[2 26 {component} {process} ]",
            normalised_tag="[2 26 {component} {process}] ({severity})",
        ),
        Row(
            1198,
            kb="An error occurred while processing an association to entity . Presentation error: state check failure. "
            f"Current state {{state}}, service type {{type}}, service flavor {{flavor}} Control block index {{index}}. "
            f"{RESTARTED}",
            normalised="An error occurred while processing an association to entity . Presentation error: state check "
            "failure. Current state {state}, service type {type}, service flavor {flavor}. Control block index "
            f"{{index}}. {RESTARTED}",
            component="PLATFORM",
            process="KERNEL",
            thread=27,
            proc=108,
            parameters={"state": 0, "type": 20, "flavor": 2, "index": 3},
        ),
        Row(
            1277,
            kb="An interoperability error occurred. Session error: the remotely initiated transport connection was "
            "refused. Control block index {index}. Type{type}",
            normalised="An interoperability error occurred. Session error: the remotely initiated transport connection "
            "was refused. Control block index {index}. Type {type}.",
            component="PLATFORM",
            process="KERNEL",
            kb_tag="[{entity} {component} {process}] ({severity})",
            normalised_tag="[{entity} {component} {process}] ({severity})",
            gap="",
            parameters={
                "index": 6,
                "type": 1,
                "entity": "/O=Organization/OU=Site/CN=CONFIGURATION/CN=SERVERS/CN= Servername/CN=MICROSOFT MTA",
            },
        ),
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
        """The source tag as the article prints it; usually `[component process thread proc] (severity)`."""
        return self._fill(ROWS[self.id].kb_tag)

    def text(self, rendering: Rendering = "kb") -> str:
        """Return the whole entry, from its first word to the end of the tag, `Error code=` included.

        `kb`: the article's own characters, misprints included. `normalised`: the known misprints mended.
        Raises ValueError for another rendering.
        """
        row = ROWS[self.id]
        if rendering == "kb":
            sentence, code, gap, tag = row.kb, row.code, row.gap, row.kb_tag
        elif rendering == "normalised":
            sentence, code, gap, tag = (
                row.normalised or row.kb,
                row.normalised_code or row.code,
                " ",
                row.normalised_tag,
            )
        else:
            raise ValueError(f"rendering must be 'kb' or 'normalised', not {rendering!r}")
        if code is not None:
            sentence = f"{sentence} Error code={code}"
        return self._fill(sentence) + gap + self._fill(tag)

    def _fill(self, template: str) -> str:
        row = ROWS[self.id]
        return template.format(
            component=row.component,
            process=row.process,
            thread=row.thread,
            proc=row.proc,
            severity=row.severity,
            **{**row.parameters, **self.fields},
        )
