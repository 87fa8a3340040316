"""One file a rival. Each makes loops: functions that do some work so many times, with everything bound beforehand.

A rival is an object with a name, `called(verb)`, which names it as a side, and those of these methods for which it has
an answer:

id_pair(live=())    take an id and give it back; the ids `live` are taken already
request(live=())    something is added under a free id, and popped; the ids `live` are taken already
cycle()             a message enters, is got and leaves
flow(bound)         the same in two halves, for threads: what a producer does, what a consumer does
id_bulk(batch), cycle_bulk(batch)    so many at once
hand_off()          put, and a get that waits
create_ids(), create_queue()    make one

What must be installed for a rival is imported when a loop is made; if it is not there, that raises `Absent`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from clients import shipped

from bench.harness import Absent

__all__ = ["Rival", "package", "present"]

T = TypeVar("T")


class Rival:
    """What all have."""

    name: str

    def called(self, verb: str) -> str:
        """What it is called as a side in a comparison of that verb."""
        return self.name


def package(module: str, needs: str) -> Any:
    """Import what the extra `bench` brings; `needs` says for which interpreters it does."""
    return present(lambda: shipped(module), needs)


def present(make: Callable[[], T], needs: str) -> T:
    """Make what needs something that the extra `bench` brings; see `package`."""
    try:
        return make()
    except ImportError as error:
        raise Absent(f"not installed ({error}); {needs}") from error
