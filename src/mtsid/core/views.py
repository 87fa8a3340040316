"""Arrays for people, from the rows that compiled queues copy. numpy is imported with it, at the first snapshot."""

import numpy as np

from mtsid.core.message import PRIORITIES

__all__ = ["snapshot_of"]

#: `Row` of backlog_views.pxd, as the C compiler lays it out.
_ROW = np.dtype(
    {
        "names": ["entry", "mtsid", "deliveries", "state", "rank"],
        "formats": ["u8", "u4", "u4", "u1", "u1"],
        "offsets": [0, 8, 12, 16, 17],
        "itemsize": 24,
    }
)
_SNAPSHOT = np.dtype([("mtsid", "u4"), ("state", "U9"), ("priority", "U10"), ("deliveries", "u4")])
_IN_FLIGHT = 3  # and above: one whose last delivery is over


def snapshot_of(rows: bytes) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """The snapshot of a queue from its rows: those that wait in the order of service, then those in flight by entry.

    A row without an entry is empty.
    """
    table = np.frombuffer(rows, _ROW)
    table = table[table["entry"] > 0]
    flying = table["state"] >= _IN_FLIGHT
    table = table[np.lexsort((table["entry"], np.where(flying, 0, table["rank"]), flying))]
    result = np.empty(len(table), _SNAPSHOT)
    result["mtsid"] = table["mtsid"]
    result["state"] = np.where(table["state"] >= _IN_FLIGHT, "in flight", "waiting")
    result["priority"] = np.array(PRIORITIES)[table["rank"]]
    result["deliveries"] = table["deliveries"]
    return result
