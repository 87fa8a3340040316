"""pika's channel numbers (AMQP), called as shipped: the first number that is no key of a dict. Made for one thread."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from types import SimpleNamespace

from bench.harness import IDS, Loop
from bench.rivals import Rival, package


class Pika(Rival):
    """The two methods of its Connection, on a stand-in for a connection that is open."""

    name = "pika"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Number a channel, enter it, clean it up."""
        shipped = package("pika.connection", "the extra bench brings it").Connection
        channels: dict[int, object] = dict.fromkeys(live)
        connection = SimpleNamespace(params=SimpleNamespace(channel_max=IDS), _channels=channels, is_closing=False)
        acquire, release = shipped._next_channel_number, shipped._on_channel_cleanup
        channel = SimpleNamespace(channel_number=0)

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                channel.channel_number = number = acquire(connection)
                channels[number] = channel
                release(connection, channel)

        return loop


PIKA = Pika()
