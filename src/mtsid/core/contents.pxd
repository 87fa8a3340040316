"""See contents.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport UINT64_MAX, int64_t, uint32_t, uint64_t

from mtsid.core.backlog cimport Backlog
from mtsid.core.message cimport Message

cdef enum:
    NO_ROOM = -1            # or nothing waits
    CLOSED = -2             # shut down


cdef inline object number_of(object mtsid):
    """A bare number; a Message is refused here, since it names a delivery, which these verbs do not settle."""
    if type(mtsid) is Message:
        raise TypeError("an MTSID must be an integer, not a Message: pass message.mtsid")
    return mtsid


cdef inline void count_refusal(Backlog* backlog, uint64_t receipt) noexcept:
    """Inside the monitor: a key that named nothing live, a delivery or (0) a number."""
    if receipt:
        backlog.counted.stale += 1
    else:
        backlog.counted.refused += 1


cdef class Contents:
    cdef Backlog backlog        # everything that the monitor guards
    cdef int64_t first          # the lowest MTSID

    # A subclass's own; inside the monitor.
    cdef int64_t enter(self, PyObject* body, int rank, bint in_batch) noexcept
    cdef PyObject* leave(self, uint32_t slot) noexcept
    cdef void go_back(self, uint32_t slot) noexcept
    cdef uint32_t number(self, uint32_t slot) noexcept
    cdef int64_t find(self, uint32_t offset) noexcept

    cdef int64_t resolve(self, int64_t key, uint64_t receipt) noexcept
    cdef int64_t offset_of(self, object key) except? -1
    cdef object refusal(self, object key)
    cdef uint64_t waiting_now(self) noexcept
    cdef uint64_t in_flight_now(self) noexcept
    cdef uint64_t live(self) noexcept
    cdef uint64_t room(self) noexcept
    cdef bytes rows(self)
    cdef object find_everything(self)


cdef inline int64_t key_of(Contents self, object key, uint64_t* receipt) except? -1:
    """What `resolve` takes: a slot and the receipt to hold against it, or a number less `first`, and 0."""
    cdef Message message
    if type(key) is not Message:
        receipt[0] = 0
        return self.offset_of(key)
    message = <Message> key
    if message.serial != self.backlog.serial:
        receipt[0] = UINT64_MAX  # which no delivery has
        return 0
    receipt[0] = message.receipt
    return message.slot
