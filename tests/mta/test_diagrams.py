"""What is drawn of the tables, and that docs/MTA.md holds the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtsid.mta import SessionState, State
from mtsid.mta.diagrams import difference, life_cycle, session, side_by_side, table
from mtsid.mta.life_cycle import TABLES, V40, Step, When
from mtsid.mta.session import TURNS
from mtsid.mta.versions import VERSIONS, Version

PAGE = Path(__file__).parents[2] / "docs" / "MTA.md"
DIAGRAMS = {"SP2": life_cycle("SP2"), "4.0": life_cycle("4.0"), "session": session()}
ARROW = re.compile(r"    (\S+) --> (\S+): (.+)")


def arrows(diagram: str) -> list[tuple[str, str, str]]:
    return [(match[1], match[2], match[3]) for line in diagram.splitlines() if (match := ARROW.fullmatch(line))]


# Side by side


def test_side_by_side_pairs_every_row_of_40_with_the_row_of_sp2_that_answers_to_the_same() -> None:
    assert [(key, new) for key, _, new in side_by_side()] == [(row.key, row) for row in V40]
    assert [old for _, old, _ in side_by_side()] == [TABLES["SP2"].get(row.key) for row in V40]


def test_the_difference_shows_every_row_of_40_and_its_steps() -> None:
    heading, *parts = difference().split("\nIn ")
    assert heading == "Kernel control blocks: where 4.0's table differs from SP2's\n"
    assert len(parts) == len(V40)
    for row, part in zip(V40, parts, strict=True):
        title, columns, *lines = part.rstrip("\n").split("\n")
        when = "" if row.when is When.ALWAYS else f" [{row.when.value}]"
        assert title == f"{row.state.value} {row.state.name}: {row.primitive.value}{when}"
        assert (columns[:40].strip(), columns[40:]) == ("SP2", "4.0")
        left = [text for line in lines if (text := line[2:40].strip())]
        right = [text for line in lines if (text := line[40:])]
        old = TABLES["SP2"].get(row.key)
        assert right == [*(step.value for step in row.steps), f"-> {row.next.value} {row.next.name}"]
        if old is None:
            assert left == ["(cannot arise)"]
        else:
            assert left == [*(step.value for step in old.steps), f"-> {old.next.value} {old.next.name}"]


def test_the_difference_fits_80_columns_and_ends_no_line_in_blanks() -> None:
    for line in difference().split("\n"):
        assert len(line) <= 80
        assert line == line.rstrip()


def test_a_step_fits_its_column() -> None:
    assert max(len(step.value) for step in Step) < 38


# The whole table


@pytest.mark.parametrize("version", VERSIONS)
def test_the_table_has_one_line_for_each_row_in_order_of_states(version: Version) -> None:
    text = table(version)
    assert text.endswith("|\n")
    head, rule, *lines = text.splitlines()
    assert head == "| state | primitive | when | steps | next state |"
    assert rule == "|---|---|---|---|---|"
    assert len(lines) == len(TABLES[version])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [cell[0] for cell in cells] == sorted(cell[0] for cell in cells)
    assert sorted(cells) == sorted(
        [
            f"{row.state.value} {row.state.name}",
            row.primitive.value,
            row.when.value,
            "; ".join(step.value for step in row.steps) or "-",
            f"{row.next.value} {row.next.name}",
        ]
        for row in TABLES[version].values()
    )


# Diagrams


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_begins_as_mermaid_does_and_at_idle(name: str) -> None:
    lines = DIAGRAMS[name].splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    [*] --> IDLE" in lines
    assert DIAGRAMS[name].endswith("\n")


@pytest.mark.parametrize("name", DIAGRAMS)
def test_no_label_has_a_colon_or_a_semicolon(name: str) -> None:
    for line in DIAGRAMS[name].splitlines():
        assert ":" not in line.partition(":")[2]
        assert ";" not in line


@pytest.mark.parametrize("version", VERSIONS)
def test_the_life_cycle_names_every_state_once_with_its_number(version: Version) -> None:
    lines = life_cycle(version).splitlines()
    for state in State:
        assert lines.count(f"    {state.name}: {state.value} {state.name.replace('_', ' ')}") == 1


def test_the_session_names_every_state_once() -> None:
    lines = session().splitlines()
    for state in SessionState:
        assert lines.count(f"    {state.name}: {state.value}") == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_the_life_cycle_draws_every_row_that_moves_something_once(version: Version) -> None:
    drawn = [
        (before, after, label.removesuffix(" (4.0 only)"), label.endswith(" (4.0 only)"))
        for before, after, label in arrows(life_cycle(version))
    ]
    assert len({(before, after, special) for before, after, _, special in drawn}) == len(drawn)
    expected: dict[tuple[str, str, bool], list[str]] = {}
    special = {row.key for row in V40} if version == "4.0" else set()
    for key, row in TABLES[version].items():
        if row.steps != (Step.HOLD,):
            label = row.primitive.value + ("" if row.when is When.ALWAYS else f" [{row.when.value}]")
            expected.setdefault((row.state.name, row.next.name, key in special), []).append(label)
    assert {(before, after, special): label for before, after, label, special in drawn} == {
        key: ", ".join(labels) for key, labels in expected.items()
    }


def test_only_40s_diagram_marks_what_is_40s() -> None:
    assert "4.0 only" not in life_cycle("SP2")
    assert life_cycle("4.0").count("(4.0 only)") == len({(row.state, row.next) for row in V40})


def test_the_session_draws_every_turn() -> None:
    drawn = {(before, after): label.split(", ") for before, after, label in arrows(session())}
    turns = {(state, after) for (state, _), after in TURNS.items()}
    assert set(drawn) == {(state.name, after.name) for state, after in turns}
    for (state, turn), after in TURNS.items():
        assert turn.value in ", ".join(drawn[state.name, after.name])


# The page


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_holds_the_three_diagrams_as_they_are_drawn() -> None:
    assert fenced("mermaid") == [life_cycle("SP2"), life_cycle("4.0"), session()]


def test_the_page_holds_the_difference_as_it_is_printed() -> None:
    assert difference().rstrip("\n") in [block.rstrip("\n") for block in fenced("text")]
