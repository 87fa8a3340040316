"""See verbs.pyx."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.backlog cimport Backlog, Slot, slot_at
from mtsid.core.contents cimport Contents
from mtsid.core.message cimport Message
from mtsid.core.waiting cimport WaitSet

cdef extern from "Python.h":
    PyObject* list_item "PyList_GET_ITEM"(list, Py_ssize_t) noexcept


cdef enum:
    BATCH = 64              # messages of one step, so that no other thread waits for a whole `ack_many`


cdef struct Settling:       # one message of an `ack_many`
    int64_t key             # a slot, or a number less `first`
    uint64_t receipt        # 0: by its number; UINT64_MAX: of another queue
    PyObject* body          # once it left


cdef inline PyObject* fill(Backlog* backlog, uint32_t number, Message message) noexcept:
    """Inside the monitor: the receipt of a slot that was just taken. Its body, with a reference for the message."""
    cdef Slot* slot = slot_at(backlog, number)
    message.serial = backlog.serial
    message.slot = number
    message.receipt = slot.receipt
    message.times = slot.deliveries
    message.rank = slot.rank
    Py_INCREF(<object> slot.body)
    return slot.body


cdef class QueueVerbs(Contents):
    cdef WaitSet getters        # wait for a message
    cdef WaitSet putters        # wait for room
    cdef WaitSet joiners        # wait for the end

    # A subclass includes steps.pxi for these.
    cdef int64_t try_put(self, object item, int rank) except? -9
    cdef int64_t try_put_many(self, list items, int rank, uint32_t* numbers) except? -9
    cdef int64_t try_get(self, Message message) except? -9
    cdef Py_ssize_t try_get_many(self, list messages, Py_ssize_t begin, Py_ssize_t end) except -1
    cdef object take_out(self, object key)
    cdef int take_out_many(self, Settling* steps, Py_ssize_t n) except -1

    cdef object put_one(self, object item, int rank, double seconds)
    cdef object get_one(self, double seconds)
    cdef int64_t put_waiting(self, object item, int rank, double seconds) except? -9
    cdef int take_back(self, object item, int64_t mtsid) except -1
    cdef object why_not_put(self, int64_t code, Py_ssize_t wanted)
    cdef int get_waiting(self, Message message, double seconds) except -1
    cdef int left(self, uint64_t live, uint64_t room, bint closed) except -1
