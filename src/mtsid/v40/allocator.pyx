"""Exchange 4.0's way with ids: the verbs of `mtsid.Allocator`, and on purpose one defect of three.

For comparative fault tests only. The defects stand in pool.pxd and, for racy-claim, in `try_acquire` below. Two live
ids may be equal; both holders may release, and the id is free when the last has. Nothing crashes, leaks or corrupts
memory.

A monitor, unlike `mtsid.Allocator`: the GIL itself or a mutex. Slower when nearly full; 4.0 is here to be compared
with, not to win.
"""

from operator import index

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from mtsid.core.arguments cimport as_integer, as_offsets, as_range, as_timeout, has_duplicate, shown
from mtsid.core.atomic cimport thread_yield
from mtsid.core.monitor cimport monitor_close, monitor_enter, monitor_leave, monitor_open
from mtsid.core.waiting cimport Waiter, WaitSet, deadline_of
from mtsid.v40.pool cimport (
    CYCLIC,
    LOWEST,
    RACY_CLAIM,
    UNCHECKED_WRAP,
    Pool,
    as_defect,
    check_size,
    pool_claim,
    pool_close,
    pool_give_back,
    pool_look_up,
    pool_open,
    pool_unclaim,
    pool_unlist,
)

from mtsid.errors import Exhausted, InUse, NotInUse


cdef object get_numpy():
    """numpy, imported at the first bulk call or view."""
    import numpy

    return numpy


DEFECTS = ("double-release", "racy-claim", "unchecked-wrap")


@cython.no_gc_clear  # as in mtsid.Allocator
cdef class Allocator:
    """`mtsid.Allocator` as Exchange 4.0 might have had it; its arguments, and

    defect
        "double-release": a release of an id that is not live is not refused; the id is on the free list twice.
        "racy-claim": looking an id up and claiming it are two steps, and another thread may come in between.
        "unchecked-wrap": a counter that wraps, and hands out ids that are still live; it is never exhausted.

    Raises `TypeError` and `ValueError` as `mtsid.Allocator` does. Any thread may call any method: what may go wrong is
    that two of them get the same id.

    >>> ids = Allocator(1, 2)
    >>> first = ids.acquire()
    >>> ids.release(first)
    >>> ids.release(first)
    >>> [ids.acquire(), ids.acquire(), ids.acquire()]
    [2, 1, 1]
    """

    def __cinit__(self, *args, **kwargs):
        self.waiting = WaitSet.__new__(WaitSet)

    def __init__(self, first=1, last=65535, *, exclude=(), order="cyclic", defect="double-release"):
        cdef int64_t low, high
        cdef uint64_t offset
        low, high, excluded, lowest = as_range(first, last, exclude, order)
        kind = as_defect(defect, DEFECTS)
        check_size(high - low + 1)
        if self.pool.size:
            raise TypeError("an allocator is initialised once; make a new one")
        if not pool_open(&self.pool, high - low + 1, kind, LOWEST if lowest else CYCLIC):
            pool_close(&self.pool)
            raise MemoryError(f"no memory for {high - low + 1} ids")
        monitor_open(&self.monitor)
        self.first = low
        if excluded:
            self.shut_out = <uint8_t*> calloc(self.pool.size, 1)
            if self.shut_out == NULL:
                raise MemoryError("no memory for the excluded ids")
        for id in excluded:
            offset = <int64_t> id - low
            self.shut_out[offset] = True
            pool_unlist(&self.pool, offset)
        self.capacity_ = self.pool.size - len(excluded)

    def __dealloc__(self):
        if self.pool.size:
            monitor_close(&self.monitor)
        pool_close(&self.pool)
        free(self.shut_out)

    # One id ----------------------------------------------------------------------------------------------------------

    cdef int64_t claim(self) noexcept:
        """An offset, or -1. Inside the monitor."""
        cdef int64_t offset = pool_look_up(&self.pool)
        if self.pool.defect == RACY_CLAIM and offset >= 0:
            # DEFECT racy-claim (A): between the look-up and the claim another thread runs, and may look up the same id.
            # In the field: py-amqp 5.4.2, ldap3 2.9.1.
            monitor_leave(&self.monitor)
            with nogil:
                thread_yield()
            monitor_enter(&self.monitor)
        if self.pool.defect == UNCHECKED_WRAP:
            while self.is_excluded(offset):
                offset = offset + 1 if <uint64_t> offset + 1 < self.pool.size else 0
        if offset >= 0:
            pool_claim(&self.pool, offset)
        return offset

    cdef bint is_excluded(self, uint64_t offset) noexcept:
        return self.shut_out != NULL and self.shut_out[offset]

    cdef int64_t try_acquire(self):
        """An offset, or -1."""
        cdef int64_t offset
        monitor_enter(&self.monitor)
        offset = self.claim()
        monitor_leave(&self.monitor)
        return offset

    def acquire(self, timeout=0.0) -> int:
        """As `mtsid.Allocator.acquire`, save that the id may be live already."""
        cdef double seconds = as_timeout(timeout)
        cdef int64_t offset = self.try_acquire()
        cdef double deadline
        cdef Waiter waiter
        if offset < 0 and seconds > 0:
            deadline = deadline_of(seconds)
            waiter = Waiter()
            try:
                while True:
                    self.waiting.enter(waiter)
                    offset = self.try_acquire()
                    if offset >= 0 or not self.waiting.sleep(waiter, deadline):
                        break
            finally:
                if self.waiting.leave(waiter):
                    self.waiting.wake(1)
        if offset < 0:
            raise Exhausted(
                f"no id is free: all {self.capacity_} are live; release one, wait with a timeout, or widen the range",
                live=len(self), capacity=self.capacity_,
            )
        return self.first + offset

    def release(self, id) -> None:
        """As `mtsid.Allocator.release`; with double-release, an id that is not live is taken back all the same."""
        cdef int64_t offset = as_integer(id, "an id") - self.first
        cdef bint done
        if not 0 <= offset < <int64_t> self.pool.size or self.is_excluded(offset):
            raise NotInUse(f"id {shown(id)} is not live: it is outside the range, or excluded", id=index(id))
        monitor_enter(&self.monitor)
        done = pool_give_back(&self.pool, offset)
        monitor_leave(&self.monitor)
        if not done:
            raise NotInUse(f"id {shown(id)} is not live: it was released already, or never acquired", id=index(id))
        if self.waiting.needed():
            self.waiting.wake(1)

    def reserve(self, id) -> None:
        """As `mtsid.Allocator.reserve`."""
        cdef int64_t offset = self.offset_of(id)
        cdef bint is_free
        monitor_enter(&self.monitor)
        is_free = self.pool.spare[offset] > 0 and self.pool.holders[offset] == 0
        if is_free:
            reserve_one(&self.pool, offset)
        monitor_leave(&self.monitor)
        if not is_free:
            raise InUse(f"id {shown(id)} is live: release it first, or choose another", id=index(id))

    cdef int64_t offset_of(self, object id) except? -1:
        cdef int64_t offset = as_integer(id, "an id") - self.first
        if not 0 <= offset < <int64_t> self.pool.size or self.is_excluded(offset):
            raise ValueError(f"id {shown(id)} is outside the range, or excluded")
        return offset

    # Many ids --------------------------------------------------------------------------------------------------------

    cdef uint64_t try_acquire_many(self, uint32_t* ids, uint64_t want):
        """Claim `want` ids and return that; or claim none, and return how many were free."""
        cdef uint64_t got = 0
        cdef uint64_t i, before
        cdef int64_t offset
        monitor_enter(&self.monitor)
        before = self.pool.next
        while got < want:
            offset = self.claim()
            if offset < 0:
                break
            ids[got] = <uint32_t> offset
            got += 1
        if got < want:
            for i in range(got):
                pool_unclaim(&self.pool, ids[i])
            self.pool.next = before
        monitor_leave(&self.monitor)
        return got

    def acquire_many(self, n):
        """As `mtsid.Allocator.acquire_many`, save that ids may be live already."""
        cdef int64_t want = as_integer(n, "n")
        cdef uint64_t got, i
        cdef uint32_t* ids
        cdef Py_buffer view
        if want < 0:
            raise ValueError(f"n must not be negative, but is {shown(n)}")
        if want > <int64_t> self.capacity_:
            raise Exhausted(
                f"{shown(n)} ids are more than the range has ({self.capacity_}): ask for fewer, or widen the range",
                live=len(self), capacity=self.capacity_, wanted=index(n),
            )
        array = get_numpy().empty(want, "uint32")
        if want == 0:
            return array
        PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
        ids = <uint32_t*> view.buf
        got = self.try_acquire_many(ids, want)
        for i in range(got):
            ids[i] += <uint32_t> self.first
        PyBuffer_Release(&view)
        if got < <uint64_t> want:
            if self.waiting.needed():
                self.waiting.wake(got)
            raise Exhausted(
                f"{want} ids were asked for, but {got} of {self.capacity_} were free: release some, or ask for fewer",
                live=self.capacity_ - got, capacity=self.capacity_, wanted=index(n),
            )
        return array

    cdef bytes offsets_of(self, object ids):
        """The ids of a bulk call, checked: integers, in the range, not excluded, no duplicates."""
        cdef bytes memory = as_offsets(ids, self.first, self.pool.size, "ids")
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef uint32_t twice = 0
        cdef Py_ssize_t i
        for i in range(length):
            if self.is_excluded(offsets[i]):
                raise ValueError(f"id {self.first + offsets[i]} is excluded")
        if has_duplicate(offsets, length, &twice):
            raise ValueError(f"id {self.first + twice} stands twice in one call")
        return memory

    def release_many(self, ids) -> None:
        """As `mtsid.Allocator.release_many`; with double-release nothing is refused for not being live."""
        cdef bytes memory = self.offsets_of(ids)
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef Py_ssize_t refused_count = 0
        cdef Py_ssize_t i
        monitor_enter(&self.monitor)
        for i in range(length):
            if not pool_give_back(&self.pool, offsets[i]):
                offsets[refused_count] = offsets[i]
                refused_count += 1
        monitor_leave(&self.monitor)
        if self.waiting.needed():
            self.waiting.wake(length - refused_count)
        if refused_count:
            refused = []
            for i in range(refused_count):  # no comprehension, as in core/verbs.pyx
                refused.append(self.first + offsets[i])
            raise NotInUse(f"{len(refused)} of {length} ids were not live, the rest is released", refused=refused)

    def reserve_many(self, ids) -> None:
        """As `mtsid.Allocator.reserve_many`."""
        cdef bytes memory = self.offsets_of(ids)
        cdef uint32_t* offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        cdef Py_ssize_t length = len(memory) // sizeof(uint32_t)
        cdef Py_ssize_t i
        cdef int64_t in_use = -1
        monitor_enter(&self.monitor)
        for i in range(length):
            if self.pool.spare[offsets[i]] == 0 or self.pool.holders[offsets[i]]:
                in_use = offsets[i]
                break
        if in_use < 0:
            for i in range(length):
                reserve_one(&self.pool, offsets[i])
        monitor_leave(&self.monitor)
        if in_use >= 0:
            raise InUse(f"id {self.first + in_use} is live: none of the {length} was reserved", id=self.first + in_use)

    def reset(self):
        """As `mtsid.Allocator.reset`; a twin is returned once for each of its holders. Numbers listed twice stay so."""
        live = get_numpy().fromiter(self, "uint32")
        cdef uint64_t offset
        for id in live.tolist():
            offset = id - self.first
            monitor_enter(&self.monitor)
            if self.pool.holders[offset]:
                pool_give_back(&self.pool, offset)
            monitor_leave(&self.monitor)
        if self.waiting.needed():
            self.waiting.wake(len(live))
        return live

    # Views -----------------------------------------------------------------------------------------------------------

    cdef bytes holders(self):
        """How many hold each offset, copied in one step."""
        cdef bytes memory = PyBytes_FromStringAndSize(NULL, self.pool.size * sizeof(uint32_t))
        monitor_enter(&self.monitor)
        if self.pool.size:  # else `holders` is NULL, which memcpy may not be given even for nothing
            memcpy(PyBytes_AS_STRING(memory), self.pool.holders, self.pool.size * sizeof(uint32_t))
        monitor_leave(&self.monitor)
        return memory

    def state(self, id) -> str:
        """"free" or "live"."""
        cdef int64_t offset = self.offset_of(id)
        return "live" if self.pool.holders[offset] else "free"

    def __contains__(self, id) -> bool:
        try:
            return self.state(id) == "live"
        except (TypeError, ValueError):
            return False

    def __len__(self) -> int:
        """How many are live; a twin counts for each of its holders."""
        cdef uint64_t held
        monitor_enter(&self.monitor)
        held = self.pool.held
        monitor_leave(&self.monitor)
        return held

    def __iter__(self):
        """The live ids, rising; a twin once for each of its holders."""
        numpy = get_numpy()
        holders = numpy.frombuffer(self.holders(), "uint32")
        live = numpy.nonzero(holders)[0]
        return iter((numpy.repeat(live, holders[live]) + self.first).tolist())

    def __bool__(self) -> bool:
        return True

    @property
    def capacity(self) -> int:
        """How many ids there are: the range less the excluded ones."""
        return self.capacity_

    @property
    def available(self) -> int:
        """How many times the free list could be asked: a number that is on it twice counts twice."""
        return self.pool.spares

    @property
    def defect(self) -> str:
        """Which defect this allocator has."""
        return DEFECTS[self.pool.defect]

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} {self.first} .. "
            f"{self.first + <int64_t> self.pool.size - 1}, {DEFECTS[self.pool.defect]}, {len(self)} live>"
        )

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "an Allocator cannot be pickled or copied: a copy would hand out ids that are live here; share this one between "
            "threads, or give another process a range of its own"
        )


cdef inline void reserve_one(Pool* pool, uint64_t offset) noexcept nogil:
    """Claim this very number; the next search goes on from where it was."""
    cdef uint64_t before = pool.next
    pool_claim(pool, offset)
    pool.next = before
