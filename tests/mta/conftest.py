"""What the tests of the MTA share: an MTA whose network is the test itself, and a watched pool of control blocks.

Test modules cannot import from here under importlib mode: they get the classes through the fixtures, and import their
names for the type checker alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from mtsid.mta import (
    MTA,
    Action,
    Associate,
    AssociationId,
    Connect,
    ControlBlock,
    Entry,
    Handle,
    Kernel,
    Policy,
    Primitive,
    SessionState,
    State,
    Transfer,
    Version,
)
from mtsid.mta.life_cycle import Step

P = Primitive
DISCONNECT = 120.0  # the default policy's timer
NORTH = "/O=ORG/CN=NORTH"


class Driven(MTA[str]):
    """An MTA with what a test does to it. Bodies are texts; a peer that is not named is NORTH."""

    def one(self, kind: type[Action]) -> Any:
        """Take the one action that is to be done, which is of that kind."""
        [action] = self.take_actions()
        assert isinstance(action, kind)
        return action

    def answer(self, now: float, kind: type[Action], primitive: Primitive) -> Handle:
        """Answer the one action that is to be done."""
        handle: Handle = self.one(kind).handle
        assert self.receive(now, handle, primitive)
        return handle

    def stand(self, now: float) -> Handle:
        """Answer an open that was asked for; return the handle of the association that stands."""
        self.answer(now, Connect, P.CONNECT_CONFIRM)
        return self.answer(now, Associate, P.ACCEPT)

    def stand_all(self, now: float) -> list[Handle]:
        """Answer every open that is asked for, until none is; return the handles whose transfers were started."""
        busy = []
        while actions := self.take_actions():
            for action in actions:
                if isinstance(action, Connect):
                    assert self.receive(now, action.handle, P.CONNECT_CONFIRM)
                elif isinstance(action, Associate):
                    assert self.receive(now, action.handle, P.ACCEPT)
                elif isinstance(action, Transfer):
                    busy.append(action.handle)
        return busy

    def carry(self, now: float) -> Entry[str]:
        """Confirm the one transfer that is to be done; return its message."""
        transfer = self.one(Transfer)
        assert self.receive(now, transfer.handle, P.TRANSFER_CONFIRM)
        entry: Entry[str] = transfer.entry
        return entry

    def first(self) -> Handle:
        """Let one message be carried at 0.0; return the handle of the association, which has nothing to send."""
        self.submit(0.0, "first")
        handle = self.stand(0.0)
        self.carry(0.0)
        return handle

    def flap(self, now: float, *, transport: bool) -> Handle:
        """Let an open fail, with or without its transport, and the link come back before its Open Error is over."""
        handle: Handle = self.one(Connect).handle
        if transport:
            self.receive(now, handle, P.CONNECT_CONFIRM)
            self.take_actions()
        self.receive(now, handle, P.DISCONNECT_INDICATION)
        self.receive(now, handle, P.CONNECT_CONFIRM)
        self.wake(now + DISCONNECT)
        return handle

    def events(self) -> list[tuple[float, int]]:
        """What was logged, and when."""
        return [(entry.time, entry.event.id) for entry in self.log]

    def state(self, peer: str = "NORTH") -> SessionState:
        return self.next_hops[peer].state

    def look(self) -> tuple[object, ...]:
        """Everything that an input may change, but the actions, the count of drops, and the time."""
        kernel = self.kernel
        blocks = [kernel.block(index) for index in range(1, kernel.size + 1)]
        return (
            (len(self), self.wakes_at, self.events(), dict(self.refusals), self.remote_refusals),
            [(b.generation, b.state, b.entity, b.association, b.handle, b.failed_in, b.remnant) for b in blocks],
            [list(block.pending) for block in blocks],
            [(hop.state, hop.collision, hop.deferred_until, hop.queue.qsize()) for hop in self.next_hops.values()],
            [[(e.mtsid, e.way, e.transfers, e.lost_at) for e in hop.entries()] for hop in self.next_hops.values()],
        )


class Agents:
    """`agent(version, **policy)` makes an MTA; the methods make one and bring it somewhere."""

    def __init__(self) -> None:
        self.made: list[Driven] = []

    def __call__(
        self,
        version: Version = "SP2",
        *,
        peers: Any = ("NORTH",),
        ids: int = 100,
        defect: str | None = None,
        on_left: Callable[[Entry[str]], None] | None = None,
        **policy: Any,
    ) -> Driven:
        made = Driven(version, peers=peers, ids=ids, defect=defect, on_left=on_left, policy=Policy(**policy))
        self.made.append(made)
        return made

    def busy(self, version: Version = "SP2") -> Driven:
        """Return one in the middle of its work, at 10.0: a message in transfer, one deferred, and one that waits."""
        mta = self(version, ids=5)
        mta.submit(0.0, "deferred", not_before=1000.0)
        mta.submit(0.0, "transfer")
        mta.submit(0.0, "waits")
        mta.stand(10.0)
        mta.one(Transfer)
        return mta

    def several(self, count: int = 3, **policy: Any) -> tuple[Driven, list[Handle]]:
        """Return one with 20 messages and that many associations, and their handles: each is transferring."""
        mta = self(threshold=1, associations=count, **policy)
        for number in range(20):
            mta.submit(0.0, f"{number}")
        busy = mta.stand_all(0.0)
        assert len(busy) == count
        return mta, busy

    def all_idle(self, count: int, version: Version = "SP2", defect: str | None = None) -> tuple[Driven, list[Handle]]:
        """Return one with that many idle associations, and their handles, the one used last at the end."""
        mta = self(version, defect=defect, threshold=1, associations=count)
        for number in range(2 * count + 2):
            mta.submit(0.0, f"{number}")
        busy = mta.stand_all(0.0)
        assert len(busy) == count
        order: list[Handle] = []
        while busy:
            order.append(busy.pop(0))
            assert mta.receive(1.0, order[-1], P.TRANSFER_CONFIRM)
            busy += mta.stand_all(1.0)
        assert len(mta) == 0
        return mta, order[-count:]

    def held(self, **policy: Any) -> tuple[Driven, Entry[str], Entry[str], Handle]:
        """Return a 4.0 held by a collision at 63.0, its twins, and the handle of the association that collided."""
        mta = self("4.0", **policy)
        blocker = mta.connect_indication(0.0)  # so that the block's number is not the association's
        assert blocker is not None
        older = mta.submit(0.0, "older")
        mta.submit(0.0, "middle")
        mta.stand(0.0)
        mta.link_down(1.0)
        mta.take_actions()
        younger = mta.submit(2.0, "younger")
        assert older.mtsid == younger.mtsid
        mta.link_up(3.0)
        mta.wake(63.0)
        handle = mta.answer(63.0, Connect, P.CONNECT_CONFIRM)
        assert mta.receive(63.0, handle, P.ACCEPT)
        return mta, older, younger, handle


@pytest.fixture
def agent() -> Iterator[Agents]:
    """MTAs; the invariants of their control blocks are checked when the test is over."""
    agents = Agents()
    yield agents
    for mta in agents.made:
        mta.kernel.check()


class Recorder:
    """A port that writes everything down: (step, block's index), and (event, block's index, entity)."""

    def __init__(self) -> None:
        self.steps: list[tuple[Step, int]] = []
        self.logs: list[tuple[int, int | None, str]] = []

    def perform(self, step: Step, block: ControlBlock) -> None:
        assert block.association is not None or step is Step.SEND_DISCONNECT
        assert block.handle is not None or not step.name.startswith("SEND")
        self.steps.append((step, block.index))

    def log(self, id: int, block: ControlBlock | None, entity: str) -> None:
        self.logs.append((id, None if block is None else block.index, entity))

    def take(self) -> list[Step]:
        steps, self.steps = self.steps, []
        return [step for step, _ in steps]


class Pool(Kernel):
    """A kernel with what a test does to it. An association that is not named is NORTH's first."""

    #: What the network says until a block opened from here is in that state (CLOSING: and it is then released).
    WAY_TO: ClassVar[dict[State, tuple[Primitive, ...]]] = {
        State.AWAIT_TRANSPORT: (),
        State.AWAIT_ACCEPT: (P.CONNECT_CONFIRM,),
        State.OPEN: (P.CONNECT_CONFIRM, P.ACCEPT),
        State.CLOSING: (P.CONNECT_CONFIRM, P.ACCEPT),
        State.OPEN_ERROR: (P.DISCONNECT_INDICATION,),
    }

    def __init__(self, version: Version = "SP2", size: int = 4) -> None:
        self.port = Recorder()
        super().__init__(version, size, self.port)

    def opening(self, number: int = 1, entity: str = NORTH) -> tuple[ControlBlock, Handle]:
        block = self.open(AssociationId(entity, number))
        assert isinstance(block, ControlBlock)
        assert block.handle is not None
        return block, block.handle

    def told(self, handle: Handle, *primitives: Primitive) -> None:
        for primitive in primitives:
            assert self.receive(handle, primitive) is None

    def bring_to(self, state: State, number: int = 1) -> tuple[ControlBlock, Handle]:
        block, handle = self.opening(number)
        self.told(handle, *self.WAY_TO[state])
        if state is State.CLOSING:
            self.request(AssociationId(NORTH, number), P.RELEASE_REQUEST)
        assert block.state is state
        return block, handle

    def flap(self, *before: Primitive, pending: Primitive | None = P.CONNECT_CONFIRM, number: int = 1) -> ControlBlock:
        """Open, get as far as `before`, lose the link, let `pending` come in the Open Error, and process it."""
        block, handle = self.opening(number)
        self.told(handle, *before, P.DISCONNECT_INDICATION)
        if pending is not None:
            self.told(handle, pending)
        self.request(AssociationId(NORTH, number), P.DISCONNECT_TIMER)
        return block

    def look(self) -> tuple[object, ...]:
        """Everything that a call may change, but the count of drops."""
        blocks = [self.block(index) for index in range(1, self.size + 1)]
        return (
            [(b.generation, b.state, b.entity, b.association, b.handle, b.failed_in, b.remnant) for b in blocks],
            [list(block.pending) for block in blocks],
            self.handles(),
            (self.idle, self.in_use, dict(self.left)),
            (list(self.port.steps), list(self.port.logs)),
        )


class Pools:
    """`make(version, size)`: a pool and its port."""

    def __init__(self) -> None:
        self.made: list[Pool] = []

    def __call__(self, version: Version = "SP2", size: int = 4) -> tuple[Pool, Recorder]:
        made = Pool(version, size)
        self.made.append(made)
        return made, made.port


@pytest.fixture
def make() -> Iterator[Pools]:
    """Pools whose invariants are checked when the test is over."""
    pools = Pools()
    yield pools
    for pool in pools.made:
        pool.check()


@pytest.fixture(scope="session")
def pool() -> type[Pool]:
    """For a test that makes its own: Hypothesis runs it many times, and a fixture but once."""
    return Pool
