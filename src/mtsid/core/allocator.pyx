"""Which numbers are in use? An allocator of reusable ids: lock-free, exact, callable without the GIL.

The algorithm and its invariants stand in bitmap.pxd, the bulk operations in bitmap_bulk.pxd, ids that rest in
quarantine.pxd, blocking in waiting.pyx, memory and views in id_range.pyx. This file takes and gives back: it turns
Python's arguments into offsets and return codes into exceptions. Reentrant: no lock of ours is held while Python runs,
so any method may be called from `__del__`, a signal handler or the garbage collector.

A quarantine is no business of who takes or releases a live id: that costs each of them the load of one word, which
says that nothing rests (`earliest`, `rest`). Whoever finds it otherwise frees what is due before it does its own work.

It must not know: what an id stands for.
"""

from operator import index

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from mtsid.core.arrays cimport get_numpy, new_array
from mtsid.core.arguments cimport as_integer, as_offsets, as_seconds, as_timeout, has_duplicate, shown
from mtsid.core.atomic cimport fence_seq_cst, load_acquire, load_relaxed, store_release, thread_yield, word
from mtsid.core.bitmap cimport (
    BUSY,
    EXHAUSTED,
    NOT_LIVE,
    Seen,
    bitmap_acquire,
    bitmap_holds,
    bitmap_release,
    bitmap_reserve,
)
from mtsid.core.bitmap_bulk cimport (
    Releasing,
    bitmap_acquire_many,
    bitmap_release_many,
    bitmap_reserve_many,
)
from mtsid.core.id_range cimport IdRange
from mtsid.core.quarantine cimport (
    NO_ROOM,
    bitmap_reset,
    quarantine_install,
    quarantine_put,
    quarantine_release,
)
from mtsid.core.timetable cimport NEVER, Timetable, timetable_make
from mtsid.core.waiting cimport Waiter, clock_now, deadline_of

from mtsid.errors import Exhausted, InUse, NotInUse


cdef extern from "Python.h":
    # As a plain pointer, so that NULL can be handled before Cython raises.
    PyObject* new_int "PyLong_FromLongLong"(long long)

cdef uint64_t due_in(double seconds):
    """The instant at which a quarantine is over."""
    return clock_now() + <uint64_t> (seconds * 1e9) if seconds < 1e9 else NEVER  # 30 years are for ever


@cython.no_gc_clear  # as IdRange
cdef class Allocator(IdRange):
    """An allocator of the ids `first` .. `last`, both included, within 0 .. 2**32-1.

    Parameters
    ----------
    first, last
        The range. 0 is an id like any other.
    exclude
        Ids never to be handed out, such as 0 in MQTT. They count as outside the range; those outside it anyway are
        ignored.
    order
        "cyclic": the first free id after the last one handed out, wrapping at the end, so that an id rests as long as
        possible. Exactly so in one thread; parallel threads each go on from a position of their own. "lowest": the
        lowest free id.

    Raises
    ------
    TypeError, ValueError
        For a bound that is no integer or outside 0 .. 2**32-1, `first > last`, an unknown order, or nothing left to
        hand out.
    MemoryError
        When the bitmap cannot be had: two bits an id (three with exclusions), touched as ids are used.

    Every method may be called from any thread, with the GIL or without. No two live ids are ever equal. An allocator
    is always true, so `ids or Allocator()` never makes a second namespace; it can be neither pickled nor copied.

    >>> ids = Allocator(1, 3)
    >>> ids.acquire(), ids.acquire()
    (1, 2)
    >>> ids.release(1)
    >>> ids.acquire(), ids.acquire()
    (3, 1)
    >>> ids.acquire()
    Traceback (most recent call last):
    mtsid.errors.Exhausted: no id is free: all 3 are live; release one, wait with a timeout, or widen the range
    """

    # For cimport -----------------------------------------------------------------------------------------------------

    cdef int64_t acquire_id(self) noexcept nogil:
        cdef int64_t offset = BUSY
        cdef Seen seen
        if load_acquire(&self.bits.under_gil):  # G1
            self.leave_gil()
        while offset < 0:
            if load_relaxed(&self.bits.earliest) != NEVER and load_relaxed(&self.bits.earliest) <= clock_now():
                self.attached_end_rests()
            offset = bitmap_acquire(&self.bits, &seen)
            if offset == BUSY:
                thread_yield()
            elif offset < 0 and (seen.earliest == NEVER or seen.earliest > clock_now()):
                return EXHAUSTED
        return offset + self.first

    cdef int64_t release_id(self, uint32_t id) noexcept nogil:
        cdef int64_t offset = <int64_t> id - self.first
        cdef int64_t code
        if not bitmap_holds(&self.bits, offset):
            return NOT_LIVE
        if load_acquire(&self.bits.under_gil):  # G1
            self.leave_gil()
        code = bitmap_release(&self.bits, offset)
        while code == BUSY:
            thread_yield()
            code = bitmap_release(&self.bits, offset)
        if code != 0 and load_acquire(&self.bits.rest):  # R1
            return self.attached_free_resting(offset)
        if code == 0 and self.waiting.needed():
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

    cdef int64_t attached_free_resting(self, int64_t offset) noexcept with gil:
        return self.free_resting(offset)

    cdef int64_t reserve_id(self, uint32_t id) noexcept nogil:
        cdef int64_t offset = <int64_t> id - self.first
        cdef int64_t code
        if not bitmap_holds(&self.bits, offset):
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
        cdef double seconds = as_timeout(timeout)
        cdef Seen seen
        cdef int64_t offset = self.take(&seen)
        if offset >= 0:
            return self.give_out(offset)
        return self.acquire_slowly(seconds, &seen)

    @cython.final
    cdef object give_out(self, int64_t offset):
        """The id as a Python int. Without memory for one it is free again: no error path keeps an id."""
        cdef PyObject* id = new_int(offset + self.first)
        if id == NULL:
            self.free(offset)
            raise MemoryError()
        result = <object> id
        Py_DECREF(result)
        return result

    @cython.final
    cdef int64_t take(self, Seen* seen) except? -1:
        """An offset, or EXHAUSTED with what was `seen` then."""
        cdef int64_t offset
        if load_relaxed(&self.bits.earliest) != NEVER:
            self.end_rests()
        offset = bitmap_acquire(&self.bits, seen)
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
    cdef int64_t free(self, int64_t offset) except? -1:
        """0, or NOT_LIVE; and a wake-up for who waits for an id."""
        cdef int64_t code = bitmap_release(&self.bits, offset)
        while code == BUSY:
            with nogil:
                thread_yield()
            code = bitmap_release(&self.bits, offset)
        if code != 0 and load_acquire(&self.bits.rest):  # R1
            return self.free_resting(offset)
        if code == 0 and self.waiting.needed():
            self.waiting.wake(1)
        return code

    @cython.final
    cdef int64_t free_resting(self, int64_t offset) except? -1:
        """`free` of an id that may rest."""
        cdef int64_t code = BUSY
        self.end_rests()
        while code == BUSY:
            code = quarantine_release(&self.bits, offset)
            if code == BUSY:
                with nogil:
                    thread_yield()
        if code == 0 and self.waiting.needed():
            self.waiting.wake(1)
        return code

    @cython.final
    cdef object acquire_slowly(self, double seconds, Seen* seen):
        """After a first try that failed: wait as long as the caller likes."""
        cdef int64_t offset = EXHAUSTED
        cdef Waiter waiter
        cdef double deadline
        if seconds > 0:
            deadline = deadline_of(seconds)
            waiter = Waiter()
            try:
                while True:
                    self.waiting.enter(waiter)
                    offset = self.take(seen)
                    waiter.alarm = seen.earliest
                    if offset >= 0 or not self.waiting.sleep(waiter, deadline):
                        break
            finally:
                self.step_out(waiter)
        if offset < 0:
            raise self.exhausted(seen)
        return self.give_out(offset)

    @cython.final
    cdef int step_out(self, Waiter waiter) except -1:
        """Out of the line: a wake-up that came too late goes to the next one, and so does minding the alarm."""
        if self.waiting.leave(waiter) or load_acquire(&self.bits.earliest) != NEVER:
            self.waiting.wake(1)
        return 0

    @cython.final
    cdef object exhausted(self, Seen* seen):
        """The exception for one id that could not be had."""
        cdef uint64_t live = self.capacity_ - seen.quarantined
        held = f"{live} are live and {seen.quarantined} quarantined" if seen.quarantined else f"all {live} are live"
        return Exhausted(
            f"no id is free: {held}; release one, wait with a timeout, or widen the range",
            live=live, quarantined=seen.quarantined, capacity=self.capacity_,
        )

    def release(self, id) -> None:
        """Give an id back, a live or a quarantined one.

        `NotInUse` if it is neither: a double or foreign release frees nothing, and says so.
        """
        cdef int64_t offset = as_integer(id, "an id") - self.first
        if bitmap_holds(&self.bits, offset):
            if self.free(offset) == 0:
                return
            raise NotInUse(
                f"id {shown(id)} is not live: it was released already, or never acquired", id=offset + self.first
            )
        raise self.foreign(id)

    @cython.final
    cdef object foreign(self, object id):
        """The exception for an id outside the range where a live one was wanted."""
        return NotInUse(
            f"id {shown(id)} is not live: the range is {self.first} .. {self.first + <int64_t> self.bits.size - 1}"
            f"{', less the excluded ids' if self.bits.excluded_count else ''}",
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

    def quarantine(self, id, seconds=None) -> None:
        """Let a live id rest, so that nobody gets it: until `release(id)`, or for so many seconds if they are given.

        For an id that may yet be answered, or must not be seen again so soon. It is neither live nor available. Its
        time over, it is free by itself, and who waits for an id is woken. `NotInUse` if it is not live.

        Each id that rests takes some 50 bytes, as long as it does and in steps; a live one takes none of that.

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
        cdef int64_t code = BUSY
        if not bitmap_holds(&self.bits, offset):
            raise self.foreign(id)
        while code == BUSY or code == NO_ROOM:
            code = quarantine_put(&self.bits, offset, due)
            if code == NO_ROOM:
                self.make_room()
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

    @cython.final
    cdef int make_room(self) except -1:
        """For twice as many resting ids. Nothing is allocated inside a step."""
        cdef Timetable table
        cdef word* resting
        if not timetable_make(&table, &self.bits.table):
            raise MemoryError("no memory for more quarantined ids")
        resting = <word*> calloc((self.bits.leaf_count + 1) >> 1, sizeof(word))
        if resting == NULL:
            free(table.entries)
            raise MemoryError("no memory for quarantined ids")
        while not quarantine_install(&self.bits, &table, &resting):
            with nogil:
                thread_yield()
        free(table.entries)
        free(resting)
        return 0

    # Many ids --------------------------------------------------------------------------------------------------------

    def acquire_many(self, n):
        """Take `n` free ids at once, all or none.

        Returns an array of `n` uint32, in the order in which `acquire` would have handed them out. Raises
        `Exhausted`, with nothing taken, if at some instant during the call fewer were free. Threads claim in bulk one
        after another.
        """
        cdef int64_t want = as_integer(n, "n")
        cdef int64_t code = 0
        cdef uint64_t were_free, i
        cdef Seen seen
        cdef uint32_t* ids
        cdef Py_buffer view
        if want < 0:
            raise ValueError(f"n must not be negative, but is {shown(n)}")
        if want > <int64_t> self.capacity_:
            self.end_rests()
            raise Exhausted(
                f"{shown(n)} ids are more than the range has ({self.capacity_}): ask for fewer, or widen the range",
                live=self.count(), quarantined=load_acquire(&self.bits.quarantined), capacity=self.capacity_,
                wanted=index(n),
            )
        # The array first: once ids are claimed nothing may fail.
        array = new_array(want)
        if want == 0:
            return array
        PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
        ids = <uint32_t*> view.buf
        code = BUSY
        while code == BUSY:
            if load_relaxed(&self.bits.earliest) != NEVER:
                self.end_rests()
            code = bitmap_acquire_many(&self.bits, ids, want, &were_free, &seen)
            if code == BUSY:
                with nogil:
                    thread_yield()
            elif code != 0 and seen.earliest != NEVER and seen.earliest <= clock_now():
                code = BUSY  # one was due at that instant, and so it was free
        if code == 0:
            for i in range(<uint64_t> want):
                ids[i] += <uint32_t> self.first
        PyBuffer_Release(&view)
        if code != 0:
            raise Exhausted(
                f"{want} ids were asked for, but {were_free} of {self.capacity_} were free: release some, or ask "
                "for fewer",
                live=self.capacity_ - were_free - seen.quarantined, quarantined=seen.quarantined,
                capacity=self.capacity_, wanted=index(n),
            )
        return array

    @cython.final
    cdef bytes offsets_of(self, object ids):
        """The ids of a bulk call, checked: integers, in the range, not excluded, no duplicates."""
        cdef bytes memory = as_offsets(ids, self.first, self.bits.size, "ids")
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef uint32_t twice = 0
        cdef Py_ssize_t i
        if self.bits.excluded != NULL:
            for i in range(length):
                if not bitmap_holds(&self.bits, offsets[i]):
                    raise ValueError(f"id {self.first + offsets[i]} is excluded")
        if has_duplicate(offsets, length, &twice):
            raise ValueError(f"id {self.first + twice} stands twice in one call")
        return memory

    def release_many(self, ids) -> None:
        """Give ids back: any sequence or flat array of integers.

        Wrong types, ids outside the range and duplicates within the call raise `TypeError` or `ValueError` and change
        nothing. Ids that are neither live nor quarantined at their turn are skipped, the rest released, then one
        `NotInUse` lists them in `.refused`.
        """
        cdef bytes memory = self.offsets_of(ids)
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef Releasing state
        cdef uint64_t i
        cdef uint64_t refused_ = 0
        state.next = state.refused = 0
        while bitmap_release_many(&self.bits, offsets, length, &state) == BUSY:
            with nogil:
                thread_yield()
        if state.refused and load_acquire(&self.bits.rest):  # R1
            for i in range(state.refused):
                if self.free_resting(offsets[i]) != 0:
                    offsets[refused_] = offsets[i]
                    refused_ += 1
            state.refused = refused_
        if self.waiting.needed():
            self.waiting.wake(length - state.refused)
        if state.refused:
            refused = [self.first + offsets[i] for i in range(state.refused)]
            raise NotInUse(
                f"{len(refused)} of {length} ids were not live, the rest is released: "
                f"{', '.join(map(str, refused[:10]))}{' ...' if len(refused) > 10 else ''}",
                refused=refused,
            )

    def reserve_many(self, ids) -> None:
        """Take these very ids, all or none: those of a restored session.

        `InUse` names one that is live or quarantined.
        """
        cdef bytes memory = self.offsets_of(ids)
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef uint32_t in_use = 0
        cdef int64_t code
        if load_relaxed(&self.bits.earliest) != NEVER:
            self.end_rests()
        code = bitmap_reserve_many(&self.bits, offsets, length, &in_use)
        while code == BUSY:
            with nogil:
                thread_yield()
            code = bitmap_reserve_many(&self.bits, offsets, length, &in_use)
        if code != 0:
            raise InUse(
                f"id {self.first + in_use} is live or quarantined: none of the {length} was reserved",
                id=self.first + in_use,
            )

    def reset(self):
        """Release every id, as after a reconnection: the live ones, which are returned as a sorted array of uint32, and
        those in quarantine, which ends.

        Beside other threads: each id that was live when its turn came is released and returned once.
        """
        cdef uint64_t leaf = 0
        cdef int64_t got
        cdef uint32_t* ids
        cdef Py_buffer view
        cdef int64_t i
        arrays = []
        while leaf < self.bits.leaf_count:
            # Just as large as needed when no other thread is at work: then nothing can fail once ids are released.
            array = new_array(self.count())
            arrays.append(array)
            PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
            ids = <uint32_t*> view.buf
            got = bitmap_reset(&self.bits, &leaf, ids, len(array))
            while got == BUSY:
                with nogil:
                    thread_yield()
                got = bitmap_reset(&self.bits, &leaf, ids, len(array))
            for i in range(got):
                ids[i] += <uint32_t> self.first
            PyBuffer_Release(&view)
            if self.waiting.needed():
                self.waiting.wake_all()
            if got < len(array):
                arrays[len(arrays) - 1] = array[:got]
        if len(arrays) == 1:
            return arrays[0]
        return get_numpy().concatenate(arrays) if arrays else new_array(0)
