"""Compiled methods that do nothing: what calls, arguments and results cost by themselves."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint32_t

from mtsid.core.message cimport Message, fresh_message, hold


cdef class Ids:
    cdef uint32_t number

    def acquire(self):
        """A fresh int, larger than those that Python keeps."""
        self.number = (self.number + 1) & 0xFFFF
        return 257 + self.number

    def release(self, id):
        pass


cdef class Queue:
    """The signatures of `mtsid.MessageQueue`."""

    cdef uint32_t number
    cdef object item

    cdef inline Message fresh(self):
        """As mtsid itself makes one: nothing that returns a `Message` does it for less."""
        cdef Message message = fresh_message()
        Py_INCREF(self.item)
        hold(message, <PyObject*> self.item)
        return message

    def put(self, item, block=True, timeout=None, *, priority="normal") -> int:
        self.number = (self.number + 1) & 0xFFFF
        return 257 + self.number

    def get(self, block=True, timeout=None):
        return self.fresh()

    def ack(self, message_or_mtsid) -> None:
        pass

    def put_many(self, items, block=True, timeout=None, *, priority="normal"):
        pass

    def get_many(self, max, block=True, timeout=None) -> list:
        """So many fresh messages."""
        cdef list messages = []
        for _ in range(<Py_ssize_t> max):
            messages.append(self.fresh())
        return messages

    def ack_many(self, messages_or_mtsids) -> None:
        pass
