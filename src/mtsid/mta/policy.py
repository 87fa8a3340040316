"""The limits and timers of an MTA. Defaults of Exchange 4.0/5.0 where one is published; the source stands beside each.

All timers are in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

__all__ = ["Policy"]

LARGEST = 65535  # of what the MTA keeps a list of
SHORTEST = 0.001  # seconds
LONGEST = 10**12  # seconds, or what is counted: beyond that a float no longer tells milliseconds


@dataclass(frozen=True)
class Policy:
    """What an MTA does about links that are gone, and how much it opens at a time.

    Timers are positive and finite, counts are whole and positive; anything else raises ValueError (TypeError for what
    is no number).
    """

    open_interval: float = 600.0  # between two opens that fail (K, Q234157)
    open_retries: int = 144  # failed opens until a message is returned: 144 x 600 s = 24 h (K, Q157630)
    recovery: float = 60.0  # RTS recovery: from the transport's return to the next open (K, Q234157; its use here is A)
    association_lifetime: float = 300.0  # an association with nothing to send is kept open so long (K, Q234157)
    disconnect: float = 120.0  # longest wait for a connection to be gone: a release, an Open Error (K, Q234157; use A)
    threshold: int = 50  # messages waiting for each association before one more is opened (K, Q234157)
    associations: int = 9  # at once, to and from one entity (K, Q194589: "The limit is 9")
    control_blocks: int = 20  # the kernel's pool (A: no count is published; TCP/IP has 20 by default, K, Q166602)

    def __post_init__(self) -> None:
        """Check every field."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{field.name} must be a number, not {value!r}")
            if not (value > 0 and (isinstance(value, int) or math.isfinite(value))):
                raise ValueError(f"{field.name} must be positive and finite, not {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise TypeError(f"{field.name} must be a whole number, not {value!r}")
            if value < SHORTEST:
                raise ValueError(f"{field.name} must be at least {SHORTEST}, not {value!r}")
            if value > LONGEST:
                raise ValueError(f"{field.name} must be at most {LONGEST:,}, not {value!r}")
        for name in ("associations", "control_blocks"):
            if getattr(self, name) > LARGEST:
                raise ValueError(f"{name} must be at most {LARGEST:,}, not {getattr(self, name)}")
