"""Exchange 4.0's message queue: the verbs of `mtsid.MessageQueue`, and on purpose one defect of four.

For comparative fault tests only. Here a message's slot and its number are two things: the slot is where it lies, the
number (its MTSID) comes from a free list, last in, first out (A). What two records say can differ, and each defect is
a way to get there. Compare core/queue.pyx, where there is only one record.

    premature-strip (A)  `nack` puts the number on the free list, but the message keeps it     `go_back`
    double-release  (A)  a second `ack` puts it there again                                     `ack`, pool.pxd
    racy-claim      (A)  look-up and claim are two steps (in `put`; `put_many` is one step)     `enter`
    unchecked-wrap  (A)  a counter wraps onto numbers in use                                    pool.pxd

With twins, a look-up by number finds the oldest; a `Message` names its own. `snapshot` shows a row for each, `audit`
raises and lists them. Nothing crashes, leaks or corrupts memory: the slots are as sound as SP2's. A number is on the
free list again, once, when the last message that holds it has left, so a queue that runs dry is sound (save after
double-release).
"""

from collections import Counter

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport UINT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from mtsid.core.arguments cimport as_integer
from mtsid.core.atomic cimport thread_yield
from mtsid.core.backlog cimport (
    FREE,
    FRESH,
    Settling,
    Slot,
    backlog_find,
    backlog_grow,
    backlog_must_grow,
    backlog_put,
    backlog_remove,
    backlog_return,
    backlog_room,
    backlog_take,
    backlog_take_many,
    slot_at,
)
from mtsid.core.message cimport Message, hold, hold_next
from mtsid.core.message_list cimport list_items, set_length
from mtsid.core.monitor cimport monitor_enter, monitor_leave
from mtsid.core.contents cimport CLOSED, NO_ROOM, count_refusal, key_of
from mtsid.core.verbs cimport BATCH, QueueVerbs, fill, list_item
from mtsid.v40.pool cimport (
    DOUBLE_RELEASE,
    LAST_IN_FIRST_OUT,
    PREMATURE_STRIP,
    RACY_CLAIM,
    as_defect,
    check_size,
    pool_claim,
    pool_close,
    pool_give_back,
    pool_look_up,
    pool_open,
)

from mtsid.errors import NotInUse

DEFECTS = ("double-release", "racy-claim", "unchecked-wrap", "premature-strip")


include "../core/steps.pxi"


cdef class MessageQueue(QueueVerbs):
    """`mtsid.MessageQueue` as Exchange 4.0 might have had it; its arguments, and

    defect
        "premature-strip": `nack` while others wait puts the number on the free list, though the message keeps it.
        "double-release": a second `ack` of a message that left is not refused; its number is on the list twice.
        "racy-claim": looking a number up and claiming it are two steps; another thread may come in between.
        "unchecked-wrap": a counter that wraps, and hands out numbers that are still in use.

    Raises as `mtsid.MessageQueue` does. Any thread may call any method: what may go wrong is that two messages
    get the same number.

    >>> queue = MessageQueue(10)
    >>> queue.put("first"), queue.put("second")
    (1, 2)
    >>> queue.nack(queue.get())
    >>> queue.put("third")
    1
    >>> queue.audit()
    Traceback (most recent call last):
    mtsid.errors.AuditError: 1 MTSID in use by several messages: 1 (2 messages)
    """

    def __init__(self, maxsize=65535, *, first=1, defect="premature-strip"):
        kind = as_defect(defect, DEFECTS)
        check_size(max(0, as_integer(maxsize, "maxsize")))
        QueueVerbs.__init__(self, maxsize, first=first)
        self.entries = <Entry*> calloc(self.backlog.capacity, sizeof(Entry))
        self.oldest = <uint32_t*> calloc(self.backlog.capacity, sizeof(uint32_t))
        if (
            self.entries == NULL or self.oldest == NULL
            or not pool_open(&self.pool, self.backlog.capacity, kind, LAST_IN_FIRST_OUT)
        ):
            self.backlog.closed = 1
            raise MemoryError(f"no memory for a queue of {maxsize} messages")

    def __dealloc__(self):
        pool_close(&self.pool)
        free(self.entries)
        free(self.oldest)

    # Inside the monitor ----------------------------------------------------------------------------------------------

    @cython.final
    cdef void bind(self, uint32_t slot, uint32_t number) noexcept:
        """The message in the slot has this number: the youngest of those that do."""
        cdef uint32_t* link = &self.oldest[number]
        while link[0]:
            link = &self.entries[link[0] - 1].twin
        link[0] = slot + 1
        self.entries[slot].number = number
        self.entries[slot].twin = 0
        self.entries[slot].stripped = False

    @cython.final
    cdef void unbind(self, uint32_t slot) noexcept:
        cdef uint32_t* link = &self.oldest[self.entries[slot].number]
        while link[0] != slot + 1:
            link = &self.entries[link[0] - 1].twin
        link[0] = self.entries[slot].twin

    @cython.final
    cdef int64_t enter(self, PyObject* body, int rank, bint in_batch) noexcept:
        cdef int64_t number, slot
        if backlog_room(&self.backlog) == 0 or self.pool.size == 0:
            return NO_ROOM
        number = pool_look_up(&self.pool)
        if self.pool.defect == RACY_CLAIM and not in_batch:
            # DEFECT racy-claim (A): between the look-up and the claim another thread runs, and may look up the
            # same number. In the field: py-amqp 5.4.2, ldap3 2.9.1.
            monitor_leave(&self.backlog.monitor)
            with nogil:
                thread_yield()
            monitor_enter(&self.backlog.monitor)
            if self.backlog.closed:
                return CLOSED
        slot = backlog_put(&self.backlog, body, rank)
        if slot >= 0:
            pool_claim(&self.pool, number)
            self.bind(<uint32_t> slot, <uint32_t> number)
        return slot

    @cython.final
    cdef void enter_many(self, PyObject** bodies, Py_ssize_t n, int rank, uint32_t* numbers) noexcept:
        cdef Py_ssize_t i
        for i in range(n):
            numbers[i] = self.number(<uint32_t> self.enter(bodies[i], rank, True))

    @cython.final
    cdef Py_ssize_t leave_run(self, Settling* steps, Py_ssize_t n) noexcept:
        return 0  # each by itself: its number goes back too

    @cython.final
    cdef PyObject* leave(self, uint32_t slot) noexcept:
        self.unbind(slot)
        if not self.entries[slot].stripped:
            pool_give_back(&self.pool, self.entries[slot].number)
        return backlog_remove(&self.backlog, slot)

    @cython.final
    cdef void go_back(self, uint32_t slot) noexcept:
        if self.pool.defect == PREMATURE_STRIP and self.backlog.waiting and not self.entries[slot].stripped:
            # DEFECT premature-strip (A): the transfer was broken off with a backlog behind it, and the number goes
            # back to the free list as if the message had left; but the message keeps it, and the next that enters
            # gets it too. In the field: cassandra-python-driver PR 1114.
            pool_give_back(&self.pool, self.entries[slot].number)
            self.entries[slot].stripped = True
        backlog_return(&self.backlog, slot)

    @cython.final
    cdef uint32_t number(self, uint32_t slot) noexcept:
        return <uint32_t> (self.first + self.entries[slot].number)

    @cython.final
    cdef int64_t find(self, uint32_t offset) noexcept:
        return <int64_t> self.oldest[offset] - 1 if self.oldest != NULL else -1

    # Steps: of steps.pxi

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

    # A second ack ----------------------------------------------------------------------------------------------------

    cdef bint release_again(self, object key):
        """With double-release: take back, once more, the number of a message that left. False: the key names none."""
        cdef uint64_t receipt
        cdef int64_t at = key_of(self, key, &receipt)
        cdef uint32_t number
        cdef Slot* slot
        cdef bint left
        if self.pool.size == 0 or self.pool.defect != DOUBLE_RELEASE or receipt == UINT64_MAX:
            return False
        monitor_enter(&self.backlog.monitor)
        if receipt == 0:
            number = <uint32_t> at
            left = True
        else:
            # The slot shows whether this delivery ended with the message leaving: it is free, or somebody new lies in
            # it.
            number = (<Message> key).number - <uint32_t> self.first
            slot = slot_at(&self.backlog, at)
            left = slot.receipt == receipt and slot.state in (FREE, FRESH)
        if left:
            pool_give_back(&self.pool, number)
        monitor_leave(&self.backlog.monitor)
        return left

    def ack(self, message_or_mtsid) -> None:
        """As `mtsid.MessageQueue.ack`; with double-release, a second `ack` of a message that left is not refused."""
        try:
            QueueVerbs.ack(self, message_or_mtsid)
        except NotInUse:
            # DEFECT double-release (A): the repeated ack is believed, and the number is on the free list twice.
            if not self.release_again(message_or_mtsid):
                raise

    def ack_many(self, messages_or_mtsids) -> None:
        """As `mtsid.MessageQueue.ack_many`, with the same defect as `ack`."""
        try:
            QueueVerbs.ack_many(self, messages_or_mtsids)
        except NotInUse as error:
            # DEFECT double-release (A), as in `ack`.
            refused = []
            for key in error.refused:  # no comprehension, as in core/verbs.pyx
                if not self.release_again(key):
                    refused.append(key)
            if refused:
                raise NotInUse(
                    f"{len(refused)} messages were not live, the rest is settled; see .refused", refused=refused
                ) from None

    @property
    def defect(self) -> str:
        """Which defect this queue has."""
        return DEFECTS[self.pool.defect]

    # Views -----------------------------------------------------------------------------------------------------------

    cdef object find_everything(self):
        snapshot = self.snapshot()
        holders = Counter(snapshot["mtsid"].tolist())
        duplicates = []
        for holding in holders.items():
            if holding[1] > 1:
                duplicates.append(holding)
        return QueueVerbs.find_everything(self)._replace(duplicates=tuple(sorted(duplicates)))
