"""In which order do messages leave? The queue that numbers its messages: SP2, correct by construction.

The MTSID of a message is the number of the slot that it lies in. A slot holds one message, so two messages in the
queue cannot share a number: there is no second record of which numbers are taken, nothing that could disagree,
nothing to hand out twice. The number is free when the slot is, in the same step.

Compare v40/queue.pyx, where number and slot are two things.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.backlog cimport (
    backlog_find,
    backlog_grow,
    backlog_is_live,
    backlog_must_grow,
    backlog_put,
    backlog_remove,
    backlog_return,
    backlog_room,
    backlog_take,
)
from mtsid.core.contents cimport CLOSED, NO_ROOM, key_of
from mtsid.core.message cimport Message
from mtsid.core.monitor cimport monitor_enter, monitor_leave
from mtsid.core.verbs cimport BATCH, QueueVerbs, Settling, fill, list_item


include "steps.pxi"


cdef class MessageQueue(QueueVerbs):
    """A queue that gives each message a number on entry, its MTSID, and takes it back when the message leaves.

    Parameters
    ----------
    maxsize
        How many messages it holds, waiting and in flight together; 1 .. 2**32-1.
    first
        The lowest MTSID. Numbers are `first` .. `first + maxsize - 1`, within 0 .. 2**32-1.

    Raises
    ------
    TypeError, ValueError
        For anything else. `maxsize=0`, which means "no bound" to `queue.Queue`, is refused: numbers are finite.

    A message is got by one consumer at a time and settled by `ack` (it leaves) or `nack` (it goes back to its place by
    entry). FIFO within a priority; urgent before normal before non-urgent. Every method may be called from any
    thread, with the GIL or without, and is reentrant. A queue is always true; it can be neither pickled nor copied.

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
    """

    @cython.final
    cdef int64_t enter(self, PyObject* body, int rank, bint in_batch) noexcept:
        return backlog_put(&self.backlog, body, rank)

    @cython.final
    cdef PyObject* leave(self, uint32_t slot) noexcept:
        return backlog_remove(&self.backlog, slot)

    @cython.final
    cdef void go_back(self, uint32_t slot) noexcept:
        backlog_return(&self.backlog, slot)

    @cython.final
    cdef uint32_t number(self, uint32_t slot) noexcept:
        return <uint32_t> (self.first + slot)

    @cython.final
    cdef int64_t find(self, uint32_t offset) noexcept:
        return offset if backlog_is_live(&self.backlog, offset) else -1

    # Steps: of steps.pxi

    cdef int64_t try_put(self, object item, int rank) except? -9:
        return put_step(self, item, rank)

    cdef int64_t try_put_many(self, list items, int rank, uint32_t* numbers) except? -9:
        return put_many_step(self, items, rank, numbers)

    cdef int64_t try_get(self, Message message) except? -9:
        return get_step(self, message)

    cdef Py_ssize_t try_get_many(self, list messages, Py_ssize_t begin, Py_ssize_t end) except -1:
        return get_many_step(self, messages, begin, end)

    cdef object take_out(self, object key):
        return take_out_step(self, key)

    cdef int take_out_many(self, Settling* steps, Py_ssize_t n) except -1:
        return take_out_many_step(self, steps, n)
