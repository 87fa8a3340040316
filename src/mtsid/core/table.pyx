"""What does each id stand for? The map of pending requests that every protocol client keeps beside its ids.

The verbs: add, pop, quarantine, reset, and waiting for an id. What a step does stands in in_flight.pxd, what makes it
one step in table_contents.pyx, whose invariants hold here too; blocking is in waiting.pyx.

Invariants
1.  A step that succeeded does not fail any more: a chunk, or room in the timetable, is there before it. Only the number
    that `add` returns and the list that `reset` returns are made after it; without memory for those it is undone.
2.  Wake-ups: whatever frees an id wakes one who waits for one. A waiter tries inside the monitor after it registered,
    so it sees the step, or the step's owner sees it. An alarm for the end of a quarantine: invariant 7 of waiting.pyx.

Progress: blocking for the length of another thread's step; that of `reset` is as long as the table is full.

It must not know: what a payload is.
"""

from operator import index

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.stdlib cimport free

from mtsid.core.arguments cimport as_integer, as_seconds, as_timeout, shown
from mtsid.core.atomic cimport load_relaxed
from mtsid.core.bitmap cimport seldom
from mtsid.core.entry cimport Entry, set_entry
from mtsid.core.in_flight cimport (
    DONE,
    EXCLUDED,
    EXHAUSTED,
    LATE,
    NO_CHUNK,
    NO_ROOM,
    NOT_LIVE,
    STALE,
    TAKEN,
    in_flight_add,
    in_flight_copy,
    in_flight_reserve,
    in_flight_reset,
    in_flight_rest,
    in_flight_restore,
    in_flight_take,
)
from mtsid.core.monitor cimport monitor_enter, monitor_leave
from mtsid.core.table_contents cimport Rows, TableContents
from mtsid.core.timetable cimport NEVER, Timetable, timetable_copy, timetable_due, timetable_make
from mtsid.core.uses cimport Chunk, chunks_free, chunks_more
from mtsid.core.waiting cimport LoopWaiter, Waiter, clock_now, deadline_of, due_in

from mtsid.errors import Exhausted, InUse, Late, Stale


cdef extern from "Python.h":
    # As a plain pointer, so that NULL can be handled before Cython raises.
    PyObject* new_int "PyLong_FromLongLong"(long long)


cdef inline uint64_t generation_of(object generation) except? 0:
    """What a step takes: 0 for any use, or that of one use."""
    cdef int64_t number
    if generation is None:
        return 0
    number = as_integer(generation, "a generation")
    return number if number > 0 else INT64_MAX  # which no use has


cdef inline int64_t add_step(InFlightTable self, object payload, Chunk** spare, Seen* seen) noexcept:
    cdef int64_t offset
    Py_INCREF(payload)
    monitor_enter(&self.flight.uses.monitor)
    offset = in_flight_add(&self.flight, <PyObject*> payload, spare)
    seen.generation = self.flight.generations
    if seldom(offset < 0):
        seen.live = self.flight.live
        seen.quarantined = self.flight.rests.length
        seen.earliest = timetable_due(&self.flight.rests)
    monitor_leave(&self.flight.uses.monitor)
    if seldom(offset < 0):
        Py_DECREF(payload)
    return offset


cdef inline int64_t take(InFlightTable self, object payload, Seen* seen) except? -1:
    """The offset that stands for the payload, or EXHAUSTED with what was `seen` then."""
    cdef Chunk* none = NULL
    cdef int64_t offset
    if seldom(load_relaxed(&self.flight.earliest) != NEVER):
        self.end_rests()
    offset = add_step(self, payload, &none, seen)
    return self.add_again(payload, offset, seen) if seldom(offset < 0) else offset


cdef inline object give_out(InFlightTable self, int64_t offset, uint64_t generation):
    """The id as a Python int. Without memory for one, what was added is taken out again."""
    cdef PyObject* id = new_int(offset + self.first)
    if id == NULL:
        self.take_back(offset, generation)
        raise MemoryError("no memory for an id")
    result = <object> id
    Py_DECREF(result)
    return result


cdef inline object take_out(InFlightTable self, object id, uint64_t generation, tuple default):
    """The payload, whose use is over. Raises, or returns the default, if there is none."""
    cdef int64_t offset = as_integer(id, "an id") - self.first
    cdef int64_t code = NOT_LIVE
    cdef PyObject* payload = NULL
    cdef Chunk* spare = NULL
    if <uint64_t> offset < self.flight.size:
        monitor_enter(&self.flight.uses.monitor)
        code = in_flight_take(&self.flight, offset, generation, False, &payload, &spare)
        monitor_leave(&self.flight.uses.monitor)
        if seldom(spare != NULL):
            chunks_free(spare)
    if seldom(code != DONE):
        return self.not_taken(id, offset, generation, code, default)
    result = <object> payload
    Py_DECREF(result)
    if self.waiting.needed():
        self.waiting.wake(1)
    return result


cdef class InFlightTable(TableContents):
    """What is in flight, by id: a Mapping of the ids `first` .. `last` to payloads, which hands out the ids itself.

    Parameters
    ----------
    first, last, exclude, order
        As for `Allocator`. "cyclic": always the first free id after the last one that was handed out, threads or not.

    Raises
    ------
    TypeError, ValueError
        As for `Allocator`.
    MemoryError
        When there is no memory for it: a bit an id and a pointer for each 128, and 16 bytes for each id in use.

    For a client's pending requests: `add` takes a free id for a request, `pop` ends it and frees the id, `quarantine`
    gives it up but keeps its id from the next one, as long as a late answer may come. A payload and its id come and go
    in one step, for whoever looks. No two requests in flight ever have the same id.

    Every method may be called from any thread, with the GIL or without, and is reentrant. As a Mapping it shows what is
    live: views are copies, exact and sorted by id; two tables are equal if their items are, and an empty one is false,
    so write `table if table is not None else InFlightTable()`. It can be neither pickled nor copied.

    >>> pending = InFlightTable(1, 65535)
    >>> pending.add("first request"), pending.add("second request")
    (1, 2)
    >>> pending.pop(1)
    'first request'
    >>> pending.pop(1)
    Traceback (most recent call last):
    mtsid.errors.NotInUse: nothing is in flight under id 1: it was popped or put in quarantine already, or never added
    >>> pending.quarantine(2, 30.0)  # given up: its id rests for 30 seconds, or until its answer comes
    'second request'
    >>> pending.pop(2)
    Traceback (most recent call last):
    mtsid.errors.Late: id 2 was in quarantine: its request was given up, and it is free from now on
    """

    # In --------------------------------------------------------------------------------------------------------------

    def add(self, payload, *, id=None, timeout=0.0) -> int:
        """Take a free id for a payload; from now on `table[id]` is the payload.

        `timeout`: 0.0 says no at once; seconds wait so long; None or infinity wait for ever. Ctrl-C ends a wait. Raises
        `Exhausted`, with `.live`, `.quarantined` and `.capacity`, if at some instant during the call no id was free.

        `id`: this very id, that a peer chose or a restored session had. Nothing is waited for then: `InUse` if it is
        live or quarantined, `ValueError` if it is outside the range or excluded.
        """
        cdef double seconds = as_timeout(timeout)
        cdef Seen seen
        cdef int64_t offset
        if id is not None:
            return give_out(self, self.reserve(payload, id, &seen), seen.generation)
        offset = take(self, payload, &seen)
        if offset < 0:
            offset = self.wait_to_add(payload, seconds, &seen)
        return give_out(self, offset, seen.generation)

    @cython.final
    cdef int64_t add_again(self, object payload, int64_t code, Seen* seen) except? -1:
        """`take` after a first try without success."""
        cdef Chunk* spare = NULL
        try:
            while code < 0:
                if code == NO_CHUNK:
                    if not chunks_more(&spare):
                        raise MemoryError("no memory for more payloads")
                elif seen.earliest == NEVER or seen.earliest > clock_now():
                    return EXHAUSTED
                else:
                    self.end_rests()
                code = add_step(self, payload, &spare, seen)
            return code
        finally:
            chunks_free(spare)

    @cython.final
    cdef int64_t reserve(self, object payload, object id, Seen* seen) except -1:
        cdef int64_t offset = as_integer(id, "an id") - self.first
        cdef int64_t code = NO_CHUNK
        cdef Chunk* spare = NULL
        if self.where(offset) == EXCLUDED:
            raise self.outside(id)
        while code == NO_CHUNK:
            Py_INCREF(payload)
            monitor_enter(&self.flight.uses.monitor)
            code = in_flight_reserve(&self.flight, offset, <PyObject*> payload, &spare)
            seen.generation = self.flight.generations
            monitor_leave(&self.flight.uses.monitor)
            if code < 0:
                Py_DECREF(payload)
            if code == NO_CHUNK and not chunks_more(&spare):
                raise MemoryError("no memory for more payloads")
        chunks_free(spare)
        if code == TAKEN:
            raise InUse(
                f"id {shown(id)} is live or quarantined: pop it first, or choose another", id=offset + self.first
            )
        return offset

    @cython.final
    cdef int64_t wait_to_add(self, object payload, double seconds, Seen* seen) except -1:
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
                    offset = take(self, payload, seen)
                    waiter.alarm = seen.earliest
                    if offset >= 0 or not self.waiting.sleep(waiter, deadline):
                        break
            finally:
                self.step_out(waiter, offset, seen.generation)
        if offset < 0:
            self.count(&self.flight.tally.exhausted)
            raise self.exhausted(seen)
        return offset

    @cython.final
    cdef int step_out(self, Waiter waiter, int64_t offset, uint64_t generation) except -1:
        """Out of the line: a wake-up that came too late goes to the next one, and so does minding the alarm.

        If Ctrl-C comes meanwhile, what was added is taken out again.
        """
        try:
            if self.waiting.leave(waiter) or load_relaxed(&self.flight.earliest) != NEVER:
                self.waiting.wake(1)
        except BaseException:
            if offset >= 0:
                self.take_back(offset, generation)
            raise
        return 0

    @cython.final
    cdef int take_back(self, int64_t offset, uint64_t generation) except -1:
        """An `add` that cannot return: what it added goes again, unless somebody has taken it already."""
        cdef PyObject* payload = NULL
        cdef Chunk* spare = NULL
        monitor_enter(&self.flight.uses.monitor)
        in_flight_take(&self.flight, offset, generation, False, &payload, &spare)
        monitor_leave(&self.flight.uses.monitor)
        chunks_free(spare)
        if payload != NULL:
            Py_DECREF(<object> payload)
            if self.waiting.needed():
                self.waiting.wake(1)
        return 0

    @cython.final
    cdef object try_for(self, object payload, Waiter waiter, uint64_t* generation):
        """The id; or the exception that says that there is none, not raised, and when the waiter is to look again."""
        cdef Seen seen
        cdef int64_t offset = take(self, payload, &seen)
        if offset >= 0:
            generation[0] = seen.generation
            return give_out(self, offset, seen.generation)
        if waiter is not None:
            waiter.alarm = seen.earliest
        return self.exhausted(&seen)

    async def add_async(self, payload, *, timeout=None) -> int:
        """`add` for coroutines: awaits a free id, from any number of event loops and threads at once.

        `timeout`: seconds; None or infinity wait for ever. Raises `Exhausted` if at some instant no id was free and the
        time is up. First come, first served, among threads too; newcomers may overtake.

        The id is taken in the very step that returns it, so a task that is cancelled while it waits has added nothing,
        and what woke it wakes the next one. Prefer `timeout` to `asyncio.wait_for`, as for `Allocator.acquire_async`.

        >>> import asyncio
        >>> from mtsid import InFlightTable
        >>> asyncio.run(InFlightTable(1, 9).add_async("a request"))
        1
        """
        cdef double seconds = as_timeout(timeout)
        cdef uint64_t generation = 0
        cdef double deadline
        cdef LoopWaiter waiter
        outcome = self.try_for(payload, None, &generation)
        if seconds > 0 and isinstance(outcome, Exhausted):
            waiter = LoopWaiter()
            deadline = waiter.deadline_of(seconds)
            try:
                while True:
                    self.waiting.enter(waiter)
                    outcome = self.try_for(payload, waiter, &generation)
                    if not isinstance(outcome, Exhausted) or not await waiter.sleep(self.waiting, deadline):
                        break
            finally:
                self.step_out(
                    waiter, EXHAUSTED if isinstance(outcome, Exhausted) else <int64_t> outcome - self.first, generation
                )
        if isinstance(outcome, Exhausted):
            self.count(&self.flight.tally.exhausted)
            raise outcome
        return outcome

    @cython.final
    cdef void count(self, uint64_t* what) noexcept:
        """One more of something in the tally that no step counted."""
        monitor_enter(&self.flight.uses.monitor)
        what[0] += 1
        monitor_leave(&self.flight.uses.monitor)

    @cython.final
    cdef object exhausted(self, Seen* seen):
        """The exception for an id that could not be had."""
        held = (
            f"{seen.live} are in flight and {seen.quarantined} quarantined" if seen.quarantined
            else f"all {seen.live} are in flight"
        )
        return Exhausted(
            f"no id is free: {held}; pop one, wait with a timeout, or widen the range",
            live=seen.live, quarantined=seen.quarantined, capacity=self.flight.capacity,
        )

    # Out -------------------------------------------------------------------------------------------------------------

    def pop(self, id, *default, generation=None):
        """The request is over: its payload, and its id is free.

        `NotInUse`, a `KeyError`, if nothing is in flight under this id: a double or foreign answer pops nothing. `Late`
        if it is in quarantine: its id is free now, but the payload went to whoever gave it up. With a `default` that is
        returned instead of either.

        `generation`: what `generation(id)` said while the request was in flight. If the id is free by now or somebody
        else's, nothing changes: `Stale`, or the default.
        """
        if len(default) > 1:
            raise TypeError(f"pop takes an id and at most one default, not {1 + len(default)} arguments")
        return take_out(self, id, generation_of(generation), default)

    @cython.final
    cdef object not_taken(self, object id, int64_t offset, uint64_t generation, int64_t code, tuple default):
        """The rest of `take_out` where nothing was live."""
        cdef PyObject* payload = NULL
        cdef Chunk* spare = NULL
        if <uint64_t> offset >= self.flight.size:
            self.count(&self.flight.tally.refused)
        if code == LATE:
            self.end_rests()  # it may be over
            monitor_enter(&self.flight.uses.monitor)
            code = in_flight_take(&self.flight, offset, generation, True, &payload, &spare)
            monitor_leave(&self.flight.uses.monitor)
            chunks_free(spare)
            if payload != NULL:  # by now it is live again
                default = (<object> payload,)
                Py_DECREF(<object> payload)
            if code >= 0 or code == LATE:
                if self.waiting.needed():
                    self.waiting.wake(1)
        if default:
            return default[0]
        if code == LATE:
            raise Late(
                f"id {shown(id)} was in quarantine: its request was given up, and it is free from now on",
                id=offset + self.first,
            )
        if code == STALE:
            raise self.stale(id)
        raise self.not_live(id)

    @cython.final
    cdef object stale(self, object id):
        return Stale(
            f"that use of id {shown(id)} is over: it was popped or reset, and the id may be somebody else's by now",
            id=index(id),
        )

    def quarantine(self, id, seconds=None, *, generation=None):
        """The request is given up: its payload, but its id rests, so that nobody gets it while a late answer may come.

        Until `pop(id)`, which then raises `Late`, or for so many seconds if they are given. `NotInUse` if the id is not
        live; `generation` as for `pop`.

        Each id that rests takes some 50 bytes more, as long as it does and in steps.
        """
        cdef int64_t offset = as_integer(id, "an id") - self.first
        cdef uint64_t due = due_in(as_seconds(seconds, "seconds"))
        cdef uint64_t use = generation_of(generation)
        cdef int64_t code = NO_ROOM if <uint64_t> offset < self.flight.size else NOT_LIVE
        cdef PyObject* payload = NULL
        while code == NO_ROOM:
            monitor_enter(&self.flight.uses.monitor)
            code = in_flight_rest(&self.flight, offset, use, due, &payload)
            monitor_leave(&self.flight.uses.monitor)
            if code == NO_ROOM:
                self.make_room()
        if code == STALE:
            raise self.stale(id)
        if code != DONE:
            if <uint64_t> offset >= self.flight.size:
                self.count(&self.flight.tally.refused)
            raise self.not_live(id)
        result = <object> payload
        Py_DECREF(result)
        if due != NEVER and self.waiting.needed() and load_relaxed(&self.flight.earliest) == due:
            self.waiting.wake(1)
        return result

    @cython.final
    cdef int make_room(self) except -1:
        """For more resting ids."""
        cdef Timetable larger, old
        monitor_enter(&self.flight.uses.monitor)
        old = self.flight.rests
        monitor_leave(&self.flight.uses.monitor)
        if not timetable_make(&larger, old.room):
            raise MemoryError("no memory for more quarantined ids")
        monitor_enter(&self.flight.uses.monitor)
        if larger.room > self.flight.rests.room:  # else another thread was first
            timetable_copy(&larger, &self.flight.rests)
            old = self.flight.rests
            self.flight.rests = larger
            larger = old
        monitor_leave(&self.flight.uses.monitor)
        free(larger.entries)
        return 0

    # The end of all --------------------------------------------------------------------------------------------------

    def reset(self) -> list:
        """Every request is over, as after a reconnection: the pairs of id and payload that were live, sorted by id.

        One step. Quarantine ends too. Generations from before are `Stale` from now on.
        """
        cdef Rows rows = Rows.__new__(Rows)
        cdef Chunk* spare = NULL
        cdef list pairs = []
        cdef uint64_t live, i
        while True:
            monitor_enter(&self.flight.uses.monitor)
            live = self.flight.live
            if live <= rows.room:
                in_flight_copy(&self.flight, rows.rows)
                in_flight_reset(&self.flight, &spare)
                rows.length = live
                rows.owns = True
            monitor_leave(&self.flight.uses.monitor)
            if rows.owns:
                break
            rows.make_room(live)
        try:
            rows.sort()
            for i in range(rows.length):  # no comprehension, as in table_contents.pyx
                pairs.append((self.first + <int64_t> rows.rows[i].offset, <object> rows.rows[i].payload))
            return pairs
        except MemoryError:
            self.put_back(rows, &spare)
            raise
        finally:
            chunks_free(spare)
            if self.waiting.needed():
                self.waiting.wake_all()

    @cython.final
    cdef int put_back(self, Rows rows, Chunk** spare) except -1:
        """There is no memory to tell what a reset took out: it goes back, save where somebody was faster."""
        cdef uint64_t i = 0
        cdef int64_t code
        while i < rows.length:
            monitor_enter(&self.flight.uses.monitor)
            code = in_flight_restore(&self.flight, &rows.rows[i], spare)
            monitor_leave(&self.flight.uses.monitor)
            if code >= 0:
                rows.rows[i].payload = NULL  # the table's again
            if code != NO_CHUNK or not chunks_more(spare):
                i += 1
        return 0


# The commonest calls: a payload, and an id with at most a default ----------------------------------------------------

cdef Entry add_whole, pop_whole


cdef object add_entry(InFlightTable self, PyObject** arguments, Py_ssize_t given, PyObject* names):
    cdef Seen seen
    cdef int64_t offset
    if given != 1 or names != NULL:
        return add_whole(self, arguments, given, names)
    offset = take(self, <object> arguments[0], &seen)
    if seldom(offset < 0):
        offset = self.wait_to_add(<object> arguments[0], 0.0, &seen)
    return give_out(self, offset, seen.generation)


cdef object pop_entry(InFlightTable self, PyObject** arguments, Py_ssize_t given, PyObject* names):
    if names != NULL or not 1 <= given <= 2:
        return pop_whole(self, arguments, given, names)
    return take_out(self, <object> arguments[0], 0, () if given == 1 else (<object> arguments[1],))


add_whole = set_entry(<PyTypeObject*> InFlightTable, "add", <void*> add_entry)
pop_whole = set_entry(<PyTypeObject*> InFlightTable, "pop", <void*> pop_entry)
