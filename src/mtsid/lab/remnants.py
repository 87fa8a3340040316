"""The first control block that 4.0 leaves behind, told: the open that failed, the answer that came, what followed."""

from __future__ import annotations

from dataclasses import dataclass, field

from mtsid.lab.network import Attempt
from mtsid.lab.side import Watcher
from mtsid.mta import Handle, LogEntry, Remnant, State

__all__ = ["FirstRemnant", "RemnantStory"]

CONSEQUENCES = {1004, 1008, 1198, 1277}  # of one or the other remnant


@dataclass
class RemnantStory:
    """One control block left behind. Times in seconds."""

    handle: Handle
    remnant: Remnant
    peer: str
    state: State  # in which the open failed
    lost_at: float
    back_at: float
    left_at: float  # when the Open Error was processed, and the clean-up returned early
    consequences: list[LogEntry] = field(default_factory=list)  # the first of each kind that this block explains
    restarted_at: float | None = None


class FirstRemnant(Watcher):
    """Watches 4.0 until its first stuck block (or, if there is none, its first dangling one) has had consequences."""

    def __init__(self) -> None:
        self.attempts: dict[Handle, Attempt] = {}  # the network's; set before the run begins
        self._first: dict[Remnant, RemnantStory] = {}

    @property
    def story(self) -> RemnantStory | None:
        """The block to tell of: stuck before dangling. None: 4.0 left none behind."""
        return self._first.get(Remnant.STUCK) or self._first.get(Remnant.DANGLING)

    def remained(self, now: float, handle: Handle, remnant: Remnant) -> None:
        """Note a block that a clean-up left behind."""
        attempt = self.attempts.get(handle)
        if remnant not in self._first and attempt is not None and attempt.back_at is not None:
            self._first[remnant] = RemnantStory(
                handle, remnant, attempt.peer, attempt.state, attempt.lost_at, attempt.back_at, now
            )

    def logged(self, entry: LogEntry) -> None:
        """Note an event that may be about the block."""
        if entry.event.id not in CONSEQUENCES:
            return
        for story in self._first.values():
            known = {seen.event.id for seen in story.consequences}
            if story.restarted_at is None and entry.event.id not in known and _explains(story, entry):
                story.consequences.append(entry)

    def restarted(self, now: float) -> None:
        """Note that the operator has restarted the MTA: no block is left behind any more."""
        for story in self._first.values():
            if story.restarted_at is None:
                story.restarted_at = now


def _explains(story: RemnantStory, entry: LogEntry) -> bool:
    """Whether the event is about that block; a dangling one has one event, and is in the pool again."""
    return entry.block == story.handle.block and (story.remnant is Remnant.STUCK or not story.consequences)
