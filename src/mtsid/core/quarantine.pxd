"""Ids that rest: neither live nor free, until somebody ends it or their time has come. Native code only.

An id that rests keeps its bit in the leaf, so whoever looks for a free one passes it by and pays nothing. A second bit,
in `resting`, tells it from a live one; the timetable knows until when. All of this changes in steps, which exclude one
another: a step holds `rest` odd, as a bulk claim holds `claim` (invariants 4 and 6 of bitmap.pxd).

    live -> resting     the leaf: bit kept, version + 1;   then the resting bit is set
    resting -> free     the leaf: bit off, version + 1;    then the resting bit is cleared
    live -> retired     as live -> resting, without an entry: a live id beyond the bound is released

Invariants
1.  In each step the leaf comes first. Who read the leaf before it fails to exchange it; who read it after finds `rest`
    odd, and waits, or sees the whole step.
2.  With `rest` even: an id below the bound rests if and only if it has a resting bit, a bit in its leaf and an entry in
    the timetable. Beyond the bound (bound.pxd) every id has its bit, all but live ones have a resting bit, and those in
    quarantine an entry. `quarantined` and `earliest` say what the timetable says.
3.  Nothing here has a clock. Before any operation looks for a free id, or tells of one, its caller ends the rest of
    those that are due by then. A failing acquire learns `earliest` at the very instant at which it saw no id free; if a
    clock read after that says that nothing was due, nothing was.

Progress: each step excludes the others, for as long as a leaf's compare-exchange and O(log n) of the timetable take. As
with bulk claims only a thread that is attached to Python takes one, without a Python call in it, so no fork finds it
half done, and with the GIL no step ever meets another.

It must not know: Python, clocks, waiting.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.atomic cimport load_acquire, load_relaxed, store_relaxed, store_release, word
from mtsid.core.bitmap cimport (
    BUSY,
    EPOCH,
    LIVE,
    NO_LEASE,
    NOT_LIVE,
    STALE,
    Bitmap,
    beyond_bits,
    claim_end,
    claim_try,
    count_bits,
    exchange,
    fixed_bits,
    lowest_bit32,
    release_bits,
    resting_bits,
)
from mtsid.core.timetable cimport (
    NO_ENTRY,
    Timetable,
    timetable_add,
    timetable_copy,
    timetable_due,
    timetable_find,
    timetable_remove,
)


cdef enum:
    NO_ROOM = -5        # make a larger timetable first
    AT_ONCE = 64        # ids whose time has come, in one step


cdef inline void rest_end(Bitmap* self) noexcept nogil:
    """The end of a step: what others may read of the timetable, then `rest`."""
    store_relaxed(&self.quarantined, self.table.length - self.beyond)
    store_relaxed(&self.rested, self.table.length)
    store_relaxed(&self.earliest, timetable_due(&self.table))
    claim_end(&self.rest)  # R0


cdef inline void count_others(Bitmap* self, int64_t count) noexcept nogil:
    store_relaxed(&self.others, load_relaxed(&self.others) + <uint64_t> count)


cdef inline void flip_resting(Bitmap* self, uint64_t leaf, uint32_t bits) noexcept nogil:
    cdef word* at = <word*> <size_t> load_relaxed(&self.resting) + (leaf >> 1)
    store_relaxed(at, load_relaxed(at) ^ (<uint64_t> bits << ((leaf & 1) << 5)))


cdef inline void wake(Bitmap* self, uint32_t number) noexcept nogil:
    """Free the id of an entry. Inside a step: nobody else can take its bit away."""
    cdef uint32_t offset = self.table.entries[number].offset
    cdef uint64_t leaf = offset >> 5
    cdef uint32_t bit = <uint32_t> 1 << (offset & 31)
    if beyond_bits(self, leaf) & bit:
        self.beyond -= 1  # it keeps both bits: nobody gets it
        count_others(self, -1)
    else:
        release_bits(self, leaf, bit, True, NO_LEASE)
        flip_resting(self, leaf, bit)
    timetable_remove(&self.table, number)


cdef inline bint quarantine_install(Bitmap* self, Timetable* table, word** resting) noexcept nogil:
    """Take a larger timetable into use, and the resting bits if there were none; what is left over is the caller's.

    False: a step is half done, try again.
    """
    cdef Timetable old
    if not claim_try(&self.rest):
        return False
    if load_relaxed(&self.resting) == 0:
        store_release(&self.resting, <uint64_t> <size_t> resting[0])  # P0: who looks meanwhile is not stopped, but told BUSY
        resting[0] = NULL
    if table.room > self.table.room:
        timetable_copy(table, &self.table)
        old = self.table
        self.table = table[0]
        table[0] = old
    rest_end(self)
    return True


cdef inline int64_t quarantine_put(Bitmap* self, uint64_t offset, uint64_t due, uint64_t* room) noexcept nogil:
    """0: it rests until then; NOT_LIVE, or NO_ROOM for more than `room`: nothing changed; or BUSY.

    The offset is one that the bitmap holds.
    """
    cdef uint64_t leaf = offset >> 5
    cdef uint32_t bit = <uint32_t> 1 << (offset & 31)
    cdef uint64_t now, found
    cdef int64_t code = NOT_LIVE
    if not claim_try(&self.rest):
        return BUSY
    if self.table.length == self.table.room:
        code = NO_ROOM
        room[0] = self.table.room
    elif not resting_bits(self, leaf) & bit:
        now = load_acquire(&self.leaves[leaf])  # L1
        while now & bit:
            if load_acquire(&self.claim) & 1:  # C1: the bit may be one that is given back
                code = BUSY
                break
            found = exchange(self, &self.leaves[leaf], now, now + (<uint64_t> 1 << 32))
            if found == now:
                count_others(self, 1)
                flip_resting(self, leaf, bit)
                timetable_add(&self.table, <uint32_t> offset, due)
                self.beyond += (beyond_bits(self, leaf) & bit) != 0
                code = 0
                break
            now = found
    rest_end(self)
    return code


cdef inline void retire(Bitmap* self, uint64_t leaf, uint32_t bits) noexcept nogil:
    """Let live ids beyond the bound be live no longer. Inside a step: nobody else can take their bits away."""
    cdef uint64_t now = load_acquire(&self.leaves[leaf])  # L1
    cdef uint64_t found = exchange(self, &self.leaves[leaf], now, now + (<uint64_t> 1 << 32))
    while found != now:
        now = found
        found = exchange(self, &self.leaves[leaf], now, now + (<uint64_t> 1 << 32))
    count_others(self, 1 - <int64_t> count_bits(bits))
    flip_resting(self, leaf, bits)


cdef inline int64_t rest_release(Bitmap* self, uint64_t offset, uint64_t epoch) noexcept nogil:
    """Release what `release_bits` leaves alone: an id that rests (not for a lease), or a live one beyond the bound.

    0: it is released; NOT_LIVE: it is free; LIVE: it is by now one for `release_bits`; STALE, for a lease; or BUSY.
    """
    cdef uint64_t leaf = offset >> 5
    cdef uint32_t bit = <uint32_t> 1 << (offset & 31)
    cdef uint32_t number
    cdef int64_t code = 0
    if not claim_try(&self.rest):
        return BUSY
    number = timetable_find(&self.table, <uint32_t> offset)
    if epoch != NO_LEASE and load_acquire(&self.leases) >> EPOCH != epoch:  # E1
        code = STALE
    elif number != NO_ENTRY:
        if epoch == NO_LEASE:
            wake(self, number)
    elif beyond_bits(self, leaf) & bit and not resting_bits(self, leaf) & bit:
        retire(self, leaf, bit)  # beyond the bound whatever does not rest is live
    elif load_acquire(&self.leaves[leaf]) & bit and not resting_bits(self, leaf) & bit:
        code = LIVE
    else:
        code = NOT_LIVE
    rest_end(self)
    return code


cdef inline int64_t rest_find(Bitmap* self, uint64_t offset) noexcept nogil:
    """0: the id is in the timetable; NOT_LIVE: it is not; or BUSY."""
    cdef bint found
    if not claim_try(&self.rest):
        return BUSY
    found = timetable_find(&self.table, <uint32_t> offset) != NO_ENTRY
    rest_end(self)
    return 0 if found else NOT_LIVE


cdef inline int64_t quarantine_expire(Bitmap* self, uint64_t now) noexcept nogil:
    """Free those that are due, AT_ONCE of them at most, and say how many; or BUSY."""
    cdef int64_t freed = 0
    if not claim_try(&self.rest):
        return BUSY
    while freed < AT_ONCE and timetable_due(&self.table) <= now and self.table.length:
        wake(self, self.table.heap[0])
        freed += 1
    rest_end(self)
    return freed


cdef inline int64_t bitmap_reset(Bitmap* self, uint64_t* leaf, uint32_t* ids, uint64_t room) noexcept nogil:
    """Release every id from `leaf` on, live ones into `ids` as long as a leaf's find room. Returns how many, or BUSY.

    It goes leaf by leaf, each one step, with both words odd: what a bulk claim holds half done must not be released.
    """
    cdef uint64_t got = 0
    cdef uint32_t live, resting, beyond, number
    if not claim_try(&self.rest):
        return BUSY
    if not claim_try(&self.claim):
        rest_end(self)
        return BUSY
    while leaf[0] < self.leaf_count:
        resting = resting_bits(self, leaf[0])
        live = <uint32_t> load_acquire(&self.leaves[leaf[0]]) & ~(fixed_bits(self, leaf[0]) | resting)  # L1
        if count_bits(live) > room - got:
            break
        beyond = beyond_bits(self, leaf[0])
        live ^= <uint32_t> release_bits(self, leaf[0], (live | resting) & ~beyond, True, NO_LEASE)
        if live & beyond:
            retire(self, leaf[0], live & beyond)
        if resting & ~beyond:
            flip_resting(self, leaf[0], resting & ~beyond)
        while resting:
            number = timetable_find(&self.table, <uint32_t> (leaf[0] << 5 | lowest_bit32(resting)))
            if number != NO_ENTRY:
                timetable_remove(&self.table, number)
                if beyond & resting & (0 - resting):
                    self.beyond -= 1
                    count_others(self, -1)
            resting &= resting - 1
        while live:
            ids[got] = <uint32_t> (leaf[0] << 5 | lowest_bit32(live))
            live &= live - 1
            got += 1
        leaf[0] += 1
    claim_end(&self.claim)  # C0
    rest_end(self)  # R0
    return <int64_t> got
