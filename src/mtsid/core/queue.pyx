"""In which order do messages leave? The queue that numbers its messages: SP2, correct by construction.

The MTSID of a message is the number of the slot that it lies in. A slot holds one message, so two messages in the
queue cannot share a number: there is no second record of which numbers are taken, nothing that could disagree,
nothing to hand out twice. The number is free when the slot is, in the same step.

Compare v40/queue.pyx, where number and slot are two things.

Beside the verbs of verbs.pyx this queue has: an end to redelivery, coroutines, blocks that settle, and counts.

    fresh or returned --get--> in flight --nack, the last--> dying --on_dead returns--> left
                ^                                              |
                +----------------on_dead raises----------------+

A dying message is in flight for all counts, but its delivery is over, so it is nobody's to settle by a receipt, and no
second `nack` calls `on_dead` again. It keeps its slot, and so its number, until `on_dead` has returned: then it can go
back, whatever happens, and `join` does not end before it is in safe hands. No lock is held meanwhile.
"""

from collections.abc import Coroutine

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.arguments cimport as_integer, as_timeout, shown
from mtsid.core.atomic cimport load_acquire
from mtsid.core.backlog cimport (
    Slot,
    DYING,
    Counts,
    Settling,
    backlog_find,
    backlog_grow,
    backlog_is_live,
    backlog_must_grow,
    backlog_put,
    backlog_put_many,
    backlog_remove,
    backlog_return,
    backlog_room,
    backlog_settle_run,
    backlog_take,
    backlog_take_many,
    slot_at,
)
from mtsid.core.contents cimport CLOSED, NO_ROOM, count_refusal, key_of
from mtsid.core.message cimport Message, fresh_message, hold, hold_next
from mtsid.core.message_list cimport list_items, set_length
from mtsid.core.monitor cimport monitor_enter, monitor_leave
from mtsid.core.receiving cimport AsyncReceiving, Receiving
from mtsid.core.verbs cimport (
    BATCH,
    CLOSED_AT_ONCE,
    QueueVerbs,
    fill,
    list_item,
    patience,
    rank_of,
)
from mtsid.core.waiting cimport LoopWaiter

from mtsid.core.stats import QueueStats
from mtsid.errors import ShutDown


include "steps.pxi"


cdef class MessageQueue(QueueVerbs):
    """A queue that gives each message a number on entry, its MTSID, and takes it back when the message leaves.

    Parameters
    ----------
    maxsize
        How many messages it holds, waiting and in flight together; 1 .. 2**32-1.
    first
        The lowest MTSID. Numbers are `first` .. `first + maxsize - 1`, within 0 .. 2**32-1.
    max_deliveries
        How often a message is delivered at most, 1 .. 2**32-1; None: without a bound.
    on_dead
        Called with the `Message` when its `max_deliveries`-th delivery is nacked, by the thread that nacks it and
        without a lock. The message keeps its number, in flight, until `on_dead` returns; then it leaves. If `on_dead`
        raises, the message goes back into the queue, to be delivered once more, and `nack` raises the same. So nothing
        is dropped. It may use the queue: what it puts into the same one needs a number more, so say `block=False`
        there. It must be a plain function: one that returns a coroutine has done nothing yet, and is a `TypeError`.

    Raises
    ------
    TypeError, ValueError
        For anything else. `maxsize=0`, which means "no bound" to `queue.Queue`, is refused: numbers are finite. So is
        one of `max_deliveries` and `on_dead` without the other: messages would be dropped in silence, or never.

    A message is got by one consumer at a time and settled by `ack` (it leaves) or `nack` (it goes back to its place by
    entry). FIFO within a priority; urgent before normal before non-urgent. Every method may be called from any thread,
    with the GIL or without, and is reentrant; coroutines of any event loop stand in line with threads. A queue is always
    true; it can be neither pickled nor copied.

    >>> queue = MessageQueue(100)
    >>> queue.put("hello")
    1
    >>> message = queue.get()
    >>> message.mtsid, message.body, message.deliveries
    (1, 'hello', 1)
    >>> queue.ack(message)
    >>> queue.ack(message)
    Traceback (most recent call last):
    mtsid.errors.Stale: this delivery of message 1 was settled, returned or deleted already, or is of another queue

    >>> dead = []
    >>> queue = MessageQueue(100, max_deliveries=2, on_dead=dead.append)
    >>> queue.put("undeliverable")
    1
    >>> queue.nack(queue.get()); queue.nack(queue.get())
    >>> dead, len(queue)
    ([<Message 1, normal, delivery 2: 'undeliverable'>], 0)
    """

    def __init__(self, maxsize=65535, *, first=1, max_deliveries=None, on_dead=None):
        cdef int64_t most = 0
        if max_deliveries is not None:
            most = as_integer(max_deliveries, "max_deliveries")
            if not 1 <= most <= 0xFFFFFFFF:
                raise ValueError(f"max_deliveries must lie within 1 .. 4294967295, but is {shown(max_deliveries)}")
            if on_dead is None:
                raise ValueError("max_deliveries needs on_dead: a message past it has to go somewhere")
        if on_dead is not None:
            if not callable(on_dead):
                raise TypeError(f"on_dead must be a function of a message, not {type(on_dead).__name__!r}")
            if most == 0:
                raise ValueError("on_dead needs max_deliveries: without a bound no message is ever dead")
        QueueVerbs.__init__(self, maxsize, first=first)
        self.max_deliveries = <uint32_t> most
        self.on_dead = on_dead

    # Numbers ---------------------------------------------------------------------------------------------------------

    @cython.final
    cdef int64_t enter(self, PyObject* body, int rank, bint in_batch) noexcept:
        return backlog_put(&self.backlog, body, rank)

    @cython.final
    cdef void enter_many(self, PyObject** bodies, Py_ssize_t n, int rank, uint32_t* numbers) noexcept:
        cdef Py_ssize_t i
        backlog_put_many(&self.backlog, bodies, n, rank, numbers)
        for i in range(n):
            numbers[i] = self.number(numbers[i])

    @cython.final
    cdef PyObject* leave(self, uint32_t slot) noexcept:
        return backlog_remove(&self.backlog, slot)

    @cython.final
    cdef Py_ssize_t leave_run(self, Settling* steps, Py_ssize_t n) noexcept:
        return backlog_settle_run(&self.backlog, steps, n)

    @cython.final
    cdef void go_back(self, uint32_t slot) noexcept:
        if self.max_deliveries and slot_at(&self.backlog, slot).deliveries >= self.max_deliveries:
            slot_at(&self.backlog, slot).state = DYING
        else:
            backlog_return(&self.backlog, slot)

    @cython.final
    cdef uint32_t number(self, uint32_t slot) noexcept:
        return <uint32_t> (self.first + slot)

    @cython.final
    cdef int64_t find(self, uint32_t offset) noexcept:
        return offset if backlog_is_live(&self.backlog, offset) else -1

    # Steps: of steps.pxi ---------------------------------------------------------------------------------------------

    cdef int64_t try_put(self, object item, int rank) except? -9:
        return put_step(self, item, rank)

    cdef int64_t try_put_many(self, list items, int rank, uint32_t* numbers) except? -9:
        return put_many_step(self, items, rank, numbers)

    cdef int64_t try_get(self, Message message) except? -9:
        return get_step(self, message)

    cdef Py_ssize_t try_get_many(self, list messages, Py_ssize_t begin, Py_ssize_t end) except -1:
        return get_many_step(self, messages, begin, end)

    cdef object take_out(self, object key, bint deleted):
        return take_out_step(self, key, deleted)

    cdef Py_ssize_t take_out_many(self, Settling* steps, Py_ssize_t n) except -1:
        return take_out_many_step(self, steps, n)

    # The end of redelivery -------------------------------------------------------------------------------------------

    cdef int bury(self, uint32_t slot, uint64_t receipt, object key) except -1:
        """A dying message goes to `on_dead`, and then leaves; if that fails it goes back."""
        try:
            message = key if type(key) is Message else self.dying(slot, receipt)
            if message is not None:
                outcome = self.on_dead(message)
                # Nothing may fail once it has taken the message; the look at a class may, for want of memory.
                if outcome is not None and isinstance(outcome, Coroutine):
                    outcome.close()
                    raise TypeError("on_dead must be a plain function: it returned a coroutine, which has done nothing yet")
        except BaseException as error:
            self.end_dying(slot, receipt, error)
            raise
        return self.end_dying(slot, receipt, None)

    cdef object dying(self, uint32_t slot, uint64_t receipt):
        """The message that was nacked by its number; None if it was deleted since."""
        cdef Message message = fresh_message()
        cdef PyObject* body = NULL
        monitor_enter(&self.backlog.monitor)
        if slot_at(&self.backlog, slot).state == DYING and slot_at(&self.backlog, slot).receipt == receipt:
            body = fill(&self.backlog, slot, slot_at(&self.backlog, slot), message)
            message.number = self.number(slot)
        monitor_leave(&self.backlog.monitor)
        if body == NULL:
            return None
        hold(message, body)
        return message

    cdef int end_dying(self, uint32_t slot, uint64_t receipt, object error) except -1:
        """`on_dead` has returned, or has raised an error. The message may have been deleted meanwhile."""
        cdef PyObject* body = NULL
        cdef bint returned = False
        cdef uint64_t live, room
        cdef bint closed
        monitor_enter(&self.backlog.monitor)
        closed = self.backlog.closed
        if slot_at(&self.backlog, slot).state == DYING and slot_at(&self.backlog, slot).receipt == receipt:
            if error is None:
                body = (<QueueVerbs> self).leave(slot)  # seldom: not a copy of its own
                self.backlog.counted.dead += 1
            elif self.backlog.closed == CLOSED_AT_ONCE:
                body = (<QueueVerbs> self).leave(slot)
                self.backlog.counted.discarded += 1
            else:
                backlog_return(&self.backlog, slot)
                returned = True
        live = self.backlog.waiting + self.backlog.in_flight
        room = self.backlog.capacity - live
        monitor_leave(&self.backlog.monitor)
        if returned and self.getters.needed():
            self.getters.wake(1)
        if body != NULL:
            item = <object> body
            Py_DECREF(item)
            self.left(live, room, closed)
            if error is not None:
                raise ShutDown(
                    "the queue was shut down at once while on_dead failed: the message was discarded, see .discarded",
                    discarded=[item],
                ) from error
        return 0

    # Coroutines ------------------------------------------------------------------------------------------------------

    async def put_async(self, item, timeout=None, *, priority="normal") -> int:
        """`put` for coroutines: awaits room, from any number of event loops and threads at once.

        `timeout`: seconds; None or infinity wait for ever. Returns the MTSID; raises as `put` does. First come, first
        served, among threads too; newcomers may overtake. The message goes in in the very step that returns, so a task
        that is cancelled while it waits has put nothing, and what woke it wakes the next one. Prefer `timeout` to
        `asyncio.wait_for`, which before Python 3.12 could drop the result of a task that was done just in time.

        >>> import asyncio
        >>> from mtsid import MessageQueue
        >>> asyncio.run(MessageQueue(9).put_async("hello", priority="urgent"))
        1
        """
        cdef int rank = rank_of(priority)
        cdef double seconds = as_timeout(timeout)
        cdef int64_t code = self.try_put(item, rank)
        cdef double deadline
        cdef LoopWaiter waiter
        if code == NO_ROOM and seconds > 0:
            waiter = LoopWaiter()
            deadline = waiter.deadline_of(seconds)
            try:
                while True:
                    self.putters.enter(waiter)
                    code = self.try_put(item, rank)
                    if code != NO_ROOM or not await waiter.sleep(self.putters, deadline):
                        break
            finally:
                if self.putters.leave(waiter):
                    self.putters.wake(self.room())
        return self.told(item, code)

    async def get_async(self, timeout=None):
        """`get` for coroutines: awaits a message, as `put_async` awaits room. Raises as `get` does.

        The message is taken in the very step that returns it, so a task that is cancelled while it waits has none to
        lose. One that is cancelled afterwards has it in flight: `receive_async` gives it back by itself.
        """
        cdef double seconds = as_timeout(timeout)
        cdef Message message = fresh_message()
        cdef int64_t code = self.try_get(message)
        cdef double deadline
        cdef LoopWaiter waiter
        if code == NO_ROOM and seconds > 0:
            waiter = LoopWaiter()
            deadline = waiter.deadline_of(seconds)
            try:
                while True:
                    self.getters.enter(waiter)
                    code = self.try_get(message)
                    if code != NO_ROOM or not await waiter.sleep(self.getters, deadline):
                        break
            finally:
                self.stop_getting(waiter, message, code)
        self.check_got(code)
        return message

    # Blocks that settle ----------------------------------------------------------------------------------------------

    def receive(self, block=True, timeout=None):
        """A message for as long as a `with` block runs: acked at its end, nacked if the block raises.

        `block`, `timeout` and errors are those of `get`; it waits when the block is entered. Whatever the block raises
        counts, Ctrl-C and a cancelled task too, and comes out as it is, unless the `nack` fails: `ShutDown`, or what
        `on_dead` raises, comes out instead, with the block's as its `__context__`.

        A block may settle the message itself, by `ack` or `nack`: then its end does nothing. Nor does it if the
        message was deleted or settled by others meanwhile.

        >>> from mtsid import MessageQueue
        >>> queue = MessageQueue(9)
        >>> queue.put("hello")
        1
        >>> with queue.receive() as message:
        ...     message.body
        'hello'
        >>> len(queue)
        0
        """
        cdef Receiving receiving = Receiving.__new__(Receiving)
        receiving.seconds = patience(block, timeout)
        receiving.queue = self
        return receiving

    def receive_async(self, timeout=None):
        """`receive` for coroutines: `async with queue.receive_async() as message`, which awaits as `get_async` does.

        The end of the block waits for nobody. `on_dead`, if it comes to that, is called in the loop's thread.
        """
        cdef AsyncReceiving receiving = AsyncReceiving.__new__(AsyncReceiving)
        receiving.seconds = as_timeout(timeout)
        receiving.queue = self
        return receiving

    # Counts ----------------------------------------------------------------------------------------------------------

    def stats(self):
        """What there is and what there was, at one instant, as `QueueStats`: its fields say what each number is."""
        cdef Counts seen
        cdef uint64_t waiting, in_flight, put, got
        monitor_enter(&self.backlog.monitor)
        seen = self.backlog.counted
        waiting = self.backlog.waiting
        in_flight = self.backlog.in_flight
        put = self.backlog.entries
        got = self.backlog.receipts
        monitor_leave(&self.backlog.monitor)
        put -= seen.withdrawn
        return QueueStats(
            capacity=self.backlog.capacity,
            waiting=waiting,
            in_flight=in_flight,
            free=self.backlog.capacity - waiting - in_flight,
            getters=load_acquire(&self.getters.count),
            putters=load_acquire(&self.putters.count),
            high_water=max(seen.high_water, waiting + in_flight),
            put=put,
            got=got,
            acked=put - waiting - in_flight - seen.deleted - seen.dead - seen.discarded,
            returned=seen.returned,
            deleted=seen.deleted,
            dead=seen.dead,
            discarded=seen.discarded,
            full=seen.full,
            empty=seen.empty,
            stale=seen.stale,
            refused=seen.refused,
        )
