"""For `cimport`: an allocator whose native calls need no GIL.

    from mtsid.core.allocator cimport Allocator, EXHAUSTED

    cdef void work(Allocator ids) noexcept nogil:
        cdef int64_t id = ids.acquire_id()
        if id != EXHAUSTED:
            ids.release_id(<uint32_t> id)

Compile with `include_dirs=[mtsid.get_include()]`.
"""

from libc.stdint cimport int64_t, uint32_t

from mtsid.core.bitmap cimport EXHAUSTED, LIVE, NOT_LIVE, Seen
from mtsid.core.id_range cimport IdRange
from mtsid.core.waiting cimport Waiter


cdef class Allocator(IdRange):
    # On a GIL build the first of these calls takes the GIL once: do not hold a lock that a holder of the GIL may want.
    # So does one that finds a quarantine over, or frees a quarantined id.

    # The id, or EXHAUSTED. Blocks only while another thread has a bulk claim, or a step of a quarantine, half done.
    cdef int64_t acquire_id(self) noexcept nogil
    # 0, or NOT_LIVE: then nothing changed. Takes the GIL only for what was just said, and to wake a Python thread that
    # waits for an id.
    cdef int64_t release_id(self, uint32_t id) noexcept nogil
    # 0; LIVE if somebody has it, or it is quarantined; NOT_LIVE if the range does not hold it.
    cdef int64_t reserve_id(self, uint32_t id) noexcept nogil

    cdef void leave_gil(self) noexcept with gil
    cdef void wake_one(self) noexcept with gil
    cdef void attached_end_rests(self) noexcept with gil
    cdef int64_t attached_free_resting(self, int64_t offset) noexcept with gil
    cdef int64_t take(self, Seen* seen) except? -1
    cdef int64_t take_again(self, int64_t offset, Seen* seen) except? -1
    cdef int64_t free(self, int64_t offset) except? -1
    cdef int64_t free_resting(self, int64_t offset) except? -1
    cdef object give_out(self, int64_t offset)
    cdef object acquire_slowly(self, double seconds, Seen* seen)
    cdef int step_out(self, Waiter waiter) except -1
    cdef object exhausted(self, Seen* seen)
    cdef object foreign(self, object id)
    cdef int make_room(self) except -1
    cdef bytes offsets_of(self, object ids)
