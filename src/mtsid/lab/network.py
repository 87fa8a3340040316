"""The network between one MTA and its peers, in virtual time: it does the MTA's actions and brings the answers.

Connections come and go, one message at a time is on a line, and a link that is lost takes all of its connections with
it. The rest is what a network does to whoever hangs up while the other side is still answering (A):

- An attempt to connect that the loss cut off is answered all the same once the link is back, if that is soon enough:
  the transport repeats itself for MEMORY seconds. It comes too late for the caller, who was told of the loss.
- The peer, for whom that connection stands, waits PATIENCE seconds for what should follow. Then it gives up, by an
  abort or by a last word of its presentation layer; an association that it has accepted it releases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import simpy

from mtsid.lab.outages import Outage
from mtsid.lab.traffic import Link, Mail
from mtsid.mta import MTA, Action, Associate, Connect, Disconnect, Handle, Primitive, Release, State, Transfer

__all__ = ["MEMORY", "PATIENCE", "Attempt", "Network"]

MEMORY = 90.0  # seconds for which a lost transport goes on repeating itself
PATIENCE = 150.0  # seconds for which a peer waits for the next word
REMEMBERED = 64  # attempts, for whoever tells their story
ANSWER = 0.5  # seconds from a link's return to the answer that had been cut off


@dataclass(slots=True, eq=False)
class Attempt:
    """An open that a loss cut off: in which state, when the link was lost, when it was back (seconds)."""

    handle: Handle
    peer: str
    state: State  # of the control block: AWAIT_TRANSPORT or AWAIT_ACCEPT
    lost_at: float
    back_at: float | None = None


@dataclass(slots=True, eq=False)
class _Connection:
    handle: Handle
    peer: str
    state: State
    theirs: bool = False  # the peer opened it
    stands: bool = True
    late: bool = False  # it is the rest of an open that was given up
    answered: bool = False  # ... and the peer has answered, so that it stands for the peer


@dataclass(slots=True, eq=False)
class _Line:
    up: bool = True
    busy_until: float = float("-inf")
    lost_at: float = float("-inf")
    cut_off: list[Attempt] = field(default_factory=list)  # to be answered if the link is back in time


class Network:
    """One MTA's lines and connections. `settled()` is called after each input that the network gave to the MTA.

    `attempts` holds the latest attempts that were cut off, by handle, for whoever tells their story.
    """

    def __init__(
        self,
        env: simpy.Environment,
        mta: MTA[Mail],
        link: Link,
        *,
        settled: Callable[[], None],
        reconnected: Callable[[str], None],
    ) -> None:
        self.attempts: dict[Handle, Attempt] = {}
        self._env = env
        self._mta = mta
        self._link = link
        self._settled = settled
        self._reconnected = reconnected
        self._lines = {peer: _Line() for peer in mta.next_hops}
        self._connections: dict[Handle, _Connection] = {}
        self._lost_since: set[str] = set()  # peers whose link was lost since an association last stood

    def is_up(self, peer: str) -> bool:
        """Return whether the link to `peer` is up."""
        return self._lines[peer].up

    def do(self, action: Action) -> None:
        """Do one action of the MTA's."""
        if isinstance(action, Transfer):
            self._transfer(action)
        elif isinstance(action, Connect):
            self._connect(action)
        elif isinstance(action, Associate):
            connection = self._connections[action.handle]
            connection.state = State.AWAIT_ACCEPT
            self._after(self._link.accept, connection, Primitive.ACCEPT)
        elif isinstance(action, Release):
            self._after(self._link.connect, self._connections[action.handle], Primitive.RELEASE_CONFIRM)
        else:
            assert isinstance(action, Disconnect)
            self._drop(action.handle)

    def call(self, peer: str, seconds: float) -> None:
        """Let the peer open an association, for that long; it cannot while the link is down."""
        if not self._lines[peer].up:
            return
        handle = self._mta.connect_indication(self._env.now, peer)
        if handle is not None:
            connection = self._connections[handle] = _Connection(handle, peer, State.OPEN, theirs=True)
            self._after(seconds, connection, Primitive.RELEASE_INDICATION)
        self._settled()

    def link_down(self, peer: str) -> None:
        """Lose the link to `peer`, and all connections over it."""
        now, line = self._env.now, self._lines[peer]
        line.up = False
        line.lost_at = now
        line.cut_off.clear()
        self._lost_since.add(peer)
        gone = [connection for connection in self._connections.values() if connection.peer == peer]
        for connection in gone:
            self._drop(connection.handle)
            if connection.state in (State.AWAIT_TRANSPORT, State.AWAIT_ACCEPT) and not connection.late:
                line.cut_off.append(Attempt(connection.handle, peer, connection.state, now))
        line.busy_until = now
        self._mta.link_down(now, peer)
        for connection in gone:
            if connection.answered:
                self._mta.receive(now, connection.handle, Primitive.DISCONNECT_INDICATION)
        self._settled()

    def link_up(self, peer: str, outage: Outage) -> None:
        """Get the link back; what `outage` cut off is answered, if it was short enough."""
        now, line = self._env.now, self._lines[peer]
        line.up = True
        self._mta.link_up(now, peer)
        if now - line.lost_at <= MEMORY:
            for attempt in line.cut_off:
                attempt.back_at = now
                self.attempts[attempt.handle] = attempt
                if len(self.attempts) > REMEMBERED:
                    del self.attempts[next(iter(self.attempts))]
                connection = _Connection(attempt.handle, peer, attempt.state, late=True)
                self._connections[attempt.handle] = connection
                self._answer_late(connection, outage)
        line.cut_off.clear()
        self._settled()

    # Inside

    def _connect(self, action: Connect) -> None:
        line = self._lines[action.peer]
        if not line.up:
            self._mta.receive(self._env.now, action.handle, Primitive.DISCONNECT_INDICATION)
            return
        connection = _Connection(action.handle, action.peer, State.AWAIT_TRANSPORT)
        self._connections[action.handle] = connection
        self._after(self._link.connect, connection, Primitive.CONNECT_CONFIRM)

    def _transfer(self, action: Transfer) -> None:
        line = self._lines[action.peer]
        line.busy_until = max(self._env.now, line.busy_until) + self._link.seconds(action.entry.body.size)
        connection = self._connections[action.handle]
        self._after(line.busy_until - self._env.now, connection, Primitive.TRANSFER_CONFIRM)

    def _answer_late(self, connection: _Connection, outage: Outage) -> None:
        if connection.state is State.AWAIT_ACCEPT:
            self._after(ANSWER, connection, Primitive.ACCEPT)
            self._after(PATIENCE, connection, Primitive.RELEASE_INDICATION)
            return
        self._after(ANSWER, connection, Primitive.CONNECT_CONFIRM)
        # Drawn by the outage alone, so that both versions meet the same peer.
        aborts = Random(f"{outage.start!r}/{connection.peer}").random() < 0.5
        last = Primitive.SESSION_INDICATION if aborts else Primitive.PRESENTATION_INDICATION
        self._after(PATIENCE, connection, last)

    def _drop(self, handle: Handle) -> None:
        connection = self._connections.pop(handle, None)
        if connection is not None:
            connection.stands = False

    def _after(self, seconds: float, connection: _Connection, primitive: Primitive) -> None:
        """Bring a primitive in so many seconds, if the connection still stands then."""

        def bring(_: simpy.Event) -> None:
            if connection.stands:
                self._bring(connection, primitive)

        timeout = self._env.timeout(seconds)
        assert timeout.callbacks is not None
        timeout.callbacks.append(bring)

    def _bring(self, connection: _Connection, primitive: Primitive) -> None:
        if primitive in (Primitive.RELEASE_CONFIRM, Primitive.RELEASE_INDICATION, Primitive.SESSION_INDICATION):
            self._drop(connection.handle)
        elif connection.late:
            connection.answered = True
        elif primitive is Primitive.ACCEPT:
            connection.state = State.OPEN
            if connection.peer in self._lost_since:
                self._lost_since.discard(connection.peer)
                self._reconnected(connection.peer)
        self._mta.receive(self._env.now, connection.handle, primitive)
        self._settled()
