"""See lease.pyx."""

from libc.stdint cimport int64_t, uint64_t

from mtsid.core.id_verbs cimport IdVerbs


cdef class Lease:
    # All of them are its own thread's: a lease is one use of one id, and not to be shared.
    cdef IdVerbs ids
    cdef double seconds         # to wait for an id
    cdef int64_t offset
    cdef uint64_t epoch         # resets that had begun when it got the id
    cdef int stage

    cdef object stale(self, str what)
