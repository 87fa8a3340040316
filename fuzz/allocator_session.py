"""An `Allocator` beside a plain model, a set and a cursor. 4.0's goes without a model: it must only not crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fuzz.source import Outcome, Session, Source
from mtsid import Exhausted, InUse, NotInUse, Stale

__all__ = ["AllocatorSession"]

# One leaf of the bitmap holds 32 ids and one word of hints 64 leaves: both sides of the bounds.
SIZES = (1, 2, 3, 5, 31, 32, 33, 70, 100, 2049)
SPELLINGS = ("list", "tuple", "iterator", "uint32", "int64", "strided", "uint8", "uint64")


def spell(ids: list[int], how: str) -> Any:
    """The same numbers as another kind of sequence."""
    if how == "tuple":
        return tuple(ids)
    if how == "iterator":
        return iter(ids)
    if how in ("uint32", "int64", "uint8", "uint64"):
        if ids and not (np.iinfo(how).min <= min(ids) and max(ids) <= np.iinfo(how).max):
            return list(ids)
        return np.array(ids, how)
    if how == "strided" and not (ids and min(ids) < 0) and not (ids and max(ids) >= 2**32):
        wide = np.zeros(2 * len(ids), np.uint32)
        wide[::2] = ids
        return wide[::2]
    return ids


class AllocatorSession(Session):
    operations = (
        "acquire",
        "release",
        "release_live",
        "acquire_many",
        "release_many",
        "release_many_live",
        "reserve",
        "reserve_many",
        "fill",
        "look",
        "reset",
        "refuse",
        "quarantine",
        "lease",
        "resize",
    )

    def __init__(
        self, source: Source, kind: Callable[..., Any], *, modelled: bool, log: Callable[[str], object] | None = None
    ) -> None:
        super().__init__(source, log)
        self.modelled = modelled
        self.size = SIZES[source.below(len(SIZES))]
        self.first = (0, 1, 2**32 - self.size)[source.below(3)]
        flags = source.byte()
        self.lowest = bool(flags & 1)
        skip = flags >> 4
        excluded = set(range(self.first + skip, self.first + self.size - 1, 7)) if flags & 2 else set()
        options: dict[str, Any] = {"exclude": excluded, "order": "lowest" if self.lowest else "cyclic"}
        if not modelled:
            options["defect"] = ("double-release", "racy-claim", "unchecked-wrap")[source.below(3)]
        self.ids = self.call(kind, self.first, self.first + self.size - 1, **options).returned()
        self.built = set(range(self.first, self.first + self.size)) - excluded
        self.all = self.built  # those up to the bound
        self.live: set[int] = set()
        self.resting: set[int] = set()  # until they are released: time is for the tests
        self.cursor = self.first

    # The model --------------------------------------------------------------------------------------------------------

    @property
    def free(self) -> set[int]:
        return self.all - self.live - self.resting

    @property
    def used(self) -> set[int]:
        return self.live | self.resting

    def expect_none(self, outcome: Outcome, **carried: object) -> None:
        """Too few were free."""
        live, resting = len(self.all & self.live), len(self.all & self.resting)
        outcome.raised(Exhausted, live=live, quarantined=resting, capacity=len(self.all), **carried)

    def expect(self, outcome: Outcome, wanted: int) -> list[int]:
        """`wanted` ids had to be handed out: the first free ones in order."""
        given: list[int] = np.atleast_1d(outcome.returned()).tolist()
        free = sorted(self.free)
        if not self.lowest:
            free = [id for id in free if id >= self.cursor] + [id for id in free if id < self.cursor]
        assert given == free[:wanted], f"{given} instead of {free[:wanted]}"
        self.live.update(given)
        if given:
            self.cursor = given[-1] + 1
        return given

    def some_id(self) -> int:
        """Mostly in the range, or just outside it."""
        return self.first + self.source.below(self.size + 2) - 1

    def some_ids(self) -> list[int]:
        """Single ones, or a run with a step: long lists must not need long inputs."""
        shape = self.source.byte()
        if shape & 1:
            return [self.some_id() for _ in range(shape >> 1 & 7)]
        start, step = self.some_id(), 1 + (shape >> 6)
        return list(range(start, min(start + (shape >> 1 & 31) * 5 * step, self.first + self.size), step))

    # Operations -------------------------------------------------------------------------------------------------------

    def acquire(self) -> None:
        outcome = self.call(self.ids.acquire)
        if not self.modelled:
            return
        if not self.free:
            self.expect_none(outcome)
        else:
            self.expect(outcome, 1)

    def acquire_many(self) -> None:
        self._acquire_many(self.source.below(self.size + 2))

    def fill(self) -> None:
        """Up to the last few ids: there the searches are longest."""
        self._acquire_many(max(0, len(self.free) - self.source.below(3)))

    def _acquire_many(self, n: int) -> None:
        outcome = self.call(self.ids.acquire_many, n)
        if not self.modelled:
            return
        if n > len(self.free):
            self.expect_none(outcome, wanted=n)
        else:
            self.expect(outcome, n)

    def release(self) -> None:
        self._release(self.some_id())

    def release_live(self) -> None:
        live = sorted(self.live) if self.modelled else list(self.ids)
        if live:
            self._release(live[self.source.below(len(live))])

    def _release(self, id: int) -> None:
        outcome = self.call(self.ids.release, id)
        if not self.modelled:
            return
        if id in self.used:
            outcome.returned()
            self.live.discard(id)
            self.resting.discard(id)
        else:
            outcome.raised(NotInUse, id=id)

    def release_many(self) -> None:
        self._release_many(self.some_ids())

    def release_many_live(self) -> None:
        live = sorted(self.live) if self.modelled else list(self.ids)
        self._release_many(live[:: 1 + self.source.below(4)][::-1])

    def _release_many(self, chosen: list[int]) -> None:
        outcome = self.call(self.ids.release_many, spell(chosen, SPELLINGS[self.source.below(len(SPELLINGS))]))
        if not self.modelled:
            return
        refused = tuple(id for id in chosen if id not in self.used)
        if len(set(chosen)) < len(chosen) or not self.built.issuperset(chosen):
            outcome.raised(ValueError)
            return
        if refused:
            outcome.raised(NotInUse, refused=refused)
        else:
            outcome.returned()
        self.live.difference_update(chosen)
        self.resting.difference_update(chosen)

    def reserve(self) -> None:
        id = self.some_id()
        outcome = self.call(self.ids.reserve, id)
        if not self.modelled:
            return
        if id not in self.all:
            outcome.raised(ValueError)
        elif id in self.used:
            outcome.raised(InUse, id=id)
        else:
            outcome.returned()
            self.live.add(id)

    def reserve_many(self) -> None:
        chosen = self.some_ids()
        outcome = self.call(self.ids.reserve_many, spell(chosen, SPELLINGS[self.source.below(len(SPELLINGS))]))
        if not self.modelled:
            return
        if len(set(chosen)) < len(chosen) or not self.all.issuperset(chosen):
            outcome.raised(ValueError)
        elif self.used.isdisjoint(chosen):
            outcome.returned()
            self.live.update(chosen)
        else:
            outcome.raised(InUse)

    def reset(self) -> None:
        outcome = self.call(self.ids.reset)
        if self.modelled:
            assert outcome.returned().tolist() == sorted(self.live)
            self.live.clear()
            self.resting.clear()

    def quarantine(self) -> None:
        if not self.modelled:
            return  # 4.0 has no such verb, nor the next two
        live = sorted(self.live)
        id = live[self.source.below(len(live))] if live else self.some_id()
        outcome = self.call(self.ids.quarantine, id)
        if id in self.live:
            outcome.returned()
            self.live.remove(id)
            self.resting.add(id)
        else:
            outcome.raised(NotInUse, id=id)

    def lease(self) -> None:
        """A block that may do one thing with its id; then its end."""
        if not self.modelled:
            return
        lease = self.call(self.ids.lease).returned()
        outcome = self.call(lease.__enter__)
        if not self.free:
            self.expect_none(outcome)
            return
        [id] = self.expect(outcome, 1)
        done = ("nothing", "keep", "quarantine", "release", "reset")[self.source.below(5)]
        if done == "keep":
            self.call(lease.keep).returned()
        elif done == "quarantine":
            self.call(self.ids.quarantine, id).returned()
            self.resting.add(id)
        elif done == "release":
            self._release(id)
        elif done == "reset":
            self.reset()
        end = self.call(lease.__exit__, None, None, None)
        if done == "release":
            end.raised(NotInUse, id=id)
        elif done == "reset":
            end.raised(Stale, id=id)
        else:
            end.returned()
        if done != "keep":
            self.live.discard(id)

    def resize(self) -> None:
        if not self.modelled:
            return
        last = self.some_id()
        inside = {id for id in self.built if id <= last}
        outcome = self.call(self.ids.resize, last)
        if inside and last < self.first + self.size:
            outcome.returned()
            self.all = inside
        else:
            outcome.raised(ValueError)

    def refuse(self) -> None:
        """What is no id changes nothing."""
        verbs = ("release", "reserve", "state", "acquire_many", "release_many", "reserve_many", "acquire")
        verb = verbs[self.source.below(len(verbs))]
        bad = self.bad()
        if bad == ():
            return
        if verb == "acquire" and not isinstance(bad, str | bytes) and bad is not True:
            return  # some of the rest are good timeouts
        outcome = self.call(getattr(self.ids, verb), bad)
        outcome.raised((TypeError, ValueError, NotInUse, Exhausted))

    def look(self) -> None:
        id = self.some_id()
        state = self.call(self.ids.state, id)
        present = id in self.ids
        live = list(self.ids)
        repr(self.ids)
        if not self.modelled:
            return
        assert live == sorted(self.live)
        assert present == (id in self.live)
        if id in self.live or id in self.resting:
            assert state.returned() == ("live" if id in self.live else "quarantined")
        elif id in self.all:
            assert state.returned() == "free"
        else:
            state.raised(ValueError)

    def check(self) -> None:
        if self.modelled:
            assert len(self.ids) == len(self.live)
            assert self.ids.available == len(self.free)

    def finish(self) -> None:
        if self.modelled:
            self.ids._check()
            assert list(self.ids) == sorted(self.live)
