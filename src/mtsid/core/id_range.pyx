"""What an allocator holds: a range of ids, and what each of them is now: free, live or quarantined.

Memory, views, and the checks of an id that is passed in. Taking and giving back is allocator.pyx.

Invariant: every view first frees those whose quarantine is over (`end_rests`), so that none shows an id as resting that
would be handed out.

It must not know: what an id stands for.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc

from mtsid.core.arguments cimport as_integer, as_range, shown
from mtsid.core.atomic cimport load_acquire, load_relaxed, thread_yield
from mtsid.core.bitmap cimport (
    BUSY,
    bitmap_close,
    bitmap_exclude,
    bitmap_holds,
    bitmap_live,
    bitmap_open,
    count_bits,
    fixed_bits,
    is_full,
    lowest_bit32,
    resting_bits,
)
from mtsid.core.quarantine cimport quarantine_expire
from mtsid.core.timetable cimport NEVER, NO_ENTRY, timetable_due, timetable_find, timetable_is_sound
from mtsid.core.waiting cimport WaitSet, clock_now

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
        self.capacity_ = self.bits.size - self.bits.excluded_count

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

    # Views -----------------------------------------------------------------------------------------------------------

    cdef int64_t offset_of(self, object id) except? -1:
        cdef int64_t offset = as_integer(id, "an id") - self.first
        if bitmap_holds(&self.bits, offset):
            return offset
        raise ValueError(
            f"id {shown(id)} is outside the range {self.first} .. {self.first + <int64_t> self.bits.size - 1}"
            f"{', or excluded' if self.bits.excluded_count else ''}"
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
        return total

    def state(self, id) -> str:
        """"free", "live" or "quarantined". `ValueError` outside the range."""
        cdef int64_t offset = self.offset_of(id)
        cdef uint32_t live, resting
        if load_relaxed(&self.bits.earliest) != NEVER:
            self.end_rests()
        self.look(offset >> 5, &live, &resting)
        if (live >> (offset & 31)) & 1:
            return "live"
        return "quarantined" if (resting >> (offset & 31)) & 1 else "free"

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
        """How many ids there are: the range less the excluded ones."""
        return self.capacity_

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

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} {self.first} .. "
            f"{self.first + <int64_t> self.bits.size - 1}, {self.count()} of {self.capacity_} live>"
        )

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "an Allocator cannot be pickled or copied: a copy would hand out ids that are live here; share this one between "
            "threads, or give another process a range of its own"
        )

    def _check(self) -> None:
        """Assert what must hold when no other thread is at work; raises `AuditError`. For tests."""
        cdef uint64_t leaf, hint
        cdef uint32_t fixed, resting, bit
        cdef uint64_t rest = 0
        cdef int level
        if load_acquire(&self.bits.claim) & 1 or load_acquire(&self.bits.rest) & 1:
            raise AuditError("a bulk claim is half done, or a step of a quarantine")
        for leaf in range(self.bits.leaf_count):
            fixed = fixed_bits(&self.bits, leaf)
            resting = resting_bits(&self.bits, leaf)
            if <uint32_t> load_acquire(&self.bits.leaves[leaf]) & (fixed | resting) != fixed | resting:
                raise AuditError(f"leaf {leaf}: an excluded or quarantined id or the padding was released")
            rest += count_bits(resting)
            while resting:
                bit = lowest_bit32(resting)
                if timetable_find(&self.bits.table, <uint32_t> (leaf << 5 | bit)) == NO_ENTRY:
                    raise AuditError(f"leaf {leaf}, bit {bit}: quarantined, but not in the timetable")
                resting &= resting - 1
        if not rest == self.bits.table.length == load_acquire(&self.bits.quarantined):
            raise AuditError(f"{rest} ids are quarantined, but {self.bits.table.length} are in the timetable")
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
