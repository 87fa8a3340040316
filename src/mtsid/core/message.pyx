# cython: preliminary_late_includes_cy28=True
"""One delivery of a message: what `get` returns and `ack` or `nack` settles."""

from types import GenericAlias

cimport cython
from cpython.object cimport PyTypeObject

cdef extern from "message.h":
    Message new_message "mtsid_fresh_message"()
    int set_message_life "mtsid_set_message_life"(PyTypeObject* type) except -1


PRIORITIES = ("urgent", "normal", "non-urgent")


@cython.final
cdef class Message:
    """One delivery of a message, and the receipt for it.

    `ack` and `nack` take it to settle just this delivery: if the message was settled, returned or deleted since, or
    belongs to another queue, they raise `Stale`. Made by `MessageQueue.get` only; it can be neither pickled nor
    copied, since its receipt is worth nothing elsewhere. Immutable, so any thread may read it.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, *args, **kwargs):
        raise TypeError("a Message is made by MessageQueue.get")

    @property
    def mtsid(self) -> int:
        """The number of the message while it is in the queue; free for another once it has left."""
        return self.number

    @property
    def deliveries(self) -> int:
        """How often the message was got, this time included: 1 at the first."""
        return self.times

    @property
    def priority(self) -> str:
        """"urgent", "normal" or "non-urgent" (the three of X.400)."""
        return PRIORITIES[self.rank]

    def __repr__(self) -> str:
        return f"<Message {self.number}, {PRIORITIES[self.rank]}, delivery {self.times}: {self.body!r}>"

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "a Message cannot be pickled or copied: it is the receipt of one delivery in this process; copy or send its body"
        )


set_message_life(<PyTypeObject*> Message)


cdef Message fresh_message():
    return new_message()
