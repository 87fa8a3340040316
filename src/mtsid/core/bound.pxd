"""The upper bound, which moves within the range that was built. Native code only.

Beyond the bound every id has its bit in the leaf, so whoever looks for a free one finds none there and knows nothing of
bounds. Who has an id there keeps it. Its release does not clear the bit but sets the resting one (`retire`), and so
does the end of its quarantine; there it waits, without an entry in the timetable, until the bound moves up again.

A move is a step of quarantine.pxd and a bulk claim at once: no bulk claim is half done, which might give back ids that
are beyond the bound by then. It takes a time in proportion to the ids between the old bound and the new one.

It must not know: Python, waiting.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.atomic cimport load_acquire, load_relaxed, store_relaxed
from mtsid.core.bitmap cimport (
    ALL32,
    BUSY,
    NO_LEASE,
    Bitmap,
    claim_end,
    claim_try,
    count_bits,
    exchange,
    fixed_bits,
    lowest_bit32,
    release_bits,
    resting_bits,
)
from mtsid.core.quarantine cimport count_others, flip_resting, rest_end
from mtsid.core.timetable cimport NO_ENTRY, timetable_find


cdef inline uint64_t capacity_below(Bitmap* self, uint64_t bound) noexcept nogil:
    """How many ids there are below a bound, less the excluded ones."""
    cdef uint64_t capacity = bound
    cdef uint64_t leaf
    if self.excluded != NULL:
        for leaf in range(bound >> 5):
            capacity -= count_bits(self.excluded[leaf])
        if bound & 31:
            capacity -= count_bits(self.excluded[bound >> 5] & ~(ALL32 << (bound & 31)))
    return capacity


cdef inline uint32_t bits_between(uint64_t leaf, uint64_t low, uint64_t high) noexcept nogil:
    """The bits of a leaf that stand for the offsets low .. high-1, some of which it has."""
    cdef uint32_t bits = ALL32
    if leaf == low >> 5:
        bits &= ALL32 << (low & 31)
    if leaf == high >> 5:
        bits &= ~(ALL32 << (high & 31))
    return bits


cdef inline void shut(Bitmap* self, uint64_t leaf, uint32_t bits) noexcept nogil:
    """Take those of `bits` that are free out of use. Their leaf has a new version: who looked before looks again."""
    cdef uint64_t now = load_acquire(&self.leaves[leaf])  # L1
    cdef uint64_t found
    while True:
        found = exchange(self, &self.leaves[leaf], now, (now | bits) + (<uint64_t> 1 << 32))
        if found == now:
            break
        now = found
    count_others(self, 1)
    bits &= ~<uint32_t> now
    if bits:
        flip_resting(self, leaf, bits)


cdef inline uint64_t unshut(Bitmap* self, uint64_t leaf, uint32_t bits) noexcept nogil:
    """Free those of `bits` that wait without an entry in the timetable; how many."""
    cdef uint32_t left = resting_bits(self, leaf) & bits
    cdef uint32_t free = 0
    while left:
        if timetable_find(&self.table, <uint32_t> (leaf << 5 | lowest_bit32(left))) == NO_ENTRY:
            free |= left & (0 - left)
        left &= left - 1
    if free:
        count_others(self, count_bits(free))
        release_bits(self, leaf, free, True, NO_LEASE)
        flip_resting(self, leaf, free)
    return count_bits(free)


cdef inline int64_t bound_move(Bitmap* self, uint64_t bound) noexcept nogil:
    """Hand out no offsets from `bound` on; 1 .. size. How many ids became free by that; or BUSY. There are resting bits."""
    cdef uint64_t old, leaf, i
    cdef int64_t freed = 0
    if not claim_try(&self.rest):
        return BUSY
    if not claim_try(&self.claim):
        rest_end(self)
        return BUSY
    old = load_relaxed(&self.bound)
    store_relaxed(&self.bound, bound)
    store_relaxed(&self.capacity, capacity_below(self, bound))
    for leaf in range(bound >> 5, (old + 31) >> 5):
        shut(self, leaf, bits_between(leaf, bound, old) & ~fixed_bits(self, leaf))
    for leaf in range(old >> 5, (bound + 31) >> 5):
        freed += unshut(self, leaf, bits_between(leaf, old, bound))
    self.beyond = 0
    for i in range(self.table.length):
        self.beyond += self.table.entries[self.table.heap[i]].offset >= bound
    claim_end(&self.claim)  # C0
    rest_end(self)  # R0
    return freed
