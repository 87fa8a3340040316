"""The order in which messages leave: slots, a line for each priority, and those that came back. Native code only.

    slot       free ----------------> fresh ----------> in flight ----------> free
               ^   backlog_put              backlog_take |    ^   backlog_remove
               |                                         |    | backlog_take
               +----- backlog_remove -----  returned <---+----+
                                                 backlog_return

    A queue may call a slot in flight dying: its last delivery is over, and so nobody's to settle, but the message is
    here until the queue removes or returns it.

Each slot is in exactly one place: behind `used`, in the free list, in a line, in a heap, or in flight or dying (in none
of them). A line holds the messages of one priority that were never got, in order of entry. A heap holds those that came
back: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, Algorithmica 1986) by entry, so that a return costs O(1) in
whatever order returns come, and the next get O(log n) amortised.

Invariants
1.  `waiting` counts fresh and returned slots, `in_flight` those in flight and dying; capacity - waiting - in_flight are free.
2.  In one priority every returned message entered before every fresh one: it was taken first. So a get looks at the heap,
    then at the line, and the order is that of entry.
3.  Entries and receipts are 64-bit counters that start at 1 and never wrap.
4.  A slot never moves, and a slot's memory is kept until the backlog closes. New slots are used before old ones are
    used again, and those first in, first out, so that a number rests long.

Every function here runs inside the monitor unless it says otherwise; none calls Python, allocates or drops a
reference. A body that leaves is handed to the caller with its reference.

It must not know: what a slot's number is called outside, who waits, why a message returns.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from mtsid.core.monitor cimport Monitor, monitor_close, monitor_enter, monitor_leave, monitor_open


cdef extern from "backlog.h":
    enum:
        FREE "MTSID_FREE"
        FRESH "MTSID_FRESH"
        RETURNED "MTSID_RETURNED"
        IN_FLIGHT "MTSID_IN_FLIGHT"
        DYING "MTSID_DYING"
        CHUNK "MTSID_CHUNK"

    const uint32_t NONE "MTSID_NONE"

    ctypedef struct Slot "mtsid_slot":
        PyObject* body
        uint64_t entry
        uint64_t receipt
        uint32_t next
        uint32_t previous
        uint32_t child
        uint32_t deliveries
        uint8_t state
        uint8_t rank

    ctypedef struct Line "mtsid_line":
        uint32_t first
        uint32_t last
        uint32_t returned

    ctypedef struct Counts "mtsid_counts":
        uint64_t high_water
        uint64_t returned
        uint64_t deleted
        uint64_t dead
        uint64_t discarded
        uint64_t withdrawn
        uint64_t full
        uint64_t empty
        uint64_t stale
        uint64_t refused

    ctypedef struct Backlog "mtsid_backlog":
        Monitor monitor
        uint64_t serial
        uint64_t capacity
        uint64_t ready
        uint64_t used
        uint32_t free_first
        uint32_t free_last
        uint64_t entries
        uint64_t receipts
        uint64_t waiting
        uint64_t in_flight
        bint closed
        Line lines[3]
        Counts counted
        Slot** chunks

    Slot* slot_at "mtsid_slot_at"(Backlog*, uint64_t slot) noexcept nogil
    uint64_t next_serial "mtsid_next_serial"() noexcept nogil
    void show_payloads "mtsid_show_payloads"(PyTypeObject* type, Py_ssize_t offset) noexcept


cdef struct Settling:       # a message that is to leave, one of many
    int64_t key             # its slot, or its number less the queue's first
    uint64_t receipt        # 0: by its number; UINT64_MAX: of another queue
    PyObject* body          # once it left


# Life ---------------------------------------------------------------------------------------------------------------

cdef inline void backlog_blank(Backlog* self) noexcept:
    """Of zeroed memory, a backlog with room for nothing."""
    cdef int rank
    self.free_first = self.free_last = NONE
    for rank in range(3):
        self.lines[rank].first = self.lines[rank].last = self.lines[rank].returned = NONE


cdef inline bint backlog_open(Backlog* self, uint64_t capacity) noexcept:
    """Room for so many messages, though no slots yet. False: no memory. `self` is blank; outside the monitor."""
    # Eight bytes for 128 slots; untouched pages of a large table cost nothing.
    self.chunks = <Slot**> calloc((capacity + CHUNK - 1) // CHUNK, sizeof(Slot*))
    if self.chunks == NULL:
        return False
    monitor_open(&self.monitor)
    self.serial = next_serial()
    self.capacity = capacity
    return True


cdef inline void backlog_close(Backlog* self) noexcept:
    """Free the memory; the bodies are gone by then. Outside the monitor."""
    cdef uint64_t chunk
    if self.capacity:
        monitor_close(&self.monitor)
        for chunk in range((self.ready + CHUNK - 1) // CHUNK):
            free(self.chunks[chunk])
        free(self.chunks)


cdef inline bint backlog_grow(Backlog* self, uint64_t slots) noexcept:
    """Have memory for at least so many slots, no more than `capacity`. False: there is none. Outside the monitor."""
    cdef uint64_t ready
    cdef Slot* memory
    while True:
        monitor_enter(&self.monitor)
        ready = self.ready
        monitor_leave(&self.monitor)
        if ready >= slots or ready >= self.capacity:
            return True
        memory = <Slot*> calloc(CHUNK, sizeof(Slot))
        if memory == NULL:
            return False
        monitor_enter(&self.monitor)
        if self.ready == ready:  # else another thread was first
            self.chunks[ready // CHUNK] = memory
            self.ready = min(ready + CHUNK, self.capacity)
            memory = NULL
        monitor_leave(&self.monitor)
        free(memory)


# The heap of those that came back -----------------------------------------------------------------------------------

cdef inline uint32_t meld(Backlog* self, uint32_t a, uint32_t b) noexcept nogil:
    """Two heaps as one: the root that entered later becomes the first child of the other."""
    cdef Slot* parent
    cdef Slot* below
    if a == NONE:
        return b
    if b == NONE:
        return a
    if slot_at(self, b).entry < slot_at(self, a).entry:
        a, b = b, a
    parent = slot_at(self, a)
    below = slot_at(self, b)
    below.next = parent.child
    below.previous = a
    if parent.child != NONE:
        slot_at(self, parent.child).previous = b
    parent.child = b
    parent.next = parent.previous = NONE
    return a


cdef inline uint32_t meld_all(Backlog* self, uint32_t first) noexcept nogil:
    """Siblings as one heap, in two passes: in pairs from the left, then those from the right."""
    cdef uint32_t pairs = NONE
    cdef uint32_t a, b, rest, root
    while first != NONE:
        a = first
        b = slot_at(self, a).next
        rest = NONE if b == NONE else slot_at(self, b).next
        slot_at(self, a).next = slot_at(self, a).previous = NONE
        if b != NONE:
            slot_at(self, b).next = slot_at(self, b).previous = NONE
        a = meld(self, a, b)
        slot_at(self, a).next = pairs
        pairs = a
        first = rest
    root = NONE
    while pairs != NONE:
        a = pairs
        pairs = slot_at(self, a).next
        slot_at(self, a).next = NONE
        root = meld(self, root, a)
    return root


cdef inline void heap_remove "mtsid_heap_remove"(Backlog* self, Line* line, uint32_t number) noexcept nogil:
    cdef Slot* slot = slot_at(self, number)
    cdef uint32_t below = meld_all(self, slot.child)
    cdef Slot* before
    if number == line.returned:
        line.returned = below
    else:
        before = slot_at(self, slot.previous)
        if before.child == number:
            before.child = slot.next
        else:
            before.next = slot.next
        if slot.next != NONE:
            slot_at(self, slot.next).previous = slot.previous
        line.returned = meld(self, line.returned, below)
    slot.child = slot.next = slot.previous = NONE


# The line of those never got ----------------------------------------------------------------------------------------

# Who has a slot's place hands it on beside its number: to find it anew is 6 instructions, and a message comes by often.

cdef inline void line_append(Backlog* self, Line* line, uint32_t number, Slot* slot) noexcept nogil:
    slot.next = NONE
    slot.previous = line.last
    if line.last == NONE:
        line.first = number
    else:
        slot_at(self, line.last).next = number
    line.last = number


cdef inline void line_remove(Backlog* self, Line* line, Slot* slot) noexcept nogil:
    if slot.previous == NONE:
        line.first = slot.next
    else:
        slot_at(self, slot.previous).next = slot.next
    if slot.next == NONE:
        line.last = slot.previous
    else:
        slot_at(self, slot.next).previous = slot.previous


# Operations ---------------------------------------------------------------------------------------------------------

cdef inline uint64_t backlog_room(Backlog* self) noexcept nogil:
    return self.capacity - self.waiting - self.in_flight


cdef inline bint backlog_must_grow(Backlog* self, uint64_t slots) noexcept nogil:
    """Is there room for so many, but not yet memory?"""
    return self.ready < self.capacity and self.ready - self.waiting - self.in_flight < slots


cdef inline int64_t backlog_put(Backlog* self, PyObject* body, int rank) noexcept nogil:
    """A free slot, now last in the line of its rank; it takes over the reference. -1: no slot is free and ready."""
    cdef uint32_t number
    cdef Slot* slot
    if self.used < self.ready:
        number = <uint32_t> self.used
        self.used += 1
        slot = slot_at(self, number)
    elif self.free_first != NONE:
        number = self.free_first
        slot = slot_at(self, number)
        self.free_first = slot.next
        if self.free_first == NONE:
            self.free_last = NONE
    else:
        return -1
    self.entries += 1
    slot.body = body
    slot.entry = self.entries
    slot.deliveries = 0
    slot.rank = rank
    slot.child = NONE
    slot.state = FRESH
    line_append(self, &self.lines[rank], number, slot)
    self.waiting += 1
    return number


cdef inline void backlog_put_many(
    Backlog* self, PyObject** bodies, Py_ssize_t n, int rank, uint32_t* taken
) noexcept nogil:
    """`backlog_put` of each: their slots, in that order. So many slots are free and ready."""
    # A run is joined to its line at once, and the counters are written once.
    cdef Line* line = &self.lines[rank]
    cdef uint32_t last = line.last
    cdef uint32_t free_first = self.free_first
    cdef uint64_t used = self.used
    cdef uint64_t entry = self.entries
    cdef uint32_t number
    cdef Slot* before = NULL if last == NONE else slot_at(self, last)
    cdef Slot* slot
    cdef Py_ssize_t i
    for i in range(n):
        if used < self.ready:
            number = <uint32_t> used
            used += 1
            slot = slot_at(self, number)
        else:
            number = free_first
            slot = slot_at(self, number)
            free_first = slot.next
        entry += 1
        slot.body = bodies[i]
        slot.entry = entry
        slot.previous = last
        slot.child = NONE
        slot.deliveries = 0
        slot.state = FRESH
        slot.rank = rank
        if before == NULL:
            line.first = number
        else:
            before.next = number
        taken[i] = last = number
        before = slot
    if n:
        before.next = NONE
    line.last = last
    self.used = used
    self.free_first = free_first
    if free_first == NONE:
        self.free_last = NONE
    self.entries = entry
    self.waiting += n


cdef inline int64_t backlog_next_waiting(Backlog* self) noexcept nogil:
    """The slot that `backlog_take` would take; -1 if nothing waits."""
    cdef int rank
    for rank in range(3):
        if self.lines[rank].returned != NONE:
            return self.lines[rank].returned
        if self.lines[rank].first != NONE:
            return self.lines[rank].first
    return -1


cdef inline void backlog_unlink(Backlog* self, uint32_t number, Slot* slot) noexcept nogil:
    """Take a waiting slot out of its line or heap."""
    if slot.state == FRESH:
        line_remove(self, &self.lines[slot.rank], slot)
    else:
        heap_remove(self, &self.lines[slot.rank], number)
    self.waiting -= 1


cdef inline int64_t backlog_take(Backlog* self, Slot** taken) noexcept nogil:
    """The next message, now in flight with a receipt of its own: its slot, twice; -1 if nothing waits."""
    cdef int64_t number = backlog_next_waiting(self)
    cdef Slot* slot
    if number < 0:
        return -1
    slot = taken[0] = slot_at(self, number)
    backlog_unlink(self, <uint32_t> number, slot)
    slot.state = IN_FLIGHT
    slot.deliveries += 1
    self.receipts += 1
    slot.receipt = self.receipts
    self.in_flight += 1
    return number


cdef inline Py_ssize_t backlog_take_many(Backlog* self, uint32_t* taken, Slot** places, Py_ssize_t most) noexcept nogil:
    """`backlog_take`, `most` times or until nothing waits: the slots in that order, twice, and how many they are."""
    cdef int64_t number
    cdef uint32_t at
    cdef uint64_t receipt
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t begin
    cdef Slot* slot
    cdef Line* line
    while n < most:
        number = backlog_next_waiting(self)
        if number < 0:
            break
        slot = slot_at(self, number)
        if slot.state != FRESH:
            backlog_take(self, &slot)
            taken[n] = <uint32_t> number
            places[n] = slot
            n += 1
            continue
        # A run of a line is cut out at once: what is left is joined once, and the counters are written once.
        line = &self.lines[slot.rank]
        receipt = self.receipts
        begin = n
        at = <uint32_t> number
        while at != NONE and n < most:
            slot = slot_at(self, at)
            receipt += 1
            slot.state = IN_FLIGHT
            slot.deliveries += 1
            slot.receipt = receipt
            taken[n] = at
            places[n] = slot
            n += 1
            at = slot.next
        line.first = at
        if at == NONE:
            line.last = NONE
        else:
            slot_at(self, at).previous = NONE
        self.receipts = receipt
        self.waiting -= n - begin
        self.in_flight += n - begin
    return n


cdef inline void backlog_return(Backlog* self, uint32_t number) noexcept nogil:
    """A message in flight, or dying, goes back to its place by entry."""
    cdef Slot* slot = slot_at(self, number)
    cdef Line* line = &self.lines[slot.rank]
    slot.state = RETURNED
    slot.child = slot.next = slot.previous = NONE
    line.returned = meld(self, line.returned, number)
    self.in_flight -= 1
    self.waiting += 1
    self.counted.returned += 1


cdef inline void backlog_note_peak(Backlog* self) noexcept nogil:
    """A message leaves, so a peak may end here."""
    if self.waiting + self.in_flight > self.counted.high_water:
        self.counted.high_water = self.waiting + self.in_flight


cdef inline PyObject* backlog_remove(Backlog* self, uint32_t number) noexcept nogil:
    """A message leaves, wherever it is: its body, with the reference. Its slot is free."""
    cdef Slot* slot = slot_at(self, number)
    cdef PyObject* body = slot.body
    backlog_note_peak(self)
    if slot.state >= IN_FLIGHT:
        self.in_flight -= 1
    else:
        backlog_unlink(self, number, slot)
    slot.body = NULL
    slot.state = FREE
    slot.next = NONE
    if self.free_last == NONE:
        self.free_first = number
    else:
        slot_at(self, self.free_last).next = number
    self.free_last = number
    return body


cdef inline Py_ssize_t backlog_settle_run(Backlog* self, Settling* steps, Py_ssize_t n) noexcept nogil:
    """`backlog_find` and `backlog_remove` for the first ones, up to one that names no delivery in flight: how many."""
    # A run is joined to the free list at once, and the counters are written once.
    cdef uint32_t last = self.free_last
    cdef uint32_t number
    cdef Slot* before = NULL if last == NONE else slot_at(self, last)
    cdef Slot* slot
    cdef Py_ssize_t i = 0
    backlog_note_peak(self)
    while i < n and steps[i].receipt != 0 and <uint64_t> steps[i].key < self.used:
        number = <uint32_t> steps[i].key
        slot = slot_at(self, number)
        if slot.receipt != steps[i].receipt or slot.state != IN_FLIGHT:
            break
        steps[i].body = slot.body
        slot.body = NULL
        slot.state = FREE
        if before == NULL:
            self.free_first = number
        else:
            before.next = number
        last = number
        before = slot
        i += 1
    if i:
        before.next = NONE
    self.free_last = last
    self.in_flight -= i
    return i


cdef inline bint backlog_is_live(Backlog* self, int64_t number) noexcept nogil:
    return <uint64_t> number < self.used and slot_at(self, number).state != FREE


cdef inline int64_t backlog_find(Backlog* self, int64_t number, uint64_t receipt) noexcept nogil:
    """The slot, if that delivery is in flight there; else -1."""
    cdef Slot* slot
    if <uint64_t> number >= self.used:
        return -1
    slot = slot_at(self, number)
    return number if slot.receipt == receipt and slot.state == IN_FLIGHT else -1

