"""The records of a queue's threads as columns of numbers, and the checks put to them; see history_checks.py."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtsid.lab import history_checks as checks
from mtsid.lab.history_checks import ALWAYS, FOREVER, Balance, Ints, Spells
from mtsid.lab.history_records import SAME_CALL

if TYPE_CHECKING:
    from mtsid.lab.history_records import Track

__all__ = ["Messages"]


class Messages:
    """All messages of one history. A message is known by the number of its body, if no other body is equal."""

    def __init__(
        self, tracks: Sequence[Track], key: Callable[[Any], Hashable] | None, remaining: Sequence[Any]
    ) -> None:
        self.tracks = tracks
        rows = _Rows([track.puts for track in tracks], 5)
        gets = _Rows([track.gets for track in tracks], 3)
        returns = _Rows([track.returns for track in tracks], 3)
        lefts = _Rows([track.left for track in tracks], 2)
        received = gets.column(0)
        bodies = [
            rows.column(0),
            [message.body for message in received],
            returns.column(0),
            lefts.column(0),
            list(remaining),
            [body for track in tracks for body in track.unsure],
        ]
        if key is not None:
            bodies = [list(map(key, column)) for column in bodies]
        numbers, self.bodies = checks.numbered(*bodies)
        self.put, self.got, self.returned, self.left, self.there, unsure = numbers
        self.size = len(self.bodies)
        self.events = len(self.put) + len(self.got) + len(self.returned) + len(self.left)

        self.producer = rows.threads
        self.mtsid = rows.integers(1)
        (self.priority,), _ = checks.numbered(rows.column(2))
        self.put_called, self.put_returned = rows.integers(3), rows.integers(4)
        self.consumer = gets.threads
        self.got_mtsid = np.array([message.mtsid for message in received], np.int64)
        self.got_deliveries = np.array([message.deliveries for message in received], np.int64)
        self.got_called, self.got_returned = gets.integers(1), gets.integers(2)
        self.returned_deliveries, self.returned_at = returns.integers(1), returns.integers(2)
        self.left_at = lefts.integers(1)

        self.puts = checks.sum_by(self.put, self.size)
        self.unsure = np.zeros(self.size, np.bool_)
        self.unsure[unsure] = True
        self.not_unique = int((self.puts[self.put] > 1).sum())
        # By body: which put it was. Only where there was just one is a body a message.
        self.put_of = np.full(self.size, -1, np.int64)
        self.put_of[self.put] = np.arange(len(self.put))
        self.known = (self.puts == 1) & ~self.unsure
        self.ended = checks.first_by(self.left, self.left_at, self.size)  # from then on its number may be another's

    def name(self, body: int) -> str:
        """A body as text of bounded length."""
        text = repr(self.bodies[body])
        return text if len(text) <= 60 else text[:57] + "..."

    def balance(self) -> Balance:
        """What went in against what came out."""
        size = self.size
        got, returned = checks.sum_by(self.got, size), checks.sum_by(self.returned, size)
        left, there = checks.sum_by(self.left, size), checks.sum_by(self.there, size)
        return checks.balance(self.puts, got, returned, left, there, self.unsure)

    def renumbered(self) -> Ints:
        """Bodies that were delivered under another MTSID than `put` returned."""
        mine = np.flatnonzero(self.known[self.got])
        body = self.got[mine]
        return np.unique(body[self.mtsid[self.put_of[body]] != self.got_mtsid[mine]])

    def overlaps(self) -> Iterator[tuple[int, list[tuple[str, int, int, Any]]]]:
        """Two messages under one MTSID at an instant: the number, and of both the producer, since, until, the body.

        A message has it for certain from when its `put`, or a `get` of it, first returned, until it was settled.
        """
        mine = np.flatnonzero(self.known)
        put = self.put_of[mine]
        first_got = checks.first_by(self.got, self.got_returned, self.size)
        since = np.minimum(self.put_returned[put], first_got[mine])
        until = self.ended[mine]
        kept = np.flatnonzero(since <= until)  # what left before `put` was back, and was got by nobody: deleted
        mine, put, since, until = mine[kept], put[kept], since[kept], until[kept]
        for pair in checks.find_overlaps(self.mtsid[put], since, until):
            yield (
                int(self.mtsid[put[pair[0]]]),
                [
                    (self.tracks[self.producer[put[i]]].thread, int(since[i]), int(until[i]), self.bodies[mine[i]])
                    for i in pair
                ],
            )

    def overtaken(self) -> list[tuple[int, int, str, str]]:
        """Messages that waited while a later one came: both bodies, the producer, and the consumer."""
        found: dict[int, int] = {}  # body: the delivery that overtook it
        groups = self._groups()
        group_of = np.full(self.size, -1, np.int64)
        group_of[self.put[groups >= 0]] = groups[groups >= 0]
        sequence = self.put_of  # puts are in the order of their threads, so this rises for each producer
        # Deliveries that one consumer got in the wrong order; also within one `get_many`, where times are equal.
        first = np.flatnonzero((self.got_deliveries == 1) & (group_of[self.got] >= 0))
        body = self.got[first]
        lines = self.consumer[first] * (int(groups.max(initial=0)) + 1) + group_of[body]
        for late, before in checks.find_late(lines, sequence[body]):
            found[int(body[late])] = int(first[before])
        # Those that waited for certain while a later one was delivered, to whomever.
        spells = self._spells(group_of)
        spell_groups, delivery_groups = group_of[spells.message], group_of[self.got]
        for group in range(int(groups.max(initial=-1)) + 1):
            mine, these = np.flatnonzero(spell_groups == group), np.flatnonzero(delivery_groups == group)
            part = Spells(*(column[mine] for column in spells))
            times = self.got_called[these], self.got_returned[these]
            for message, delivery in checks.find_overtaken(part, sequence[self.got[these]], *times):
                found.setdefault(message, int(these[delivery]))
        return [
            (
                body,
                int(self.got[delivery]),
                self.tracks[self.producer[self.put_of[body]]].thread,
                self.tracks[self.consumer[delivery]].thread,
            )
            for body, delivery in sorted(found.items(), key=lambda item: int(self.got_returned[item[1]]))
        ]

    def _groups(self) -> Ints:
        """The producer and priority of each put, as one number; -1 if its place is not known.

        That is so for bodies that are not unique, and for a put inside which the same thread put another (a signal
        handler, `__del__`), or may have by the clock: which of the two entered first is unknown.
        """
        groups = self.producer * (int(self.priority.max(initial=0)) + 1) + self.priority
        heads = np.flatnonzero(self.put_called != SAME_CALL)  # where a call's messages begin
        before = heads - 1  # of the same thread or of another; index -1 is looked at, and does not count
        outer = (heads > 0) & (self.producer[before] == self.producer[heads])
        outer &= self.put_called[heads] <= self.put_returned[before]
        calls = np.diff(np.append(heads, len(groups)))  # how many messages each put
        return np.where(self.known[self.put] & ~np.repeat(outer, calls), groups, -1)

    def _spells(self, group_of: Ints) -> Spells:
        """When each message waited for certain: before its first delivery, and after each return."""
        there = checks.sum_by(self.there, self.size) > 0
        # A `get` that was interrupted may have taken what seems to wait still.
        waits = FOREVER if not any(track.interrupted for track in self.tracks) else ALWAYS
        gone = np.where((self.ended == FOREVER) & there, waits, np.where(self.ended == FOREVER, ALWAYS, self.ended))

        first = np.flatnonzero(self.got_deliveries == 1)
        got = checks.first_by(self.got[first], self.got_called[first], self.size)
        mine = np.flatnonzero(group_of >= 0)
        until = np.where(got == FOREVER, gone, got)[mine]

        again = np.flatnonzero(group_of[self.returned] >= 0)
        body = self.returned[again]
        # The delivery that follows the n-th is the (n+1)-th: looked up among all, by body and count in one number.
        most = int(max(self.got_deliveries.max(initial=0), self.returned_deliveries.max(initial=0))) + 2
        keys = self.got * most + self.got_deliveries
        order = np.argsort(keys, kind="stable")
        wanted = body * most + self.returned_deliveries[again] + 1
        at = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
        came = keys[order][at] == wanted if len(keys) else np.zeros(len(wanted), np.bool_)
        following = np.where(came, self.got_called[order][at] if len(keys) else 0, gone[body])
        return Spells(
            np.concatenate([mine, body]),
            np.concatenate([self.put_of[mine], self.put_of[body]]),
            np.concatenate([np.full(len(mine), ALWAYS), self.returned_at[again]]),
            np.concatenate([until, following]),
        )


class _Rows:
    """The flat records of all threads, column by column, one thread behind the other."""

    def __init__(self, lists: Sequence[list[Any]], width: int) -> None:
        self.lists = lists
        self.width = width
        sizes = np.array([len(events) // width for events in lists], np.int64)
        self.threads = np.repeat(np.arange(len(lists)), sizes)

    def column(self, at: int) -> list[Any]:
        return [value for events in self.lists for value in events[at :: self.width]]

    def integers(self, at: int) -> Ints:
        return np.array(self.column(at), np.int64)
