"""See waiting.pyx."""

from mtsid.core.atomic cimport load_seq_cst, word


cdef class Waiter:
    cdef object lock            # locked while its thread should sleep; a waker unlocks it
    cdef readonly Py_ssize_t need    # how many units it wants at once
    cdef bint chosen            # its owner: set when a waker took it off the line, and it has not tried since


cdef class WaitSet:
    cdef word count             # waiters in line; read by wakers without a lock
    cdef object line            # deque of Waiter, first come first served
    cdef Py_ssize_t forks       # the number of forks when `line` was made; any thread

    cdef inline bint needed(self) noexcept nogil:
        """Does anybody wait? One load. Pairs with `enter`: see W0 and W1 in waiting.pyx."""
        return load_seq_cst(&self.count) != 0  # W1

    cdef int _renew(self) except -1
    cdef int enter(self, Waiter waiter) except -1
    cdef bint sleep(self, Waiter waiter, double deadline) except -1
    cdef bint leave(self, Waiter waiter) except -1
    cdef Waiter first_that_fits(self, Py_ssize_t units)
    cdef int wake(self, Py_ssize_t units) except -1
    cdef int wake_all(self) except -1


cdef double deadline_of(double seconds) except -1
