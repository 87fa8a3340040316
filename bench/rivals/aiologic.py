"""aiologic: locks and queues for threads and coroutines; here its `SimpleQueue`, used by threads."""

from __future__ import annotations

from typing import Any

from bench.rivals import package
from bench.rivals.two_queues import TwoQueues


def _make() -> Any:
    return package("aiologic", "the extra bench brings it").SimpleQueue()


AIOLOGIC = TwoQueues("aiologic", _make, "green_put", "green_get")
