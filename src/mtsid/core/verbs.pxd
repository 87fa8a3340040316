"""See verbs.pyx."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.contents cimport Contents
from mtsid.core.message cimport Message
from mtsid.core.waiting cimport WaitSet


cdef class QueueVerbs(Contents):
    cdef WaitSet getters        # wait for a message
    cdef WaitSet putters        # wait for room
    cdef WaitSet joiners        # wait for the end

    cdef int64_t try_put(self, object item, int rank) except? -9
    cdef int64_t put_waiting(self, object item, int rank, double seconds) except? -9
    cdef int take_back(self, object item, int64_t mtsid) except -1
    cdef int64_t try_put_many(self, list items, int rank, uint32_t* numbers) except? -9
    cdef object why_not_put(self, int64_t code, Py_ssize_t wanted)
    cdef int64_t try_get(self, Message message) except? -9
    cdef int get_waiting(self, Message message, double seconds) except -1
    cdef object take_out(self, object key)
    cdef int left(self, uint64_t live, uint64_t room, bint closed) except -1
