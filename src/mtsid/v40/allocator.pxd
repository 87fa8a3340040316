"""See allocator.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from mtsid.core.monitor cimport Monitor
from mtsid.core.waiting cimport WaitSet
from mtsid.v40.pool cimport Pool


cdef class Allocator:
    cdef Monitor monitor        # guards `pool`
    cdef Pool pool
    cdef WaitSet waiting        # those who wait for an id
    cdef int64_t first          # the id at offset 0
    cdef uint64_t capacity_     # ids in the range, less the excluded ones
    cdef uint8_t* shut_out      # [pool.size] 1: excluded; or NULL

    cdef int64_t claim(self) noexcept
    cdef bint is_excluded(self, uint64_t offset) noexcept
    cdef int64_t try_acquire(self)
    cdef uint64_t try_acquire_many(self, uint32_t* ids, uint64_t want)
    cdef int64_t offset_of(self, object id) except? -1
    cdef bytes offsets_of(self, object ids)
    cdef bytes holders(self)
