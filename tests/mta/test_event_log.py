"""The event log: order, counts, what it keeps, and what it writes away."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from mtsid.mta import Event, EventLog, LogEntry
from mtsid.mta.event_log import COLUMNS

PAIRS = ((1.0, 4284), (1.0, 4287), (61.0, 4282), (61.0, 4283), (601.0, 4284))


def filled(**arguments: Any) -> EventLog:
    log = EventLog(**arguments)
    for time, id in PAIRS:
        log.write(time, Event(id))
    return log


def pairs(entries: Any) -> list[tuple[float, int]]:
    return [(entry.time, entry.event.id) for entry in entries]


def test_the_log_keeps_the_order_and_counts() -> None:
    log = filled()
    assert pairs(log) == list(PAIRS)
    assert log.counts == {4284: 2, 4287: 1, 4282: 1, 4283: 1}
    assert len(log) == 5


def test_the_log_keeps_the_order_of_writing_even_if_times_run_backwards() -> None:
    log = EventLog()
    log.write(5.0, Event(4284))
    log.write(1.0, Event(4287))
    assert pairs(log) == [(5.0, 4284), (1.0, 4287)]


@pytest.mark.parametrize("keep", [None, 0, 1, 3, 5, 100])
def test_a_log_keeps_the_first_ones_counts_all_and_tells_its_listener_of_all(keep: int | None) -> None:
    heard: list[LogEntry] = []
    log = filled(keep=keep, on_event=heard.append)
    assert pairs(log) == list(PAIRS[:keep])
    assert pairs(heard) == list(PAIRS)
    assert len(log) == log.counts.total() == 5


def test_a_listener_hears_of_an_event_when_it_is_logged_and_counted() -> None:
    seen: list[tuple[int, int]] = []
    log = EventLog(on_event=lambda entry: seen.append((len(log), len(list(log)))))
    log.write(0.0, Event(4284))
    log.write(0.0, Event(4287))
    assert seen == [(1, 1), (2, 2)]


def test_a_log_is_true_whatever_it_holds() -> None:
    assert EventLog()
    assert EventLog(keep=0)
    assert filled()


@pytest.mark.parametrize("keep", [-1, -100])
def test_a_negative_keep_is_refused(keep: int) -> None:
    with pytest.raises(ValueError, match="keep"):
        EventLog(keep=keep)


@pytest.mark.parametrize("keep", ["5", [], object(), b"5", 5j])
def test_a_keep_that_is_no_number_is_refused(keep: Any) -> None:
    with pytest.raises(TypeError, match="keep must be None or a whole number"):
        EventLog(keep=keep)


@pytest.mark.parametrize("keep", [True, False, 0.0, 2.0, 2.5, -1.0, float("nan"), float("inf"), float("-inf")])
def test_a_keep_that_is_no_whole_number_is_refused_before_it_keeps_the_wrong_ones(keep: Any) -> None:
    with pytest.raises(TypeError, match="keep must be None or a whole number"):
        EventLog(keep=keep)


def test_the_filter_without_criteria_gives_all() -> None:
    log = filled()
    assert log.filter() == list(log)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"ids": {4284}}, [(1.0, 4284), (601.0, 4284)]),
        ({"ids": [4282, 4283]}, [(61.0, 4282), (61.0, 4283)]),
        ({"ids": ()}, []),
        ({"category": "X.400 Service"}, list(PAIRS)),
        ({"category": "Transport"}, []),
        ({"severity": 14}, list(PAIRS)),
        ({"severity": 16}, []),
        ({"since": 61.0}, list(PAIRS[2:])),
        ({"since": 61.5}, list(PAIRS[4:])),
        ({"until": 61.0}, list(PAIRS[:2])),
        ({"until": 61.5}, list(PAIRS[:4])),
        ({"since": 1.0, "until": 601.0, "ids": {4284, 4287}}, [(1.0, 4284), (1.0, 4287)]),
        ({"since": 2.0, "ids": {4287}}, []),
    ],
)
def test_the_filter_matches_everything_asked_for(criteria: dict[str, Any], expected: list[tuple[float, int]]) -> None:
    assert pairs(filled().filter(**criteria)) == expected


def test_the_filter_looks_at_what_was_kept() -> None:
    assert pairs(filled(keep=2).filter(ids={4284})) == [(1.0, 4284)]


def test_a_record_has_the_columns_in_their_order() -> None:
    record = LogEntry(1.23456, Event(4283)).record()
    assert tuple(record) == COLUMNS == ("time", "source", "id", "category", "severity", "text", "tag")
    assert tuple(record.values()) == (
        1.235,
        "MSExchangeMTA",
        4283,
        "X.400 Service",
        14,
        Event(4283).text("kb"),
        Event(4283).tag,
    )


AWKWARD = '/O="A, B",\n/OU=Süd\\'


def test_json_lines_come_back_as_the_records() -> None:
    log = filled()
    log.write(700.0, Event(1277, {"entity": AWKWARD}))
    file = io.StringIO()
    log.write_json(file)
    assert file.getvalue().endswith("\n")
    lines = file.getvalue().splitlines()
    assert [json.loads(line) for line in lines] == [entry.record() for entry in log]
    assert AWKWARD in json.loads(lines[-1])["text"]


def test_csv_comes_back_as_the_records_commas_and_quotes_included() -> None:
    log = filled()
    log.write(700.0, Event(1277, {"entity": AWKWARD}))
    file = io.StringIO(newline="")
    log.write_csv(file)
    rows = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert rows[0] == list(COLUMNS)
    assert rows[1:] == [[str(value) for value in entry.record().values()] for entry in log]
    assert AWKWARD in rows[-1][COLUMNS.index("text")]


def test_an_empty_log_writes_no_json_line_and_the_csv_header_alone() -> None:
    lines, table = io.StringIO(), io.StringIO(newline="")
    EventLog().write_json(lines)
    EventLog().write_csv(table)
    assert lines.getvalue() == ""
    assert table.getvalue() == "time,source,id,category,severity,text,tag\r\n"


def test_what_was_not_kept_is_not_written() -> None:
    lines, table = io.StringIO(), io.StringIO(newline="")
    log = filled(keep=1)
    log.write_json(lines)
    log.write_csv(table)
    assert lines.getvalue().count("\n") == 1
    assert table.getvalue().count("\r\n") == 2
