"""Which numbers are in use? An allocator of reusable ids: lock-free, exact, callable without the GIL.

The algorithm and its invariants stand in bitmap.pxd, the bulk operations in bitmap_bulk.pxd, blocking in waiting.pyx.
This file turns Python's arguments into offsets and return codes into exceptions. Reentrant: no lock of ours is held
while Python runs, so any method may be called from `__del__`, a signal handler or the garbage collector.

It must not know: what an id stands for.
"""

from operator import index

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc

from mtsid.core.arrays cimport get_numpy, new_array
from mtsid.core.arguments cimport as_integer, as_offsets, as_range, as_timeout, has_duplicate, shown
from mtsid.core.atomic cimport load_acquire, store_release, thread_yield, word
from mtsid.core.bitmap cimport (
    BUSY,
    EXHAUSTED,
    NOT_LIVE,
    bitmap_acquire,
    bitmap_close,
    bitmap_exclude,
    bitmap_holds,
    bitmap_live,
    bitmap_open,
    bitmap_release,
    bitmap_reserve,
    count_bits,
    fixed_bits,
    is_full,
    lowest_bit32,
)
from mtsid.core.bitmap_bulk cimport (
    Releasing,
    bitmap_acquire_many,
    bitmap_release_many,
    bitmap_reserve_many,
    bitmap_reset,
)
from mtsid.core.waiting cimport Waiter, WaitSet, deadline_of

from mtsid.errors import AuditError, Exhausted, InUse, NotInUse


cdef extern from "Python.h":
    # As a plain pointer, so that NULL can be handled before Cython raises.
    PyObject* new_int "PyLong_FromLongLong"(long long)

cdef extern from *:
    """
    #if defined(Py_GIL_DISABLED) || defined(MTSID_SCHEDULED)  /* a scheduled thread lets go of the GIL at each point */
    #define MTSID_GIL 0
    #else
    #define MTSID_GIL 1
    #endif
    """
    bint GIL "MTSID_GIL"


@cython.no_gc_clear  # no cycle runs through it, and whatever releases an id late must find it whole
cdef class Allocator:
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

    def __cinit__(self, *args, **kwargs):
        self.waiting = WaitSet.__new__(WaitSet)

    def __init__(self, first=1, last=65535, *, exclude=(), order="cyclic"):
        cdef int64_t low, high
        low, high, excluded, lowest = as_range(first, last, exclude, order)
        if self.bits.block != NULL:
            raise TypeError("an allocator is initialised once; make a new one")
        if not bitmap_open(&self.bits, high - low + 1, lowest, GIL):
            raise MemoryError(f"no memory for a bitmap of {high - low + 1} ids")
        if excluded:
            self.bits.excluded = <uint32_t*> calloc(self.bits.leaf_count, sizeof(uint32_t))
            if self.bits.excluded == NULL:
                bitmap_close(&self.bits)
                raise MemoryError("no memory for the excluded ids")
            for id in excluded:
                bitmap_exclude(&self.bits, <int64_t> id - low)
        self.first = low
        self.capacity_ = self.bits.size - self.bits.excluded_count

    def __dealloc__(self):
        bitmap_close(&self.bits)

    # For cimport -----------------------------------------------------------------------------------------------------

    cdef void leave_gil(self) noexcept with gil:
        store_release(&self.bits.under_gil, 0)  # G0

    cdef int64_t acquire_id(self) noexcept nogil:
        cdef int64_t offset
        if load_acquire(&self.bits.under_gil):  # G1
            self.leave_gil()
        offset = bitmap_acquire(&self.bits)
        while offset == BUSY:
            thread_yield()
            offset = bitmap_acquire(&self.bits)
        return offset + self.first if offset >= 0 else EXHAUSTED

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
        if code == 0 and self.waiting.needed():
            self.wake_one()
        return code

    cdef void wake_one(self) noexcept with gil:
        self.waiting.wake(1)

    cdef int64_t reserve_id(self, uint32_t id) noexcept nogil:
        cdef int64_t offset = <int64_t> id - self.first
        cdef int64_t code
        if not bitmap_holds(&self.bits, offset):
            return NOT_LIVE
        if load_acquire(&self.bits.under_gil):  # G1
            self.leave_gil()
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
        cdef int64_t offset = self.take()
        if offset >= 0:
            return self.give_out(offset)
        return self.acquire_slowly(seconds)

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
    cdef int64_t take(self) except? -1:
        """`bitmap_acquire`, once no bulk claim is half done. The GIL is given up meanwhile: never spin with it."""
        cdef int64_t offset = bitmap_acquire(&self.bits)
        while offset == BUSY:
            with nogil:
                thread_yield()
            offset = bitmap_acquire(&self.bits)
        return offset

    @cython.final
    cdef int64_t free(self, int64_t offset) except? -1:
        """`bitmap_release` in the same way, and a wake-up for who waits for an id."""
        cdef int64_t code = bitmap_release(&self.bits, offset)
        while code == BUSY:
            with nogil:
                thread_yield()
            code = bitmap_release(&self.bits, offset)
        if code == 0 and self.waiting.needed():
            self.waiting.wake(1)
        return code

    @cython.final
    cdef object acquire_slowly(self, double seconds):
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
                    offset = self.take()
                    if offset >= 0 or not self.waiting.sleep(waiter, deadline):
                        break
            finally:
                if self.waiting.leave(waiter):
                    self.waiting.wake(1)
        if offset < 0:
            raise Exhausted(
                f"no id is free: all {self.capacity_} are live; release one, wait with a timeout, or widen the range",
                live=self.capacity_, capacity=self.capacity_,
            )
        return self.give_out(offset)

    def release(self, id) -> None:
        """Give an id back. `NotInUse` if it is not live: a double or foreign release frees nothing, and says so."""
        cdef int64_t offset = as_integer(id, "an id") - self.first
        if bitmap_holds(&self.bits, offset):
            if self.free(offset) == 0:
                return
            raise NotInUse(
                f"id {shown(id)} is not live: it was released already, or never acquired", id=offset + self.first
            )
        raise NotInUse(
            f"id {shown(id)} is not live: the range is {self.first} .. {self.first + <int64_t> self.bits.size - 1}"
            f"{', less the excluded ids' if self.bits.excluded_count else ''}",
            id=index(id),
        )

    def reserve(self, id) -> None:
        """Take this very id: a number that the peer chose, or one of a restored session.

        `InUse` if it is live; `ValueError` if it is outside the range or excluded.
        """
        cdef int64_t offset = self.offset_of(id)
        cdef int64_t code = bitmap_reserve(&self.bits, offset)
        while code == BUSY:
            with nogil:
                thread_yield()
            code = bitmap_reserve(&self.bits, offset)
        if code != 0:
            raise InUse(f"id {shown(id)} is live: release it first, or choose another", id=offset + self.first)

    @cython.final
    cdef int64_t offset_of(self, object id) except? -1:
        cdef int64_t offset = as_integer(id, "an id") - self.first
        if bitmap_holds(&self.bits, offset):
            return offset
        raise ValueError(
            f"id {shown(id)} is outside the range {self.first} .. {self.first + <int64_t> self.bits.size - 1}"
            f"{', or excluded' if self.bits.excluded_count else ''}"
        )

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
        cdef uint32_t* ids
        cdef Py_buffer view
        if want < 0:
            raise ValueError(f"n must not be negative, but is {shown(n)}")
        if want > <int64_t> self.capacity_:
            raise Exhausted(
                f"{shown(n)} ids are more than the range has ({self.capacity_}): ask for fewer, or widen the range",
                live=self.count(), capacity=self.capacity_, wanted=index(n),
            )
        # The array first: once ids are claimed nothing may fail.
        array = new_array(want)
        if want == 0:
            return array
        PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
        ids = <uint32_t*> view.buf
        code = bitmap_acquire_many(&self.bits, ids, want, &were_free)
        while code == BUSY:
            with nogil:
                thread_yield()
            code = bitmap_acquire_many(&self.bits, ids, want, &were_free)
        if code == 0:
            for i in range(<uint64_t> want):
                ids[i] += <uint32_t> self.first
        PyBuffer_Release(&view)
        if code != 0:
            raise Exhausted(
                f"{want} ids were asked for, but {were_free} of {self.capacity_} were free: release some, or ask "
                "for fewer",
                live=self.capacity_ - were_free, capacity=self.capacity_, wanted=index(n),
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
        nothing. Ids that are not live at their turn are skipped, the rest released, then one `NotInUse` lists them in
        `.refused`.
        """
        cdef bytes memory = self.offsets_of(ids)
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef Releasing state
        cdef uint64_t i
        state.next = state.refused = 0
        while bitmap_release_many(&self.bits, offsets, length, &state) == BUSY:
            with nogil:
                thread_yield()
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
        """Take these very ids, all or none: those of a restored session. `InUse` names one that is live."""
        cdef bytes memory = self.offsets_of(ids)
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef uint32_t in_use = 0
        cdef int64_t code = bitmap_reserve_many(&self.bits, offsets, length, &in_use)
        while code == BUSY:
            with nogil:
                thread_yield()
            code = bitmap_reserve_many(&self.bits, offsets, length, &in_use)
        if code != 0:
            raise InUse(
                f"id {self.first + in_use} is live: none of the {length} was reserved", id=self.first + in_use
            )

    def reset(self):
        """Release every live id, as after a reconnection, and return them as a sorted array of uint32.

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
                self.waiting.wake(got)
            if got < len(array):
                arrays[len(arrays) - 1] = array[:got]
        if len(arrays) == 1:
            return arrays[0]
        return get_numpy().concatenate(arrays) if arrays else new_array(0)

    # Views -----------------------------------------------------------------------------------------------------------

    @cython.final
    cdef uint32_t live_bits(self, uint64_t leaf) noexcept:
        cdef uint32_t bits = 0
        while bitmap_live(&self.bits, leaf, &bits) == BUSY:
            with nogil:
                thread_yield()
        return bits

    @cython.final
    cdef uint64_t count(self) noexcept:
        cdef uint64_t total = 0
        cdef uint64_t leaf
        for leaf in range(self.bits.leaf_count):
            total += count_bits(self.live_bits(leaf))
        return total

    def state(self, id) -> str:
        """"free" or "live". `ValueError` outside the range."""
        cdef int64_t offset = self.offset_of(id)
        return "live" if (self.live_bits(offset >> 5) >> (offset & 31)) & 1 else "free"

    def __contains__(self, id) -> bool:
        cdef int64_t offset
        try:
            offset = as_integer(id, "an id") - self.first
        except TypeError:
            return False
        if not bitmap_holds(&self.bits, offset):
            return False
        return (self.live_bits(offset >> 5) >> (offset & 31)) & 1

    def __len__(self) -> int:
        """The number of live ids: exact when no other thread is at work, else a count over about that time."""
        return self.count()

    def __iter__(self):
        """The live ids, rising: exact when no other thread is at work; otherwise each was live at some instant."""
        cdef uint64_t leaf
        cdef uint32_t bits
        for leaf in range(self.bits.leaf_count):
            bits = self.live_bits(leaf)
            while bits:
                yield self.first + <int64_t> (leaf << 5 | lowest_bit32(bits))
                bits &= bits - 1

    def __bool__(self) -> bool:
        return True

    @property
    def capacity(self) -> int:
        """How many ids there are: the range less the excluded ones."""
        return self.capacity_

    @property
    def available(self) -> int:
        """How many ids are free; as exact as `len`."""
        return self.capacity_ - self.count()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} {self.first} .. "
            f"{self.first + <int64_t> self.bits.size - 1}, {self.count()} of {self.capacity_} live>"
        )

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "an Allocator cannot be pickled or copied: a copy would hand out ids that are live here; share this one between "
            "threads, or give another process a range of its own"
        )

    def _check(self) -> None:
        """Assert what must hold when no other thread is at work; raises `AuditError`. For tests."""
        cdef uint64_t leaf, hint
        cdef uint32_t fixed
        cdef int level
        if load_acquire(&self.bits.claim) & 1:
            raise AuditError("a bulk claim is half done")
        for leaf in range(self.bits.leaf_count):
            fixed = fixed_bits(&self.bits, leaf)
            if <uint32_t> load_acquire(&self.bits.leaves[leaf]) & fixed != fixed:
                raise AuditError(f"leaf {leaf}: an excluded id or the padding was released")
        for level in range(self.bits.levels):
            for hint in range(self.bits.widths[level]):
                if load_acquire(&self.bits.hints[level][hint >> 6]) >> (hint & 63) & 1 and not is_full(
                    &self.bits, level, hint
                ):
                    raise AuditError(f"level {level}, hint {hint}: set, though not full")
