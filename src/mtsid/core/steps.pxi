"""The steps of a queue that are taken inside its monitor, compiled into each queue's module.

To be included by a module with a class `MessageQueue`, a `QueueVerbs` whose `enter`, `leave`, `number` and `find` are final
methods: they are then part of the step, and not calls through a table, which were a tenth of what a message costs. So are
`enter_many` and `leave_run`, which no other file calls. The class has a method for each step. What each promises is said
in verbs.pyx.
"""


cdef inline int64_t put_step(MessageQueue self, object item, int rank) except? -9:
    cdef int64_t code
    cdef uint64_t ready
    while True:
        Py_INCREF(item)
        monitor_enter(&self.backlog.monitor)
        code = CLOSED if self.backlog.closed else self.enter(<PyObject*> item, rank, False)
        if code >= 0:
            code = self.number(<uint32_t> code)
        ready = self.backlog.ready
        monitor_leave(&self.backlog.monitor)
        if code >= 0:
            if self.getters.needed():
                self.getters.wake(1)
            return code
        Py_DECREF(item)
        if code == CLOSED or ready == self.backlog.capacity:
            return code
        if not backlog_grow(&self.backlog, ready + 1):
            raise MemoryError("no memory for more messages")


cdef inline int64_t put_many_step(MessageQueue self, list items, int rank, uint32_t* numbers) except? -9:
    cdef Py_ssize_t n = len(items)
    cdef int64_t code
    cdef uint64_t live
    # The list is this call's own, and the queue takes its references over. So it holds nothing while they are nobody's
    # else to look at; what does not enter goes back to it.
    set_length(items, 0)
    while True:
        monitor_enter(&self.backlog.monitor)
        live = self.backlog.waiting + self.backlog.in_flight
        if self.backlog.closed:
            code = CLOSED
        elif <uint64_t> n > backlog_room(&self.backlog):
            code = NO_ROOM
        elif backlog_must_grow(&self.backlog, n):
            code = 1
        else:
            code = 0
            self.enter_many(list_items(items), n, rank, numbers)
        monitor_leave(&self.backlog.monitor)
        if code == 0:
            if self.getters.needed():
                self.getters.wake(n)
            return 0
        if code > 0 and backlog_grow(&self.backlog, live + n):
            continue
        set_length(items, n)
        if code < 0:
            return code
        raise MemoryError(f"no memory for {n} more messages")


cdef inline int64_t get_step(MessageQueue self, Message message) except? -9:
    cdef int64_t slot
    cdef Slot* place = NULL
    cdef PyObject* body
    monitor_enter(&self.backlog.monitor)
    slot = backlog_take(&self.backlog, &place)
    if slot < 0:
        if self.backlog.closed and self.backlog.in_flight == 0:
            slot = CLOSED
        monitor_leave(&self.backlog.monitor)
        return slot
    body = fill(&self.backlog, <uint32_t> slot, place, message)
    message.number = self.number(<uint32_t> slot)
    monitor_leave(&self.backlog.monitor)
    hold(message, body)
    return slot


cdef inline Py_ssize_t get_many_step(MessageQueue self, list messages, Py_ssize_t begin, Py_ssize_t end) except -1:
    cdef uint32_t slots[BATCH]
    cdef Slot* places[BATCH]
    cdef PyObject* bodies[BATCH]
    cdef PyObject* fresh
    cdef PyTypeObject* plain = NULL
    cdef Py_ssize_t got
    cdef Py_ssize_t i
    monitor_enter(&self.backlog.monitor)
    got = backlog_take_many(&self.backlog, slots, places, end - begin)
    for i in range(got):
        fresh = list_item(messages, begin + i)
        bodies[i] = fill(&self.backlog, slots[i], places[i], <Message> fresh)
        (<Message> fresh).number = self.number(slots[i])
    monitor_leave(&self.backlog.monitor)
    for i in range(got):
        hold_next(<Message> list_item(messages, begin + i), bodies[i], &plain)
    return got


cdef inline object take_out_step(MessageQueue self, object key, bint deleted):
    cdef uint64_t receipt, live, room
    cdef int64_t slot = key_of(self, key, &receipt)
    cdef PyObject* body
    cdef bint closed
    monitor_enter(&self.backlog.monitor)
    slot = backlog_find(&self.backlog, slot, receipt) if receipt else self.find(<uint32_t> slot)
    if slot < 0:
        count_refusal(&self.backlog, receipt)
        monitor_leave(&self.backlog.monitor)
        raise self.refusal(key)
    body = self.leave(<uint32_t> slot)
    self.backlog.counted.deleted += deleted
    live = self.backlog.waiting + self.backlog.in_flight
    room = self.backlog.capacity - live
    closed = self.backlog.closed
    monitor_leave(&self.backlog.monitor)
    result = <object> body
    Py_DECREF(result)
    if self.putters.needed() or (live == 0 and (closed or self.joiners.needed())):
        self.left(live, room, closed)
    return result


cdef inline Py_ssize_t take_out_many_step(MessageQueue self, Settling* steps, Py_ssize_t n) except -1:
    cdef uint64_t live, room
    cdef int64_t slot
    cdef Py_ssize_t left = 0
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t run
    cdef bint closed
    monitor_enter(&self.backlog.monitor)
    while True:
        run = self.leave_run(steps + i, n - i)
        left += run
        i += run
        if i == n:
            break
        slot = (
            backlog_find(&self.backlog, steps[i].key, steps[i].receipt)
            if steps[i].receipt else self.find(<uint32_t> steps[i].key)
        )
        if slot >= 0:
            steps[i].body = self.leave(<uint32_t> slot)
            left += 1
        else:
            steps[i].body = NULL
            count_refusal(&self.backlog, steps[i].receipt)
        i += 1
    live = self.backlog.waiting + self.backlog.in_flight
    room = self.backlog.capacity - live
    closed = self.backlog.closed
    monitor_leave(&self.backlog.monitor)
    self.left(live, room, closed)
    return left
