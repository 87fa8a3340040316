"""See table_contents.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from mtsid.core.in_flight cimport InFlight, Row
from mtsid.core.waiting cimport WaitSet


cdef class Rows:
    cdef Row* rows              # [room]
    cdef uint64_t room
    cdef uint64_t length
    cdef bint owns              # it has a reference to each payload; else they may not be touched

    cdef int make_room(self, uint64_t live) except -1
    cdef void sort(self) noexcept


cdef class TableContents:
    cdef InFlight flight        # everything that the monitor guards
    cdef WaitSet waiting        # those who wait for an id
    cdef int64_t first          # the id at offset 0

    cdef int end_rests(self) except -1
    cdef int where(self, int64_t offset) except -1
    cdef PyObject* find(self, int64_t offset) noexcept
    cdef object outside(self, object id)
    cdef object not_live(self, object id)
    cdef uint64_t live(self) noexcept
    cdef Rows copy(self, bint with_payloads)
    cdef dict snapshot(self)
