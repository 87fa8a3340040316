"""What a queue holds, and how it is looked at: memory, keys, counts, snapshots, the audit. The verbs are in verbs.pyx.

A queue is a monitor: every operation is one step on the backlog (backlog.pxd), made atomic by the GIL itself or,
without one, by a mutex held for tens of nanoseconds (monitor.h). How messages are numbered is left to a subclass, in
five small methods that run inside the monitor: `enter`, `leave`, `go_back`, `number`, `find`.

Invariants
1.  Inside the monitor there is no Python call, no allocation, no decref. What a step needs is made before, a body
    that leaves is dropped after. So every method may be called from `__del__`, a signal handler or the collector.
2.  A slot is free, waiting or in flight; free + waiting + in flight == capacity at every instant outside the monitor.

Progress: blocking for the length of another thread's step; the step of `snapshot` and `audit` is as long as the queue.

It must not know: waiting, where numbers come from, mail, versions.
"""

from operator import index
from types import GenericAlias

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from mtsid.core.arguments cimport as_integer, shown
from mtsid.core.backlog cimport (
    Slot,
    backlog_blank,
    backlog_close,
    backlog_find,
    backlog_open,
    backlog_room,
    slot_at,
)
from mtsid.core.backlog_views cimport Places, Row, copy_rows, find_places
from mtsid.core.message cimport Message
from mtsid.core.monitor cimport monitor_alone, monitor_enter, monitor_leave

from mtsid.core.audit import Audit
from mtsid.errors import NotInUse, Stale


cdef class Contents:
    """What a message queue holds; see `mtsid.MessageQueue`. Not for use by itself."""

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, *args, **kwargs):
        backlog_blank(&self.backlog)

    def __init__(self, maxsize=65535, *, first=1):
        cdef int64_t size = as_integer(maxsize, "maxsize")
        cdef int64_t low = as_integer(first, "first")
        if size == 0:
            raise ValueError("maxsize must be at least 1: every message needs a number, and numbers are finite")
        if not 1 <= size <= 0xFFFFFFFF:
            raise ValueError(f"maxsize must lie within 1 .. 4294967295, but is {shown(maxsize)}")
        if not 0 <= low <= 0xFFFFFFFF:
            raise ValueError(f"first must lie within 0 .. 4294967295, but is {shown(first)}")
        if low + size - 1 > 0xFFFFFFFF:
            raise ValueError(f"the last id, {low + size - 1}, is greater than 4294967295")
        if self.backlog.capacity:
            raise TypeError("a queue is initialised once; make a new one")
        if not backlog_open(&self.backlog, size):
            raise MemoryError(f"no memory for a queue of {size} messages")
        self.first = low

    def __dealloc__(self):
        cdef uint64_t i
        cdef Slot* slot
        cdef PyObject* body
        # The bodies go into a list and with it: lists know how to fall apart without recursion (queues in
        # queues in queues).
        cdef list bodies = []
        monitor_alone(&self.backlog.monitor)
        for i in range(self.backlog.used):
            slot = slot_at(&self.backlog, i)
            body = slot.body
            slot.body = NULL
            if body != NULL:
                bodies.append(<object> body)
                Py_DECREF(<object> body)
        del bodies
        backlog_close(&self.backlog)

    # For the subclass: inside the monitor, no Python, no failure but what is said -----------------------------------

    cdef int64_t enter(self, PyObject* body, int rank, bint in_batch) noexcept:
        """Put the message into a free slot and give it a number: the slot; NO_ROOM; or CLOSED.

        `in_batch`: there is room, and the messages of one step go in one behind the other; this may not fail.
        """
        return NO_ROOM

    cdef PyObject* leave(self, uint32_t slot) noexcept:
        """Take the message out and strip its number: its body, with the reference."""
        return NULL

    cdef void go_back(self, uint32_t slot) noexcept:
        """A message in flight waits again, in its place; or it is dying, if that was its last delivery."""

    cdef uint32_t number(self, uint32_t slot) noexcept:
        """The MTSID of the message in a slot."""
        return 0

    cdef int64_t find(self, uint32_t offset) noexcept:
        """The slot of the live message whose MTSID is `first + offset`; -1 if there is none."""
        return -1

    @cython.final
    cdef int64_t resolve(self, int64_t key, uint64_t receipt) noexcept:
        """The slot that a key names, or -1: this delivery, or for receipt 0 whatever has the number `first + key`."""
        return backlog_find(&self.backlog, key, receipt) if receipt else self.find(<uint32_t> key)

    # Keys -------------------------------------------------------------------------------------------------------------

    @cython.final
    cdef int64_t offset_of(self, object key) except? -1:
        """A bare number less `first`."""
        cdef int64_t slot = as_integer(key, "a message or MTSID") - self.first
        if slot < 0 or <uint64_t> slot >= self.backlog.capacity:
            raise NotInUse(
                f"MTSID {shown(key)} is not live: the range is {self.first} .. "
                f"{self.first + <int64_t> self.backlog.capacity - 1}",
                id=index(key),
            )
        return slot

    @cython.final
    cdef object refusal(self, object key):
        """The exception for a key that names nothing live."""
        if type(key) is Message:
            return Stale(
                f"this delivery of message {(<Message> key).number} was settled, returned or deleted already, "
                "or is of another queue",
                id=(<Message> key).number,
            )
        return NotInUse(f"MTSID {shown(key)} is not live: its message left already, or never entered", id=index(key))

    # Counts and views ------------------------------------------------------------------------------------------------

    @cython.final
    cdef uint64_t live(self) noexcept:
        """How many messages there are: `len`, which a subclass may have changed, is not asked inside."""
        return self.backlog.capacity - self.room()

    @cython.final
    cdef uint64_t room(self) noexcept:
        """How many more messages fit in."""
        cdef uint64_t room
        monitor_enter(&self.backlog.monitor)
        room = backlog_room(&self.backlog)
        monitor_leave(&self.backlog.monitor)
        return room

    def peek(self, mtsid):
        """The body of the message with this number, waiting or in flight; it stays. `NotInUse` if there is none."""
        cdef int64_t slot = self.offset_of(number_of(mtsid))
        cdef PyObject* body
        monitor_enter(&self.backlog.monitor)
        slot = self.find(<uint32_t> slot)
        if slot < 0:
            monitor_leave(&self.backlog.monitor)
            raise self.refusal(mtsid)
        body = slot_at(&self.backlog, slot).body
        Py_INCREF(<object> body)  # inside, or a beside-running ack could take the last reference
        monitor_leave(&self.backlog.monitor)
        result = <object> body
        Py_DECREF(result)
        return result

    @cython.final
    cdef uint64_t waiting_now(self) noexcept:
        """How many messages wait."""
        cdef uint64_t count
        monitor_enter(&self.backlog.monitor)
        count = self.backlog.waiting
        monitor_leave(&self.backlog.monitor)
        return count

    def qsize(self) -> int:
        """How many messages wait."""
        return self.waiting_now()

    @cython.final
    cdef uint64_t in_flight_now(self) noexcept:
        """How many messages are in flight."""
        cdef uint64_t count
        monitor_enter(&self.backlog.monitor)
        count = self.backlog.in_flight
        monitor_leave(&self.backlog.monitor)
        return count

    def in_flight(self) -> int:
        """How many messages were got and not settled yet."""
        return self.in_flight_now()

    def __len__(self) -> int:
        """How many messages are in the queue, waiting and in flight."""
        return self.live()

    def __bool__(self) -> bool:
        return True

    def empty(self) -> bool:
        """Does nothing wait?"""
        return self.qsize() == 0

    def full(self) -> bool:
        """Is there no room?"""
        return self.room() == 0

    @property
    def maxsize(self) -> int:
        """How many messages fit in."""
        return self.backlog.capacity

    @cython.final
    cdef bytes rows(self):
        """A copy of every live slot, taken in one step."""
        cdef uint64_t room, i
        cdef Row* rows
        cdef bytes memory
        cdef bint enough = False
        while not enough:
            room = self.live() + 16
            memory = PyBytes_FromStringAndSize(NULL, room * sizeof(Row))
            memset(PyBytes_AS_STRING(memory), 0, room * sizeof(Row))
            monitor_enter(&self.backlog.monitor)
            rows = <Row*> PyBytes_AS_STRING(memory)
            enough = copy_rows(&self.backlog, rows, room)
            if enough:
                for i in range(self.backlog.waiting + self.backlog.in_flight):
                    rows[i].number = self.number(rows[i].number)
            monitor_leave(&self.backlog.monitor)
        return memory

    def snapshot(self):
        """What is in the queue, at one instant: a structured array, a row a message.

        Fields: `mtsid` (uint32), `state` ("waiting" or "in flight"), `priority` ("urgent", "normal", "non-urgent"),
        `deliveries` (uint32). First those that wait, in the order in which `get` would serve them, then those in
        flight, by entry.
        """
        from mtsid.core.views import snapshot_of

        return snapshot_of(self.rows())

    def audit(self):
        """Count where every id is, in one step, and check every invariant.

        Returns an `Audit`; raises `AuditError` unless free + waiting + in flight == capacity, with each id in one
        place.
        """
        return self.find_everything().check()

    cdef object find_everything(self):
        """An `Audit`, not checked yet."""
        cdef Places places
        cdef uint64_t used
        cdef bytes seen
        cdef bint enough = False
        while not enough:
            monitor_enter(&self.backlog.monitor)
            used = self.backlog.used + 16
            monitor_leave(&self.backlog.monitor)
            seen = bytes(used)
            memset(&places, 0, sizeof(places))
            monitor_enter(&self.backlog.monitor)
            enough = self.backlog.used <= used
            if enough:
                find_places(&self.backlog, <uint8_t*> PyBytes_AS_STRING(seen), &places)
            monitor_leave(&self.backlog.monitor)
        faults = []
        if places.bad_free_list:
            faults.append("the free list is broken")
        if places.bad_line:
            faults.append("a line of waiting messages is broken")
        if places.bad_heap:
            faults.append("the heap of returned messages is broken")
        if places.bad_place:
            faults.append("a slot is in two places or in none")
        if places.bad_count:
            faults.append("a counter disagrees with the slots")
        return Audit(self.backlog.capacity, places.free, places.waiting, places.in_flight, faults=tuple(faults))

    def _check(self) -> None:
        """Assert every invariant; for tests."""
        self.audit()

    def __repr__(self) -> str:
        cdef bint closed
        monitor_enter(&self.backlog.monitor)
        closed = self.backlog.closed
        monitor_leave(&self.backlog.monitor)
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} of {self.backlog.capacity}: {self.qsize()} waiting, "
            f"{self.in_flight()} in flight{', shut down' if closed else ''}>"
        )

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "a MessageQueue cannot be pickled or copied: a copy would hold the same messages and ids; share this one between "
            "threads, or send the bodies"
        )
