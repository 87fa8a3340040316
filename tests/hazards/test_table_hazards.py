"""What Python may do to an `InFlightTable`: collect it, call it from where it calls unasked, fork it."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtsid import InFlightTable, MessageQueue


class Thing:
    """Something that can be seen to be gone."""

    to: Any = None


class Finalized:
    """Calls back when it dies."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback

    def __del__(self) -> None:
        self.callback()


class Subclass(InFlightTable[Any]):
    pass


# The collector ----------------------------------------------------------------------------------------------------


def itself(table: Any, thing: Thing) -> None:
    table.add(thing)


def far_behind(table: Any, thing: Thing) -> None:
    for _ in range(900):
        table.add([])
    table.add((thing, 1))


def in_a_table_in_the_table(table: Any, thing: Thing) -> None:
    other: InFlightTable[Any] = InFlightTable(1, 1)
    other.add(thing)
    table.add(other)


def in_a_queue_in_the_table(table: Any, thing: Thing) -> None:
    queue: MessageQueue[Any] = MessageQueue(1)
    queue.put(thing)
    table.add(queue)


def after_much_use(table: Any, thing: Thing) -> None:
    for _ in range(3000):
        table.pop(table.add(thing))
    table.quarantine(table.add(thing))
    table.add(thing, id=7)


@pytest.mark.parametrize("kind", [InFlightTable, Subclass])
@pytest.mark.parametrize(
    "enter", [itself, far_behind, in_a_table_in_the_table, in_a_queue_in_the_table, after_much_use]
)
def test_a_cycle_through_a_table_is_collected(kind: Any, enter: Callable[..., None]) -> None:
    table, thing = kind(1, 1000), Thing()
    thing.to = table
    enter(table, thing)
    gone = weakref.ref(thing)
    del table, thing
    gc.collect()
    assert gone() is None


def test_a_table_in_its_own_payload_is_collected() -> None:
    table = Subclass(1, 10)
    table.add(table), table.add((table, table))
    gone = weakref.ref(table)
    del table
    gc.collect()
    assert gone() is None


def test_a_payload_in_use_is_not_collected() -> None:
    table: InFlightTable[Thing] = InFlightTable()
    thing = Thing()
    thing.to = table
    id = table.add(thing)
    del thing
    gc.collect()
    assert table[id].to is table


def test_the_collector_sees_the_payloads_that_are_live() -> None:
    table: InFlightTable[list[int]] = InFlightTable(1, 1000)
    payloads = [[n] for n in range(500)]
    for payload in payloads:
        table.add(payload)
    table.quarantine(7), table.pop(8)
    assert gc.is_tracked(table)
    seen = {id(thing) for thing in gc.get_referents(table)}
    assert {id(payload) for payload in payloads} - seen == {id(payloads[6]), id(payloads[7])}


def test_a_finalizer_in_a_dying_cycle_finds_a_table_that_works() -> None:
    outcome: list[Any] = []

    class Last(Thing):
        def __del__(self) -> None:
            id = self.to.add("last words")
            outcome.append((self.to.pop(id), len(self.to)))

    table: InFlightTable[Any] = InFlightTable()
    last = Last()
    last.to = table
    table.add(last)
    del table, last
    gc.collect()
    assert outcome == [("last words", 1)]


@pytest.mark.parametrize("more", [0, 1000])
def test_payloads_that_use_the_table_while_it_is_cleared_find_its_memory_in_place(
    more: int, in_child: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an extension's destructor may do, which the collector does not run before it clears."""
    monkeypatch.setenv("MALLOC_PERTURB_", "165")  # glibc's: memory that was freed holds rubbish
    in_child(
        f"""
import ctypes, gc, sysconfig
import mtsid

make = ctypes.pythonapi.PyCapsule_New
make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
ended = []
address = 0

def is_cleared():
    # Or else it was the list that the collector cleared first, and the table ends with that: out of reach for good.
    return sysconfig.get_config_var("Py_GIL_DISABLED") or ctypes.c_uint32.from_address(address).value > 1

@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def destructor(capsule):
    if ended or not is_cleared():
        return
    table = ctypes.cast(address, ctypes.py_object).value
    ended.append(table.reset())  # every chunk is empty now
    for n in range({more}):
        table.add(table.add(n) and table.pop(table.add(n)))

def fall_apart(list_first):
    global address
    ended.clear()
    cycle = [] if list_first else None
    table = mtsid.InFlightTable(1, 65535)
    address = id(table)
    for _ in range(500):
        table.add(make(1, None, ctypes.cast(destructor, ctypes.c_void_p)))
    cycle = cycle if list_first else []
    cycle.append(table)
    table.add(cycle)
    table.pop(table.add(None, id=60_000))  # one empty chunk is kept, so the next ones would go
    del table, cycle
    gc.collect()
    found = [len(pairs) for pairs in ended]
    assert found in ([501], []), found
    if ended:
        ended[0] = None  # the last capsules go while there is a destructor
    return bool(found)

assert [fall_apart(True), fall_apart(False)] != [False, False]
"""
    )


def test_many_tables_in_tables_fall_apart_without_recursion() -> None:
    table: InFlightTable[Any] = InFlightTable(1, 2)
    for _ in range(20_000):
        outer: InFlightTable[Any] = InFlightTable(1, 2)
        outer.add(table)
        table = outer
    del table, outer
    gc.collect()


def test_the_collector_beside_threads_at_work(run_beside_collector: Callable[..., None]) -> None:
    table: InFlightTable[Any] = InFlightTable(1, 2000)

    def churn() -> None:
        for _ in range(30):
            held = [table.add([n], timeout=None) for n in range(300)]
            for id in held:
                table.pop(id, None)

    def guarded() -> None:
        for _ in range(2000):
            id = table.add([table])
            table.pop(id, None)

    run_beside_collector(churn, guarded, guarded)
    assert len(table) == 0
    table._check()


# Reentrance -------------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> Iterator[InFlightTable[Any]]:
    table: InFlightTable[Any] = InFlightTable(1, 10_000)
    yield table
    table._check()


@pytest.mark.parametrize("verb", ["pop", "quarantine", "reset", "late"])
def test_a_payload_that_dies_may_use_its_table(table: InFlightTable[Any], verb: str) -> None:
    seen: list[tuple[int, int]] = []

    def callback() -> None:
        id = table.add("from __del__")
        seen.append((table.quarantine(id) == "from __del__", len(table)))
        table.pop(id, None)

    id = table.add(Finalized(callback))
    if verb == "pop":
        table.pop(id)
    elif verb == "reset":
        table.reset()
    else:
        table.quarantine(id)
        table.pop(id, None)
    gc.collect()
    assert seen == [(True, 0)]


def test_a_payload_that_dies_may_add_itself_again_and_again(table: InFlightTable[Any]) -> None:
    lives = [0]

    def again() -> None:
        lives[0] += 1
        if lives[0] < 1000:
            table.add(Finalized(again))

    table.add(Finalized(again))
    while table:
        for id in table:
            table.pop(id)
        if not table:
            gc.collect()  # of all there is without the GIL, and so not each time
    assert lives == [1000]


def test_an_id_and_a_payload_may_use_the_table_while_they_are_asked(table: InFlightTable[Any]) -> None:
    class Index:
        def __index__(self) -> int:
            table.reset()
            return table.add("from __index__", id=5)

    class Equal:
        def __eq__(self, other: object) -> bool:
            table.reset()
            return True

        __hash__ = None  # type: ignore[assignment]

    assert table.pop(Index()) == "from __index__"
    for _ in range(300):
        table.add(Equal())
    assert table == dict.fromkeys(range(1, 301), 0)
    assert len(table) == 0


def test_the_collector_may_add(table: InFlightTable[Any]) -> None:
    ids = []

    def callback(phase: str, info: object) -> None:
        if phase == "start":
            ids.append(table.add("from the collector"))

    gc.callbacks.append(callback)
    try:
        before = gc.get_threshold()
        gc.set_threshold(5, 1, 1)
        for n in range(2000):
            table.pop(table.add([n]))
            if n % 200 == 0:  # without the GIL the collector does not come by itself
                gc.collect(0)
                table.items()
        gc.set_threshold(*before)
    finally:
        gc.callbacks.remove(callback)
    assert ids
    assert dict(table) == dict.fromkeys(ids, "from the collector")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an interval timer")
def test_a_signal_handler_may_use_the_table_at_any_instant(table: InFlightTable[Any]) -> None:
    entered: list[int] = []

    def handler(number: int, frame: object) -> None:
        id = table.add("signal")  # of this call alone: another signal may come while it runs
        table.items()
        table.pop(id)
        entered.append(id)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        deadline = time.monotonic() + 30
        n = 0
        while len(entered) < 50 and time.monotonic() < deadline:
            id = table.add(n)
            assert dict(table) == {id: n}
            assert table.pop(id) == n
            n += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for _ in range(1000):
            len(table)  # the last one may be pending
        signal.signal(signal.SIGALRM, before)
    assert len(entered) >= 50
    assert not table


# Processes --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_others_are_at_work_has_a_working_copy(in_child: Callable[..., str]) -> None:
    in_child(
        """
import os, signal, sys, threading, time, warnings
import mtsid
from mtsid.core.waiting import _waiters
warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads: that is the point
table, full = mtsid.InFlightTable(1, 300), mtsid.InFlightTable(1, 1)
table.add("of the parent", id=300), full.add("first")
done = threading.Event()
def churn():
    while not done.is_set():
        id = table.add("busy")
        table.items()
        table.pop(id)
threads = [threading.Thread(target=churn) for _ in range(3)]
threads.append(threading.Thread(target=lambda: full.add("second", timeout=None)))
for thread in threads:
    thread.start()
while not _waiters():
    time.sleep(0.001)
def child():
    assert table[300] == "of the parent"
    table._check()
    table.pop(table.add("of the child"))
    assert "of the parent" in dict(table.reset()).values()
    assert table.available == 300
    waits = threading.Thread(target=lambda: full.add("third", timeout=20))
    waits.start()
    full.pop(1)
    waits.join()
    assert full[1] == "third"
for _ in range(25):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        status = 1
        try:
            child()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
done.set()
assert full.pop(1) == "first"
for thread in threads:
    thread.join()
assert (dict(table), dict(full)) == ({300: "of the parent"}, {1: "second"})
""",
        seconds=120,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_references_and_memory_stay_level(in_child: Callable[..., str]) -> None:
    in_child(
        """
import gc, os, sys
import mtsid
payload = object()
table, other = mtsid.InFlightTable(1, 65535), mtsid.InFlightTable(1, 40)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def work(rounds):
    for _ in range(rounds // 200):
        held = [table.add(payload) for _ in range(100)]
        for id in held[:50]:
            table.pop(id)
        for id in held[50:]:
            table.quarantine(id, 0)
            table.pop(id, None)
        for _ in range(40):
            other.add(payload)
        try:
            other.add(payload)
        except mtsid.Exhausted:
            pass
        for wrong in (lambda: other.add(payload, id=4), lambda: other.pop(0), lambda: other.pop(4, generation=1)):
            try:
                wrong()
            except mtsid.MtsidError:
                pass
        for id in range(1, 20):
            other.quarantine(id)
        dict(other), other.items(), list(other), other == table, other.get(30), other[31]
        other.reset()

for attempt in range(3):
    work(20_000)
    gc.collect()
    before = sys.getrefcount(payload), sys.getallocatedblocks(), resident()
    work(200_000)
    gc.collect()
    references = sys.getrefcount(payload) - before[0]
    blocks, memory = sys.getallocatedblocks() - before[1], resident() - before[2]
    assert references == 0, references
    if blocks < 200 and memory < 300_000:
        break
else:
    raise SystemExit(f"blocks {blocks}, memory {memory}")
""",
        seconds=120,
    )
