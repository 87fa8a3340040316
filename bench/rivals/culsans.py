"""culsans: queues for threads and coroutines at once; here its `Queue`, used by threads."""

from __future__ import annotations

from typing import Any

from bench.rivals import package
from bench.rivals.two_queues import TwoQueues


def _make() -> Any:
    return package("culsans", "the extra bench brings it").Queue().sync_q


CULSANS = TwoQueues("culsans", _make)
