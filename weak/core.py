"""The core's algorithms as threads of the model, line for line: bitmap.pxd and its neighbours, waiting.pyx.

Each method stands for the function that its decorator names, and performs the same atomic operations in the same order;
`test_core.py` compares the list with the source, so a change there is noticed here. What differs, always so that the
model allows more:

-   A leaf has one or two ids instead of 32, a word of hints two bits instead of 64.
-   Where a program is not about G or H, `exchange` is the compare-exchange alone, without the acquire load of
    `under_gil` before it, and nobody touches hints; `spread` and the cursors, all relaxed, are left out.
-   Where a program is not about R, nothing ever rested, and `rest` and what it guards are not looked at. Where it is, a
    word of resting bits stands for one leaf, and the timetable is a word a leaf, plain, that says whether it rests.
-   No id is beyond the bound: `bound`, `capacity` and what stats count are left out. They are read and written as the
    resting bits are, or only counted.
-   Where a program is not about E, no release is a lease's. Where it is, nobody takes for a lease meanwhile, so `epoch`
    is the count of resets alone; a lease is STALE as soon as one has begun.
-   BUSY is a result: a caller that asks again begins anew.

An order that a mutant weakens is a field of `Orders`, named after its function; the default is what the source says.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from weak.program import CompareExchange, Fence, Fetch, Load, Operation, Order, Seen, Store, Value

__all__ = [
    "BUSY",
    "EXHAUSTED",
    "FREE",
    "LIVE",
    "NOT_LIVE",
    "RESTS",
    "STALE",
    "TRANSCRIBED",
    "VERSION",
    "Core",
    "Orders",
]

RELAXED, ACQUIRE, RELEASE, SEQ_CST = Order.RELAXED, Order.ACQUIRE, Order.RELEASE, Order.SEQ_CST
BUSY, EXHAUSTED, LIVE, NOT_LIVE, FREE, RESTS = "BUSY", "EXHAUSTED", "LIVE", "NOT_LIVE", "FREE", "RESTS"
STALE = "STALE"
VERSION = 4  # one release in a leaf's version; below it the leaf's bits
WIDTH = 2  # bits of a word of hints
ALL = (1 << WIDTH) - 1

Steps: TypeAlias = Generator[Operation, Seen, Any]
Method = TypeVar("Method", bound=Callable[..., Any])

TRANSCRIBED: dict[tuple[str, str], str] = {}  # (file, function): its atomic operations, in the order of the text


def transcribes(file: str, function: str, operations: str) -> Callable[[Method], Method]:
    """Note which function a method stands for, and that function's atomic operations."""
    TRANSCRIBED[file, function] = operations
    return lambda method: method


@dataclass(frozen=True)
class Orders:
    """The order of each operation that a labelled pair rests on."""

    claim_in_look: Order = ACQUIRE  # L1
    claim_in_exchange: Order = SEQ_CST  # L0
    certify_look: Order = ACQUIRE  # L1
    certify_claim_first: Order = ACQUIRE  # C1
    certify_claim_last: Order = ACQUIRE  # C1
    release_look: Order = ACQUIRE  # L1
    release_epoch: Order = ACQUIRE  # E1
    release_claim: Order = ACQUIRE  # C1
    release_exchange: Order = SEQ_CST  # L0
    reserve_look: Order = ACQUIRE  # L1
    reserve_claim_first: Order = ACQUIRE  # C1
    reserve_claim_last: Order = ACQUIRE  # C1
    reserve_exchange: Order = SEQ_CST  # L0
    live_look: Order = ACQUIRE  # L1
    live_claim_first: Order = ACQUIRE  # C1
    live_claim_last: Order = ACQUIRE  # C1
    bulk_look: Order = ACQUIRE  # L1
    bulk_exchange: Order = SEQ_CST  # L0
    claim_try: Order = SEQ_CST
    claim_end: Order = RELEASE  # C0, R0
    release_rest: Order = ACQUIRE  # R1
    live_rest_first: Order = ACQUIRE  # R1
    live_rest_last: Order = ACQUIRE  # R1
    counted_rest_first: Order = ACQUIRE  # R1
    counted_rest_last: Order = ACQUIRE  # R1
    counted_look: Order = ACQUIRE  # how many rest, between those two
    resting_look: Order = ACQUIRE  # a leaf's resting bits, before the last look at `rest`
    quarantine_look: Order = ACQUIRE  # L1
    quarantine_claim: Order = ACQUIRE  # C1
    quarantine_exchange: Order = SEQ_CST  # L0
    reset_count: Order = SEQ_CST  # E0
    hint_set: Order = SEQ_CST  # H0
    hint_look: Order = SEQ_CST  # the look at the leaf, or at the word below, behind H0
    hint_undo: Order = SEQ_CST
    hint_seen: Order = SEQ_CST  # H1
    hint_clear: Order = SEQ_CST
    enter_count: Order = SEQ_CST  # W0
    enter_fence: Order | None = SEQ_CST  # W0
    needed: Order = SEQ_CST  # W1
    flag_clear: Order = RELEASE  # G0
    flag_look: Order = ACQUIRE  # G1


@dataclass(frozen=True)
class Core:
    """A bitmap: `leaf0`, ..., `claim`, `hint<level>.<word>`, `under_gil`, `epoch`; and `count`, of those who wait."""

    orders: Orders = Orders()
    leaves: int = 1
    full: int = 1  # a leaf's bits when none is free
    hints: tuple[int, ...] = ()  # the bits of each level; none: hints are left out
    flag: bool = False  # with `under_gil`
    rests: bool = False  # with `rest`, `resting0`, ..., `quarantined`, and the timetable's `entry0`, ...
    compare_versions: bool = True  # False: a fault
    gil_to_clear: bool = True  # False: a fault

    # Leaves ----------------------------------------------------------------------------------------------------------

    @transcribes("bitmap.pxd", "exchange", "load_acquire store_relaxed cas_seq_cst")
    def exchange(self, leaf: str, expected: Value, desired: Value, order: Order) -> Steps:
        """Put `desired` where `expected` stands."""
        if self.flag and (yield Load("under_gil", self.orders.flag_look)):  # G1
            yield Store(leaf, desired, RELAXED)
            return expected
        return (yield CompareExchange(leaf, expected, desired, order))  # L0

    @transcribes("bitmap.pxd", "claim_here", "load_acquire exchange load_relaxed store_relaxed")
    @transcribes("bitmap.pxd", "claim_in", "claim_here hint_full")
    @transcribes("bitmap.pxd", "bitmap_acquire_here", "load_relaxed claim_here")
    def claim_in(self, leaf: int) -> Steps:
        """Claim the lowest free id: (leaf, bit); or EXHAUSTED."""
        word = f"leaf{leaf}"
        now = yield Load(word, self.orders.claim_in_look)  # L1
        while True:
            taken = int(now & self.full)
            if taken == self.full:
                if self.hints:
                    yield from self.hint_full(0, leaf)
                return EXHAUSTED
            bit = ~taken & self.full
            bit &= -bit
            found = yield from self.exchange(word, now, now | bit, self.orders.claim_in_exchange)
            if found == now:
                return (leaf, bit)
            now = found

    @transcribes("bitmap.pxd", "claim_past_hints", "load_acquire claim_in load_acquire")
    def claim_past_hints(self) -> Steps:
        """Claim any free id; else EXHAUSTED, and the versions."""
        versions: Value = 0
        for leaf in range(self.leaves):
            now = yield Load(f"leaf{leaf}", self.orders.certify_look)  # L1
            while (now & self.full) != self.full:
                got = yield from self.claim_in(leaf)
                if got is not EXHAUSTED:
                    return got, 0
                now = yield Load(f"leaf{leaf}", self.orders.certify_look)  # L1
            versions = now + versions if self.compare_versions else 0
        return EXHAUSTED, versions

    @transcribes(
        "bitmap.pxd", "search_or_certify", "load_acquire claim_past_hints see_rest claim_past_hints load_acquire"
    )
    def search_or_certify(self) -> Steps:
        """Claim an id past all hints, or prove that none was free; or BUSY."""
        claims = yield Load("claim", self.orders.certify_claim_first)  # C1
        if claims & 1:
            return BUSY
        got, before = yield from self.claim_past_hints()
        while got is EXHAUSTED:
            got, after = yield from self.claim_past_hints()
            if got is not EXHAUSTED:
                break
            if (yield Load("claim", self.orders.certify_claim_last)) != claims:  # C1
                return BUSY
            if before == after:
                return EXHAUSTED
            before = after
        return got

    @transcribes(
        "bitmap.pxd", "release_bits",
        "load_acquire load_acquire load_acquire load_acquire resting_bits exchange released",
    )  # fmt: skip
    @transcribes("bitmap.pxd", "released", "add_seq_cst hint_open")
    # The shorter way of one id: the same steps, and the longer way if it finds anything unusual.
    @transcribes("bitmap.pxd", "bitmap_release_here", "load_acquire load_acquire load_acquire exchange released")
    @transcribes("leases.pxd", "lease_release", "release_bits")
    def release(self, leaf: int, bit: int = 1, *, own_claim: bool = False, epoch: int | None = None) -> Steps:
        """FREE: it is now; NOT_LIVE: nothing changed; STALE, for a lease of that epoch; or BUSY."""
        word = f"leaf{leaf}"
        now = yield Load(word, self.orders.release_look)  # L1
        while True:
            if epoch is not None and (yield Load("epoch", self.orders.release_epoch)) != epoch:  # E1
                return STALE
            if (now & bit) == 0:
                return NOT_LIVE
            if not own_claim and (yield Load("claim", self.orders.release_claim)) & 1:  # C1
                return BUSY
            if not own_claim and self.rests:
                rest = yield Load("rest", self.orders.release_rest)  # R1
                if rest & 1:
                    return BUSY
                if rest and (yield from self.resting(leaf)) & bit:
                    return NOT_LIVE
            found = yield from self.exchange(word, now, (now ^ bit) + VERSION, self.orders.release_exchange)
            if found == now:
                if self.hints and (now & self.full) == self.full:
                    yield from self.hint_open(leaf)
                return FREE
            now = found

    @transcribes("bitmap.pxd", "bitmap_reserve", "load_acquire load_acquire exchange load_acquire")
    def reserve(self, leaf: int, bit: int = 1) -> Steps:
        """(leaf, bit): the caller's; LIVE: somebody has it; or BUSY."""
        word = f"leaf{leaf}"
        claims = yield Load("claim", self.orders.reserve_claim_first)  # C1
        now = yield Load(word, self.orders.reserve_look)  # L1
        while not now & bit:
            found = yield from self.exchange(word, now, now | bit, self.orders.reserve_exchange)
            if found == now:
                return (leaf, bit)
            now = found
        if claims & 1 or (yield Load("claim", self.orders.reserve_claim_last)) != claims:  # C1
            return BUSY
        return LIVE

    @transcribes(
        "bitmap.pxd", "bitmap_live", "load_acquire load_acquire load_acquire resting_bits load_acquire load_acquire"
    )
    def live(self, leaf: int) -> Steps:
        """Return the live ids of a leaf, as bits, and with `rests` the resting ones as well; or BUSY."""
        rest: Value = 0
        resting: Value = 0
        claims = yield Load("claim", self.orders.live_claim_first)  # C1
        if self.rests:
            rest = yield Load("rest", self.orders.live_rest_first)  # R1
        now = yield Load(f"leaf{leaf}", self.orders.live_look)  # L1
        if rest:
            resting = yield from self.resting(leaf)
        if self.rests and (rest & 1 or (yield Load("rest", self.orders.live_rest_last)) != rest):  # R1
            return BUSY
        if claims & 1 or (yield Load("claim", self.orders.live_claim_last)) != claims:  # C1
            return BUSY
        if self.rests:
            return int(now & self.full) & ~int(resting), int(resting)
        return int(now & self.full)

    # Rest ------------------------------------------------------------------------------------------------------------

    @transcribes("bitmap.pxd", "resting_bits", "load_acquire load_acquire")  # the first is of the address, P0 -> P1
    def resting(self, leaf: int) -> Steps:
        """Return the ids of a leaf that rest, as bits."""
        return (yield Load(f"resting{leaf}", self.orders.resting_look))

    @transcribes("bitmap.pxd", "see_rest", "load_acquire load_acquire load_acquire load_acquire load_acquire")
    def see_rest(self) -> Steps:
        """Return how many ids rest; or BUSY. When the first is due, and of how many, is read likewise: left out."""
        rest = yield Load("rest", self.orders.counted_rest_first)  # R1
        if rest & 1:
            return BUSY
        quarantined = yield Load("quarantined", self.orders.counted_look)
        if (yield Load("rest", self.orders.counted_rest_last)) != rest:  # R1
            return BUSY
        return int(quarantined)

    @transcribes("quarantine.pxd", "flip_resting", "load_relaxed store_relaxed load_relaxed")
    def flip_resting(self, leaf: int, bit: int) -> Steps:
        """Change an id's resting bit, in a step."""
        yield Store(f"resting{leaf}", (yield Load(f"resting{leaf}", RELAXED)) ^ bit, RELAXED)

    @transcribes("quarantine.pxd", "rest_end", "store_relaxed store_relaxed store_relaxed claim_end")
    def rest_end(self) -> Steps:
        """End a step: what others may read of the timetable, then `rest`."""
        quarantined: Value = 0
        for leaf in range(self.leaves):
            quarantined = (yield Load(f"entry{leaf}")) + quarantined
        yield Store("quarantined", quarantined, RELAXED)
        yield from self.claim_end("rest")  # R0

    @transcribes(
        "quarantine.pxd", "quarantine_put",
        "claim_try resting_bits load_acquire load_acquire exchange flip_resting rest_end",
    )  # fmt: skip
    def quarantine(self, leaf: int, bit: int = 1) -> Steps:
        """RESTS: it does, from now on; NOT_LIVE: nothing changed; or BUSY."""
        if not (yield from self.claim_try("rest")):
            return BUSY
        result = NOT_LIVE
        if not (yield from self.resting(leaf)) & bit:
            now = yield Load(f"leaf{leaf}", self.orders.quarantine_look)  # L1
            while now & bit:
                if (yield Load("claim", self.orders.quarantine_claim)) & 1:  # C1
                    result = BUSY
                    break
                found = yield from self.exchange(f"leaf{leaf}", now, now + VERSION, self.orders.quarantine_exchange)
                if found == now:
                    yield from self.flip_resting(leaf, bit)
                    yield Store(f"entry{leaf}", 1)
                    result = RESTS
                    break
                now = found
        yield from self.rest_end()
        return result

    @transcribes("quarantine.pxd", "wake", "release_bits flip_resting")
    @transcribes(
        "quarantine.pxd", "rest_release", "claim_try load_acquire resting_bits load_acquire resting_bits rest_end"
    )
    def end_rest(self, leaf: int, bit: int = 1) -> Steps:
        """FREE: it rested, and is; NOT_LIVE: it does not rest; or BUSY."""
        if not (yield from self.claim_try("rest")):
            return BUSY
        result = NOT_LIVE
        if (yield Load(f"entry{leaf}")):
            yield from self.release(leaf, bit, own_claim=True)
            yield from self.flip_resting(leaf, bit)
            yield Store(f"entry{leaf}", 0)
            result = FREE
        yield from self.rest_end()
        return result

    # Leases ----------------------------------------------------------------------------------------------------------

    @transcribes("leases.pxd", "reset_begin", "load_acquire cas_seq_cst load_acquire load_acquire")
    def reset(self, leaf: int, bit: int = 1) -> Steps:
        """Count the reset, then free the id: FREE, or NOT_LIVE; or BUSY. Nobody takes for a lease meanwhile."""
        now = yield Load("epoch", ACQUIRE)
        if (yield CompareExchange("epoch", now, now + 1, self.orders.reset_count)) != now:  # E0
            return BUSY
        if not (yield from self.claim_try()):
            return BUSY
        code = yield from self.release(leaf, bit, own_claim=True)
        yield from self.claim_end()  # C0
        return code

    # Bulk ------------------------------------------------------------------------------------------------------------

    @transcribes("bitmap.h", "mtsid_claim_try", "load_relaxed cas_seq_cst")
    def claim_try(self, claim: str = "claim") -> Steps:
        """Begin a bulk claim, or with "rest" a step of a quarantine; False: another one is half done."""
        now = yield Load(claim, RELAXED)
        return not now & 1 and bool((yield CompareExchange(claim, now, now + 1, self.orders.claim_try)) == now)

    @transcribes("bitmap.h", "mtsid_claim_end", "store_release load_relaxed")
    def claim_end(self, claim: str = "claim") -> Steps:
        """End it."""
        yield Store(claim, (yield Load(claim, RELAXED)) + 1, self.orders.claim_end)  # C0, R0

    @transcribes("bitmap_bulk.pxd", "roll_back", "store_relaxed load_relaxed release_bits")
    @transcribes(
        "bitmap_bulk.pxd", "bitmap_reserve_many", "claim_try load_acquire exchange roll_back claim_end claim_end"
    )
    def reserve_many(self, *ids: tuple[int, int]) -> Steps:
        """FREE: all were, and are the caller's; LIVE: none is; or BUSY. An id is (leaf, bit), one a leaf."""
        if not (yield from self.claim_try()):
            return BUSY
        for number, (leaf, bit) in enumerate(ids):
            now = yield Load(f"leaf{leaf}", self.orders.bulk_look)  # L1
            while not now & bit:
                found = yield from self.exchange(f"leaf{leaf}", now, now | bit, self.orders.bulk_exchange)
                if found == now:
                    break
                now = found
            if now & bit:
                for taken in ids[:number]:
                    yield from self.release(*taken, own_claim=True)
                yield from self.claim_end()  # C0
                return LIVE
        yield from self.claim_end()  # C0
        return FREE

    @transcribes("bitmap_bulk.pxd", "claim_many_in", "load_acquire hint_full exchange")
    def claim_many_in(self, leaf: int) -> Steps:
        """Claim what is free in a leaf of one id; returns how many."""
        now = yield Load(f"leaf{leaf}", self.orders.bulk_look)  # L1
        while not now & 1:
            found = yield from self.exchange(f"leaf{leaf}", now, now | 1, self.orders.bulk_exchange)
            if found == now:
                return 1
            now = found
        return 0

    @transcribes("bitmap_bulk.pxd", "claim_many_past_hints", "load_acquire claim_many_in load_acquire")
    def claim_many_past_hints(self, got: list[int], want: int) -> Steps:
        """Look at every leaf and claim what is free, into `got`; returns the versions."""
        versions: Value = 0
        for leaf in range(self.leaves):
            now = yield Load(f"leaf{leaf}", self.orders.bulk_look)  # L1
            while not now & 1:
                if (yield from self.claim_many_in(leaf)):
                    got.append(leaf)
                    if len(got) == want:
                        return 0
                now = yield Load(f"leaf{leaf}", self.orders.bulk_look)  # L1
            versions = now + versions if self.compare_versions else 0
        return versions

    @transcribes(
        "bitmap_bulk.pxd", "bitmap_acquire_many",
        "load_relaxed claim_try claim_many_in next_leaf claim_many_in next_leaf next_leaf claim_many_in next_leaf "
        "claim_many_past_hints see_rest claim_many_past_hints roll_back claim_end claim_end store_relaxed",
    )  # fmt: skip
    def acquire_many(self, want: int) -> Steps:
        """Return `want` leaves, of one id each; EXHAUSTED, and none is claimed; or BUSY. Hints are left out."""
        if not (yield from self.claim_try()):
            return BUSY
        got: list[int] = []
        before = yield from self.claim_many_past_hints(got, want)
        while len(got) < want:
            had = len(got)
            after = yield from self.claim_many_past_hints(got, want)
            if len(got) == had and before == after:
                for leaf in got:
                    yield from self.release(leaf, own_claim=True)
                yield from self.claim_end()  # C0
                return EXHAUSTED
            before = after
        yield from self.claim_end()  # C0
        return tuple(got)

    # Hints -----------------------------------------------------------------------------------------------------------

    @transcribes("bitmap.pxd", "is_full", "load_seq_cst load_seq_cst")
    def is_full(self, level: int, index: int) -> Steps:
        """Whether what a hint stands for is full."""
        if level == 0:
            return ((yield Load(f"leaf{index}", self.orders.hint_look)) & self.full) == self.full
        return (yield Load(f"hint{level - 1}.{index}", self.orders.hint_look)) == ALL

    @transcribes("bitmap.pxd", "hint_open", "load_seq_cst and_seq_cst")
    def hint_open(self, index: int) -> Steps:
        """A leaf has a free id again."""
        for level in range(len(self.hints)):
            word, bit = f"hint{level}.{index // WIDTH}", 1 << index % WIDTH
            if not (yield Load(word, self.orders.hint_seen)) & bit:  # H1
                return
            if (yield Fetch(word, "and", ~bit, self.orders.hint_clear)) != ALL:
                return
            index //= WIDTH

    @transcribes("bitmap.pxd", "hint_full", "load_relaxed or_seq_cst is_full and_seq_cst")
    def hint_full(self, level: int, index: int) -> Steps:
        """A searcher found it full. Then look again."""
        word, bit = f"hint{level}.{index // WIDTH}", 1 << index % WIDTH
        if (yield Load(word, RELAXED)) & bit:
            return
        yield Fetch(word, "or", bit, self.orders.hint_set)  # H0
        while not (yield from self.is_full(level, index)):
            if (yield Fetch(word, "and", ~bit, self.orders.hint_undo)) != ALL or level + 1 == len(self.hints):
                return
            index //= WIDTH
            level += 1
            word, bit = f"hint{level}.{index // WIDTH}", 1 << index % WIDTH

    @transcribes("bitmap.pxd", "next_leaf", "load_relaxed load_relaxed hint_full")
    def next_leaf(self, index: int) -> Steps:
        """Return the first leaf at or behind `index` that no hint calls full."""
        level = 0
        while level < len(self.hints) and index < self.hints[level]:
            hints = yield Load(f"hint{level}.{index // WIDTH}", RELAXED)
            open_ = ~int(hints) & ALL & (ALL << index % WIDTH)
            if open_ == 0:
                index = index // WIDTH + 1
                level += 1
                continue
            index = index // WIDTH * WIDTH + (open_ & -open_).bit_length() - 1
            if level == 0:
                return index
            level -= 1
            if (yield Load(f"hint{level}.{index}", RELAXED)) == ALL:
                yield from self.hint_full(level + 1, index)
                index += 1
                level += 1
            else:
                index *= WIDTH
        return self.leaves

    @transcribes("bitmap.pxd", "search_behind", "next_leaf claim_in next_leaf next_leaf claim_in next_leaf")
    @transcribes("bitmap.pxd", "bitmap_acquire_behind", "hint_full search_behind search_or_certify")
    def search(self) -> Steps:
        """Claim the first free id, guided by hints, from the first leaf on."""
        leaf = 0
        while leaf < self.leaves:
            got = yield from self.claim_in(leaf)
            if got is not EXHAUSTED:
                return got
            leaf = yield from self.next_leaf(leaf + 1)
        leaf = yield from self.next_leaf(0)
        if leaf <= 0:
            return (yield from self.claim_in(leaf))
        return EXHAUSTED

    # Waiting ---------------------------------------------------------------------------------------------------------

    @transcribes("waiting.pyx", "enter", "link fence_seq_cst")
    @transcribes("waiting.pyx", "link", "add_seq_cst")
    def enter(self) -> Steps:
        """Stand in line. The monitor, nothing with the GIL and a mutex without, is left out."""
        yield Fetch("count", "add", 1, self.orders.enter_count)  # W0
        if self.orders.enter_fence is not None:
            yield Fence(self.orders.enter_fence)  # W0

    @transcribes("waiting.pxd", "needed", "load_seq_cst")
    def needed(self) -> Steps:
        """Whether anybody waits."""
        return bool((yield Load("count", self.orders.needed)) != 0)  # W1

    # Leaving the GIL -------------------------------------------------------------------------------------------------

    @transcribes("id_verbs.pyx", "leave_gil", "store_release")
    @transcribes("id_verbs.pyx", "acquire_id", "load_acquire load_relaxed")
    @transcribes("id_verbs.pyx", "acquire_id_again", "load_acquire leave_gil load_relaxed load_relaxed")
    def go_native(self) -> Steps:
        """What a native caller does first. False: the GIL is held by another; such a run is left out.

        The relaxed loads of `earliest` behind it only guide: who sees an end late finds the id later.
        """
        if (yield Load("under_gil", self.orders.flag_look)):  # G1
            if self.gil_to_clear and not (yield from self.take_gil()):
                return False
            yield Store("under_gil", 0, self.orders.flag_clear)  # G0
            if self.gil_to_clear:
                yield from self.drop_gil()
        return True

    @staticmethod
    def take_gil() -> Steps:
        """A lock, of which no more is assumed than that it acquires."""
        return bool((yield CompareExchange("gil", 0, 1, ACQUIRE)) == 0)

    @staticmethod
    def drop_gil() -> Steps:
        """... and that it releases."""
        yield Store("gil", 0, RELEASE)
