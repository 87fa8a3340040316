"""What is drawn from the seed beside the outages: mail, peers, their calls, the operator."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest

from mtsid.lab import Row
from mtsid.lab.operating import Operator
from mtsid.lab.traces import GeneratedDay
from mtsid.lab.traffic import CALL_EVERY, CALL_SECONDS, DEFERRAL, LARGEST, PEERS, Call, Link, calls, mail, peer_of


class Sizes:
    """A trace of which only the sizes matter."""

    name = "sizes"
    calendar = True
    undated = 0

    def __init__(self, sizes: list[int | None]) -> None:
        self.sizes = sizes

    def __iter__(self) -> Iterator[Row]:
        return (Row(float(n), "a", "b", size) for n, size in enumerate(self.sizes))

    def close(self) -> None:
        pass


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


@pytest.mark.parametrize("seed", [1, 2])
def test_mail_does_not_depend_on_the_peers_but_for_its_own(seed: int) -> None:
    one, four = list(mail(GeneratedDay(1), seed, ("ONE",))), list(mail(GeneratedDay(1), seed))
    assert {m.peer for m in one} == {"ONE"}
    assert {m.peer for m in four} == set(PEERS)
    assert [(m.size, m.priority, m.not_before) for m in one] == [(m.size, m.priority, m.not_before) for m in four]
    assert all(m.peer == peer_of(m.recipient, PEERS) for m in four)


def test_a_size_that_the_trace_tells_is_kept() -> None:
    drawn = list(mail(Sizes([None, None, None]), 1))
    told = list(mail(Sizes([None, 5, 1 << 40]), 1))
    assert [m.size for m in told] == [drawn[0].size, 5, LARGEST]
    assert [m.priority for m in told] == [m.priority for m in drawn]


def test_each_peer_gets_its_share_of_the_mail() -> None:
    share = Counter(peer_of(f"user{n}@host{n}.example", PEERS) for n in range(4000))
    assert set(share) == set(PEERS)
    assert min(share.values()) > 800
    assert min(Counter(peer_of(f"user{n}", PEERS) for n in range(4000)).values()) > 800


def test_a_domain_has_one_peer() -> None:
    for domain in ("example.org", "b.example", "südwind.example", ""):
        assert len({peer_of(f"user{n}@{domain}", PEERS) for n in range(50)}) == 1
    assert peer_of("a@Example.ORG", PEERS) == peer_of("b@example.org", PEERS)
    assert peer_of('"a@b"@example.org', PEERS) == peer_of("c@example.org", PEERS)  # the last "@" counts
    assert len({peer_of(f"a@host{n}.example", PEERS) for n in range(50)}) == 4
    assert {peer_of(name, ("ONE",)) for name in ("a", "b@c", "", "@", "a@")} == {"ONE"}


def test_a_peer_is_the_same_in_every_process() -> None:
    # Not hash(): that depends on PYTHONHASHSEED.
    assert [peer_of(name, PEERS) for name in ("user1", "user2", "a@example.org")] == ["EAST", "WEST", "WEST"]


def test_peers_call_again_and_again() -> None:
    drawn = list(islice(calls("NORTH", 1), 1000))
    gaps = [call.after for call in drawn]
    assert CALL_EVERY * 0.9 < sum(gaps) / len(gaps) < CALL_EVERY * 1.1
    assert 0 < min(gaps) < CALL_EVERY / 10
    assert max(gaps) > CALL_EVERY * 3
    seconds = [call.seconds for call in drawn]
    assert CALL_SECONDS[0] <= min(seconds) < 60
    assert 570 < max(seconds) <= CALL_SECONDS[1]


def test_calls_are_drawn_by_peer_and_seed() -> None:
    def first(peer: str, seed: int) -> list[Call]:
        return list(islice(calls(peer, seed), 5))

    assert first("NORTH", 1) == first("NORTH", 1)
    assert first("NORTH", 1) != first("SOUTH", 1)
    assert first("NORTH", 1) != first("NORTH", 2)
    assert len({call.after for call in first("NORTH", 1)}) == len({call.seconds for call in first("NORTH", 1)}) == 5


def test_a_link_takes_time_by_size() -> None:
    link = Link(bytes_per_second=1000.0, turnaround=2.0)
    assert link.seconds(0) == 2.0
    assert link.seconds(3000) == 5.0


def test_an_operator_who_is_there_looks_sooner() -> None:
    operator = Operator(Random(1))
    drawn = sorted(operator.delay(0.0) for _ in range(1001))
    assert 5400 < drawn[500] < 9000
    operator.last_seen = 10_000.0
    assert max(operator.delay(10_000.0 + t) for t in range(0, 3600, 10)) <= 600
    assert max(islice((operator.delay(14_000.0) for _ in range(100)), 100)) > 600
