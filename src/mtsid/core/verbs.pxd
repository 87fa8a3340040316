"""See verbs.pyx."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.arguments cimport as_flag, as_timeout
from mtsid.core.backlog cimport Backlog, Settling, Slot, slot_at
from mtsid.core.contents cimport Contents
from mtsid.core.message cimport Message
from mtsid.core.waiting cimport Waiter, WaitSet

cdef extern from "Python.h":
    PyObject* list_item "PyList_GET_ITEM"(list, Py_ssize_t) noexcept


cdef enum:                  # Backlog.closed
    OPEN = 0
    CLOSING = 1             # put refuses; what is here is still served
    CLOSED_AT_ONCE = 2      # nack refuses too


cdef enum:
    BATCH = 64              # messages of one step, so that no other thread waits for a whole `ack_many`


cdef inline PyObject* fill(Backlog* backlog, uint32_t number, Slot* slot, Message message) noexcept:
    """Inside the monitor: the receipt of a slot that was just taken. Its body, with a reference for the message."""
    message.serial = backlog.serial
    message.slot = number
    message.receipt = slot.receipt
    message.times = slot.deliveries
    message.rank = slot.rank
    Py_INCREF(<object> slot.body)
    return slot.body


cdef inline int rank_of(object priority) except -1:
    if priority is "normal":
        return 1
    if not isinstance(priority, str):
        raise TypeError(f"priority must be 'urgent', 'normal' or 'non-urgent', not {type(priority).__name__!r}")
    if priority == "normal":
        return 1
    if priority == "urgent":
        return 0
    if priority == "non-urgent":
        return 2
    raise ValueError(f"priority must be 'urgent', 'normal' or 'non-urgent', but is {priority!r}")


cdef inline double patience(object block, object timeout) except -1:
    """Seconds to wait: 0 if not to block, and then the timeout is not looked at."""
    if block is True and timeout is None:
        return INFINITY
    if block is not True and not as_flag(block, "block"):
        return 0.0
    return as_timeout(timeout)


cdef class QueueVerbs(Contents):
    cdef WaitSet getters        # wait for a message
    cdef WaitSet putters        # wait for room
    cdef WaitSet joiners        # wait for the end

    # A subclass includes steps.pxi for these.
    cdef int64_t try_put(self, object item, int rank) except? -9
    cdef int64_t try_put_many(self, list items, int rank, uint32_t* numbers) except? -9
    cdef int64_t try_get(self, Message message) except? -9
    cdef Py_ssize_t try_get_many(self, list messages, Py_ssize_t begin, Py_ssize_t end) except -1
    cdef object take_out(self, object key, bint deleted)
    cdef Py_ssize_t take_out_many(self, Settling* steps, Py_ssize_t n) except -1

    cdef int bury(self, uint32_t slot, uint64_t receipt, object key) except -1  # a subclass with dying messages has it

    cdef object put_one(self, object item, int rank, double seconds)
    cdef object get_one(self, double seconds)
    cdef int64_t put_waiting(self, object item, int rank, double seconds) except? -9
    cdef object told(self, object item, int64_t code)
    cdef int take_back(self, object item, int64_t mtsid) except -1
    cdef object why_not_put(self, int64_t code, Py_ssize_t wanted)
    cdef int get_waiting(self, Message message, double seconds, int64_t code) except -1
    cdef int stop_getting(self, Waiter waiter, Message message, int64_t code) except -1
    cdef int check_got(self, int64_t code) except -1
    cdef int put_back(self, object key) except -1
    cdef int left(self, uint64_t live, uint64_t room, bint closed) except -1
