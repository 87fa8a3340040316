"""Checks of a recorded history, on arrays of numbers; see histories.py for what is recorded and how to read it.

A check claims a fault only if every order of events that agrees with the clock has it. Event 1 came before event 2 if
the clock showed less at 1 than at 2; if it showed the same, nobody knows, and nothing is claimed on the strength of it.

Sources. Intervals and what precedes what: Lamport, "On interprocess communication" (1986); Herlihy and Wing,
"Linearizability" (1990). A queue's faults one by one (fresh, repeated, order): Henzinger, Sezgin and Vafeiadis,
"Aspect-oriented linearizability proofs" (2013). What went in against what came out: Jepsen's `total-queue` checker.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALWAYS",
    "FOREVER",
    "Balance",
    "Found",
    "Ints",
    "Scan",
    "Spells",
    "balance",
    "find_late",
    "find_overlaps",
    "find_overtaken",
    "find_suspects",
    "first_by",
    "numbered",
    "sum_by",
]

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

FOREVER = np.iinfo(np.int64).max  # the end of what has not ended
ALWAYS = np.iinfo(np.int64).min  # the beginning of what was so before anything that matters


def numbered(*columns: Sequence[Hashable]) -> tuple[list[Ints], list[Hashable]]:
    """Replace equal things by equal numbers from 0: the columns as numbers, and what each number stands for.

    Raises TypeError for what cannot be hashed.
    """
    things = list(dict.fromkeys(chain(*columns)))
    number = dict(zip(things, range(len(things)), strict=True))
    return [np.fromiter(map(number.__getitem__, column), np.int64, len(column)) for column in columns], things


# Who held what ----------------------------------------------------------------------------------------------------


def find_suspects(acquired: Ints, acquired_at: Ints, released: Ints, released_at: Ints) -> Ints:
    """Return the ids whose acquires and releases cannot be put in turns: acquire, release, acquire, release ...

    Sorted by time, the k-th release of an id must not come before its k-th acquire, nor after its next one. If all keep
    to that, at no instant had one more acquire than the release of it returned. Whoever releases, any thread may.
    """
    ids = int(max(acquired.max(initial=-1), released.max(initial=-1))) + 1
    order = np.lexsort((acquired_at, acquired))
    acquired_at = acquired_at[order]
    order = np.lexsort((released_at, released))
    released, released_at = released[order], released_at[order]
    acquires, releases = np.bincount(acquired, minlength=ids), np.bincount(released, minlength=ids)
    turn = np.arange(len(released)) - (np.cumsum(releases) - releases)[released]  # which release of its id it is
    first, last = (np.cumsum(acquires) - acquires)[released], np.cumsum(acquires)[released] - 1
    wrong = turn >= acquires[released]
    if len(acquired_at):
        wrong |= acquired_at[np.minimum(first + turn, len(acquired_at) - 1)] > released_at
        following = np.minimum(first + turn + 1, len(acquired_at) - 1)
        wrong |= (first + turn < last) & (acquired_at[following] < released_at)
    suspect = np.zeros(ids, np.bool_)
    suspect[released[wrong]] = True
    suspect |= acquires > releases + 1
    return np.flatnonzero(suspect)


@dataclass(slots=True)
class Scan:
    """One id's history, event by event, in the order that is kindest to it: who held it, and whom it was given besides.

    An acquire and a release are a time and a thread's number. A release ends the hold of the thread that releases if
    that has one, else the oldest: ids may be handed from thread to thread.
    """

    twins: list[tuple[list[int], list[int]]] = field(default_factory=list)  # two holds: thread, since, until
    strays: list[tuple[int, int]] = field(default_factory=list)  # releases of what nobody held: time, thread
    held: list[list[int]] = field(default_factory=list)  # at the end

    def run(self, acquires: Iterable[tuple[int, int]], releases: Iterable[tuple[int, int]]) -> Scan:
        """Go through the events; returns itself."""
        coming, going = sorted(acquires, reverse=True), sorted(releases, reverse=True)
        while coming or going:
            # At one time, a release comes before an acquire if it can be the release of an earlier one.
            if going and (not coming or going[-1][0] < coming[-1][0] or (going[-1][0] == coming[-1][0] and self.held)):
                self._release(*going.pop())
            else:
                self._acquire(*coming.pop())
        return self

    def _acquire(self, time: int, thread: int) -> None:
        hold = [thread, time, FOREVER]
        if self.held:
            self.twins.append((self.held[0], hold))
        self.held.append(hold)

    def _release(self, time: int, thread: int) -> None:
        if not self.held:
            self.strays.append((time, thread))
            return
        mine = next((i for i, hold in enumerate(self.held) if hold[0] == thread), 0)
        self.held.pop(mine)[2] = time


def find_overlaps(ids: Ints, since: Ints, until: Ints) -> list[tuple[int, int]]:
    """Return pairs of holds (their indices) of one id that overlap for certain; one pair for each hold that is late.

    Holds a and b overlap for certain if a began before b ended and b began before a ended.
    """
    order = np.lexsort((until, since, ids))
    ids, since, until = ids[order], since[order], until[order]
    near = np.flatnonzero((ids[1:] == ids[:-1]) & (since[1:] < until[:-1]))
    # If no two neighbours meet, no two holds do. Else look at these ids one hold after the other.
    pairs: list[tuple[int, int]] = []
    for id in np.unique(ids[near]):
        low, high = np.searchsorted(ids, id, "left"), np.searchsorted(ids, id, "right")
        longest = low  # the hold that ends last so far
        for i in range(low + 1, high):
            if since[longest] < until[i] and since[i] < until[longest]:
                pairs.append((int(order[longest]), int(order[i])))
            if until[i] > until[longest]:
                longest = i
    return pairs


# In which order they came -----------------------------------------------------------------------------------------


class Spells(NamedTuple):
    """Times in which a message waited for certain: from before `since` was read, till after `until` was."""

    message: Ints  # an index of the caller's
    sequence: Ints  # its place in the order in which its producer put it
    since: Ints
    until: Ints


class Found(NamedTuple):
    """A message that waited, and the later one that was delivered meanwhile (an index of the deliveries)."""

    message: int
    delivery: int


def find_overtaken(spells: Spells, sequence: Ints, called: Ints, returned: Ints) -> list[Found]:
    """Return who was overtaken: a later message was delivered wholly within a spell in which an earlier one waited.

    All of one producer and one priority. The deliveries are given by the message's sequence, and when the `get` was
    called and had returned.
    """
    order = np.argsort(returned, kind="stable")
    sequence, called, returned = sequence[order], called[order], returned[order]
    low = np.searchsorted(returned, spells.since, "right")
    high = np.searchsorted(returned, spells.until, "left")
    # The latest of the messages delivered within each spell, and which delivery that was, in one number.
    size = max(len(sequence), 1)
    latest, delivery = np.divmod(_greatest(sequence * size + np.arange(len(sequence)), low, high), size)
    found = []
    for i in np.flatnonzero(latest > spells.sequence).tolist():
        at = delivery[i]
        if called[at] <= spells.since[i]:
            # That `get` overlaps the message's return to the queue, and may have come before it: look for another.
            window = slice(low[i], high[i])
            guilty = np.flatnonzero((sequence[window] > spells.sequence[i]) & (called[window] > spells.since[i]))
            if not len(guilty):
                continue
            at = low[i] + guilty[0]
        found.append(Found(int(spells.message[i]), int(order[at])))
    return found


def _greatest(values: Ints, low: Ints, high: Ints) -> Ints:
    """The greatest of values[low:high] for each pair; -1 if there is none. A sparse table, one row at a time."""
    result = np.full(len(low), -1, np.int64)
    length = high - low
    row, width = values, 1
    while width <= len(values):
        now = np.flatnonzero((length >= width) & (length < 2 * width))
        result[now] = np.maximum(row[low[now]], row[high[now] - width])
        row = np.maximum(row[:-width], row[width:])
        width *= 2
    return result


def find_late(group: Ints, sequence: Ints) -> list[tuple[int, int]]:
    """Return each position whose sequence is less than an earlier one's of its group, and that one's position.

    Positions are in the order of time, or of a thread's program.
    """
    order = np.argsort(group, kind="stable")
    keys = group[order] * (int(sequence.max(initial=0)) + 1) + sequence[order]
    greatest = np.maximum.accumulate(keys)
    before = np.maximum.accumulate(np.where(keys == greatest, np.arange(len(keys)), 0))
    late = np.flatnonzero(keys < greatest)
    return list(zip(order[late].tolist(), order[before[late]].tolist(), strict=True))


# What became of them ----------------------------------------------------------------------------------------------


class Balance(NamedTuple):
    """What went in against what came out, by numbered body."""

    lost: Ints  # put, did not leave, and are not there: how many of each body
    duplicated: Ints  # left or were delivered oftener than was put and sent back
    unexpected: Flags  # never put


def balance(puts: Ints, gets: Ints, returns: Ints, left: Ints, there: Ints, unsure: Flags) -> Balance:
    """Compare counts by body. A body of which something is unsure (an interrupted call) is not judged."""
    missing = np.where(unsure, 0, np.maximum(puts - left - there, 0))
    twice = np.maximum(np.maximum(left + there - puts, gets - puts - returns), 0)
    made_up = (puts == 0) & ~unsure & (gets + left + there > 0)
    return Balance(missing, np.where(unsure | (puts == 0), 0, twice), made_up)


def sum_by(numbers: Ints, size: int) -> Ints:
    """Count how often each number occurs."""
    counts: Ints = np.bincount(numbers, minlength=size).astype(np.int64)
    return counts


def first_by(numbers: Ints, times: Ints, size: int, absent: int = FOREVER) -> Ints:
    """Return the earliest time of each number; `absent` for those that do not occur."""
    earliest: Ints = np.full(size, absent, np.int64)
    np.minimum.at(earliest, numbers, times)
    return earliest
