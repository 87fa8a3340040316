"""A queue with a planted fault, to show that the fuzzer finds one: compiled as the core is, and never installed.

An urgent message that is returned after its second delivery, while another waits and one more is in flight, loses the
count of its deliveries. Nothing crashes: only the model, or an audit, can tell.
"""

from libc.stdint cimport uint32_t

from mtsid.core.backlog cimport Slot, slot_at
from mtsid.core.queue cimport MessageQueue as Sound


cdef class MessageQueue(Sound):
    cdef void go_back(self, uint32_t slot) noexcept:
        cdef Slot* record = slot_at(&self.backlog, slot)
        if record.rank == 0 and record.deliveries == 2 and self.backlog.waiting > 0 and self.backlog.in_flight > 1:
            record.deliveries = 0
        Sound.go_back(self, slot)
