"""One version's half of a comparison: the operator's visits and restarts, what is told to whom, the peers' calls."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import simpy

from mtsid.lab import Outage, Row, compare
from mtsid.lab.ledger import Result
from mtsid.lab.outages import EVERY
from mtsid.lab.side import Side
from mtsid.lab.traffic import PEERS, QUIET, calls, peer_of
from mtsid.mta import MTA, Handle, Policy, Refusal, Remnant

POLICY = Policy()


class Rows:
    """A trace in memory."""

    name = "rows"
    calendar = False
    undated = 0

    def __init__(self, rows: Iterable[tuple[float, str, str]]) -> None:
        self.rows = [Row(*row) for row in rows]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def close(self) -> None:
        pass


def cycling() -> list[Outage]:
    """Outages of ten minutes, each link lost again for 20 s while its session is being opened."""
    outages: list[Outage] = []
    for n in range(12):
        start, peer = 30_000.0 + 1800 * n, ("NORTH", "EAST", EVERY, "SOUTH", "WEST")[n % 5]
        flap = start + 600 + POLICY.recovery + (0.75, 2.0, 1.4, 2.5)[n % 4]  # before and after the transport stands
        outages += [Outage(start, start + 600, peer), Outage(flap, flap + 20, peer)]
    return outages


def test_an_operator_restarts_as_often_as_the_pool_is_exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 7200.0)
    # Two days on which both blocks are lost, and one that takes a single block.
    flaps = [*(600.0 * n for n in range(1, 4)), *(86_400 + 600.0 * n for n in range(1, 4)), 172_800.0 + 600.0]
    rows = Rows((600.0 * n, "s", f"r{n % 2}") for n in range(1, 600))
    told: list[float] = []
    monkeypatch.setattr("mtsid.lab.remnants.FirstRemnant.restarted", lambda self, now: told.append(now), raising=True)
    old = compare(
        rows,
        outages=[Outage(start + 2.5, start + 12.5, EVERY) for start in flaps],
        policy=Policy(control_blocks=2, association_lifetime=100.0),
    ).versions["4.0"]
    assert old.restarts == len(told) >= 2
    assert told[0] < 86_400 < told[1]
    assert old.most_kcbs_left == 2 < old.kcbs_stuck  # the most at once, not those at the end
    assert old.delivered == old.messages


def test_a_pool_that_is_free_again_when_the_operator_looks_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 7200.0)
    call = next(calls("ONE", 3))
    rows = Rows([(0.0, "s", "r"), (call.after + 1.0, "s", "r"), (call.after + 9000.0, "s", "r")])
    comparison = compare(rows, seed=3, peers=["ONE"], outages=[], policy=Policy(control_blocks=1))
    for result in comparison.versions.values():
        assert result.opens_refused_by == {"no control block is free": 1}
        assert (result.restarts, result.delivered) == (0, 3)


@pytest.mark.long
@pytest.mark.parametrize("control_blocks", [1, 2, 3])
def test_a_healthy_sp2_with_few_control_blocks_is_not_restarted(control_blocks: int) -> None:
    refused = 0
    for seed in range(4):
        result = compare(seed=seed, policy=Policy(control_blocks=control_blocks)).versions["SP2"]
        assert (result.restarts, result.delivered) == (0, result.messages)
        refused += result.opens_refused_by.get(Refusal.NO_BLOCK.value, 0)
    assert refused > 10  # he had reason enough to look


def test_an_exhausted_pool_from_which_mail_goes_out_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # A call takes the only block and the message after it is refused one, to be delivered ten minutes later. When the
    # operator looks, the block is in use once more: for mail.
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 7200.0)
    call = next(calls("ONE", 3))
    looks = call.after + 1.0 + 7200.0
    rows = Rows([(0.0, "s", "r"), (call.after + 1.0, "s", "r"), (looks - 30.0, "s", "r"), (looks + 500.0, "s", "r")])
    comparison = compare(rows, seed=3, peers=["ONE"], outages=[], policy=Policy(control_blocks=1))
    for result in comparison.versions.values():
        assert result.opens_refused_by == {"no control block is free": 1}
        assert (result.restarts, result.delivered) == (0, 4)


def test_each_block_left_behind_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Handle, Remnant]] = []
    monkeypatch.setattr(
        "mtsid.lab.remnants.FirstRemnant.remained", lambda self, now, handle, remnant: told.append((handle, remnant))
    )
    old = compare(defect="unchecked-wrap", outages=cycling()).versions["4.0"]
    assert len(told) == len(set(told)) > 3
    kinds = [remnant for _, remnant in told]
    assert (kinds.count(Remnant.STUCK), kinds.count(Remnant.DANGLING)) == (old.kcbs_stuck, old.kcbs_dangling)


# The operator and the hangs. One peer, a message every 20 s: at the first loss one is in transfer and others wait, and
# an entrant gets its number. The session collides once the recovery time is over.


def held(monkeypatch: pytest.MonkeyPatch, outages: list[Outage], delay: float, hours: float) -> Result:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: delay)
    rows = Rows((20.0 * n + copy / 10, "s", "r") for n in range(int(180 * hours)) for copy in range(3))
    return compare(rows, peers=["ONE"], outages=outages).versions["4.0"]


def test_the_operator_deletes_one_twin_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # The link is lost again after the collision and stays down: the queue does not move for hours after the delete.
    outages = [Outage(1001.0, 1031.0, "ONE"), Outage(1200.0, 20_000.0, "ONE")]
    result = held(monkeypatch, outages, 3600.0, 6)
    assert (result.hangs, result.duplicate_mtsids) == (1, 1)
    assert result.non_delivered_by == {"deleted by the operator": 1}
    assert result.delivered == result.messages - 1
    assert 100 < result.hung_seconds < 400  # its clock stood while the link was down


def test_a_visit_to_one_hang_does_not_see_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first collision is at 1094, the next one at each open, every 603 s. The delete is at 4644 and the open at 4709
    # goes well; ten seconds on, the link is lost again. What saw to the first hang looks once more, at 5244.
    outages = [Outage(1001.0, 1031.0, "ONE"), Outage(4722.0, 4757.0, "ONE")]
    result = held(monkeypatch, outages, 3550.0, 4)
    assert result.hangs == 2
    assert result.longest_hang_seconds > 6000  # 3550 s to the second visit, then one twin after the other
    assert result.hung_seconds > result.longest_hang_seconds + 3550


Indications = dict[MTA[Any], list[tuple[str | None, float]]]
TOO_MANY = 2000  # calls: a run that comes to so many follows the calendar


@pytest.fixture
def indications(monkeypatch: pytest.MonkeyPatch) -> Indications:
    """The peers' calls, by MTA: (peer, time). None of them occupies a control block."""
    seen: Indications = {}

    def connect_indication(self: MTA[Any], now: float, peer: str | None = None) -> None:
        told = seen.setdefault(self, [])
        told.append((peer, now))
        assert len(told) < TOO_MANY

    monkeypatch.setattr(MTA, "connect_indication", connect_indication)
    return seen


def of(peer: str, told: list[tuple[str | None, float]]) -> list[float]:
    return [now for name, now in told if name == peer]


def called(peer: str, seed: int, start: float) -> Iterator[float]:
    """When that peer would call, were there mail all the time."""
    return itertools.islice(itertools.accumulate((call.after for call in calls(peer, seed)), initial=start), 1, None)


def test_every_peer_calls_both_versions_alike(indications: Indications) -> None:
    rows = Rows((500.0 + 40_000.0 * n, "s", "r") for n in range(14))
    compare(rows, seed=8, outages=[Outage(0.0, 501.0, "NORTH")])
    first, second = indications.values()
    assert first == second
    for peer in PEERS:
        times = of(peer, first)
        assert times == pytest.approx(list(itertools.islice(called(peer, 8, 500.0), len(times))))
        assert len(times) > 30
        assert times[-1] > 490_000.0


def test_no_peer_calls_while_no_mail_goes_out_for_longer_than_a_day(indications: Indications) -> None:
    second = 9e10
    comparison = compare(Rows([(500.0, "s", "r"), (second, "s", "r")]), seed=8, outages=[])
    assert [result.delivered for result in comparison.versions.values()] == [2, 2]
    first, other = indications.values()
    assert first == other
    for peer in PEERS:
        times = of(peer, first)
        before = [now for now in times if now < second]
        assert before == pytest.approx(
            list(itertools.takewhile(lambda at: at <= 500.0 + QUIET, called(peer, 8, 500.0)))
        )
        assert len(before) > 3
        assert times[len(before)] == second  # with the mail, and on from there


def test_a_quiet_of_just_a_day_keeps_no_peer_from_calling(indications: Indications) -> None:
    rows = Rows([(0.0, "s", "r"), (QUIET, "s", "r"), (2 * QUIET, "s", "r")])
    compare(rows, seed=8, outages=[])
    for told in indications.values():
        for peer in PEERS:
            times = of(peer, told)
            assert times == pytest.approx(list(itertools.islice(called(peer, 8, 0.0), len(times))))
            assert len(times) > 10


def test_the_time_between_two_messages_is_not_paid_for_event_by_event(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = itertools.count()
    step = simpy.Environment.step

    def counted(self: simpy.Environment) -> None:
        assert next(steps) < 10_000
        step(self)

    monkeypatch.setattr(simpy.Environment, "step", counted)
    comparison = compare(Rows([(0.0, "s", "r"), (9e10, "s", "r")]), outages=[])
    assert [result.delivered for result in comparison.versions.values()] == [2, 2]
    assert next(steps) > 100  # the run takes its steps there


# The operator and the pool.


@pytest.mark.long
@pytest.mark.parametrize("control_blocks", [1, 2, 3])
@pytest.mark.parametrize("outages", [[], [Outage(36_000.0, 72_000.0, EVERY)]], ids=["none", "ten hours"])
@pytest.mark.parametrize("delay", [None, 1.0])
def test_sp2_is_never_restarted(
    monkeypatch: pytest.MonkeyPatch, control_blocks: int, outages: list[Outage], delay: float | None
) -> None:
    if delay is not None:  # he looks while the pool is still in use
        monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: delay)
    comparison = compare(seed=7, outages=outages, policy=Policy(control_blocks=control_blocks))
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    assert new.opens_refused_by.get(Refusal.NO_BLOCK.value, 0) > 0  # there was reason to look
    assert new.restarts == 0
    if not outages:  # 4.0 has nothing left behind either
        assert (old.most_kcbs_left, old.restarts) == (0, 0)


def left_at_restarts(monkeypatch: pytest.MonkeyPatch, control_blocks: int, flaps: int) -> tuple[list[int], Result]:
    """How many blocks are left behind at each restart of 4.0, when the operator looks soon; each flap leaves one."""
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 1.0)
    left: list[int] = []
    restart = MTA.restart

    def restarting(self: MTA[Any], now: float) -> None:
        left.append(sum(map(self.kernel.count, Remnant)))
        assert len(left) < 20  # not at every look
        restart(self, now)

    monkeypatch.setattr(MTA, "restart", restarting)
    # The peer's links are lost in turn, so that its blocks are left one at a time; then its mail wants them all.
    names = [next(f"r{n}" for n in range(99) if peer_of(f"r{n}", PEERS) == peer) for peer in PEERS]
    start = [600.0 * n for n in range(1, flaps + 1)]
    rows = Rows(
        sorted(
            [(at, "s", name) for at, name in zip(start, names, strict=False)]
            + [(40_000.0 + 600.0 * n, "s", name) for n in range(100) for name in names]
        )
    )
    outages = [Outage(at + 2.5, at + 12.5, peer) for at, peer in zip(start, PEERS, strict=False)]
    policy = Policy(control_blocks=control_blocks, association_lifetime=100.0)
    return left, compare(rows, outages=outages, policy=policy).versions["4.0"]


def test_half_a_pool_left_behind_is_no_reason_to_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    left, old = left_at_restarts(monkeypatch, 2, 1)
    assert (old.kcbs_stuck, old.most_kcbs_left) == (1, 1)
    assert old.opens_refused_by[Refusal.NO_BLOCK.value] > 10
    assert (left, old.restarts) == ([], 0)


def test_most_of_a_pool_left_behind_is(monkeypatch: pytest.MonkeyPatch) -> None:
    left, old = left_at_restarts(monkeypatch, 3, 2)
    assert (old.kcbs_stuck, old.most_kcbs_left) == (2, 2)
    assert left == [2]
    assert old.restarts == 1


def test_a_second_pair_of_sides_could_stand_beside_the_first() -> None:
    # A side shares nothing with another but the environment.
    assert not [name for name, value in vars(Side).items() if isinstance(value, (list, dict, set))]
