"""The comparison: its books, its promises, each defect's own signature, and the real trace."""

from __future__ import annotations

import itertools
import json
import os
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mtsid.lab import Comparison, Outage, Row, TraceError, compare, drawn_outages, open_trace
from mtsid.lab.ledger import Result
from mtsid.lab.network import ANSWER, MEMORY, PATIENCE
from mtsid.lab.outages import EVERY
from mtsid.lab.traffic import Link
from mtsid.mta import LogEntry, Policy, Remnant, State, Version, Way
from mtsid.mta.events import ROWS

ROOT = Path(__file__).resolve().parents[2]


# Each defect of the comparison, with an id range in which it shows.
SHOWN = [("premature-strip", 65535), ("double-release", 65535), ("unchecked-wrap", 100)]

VERSIONS: tuple[Version, Version] = ("4.0", "SP2")

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


def steady(messages: int, gap: float) -> Rows:
    return Rows((n * gap, f"s{n % 7}", f"r{n % 5}") for n in range(messages))


def cycling(flap: float) -> list[Outage]:
    """Links that cycle up and down over a generated day: each is lost again while its session is being opened."""
    outages: list[Outage] = []
    start = 30_000.0
    for n in range(12):
        peer = ("NORTH", "EAST", EVERY, "SOUTH", "WEST")[n % 5]
        end = start + 400.0 + 50 * n
        outages.append(Outage(start, end, peer))
        start = end + POLICY.recovery + (0.75, 2.0, 1.4, 2.5)[n % 4]  # before and after the transport stands
        outages.append(Outage(start, start + flap, peer))
        start += flap + 900.0
    return outages


def figures(result: Result) -> dict[str, object]:
    """Every figure of a result, to the bit, but its version and its defect."""
    return {f.name: getattr(result, f.name) for f in fields(result) if f.name not in ("version", "defect")}


def without_remnants_and_collisions(result: Result) -> bool:
    return (
        (result.duplicate_mtsids, result.session_shutdowns, result.hangs, result.hung_messages) == (0,) * 4
        and (result.hung_seconds, result.longest_hang_seconds) == (0.0, 0.0)
        and (result.kcbs_stuck, result.kcbs_dangling, result.most_kcbs_left) == (0, 0, 0)
        and not any(result.events[id] for id in ("4282", "4283", "1004", "1008", "1198"))
        and result.events["4284"] == result.events["4287"]
    )


@pytest.fixture(scope="module")
def day() -> Comparison:
    """The default: a generated working day, premature-strip."""
    return compare()


def books_balance(result: Result) -> bool:
    return (
        result.messages == result.delivered + result.non_delivered + result.still_queued
        and result.non_delivered == sum(result.non_delivered_by.values())
    )


def test_the_default_day_shows_the_whole_story(day: Comparison) -> None:
    old, new = day.versions["4.0"], day.versions["SP2"]
    assert old.duplicate_mtsids >= 1
    assert old.session_shutdowns >= 1
    assert old.hung_messages >= 1
    assert old.hung_seconds >= old.longest_hang_seconds > 0
    assert old.non_delivered_by["deleted by the operator"] >= 1
    assert old.still_queued == 0
    assert old.events["4282"] == old.events["4283"] == old.session_shutdowns
    assert old.events["4284"] == old.events["4287"] > 0
    assert new.delivered == new.messages == old.messages > 1000
    assert books_balance(old)
    assert books_balance(new)


def test_sp2_has_none_of_it_but_the_real_outages(day: Comparison) -> None:
    new = day.versions["SP2"]
    assert (new.duplicate_mtsids, new.session_shutdowns, new.hangs, new.hung_messages, new.hung_seconds) == (0,) * 5
    assert new.events["4282"] == new.events["4283"] == 0
    assert new.events["4284"] == new.events["4287"] > 0
    assert without_remnants_and_collisions(new)


def test_the_default_day_shows_every_event_of_both_articles(day: Comparison) -> None:
    old, new = day.versions["4.0"], day.versions["SP2"]
    assert set(old.events) == set(new.events) == {str(id) for id in ROWS}
    assert len(old.events) == 8
    assert all(count > 0 for count in old.events.values())
    assert {id for id, count in new.events.items() if count} in ({"4284", "4287"}, {"4284", "4287", "1277"})
    assert old.kcbs_stuck > 0
    assert old.kcbs_dangling > 0
    assert old.kcbs_dangling == old.events["1008"] + old.events["1198"]  # each has its last word, and goes
    assert 0 < old.most_kcbs_left <= old.kcbs_stuck + old.kcbs_dangling
    assert old.events["1277"] == old.associations_refused
    assert old.events["1004"] == old.opens_refused == sum(old.opens_refused_by.values())
    assert new.late_primitives > 0  # the same answers, dropped


def test_the_story_tells_the_first_collision(day: Comparison) -> None:
    story = day.story
    assert story is not None
    assert story.lost_at is not None
    assert story.peer == story.older.mail.peer == story.younger.mail.peer
    assert story.backlog >= 2
    assert story.closes >= 1
    assert 0 < story.hung_messages <= day.versions["4.0"].hung_messages
    assert 0 < story.hung_seconds <= day.versions["4.0"].hung_seconds
    assert any(o.start == story.lost_at and o.peer in (story.peer, EVERY) for o in day.outages)
    assert story.older.entered <= story.lost_at <= story.younger.entered <= story.collided_at
    assert [(e.time, e.event.id) for e in story.loss_events] == [(story.lost_at, 4284), (story.lost_at, 4287)]
    assert [(e.time, e.event.id) for e in story.collision_events] == [
        (story.collided_at, 4282),
        (story.collided_at, 4283),
    ]
    assert story.freed is story.older
    assert story.freed.way is Way.OPERATOR
    assert story.freed.left_at is not None
    assert story.resumed_at is not None
    assert story.drained_at is not None
    assert story.collided_at < story.freed.left_at <= story.resumed_at <= story.drained_at
    assert story.younger.way is Way.DELIVERED
    assert story.older.sp2_way is story.younger.sp2_way is Way.DELIVERED
    assert story.older.sp2_mtsid != story.younger.sp2_mtsid


@pytest.mark.parametrize("defect", ["premature-strip", "double-release", "unchecked-wrap"])
def test_the_same_seed_gives_the_same_result_to_the_byte(defect: str) -> None:
    first = compare(seed=5, defect=defect, ids=100)
    again = compare(seed=5, defect=defect, ids=100)
    assert first.to_json() == again.to_json()
    assert (first.story, first.remnant) == (again.story, again.remnant)
    assert first.to_json() != compare(seed=6, defect=defect, ids=100).to_json()


@pytest.mark.parametrize("seed", [152897, 1])
def test_the_drawn_outages_given_back_change_nothing(seed: int) -> None:
    drawn = compare(seed=seed)
    given = compare(seed=seed, outages=drawn_outages(seed=seed))
    assert given.to_json() == drawn.to_json()
    assert (drawn.own_outages, given.own_outages) == (False, True)
    assert list(drawn.outages) == drawn_outages(seed=seed)
    assert (given.story, given.remnant) == (drawn.story, drawn.remnant)


@pytest.mark.long
def test_sp2_is_clean_for_every_seed_and_40_for_none() -> None:
    stuck = dangling = 0
    for seed in range(10):
        comparison = compare(seed=seed)
        old, new = comparison.versions["4.0"], comparison.versions["SP2"]
        assert without_remnants_and_collisions(new)
        assert (new.delivered, new.associations_refused, new.opens_refused) == (new.messages, 0, 0)
        assert not without_remnants_and_collisions(old)
        assert books_balance(old)
        assert books_balance(new)
        assert (comparison.story is None) == (not old.session_shutdowns)
        assert (comparison.remnant is None) == (not old.kcbs_stuck + old.kcbs_dangling)
        stuck, dangling = stuck + old.kcbs_stuck, dangling + old.kcbs_dangling
    assert min(stuck, dangling) > 5


@pytest.mark.parametrize(("defect", "ids"), SHOWN)
def test_each_defect_shows_in_40_and_never_in_sp2(defect: str, ids: int) -> None:
    comparison = compare(defect=defect, ids=ids)
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    assert old.duplicate_mtsids > 0
    assert old.session_shutdowns > 0
    assert comparison.story is not None
    assert (new.duplicate_mtsids, new.session_shutdowns, new.delivered) == (0, 0, new.messages)
    assert new.stale_acknowledgements > 0  # the peer repeats itself, SP2 does not listen
    if defect == "double-release":
        assert old.stale_acknowledgements == 0
        assert comparison.story.repeated is not None
    assert (old.defect, new.defect, old.ids) == (defect, None, ids)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ids", [1, 7, 300])
def test_nothing_is_lost_when_the_queue_is_full(seed: int, ids: int) -> None:
    for peers in (["ONE"], ["NORTH", "EAST", "SOUTH", "WEST"]):
        for result in compare(seed=seed, ids=ids, peers=peers).versions.values():
            assert books_balance(result)
            assert result.most_queued <= ids * len(peers)  # each has a queue of its own
    assert compare(seed=0, ids=1).versions["SP2"].non_delivered_by["queue full"] > 0


@pytest.mark.parametrize("peer", ["ONE", EVERY])
def test_an_outage_beyond_the_open_retries_returns_mail_in_sp2_too(peer: str) -> None:
    events: list[tuple[Version, LogEntry]] = []
    comparison = compare(
        steady(100, 60.0),
        peers=["ONE"],
        outages=[Outage(0.5, 30 * 3600.0, peer)],
        on_event=lambda version, entry: events.append((version, entry)),
    )
    for version, result in comparison.versions.items():
        assert books_balance(result)
        assert result.non_delivered_by == {"open retries exhausted": 99}  # the last one has its retries left
        assert result.delivered == 1
        times = [entry.time for v, entry in events if v == version and entry.event.id == 4284]
        assert times == [entry.time for v, entry in events if v == version and entry.event.id == 4287]
        assert {round(b - a, 6) for a, b in itertools.pairwise(times)} == {600.0}
        assert len(times) == 30 * 6


def test_without_an_operator_the_ndr_frees_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    old = compare().versions["4.0"]
    assert set(old.non_delivered_by) == {"open retries exhausted"}
    assert old.longest_hang_seconds == pytest.approx(24 * 3600, abs=7200)
    assert books_balance(old)
    assert old.restarts == 0


def test_what_has_not_left_at_the_end_is_still_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    comparison = compare(extra_time=3600.0, peers=["ONE"])
    old = comparison.versions["4.0"]
    assert old.still_queued > 0
    assert books_balance(old)
    assert comparison.story is not None
    assert comparison.story.resumed_at is None
    assert old.hung_seconds == old.longest_hang_seconds > 0  # an open hang counts up to the end
    assert (comparison.story.freed, comparison.story.drained_at) == (None, None)


@pytest.mark.parametrize("messages", [1, 2, 3, 10])
def test_the_smallest_traces(messages: int) -> None:
    for gap in (0.0, 5.0):
        comparison = compare(steady(messages, gap))
        for result in comparison.versions.values():
            assert result.messages == messages
            assert books_balance(result)


def test_both_versions_get_the_same_traffic_and_the_same_outages() -> None:
    # With defects that cannot show, the two sides must agree in everything. Opens are cut off in plenty, but each link
    # is back too late for any of them to be answered.
    events: dict[Version, list[LogEntry]] = {"4.0": [], "SP2": []}
    comparison = compare(
        defect="unchecked-wrap", outages=cycling(MEMORY + 10), on_event=lambda version, e: events[version].append(e)
    )
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    assert (old.defect, new.defect) == ("unchecked-wrap", None)
    assert figures(old) == figures(new)
    assert events["4.0"] == events["SP2"]
    assert (comparison.story, comparison.remnant) == (None, None)
    assert old.events["4284"] > len(comparison.outages)  # some opens failed
    assert old.late_primitives == 0


def test_flaps_that_are_soon_over_are_what_tells_the_versions_apart() -> None:
    comparison = compare(defect="unchecked-wrap", outages=cycling(MEMORY / 4))
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    assert old.kcbs_stuck > 0
    assert old.kcbs_dangling > 0
    assert without_remnants_and_collisions(new)
    assert new.late_primitives > 0
    # What they have in common: the mail, and whatever was down.
    assert (old.messages, old.delivered, old.duplicate_mtsids) == (new.messages, new.delivered, 0)


def test_no_outages_mean_no_events_at_all() -> None:
    comparison = compare(outages=[])
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    assert figures(old) == figures(new)
    assert not any(old.events.values())
    assert (comparison.outages, comparison.own_outages) == ((), True)
    assert (comparison.story, comparison.remnant) == (None, None)


def test_a_pool_that_is_exhausted_stops_mail_until_a_restart() -> None:
    # One flap a pool's block: what an open that was cut off leaves behind is never given back.
    outages = [Outage(600.0 * n + 2.5, 600.0 * n + 12.5, EVERY) for n in range(1, 6)]
    rows = Rows((600.0 * n, "s", f"r{n % 2}") for n in range(1, 200))
    told: list[tuple[Version, LogEntry]] = []
    comparison = compare(
        rows,
        seed=2,
        outages=outages,
        policy=Policy(control_blocks=2, association_lifetime=100.0),
        on_event=lambda version, entry: told.append((version, entry)),
    )
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    assert old.kcbs_stuck >= 2
    assert old.most_kcbs_left == 2
    assert old.seconds_without_kcb > new.seconds_without_kcb
    assert old.seconds_without_kcb > 600.0
    assert old.opens_refused_by["no control block is free"] > 0
    assert old.restarts >= 1
    assert old.associations_refused == old.events["1277"] > 0
    assert books_balance(old)
    assert books_balance(new)
    assert old.delivered == old.messages == 199  # nothing is lost, and a restart sets all of it going again
    assert without_remnants_and_collisions(new)
    assert comparison.remnant is not None
    assert comparison.remnant.restarted_at is not None
    assert comparison.remnant.restarted_at > comparison.remnant.left_at


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("control_blocks", [1, 2, 3])
def test_nothing_is_lost_when_control_blocks_are_few(seed: int, control_blocks: int) -> None:
    comparison = compare(seed=seed, policy=Policy(control_blocks=control_blocks))
    for result in comparison.versions.values():
        assert books_balance(result)
        assert result.still_queued == 0
        assert result.control_blocks == control_blocks
        assert result.seconds_without_kcb > 0
        assert result.events["1277"] == result.associations_refused > 0  # a genuine refusal: in SP2 too
    assert without_remnants_and_collisions(comparison.versions["SP2"])


def test_the_remnants_story_is_one_block_from_its_loss_to_what_came_of_it(day: Comparison) -> None:
    stories = [day.remnant, *(compare(seed=seed).remnant for seed in range(2, 10))]
    assert {story.remnant for story in stories if story is not None} == {Remnant.STUCK, Remnant.DANGLING}
    for story in stories:
        assert story is not None
        assert story.lost_at < story.back_at <= story.lost_at + MEMORY
        assert story.back_at + ANSWER <= story.left_at == pytest.approx(story.lost_at + POLICY.disconnect)
        assert 1 <= story.handle.block <= POLICY.control_blocks
        ids = [entry.event.id for entry in story.consequences]
        times = [entry.time for entry in story.consequences]
        assert times == sorted(times)
        assert all(time > story.left_at for time in times)
        if story.remnant is Remnant.STUCK:
            assert story.state is State.AWAIT_ACCEPT
            assert set(ids) <= {1004, 1277}
            for entry in story.consequences:
                assert f"/CN={story.peer}/" in str(entry.event.fields["entity"])
                assert entry.event.fields.get("index", story.handle.block) == story.handle.block
        else:
            assert story.state is State.AWAIT_TRANSPORT
            assert ids in ([1008], [1198])
            assert times[0] <= story.back_at + PATIENCE
            assert story.consequences[0].event.fields.get("index", story.handle.block) == story.handle.block
        assert len(ids) == len(set(ids))
        assert story.restarted_at is None


def test_the_remnants_story_agrees_with_the_outages_and_the_events(day: Comparison) -> None:
    story = day.remnant
    assert story is not None
    assert story.remnant is Remnant.STUCK
    assert {entry.event.id for entry in story.consequences} == {1004, 1277}
    assert [o for o in day.outages if (o.start, o.end) == (story.lost_at, story.back_at)]
    events: list[LogEntry] = []
    compare(on_event=lambda version, entry: events.append(entry) if version == "4.0" else None)
    for entry in story.consequences:
        assert entry in events
    since = [e for e in events if e.time > story.left_at and f"/CN={story.peer}/" in str(e.event.fields.get("entity"))]
    for id in (1004, 1277):  # the first of each about that peer
        assert next(e for e in since if e.event.id == id) in story.consequences


def test_events_come_in_order_of_time_and_match_the_counts() -> None:
    events: list[tuple[Version, LogEntry]] = []
    comparison = compare(on_event=lambda version, entry: events.append((version, entry)))
    times = [entry.time for _, entry in events]
    assert times == sorted(times)
    for version, result in comparison.versions.items():
        ids = [entry.event.id for v, entry in events if v == version]
        assert {str(id): ids.count(id) for id in ROWS} == result.events


def test_an_outage_before_the_first_message_and_one_after_the_last() -> None:
    rows = Rows((1000.0 + n, "s", "r") for n in range(5))
    comparison = compare(rows, outages=[Outage(0.0, 1003.0, EVERY), Outage(9e6, 9e6 + 1, EVERY)])
    assert comparison.outages == (Outage(0.0, 1003.0, EVERY),)  # the other began after the run had ended
    for result in comparison.versions.values():
        assert (result.delivered, result.events["4284"]) == (5, 1)


def test_outages_in_the_result_are_those_that_began() -> None:
    outages = [Outage(100.0, 200.0, "NORTH"), Outage(300.0, 400.0, EVERY)]
    comparison = compare(steady(100, 10.0), outages=reversed(outages))
    assert comparison.outages == tuple(outages)
    assert json.loads(comparison.to_json())["outages"] == [[100.0, 200.0, "NORTH"], [300.0, 400.0, "*"]]


def test_peers_are_the_callers() -> None:
    comparison = compare(peers=["A", "B", "C"], outages=[Outage(36_000.0, 36_900.0, "B")])
    assert comparison.peers == ("A", "B", "C")
    assert comparison.story is None or comparison.story.peer == "B"
    assert comparison.versions["SP2"].events["4284"] > 0
    assert comparison.versions["SP2"].delivered == comparison.versions["SP2"].messages


def test_progress_rises_to_the_total() -> None:
    seen: list[tuple[int, int]] = []
    messages = compare(progress=lambda done, total: seen.append((done, total))).versions["SP2"].messages
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (messages, messages)
    assert len(seen) >= 3


def test_json_has_the_promised_shape(day: Comparison) -> None:
    data = json.loads(day.to_json())
    assert list(data) == ["trace", "seed", "peers", "outages", "versions"]
    assert list(data["versions"]) == ["4.0", "SP2"]
    assert data["peers"] == ["NORTH", "EAST", "SOUTH", "WEST"]
    assert data["outages"] == [[o.start, o.end, o.peer] for o in day.outages]
    for result in data["versions"].values():
        assert result["messages"] == result["delivered"] + result["non_delivered"] + result["still_queued"]
        assert {"duplicate_mtsids", "session_shutdowns", "hung_messages", "hung_seconds", "events"} <= set(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ids": 0}, "ids must be"),
        ({"ids": 1 << 40}, "ids must be"),
        ({"ids": True}, "whole number"),
        ({"ids": 1.5}, "whole number"),
        ({"extra_time": float("nan")}, "extra_time must be"),
        ({"seed": "x"}, "seed must be"),
        ({"defect": "typo"}, "defect must be one of premature-strip, double-release, unchecked-wrap"),
        ({"defect": "racy-claim"}, "storm --defect racy-claim"),
        ({"peers": []}, "peers must be"),
        ({"peers": "NORTH"}, "peers must be"),
        ({"peers": ["A", "A"]}, "peers must be"),
        ({"extra_time": -1.0}, "extra_time must be"),
        ({"outages": [Outage(2.0, 1.0, "NORTH")]}, "reversed"),
        ({"outages": [Outage(1.0, 2.0, "NOWHERE")]}, "there is no peer 'NOWHERE'"),
        ({"outages": [Outage(1.0, 3.0, "NORTH"), Outage(2.0, 4.0, "*")]}, "overlap"),
        ({"outages": [Outage(1.0, 2.0, "NORTH")], "peers": ["A"]}, "there is no peer 'NORTH': the peers are A"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare(**arguments)


def test_a_broken_trace_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("".join(f"a b {n}\n" for n in range(5000)) + "a b never\n")
    events: list[object] = []
    with pytest.raises(TraceError, match="line 5001"):
        compare(path, on_event=lambda version, entry: events.append(entry))
    assert events == []


def test_policy_and_link_are_the_callers(day: Comparison) -> None:
    fast = compare(link=Link(bytes_per_second=1e9, turnaround=0.001), policy=Policy(open_interval=60.0))
    assert fast.to_json() != day.to_json()
    with pytest.raises(AttributeError):
        Link().turnaround = 0.0  # type: ignore[misc]


def real_trace() -> Path:
    path = Path(os.environ.get("MTSID_TRACE") or ROOT.parent / "shared" / "data" / "eu-email-150d.txt.xz")
    if not path.exists():
        pytest.skip(f"the real trace is not at {path}; set MTSID_TRACE")
    return path


@pytest.mark.long
@pytest.mark.parametrize(("defect", "ids"), SHOWN)
def test_the_real_trace(defect: str, ids: int) -> None:
    path = real_trace()
    begun = time.monotonic()
    comparison = compare(path, defect=defect, ids=ids)
    assert time.monotonic() - begun < 60  # some 3 s; this is a net for a slow machine
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    assert books_balance(old)
    assert books_balance(new)
    assert old.messages == new.messages == sum(1 for _ in open_trace(path))
    assert old.duplicate_mtsids > 0
    assert old.session_shutdowns > 0
    assert old.hung_messages > 0
    assert (new.duplicate_mtsids, new.session_shutdowns, new.hung_messages) == (0, 0, 0)
    assert set(new.non_delivered_by) <= {"open retries exhausted"}
    assert without_remnants_and_collisions(new)
    assert all(old.events[str(id)] > 0 for id in ROWS)
    assert len(old.events) == 8
    assert comparison.story is not None
    assert comparison.remnant is not None
    assert len(comparison.outages) > 200


class Endless:
    """A trace that is made while it is read: nothing of it is kept."""

    name = "made on the fly"
    calendar = False
    undated = 0

    def __init__(self, messages: int) -> None:
        self.messages = messages

    def __iter__(self) -> Iterator[Row]:
        for n in range(self.messages):
            yield Row(n * 30.0, f"s{n % 50}", f"r{n % 37}", 2000)

    def close(self) -> None:
        pass


def peak(messages: int) -> int:
    """How many bytes a comparison of so many messages takes at most."""
    outages = [Outage(1000.0 * n, 1000.0 * n + 300, EVERY) for n in range(1, 10)]
    tracemalloc.start()
    try:
        assert compare(Endless(messages), outages=outages).versions["SP2"].delivered == messages
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.long
def test_memory_is_in_proportion_to_what_is_queued_not_to_the_trace() -> None:
    peak(100)  # what is made once: compiled patterns, caches
    # Ten times the messages. Without the GIL garbage lies about for a while in a large process: twice as much was seen.
    assert peak(25_000) < 4 * peak(2500)
