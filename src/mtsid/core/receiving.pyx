"""A message for as long as a block runs: `with queue.receive()`, `async with queue.receive_async()`.

    new --enter--> in flight --the block ends--> acked
                       |
                       +-------the block raises--> nacked

A block that has settled its message, or whose message others have deleted, ends without another word: its receipt is
stale, and what becomes of the message has been decided. To settle is one step and waits for nobody, in a coroutine too.

Compiled, so that no signal handler runs between the step that takes a message and the block that settles it.
"""

from mtsid.core.backlog cimport backlog_find
from mtsid.core.monitor cimport monitor_enter, monitor_leave

from mtsid.errors import Stale


cdef class BaseReceiving:
    """What both kinds of block have in common. Not to be made by hand."""

    def __init__(self):
        raise TypeError("it is what MessageQueue.receive() or receive_async() returns; it cannot be made by hand")

    cdef int enter(self) except -1:
        if self.entered or self.queue is None:
            raise RuntimeError("a block receives one message: call receive() again for another")
        self.entered = True
        return 0

    cdef int settle(self, bint well) except -1:
        """Ack the message, or nack it; nothing if this delivery is over."""
        cdef Message message = self.message
        cdef bint over
        if message is None:
            return 0
        self.message = None
        monitor_enter(&self.queue.backlog.monitor)
        over = backlog_find(&self.queue.backlog, message.slot, message.receipt) < 0
        monitor_leave(&self.queue.backlog.monitor)
        if over:
            return 0
        try:
            if well:
                self.queue.take_out(message, False)
            else:
                self.queue.put_back(message)
        except Stale:
            pass  # deleted at this very moment
        return 0

    def __reduce_ex__(self, protocol):
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied: it is the receipt of one message in this process; hand on "
            "the message's body"
        )


cdef class Receiving(BaseReceiving):
    """What `MessageQueue.receive` returns: a context manager for one message."""

    def __enter__(self):
        """Get a message. Raises what `MessageQueue.get` does."""
        self.enter()
        self.message = self.queue.get_one(self.seconds)
        return self.message

    def __exit__(self, kind, error, traceback) -> None:
        """Ack the message, or nack it if there was an exception, which comes through as it is."""
        self.settle(kind is None)


cdef class AsyncReceiving(BaseReceiving):
    """What `MessageQueue.receive_async` returns: an asynchronous context manager for one message."""

    async def __aenter__(self):
        """Get a message. Raises what `MessageQueue.get_async` does."""
        self.enter()
        self.message = await self.queue.get_async(self.seconds)
        return self.message

    async def __aexit__(self, kind, error, traceback) -> None:
        """Ack the message, or nack it if there was an exception, which comes through as it is."""
        self.settle(kind is None)
