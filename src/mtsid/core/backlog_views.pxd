"""Looking at a whole backlog: copies of its slots, and where each is found. Inside the monitor; native code only."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mtsid.core.backlog cimport FREE, FRESH, IN_FLIGHT, NONE, RETURNED, Backlog, Slot, slot_at


cdef struct Row:            # a live slot
    uint64_t entry
    uint32_t number         # of the slot; the queue puts the MTSID in its place
    uint32_t deliveries
    uint8_t state
    uint8_t rank


cdef struct Places:         # in how many places of each kind slots were found
    uint64_t free
    uint64_t waiting
    uint64_t in_flight
    bint bad_free_list
    bint bad_line
    bint bad_heap
    bint bad_place          # a slot in two places or in none
    bint bad_count          # a counter that disagrees


cdef inline bint copy_rows(Backlog* self, Row* rows, uint64_t room) noexcept nogil:
    """Every live slot, by number; there are `waiting + in_flight`. False: more than there is room for."""
    cdef uint64_t i
    cdef uint64_t n = 0
    cdef Slot* slot
    if self.waiting + self.in_flight > room:
        return False
    for i in range(self.used):
        slot = slot_at(self, i)
        if slot.state != FREE:
            rows[n].entry = slot.entry
            rows[n].number = <uint32_t> i
            rows[n].deliveries = slot.deliveries
            rows[n].state = slot.state
            rows[n].rank = slot.rank
            n += 1
    return True


cdef inline bint heap_links_hold(Backlog* self, uint32_t number) noexcept nogil:
    """Is this returned slot linked as a node of a heap is, and behind its parent by entry?"""
    cdef Slot* slot = slot_at(self, number)
    cdef Slot* before
    if slot.child != NONE and slot_at(self, slot.child).previous != number:
        return False
    if slot.next != NONE and slot_at(self, slot.next).previous != number:
        return False
    if slot.previous == NONE:
        return self.lines[slot.rank].returned == number
    before = slot_at(self, slot.previous)
    if before.state != RETURNED or before.rank != slot.rank:
        return False
    return before.next == number or (before.child == number and before.entry < slot.entry)


cdef inline void find_places(Backlog* self, uint8_t* seen, Places* places) noexcept nogil:
    """Walk every list and look at every slot. `seen` is zeroed and has a byte for each of the `used` slots."""
    cdef uint64_t i, entry
    cdef uint64_t waiting = 0
    cdef uint32_t number, before
    cdef int rank
    cdef Slot* slot
    places.free = self.capacity - self.used
    number = self.free_first
    while number != NONE and seen[number] == 0:
        seen[number] = 1
        slot = slot_at(self, number)
        places.bad_free_list |= slot.state != FREE or slot.body != NULL
        places.bad_free_list |= (slot.next == NONE) != (number == self.free_last)
        places.free += 1
        number = slot.next
    places.bad_free_list |= number != NONE  # a circle
    for rank in range(3):
        before = NONE
        entry = 0
        number = self.lines[rank].first
        while number != NONE and seen[number] == 0:
            seen[number] = 1
            slot = slot_at(self, number)
            places.bad_line |= (
                slot.state != FRESH or slot.rank != rank or slot.previous != before or slot.entry <= entry
                or slot.body == NULL or slot.deliveries != 0
            )
            waiting += 1
            before = number
            entry = slot.entry
            number = slot.next
        places.bad_line |= number != NONE or self.lines[rank].last != before
    for i in range(self.used):
        slot = slot_at(self, i)
        if slot.state == RETURNED:
            seen[i] += 1
            places.bad_heap |= slot.body == NULL or not heap_links_hold(self, <uint32_t> i)
            waiting += 1
        elif slot.state >= IN_FLIGHT:
            seen[i] += 1
            places.in_flight += 1
        places.bad_place |= seen[i] != 1
    places.waiting = waiting
    places.bad_count = waiting != self.waiting or places.in_flight != self.in_flight
