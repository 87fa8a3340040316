"""Python threads on allocators and queues, with the collector at work beside them.

Bodies are parcels of the native module and ids have a place on its desk: plain memory that only the owner touches. So
ThreadSanitizer sees not only the library's own memory, but whether one owner's work is handed over to the next.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

import mtsid
from mtsid import v40
from stress.program import report
from stress.sanitizers import FREE_THREADED

__all__ = ["run"]

#: No scenario takes longer, unless something hangs.
DEADLINE = 300

COME_AND_GO = "queues that come and go"


def together(workers: list[Callable[[], int]]) -> int:
    """Each in a thread, all off at once, the collector beside them; returns the sum. Raises what a worker raises.

    No thread ends before the others are done, and each is joined: without the GIL the memory of a thread that ended
    goes to those that run, by a way that ThreadSanitizer does not see; it would report the old use beside the new.
    """
    start = threading.Barrier(len(workers) + 1)
    failures: list[BaseException] = []
    counts: list[int] = []
    ready = threading.Semaphore(0)
    done = threading.Event()

    def guarded(worker: Callable[[], int]) -> None:
        try:
            start.wait(DEADLINE)
            counts.append(worker())
        except BaseException as error:
            failures.append(error)
        ready.release()
        done.wait()

    def collect() -> None:
        start.wait(DEADLINE)
        while not done.wait(0.003):
            gc.collect()

    threads = [threading.Thread(target=guarded, args=(worker,), daemon=True) for worker in workers]
    threads.append(threading.Thread(target=collect, daemon=True))
    deadline = time.monotonic() + DEADLINE
    for thread in threads:
        thread.start()
    for _ in workers:
        if not ready.acquire(timeout=max(0.0, deadline - time.monotonic())):
            failures.append(TimeoutError(f"not at an end after {DEADLINE} s"))
        if failures:
            break
    done.set()
    if failures:
        raise failures[0]
    for thread in threads:
        thread.join()
    return sum(counts)


# Allocators -------------------------------------------------------------------------------------------------------


def allocator(stress: Any, threads: int, rounds: int) -> int:
    """Every verb, one id and many, and native threads on the same allocator; each id is signed for."""
    ids = mtsid.Allocator(0, 1999, exclude=[5, 77, 1999])
    desk = stress.Desk(2000)

    def work(me: int) -> int:
        chance = random.Random(me)
        held: list[Any] = []
        faults = 0
        for n in range(rounds):
            what = chance.randrange(8)
            try:
                if what < 2:
                    held.append(np.array([ids.acquire()], np.uint32))
                elif what == 2:
                    held.append(ids.acquire_many(chance.randint(1, 40)))
                elif what == 3:
                    ids.reserve(wanted := chance.randrange(2000))
                    held.append(np.array([wanted], np.uint32))
                elif what == 4:
                    some = np.array(sorted(chance.sample(range(100, 1900), 3)), np.uint32)
                    ids.reserve_many(some)
                    held.append(some)
                elif held:
                    mine = held.pop(chance.randrange(len(held)))
                    faults += desk.gives(me, mine)
                    if len(mine) > 1:
                        ids.release_many(mine)
                    elif n % 4 == 1:
                        ids.quarantine(mine[0], 0.0001)  # and then it is free by itself
                    else:
                        if n % 4 == 3:
                            ids.quarantine(mine[0])
                        ids.release(mine[0])
                    continue
                else:
                    continue
                faults += desk.took(me, held[-1])
            except (mtsid.Exhausted, mtsid.InUse, ValueError):
                pass
            if n % 50 == 0:
                _ = len(ids), ids.available, repr(ids)
                assert all(int(id) in ids and ids.state(id) == "live" for id in (held[-1] if held else ()))
        for mine in held:
            faults += desk.gives(me, mine)
            ids.release_many(mine)
        assert not faults, f"{faults} faults"
        return rounds

    def natives() -> int:
        operations, _, _, faults = stress.on_allocator(ids, desk, False, 2, 1001, rounds * 4, rounds)
        assert not faults, f"{faults} faults"
        return int(operations)

    done = together([*[partial(work, me) for me in range(1, threads + 1)], natives])
    ids._check()
    assert (len(ids), desk.signed()) == (0, 0)
    return done


def resting(stress: Any, threads: int, rounds: int) -> int:
    """Quarantines, leases, a bound that moves, coroutines that wait, and stats, beside native threads."""
    ids = mtsid.Allocator(0, 299)
    desk = stress.Desk(300)

    def sign(me: int, id: int) -> int:
        place = np.array([id], np.uint32)
        return int(desk.took(me, place) + desk.gives(me, place))

    async def awaited(me: int) -> int:
        id = await ids.acquire_async()
        faults = sign(me, id)
        ids.quarantine(id, 0.0001)
        return faults

    def work(me: int) -> int:
        chance = random.Random(me)
        faults = 0
        for n in range(rounds):
            what = chance.randrange(5)
            try:
                if what == 0:
                    faults += sign(me, id := ids.acquire())
                    ids.quarantine(id, seconds := chance.choice([0, 0.0002, None]))
                    if seconds is None:  # else it may be another's by now
                        assert ids.state(id) == "quarantined"
                        if n % 3:
                            ids.release(id)
                elif what == 1:
                    with ids.lease() as leased:
                        faults += sign(me, leased)
                elif what == 2 and n % 10 == 0:
                    ids.resize(chance.randrange(200, 300))
                elif what == 3 and n % 20 == 0:
                    faults += asyncio.run(awaited(me))
                else:
                    faults += sign(me, id := ids.acquire(0.01))
                    ids.release(id)
            except (mtsid.Exhausted, mtsid.NotInUse):
                continue
            if n % 50 == 0:
                _ = ids.stats()
        assert not faults, f"{faults} faults"
        return rounds

    def natives() -> int:
        operations, _, _, faults = stress.on_allocator(ids, desk, False, 2, 1001, rounds * 4, rounds)
        assert not faults, f"{faults} faults"
        return int(operations)

    done = together([*[partial(work, me) for me in range(1, threads + 1)], natives])
    ids._check()
    ids.reset()
    ids.resize(299)
    assert (ids.available, desk.signed()) == (300, 0)
    return done


def few_ids(stress: Any, threads: int, rounds: int) -> int:
    """Blocking for one of two ids, beside a native thread whose releases wake; some lose patience."""
    ids = mtsid.Allocator(1, 2)
    desk = stress.Desk(2)

    def work(me: int) -> int:
        faults = 0
        for n in range(rounds):
            try:
                mine = np.array([ids.acquire(None if (n + me) % 3 else 0.0002) - 1], np.uint32)
            except mtsid.Exhausted:
                continue
            faults += desk.took(me, mine) + desk.gives(me, mine)
            ids.release(mine[0] + 1)
        assert not faults, f"{faults} faults"
        return rounds

    def natives() -> int:
        operations, _, _, faults = stress.on_allocator(ids, desk, False, 1, 1001, rounds, rounds)
        assert not faults, f"{faults} faults"
        return int(operations)

    done = together([*[partial(work, me) for me in range(1, threads + 1)], natives])
    assert (len(ids), desk.signed()) == (0, 0)
    return done


def resets(stress: Any, threads: int, rounds: int) -> int:
    """Who is reset away is told so by his release; no id comes back twice."""
    ids = mtsid.Allocator(1, 500)

    def work() -> int:
        for _ in range(rounds):
            try:
                ids.release_many(ids.acquire_many(7))
                ids.release(ids.acquire())
            except (mtsid.NotInUse, mtsid.Exhausted):
                pass
        return rounds

    def reset() -> int:
        for _ in range(rounds // 10):
            got = ids.reset().tolist()
            assert len(set(got)) == len(got)
        return rounds // 10

    done = together([*[work] * (threads - 1), reset])
    ids.reset()
    ids._check()
    return done


# Queues -----------------------------------------------------------------------------------------------------------


def traffic(stress: Any, threads: int, rounds: int, maxsize: int, at_once: bool) -> int:
    """Every verb of a queue: producers, consumers that return some, an operator who looks and deletes, the end."""
    queue: mtsid.MessageQueue[Any] = mtsid.MessageQueue(maxsize)
    pairs = max(1, threads // 2)
    parcels = [[stress.Parcel((me, n, [])) for n in range(rounds)] for me in range(pairs)]
    producing = threading.Semaphore(0)
    entered: list[Any] = []
    left: list[Any] = []

    def put(me: int) -> int:
        chance = random.Random(me)
        priorities = ["urgent", "normal", "non-urgent"]
        n = 0
        try:
            while n < rounds:
                some: list[Any] = parcels[me][n : n + chance.choice([1, 1, 1, 2, 5])][:maxsize]
                for parcel in some:  # written by the producer; the monitor hands it over
                    parcel.took(me + 1)
                    parcel.gives(me + 1)
                priority: Any = chance.choice(priorities)
                if len(some) == 1:
                    queue.put(some[0], priority=priority)
                else:
                    queue.put_many(some, priority=priority)
                entered.extend(some)
                n += len(some)
        except mtsid.ShutDown:
            pass
        finally:
            producing.release()
        return n

    def get(me: int) -> int:
        chance = random.Random(me)
        done = 0
        while True:
            try:
                if chance.randrange(3):
                    messages = [queue.get(timeout=chance.choice([None, 0.0005, 5]))]
                else:
                    messages = queue.get_many(4)
            except mtsid.Empty:
                continue
            except mtsid.ShutDown:
                return done
            done += len(messages)
            bodies = [message.body for message in messages]
            # An operator may delete it meanwhile, but touches nothing of it; so the place is ours until we settle.
            assert all(parcel.took(me) for parcel in bodies)
            assert all(parcel.gives(me) for parcel in bodies)
            if len(messages) > 1:
                gone: Sequence[Any] = ()
                try:
                    queue.ack_many(messages)
                except mtsid.NotInUse as error:
                    gone = error.refused
                left.extend(message.body for message in messages if message not in gone)
                continue
            try:
                if chance.random() < 0.3:
                    queue.nack(messages[0])
                else:
                    queue.ack(messages[0])
                    left.append(bodies[0])
            except mtsid.Stale:
                pass
            except mtsid.ShutDown as end:
                left.extend(end.discarded)

    def operate() -> int:
        chance = random.Random(99)
        looks = 0
        ended = 0
        while ended < pairs:
            ended += producing.acquire(blocking=False)
            number = chance.randint(1, maxsize)
            try:
                if chance.random() < 0.1:
                    left.append(queue.delete(number))
                else:
                    assert isinstance(queue.peek(number).what, tuple)
            except mtsid.NotInUse:
                pass
            audit = queue.audit()
            assert audit.free + audit.waiting + audit.in_flight == maxsize
            assert len(queue.snapshot()) <= maxsize
            assert len(queue) <= maxsize
            _ = queue.qsize(), queue.in_flight(), queue.full(), queue.empty(), repr(queue), gc.get_referents(queue)
            looks += 1
            if at_once and looks == 100 + rounds // 50:
                break
        left.extend(queue.shutdown(immediate=at_once))
        queue.join()
        return looks

    done = together(
        [
            *[partial(put, me) for me in range(pairs)],
            *[partial(get, me) for me in range(101, 101 + pairs)],
            operate,
        ]
    )
    assert queue.audit().free == maxsize
    assert sorted(map(id, left)) == sorted(map(id, entered)), f"{len(entered)} entered, {len(left)} left"
    return done


def one_delivery(stress: Any, threads: int, rounds: int) -> int:
    """All threads settle the same deliveries: each is settled once."""
    queue: mtsid.MessageQueue[Any] = mtsid.MessageQueue(rounds)
    queue.put_many([stress.Parcel(n) for n in range(rounds)])
    messages = queue.get_many(rounds)
    settled: list[int] = []

    def settle(verb: Callable[[Any], object]) -> int:
        for message in messages:
            try:
                verb(message)
            except mtsid.Stale:
                continue
            settled.append(message.body.what)
        return rounds

    def bulk(message: Any) -> None:
        try:
            queue.ack_many([message])
        except mtsid.NotInUse as error:
            raise mtsid.Stale("settled", id=message.mtsid) from error

    done = together([partial(settle, [queue.ack, queue.nack, bulk][n % 3]) for n in range(threads)])
    assert sorted(settled) == list(range(rounds))
    queue.audit()
    return done


def peeks(stress: Any, threads: int, rounds: int) -> int:
    """Each body is new and dies when it is settled, `peek` beside it; what they all hold is counted at the end."""
    queue: mtsid.MessageQueue[Any] = mtsid.MessageQueue(threads)
    kept = object()
    before = sys.getrefcount(kept)

    def settle(me: int) -> int:
        chance = random.Random(me)
        for _ in range(rounds):
            with suppress(mtsid.Full):
                queue.put(stress.Parcel(kept), False)
            with suppress(mtsid.Empty, mtsid.NotInUse):
                if chance.random() < 0.3:
                    queue.delete(chance.randint(1, threads))
                else:
                    queue.ack(queue.get(False))
        return rounds

    def look(me: int) -> int:
        chance = random.Random(me)
        for _ in range(rounds):
            with suppress(mtsid.NotInUse):
                assert queue.peek(chance.randint(1, threads)).what is kept
        return rounds

    half = threads // 2
    done = together([*[partial(settle, me) for me in range(half)], *[partial(look, me) for me in range(half)]])
    queue.ack_many(queue.snapshot()["mtsid"])
    gc.collect()
    assert sys.getrefcount(kept) == before, f"{sys.getrefcount(kept)} references, {before} before"
    return done


def requests(stress: Any, threads: int, rounds: int) -> int:
    """Every verb of a table. Each payload is new and dies when it is popped; what all of them hold is counted."""
    table: mtsid.InFlightTable[Any] = mtsid.InFlightTable(1, 4 * threads + 200, exclude=range(5, 200))
    kept = object()
    before = sys.getrefcount(kept)

    def work(me: int) -> int:
        chance = random.Random(me)
        for _ in range(rounds):
            what = chance.randrange(8)
            with suppress(mtsid.MtsidError):
                id = table.add(stress.Parcel(kept), timeout=chance.choice([0, 0.001]))
                generation = table.generation(id)
                if what == 0:
                    table.quarantine(id, chance.choice([None, 0, 0.001]), generation=generation)
                    table.pop(id, generation=generation)
                elif what == 1:
                    table.pop(id, None, generation=generation)
                    table.add(stress.Parcel(kept), id=id)
                elif what == 2:
                    assert table[id].what is kept
                    table.quarantine(id)
                elif what == 3:
                    table.pop(chance.randint(1, 4 * threads + 200))
                else:
                    table.pop(id)
        return rounds

    def look(me: int) -> int:
        chance = random.Random(me)
        for n in range(rounds):
            payload = table.get(chance.randint(1, 4 * threads + 200))
            assert payload is None or payload.what is kept
            if n % 10 == 0:
                assert all(payload.what is kept for payload in table.values())
                table.stats(), list(table), len(table), table.available
            if n % 100 == 0:
                table.reset()
        return rounds

    half = threads // 2
    done = together([*[partial(work, me) for me in range(half)], *[partial(look, me) for me in range(half)]])
    table.reset()
    table._check()
    gc.collect()
    assert sys.getrefcount(kept) == before, f"{sys.getrefcount(kept)} references, {before} before"
    return done


def births_and_deaths(stress: Any, threads: int, rounds: int) -> int:
    """Queues and allocators that come and go, in cycles through their own bodies, for the collector to find."""

    def work(me: int) -> int:
        for n in range(rounds // 3):
            queue: mtsid.MessageQueue[Any] = mtsid.MessageQueue(300)
            queue.put_many([queue, stress.Parcel([queue]), n])
            message = queue.get()
            queue.put((message, queue))
            del message
            ids = mtsid.Allocator(1, 40)
            ids.acquire_many(3)
            if n % 3 == 0:
                queue.shutdown(immediate=True)
        return rounds // 3

    return together([partial(work, me) for me in range(threads)])


def old_version(stress: Any, threads: int, rounds: int) -> int:
    """4.0 may hand out a number twice, but not touch memory wrongly: what it answers is not looked at."""
    done = 0
    for defect in [*v40.queue.DEFECTS]:
        queue: Any = v40.MessageQueue(20, defect=defect)

        def work(me: int, queue: Any = queue) -> int:
            chance = random.Random(me)
            for n in range(rounds // 4):
                try:
                    what = chance.randrange(10)
                    if what < 3:
                        queue.put((me, n), False)
                    elif what == 3:
                        queue.put_many([n, n], False)
                    elif what < 7:
                        queue.ack(queue.get(False))
                    elif what == 7:
                        queue.nack(queue.get(False))
                    elif what == 8:
                        queue.delete(chance.randint(1, 20))
                    else:
                        queue.peek(chance.randint(1, 20)), queue.snapshot(), len(queue)
                except mtsid.MtsidError:
                    pass
            return rounds // 4

        done += together([partial(work, me) for me in range(threads)])
    for defect in [*v40.allocator.DEFECTS]:
        ids: Any = v40.Allocator(1, 20, defect=defect)

        def take(me: int, ids: Any = ids) -> int:
            for _ in range(rounds // 4):
                try:
                    id = ids.acquire()
                    ids.release(id)
                    ids.release_many(ids.acquire_many(2))
                except mtsid.MtsidError:
                    pass
            return rounds // 4

        done += together([partial(take, me) for me in range(threads)])
    return done


def run(stress: Any, scale: float) -> None:
    """Every scenario with 2, 4 and 8 threads."""
    sys.setswitchinterval(1e-5)  # with a GIL, threads must change often to meet at all
    rounds = int(1200 * scale)
    scenarios: list[tuple[str, Callable[[int], int]]] = [
        ("Allocator: every verb, native threads beside", lambda n: allocator(stress, n, rounds)),
        ("Allocator: quarantine, lease, resize, asyncio", lambda n: resting(stress, n, rounds // 4)),
        ("Allocator: few ids, waiting", lambda n: few_ids(stress, n, rounds)),
        ("Allocator: reset", lambda n: resets(stress, n, rounds)),
        ("InFlightTable: every verb", lambda n: requests(stress, n, 4 * rounds)),
        ("MessageQueue(1): every verb", lambda n: traffic(stress, n, rounds // 2, 1, False)),
        ("MessageQueue(7): every verb", lambda n: traffic(stress, n, rounds, 7, False)),
        ("MessageQueue(400): every verb", lambda n: traffic(stress, n, rounds, 400, False)),
        ("MessageQueue(400): shut down at once", lambda n: traffic(stress, n, 20 * rounds, 400, True)),
        ("MessageQueue: one delivery, many hands", lambda n: one_delivery(stress, n, rounds)),
        ("MessageQueue: peek beside the end of a body", lambda n: peeks(stress, n, 20 * rounds)),
        (COME_AND_GO, lambda n: births_and_deaths(stress, n, rounds)),
        ("4.0, every defect", lambda n: old_version(stress, n, rounds)),
    ]
    if FREE_THREADED and "TSAN_OPTIONS" in os.environ:
        # Without the GIL the collector takes cycles apart while the world is stopped, which ThreadSanitizer cannot see:
        # one run in five reported a queue's end beside its last put.
        print(f"    left out: {COME_AND_GO}: the order that a stopped world makes is not seen")
        scenarios = [entry for entry in scenarios if entry[0] != COME_AND_GO]
    for name, scenario in scenarios:
        for threads in (2, 4, 8):
            begun = time.monotonic()
            report(name, threads, scenario(threads), time.monotonic() - begun)
