"""Outages: lists as people write them, what is wrong with a broken one, and what is drawn from the seed."""

from __future__ import annotations

import gzip
import itertools
import lzma
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mtsid.lab import Outage, Row, TraceError, drawn_outages, read_outages
from mtsid.lab.outages import EVERY, FLAP_AFTER, LONGEST, Edge, check_outages, draw_outages, edges, format_outages
from mtsid.lab.traces import GeneratedDay
from mtsid.lab.traffic import PEERS, Link, peer_of
from mtsid.mta import Policy

OPENING = (60.0, 63.0)  # seconds from a link's return: when its session is being opened


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


def steady(messages: int, gap: float, recipients: int = 5) -> Rows:
    return Rows((n * gap, f"s{n % 7}", f"r{n % recipients}") for n in range(messages))


def draw(trace: Rows | GeneratedDay, seed: int, peers: tuple[str, ...] = PEERS) -> list[Outage]:
    messages = sum(1 for _ in trace)
    return draw_outages(trace, messages, seed, peers, lambda recipient: peer_of(recipient, peers), OPENING)


def incidents(outages: Iterable[Outage]) -> list[list[Outage]]:
    """Group outages by what brought them: a flap comes within minutes of its link's return."""
    groups: list[list[Outage]] = []
    last: dict[str, list[Outage]] = {}
    for outage in outages:
        group = last.get(outage.peer)
        if group is None or outage.start - group[-1].end > FLAP_AFTER[1] + 0.01:
            group = last[outage.peer] = []
            groups.append(group)
        group.append(outage)
    return groups


# Lists.


def test_a_list_is_read_in_order_of_time_whatever_its_order(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("# start end peer\n\n  900 1000.5   NORTH\n\t# indented\n-5 1e2 *\n100\t200 EAST \n \n")
    assert read_outages(path, PEERS) == [
        Outage(-5.0, 100.0, EVERY),
        Outage(100, 200, "EAST"),
        Outage(900, 1000.5, "NORTH"),
    ]


@pytest.mark.parametrize("content", ["", "\n", "# none\n", "   \n# start end peer"])
def test_an_empty_list_means_no_outages(tmp_path: Path, content: str) -> None:
    path = tmp_path / "list"
    path.write_text(content)
    assert read_outages(path, PEERS) == []


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_packed_list_is_read_too(tmp_path: Path, suffix: str, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / f"list{suffix}"
    path.write_bytes(pack(b"1 2 NORTH\n"))
    assert read_outages(str(path), PEERS) == [Outage(1.0, 2.0, "NORTH")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 2", "should be `start end peer`, in seconds: 1 2"),
        ("1", "should be `start end peer`"),
        ("1 2 NORTH 3", "should be `start end peer`, in seconds: 1 2 NORTH 3"),
        ("one 2 NORTH", "should be `start end peer`"),
        ("1 two NORTH", "should be `start end peer`"),
        ("NORTH 1 2", "should be `start end peer`"),
        ("1 2 N\udcffRTH", "should be `start end peer`"),
        ("nan 2 NORTH", "finite"),
        ("1 nan NORTH", "finite"),
        ("1 inf NORTH", "finite"),
        ("-inf 1 NORTH", "finite"),
        ("1 1e11 NORTH", "plausible"),
        ("-1e11 1 NORTH", "plausible"),
        ("2 1 NORTH", "reversed: it ends at 1, but begins at 2"),
        ("2 2 NORTH", "reversed: it ends at 2, but begins at 2"),
        ("1 2 NOWHERE", "there is no peer 'NOWHERE': the peers are NORTH, EAST, SOUTH, WEST, and * for all"),
        ("1 2 north", "there is no peer 'north'"),
        ("1 2 **", "there is no peer '**'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"# mine\n\n10 20 NORTH\n" + line.encode(errors="surrogateescape") + b"\n30 40 NORTH\n")
    with pytest.raises(TraceError) as caught:
        read_outages(path, PEERS)
    assert words in caught.value.reason
    assert (caught.value.name, caught.value.line) == (str(path), 4)
    assert str(caught.value).startswith(f"{path}: line 4: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "named", "other"),
    [
        (["10 20 NORTH", "19 30 NORTH"], 2, 1),
        (["19 30 NORTH", "10 20 NORTH"], 1, 2),  # the later one in time is named, wherever it stands
        (["10 20 NORTH", "10 20 NORTH"], 2, 1),
        (["10 99 NORTH", "12 13 NORTH"], 2, 1),
        (["10 99 EAST", "# flaps", "12 13 EAST"], 3, 1),
        (["10 20 NORTH", "19 30 *"], 2, 1),
        (["10 20 *", "19 30 WEST"], 2, 1),
        (["10 20 *", "15 30 *"], 2, 1),
        (["10 20 NORTH", "20 30 NORTH", "5 90 EAST", "29 40 NORTH"], 4, 2),
        (["1 2 *", "10 20 WEST", "3 4 WEST", "5 10.5 WEST"], 2, 4),
    ],
)
def test_outages_of_one_link_must_not_overlap(tmp_path: Path, lines: list[str], named: int, other: int) -> None:
    path = tmp_path / "list"
    path.write_text("\n".join(lines))
    with pytest.raises(TraceError, match=f"overlaps line {other}:") as caught:
        read_outages(path, PEERS)
    assert (caught.value.name, caught.value.line) == (str(path), named)


@pytest.mark.parametrize(
    "text",
    [
        "10 20 NORTH\n20 30 NORTH\n",
        "20 30 NORTH\n10 20 NORTH\n",
        "10 20 NORTH\n20 30 *\n30 40 NORTH\n",
        "10 20 NORTH\n10 20 EAST\n15 25 WEST\n",
    ],
)
def test_outages_may_touch_and_those_of_different_links_may_overlap(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list"
    path.write_text(text)
    assert len(read_outages(path, PEERS)) == text.count("\n")


def test_a_list_that_is_not_there_or_was_cut_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="none: No such file") as caught:
        read_outages(tmp_path / "none", PEERS)
    assert caught.value.line is None
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"1 2 NORTH\n" * 1000)[:-10])
    with pytest.raises(TraceError, match=r"cut\.gz"):
        read_outages(path, PEERS)


def test_what_is_written_is_read_back_to_the_bit(tmp_path: Path) -> None:
    outages = [
        Outage(-0.1, 0.1 + 0.2, EVERY),
        Outage(1 / 3, math.nextafter(1 / 3, 1), "NORTH"),
        Outage(1e-300, 5e-300, "EAST"),
        Outage(900_000_000.123456, 99_999_999_999.0, "WEST"),
    ]
    path = tmp_path / "list"
    for group in ([outages[0]], [outages[1]], outages[2:], drawn_outages(seed=7)):
        path.write_text(format_outages(group))
        assert read_outages(path, PEERS) == group
    assert format_outages([]) == ""


# Edges.


def test_edges_come_in_order_and_what_ends_comes_before_what_begins() -> None:
    first, second, third = Outage(10, 20, "A"), Outage(20, 30, EVERY), Outage(5, 50, "B")
    known = ("A", "B")
    assert edges([first, second], known) == [
        Edge(10, False, ("A",), first),
        Edge(20, True, ("A",), first),
        Edge(20, False, ("A", "B"), second),
        Edge(30, True, ("A", "B"), second),
    ]
    assert edges([second, first], known) == edges([first, second], known)
    assert [(edge.time, edge.up) for edge in edges([first, third], known)] == [
        (5, False),
        (10, False),
        (20, True),
        (50, True),
    ]
    assert edges([], known) == []


# What callers give.


def test_outages_of_the_callers_are_sorted() -> None:
    outages = [Outage(5, 6, "A"), Outage(1, 2, EVERY), Outage(3, 4, "B")]
    assert check_outages(iter(outages), ("A", "B")) == [outages[1], outages[2], outages[0]]
    assert check_outages([], ("A",)) == []


@pytest.mark.parametrize(
    ("outages", "words"),
    [
        ([Outage(2, 1, "A")], "outage 2 1 A: the outage is reversed"),
        ([Outage(2, 2, "A")], "reversed"),
        ([Outage(math.nan, 1, "A")], "finite"),
        ([Outage(0, math.inf, "A")], "finite"),
        ([Outage(0, 1, "C")], "there is no peer 'C': the peers are A, B"),
        ([Outage(0, 5, "A"), Outage(4, 6, "A")], "two outages of one link overlap: .*start=0.*start=4"),
        ([Outage(4, 6, EVERY), Outage(0, 5, "B")], "two outages of one link overlap"),
    ],
)
def test_outages_of_the_callers_are_checked(outages: list[Outage], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        check_outages(outages, ("A", "B"))
    assert not isinstance(caught.value, TraceError)


# What is drawn.


@pytest.mark.parametrize("seed", range(20))
def test_no_link_is_lost_while_it_is_down(seed: int) -> None:
    drawn = draw(GeneratedDay(seed), seed)
    assert check_outages(drawn, PEERS) == drawn
    assert drawn == draw(GeneratedDay(seed), seed)
    assert drawn != draw(GeneratedDay(seed), seed + 1)


def test_incidents_of_a_busy_trace_do_not_meet_either() -> None:
    for seed in range(10):
        drawn = draw(steady(20_000, 0.5), seed)
        assert check_outages(drawn, PEERS) == drawn


def test_the_first_outage_is_a_longer_one_of_one_peers_link() -> None:
    seconds = []
    for seed in range(101):
        first, *flaps = incidents(draw(steady(600, 60.0), seed))[0]
        assert first.peer in PEERS
        assert flaps  # what comes back is lost again
        seconds.append(first.end - first.start)
    seconds.sort()
    assert 600 < seconds[50] < 3000
    assert seconds[10] > 200  # no flap is so long, but for one in a hundred


@pytest.mark.parametrize("messages", [1, 2, 3, 10])
@pytest.mark.parametrize("gap", [0.0, 3600.0])
def test_the_smallest_traces_have_outages_as_well(messages: int, gap: float) -> None:
    for seed in range(20):
        drawn = draw(steady(messages, gap, recipients=1), seed)
        assert drawn
        assert drawn[0].start >= 0
        groups = incidents(drawn)
        assert len(groups) <= min(3, messages)
        for group in groups:  # within ten seconds of a message
            assert any(0 <= group[0].start - n * gap <= 10.001 for n in range(messages))


def test_each_stretch_of_the_trace_has_its_incident() -> None:
    # 6,000 messages, ten stretches. Short incidents a long time apart: each one is drawn, none meets another.
    trace = steady(6000, 3600.0)
    for seed in range(5):
        starts = [group[0].start / 3600 // 600 for group in incidents(draw(trace, seed))]
        assert starts == sorted(set(starts))
        assert set(starts) <= set(range(10))
        assert len(starts) >= 9  # one of two days may cover the next one
    assert len(incidents(draw(steady(599, 3600.0), 1))) == 3  # three at the least


def test_a_link_is_lost_just_after_a_message_for_its_peer() -> None:
    trace = steady(2400, 300.0)
    for group in incidents(draw(trace, 3)):
        near = [row for row in trace if 0 <= group[0].start - row.time <= 10.001]
        assert near
        assert group[0].peer in {EVERY, *(peer_of(row.recipient, PEERS) for row in near)}


def test_a_busy_moment_is_likelier_to_bring_an_incident_than_a_quiet_one() -> None:
    # In each stretch of 600 one burst of ten; drawn by count alone, it would be hit once in sixty.
    rows = [(n // 10 * 10_000.0, "s", "r") if n // 10 % 60 == 30 else (n * 1000.0, "s", "r") for n in range(6000)]
    bursts = {time for time, _, _ in rows if [row[0] for row in rows].count(time) > 1}
    drawn = [group[0] for seed in range(3) for group in incidents(draw(Rows(sorted(rows)), seed))]
    hit = sum(any(0 <= outage.start - time <= 10.001 for time in bursts) for outage in drawn)
    assert hit > len(drawn) / 2


def test_what_is_drawn_is_plausible() -> None:
    groups = [group for seed in range(60) for group in incidents(draw(steady(1800, 600.0), seed))]
    outages = [outage for group in groups for outage in group]
    seconds = [outage.end - outage.start for outage in outages]
    assert all(2 <= len(group) <= 5 for group in groups)
    assert min(seconds) >= 1.999
    assert max(seconds) <= LONGEST
    flaps = [outage.end - outage.start for group in groups for outage in group[1:]]
    assert 25 < sum(flaps) / len(flaps) < 60
    assert sum(group[0].end - group[0].start > 300 for group in groups) > len(groups) / 2
    gaps = [b.start - a.end for group in groups for a, b in itertools.pairwise(group)]
    assert min(gaps) >= OPENING[0] - 0.001
    assert max(gaps) <= FLAP_AFTER[1] + 0.001
    # Some flaps come while the session is being opened, the others when the backlog is on its way.
    opening = sum(gap <= OPENING[1] + 0.001 for gap in gaps)
    assert 0.4 * len(gaps) < opening < 0.6 * len(gaps)
    # Some incidents are our own line's, and hit every peer. Never the first one.
    everywhere = sum(group[0].peer == EVERY for group in groups)
    assert 0 < everywhere < len(groups) / 3
    assert {outage.peer for outage in outages} == {EVERY, "NORTH", "EAST", "SOUTH", "WEST"} - _without_mail()


def _without_mail() -> set[str]:
    return set(PEERS) - {peer_of(f"r{n}", PEERS) for n in range(5)}


def test_the_longest_outage_is_two_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.outages.OUTAGE_SIGMA", 4.0)  # else it would take a million seeds to see one
    seconds = [outage.end - outage.start for seed in range(40) for outage in draw(steady(3, 1e7), seed)]
    assert max(seconds) == pytest.approx(LONGEST) == 48 * 3600


def test_times_are_drawn_to_the_millisecond() -> None:
    for outage in drawn_outages():
        assert (outage.start, outage.end) == (round(outage.start, 3), round(outage.end, 3))


def test_flaps_are_aimed_at_the_callers_own_recovery_and_link() -> None:
    policy, link = Policy(recovery=500.0), Link(connect=40.0, accept=50.0)
    outages = [o for seed in range(8) for o in drawn_outages(GeneratedDay(1), seed=seed, policy=policy, link=link)]
    gaps = [b.start - a.end for a, b in itertools.pairwise(outages) if a.peer == b.peer and b.start - a.end < 600]
    aimed = [gap for gap in gaps if 499.99 <= gap <= 590.01]
    assert len(aimed) > 5
    assert any(gap > 540 for gap in aimed)
    assert all(gap <= FLAP_AFTER[1] + 0.01 for gap in gaps if gap not in aimed)


def test_peers_are_the_callers() -> None:
    drawn = drawn_outages(GeneratedDay(1), peers=("ONE",))
    assert {outage.peer for outage in drawn} <= {"ONE", EVERY}
    assert drawn != drawn_outages(GeneratedDay(1), peers=("ONE", "TWO"))
