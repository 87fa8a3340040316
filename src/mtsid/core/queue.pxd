"""See queue.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from mtsid.core.backlog cimport Settling
from mtsid.core.verbs cimport QueueVerbs


cdef class MessageQueue(QueueVerbs):
    cdef uint32_t max_deliveries    # 0: without a bound; like `on_dead`, written once, before anybody has the queue
    cdef object on_dead

    cdef void enter_many(self, PyObject** bodies, Py_ssize_t n, int rank, uint32_t* numbers) noexcept
    cdef Py_ssize_t leave_run(self, Settling* steps, Py_ssize_t n) noexcept

    cdef object dying(self, uint32_t slot, uint64_t receipt)
    cdef int end_dying(self, uint32_t slot, uint64_t receipt, object error) except -1
