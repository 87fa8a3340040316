"""What recording costs: a pair of acquire and release, and a message, beside the same ones unrecorded."""

from __future__ import annotations

import threading
from itertools import count, repeat

from bench.harness import IDS, Benchmark, Loop, Match, side, timed
from bench.rivals.sp2 import SP2
from mtsid import Allocator, MessageQueue
from mtsid.lab import Recorder


def recorded_pair() -> Loop:
    source = Allocator(1, IDS)
    ids = Recorder().ids(source.acquire, source.release)
    acquire, release = ids.acquire, ids.release

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            release(acquire())

    return loop


def owned_pair() -> Loop:
    """What tests do without a recorder: a dict of owners and a lock round it, in which the threads queue up."""
    ids, lock = Allocator(1, IDS), threading.Lock()
    owners: dict[int, int] = {}
    acquire, release, me = ids.acquire, ids.release, threading.get_ident

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            id = acquire()
            with lock:
                assert id not in owners
                owners[id] = me()
            with lock:
                del owners[id]
            release(id)

    return loop


def recorded_cycle() -> Loop:
    queue = Recorder().queue(MessageQueue(IDS))
    put, get, ack = queue.put, queue.get, queue.ack
    bodies = count()

    def loop(n: int) -> None:
        for body in zip(repeat(None, n), bodies, strict=False):
            put(body)
            ack(get())

    return loop


def test_recorded_ids(match: Match, benchmark: Benchmark) -> None:
    """Against nothing recorded, and against a dict of owners."""
    match.play(
        benchmark,
        "recording: acquire + release",
        "one thread",
        timed("Recorder", recorded_pair()),
        [side(SP2, "id_pair"), timed("lock + dict of owners", owned_pair())],
    )


def test_recorded_messages(match: Match, benchmark: Benchmark) -> None:
    """Against nothing recorded."""
    match.play(
        benchmark,
        "recording: put + get + ack",
        "one thread",
        timed("Recorder", recorded_cycle()),
        [side(SP2, "cycle")],
    )
