"""`InFlightTable` under 2, 4 and 8 threads: an id never stands for two payloads, and who looks sees both or neither."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Exhausted, InFlightTable, InUse, Late, NotInUse, Stale

Threads = Callable[..., None]
Waiting = Callable[..., None]
THREADS = pytest.mark.parametrize("threads", [2, 4, 8])


def work_of(me: int, table: InFlightTable[tuple[int, int]], rounds: int, at_once: int) -> None:
    """Adds, pops and gives up, with payloads that say whose they are."""
    chance = random.Random(me)
    held: deque[tuple[int, tuple[int, int], int]] = deque()
    resting: deque[int] = deque()
    for n in range(rounds):
        payload = (me, n)
        id = 0
        try:
            id = table.add(payload)
        except Exhausted as error:
            full = error.live + error.quarantined == error.capacity
        if not id:
            assert full
        else:
            assert table[id] is payload
            held.append((id, payload, table.generation(id)))
        if held and (len(held) == at_once or chance.randrange(4) == 0):
            id, payload, generation = held.popleft()
            what = chance.randrange(4)
            if what == 0:
                assert table.quarantine(id) is payload
                assert id not in table
                resting.append(id)
            elif what == 1:
                assert table.pop(id, None, generation=generation) is payload
                with pytest.raises(Stale):
                    table.pop(id, generation=generation)
            else:
                assert table.pop(id) is payload
        if len(resting) > at_once:
            with pytest.raises(Late):
                table.pop(resting.popleft())
    for id, payload, _ in held:
        assert table.pop(id) is payload
    for id in resting:
        assert table.pop(id, None) is None


@THREADS
@pytest.mark.parametrize("order", ["cyclic", "lowest"])
@pytest.mark.parametrize("last", [16, 200, 65535])
def test_an_id_stands_for_one_payload(threads: int, order: Any, last: int, run_threads: Threads) -> None:
    table: InFlightTable[tuple[int, int]] = InFlightTable(1, last, order=order)
    at_once = max(1, min(20, last // threads // 2))
    run_threads(*[lambda me=me: work_of(me, table, 2500, at_once) for me in range(threads)])
    table._check()
    stats = table.stats()
    assert (len(table), stats.quarantined, stats.available) == (0, 0, last)
    assert stats.added == stats.released
    if last == 65535:
        assert stats.exhausted == 0


@THREADS
def test_in_one_order_whatever_the_threads(threads: int, run_threads: Threads) -> None:
    """Cyclic means cyclic for all of them together: no id comes back before every other one was had."""
    table: InFlightTable[int] = InFlightTable(1, 65535)
    got: list[list[int]] = [[] for _ in range(threads)]

    def work(me: int) -> None:
        for _ in range(4000):
            id = table.add(me)
            got[me].append(id)
            assert table.pop(id) == me

    run_threads(*[lambda me=me: work(me) for me in range(threads)])
    assert sorted(id for mine in got for id in mine) == list(range(1, 4000 * threads + 1))


@THREADS
def test_of_many_answers_to_one_request_just_one_is_its(threads: int, run_threads: Threads) -> None:
    table: InFlightTable[int] = InFlightTable(1, 1000)
    for id in range(1, 1001):
        table.add(id)
    popped: list[int] = []
    given_up: list[int] = []

    def answers() -> None:
        for id in range(1, 1001):
            payload = table.pop(id, None)
            if payload is not None:
                assert payload == id
                popped.append(id)

    def timeouts() -> None:
        for id in range(1, 1001):
            try:
                assert table.quarantine(id) == id
            except NotInUse:
                continue
            given_up.append(id)

    run_threads(*[answers] * (threads // 2), *[timeouts] * (threads // 2))
    assert sorted(popped + given_up) == list(range(1, 1001))
    table._check()


@THREADS
def test_of_many_who_want_one_id_just_one_has_it(threads: int, run_threads: Threads) -> None:
    table: InFlightTable[int] = InFlightTable(1, 1000)
    had: list[list[int]] = [[] for _ in range(threads)]

    def work(me: int) -> None:
        for id in range(1, 1001):
            try:
                table.add(me, id=id)
            except InUse:
                continue
            had[me].append(id)

    run_threads(*[lambda me=me: work(me) for me in range(threads)])
    assert sorted(id for mine in had for id in mine) == list(range(1, 1001))
    for me in range(threads):
        assert all(table[id] == me for id in had[me])
    table._check()


@THREADS
def test_payload_and_id_appear_and_vanish_in_one_step(threads: int, run_threads: Threads) -> None:
    """One payload comes and goes where all others stay: whoever looks finds it with its id, or neither."""
    table: InFlightTable[int] = InFlightTable(1, 50)
    for id in range(1, 50):
        table.add(id)
    done = [False]

    def move() -> None:
        while not done[0]:
            id = table.add(-1)
            assert table.pop(id) == -1
            id = table.add(-1, id=50)
            assert table.quarantine(id) == -1
            table.pop(id, None)

    def look() -> None:
        try:
            for _ in range(1500):
                stats = table.stats()
                assert stats.live + stats.quarantined + stats.available == 50
                assert stats.added == stats.released + stats.live + stats.quarantined
                items = dict(table.items())
                assert {id: id for id in range(1, 50)}.items() <= items.items()
                assert items.get(50, -1) == -1
                assert table.get(50, -1) == -1
                assert list(table)[:49] == list(range(1, 50))
        finally:
            done[0] = True

    run_threads(move, *[look] * (threads - 1))
    table._check()


@THREADS
def test_views_are_of_one_instant(threads: int, run_threads: Threads) -> None:
    """Each writer has one request in flight at any time, and adds the next before it pops the last."""
    table: InFlightTable[tuple[int, int]] = InFlightTable(1, 1000)
    writers = threads // 2
    last = [table.add((me, 0)) for me in range(writers)]
    done = [False]

    def write(me: int) -> None:
        n = 0
        while not done[0]:
            n += 1
            id = table.add((me, n))
            assert table.pop(last[me]) == (me, n - 1)
            last[me] = id

    def look() -> None:
        try:
            for _ in range(1000):
                payloads = list(table.values())
                for me in range(writers):
                    mine = sorted(n for writer, n in payloads if writer == me)
                    assert len(mine) == 1 or (len(mine) == 2 and mine[1] == mine[0] + 1)
        finally:
            done[0] = True

    run_threads(*[lambda me=me: write(me) for me in range(writers)], *[look] * (threads - writers))
    table._check()


@THREADS
def test_a_payload_that_is_read_beside_its_pop_lives(threads: int, run_threads: Threads) -> None:
    """The table has the only reference: a reader that took one too late would have a dead object."""
    table: InFlightTable[list[int]] = InFlightTable(1, 4)
    done = [False]

    def churn() -> None:
        while not done[0]:
            for id in (1, 2, 3, 4):
                table.add([id, id], id=id)
            for id in (1, 2, 3, 4):
                table.pop(id)

    def read() -> None:
        try:
            for n in range(8000):
                id = n % 4 + 1
                assert table.get(id, [id, id]) == [id, id]
                for other, payload in table.items() if n % 16 == 0 else ():
                    assert payload == [other, other]
        finally:
            done[0] = True

    run_threads(churn, *[read] * (threads - 1))
    table._check()


@THREADS
def test_what_is_added_is_popped_or_reset_once(threads: int, run_threads: Threads) -> None:
    table: InFlightTable[tuple[int, int]] = InFlightTable(1, 5000)
    out: list[list[tuple[int, int]]] = [[] for _ in range(threads)]
    done: list[bool] = []

    def work(me: int) -> None:
        for n in range(4000):
            id = table.add((me, n))
            try:
                payload = table.pop(id, generation=table.generation(id) if n % 2 == 0 else None)
            except NotInUse:
                continue
            out[me].append(payload)

    def reset() -> None:
        while len(done) < threads - 1:
            pairs = table.reset()
            assert [id for id, _ in pairs] == sorted({id for id, _ in pairs})
            out[-1].extend(payload for _, payload in pairs)

    def guarded(me: int) -> None:
        try:
            work(me)
        finally:
            done.append(True)

    run_threads(*[lambda me=me: guarded(me) for me in range(threads - 1)], reset)
    out[-1].extend(payload for _, payload in table.reset())
    everything = [payload for mine in out for payload in mine]
    assert sorted(everything) == [(me, n) for me in range(threads - 1) for n in range(4000)]
    table._check()


@THREADS
def test_exhausted_is_never_said_while_an_id_is_free(threads: int, run_threads: Threads) -> None:
    """Each thread has at most one of as many ids as there are threads: one is always free for who asks."""
    table: InFlightTable[int] = InFlightTable(1, threads)

    def work(me: int) -> None:
        for _ in range(5000):
            assert table.pop(table.add(me)) == me

    run_threads(*[lambda me=me: work(me) for me in range(threads)])
    assert table.stats().exhausted == 0
    table._check()


# Waiting ----------------------------------------------------------------------------------------------------------


def full(seconds: float | None = None, last: int = 1, *, rests: bool = False) -> InFlightTable[str]:
    table: InFlightTable[str] = InFlightTable(1, last)
    for _ in range(last):
        id = table.add("first")
        if rests:
            table.quarantine(id, seconds)
    return table


FREES: dict[str, Callable[[InFlightTable[str]], object]] = {
    "pop": lambda table: table.pop(1),
    "reset": lambda table: table.reset(),
    "quarantine": lambda table: table.quarantine(1, 0.02),
}


@pytest.mark.parametrize("verb", FREES)
@pytest.mark.parametrize("timeout", [None, float("inf"), 1000])
def test_whatever_frees_an_id_wakes_who_waits(verb: str, timeout: Any, run_threads: Threads, waiting: Waiting) -> None:
    table = full()
    got: list[int] = []

    def free() -> None:
        waiting(1)
        assert table.stats().waiting == 1
        FREES[verb](table)

    run_threads(lambda: got.append(table.add("second", timeout=timeout)), free)
    assert (got, dict(table)) == ([1], {1: "second"})


def test_a_late_answer_wakes_who_waits(run_threads: Threads, waiting: Waiting) -> None:
    table = full(1000, rests=True)

    def late() -> None:
        waiting(1)
        with pytest.raises(Late):
            table.pop(1)

    run_threads(lambda: table.add("second", timeout=None), late)
    assert table[1] == "second"


def test_the_end_of_a_quarantine_wakes_who_waits() -> None:
    table = full(0.1, rests=True)
    begin = time.monotonic()
    assert table.add("second", timeout=1000) == 1
    assert 0.1 <= time.monotonic() - begin < 30


def test_a_wait_in_vain_ends_after_its_timeout_and_keeps_no_payload() -> None:
    table = full()
    begin = time.monotonic()
    with pytest.raises(Exhausted) as caught:
        table.add("second", timeout=0.05)
    assert time.monotonic() - begin >= 0.05
    assert (caught.value.live, caught.value.quarantined, dict(table)) == (1, 0, {1: "first"})


def test_a_reset_wakes_all_for_whom_it_frees_an_id(run_threads: Threads, waiting: Waiting) -> None:
    table = full(last=3)

    def reset() -> None:
        waiting(3)
        assert table.reset() == [(1, "first"), (2, "first"), (3, "first")]

    run_threads(*[lambda: table.add("second", timeout=None)] * 3, reset)
    assert dict(table) == dict.fromkeys((1, 2, 3), "second")


def test_when_the_first_in_line_gives_up_the_next_one_minds_the_time(run_threads: Threads, waiting: Waiting) -> None:
    table = full(0.3, rests=True)
    outcome: list[str] = []

    def first() -> None:
        with pytest.raises(Exhausted):
            table.add("first", timeout=0.1)
        outcome.append("gave up")

    def second() -> None:
        waiting(1, or_came=outcome)
        table.add("second", timeout=None)

    run_threads(first, second)
    assert table[1] == "second"


@THREADS
@pytest.mark.parametrize("verb", ["pop", "quarantine", "reset"])
def test_few_ids_for_many_threads(threads: int, verb: str, run_threads: Threads) -> None:
    """A wake-up that is lost would leave somebody waiting for ever."""
    table: InFlightTable[int] = InFlightTable(1, 2)
    out: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        for n in range(150):
            id = table.add(n, timeout=None)
            if verb == "pop":
                table.pop(id)
            elif verb == "quarantine":
                table.quarantine(id, 0.0002)
            else:
                pairs = table.reset()
                with lock:
                    out.extend(payload for _, payload in pairs)

    run_threads(*[work] * threads)
    if verb == "reset":
        assert sorted(out) == sorted([*range(150)] * threads)
    table._check()


def test_ctrl_c_ends_a_wait_and_leaves_all_in_order(in_child: Callable[..., str]) -> None:
    in_child(
        """
import os, signal, threading, time
import mtsid
from mtsid.core.waiting import _waiters
table = mtsid.InFlightTable(1, 1)
table.add("first")
def interrupt():
    while not _waiters():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    table.add("second", timeout=None)
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("the wait ended otherwise")
table._check()
assert table.pop(1) == "first"
assert table.add("third", timeout=None) == 1
"""
    )
