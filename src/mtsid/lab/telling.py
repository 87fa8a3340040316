"""The two stories in words: the first collision, and the first control block left behind. Scenes in order of time."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mtsid.lab.remnants import RemnantStory
from mtsid.lab.story import Repeated, Story, Twin
from mtsid.lab.wording import clock, count, duration, times
from mtsid.mta import LogEntry, Remnant, State, Way

__all__ = ["Scene", "collision_scenes", "remnant_scenes"]

#: When, and what happened; no time: it belongs to the scene before.
Scene = tuple[float | None, Text]


def collision_scenes(story: Story, defect: str, ids: int, calendar: bool) -> Iterator[Scene]:
    """Tell the first collision."""
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
                    f"down with {count(story.backlog, 'message')} in the queue:"
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
            f"Every open ends like that, {times(story.closes)} in all. {count(story.hung_messages, 'message')} "
            f"{'hangs' if story.hung_messages == 1 else 'hang'} for {duration(story.hung_seconds)}.",
            style="bold",
        ),
    )
    if story.freed is not None and story.freed.left_at is not None:
        yield story.freed.left_at, Text(_freed(story, story.freed))
    if story.later_closes:
        later = (
            f"{count(story.later_closes, 'more open')} ends"
            if story.later_closes == 1
            else (f"{count(story.later_closes, 'more open')} end")
        )
        yield None, Text(f"{later} in a collision all the same: other numbers stand for two messages as well.")
        yield story.resumed_at, Text("An open succeeds and the queue moves again.")
    else:
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


CONSEQUENCES = {
    1004: "A local retry selects the block, and its state check fails; the open is put off:",
    1277: "{peer} calls, and is refused, as it will be until a restart:",
    1008: "The connection that still stands for {peer} is given up or lost; that comes up to an idle block:",
    1198: "{peer} says a last word on the connection that still stands for it; that comes up to an idle block:",
}


def remnant_scenes(story: RemnantStory) -> Iterator[Scene]:
    """Tell the first control block that was left behind."""
    index = story.handle.block
    what = "the transport" if story.state is State.AWAIT_TRANSPORT else "the association"
    yield (
        story.lost_at,
        Text(
            f"The link to {story.peer} is lost while control block {index} waits for {what} (state "
            f"{story.state.value}). The session closes on an Open Error."
        ),
    )
    yield (
        story.back_at,
        Text(
            f"The link is back after {duration(story.back_at - story.lost_at)}, and {story.peer} answers the open that "
            "was given up: a transport event is pending."
        ),
    )
    if story.remnant is Remnant.STUCK:
        left = "not idle, the entity's path kept, the POP-4 path cut. It is stuck"
    else:
        left = "idle, the entity's path cut, the POP-4 path still live. It is dangling"
    yield (
        story.left_at,
        Text(f"The Open Error is processed, and 4.0's clean-up returns early. Control block {index}: {left}."),
    )
    yield None, Text("SP2 cleans it up in one step, and drops the answer: its generation is over.")
    for entry in story.consequences:
        yield entry.time, Text(CONSEQUENCES[entry.event.id].format(peer=story.peer))
        yield None, _event(entry)
    if story.restarted_at is not None:
        yield (
            story.restarted_at,
            Text("Opens are refused for want of a control block, and an operator restarts the MTA."),
        )
