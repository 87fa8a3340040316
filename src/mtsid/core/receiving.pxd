"""See receiving.pyx."""

from mtsid.core.message cimport Message
from mtsid.core.verbs cimport QueueVerbs


cdef class BaseReceiving:
    # All of them are its own thread's, or coroutine's: a block receives one message, and is not to be shared.
    cdef QueueVerbs queue
    cdef double seconds         # to wait for a message
    cdef bint entered
    cdef Message message

    cdef int enter(self) except -1
    cdef int settle(self, bint well) except -1


cdef class Receiving(BaseReceiving):
    pass


cdef class AsyncReceiving(BaseReceiving):
    pass
