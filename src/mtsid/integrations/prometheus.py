"""What queues, tables and allocators have counted, for Prometheus.

    from prometheus_client import REGISTRY
    from mtsid.integrations.prometheus import Collector

    REGISTRY.register(Collector(mail=queue, packet_ids=ids, requests=pending))

gives, at each scrape, a gauge or a counter for each field of `stats()`, with the name as a label:

    mtsid_queue_waiting{name="mail"} 3.0
    mtsid_queue_put_total{name="mail"} 1234.0
    mtsid_allocator_live{name="packet_ids"} 17.0
    mtsid_table_late_total{name="requests"} 2.0

It reads `stats()` and does nothing else: what is watched pays nothing between two scrapes. What each number counts, and
how exactly, is said in `QueueStats`, `TableStats` and `AllocatorStats`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from mtsid.core.allocator import Allocator
from mtsid.core.queue import MessageQueue
from mtsid.core.stats import AllocatorStats, QueueStats, TableStats
from mtsid.core.table import InFlightTable

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector as _Collector
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "mtsid.integrations.prometheus needs prometheus_client: pip install 'mtsid[prometheus]'", name=_missing.name
    ) from _missing

__all__ = ["Collector"]

#: By what `stats()` returns: the metrics' prefix, and the help text of each field that may fall again.
_GAUGES: dict[type[tuple[int, ...]], tuple[str, dict[str, str]]] = {
    AllocatorStats: (
        "mtsid_allocator",
        {
            "capacity": "Ids up to the bound, less the excluded ones.",
            "live": "Ids that somebody has.",
            "quarantined": "Ids that rest.",
            "available": "Ids that may be handed out now.",
            "waiting": "Threads and coroutines that stand in line for an id.",
            "high_water": "The most live ids that were seen at once.",
        },
    ),
    TableStats: (
        "mtsid_table",
        {
            "capacity": "Ids of the range, less the excluded ones.",
            "live": "Ids that stand for a payload.",
            "quarantined": "Ids that rest.",
            "available": "Ids that may be handed out now.",
            "waiting": "Threads and coroutines that stand in line for an id.",
            "high_water": "The most live ids that there were at once.",
        },
    ),
    QueueStats: (
        "mtsid_queue",
        {
            "capacity": "Messages that the queue holds at most.",
            "waiting": "Messages that wait.",
            "in_flight": "Messages that were got and are not settled yet.",
            "free": "Numbers that no message has.",
            "getters": "Threads and coroutines that stand in line for a message.",
            "putters": "Threads and coroutines that stand in line for room.",
            "high_water": "The most messages there were at once.",
        },
    ),
}
#: Likewise of those that only rise.
_COUNTERS: dict[type[tuple[int, ...]], dict[str, str]] = {
    AllocatorStats: {
        "acquired": "Ids taken, by whatever verb.",
        "released": "Ids given back, and those whose quarantine is over.",
        "exhausted": "Calls that ended with Exhausted.",
        "refused": "Releases refused because the id was not live.",
        "stale": "Leases whose exit found them stale.",
    },
    TableStats: {
        "added": "Payloads that were added.",
        "released": "Uses that are over: popped, reset, or at the end of their quarantine.",
        "exhausted": "Calls that ended with Exhausted.",
        "refused": "Ids refused because nothing was in flight under them.",
        "late": "Answers that came late: pops of an id in quarantine.",
        "stale": "Generations that were over.",
    },
    QueueStats: {
        "put": "Messages that entered.",
        "got": "Deliveries: a message counts as often as it was got.",
        "acked": "Messages that left by ack.",
        "returned": "How often a message went back into the queue.",
        "deleted": "Messages that left by delete.",
        "dead": "Messages that left because on_dead has taken them.",
        "discarded": "Messages that an immediate shutdown discarded.",
        "full": "Calls that ended with Full.",
        "empty": "Calls that ended with Empty.",
        "stale": "Receipts refused as stale.",
        "refused": "Numbers refused because no message had them.",
    },
}


_Source: TypeAlias = Allocator | InFlightTable[Any] | MessageQueue[Any]


class Collector(_Collector):
    """A collector of `prometheus_client`: `Collector(mail=queue)` has queues, tables and allocators, each under a name.

    One collector for all that a registry shows: two would tell the same metrics twice, which a registry refuses. It
    keeps what it watches alive. `TypeError` for anything else, and if there is nothing to watch.
    """

    def __init__(self, /, **sources: _Source) -> None:
        if not sources:
            raise TypeError("name what to watch: Collector(mail=queue)")
        for name, source in sources.items():
            if not isinstance(source, (Allocator, InFlightTable, MessageQueue)):
                raise TypeError(
                    f"{name} must be a MessageQueue, an InFlightTable or an Allocator, not {type(source).__name__!r}"
                )
        self._sources = dict(sources)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """A metric for each field, with a sample for each source: all those of one source are of one `stats()`."""
        seen = {name: source.stats() for name, source in self._sources.items()}
        for kind, (prefix, gauges) in _GAUGES.items():
            mine = {name: stats for name, stats in seen.items() if type(stats) is kind}
            if not mine:
                continue
            for family, helps in ((GaugeMetricFamily, gauges), (CounterMetricFamily, _COUNTERS[kind])):
                for field, text in helps.items():
                    metric = family(f"{prefix}_{field}", text, labels=["name"])
                    for name, stats in mine.items():
                        metric.add_metric([name], getattr(stats, field))
                    yield metric
