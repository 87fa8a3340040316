"""What an audit of a queue counts."""

from typing import NamedTuple

from mtsid.errors import AuditError

__all__ = ["Audit"]


class Audit(NamedTuple):
    """The places that ids were found in, at one instant.

    `free + waiting + in_flight == capacity`, each id in one place and none twice, or `check` raises.
    """

    capacity: int
    free: int
    waiting: int
    in_flight: int
    #: Ids that several messages hold, each with the number of its holders, rising.
    duplicates: tuple[tuple[int, int], ...] = ()
    #: What else is wrong, in words.
    faults: tuple[str, ...] = ()

    def check(self) -> "Audit":
        """Return itself, or raise `AuditError` with itself as `.audit`."""
        faults = list(self.faults)
        if self.duplicates:
            shown = ", ".join(f"{mtsid} ({holders} messages)" for mtsid, holders in self.duplicates[:10])
            more = (
                f", and {len(self.duplicates) - 10} more (see .audit.duplicates)" if len(self.duplicates) > 10 else ""
            )
            count = "1 MTSID" if len(self.duplicates) == 1 else f"{len(self.duplicates)} MTSIDs"
            faults.append(f"{count} in use by several messages: {shown}{more}")
        if self.free + self.waiting + self.in_flight != self.capacity:
            faults.append(
                f"{self.free} free + {self.waiting} waiting + {self.in_flight} in flight is not {self.capacity}"
            )
        if faults:
            raise AuditError("; ".join(faults), audit=self)
        return self
