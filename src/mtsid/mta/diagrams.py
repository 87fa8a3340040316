"""The tables for people: 4.0's rows beside SP2's, whole tables as Markdown, and state diagrams (Mermaid).

All of it is made from the tables themselves; `docs/MTA.md` holds the output, and a test holds it to the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from mtsid.mta.life_cycle import TABLES, V40, Key, Row, State, Step, When
from mtsid.mta.session import TURNS, SessionState
from mtsid.mta.versions import Version

__all__ = ["difference", "life_cycle", "session", "side_by_side", "table"]

WIDTH = 40  # of a column


def side_by_side() -> Iterator[tuple[Key, Row | None, Row]]:
    """Iterate over (what the rows answer to, SP2's row or None, 4.0's row) wherever the two versions differ."""
    for row in V40:
        yield row.key, TABLES["SP2"].get(row.key), row


def difference() -> str:
    """Return the differing rows, side by side, as text of 80 columns."""
    lines = ["Kernel control blocks: where 4.0's table differs from SP2's", ""]
    for (state, primitive, when), old, new in side_by_side():
        lines.append(f"In {_name(state)}: {primitive.value}" + (f" [{when.value}]" if when is not When.ALWAYS else ""))
        left = ["(cannot arise)"] if old is None else [*_steps(old), f"-> {_name(old.next)}"]
        right = [*_steps(new), f"-> {_name(new.next)}"]
        lines.append(f"  {'SP2':<{WIDTH - 2}}4.0")
        lines += [f"  {a:<{WIDTH - 2}}{b}".rstrip() for a, b in zip_longest(left, right, fillvalue="")]
        lines.append("")
    return "\n".join(lines)


def table(version: Version) -> str:
    """Return one version's whole table as Markdown, in order of states."""
    lines = ["| state | primitive | when | steps | next state |", "|---|---|---|---|---|"]
    for row in sorted(TABLES[version].values(), key=lambda row: row.state):
        steps = "; ".join(_steps(row)) or "-"
        lines.append(f"| {_name(row.state)} | {row.primitive.value} | {row.when.value} | {steps} | {_name(row.next)} |")
    return "\n".join(lines) + "\n"


def life_cycle(version: Version) -> str:
    """Return one version's control block as a Mermaid state diagram; in 4.0's, what differs is marked."""
    special = {row.key for row in V40} if version == "4.0" else set()
    edges: dict[tuple[State, State, bool], list[str]] = {}
    for key, row in TABLES[version].items():
        if Step.HOLD in row.steps:
            continue  # what only waits moves nothing
        label = row.primitive.value + (f" [{row.when.value}]" if row.when is not When.ALWAYS else "")
        edges.setdefault((row.state, row.next, key in special), []).append(label)
    return _diagram(
        ((state.name, f"{state.value} {state.name.replace('_', ' ')}") for state in State),
        (
            (state.name, after.name, ", ".join(labels) + (" (4.0 only)" if marked else ""))
            for (state, after, marked), labels in edges.items()
        ),
        State.IDLE.name,
    )


def session() -> str:
    """Return the session of a next hop as a Mermaid state diagram."""
    edges: dict[tuple[SessionState, SessionState], list[str]] = {}
    for (state, turn), after in TURNS.items():
        edges.setdefault((state, after), []).append(turn.value)
    return _diagram(
        ((state.name, state.value) for state in SessionState),
        ((state.name, after.name, ", ".join(labels)) for (state, after), labels in edges.items()),
        SessionState.IDLE.name,
    )


# Mermaid takes neither a colon nor a semicolon in a label.
def _diagram(states: Iterable[tuple[str, str]], edges: Iterable[tuple[str, str, str]], first: str) -> str:
    lines = ["stateDiagram-v2", *(f"    {name}: {label}" for name, label in states), f"    [*] --> {first}"]
    lines += [f"    {before} --> {after}: {label}" for before, after, label in edges]
    return "\n".join(lines) + "\n"


def _name(state: State) -> str:
    return f"{state.value} {state.name}"


def _steps(row: Row) -> list[str]:
    return [step.value for step in row.steps]
