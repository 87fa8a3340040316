"""The lab: comparative fault tests. Needs the extra `lab` (simpy, rich); `import mtsid` never imports it."""

from mtsid.lab.compare import Comparison, compare
from mtsid.lab.ledger import AccountingError, Result
from mtsid.lab.storm import StormReport, storm
from mtsid.lab.traces import GeneratedDay, Row, Trace, TraceError, open_trace

__all__ = [
    "AccountingError",
    "Comparison",
    "GeneratedDay",
    "Result",
    "Row",
    "StormReport",
    "Trace",
    "TraceError",
    "compare",
    "open_trace",
    "storm",
]
