"""gmqtt's packet ids (MQTT), called as shipped: a counter and a set of what is in use. Made for one event loop."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from bench.harness import IDS, Loop
from bench.rivals import Rival, package


class Gmqtt(Rival):
    """Its IdGenerator."""

    name = "gmqtt"

    def id_pair(self, live: Sequence[int] = ()) -> Loop:
        """next_id and free_id; the set is filled by hand."""
        ids = package("gmqtt.mqtt.utils", "the extra bench brings it").IdGenerator(IDS + 1)
        ids._used_ids.update(live)
        acquire, release = ids.next_id, ids.free_id

        def loop(n: int) -> None:
            for _ in repeat(None, n):
                release(acquire())

        return loop


GMQTT = Gmqtt()
