"""The collector for Prometheus: a metric for each field of `stats()`, and nothing that is watched is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Allocator, AllocatorStats, InFlightTable, MessageQueue, QueueStats, TableStats, v40

client = pytest.importorskip("prometheus_client", reason="needs prometheus_client: pip install 'mtsid[prometheus]'")

from mtsid.integrations.prometheus import Collector  # noqa: E402


def samples(**sources: Any) -> dict[tuple[str, str], float]:
    """What a scrape tells, by metric and name."""
    registry = client.CollectorRegistry(auto_describe=True)
    registry.register(Collector(**sources))
    return {
        (sample.name, sample.labels["name"]): sample.value for metric in registry.collect() for sample in metric.samples
    }


def test_every_field_is_told_for_every_source() -> None:
    queue: MessageQueue[str] = MessageQueue(9)
    other: MessageQueue[str] = MessageQueue(5)
    ids = Allocator(1, 7)
    queue.put_many("abc")
    queue.ack(queue.get())
    queue.nack(queue.get())
    ids.acquire_many(2)
    table: InFlightTable[str] = InFlightTable(1, 7)
    table.quarantine(table.add("a"))
    assert table.pop(table.add("b"), None) == "b"
    found = samples(mail=queue, other=other, ids=ids, requests=table)
    assert len(found) == 2 * len(QueueStats._fields) + len(AllocatorStats._fields) + len(TableStats._fields)
    for name, source, prefix in (
        ("mail", queue, "mtsid_queue"),
        ("other", other, "mtsid_queue"),
        ("ids", ids, "mtsid_allocator"),
        ("requests", table, "mtsid_table"),
    ):
        for field, value in source.stats()._asdict().items():
            told = [
                found[key] for key in ((f"{prefix}_{field}", name), (f"{prefix}_{field}_total", name)) if key in found
            ]
            assert told == [value], field
    assert found["mtsid_queue_put_total", "mail"] == 3
    assert found["mtsid_queue_waiting", "mail"] == 2
    assert found["mtsid_allocator_live", "ids"] == 2


def test_a_scrape_is_text_that_prometheus_reads() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    registry = client.CollectorRegistry(auto_describe=True)
    queue: MessageQueue[str] = MessageQueue(9)
    registry.register(Collector(**{"mail in": queue}))
    text = client.generate_latest(registry).decode()
    assert 'mtsid_queue_free{name="mail in"} 9.0' in text
    assert "# TYPE mtsid_queue_acked_total counter" in text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert all(family.documentation for family in families.values())
    queue.put("a")
    assert 'mtsid_queue_free{name="mail in"} 8.0' in client.generate_latest(registry).decode(), "each scrape looks anew"


def test_a_scrape_changes_nothing() -> None:
    queue: MessageQueue[str] = MessageQueue(9)
    queue.put("a")
    before = queue.stats()
    samples(mail=queue)
    assert queue.stats() == before


def test_a_registry_refuses_a_second_one() -> None:
    registry = client.CollectorRegistry(auto_describe=True)
    registry.register(Collector(a=MessageQueue[str](1)))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(Collector(b=MessageQueue[str](1)))


@pytest.mark.parametrize("bad", [None, 1, "queue", object(), MessageQueue, v40.MessageQueue(1), v40.Allocator(1, 2)])
def test_what_has_no_stats_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        Collector(mail=bad)


def test_nothing_to_watch_is_refused() -> None:
    with pytest.raises(TypeError, match="name what to watch"):
        Collector()


def test_without_the_package_one_line_says_what_to_install(in_child: Callable[..., str]) -> None:
    in_child(
        """
import sys
sys.modules["prometheus_client"] = None
try:
    import mtsid.integrations.prometheus
except ModuleNotFoundError as error:
    assert "pip install 'mtsid[prometheus]'" in str(error), error
else:
    raise SystemExit("it was imported")
"""
    )
