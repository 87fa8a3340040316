"""What one thread of a storm does, and how it proves a duplicate; see storm.py.

A thread that got a message records it under its MTSID, in one atomic step (`dict.setdefault`), and takes the record
away before it settles the message. So whoever finds another record under the number that it just got holds one message
while the other holder has one: two are in flight under one number at that instant. Nothing less counts: the number that
`put` returns may have left, and been reused, before `put` is back.

The records are spread over many dicts, so that threads seldom meet at one and the watching does not put the queue's
operations in an order of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from mtsid import Audit, Empty, Full, NotInUse

__all__ = ["Held", "Shared", "Storable", "Worker"]

SHARE = 128  # messages in the queue for each thread: memory stays bounded, and twins stay long enough to meet
BURST = 16  # puts, then gets, before a thread turns to what it holds
STRIPES = 64  # dicts that the records are spread over
PATIENCE = 0.001  # seconds that a thread with empty hands waits inside put or get

Held = tuple[Any, int]  # a Message and the number of the thread that holds it


class Storable(Protocol):
    """What a queue must have to be stormed; it raises what `mtsid.MessageQueue` raises."""

    def put(self, item: Any, block: bool, timeout: float, /) -> int: ...
    def get(self, block: bool, timeout: float, /) -> Any: ...
    def ack(self, message: Any, /) -> None: ...
    def nack(self, message: Any, /) -> None: ...
    def audit(self) -> Audit: ...
    def __len__(self) -> int: ...


class Shared:
    """What the threads of a storm have in common."""

    def __init__(self, queue: Storable, threads: int, found: Callable[[int, Held, Held], None]) -> None:
        self.queue = queue
        self.threads = threads
        self.found = found  # called with a number, its first holder and its second; by any thread, often
        self.records: tuple[dict[int, Held], ...] = tuple({} for _ in range(STRIPES))
        self.capacity: int = getattr(queue, "maxsize", 65535)
        self.share = max(1, min(SHARE, self.capacity // threads))
        self.go = threading.Event()
        self.stop = threading.Event()
        self.stopped = False  # the same; a plain attribute is cheaper to look at
        self.started = 0.0  # on the monotonic clock
        self.failure: BaseException | None = None  # of one of the threads

    def start(self) -> None:
        """Let the threads loose."""
        self.started = time.monotonic()
        self.go.set()

    def end(self, failure: BaseException | None = None) -> None:
        """Tell the threads to end soon."""
        self.failure = self.failure or failure
        self.stopped = True
        self.stop.set()


class Worker:
    """One thread's work, its hands and its counts; nobody else writes them while it runs.

    A body is one integer, sequence * threads + producer, both from 0. So the bodies of a producer rise, and the sums of
    bodies tell whether what came out is what went in.
    """

    def __init__(self, shared: Shared, number: int) -> None:
        self.shared = shared
        self._bits = Random(number).getrandbits
        self.number = number  # from 1; 0 drains the queue after the storm
        self.hands: list[Held] = []
        self.kept: list[Held] = []  # at most one, which stays for a lap of the numbers
        self.kept_until = 0  # in puts
        self.newest = [-1] * shared.threads  # by producer: the latest body that came here for the first time
        self.puts = self.gets = self.acks = self.nacks = self.full = 0
        self.refused = self.believed = 0  # second acks
        self.rejected = 0  # first ones
        self.duplicates = self.out_of_order = 0
        self.put_sum = self.ack_sum = 0

    def run(self) -> None:
        """Wait for the start, then work until the end; to be called in a thread of its own."""
        self.shared.go.wait()
        try:
            while not self.shared.stopped:
                self._round()
        except BaseException as error:
            self.shared.end(error)

    def _round(self) -> None:
        shared, hands = self.shared, self.hands
        before = self.puts + self.gets
        self._put()
        self._get(shared.share // 2 + BURST, BURST + BURST // 4)
        # One message stays until the numbers have come round: a counter that wraps without a look meets it.
        if not self.kept and len(hands) > 1:
            self.kept.append(hands.pop())
            self.kept_until = self.puts + 3 * shared.capacity // (2 * shared.threads) + 1
        elif self.kept and self.puts >= self.kept_until:
            hands.append(self.kept.pop())
        if hands and self.puts + self.gets == before:
            self._settle()  # nothing else moves: make room
        while len(hands) > shared.share // 2:
            self._settle()

    def _put(self) -> None:
        put, hands, step = self.shared.queue.put, self.hands, self.shared.threads
        body = self.puts * step + self.number - 1
        for _ in range(min(BURST, self.shared.share - (self.puts - self.acks))):
            try:
                # Who holds something must not wait for others, who may wait for just that.
                put(body, not hands, PATIENCE)
            except Full:
                self.full += 1
                return
            self.puts += 1
            self.put_sum += body
            body += step

    def _get(self, most: int, times: int) -> None:
        """Get until `most` are in hand, nothing waits, or it was done so many times; look for twins."""
        get, hands, records, newest = self.shared.queue.get, self.hands, self.shared.records, self.newest
        for _ in range(min(times, most - len(hands))):
            try:
                message = get(not hands, PATIENCE)
            except Empty:
                return
            self.gets += 1
            number = message.mtsid
            mine = (message, self.number)
            other = records[number % STRIPES].setdefault(number, mine)
            hands.append(mine)
            if other is not mine:
                self.duplicates += 1
                self.shared.found(number, other, mine)
            if message.deliveries == 1:
                producer = message.body % self.shared.threads
                if message.body < newest[producer]:
                    self.out_of_order += 1
                newest[producer] = message.body

    def _settle(self) -> None:
        """Settle one of those in hand: any one, in any way."""
        hands, chance = self.hands, self._bits(16)
        at = (chance >> 9) % len(hands)
        hands[at], hands[-1] = hands[-1], hands[at]
        message = self._let_go(hands.pop())
        if chance & 7 == 0:
            try:
                self.shared.queue.nack(message)
                self.nacks += 1
            except NotInUse:
                self.rejected += 1
        elif self._ack(message) and chance & 0x1F8 == 0:
            try:
                self.shared.queue.ack(message)
                self.believed += 1
            except NotInUse:
                self.refused += 1

    def _let_go(self, held: Held) -> Any:
        """Take the record away, if it is this one's and not a twin's. Always before the message is settled."""
        number = held[0].mtsid
        record = self.shared.records[number % STRIPES]
        if record.get(number) is held:
            del record[number]
        return held[0]

    def _ack(self, message: Any) -> bool:
        try:
            self.shared.queue.ack(message)
        except NotInUse:
            self.rejected += 1
            return False
        self.acks += 1
        self.ack_sum += message.body
        return True

    def drain(self, workers: list[Worker], limit: int) -> None:
        """After the storm: get what waits, all of it so that every twin shows; settle it, and what the others held."""
        self._get(limit, limit)
        for worker in (self, *workers):
            for held in (*worker.hands, *worker.kept):
                self._ack(self._let_go(held))
