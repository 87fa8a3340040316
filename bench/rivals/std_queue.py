"""`queue.Queue`: a lock and three conditions, in Python."""

from __future__ import annotations

from queue import Queue

from bench.rivals.two_queues import TwoQueues

QUEUE = TwoQueues("Queue", Queue)
