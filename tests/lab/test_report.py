"""What people read: the table, the outages, the two stories, and the page of HTML."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from mtsid.lab import Comparison, Outage, compare
from mtsid.lab.report import SHOWN_OUTAGES, html, render
from mtsid.lab.telling import collision_scenes, remnant_scenes
from mtsid.lab.wording import clock, duration
from mtsid.mta import Event, LogEntry, Policy, Remnant


def text(comparison: Comparison, width: int = 80) -> str:
    file = io.StringIO()
    render(comparison, Console(file=file, width=width))
    return file.getvalue()


def folded(report: str) -> str:
    return " ".join(report.split())


@pytest.fixture(scope="module")
def day() -> Comparison:
    return compare()


def test_the_table_has_every_row_with_both_versions(day: Comparison) -> None:
    report = text(day)
    old, new = day.versions["4.0"], day.versions["SP2"]
    for name, a, b in (
        ("messages", old.messages, new.messages),
        ("delivered", old.delivered, new.delivered),
        ("non-delivered", old.non_delivered, new.non_delivered),
        ("still queued", old.still_queued, new.still_queued),
        ("duplicate MTSIDs", old.duplicate_mtsids, new.duplicate_mtsids),
        ("session shutdowns by collision", old.session_shutdowns, new.session_shutdowns),
        ("hung messages", old.hung_messages, new.hung_messages),
        ("event 4282", old.events["4282"], 0),
        ("event 4283", old.events["4283"], 0),
        ("event 4284", old.events["4284"], new.events["4284"]),
        ("event 4287", old.events["4287"], new.events["4287"]),
        ("acknowledgements refused as stale", old.stale_acknowledgements, new.stale_acknowledgements),
        ("control blocks left stuck", old.kcbs_stuck, 0),
        ("control blocks left dangling", old.kcbs_dangling, 0),
        ("  at once, at most", old.most_kcbs_left, 0),
        ("associations refused to peers", old.associations_refused, new.associations_refused),
        ("own opens refused", old.opens_refused, new.opens_refused),
        ("late primitives dropped", old.late_primitives, new.late_primitives),
        ("restarts by the operator", old.restarts, new.restarts),
        *((f"event {id}", old.events[str(id)], new.events[str(id)]) for id in (1004, 1008, 1198, 1277)),
    ):
        rows = [line.split() for line in report.splitlines() if line.startswith(f"{name} ")]
        assert [*name.split(), f"{a:,}", f"{b:,}"] in rows
    assert f"longest hang {duration(old.longest_hang_seconds)} 0 s" in folded(report)
    assert f"total hang {duration(old.hung_seconds)} 0 s" in folded(report)
    assert "no control block idle for 0 s 0 s" in folded(report)


def test_the_time_without_an_idle_control_block_is_told(day: Comparison) -> None:
    few = compare(policy=Policy(control_blocks=1))
    old, new = few.versions["4.0"], few.versions["SP2"]
    told = f"no control block idle for {duration(old.seconds_without_kcb)} {duration(new.seconds_without_kcb)}"
    assert told in folded(text(few))
    assert "1 control block;" in folded(text(few))
    assert "Why SP2 logs 1277 too" in text(few)
    assert f"{new.events['1277']} associations of a peer's came when no control block was idle" in folded(text(few))
    assert "Why SP2 logs 1277 too" not in text(day)


def test_the_head_tells_what_was_run_and_what_was_drawn(day: Comparison) -> None:
    head = folded(text(day).split("messages   ")[0])
    old = day.versions["4.0"]
    assert f"mtsid compare: a generated working day, seed {day.seed}" in head
    assert f"{old.messages:,} messages in 23 h" in head
    assert "to 4 peers: NORTH, EAST, SOUTH, WEST." in head
    down = duration(sum(outage.end - outage.start for outage in day.outages))
    assert f"A link was lost {len(day.outages)} times and down for {down} in all." in head
    assert "65,535 MTSIDs a queue, 20 control blocks; 4.0's defect: premature-strip." in head
    assert "the outages and the operator are drawn from the seed" in head
    own = folded(text(compare(outages=[Outage(36_000, 36_600, "NORTH")])))
    assert "A link was lost once and down for 10 min in all." in own
    assert "the peers' calls and the operator are drawn from the seed" in own
    assert "the outages and the operator" not in own
    assert "No link was lost." in folded(text(compare(outages=[])))


# The outages.


def outage_lines(report: str) -> list[str]:
    """The lines under the outages' heading, the column heads left out."""
    _, _, rest = report.partition("\nOutages")
    block = rest.split("\n\n")[0].splitlines()
    assert block[1].split() == ["link", "lost", "back", "for", "peer"]
    return [line.rstrip() for line in block[2:]]


def test_the_outages_drawn_are_listed(day: Comparison) -> None:
    report = text(day)
    assert "\nOutages, drawn from the seed\n" in report
    lines = outage_lines(report)
    assert len(day.outages) <= SHOWN_OUTAGES
    assert [line.split() for line in lines] == [
        [
            clock(outage.start, False),
            clock(outage.end, False),
            *duration(outage.end - outage.start).split(),
            "all" if outage.peer == "*" else outage.peer,
        ]
        for outage in day.outages
    ]
    assert {line.split()[-1] for line in lines} >= {"all", "NORTH"}


@pytest.mark.parametrize("number", [1, SHOWN_OUTAGES - 1, SHOWN_OUTAGES, SHOWN_OUTAGES + 1, SHOWN_OUTAGES + 2000])
def test_only_the_first_outages_are_listed(number: int) -> None:
    start = 36_000.0
    report = text(compare(outages=[Outage(start + 3 * n, start + 3 * n + 1, "WEST") for n in range(number)]))
    assert "\nOutages\n" in report  # not drawn
    lines = outage_lines(report)
    more = number - SHOWN_OUTAGES
    if more > 0:
        assert lines.pop() == f"and {more:,} more."  # no --print-outages: that would list others
    assert len(lines) == min(number, SHOWN_OUTAGES)
    assert all(line.endswith("WEST") for line in lines)


def test_where_more_drawn_outages_are_listed_is_told_only_of_drawn_ones(day: Comparison) -> None:
    many = tuple(Outage(36_000.0 + 3 * n, 36_001.0 + 3 * n, "WEST") for n in range(SHOWN_OUTAGES + 5))
    drawn = dataclasses.replace(day, outages=many)
    assert outage_lines(text(drawn)).pop() == "and 5 more: --print-outages lists them all."
    own = dataclasses.replace(drawn, own_outages=True)
    assert outage_lines(text(own)).pop() == "and 5 more."
    assert "--print-outages" not in text(own)


def test_no_outages_no_list() -> None:
    assert "\nOutages" not in text(compare(outages=[]))


def test_outages_of_a_trace_with_dates_are_told_by_the_calendar(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_text(
        "".join(
            f"From a@x.example Mon Jan  1 09:{n:02}:00 1996\nDate: Mon, 1 Jan 1996 09:{n:02}:00 +0000\n"
            f"From: a@x.example\nTo: b{n}@y{n}.example\n\nhello\n\n"
            for n in range(50)
        )
    )
    comparison = compare(path)
    assert comparison.calendar
    lines = outage_lines(text(comparison))
    assert all(line.startswith("1996-01-01 ") for line in lines)
    assert lines[0].split()[2:4] == clock(comparison.outages[0].end, True).split()


# The first control block left behind.


def test_the_control_blocks_story_is_told_from_its_loss_to_its_events(day: Comparison) -> None:
    report = folded(text(day))
    story = day.remnant
    assert story is not None
    assert story.remnant is Remnant.STUCK
    index, peer = story.handle.block, story.peer
    assert f"The first control block that 4.0 leaves stuck: {index}, {peer}'s" in report
    lost, back, left = (clock(time, False) for time in (story.lost_at, story.back_at, story.left_at))
    assert (
        f"{lost} The link to {peer} is lost while control block {index} waits for the association (state 2)" in report
    )
    assert f"{back} The link is back after {duration(story.back_at - story.lost_at)}, and {peer} answers" in report
    assert f"{left} The Open Error is processed, and 4.0's clean-up returns early. Control block {index}: not" in report
    assert "the entity's path kept, the POP-4 path cut. It is stuck." in report
    assert "SP2 cleans it up in one step" in report
    first, second = story.consequences
    assert f"{clock(first.time, False)} A local retry selects the block" in report
    assert f"{clock(second.time, False)} {peer} calls, and is refused" in report
    assert "an operator restarts the MTA" not in report


@pytest.mark.parametrize("seed", [4, 6])
def test_a_dangling_control_block_has_a_story_as_well(seed: int) -> None:
    comparison = compare(seed=seed)
    story = comparison.remnant
    assert story is not None
    assert story.remnant is Remnant.DANGLING
    report = folded(text(comparison))
    assert f"The first control block that 4.0 leaves dangling: {story.handle.block}, {story.peer}'s" in report
    assert f"control block {story.handle.block} waits for the transport (state 1)" in report
    assert "idle, the entity's path cut, the POP-4 path still live. It is dangling." in report
    [entry] = story.consequences
    how = {
        1008: f"The connection that still stands for {story.peer} is given up or lost",
        1198: f"{story.peer} says a last word on the connection that still stands for it",
    }
    assert f"{clock(entry.time, False)} {how[entry.event.id]}; that comes up to an idle block:" in report
    assert f"{entry.event.id} {entry.event.text('kb')}" in report


def test_a_lost_link_is_not_told_as_a_peer_that_gives_up(day: Comparison) -> None:
    # 1008 comes of the peer's abort and of a loss of the link alike; 1198 of its last word alone.
    assert day.remnant is not None
    story = dataclasses.replace(day.remnant, remnant=Remnant.DANGLING, peer="EAST")
    for id, fields, words in (
        (1008, {}, "The connection that still stands for EAST is given up or lost; that comes up to an idle block:"),
        (1198, {"index": 4}, "EAST says a last word on the connection that still stands for it; that comes up to an"),
    ):
        entry = LogEntry(60_000.0, Event(id, fields))
        told = dataclasses.replace(day, remnant=dataclasses.replace(story, consequences=[entry]))
        report = folded(text(told))
        assert f"16:40:00 {words}" in report
        assert "gives up" not in report
        assert "The peer says" not in report


def test_a_restart_ends_the_control_blocks_story(day: Comparison) -> None:
    assert day.remnant is not None
    ended = dataclasses.replace(day, remnant=dataclasses.replace(day.remnant, restarted_at=80_000.0))
    assert "22:13:20 Opens are refused for want of a control block, and an operator restarts the MTA." in folded(
        text(ended)
    )


def test_without_a_remnant_there_is_no_such_story() -> None:
    assert "The first control block" not in text(compare(outages=[]))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_an_entitys_name_is_folded_and_nothing_is_cut(day: Comparison, width: int) -> None:
    report = text(day, width)
    assert "\u2026" not in report
    assert "..." not in report
    joined = "".join(report.split())
    assert day.remnant is not None
    assert [entry.event.id for entry in day.remnant.consequences] == [1004, 1277]
    for entry in day.remnant.consequences:
        assert "".join(f"{entry.event.id} {entry.event.text('kb')}".split()) in joined
    assert max(len(line) for line in report.splitlines() if not line.startswith("  mtsid")) <= width


def test_the_story_names_both_twins_the_events_and_who_freed_the_queue(day: Comparison) -> None:
    report = folded(text(day))
    story = day.story
    assert story is not None
    assert f"The first collision in 4.0: MTSID {story.mtsid}" in report
    for twin in (story.older, story.younger):
        assert f"Message {twin.mail.index} ({twin.mail.sender} to {twin.mail.recipient}) enters" in report
    for entry in (*story.loss_events, *story.collision_events):
        assert f"{entry.event.id} {entry.event.text('kb')}" in report
    assert f"hang for {duration(story.hung_seconds)}" in report
    assert f"An operator has noticed and deletes MTSID {story.mtsid}: message {story.older.mail.index}" in report
    assert "Why SP2 logs 4284 and 4287 too" in report


@pytest.mark.parametrize(
    ("defect", "seed"), [("premature-strip", 152897), ("double-release", 1), ("unchecked-wrap", 2)]
)
def test_the_stories_are_told_in_order_of_time(defect: str, seed: int) -> None:
    comparison = compare(defect=defect, ids=100, seed=seed)
    assert comparison.story is not None
    for scenes in (
        list(collision_scenes(comparison.story, defect, 100, False)),
        [] if comparison.remnant is None else list(remnant_scenes(comparison.remnant)),
    ):
        times = [time for time, _ in scenes if time is not None]
        assert times == sorted(times)
        assert len(times) >= 4 or not scenes


def test_the_report_fits_its_width_but_for_commands(day: Comparison) -> None:
    assert max(map(len, text(day, 80).splitlines())) <= 80
    assert max(map(len, text(day, 60).splitlines())) <= 60


def test_piped_output_has_no_control_sequences(day: Comparison) -> None:
    assert "\x1b" not in text(day)


@pytest.mark.parametrize(
    ("defect", "words"),
    [("double-release", "on the free list a second time"), ("unchecked-wrap", "did not look whether")],
)
def test_each_defect_has_its_own_story(defect: str, words: str) -> None:
    report = folded(text(compare(defect=defect, ids=100)))
    assert words in report
    assert "has stripped that too" not in report


def test_a_defect_that_did_not_show_says_what_to_change() -> None:
    report = folded(text(compare(defect="unchecked-wrap")))
    assert "No collision in 4.0" in report
    assert "Try a smaller --ids" in report
    assert "mtsid compare --defect unchecked-wrap --ids 100" in report


def test_what_to_try_next_never_repeats_the_run(day: Comparison) -> None:
    lines = text(day).splitlines()
    assert "  mtsid compare" not in lines
    assert "  mtsid storm --defect racy-claim" in lines
    assert "  mtsid states" in lines
    assert "  mtsid compare --print-outages > mine.txt" in lines
    assert "  mtsid compare --outages mine.txt" in lines


def commands(comparison: Comparison) -> list[str]:
    """What to try next: the commands, as they would be copied."""
    _, _, rest = text(comparison).partition("\nTry next\n")
    return [line.strip() for line in rest.splitlines()]


GENERAL = ["mtsid compare YOUR.mbox", "mtsid states", "mtsid storm --defect racy-claim"]


def test_what_to_try_next_is_about_the_same_run(day: Comparison) -> None:
    assert commands(day) == [
        "mtsid compare --defect double-release",
        "mtsid compare --defect unchecked-wrap --ids 100",
        "mtsid compare --events events.jsonl",
        "mtsid compare --print-outages > mine.txt",
        "mtsid compare --outages mine.txt",
        *GENERAL,
    ]
    run = "mtsid compare --seed 3 --control-blocks 2"
    assert commands(compare(seed=3, policy=Policy(control_blocks=2))) == [
        f"{run} --defect double-release",
        f"{run} --defect unchecked-wrap --ids 100",
        f"{run} --events events.jsonl",
        f"{run} --print-outages > mine.txt",
        f"{run} --outages mine.txt",
        *GENERAL,
    ]
    assert commands(compare(defect="double-release", seed=-3))[:2] == [
        "mtsid compare --seed -3 --defect unchecked-wrap --ids 100",
        "mtsid compare --seed -3",
    ]


def test_what_to_try_next_does_not_forget_the_outages(tmp_path: Path) -> None:
    path = tmp_path / "my outages"
    path.write_text("36000 36600 NORTH\n")
    trace = tmp_path / "my trace"
    trace.write_text("".join(f"a b{n} {35_990 + n}\n" for n in range(50)))
    run = f"mtsid compare '{trace}' --seed 3 --control-blocks 9 --outages '{path}'"
    assert commands(compare(trace, seed=3, policy=Policy(control_blocks=9), outages=path)) == [
        f"{run} --defect double-release",
        f"{run} --defect unchecked-wrap --ids 100",
        f"{run} --events events.jsonl",
        *GENERAL[1:],
    ]
    for own in ([Outage(36_000.0, 36_600.0, "NORTH")], []):  # a list of Python's has no path
        assert commands(compare(outages=own)) == [
            "mtsid compare --defect double-release",
            "mtsid compare --defect unchecked-wrap --ids 100",
            "mtsid compare --events events.jsonl",
            *GENERAL,
        ]


def test_another_seed_is_not_advised_when_the_outages_are_the_users(day: Comparison) -> None:
    for defect in ("premature-strip", "double-release"):
        own = folded(text(compare(defect=defect, outages=[])))
        assert f"No collision in 4.0 {defect} acts when" in own
        assert "Try other --outages, or a busier trace." in own
        assert ("mail enters before the stripped message is carried; that did not" in own) == (
            defect == "premature-strip"
        )
        assert "another --seed" not in own
    drawn = dataclasses.replace(compare(outages=[]), own_outages=False)
    assert "Try another --seed, or a busier trace." in folded(text(drawn))


def test_another_seed_is_not_advised_when_twins_have_not_met_either() -> None:
    # 4.0 gave a number twice, and one of the two had left before it mattered.
    comparison = compare(outages=[])
    old = dataclasses.replace(comparison.versions["4.0"], duplicate_mtsids=2)
    comparison = dataclasses.replace(comparison, versions={**comparison.versions, "4.0": old})
    assert "left before the other's transfer started. Try other --outages." in folded(text(comparison))
    drawn = dataclasses.replace(comparison, own_outages=False)
    assert "left before the other's transfer started. Try another --seed." in folded(text(drawn))


def test_one_of_a_thing_is_not_told_in_the_plural() -> None:
    comparison = compare(ids=1, peers=["ONE"], policy=Policy(control_blocks=1), outages=[])
    head = folded(text(comparison).split("messages   ")[0])
    assert "to 1 peer: ONE. No link was lost. 1 MTSID a queue, 1 control block; 4.0's defect" in head
    several = folded(text(compare(ids=2, policy=Policy(control_blocks=2), outages=[])).split("messages   ")[0])
    assert "to 4 peers: NORTH, EAST, SOUTH, WEST. No link was lost. 2 MTSIDs a queue, 2 control blocks;" in several


def test_a_story_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    assert "the queue still hangs" in folded(text(compare(extra_time=3600.0)))


def test_a_story_that_ends_in_an_ndr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtsid.lab.operating.Operator.delay", lambda self, now: 10 * 86400.0)
    assert "is returned to its sender (NDR)" in folded(text(compare()))


def test_the_page_of_html_holds_the_report(day: Comparison) -> None:
    page = html(day)
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert "duplicate MTSIDs" in page
    assert "The first collision in 4.0" in page
    assert "The first control block that 4.0 leaves stuck" in page
    assert "Outages, drawn from the seed" in page
