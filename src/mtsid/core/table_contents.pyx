"""What an in-flight table holds, and how it is looked at: memory, and the half of a Mapping that reads.

A table is a monitor: every operation is one step on what is in flight (in_flight.pxd), made atomic by the GIL itself
or, without one, by a mutex held for tens of nanoseconds (monitor.h). The verbs are in table.pyx.

Invariants
1.  Inside the monitor there is no Python call, no allocation, no decref. What a step needs is made before, a payload
    that leaves is dropped after. So every method may be called from `__del__`, a signal handler or the collector.
2.  A payload that is read gets its reference inside the monitor: a pop beside it could take the last one.
3.  A view is a copy, made in one step.

Progress: blocking for the length of another thread's step; the step of a view is as long as the table is full.

It must not know: waiting, what a payload is.
"""

from collections.abc import Mapping
from operator import index
from types import GenericAlias

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from mtsid.core.arguments cimport as_integer, as_range, shown
from mtsid.core.atomic cimport load_relaxed, load_seq_cst, store_relaxed
from mtsid.core.in_flight cimport (
    EXCLUDED,
    LIVE,
    RESTING,
    Row,
    Tally,
    in_flight_copy,
    in_flight_expire,
    in_flight_fault,
    in_flight_free,
    in_flight_where,
)
from mtsid.core.monitor cimport monitor_alone, monitor_close, monitor_enter, monitor_leave, monitor_open
from mtsid.core.taken cimport taken_close, taken_has, taken_open, taken_set
from mtsid.core.timetable cimport NEVER
from mtsid.core.uses cimport USES_A_CHUNK, Chunk, Use, chunks_free, show_payloads, uses_close, uses_find, uses_open
from mtsid.core.waiting cimport WaitSet, clock_now

from mtsid.core.stats import TableStats
from mtsid.errors import AuditError, NotInUse


cdef int by_offset(const void* a, const void* b) noexcept nogil:
    return ((<Row*> a).offset > (<Row*> b).offset) - ((<Row*> a).offset < (<Row*> b).offset)


@cython.final
cdef class Rows:
    """Copies of uses, sorted by id, with the references that they own: whatever fails, none is lost."""

    def __dealloc__(self):
        cdef uint64_t i
        for i in range(self.length if self.owns else 0):
            if self.rows[i].payload != NULL:
                Py_DECREF(<object> self.rows[i].payload)
        free(self.rows)

    cdef int make_room(self, uint64_t live) except -1:
        """For so many, and some that may come meanwhile."""
        free(self.rows)
        self.room = live + (live >> 3) + 16
        self.rows = <Row*> malloc(self.room * sizeof(Row))
        if self.rows == NULL:
            self.room = 0
            raise MemoryError("no memory for a copy of the table")
        return 0

    cdef void sort(self) noexcept:
        """They are sorted already, but where a cyclic order went round or ids were reserved."""
        cdef uint64_t i = 1
        while i < self.length and self.rows[i - 1].offset < self.rows[i].offset:
            i += 1
        if i < self.length:
            qsort(self.rows, self.length, sizeof(Row), by_offset)


@cython.collection_type("mapping")
cdef class TableContents:
    """What an in-flight table holds; see `mtsid.InFlightTable`. Not for use by itself."""

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, *args, **kwargs):
        self.waiting = WaitSet.__new__(WaitSet)
        store_relaxed(&self.flight.earliest, NEVER)
        monitor_open(&self.flight.uses.monitor)

    def __init__(self, first=1, last=65535, *, exclude=(), order="cyclic"):
        cdef int64_t low, high
        low, high, excluded, lowest = as_range(first, last, exclude, order)
        if self.flight.size:
            raise TypeError("a table is initialised once; make a new one")
        if not uses_open(&self.flight.uses, high - low + 1):
            raise MemoryError(f"no memory for a table of {high - low + 1} ids")
        if not taken_open(&self.flight.taken, high - low + 1):
            uses_close(&self.flight.uses)
            self.flight.uses.chunks = NULL
            raise MemoryError(f"no memory for a table of {high - low + 1} ids")
        self.flight.capacity = high - low + 1
        for id in excluded:
            if not taken_has(&self.flight.taken, <int64_t> id - low):
                taken_set(&self.flight.taken, <int64_t> id - low)
                self.flight.capacity -= 1
        self.flight.lowest = lowest
        self.first = low
        self.flight.size = high - low + 1

    def __dealloc__(self):
        cdef Chunk* chunk
        cdef PyObject* payload
        cdef int i
        # The payloads go into a list and with it: lists know how to fall apart without recursion (tables in tables).
        cdef list payloads = []
        monitor_alone(&self.flight.uses.monitor)
        chunk = self.flight.uses.first
        while chunk != NULL:
            for i in range(USES_A_CHUNK):
                payload = chunk.uses[i].payload
                chunk.uses[i].payload = NULL
                if payload != NULL:
                    payloads.append(<object> payload)
                    Py_DECREF(<object> payload)
            chunk = chunk.next
        del payloads
        monitor_close(&self.flight.uses.monitor)
        uses_close(&self.flight.uses)
        taken_close(&self.flight.taken)
        free(self.flight.rests.entries)

    # Time ------------------------------------------------------------------------------------------------------------

    cdef int end_rests(self) except -1:
        """Free the ids whose quarantine is over by now, and wake as many who wait."""
        cdef uint64_t now = clock_now()
        cdef int64_t freed = 1
        cdef int64_t total = 0
        cdef Chunk* spare = NULL
        while freed and load_relaxed(&self.flight.earliest) <= now:
            monitor_enter(&self.flight.uses.monitor)
            freed = in_flight_expire(&self.flight, now, &spare)
            monitor_leave(&self.flight.uses.monitor)
            total += freed
        chunks_free(spare)
        if total and self.waiting.needed():
            self.waiting.wake(total)
        return 0

    # One id ----------------------------------------------------------------------------------------------------------

    @cython.final
    cdef int where(self, int64_t offset) except -1:
        """The state of an id; outside the range all are excluded."""
        cdef int where
        if <uint64_t> offset >= self.flight.size:
            return EXCLUDED
        if load_relaxed(&self.flight.earliest) != NEVER:
            self.end_rests()
        monitor_enter(&self.flight.uses.monitor)
        where = in_flight_where(&self.flight, offset)
        monitor_leave(&self.flight.uses.monitor)
        return where

    @cython.final
    cdef PyObject* find(self, int64_t offset) noexcept:
        """The payload of a live id, with a reference for the caller; or NULL."""
        cdef PyObject* payload = NULL
        cdef Use* use
        if <uint64_t> offset < self.flight.size:
            monitor_enter(&self.flight.uses.monitor)
            use = uses_find(&self.flight.uses, offset)
            if use != NULL and use.payload != NULL:
                payload = use.payload
                Py_INCREF(<object> payload)
            monitor_leave(&self.flight.uses.monitor)
        return payload

    def state(self, id) -> str:
        """"free", "live" or "quarantined". `ValueError` outside the range."""
        cdef int where = self.where(as_integer(id, "an id") - self.first)
        if where == EXCLUDED:
            raise self.outside(id)
        return "live" if where == LIVE else "quarantined" if where == RESTING else "free"

    def generation(self, id) -> int:
        """Which use of the id this is: a number that no other use in this table has, of whatever id.

        What `pop` and `quarantine` take to mean this use, and no later one: ask for it before the request is sent, when
        nobody can have answered it. A quarantined id keeps it. `NotInUse` if the id is free.
        """
        cdef int64_t offset = as_integer(id, "an id") - self.first
        cdef uint64_t generation = 0
        cdef Use* use
        if <uint64_t> offset < self.flight.size:
            if load_relaxed(&self.flight.earliest) != NEVER:
                self.end_rests()
            monitor_enter(&self.flight.uses.monitor)
            use = uses_find(&self.flight.uses, offset)
            if use != NULL:
                generation = use.generation
            monitor_leave(&self.flight.uses.monitor)
        if generation == 0:
            raise self.not_live(id)
        return generation

    cdef object outside(self, object id):
        """The exception for an id that is none."""
        return ValueError(
            f"id {shown(id)} is outside the range {self.first} .. {self.first + <int64_t> self.flight.size - 1}"
            f"{', or excluded' if self.flight.capacity < self.flight.size else ''}"
        )

    cdef object not_live(self, object id):
        """The exception for an id where a live one was wanted."""
        if self.where(as_integer(id, "an id") - self.first) == EXCLUDED:
            return NotInUse(
                f"nothing is in flight under id {shown(id)}: the range is {self.first} .. "
                f"{self.first + <int64_t> self.flight.size - 1}"
                f"{', less the excluded ids' if self.flight.capacity < self.flight.size else ''}",
                id=index(id),
            )
        return NotInUse(
            f"nothing is in flight under id {shown(id)}: it was popped or put in quarantine already, or never added",
            id=index(id),
        )

    # A Mapping -------------------------------------------------------------------------------------------------------

    def __getitem__(self, id):
        cdef PyObject* payload = self.find(as_integer(id, "an id") - self.first)
        if payload == NULL:
            raise self.not_live(id)
        result = <object> payload
        Py_DECREF(result)
        return result

    def get(self, id, default=None):
        """The payload of a live id, or `default`; it stays."""
        cdef PyObject* payload = self.find(as_integer(id, "an id") - self.first)
        if payload == NULL:
            return default
        result = <object> payload
        Py_DECREF(result)
        return result

    def __contains__(self, id) -> bool:
        cdef int64_t offset
        cdef Use* use
        cdef bint live = False
        try:
            offset = as_integer(id, "an id") - self.first
        except TypeError:
            return False
        if <uint64_t> offset < self.flight.size:
            monitor_enter(&self.flight.uses.monitor)
            use = uses_find(&self.flight.uses, offset)
            live = use != NULL and use.payload != NULL
            monitor_leave(&self.flight.uses.monitor)
        return live

    @cython.final
    cdef uint64_t live(self) noexcept:
        """How many are live: `len`, which a subclass may have changed, is not asked inside."""
        cdef uint64_t live
        monitor_enter(&self.flight.uses.monitor)
        live = self.flight.live
        monitor_leave(&self.flight.uses.monitor)
        return live

    def __len__(self) -> int:
        """How many ids are live. So an empty table is false, as an empty dict is."""
        return self.live()

    @cython.final
    cdef Rows copy(self, bint with_payloads):
        """The live uses, sorted by id, as they were at one instant."""
        cdef Rows copy = Rows.__new__(Rows)
        cdef uint64_t live, i
        while True:
            monitor_enter(&self.flight.uses.monitor)
            live = self.flight.live
            if live <= copy.room:
                in_flight_copy(&self.flight, copy.rows)
                for i in range(live if with_payloads else 0):
                    Py_INCREF(<object> copy.rows[i].payload)
                copy.length = live
                copy.owns = with_payloads
            monitor_leave(&self.flight.uses.monitor)
            if live <= copy.room:
                copy.sort()
                return copy
            copy.make_room(live)

    @cython.final
    cdef dict snapshot(self):
        cdef Rows copy = self.copy(True)
        cdef dict snapshot = {}
        cdef uint64_t i
        for i in range(copy.length):
            snapshot[self.first + <int64_t> copy.rows[i].offset] = <object> copy.rows[i].payload
        return snapshot

    def __iter__(self):
        """The live ids, rising, as they were at one instant."""
        cdef Rows copy = self.copy(False)
        cdef list ids = []
        cdef uint64_t i
        for i in range(copy.length):  # no comprehension: Cython 3.3 drops the last item twice when memory ends
            ids.append(self.first + <int64_t> copy.rows[i].offset)
        return iter(ids)

    def keys(self):
        """The live ids, rising: a view of a copy, made in one step, that does not change any more."""
        return self.snapshot().keys()

    def items(self):
        """The pairs of id and payload, by id: a view of a copy, made in one step, that does not change any more."""
        return self.snapshot().items()

    def values(self):
        """The payloads, by id: a view of a copy, made in one step, that does not change any more."""
        return self.snapshot().values()

    def __eq__(self, other) -> bool:
        """As for any Mapping: are the ids equal, and the payloads? So a table has no hash."""
        if isinstance(other, TableContents):
            return self.snapshot() == (<TableContents> other).snapshot()
        if isinstance(other, Mapping):
            return self.snapshot() == dict(other)
        return NotImplemented

    # Counts ----------------------------------------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """How many ids there are: the range, less the excluded ones."""
        return self.flight.capacity

    @property
    def available(self) -> int:
        """How many ids are free."""
        cdef uint64_t available
        if load_relaxed(&self.flight.earliest) != NEVER:
            self.end_rests()
        monitor_enter(&self.flight.uses.monitor)
        available = in_flight_free(&self.flight)
        monitor_leave(&self.flight.uses.monitor)
        return available

    def stats(self):
        """What there is and what there was, at one instant, as `TableStats`: its fields say what each number is."""
        cdef Tally tally
        cdef uint64_t live, quarantined, added
        if load_relaxed(&self.flight.earliest) != NEVER:
            self.end_rests()
        monitor_enter(&self.flight.uses.monitor)
        tally = self.flight.tally
        live = self.flight.live
        quarantined = self.flight.rests.length
        added = self.flight.generations
        monitor_leave(&self.flight.uses.monitor)
        return TableStats(
            capacity=self.flight.capacity,
            live=live,
            quarantined=quarantined,
            available=self.flight.capacity - live - quarantined,
            waiting=load_seq_cst(&self.waiting.count),
            high_water=tally.high_water,
            added=added,
            released=tally.released,
            exhausted=tally.exhausted,
            refused=tally.refused,
            late=tally.late,
            stale=tally.stale,
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} {self.first} .. "
            f"{self.first + <int64_t> self.flight.size - 1}, {self.live()} of {self.flight.capacity} in flight>"
        )

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "an InFlightTable cannot be pickled or copied: a copy would hand out ids that are live here; share this "
            "one between threads, or send dict(table)"
        )

    def _check(self) -> None:
        """Assert every invariant; raises `AuditError`. For tests."""
        cdef const char* fault
        monitor_enter(&self.flight.uses.monitor)
        fault = in_flight_fault(&self.flight)
        monitor_leave(&self.flight.uses.monitor)
        if fault != NULL:
            raise AuditError(fault.decode())


Mapping.register(TableContents)

# The collector sees the payloads from here on, before any subclass inherits or any table holds one.
example = TableContents(1)
show_payloads(
    <PyTypeObject*> TableContents, <char*> &(<TableContents> example).flight.uses - <char*> <PyObject*> example
)
del example
