"""The lab: comparative fault tests. Needs the extra `lab` (simpy, rich); `import mtsid` never imports it."""

from mtsid.lab.compare import Comparison, compare, drawn_outages
from mtsid.lab.ledger import AccountingError, Result
from mtsid.lab.outages import Outage, read_outages
from mtsid.lab.storm import StormReport, storm
from mtsid.lab.traces import GeneratedDay, Row, Trace, TraceError, open_trace

__all__ = [
    "AccountingError",
    "Comparison",
    "GeneratedDay",
    "Outage",
    "Result",
    "Row",
    "StormReport",
    "Trace",
    "TraceError",
    "compare",
    "drawn_outages",
    "open_trace",
    "read_outages",
    "storm",
]
