"""The timers of an MTA, all in seconds. Defaults of Exchange 4.0/5.0 (K, Q234157) where one is published."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Policy"]


@dataclass(frozen=True)
class Policy:
    """What a session does about a link that is gone. Raises ValueError for a timer that is not positive and finite."""

    open_interval: float = 600.0  # between two opens that fail (K)
    open_retries: int = 144  # failed opens until a message is returned: 144 x 600 s = 24 h (K, Q157630)
    recovery: float = 60.0  # RTS recovery: from the transport's return to the next open (K; its use here is A)

    def __post_init__(self) -> None:
        """Check the timers."""
        for name in ("open_interval", "open_retries", "recovery"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, not {value!r}")
