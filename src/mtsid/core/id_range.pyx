"""What an allocator holds: a range of ids, and what each of them is now: free, live or quarantined.

Memory, views, and the checks of an id that is passed in. Taking and giving back is allocator.pyx.

Invariant: every view first frees those whose quarantine is over (`end_rests`), so that none shows an id as resting that
would be handed out.

It must not know: what an id stands for.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from mtsid.core.arguments cimport as_integer, as_range, shown
from mtsid.core.atomic cimport load_acquire, load_relaxed, thread_yield, word
from mtsid.core.bitmap cimport (
    BUSY,
    FIRST_VERSION,
    beyond_bits,
    bitmap_close,
    bitmap_exclude,
    bitmap_holds,
    bitmap_live,
    bitmap_open,
    count_bits,
    fixed_bits,
    is_full,
    lowest_bit32,
    note_live,
    resting_bits,
)
from mtsid.core.bound cimport bound_move, capacity_below
from mtsid.core.quarantine cimport quarantine_expire, quarantine_install, rest_find
from mtsid.core.timetable cimport (
    NEVER,
    NO_ENTRY,
    Timetable,
    timetable_due,
    timetable_find,
    timetable_is_sound,
    timetable_make,
)
from mtsid.core.waiting cimport WaitSet, clock_now

from mtsid.core.stats import AllocatorStats
from mtsid.errors import AuditError


cdef extern from *:
    """
    #if defined(Py_GIL_DISABLED) || defined(MTSID_SCHEDULED)  /* a scheduled thread lets go of the GIL at each point */
    #define MTSID_GIL 0
    #else
    #define MTSID_GIL 1
    #endif
    """
    bint GIL "MTSID_GIL"


@cython.no_gc_clear  # no cycle runs through it, and whatever releases an id late must find it whole
cdef class IdRange:
    """The ids of an allocator; see `mtsid.Allocator`. Not for use by itself."""

    def __cinit__(self, *args, **kwargs):
        self.waiting = WaitSet.__new__(WaitSet)

    def __init__(self, first=1, last=65535, *, exclude=(), order="cyclic"):
        cdef int64_t low, high
        low, high, excluded, lowest = as_range(first, last, exclude, order)
        if self.bits.block != NULL:
            raise TypeError("an allocator is initialised once; make a new one")
        if not bitmap_open(&self.bits, high - low + 1, lowest, GIL):
            raise MemoryError(f"no memory for a bitmap of {high - low + 1} ids")
        if excluded:
            self.bits.excluded = <uint32_t*> calloc(self.bits.leaf_count, sizeof(uint32_t))
            if self.bits.excluded == NULL:
                bitmap_close(&self.bits)
                raise MemoryError("no memory for the excluded ids")
            for id in excluded:
                bitmap_exclude(&self.bits, <int64_t> id - low)
        self.first = low

    def __dealloc__(self):
        bitmap_close(&self.bits)

    # Time ------------------------------------------------------------------------------------------------------------

    cdef int end_rests(self) except -1:
        """Free the ids whose quarantine is over by now, and wake as many who wait."""
        cdef uint64_t now = clock_now()
        cdef int64_t freed
        cdef int64_t total = 0
        while load_acquire(&self.bits.earliest) <= now:
            freed = quarantine_expire(&self.bits, now)
            if freed == BUSY:
                with nogil:
                    thread_yield()
            else:
                total += freed
        if total and self.waiting.needed():
            self.waiting.wake(total)
        return 0

    cdef int make_room(self, uint64_t room) except -1:
        """For more than so many resting ids. Nothing is allocated inside a step."""
        cdef Timetable table
        cdef word* resting
        if not timetable_make(&table, room):
            raise MemoryError("no memory for more quarantined ids")
        resting = <word*> calloc((self.bits.leaf_count + 1) >> 1, sizeof(word))
        if resting == NULL:
            free(table.entries)
            raise MemoryError("no memory for quarantined ids")
        while not quarantine_install(&self.bits, &table, &resting):
            with nogil:
                thread_yield()
        free(table.entries)
        free(resting)
        return 0

    # The bound -------------------------------------------------------------------------------------------------------

    cdef int64_t last(self) noexcept:
        """The last id that may be handed out."""
        return self.first + <int64_t> load_acquire(&self.bits.bound) - 1

    def resize(self, last) -> None:
        """Move the upper bound, within the range that the allocator was made with: what a peer allows, say.

        Ids above it that are live stay so until they are released; then nobody gets them, until the bound is moved up
        again. `capacity`, `available` and `Exhausted` count the ids up to the bound, `len` and iteration all live ones.
        It takes a time in proportion to the ids between the old bound and the new one.

        `ValueError` for a bound outside the range, or one that leaves no id to hand out.

        >>> from mtsid import Allocator
        >>> ids = Allocator(1, 1000)
        >>> ids.reserve(7)
        >>> ids.resize(5)
        >>> ids.capacity, ids.available, list(ids)
        (5, 5, [7])
        """
        cdef int64_t bound = as_integer(last, "last") - self.first + 1
        cdef int64_t freed = BUSY
        if bound < 1 or bound > <int64_t> self.bits.size:
            raise ValueError(
                f"last must lie within {self.first} .. {self.first + <int64_t> self.bits.size - 1}, the range that the "
                f"allocator was made with, but is {shown(last)}"
            )
        if capacity_below(&self.bits, bound) == 0:
            raise ValueError(f"every id up to {shown(last)} is excluded: none is left to hand out")
        if load_acquire(&self.bits.resting) == 0:  # P1
            self.make_room(0)
        while freed == BUSY:
            freed = bound_move(&self.bits, bound)
            if freed == BUSY:
                with nogil:
                    thread_yield()
        if freed and self.waiting.needed():
            self.waiting.wake(freed)

    # Views -----------------------------------------------------------------------------------------------------------

    cdef int64_t offset_of(self, object id) except? -1:
        cdef int64_t offset = as_integer(id, "an id") - self.first
        if bitmap_holds(&self.bits, offset) and <uint64_t> offset < load_acquire(&self.bits.bound):
            return offset
        raise self.outside(id)

    cdef object outside(self, object id):
        """The exception for an id that is none."""
        return ValueError(
            f"id {shown(id)} is outside the range {self.first} .. {self.last()}"
            f"{', or excluded' if self.bits.excluded != NULL else ''}"
        )

    cdef void look(self, uint64_t leaf, uint32_t* live, uint32_t* resting) noexcept:
        """`bitmap_live`, once nothing is half done. The GIL is given up meanwhile: never spin with it."""
        while bitmap_live(&self.bits, leaf, live, resting) == BUSY:
            with nogil:
                thread_yield()

    cdef uint64_t count(self) noexcept:
        """How many are live."""
        cdef uint64_t total = 0
        cdef uint64_t leaf
        cdef uint32_t live, resting
        for leaf in range(self.bits.leaf_count):
            self.look(leaf, &live, &resting)
            total += count_bits(live)
        note_live(&self.bits, total)
        return total

    def state(self, id) -> str:
        """"free", "live" or "quarantined". `ValueError` outside the range."""
        cdef int64_t offset = as_integer(id, "an id") - self.first
        cdef int64_t code = BUSY
        cdef uint32_t live, resting
        if not bitmap_holds(&self.bits, offset):
            raise self.outside(id)
        if load_relaxed(&self.bits.earliest) != NEVER:
            self.end_rests()
        self.look(offset >> 5, &live, &resting)
        if (live >> (offset & 31)) & 1:
            return "live"
        if <uint64_t> offset < load_acquire(&self.bits.bound):
            return "quarantined" if (resting >> (offset & 31)) & 1 else "free"
        while code == BUSY:
            code = rest_find(&self.bits, offset)
            if code == BUSY:
                with nogil:
                    thread_yield()
        if code != 0:
            raise self.outside(id)
        return "quarantined"

    def __contains__(self, id) -> bool:
        cdef int64_t offset
        cdef uint32_t live, resting
        try:
            offset = as_integer(id, "an id") - self.first
        except TypeError:
            return False
        if not bitmap_holds(&self.bits, offset):
            return False
        self.look(offset >> 5, &live, &resting)
        return (live >> (offset & 31)) & 1

    def __len__(self) -> int:
        """The number of live ids: exact when no other thread is at work, else a count over about that time."""
        return self.count()

    def __iter__(self):
        """The live ids, rising: exact when no other thread is at work; otherwise each was live at some instant."""
        cdef uint64_t leaf
        cdef uint32_t live, resting
        for leaf in range(self.bits.leaf_count):
            self.look(leaf, &live, &resting)
            while live:
                yield self.first + <int64_t> (leaf << 5 | lowest_bit32(live))
                live &= live - 1

    def __bool__(self) -> bool:
        return True

    @property
    def capacity(self) -> int:
        """How many ids there are: the range up to the bound, less the excluded ones."""
        return load_acquire(&self.bits.capacity)

    @property
    def available(self) -> int:
        """How many ids are free; as exact as `len`."""
        cdef uint64_t total = 0
        cdef uint64_t leaf
        cdef uint32_t live, resting
        if load_relaxed(&self.bits.earliest) != NEVER:
            self.end_rests()
        for leaf in range(self.bits.leaf_count):
            self.look(leaf, &live, &resting)
            total += 32 - count_bits(live | resting | fixed_bits(&self.bits, leaf))
        return total

    def stats(self):
        """What there is and what there was, as `AllocatorStats`: its fields say what each number is, and how exact."""
        cdef uint64_t leaf, released
        cdef uint64_t versions = 0
        live = len(self)
        available = self.available
        for leaf in range(self.bits.leaf_count):
            versions += load_acquire(&self.bits.leaves[leaf]) >> 32
        quarantined = load_acquire(&self.bits.rested)
        released = (
            versions - self.bits.leaf_count * FIRST_VERSION + (load_acquire(&self.bits.rounds) << 32)
            - load_acquire(&self.bits.others) - load_acquire(&self.bits.rolled_back)
        )
        return AllocatorStats(
            capacity=load_acquire(&self.bits.capacity),
            live=live,
            quarantined=quarantined,
            available=available,
            waiting=load_acquire(&self.waiting.count),
            high_water=load_acquire(&self.bits.high_water),
            acquired=released + live + quarantined,
            released=released,
            exhausted=load_acquire(&self.bits.exhausted),
            refused=load_acquire(&self.bits.refused),
            stale=load_acquire(&self.bits.stale),
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} {self.first} .. {self.last()}, "
            f"{self.count()} of {load_acquire(&self.bits.capacity)} live>"
        )

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "an Allocator cannot be pickled or copied: a copy would hand out ids that are live here; share this one between "
            "threads, or give another process a range of its own"
        )

    def _check(self) -> None:
        """Assert what must hold when no other thread is at work; raises `AuditError`. For tests."""
        cdef uint64_t leaf, hint
        cdef uint32_t fixed, resting, beyond, bit
        cdef uint64_t rest = 0
        cdef uint64_t rest_beyond = 0
        cdef int level
        if load_acquire(&self.bits.claim) & 1 or load_acquire(&self.bits.rest) & 1:
            raise AuditError("a bulk claim is half done, or a step of a quarantine")
        for leaf in range(self.bits.leaf_count):
            fixed = fixed_bits(&self.bits, leaf)
            resting = resting_bits(&self.bits, leaf)
            beyond = beyond_bits(&self.bits, leaf)
            fixed |= beyond | resting
            if <uint32_t> load_acquire(&self.bits.leaves[leaf]) & fixed != fixed:
                raise AuditError(
                    f"leaf {leaf}: an excluded or quarantined id, one beyond the bound or the padding was released"
                )
            while resting:
                bit = lowest_bit32(resting)
                if timetable_find(&self.bits.table, <uint32_t> (leaf << 5 | bit)) != NO_ENTRY:
                    rest += not (beyond >> bit) & 1
                    rest_beyond += (beyond >> bit) & 1
                elif not (beyond >> bit) & 1:
                    raise AuditError(f"leaf {leaf}, bit {bit}: quarantined, but not in the timetable")
                resting &= resting - 1
        if rest != load_acquire(&self.bits.quarantined) or rest_beyond != self.bits.beyond:
            raise AuditError(
                f"{rest} ids are quarantined, and {rest_beyond} beyond the bound; the counts say "
                f"{load_acquire(&self.bits.quarantined)} and {self.bits.beyond}"
            )
        if rest + rest_beyond != self.bits.table.length:
            raise AuditError(f"{rest + rest_beyond} ids are quarantined, but {self.bits.table.length} in the timetable")
        if load_acquire(&self.bits.capacity) != capacity_below(&self.bits, load_acquire(&self.bits.bound)):
            raise AuditError("the capacity is not that of the bound")
        if self.bits.table.room and not timetable_is_sound(&self.bits.table):
            raise AuditError("the timetable of the quarantined ids is in disorder")
        if load_acquire(&self.bits.earliest) != timetable_due(&self.bits.table):
            raise AuditError("the earliest end of a quarantine is not the timetable's")
        for level in range(self.bits.levels):
            for hint in range(self.bits.widths[level]):
                if load_acquire(&self.bits.hints[level][hint >> 6]) >> (hint & 63) & 1 and not is_full(
                    &self.bits, level, hint
                ):
                    raise AuditError(f"level {level}, hint {hint}: set, though not full")
