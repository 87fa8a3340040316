"""Which ids rest, and until when: a heap of instants and a hash table of ids over the same entries. Native code only.

One caller at a time; quarantine.pxd sees to that. What changes a table allocates nothing: when it is full,
`timetable_make` makes a larger one, which then takes its place.

    entries   [due, offset, place in the heap, next in the bucket]      never move while they are in use
    heap      numbers of entries, the earliest on top                   binary, so add and remove cost O(log n)
    buckets   the first entry of each, by the hash of the offset        O(1) to find one

Invariants
1.  An entry in use stands once in the heap, at its `place`, and once in the bucket of its offset.
2.  No entry is due before the one above it.
3.  Entries not in use are linked by `next` from `unused`.

It must not know: bits, clocks, locks.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy


cdef extern from *:
    uint32_t NO_ENTRY "UINT32_MAX"
    uint64_t NEVER "UINT64_MAX"     # due never: until somebody ends it


cdef struct Entry:
    uint64_t due            # in nanoseconds of the caller's clock
    uint32_t offset
    uint32_t place
    uint32_t next


cdef struct Timetable:
    Entry* entries          # [room]; what free() takes, with the two others behind it
    uint32_t* heap          # [room], `length` of them in use
    uint32_t* buckets       # [room]
    uint64_t room           # a power of two, or 0 before the first id rests
    uint64_t length
    uint32_t unused
    unsigned shift          # 32 - log2(room)


cdef inline uint64_t timetable_due(Timetable* self) noexcept nogil:
    """When the earliest is due."""
    return self.entries[self.heap[0]].due if self.length else NEVER


cdef inline uint32_t* bucket_of(Timetable* self, uint32_t offset) noexcept nogil:
    return &self.buckets[<uint32_t> (offset * <uint32_t> 0x9E3779B1) >> self.shift]  # Knuth's multiplicative hash


cdef inline void put_in_bucket(Timetable* self, uint32_t number) noexcept nogil:
    cdef uint32_t* bucket = bucket_of(self, self.entries[number].offset)
    self.entries[number].next = bucket[0]
    bucket[0] = number


cdef inline bint timetable_make(Timetable* self, uint64_t room) noexcept nogil:
    """An empty table with room for more than so many. False: no memory."""
    cdef uint64_t i
    self.room = 64
    self.shift = 26
    while self.room <= room:
        self.room *= 2
        self.shift -= 1
    self.length = 0
    self.unused = NO_ENTRY
    self.entries = <Entry*> malloc(self.room * (sizeof(Entry) + 2 * sizeof(uint32_t)))
    if self.entries == NULL:
        return False
    self.heap = <uint32_t*> (self.entries + self.room)
    self.buckets = self.heap + self.room
    for i in range(self.room):
        self.buckets[i] = NO_ENTRY
    return True


cdef inline void timetable_copy(Timetable* self, Timetable* old) noexcept nogil:
    """What the smaller one holds, into the larger one that was just made."""
    cdef uint64_t i
    if old.room:
        memcpy(self.entries, old.entries, old.room * sizeof(Entry))
        memcpy(self.heap, old.heap, old.length * sizeof(uint32_t))
        self.length = old.length
        self.unused = old.unused
        for i in range(self.length):
            put_in_bucket(self, self.heap[i])
    for i in range(old.room, self.room):
        self.entries[i].next = self.unused
        self.unused = <uint32_t> i


cdef inline uint32_t timetable_find(Timetable* self, uint32_t offset) noexcept nogil:
    """The entry of an id, or NO_ENTRY."""
    cdef uint32_t number
    if self.length == 0:
        return NO_ENTRY
    number = bucket_of(self, offset)[0]
    while number != NO_ENTRY and self.entries[number].offset != offset:
        number = self.entries[number].next
    return number


cdef inline void set_place(Timetable* self, uint64_t place, uint32_t number) noexcept nogil:
    self.heap[place] = number
    self.entries[number].place = <uint32_t> place


cdef inline void sift_up(Timetable* self, uint64_t place, uint32_t number) noexcept nogil:
    """Put an entry in, at this place of the heap or above it."""
    cdef uint64_t above
    while place:
        above = (place - 1) >> 1
        if self.entries[self.heap[above]].due <= self.entries[number].due:
            break
        set_place(self, place, self.heap[above])
        place = above
    set_place(self, place, number)


cdef inline void sift_down(Timetable* self, uint64_t place, uint32_t number) noexcept nogil:
    """Put an entry in, at this place of the heap or below it."""
    cdef uint64_t below = 2 * place + 1
    while below < self.length:
        if below + 1 < self.length and (
            self.entries[self.heap[below + 1]].due < self.entries[self.heap[below]].due
        ):
            below += 1
        if self.entries[number].due <= self.entries[self.heap[below]].due:
            break
        set_place(self, place, self.heap[below])
        place = below
        below = 2 * place + 1
    set_place(self, place, number)


cdef inline void timetable_add(Timetable* self, uint32_t offset, uint64_t due) noexcept nogil:
    """An id that is not in yet; there is room."""
    cdef uint32_t number = self.unused
    self.unused = self.entries[number].next
    self.entries[number].offset = offset
    self.entries[number].due = due
    put_in_bucket(self, number)
    self.length += 1
    sift_up(self, self.length - 1, number)


cdef inline void timetable_remove(Timetable* self, uint32_t number) noexcept nogil:
    cdef Entry* entry = &self.entries[number]
    cdef uint32_t* link = bucket_of(self, entry.offset)
    cdef uint32_t last
    while link[0] != number:
        link = &self.entries[link[0]].next
    link[0] = entry.next
    self.length -= 1
    if entry.place != self.length:
        # The last one of the heap fills the gap, and finds its place from there: one of these two moves it.
        last = self.heap[self.length]
        sift_down(self, entry.place, last)
        sift_up(self, self.entries[last].place, last)
    entry.next = self.unused
    self.unused = number


cdef inline bint timetable_is_sound(Timetable* self) noexcept nogil:
    """Do the invariants hold? For tests."""
    cdef uint64_t i, number
    cdef uint64_t unused = 0
    for i in range(self.length):
        if self.entries[self.heap[i]].place != i:
            return False
        if i and self.entries[self.heap[(i - 1) >> 1]].due > self.entries[self.heap[i]].due:
            return False
        if timetable_find(self, self.entries[self.heap[i]].offset) != self.heap[i]:
            return False
    number = self.unused
    while number != NO_ENTRY and unused <= self.room:
        unused += 1
        number = self.entries[number].next
    return self.length + unused == self.room
