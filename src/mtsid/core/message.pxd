"""See message.pyx."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class Message:
    cdef readonly object body
    cdef uint64_t serial        # of the queue
    cdef uint64_t receipt       # of this delivery; never used again in that queue
    cdef uint32_t slot          # where the queue keeps it
    cdef uint32_t number        # its MTSID
    cdef uint32_t times         # deliveries, this one included
    cdef uint8_t rank           # 0 urgent, 1 normal, 2 non-urgent
