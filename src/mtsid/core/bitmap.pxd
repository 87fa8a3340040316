"""A lock-free bitmap of ids in use. Native code only: no Python object, no GIL, no exception.

One bit an id, 32 ids and a 32-bit version to a leaf word. The version counts the releases in that leaf. The idea of a
bit an id with a cursor a thread is that of Linux sbitmap; the version beside the bits is what makes "none is free"
provable.

    leaf      63          32 31                       0
              +-------------+--------------------------+
              |   version   | 1 = in use, 0 = free     |       offset = 32 * leaf + bit = id - first
              +-------------+--------------------------+
    hints     level 0: a bit a leaf, 1 = "found full"; level 1: a bit a word of level 0, 1 = "found all ones"; ...

Padding bits behind the last id, and excluded ids, are in use for ever.

Invariants
1.  A bit goes from 0 to 1 by one compare-exchange, whose owner then has the id; and from 1 to 0 by one
    compare-exchange that adds the released ids to the version. So two threads cannot have one id, and a second release cannot succeed.
2.  "None is free" is said only after two passes over the leaves found each leaf full, with the same versions, and no
    bulk claim half done from before the first to after the second. At the instant between the passes every leaf was
    full: its bits were set before and after, and no release came between. Versions only grow, so comparing their sums
    compares them all; to fool the sum, an exact multiple of 2**32 releases would have to come between two passes.
3.  Hints only guide. With no operation under way, a hint of 1 means that what it stands for is full: who sets one looks
    at the leaf again afterwards, who releases looks at the hint afterwards (H0, H1). So one thread alone always finds
    exactly the first free id; a hint that is wrong for a moment is put right by the passes of invariant 2, which
    ignore hints.
4.  A bulk claim holds `claim` odd from before its first bit to after its last. What another operation could say only
    because of bits that may yet be given back, it does not say: it answers BUSY, and its caller tries again.
    A release reads the bit, then `claim`, then compares and exchanges the leaf: if `claim` was even, the bit belonged
    to a finished claim, and a claim rolled back since then would have changed the version (C0, C1, L0, L1).

5.  While `under_gil` is set, every caller holds the GIL, which makes load-then-store one step; the compare-exchange
    and its locked bus cycle are saved. The first caller without the GIL takes it once and clears the flag; from then
    on, and always on free-threaded builds, every exchange is atomic by itself.
6.  An id whose bit is set in `resting` as well is neither live nor free (quarantine.pxd). Such bits change only while
    `rest` is odd, and always after the leaf, whose version is bumped with it. So a release that read the leaf before
    fails to exchange it, and one that read it after sees `rest` odd, which is BUSY, or the bit (R0, R1, L0, L1). As
    long as nothing ever rested `rest` is 0, and one load is all that a release pays.

Progress: acquire, release and reserve are lock-free (a lost compare-exchange means that another thread's won) except
that release, reserve and a failing acquire wait while a bulk claim is half done; each takes as long as its batch.
Bulk claims exclude one another. A release and a failing acquire also wait while an id goes to rest or comes from it.

Labelled pairs
    L0 -> L1    a leaf's compare-exchange -> a leaf's load        the bits, and what the last owner did before
    C0 -> C1    end of a bulk claim (release) -> load (acquire)   all of its bits, or all of its roll-back, are visible
    P0 -> P1    the resting bits' address (release) -> load (acquire)   that they were all 0 at first
    R0 -> R1    end of a step of quarantine.pxd (release) -> load (acquire)   the resting bits, how many, the earliest
    E0 -> E1    a reset counts itself, then frees -> after the leaf, load of that count: a lease of before frees nothing
    G0 -> G1    a native caller clears `under_gil` (release) -> load (acquire)   what was stored under the GIL
    H0 <> H1    set a hint, then look at the leaf <> release a bit, then look at the hint: both sequentially consistent,
                so at least one of the two sees the other

It must not know: Python, waiting, what an id stands for.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from mtsid.core.atomic cimport (
    add_seq_cst,
    and_seq_cst,
    cas_seq_cst,
    load_acquire,
    load_relaxed,
    load_seq_cst,
    or_seq_cst,
    store_relaxed,
    thread_number,
    word,
)
from mtsid.core.timetable cimport NEVER, Timetable


cdef extern from "bitmap.h" nogil:
    uint32_t ALL32 "UINT32_MAX"
    uint64_t ALL64 "UINT64_MAX"
    uint64_t NO_LEASE "UINT64_MAX"
    uint64_t FIRST_VERSION "MTSID_FIRST_VERSION"
    uint64_t FIRST_CLAIM "MTSID_FIRST_CLAIM"
    bint seldom "mtsid_seldom"(bint condition) noexcept
    unsigned lowest_bit32 "mtsid_lowest_bit32"(uint32_t bits) noexcept
    unsigned lowest_bit64 "mtsid_lowest_bit64"(uint64_t bits) noexcept
    unsigned count_bits "mtsid_count_bits"(uint32_t bits) noexcept
    uint32_t lowest_bits "mtsid_lowest_bits"(uint32_t bits, unsigned count) noexcept
    void* cache_lines "mtsid_cache_lines"(size_t size, void** block) noexcept

    bint claim_try "mtsid_claim_try"(word*) noexcept
    void claim_end "mtsid_claim_end"(word*) noexcept       # C0, R0


cdef enum:
    EXHAUSTED = -1      # none is free, certified
    NOT_LIVE = -2       # nothing was released
    LIVE = -3           # nothing was reserved
    BUSY = -4           # a bulk claim is half done, or a step of quarantine.pxd: try again
    BEYOND = -7         # nothing was released: a live id beyond the bound
    STALE = -6          # nothing was released: the lease is of before a reset
    FULL = -8           # nothing was claimed: the leaf is full
    UNUSUAL = -9        # nothing was done, and nothing is said: ask again the longer way
    LEVELS = 6          # 32 * 64**6 > 2**32
    CURSORS = 16        # threads beyond that share
    RESETTING = 1 << 16 # in `leases`: a reset is under way (leases.pxd) ...
    EPOCH = 17          # ... and from this bit on it counts them


cdef struct Cursor:
    word next               # the offset at which the next search begins; its own thread writes it, a hint to the others
    uint64_t padding[7]     # a cache line each: a shared one cost a factor of four between two threads


cdef struct Bitmap:
    # What every operation reads stands together.
    word* leaves            # [leaf_count]
    Cursor* cursors         # [CURSORS]
    uint64_t leaf_count
    uint64_t size           # offsets 0 .. size-1
    uint32_t* excluded      # a bit an id, or NULL; written before the bitmap is shared
    bint lowest             # order: lowest free id, not the next one
    int levels
    word under_gil          # 1: every caller holds the GIL (invariant 5); cleared for good, with the GIL held
    word spread             # 0 while one cursor serves all; set for good when two threads first meet
    word claim              # odd while a bulk claim is half done
    word rest               # odd while an id goes to rest or comes from it; 0 if none ever did (invariant 6)
    word earliest           # when the first resting id is due; NEVER. Written with `rest` odd, as all down to `table`
    word quarantined        # how many ids below the bound rest
    word bound              # offsets from here on are not handed out (bound.pxd); `size` at first
    word capacity           # ids below the bound, less the excluded ones
    uint64_t beyond         # how many ids rest beyond the bound; read with `rest` odd
    word resting            # the address of a bit an id, a word* with them for two leaves each; 0 until the first one rests
    Timetable table         # which ones, and until when
    word leases             # how many resets have begun, and who is taking an id for a lease (leases.pxd)
    # For stats alone:
    word rounds             # how often a leaf's version went round its 32 bits
    word others             # bumps of versions that were no releases, less releases that bumped none; with `rest` odd
    word rolled_back        # ids that bulk claims gave back; with `claim` odd
    word rested             # all ids in quarantine, also those beyond the bound; written like `earliest`
    word high_water         # the most live ids that were seen at once
    word exhausted
    word refused
    word stale
    word* hints[LEVELS]
    uint64_t widths[LEVELS] # bits in use at each level
    void* block             # what free() takes


cdef struct Seen:           # at the instant at which no id was free, or too few
    uint64_t quarantined
    uint64_t earliest
    uint64_t capacity


# Life ---------------------------------------------------------------------------------------------------------------

cdef inline bint bitmap_open(Bitmap* self, uint64_t size, bint lowest, bint under_gil) noexcept nogil:
    """All ids free. False: no memory."""
    cdef uint64_t width, words, total
    cdef int level
    cdef word* memory
    cdef uint64_t i
    self.size = size
    self.lowest = lowest
    self.leaf_count = (size + 31) >> 5
    self.levels = 0
    width = self.leaf_count
    total = CURSORS * 8 + self.leaf_count
    while True:
        self.widths[self.levels] = width
        words = (width + 63) >> 6
        total += words
        self.levels += 1
        if words == 1:
            break
        width = words
    memory = <word*> cache_lines(total * sizeof(word), &self.block)
    if memory == NULL:
        self.size = self.leaf_count = 0
        return False
    self.cursors = <Cursor*> memory
    memory += CURSORS * 8
    self.leaves = memory
    memory += self.leaf_count
    for level in range(self.levels):
        self.hints[level] = memory
        words = (self.widths[level] + 63) >> 6
        memory += words
        if self.widths[level] & 63:
            store_relaxed(&self.hints[level][words - 1], ALL64 << (self.widths[level] & 63))
    if size & 31:
        store_relaxed(&self.leaves[self.leaf_count - 1], <uint64_t> (ALL32 << (size & 31)))
    if FIRST_VERSION:
        for i in range(self.leaf_count):
            store_relaxed(&self.leaves[i], load_relaxed(&self.leaves[i]) | FIRST_VERSION << 32)
    # Where a thread begins once there are several: evenly spread, since neighbours would fight over one leaf.
    for i in range(<uint64_t> CURSORS):
        store_relaxed(&self.cursors[i].next, i * (size // CURSORS))
    store_relaxed(&self.spread, 0)
    store_relaxed(&self.under_gil, under_gil)
    self.excluded = NULL
    store_relaxed(&self.claim, FIRST_CLAIM)
    store_relaxed(&self.rest, 0)
    store_relaxed(&self.leases, 0)
    store_relaxed(&self.rounds, 0)
    store_relaxed(&self.others, 0)
    store_relaxed(&self.rolled_back, 0)
    store_relaxed(&self.rested, 0)
    store_relaxed(&self.high_water, 0)
    store_relaxed(&self.exhausted, 0)
    store_relaxed(&self.refused, 0)
    store_relaxed(&self.stale, 0)
    store_relaxed(&self.earliest, NEVER)
    store_relaxed(&self.quarantined, 0)
    store_relaxed(&self.bound, size)
    store_relaxed(&self.capacity, size)
    self.beyond = 0
    store_relaxed(&self.resting, 0)
    memset(&self.table, 0, sizeof(Timetable))
    return True


cdef inline void bitmap_close(Bitmap* self) noexcept nogil:
    if self.block != NULL:
        free(self.block)
        free(self.excluded)
        free(<void*> <size_t> load_relaxed(&self.resting))
        free(self.table.entries)
        self.block = NULL
        self.size = self.leaf_count = 0


cdef inline void bitmap_exclude(Bitmap* self, uint64_t offset) noexcept nogil:
    """In use for ever. Only before the bitmap is shared, and with `excluded` allocated."""
    cdef uint32_t bit = <uint32_t> 1 << (offset & 31)
    cdef word* leaf = &self.leaves[offset >> 5]
    if not self.excluded[offset >> 5] & bit:
        self.excluded[offset >> 5] |= bit
        store_relaxed(&self.capacity, load_relaxed(&self.capacity) - 1)
        store_relaxed(leaf, load_relaxed(leaf) | bit)


cdef inline bint bitmap_holds(Bitmap* self, int64_t offset) noexcept nogil:
    """Is the offset in the range and not excluded?"""
    if <uint64_t> offset >= self.size:
        return False
    return self.excluded == NULL or not (self.excluded[offset >> 5] >> (offset & 31)) & 1


cdef inline uint32_t fixed_bits(Bitmap* self, uint64_t leaf) noexcept nogil:
    """The bits of a leaf that are no ids: excluded ones, and the padding behind the last."""
    cdef uint32_t bits = 0
    if self.excluded != NULL:
        bits = self.excluded[leaf]
    if leaf == self.leaf_count - 1 and self.size & 31:
        bits |= ALL32 << (self.size & 31)
    return bits


# Rest: read here, written in quarantine.pxd ---------------------------------------------------------------------------

cdef inline uint32_t resting_bits(Bitmap* self, uint64_t leaf) noexcept nogil:
    """The ids of a leaf that rest. To be believed only if `rest` was even before, and is the same afterwards."""
    cdef word* resting = <word*> <size_t> load_acquire(&self.resting)  # P1
    if resting == NULL:
        return 0
    return <uint32_t> (load_acquire(&resting[leaf >> 1]) >> ((leaf & 1) << 5))


cdef inline uint32_t beyond_bits(Bitmap* self, uint64_t leaf) noexcept nogil:
    """The bits of a leaf from the bound on. To be believed as `resting_bits` are."""
    cdef uint64_t bound = load_acquire(&self.bound)
    if leaf << 5 >= bound:
        return ALL32
    return ALL32 << (bound & 31) if bound >> 5 == leaf else 0


cdef inline bint see_rest(Bitmap* self, Seen* seen) noexcept nogil:
    """How many ids rest at one instant, and of how many; when the first is due. False: a step is half done."""
    cdef uint64_t rest = load_acquire(&self.rest)  # R1
    if rest & 1:
        return False
    seen.quarantined = load_acquire(&self.quarantined)
    seen.earliest = load_acquire(&self.earliest)
    seen.capacity = load_acquire(&self.capacity)
    return load_acquire(&self.rest) == rest


cdef inline void note_live(Bitmap* self, uint64_t live) noexcept nogil:
    """So many were live at once."""
    cdef uint64_t most = load_relaxed(&self.high_water)
    while live > most and cas_seq_cst(&self.high_water, most, live) != most:
        most = load_relaxed(&self.high_water)


# Hints --------------------------------------------------------------------------------------------------------------

cdef inline bint is_full(Bitmap* self, int level, uint64_t index) noexcept nogil:
    """Is what the hint `index` of a level stands for full?"""
    if level == 0:
        return <uint32_t> load_seq_cst(&self.leaves[index]) == ALL32
    return load_seq_cst(&self.hints[level - 1][index]) == ALL64


cdef inline void hint_open(Bitmap* self, uint64_t index) noexcept nogil:
    """A leaf has a free id again: take the hints away, upwards as long as a whole word had been full."""
    cdef int level = 0
    cdef uint64_t before
    while level < self.levels:
        before = load_seq_cst(&self.hints[level][index >> 6])  # H1
        if not (before >> (index & 63)) & 1:
            return
        before = and_seq_cst(&self.hints[level][index >> 6], ~(<uint64_t> 1 << (index & 63)))
        if before != ALL64:
            return
        index >>= 6
        level += 1


cdef inline void hint_full(Bitmap* self, int level, uint64_t index) noexcept nogil:
    """A searcher found it full: let the next one pass by. Then look again, since it may just have been opened."""
    cdef uint64_t bit = <uint64_t> 1 << (index & 63)
    if load_relaxed(&self.hints[level][index >> 6]) & bit:
        return
    or_seq_cst(&self.hints[level][index >> 6], bit)  # H0
    while not is_full(self, level, index):
        # Opened meanwhile; whoever opened it may have looked too early. Undo, upwards too.
        if and_seq_cst(&self.hints[level][index >> 6], ~bit) != ALL64 or level + 1 == self.levels:
            return
        index >>= 6
        level += 1
        bit = <uint64_t> 1 << (index & 63)


cdef inline uint64_t next_leaf(Bitmap* self, uint64_t index) noexcept nogil:
    """The first leaf at or behind `index` that no hint calls full; `leaf_count` if there is none."""
    cdef int level = 0
    cdef uint64_t open
    while level < self.levels and index < self.widths[level]:
        open = ~load_relaxed(&self.hints[level][index >> 6]) & (ALL64 << (index & 63))
        if open == 0:
            # Nothing open in the rest of this word: go on behind it, one level up.
            index = (index >> 6) + 1
            level += 1
            continue
        index = (index & ~<uint64_t> 63) | lowest_bit64(open)
        if level == 0:
            return index
        # An open bit above stands for a word below: look there, or note that it is full and go on.
        level -= 1
        if load_relaxed(&self.hints[level][index]) == ALL64:
            hint_full(self, level + 1, index)
            index += 1
            level += 1
        else:
            index <<= 6
    return self.leaf_count


cdef inline uint64_t exchange(Bitmap* self, word* leaf, uint64_t expected, uint64_t desired) noexcept nogil:
    """Put `desired` where `expected` stands; returns what stood there, so success is `== expected`."""
    if load_acquire(&self.under_gil):  # G1
        store_relaxed(leaf, desired)
        return expected
    return cas_seq_cst(leaf, expected, desired)  # L0


# Search -------------------------------------------------------------------------------------------------------------

cdef inline Cursor* my_cursor(Bitmap* self) noexcept nogil:
    """One for all until threads meet, so that ids come in order as long as calls do; then one a thread."""
    if load_relaxed(&self.spread):
        return &self.cursors[thread_number() & (CURSORS - 1)]
    return &self.cursors[0]


cdef inline int64_t claim_here(Bitmap* self, uint64_t leaf, uint32_t mask) noexcept nogil:
    """Claim the lowest free id among the bits of `mask`; EXHAUSTED if this leaf has none, FULL if no other one either."""
    cdef uint64_t now = load_acquire(&self.leaves[leaf])  # L1
    cdef uint64_t found
    cdef uint32_t free_bits
    cdef unsigned bit
    while True:
        free_bits = ~<uint32_t> now & mask
        if seldom(free_bits == 0):
            return FULL if <uint32_t> now == ALL32 else EXHAUSTED
        bit = lowest_bit32(free_bits)
        found = exchange(self, &self.leaves[leaf], now, now | (<uint64_t> 1 << bit))
        if found == now:
            return <int64_t> (leaf << 5 | bit)
        now = found
        if not load_relaxed(&self.spread):
            store_relaxed(&self.spread, 1)


cdef inline int64_t claim_in(Bitmap* self, uint64_t leaf) noexcept nogil:
    """Claim the lowest free id of a leaf; EXHAUSTED if it has none, and then there is a hint that says so."""
    cdef int64_t offset = claim_here(self, leaf, ALL32)
    if offset == FULL:
        hint_full(self, 0, leaf)
        return EXHAUSTED
    return offset


cdef inline int64_t search_behind(Bitmap* self, uint64_t first_leaf) noexcept nogil:
    """Claim the first free id behind this leaf, round the range to its own first ones, guided by hints; EXHAUSTED may
    be wrong for a moment."""
    cdef int64_t offset
    cdef uint64_t leaf = next_leaf(self, first_leaf + 1)
    while leaf < self.leaf_count:
        offset = claim_in(self, leaf)
        if offset >= 0:
            return offset
        leaf = next_leaf(self, leaf + 1)
    leaf = next_leaf(self, 0)
    while leaf <= first_leaf:
        offset = claim_in(self, leaf)
        if offset >= 0:
            return offset
        leaf = next_leaf(self, leaf + 1)
    return EXHAUSTED


cdef inline int64_t claim_past_hints(Bitmap* self, uint64_t* versions) noexcept nogil:
    """Claim any free id, looking at every leaf; else EXHAUSTED, with the sum of the versions seen."""
    cdef uint64_t leaf, now
    cdef int64_t offset
    versions[0] = 0
    for leaf in range(self.leaf_count):
        now = load_acquire(&self.leaves[leaf])  # L1
        while <uint32_t> now != ALL32:  # a version counts only for a leaf that was seen full with it
            offset = claim_in(self, leaf)
            if offset >= 0:
                return offset
            now = load_acquire(&self.leaves[leaf])  # L1
        versions[0] += now >> 32
    return EXHAUSTED


cdef inline int64_t search_or_certify(Bitmap* self, Seen* seen) noexcept nogil:
    """Claim an id past all hints, or prove that none was free (invariant 2), at the instant of `seen`. BUSY: ask again.

    Whether an id that rests was due at that instant is for the caller to see, who has a clock.
    """
    cdef uint64_t before, after
    cdef uint64_t claims = load_acquire(&self.claim)  # C1
    cdef int64_t offset
    if claims & 1:
        return BUSY
    offset = claim_past_hints(self, &before)
    while offset < 0:
        if not see_rest(self, seen):
            return BUSY
        offset = claim_past_hints(self, &after)
        if offset >= 0:
            break
        if load_acquire(&self.claim) != claims:  # C1
            return BUSY
        if before == after:
            return EXHAUSTED
        before = after
    return offset


# Operations on one id -----------------------------------------------------------------------------------------------

# Each has a short way for the usual case, and a longer one, for callers to keep out of line: what runs a dozen times
# as often is then a third as long (docs/DESIGN.md).

cdef inline void go_on_behind(Bitmap* self, Cursor* cursor, uint64_t offset) noexcept nogil:
    """The next search begins there."""
    if not self.lowest:
        store_relaxed(&cursor.next, offset + 1 if offset + 1 < self.size else 0)


cdef inline int64_t bitmap_acquire_here(Bitmap* self, uint64_t* leaf) noexcept nogil:
    """An offset of the very leaf where the search begins, now the caller's. Else what `bitmap_acquire_behind` asks for:
    that leaf, and EXHAUSTED or FULL."""
    cdef Cursor* cursor
    cdef uint64_t start
    cdef int64_t offset
    if seldom(self.leaf_count == 0):  # never opened: a subclass that did not call __init__
        return EXHAUSTED
    cursor = my_cursor(self)
    start = 0 if self.lowest else load_relaxed(&cursor.next)
    leaf[0] = start >> 5
    offset = claim_here(self, start >> 5, ALL32 << (start & 31))
    if not seldom(offset < 0):
        go_on_behind(self, cursor, <uint64_t> offset)
    return offset


cdef inline int64_t bitmap_acquire_behind(Bitmap* self, uint64_t leaf, int64_t code, Seen* seen) noexcept nogil:
    """After `bitmap_acquire_here` found nothing: an offset; EXHAUSTED, with what was `seen` then; or BUSY."""
    cdef int64_t offset
    if self.leaf_count == 0:
        seen.quarantined = seen.capacity = 0
        seen.earliest = NEVER
        return EXHAUSTED
    if code == FULL:
        hint_full(self, 0, leaf)
    offset = search_behind(self, leaf)
    if offset < 0:
        offset = search_or_certify(self, seen)
    if offset >= 0:
        go_on_behind(self, my_cursor(self), <uint64_t> offset)
    return offset


cdef inline int64_t bitmap_acquire(Bitmap* self, Seen* seen) noexcept nogil:
    """An offset that is now the caller's; EXHAUSTED, with what was `seen` then; or BUSY."""
    cdef uint64_t leaf = 0
    cdef int64_t offset = bitmap_acquire_here(self, &leaf)
    return offset if offset >= 0 else bitmap_acquire_behind(self, leaf, offset, seen)


cdef inline void released(Bitmap* self, uint64_t leaf, uint64_t now, uint64_t after) noexcept nogil:
    """What is left to do when a release has put `after` in the place of `now`."""
    if seldom(after < now):  # the version went round
        add_seq_cst(&self.rounds, 1)
    if seldom(<uint32_t> now == ALL32):
        hint_open(self, leaf)


cdef inline int64_t release_bits(
    Bitmap* self, uint64_t leaf, uint32_t bits, bint own_claim, uint64_t epoch
) noexcept nogil:
    """Release those of `bits` that are live; returns the ones that were not (0: all released), or BUSY.

    BEYOND: nothing was released, since a live one is beyond the bound, and for `rest_release` (quarantine.pxd).
    `own_claim`: the caller holds `claim` itself, and gives back bits of its own or what it knows of. `epoch`: that of
    a lease, or NO_LEASE; if there has been a reset since, nothing is released, and the answer is STALE once it is over.
    """
    cdef uint64_t now = load_acquire(&self.leaves[leaf])  # L1
    cdef uint64_t found, after, rest, leases
    cdef uint32_t mine
    while True:
        mine = <uint32_t> now & bits
        if epoch != NO_LEASE:
            leases = load_acquire(&self.leases)  # E1
            if leases >> EPOCH != epoch:
                return BUSY if leases & RESETTING else STALE
        if mine == 0:
            return bits
        if not own_claim:
            if load_acquire(&self.claim) & 1:  # C1
                return BUSY
            rest = load_acquire(&self.rest)  # R1
            if seldom(rest != 0):
                if rest & 1:
                    return BUSY
                mine &= ~resting_bits(self, leaf)
                if mine & beyond_bits(self, leaf):
                    return BEYOND
                if mine == 0:
                    return bits
        after = (now ^ mine) + (<uint64_t> count_bits(mine) << 32)
        found = exchange(self, &self.leaves[leaf], now, after)
        if found == now:
            released(self, leaf, now, after)
            return bits ^ mine
        now = found


cdef inline int64_t bitmap_release_here(Bitmap* self, uint64_t offset) noexcept nogil:
    """`bitmap_release`, which is asked to do it if the answer is UNUSUAL."""
    cdef uint64_t bit = <uint64_t> 1 << (offset & 31)
    cdef word* leaf = &self.leaves[offset >> 5]
    cdef uint64_t now = load_acquire(leaf)  # L1
    cdef uint64_t after = (now ^ bit) + (<uint64_t> 1 << 32)
    if seldom(not now & bit):
        return NOT_LIVE
    if seldom(load_acquire(&self.claim) & 1 or load_acquire(&self.rest) != 0):  # C1, R1
        return UNUSUAL
    if seldom(exchange(self, leaf, now, after) != now):
        return UNUSUAL
    released(self, offset >> 5, now, after)
    return 0


cdef inline int64_t bitmap_release(Bitmap* self, uint64_t offset) noexcept nogil:
    """0: free again; NOT_LIVE or BEYOND: nothing changed; or BUSY. The offset is one that the bitmap holds."""
    cdef int64_t left = release_bits(self, offset >> 5, <uint32_t> 1 << (offset & 31), False, NO_LEASE)
    return left if left <= 0 else NOT_LIVE


cdef inline int64_t bitmap_reserve(Bitmap* self, uint64_t offset) noexcept nogil:
    """0: the caller's; LIVE: somebody has it; or BUSY. The offset is one that the bitmap holds."""
    cdef word* leaf = &self.leaves[offset >> 5]
    cdef uint64_t bit = <uint64_t> 1 << (offset & 31)
    cdef uint64_t claims = load_acquire(&self.claim)  # C1
    cdef uint64_t now = load_acquire(leaf)  # L1
    cdef uint64_t found
    while not now & bit:
        found = exchange(self, leaf, now, now | bit)
        if found == now:
            return 0
        now = found
    if claims & 1 or load_acquire(&self.claim) != claims:  # C1
        return BUSY
    return LIVE


cdef inline int64_t bitmap_live(Bitmap* self, uint64_t leaf, uint32_t* live, uint32_t* resting) noexcept nogil:
    """The live and the resting ids of a leaf at one instant, without what a bulk claim may yet give back; or BUSY."""
    cdef uint64_t claims = load_acquire(&self.claim)  # C1
    cdef uint64_t rest = load_acquire(&self.rest)  # R1
    cdef uint64_t now = load_acquire(&self.leaves[leaf])  # L1
    resting[0] = resting_bits(self, leaf) if rest else 0
    if (claims | rest) & 1 or load_acquire(&self.rest) != rest or load_acquire(&self.claim) != claims:  # R1, C1
        return BUSY
    live[0] = <uint32_t> now & ~(fixed_bits(self, leaf) | resting[0])
    return 0
