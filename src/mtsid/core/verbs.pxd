"""See verbs.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.backlog cimport Backlog
from mtsid.core.message cimport Message
from mtsid.core.waiting cimport WaitSet

cdef enum:
    NO_ROOM = -1            # or nothing waits
    CLOSED = -2             # shut down



cdef class QueueVerbs:
    cdef Backlog backlog        # everything that the monitor guards
    cdef int64_t first          # the lowest MTSID
    cdef WaitSet getters        # wait for a message
    cdef WaitSet putters        # wait for room
    cdef WaitSet joiners        # wait for the end

    # A subclass's own; inside the monitor.
    cdef int64_t enter(self, PyObject* body, int rank, bint in_batch) noexcept
    cdef PyObject* leave(self, uint32_t slot) noexcept
    cdef void go_back(self, uint32_t slot) noexcept
    cdef uint32_t number(self, uint32_t slot) noexcept
    cdef int64_t find(self, uint32_t offset) noexcept

    cdef int64_t resolve(self, int64_t key, uint64_t receipt) noexcept
    cdef int64_t try_put(self, object item, int rank) except? -9
    cdef int64_t put_waiting(self, object item, int rank, double seconds) except? -9
    cdef int64_t try_put_many(self, list items, int rank, uint32_t* numbers) except? -9
    cdef object why_not_put(self, int64_t code, Py_ssize_t wanted)
    cdef uint64_t room(self) noexcept
    cdef int64_t try_get(self, Message message) except? -9
    cdef int get_waiting(self, Message message, double seconds) except -1
    cdef int64_t key_of(self, object key, uint64_t* receipt) except? -1
    cdef object refusal(self, object key)
    cdef object take_out(self, object key)
    cdef int left(self, uint64_t live, uint64_t room, bint closed) except -1
    cdef bytes rows(self)
    cdef object find_everything(self)
