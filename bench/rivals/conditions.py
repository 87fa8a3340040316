"""A bounded class on Conditions, as people write the whole thing: numbers, a dict, put, get and ack under one lock."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from threading import Condition, Lock
from typing import Generic, TypeVar

from bench.harness import IDS, Loop
from bench.rivals import Rival
from bench.threads import Flow, HandOff

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """Messages with a number each, which is free again after the ack."""

    def __init__(self, size: int) -> None:
        lock = Lock()
        self.has_room, self.has_message = Condition(lock), Condition(lock)
        self.free = deque(range(1, size + 1))
        self.bodies: dict[int, T] = {}
        self.ready: deque[int] = deque()

    def put(self, body: T) -> int:
        """Wait for room; returns the number."""
        with self.has_room:
            while not self.free:
                self.has_room.wait()
            number = self.free.popleft()
            self.bodies[number] = body
            self.ready.append(number)
            self.has_message.notify()
            return number

    def get(self) -> tuple[int, T]:
        """Wait for a message."""
        with self.has_message:
            while not self.ready:
                self.has_message.wait()
            number = self.ready.popleft()
            return number, self.bodies[number]

    def ack(self, number: int) -> None:
        """It leaves; its number is free. A number that is not in use is refused."""
        with self.has_room:
            if number not in self.bodies:
                raise ValueError(f"{number} is not in use")
            del self.bodies[number]
            self.free.append(number)
            self.has_room.notify()


class Conditions(Rival):
    """The loops over it."""

    name = "class on Conditions"

    def cycle(self) -> Loop:
        """Put, get, ack."""
        queue: BoundedQueue[object] = BoundedQueue(IDS)
        put, get, ack = queue.put, queue.get, queue.ack
        body = object()

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                put(body)
                ack(get()[0])

        return loop

    def flow(self, bound: int) -> Flow:
        """Put here, get and ack there."""
        queue: BoundedQueue[object] = BoundedQueue(bound)
        put, get, ack = queue.put, queue.get, queue.ack
        body = object()

        def produce(n: int) -> None:
            for _ in repeat(None, n):
                put(body)

        def consume(n: int) -> None:
            for _ in repeat(None, n):
                ack(get()[0])

        return Flow(produce, consume, queue.bodies.__len__)

    def hand_off(self) -> HandOff:
        """With its ack."""
        queue: BoundedQueue[object] = BoundedQueue(IDS)
        return HandOff(queue.put, queue.get, lambda got: queue.ack(got[0]))

    def create_queue(self) -> Loop:
        """One of 65,535."""

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                BoundedQueue[object](IDS)

        return loop


CONDITIONS = Conditions()
