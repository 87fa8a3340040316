"""Which offsets of a range are taken, and which is the next free one: for one caller at a time. Native code only.

    level 0    a bit an offset, 1 = taken
    level 1    a bit a word of level 0, 1 = all ones; level 2: a bit a word of level 1; ... until one word is left

Unlike the hints of bitmap.pxd these bits are exact, since whoever changes a word changes what stands above it in the
same step. So the next free offset is found by one climb and one descent: at most 2 * LEVELS words, however full the
range is. Padding bits behind the last offset are taken for ever.

It must not know: what takes an offset, locks, Python.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free


cdef extern from *:
    uint64_t ALL64 "UINT64_MAX"
    unsigned lowest_bit64 "__builtin_ctzll"(unsigned long long bits) noexcept nogil
    unsigned count_bits64 "__builtin_popcountll"(unsigned long long bits) noexcept nogil


cdef enum:
    LEVELS = 6  # 64**6 > 2**32


cdef struct Taken:
    int levels                  # 0: never opened, and no offset is free
    uint64_t* words[LEVELS]     # words[0] is what free() takes; zeroed lazily by the system
    uint64_t lengths[LEVELS]    # in words


cdef inline bint taken_open(Taken* self, uint64_t size) noexcept nogil:
    """All of 0 .. size-1 free. False: no memory."""
    cdef uint64_t lengths[LEVELS]
    cdef uint64_t total = 0
    cdef uint64_t width = size
    cdef uint64_t* memory
    cdef int levels = 0
    cdef int level
    while True:
        lengths[levels] = (width + 63) >> 6
        total += lengths[levels]
        levels += 1
        if lengths[levels - 1] == 1:
            break
        width = lengths[levels - 1]
    memory = <uint64_t*> calloc(total, sizeof(uint64_t))
    if memory == NULL:
        return False
    width = size
    for level in range(levels):
        self.words[level] = memory
        self.lengths[level] = lengths[level]
        memory += lengths[level]
        if width & 63:
            self.words[level][lengths[level] - 1] = ALL64 << (width & 63)
        width = lengths[level]
    self.levels = levels
    return True


cdef inline void taken_close(Taken* self) noexcept nogil:
    free(self.words[0])
    self.levels = 0


cdef inline bint taken_has(Taken* self, uint64_t offset) noexcept nogil:
    return (self.words[0][offset >> 6] >> (offset & 63)) & 1


cdef inline void taken_set(Taken* self, uint64_t offset) noexcept nogil:
    cdef uint64_t* word
    cdef int level
    for level in range(self.levels):
        word = &self.words[level][offset >> 6]
        word[0] |= <uint64_t> 1 << (offset & 63)
        if word[0] != ALL64:
            return
        offset >>= 6


cdef inline void taken_clear(Taken* self, uint64_t offset) noexcept nogil:
    cdef uint64_t* word
    cdef uint64_t before
    cdef int level
    for level in range(self.levels):
        word = &self.words[level][offset >> 6]
        before = word[0]
        word[0] = before & ~(<uint64_t> 1 << (offset & 63))
        if before != ALL64:
            return
        offset >>= 6


cdef inline int64_t taken_next_free(Taken* self, uint64_t offset) noexcept nogil:
    """The first free offset from `offset` on; -1 if there is none."""
    cdef uint64_t open
    cdef int level = 0
    while level < self.levels and offset >> 6 < self.lengths[level]:
        open = ~self.words[level][offset >> 6] & (ALL64 << (offset & 63))
        if open:
            offset = (offset & ~<uint64_t> 63) | lowest_bit64(open)
            while level:
                level -= 1
                offset = (offset << 6) | lowest_bit64(~self.words[level][offset])
            return <int64_t> offset
        offset = (offset >> 6) + 1
        level += 1
    return -1


cdef inline bint taken_is_sound(Taken* self) noexcept nogil:
    """Does each level say what the one below it is? For `_check`."""
    cdef uint64_t i
    cdef int level
    for level in range(1, self.levels):
        for i in range(self.lengths[level - 1]):
            if (self.words[level][i >> 6] >> (i & 63)) & 1 != (self.words[level - 1][i] == ALL64):
                return False
    return True
