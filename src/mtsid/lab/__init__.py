"""The lab: comparative fault tests. `import mtsid` never imports it.

Recorder, audit_ids and storm need nothing but mtsid; what compares MTAs needs the extra `lab` (simpy, rich). Without
it, these names raise the ModuleNotFoundError of the package that is missing.
"""

from typing import NoReturn

from mtsid.lab.audit import audit_ids
from mtsid.lab.audit_report import AuditReport
from mtsid.lab.histories import Recorder
from mtsid.lab.history_records import RecordedIds, RecordedQueue
from mtsid.lab.history_report import HistoryReport, Hold, Overlap
from mtsid.lab.storm import StormReport, storm
from mtsid.lab.traces import GeneratedDay, Row, Trace, TraceError, open_trace

try:
    from mtsid.lab.compare import Comparison, compare, drawn_outages
    from mtsid.lab.ledger import AccountingError, Result
    from mtsid.lab.outages import Outage, read_outages
except ModuleNotFoundError as error:
    if error.name not in ("rich", "simpy"):
        raise
    _missing = error.name

    def __getattr__(name: str) -> NoReturn:
        if name in __all__:
            raise ModuleNotFoundError(f"mtsid.lab.{name} needs {_missing}: pip install 'mtsid[lab]'", name=_missing)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "AccountingError",
    "AuditReport",
    "Comparison",
    "GeneratedDay",
    "HistoryReport",
    "Hold",
    "Outage",
    "Overlap",
    "RecordedIds",
    "RecordedQueue",
    "Recorder",
    "Result",
    "Row",
    "StormReport",
    "Trace",
    "TraceError",
    "audit_ids",
    "compare",
    "drawn_outages",
    "open_trace",
    "read_outages",
    "storm",
]
