"""The guards, as tests: `make guards`. Each kind is shown to fail where it should, first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.guards.budget import judge, key, load
from bench.guards.counts import Count, count, parse
from bench.guards.generated import functions, python_calls
from bench.guards.paths import PATHS, PLANTED
from bench.harness import Absent

ID_VERBS = Path(__file__).resolve().parents[2] / "build" / "cython" / "src" / "mtsid" / "core" / "id_verbs.c"
FUNCTION = "__pyx_f_5mtsid_4core_8id_verbs_"
NATIVE = f"{FUNCTION}7IdVerbs_"
#: Those that take the GIL, and may: once in an allocator's life, to wake a Python thread that waits for an id, to end
#: the rest of a quarantined one, and to free one that rests or is beyond the bound. The last two take none, and are
#: looked through below: they are called through the method table, so that no compiler draws them in.
DOORS = ["leave_gil", "wake_one", "attached_end_rests", "attached_free", "acquire_id_again", "release_id_again"]


@pytest.fixture(scope="session")
def budget() -> dict[str, Count]:
    """That of this interpreter."""
    found = load()
    if found is None:
        pytest.skip(f"budget.json grants nothing to CPython {key()}")
    return found


@pytest.fixture(scope="session")
def counts(budget: dict[str, Count]) -> dict[str, Count]:
    """Counted once for all tests, and only if there is a budget for them."""
    try:
        return count()
    except Absent as why:
        pytest.skip(str(why))


# Instructions -------------------------------------------------------------------------------------------------------


def test_a_planted_slow_down_is_noticed(counts: dict[str, Count], budget: dict[str, Count]) -> None:
    assert judge(counts[PLANTED], budget["acquire + release"])


@pytest.mark.parametrize(
    "lower",
    [lambda count: replace(count, instructions=count.instructions / 1.1), lambda count: replace(count, calls=0.0)],
    ids=["instructions", "calls"],
)
def test_a_lowered_budget_is_exceeded(
    counts: dict[str, Count], budget: dict[str, Count], lower: Callable[[Count], Count]
) -> None:
    assert judge(counts["put + get + ack"], lower(counts["put + get + ack"]))


@pytest.mark.parametrize("name", [name for name in PATHS if name != PLANTED])
def test_hot_path(counts: dict[str, Count], budget: dict[str, Count], name: str) -> None:
    wrong = judge(counts[name], budget[name])
    assert wrong is None, f"{wrong}; if that is meant: python -m bench.guards --write"


def test_what_callgrind_writes_is_read() -> None:
    name, totals = parse(
        """\
desc: Trigger: Client Request: long loop
ob=(1) /usr/bin/python3
fn=(1) eval
0 1000
cob=(2) /lib/mtsid/core/allocator.so
cfn=(2) acquire
calls=7 0
0 150
ob=(2)
fn=(2)
0 70
+3 10
cfn=(3) search
calls=7 0
* 40
cob=(1)
cfn=(4) PyLong_FromLong
calls=5 0
0 25
fn=(3)
0 40""".splitlines()
    )
    assert name == "long loop"
    assert totals == (120, 5)


# Python in nogil functions ------------------------------------------------------------------------------------------


@pytest.fixture
def generated() -> dict[str, str]:
    """The functions of the C that takes and gives back one id."""
    if not ID_VERBS.exists():
        pytest.skip("the generated C is not there: make builds it, and this mtsid was built elsewhere")
    return functions(ID_VERBS.read_text("utf-8"))


def test_python_is_noticed_where_it_is(generated: dict[str, str]) -> None:
    assert any("PyLong_FromLongLong" in call for call in python_calls(generated, f"{FUNCTION}give_out"))


def test_a_door_that_is_not_named_is_noticed(generated: dict[str, str]) -> None:
    assert list(python_calls(generated, f"{NATIVE}acquire_id"))


@pytest.mark.parametrize("method", ["acquire_id", "acquire_id_again", "release_id", "release_id_again", "reserve_id"])
def test_no_python_in(generated: dict[str, str], method: str) -> None:
    assert list(python_calls(generated, f"{NATIVE}{method}", DOORS)) == []
