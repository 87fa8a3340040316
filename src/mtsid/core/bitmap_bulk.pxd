"""Bulk operations on the bitmap: many ids with one compare-exchange a leaf. Native code only.

A bulk claim is all or none. It holds `claim` odd from its first bit to its last, so that nobody takes for live what
it may yet give back (invariant 4 of bitmap.pxd, where the labels are explained too). Bulk claims exclude one another:
the second one is BUSY. Bulk releases are not claims; each leaf's release is a step of its own.

`ids` here are offsets, 0 .. size-1, checked by the caller and without duplicates.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.atomic cimport load_acquire, load_relaxed, store_relaxed, thread_yield, word
from mtsid.core.bitmap cimport (
    ALL32,
    BEYOND,
    BUSY,
    EXHAUSTED,
    LIVE,
    NO_LEASE,
    Bitmap,
    Cursor,
    Seen,
    claim_end,
    claim_try,
    count_bits,
    exchange,
    fixed_bits,
    hint_full,
    lowest_bit32,
    lowest_bits,
    my_cursor,
    next_leaf,
    release_bits,
    see_rest,
)


cdef struct Releasing:      # how far a bulk release has come
    uint64_t next           # the first id not looked at yet
    uint64_t refused        # ids that were not live; they stand at the front of the caller's array


# Loops of a fixed length, without a branch, are what a compiler makes vectors of: an id in these costs one instruction or two.

cdef inline bint is_whole_leaf(uint32_t* ids) noexcept nogil:
    """Are the next 32 ids those of one leaf, in order?"""
    cdef uint32_t others = 0
    cdef uint32_t i
    if ids[0] & 31 or ids[31] != ids[0] + 31:
        return False
    for i in range(32):
        others |= ids[i] ^ (ids[0] + i)
    return others == 0


cdef inline void write_whole_leaf(uint32_t* ids, uint32_t first) noexcept nogil:
    cdef uint32_t i
    for i in range(32):
        ids[i] = first + i


cdef inline uint32_t run_of_bits(uint32_t* ids, uint64_t length, uint64_t* taken) noexcept nogil:
    """The bits of the leading ids that lie in one leaf, and how many ids those are."""
    cdef uint64_t leaf = ids[0] >> 5
    cdef uint32_t bits = 0
    cdef uint64_t i = 0
    if length >= 32 and is_whole_leaf(ids):
        taken[0] = 32
        return ALL32
    while i < length and ids[i] >> 5 == leaf:
        bits |= <uint32_t> 1 << (ids[i] & 31)
        i += 1
    taken[0] = i
    return bits


cdef inline void roll_back(Bitmap* self, uint32_t* ids, uint64_t length) noexcept nogil:
    """Give back what this claim took. `claim` is odd, so nobody else can have released one of them."""
    store_relaxed(&self.rolled_back, load_relaxed(&self.rolled_back) + length)
    cdef uint64_t i = 0
    cdef uint64_t taken
    cdef uint32_t bits
    while i < length:
        bits = run_of_bits(ids + i, length - i, &taken)
        release_bits(self, ids[i] >> 5, bits, True, NO_LEASE)
        i += taken


cdef inline uint64_t claim_many_in(
    Bitmap* self, uint64_t leaf, uint32_t mask, uint32_t* ids, uint64_t want
) noexcept nogil:
    """Claim up to `want` free ids among the bits of `mask`, lowest first; returns how many."""
    cdef uint64_t now = load_acquire(&self.leaves[leaf])  # L1
    cdef uint64_t found, i
    cdef uint32_t bits
    cdef unsigned count
    while True:
        bits = ~<uint32_t> now & mask
        if bits == 0:
            if <uint32_t> now == ALL32:
                hint_full(self, 0, leaf)
            return 0
        count = count_bits(bits)
        if count > want:
            bits = lowest_bits(bits, <unsigned> want)
            count = <unsigned> want
        found = exchange(self, &self.leaves[leaf], now, now | bits)
        if found == now:
            break
        now = found
    if count == 32:
        write_whole_leaf(ids, <uint32_t> (leaf << 5))
        return count
    for i in range(count):
        ids[i] = <uint32_t> (leaf << 5 | lowest_bit32(bits))
        bits &= bits - 1
    return count


cdef inline uint64_t claim_many_past_hints(
    Bitmap* self, uint32_t* ids, uint64_t want, uint64_t* versions
) noexcept nogil:
    """Look at every leaf and claim what is free; returns how many, with the sum of the versions seen."""
    cdef uint64_t leaf, now
    cdef uint64_t got = 0
    versions[0] = 0
    for leaf in range(self.leaf_count):
        now = load_acquire(&self.leaves[leaf])  # L1
        while <uint32_t> now != ALL32:  # a version counts only for a leaf that was seen full with it
            got += claim_many_in(self, leaf, ALL32, ids + got, want - got)
            if got == want:
                return got
            now = load_acquire(&self.leaves[leaf])  # L1
        versions[0] += now >> 32
    return got


cdef inline int64_t bitmap_acquire_many(
    Bitmap* self, uint32_t* ids, uint64_t want, uint64_t* were_free, Seen* seen
) noexcept nogil:
    """`want` offsets in `ids`, 1 .. size of them, in the order of the range from the cursor on, and 0.

    EXHAUSTED if only `were_free` were free at one instant, that of `seen`, or BUSY: then none is claimed. The instant
    is that of invariant 2: with all bits set, this claim's own `got` among them, and no other claim half done, exactly
    `got` were free for it.
    """
    cdef Cursor* cursor = my_cursor(self)
    cdef uint64_t start = 0 if self.lowest else load_relaxed(&cursor.next)
    cdef uint64_t first_leaf = start >> 5
    cdef uint64_t leaf, now, before, after, more
    cdef uint64_t got
    cdef bint certain
    if not claim_try(&self.claim):
        return BUSY
    got = claim_many_in(self, first_leaf, ALL32 << (start & 31), ids, want)
    leaf = next_leaf(self, first_leaf + 1)
    while got < want and leaf < self.leaf_count:
        got += claim_many_in(self, leaf, ALL32, ids + got, want - got)
        leaf = next_leaf(self, leaf + 1)
    leaf = next_leaf(self, 0)
    while got < want and leaf <= first_leaf:
        got += claim_many_in(self, leaf, ALL32, ids + got, want - got)
        leaf = next_leaf(self, leaf + 1)
    if got < want:
        got += claim_many_past_hints(self, ids + got, want - got, &before)
    while got < want:
        certain = see_rest(self, seen)
        if not certain:
            thread_yield()
        more = claim_many_past_hints(self, ids + got, want - got, &after)
        got += more
        if more == 0 and before == after and certain:
            were_free[0] = got
            roll_back(self, ids, got)
            claim_end(&self.claim)  # C0
            return EXHAUSTED
        before = after
    claim_end(&self.claim)  # C0
    if not self.lowest:
        now = <uint64_t> ids[want - 1] + 1
        store_relaxed(&cursor.next, now if now < self.size else 0)
    return 0


cdef inline int64_t bitmap_reserve_many(Bitmap* self, uint32_t* ids, uint64_t length, uint32_t* in_use) noexcept nogil:
    """0: all are the caller's; LIVE: none is, and `in_use` is one that somebody has; or BUSY."""
    cdef uint64_t i = 0
    cdef uint64_t taken, now, found
    cdef uint32_t bits
    cdef word* leaf
    if not claim_try(&self.claim):
        return BUSY
    while i < length:
        bits = run_of_bits(ids + i, length - i, &taken)
        leaf = &self.leaves[ids[i] >> 5]
        now = load_acquire(leaf)  # L1
        while not now & bits:
            found = exchange(self, leaf, now, now | bits)
            if found == now:
                break
            now = found
        if now & bits:
            in_use[0] = (ids[i] & ~<uint32_t> 31) | lowest_bit32(<uint32_t> now & bits)
            roll_back(self, ids, i)
            claim_end(&self.claim)  # C0
            return LIVE
        i += taken
    claim_end(&self.claim)  # C0
    return 0


cdef inline int64_t bitmap_release_many(
    Bitmap* self, uint32_t* ids, uint64_t length, Releasing* state
) noexcept nogil:
    """Release those that are live; move the others to the front of `ids`, in order, and count them in `state`.

    Among those may be live ones beyond the bound, and their neighbours.

    0: done. BUSY: a bulk claim is half done; call again with the same `state`, which goes on where it stopped.
    """
    cdef uint64_t taken, i
    cdef int64_t left
    cdef uint32_t bits
    while state.next < length:
        bits = run_of_bits(ids + state.next, length - state.next, &taken)
        left = release_bits(self, ids[state.next] >> 5, bits, False, NO_LEASE)
        if left == BUSY:
            return BUSY
        if left == BEYOND:
            left = bits  # one by one, then
        if left:
            for i in range(state.next, state.next + taken):
                if (left >> (ids[i] & 31)) & 1:
                    ids[state.refused] = ids[i]
                    state.refused += 1
        state.next += taken
    return 0
