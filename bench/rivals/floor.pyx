"""Compiled methods that do nothing: what calls, arguments and results cost by themselves."""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class Ids:
    cdef uint32_t number

    def acquire(self):
        """A fresh int, larger than those that Python keeps."""
        self.number = (self.number + 1) & 0xFFFF
        return 257 + self.number

    def release(self, id):
        pass


@cython.final
@cython.freelist(64)
cdef class Message:
    """As large as mtsid's, and in the collector's eyes as it is."""

    cdef readonly object body
    cdef uint64_t serial, receipt
    cdef uint32_t slot, number, times
    cdef uint8_t rank


cdef class Queue:
    """The signatures of `mtsid.MessageQueue`."""

    cdef uint32_t number
    cdef object item

    def put(self, item, block=True, timeout=None, *, priority="normal") -> int:
        self.number = (self.number + 1) & 0xFFFF
        return 257 + self.number

    def get(self, block=True, timeout=None):
        cdef Message message = Message.__new__(Message)
        message.body = self.item
        return message

    def ack(self, message_or_mtsid) -> None:
        pass

    def put_many(self, items, block=True, timeout=None, *, priority="normal"):
        pass

    def get_many(self, max, block=True, timeout=None) -> list:
        """So many fresh messages."""
        cdef Message message
        cdef list messages = []
        for _ in range(<Py_ssize_t> max):
            message = Message.__new__(Message)
            message.body = self.item
            messages.append(message)
        return messages

    def ack_many(self, messages_or_mtsids) -> None:
        pass
