"""Blocking: one wait layer over operations that only try.

The allocator and the queue never block by themselves; each operation succeeds or says no at once. Whoever wants to wait
does so here: register, try again, sleep, try again. A waker hands nothing over. It says "look again", and the woken
thread takes in the same step that returns, so one that was interrupted has nothing to lose.

A caller's loop, which `Allocator.acquire` and the queue's operations follow:

    waiter = Waiter(need)
    try:
        while True:
            waiters.enter(waiter)
            if the operation succeeds: return
            if not waiters.sleep(waiter, deadline): say no
    finally:
        if waiters.leave(waiter): wake the next one

Invariants
1.  No lost wake-up. The waiter registers (W0), then tries; the waker operates, then reads the count (W1). Both are
    sequentially consistent, so one of them sees the other: the waiter finds the unit, or the waker finds the waiter.
2.  A wake-up that was chosen for a waiter is used by its next try, or `leave` returns True and the caller passes it on:
    after success without sleep, a time-out, Ctrl-C or any other exception.
3.  Wake-up is first come, first served; newcomers may overtake. A woken waiter that came too late goes back to the
    head.
4.  A waiter that needs several units is passed over while fewer are there, and does not block those behind it.
5.  Nothing here is called with a monitor held, and `needed` is all that the fast path pays.
6.  After a fork the child's line is empty: threads that waited in the parent are not there to be woken.

Sleeping is `threading.Lock.acquire`, which lets Ctrl-C in on POSIX. Progress: blocking, by nature.

This file knows nothing of ids or messages.
"""

import os
from _thread import TIMEOUT_MAX as _TIMEOUT_MAX
from _thread import allocate_lock
from collections import deque
from time import monotonic

from libc.math cimport INFINITY, isinf
from libc.stdint cimport uint64_t

from mtsid.core.atomic cimport add_seq_cst, store_relaxed

cdef Py_ssize_t forks = 0


def _forked():
    global forks
    forks += 1


os.register_at_fork(after_in_child=_forked)


cdef double deadline_of(double seconds) except -1:
    """The instant on the monotonic clock at which to stop waiting."""
    return INFINITY if isinf(seconds) else <double> monotonic() + seconds


cdef class Waiter:
    """One thread that waits for `need` units at once."""

    def __cinit__(self, Py_ssize_t need=1):
        self.need = need
        self.chosen = False
        self.lock = allocate_lock()
        self.lock.acquire()


cdef class WaitSet:
    """Those who wait for one thing: an id, room, a message, the end."""

    def __cinit__(self):
        store_relaxed(&self.count, 0)
        self.line = deque()
        self.forks = forks

    cdef int _renew(self) except -1:
        # A new deque, not a cleared one: the old one's own lock may have been held by a thread that is gone.
        self.line = deque()
        store_relaxed(&self.count, 0)
        self.forks = forks
        return 0

    cdef int enter(self, Waiter waiter) except -1:
        """Stand in line: at its end the first time, at its head for one that was woken and came too late."""
        if self.forks != forks:
            self._renew()
        # The count first: it is never less than the line is long, or a waker would pass somebody by. A waker that comes
        # between the two finds the line without this waiter, whose own try then finds what the waker brought.
        add_seq_cst(&self.count, 1)  # W0
        if waiter.chosen:
            waiter.chosen = False
            self.line.appendleft(waiter)
        else:
            self.line.append(waiter)
        return 0

    cdef bint sleep(self, Waiter waiter, double deadline) except -1:
        """Sleep until woken (True) or until the deadline (False). Raises what a signal handler raises."""
        cdef double seconds
        while True:
            if isinf(deadline):
                waiter.lock.acquire()
                waiter.chosen = True
                return True
            seconds = deadline - <double> monotonic()
            if seconds <= 0:
                return False
            if waiter.lock.acquire(True, min(seconds, _TIMEOUT_MAX)):
                waiter.chosen = True
                return True

    cdef bint leave(self, Waiter waiter) except -1:
        """Step out of line. True if a wake-up had been chosen for this waiter: the caller then wakes the next one."""
        if self.forks != forks:
            self._renew()
            return False
        if waiter.chosen:  # woken, and then no try: an exception came in between
            return True
        try:
            self.line.remove(waiter)
        except ValueError:
            return True
        add_seq_cst(&self.count, <uint64_t> -1)
        return False

    cdef Waiter first_that_fits(self, Py_ssize_t units):
        """The first in line who needs at most `units`; None if nobody does."""
        cdef Waiter waiter
        try:
            waiter = self.line[0]
        except IndexError:
            return None
        if waiter.need <= units:
            return waiter
        for waiter in self.line.copy():  # a copy, since others come and go meanwhile
            if waiter.need <= units:
                return waiter
        return None

    cdef int wake(self, Py_ssize_t units) except -1:
        """Wake waiters, in order, that between them need at most `units`."""
        cdef Waiter waiter
        if self.forks != forks:
            self._renew()
            return 0
        while units > 0:
            waiter = self.first_that_fits(units)
            if waiter is None:
                break
            try:
                self.line.remove(waiter)  # who takes it out of the line is the one who wakes it
            except ValueError:
                continue
            add_seq_cst(&self.count, <uint64_t> -1)
            units -= waiter.need
            waiter.lock.release()
        return 0

    cdef int wake_all(self) except -1:
        """Wake everybody: at shutdown, and when the last message left."""
        cdef Waiter waiter
        if self.forks != forks:
            self._renew()
            return 0
        while True:
            try:
                waiter = self.line.popleft()
            except IndexError:
                return 0
            add_seq_cst(&self.count, <uint64_t> -1)
            waiter.lock.release()
