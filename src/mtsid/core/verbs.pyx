"""The verbs of a message queue: arguments, waiting, settling, the end.

    put -> waiting --get--> in flight --ack--> left
              ^                 |
              +------nack-------+

Blocking is in waiting.pyx; each verb here is a try on the contents (contents.pyx, whose invariants hold here too)
and, if it may wait, the loop that waiting.pyx describes.

Invariants
1.  A step that succeeded cannot fail any more: what `get` returns exists before the message is taken.
2.  Wake-ups: a put wakes a getter; whatever leaves wakes as many putters as there is room for; the last one to leave
    wakes the joiners, and after a shutdown the getters, whose wait is over. A waiter tries under the monitor after it
    registered, so it sees the step or the step's owner sees it.

Progress: blocking for the length of another thread's step; the step of `put_many` is as long as its batch.

It must not know: where numbers come from, mail, versions.
"""

from operator import index

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_XDECREF
from libc.math cimport INFINITY
from libc.stdint cimport UINT64_MAX, int64_t, uint32_t, uint64_t

from mtsid.core.arrays cimport new_array
from mtsid.core.arguments cimport as_flag, as_integer, as_list, list_of
from mtsid.core.backlog cimport (
    DYING,
    FRESH,
    IN_FLIGHT,
    Settling,
    Slot,
    backlog_find,
    backlog_next_waiting,
    backlog_return,
    show_payloads,
    slot_at,
)
from mtsid.core.contents cimport CLOSED, NO_ROOM, Contents, count_refusal, key_of, number_of
from mtsid.core.entry cimport Entry, set_entry
from mtsid.core.message cimport Message, fresh_message
from mtsid.core.message_list cimport append_fresh, drop_behind, empty_list
from mtsid.core.monitor cimport monitor_enter, monitor_leave
from mtsid.core.waiting cimport Waiter, WaitSet, deadline_of

from mtsid.errors import Empty, Full, NotInUse, ShutDown

cdef extern from "Python.h":
    # As a plain pointer, so that NULL can be handled before Cython raises.
    PyObject* new_int "PyLong_FromLongLong"(long long)


cdef int refuse_duplicates(list keys, Settling* steps) except -1:
    """ValueError if a delivery or a number stands twice among the keys, or a message beside its own number."""
    cdef Py_ssize_t i
    numbers = set()
    receipts = set()
    for i in range(len(keys)):
        if steps[i].receipt == 0:
            if index(keys[i]) in numbers:
                raise ValueError(f"MTSID {keys[i]} stands twice in one call")
            numbers.add(index(keys[i]))
        elif ((<Message> keys[i]).serial, (<Message> keys[i]).receipt) in receipts:
            raise ValueError(f"a delivery of message {(<Message> keys[i]).number} stands twice in one call")
        else:
            receipts.add(((<Message> keys[i]).serial, (<Message> keys[i]).receipt))
    for i in range(len(keys)):
        if steps[i].receipt not in (0, UINT64_MAX) and (<Message> keys[i]).number in numbers:
            raise ValueError(f"message {(<Message> keys[i]).number} stands twice in one call, once by number")
    return 0


cdef class QueueVerbs(Contents):
    """What every message queue does; see `mtsid.MessageQueue`. Not for use by itself."""

    def __cinit__(self, *args, **kwargs):
        self.getters = WaitSet.__new__(WaitSet)
        self.putters = WaitSet.__new__(WaitSet)
        self.joiners = WaitSet.__new__(WaitSet)

    # Steps inside the monitor: a subclass has them, of steps.pxi ----------------------------------------------------

    cdef int64_t try_put(self, object item, int rank) except? -9:
        """The message is in: its MTSID; or NO_ROOM or CLOSED."""
        raise NotImplementedError

    cdef int64_t try_put_many(self, list items, int rank, uint32_t* numbers) except? -9:
        """0: all are in. NO_ROOM or CLOSED: none is."""
        raise NotImplementedError

    cdef int64_t try_get(self, Message message) except? -9:
        """Fill the message in and return its slot; or NO_ROOM (nothing waits); or CLOSED (and nothing will)."""
        raise NotImplementedError

    cdef Py_ssize_t try_get_many(self, list messages, Py_ssize_t begin, Py_ssize_t end) except -1:
        """Fill the messages in, BATCH at most, from `begin` on; how many there were."""
        raise NotImplementedError

    cdef object take_out(self, object key, bint deleted):
        """A message leaves, settled or deleted: its body. Raises, and changes nothing, if the key names nothing live."""
        raise NotImplementedError

    cdef Py_ssize_t take_out_many(self, Settling* steps, Py_ssize_t n) except -1:
        """Messages leave, BATCH at most: their bodies, NULL for what is not live; how many did."""
        raise NotImplementedError

    cdef int bury(self, uint32_t slot, uint64_t receipt, object key) except -1:
        """Outside the monitor: `go_back` has found that this delivery, nacked by `key`, was the message's last."""
        raise NotImplementedError

    # In --------------------------------------------------------------------------------------------------------------

    @cython.final
    cdef int64_t put_waiting(self, object item, int rank, double seconds) except? -9:
        """After a first try that failed for want of room."""
        cdef int64_t code = NO_ROOM
        cdef double deadline
        cdef Waiter waiter
        if seconds > 0:
            deadline = deadline_of(seconds)
            waiter = Waiter()
            try:
                while True:
                    self.putters.enter(waiter)
                    code = self.try_put(item, rank)
                    if code != NO_ROOM or not self.putters.sleep(waiter, deadline):
                        break
            finally:
                if self.putters.leave(waiter):
                    self.putters.wake(self.room())
        return code

    def put(self, item, block=True, timeout=None, *, priority="normal") -> int:
        """Put a message in; returns its MTSID.

        If the queue is full: waits for room, at most `timeout` seconds if given, or says no at once with `block=False`.
        Raises `Full` if at some instant during the call there was no room, `ShutDown` after a shutdown.
        """
        return self.put_one(item, rank_of(priority), patience(block, timeout))

    @cython.final
    cdef object put_one(self, object item, int rank, double seconds):
        cdef int64_t code = self.try_put(item, rank)
        if code == NO_ROOM:
            code = self.put_waiting(item, rank, seconds)
        return self.told(item, code)

    @cython.final
    cdef object told(self, object item, int64_t code):
        """The number of a message that was put in, or the exception."""
        cdef PyObject* mtsid
        if code < 0:
            raise self.why_not_put(code, 1)
        mtsid = new_int(code)
        if mtsid == NULL:
            self.take_back(item, code)
            raise MemoryError("no memory for the message's number")
        result = <object> mtsid
        Py_DECREF(result)
        return result

    @cython.final
    cdef int take_back(self, object item, int64_t mtsid) except -1:
        """There is no memory to tell what number a message got: it is taken out again, unless it was served already."""
        cdef int64_t slot
        cdef PyObject* body = NULL
        monitor_enter(&self.backlog.monitor)
        slot = self.find(<uint32_t> (mtsid - self.first))
        if slot >= 0 and slot_at(&self.backlog, slot).body == <PyObject*> item:
            if slot_at(&self.backlog, slot).state == FRESH:
                body = self.leave(<uint32_t> slot)
                self.backlog.counted.withdrawn += 1
        monitor_leave(&self.backlog.monitor)
        if body != NULL:
            Py_DECREF(<object> body)
            self.left(self.live(), self.room(), self.backlog.closed)
        return 0

    def put_nowait(self, item, *, priority="normal") -> int:
        """`put` with `block=False`."""
        return self.put(item, False, None, priority=priority)

    def put_many(self, items, block=True, timeout=None, *, priority="normal"):
        """Put messages in, all or none, one behind the other; returns their MTSIDs as an array of uint32.

        Waits as `put` does, until there is room for all of them at once; smaller puts may overtake it meanwhile. More
        items than `maxsize` are `Full` at once.
        """
        cdef int rank = rank_of(priority)
        cdef double seconds = patience(block, timeout)
        cdef list bodies = list_of(items)
        cdef Py_ssize_t n = len(bodies)
        cdef Py_ssize_t i
        cdef int64_t code
        cdef double deadline
        cdef uint32_t* numbers
        cdef Waiter waiter
        cdef Py_buffer view
        array = new_array(n)
        PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
        try:
            numbers = <uint32_t*> view.buf
            code = self.try_put_many(bodies, rank, numbers)
            if code == NO_ROOM and seconds > 0 and <uint64_t> n <= self.backlog.capacity:
                deadline = deadline_of(seconds)
                waiter = Waiter(n)
                try:
                    while True:
                        self.putters.enter(waiter)
                        code = self.try_put_many(bodies, rank, numbers)
                        if code != NO_ROOM:
                            break
                        # The room that was not enough for this batch may be enough for somebody behind it.
                        self.putters.wake(self.room())
                        if not self.putters.sleep(waiter, deadline):
                            break
                finally:
                    if self.putters.leave(waiter):
                        self.putters.wake(self.room())
            if code < 0:
                raise self.why_not_put(code, n)
        finally:
            PyBuffer_Release(&view)
        return array

    @cython.final
    cdef object why_not_put(self, int64_t code, Py_ssize_t wanted):
        """The exception for a put that failed."""
        cdef uint64_t live
        if code == CLOSED:
            return ShutDown("the queue was shut down: it takes no more messages")
        monitor_enter(&self.backlog.monitor)
        self.backlog.counted.full += 1
        live = self.backlog.waiting + self.backlog.in_flight
        monitor_leave(&self.backlog.monitor)
        if wanted == 1:
            live = self.backlog.capacity  # as it was then
        return Full(
            f"no room for {'the message' if wanted == 1 else f'{wanted} messages'}: {live} of {self.backlog.capacity} are "
            "in the queue; ack some, wait longer, or make the queue larger",
            live=live, capacity=self.backlog.capacity, wanted=wanted,
        )

    # Out -------------------------------------------------------------------------------------------------------------

    @cython.final
    cdef int get_waiting(self, Message message, double seconds, int64_t code) except -1:
        """After a first try that ended so: the wait for a message. Raises if there was none in time."""
        cdef double deadline
        cdef Waiter waiter
        if code == NO_ROOM and seconds > 0:
            deadline = deadline_of(seconds)
            waiter = Waiter()
            try:
                while True:
                    self.getters.enter(waiter)
                    code = self.try_get(message)
                    if code != NO_ROOM or not self.getters.sleep(waiter, deadline):
                        break
            finally:
                self.stop_getting(waiter, message, code)
        return 0 if code >= 0 else self.check_got(code)

    @cython.final
    cdef int stop_getting(self, Waiter waiter, Message message, int64_t code) except -1:
        """Out of the line: a wake-up that came too late goes to the next one.

        If Ctrl-C comes meanwhile, the message that was got waits again, as if it had not been got.
        """
        cdef int64_t slot
        try:
            if self.getters.leave(waiter):
                self.getters.wake(1)
        except BaseException:
            if code >= 0:
                monitor_enter(&self.backlog.monitor)
                slot = backlog_find(&self.backlog, message.slot, message.receipt)
                if slot >= 0:
                    slot_at(&self.backlog, slot).deliveries -= 1
                    backlog_return(&self.backlog, <uint32_t> slot)
                monitor_leave(&self.backlog.monitor)
                self.getters.wake(1)
            raise
        return 0

    @cython.final
    cdef int check_got(self, int64_t code) except -1:
        """Raise if there was no message."""
        cdef uint64_t in_flight
        if code >= 0:
            return 0
        if code == CLOSED:
            raise ShutDown("the queue was shut down, and nothing is left in it")
        monitor_enter(&self.backlog.monitor)
        self.backlog.counted.empty += 1
        in_flight = self.backlog.in_flight
        monitor_leave(&self.backlog.monitor)
        raise Empty(
            f"nothing is waiting ({in_flight} in flight): put a message, or wait longer", in_flight=in_flight
        )

    def get(self, block=True, timeout=None):
        """Get the next message; it is in flight until `ack` or `nack`.

        If nothing waits: waits for a message, at most `timeout` seconds if given, or says no at once with
        `block=False`. Raises `Empty` if at some instant during the call nothing waited; `ShutDown` after a shutdown,
        once nothing waits and nothing is in flight.
        """
        return self.get_one(patience(block, timeout))

    @cython.final
    cdef object get_one(self, double seconds):
        cdef Message message = fresh_message()
        cdef int64_t code = self.try_get(message)
        if code < 0:
            self.get_waiting(message, seconds, code)
        return message

    def get_nowait(self):
        """`get` with `block=False`."""
        return self.get(False)

    def get_many(self, max, block=True, timeout=None) -> list:
        """Get up to `max` messages. Waits for the first one only, as `get` does."""
        cdef int64_t most = as_integer(max, "max")
        cdef double seconds = patience(block, timeout)
        cdef list messages
        cdef Py_ssize_t filled = 1
        cdef Py_ssize_t got, end
        cdef int64_t code
        if most < 0:
            raise ValueError(f"max must not be negative, but is {max!r}")
        if most == 0:
            return []
        # What a step takes must have its place first: without memory for it the message would be lost. If there is
        # memory for a few only, those will do.
        end = min(most, <int64_t> (self.waiting_now() or 1))
        messages = empty_list(end)
        while len(messages) < end and append_fresh(messages, <void*> fresh_message):
            pass
        if not messages:
            raise MemoryError("no memory for a message")
        code = self.try_get(<Message> list_item(messages, 0))
        if code < 0:
            self.get_waiting(<Message> list_item(messages, 0), seconds, code)
        while True:
            while filled < len(messages):
                got = self.try_get_many(messages, filled, min(len(messages), filled + BATCH))
                if got == 0:  # others were faster
                    drop_behind(messages, filled)
                    return messages
                filled += got
            end = min(most, filled + <int64_t> min(<uint64_t> BATCH, self.waiting_now()))
            while len(messages) < end and append_fresh(messages, <void*> fresh_message):
                pass
            if len(messages) == filled:
                return messages

    @cython.final
    cdef int left(self, uint64_t live, uint64_t room, bint closed) except -1:
        """Wake those for whom it matters that messages left: `live` and `room` as they were in that step."""
        if self.putters.needed():
            self.putters.wake(room)
        if live == 0:
            if self.joiners.needed():
                self.joiners.wake_all()
            if closed and self.getters.needed():
                self.getters.wake_all()
        return 0

    def ack(self, message_or_mtsid) -> None:
        """The message leaves the queue: its MTSID is stripped, and free for another.

        A `Message` settles that delivery only: `Stale` if it was settled, returned or deleted since, or is of another
        queue. A bare MTSID settles whatever message has the number now, waiting or in flight: `NotInUse` if none has.
        """
        self.take_out(message_or_mtsid, False)

    def nack(self, message_or_mtsid) -> None:
        """The message goes back into the queue with the same MTSID, to its place by entry.

        `Stale` and `NotInUse` as for `ack`; a bare MTSID of a message that waits already changes nothing. After
        `shutdown(immediate=True)` the message is discarded instead, and `ShutDown` carries it in `.discarded`.
        A queue with `max_deliveries` hands a message that was delivered so often to `on_dead` instead.
        """
        self.put_back(message_or_mtsid)

    @cython.final
    cdef int put_back(self, object key) except -1:
        cdef uint64_t receipt, live, room
        cdef int64_t slot = key_of(self, key, &receipt)
        cdef uint32_t number = 0
        cdef PyObject* body = NULL
        cdef bint discard
        cdef bint dying = False
        monitor_enter(&self.backlog.monitor)
        slot = self.resolve(slot, receipt)
        if slot < 0:
            count_refusal(&self.backlog, receipt)
            monitor_leave(&self.backlog.monitor)
            raise self.refusal(key)
        if slot_at(&self.backlog, slot).state != IN_FLIGHT:
            monitor_leave(&self.backlog.monitor)
            return 0
        discard = self.backlog.closed == CLOSED_AT_ONCE
        if discard:
            number = self.number(<uint32_t> slot)
            body = self.leave(<uint32_t> slot)
            self.backlog.counted.discarded += 1
        else:
            self.go_back(<uint32_t> slot)
            dying = slot_at(&self.backlog, slot).state == DYING
            receipt = slot_at(&self.backlog, slot).receipt
        live = self.backlog.waiting + self.backlog.in_flight
        room = self.backlog.capacity - live
        monitor_leave(&self.backlog.monitor)
        if dying:
            return self.bury(<uint32_t> slot, receipt, key)
        if not discard:
            if self.getters.needed():
                self.getters.wake(1)
            return 0
        item = <object> body
        Py_DECREF(item)
        self.left(live, room, True)
        raise ShutDown(
            f"the queue was shut down at once: message {number} was discarded, see .discarded", discarded=[item]
        )

    def ack_many(self, messages_or_mtsids) -> None:
        """Settle many messages: any sequence of messages and MTSIDs, mixed if you like.

        Wrong types, numbers out of range and duplicates within the call raise `TypeError` or `ValueError` and change
        nothing. What is not live at its turn is skipped, the rest settled, then one `NotInUse` lists it in
        `.refused`.
        """
        cdef list keys = as_list(messages_or_mtsids, "messages_or_mtsids")
        cdef Py_ssize_t n = len(keys)
        cdef Py_ssize_t i
        cdef PyObject* key
        cdef uint64_t receipt = 0
        cdef uint64_t last
        cdef bint rising = True
        cdef Py_ssize_t done = 0
        cdef Py_ssize_t live = 0
        cdef bytes memory = PyBytes_FromStringAndSize(NULL, n * sizeof(Settling))
        cdef Settling* steps = <Settling*> PyBytes_AS_STRING(memory)
        try:
            for i in range(n):
                last = receipt
                key = list_item(keys, i)
                # `key_of`, without a reference to each.
                if key.ob_type == <PyTypeObject*> Message and (<Message> key).serial == self.backlog.serial:
                    receipt = (<Message> key).receipt
                    steps[i].key = (<Message> key).slot
                else:
                    steps[i].key = key_of(self, <object> key, &receipt)
                steps[i].receipt = receipt
                steps[i].body = NULL
                rising = rising and last < receipt < UINT64_MAX
        except NotInUse as error:
            raise ValueError(str(error)) from None
        if not rising:  # messages in the order in which they were got have no duplicates
            refuse_duplicates(keys, steps)
        try:
            while done < n:
                live += self.take_out_many(steps + done, min(<Py_ssize_t> BATCH, n - done))
                done += BATCH
        finally:  # whoever is woken may raise
            for i in range(n):
                Py_XDECREF(steps[i].body)
        if live < n:
            refused = []
            for i in range(n):  # no comprehension: Cython 3.3 drops the last item twice when memory ends
                if steps[i].body == NULL:
                    refused.append(keys[i])
            raise NotInUse(
                f"{len(refused)} of {n} messages were not live, the rest is settled; see .refused", refused=refused
            )

    def delete(self, mtsid):
        """Remove the message with this number, waiting or in flight, and return its body.

        Its number is free at once; the `ack` of who had it in flight raises `Stale`. `NotInUse` if there is none.
        """
        return self.take_out(number_of(mtsid), True)

    # The end ---------------------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        cdef Waiter waiter = Waiter()
        try:
            while True:
                self.joiners.enter(waiter)
                if self.live() == 0:
                    return
                self.joiners.sleep(waiter, INFINITY)
        finally:
            if self.joiners.leave(waiter):
                self.joiners.wake(1)

    def shutdown(self, immediate=False) -> list:
        """Take no more messages. `put` raises `ShutDown` from now on, and wakes up to do so.

        What is in the queue is still served, a message that is returned too; `get` raises `ShutDown` once nothing
        waits and nothing is in flight. `immediate=True` empties the queue instead and returns the bodies it
        discarded, in the order in which they would have been served; a later `nack` of a message in flight discards
        that one. Otherwise the list is empty.
        """
        cdef bint at_once = as_flag(immediate, "immediate")
        # Room for what waits now, so that no body is without a place once it is out. (A count of its own: the compiler
        # reads the length of a multiplied list twice, and the queue's own count moves.)
        cdef Py_ssize_t about = self.waiting_now() if at_once else 0
        cdef list discarded = [None] * about
        cdef Py_ssize_t n = 0
        cdef int64_t slot
        cdef uint64_t live
        cdef PyObject* body
        monitor_enter(&self.backlog.monitor)
        if self.backlog.closed != CLOSED_AT_ONCE:
            self.backlog.closed = CLOSED_AT_ONCE if at_once else CLOSING
        live = self.backlog.waiting + self.backlog.in_flight
        monitor_leave(&self.backlog.monitor)
        while at_once:
            if n == len(discarded):
                discarded.append(None)
            monitor_enter(&self.backlog.monitor)
            slot = backlog_next_waiting(&self.backlog)
            body = self.leave(<uint32_t> slot) if slot >= 0 else NULL
            self.backlog.counted.discarded += body != NULL
            live = self.backlog.waiting + self.backlog.in_flight
            monitor_leave(&self.backlog.monitor)
            if body == NULL:
                break
            discarded[n] = <object> body
            Py_DECREF(<object> body)
            n += 1
        del discarded[n:]
        self.putters.wake_all()
        if live == 0:
            self.getters.wake_all()
            self.joiners.wake_all()
        return discarded


# The commonest calls: one message, no wish about waiting ------------------------------------------------------------

cdef Entry put_whole, get_whole, ack_whole


cdef object put_entry(QueueVerbs self, PyObject** arguments, Py_ssize_t given, PyObject* names):
    if given == 1 and names == NULL:
        return self.put_one(<object> arguments[0], 1, INFINITY)
    return put_whole(self, arguments, given, names)


cdef object get_entry(QueueVerbs self, PyObject** arguments, Py_ssize_t given, PyObject* names):
    if given == 0 and names == NULL:
        return self.get_one(INFINITY)
    return get_whole(self, arguments, given, names)


cdef object ack_entry(QueueVerbs self, PyObject** arguments, Py_ssize_t given, PyObject* names):
    if given == 1 and names == NULL:
        self.take_out(<object> arguments[0], False)
        return None
    return ack_whole(self, arguments, given, names)


put_whole = set_entry(<PyTypeObject*> QueueVerbs, "put", <void*> put_entry)
get_whole = set_entry(<PyTypeObject*> QueueVerbs, "get", <void*> get_entry)
ack_whole = set_entry(<PyTypeObject*> QueueVerbs, "ack", <void*> ack_entry)

# The collector sees the bodies from here on, before any subclass inherits or any queue holds one.
example = QueueVerbs(1)
show_payloads(<PyTypeObject*> QueueVerbs, <char*> &(<QueueVerbs> example).backlog - <char*> <PyObject*> example)
del example
