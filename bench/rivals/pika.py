"""pika's channel numbers (AMQP), called as shipped: the first number that is no key of a dict. Made for one thread."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from types import SimpleNamespace

import clients

from bench.harness import IDS, Loop
from bench.rivals import Rival, present


class Pika(Rival):
    """The two methods of its Connection, on a stand-in for a connection that is open."""

    name = "pika"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Number a channel, enter it, clean it up."""
        connection = present(lambda: clients.pika(IDS), "the extra bench brings it").inside
        channels = connection._channels
        channels.update(dict.fromkeys(live))
        acquire, release = connection._next_channel_number, connection._on_channel_cleanup
        channel = SimpleNamespace(channel_number=0)

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                channel.channel_number = number = acquire()
                channels[number] = channel
                release(channel)

        return loop


PIKA = Pika()
