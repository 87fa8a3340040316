"""What the acceptance checks share: an MTA whose network is the test itself."""

from __future__ import annotations

from typing import Any

import pytest

from mtsid import AuditError
from mtsid.mta import MTA, Associate, Connect, Disconnect, Entry, Handle, Policy, Primitive, Release, Transfer, Version

VERSIONS: tuple[Version, ...] = ("4.0", "SP2")


class Line:
    """An MTA with one peer; the test answers what it asks for. Bodies are texts."""

    def __init__(self, version: Version, **policy: Any) -> None:
        self.mta: MTA[str] = MTA(version, ids=100, policy=Policy(**policy))
        self.hop = self.mta.next_hops["PEER"]
        self.asked: list[Connect | Associate | Transfer | Release] = []

    def enter(self, now: float, *bodies: str) -> list[Entry[str]]:
        return [self.mta.submit(now, body) for body in bodies]

    def asks(self) -> list[Connect | Associate | Transfer | Release]:
        """What the MTA asks for and was not answered yet, oldest first."""
        for action in self.mta.take_actions():
            if isinstance(action, Disconnect):
                self.asked = [asked for asked in self.asked if asked.handle != action.handle]
            else:
                self.asked.append(action)
        return self.asked

    def answer(self, now: float, primitive: Primitive) -> Handle:
        """Answer the oldest request."""
        handle = self.asks().pop(0).handle
        assert self.mta.receive(now, handle, primitive)
        return handle

    def open(self, now: float) -> None:
        """Let an association stand that the MTA is opening."""
        assert isinstance(self.asks()[0], Connect)
        self.answer(now, Primitive.CONNECT_CONFIRM)
        assert isinstance(self.asks()[0], Associate)
        self.answer(now, Primitive.ACCEPT)

    def carried(self) -> str | None:
        """The body of the message in transfer; None: nothing is."""
        transfers = [action.entry.body for action in self.asks() if isinstance(action, Transfer)]
        return transfers[0] if transfers else None

    def carry(self, now: float) -> list[str]:
        """Carry all that the MTA sends; return the bodies in the order of their delivery."""
        bodies = []
        while (body := self.carried()) is not None:
            bodies.append(body)
            self.answer(now, Primitive.TRANSFER_CONFIRM)
        return bodies

    def lose(self, now: float) -> None:
        self.asks()
        self.asked.clear()
        self.mta.link_down(now)

    def wake(self) -> float:
        """Let the next timer end; return when."""
        now = self.mta.wakes_at
        assert now is not None
        self.mta.wake(now)
        return now

    def reopen(self) -> float:
        """Wait for the next open and let it stand; return when."""
        while not any(isinstance(action, Connect) for action in self.asks()):
            now = self.wake()
        self.open(now)
        return now

    def ids(self) -> list[int]:
        """The events logged so far."""
        return [entry.event.id for entry in self.mta.log]

    def duplicates(self) -> tuple[tuple[int, int], ...]:
        """MTSIDs that several messages have, each with how many, as the queue itself finds them."""
        queue: Any = self.hop.queue
        try:
            queue.audit()
        except AuditError as error:
            return tuple(error.audit.duplicates)
        return ()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Version:
    """Each of the two."""
    found: Version = request.param
    return found


@pytest.fixture
def line() -> type[Line]:
    """`line(version, **policy)`."""
    return Line
