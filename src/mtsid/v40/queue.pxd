"""See queue.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t

from mtsid.core.backlog cimport Settling
from mtsid.core.verbs cimport QueueVerbs
from mtsid.v40.pool cimport Pool


cdef struct Entry:          # what 4.0 keeps beside a slot
    uint32_t number         # the MTSID, less `first`
    uint32_t twin           # the slot of the next younger message of the same number, + 1; 0: none
    uint8_t stripped        # its number is on the free list although it is still here


cdef class MessageQueue(QueueVerbs):
    cdef Pool pool          # the numbers; guarded by the backlog's monitor
    cdef Entry* entries     # [capacity] by slot
    cdef uint32_t* oldest   # [capacity] by number: the slot of the oldest message that has it, + 1; 0: none

    cdef void enter_many(self, PyObject** bodies, Py_ssize_t n, int rank, uint32_t* numbers) noexcept
    cdef Py_ssize_t leave_run(self, Settling* steps, Py_ssize_t n) noexcept
    cdef void bind(self, uint32_t slot, uint32_t number) noexcept
    cdef void unbind(self, uint32_t slot) noexcept
    cdef bint release_again(self, object key)
