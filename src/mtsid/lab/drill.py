"""An MTA driven by hand, step by step: for searches through all sequences of steps, and for the story of one.

A step is what a network, a user or an operator may do next, without sizes, speeds or chance: the smallest world in
which both articles happen. `Drill` does the steps that make sense, keeps the books, and tells what is wrong after each
one; a property test shrinks a list of steps to the shortest that goes wrong, and `story` says in words what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mtsid import AuditError
from mtsid.lab.wording import clock
from mtsid.mta import (
    MTA,
    Action,
    Associate,
    Connect,
    Disconnect,
    Entry,
    EventLog,
    Handle,
    LogEntry,
    Policy,
    Primitive,
    Release,
    Remnant,
    Transfer,
    Version,
)

__all__ = ["PEERS", "Act", "Drill", "Step"]

PEERS = ("NORTH", "SOUTH")


class Act(Enum):
    """What may happen next."""

    ENTER = "a message enters the queue to a peer"
    ANSWER = "the network answers the MTA's oldest open request"
    LOSE = "the link to a peer is lost"
    RETURN = "the link to a peer is back, and the peer answers what was cut off"
    CALL = "a peer opens an association to us"
    ABORT = "a peer gives up on a connection that still stands for it"
    WAIT = "nothing happens until the MTA's next timer"
    DELETE = "an operator deletes the oldest message in the queue to a peer"
    RESTART = "an operator restarts the MTA"


@dataclass(frozen=True)
class Step:
    """One act, and the place in PEERS of the peer that it is about (ANSWER, WAIT and RESTART are about none)."""

    act: Act
    peer: int = 0

    def __repr__(self) -> str:
        """Return it short: a failing test prints many."""
        return f"{self.act.name} {PEERS[self.peer]}"


_ANSWERS = {
    Connect: Primitive.CONNECT_CONFIRM,
    Associate: Primitive.ACCEPT,
    Transfer: Primitive.TRANSFER_CONFIRM,
    Release: Primitive.RELEASE_CONFIRM,
}

_SAID = {
    Connect: "the transport to {peer} stands (control block {block})",
    Associate: "{peer} accepts the association (control block {block})",
    Transfer: "{peer} acknowledges message {message}",
    Release: "{peer} confirms the release (control block {block})",
}


@dataclass
class _Lines:
    """The network: which links are up, what was asked of it, what a loss cut off, what still stands at a peer."""

    up: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(PEERS, True))
    asked: list[Connect | Associate | Transfer | Release] = field(default_factory=list)
    cut_off: list[Connect | Associate] = field(default_factory=list)
    late: dict[Handle, str] = field(default_factory=dict)  # connections that stand for the peer alone


class Drill:
    """One MTA, and the steps done with it. `faults` is what is wrong now, in words; empty: nothing.

    A step that makes no sense where it comes (a link lost twice, say) does nothing. Raises AssertionError if the MTA
    breaks what must hold in both versions: a lost message, an inconsistent pool.
    """

    def __init__(
        self, version: Version, *, defect: str | None = None, policy: Policy | None = None, ids: int = 20
    ) -> None:
        self.now = 0.0
        self.entered = 0
        self.left: list[Entry[int]] = []
        self.ever_faulty: set[str] = set()  # the kinds of faults seen so far
        self._told: list[tuple[float, str]] = []
        self._log = EventLog(on_event=self._logged)
        self.mta: MTA[int] = MTA(
            version,
            peers=PEERS,
            ids=ids,
            defect=defect,
            policy=policy,
            log=self._log,
            on_left=self.left.append,
        )
        self._lines = _Lines()
        self._faults: list[str] = []

    @property
    def faults(self) -> list[str]:
        """What is wrong now, in words."""
        return list(self._faults)

    def run(self, steps: Iterable[Step]) -> Drill:
        """Do the steps in order, and look after each one."""
        for step in steps:
            self._do(step.act, PEERS[step.peer])
            self._do_actions()
            self._look()
        return self

    def story(self) -> str:
        """Return what happened, a line an event, with the time of each."""
        return "".join(f"{clock(time, calendar=False)}  {text}\n" for time, text in self._told)

    # Steps

    def _do(self, act: Act, peer: str) -> None:
        mta, lines, hop = self.mta, self._lines, self.mta.next_hops[peer]
        if act is Act.ENTER:
            self.entered += 1
            entry = mta.submit(self.now, self.entered, peer=peer)
            self._tell(f"Message {entry.body} enters the queue to {peer}; its MTSID is {entry.mtsid}.")
        elif act is Act.ANSWER and lines.asked:
            self._answer(lines.asked.pop(0))
        elif act is Act.LOSE and lines.up[peer]:
            self._lose(peer)
        elif act is Act.RETURN and not lines.up[peer]:
            self._return(peer)
        elif act is Act.CALL and lines.up[peer]:
            handle = mta.connect_indication(self.now, peer)
            self._tell(f"{peer} calls, and is {'refused' if handle is None else f'given block {handle.block}'}.")
        elif act is Act.ABORT and (late := [handle for handle, of in lines.late.items() if of == peer]):
            del lines.late[late[0]]
            self._tell(f"{peer} gives up on the connection that stands for it (control block {late[0].block}).")
            mta.receive(self.now, late[0], Primitive.SESSION_INDICATION)
        elif act is Act.WAIT and mta.wakes_at is not None:
            self.now = max(self.now, mta.wakes_at)
            self._tell("A timer ends.")
            mta.wake(self.now)
        elif act is Act.DELETE and len(hop):
            mtsid = next(hop.entries()).mtsid
            entry = mta.delete(self.now, mtsid, peer=peer)
            self._tell(f"An operator deletes MTSID {mtsid} from the queue to {peer}: message {entry.body}.")
        elif act is Act.RESTART:
            self._tell("An operator restarts the MTA.")
            mta.restart(self.now)

    def _answer(self, action: Connect | Associate | Transfer | Release) -> None:
        message = action.entry.body if isinstance(action, Transfer) else ""
        said = _SAID[type(action)].format(peer=action.peer, block=action.handle.block, message=message)
        self._tell(f"The network: {said}.")
        self.mta.receive(self.now, action.handle, _ANSWERS[type(action)])

    def _lose(self, peer: str) -> None:
        lines = self._lines
        lines.up[peer] = False
        gone = [action for action in lines.asked if action.peer == peer]
        lines.asked = [action for action in lines.asked if action.peer != peer]
        lines.cut_off += [action for action in gone if isinstance(action, (Connect, Associate))]
        carried = [f" with message {action.entry.body} in transfer" for action in gone if isinstance(action, Transfer)]
        self._tell(f"The link to {peer} is lost{''.join(carried)}.")
        self.mta.link_down(self.now, peer)
        for handle in [handle for handle, of in lines.late.items() if of == peer]:
            del lines.late[handle]
            self.mta.receive(self.now, handle, Primitive.DISCONNECT_INDICATION)

    def _return(self, peer: str) -> None:
        lines = self._lines
        lines.up[peer] = True
        self._tell(f"The link to {peer} is back.")
        self.mta.link_up(self.now, peer)
        for action in [action for action in lines.cut_off if action.peer == peer]:
            lines.cut_off.remove(action)
            lines.late[action.handle] = peer
            self._answer(action)

    # The network

    def _do_actions(self) -> None:
        while actions := self.mta.take_actions():
            for action in actions:
                self._do_action(action)

    def _do_action(self, action: Action) -> None:
        lines = self._lines
        if isinstance(action, Disconnect):
            lines.late.pop(action.handle, None)
            lines.asked = [asked for asked in lines.asked if asked.handle != action.handle]
        elif lines.up[action.peer]:
            lines.asked.append(action)
        else:
            self.mta.receive(self.now, action.handle, Primitive.DISCONNECT_INDICATION)

    # The books

    def _look(self) -> None:
        """Hold what must hold in both versions, and note what is wrong."""
        mta, kernel = self.mta, self.mta.kernel
        kernel.check()
        assert self.entered == len(self.left) + len(mta), "a message was lost, or left twice"
        faults = []
        for name, hop in mta.next_hops.items():
            queue: Any = hop.queue
            assert len(queue) == len(hop), "the MTA and its queue count differently"
            try:
                queue.audit()
            except AuditError as error:
                faults += [f"MTSID {n} stands for {of} messages to {name}" for n, of in error.audit.duplicates]
                self.ever_faulty.add("duplicate")
            if hop.collision is not None:
                faults.append(f"the queue to {name} hangs: MTSID {hop.collision.mtsid} has collided")
                self.ever_faulty.add("collision")
        for index in range(1, kernel.size + 1):
            remnant = kernel.block(index).remnant
            if remnant is not None:
                word = "stuck: not idle" if remnant is Remnant.STUCK else "dangling: idle, and a path leads there"
                faults.append(f"control block {index} is {word}")
                self.ever_faulty.add(remnant.name.lower())
        if kernel.idle + kernel.in_use != kernel.size and not kernel.idle:
            self.ever_faulty.add("exhausted")
        for fault in faults:
            if fault not in self._faults:
                self._tell(f"WRONG: {fault}.")
        self._faults = faults

    def _logged(self, entry: LogEntry) -> None:
        self._tell(f"  Event {entry.event.id}: {entry.event.text()}")

    def _tell(self, text: str) -> None:
        self._told.append((self.now, text))
