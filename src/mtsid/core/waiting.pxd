"""See waiting.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from mtsid.core.atomic cimport load_seq_cst, word
from mtsid.core.monitor cimport Monitor


cdef class WaitSet


cdef class Waiter:
    cdef uint32_t token         # its thread sleeps until it is there; see parking.h
    cdef Py_ssize_t need        # how many units it wants at once
    cdef uint64_t alarm         # its own thread's: when it looks up by itself if it is the first; NEVER
    cdef bint entered           # its own thread's: it has stood in line before, so that it goes back to the head
    # Guarded by the monitor of the line that it stands in:
    cdef bint in_line
    cdef PyObject* next
    cdef PyObject* previous
    cdef Py_ssize_t forks       # the number of forks when it entered

    cdef bint rouse(self, WaitSet line) except -1


cdef class LoopWaiter(Waiter):
    cdef object loop            # the event loop that its coroutine runs in
    cdef object future          # its loop's: what the coroutine awaits, or None

    cdef double deadline_of(self, double seconds) except -1


cdef class Knock:
    cdef WaitSet line           # to whom the wake-up goes back
    cdef LoopWaiter waiter
    cdef bint heard             # it came into the loop, or was never on its way


cdef class WaitSet:
    cdef word count             # waiters in line; changed inside the monitor, read by wakers outside
    cdef Monitor monitor        # guards the line
    cdef PyObject* first        # Waiters, first come first served; not references of ours
    cdef PyObject* last
    cdef Py_ssize_t forks       # the number of forks when the line began

    cdef inline bint needed(self) noexcept nogil:
        """Does anybody wait? One load. Pairs with `enter`: see W0 and W1 in waiting.pyx."""
        return load_seq_cst(&self.count) != 0  # W1

    cdef void forget_the_parent(self) noexcept
    cdef bint is_first(self, Waiter waiter) noexcept
    cdef void link(self, Waiter waiter, bint at_head) noexcept
    cdef void unlink(self, Waiter waiter) noexcept
    cdef void enter(self, Waiter waiter) noexcept
    cdef bint sleep(self, Waiter waiter, double deadline) except -1
    cdef bint park_thread(self, Waiter waiter, double deadline) except -1
    cdef bint leave(self, Waiter waiter) noexcept
    cdef Waiter choose(self, Py_ssize_t units)
    cdef int wake(self, Py_ssize_t units) except -1
    cdef int wake_all(self) except -1


cdef double deadline_of(double seconds) noexcept
cdef uint64_t clock_now() noexcept nogil
cdef uint64_t due_in(double seconds) noexcept nogil
