"""Which numbers are in use? An allocator of reusable ids: lock-free, exact, callable without the GIL.

One id at a time is id_verbs.pyx, whose algorithm bitmap.pxd explains; memory and views are id_range.pyx. Here: many ids
at once, leases, and the end of all of them. Reentrant like those two.

It must not know: what an id stands for.
"""

from itertools import islice
from operator import index

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from mtsid.core.arrays cimport get_numpy, new_array
from mtsid.core.arguments cimport as_integer, as_offsets, as_timeout, has_duplicate, shown
from mtsid.core.atomic cimport add_seq_cst, load_acquire, load_relaxed, thread_yield
from mtsid.core.bitmap cimport BUSY, Seen, bitmap_holds, note_live, see_rest
from mtsid.core.bitmap_bulk cimport (
    Releasing,
    bitmap_acquire_many,
    bitmap_release_many,
    bitmap_reserve_many,
)
from mtsid.core.id_verbs cimport IdVerbs
from mtsid.core.lease cimport Lease
from mtsid.core.leases cimport reset_begin, reset_end
from mtsid.core.quarantine cimport bitmap_reset
from mtsid.core.timetable cimport NEVER
from mtsid.core.waiting cimport clock_now

from mtsid.errors import Exhausted, InUse, NotInUse


@cython.no_gc_clear  # as IdRange
cdef class Allocator(IdVerbs):
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
        if want > <int64_t> load_acquire(&self.bits.capacity):
            were_free = self.available
            while not see_rest(&self.bits, &seen):
                with nogil:
                    thread_yield()
            add_seq_cst(&self.bits.exhausted, 1)
            raise Exhausted(
                f"{shown(n)} ids are more than the range has ({seen.capacity}): ask for fewer, or widen the range",
                live=max(0, <int64_t> (seen.capacity - were_free - seen.quarantined)), quarantined=seen.quarantined,
                capacity=seen.capacity, wanted=index(n),
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
            add_seq_cst(&self.bits.exhausted, 1)
            note_live(&self.bits, seen.capacity - were_free - seen.quarantined)
            raise Exhausted(
                f"{want} ids were asked for, but {were_free} of {seen.capacity} were free: release some, or ask "
                "for fewer",
                live=seen.capacity - were_free - seen.quarantined, quarantined=seen.quarantined,
                capacity=seen.capacity, wanted=index(n),
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
                if self.free(offsets[i]) != 0:
                    offsets[refused_] = offsets[i]
                    refused_ += 1
            state.refused = refused_
        if self.waiting.needed():
            self.waiting.wake(length - state.refused)
        if state.refused:
            add_seq_cst(&self.bits.refused, state.refused)
            refused = []
            for i in range(state.refused):  # no comprehension, as in verbs.pyx
                refused.append(self.first + offsets[i])
            # No slice of the list: CPython 3.13 without the GIL frees something twice if there is no memory for one.
            raise NotInUse(
                f"{len(refused)} of {length} ids were not live, the rest is released: "
                f"{', '.join(map(str, islice(refused, 10)))}{' ...' if len(refused) > 10 else ''}",
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
        cdef Py_ssize_t i
        for i in range(length):
            if offsets[i] >= load_relaxed(&self.bits.bound):
                raise ValueError(f"id {self.first + offsets[i]} is outside the range {self.first} .. {self.last()}")
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

    # Leases, and the end of all -------------------------------------------------------------------------------------

    def lease(self, timeout=0.0):
        """An id for as long as a `with` block runs: released at its exit, however that comes, unless `keep()` was called.

        The block gets the id, as an `int` that has `keep()` as well. `timeout` and `Exhausted` are those of `acquire`;
        it is waited when the block is entered. An id that the block put in quarantine stays there. A block that lasts
        longer than that quarantine, or that releases the id itself, calls `keep()` before: by its exit the id may be
        somebody else's, which a lease knows after a `reset` alone.

        A lease knows its own use of an id: after a `reset` it is stale, and neither frees the id, which may be somebody
        else's by then, nor keeps it; it raises `Stale`, save where that would hide an exception of the block.

        >>> ids = Allocator(1, 9)
        >>> with ids.lease() as id:
        ...     print(id, ids.state(id))
        1 live
        >>> ids.state(1)
        'free'
        >>> with ids.lease() as id:
        ...     id.keep()  # it was sent, and is released when the answer comes
        >>> list(ids)
        [2]
        """
        cdef Lease lease = Lease.__new__(Lease)
        lease.seconds = as_timeout(timeout)
        lease.ids = self
        return lease

    def reset(self):
        """Release every id, as after a reconnection: the live ones, which are returned as a sorted array of uint32, and
        those in quarantine, which ends. Leases from before are stale.

        Beside other threads: each id that was live when its turn came is released and returned once.
        """
        cdef uint64_t leaf = 0
        cdef uint64_t i
        cdef uint64_t count = 0
        cdef uint64_t more = 0
        cdef uint64_t room
        cdef int64_t got
        cdef uint32_t* ids
        cdef uint32_t* others = NULL
        cdef uint32_t* larger
        cdef Py_buffer view
        # Just as large as needed when no other thread is at work: then nothing can fail once ids are released.
        array = new_array(self.count())
        PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
        ids = <uint32_t*> view.buf
        # From here to the end no Python and no GIL given up. With the GIL nothing is ever found half done.
        reset_begin(&self.bits)
        got = BUSY
        while got == BUSY:
            got = bitmap_reset(&self.bits, &leaf, ids, len(array))
            if got == BUSY:
                thread_yield()
        count = got
        room = 0
        while leaf < self.bits.leaf_count:
            # Others have acquired meanwhile: what finds no room in the array goes here.
            if room - more < 32:
                room = 2 * room + 1024
                larger = <uint32_t*> realloc(others, room * sizeof(uint32_t))
                if larger == NULL:
                    break
                others = larger
            got = bitmap_reset(&self.bits, &leaf, others + more, room - more)
            if got == BUSY:
                thread_yield()
            else:
                more += got
        reset_end(&self.bits)
        for i in range(count):
            ids[i] += <uint32_t> self.first
        PyBuffer_Release(&view)
        try:
            if self.waiting.needed():
                self.waiting.wake_all()
            if leaf < self.bits.leaf_count:
                raise MemoryError("no memory for the ids that were live: so many were released, and the rest was not")
            if count < len(array):
                array = array[:count]
            if more:
                rest = new_array(more)
                PyObject_GetBuffer(rest, &view, PyBUF_C_CONTIGUOUS)
                for i in range(more):
                    (<uint32_t*> view.buf)[i] = others[i] + <uint32_t> self.first
                PyBuffer_Release(&view)
                array = get_numpy().concatenate([array, rest])
            return array
        finally:
            free(others)
