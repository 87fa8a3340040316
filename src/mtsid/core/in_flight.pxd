"""What is in flight: ids, what each stands for, and those that rest until a late answer. Native code only.

    id         free ------------------------> live ------------> free
               ^     in_flight_add             |   in_flight_take
               |     in_flight_reserve         |
               |                               | in_flight_rest
               +------------- resting <--------+
                 in_flight_take, in_flight_expire

An id is live if and only if there is a payload at its place; so payload and id come and go as one thing. What is taken
(taken.pxd), what stands there (uses.pxd) and until when ids rest (timetable.pxd) all change inside one monitor, in one
step; that is why this is not the lock-free bitmap of the Allocator, whose steps others may find half done.

Invariants
1.  Outside the monitor, an offset is taken if and only if it is live, rests, or is excluded. Live: its use has a
    payload. Resting: its use has none, and it has an entry in the timetable. Excluded: it has no use.
2.  `live` counts the live ones, the timetable's length those that rest; capacity - live - resting are free.
3.  Generations are a 64-bit counter of the uses of the whole table: it never wraps, and no two uses have the same.
4.  Nothing here has a clock. Whoever looks for a free id, or says that there is none, first ends the rest of those that
    are due: `earliest` is written in the monitor and may be read outside it as a hint.

Every function here runs inside the monitor; none calls Python, allocates, frees or drops a reference. A payload that
leaves is handed to the caller with its reference.

It must not know: what ids are called outside, who waits, clocks.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.atomic cimport load_relaxed, store_relaxed, word
from mtsid.core.taken cimport Taken, count_bits64, taken_clear, taken_has, taken_is_sound, taken_next_free, taken_set
from mtsid.core.timetable cimport (
    NO_ENTRY,
    Timetable,
    timetable_add,
    timetable_due,
    timetable_find,
    timetable_is_sound,
    timetable_remove,
)
from mtsid.core.uses cimport USES_A_CHUNK, Chunk, Use, Uses, uses_begin, uses_end, uses_find


cdef enum:                  # what an operation answers, if it is no offset
    DONE = 0
    EXHAUSTED = -1      # none is free
    NOT_LIVE = -2
    TAKEN = -3
    STALE = -4          # another use of the id has begun since, or it is free
    LATE = -5           # it rested, and is free now
    NO_CHUNK = -6       # nothing changed: a chunk is wanted first
    NO_ROOM = -7        # nothing changed: a larger timetable is wanted first
    AT_ONCE = 64        # ids whose rest ends in one step


cdef enum:                  # where an id is
    FREE
    LIVE
    RESTING
    EXCLUDED


cdef struct Tally:
    uint64_t high_water     # the most that were live at once
    uint64_t released       # uses that are over
    uint64_t exhausted
    uint64_t refused
    uint64_t stale
    uint64_t late


cdef struct InFlight:
    Uses uses               # with the monitor that guards all of this
    Taken taken
    Timetable rests
    uint64_t size           # offsets 0 .. size-1; written before the table is shared, as are these two:
    uint64_t capacity       # less the excluded ones
    bint lowest             # order: the lowest free id, not the next one
    uint64_t cursor         # the offset at which the next search begins
    uint64_t live
    uint64_t generations    # of the latest use
    word earliest           # when the first resting id is due; NEVER
    Tally tally             # for stats alone


cdef struct Row:            # a copy of a use
    PyObject* payload
    uint64_t generation
    uint64_t offset


cdef inline uint64_t in_flight_free(InFlight* self) noexcept nogil:
    """How many ids are free."""
    return self.capacity - self.live - self.rests.length


cdef inline int in_flight_where(InFlight* self, uint64_t offset) noexcept nogil:
    """The state of an id."""
    cdef Use* use
    if not taken_has(&self.taken, offset):
        return FREE
    use = uses_find(&self.uses, offset)
    if use == NULL:
        return EXCLUDED
    return LIVE if use.payload != NULL else RESTING


# From free to live --------------------------------------------------------------------------------------------------

cdef inline int64_t begin(
    InFlight* self, uint64_t offset, PyObject* payload, uint64_t generation, Chunk** spare
) noexcept nogil:
    """The offset, free until now, is live and owns the payload; or NO_CHUNK."""
    cdef Use* use = uses_begin(&self.uses, offset, spare)
    if use == NULL:
        return NO_CHUNK
    use.payload = payload
    use.generation = generation
    taken_set(&self.taken, offset)
    self.live += 1
    if self.live > self.tally.high_water:
        self.tally.high_water = self.live
    return <int64_t> offset


cdef inline int64_t in_flight_add(InFlight* self, PyObject* payload, Chunk** spare) noexcept nogil:
    """The offset that stands for the payload, and owns its reference; EXHAUSTED or NO_CHUNK."""
    cdef int64_t offset = taken_next_free(&self.taken, self.cursor)
    if offset < 0:
        offset = taken_next_free(&self.taken, 0)
        if offset < 0:
            return EXHAUSTED
    offset = begin(self, offset, payload, self.generations + 1, spare)
    if offset >= 0:
        self.generations += 1
        if not self.lowest:
            self.cursor = <uint64_t> offset + 1 if <uint64_t> offset + 1 < self.size else 0
    return offset


cdef inline int64_t in_flight_reserve(
    InFlight* self, uint64_t offset, PyObject* payload, Chunk** spare
) noexcept nogil:
    """As `in_flight_add`, for this very offset; or TAKEN."""
    cdef int64_t code
    if taken_has(&self.taken, offset):
        return TAKEN
    code = begin(self, offset, payload, self.generations + 1, spare)
    self.generations += code >= 0
    return code


cdef inline int64_t in_flight_restore(InFlight* self, Row* row, Chunk** spare) noexcept nogil:
    """A use that was over goes on after all; TAKEN: another has begun since; or NO_CHUNK."""
    cdef int64_t code
    if taken_has(&self.taken, row.offset):
        return TAKEN
    code = begin(self, row.offset, row.payload, row.generation, spare)
    self.tally.released -= code >= 0
    return code


# From live to free --------------------------------------------------------------------------------------------------

cdef inline void end_rest(InFlight* self, uint32_t entry) noexcept nogil:
    timetable_remove(&self.rests, entry)
    store_relaxed(&self.earliest, timetable_due(&self.rests))


cdef inline int64_t find(InFlight* self, uint64_t offset, uint64_t generation, Use** use) noexcept nogil:
    """The use of an id, that one or (generation 0) any; NOT_LIVE or STALE if there is none."""
    use[0] = uses_find(&self.uses, offset)
    if generation and (use[0] == NULL or use[0].generation != generation):
        self.tally.stale += 1
        return STALE
    if use[0] == NULL:
        self.tally.refused += 1
        return NOT_LIVE
    return DONE


cdef inline int64_t in_flight_take(
    InFlight* self, uint64_t offset, uint64_t generation, bint may_rest, PyObject** payload, Chunk** spare
) noexcept nogil:
    """DONE: the use is over, and its payload the caller's. NOT_LIVE, STALE: nothing changed.

    LATE: it rested. With `may_rest` it is over now; else nothing changed, so that the caller can look at the clock.
    """
    cdef Use* use
    cdef int64_t code = find(self, offset, generation, &use)
    if code != DONE:
        return code
    payload[0] = use.payload
    if use.payload != NULL:
        self.live -= 1
    elif not may_rest:
        return LATE
    else:
        end_rest(self, timetable_find(&self.rests, <uint32_t> offset))
        self.tally.late += 1
        code = LATE
    self.tally.released += 1
    uses_end(&self.uses, offset, spare)
    taken_clear(&self.taken, offset)
    return code


cdef inline int64_t in_flight_rest(
    InFlight* self, uint64_t offset, uint64_t generation, uint64_t due, PyObject** payload
) noexcept nogil:
    """DONE: the id rests until then, and its payload is the caller's. NOT_LIVE, STALE, NO_ROOM: nothing changed."""
    cdef Use* use
    cdef int64_t code = find(self, offset, generation, &use)
    if code != DONE:
        return code
    if use.payload == NULL:
        self.tally.refused += 1
        return NOT_LIVE
    if self.rests.length == self.rests.room:
        return NO_ROOM
    timetable_add(&self.rests, <uint32_t> offset, due)
    store_relaxed(&self.earliest, timetable_due(&self.rests))
    payload[0] = use.payload
    use.payload = NULL
    self.live -= 1
    return DONE


cdef inline int64_t in_flight_expire(InFlight* self, uint64_t now, Chunk** spare) noexcept nogil:
    """Free those that rested until now, AT_ONCE of them at most; how many."""
    cdef int64_t freed = 0
    cdef uint32_t entry, offset
    while freed < AT_ONCE and self.rests.length and timetable_due(&self.rests) <= now:
        entry = self.rests.heap[0]
        offset = self.rests.entries[entry].offset
        end_rest(self, entry)
        self.tally.released += 1
        uses_end(&self.uses, offset, spare)
        taken_clear(&self.taken, offset)
        freed += 1
    return freed


# All of them --------------------------------------------------------------------------------------------------------

cdef inline void in_flight_copy(InFlight* self, Row* rows) noexcept nogil:
    """The live uses into `rows`, which has `live` places; the references stay with the table.

    From the back, since a cyclic order makes the newest chunk that with the highest number: so they come out sorted,
    but where it went round.
    """
    cdef Chunk* chunk = self.uses.first
    cdef uint64_t left = self.live
    cdef uint64_t i
    while chunk != NULL and left:
        for i in range(USES_A_CHUNK - 1, -1, -1):
            if chunk.uses[i].payload != NULL:
                left -= 1
                rows[left].payload = chunk.uses[i].payload
                rows[left].generation = chunk.uses[i].generation
                rows[left].offset = chunk.number * USES_A_CHUNK + i
        chunk = chunk.next


cdef inline void in_flight_reset(InFlight* self, Chunk** spare) noexcept nogil:
    """Every use is over; the payloads are the caller's, who has a copy of them."""
    cdef Chunk* chunk = self.uses.first
    cdef Chunk* next
    cdef uint64_t i
    while chunk != NULL:
        next = chunk.next
        for i in range(<uint64_t> USES_A_CHUNK):
            if chunk.uses[i].generation:
                taken_clear(&self.taken, chunk.number * USES_A_CHUNK + i)
                self.tally.released += 1
                uses_end(&self.uses, chunk.number * USES_A_CHUNK + i, spare)
        chunk = next
    self.live = 0
    while self.rests.length:
        end_rest(self, self.rests.heap[self.rests.length - 1])  # the last one, which moves no other


cdef inline const char* in_flight_fault(InFlight* self) noexcept nogil:
    """What contradicts the invariants, in words; NULL if nothing does. For `_check`."""
    cdef Chunk* chunk = self.uses.first
    cdef uint64_t live = 0
    cdef uint64_t resting = 0
    cdef uint64_t taken = 0
    cdef uint64_t count, i
    while chunk != NULL:
        count = 0
        if self.uses.chunks[chunk.number] != chunk:
            return "a chunk is not where it says that it is"
        for i in range(<uint64_t> USES_A_CHUNK):
            if chunk.uses[i].generation:
                count += 1
                live += chunk.uses[i].payload != NULL
                if chunk.uses[i].generation > self.generations:
                    return "a use is of a later generation than the latest"
                if not taken_has(&self.taken, chunk.number * USES_A_CHUNK + i):
                    return "an id in use is free"
                if chunk.uses[i].payload == NULL:
                    resting += 1
                    if timetable_find(&self.rests, <uint32_t> (chunk.number * USES_A_CHUNK + i)) == NO_ENTRY:
                        return "an id rests, but not in the timetable"
            elif chunk.uses[i].payload != NULL:
                return "a payload has no generation"
        if count != chunk.count:
            return "a chunk's count disagrees with its uses"
        if count == 0 and chunk != self.uses.empty and not self.uses.settled:
            return "a second chunk is empty"
        chunk = chunk.next
    for i in range(self.taken.lengths[0] if self.taken.levels else 0):
        taken += count_bits64(self.taken.words[0][i])
    if live != self.live or resting != self.rests.length:
        return "a count disagrees with the uses"
    if taken != live + resting + (self.taken.lengths[0] * 64 - self.capacity if self.taken.levels else 0):
        return "a free id is taken"
    if self.rests.room and not timetable_is_sound(&self.rests):
        return "the timetable is in disorder"
    if load_relaxed(&self.earliest) != timetable_due(&self.rests):
        return "the earliest end of a quarantine is not the timetable's"
    if not taken_is_sound(&self.taken):
        return "the levels above the ids disagree with them"
    return NULL
