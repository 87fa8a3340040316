"""ft_utils: structures for free-threaded Python; here its `ConcurrentQueue`."""

from __future__ import annotations

from typing import Any

from bench.rivals import package
from bench.rivals.two_queues import TwoQueues


def _make() -> Any:
    needs = "the extra bench brings it from Python 3.12 on; there is none for older ones"
    return package("ft_utils.concurrency", needs).ConcurrentQueue()


FT_UTILS = TwoQueues("ft_utils", _make, "push", "pop")
