"""The comparison: its books, its promises, each defect's own signature, and the real trace."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mtsid.lab import Comparison, Row, TraceError, compare, open_trace
from mtsid.lab.compare import Side
from mtsid.lab.ledger import AccountingError, Ledger, Result
from mtsid.lab.traffic import Link, Outage
from mtsid.mta import MTA, Entry, LogEntry, Policy, Session, Version, Way

ROOT = Path(__file__).resolve().parents[2]


# Each defect of the comparison, with an id range in which it shows.
SHOWN = [("premature-strip", 65535), ("double-release", 65535), ("unchecked-wrap", 500)]


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


def test_the_story_tells_the_first_collision(day: Comparison) -> None:
    story = day.story
    assert story is not None
    assert story.lost_at is not None
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
    first = compare(seed=5, defect=defect, ids=500)
    assert first.to_json() == compare(seed=5, defect=defect, ids=500).to_json()
    assert first.to_json() != compare(seed=6, defect=defect, ids=500).to_json()


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


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ids", [1, 7, 300])
def test_nothing_is_lost_when_the_queue_is_full(seed: int, ids: int) -> None:
    for result in compare(seed=seed, ids=ids).versions.values():
        assert books_balance(result)
        assert result.most_queued <= ids
    assert compare(seed=0, ids=1).versions["SP2"].non_delivered_by["queue full"] > 0


def test_an_outage_beyond_the_open_retries_returns_mail_in_sp2_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # By its name in sys.modules: as an attribute of the package, `compare` is the function.
    module = sys.modules["mtsid.lab.compare"]
    monkeypatch.setattr(module, "incident", lambda rng, first: iter([Outage(0.5, 30 * 3600.0)] if first else ()))
    events: list[tuple[Version, LogEntry]] = []
    comparison = compare(steady(100, 60.0), on_event=lambda version, entry: events.append((version, entry)))
    for result in comparison.versions.values():
        assert books_balance(result)
        assert result.non_delivered_by["open retries exhausted"] > 0
    times = [entry.time for version, entry in events if version == "SP2" and entry.event.id == 4284]
    gaps = {round(b - a, 6) for a, b in itertools.pairwise(times)}
    assert gaps == {600.0}


def test_without_an_operator_the_ndr_frees_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    old = compare().versions["4.0"]
    assert set(old.non_delivered_by) == {"open retries exhausted"}
    assert old.longest_hang_seconds == pytest.approx(24 * 3600, abs=7200)
    assert books_balance(old)


def test_what_has_not_left_at_the_end_is_still_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    comparison = compare(extra_time=3600.0)
    old = comparison.versions["4.0"]
    assert old.still_queued > 0
    assert books_balance(old)
    assert comparison.story is not None
    assert comparison.story.resumed_at is None
    assert old.hung_seconds == old.longest_hang_seconds > 0  # an open hang counts up to the end


@pytest.mark.parametrize("messages", [1, 2, 3, 10])
def test_the_smallest_traces(messages: int) -> None:
    for gap in (0.0, 5.0):
        comparison = compare(steady(messages, gap))
        for result in comparison.versions.values():
            assert result.messages == messages
            assert books_balance(result)


def test_both_versions_get_the_same_traffic_and_the_same_outages() -> None:
    # With a defect that cannot show, the two sides must agree in everything.
    comparison = compare(defect="unchecked-wrap")
    old, new = comparison.versions["4.0"].to_json(), comparison.versions["SP2"].to_json()
    assert old.pop("defect") == "unchecked-wrap"
    assert new.pop("defect") is None
    assert old == new
    assert comparison.story is None


def test_events_come_in_order_of_time_and_match_the_counts() -> None:
    events: list[tuple[Version, LogEntry]] = []
    comparison = compare(on_event=lambda version, entry: events.append((version, entry)))
    times = [entry.time for _, entry in events]
    assert times == sorted(times)
    for version, result in comparison.versions.items():
        ids = [str(entry.event.id) for v, entry in events if v == version]
        assert {id: ids.count(id) for id in ("4282", "4283", "4284", "4287")} == result.events


def test_progress_rises_to_the_total() -> None:
    seen: list[tuple[int, int]] = []
    messages = compare(progress=lambda done, total: seen.append((done, total))).versions["SP2"].messages
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (messages, messages)
    assert len(seen) >= 3


def test_json_has_the_promised_shape(day: Comparison) -> None:
    data = json.loads(day.to_json())
    assert list(data) == ["trace", "seed", "versions"]
    assert list(data["versions"]) == ["4.0", "SP2"]
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


def test_the_books_refuse_a_lost_message() -> None:
    mta = MTA("SP2", ids=10)
    ledger = Ledger()
    session: Session[str] = mta.session
    entry: Entry[str] = session.enter(0.0, "a")
    ledger.entered(entry, 1)
    assert ledger.close(1.0, "SP2", session, defect=None, ids=10, undated=0).still_queued == 1
    mta.queue.ack(mta.queue.get(False))  # behind the session's back
    with pytest.raises(AccountingError, match="SP2: 1 messages entered, but 0 delivered"):
        ledger.close(1.0, "SP2", session, defect=None, ids=10, undated=0)


def test_the_hang_clock_stands_while_the_link_is_down() -> None:
    session = MTA("4.0", ids=10).session
    ledger = Ledger()
    first = session.enter(0.0, "a")
    entries = [first, session.enter(0.0, "b")]
    session.open(0.0)
    session.start(0.0)
    session.link_down(1.0)
    entries.append(session.enter(2.0, "twin"))
    for entry in entries:
        ledger.entered(entry, len(session))
    session.link_up(3.0)
    session.open(63.0)
    session.start(63.0)
    ledger.look(63.0, session)
    assert (ledger.hanging, ledger.hung_messages) == (True, 3)
    ledger.entered(session.enter(70.0, "held from its entry on"), 4)
    ledger.entered(session.enter(70.0, "held by its own wish", not_before=9e9), 5)
    assert ledger.hung_messages == 4
    session.link_down(100.0)
    ledger.look(100.0, session)
    session.link_up(1100.0)
    ledger.look(1100.0, session)
    session.delete(1150.0, first.mtsid)
    session.open(1200.0)
    session.start(1200.0)
    ledger.look(1200.0, session)
    assert (ledger.hanging, ledger.hung_seconds, ledger.hung_messages) == (False, 37.0 + 100.0, 4)


def test_a_second_pair_of_sides_could_stand_beside_the_first() -> None:
    # Several next hops come later: a side shares nothing with another but the environment.
    assert not [name for name, value in vars(Side).items() if isinstance(value, (list, dict, set))]


def real_trace() -> Path:
    path = Path(os.environ.get("MTSID_TRACE") or ROOT.parent / "shared" / "data" / "eu-email-150d.txt.xz")
    if not path.exists():
        pytest.skip(f"the real trace is not at {path}; set MTSID_TRACE")
    return path


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
