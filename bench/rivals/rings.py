"""Native rings of ids: C and C++ libraries' queues as free lists, compiled when they are used (bench/native)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.compiled import cython_module, has_header, shared_library
from bench.harness import Absent, Side
from mtsid import Allocator

__all__ = ["RINGS", "Ring", "allocator", "turns"]

NATIVE = Path(__file__).resolve().parents[1] / "native"
DPDK = ("-I/usr/include/dpdk", "-I/usr/include/x86_64-linux-gnu/dpdk", "-include", "rte_config.h", "-march=corei7")


CHUNK = 512  # threads.cpp
TRIES = 10
ENOUGH = 20  # turns that failed in spite of that: the machine is too busy, and trying only takes time
STILL = 0.15  # a thread that stood still for a larger share of a turn did not run beside the other

#: How many turns of several threads there were, and in how many they did not run side by side, whatever the tries.
turns = {"all": 0, "not side by side": 0}


@cache
def runner() -> Any:
    """What runs work in native threads."""
    run = shared_library(NATIVE / "threads.cpp").run
    run.restype = ctypes.c_double
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int64, ctypes.POINTER(ctypes.c_double)]
    return run


def native(name: str, work: int, state: int, owner: Any, threads: int, goal: str | None) -> Side:
    """A side of native threads; its cost is the time for one pair in all, whoever did it. It keeps `owner` alive.

    On a busy machine two threads may get one core between them. Such a turn says nothing of threads and is done again.
    """
    run = runner()

    def turn(n: int, owner: Any = owner) -> float:
        chunks = max(1, n // CHUNK)
        idle = ctypes.c_double()
        tries = 0
        most = TRIES if turns["not side by side"] < ENOUGH else 1
        while True:
            took = run(work, state, threads, chunks, ctypes.byref(idle))
            tries += 1
            assert took >= 0, f"{name}: an operation failed"
            if threads == 1 or idle.value < STILL or tries == most:
                break
        turns["all"] += threads > 1
        turns["not side by side"] += threads > 1 and idle.value >= STILL
        return float(took) * n / (chunks * CHUNK)

    return Side(name, turn, goal)


def allocator(ids: int, threads: int, name: str = "mtsid", goal: str | None = None) -> Side:
    """The library's own native calls."""
    module = cython_module(NATIVE / "ids.pyx")
    owner = Allocator(1, ids)
    return native(name, module.work(), module.state(owner), owner, threads, goal)


@dataclass(frozen=True)
class Ring:
    """A library's ring, its header, and the Debian package that has it."""

    name: str
    source: str
    header: str
    package: str
    flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    def side(self, ids: int, threads: int, goal: str | None = None) -> Side:
        """As a free list of so many ids."""
        if not has_header(self.header, self.flags):
            raise Absent(f"no <{self.header}>: apt-get install {self.package}")
        library = shared_library(NATIVE / self.source, (*self.flags, *self.libraries))
        library.make.restype = ctypes.c_void_p
        library.make.argtypes = [ctypes.c_uint32]
        library.destroy.argtypes = [ctypes.c_void_p]
        owner = _Made(library, library.make(ids))
        work = ctypes.cast(library.pairs, ctypes.c_void_p).value
        assert work is not None
        return native(self.name, work, owner.address, owner, threads, goal)


class _Made:
    """A free list, unmade when nobody has it."""

    def __init__(self, library: Any, address: int) -> None:
        self.functions, self.address = library, address

    def __del__(self) -> None:
        self.functions.destroy(self.address)


RINGS = [
    Ring("Boost.Lockfree queue", "boost.cpp", "boost/lockfree/queue.hpp", "libboost-dev"),
    Ring("moodycamel", "moodycamel.cpp", "concurrentqueue/concurrentqueue.h", "libconcurrentqueue-dev"),
    Ring("ck_ring", "ck.c", "ck_ring.h", "libck-dev"),
    Ring("oneTBB concurrent_queue", "tbb.cpp", "oneapi/tbb/concurrent_queue.h", "libtbb-dev", (), ("-ltbb",)),
    Ring("DPDK rte_ring", "dpdk.cpp", "rte_ring.h", "libdpdk-dev", DPDK, ("-lrte_ring", "-lrte_eal")),
]
