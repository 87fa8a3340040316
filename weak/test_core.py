"""The programs are the core's: their operations are compared with the source, and their shape is shown to matter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from weak.core import TRANSCRIBED, Core, Orders
from weak.machine import Machine, Rmw
from weak.mutants import MUTANTS, hunt
from weak.pairs import PAIRS, Pair

SOURCE = Path(__file__).resolve().parents[1] / "src" / "mtsid" / "core"
ATOMIC = re.compile(
    r"\b(?:mtsid_)?((?:load|store|cas|add|or|and|fence)_(?:relaxed|acquire|release|seq_cst)|exchange|claim_here|claim_in"
    r"|claim_end|claim_try|claim_past_hints|claim_many_in|claim_many_past_hints|release_bits|released|roll_back|next_leaf"
    r"|search_behind|search_or_certify|is_full|hint_full|hint_open|leave_gil|link|resting_bits|see_rest|flip_resting|rest_end)\("
)


def _body(file: str, function: str) -> str:
    text = (SOURCE / file).read_text("utf-8")
    begin = re.search(rf"^([ ]*)(?:cdef|static) .*\b{function}\(", text, re.MULTILINE)
    assert begin, f"{file} has no {function}: bring weak/core.py up to date"
    lines = text[begin.start() :].splitlines()
    indent = len(begin[1])
    body: list[str] = []
    for line in lines[1:]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent and not line.lstrip().startswith((")", "{")):
            break
        body.append(line.partition("#")[0])
    return re.sub(r'""".*?"""', "", "\n".join(body), flags=re.DOTALL)


@pytest.mark.parametrize(("place", "operations"), TRANSCRIBED.items(), ids=lambda one: str(one))
def test_operations_are_those_of_the_source(place: tuple[str, str], operations: str) -> None:
    file, function = place
    found = ATOMIC.findall(_body(file, function))
    assert " ".join(found) == operations


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.program().name)
def test_pair_holds_without_dependencies(pair: Pair) -> None:
    """No pair rests on a dependency that a compiler may compute away."""
    found = Machine(Rmw.EXCLUSIVES, dependencies=False).explore(pair.program())
    assert found.executions
    assert found.violation == ""


def test_each_label_has_mutants_that_are_caught() -> None:
    assert {pair.label for pair in PAIRS} == {
        label for mutant in MUTANTS if not mutant.harmless for label in mutant.labels.split()
    }


def test_each_order_has_a_mutant() -> None:
    assert set(vars(Orders())) == {mutant.site for mutant in MUTANTS if not mutant.faults}


def test_a_mutant_says_what_it_is_and_tells_how_it_came() -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.site == "needed")
    caught = hunt(mutant)
    assert mutant.name == "needed: seq_cst -> acquire"
    assert caught.as_expected
    assert caught.first is not None
    assert caught.first.violation == "a wake-up is lost: one sleeps, an id is free, nobody was woken"
    assert "  load count (acquire) -> 0, the one before message" in "\n".join(caught.first.trace)


def test_default_orders_are_the_cores() -> None:
    assert Core().orders == Orders()
