"""cassandra-driver's 32,768 stream ids (CQL), called as shipped: a deque under the connection's lock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import clients

from bench.harness import IDS, Loop
from bench.rivals import Rival, present


class Cassandra(Rival):
    """A Connection that was never opened."""

    name = "cassandra-driver"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """Borrow and return as its pool does: count and id under the lock. The same share of its ids is live."""
        needs = "the extra bench brings it for Python up to 3.12; there is no wheel for free-threaded 3.13"
        connection = present(clients.cassandra, needs).inside
        for _ in range(len(live) * (connection.max_request_id + 1) // (IDS + 1)):
            connection.in_flight += 1
            connection.get_request_id()

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                with connection.lock:
                    connection.in_flight += 1
                    number = connection.get_request_id()
                with connection.lock:
                    connection.request_ids.append(number)
                    connection.in_flight -= 1

        return loop


CASSANDRA = Cassandra()
