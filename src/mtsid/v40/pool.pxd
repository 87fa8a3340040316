"""The numbers of Exchange 4.0: what is on the free list, and what is held. Three of its four defects live here.

What 4.0 did wrong is not published beyond "multiple messages might be assigned the same MTSID number" (Q152897). Each
defect is an assumption (A) that uses a mistake still made in the field; the marked places are all there is of it.
Everything else here is right, on purpose: the defect is the number, not the program. Holders are counted, so twins
are known, and a number whose last holder has gone is on the free list once.

    double-release  (A)  a number is put on the free list although nobody holds it     `pool_give_back`
    racy-claim      (A)  looking a number up and claiming it are two steps             the callers, between look-up
                                                                                       and claim
    unchecked-wrap  (A)  a counter wraps onto numbers still held                       `pool_look_up`

The fourth, premature-strip, is the queue's: see queue.pyx. Every function runs inside the caller's monitor.

It must not know: messages, waiting, mtsid's own allocator.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset


cdef extern from *:
    unsigned lowest_bit "__builtin_ctzll"(uint64_t bits) noexcept nogil


cdef enum:
    LARGEST = 1 << 24       # ids: a list of them all is kept, at ten bytes each


cdef enum Defect:
    DOUBLE_RELEASE
    RACY_CLAIM
    UNCHECKED_WRAP
    PREMATURE_STRIP

cdef enum Order:
    CYCLIC
    LOWEST
    LAST_IN_FIRST_OUT       # the queue's, whatever the defect


cdef struct Pool:
    uint64_t size
    Defect defect
    Order order
    uint32_t* spare         # [size] how often it is on the free list: 0 or 1, unless released twice
    uint64_t* listed        # a bit a number: is it on the free list at all?
    uint32_t* holders       # [size] how many hold it: 0 or 1, unless they are twins
    uint64_t spares         # the sum of `spare`
    uint64_t held           # the sum of `holders`
    uint64_t next           # where the next search begins; the counter of unchecked-wrap
    uint32_t* stack         # [2 * size] LAST_IN_FIRST_OUT: what came back, on top of the numbers never used
    uint64_t depth


cdef inline bint pool_open(Pool* self, uint64_t size, Defect defect, Order order) noexcept nogil:
    """Every number on the free list once. `self` is zeroed memory. False: no memory; then close it."""
    cdef uint64_t i
    self.size = size
    self.defect = defect
    self.order = order
    self.spare = <uint32_t*> calloc(size, sizeof(uint32_t))
    self.holders = <uint32_t*> calloc(size, sizeof(uint32_t))
    self.listed = <uint64_t*> calloc((size + 63) >> 6, sizeof(uint64_t))
    if order == LAST_IN_FIRST_OUT:
        self.stack = <uint32_t*> calloc(2 * size, sizeof(uint32_t))
        if self.stack == NULL:
            return False
    if self.spare == NULL or self.holders == NULL or self.listed == NULL:
        return False
    for i in range(size):
        self.spare[i] = 1
        self.listed[i >> 6] |= <uint64_t> 1 << (i & 63)
    self.spares = size
    return True


cdef inline void pool_close(Pool* self) noexcept nogil:
    free(self.spare)
    free(self.holders)
    free(self.listed)
    free(self.stack)
    memset(self, 0, sizeof(Pool))


cdef inline void pool_unlist(Pool* self, uint64_t number) noexcept nogil:
    """Off the free list, once."""
    self.spare[number] -= 1
    self.spares -= 1
    if self.spare[number] == 0:
        self.listed[number >> 6] &= ~(<uint64_t> 1 << (number & 63))
    if self.depth and self.stack[self.depth - 1] == number:
        self.depth -= 1


cdef inline void pool_list(Pool* self, uint64_t number) noexcept nogil:
    """On the free list, once more. The stack has room for all numbers twice; what is released oftener stays out."""
    self.spare[number] += 1
    self.spares += 1
    self.listed[number >> 6] |= <uint64_t> 1 << (number & 63)
    if self.order == LAST_IN_FIRST_OUT and self.depth < 2 * self.size:
        self.stack[self.depth] = <uint32_t> number
        self.depth += 1


cdef inline int64_t pool_search(Pool* self, uint64_t start) noexcept nogil:
    """The first number on the free list from `start` round the range; -1 if the list is empty."""
    cdef uint64_t words = (self.size + 63) >> 6
    cdef uint64_t at = start >> 6
    cdef uint64_t bits = self.listed[at] & (<uint64_t> -1 << (start & 63))
    cdef uint64_t i
    for i in range(words + 1):
        if bits:
            return <int64_t> (at << 6 | lowest_bit(bits))
        at = at + 1 if at + 1 < words else 0
        bits = self.listed[at]
    return -1


cdef inline int64_t pool_look_up(Pool* self) noexcept nogil:
    """The number to be claimed next; -1 if none is free. It is not claimed yet."""
    if self.size == 0:  # never opened: a subclass that did not call __init__
        return -1
    if self.defect == UNCHECKED_WRAP:
        # DEFECT unchecked-wrap (A): the counter's next value is taken as it comes, without a look at who holds it.
        # In the field: mosquitto #3601, rumqtt #1057, wolfMQTT #507, EMQX #17897.
        return self.next
    if self.order == LOWEST:
        return pool_search(self, 0)
    # What a racy claim took from below the top is still in the stack, but not on the free list any more.
    while self.depth and self.spare[self.stack[self.depth - 1]] == 0:
        self.depth -= 1
    if self.depth:
        return self.stack[self.depth - 1]
    return pool_search(self, self.next)


cdef inline void pool_claim(Pool* self, uint64_t number) noexcept nogil:
    """One more holder for the number that was looked up."""
    if self.spare[number]:
        pool_unlist(self, number)
    self.holders[number] += 1
    self.held += 1
    self.next = number + 1 if number + 1 < self.size else 0


cdef inline void pool_unclaim(Pool* self, uint64_t number) noexcept nogil:
    """Undo a claim. A twin's number was not on the free list, save after a double release."""
    self.holders[number] -= 1
    self.held -= 1
    if self.holders[number] == 0 or self.defect == DOUBLE_RELEASE:
        pool_list(self, number)


cdef inline bint pool_give_back(Pool* self, uint64_t number) noexcept nogil:
    """One holder less; on the free list when it was the last. False: nobody holds it, and nothing changed."""
    if self.holders[number] == 0:
        if self.defect == DOUBLE_RELEASE:
            # DEFECT double-release (A): no look at whether anybody holds it; the number is on the free list twice.
            # In the field: scylladb/python-driver PR 796.
            pool_list(self, number)
            return True
        return False
    self.holders[number] -= 1
    self.held -= 1
    if self.holders[number] == 0:
        pool_list(self, number)
    return True


cdef inline int check_size(uint64_t size) except -1:
    if size > LARGEST:
        raise ValueError(f"version 4.0 keeps a list of its ids: at most {LARGEST} of them, not {size}")
    return 0


cdef inline Defect as_defect(object name, object allowed) except *:
    """The defect of that name."""
    if not isinstance(name, str):
        raise TypeError(f"defect must be one of {', '.join(allowed)}, not {type(name).__name__!r}")
    if name not in allowed:
        raise ValueError(f"defect must be one of {', '.join(allowed)}, but is {name!r}")
    if name == "double-release":
        return DOUBLE_RELEASE
    if name == "racy-claim":
        return RACY_CLAIM
    if name == "unchecked-wrap":
        return UNCHECKED_WRAP
    return PREMATURE_STRIP
