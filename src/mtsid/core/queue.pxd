"""See queue.pyx."""

from mtsid.core.verbs cimport QueueVerbs


cdef class MessageQueue(QueueVerbs):
    pass
