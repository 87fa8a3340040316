"""See id_range.pyx."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.bitmap cimport Bitmap
from mtsid.core.waiting cimport WaitSet


cdef class IdRange:
    cdef Bitmap bits            # written once by __init__, then only through bitmap.pxd and its neighbours
    cdef WaitSet waiting        # those who wait for an id
    cdef int64_t first          # the id at offset 0

    cdef int end_rests(self) except -1
    cdef int make_room(self, uint64_t room) except -1
    cdef int64_t last(self) noexcept
    cdef int64_t offset_of(self, object id) except? -1
    cdef object outside(self, object id)
    cdef void look(self, uint64_t leaf, uint32_t* live, uint32_t* resting) noexcept
    cdef uint64_t count(self) noexcept
