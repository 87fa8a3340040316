"""Promises of `InFlightTable`: an id and what it stands for are one thing, and a late answer finds nobody else's.

Time is the library's own clock, moved by hand; what sleeps on it is in tests/threads.
"""

from __future__ import annotations

import collections.abc
import gc
import random
import sys
import weakref
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mtsid import Exhausted, InFlightTable, InUse, Late, NotInUse, Stale
from mtsid.core.waiting import _advance_clock

HOUR = 3600.0


@pytest.fixture
def table() -> Iterator[InFlightTable[str]]:
    """Ids 1 .. 4: 1 and 2 live, 3 in quarantine, 4 free."""
    table: InFlightTable[str] = InFlightTable(1, 4)
    for payload in ("one", "two", "three"):
        table.add(payload)
    table.quarantine(3)
    yield table
    table._check()


def everything(table: InFlightTable[Any]) -> object:
    table._check()
    return [table.state(id) for id in (1, 2, 3, 4)], dict(table), table.generation(1), table.generation(3)


# In and out -------------------------------------------------------------------------------------------------------


def test_add_takes_an_id_for_a_payload_and_pop_gives_it_back() -> None:
    table: InFlightTable[str] = InFlightTable()
    assert (table.add("a"), table.add("b")) == (1, 2)
    assert (table[1], table[2], len(table), table.available) == ("a", "b", 2, 65533)
    assert table.pop(1) == "a"
    assert (1 in table, table.state(1), table.available) == (False, "free", 65534)
    table._check()


def test_an_id_may_be_any_integer_and_0_is_one_like_any_other() -> None:
    table: InFlightTable[Any] = InFlightTable(0, 2**32 - 1)
    assert table.add("zero") == 0
    assert table.add("last", id=np.uint32(2**32 - 1)) == 2**32 - 1
    assert (table[np.int64(0)], table.pop(np.uint64(2**32 - 1)), table.get(np.int8(0))) == ("zero", "last", "zero")
    table._check()


@pytest.mark.parametrize("payload", [None, (), 0, object(), InFlightTable(), NotImplemented])
def test_a_payload_is_any_object_and_comes_back_itself(payload: Any) -> None:
    table: InFlightTable[Any] = InFlightTable()
    id = table.add(payload)
    assert table[id] is payload
    assert table.get(id, "default") is payload
    assert table.pop(id, "default") is payload


@pytest.mark.parametrize("call", [lambda t, id: t.pop(id), lambda t, id: t[id], lambda t, id: t.quarantine(id)])
@pytest.mark.parametrize("id", [4, 0, 5, -1, 2**32, 2**70])
def test_what_is_not_in_flight_is_refused_and_named(
    table: InFlightTable[str], id: int, call: Callable[[Any, int], object]
) -> None:
    before = everything(table)
    with pytest.raises(NotInUse, match="nothing is in flight under id") as caught:
        call(table, id)
    assert type(caught.value) is NotInUse
    assert isinstance(caught.value, KeyError)
    assert (caught.value.id, caught.value.refused) == (id, (id,))
    assert everything(table) == before


def test_a_double_answer_pops_nothing(table: InFlightTable[str]) -> None:
    table.pop(1)
    with pytest.raises(NotInUse):
        table.pop(1)
    assert (len(table), table.available) == (1, 2)


@pytest.mark.parametrize("id", [4, 0, 5, 2**70])
def test_a_default_stands_for_what_is_not_in_flight(table: InFlightTable[str], id: int) -> None:
    assert table.pop(id, None) is None
    assert table.pop(id, "x") == "x"
    assert table.get(id) is None
    assert table.get(id, "x") == "x"


def test_pop_takes_at_most_one_default(table: InFlightTable[str]) -> None:
    with pytest.raises(TypeError, match="at most one default"):
        table.pop(1, None, None)  # type: ignore[call-overload]
    assert table[1] == "one"


# Order ------------------------------------------------------------------------------------------------------------


def test_cyclic_hands_out_the_first_free_id_after_the_last_one() -> None:
    table: InFlightTable[int] = InFlightTable(10, 14, exclude=[12])
    assert [table.pop(table.add(0)) or id for id in range(3)] == [0, 1, 2]
    assert [table.add(n) for n in range(4)] == [14, 10, 11, 13]
    table.pop(11), table.pop(10)
    assert [table.add(n) for n in range(2)] == [10, 11]


def test_lowest_hands_out_the_lowest_free_id() -> None:
    table: InFlightTable[int] = InFlightTable(1, 200, order="lowest")
    for n in range(200):
        assert table.add(n) == n + 1
    for id in (150, 7, 70):
        table.pop(id)
    assert [table.add(0) for _ in range(3)] == [7, 70, 150]


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 127, 128, 129, 4096, 4097, 65535])
def test_every_id_is_handed_out_once_before_it_is_exhausted(size: int) -> None:
    table: InFlightTable[int] = InFlightTable(2**32 - size, 2**32 - 1)
    assert sorted(table.add(n) for n in range(size)) == list(range(2**32 - size, 2**32))
    with pytest.raises(Exhausted) as caught:
        table.add(0)
    error = caught.value
    assert (error.live, error.quarantined, error.capacity, error.wanted) == (size, 0, size, 1)
    table._check()
    for id in random.Random(size).sample(range(2**32 - size, 2**32), min(size, 100)):
        table.pop(id)
        assert table.add(0) == id
    table._check()


def test_excluded_ids_are_no_ids() -> None:
    table: InFlightTable[int] = InFlightTable(0, 200, exclude=[0, 100, 100, 9999])
    assert table.capacity == table.available == 199
    assert sorted(table.add(n) for n in range(199)) == [*range(1, 100), *range(101, 201)]
    with pytest.raises(Exhausted):
        table.add(0)
    for id in (0, 100):
        with pytest.raises(ValueError, match="excluded"):
            table.state(id)
        with pytest.raises(ValueError, match="excluded"):
            table.add(0, id=id)
        with pytest.raises(NotInUse, match="less the excluded ids"):
            table.pop(id)
        assert id not in table
    table._check()
    assert len(table.reset()) == 199
    table._check()


# A certain id -----------------------------------------------------------------------------------------------------


def test_a_certain_id_may_be_asked_for(table: InFlightTable[str]) -> None:
    assert table.add("four", id=4) == 4
    assert table[4] == "four"


@pytest.mark.parametrize("id", [1, 3])
def test_an_id_that_is_live_or_rests_cannot_be_reserved(table: InFlightTable[str], id: int) -> None:
    before = everything(table)
    for timeout in (0.0, None, 1000):
        with pytest.raises(InUse, match="live or quarantined") as caught:
            table.add("other", id=id, timeout=timeout)
        assert caught.value.id == id
    assert everything(table) == before


@pytest.mark.parametrize("id", [0, 5, -1, 2**32, -(2**70)])
def test_an_id_outside_the_range_cannot_be_reserved(table: InFlightTable[str], id: int) -> None:
    with pytest.raises(ValueError, match="outside the range") as caught:
        table.add("other", id=id)
    assert not isinstance(caught.value, NotInUse)


def test_a_reservation_does_not_move_the_cursor() -> None:
    table: InFlightTable[int] = InFlightTable(1, 9)
    table.add(0, id=7)
    assert table.add(1) == 1


# Generations ------------------------------------------------------------------------------------------------------


def test_each_use_of_an_id_has_a_generation_of_its_own() -> None:
    table: InFlightTable[int] = InFlightTable(1, 2)
    seen = set()
    for n in range(100):
        id = table.add(n)
        generation = table.generation(id)
        assert generation == table.generation(id)
        seen.add(generation)
        table.pop(id, generation=generation)
    assert len(seen) == 100
    assert min(seen) > 0


@pytest.mark.parametrize("verb", ["pop", "quarantine"])
def test_an_earlier_generation_is_stale_and_touches_nobody_elses(verb: str) -> None:
    table: InFlightTable[str] = InFlightTable(1, 1)
    call = getattr(table, verb)
    old = table.generation(table.add("first"))
    table.pop(1)
    with pytest.raises(Stale) as caught:
        call(1, generation=old)
    assert caught.value.id == 1
    table.add("second")
    with pytest.raises(Stale, match="somebody else's"):
        call(1, generation=old)
    assert table[1] == "second"
    assert table.pop(1, None, generation=old) is None
    assert call(1, generation=table.generation(1)) == "second"
    table._check()


@pytest.mark.parametrize("generation", [0, -1, 2**63, 2**64, 2**70, -(2**70)])
def test_a_generation_that_never_was_is_stale(table: InFlightTable[str], generation: int) -> None:
    before = everything(table)
    with pytest.raises(Stale):
        table.pop(1, generation=generation)
    with pytest.raises(Stale):
        table.pop(3, generation=generation)
    assert everything(table) == before


def test_only_what_is_in_use_has_a_generation(table: InFlightTable[str]) -> None:
    for id in (4, 0, 5, 2**70):
        with pytest.raises(NotInUse):
            table.generation(id)


def test_an_id_in_quarantine_keeps_its_generation(table: InFlightTable[str]) -> None:
    generation = table.generation(3)
    with pytest.raises(Stale):
        table.pop(3, generation=generation + 1)
    assert table.state(3) == "quarantined"
    with pytest.raises(Late):
        table.pop(3, generation=generation)
    assert table.state(3) == "free"


# Quarantine -------------------------------------------------------------------------------------------------------


def test_quarantine_gives_the_payload_up_and_keeps_the_id(table: InFlightTable[str]) -> None:
    assert table.quarantine(2) == "two"
    assert (2 in table, table.get(2), len(table), list(table), table.state(2)) == (False, None, 1, [1], "quarantined")
    with pytest.raises(NotInUse):
        table[2]
    assert table.add("four") == 4
    with pytest.raises(Exhausted, match="2 are in flight and 2 quarantined") as caught:
        table.add("five")
    assert (caught.value.live, caught.value.quarantined, caught.value.capacity) == (2, 2, 4)


def test_a_late_answer_frees_the_id_and_says_that_it_is_late(table: InFlightTable[str]) -> None:
    with pytest.raises(Late, match="given up") as caught:
        table.pop(3)
    assert caught.value.id == 3
    assert isinstance(caught.value, KeyError)
    assert (table.state(3), table.available) == ("free", 2)
    with pytest.raises(NotInUse) as again:
        table.pop(3)
    assert type(again.value) is NotInUse


def test_a_late_answer_with_a_default_frees_the_id_too(table: InFlightTable[str]) -> None:
    assert table.pop(3, "late") == "late"
    assert table.state(3) == "free"


def test_what_rests_cannot_be_quarantined_again(table: InFlightTable[str]) -> None:
    with pytest.raises(NotInUse):
        table.quarantine(3, 1)
    assert table.state(3) == "quarantined"


def refused(verb: Callable[[int], object]) -> bool:
    with pytest.raises(NotInUse):
        verb(1)
    return True


LOOKS: dict[str, Callable[[InFlightTable[str]], object]] = {
    "state": lambda table: table.state(1) == "free",
    "available": lambda table: table.available == 1,
    "stats": lambda table: table.stats().quarantined == 0,
    "add": lambda table: table.add("next") == 1,
    "add this": lambda table: table.add("next", id=1) == 1,
    "pop": lambda table: table.pop(1, "gone") == "gone" and table.stats().late == 0,
    "generation": lambda table: refused(table.generation),
    "quarantine": lambda table: refused(table.quarantine),
}


@pytest.mark.parametrize("look", LOOKS)
def test_its_time_over_it_is_free_for_whoever_looks_first(look: str) -> None:
    table: InFlightTable[str] = InFlightTable(1, 1)
    table.quarantine(table.add("first"), 2 * HOUR)
    _advance_clock(HOUR)
    assert table.state(1) == "quarantined"
    _advance_clock(HOUR)
    assert LOOKS[look](table)
    table._check()


@pytest.mark.parametrize("seconds", [None, float("inf"), 1e300, 10**400])
def test_without_a_time_it_rests_until_its_answer(seconds: Any) -> None:
    table: InFlightTable[str] = InFlightTable(1, 1)
    table.quarantine(table.add("first"), seconds)
    _advance_clock(20 * 365 * 24 * HOUR)
    assert table.state(1) == "quarantined"


def test_many_rest_and_end_in_their_order() -> None:
    table: InFlightTable[int] = InFlightTable(1, 5000)
    hours = list(range(1, 5001))
    random.Random(5).shuffle(hours)
    for hour in hours:
        table.quarantine(table.add(hour, id=hour), hour * HOUR)
    for passed in (1, 100, 1000, 2500, 3999):
        _advance_clock(passed * HOUR)
        assert table.available == min(5000, sum(each for each in (1, 100, 1000, 2500, 3999) if each <= passed))
        table._check()


# The end of all ---------------------------------------------------------------------------------------------------


def test_reset_returns_what_was_live_and_ends_everything(table: InFlightTable[str]) -> None:
    old = table.generation(1)
    table.add("four")
    assert table.reset() == [(1, "one"), (2, "two"), (4, "four")]
    assert (len(table), table.available, table.stats().quarantined) == (0, 4, 0)
    assert table.reset() == []
    table.add("new", id=1)
    with pytest.raises(Stale):
        table.pop(1, generation=old)


def test_a_reset_of_many_is_sorted_wherever_the_order_went_round() -> None:
    table: InFlightTable[int] = InFlightTable(0, 65535)
    for n in range(65000):
        table.pop(table.add(n))
    expected = [(table.add(n), n) for n in range(3000)]
    expected.append((table.add(-1, id=40_000), -1))
    assert table.reset() == sorted(expected)
    table._check()


# A Mapping --------------------------------------------------------------------------------------------------------


def test_it_is_a_mapping(table: InFlightTable[str]) -> None:
    assert isinstance(table, collections.abc.Mapping)
    assert not isinstance(table, collections.abc.MutableMapping)
    assert dict(table) == {**table} == {1: "one", 2: "two"}
    assert [*table] == [1, 2]
    match table:
        case {1: first, **rest}:
            assert (first, rest) == ("one", {2: "two"})
        case _:
            pytest.fail("no mapping pattern matches it")


def test_views_are_sorted_copies_of_one_instant() -> None:
    table: InFlightTable[str] = InFlightTable(1, 1000)
    for id in (500, 3, 999, 128, 127):
        table.add(str(id), id=id)
    keys, items, values, iterator = table.keys(), table.items(), table.values(), iter(table)
    for id in (500, 3):
        table.pop(id)
    table.add("new")
    ids = [3, 127, 128, 500, 999]
    assert list(keys) == list(iterator) == ids
    assert list(values) == list(map(str, ids))
    assert list(items) == [(id, str(id)) for id in ids]
    assert isinstance(keys, collections.abc.KeysView)
    assert isinstance(items, collections.abc.ItemsView)
    assert isinstance(values, collections.abc.ValuesView)
    assert keys & {3, 4} == {3}


def test_an_iterator_holds_no_payload() -> None:
    class Payload:
        pass

    table: InFlightTable[Payload] = InFlightTable()
    table.add(Payload())
    gone = weakref.ref(table[1])
    ids = iter(table)
    table.pop(1)
    gc.collect()
    assert gone() is None
    assert list(ids) == [1]


def test_an_empty_table_is_false_as_an_empty_dict_is(table: InFlightTable[str]) -> None:
    assert table
    table.reset()
    assert not table
    assert not InFlightTable()


def test_tables_are_equal_if_their_items_are(table: InFlightTable[str]) -> None:
    other: InFlightTable[str] = InFlightTable(0, 9)
    other.add("two", id=2)
    assert table != other
    other.add("one", id=1)
    assert table == other == {1: "one", 2: "two"} == table
    assert table != [(1, "one"), (2, "two")]
    with pytest.raises(TypeError, match="unhashable"):
        hash(table)


@pytest.mark.parametrize("key", ["1", 1.0, None, True, [], object()])
def test_what_is_no_integer_is_in_no_table(table: InFlightTable[str], key: Any) -> None:
    assert key not in table


def test_it_is_generic() -> None:
    assert InFlightTable[str].__origin__ is InFlightTable  # type: ignore[attr-defined]
    assert isinstance(InFlightTable[str](1, 2), InFlightTable)


def test_it_tells_what_it_is(table: InFlightTable[str]) -> None:
    assert repr(table) == "<mtsid.core.table.InFlightTable 1 .. 4, 2 of 4 in flight>"


# Stats ------------------------------------------------------------------------------------------------------------


def test_stats_count_every_verb(table: InFlightTable[str]) -> None:
    table.add("four")
    for timeout in (0.0, 0.001):
        with pytest.raises(Exhausted):
            table.add("five", timeout=timeout)
    table.pop(4), table.pop(3, None)
    for id in (4, 0, 2**70):
        table.pop(id, None)
        with pytest.raises(NotInUse):
            table.quarantine(id)
    table.pop(1, None, generation=10**6)
    now = table.stats()
    assert now._asdict() == {
        "capacity": 4,
        "live": 2,
        "quarantined": 0,
        "available": 2,
        "waiting": 0,
        "high_water": 3,
        "added": 4,
        "released": 2,
        "exhausted": 2,
        "refused": 6,
        "late": 1,
        "stale": 1,
    }
    table.reset()
    assert table.stats().released == table.stats().added == 4


# Bad input --------------------------------------------------------------------------------------------------------

NO_INTEGERS: list[Any] = [True, np.True_, 1.0, "1", b"1", None, [1], 1j, Decimal(1), Fraction(1), np.float64(1)]
VERBS: dict[str, Callable[[InFlightTable[str], Any], object]] = {
    "pop": lambda table, id: table.pop(id),
    "pop with a default": lambda table, id: table.pop(id, None),
    "pop by name": lambda table, id: table.pop(id=id),
    "quarantine": lambda table, id: table.quarantine(id),
    "generation": lambda table, id: table.generation(id),
    "state": lambda table, id: table.state(id),
    "get": lambda table, id: table.get(id),
    "[]": lambda table, id: table[id],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("bad", NO_INTEGERS)
def test_an_id_is_an_integer(table: InFlightTable[str], verb: str, bad: Any) -> None:
    before = everything(table)
    with pytest.raises(TypeError, match="must be an integer"):
        VERBS[verb](table, bad)
    if bad is not None:
        with pytest.raises(TypeError, match="must be an integer"):
            table.add("x", id=bad)
        with pytest.raises(TypeError, match="must be an integer"):
            table.pop(1, generation=bad)
        with pytest.raises(TypeError, match="must be an integer"):
            table.quarantine(1, generation=bad)
    assert everything(table) == before


@pytest.mark.parametrize(
    ("bad", "error"),
    [(-1, ValueError), (float("nan"), ValueError), (-(10**400), ValueError), ("1", TypeError), (True, TypeError)],
)
def test_times_are_seconds(table: InFlightTable[str], bad: Any, error: type[Exception]) -> None:
    before = everything(table)
    for call in (
        lambda: table.add("x", timeout=bad),
        lambda: table.add("x", id=4, timeout=bad),
        lambda: table.add_async("x", timeout=bad).send(None),
        lambda: table.quarantine(1, bad),
    ):
        with pytest.raises(error):
            call()
    assert everything(table) == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"first": -1}, ValueError),
        ({"last": 2**32}, ValueError),
        ({"first": 2, "last": 1}, ValueError),
        ({"first": 1, "last": 2, "exclude": [1, 2]}, ValueError),
        ({"order": "random"}, ValueError),
        ({"order": None}, TypeError),
        ({"first": True}, TypeError),
        ({"last": 9.0}, TypeError),
        ({"exclude": 5}, TypeError),
        ({"exclude": ["x"]}, TypeError),
    ],
)
def test_a_range_is_a_range(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        InFlightTable(**arguments)


def test_a_table_is_initialised_once(table: InFlightTable[str]) -> None:
    with pytest.raises(TypeError, match="once"):
        table.__init__(1, 9)  # type: ignore[misc]
    assert table.capacity == 4


def test_a_subclass_that_forgets_to_initialise_has_no_ids() -> None:
    class Forgetful(InFlightTable[int]):
        def __init__(self) -> None:
            pass

    table = Forgetful()
    with pytest.raises(Exhausted):
        table.add(1)
    assert (len(table), table.reset(), dict(table), table.pop(1, None), table.capacity) == (0, [], {}, None, 0)
    table._check()


# References -------------------------------------------------------------------------------------------------------


def test_no_verb_keeps_a_reference_or_drops_one_too_many() -> None:
    payload = object()
    table: InFlightTable[object] = InFlightTable(1, 300)
    before = sys.getrefcount(payload)

    def use() -> None:
        for _ in range(300):
            table.add(payload)
        with pytest.raises(Exhausted):
            table.add(payload, timeout=0.001)
        with pytest.raises(InUse):
            table.add(payload, id=3)
        table.pop(1), table.pop(2, None), table.quarantine(3), table.quarantine(4, 0), table[5], table.get(6)
        table.pop(7, None, generation=1), table.pop(3, payload), table.add(payload, id=1)
        list(table.items()), list(table), table.values(), table == table, repr(table)
        table.reset()

    for _ in range(3):
        use()
        assert sys.getrefcount(payload) == before
    other: InFlightTable[object] = InFlightTable()
    other.add(payload)
    del other
    gc.collect()
    assert sys.getrefcount(payload) == before


def test_the_memory_of_its_uses_goes_with_them() -> None:
    """A cyclic order passes through the range; what it leaves behind is free memory, and not a slot for every id."""
    table: InFlightTable[int] = InFlightTable(0, 2**20 - 1)
    flying = [table.add(n) for n in range(300)]
    for n in range(100_000):
        flying.append(table.add(n))
        table.pop(flying[n])
        if n % 20_000 == 0:
            table._check()  # at most one chunk is empty
    assert list(table) == flying[-300:]
    for id in flying[-300:]:
        table.pop(id)
    table._check()
