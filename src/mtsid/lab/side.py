"""One version's half of a comparison: its MTA, its network, its operator, its books, in one simpy environment."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any

import simpy

from mtsid.lab.ledger import Ledger, Result
from mtsid.lab.network import Network
from mtsid.lab.operating import Operator
from mtsid.lab.outages import Edge
from mtsid.lab.traffic import QUIET, Link, Mail, calls
from mtsid.mta import (
    MTA,
    Entry,
    EventLog,
    Handle,
    LogEntry,
    NextHop,
    Policy,
    Refusal,
    Remnant,
    SessionState,
    Version,
)

__all__ = ["Side", "Watcher"]

Process = Generator[simpy.Event, Any, None]


class Watcher:
    """What a side tells whoever wants to know. Each method does nothing until a subclass says what."""

    def logged(self, entry: LogEntry) -> None:
        """An event was logged."""

    def edge(self, now: float, edge: Edge) -> None:
        """A link goes down or comes up; told before the MTA is."""

    def left(self, entry: Entry[Mail]) -> None:
        """A message left its queue, or never entered it."""

    def collided(self, hop: NextHop[Mail]) -> None:
        """A collision has shut a session down: `hop.collision`."""

    def resumed(self, now: float, hop: NextHop[Mail]) -> None:
        """The queue that a collision held moves again."""

    def drained(self, now: float, hop: NextHop[Mail]) -> None:
        """Nothing waits in a queue any more."""

    def repeated(self, now: float, entry: Entry[Mail]) -> None:
        """The queue took an acknowledgement a second time: `entry` was the message's."""

    def remained(self, now: float, handle: Handle, remnant: Remnant) -> None:
        """A clean-up returned early and left a control block behind."""

    def restarted(self, now: float) -> None:
        """The operator has restarted the MTA."""


class Side:
    """One version's MTA and whatever drives it. Both sides of a comparison are given the same inputs."""

    def __init__(
        self,
        env: simpy.Environment,
        version: Version,
        *,
        peers: Sequence[str],
        ids: int,
        defect: str | None,
        policy: Policy,
        link: Link,
        seed: int,
        on_event: Callable[[LogEntry], None],
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.env = env
        self.version: Version = version
        self.ledger = Ledger(peers)
        self.drained = env.event()
        self._watchers = watchers
        log = EventLog(on_event=self._logged, keep=0)
        self.mta: MTA[Mail] = MTA(
            version, peers=peers, ids=ids, defect=defect, policy=policy, log=log, on_left=self._left
        )
        self.network = Network(env, self.mta, link, settled=self._settle, reconnected=self._reconnected)
        self._on_event = on_event
        self._operator = Operator(Random(f"{seed}/operator"))
        self._last_mail_entered = False
        self._rings_at: float | None = None
        self._seen: dict[str, Any] = dict.fromkeys(peers)  # the last collision told, by peer
        self._remnants: set[Handle] = set()  # those that were told and are still there
        self._remnants_counted = 0
        self._refused = 0  # opens refused for want of a control block, that the operator has been told of
        self._mail_stopped = False  # the operator will look after it
        self._last_entry = env.now  # when a message last entered
        self._next_entry = env.event()
        for peer in peers:
            env.process(self._calls(peer, seed))

    # Inputs

    def enter(self, message: Mail) -> None:
        """Enter one message."""
        entry = self.mta.submit(
            self.env.now, message, peer=message.peer, priority=message.priority, not_before=message.not_before
        )
        self.ledger.entered(entry, message.peer, len(self.mta))
        self._last_entry = self.env.now
        self._next_entry.succeed()
        self._next_entry = self.env.event()
        self._settle()

    def last_mail_entered(self) -> None:
        """Note that the trace is at its end."""
        self._last_mail_entered = True
        self._check_drained()

    def edge(self, edge: Edge) -> None:
        """Lose links, or get them back."""
        for watcher in self._watchers:
            watcher.edge(self.env.now, edge)
        for peer in edge.peers:
            if edge.up:
                self.network.link_up(peer, edge.outage)
            else:
                self.network.link_down(peer)

    def result(self, *, ids: int, undated: int) -> Result:
        """Close the books."""
        return self.ledger.close(self.env.now, self.mta, ids=ids, undated=undated)

    # After each input

    def _settle(self) -> None:
        """Do what the MTA asks for, set its alarm, and see what has changed."""
        while actions := self.mta.take_actions():
            for action in actions:
                self.network.do(action)
        self._set_alarm()
        now = self.env.now
        self.ledger.look(now, self.mta)
        for peer, hop in self.mta.next_hops.items():
            self._look_at(now, peer, hop)
        if self._remnants_counted < self.mta.kernel.left.total():
            self._tell_remnants(now)
        if self._refused < self.mta.refusals[Refusal.NO_BLOCK]:
            self._refused = self.mta.refusals[Refusal.NO_BLOCK]
            if not self._mail_stopped:
                self._mail_stopped = True
                self.env.process(self._restart())

    def _set_alarm(self) -> None:
        at = self.mta.wakes_at
        if at is None or (self._rings_at is not None and self._rings_at <= at):
            return
        self._rings_at = at

        def ring(_: simpy.Event) -> None:
            if self._rings_at == at:  # else an earlier one was set meanwhile, and has set its successor
                self._rings_at = None
                self.mta.wake(self.env.now)
                self._settle()

        timeout = self.env.timeout(max(0.0, at - self.env.now))
        assert timeout.callbacks is not None
        timeout.callbacks.append(ring)

    def _look_at(self, now: float, peer: str, hop: NextHop[Mail]) -> None:
        """See whether a hang began or ended."""
        clock, collision = self.ledger.clocks[peer], hop.collision
        if collision is None and not clock.hanging:
            return
        hung = clock.hanging
        clock.look(now, hop, self.network.is_up(peer))
        if collision is not None and collision is not self._seen[peer]:
            self._seen[peer] = collision
            for watcher in self._watchers:
                watcher.collided(hop)
        if clock.hanging and not hung:
            self.env.process(self._operate(peer, clock.hangs))
        elif hung and not clock.hanging:
            for watcher in self._watchers:
                watcher.resumed(now, hop)

    def _tell_remnants(self, now: float) -> None:
        kernel = self.mta.kernel
        self._remnants_counted = kernel.left.total()
        blocks = [kernel.block(index) for index in range(1, kernel.size + 1)]
        left = {Handle(block.index, block.generation): block.remnant for block in blocks if block.remnant is not None}
        self.ledger.most_kcbs_left = max(self.ledger.most_kcbs_left, len(left))
        for handle, remnant in left.items():
            if handle not in self._remnants:
                for watcher in self._watchers:
                    watcher.remained(now, handle, remnant)
        self._remnants = set(left)

    # What the MTA and the network tell

    def _logged(self, entry: LogEntry) -> None:
        for watcher in self._watchers:
            watcher.logged(entry)
        self._on_event(entry)

    def _left(self, entry: Entry[Mail]) -> None:
        peer = entry.body.peer
        self.ledger.leaves(entry, peer)
        for watcher in self._watchers:
            watcher.left(entry)
        hop = self.mta.next_hops[peer]
        if not hop.queue.qsize() and hop.state is SessionState.OPEN:
            for watcher in self._watchers:
                watcher.drained(self.env.now, hop)
        self._check_drained()

    def _check_drained(self) -> None:
        if self._last_mail_entered and not len(self.mta) and not self.drained.triggered:
            self.drained.succeed()

    def _reconnected(self, peer: str) -> None:
        # The peer cannot know whether its last acknowledgement arrived before the loss (A).
        last = self.mta.next_hops[peer].last_acknowledged
        if self.mta.acknowledgement_repeated(self.env.now, peer) and last is not None:
            for watcher in self._watchers:
                watcher.repeated(self.env.now, last)

    # Processes

    def _calls(self, peer: str, seed: int) -> Process:
        for call in calls(peer, seed):
            yield self.env.timeout(call.after)
            if self.env.now > self._last_entry + QUIET:
                yield self._next_entry  # so that a run takes time by its mail, and not by its calendar
            self.network.call(peer, call.seconds)

    def _operate(self, peer: str, hang: int) -> Process:
        """The operator: one visit to one hang, and further looks until the queue moves."""
        hop, clock = self.mta.next_hops[peer], self.ledger.clocks[peer]
        delay = self._operator.delay(self.env.now)
        while True:
            yield self.env.timeout(delay)
            collision = hop.collision
            if collision is None or clock.hangs != hang:
                return  # it moves again, or another hang has begun, with a visit of its own
            if hop.live(collision.mtsid) > 1:
                self.mta.delete(self.env.now, collision.mtsid, peer=peer)
                self._settle()
            self._operator.last_seen = self.env.now
            delay = self._operator.attentive

    def _restart(self) -> Process:
        """The operator: opens are refused for want of a control block; if most were left behind, a restart mends it."""
        yield self.env.timeout(self._operator.delay(self.env.now))
        if sum(map(self.mta.kernel.count, Remnant)) > self.mta.kernel.size / 2:
            self.ledger.restarts += 1
            self._operator.last_seen = self.env.now
            self.mta.restart(self.env.now)
            for watcher in self._watchers:
                watcher.restarted(self.env.now)
        self._mail_stopped = False
        self._settle()
