"""The strict rival: `queue.SimpleQueue`. Nothing in the standard library does the work for less."""

from __future__ import annotations

from queue import SimpleQueue

from bench.rivals.two_queues import TwoQueues

SIMPLE_QUEUE = TwoQueues("SimpleQueue", SimpleQueue)
