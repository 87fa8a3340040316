"""py-amqp's channel ids (AMQP), called as shipped: the first number that is not in an array. Looks, then claims."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import clients

from bench.harness import IDS, Loop
from bench.rivals import Rival, present


class PyAmqp(Rival):
    """A Connection that was never opened."""

    name = "py-amqp"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Get a free channel id, and remove it as `Channel.collect` does."""
        connection = present(lambda: clients.py_amqp(IDS), "the extra bench brings it").inside
        connection._used_channel_ids.extend(live)
        acquire, release = connection._get_free_channel_id, connection._used_channel_ids.remove

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                release(acquire())

        return loop


PY_AMQP = PyAmqp()
