"""The operator of one MTA in the simulation (A): when a hang is noticed, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Operator"]


@dataclass
class Operator:
    """Looks some time after the first collision of a hang and deletes one twin of it.

    The delay is drawn: two hours in the median, more than a day once in sixty times, and then the open retries run out
    first. Having looked, the operator stays: for the next hour a new collision is seen to within ten minutes. A delete
    by number takes the oldest of the twins, since the number is all that the queue's window offers.
    """

    rng: Random
    median: float = 7200.0  # seconds
    sigma: float = 1.15  # of the log-normal delay
    stays: float = 3600.0  # seconds after a delete
    attentive: float = 600.0  # delay while staying, seconds
    last_delete: float = float("-inf")

    def delay(self, now: float) -> float:
        """Return how long after a collision at `now` the operator looks (seconds)."""
        drawn = self.median * self.rng.lognormvariate(0, self.sigma)
        return min(drawn, self.attentive) if now - self.last_delete < self.stays else drawn
