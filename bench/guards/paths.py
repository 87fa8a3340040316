"""The hot paths, each as a loop; run under valgrind by counts.py, which counts a short run and a long one of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from bench.compiled import cython_module
from bench.harness import IDS, Loop
from bench.rivals.sp2 import SP2
from mtsid import Allocator

__all__ = ["PATHS", "PLANTED", "main"]

HERE = Path(__file__).parent
IDS_MODULE = HERE.parent / "native" / "ids.pyx"
PLANTED = "planted: acquire + release, with a look"


@dataclass(frozen=True)
class HotPath:
    """A loop that is made when it is run, and how often a short and a long run repeat it."""

    make: Callable[[], Loop]
    short: int
    long: int


def native() -> Loop:
    """acquire_id + release_id, from compiled code."""
    ids, run = Allocator(1, IDS), cython_module(IDS_MODULE).run

    def loop(n: int) -> None:
        assert run(ids, n) == 0

    return loop


def planted() -> Loop:
    """What a slower acquire + release would be: it also looks whether the id is live."""
    ids = Allocator(1, IDS)
    acquire, release = ids.acquire, ids.release

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            number = acquire()
            assert number in ids
            release(number)

    return loop


# Multiples of 32 single ids and of 1,000 in bulk, so that each run has its share of full leaves.
PATHS = {
    "acquire + release": HotPath(SP2.id_pair, 320, 3520),
    "put + get + ack": HotPath(SP2.cycle, 320, 3520),
    "acquire_id + release_id": HotPath(native, 320, 3520),
    "acquire_many + release_many of 1,000, an id": HotPath(lambda: SP2.id_bulk(1000), 4000, 24000),
    "put_many + get_many + ack_many of 100, a message": HotPath(lambda: SP2.cycle_bulk(100), 400, 3600),
    PLANTED: HotPath(planted, 320, 3520),
}


def main() -> None:
    """Run each once to warm it up, then short and long, with a mark after each."""
    marks = cython_module(HERE / "marks.pyx")
    for name, path in PATHS.items():
        loop = path.make()
        loop(path.long)
        marks.zero()
        for length in ("short", "long"):
            loop(getattr(path, length))
            marks.dump(f"{length} {name}".encode())


if __name__ == "__main__":
    main()
