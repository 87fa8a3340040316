"""One id at a time: take it, give it back, take a certain one, let one rest; from Python and from native code.

The algorithm and its invariants stand in bitmap.pxd, ids that rest in quarantine.pxd, leases in leases.pxd, blocking in
waiting.pyx, memory and views in id_range.pyx. This file turns Python's arguments into offsets and return codes into
exceptions. Reentrant: no lock of ours is held while Python runs, so any method may be called from `__del__`, a signal
handler or the garbage collector.

A quarantine is no business of who takes or releases a live id: that costs each of them the load of one word, which
says that nothing rests (`earliest`, `rest`). Whoever finds it otherwise frees what is due before it does its own work.

It must not know: what an id stands for.
"""

from operator import index

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.arguments cimport as_integer, as_seconds, as_timeout, shown
from mtsid.core.atomic cimport add_seq_cst, fence_seq_cst, load_acquire, load_relaxed, store_release, thread_yield
from mtsid.core.bitmap cimport (
    BEYOND,
    BUSY,
    EXHAUSTED,
    LIVE,
    NO_LEASE,
    NOT_LIVE,
    STALE,
    UNUSUAL,
    Seen,
    bitmap_acquire,
    bitmap_acquire_behind,
    bitmap_acquire_here,
    bitmap_holds,
    bitmap_release,
    bitmap_release_here,
    bitmap_reserve,
    note_live,
    seldom,
)
from mtsid.core.entry cimport Entry, set_entry
from mtsid.core.id_range cimport IdRange
from mtsid.core.leases cimport lease_begin, lease_release, lease_took
from mtsid.core.quarantine cimport (
    NO_ROOM,
    quarantine_put,
    rest_release,
)
from mtsid.core.timetable cimport NEVER
from mtsid.core.waiting cimport LoopWaiter, Waiter, clock_now, deadline_of, due_in

from mtsid.errors import Exhausted, InUse, NotInUse


cdef extern from "Python.h":
    # As a plain pointer, so that NULL can be handled before Cython raises.
    PyObject* new_int "PyLong_FromLongLong"(long long)


# Functions, since the compiler puts those in line more readily than methods.

cdef inline int64_t take(IdVerbs self, Seen* seen) except? -1:
    """An offset, or EXHAUSTED with what was `seen` then."""
    cdef uint64_t leaf = 0
    cdef int64_t offset
    if seldom(load_relaxed(&self.bits.earliest) != NEVER):
        self.end_rests()
    offset = bitmap_acquire_here(&self.bits, &leaf)
    return self.take_behind(leaf, offset, seen) if seldom(offset < 0) else offset


cdef inline object give_out(IdVerbs self, int64_t offset):
    """The id as a Python int. Without memory for one it is free again: no error path keeps an id."""
    cdef PyObject* id = new_int(offset + self.first)
    if id == NULL:
        self.free(offset)
        raise MemoryError()
    result = <object> id
    Py_DECREF(result)
    return result


cdef inline object take_one(IdVerbs self, double seconds):
    """`acquire`, its argument looked at."""
    cdef Seen seen
    cdef int64_t offset = take(self, &seen)
    if seldom(offset < 0):
        offset = self.wait_for_id(seconds, &seen, NULL)
    return give_out(self, offset)


cdef inline object free_one(IdVerbs self, object id):
    """`release`."""
    cdef int64_t offset = as_integer(id, "an id") - self.first
    if not bitmap_holds(&self.bits, offset) or self.free(offset) != 0:
        raise self.not_freed(id, offset)
    return None


@cython.no_gc_clear  # as IdRange
cdef class IdVerbs(IdRange):
    """What an allocator does with one id; see `mtsid.Allocator`. Not for use by itself."""

    # For cimport -----------------------------------------------------------------------------------------------------

    cdef int64_t acquire_id(self) noexcept nogil:
        cdef uint64_t leaf = 0
        cdef int64_t offset
        if seldom(load_acquire(&self.bits.under_gil) or load_relaxed(&self.bits.earliest) != NEVER):  # G1
            return self.acquire_id_again(leaf, UNUSUAL)
        offset = bitmap_acquire_here(&self.bits, &leaf)
        return self.acquire_id_again(leaf, offset) if seldom(offset < 0) else offset + self.first

    cdef int64_t acquire_id_again(self, uint64_t leaf, int64_t code) noexcept nogil:
        """`acquire_id`, where it was no matter of a few instructions."""
        cdef int64_t offset = BUSY
        cdef Seen seen
        if load_acquire(&self.bits.under_gil):  # G1
            self.leave_gil()
        if code != UNUSUAL:
            offset = bitmap_acquire_behind(&self.bits, leaf, code, &seen)
        while offset < 0:
            if load_relaxed(&self.bits.earliest) != NEVER and load_relaxed(&self.bits.earliest) <= clock_now():
                self.attached_end_rests()
            offset = bitmap_acquire(&self.bits, &seen)
            if offset == BUSY:
                thread_yield()
            elif offset < 0 and (seen.earliest == NEVER or seen.earliest > clock_now()):
                self.count_exhausted(&seen)
                return EXHAUSTED
        return offset + self.first

    cdef int64_t release_id(self, uint32_t id) noexcept nogil:
        cdef int64_t offset = <int64_t> id - self.first
        cdef int64_t code
        if seldom(not bitmap_holds(&self.bits, offset) or load_acquire(&self.bits.under_gil)):  # G1
            return self.release_id_again(offset, UNUSUAL)
        code = bitmap_release_here(&self.bits, offset)
        if seldom(code != 0 or self.waiting.needed()):
            return self.release_id_again(offset, code)
        return 0

    cdef int64_t release_id_again(self, int64_t offset, int64_t code) noexcept nogil:
        """`release_id`, where it was no matter of a few instructions; and what is left to do if it was, by its code."""
        if not bitmap_holds(&self.bits, offset):
            add_seq_cst(&self.bits.refused, 1)
            return NOT_LIVE
        if load_acquire(&self.bits.under_gil):  # G1
            self.leave_gil()
        if code == UNUSUAL:
            code = bitmap_release(&self.bits, offset)
        while code == BUSY:
            thread_yield()
            code = bitmap_release(&self.bits, offset)
        if code == BEYOND or code != 0 and load_acquire(&self.bits.rest):  # R1
            code = self.attached_free(offset)
        if code != 0:
            add_seq_cst(&self.bits.refused, 1)
        elif self.waiting.needed():
            self.wake_one()
        return code

    # What a native call does only after it has taken the GIL, or attached itself where there is none. With nobody to
    # raise to, an exception is lost; nothing is half done then.

    cdef void leave_gil(self) noexcept with gil:
        store_release(&self.bits.under_gil, 0)  # G0

    cdef void wake_one(self) noexcept with gil:
        self.waiting.wake(1)

    cdef void attached_end_rests(self) noexcept with gil:
        self.end_rests()

    cdef int64_t attached_free(self, int64_t offset) noexcept with gil:
        return self.free(offset)

    cdef int64_t reserve_id(self, uint32_t id) noexcept nogil:
        cdef int64_t offset = <int64_t> id - self.first
        cdef int64_t code
        if not bitmap_holds(&self.bits, offset) or <uint64_t> offset >= load_relaxed(&self.bits.bound):
            return NOT_LIVE
        if load_acquire(&self.bits.under_gil):  # G1
            self.leave_gil()
        if load_relaxed(&self.bits.earliest) != NEVER and load_relaxed(&self.bits.earliest) <= clock_now():
            self.attached_end_rests()
        code = bitmap_reserve(&self.bits, offset)
        while code == BUSY:
            thread_yield()
            code = bitmap_reserve(&self.bits, offset)
        return code

    # One id ----------------------------------------------------------------------------------------------------------

    def acquire(self, timeout=0.0) -> int:
        """Take a free id.

        `timeout`: 0.0 says no at once; seconds wait so long; None or infinity wait for ever. Ctrl-C ends a wait.
        Raises `Exhausted` if at some instant during the call no id was free.
        """
        return take_one(self, as_timeout(timeout))

    @cython.final
    cdef int64_t take_behind(self, uint64_t leaf, int64_t code, Seen* seen) except? -1:
        """`take`, when the leaf where the search begins had no free id."""
        cdef int64_t offset = bitmap_acquire_behind(&self.bits, leaf, code, seen)
        return offset if offset >= 0 else self.take_again(offset, seen)

    @cython.final
    cdef int64_t take_again(self, int64_t offset, Seen* seen) except? -1:
        """`take` after a first try without success. While something is half done the GIL is given up: never spin with it.
        """
        while offset < 0:
            if offset == BUSY:
                with nogil:
                    thread_yield()
            elif seen.earliest == NEVER or seen.earliest > clock_now():
                return EXHAUSTED
            self.end_rests()
            offset = bitmap_acquire(&self.bits, seen)
        return offset

    @cython.final
    cdef int64_t take_leased(self, Seen* seen, uint64_t* epoch) except? -1:
        """`take` for a lease, with the number of resets that came before."""
        cdef int64_t offset = BUSY
        while offset < 0:
            if load_relaxed(&self.bits.earliest) != NEVER:
                self.end_rests()
            if lease_begin(&self.bits, epoch):
                offset = bitmap_acquire(&self.bits, seen)
                lease_took(&self.bits)
                if offset == EXHAUSTED and (seen.earliest == NEVER or seen.earliest > clock_now()):
                    return EXHAUSTED
            if offset == BUSY:
                with nogil:
                    thread_yield()
        return offset

    @cython.final
    cdef int64_t free(self, int64_t offset) except? -1:
        """0, or NOT_LIVE; and a wake-up for who waits for an id."""
        cdef int64_t code = bitmap_release_here(&self.bits, offset)
        if seldom(code != 0):
            code = self.free_again(offset, code, NO_LEASE)
        if code == 0 and self.waiting.needed():
            self.waiting.wake(1)
        return code

    @cython.final
    cdef int64_t free_again(self, int64_t offset, int64_t code, uint64_t epoch) except? -1:
        """After a first try without success: something is half done, or the id rests or is beyond the bound."""
        cdef int64_t result
        if code == UNUSUAL:
            code = bitmap_release(&self.bits, offset)
        while True:
            if code == NOT_LIVE and load_acquire(&self.bits.rest) or code == BEYOND:  # R1
                self.end_rests()
                result = rest_release(&self.bits, offset, epoch)
                if result == LIVE:
                    # The bound has moved up over it. Or else it rested, was released, and is somebody else's by now.
                    if code == NOT_LIVE:
                        return NOT_LIVE
                elif result != BUSY:
                    return result
            elif code != BUSY:
                return code
            with nogil:
                thread_yield()
            code = lease_release(&self.bits, offset, epoch)

    @cython.final
    cdef int64_t wait_for_id(self, double seconds, Seen* seen, uint64_t* epoch) except -1:
        """An offset, after a first try that failed: wait as long as the caller likes. `epoch`: for a lease, else NULL."""
        cdef int64_t offset = EXHAUSTED
        cdef Waiter waiter
        cdef double deadline
        if seconds > 0:
            deadline = deadline_of(seconds)
            waiter = Waiter()
            try:
                while True:
                    self.waiting.enter(waiter)
                    offset = take(self, seen) if epoch == NULL else self.take_leased(seen, epoch)
                    waiter.alarm = seen.earliest
                    if offset >= 0 or not self.waiting.sleep(waiter, deadline):
                        break
            finally:
                self.step_out(waiter, offset)
        if offset < 0:
            self.count_exhausted(seen)
            raise self.exhausted(seen)
        return offset

    @cython.final
    cdef void count_exhausted(self, Seen* seen) noexcept nogil:
        add_seq_cst(&self.bits.exhausted, 1)
        note_live(&self.bits, seen.capacity - seen.quarantined)

    @cython.final
    cdef int step_out(self, Waiter waiter, int64_t offset) except -1:
        """Out of the line: a wake-up that came too late goes to the next one, and so does minding the alarm.

        If Ctrl-C comes meanwhile, the id that was got is free again.
        """
        try:
            if self.waiting.leave(waiter) or load_acquire(&self.bits.earliest) != NEVER:
                self.waiting.wake(1)
        except BaseException:
            if offset >= 0:
                self.free(offset)
            raise
        return 0

    @cython.final
    cdef object try_for(self, Waiter waiter):
        """A free id; or the exception that says that there is none, not raised, and when the waiter is to look again."""
        cdef Seen seen
        cdef int64_t offset = take(self, &seen)
        if offset >= 0:
            return give_out(self, offset)
        if waiter is not None:
            waiter.alarm = seen.earliest
        note_live(&self.bits, seen.capacity - seen.quarantined)
        return self.exhausted(&seen)

    async def acquire_async(self, timeout=None) -> int:
        """`acquire` for coroutines: awaits a free id, from any number of event loops and threads at once.

        `timeout`: seconds; None or infinity wait for ever. Raises `Exhausted` if at some instant no id was free and the
        time is up. First come, first served, among threads too; newcomers may overtake.

        The id is taken in the very step that returns it, so a task that is cancelled while it waits has none to lose,
        and what woke it wakes the next one. Prefer `timeout` to `asyncio.wait_for`, which before Python 3.12 could drop
        the result of a task that was done just in time.

        >>> import asyncio
        >>> from mtsid import Allocator
        >>> asyncio.run(Allocator(1, 9).acquire_async())
        1
        """
        cdef double seconds = as_timeout(timeout)
        cdef double deadline
        cdef LoopWaiter waiter
        outcome = self.try_for(None)
        if seconds > 0 and isinstance(outcome, Exhausted):
            waiter = LoopWaiter()
            deadline = waiter.deadline_of(seconds)
            try:
                while True:
                    self.waiting.enter(waiter)
                    outcome = self.try_for(waiter)
                    if not isinstance(outcome, Exhausted) or not await waiter.sleep(self.waiting, deadline):
                        break
            finally:
                self.step_out(waiter, EXHAUSTED if isinstance(outcome, Exhausted) else <int64_t> outcome - self.first)
        if isinstance(outcome, Exhausted):
            add_seq_cst(&self.bits.exhausted, 1)
            raise outcome
        return outcome

    @cython.final
    cdef object exhausted(self, Seen* seen):
        """The exception for one id that could not be had."""
        cdef uint64_t live = seen.capacity - seen.quarantined
        held = f"{live} are live and {seen.quarantined} quarantined" if seen.quarantined else f"all {live} are live"
        return Exhausted(
            f"no id is free: {held}; release one, wait with a timeout, or widen the range",
            live=live, quarantined=seen.quarantined, capacity=seen.capacity,
        )

    def release(self, id) -> None:
        """Give an id back, a live or a quarantined one.

        `NotInUse` if it is neither: a double or foreign release frees nothing, and says so.
        """
        free_one(self, id)

    @cython.final
    cdef object not_freed(self, object id, int64_t offset):
        """The exception for an id that was not released, which is counted."""
        if bitmap_holds(&self.bits, offset):
            refusal = NotInUse(
                f"id {shown(id)} is not live: it was released already, or never acquired", id=offset + self.first
            )
        else:
            refusal = self.foreign(id)
        add_seq_cst(&self.bits.refused, 1)
        return refusal

    @cython.final
    cdef object foreign(self, object id):
        """The exception for an id outside the range where a live one was wanted."""
        return NotInUse(
            f"id {shown(id)} is not live: the range is {self.first} .. {self.last()}"
            f"{', less the excluded ids' if self.bits.excluded != NULL else ''}",
            id=index(id),
        )

    def reserve(self, id) -> None:
        """Take this very id: a number that the peer chose, or one of a restored session.

        `InUse` if it is live or quarantined; `ValueError` if it is outside the range or excluded.
        """
        cdef int64_t offset = self.offset_of(id)
        cdef int64_t code
        if load_relaxed(&self.bits.earliest) != NEVER:
            self.end_rests()
        code = bitmap_reserve(&self.bits, offset)
        while code == BUSY:
            with nogil:
                thread_yield()
            code = bitmap_reserve(&self.bits, offset)
        if code != 0:
            raise InUse(
                f"id {shown(id)} is live or quarantined: release it first, or choose another", id=offset + self.first
            )

    # For lease.pyx ---------------------------------------------------------------------------------------------------

    cdef int64_t take_for_lease(self, double seconds, uint64_t* epoch) except -1:
        """An offset, and the number of resets that came before."""
        cdef Seen seen
        cdef int64_t offset = self.take_leased(&seen, epoch)
        return offset if offset >= 0 else self.wait_for_id(seconds, &seen, epoch)

    cdef int64_t end_lease(self, int64_t offset, uint64_t epoch) except? -1:
        """0: released, or in quarantine and left there; NOT_LIVE or STALE: nothing was done."""
        cdef int64_t code = lease_release(&self.bits, offset, epoch)
        if code != 0:
            code = self.free_again(offset, code, epoch)
        if code != 0:
            add_seq_cst(&self.bits.stale if code == STALE else &self.bits.refused, 1)
        elif self.waiting.needed():
            self.waiting.wake(1)
        return code

    # Ids that rest ---------------------------------------------------------------------------------------------------

    def quarantine(self, id, seconds=None) -> None:
        """Let a live id rest, so that nobody gets it: until `release(id)`, or for so many seconds if they are given.

        For an id that may yet be answered, or must not be seen again so soon. It is neither live nor available. Its
        time over, it is free by itself, and who waits for an id is woken. `NotInUse` if it is not live.

        Each id that rests takes some 50 bytes, as long as it does and in steps; a live one takes none of that.

        >>> from mtsid import Allocator
        >>> ids = Allocator(1, 2)
        >>> request = ids.acquire()
        >>> ids.quarantine(request)
        >>> ids.state(request), len(ids), ids.available
        ('quarantined', 0, 1)
        >>> ids.release(request)
        >>> ids.available
        2
        """
        cdef int64_t offset = as_integer(id, "an id") - self.first
        cdef double length = as_seconds(seconds, "seconds")
        cdef uint64_t due = due_in(length)
        cdef uint64_t room = 0
        cdef int64_t code = BUSY
        if not bitmap_holds(&self.bits, offset):
            raise self.foreign(id)
        while code == BUSY or code == NO_ROOM:
            code = quarantine_put(&self.bits, offset, due, &room)
            if code == NO_ROOM:
                self.make_room(room)
            elif code == BUSY:
                with nogil:
                    thread_yield()
        if code != 0:
            raise NotInUse(
                f"id {shown(id)} is not live, so it cannot be quarantined: it was released or quarantined already, or "
                "never acquired",
                id=offset + self.first,
            )
        if due != NEVER:
            fence_seq_cst()  # W1: the line is looked at only after the alarm was set
            if self.waiting.needed() and load_relaxed(&self.bits.earliest) == due:
                self.waiting.wake(1)


# The commonest calls: one id, no wish about waiting -----------------------------------------------------------------

cdef Entry acquire_whole, release_whole


cdef object acquire_entry(IdVerbs self, PyObject** arguments, Py_ssize_t given, PyObject* names):
    if given == 0 and names == NULL:
        return take_one(self, 0.0)
    return acquire_whole(self, arguments, given, names)


cdef object release_entry(IdVerbs self, PyObject** arguments, Py_ssize_t given, PyObject* names):
    if given == 1 and names == NULL:
        return free_one(self, <object> arguments[0])
    return release_whole(self, arguments, given, names)


acquire_whole = set_entry(<PyTypeObject*> IdVerbs, "acquire", <void*> acquire_entry)
release_whole = set_entry(<PyTypeObject*> IdVerbs, "release", <void*> release_entry)
