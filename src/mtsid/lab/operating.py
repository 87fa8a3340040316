"""The operator of one MTA in the simulation (A): when something is noticed, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Operator"]


@dataclass
class Operator:
    """Deletes one twin of a collision that holds a queue, and restarts an MTA that has hardly a control block left.

    A queue that hangs is looked at some time after its collision: two hours in the median, more than a day once in
    sixty times, and then the open retries run out first. Having looked, the operator stays: for the next hour a new
    collision is seen to within ten minutes. A delete by number takes the oldest of the twins, since the number is all
    that the queue's window offers. Opens that are refused, since most control blocks were left behind, are noticed as
    late, and the MTA is restarted; events alone make nobody restart a server that still sends.
    """

    rng: Random
    median: float = 7200.0  # seconds
    sigma: float = 1.15  # of the log-normal delay
    stays: float = 3600.0  # seconds after a delete
    attentive: float = 600.0  # delay while staying, seconds
    last_seen: float = float("-inf")  # when the operator last did something (seconds)

    def delay(self, now: float) -> float:
        """Return how long after `now` the operator looks (seconds)."""
        drawn = self.median * self.rng.lognormvariate(0, self.sigma)
        return min(drawn, self.attentive) if now - self.last_seen < self.stays else drawn
