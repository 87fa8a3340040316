"""What stands in for an id source or a queue and records what its threads do; see histories.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mtsid import Message, NotInUse, ShutDown

__all__ = ["SAME_CALL", "Local", "RecordedIds", "RecordedQueue", "Track"]

Id = TypeVar("Id", bound=Hashable)
T = TypeVar("T")

SAME_CALL = -(1 << 63)  # as the time of a put's call: it entered in one step with the one before


@dataclass(slots=True, eq=False)
class Track:
    """One thread's events, flat, one behind the other. Only that thread writes here."""

    thread: str
    acquired: list[Any] = field(default_factory=list)  # id, returned
    released: list[Any] = field(default_factory=list)  # id, called
    puts: list[Any] = field(default_factory=list)  # body, mtsid, priority, called (or SAME_CALL), returned
    gets: list[Any] = field(default_factory=list)  # message, called, returned
    returns: list[Any] = field(default_factory=list)  # body, deliveries, returned
    left: list[Any] = field(default_factory=list)  # body, called
    unsure: list[Any] = field(default_factory=list)  # bodies of calls that were interrupted, which may have been done
    interrupted: int = 0  # gets: they may have taken something
    refused: int = 0  # calls that raised


class Local(threading.local):
    """The calling thread's track, made at its first event."""

    def __init__(self, tracks: list[Track]) -> None:
        track = Track(threading.current_thread().name)
        tracks.append(track)  # one atomic step
        self.track = track
        self.acquired = track.acquired.extend
        self.released = track.released.extend
        self.put = track.puts.extend
        self.got = track.gets.extend


class RecordedIds(Generic[Id]):
    """An id source whose acquires and releases are recorded; made by `Recorder.ids`. Any thread may call anything.

    It raises what the source raises. An id may be released by another thread than acquired it.
    """

    def __init__(
        self, local: Local, clock: Callable[[], int], acquire: Callable[..., Id], release: Callable[..., object]
    ) -> None:
        self._local = local
        self._clock = clock
        self._acquire = acquire
        self._release = release

    def acquire(self, *args: Any, **keywords: Any) -> Id:
        """Call the source's acquire, and record the id that it returned. What raises is counted as refused."""
        try:
            id = self._acquire(*args, **keywords)
        except Exception:
            self._local.track.refused += 1
            raise
        self._local.acquired((id, self._clock()))
        return id

    def release(self, id: Id, *args: Any, **keywords: Any) -> None:
        """Record the id's release, and call the source's. An exception takes the record back, an interrupt does not."""
        now = self._clock()
        # Before the call: an interrupt in the middle may leave the id free, and then nobody is known to hold it.
        self._local.released((id, now))
        try:
            self._release(id, *args, **keywords)
        except Exception:
            track = self._local.track
            track.refused += 1
            _take_back(track.released, now)
            raise

    def note_acquired(self, ids: Iterable[Id]) -> None:
        """Record that the calling thread holds these from now on: call it after a bulk call or a reservation."""
        now = self._clock()
        self._local.acquired([part for id in ids for part in (id, now)])

    def note_release(self, ids: Iterable[Id]) -> None:
        """Record that these may be free from now on: call it before a bulk release, a reset, a time-out's clean-up."""
        now = self._clock()
        self._local.released([part for id in ids for part in (id, now)])


def _take_back(events: list[Any], now: int) -> None:
    # By identity and from the end: a signal handler of this thread may have recorded something behind it.
    for i in range(len(events) - 1, 0, -2):
        if events[i] is now:
            del events[i - 1 : i + 1]
            return


class RecordedQueue(Generic[T]):
    """A queue whose messages are recorded; made by `Recorder.queue`. Any thread may call anything.

    It has the verbs, and raises what the queue raises. `ack` and `nack` need the `Message`: a bare number does not say
    which message is meant. Views that are not here can be asked of `.queue`, the queue itself.
    """

    def __init__(self, local: Local, clock: Callable[[], int], queue: Any) -> None:
        self.queue = queue
        self._local = local
        self._clock = clock

    def put(self, item: T, block: bool = True, timeout: float | None = None, *, priority: str = "normal") -> int:
        """Put and record it. An interrupted call may have put it or not: the body is not judged then."""
        clock = self._clock
        called = clock()
        try:
            if priority == "normal":
                mtsid: int = self.queue.put(item, block, timeout)
            else:
                mtsid = self.queue.put(item, block, timeout, priority=priority)
        except BaseException as error:
            self._failed(error, [item])
            raise
        self._local.put((item, mtsid, priority, called, clock()))
        return mtsid

    def put_nowait(self, item: T, *, priority: str = "normal") -> int:
        """`put` without waiting."""
        return self.put(item, False, priority=priority)

    def put_many(
        self, items: Iterable[T], block: bool = True, timeout: float | None = None, *, priority: str = "normal"
    ) -> Any:
        """Put them in one step and record each."""
        bodies = list(items)
        called = self._clock()
        try:
            mtsids = self.queue.put_many(bodies, block, timeout, priority=priority)
        except BaseException as error:
            self._failed(error, bodies)
            raise
        returned = self._clock()
        if not bodies:
            return mtsids
        rows = zip(bodies, map(int, mtsids), [called] + [SAME_CALL] * (len(bodies) - 1), strict=True)
        self._local.put([part for body, mtsid, at in rows for part in (body, mtsid, priority, at, returned)])
        return mtsids

    def get(self, block: bool = True, timeout: float | None = None) -> Message[T]:
        """Get and record it."""
        clock = self._clock
        called = clock()
        try:
            message: Message[T] = self.queue.get(block, timeout)
        except BaseException as error:
            self._failed(error, [], gets=1)
            raise
        self._local.got((message, called, clock()))
        return message

    def get_nowait(self) -> Message[T]:
        """`get` without waiting."""
        return self.get(False)

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[Message[T]]:
        """Get several and record each."""
        called = self._clock()
        try:
            messages: list[Message[T]] = self.queue.get_many(max, block, timeout)
        except BaseException as error:
            self._failed(error, [], gets=1)
            raise
        returned = self._clock()
        self._local.got([part for message in messages for part in (message, called, returned)])
        return messages

    def ack(self, message: Message[T]) -> None:
        """Settle it and record that it left."""
        body, called = _body(message), self._clock()
        try:
            self.queue.ack(message)
        except BaseException as error:
            self._failed(error, [body])
            raise
        self._local.track.left.extend((body, called))

    def ack_many(self, messages: Iterable[Message[T]]) -> None:
        """Settle several and record each that left: all but those that the queue's `NotInUse` names in `.refused`."""
        wanted = list(messages)
        bodies, called = [_body(message) for message in wanted], self._clock()
        try:
            self.queue.ack_many(wanted)
        except NotInUse as error:
            refused = {id(message) for message in error.refused}
            pairs = zip(bodies, wanted, strict=True)
            self._left([body for body, message in pairs if id(message) not in refused], called)
            self._local.track.refused += 1
            raise
        except BaseException as error:
            self._failed(error, bodies)
            raise
        self._left(bodies, called)

    def nack(self, message: Message[T]) -> None:
        """Return it and record that. If the queue is shut down and discards it (`ShutDown.discarded`), it left."""
        body, called = _body(message), self._clock()
        try:
            self.queue.nack(message)
        except ShutDown as error:
            self._left(error.discarded, called)
            raise
        except BaseException as error:
            self._failed(error, [body])
            raise
        self._local.track.returns.extend((body, message.deliveries, self._clock()))

    def delete(self, mtsid: int) -> T:
        """Delete a message by its number and record that it left."""
        called = self._clock()
        try:
            body: T = self.queue.delete(mtsid)
        except Exception:
            self._local.track.refused += 1
            raise
        self._left([body], called)
        return body

    def shutdown(self, immediate: bool = False) -> list[T]:
        """Shut it down and record that what it discarded left."""
        called = self._clock()
        discarded: list[T] = self.queue.shutdown(immediate)
        self._left(discarded, called)
        return discarded

    def audit(self) -> Any:
        """Audit the queue itself."""
        return self.queue.audit()

    def __len__(self) -> int:
        """Return how many messages the queue holds."""
        return len(self.queue)

    @property
    def maxsize(self) -> int:
        """How many messages the queue has room for."""
        size: int = self.queue.maxsize
        return size

    def _left(self, bodies: Sequence[T], called: int) -> None:
        self._local.track.left.extend([part for body in bodies for part in (body, called)])

    def _failed(self, error: BaseException, bodies: list[T], gets: int = 0) -> None:
        """Record a call that raised. An `Exception` changed nothing; an interrupt may have come after the deed."""
        track = self._local.track
        if isinstance(error, Exception):
            track.refused += 1
            return
        track.unsure.extend(bodies)
        track.interrupted += gets


def _body(message: Any) -> Any:
    try:
        return message.body
    except AttributeError:
        raise TypeError(
            f"a recorded queue settles a Message, not {message!r}: a number does not say which message is meant"
        ) from None
