"""What one thread of a storm does, and how it proves a duplicate. See storm.py."""

from __future__ import annotations

import threading
from random import Random
from typing import Any, Protocol

from mtsid import Audit, Empty, Full, NotInUse

__all__ = ["Held", "Shared", "Storable", "Worker"]

BURST = 16  # puts, then gets, before a thread turns to what it holds
STRIPES = 64  # dicts that the records are spread over
PATIENCE = 0.001  # seconds that a thread with empty hands waits inside put or get

Held = tuple[Any, int]  # a Message and the thread that holds it


class Storable(Protocol):
    """What a queue must have to be stormed; errors as `mtsid.MessageQueue` raises them."""

    def put(self, item: Any, block: bool, timeout: float, /) -> int: ...
    def get(self, block: bool, timeout: float, /) -> Any: ...
    def ack(self, message: Any, /) -> None: ...
    def nack(self, message: Any, /) -> None: ...
    def audit(self) -> Audit: ...
    def __len__(self) -> int: ...


class Worker:
    """One thread's share of the work, its hands and its counts; nobody else writes them while it runs.

    A body is one integer: sequence * threads + producer, both from 0. So the bodies of a producer rise, and sums of bodies tell
    whether what came out is what went in.
    """

    def __init__(self, shared: Shared, number: int) -> None:
        self.shared = shared
        self.number = number
        self.hands: list[Held] = []
        self.kept: Held | None = None  # the one that stays for a lap of the numbers
        self.kept_until = 0  # in puts
        self.newest = [-1] * shared.threads  # by producer: the latest body that came here for the first time
        self.puts = self.gets = self.acks = self.nacks = self.full = 0
        self.refused = self.believed = self.rejected = self.duplicates = self.out_of_order = 0
        self.put_sum = self.ack_sum = 0

    def run(self) -> None:
        self.shared.go.wait()
        try:
            self._work()
        except BaseException as error:
            with self.shared.lock:
                self.shared.failure = self.shared.failure or error
            self.shared.end()

    def _work(self) -> None:
        shared, hands = self.shared, self.hands
        put, share, step = shared.queue.put, shared.share, shared.threads
        lap = 3 * shared.capacity // (2 * shared.threads) + 1
        bits = Random(self.number).getrandbits
        body = self.number - 1
        while not shared.stopped:
            before = self.puts + self.gets
            for _ in range(BURST):
                if self.puts - self.acks >= share:
                    break
                try:
                    # Who holds something must not wait for others who may wait for it.
                    put(body, not hands, PATIENCE)
                except Full:
                    self.full += 1
                    break
                self.puts += 1
                self.put_sum += body
                body += step
            self._get(share // 2 + BURST, BURST + BURST // 4)
            if self.kept is None:
                if len(hands) > 1 and share > 1:
                    self.kept = hands.pop()
                    self.kept_until = self.puts + lap
            elif self.puts >= self.kept_until:
                hands.append(self.kept)
                self.kept = None
            while len(hands) > share // 2:
                self._settle(bits(16))
            if hands and self.puts + self.gets == before:
                self._settle(bits(16))  # nothing else moves: make room

    def _get(self, most: int, times: int) -> None:
        """Get until `most` are in hand, nothing waits, or it was done so many times; look for twins."""
        get, hands, records, newest = self.shared.queue.get, self.hands, self.shared.records, self.newest
        for _ in range(times):
            if len(hands) >= most:
                return
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
                self.shared.found(number, mine, other)
            if message.deliveries == 1:
                producer = message.body % self.shared.threads
                if message.body < newest[producer]:
                    self.out_of_order += 1
                newest[producer] = message.body

    def _let_go(self, held: Held) -> Any:
        """Take the record away, if it is ours and not a twin's. Always before the message is settled."""
        number = held[0].mtsid
        record = self.shared.records[number % STRIPES]
        if record.get(number) is held:
            del record[number]
        return held[0]

    def _settle(self, chance: int) -> None:
        """Settle one of those in hand; 16 random bits say which, and how."""
        at = (chance >> 9) % len(self.hands)
        self.hands[at], self.hands[-1] = self.hands[-1], self.hands[at]
        message = self._let_go(self.hands.pop())
        if chance & 7 == 0:
            try:
                self.shared.queue.nack(message)
                self.nacks += 1
            except NotInUse:
                self.rejected += 1
            return
        self._ack(message)
        if chance & 0x1F8 == 0:
            try:
                self.shared.queue.ack(message)
                self.believed += 1
            except NotInUse:
                self.refused += 1

    def _ack(self, message: Any) -> None:
        try:
            self.shared.queue.ack(message)
        except NotInUse:
            self.rejected += 1
        else:
            self.acks += 1
            self.ack_sum += message.body

    def drain(self, workers: list[Worker], limit: int) -> None:
        """After the storm: get all that waits, so that every twin shows, and settle it and what the others held."""
        self._get(limit, limit)
        for worker in (self, *workers):
            for held in (*worker.hands, *([worker.kept] if worker.kept else [])):
                self._ack(self._let_go(held))
