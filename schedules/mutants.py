"""Mutants: faults put into the core on purpose, each of which a named scenario or test must catch.

    python -m schedules.mutants           all of them: `make mutants`
    python -m schedules.mutants -k hint   some

A mutant is a piece of source and what stands in its place. It is compiled, in a copy of the tree and as the scheduled
build, and whoever is to catch it is run: a scenario of scenarios.py, or a test. Exit status 1 if one survives, or if a
piece of source is no longer there: then the mutant proves nothing, and has to be brought up to date.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from schedules.build import ROOT

__all__ = ["MUTANTS", "Mutant", "main"]

TIMEOUT = 300  # seconds for whoever is to catch it


@dataclass(frozen=True)
class Mutant:
    """`old` in `file` becomes `new`; `scenario` (a part of its name) or `test` (for pytest) catches it."""

    name: str
    file: str
    old: str
    new: str
    scenario: str = ""
    test: str = ""


BITMAP, BULK, BACKLOG = "core/bitmap.pxd", "core/bitmap_bulk.pxd", "core/backlog.pxd"
ALLOCATOR, WAITING, PARKING = "core/id_verbs.pyx", "core/waiting.pyx", "core/parking.h"
VERBS, STEPS, QUEUE = "core/verbs.pyx", "core/steps.pxi", "core/queue.pyx"
MESSAGE, HOLD = "core/message.h", "core/message.pxd"
QUARANTINE, LEASES = "core/quarantine.pxd", "core/leases.pxd"
TABLE, FLIGHT, USES = "core/table.pyx", "core/in_flight.pxd", "core/uses.pxd"

MUTANTS = (
    Mutant(
        "an exchange that is a load and a store",
        BITMAP,
        """\
    return cas_seq_cst(leaf, expected, desired)  # L0
""",
        """\
    store_relaxed(leaf, desired)
    return expected
""",
        scenario="acquire | acquire, 2 ids",
    ),
    Mutant(
        "a failing acquire that does not look again past the hints",
        BITMAP,
        """\
    if offset < 0:
        offset = search_or_certify(self, seen)
""",
        """\
    if offset < 0:
        see_rest(self, seen)
""",
        test="schedules/test_interference.py",
    ),
    Mutant(
        "an exhaustion certified by one pass",
        BITMAP,
        """\
        if before == after:
            return EXHAUSTED
        before = after
    return offset
""",
        """\
        return EXHAUSTED
    return offset
""",
        test="schedules/test_interference.py",
    ),
    Mutant(
        "a release that does not bump the version",
        BITMAP,
        "(now ^ bit) + (<uint64_t> 1 << 32)",
        "now ^ bit",
        test="schedules/test_interference.py",
    ),
    Mutant(
        "a release that does not check",
        BITMAP,
        """\
    if seldom(not now & bit):
        return NOT_LIVE
""",
        """\
    if seldom(not now & bit):
        return 0
""",
        scenario="release | release of one id",
    ),
    Mutant(
        "a release of what a bulk claim may yet give back",
        BITMAP,
        "load_acquire(&self.claim) & 1 or load_acquire(&self.rest) != 0",
        "load_acquire(&self.rest) != 0",
        scenario="rolled back | release of what it holds",
    ),
    Mutant(
        "a reservation refused for what a bulk claim may yet give back",
        BITMAP,
        """\
        now = found
    if claims & 1 or load_acquire(&self.claim) != claims:  # C1
        return BUSY
    return LIVE
""",
        """\
        now = found
    return LIVE
""",
        scenario="rolled back | reserve",
    ),
    Mutant(
        "an exhaustion for want of what a bulk claim may yet give back",
        BITMAP,
        """\
    if claims & 1:
        return BUSY
    offset = claim_past_hints(self, &before)
""",
        """\
    offset = claim_past_hints(self, &before)
""",
        scenario="rolled back | pair",
    ),
    Mutant(
        "a view that shows what a bulk claim may yet give back",
        BITMAP,
        "(claims | rest) & 1 or load_acquire(&self.rest) != rest or load_acquire(&self.claim) != claims:  # R1, C1",
        "rest & 1 or load_acquire(&self.rest) != rest:",
        scenario="rolled back | state",
    ),
    Mutant(
        "a hint that is set and not looked at again",
        BITMAP,
        """\
    while not is_full(self, level, index):
""",
        """\
    while False:
""",
        scenario="a full leaf opened",
    ),
    Mutant(
        "a release that leaves its hint",
        BITMAP,
        """\
    if seldom(<uint32_t> now == ALL32):
        hint_open(self, leaf)
""",
        "",
        scenario="acquire | release, 2 leaves, all live",
    ),
    Mutant(
        "an id leaked by a bulk claim that failed",
        BULK,
        """\
            roll_back(self, ids, got)
            claim_end(&self.claim)  # C0
            return EXHAUSTED
""",
        """\
            claim_end(&self.claim)  # C0
            return EXHAUSTED
""",
        scenario="rolled back | state",
    ),
    Mutant(
        "a bulk claim that ends before it has given back",
        BULK,
        """\
            roll_back(self, ids, got)
            claim_end(&self.claim)  # C0
            return EXHAUSTED
""",
        """\
            claim_end(&self.claim)  # C0
            roll_back(self, ids, got)
            return EXHAUSTED
""",
        scenario="rolled back | state",
    ),
    Mutant(
        "bulk claims that do not exclude one another",
        "core/bitmap.h",
        """\
    return !(now & 1) && mtsid_cas_seq_cst(claim, now, now + 1) == now;
""",
        """\
    mtsid_store_relaxed(claim, now | 1);
    return 1;
""",
        scenario="acquire_many(2), 3 ids",
    ),
    Mutant(
        "an id put to rest without a new version",
        QUARANTINE,
        """\
                break
            found = exchange(self, &self.leaves[leaf], now, now + (<uint64_t> 1 << 32))
""",
        """\
                break
            found = exchange(self, &self.leaves[leaf], now, now)
""",
        scenario="quarantine | release of one id",
    ),
    Mutant(
        "a short release that does not look whether any id rests",
        BITMAP,
        " or load_acquire(&self.rest) != 0",
        "",
        scenario="release | release of a quarantined id",
    ),
    Mutant(
        "a release that does not look whether the id rests",
        BITMAP,
        """\
                mine &= ~resting_bits(self, leaf)
""",
        "",
        scenario="release | release of a quarantined id",
    ),
    Mutant(
        "a resting bit that is cleared before the leaf's",
        QUARANTINE,
        """\
        release_bits(self, leaf, bit, True, NO_LEASE)
        flip_resting(self, leaf, bit)
""",
        """\
        flip_resting(self, leaf, bit)
        release_bits(self, leaf, bit, True, NO_LEASE)
""",
        scenario="release | release of a quarantined id",
    ),
    Mutant(
        "a quarantine of what a bulk claim may give back",
        QUARANTINE,
        """\
            if load_acquire(&self.claim) & 1:  # C1: the bit may be one that is given back
                code = BUSY
                break
""",
        "",
        scenario="rolled back | quarantine",
    ),
    Mutant(
        "quarantined ids counted after the search",
        ALLOCATOR,
        """\
            raise self.exhausted(seen)
        return offset
""",
        """\
            seen.quarantined = load_acquire(&self.bits.quarantined)
            raise self.exhausted(seen)
        return offset
""",
        scenario="and counts",
    ),
    Mutant(
        "a bound that moves without a new version of what is live beyond it",
        "core/bound.pxd",
        "(now | bits) + (<uint64_t> 1 << 32))",
        "now | bits)",
        scenario="release beyond it",
    ),
    Mutant(
        "a lease that sees whether it is stale before it looks at the leaf",
        LEASES,
        """\
    cdef int64_t left = release_bits(self, offset >> 5, <uint32_t> 1 << (offset & 31), False, epoch)
""",
        """\
    cdef int64_t left
    cdef uint64_t early = load_acquire(&self.leases)
    if early >> EPOCH != epoch:
        return -4 if early & RESETTING else -6
    left = release_bits(self, offset >> 5, <uint32_t> 1 << (offset & 31), False, ~<uint64_t> 0)
""",
        scenario="it stays reserved",
    ),
    Mutant(
        "a reset that does not wait for those who take",
        LEASES,
        """\
    while load_acquire(&self.leases) & (RESETTING - 1):
        thread_yield()
""",
        "",
        scenario="it stays reserved",
    ),
    Mutant(
        "a release that wakes nobody",
        ALLOCATOR,
        """\
            code = self.free_again(offset, code, NO_LEASE)
        if code == 0 and self.waiting.needed():
            self.waiting.wake(1)
""",
        """\
            code = self.free_again(offset, code, NO_LEASE)
""",
        scenario="acquire waits | release",
    ),
    Mutant(
        "a waiter that tries before it stands in line",
        ALLOCATOR,
        """\
                    self.waiting.enter(waiter)
                    offset = take(self, seen) if epoch == NULL else self.take_leased(seen, epoch)
""",
        """\
                    offset = take(self, seen) if epoch == NULL else self.take_leased(seen, epoch)
                    self.waiting.enter(waiter)
""",
        scenario="acquire waits | release",
    ),
    Mutant(
        "a wake-up that is not passed on",
        ALLOCATOR,
        """\
            if self.waiting.leave(waiter) or load_acquire(&self.bits.earliest) != NEVER:
                self.waiting.wake(1)
""",
        """\
            self.waiting.leave(waiter)
""",
        scenario="2 acquires wait | 2 releases",
    ),
    Mutant(
        "a waiter that forgets that it was chosen",
        WAITING,
        """\
        chosen = not waiter.in_line
""",
        """\
        chosen = False
""",
        scenario="2 acquires wait | 2 releases",
    ),
    Mutant(
        "an unparking that leaves no token",
        PARKING,
        "    __atomic_store_n(token, 1, __ATOMIC_RELEASE); /* U0 */\n",
        "",
        test="tests/threads/test_waiting.py -k before_its_timeout",
    ),
    Mutant(
        "a put that wakes nobody",
        STEPS,
        """\
            if self.getters.needed():
                self.getters.wake(1)
            return code
""",
        """\
            return code
""",
        scenario="get waits | put",
    ),
    Mutant(
        "an ack that wakes nobody",
        STEPS,
        """\
    if self.putters.needed() or (live == 0 and (closed or self.joiners.needed())):
        self.left(live, room, closed)
    return result
""",
        """\
    return result
""",
        scenario="put waits | get, ack",
    ),
    Mutant(
        "a last ack that leaves those who join asleep",
        VERBS,
        """\
            if self.joiners.needed():
                self.joiners.wake_all()
            if closed""",
        "            if closed",
        scenario="join | get, ack",
    ),
    Mutant(
        "a last ack after a shutdown that leaves getters asleep",
        VERBS,
        """\
            if closed and self.getters.needed():
                self.getters.wake_all()
""",
        """\
            pass
""",
        scenario="get, ack | get waits, ack | shutdown",
    ),
    Mutant(
        "a shutdown that leaves putters asleep",
        VERBS,
        """\
        self.putters.wake_all()
        if live == 0:
""",
        """\
        if live == 0:
""",
        scenario="put waits | shutdown",
    ),
    Mutant(
        "a receipt that is not bumped",
        BACKLOG,
        """\
    self.receipts += 1
""",
        """\
    self.receipts = 1
""",
        test="tests/core/test_queue.py tests/core/test_queue_machine.py",
    ),
    Mutant(
        "a blank message that keeps what lay in its memory",
        MESSAGE,
        """\
    memset((char *)message""",
        """\
    if (0) memset((char *)message""",
        test="tests/core/test_message.py",
    ),
    Mutant(
        "a message that the collector never sees",
        HOLD,
        "if not message.tracked and not holds_nothing",
        "if message.tracked and not holds_nothing",
        test="tests/core/test_message.py",
    ),
    Mutant(
        "messages in messages that fall apart without the trashcan",
        MESSAGE,
        """\
    Py_TRASHCAN_BEGIN(self, mtsid_message_dealloc)
    mtsid_end_message((mtsid_message *)self);
    Py_TRASHCAN_END
""",
        """\
    mtsid_end_message((mtsid_message *)self);
""",
        test="tests/hazards/test_reentrance.py -k chain",
    ),
    Mutant(
        "a last ack that does not wake whoever joins",
        STEPS,
        "(live == 0 and (closed or self.joiners.needed()))",
        "(live == 0 and closed)",
        scenario="join | get, ack",
    ),
    Mutant(
        "a last ack that does not end the waits of a closed queue",
        STEPS,
        "(live == 0 and (closed or self.joiners.needed()))",
        "(live == 0 and self.joiners.needed())",
        scenario="get, ack | get waits, ack | shutdown",
    ),
    Mutant(
        "a word that is taken for whole because its ends are in their places",
        BULK,
        "    return others == 0\n",
        "    return True\n",
        test="tests/core/test_allocator_bulk.py",
    ),
    Mutant(
        "a run of deliveries under one receipt",
        BACKLOG,
        """\
            receipt += 1
""",
        "",
        test="tests/core/test_queue_bulk.py",
    ),
    Mutant(
        "a run whose rest keeps its way back",
        BACKLOG,
        """\
        if at == NONE:
            line.last = NONE
        else:
            slot_at(self, at).previous = NONE
""",
        """\
        if at == NONE:
            line.last = NONE
""",
        test="tests/core/test_queue_bulk.py",
    ),
    Mutant(
        "a run that enters with nobody before it",
        BACKLOG,
        """\
        slot.previous = last
        slot.child""",
        """\
        slot.previous = NONE
        slot.child""",
        test="tests/core/test_queue_bulk.py -k puts_as",
    ),
    Mutant(
        "a run that settles what another delivery has",
        BACKLOG,
        """\
        if slot.receipt != steps[i].receipt or slot.state != IN_FLIGHT:
            break
""",
        """\
        if slot.state != IN_FLIGHT:
            break
""",
        test="tests/core/test_queue.py tests/core/test_queue_bulk.py",
    ),
    Mutant(
        "a batch that found no room and was dropped",
        STEPS,
        """\
        set_length(items, n)
        if code < 0:
            return code
""",
        """\
        if code < 0:
            return code
""",
        test="tests/core/test_queue_bulk.py -k callers_again",
    ),
    Mutant(
        "a settled receipt that is taken again",
        BACKLOG,
        "slot.receipt == receipt and slot.state == IN_FLIGHT",
        "slot.state == IN_FLIGHT",
        test="tests/core/test_queue.py",
    ),
    Mutant(
        "a returned message that goes behind the others",
        BACKLOG,
        """\
    line.returned = meld(self, line.returned, number)
    self.in_flight -= 1
""",
        """\
    slot.state = FRESH
    line_append(self, line, number, slot)
    self.in_flight -= 1
""",
        scenario="back to its place",
    ),
    Mutant(
        "a put_many that is not all or none",
        STEPS,
        """\
        elif <uint64_t> n > backlog_room(&self.backlog):
            code = NO_ROOM
""",
        """\
        elif 0 == backlog_room(&self.backlog):
            code = NO_ROOM
""",
        test="tests/core/test_queue_bulk.py",
    ),
    Mutant(
        "a message whose delivery on_dead refused, and that wakes nobody",
        QUEUE,
        """\
        if returned and self.getters.needed():
            self.getters.wake(1)
""",
        "",
        scenario="get waits | nack that on_dead refuses",
    ),
    Mutant(
        "a dead message that leaves those who join asleep",
        QUEUE,
        """\
            self.left(live, room, closed)
            if error""",
        "            if error",
        scenario="join | nack of the last delivery",
    ),
    Mutant(
        "a dying message that is another's by now",
        QUEUE,
        """\
        closed = self.backlog.closed
        if slot_at(&self.backlog, slot).state == DYING and slot_at(&self.backlog, slot).receipt == receipt:
""",
        """\
        closed = self.backlog.closed
        if slot_at(&self.backlog, slot).state != 0:
""",
        test="tests/core/test_deliveries.py",
    ),
    Mutant(
        "a message that is dropped when on_dead fails",
        QUEUE,
        """\
            if error is None:
                body =""",
        """\
            if True:
                body =""",
        test="tests/core/test_deliveries.py",
    ),
    Mutant(
        "a coroutine that waits for room and does not pass its wake-up on",
        QUEUE,
        """\
                if self.putters.leave(waiter):
                    self.putters.wake(self.room())
""",
        """\
                self.putters.leave(waiter)
""",
        test="tests/threads/test_queue_asyncio.py -k cancelled",
    ),
    Mutant(
        "a getter that does not pass its wake-up on",
        VERBS,
        """\
            if self.getters.leave(waiter):
                self.getters.wake(1)
        except""",
        """\
            self.getters.leave(waiter)
        except""",
        test="tests/threads/test_queue_asyncio.py -k cancelled",
    ),
    Mutant(
        "a high-water mark that misses a peak",
        BACKLOG,
        "if self.waiting + self.in_flight > self.counted.high_water:",
        "if self.waiting > self.counted.high_water:",
        test="tests/core/test_queue_machine.py -k TestQueueMachine",
    ),
    Mutant(
        "an id leaked when there is no memory for its number",
        ALLOCATOR,
        """\
    if id == NULL:
        self.free(offset)
        raise MemoryError()
""",
        """\
    if id == NULL:
        raise MemoryError()
""",
        test="tests/core/test_no_memory.py",
    ),
    Mutant(
        "a table's add that takes no id",
        FLIGHT,
        """\
    taken_set(&self.taken, offset)
    self.live += 1
""",
        """\
    self.live += 1
""",
        scenario="table: add | add of the only id",
    ),
    Mutant(
        "a generation that is not looked at",
        FLIGHT,
        "if generation and (use[0] == NULL or use[0].generation != generation):",
        "if generation and use[0] == NULL:",
        scenario="table: pop, add | pop of the first use",
    ),
    Mutant(
        "a late answer that does not look at the clock",
        TABLE,
        """\
            self.end_rests()  # it may be over
""",
        "",
        scenario="table: an hour, add | pop",
    ),
    Mutant(
        "a pop that wakes nobody",
        TABLE,
        """\
    Py_DECREF(result)
    if self.waiting.needed():
        self.waiting.wake(1)
    return result


cdef class
""".rstrip(),
        """\
    Py_DECREF(result)
    return result


cdef class
""".rstrip(),
        scenario="table: add waits | pop",
    ),
    Mutant(
        "a table's reset that wakes nobody",
        TABLE,
        """\
            if self.waiting.needed():
                self.waiting.wake_all()
""",
        """\
            pass
""",
        scenario="table: add waits | reset",
    ),
    Mutant(
        "a reset that keeps no payload if its list finds no memory",
        TABLE,
        """\
            self.put_back(rows, &spare)
            raise
""",
        """\
            raise
""",
        test="tests/core/test_no_memory.py",
    ),
    Mutant(
        "a chunk that goes while the collector walks over it",
        USES,
        "if self.empty == NULL or self.settled:",
        "if self.empty == NULL:",
        test="tests/hazards/test_table_hazards.py",
    ),
    Mutant(
        "a second empty chunk that is kept",
        USES,
        """\
            unlink(self, chunk)
            chunk.next = spare[0]
            spare[0] = chunk
""",
        """\
            pass
""",
        test="tests/core/test_table.py",
    ),
)


def _copy(tree: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    unwanted = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    for folder in ("src", "schedules", "tests", "docs"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=unwanted)


def _run(tree: Path, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command in the copy; a run that does not end counts as one that failed."""
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, "it did not end"
    return done.returncode, done.stdout + done.stderr


def _build(tree: Path, environment: dict[str, str]) -> tuple[Path, str]:
    """Compile the copy; the folder, and what went wrong if anything did."""
    build = [sys.executable, "-c", "from schedules.build import build; print(build())"]
    status, told = _run(tree, build, environment)
    return Path(told.strip().rpartition("\n")[2]), told if status else ""


def _test(tree: Path, place: Path, test: str, environment: dict[str, str]) -> tuple[bool, str]:
    """Whether a test fails, and how. Those of the suite run on the scheduled build too, with no thread scheduled."""
    if not test.startswith("schedules/"):
        environment = {
            **environment,
            "LD_PRELOAD": str(place / "scheduler.so"),
            "PYTHONPATH": str(place / "lib"),
        }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *test.split()]
    status, told = _run(tree, command, environment)
    failed = [line[7:] for line in told.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return status != 0, failed[0] if failed else f"status {status}: {told[-300:]}"


def _caught(mutant: Mutant, tree: Path, environment: dict[str, str]) -> tuple[bool, str]:
    """Whether the mutant was caught, and by whom and how."""
    place, wrong = _build(tree, environment)
    if wrong:
        return False, f"does not compile:\n{wrong[-2000:]}"
    if mutant.test:
        return _test(tree, place, mutant.test, environment)
    explore = [sys.executable, "-m", "schedules", "-k", mutant.scenario, "--random", "0"]
    status, told = _run(tree, explore, environment)
    lines = [line.strip() for line in told.splitlines() if "VIOLATION" in line or "Fatal" in line]
    # A violation, or a run that broke off: any other failure says something of the explorer, and nothing of the mutant.
    caught = bool(lines) or status < 0
    return caught, f"scenario {mutant.scenario!r}: {lines[0] if lines else f'status {status}: {told[-300:]}'}"


def main() -> int:
    """Compile and judge every mutant."""
    parser = argparse.ArgumentParser(prog="python -m schedules.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("-k", metavar="TEXT", default="", help="only the mutants whose name holds TEXT")
    options = parser.parse_args()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MTSID_")}
    environment["MTSID_DEBUG"] = "1"  # compiled in half the time
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        _copy(tree)
        # By file: what one mutant of a file makes the compiler look at, the next one does anyway.
        chosen = sorted((mutant for mutant in MUTANTS if options.k in mutant.name), key=lambda mutant: mutant.file)
        # Whoever is to catch a mutant must be silent without one. `make schedules` shows that of the scenarios.
        place, told = _build(tree, environment)
        for test in sorted({mutant.test for mutant in chosen if mutant.test}):
            fails, how = (True, told) if told else _test(tree, place, test, environment)
            if fails:
                print(f"{test} fails without a mutant: {how}")
                return 1
        for mutant in chosen:
            path = tree / "src" / "mtsid" / mutant.file
            source = path.read_text("utf-8")
            begun = time.monotonic()
            if source.count(mutant.old) != 1:
                caught, how = False, f"stands {source.count(mutant.old)} times in {mutant.file}: bring it up to date"
            else:
                path.write_text(source.replace(mutant.old, mutant.new), "utf-8")
                caught, how = _caught(mutant, tree, environment)
                path.write_text(source, "utf-8")
            wrong += not caught
            print(f"{'caught' if caught else 'SURVIVED':<9}{mutant.name} ({time.monotonic() - begun:.0f} s)")
            print(f"         {how}", flush=True)
    print(f"\n{len(chosen)} mutants, {len(chosen) - wrong} caught, {wrong} not.")
    return int(wrong > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())
