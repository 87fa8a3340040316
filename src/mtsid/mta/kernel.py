"""The kernel's pool of control blocks (KCBs), the three paths that lead to them, and the table that moves them.

Source: KB Q152877 (S) and its model (A); see life_cycle.py. The blocks' indices come from the library's own Allocator,
so that no two associations are ever given one block.

Invariants, in SP2 after every call (`check` asserts them; 4.0 breaks the second and the third by R1 and R2):

1. An index is free in the allocator, or its block was handed out and has not come back.
2. A block is idle if and only if its index is free: idle + in use = size.
3. All three paths lead to a block in use, none to an idle one.
4. A generation only grows. A handle of an earlier one is counted in `drops` and does nothing.

Single-threaded. It must not know: time, queues, what a message is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from mtsid import Allocator, Exhausted
from mtsid.mta.life_cycle import ANSWERS, CLEAN_UP, FROM_NETWORK, TABLES, Key, Primitive, Row, State, Step, When
from mtsid.mta.versions import Version

__all__ = ["AssociationId", "ControlBlock", "Drop", "Handle", "Kernel", "Port", "Refusal", "Remnant"]


class Handle(NamedTuple):
    """The POP-4 handle of a block: what the network knows it by. Printed as event 4283 does: `1-3-14`.

    Locality 1, process 3, control block 14 (inferred from K, Q319936, Q188040). The generation is not printed: it tells
    one use of the block from the next.
    """

    block: int  # its index
    generation: int

    def __str__(self) -> str:
        """Return the handle as the event log prints it."""
        return f"1-3-{self.block}"


class AssociationId(NamedTuple):
    """The RTSE's name of an association: the entity at its other end, and a number from 1."""

    entity: str
    number: int


class Remnant(Enum):
    """What 4.0's clean-up may leave behind (A)."""

    STUCK = "R1"  # not idle, the entity's path kept, the POP-4 path cut
    DANGLING = "R2"  # idle, the entity's path cut, the POP-4 path still live


class Refusal(Enum):
    """Why no block was had."""

    NO_BLOCK = "no control block is free"
    NO_NUMBER = "the entity has as many associations as it may"
    STATE_CHECK = "the control block that the path led to is not idle"


class Drop(Enum):
    """Why a primitive was counted and did nothing."""

    STALE = "its handle is of an earlier generation"
    CUT = "no path leads from its handle any more"
    OUT_OF_TURN = "the block's state has no use for it"


@dataclass(slots=True, eq=False)
class ControlBlock:
    """One control block. Written by the kernel alone."""

    index: int  # from 1
    generation: int = 0  # of this use, or of the next one
    state: State = State.IDLE
    entity: str | None = None  # back along the path from the entity; None: cut
    association: AssociationId | None = None  # ... from the association
    handle: Handle | None = None  # ... from the POP-4 handle
    failed_in: State | None = None  # the state in which the open failed
    pending: list[Primitive] = field(default_factory=list)  # came while the block stood in OPEN_ERROR
    remnant: Remnant | None = None


class Port(Protocol):
    """Where the steps that are not the kernel's own go. A port may look at the block, and must not call the kernel."""

    def perform(self, step: Step, block: ControlBlock) -> None:
        """Send, report, start or stop a timer."""

    def log(self, id: int, block: ControlBlock | None, entity: str) -> None:
        """Log an event about `block` (None: there was none to be had) and `entity` (empty: its path is cut)."""


class Kernel:
    """The control blocks of one MTA. `drops` counts what came too late or out of turn, `left` the remnants so far."""

    def __init__(self, version: Version, size: int, port: Port) -> None:
        self.size = size
        self.drops: Counter[Drop] = Counter()
        self.left: Counter[Remnant] = Counter()
        self._table: dict[Key, Row] = TABLES[version]
        self._port = port
        self._indices = Allocator(1, size)
        self._blocks = [ControlBlock(index) for index in range(1, size + 1)]
        self._by_entity: dict[str, dict[int, ControlBlock]] = {}
        self._by_association: dict[AssociationId, ControlBlock] = {}
        self._by_handle: dict[Handle, ControlBlock] = {}
        self._own: dict[Step, Callable[[ControlBlock], None]] = {
            Step.CUT_ENTITY: self._cut_entity,
            Step.CUT_ASSOCIATION: self._cut_association,
            Step.CUT_HANDLE: self._cut_handle,
            Step.BUMP_GENERATION: self._bump_generation,
            Step.RETURN_TO_POOL: self._return_to_pool,
            Step.RETURN_EARLY: self._return_early,
        }
        self._logs = {Step.LOG_1004: 1004, Step.LOG_1008: 1008, Step.LOG_1198: 1198, Step.LOG_1277: 1277}

    # Views

    @property
    def idle(self) -> int:
        """How many blocks the pool can give."""
        return self._indices.available

    @property
    def in_use(self) -> int:
        """How many blocks belong to an association."""
        return sum(block.state is not State.IDLE and block.remnant is None for block in self._blocks)

    def count(self, remnant: Remnant) -> int:
        """Return how many blocks are so left behind now."""
        return sum(block.remnant is remnant for block in self._blocks)

    def block(self, index: int) -> ControlBlock:
        """Return the block of that index. Raises ValueError out of range, TypeError for what is no whole number."""
        if isinstance(index, bool) or not isinstance(index, int):
            raise TypeError(f"a control block's index must be a whole number, not {index!r}")
        if not 1 <= index <= self.size:
            raise ValueError(f"there is no control block {index}: indices are 1 to {self.size}")
        return self._blocks[index - 1]

    def of(self, association: AssociationId) -> ControlBlock | None:
        """Return the block that the association's path leads to; None: none."""
        return self._by_association.get(association)

    def handles(self, entity: str | None = None) -> list[Handle]:
        """Return the handles that lead to a block, oldest first; with `entity`, of the blocks on its path."""
        if entity is None:
            return list(self._by_handle)
        return [block.handle for block in self._by_entity.get(entity, {}).values() if block.handle is not None]

    # Inputs

    def open(self, association: AssociationId) -> ControlBlock | Refusal:
        """Open an association from here: A-ASSOCIATE request."""
        block = self._by_association.get(association)
        if block is not None:  # 4.0: R1
            self._told(block, Primitive.ASSOCIATE_REQUEST)
            return Refusal.STATE_CHECK
        return self._take(association, Primitive.ASSOCIATE_REQUEST)

    def connect_indication(self, association: AssociationId | None, entity: str) -> ControlBlock | Refusal:
        """Let the peer open an association; None: it may have no more. A refusal is logged as 1277."""
        for block in self._by_entity.get(entity, {}).values():
            if block.handle is None:  # 4.0: R1
                self._told(block, Primitive.CONNECT_INDICATION)
                return Refusal.STATE_CHECK
        taken = Refusal.NO_NUMBER if association is None else self._take(association, Primitive.CONNECT_INDICATION)
        if isinstance(taken, Refusal):
            self._port.log(1277, None, entity)
        return taken

    def request(self, association: AssociationId, primitive: Primitive) -> None:
        """Tell an association's block what its owner wants, or that its timer has ended."""
        block = self._by_association.get(association)
        if block is None or not self._told(block, primitive):
            raise RuntimeError(f"{primitive.value} has no place in the life of {association}: a defect of mtsid")

    def receive(self, handle: Handle, primitive: Primitive) -> Drop | None:
        """Take a primitive from the network; return why it was dropped (counted in `drops`), None if it was not.

        Raises as `find` does.
        """
        return self.tell(self.find(handle, primitive), primitive)

    def find(self, handle: Handle, primitive: Primitive) -> ControlBlock | Drop:
        """Return the block that a primitive from the network is for, or why there is none; change nothing.

        Raises ValueError for an index out of range, for a generation that was never handed out and for a primitive
        that no network sends; TypeError for what is no handle or no primitive.
        """
        if not isinstance(primitive, Primitive):
            raise TypeError(f"primitive must be a Primitive, not {primitive!r}")
        if primitive not in FROM_NETWORK:
            raise ValueError(f"{primitive.value} does not come from the network for a control block")
        # A look-alike could equal a handle: (True, 0) == (1, 0).
        if not (isinstance(handle, Handle) and type(handle[0]) is int and type(handle[1]) is int):
            raise TypeError(f"handle must be one that this MTA gave out, of two whole numbers, not {handle!r}")
        block = self._by_handle.get(handle)
        return self._why_not(handle) if block is None else block

    def tell(self, found: ControlBlock | Drop, primitive: Primitive) -> Drop | None:
        """Hand a primitive to what `find` found; return why it was dropped, None if it was not."""
        if isinstance(found, ControlBlock):
            if self._told(found, primitive):
                return None
            found = Drop.OUT_OF_TURN
        self.drops[found] += 1
        return found

    def reset(self) -> None:
        """Restart: every path is cut, every block idle and of a new generation, whatever was left behind."""
        for block in self._blocks:
            if block.entity is not None or block.handle is not None or block.association is not None:
                self._cut_entity(block)
                self._cut_association(block)
                self._cut_handle(block)
                self._bump_generation(block)
            block.state, block.failed_in, block.remnant = State.IDLE, None, None
            block.pending.clear()
        self._indices.reset()

    def check(self) -> None:
        """Assert the invariants; those that 4.0 may break are held against what `left` behind explains."""
        free = [block for block in self._blocks if block.index not in self._indices]
        paths: Counter[int] = Counter()
        for blocks in self._by_entity.values():
            paths.update(blocks.keys())
        paths.update(block.index for block in self._by_association.values())
        paths.update(block.index for block in self._by_handle.values())
        for block in self._blocks:
            if block.remnant is None:
                idle = block.state is State.IDLE
                assert idle == (block in free), f"{block} is {'not ' * idle}in the pool"
                assert paths[block.index] == (0 if idle else 3), f"{paths[block.index]} paths lead to {block}"
                assert idle or block.handle == (block.index, block.generation)
            else:
                assert block not in free, f"{block} was left behind and is in the pool"
                assert paths[block.index] in ((1, 2) if block.remnant is Remnant.STUCK else (1,))
        left = self.count(Remnant.STUCK) + self.count(Remnant.DANGLING)
        assert self.idle + self.in_use + left == self.size

    # Inside

    def _take(self, association: AssociationId, primitive: Primitive) -> ControlBlock | Refusal:
        try:
            block = self._blocks[self._indices.acquire() - 1]
        except Exhausted:
            return Refusal.NO_BLOCK
        block.entity, block.association = association.entity, association
        block.handle = Handle(block.index, block.generation)
        self._by_entity.setdefault(association.entity, {})[block.index] = block
        self._by_association[association] = block
        self._by_handle[block.handle] = block
        self._told(block, primitive)
        return block

    def _why_not(self, handle: Handle) -> Drop:
        """Say why no path leads from the handle; raise if it was never given out."""
        index, generation = handle
        block = self.block(index)
        if 0 <= generation < block.generation:
            return Drop.STALE
        if generation == block.generation and block.remnant is Remnant.STUCK:
            return Drop.CUT
        raise ValueError(f"{handle!r} was never given out: control block {index} had {block.generation} uses so far")

    def _told(self, block: ControlBlock, primitive: Primitive) -> bool:
        """Apply the row for the primitive; False: there is none."""
        state = block.state
        row = self._table.get((state, primitive, When.ALWAYS)) or self._table.get((state, primitive, self._when(block)))
        if row is None:
            return False
        if row.next is State.OPEN_ERROR and state is not State.OPEN_ERROR:
            block.failed_in = state
        for step in row.steps:
            own = self._own.get(step)
            if own is not None:
                own(block)
            elif step is Step.HOLD:
                block.pending.append(primitive)
            elif step in self._logs:
                self._port.log(self._logs[step], block, block.entity or "")
            elif step is not Step.LINK_PATHS:  # done when the block was taken: paths need the association
                self._port.perform(step, block)
        block.state = row.next
        if state is State.OPEN_ERROR and primitive is Primitive.DISCONNECT_TIMER:
            self._deliver_pending(block)
        return True

    @staticmethod
    def _when(block: ControlBlock) -> When:
        if block.handle is None:
            return When.HANDLE_CUT
        if ANSWERS.isdisjoint(block.pending):
            return When.NOTHING_PENDING
        return When.PENDING_AFTER_1 if block.failed_in is State.AWAIT_TRANSPORT else When.PENDING_AFTER_2

    def _deliver_pending(self, block: ControlBlock) -> None:
        """Hand over what waited for the end of the Open Error, along the path that it came by, if that still leads."""
        pending, block.pending, block.failed_in = block.pending, [], None
        for primitive in pending:
            if block.handle is None:
                self.drops[Drop.CUT if block.remnant is Remnant.STUCK else Drop.STALE] += 1
            elif not self._told(block, primitive):
                self.drops[Drop.OUT_OF_TURN] += 1

    # The kernel's own steps

    def _cut_entity(self, block: ControlBlock) -> None:
        if block.entity is not None:
            blocks = self._by_entity[block.entity]
            del blocks[block.index]
            if not blocks:
                del self._by_entity[block.entity]
            block.entity = None

    def _cut_association(self, block: ControlBlock) -> None:
        if block.association is not None:
            del self._by_association[block.association]
            block.association = None

    def _cut_handle(self, block: ControlBlock) -> None:
        if block.handle is not None:
            del self._by_handle[block.handle]
            block.handle = None

    @staticmethod
    def _bump_generation(block: ControlBlock) -> None:
        block.generation += 1

    def _return_to_pool(self, block: ControlBlock) -> None:
        block.remnant = None
        self._indices.release(block.index)

    def _return_early(self, block: ControlBlock) -> None:
        block.remnant = Remnant.STUCK if block.handle is None else Remnant.DANGLING
        self.left[block.remnant] += 1


assert CLEAN_UP[-1] is Step.RETURN_TO_POOL  # the index is free last, when nothing leads to the block any more
