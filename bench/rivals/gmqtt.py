"""gmqtt's packet ids (MQTT), called as shipped: a counter and a set of what is in use. Made for one event loop."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import clients

from bench.harness import Loop
from bench.rivals import Rival, present


class Gmqtt(Rival):
    """Its IdGenerator."""

    name = "gmqtt"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """next_id and free_id; the set is filled by hand."""
        ids = present(clients.gmqtt, "the extra bench brings it").inside
        ids._used_ids.update(live)
        acquire, release = ids.next_id, ids.free_id

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                release(acquire())

        return loop


GMQTT = Gmqtt()
