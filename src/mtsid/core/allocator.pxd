"""For `cimport`: an allocator whose native calls need no GIL.

    from mtsid.core.allocator cimport Allocator, EXHAUSTED

    cdef void work(Allocator ids) noexcept nogil:
        cdef int64_t id = ids.acquire_id()
        if id != EXHAUSTED:
            ids.release_id(<uint32_t> id)

Compile with `include_dirs=[mtsid.get_include()]`.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.bitmap cimport EXHAUSTED, LIVE, NOT_LIVE, Bitmap
from mtsid.core.waiting cimport WaitSet


cdef class Allocator:
    cdef Bitmap bits            # written once by __init__, then only through bitmap.pxd
    cdef WaitSet waiting        # those who wait for an id
    cdef int64_t first          # the id at offset 0
    cdef uint64_t capacity_     # ids in the range, less the excluded ones

    # On a GIL build the first of these calls takes the GIL once: do not hold a lock that a holder of the GIL may want.

    # The id, or EXHAUSTED. Blocks only while another thread has a bulk claim half done.
    cdef int64_t acquire_id(self) noexcept nogil
    # 0, or NOT_LIVE: then nothing changed. Takes the GIL only to wake a Python thread that waits for an id.
    cdef int64_t release_id(self, uint32_t id) noexcept nogil
    # 0; LIVE if somebody has it; NOT_LIVE if the range does not hold it.
    cdef int64_t reserve_id(self, uint32_t id) noexcept nogil

    cdef void leave_gil(self) noexcept with gil
    cdef void wake_one(self) noexcept with gil
    cdef int64_t take(self) except? -1
    cdef int64_t free(self, int64_t offset) except? -1
    cdef object give_out(self, int64_t offset)
    cdef object acquire_slowly(self, double seconds)
    cdef int64_t offset_of(self, object id) except? -1
    cdef bytes offsets_of(self, object ids)
    cdef uint32_t live_bits(self, uint64_t leaf) noexcept
    cdef uint64_t count(self) noexcept
