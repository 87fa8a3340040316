"""aiocoap whose message ids are never used again while the peer may remember them.

    from mtsid.integrations.aiocoap import Context

is `aiocoap.Context` but for its message ids. Stock aiocoap counts them, for all peers together, and begins again after
65,536, without a look at the time. A peer that still remembers an id takes the new message for a copy of the old one,
sends the old answer again, and the request hangs. Here each peer has an `Allocator` of its own, and an id

- is live until its exchange is over: acknowledged, reset or given up; a message that needs no answer is over once sent;
- then rests as long as the peer may remember it: EXCHANGE_LIFETIME (RFC 7252, section 4.8.2: 247 s) from when it has
  come for sure, which an acknowledgement tells, and PROCESSING_DELAY (2 s), since a busy peer forgets a little late.
  Without an acknowledgement, MAX_LATENCY (100 s) more.

The times are those of the message's `transport_tuning`. Multicast has ids of its own, out of a part of the range that
no single peer gets, since nobody knows who its receivers are.

What this stands on, in aiocoap 0.4.16 and 0.4.17: each Context makes its `MessageManager` in
`_append_tokenmanaged_messagemanaged_transport`; that asks `_next_message_id` from within `send_message` alone, puts a
message on the wire for the first time in `_send_initially`, and ends an exchange in `_remove_exchange`, `_retransmit`
and `dispatch_error`.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

from mtsid.core.allocator import Allocator
from mtsid.errors import Exhausted

try:
    import aiocoap
    from aiocoap import error
    from aiocoap.messagemanager import MessageManager
    from aiocoap.numbers.types import NON
    from aiocoap.tokenmanager import TokenManager
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "mtsid.integrations.aiocoap needs aiocoap: pip install 'mtsid[aiocoap]'", name=_missing.name
    ) from _missing

__all__ = ["Context", "NoMessageId"]

#: How many message ids there are, and how many of them are for multicast.
_ALL, _MULTICAST = 0x10000, 0x400

_Key = tuple[Any, int]


class NoMessageId(error.NetworkError):  # type: ignore[misc]
    """The peer may still remember every message id. Nothing was sent.

    `live` counts those of exchanges that are not over, `quarantined` those that rest, `capacity` all that there are.
    """

    def __init__(self, remote: Any, exhausted: Exhausted) -> None:
        super().__init__(
            f"no message id for {remote.hostinfo}: it may remember {exhausted.quarantined:,} of {exhausted.capacity:,} "
            f"and {exhausted.live:,} are in use; send less often, or let messages wait (at_exhaustion)"
        )
        self.live, self.quarantined, self.capacity = exhausted.live, exhausted.quarantined, exhausted.capacity

    def __str__(self) -> str:
        return str(self.args[0])


class _InLine(Exception):
    """The message has to wait for an id. It goes from `_next_message_id` to `send_message`, and no further."""


class _Waiting:
    """A message that waits for an id."""

    __slots__ = ("message", "monitor")

    def __init__(self, message: Any, monitor: Callable[[], None]) -> None:
        self.message = message
        self.monitor = monitor


class _Manager(MessageManager):  # type: ignore[misc]
    """A message manager with an allocator for each peer. Like aiocoap, it lives in one thread, that of its loop."""

    def __init__(self, token_manager: TokenManager) -> None:
        super().__init__(token_manager)
        self._group = Allocator(0, _MULTICAST - 1)
        #: By peer; a group's is `_group`. An idle one is dropped: a server may meet any number of peers.
        self._allocators: dict[Any, Allocator] = {}
        self._sweep_at = 64
        #: Added to an allocator's ids, so that a process that starts anew does not begin where the last one began.
        self._offset = random.randrange(_ALL)
        #: The message that `send_message` is at, and the id that it was given, if it stood in line.
        self._at_hand: Any = None
        self._granted: int | None = None
        #: Messages that have an id and are not over, each with where that is from, by peer and message id.
        self._outgoing: dict[_Key, tuple[Any, Allocator]] = {}
        #: Messages that wait for an id, and the task that sees to them, by peer.
        self._lines: dict[Any, collections.deque[_Waiting]] = {}
        self._servers: dict[Any, asyncio.Task[None]] = {}

    # The ids.

    def _ids(self, remote: Any) -> Allocator:
        ids = self._allocators.get(remote)
        if ids is None:
            if len(self._allocators) >= self._sweep_at:
                self._sweep()
            ids = self._group if remote.is_multicast else Allocator(_MULTICAST, _ALL - 1)
            self._allocators[remote] = ids
        return ids

    def _sweep(self) -> None:
        idle = [peer for peer, ids in self._allocators.items() if ids.available == ids.capacity]
        for peer in idle:
            if peer not in self._lines:
                del self._allocators[peer]
        self._sweep_at = max(64, 2 * len(self._allocators))

    def _next_message_id(self) -> int:
        message, id = self._at_hand, self._granted
        self._granted = None
        ids = self._ids(message.remote)
        if id is None:
            if message.remote in self._lines:
                raise _InLine
            try:
                id = ids.acquire()
            except Exhausted as exhausted:
                # An answer has to wait, since who asked could not be told.
                waits = not message.code.is_request() or self.token_manager.context.at_exhaustion == "wait"
                if waits and self._active_exchanges is not None:
                    raise _InLine from None
                raise NoMessageId(message.remote, exhausted) from exhausted
        mid = (id + self._offset) % _ALL
        self._outgoing[message.remote, mid] = message, ids
        return mid

    def _over(self, key: _Key, *, seen: bool) -> None:
        """The exchange is over. Let its id rest, longer if the peer is not known to have seen it already."""
        if key in self._outgoing:
            message, ids = self._outgoing.pop(key)
            tuning = message.transport_tuning
            seconds = tuning.EXCHANGE_LIFETIME + tuning.PROCESSING_DELAY + (0 if seen else tuning.MAX_LATENCY)
            ids.quarantine(self._id(key[1]), seconds)

    def _never_sent(self, key: _Key) -> None:
        if key in self._outgoing:
            _, ids = self._outgoing.pop(key)
            ids.release(self._id(key[1]))

    def _id(self, mid: int) -> int:
        return (mid - self._offset) % _ALL

    # Where messages come and go.

    def send_message(self, message: Any, messageerror_monitor: Callable[[], None]) -> Callable[[], None] | None:
        """As aiocoap's. A message that waits for an id goes later; what is returned takes it out of the line."""
        outer, self._at_hand = self._at_hand, message
        try:
            return cast("Callable[[], None] | None", super().send_message(message, messageerror_monitor))
        except _InLine:
            return self._stand_in_line(message, messageerror_monitor)
        finally:
            self._at_hand = outer

    def _send_initially(self, message: Any, messageerror_monitor: Callable[[], None] | None = None) -> None:
        try:
            super()._send_initially(message, messageerror_monitor)
        finally:
            if message.mtype is NON:
                self._over((message.remote, message.mid), seen=False)

    def _remove_exchange(self, message: Any) -> None:
        if (message.remote, message.mid) in self._active_exchanges:
            self._over((message.remote, message.mid), seen=True)
        super()._remove_exchange(message)

    def _retransmit(self, message: Any, timeout: float, retransmission_counter: int) -> None:
        with self._giving_up(message.remote):
            super()._retransmit(message, timeout, retransmission_counter)

    def dispatch_error(self, error: Exception, remote: Any) -> None:
        """As aiocoap's: whatever was under way to this peer, or waited to be, is given up."""
        if self._active_exchanges is None:
            super().dispatch_error(error, remote)
            return
        with self._giving_up(remote):
            super().dispatch_error(error, remote)
            if remote in self._lines:
                self._lines[remote].clear()

    @contextlib.contextmanager
    def _giving_up(self, remote: Any) -> Iterator[None]:
        """What has an id for this peer before the block, and is neither under way nor queued behind it, is over."""
        before = [key for key in self._outgoing if key[0] == remote]
        queued = self._queued(remote)
        try:
            yield
        finally:
            still_queued = self._queued(remote)
            for key in before:
                if key in self._active_exchanges or key[1] in still_queued:
                    continue
                if key[1] in queued:
                    self._never_sent(key)
                else:
                    self._over(key, seen=False)

    def _queued(self, remote: Any) -> set[int]:
        return {message.mid for message, _ in self._backlogs.get(remote, ())}

    # Waiting for an id.

    def _stand_in_line(self, message: Any, monitor: Callable[[], None]) -> Callable[[], None]:
        remote, waiting = message.remote, _Waiting(message, monitor)
        if remote not in self._lines:
            self._lines[remote] = collections.deque()
            self._servers[remote] = self.loop.create_task(self._serve(remote))
        line = self._lines[remote]
        line.append(waiting)

        def leave() -> None:
            with contextlib.suppress(ValueError):
                line.remove(waiting)

        return leave

    async def _serve(self, remote: Any) -> None:
        """Send what stands in this line, each as soon as there is an id for it."""
        ids, line = self._ids(remote), self._lines[remote]
        try:
            while line:
                id = await ids.acquire_async()
                # Who stood first may have left meanwhile.
                self._granted = id
                if line:
                    self._send_waiting(line.popleft())
                if self._granted is not None:
                    self._granted = None
                    ids.release(id)
        finally:
            del self._lines[remote], self._servers[remote]

    def _send_waiting(self, waiting: _Waiting) -> None:
        self._at_hand = waiting.message
        try:
            super().send_message(waiting.message, waiting.monitor)
        except Exception as failure:
            self.log.error("A message that had waited for its id could not be sent: %s", failure, exc_info=failure)
            waiting.monitor()
        finally:
            self._at_hand = None

    async def shutdown(self) -> None:
        """As aiocoap's. What waits for an id is not sent any more."""
        servers = list(self._servers.values())
        for server in servers:
            server.cancel()
        await asyncio.gather(*servers, return_exceptions=True)
        await super().shutdown()


class Context(aiocoap.Context):  # type: ignore[misc]
    """`aiocoap.Context` with message ids that are never used again while the peer may remember them.

    Make it as you make aiocoap's: `await Context.create_client_context()` or `create_server_context(site)`. Transports
    over TCP and WebSockets have no message ids and are as they were.

    When a peer may still remember all 64,512 ids that are for single peers, a request raises `NoMessageId`, a subclass
    of `aiocoap.error.NetworkError`, out of `await request.response`; with `at_exhaustion = "wait"` it waits for its id,
    as answers and notifications always do. Messages that wait for one peer go in their order, and hold up no other.

    Like aiocoap's, a context belongs to the thread of its loop.
    """

    _at_exhaustion: Literal["raise", "wait"] = "raise"

    @property
    def at_exhaustion(self) -> Literal["raise", "wait"]:
        """What a request does that finds no free message id: "raise" or "wait". May be set at any time."""
        return self._at_exhaustion

    @at_exhaustion.setter
    def at_exhaustion(self, what: Literal["raise", "wait"]) -> None:
        if what not in ("raise", "wait"):
            raise ValueError(f"at_exhaustion is 'raise' or 'wait', not {what!r}")
        self._at_exhaustion = what

    async def _append_tokenmanaged_messagemanaged_transport(self, message_interface_constructor: Any) -> None:
        tokens = TokenManager(self)
        messages = _Manager(tokens)
        messages.message_interface = await message_interface_constructor(messages)
        tokens.token_interface = messages
        self.request_interfaces.append(tokens)
