"""The comparison for people: one table, the first collision as a story, and what to try next (rich)."""

from __future__ import annotations

import io
import math
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtsid.lab.compare import DEFAULT_IDS, Comparison
from mtsid.lab.source import printable
from mtsid.lab.story import Repeated, Story, Twin
from mtsid.mta import LogEntry, Way

__all__ = ["clock", "duration", "html", "render"]

WHY_NOT = {
    "premature-strip": (
        "premature-strip acts when the link is lost with a transfer in flight and mail waiting behind it, and mail "
        "enters before the link is back; that did not come together. Try another --seed, or a busier trace."
    ),
    "double-release": (
        "double-release acts when the peer repeats an acknowledgement after a re-connection and two messages are then "
        "queued at the same time; that did not come together. Try another --seed, or a busier trace."
    ),
    "unchecked-wrap": (
        "unchecked-wrap acts when the counter comes round to a number whose message is still queued, as a deferred one "
        "may be for a day. No message was queued for so long that {ids} others entered. Try a smaller --ids: 500, say."
    ),
}


def duration(seconds: float) -> str:
    """Return a length of time for people, in its two largest units: `2 h 5 min`. Negative or not finite: ValueError."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a duration must be finite and not negative, not {seconds!r}")
    if 0 < seconds < 1:
        return "under 1 s"
    rest = round(seconds)
    if rest >= 3600:
        rest = round(rest / 60) * 60  # seconds do not matter beside hours, nor minutes beside days
    if rest >= 86400:
        rest = round(rest / 3600) * 3600
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts[:2]) or "0 s"


def clock(seconds: float, calendar: bool) -> str:
    """Return a point in time for people: a date (UTC) if `calendar`, else the trace's own day and time."""
    if calendar:
        return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    day, rest = divmod(int(seconds // 1), 86400)
    time = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return time if day == 0 else f"day {day + 1} {time}"


def render(comparison: Comparison, console: Console) -> None:
    """Print the whole report. Plain text when `console` is not a terminal."""
    for block in _blocks(comparison):
        # A command stays on one line, so that it can be copied.
        console.print(block, highlight=False, soft_wrap=isinstance(block, Text) and bool(block.no_wrap))


def html(comparison: Comparison) -> str:
    """Return the report as a page of HTML."""
    console = Console(record=True, file=io.StringIO(), width=100, force_terminal=True, color_system="truecolor")
    render(comparison, console)
    return console.export_html(inline_styles=True)


def _blocks(comparison: Comparison) -> Iterator[Text | Table]:
    yield from _head(comparison)
    yield Text()
    yield _table(comparison)
    yield Text()
    yield from _story(comparison)
    yield from _explain_losses(comparison)
    yield Text()
    yield from _next(comparison)


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _head(comparison: Comparison) -> Iterator[Text]:
    result = comparison.versions["4.0"]
    yield _heading(f"mtsid compare: {comparison.trace}, seed {comparison.seed}")
    span = duration(comparison.span.last - comparison.span.first)
    undated = f" ({result.undated:,} more without a date were left out)" if result.undated else ""
    yield Text(
        f"{_count(result.messages, 'message')} in {span}{undated}. {_lost(comparison)} {result.ids:,} MTSIDs; "
        f"4.0's defect: {result.defect}. The mail is the trace's; its sizes and priorities, the outages and the "
        "operator are drawn from the seed."
    )


def _table(comparison: Comparison) -> Table:
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("4.0", justify="right", min_width=12)
    table.add_column("SP2", justify="right", min_width=12)

    def row(name: str, a: int, b: int) -> None:
        table.add_row(Text(name), Text(f"{a:,}"), Text(f"{b:,}"))

    row("messages", old.messages, new.messages)
    row("delivered", old.delivered, new.delivered)
    row("non-delivered", old.non_delivered, new.non_delivered)
    for way in Way:
        a, b = old.non_delivered_by.get(way.value, 0), new.non_delivered_by.get(way.value, 0)
        if a or b:
            row(f"  {way.value}", a, b)
    row("still queued", old.still_queued, new.still_queued)
    row("duplicate MTSIDs", old.duplicate_mtsids, new.duplicate_mtsids)
    row("session shutdowns by collision", old.session_shutdowns, new.session_shutdowns)
    row("hung messages", old.hung_messages, new.hung_messages)
    for name, seconds in (
        ("longest hang", (old.longest_hang_seconds, new.longest_hang_seconds)),
        ("total hang", (old.hung_seconds, new.hung_seconds)),
    ):
        table.add_row(Text(name), *(Text(duration(value)) for value in seconds))
    row("acknowledgements refused as stale", old.stale_acknowledgements, new.stale_acknowledgements)
    for id in old.events:
        row(f"event {id}", old.events[id], new.events[id])
    return table


def _story(comparison: Comparison) -> Iterator[Text | Table]:
    story = comparison.story
    result = comparison.versions["4.0"]
    if story is None:
        yield _heading("No collision in 4.0")
        if result.duplicate_mtsids:
            yield Text(
                f"{_count(result.duplicate_mtsids, 'entrant')} got an MTSID that was live, but one of each pair had "
                "left before the other's transfer started. Try another --seed."
            )
        else:
            yield Text(WHY_NOT[result.defect or "premature-strip"].format(ids=f"{result.ids:,}"))
        yield Text()
        return
    yield _heading(f"The first collision in 4.0: MTSID {story.mtsid}")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for time, text in _scenes(story, result.defect or "", result.ids, comparison.calendar):
        table.add_row(Text("" if time is None else clock(time, comparison.calendar), style="dim"), text)
    yield table
    yield Text()


def _scenes(story: Story, defect: str, ids: int, calendar: bool) -> Iterator[tuple[float | None, Text]]:
    """Yield (time, what happened) in order; no time: it belongs to the scene before."""
    older, younger, number = story.older, story.younger, story.mtsid
    due = older.mail.not_before
    until = "" if due is None else f", to be sent at {clock(due, calendar)} (deferred delivery)"
    scenes: list[tuple[float, list[Text]]] = [
        (older.entered, [Text(f"{_who(older)} enters{until}. Its MTSID: {number}.")]),
        (
            younger.entered,
            [Text(f"{_who(younger)} enters and gets {number} as well{_sp2_number(younger)}.{_wrap(defect, ids)}")],
        ),
        (
            story.collided_at,
            [
                Text(
                    f"A transfer of MTSID {number} starts, and the number stands for two messages. The session shuts "
                    f"down with {_count(story.backlog, 'message')} in the queue:"
                ),
                *map(_event, story.collision_events),
            ],
        ),
    ]
    if story.repeated is not None and defect == "double-release":
        scenes.append((story.repeated.time, [Text(_double_release(story, story.repeated))]))
    elif story.lost_at is not None and defect == "premature-strip":
        scenes.append((story.lost_at, [Text(_strip(story)), *map(_event, story.loss_events)]))
    for time, texts in sorted(scenes, key=lambda scene: scene[0]):
        yield time, texts[0]
        for text in texts[1:]:
            yield None, text
    if story.resumed_at is None:
        yield None, Text("Neither twin had left when the comparison ended: the queue still hangs.", style="bold")
        return
    yield (
        None,
        Text(
            f"Every open ends like that, {_times(story.closes)} in all. {_count(story.hung_messages, 'message')} "
            f"{'hangs' if story.hung_messages == 1 else 'hang'} for {duration(story.hung_seconds)}.",
            style="bold",
        ),
    )
    if story.freed is not None and story.freed.left_at is not None:
        yield story.freed.left_at, Text(_freed(story, story.freed))
    yield story.resumed_at, Text("The next open succeeds and the queue moves again.")
    if story.drained_at is not None:
        yield story.drained_at, Text("Nothing waits any more.")
    yield None, Text(f"SP2, same mail, same outages: {_sp2(older, calendar)}; {_sp2(younger, calendar)}.")


def _strip(story: Story) -> str:
    return (
        f"The link is lost with message {story.older.mail.index} in transfer and mail waiting behind it. It goes back "
        f"into the queue with its number, but 4.0 has stripped that too: {story.mtsid} is free for the next entrant."
    )


def _double_release(story: Story, repeated: Repeated) -> str:
    return (
        f"After a re-connection the peer repeats its acknowledgement of message {repeated.index}, and 4.0 puts the "
        f"message's number, {story.mtsid}, on the free list a second time: it can be given to two."
    )


def _wrap(defect: str, ids: int) -> str:
    if defect != "unchecked-wrap":
        return ""
    return f" The counter wrapped after {ids:,} numbers and did not look whether this one was free."


def _freed(story: Story, twin: Twin) -> str:
    which = "older" if twin is story.older else "younger"
    message = f"message {twin.mail.index}, the {which} twin"
    if twin.way is Way.OPERATOR:
        return f"An operator has noticed and deletes MTSID {story.mtsid}: {message}. It is never delivered."
    if twin.way is Way.RETRIES:
        return (
            f"The open retries are used up: {message}, is returned to its sender (NDR), and with it all mail that "
            "waited as long."
        )
    return f"{message.capitalize()}, has left: {'' if twin.way is None else twin.way.value}."


def _sp2(twin: Twin, calendar: bool) -> str:
    message = f"message {twin.mail.index}"
    if twin.sp2_left_at is None:
        return f"{message} had left before" if twin.sp2_mtsid is None else f"{message} was still queued at the end"
    way = "" if twin.sp2_way is None else twin.sp2_way.value
    return f"{message} {way} at {clock(twin.sp2_left_at, calendar)}"


def _sp2_number(twin: Twin) -> str:
    return "" if twin.sp2_mtsid is None else f" (from SP2: {twin.sp2_mtsid})"


def _who(twin: Twin) -> str:
    return f"Message {twin.mail.index} ({twin.mail.sender} to {twin.mail.recipient})"


def _event(entry: LogEntry) -> Text:
    return Text(f"{entry.event.id} {entry.event.text()}", style="italic")


def _explain_losses(comparison: Comparison) -> Iterator[Text]:
    losses = comparison.versions["SP2"].events.get("4284", 0)
    if not losses:
        return
    yield _heading("Why SP2 logs 4284 and 4287 too")
    yield Text(
        f"{'That pair is' if losses == 1 else f'Those {losses:,} pairs are'} for outages: the link was down with "
        "mail queued, and every open that fails says so again. Only 4282 and 4283 tell of a duplicate MTSID; SP2 "
        "never logs them for one."
    )


def _next(comparison: Comparison) -> Iterator[Text]:
    defect = comparison.versions["4.0"].defect
    trace = comparison.trace_path
    command = "mtsid compare" + ("" if trace is None else f" {shlex.quote(printable(trace, 1000))}")
    ids = comparison.versions["4.0"].ids
    yield _heading("Try next")
    if defect != "double-release":
        yield _command(f"{command} --defect double-release")
    if defect != "unchecked-wrap" or ids >= DEFAULT_IDS:
        yield _command(f"{command} --defect unchecked-wrap --ids 500")
    if defect != "premature-strip":
        yield _command(command)
    yield _command(f"{command} --events events.jsonl")
    if trace is None:
        yield _command("mtsid compare YOUR.mbox")
    yield _command("mtsid storm --defect racy-claim")


def _lost(comparison: Comparison) -> str:
    if not comparison.outages:
        return "The link was not lost."
    return f"The link was lost {_times(comparison.outages)} and down for {duration(comparison.down_seconds)} in all."


def _command(text: str) -> Text:
    return Text(f"  {text}", no_wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")
