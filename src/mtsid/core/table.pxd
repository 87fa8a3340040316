"""See table.pyx."""

from libc.stdint cimport int64_t, uint64_t

from mtsid.core.table_contents cimport Rows, TableContents
from mtsid.core.uses cimport Chunk
from mtsid.core.waiting cimport Waiter


cdef struct Seen:               # by an `add`, at its instant
    uint64_t generation     # of its use, if it got one; else there was no id:
    uint64_t live
    uint64_t quarantined
    uint64_t earliest       # when the first one of these is due


cdef class InFlightTable(TableContents):
    cdef int64_t add_again(self, object payload, int64_t code, Seen* seen) except? -1
    cdef int64_t wait_to_add(self, object payload, double seconds, Seen* seen) except -1
    cdef int64_t reserve(self, object payload, object id, Seen* seen) except -1
    cdef int step_out(self, Waiter waiter, int64_t offset, uint64_t generation) except -1
    cdef int take_back(self, int64_t offset, uint64_t generation) except -1
    cdef object try_for(self, object payload, Waiter waiter, uint64_t* generation)
    cdef void count(self, uint64_t* what) noexcept
    cdef object exhausted(self, Seen* seen)
    cdef object not_taken(self, object id, int64_t offset, uint64_t generation, int64_t code, tuple default)
    cdef object stale(self, object id)
    cdef int make_room(self) except -1
    cdef int put_back(self, Rows rows, Chunk** spare) except -1
