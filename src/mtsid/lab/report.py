"""The comparison for people: one table, the outages, two stories, and what to try next (rich)."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtsid.lab.compare import DEFAULT_IDS, DEFAULT_SEED, Comparison
from mtsid.lab.outages import EVERY
from mtsid.lab.source import printable
from mtsid.lab.telling import Scene, collision_scenes, remnant_scenes
from mtsid.lab.wording import clock, count, duration, times
from mtsid.mta import Policy, Remnant, Way

__all__ = ["SHOWN_OUTAGES", "html", "render"]

SHOWN_OUTAGES = 12

WHY_NOT = {
    "premature-strip": (
        "premature-strip acts when the link is lost with a transfer in flight and mail waiting behind it, and mail "
        "enters before the stripped message is carried; that did not come together. Try {other}, or a busier trace."
    ),
    "double-release": (
        "double-release acts when the peer repeats an acknowledgement after a re-connection and two messages are then "
        "queued at the same time; that did not come together. Try {other}, or a busier trace."
    ),
    "unchecked-wrap": (
        "unchecked-wrap acts when the counter comes round to a number whose message is still queued, as a deferred one "
        "may be for a day. No message was queued for so long that {ids} others entered. Try a smaller --ids: 100, say."
    ),
}


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
    yield from _outages(comparison)
    yield from _collision(comparison)
    yield from _remnant(comparison)
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
    drawn = "the peers' calls and the operator" if comparison.own_outages else "the outages and the operator"
    yield Text(
        f"{count(result.messages, 'message')} in {span}{undated}, to {count(len(comparison.peers), 'peer')}: "
        f"{', '.join(comparison.peers)}. {_lost(comparison)} {count(result.ids, 'MTSID')} a queue, "
        f"{count(result.control_blocks, 'control block')}; 4.0's defect: {result.defect}. The mail is the trace's; its "
        f"sizes and priorities, {drawn} are drawn from the seed."
    )


def _table(comparison: Comparison) -> Table:
    old, new = comparison.versions["4.0"], comparison.versions["SP2"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("4.0", justify="right", min_width=12)
    table.add_column("SP2", justify="right", min_width=12)

    def row(name: str, a: int, b: int) -> None:
        table.add_row(Text(name), Text(f"{a:,}"), Text(f"{b:,}"))

    def time_row(name: str, a: float, b: float) -> None:
        table.add_row(Text(name), Text(duration(a)), Text(duration(b)))

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
    time_row("longest hang", old.longest_hang_seconds, new.longest_hang_seconds)
    time_row("total hang", old.hung_seconds, new.hung_seconds)
    row("acknowledgements refused as stale", old.stale_acknowledgements, new.stale_acknowledgements)
    row("control blocks left stuck", old.kcbs_stuck, new.kcbs_stuck)
    row("control blocks left dangling", old.kcbs_dangling, new.kcbs_dangling)
    row("  at once, at most", old.most_kcbs_left, new.most_kcbs_left)
    time_row("no control block idle for", old.seconds_without_kcb, new.seconds_without_kcb)
    row("associations refused to peers", old.associations_refused, new.associations_refused)
    row("own opens refused", old.opens_refused, new.opens_refused)
    row("late primitives dropped", old.late_primitives, new.late_primitives)
    row("restarts by the operator", old.restarts, new.restarts)
    for id in old.events:
        row(f"event {id}", old.events[id], new.events[id])
    return table


def _outages(comparison: Comparison) -> Iterator[Text | Table]:
    if not comparison.outages:
        return
    yield _heading("Outages" if comparison.own_outages else "Outages, drawn from the seed")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("link lost", no_wrap=True)
    table.add_column("back", no_wrap=True)
    table.add_column("for", justify="right")
    table.add_column("peer")
    calendar = comparison.calendar
    for outage in comparison.outages[:SHOWN_OUTAGES]:
        table.add_row(
            Text(clock(outage.start, calendar)),
            Text(clock(outage.end, calendar)),
            Text(duration(outage.end - outage.start)),
            Text("all" if outage.peer == EVERY else outage.peer),
        )
    yield table
    more = len(comparison.outages) - SHOWN_OUTAGES
    if more > 0:
        yield Text(
            f"and {more:,} more{'' if comparison.own_outages else ': --print-outages lists them all'}.", style="dim"
        )
    yield Text()


def _scenes(scenes: Iterable[Scene], calendar: bool) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # an entity's name is longer than some lines
    for time, text in scenes:
        table.add_row(Text("" if time is None else clock(time, calendar), style="dim"), text)
    return table


def _collision(comparison: Comparison) -> Iterator[Text | Table]:
    story = comparison.story
    result = comparison.versions["4.0"]
    if story is None:
        yield _heading("No collision in 4.0")
        other = "other --outages" if comparison.own_outages else "another --seed"
        if result.duplicate_mtsids:
            yield Text(
                f"{count(result.duplicate_mtsids, 'entrant')} got an MTSID that was live, but one of each pair had "
                f"left before the other's transfer started. Try {other}."
            )
        else:
            yield Text(WHY_NOT[result.defect or "premature-strip"].format(ids=f"{result.ids:,}", other=other))
        yield Text()
        return
    yield _heading(f"The first collision in 4.0: MTSID {story.mtsid} in the queue to {story.peer}")
    scenes = collision_scenes(story, result.defect or "", result.ids, comparison.calendar)
    yield _scenes(scenes, comparison.calendar)
    yield Text()


def _remnant(comparison: Comparison) -> Iterator[Text | Table]:
    story = comparison.remnant
    if story is None:
        return
    kind = "stuck" if story.remnant is Remnant.STUCK else "dangling"
    yield _heading(f"The first control block that 4.0 leaves {kind}: {story.handle.block}, {story.peer}'s")
    yield _scenes(remnant_scenes(story), comparison.calendar)
    yield Text()


def _explain_losses(comparison: Comparison) -> Iterator[Text]:
    result = comparison.versions["SP2"]
    losses, refused = result.events.get("4284", 0), result.events.get("1277", 0)
    if losses:
        yield _heading("Why SP2 logs 4284 and 4287 too")
        yield Text(
            f"{'That pair is' if losses == 1 else f'Those {losses:,} pairs are'} for outages: the link was down with "
            "mail queued, and every open that fails says so again. Only 4282 and 4283 tell of a duplicate MTSID; SP2 "
            "never logs them for one."
        )
    if refused:
        yield _heading("Why SP2 logs 1277 too")
        yield Text(
            f"{count(refused, 'association')} of a peer's came when no control block was idle, or when the peer had as "
            "many as it may have: a genuine refusal."
        )


def _next(comparison: Comparison) -> Iterator[Text]:
    result, trace = comparison.versions["4.0"], comparison.trace_path
    defect, ids = result.defect, result.ids
    command = "mtsid compare" + _argument("", trace)
    if comparison.seed != DEFAULT_SEED:
        command += f" --seed {comparison.seed}"
    if result.control_blocks != Policy().control_blocks:
        command += f" --control-blocks {result.control_blocks}"
    drawn = command
    command += _argument("--outages ", comparison.outages_path)
    yield _heading("Try next")
    if defect != "double-release":
        yield _command(f"{command} --defect double-release")
    if defect != "unchecked-wrap" or ids >= DEFAULT_IDS:
        yield _command(f"{command} --defect unchecked-wrap --ids 100")
    if defect != "premature-strip":
        yield _command(command)
    yield _command(f"{command} --events events.jsonl")
    if not comparison.own_outages:
        yield _command(f"{drawn} --print-outages > mine.txt")
        yield _command(f"{drawn} --outages mine.txt")
    if trace is None:
        yield _command("mtsid compare YOUR.mbox")
    yield _command("mtsid states")
    yield _command("mtsid storm --defect racy-claim")


def _lost(comparison: Comparison) -> str:
    outside, more = "", comparison.outages_outside
    if more:
        which = "1 outage lies" if more == 1 else f"{more:,} outages lie"
        outside = f" ({which} outside of the run)"
    if not comparison.outages:
        return f"No link was lost{outside}."
    down = duration(comparison.down_seconds)
    return f"A link was lost {times(len(comparison.outages))} and down for {down} in all{outside}."


def _argument(option: str, path: str | None) -> str:
    return "" if path is None else f" {option}{shlex.quote(printable(path, 1000))}"


def _command(text: str) -> Text:
    return Text(f"  {text}", no_wrap=True)
