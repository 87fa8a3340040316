"""Blocking: one wait layer over operations that only try.

The allocator and the queue never block by themselves; each operation succeeds or says no at once. Whoever wants to wait
does so here: register, try again, sleep, try again. A waker hands nothing over. It says "look again", and the woken
thread, or coroutine, takes in the same step that returns, so one that was interrupted has nothing to lose. Threads and
coroutines, of any number of event loops, stand in one line.

A caller's loop, which `Allocator.acquire` and the queue's operations follow:

    waiter = Waiter(need)
    try:
        while True:
            waiters.enter(waiter)
            if the operation succeeds: return
            if not waiters.sleep(waiter, deadline): say no
    finally:
        if waiters.leave(waiter): wake the next one

and a coroutine's, which differs in two lines:

    waiter = LoopWaiter(need)
            if not await waiter.sleep(waiters, waiter.deadline_of(seconds)): say no

Invariants
1.  No lost wake-up. The waiter registers (W0, a fence), then tries; the waker operates, by a sequentially consistent
    exchange or in a monitor that the waiter's try enters too, then reads the count (W1). So one of them sees the other:
    the waiter finds the unit, or the waker finds the waiter.
2.  A wake-up that was chosen for a waiter is used by its next try, or `leave` returns True and the caller passes it on:
    after success without sleep, a time-out, Ctrl-C or any other exception.
3.  Wake-up is first come, first served; newcomers may overtake. A woken waiter that came too late goes back to the
    head.
4.  A waiter that needs several units is passed over while fewer are there, and does not block those behind it.
5.  The line is changed inside a monitor, with no Python in it, so wakers may come from `__del__`, a signal handler or
    the collector. Nothing here is called with another monitor held, and `needed` is all that a fast path pays.
6.  A waiter in line is kept alive by its own thread or coroutine, which steps out of line before it lets go. Who takes
    one out of line to wake it holds a reference until that is done.
7.  What comes by itself, at a time that is known (a quarantine's end), is an alarm. Only the first in line minds it,
    or a thousand would look up for one id. So who leaves wakes the next one while there is an alarm, and so does who
    sets an earlier one; a waiter that looks up by itself is still in line.
8.  A coroutine is woken through its loop, by a `Knock`, from whatever thread. A loop that is closed takes none, and the
    waker goes on to the next in line. One that takes it and is closed before it runs it lets it drop, and then the
    knock itself passes the wake-up on; so does the coroutine, where it was cancelled or dropped. A loop that is neither
    running nor closed keeps what it has, as a thread does that is not scheduled.
9.  After a fork the child's line is empty: threads that waited in the parent are not there to be woken. (One that forks
    in a signal handler, while it waits, waits on in the child until its time-out.)

A thread parks (parking.h), which lets Ctrl-C in, at the latest after a second; a coroutine sleeps in a future of its
loop. Progress: blocking, by nature.

This file knows nothing of ids or messages.
"""

import os
from threading import main_thread

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.math cimport INFINITY, isinf
from libc.stdint cimport uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from mtsid.core.atomic cimport (
    add_seq_cst,
    fence_seq_cst,
    load_relaxed,
    load_seq_cst,
    schedule_park,
    schedule_unpark,
    scheduled,
    store_relaxed,
    word,
)
from mtsid.core.monitor cimport monitor_close, monitor_enter, monitor_leave, monitor_open
from mtsid.core.parking cimport park, unpark
from mtsid.core.timetable cimport NEVER

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef Py_ssize_t forks = 0
cdef long main_ident = main_thread().ident  # of the thread that alone handles signals
cdef word waiters  # zeroed, as all static memory
cdef word clock_ahead  # nanoseconds; moved by tests alone


def _forked():
    global forks, main_ident
    forks += 1
    main_ident = PyThread_get_thread_ident()  # whoever forked is the child's main thread


os.register_at_fork(after_in_child=_forked)


cdef uint64_t monotonic() noexcept nogil:
    """The monotonic clock, in nanoseconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t> now.tv_sec * 1_000_000_000 + <uint64_t> now.tv_nsec


cdef double deadline_of(double seconds) noexcept:
    """The instant on the monotonic clock, in seconds, at which to stop waiting."""
    return <double> monotonic() / 1e9 + seconds


cdef uint64_t clock_now() noexcept nogil:
    """The monotonic clock, in nanoseconds, as tests have moved it."""
    return monotonic() + load_relaxed(&clock_ahead)


cdef uint64_t due_in(double seconds) noexcept nogil:
    """The instant on that clock at which a quarantine is over."""
    return clock_now() + <uint64_t> (seconds * 1e9) if seconds < 1e9 else NEVER  # 30 years are for ever


def _advance_clock(double seconds) -> None:
    """Let time pass for whatever rests; for tests, which must not sleep. Nobody who sleeps is woken by it."""
    add_seq_cst(&clock_ahead, <uint64_t> (seconds * 1e9))


cdef double seconds_until(uint64_t instant) noexcept:
    cdef uint64_t now = clock_now()
    return 0.0 if instant <= now else <double> (instant - now) / 1e9


cdef class Waiter:
    """One thread that waits for `need` units at once; see LoopWaiter for a coroutine."""

    def __cinit__(self, Py_ssize_t need=1):
        self.need = need
        self.alarm = NEVER
        self.entered = False
        self.in_line = False
        self.token = 0
        add_seq_cst(&waiters, 1)

    def __dealloc__(self):
        add_seq_cst(&waiters, <uint64_t> -1)

    cdef bint rouse(self, WaitSet line) except -1:
        """Let it look again. False: it cannot be reached, and the wake-up is for another."""
        if scheduled():
            schedule_unpark(<void*> self)
            return True
        # The token may be there already: it looked up by itself, at its alarm, just as it was chosen, stood in line again
        # and was chosen again. Two are one to it, and `leave` passes the second wake-up on.
        unpark(&self.token)
        return True


def _settle(future, outcome) -> None:
    if not future.done():
        future.set_result(outcome)


cdef class LoopWaiter(Waiter):
    """One coroutine that waits for `need` units at once. Made, and used but for `rouse`, in its loop's thread."""

    def __cinit__(self, Py_ssize_t need=1):
        from asyncio import get_running_loop  # it is there: only where it runs can there be a coroutine
        self.loop = get_running_loop()

    cdef double deadline_of(self, double seconds) except -1:
        """The instant on the loop's clock at which to stop waiting."""
        return INFINITY if isinf(seconds) else <double> self.loop.time() + seconds

    async def sleep(self, WaitSet line, double deadline):
        """Sleep until woken or until the alarm (True), or until the deadline (False)."""
        cdef double seconds = deadline - <double> self.loop.time()
        cdef double alarm = INFINITY
        if seconds <= 0:
            return False
        if self.alarm != NEVER and line.is_first(self):
            alarm = seconds_until(self.alarm)
        timer = None
        self.future = self.loop.create_future()
        if not isinf(min(seconds, alarm)):
            timer = self.loop.call_later(min(seconds, alarm), _settle, self.future, alarm < seconds)
        try:
            return await self.future
        finally:
            self.future = None
            if timer is not None:
                timer.cancel()

    cdef bint rouse(self, WaitSet line) except -1:
        cdef Knock knock = Knock.__new__(Knock)
        knock.line = line
        knock.waiter = self
        try:
            self.loop.call_soon_threadsafe(knock)
        except BaseException as error:
            knock.heard = True
            if isinstance(error, Exception):
                return False  # the loop is closed
            raise
        return True


cdef class Knock:
    """A wake-up on its way into a loop. If it never arrives there it goes to the next in line."""

    def __call__(self) -> None:
        self.heard = True
        if self.waiter.future is not None:
            _settle(self.waiter.future, True)

    def __del__(self) -> None:
        if not self.heard and self.line is not None:
            self.line.wake(self.waiter.need)


def _waiters() -> int:
    """How many of this process are about to wait, wait, or have just waited; for tests."""
    return load_seq_cst(&waiters)


@cython.no_gc_clear  # no cycle runs through it, and its owner may be used while a cycle falls apart
cdef class WaitSet:
    """Those who wait for one thing: an id, room, a message, the end."""

    def __cinit__(self):
        monitor_open(&self.monitor)
        store_relaxed(&self.count, 0)
        self.first = self.last = NULL
        self.forks = forks

    def __dealloc__(self):
        monitor_close(&self.monitor)

    # Inside the monitor ----------------------------------------------------------------------------------------------

    cdef void forget_the_parent(self) noexcept:
        """The first to come after a fork finds the line empty."""
        if self.forks != forks:
            self.first = self.last = NULL
            store_relaxed(&self.count, 0)
            self.forks = forks

    cdef bint is_first(self, Waiter waiter) noexcept:
        cdef bint first
        monitor_enter(&self.monitor)
        first = self.first == <PyObject*> waiter
        monitor_leave(&self.monitor)
        return first

    cdef void link(self, Waiter waiter, bint at_head) noexcept:
        cdef PyObject* this = <PyObject*> waiter
        waiter.previous = NULL if at_head else self.last
        waiter.next = self.first if at_head else NULL
        if waiter.previous == NULL:
            self.first = this
        else:
            (<Waiter> waiter.previous).next = this
        if waiter.next == NULL:
            self.last = this
        else:
            (<Waiter> waiter.next).previous = this
        waiter.in_line = True
        waiter.forks = forks
        add_seq_cst(&self.count, 1)

    cdef void unlink(self, Waiter waiter) noexcept:
        if waiter.previous == NULL:
            self.first = waiter.next
        else:
            (<Waiter> waiter.previous).next = waiter.next
        if waiter.next == NULL:
            self.last = waiter.previous
        else:
            (<Waiter> waiter.next).previous = waiter.previous
        waiter.in_line = False
        add_seq_cst(&self.count, <uint64_t> -1)

    # For waiters -----------------------------------------------------------------------------------------------------

    cdef void enter(self, Waiter waiter) noexcept:
        """Stand in line: at its end the first time, at its head for one that was woken and came too late."""
        monitor_enter(&self.monitor)
        self.forget_the_parent()
        if not waiter.in_line or waiter.forks != forks:  # else it looked up by itself
            self.link(waiter, waiter.entered)
        waiter.entered = True
        monitor_leave(&self.monitor)
        fence_seq_cst()  # W0: the caller's next try reads with weaker orders

    cdef bint sleep(self, Waiter waiter, double deadline) except -1:
        """Sleep until woken or until the alarm (True), or until the deadline (False).

        Raises what a signal handler raises.
        """
        if scheduled():
            return schedule_park(<void*> waiter) == 0  # else nobody is left to wake it, as the scheduler notes
        return self.park_thread(waiter, deadline)

    cdef bint park_thread(self, Waiter waiter, double deadline) except -1:
        """Apart from `sleep`, or the normal build would be laid out otherwise for the scheduled one's branch."""
        cdef double seconds
        cdef bint unparked
        # A signal that comes just before the sleep does not end it, so the thread that handles signals looks up once a
        # second.
        cdef double turn = 1.0 if PyThread_get_thread_ident() == main_ident else INFINITY
        cdef bint minds_alarm = waiter.alarm != NEVER and self.is_first(waiter)
        while True:
            PyErr_CheckSignals()
            seconds = deadline - <double> monotonic() / 1e9
            if seconds <= 0:
                return False
            if minds_alarm:
                if clock_now() >= waiter.alarm:
                    return True
                seconds = min(seconds, seconds_until(waiter.alarm))
            seconds = min(seconds, turn)
            with nogil:
                unparked = park(&waiter.token, seconds)
            if unparked:
                return True

    cdef bint leave(self, Waiter waiter) noexcept:
        """Step out of line. True if a wake-up had been chosen for this waiter: the caller then wakes the next one."""
        cdef bint chosen
        monitor_enter(&self.monitor)
        self.forget_the_parent()
        chosen = not waiter.in_line
        if waiter.forks != forks:
            chosen = False
        elif waiter.in_line:
            self.unlink(waiter)
        monitor_leave(&self.monitor)
        return chosen

    # For wakers ------------------------------------------------------------------------------------------------------

    cdef Waiter choose(self, Py_ssize_t units):
        """Take the first who needs at most `units` out of the line; None if nobody does."""
        cdef PyObject* at
        monitor_enter(&self.monitor)
        self.forget_the_parent()
        at = self.first
        while at != NULL and (<Waiter> at).need > units:
            at = (<Waiter> at).next
        if at != NULL:
            self.unlink(<Waiter> at)
            Py_INCREF(<Waiter> at)
        monitor_leave(&self.monitor)
        if at == NULL:
            return None
        waiter = <Waiter> at
        Py_DECREF(waiter)
        return waiter

    cdef int wake(self, Py_ssize_t units) except -1:
        """Wake waiters, in order, that between them need at most `units`.

        Raises what comes while a loop is told, as Ctrl-C may; those that are due for waking are woken first.
        """
        cdef Waiter waiter
        came = None
        while units > 0:
            waiter = self.choose(units)
            if waiter is None:
                break
            try:
                if waiter.rouse(self):
                    units -= waiter.need
            except BaseException as error:
                came = error
        if came is not None:
            raise came
        return 0

    cdef int wake_all(self) except -1:
        """Wake everybody: at shutdown, and when the last message left."""
        cdef Waiter waiter = self.choose(PY_SSIZE_T_MAX)
        came = None
        while waiter is not None:
            try:
                waiter.rouse(self)
            except BaseException as error:
                came = error
            waiter = self.choose(PY_SSIZE_T_MAX)
        if came is not None:
            raise came
        return 0
