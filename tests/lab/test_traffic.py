"""What is drawn from the seed: mail, outages, the operator."""

from itertools import islice
from random import Random

import pytest

from mtsid.lab.operating import Operator
from mtsid.lab.traces import GeneratedDay
from mtsid.lab.traffic import DEFERRAL, LARGEST, LONGEST, Link, incident, incident_indices, mail


def test_mail_is_the_trace_completed() -> None:
    messages = list(mail(GeneratedDay(1), 1))
    assert [(m.time, m.sender, m.recipient) for m in messages] == [row[:3] for row in GeneratedDay(1)]
    assert [m.index for m in messages] == list(range(1, len(messages) + 1))
    assert {m.priority for m in messages} == {"urgent", "normal", "non-urgent"}
    assert all(0 < m.size <= LARGEST for m in messages)
    deferrals = [m.not_before - m.time for m in messages if m.not_before is not None]
    assert deferrals
    assert all(DEFERRAL[0] <= d <= DEFERRAL[1] for d in deferrals)
    assert len(deferrals) < len(messages) / 50
    assert messages == list(mail(GeneratedDay(1), 1))
    assert messages != list(mail(GeneratedDay(1), 2))


@pytest.mark.parametrize("messages", [1, 2, 3, 100, 10_000])
def test_incidents_are_spread_over_the_trace(messages: int) -> None:
    indices = list(incident_indices(messages, 1))
    assert indices == sorted(set(indices))
    assert 1 <= indices[0] <= indices[-1] <= messages
    assert len(indices) == max(min(3, messages), round(messages / 600))


def test_incidents_bring_flaps_and_longer_outages() -> None:
    rng = Random(1)
    drawn = [list(incident(rng, first=False)) for _ in range(500)]
    seconds = [outage.seconds for outages in drawn for outage in outages]
    assert all(len(outages) >= 2 for outages in drawn)  # what comes back is lost again
    assert min(seconds) >= 2
    assert max(seconds) <= LONGEST
    assert sum(s < 60 for s in seconds) > 100
    assert sum(s > 1200 for s in seconds) > 100


def test_the_first_incident_begins_with_a_longer_outage() -> None:
    longer = [next(incident(Random(seed), first=True)).seconds for seed in range(200)]
    assert sorted(longer)[100] > 600


def test_a_link_takes_time_by_size() -> None:
    link = Link(bytes_per_second=1000.0, turnaround=2.0)
    assert link.seconds(0) == 2.0
    assert link.seconds(3000) == 5.0


def test_an_operator_who_is_there_looks_sooner() -> None:
    operator = Operator(Random(1))
    drawn = sorted(operator.delay(0.0) for _ in range(1001))
    assert 5400 < drawn[500] < 9000
    operator.last_delete = 10_000.0
    assert max(operator.delay(10_000.0 + t) for t in range(0, 3600, 10)) <= 600
    assert max(islice((operator.delay(14_000.0) for _ in range(100)), 100)) > 600
