"""One call, and a world that moves between its steps.

A second thread that does a dozen things to fool the first needs a dozen changes of threads, more than any search
through schedules can bound. Here the moves are given, and each is one step for whoever looks on; what is searched is
where they come: before which of the call's atomic operations. Every placement of them, in their order, is tried.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Placed", "explore"]

_CALLBACK = ctypes.CFUNCTYPE(None)


@dataclass
class Placed:
    """What was tried: how many placements, of calls of so many steps at most; `violation` is the first, if any."""

    placements: int = 0
    longest: int = 0
    violation: str = ""
    where: tuple[int, ...] = ()  # before which of the call's steps the moves came


def explore(
    scheduler: ctypes.CDLL,
    setup: Callable[[], Any],
    call: Callable[[Any], str],
    moves: list[Callable[[Any], None]],
    sound: Callable[[Any], object] = lambda subject: None,
) -> Placed:
    """Make `call(setup())` with the moves at every place; it says what is wrong, or nothing. Stops at the first.

    `sound(subject)` is called after each one, when nothing moves any more.
    """
    placed = Placed()
    subject: Any = None
    places: tuple[int, ...] = ()
    step = done = 0

    def interfere() -> None:
        nonlocal step, done
        while done < len(places) and places[done] == step:
            moves[done](subject)
            done += 1
        step += 1

    callback = _CALLBACK(interfere)

    def search(prefix: tuple[int, ...]) -> bool:
        nonlocal subject, places, step, done
        subject, places, step, done = setup(), prefix, 0, 0
        scheduler.schedule_interfere(callback)
        try:
            violation = call(subject)
        finally:
            scheduler.schedule_interfere(_CALLBACK())
        sound(subject)
        steps = step
        if done == len(prefix):  # else the call was over before: the same as without the rest of them
            placed.placements += 1
            placed.longest = max(placed.longest, steps)
        if violation:
            placed.violation, placed.where = violation, prefix
            return False
        if len(prefix) == len(moves) or done < len(prefix):
            return True
        return all(search((*prefix, place)) for place in range(prefix[-1] if prefix else 0, steps))

    search(())
    return placed
