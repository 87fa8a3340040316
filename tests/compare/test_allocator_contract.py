"""One contract for `Allocator`, held against SP2 and each defect of 4.0. The table is the point.

A row is a promise, a column a version; `x` says that it breaks the promise. SP2 keeps them all. A defect breaks
exactly what its column lists: a listed promise that holds fails the test as much as an unlisted one that breaks.
"""

from __future__ import annotations

import contextlib
import functools
import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

import mtsid
from mtsid import Exhausted, InUse, NotInUse, v40

TABLE = """
                                                     SP2  double-release  racy-claim  unchecked-wrap
two_holders_never_share_an_id                        .    .               .           x
two_holders_in_two_threads_never_share_an_id         .    .               x           .
a_long_lived_id_is_not_handed_out_again              .    .               .           x
a_reserved_id_is_not_handed_out                      .    .               .           x
an_excluded_id_is_not_handed_out                     .    .               .           .
the_last_free_id_is_found                            .    .               .           x
none_free_is_exhausted                               .    .               .           x
too_few_free_is_exhausted_and_takes_nothing          .    .               .           x
more_than_the_range_has_is_exhausted                 .    .               .           .
cyclic_takes_ids_in_turn                             .    .               .           .
cyclic_passes_by_what_is_live                        .    .               .           x
lowest_takes_the_lowest_free_id                      .    .               .           x
a_second_release_is_refused                          .    x               .           .
a_foreign_release_is_refused                         .    x               .           .
a_second_release_frees_nothing                       .    x               .           .
an_id_released_twice_is_handed_out_once              .    x               .           .
release_many_refuses_what_is_not_live                .    x               .           .
release_many_refuses_duplicates                      .    .               .           .
a_live_id_cannot_be_reserved                         .    .               .           .
reserve_many_is_all_or_none                          .    .               .           .
a_released_id_is_free                                .    .               .           .
reset_returns_every_live_id_once                     .    .               .           .
bad_input_changes_nothing                            .    .               .           .
"""

Make = Callable[..., Any]


def draws(ids: Any, count: int) -> list[int]:
    return [ids.acquire() for _ in range(count)]


# The promises -----------------------------------------------------------------------------------------------------


def two_holders_never_share_an_id(make: Make) -> None:
    ids, chance = make(1, 8), random.Random(1)
    held: list[int] = []
    for _ in range(500):
        if held and (len(held) == 8 or chance.random() < 0.5):
            ids.release(held.pop(chance.randrange(len(held))))
        else:
            id = ids.acquire()
            assert id not in held
            held.append(id)


def two_holders_in_two_threads_never_share_an_id(make: Make) -> None:
    rounds, workers, each, held_at_once = 8, 4, 4000, 20
    ids = make(1, rounds * workers * each)  # so many that nothing wraps
    owner: list[int | None] = [None] * (ids.capacity + 1)
    twins: list[int] = []

    def work(me: int, start: threading.Barrier) -> None:
        held: deque[int] = deque()
        start.wait()
        for n in range(each + held_at_once):
            if n < each:
                id = ids.acquire()
                if owner[id] is not None:
                    twins.append(id)
                owner[id] = me
                held.append(id)
            if n >= held_at_once:
                id = held.popleft()
                if owner[id] != me:
                    twins.append(id)
                owner[id] = None
                ids.release(id)

    for _ in range(rounds):
        start = threading.Barrier(workers)
        threads = [threading.Thread(target=work, args=(me, start)) for me in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not twins


def a_long_lived_id_is_not_handed_out_again(make: Make) -> None:
    ids = make(1, 5)
    long_lived = ids.acquire()
    for _ in range(20):
        id = ids.acquire()
        assert id != long_lived
        ids.release(id)


def a_reserved_id_is_not_handed_out(make: Make) -> None:
    ids = make(1, 5)
    ids.reserve(1)
    ids.reserve_many([3, 4])
    assert set(draws(ids, 2)) == {2, 5}


def an_excluded_id_is_not_handed_out(make: Make) -> None:
    ids = make(0, 5, exclude=(0, 3))
    assert draws(ids, 4) == [1, 2, 4, 5]


def the_last_free_id_is_found(make: Make) -> None:
    ids = make(1, 100)
    ids.acquire_many(100)
    ids.release(42)
    assert ids.acquire() == 42


def none_free_is_exhausted(make: Make) -> None:
    ids = make(1, 3)
    draws(ids, 3)
    with pytest.raises(Exhausted) as caught:
        ids.acquire()
    refusal = caught.value
    assert (refusal.live, refusal.capacity) == (3, 3)


def too_few_free_is_exhausted_and_takes_nothing(make: Make) -> None:
    ids = make(1, 10)
    ids.acquire_many(7)
    with pytest.raises(Exhausted):
        ids.acquire_many(4)
    assert list(ids) == [1, 2, 3, 4, 5, 6, 7]


def more_than_the_range_has_is_exhausted(make: Make) -> None:
    with pytest.raises(Exhausted):
        make(1, 10).acquire_many(11)


def cyclic_takes_ids_in_turn(make: Make) -> None:
    ids = make(1, 3)
    for expected in (1, 2, 3, 1, 2, 3, 1):
        assert ids.acquire() == expected
        ids.release(expected)


def cyclic_passes_by_what_is_live(make: Make) -> None:
    ids = make(1, 5)
    draws(ids, 5)
    ids.release(4)
    ids.release(2)
    assert draws(ids, 2) == [2, 4]


def lowest_takes_the_lowest_free_id(make: Make) -> None:
    ids = make(1, 9, order="lowest")
    draws(ids, 6)
    ids.release(5)
    ids.release(2)
    assert draws(ids, 3) == [2, 5, 7]


def a_second_release_is_refused(make: Make) -> None:
    ids = make(1, 5)
    ids.release(ids.acquire())
    with pytest.raises(NotInUse) as caught:
        ids.release(1)
    assert caught.value.id == 1


def a_foreign_release_is_refused(make: Make) -> None:
    ids = make(1, 5)
    ids.acquire()
    with pytest.raises(NotInUse) as caught:
        ids.release(2)
    assert caught.value.id == 2


def a_second_release_frees_nothing(make: Make) -> None:
    ids = make(1, 5)
    ids.release(ids.acquire())
    with contextlib.suppress(NotInUse):
        ids.release(1)
    assert ids.available == ids.capacity


def an_id_released_twice_is_handed_out_once(make: Make) -> None:
    ids = make(1, 2)
    draws(ids, 2)
    ids.release(1)
    with contextlib.suppress(NotInUse):
        ids.release(1)
    got = []
    with contextlib.suppress(Exhausted):
        got = [ids.acquire()]
        got.append(ids.acquire())
    assert got.count(1) == 1


def release_many_refuses_what_is_not_live(make: Make) -> None:
    ids = make(1, 9)
    draws(ids, 3)
    with pytest.raises(NotInUse) as caught:
        ids.release_many([3, 7, 1])
    assert caught.value.refused == (7,)


def release_many_refuses_duplicates(make: Make) -> None:
    ids = make(1, 9)
    draws(ids, 3)
    with pytest.raises(ValueError):
        ids.release_many([3, 1, 3])
    assert list(ids) == [1, 2, 3]


def a_live_id_cannot_be_reserved(make: Make) -> None:
    ids = make(1, 9)
    with pytest.raises(InUse) as caught:
        ids.reserve(ids.acquire())
    assert caught.value.id == 1


def reserve_many_is_all_or_none(make: Make) -> None:
    ids = make(1, 9)
    ids.reserve(5)
    with pytest.raises(InUse):
        ids.reserve_many([4, 5, 6])
    assert list(ids) == [5]


def a_released_id_is_free(make: Make) -> None:
    ids = make(1, 9)
    id = ids.acquire()
    assert (ids.state(id), id in ids, len(ids)) == ("live", True, 1)
    ids.release(id)
    assert (ids.state(id), id in ids, len(ids)) == ("free", False, 0)


def reset_returns_every_live_id_once(make: Make) -> None:
    ids = make(1, 9)
    draws(ids, 3)
    ids.release(2)
    assert ids.reset().tolist() == [1, 3]
    assert (len(ids), ids.available) == (0, 9)


def bad_input_changes_nothing(make: Make) -> None:
    ids = make(1, 9)
    draws(ids, 3)
    for bad in (True, 1.0, "1", None):
        with pytest.raises(TypeError):
            ids.release(bad)
        with pytest.raises(TypeError):
            ids.reserve_many([5, bad])
    assert list(ids) == [1, 2, 3]


# The table, checked -----------------------------------------------------------------------------------------------


def test_contract(promise: str, version: str, broken: bool, hold: Callable[..., None]) -> None:
    make: Make = mtsid.Allocator if version == "SP2" else functools.partial(v40.Allocator, defect=version)
    hold(globals()[promise], make, broken)


def test_sp2_keeps_all_and_each_defect_breaks_something(marks: dict[str, int]) -> None:
    assert marks.pop("SP2") == 0
    assert set(marks) == {"double-release", "racy-claim", "unchecked-wrap"}
    assert all(marks.values())
