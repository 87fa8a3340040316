"""What a recorded history shows: the checks of history_checks.py put to the threads' records, and told to people."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mtsid.lab import history_checks as checks
from mtsid.lab.history_checks import FOREVER, Ints, Scan
from mtsid.lab.history_messages import Messages

if TYPE_CHECKING:
    from mtsid.lab.history_records import Track

__all__ = ["Hold", "HistoryReport", "Overlap", "check_ids", "check_queue"]

SHOWN = 10  # of each kind of fault, told in full; all are counted


class Hold(NamedTuple):
    """For how long an id was surely held. Nanoseconds since the recorder was made; `until` is None if it still is."""

    thread: str  # that acquired it; of a message, that put it
    since: int
    until: int | None
    body: Any = None  # of a message


@dataclass(frozen=True)
class Overlap:
    """Two holds of one id that overlap for certain."""

    id: Any
    first: Hold
    second: Hold
    of_messages: bool = False

    def story(self) -> str:
        """Tell it in plain sentences."""
        a, b = self.first, self.second
        start = max(a.since, b.since)
        end = min((hold.until for hold in (a, b) if hold.until is not None), default=None)
        both = "to the end" if end is None else f"for {_span(end - start)}"
        if self.of_messages:
            return (
                f"MTSID {self.id} was that of message {a.body!r} of {a.thread} {_from_to(a)}, and that of message "
                f"{b.body!r} of {b.thread} {_from_to(b)}: both were in the queue under it {both}."
            )
        return (
            f"Id {self.id!r} was held by {a.thread} {_from_to(a)}, and by {b.thread} {_from_to(b)}: both had it {both}."
        )


@dataclass(frozen=True)
class HistoryReport:
    """What a recorder's threads did, and what was wrong. Counts of ids for an id source, of messages for a queue."""

    of_queue: bool
    threads: int  # that recorded something
    events: int
    seconds: float  # from the recorder's making to the last event
    refused: int  # calls that raised; no fault
    overlaps: int  # acquires of an id that another had for certain
    first_overlaps: tuple[Overlap, ...]  # the first ten
    still_there: int  # ids not released, or messages in the queue; no fault unless an empty end was expected
    # Of an id source.
    acquired: int = 0
    released: int = 0
    strays: int = 0  # releases, accepted ones, of ids that nobody had
    stray_ids: tuple[Any, ...] = ()  # of the first ten
    held_ids: tuple[Any, ...] = ()  # ten of those not released
    # Of a queue.
    put: int = 0
    delivered: int = 0
    returned: int = 0
    left: int = 0  # acknowledged, deleted, discarded
    lost: int = 0  # put, did not leave, not there
    duplicated: int = 0  # left, or were delivered, oftener than they were put and returned
    unexpected: int = 0  # never put
    renumbered: int = 0  # delivered under another MTSID than `put` returned
    overtaken: int = 0  # waited, for certain, while a later one of the same producer and priority was delivered
    not_unique: int = 0  # put with a body that another has too: counted, not checked otherwise
    faults: tuple[str, ...] = ()  # everything that was wrong, in words; the first few of each kind with their story

    @property
    def ok(self) -> bool:
        """Was nothing wrong?"""
        return not self.faults

    def render(self) -> str:
        """Tell it in a few lines of plain text."""
        head = "all is well" if self.ok else "NOT WELL"
        lines = [f"{head}: {_count(self.events, 'event')} of {_count(self.threads, 'thread')} in {self.seconds:.3f} s"]
        if self.of_queue:
            lines.append(
                f"{_count(self.put, 'put')}, {_many(self.delivered, 'delivery', 'deliveries')}, "
                f"{self.returned:,} returned, {self.left:,} left, {self.still_there:,} still there"
            )
            well = "no MTSID was two messages' at once, nothing was lost, duplicated or made up, and the order was kept"
        else:
            lines.append(f"{self.acquired:,} acquired, {self.released:,} released, {self.still_there:,} still held")
            well = "no id was in two hands at once, and none was released that nobody had"
        if self.refused:
            lines[-1] += f", {_count(self.refused, 'call')} refused"
        if self.not_unique:
            equal = _count(self.not_unique, "message")
            lines.append(f"{equal} of equal bodies: they were counted, no more; key= tells them apart")
        return "\n".join([*lines, *(self.faults or (well,))])

    __str__ = render


def check_ids(tracks: Sequence[Track], began: int, expect_empty: bool) -> HistoryReport:
    """Check an id source: no id in two hands, none released that nobody had."""
    acquired, acquirer, acquired_at = _columns([track.acquired for track in tracks])
    released, releaser, released_at = _columns([track.released for track in tracks])
    (acquired_no, released_no), labels = _ids(acquired, released)
    suspects = checks.find_suspects(acquired_no, acquired_at, released_no, released_at)
    balance = checks.sum_by(acquired_no, len(labels)) - checks.sum_by(released_no, len(labels))

    # What cannot be put in turns is gone through event by event: it is little, unless much is wrong.
    twins: list[Overlap] = []
    strays: list[tuple[int, int, Any]] = []
    comes = _events_of(suspects, acquired_no, acquired_at, acquirer)
    goes = _events_of(suspects, released_no, released_at, releaser)
    for suspect in suspects.tolist():
        scan = Scan().run(comes.get(suspect, ()), goes.get(suspect, ()))
        balance[suspect] = len(scan.held)
        strays += [(*stray, labels[suspect]) for stray in scan.strays]
        for pair in scan.twins:
            first, second = (_hold(began, tracks[thread].thread, since, until) for thread, since, until in pair)
            twins.append(Overlap(labels[suspect], first, second))
    twins.sort(key=lambda twin: twin.second.since)
    strays.sort(key=lambda stray: stray[:2])
    held = np.flatnonzero(balance > 0)

    faults = _told(len(twins), "acquire of an id that was surely held", (twin.story() for twin in twins))
    faults += _told(
        len(strays),
        "release of an id that nobody had was accepted",
        (f"{tracks[thread].thread} released {id!r} at {_span(time - began)}." for time, thread, id in strays),
        "releases of ids that nobody had were accepted",
    )
    if expect_empty and len(held):
        shown = ", ".join(repr(labels[i]) for i in held[:SHOWN].tolist())
        more = " ..." if len(held) > SHOWN else ""
        faults.append(f"{_count(int(balance[held].sum()), 'id')} not released: {shown}{more}")
    return HistoryReport(
        of_queue=False,
        threads=sum(bool(track.acquired or track.released) for track in tracks),
        events=len(acquired) + len(released),
        seconds=_seconds(began, acquired_at, released_at),
        refused=sum(track.refused for track in tracks),
        overlaps=len(twins),
        first_overlaps=tuple(twins[:SHOWN]),
        still_there=int(balance[held].sum()),
        acquired=len(acquired),
        released=len(released),
        strays=len(strays),
        stray_ids=tuple(stray[2] for stray in strays[:SHOWN]),
        held_ids=tuple(labels[i] for i in held[:SHOWN].tolist()),
        faults=tuple(faults),
    )


def check_queue(
    tracks: Sequence[Track],
    began: int,
    expect_empty: bool,
    key: Callable[[Any], Hashable] | None,
    remaining: list[Any],
    nameless: int,
) -> HistoryReport:
    """Check a queue; `nameless` messages more are in it than `remaining` tells."""
    messages = Messages(tracks, key, remaining)
    balance = messages.balance()
    overlaps: list[Overlap] = []
    for number, pair in messages.overlaps():
        first, second = (_hold(began, *hold) for hold in pair)
        overlaps.append(Overlap(number, first, second, of_messages=True))
    overlaps.sort(key=lambda twin: twin.second.since)
    overtaken = messages.overtaken()
    renumbered = messages.renumbered()
    lost = max(int(balance.lost.sum()) - nameless, 0)  # those may be the nameless
    duplicated, unexpected = int(balance.duplicated.sum()), int(balance.unexpected.sum())
    name = messages.name
    still_there = len(remaining) + nameless

    faults = _told(
        len(overlaps),
        "message got an MTSID that another surely had",
        (twin.story() for twin in overlaps),
        "messages got an MTSID that another surely had",
    )
    for count, what, bodies in (
        (lost, "lost: put, but it neither left nor is there", np.flatnonzero(balance.lost)),
        (duplicated, "too many: left, or delivered, oftener than put", np.flatnonzero(balance.duplicated)),
        (unexpected, "made up: never put", np.flatnonzero(balance.unexpected)),
        (len(renumbered), "renumbered: delivered under another MTSID than put returned", renumbered),
    ):
        if count:
            shown = ", ".join(name(body) for body in bodies[:SHOWN].tolist())
            faults.append(f"{_count(count, 'message')} {what}: {shown}{' ...' if len(bodies) > SHOWN else ''}")
    faults += _told(
        len(overtaken),
        "message overtaken by a later one of the same producer and priority",
        (
            f"{name(earlier)} of {producer} waited, and {name(later)} was delivered to {consumer}."
            for earlier, later, producer, consumer in overtaken
        ),
        "messages overtaken by later ones of the same producer and priority",
    )
    if expect_empty and still_there:
        faults.append(f"{_count(still_there, 'message')} still in the queue")
    return HistoryReport(
        of_queue=True,
        threads=sum(bool(track.puts or track.gets or track.returns or track.left) for track in tracks),
        events=messages.events,
        seconds=_seconds(began, messages.put_returned, messages.got_returned, messages.left_at),
        refused=sum(track.refused for track in tracks),
        overlaps=len(overlaps),
        first_overlaps=tuple(overlaps[:SHOWN]),
        still_there=still_there,
        put=len(messages.put),
        delivered=len(messages.got),
        returned=len(messages.returned),
        left=len(messages.left),
        lost=lost,
        duplicated=duplicated,
        unexpected=unexpected,
        renumbered=len(renumbered),
        overtaken=len(overtaken),
        not_unique=messages.not_unique,
        faults=tuple(faults),
    )


def _columns(lists: Sequence[list[Any]]) -> tuple[list[Any], Ints, Ints]:
    """Return the ids, the threads' numbers and the times of records (id, time) of each thread."""
    ids = [id for events in lists for id in events[0::2]]
    times = np.array([time for events in lists for time in events[1::2]], np.int64)
    threads = np.repeat(np.arange(len(lists)), np.array([len(events) // 2 for events in lists], np.int64))
    return ids, threads, times


def _ids(*columns: list[Any]) -> tuple[list[Ints], Sequence[Any]]:
    """`numbered`, with a short way for plain integers that lie close together."""
    if all(set(map(type, column)) <= {int} for column in columns):
        values = [id for column in columns if column for id in (min(column), max(column))]
        low = min(values, default=0)
        if low > -(1 << 62) and max(values, default=0) < min(low + (1 << 24), 1 << 62):
            return [np.array(column, np.int64) - low for column in columns], range(low, max(values, default=low) + 1)
    return checks.numbered(*columns)


def _events_of(suspects: Ints, ids: Ints, times: Ints, threads: Ints) -> dict[int, list[tuple[int, int]]]:
    mine = np.flatnonzero(np.isin(ids, suspects))
    events: dict[int, list[tuple[int, int]]] = {}
    for id, time, thread in zip(ids[mine].tolist(), times[mine].tolist(), threads[mine].tolist(), strict=True):
        events.setdefault(id, []).append((time, thread))
    return events


def _hold(began: int, thread: str, since: int, until: int, body: Any = None) -> Hold:
    return Hold(thread, since - began, None if until == FOREVER else until - began, body)


def _seconds(began: int, *times: Ints) -> float:
    return max(0, *(int(array.max(initial=began)) - began for array in times)) / 1e9


def _told(count: int, what: str, stories: Iterable[str], plural: str = "") -> list[str]:
    if not count:
        return []
    told = [story for story, _ in zip(stories, range(SHOWN), strict=False)]
    more = f" The first {len(told)}:" if count > len(told) else ""
    return [f"{_many(count, what, plural or _plural(what))}.{more}", *(f"  {story}" for story in told)]


def _plural(what: str) -> str:
    noun, _, rest = what.partition(" ")
    return f"{noun}s {rest}".rstrip()


def _count(number: int, noun: str) -> str:
    return _many(number, noun, noun + "s")


def _many(number: int, noun: str, nouns: str) -> str:
    return f"{number:,} {noun if number == 1 else nouns}"


def _span(nanoseconds: int) -> str:
    if nanoseconds >= 1_000_000_000:
        return f"{nanoseconds / 1e9:.3f} s"
    return f"{nanoseconds / 1e6:.3f} ms" if nanoseconds >= 1_000_000 else f"{nanoseconds / 1e3:.3f} us"


def _from_to(hold: Hold) -> str:
    since = _span(hold.since)
    return f"from {since} to the end" if hold.until is None else f"from {since} until {_span(hold.until)}"
