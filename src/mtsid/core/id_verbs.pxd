"""See id_verbs.pyx; the native calls are those of `Allocator`."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.bitmap cimport Seen
from mtsid.core.id_range cimport IdRange
from mtsid.core.waiting cimport Waiter


cdef class IdVerbs(IdRange):
    # On a GIL build the first of these calls takes the GIL once: do not hold a lock that a holder of the GIL may want.
    # So does one that finds a quarantine over, or frees a quarantined id, or one beyond the bound.

    # The id, or EXHAUSTED. Blocks only while another thread has a bulk claim, or a step of a quarantine, half done.
    cdef int64_t acquire_id(self) noexcept nogil
    # 0, or NOT_LIVE: then nothing changed. Takes the GIL only for what was just said, and to wake a Python thread that
    # waits for an id.
    cdef int64_t release_id(self, uint32_t id) noexcept nogil
    # 0; LIVE if somebody has it, or it is quarantined; NOT_LIVE if the range does not hold it.
    cdef int64_t reserve_id(self, uint32_t id) noexcept nogil

    cdef int64_t acquire_id_again(self, uint64_t leaf, int64_t code) noexcept nogil
    cdef int64_t release_id_again(self, int64_t offset, int64_t code) noexcept nogil
    cdef void leave_gil(self) noexcept with gil
    cdef void wake_one(self) noexcept with gil
    cdef void attached_end_rests(self) noexcept with gil
    cdef int64_t attached_free(self, int64_t offset) noexcept with gil
    cdef int64_t take_behind(self, uint64_t leaf, int64_t code, Seen* seen) except? -1
    cdef int64_t take_again(self, int64_t offset, Seen* seen) except? -1
    cdef int64_t free(self, int64_t offset) except? -1
    cdef int64_t free_again(self, int64_t offset, int64_t code, uint64_t epoch) except? -1
    cdef int64_t wait_for_id(self, double seconds, Seen* seen, uint64_t* epoch) except -1
    cdef void count_exhausted(self, Seen* seen) noexcept nogil
    cdef int step_out(self, Waiter waiter, int64_t offset) except -1
    cdef object try_for(self, Waiter waiter)
    cdef object exhausted(self, Seen* seen)
    cdef object not_freed(self, object id, int64_t offset)
    cdef object foreign(self, object id)
    cdef int64_t take_leased(self, Seen* seen, uint64_t* epoch) except? -1
    cdef int64_t take_for_lease(self, double seconds, uint64_t* epoch) except -1
    cdef int64_t end_lease(self, int64_t offset, uint64_t epoch) except? -1
