"""The MTA of one version: its queues, associations, control blocks and event log. Sans-IO: no sockets, clock, threads.

What comes in are method calls that bring the time (seconds, never running backwards): mail, what the transport and the
peers have to say, an operator. What comes out: actions, taken with `take_actions()` and answered with `receive`;
events, written to the `EventLog`; messages that leave, reported one by one to `on_left`; and `wakes_at`, the time of
the next `wake`. So a simulator drives it in virtual time, and a user drives it with a real transport.

Source: KB Q152897 and Q152877 (S), the timers' defaults (K, policy.py), and the project's model (A):

- S: at a loss with mail queued, 4284 and 4287. K: again at every open interval while the link is down (Q175354).
- A: 4282, then 4283, at a collision.
- A: the open interval counts from a loss, a failed open or a collision to the next attempt; when the transport says
  that it is back, a session that waits after a loss opens after the recovery time.
- A: an open that gets no control block, or one that fails its state check (1004), is tried again after the interval.
- A: associations carry mail one way, from whoever opened them; those of the peer only occupy blocks.
- A: a restart drops every association and keeps the queues, MTSIDs included; a transfer under way is broken off as by a
  loss.

One caller at a time. `on_left` and the log's `on_event` must not call the MTA.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from mtsid import Allocator, Exhausted, MessageQueue, ShutDown, v40
from mtsid.mta.actions import Action, Associate, Connect, Disconnect, Release, Transfer
from mtsid.mta.event_log import EventLog
from mtsid.mta.events import Event
from mtsid.mta.kernel import AssociationId, ControlBlock, Drop, Handle, Kernel, Refusal
from mtsid.mta.life_cycle import Primitive, State, Step
from mtsid.mta.message import Entry, Priority, Queue
from mtsid.mta.next_hop import Collision, NextHop
from mtsid.mta.policy import Policy
from mtsid.mta.session import SessionState, Turn
from mtsid.mta.timers import Timers
from mtsid.mta.versions import DEFECTS, Version

__all__ = ["ENTITY", "MTA"]

B = TypeVar("B")

#: A peer's full name, made of its short one.
ENTITY = "/O=ORGANIZATION/OU=SITE/CN=CONFIGURATION/CN=SERVERS/CN={name}/CN=MICROSOFT MTA"

LOSS = (Event(4284), Event(4287))  # K: a pair at the loss, and at every open that fails


@dataclass(slots=True, eq=False)
class _Association(Generic[B]):
    """One association, from its open to the day its control block is clean again."""

    id: AssociationId
    hop: _Hop[B]
    ours: bool  # opened from here
    stands: bool = False
    receipt: Any = None  # of the message in transfer


@dataclass(slots=True, eq=False)
class _Hop(Generic[B]):
    """What the MTA keeps beside a next hop: its associations."""

    next: NextHop[B]
    numbers: Allocator  # of associations, to and from the entity
    standing: int = 0  # of ours
    opening: int = 0  # of ours
    lost: bool = False  # one of ours went without being asked to, since the hop was last settled
    more_at: float = float("-inf")  # no further association is opened before
    free: dict[AssociationId, _Association[B]] = field(default_factory=dict)  # of ours, with nothing in transfer


def _queue(version: Version, ids: int, defect: str | None) -> Queue:
    return MessageQueue(ids) if version == "SP2" else v40.MessageQueue(ids, defect=defect or DEFECTS[0])


class MTA(Generic[B]):
    """A message transfer agent: `.next_hops` by name, `.kernel`, `.log`, `.policy`.

    peers
        Names of the next hops, or a mapping from name to entity (the full name that events print).
    ids
        The size of each queue's MTSID range, from 1.
    defect
        What 4.0's queues do wrong, one of DEFECTS (4.0 only). The control blocks' defect is always 4.0's.
    policy, log
        Limits and timers; where the events go.
    on_left
        Called with each `Entry` that leaves, or that never entered.

    Raises ValueError for another version or defect, for no peer or two of one name, and what the queue raises for a
    range that it refuses. After `shutdown` every input raises ShutDown.

    >>> mta = MTA("SP2", peers=["NORTH"])
    >>> mta.submit(0.0, "hello").mtsid
    1
    >>> [connect] = mta.take_actions()
    >>> mta.receive(1.0, connect.handle, Primitive.CONNECT_CONFIRM)
    True
    >>> [associate] = mta.take_actions()
    >>> mta.receive(2.0, associate.handle, Primitive.ACCEPT)
    True
    >>> [transfer] = mta.take_actions()
    >>> transfer.entry.body
    'hello'
    >>> mta.receive(3.0, transfer.handle, Primitive.TRANSFER_CONFIRM)
    True
    >>> transfer.entry.way
    <Way.DELIVERED: 'delivered'>
    """

    def __init__(
        self,
        version: Version = "SP2",
        *,
        peers: Iterable[str] | Mapping[str, str] = ("PEER",),
        ids: int = 65535,
        defect: str | None = None,
        policy: Policy | None = None,
        log: EventLog | None = None,
        on_left: Callable[[Entry[B]], None] | None = None,
    ) -> None:
        if version == "4.0":
            defect = DEFECTS[0] if defect is None else defect
            if defect not in DEFECTS:
                raise ValueError(f"defect must be one of {', '.join(DEFECTS)}, not {defect!r}")
        elif version != "SP2":
            raise ValueError(f"version must be 'SP2' or '4.0', not {version!r}")
        elif defect is not None:
            raise ValueError("SP2 has no defect to choose: leave defect out, or ask for version '4.0'")
        self.version: Version = version
        self.defect = defect
        self.policy = Policy() if policy is None else policy
        self.log = EventLog() if log is None else log
        if not (isinstance(self.policy, Policy) and isinstance(self.log, EventLog)):
            raise TypeError(f"policy must be a Policy and log an EventLog, not {policy!r} and {log!r}")
        self.refusals: Counter[Refusal] = Counter()  # associations that this MTA could not open
        self.remote_refusals = 0  # ... and those of the peers that it refused
        self._hops: dict[str, _Hop[B]] = {}
        for name, entity in _entities(peers).items():
            hop: NextHop[B] = NextHop(name, entity, _queue(version, ids, defect), self.policy, on_left)
            self._hops[name] = _Hop(hop, Allocator(1, self.policy.associations, order="lowest"))
        self._by_entity = {hop.next.entity: hop for hop in self._hops.values()}
        self._associations: dict[AssociationId, _Association[B]] = {}
        self._timers: Timers[tuple[str, Any]] = Timers()
        self._actions: list[Action] = []
        self._now = float("-inf")
        self._unmatched = False  # the last confirm came while nothing was in transfer
        self._touched: _Hop[B] | None = None  # whose association the kernel last reported about
        self._down = False
        self.kernel = Kernel(version, self.policy.control_blocks, _Port(self))
        self.next_hops: Mapping[str, NextHop[B]] = MappingProxyType({n: hop.next for n, hop in self._hops.items()})

    # What a driver asks

    @property
    def wakes_at(self) -> float | None:
        """When to call `wake` next (seconds); None: not before another input."""
        return self._timers.next

    def take_actions(self) -> list[Action]:
        """Return what is to be done since the last call, in order. Each action is handed out once."""
        actions, self._actions = self._actions, []
        return actions

    def __len__(self) -> int:
        """Return how many messages are in the queues, waiting and in flight."""
        return sum(len(hop.next) for hop in self._hops.values())

    def __bool__(self) -> bool:
        """Be true, mail or not."""
        return True

    # Inputs: mail and its operator

    def submit(
        self,
        now: float,
        body: B,
        *,
        peer: str | None = None,
        priority: Priority = "normal",
        not_before: float | None = None,
        mts_id: str | None = None,
    ) -> Entry[B]:
        """Enter a message for `peer` (None: the only one). A full queue returns it at once: `way` is QUEUE_FULL.

        `not_before`: no transfer starts before that time (seconds). Raises ValueError if it is not finite, and what
        `MessageQueue.put` raises for a bad priority.
        """
        hop = self._hop(peer)
        self._check_time(now)
        if not_before is not None:
            _finite(not_before, "not_before")
        entry = Entry(body, now, not_before=not_before, mts_id=mts_id)
        hop.next.enter(now, entry, priority)
        self._now = now
        self._settle(now, hop)
        return entry

    def delete(self, now: float, mtsid: int, *, peer: str | None = None) -> Entry[B]:
        """Delete as an operator does, by number: of twins the oldest goes. Raises NotInUse for a number not live."""
        hop = self._hop(peer)
        self._check_time(now)
        entry = hop.next.delete(now, mtsid)
        self._now = now
        return entry

    def restart(self, now: float) -> None:
        """Restart the MTA as an operator does: no association, control block or timer is left, every message is."""
        self._advance(now)
        self._stop(now)
        for hop in self._hops.values():
            self._settle(now, hop)

    def shutdown(self, now: float) -> list[Entry[B]]:
        """Stop for good; return what is still queued. Every later input raises ShutDown."""
        self._advance(now)
        self._stop(now)
        self._down = True
        return [entry for hop in self._hops.values() for entry in hop.next.entries()]

    # Inputs: the transport and the peers

    def receive(self, now: float, handle: Handle, primitive: Primitive) -> bool:
        """Take a primitive that the network brings for a connection; return whether it was of use.

        False: it came too late or out of turn; it is counted (`kernel.drops`) and changes nothing. Raises ValueError
        for a control block that there is not, a generation that was never given out, or a primitive that no network
        sends.
        """
        self._check_time(now)
        found = self.kernel.find(handle, primitive)
        self._now = now
        self._touched = None
        if self.kernel.tell(found, primitive) is not None:
            return False
        if self._unmatched:
            self._unmatched = False
            return False
        hop: _Hop[B] | None = self._touched  # as the kernel reported
        if hop is not None:
            if primitive is Primitive.RELEASE_INDICATION:
                hop.lost = False  # an orderly end: no event, and no interval to wait
            self._settle(now, hop)
        return True

    def connect_indication(self, now: float, peer: str | None = None) -> Handle | None:
        """Answer a peer that opens an association: its handle, or None if it is refused, with 1277 in the log."""
        hop = self._hop(peer)
        self._advance(now)
        association = self._number(hop, ours=False)
        block = self.kernel.connect_indication(None if association is None else association.id, hop.next.entity)
        if isinstance(block, ControlBlock):
            return block.handle
        self.remote_refusals += 1
        if association is not None:
            self._forget(association)
        return None

    def link_down(self, now: float, peer: str | None = None) -> None:
        """Note that the transport to `peer` is lost: T-DISCONNECT for each of its connections, and one loss in all."""
        hop = self._hop(peer)
        self._advance(now)
        for handle in self.kernel.handles(hop.next.entity):
            if self.kernel.block(handle.block).state is not State.OPEN_ERROR:  # its connection is gone already
                self.kernel.receive(handle, Primitive.DISCONNECT_INDICATION)
        self._settle(now, hop)

    def link_up(self, now: float, peer: str | None = None) -> None:
        """Note that the transport to `peer` is back: a session that waits for its interval opens after the recovery."""
        hop = self._hop(peer)
        self._advance(now)
        if hop.next.state is SessionState.RETRY:
            due = self._timers.at(("open", hop.next.name))
            assert due is not None
            self._timers.start(("open", hop.next.name), min(due, now + self.policy.recovery))

    def acknowledgement_repeated(self, now: float, peer: str | None = None) -> bool:
        """Note that `peer` repeated its last acknowledgement; return whether the queue took it a second time.

        A peer does so after a re-connection, when it cannot know that the first one arrived. SP2 refuses it as stale;
        4.0 with `double-release` takes it, and its MTSID is free twice.
        """
        hop = self._hop(peer)
        self._advance(now)
        return hop.next.acknowledgement_repeated()

    def wake(self, now: float) -> None:
        """Let the timers end that are due by `now`; none may be."""
        self._advance(now)
        while (key := self._timers.pop_due(now)) is not None:
            kind, of = key
            if kind == "open":
                self._open(now, self._hops[of])
                self._settle(now, self._hops[of])
            elif kind == "deferred":
                self._settle(now, self._hops[of])
            elif kind == "lifetime":
                self._release(self._associations[of])
                self._settle(now, self._by_entity[of.entity])
            else:
                self.kernel.request(of, Primitive.DISCONNECT_TIMER)
                self._settle(now, self._by_entity[of.entity])

    # Inside: what every input does

    def _hop(self, peer: str | None) -> _Hop[B]:
        self._check_running()
        if peer is None and len(self._hops) == 1:
            return next(iter(self._hops.values()))
        hop = self._hops.get(peer) if isinstance(peer, str) else None
        if hop is None:
            raise ValueError(f"there is no peer {peer!r}: the peers are {', '.join(self._hops)}")
        return hop

    def _check_running(self) -> None:
        if self._down:
            raise ShutDown("the MTA was shut down: it takes nothing any more")

    def _check_time(self, now: float) -> None:
        self._check_running()
        _finite(now, "the time")
        if now < self._now:
            raise ValueError(f"time must not run backwards: {now!r} after {self._now!r}")

    def _advance(self, now: float) -> None:
        self._check_time(now)
        self._now = now

    def _settle(self, now: float, hop: _Hop[B]) -> None:
        """Do what the last input calls for: mind a loss, open, carry."""
        if hop.lost:
            self._lose(now, hop)
        if hop.next.state is SessionState.OPENING and hop.standing:
            hop.next.turn(Turn.STANDS)
        if hop.next.state is SessionState.OPEN:
            self._carry(now, hop)
            if hop.next.state is SessionState.OPEN and not hop.standing and not hop.opening:
                hop.next.turn(Turn.EMPTY)
        if hop.next.state is SessionState.IDLE and hop.next.has_mail(now):
            self._open(now, hop)
        due = hop.next.deferred_until
        if due is not None and due > now and self._timers.at(("deferred", hop.next.name)) != due:
            self._timers.start(("deferred", hop.next.name), due)

    def _lose(self, now: float, hop: _Hop[B]) -> None:
        """An association of ours was lost, or could not be opened."""
        hop.lost = False
        mail = hop.next.has_mail(now)
        if mail:
            for event in LOSS:
                self.log.write(now, event)
        if hop.standing or hop.opening:  # others are left
            hop.more_at = now + self.policy.open_interval
        elif mail:
            self._retry_later(now, hop)
        else:
            hop.next.turn(Turn.EMPTY)

    def _retry_later(self, now: float, hop: _Hop[B]) -> None:
        hop.next.turn(Turn.LOST)
        self._timers.start(("open", hop.next.name), now + self.policy.open_interval)
        hop.next.failed(now)

    # Inside: associations

    def _number(self, hop: _Hop[B], *, ours: bool) -> _Association[B] | None:
        try:
            number = hop.numbers.acquire()
        except Exhausted:
            return None
        association = _Association(AssociationId(hop.next.entity, number), hop, ours)
        self._associations[association.id] = association
        return association

    def _forget(self, association: _Association[B]) -> None:
        del self._associations[association.id]
        association.hop.numbers.release(association.id.number)

    def _open(self, now: float, hop: _Hop[B]) -> None:
        """Begin to open the session, if there is mail for it."""
        if not hop.next.has_mail(now):
            hop.next.turn(Turn.EMPTY)
            return
        if self._associate(hop):
            hop.next.turn(Turn.OPENS)
        else:
            self._retry_later(now, hop)

    def _associate(self, hop: _Hop[B]) -> bool:
        """Ask for one association more; return whether it is being opened."""
        association = self._number(hop, ours=True)
        if association is None:
            self.refusals[Refusal.NO_NUMBER] += 1
            return False
        hop.opening += 1
        block = self.kernel.open(association.id)
        if isinstance(block, ControlBlock):
            return True
        self.refusals[block] += 1
        hop.opening -= 1
        self._forget(association)
        return False

    def _release(self, association: _Association[B]) -> None:
        """Close an association that has had nothing to send for its lifetime."""
        self._not_free(association)
        association.stands = False
        association.hop.standing -= 1
        self.kernel.request(association.id, Primitive.RELEASE_REQUEST)

    def _not_free(self, association: _Association[B]) -> None:
        association.hop.free.pop(association.id, None)
        self._timers.stop(("lifetime", association.id))

    def _stop(self, now: float) -> None:
        """Drop every association and timer; keep the queues."""
        self._actions.extend([Disconnect(handle) for handle in self.kernel.handles()])
        for association in self._associations.values():
            if association.receipt is not None:
                association.hop.next.give_back(now, association.receipt)
        self.kernel.reset()
        self._associations.clear()
        self._timers.clear()
        for hop in self._hops.values():
            hop.numbers.reset()
            hop.standing = hop.opening = 0
            hop.lost = False
            hop.more_at = float("-inf")
            hop.free.clear()
            hop.next.turn(Turn.RESTART)

    # Inside: transfers

    def _carry(self, now: float, hop: _Hop[B]) -> None:
        """Start a transfer on each free association, as long as there is mail."""
        while hop.free:
            taken = hop.next.take(now)
            if isinstance(taken, Collision):
                self._collide(now, hop, next(reversed(hop.free.values())))
                return
            if taken is None:
                break
            _, association = hop.free.popitem()
            self._timers.stop(("lifetime", association.id))
            association.receipt = taken
            block = self.kernel.of(association.id)
            assert block is not None
            assert block.handle is not None
            self._actions.append(Transfer(hop.next.name, block.handle, taken.body))
        for id in hop.free:
            if self._timers.at(("lifetime", id)) is None:
                self._timers.start(("lifetime", id), now + self.policy.association_lifetime)
        ours = hop.standing + hop.opening
        backlog = hop.standing > 0 and hop.next.queue.qsize() > self.policy.threshold * ours
        if backlog and now >= hop.more_at and not self._associate(hop):
            hop.more_at = now + self.policy.open_interval

    def _collide(self, now: float, hop: _Hop[B], at: _Association[B]) -> None:
        """Shut the session down: 4282, then 4283, every association of ours, the next open after the interval."""
        block = self.kernel.of(at.id)
        assert block is not None
        self.log.write(now, Event(4282))
        self.log.write(now, Event(4283, {"handle": str(block.handle)}), block.index)
        for association in [a for a in self._associations.values() if a.hop is hop and a.ours]:
            block = self.kernel.of(association.id)
            if block is not None and block.state is not State.OPEN_ERROR:
                self.kernel.request(association.id, Primitive.ABORT_REQUEST)
        hop.lost = False
        hop.next.turn(Turn.COLLIDES)
        self._timers.start(("open", hop.next.name), now + self.policy.open_interval)

    def _confirmed(self, association: _Association[B]) -> None:
        receipt, association.receipt = association.receipt, None
        if receipt is None:
            self.kernel.drops[Drop.OUT_OF_TURN] += 1
            self._unmatched = True
            return
        association.hop.next.acknowledge(self._now, receipt)
        association.hop.free[association.id] = association

    # Inside: what the kernel reports

    def _report(self, step: Step, id: AssociationId) -> None:
        association = self._associations[id]
        self._touched = hop = association.hop
        if step is Step.REPORT_TRANSFER:
            self._confirmed(association)
        elif step is Step.REPORT_OPEN:
            association.stands = True
            if association.ours:
                hop.opening -= 1
                hop.standing += 1
                hop.free[id] = association
        elif step is Step.REPORT_FAILED:
            hop.opening -= 1
            hop.lost = True
        elif step is Step.REPORT_CLEAN:
            self._forget(association)
        else:
            self._closed(association)

    def _closed(self, association: _Association[B]) -> None:
        hop = association.hop
        block = self.kernel.of(association.id)
        self._not_free(association)
        self._forget(association)
        if not association.ours:
            return
        if association.stands:
            hop.standing -= 1
            hop.lost = True
        elif block is not None and block.state in (State.AWAIT_TRANSPORT, State.AWAIT_ACCEPT):
            hop.opening -= 1
        receipt, association.receipt = association.receipt, None
        if receipt is not None:
            hop.next.give_back(self._now, receipt)


class _Port:
    """The kernel's way out: to the MTA's actions, timers, log and associations."""

    def __init__(self, mta: MTA[Any]) -> None:
        self._mta = mta

    def perform(self, step: Step, block: ControlBlock) -> None:
        mta = self._mta
        if step is Step.SEND_DISCONNECT:
            assert block.handle is not None
            mta._actions.append(Disconnect(block.handle))
            return
        id = block.association
        assert id is not None
        timer = ("disconnect", id)
        if step is Step.STOP_TIMER:
            mta._timers.stop(timer)
        elif step is Step.START_TIMER:
            mta._timers.start(timer, mta._now + mta.policy.disconnect)
        elif step in _SENT:
            assert block.handle is not None
            mta._actions.append(_SENT[step](mta._by_entity[id.entity].next.name, block.handle))
        else:
            mta._report(step, id)

    def log(self, id: int, block: ControlBlock | None, entity: str) -> None:
        """Log an event of the kernel's with what it prints of the block."""
        fields: dict[str, object] = {}
        if id == 1004:
            assert block is not None
            assert block.association is not None
            fields = {"association": block.association.number, "entity": entity}
        elif id == 1277:
            fields = {"index": 0 if block is None else block.index, "entity": entity}
        elif id == 1198:
            assert block is not None
            fields = {"index": block.index}
        self._mta.log.write(self._mta._now, Event(id, fields), None if block is None else block.index)


_SENT: dict[Step, Callable[[str, Handle], Action]] = {
    Step.SEND_CONNECT: Connect,
    Step.SEND_ASSOCIATE: Associate,
    Step.SEND_RELEASE: Release,
}


def _finite(value: float, name: str) -> None:
    """Raise ValueError unless `value` is finite, TypeError if it is no number."""
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        finite = False
    if not finite:
        raise ValueError(f"{name} must be finite, not {value!r}")


def _entities(peers: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """The peers' names, each with its entity. Raises ValueError for none, and for two of one name or entity."""
    if isinstance(peers, str):
        raise TypeError("peers must be names, not one text: put it in a list")
    names = list(peers)
    entities = dict(peers) if isinstance(peers, Mapping) else {name: ENTITY.format(name=name) for name in names}
    if not all(isinstance(text, str) and text for pair in entities.items() for text in pair):
        raise TypeError("a peer's name and entity must be texts, and not empty")
    if not names or len(set(names)) < len(names) or len(set(entities.values())) < len(names):
        raise ValueError(f"peers must be at least one, each with a name and an entity of its own, not {names!r}")
    return entities
