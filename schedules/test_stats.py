"""In the scheduled build versions begin just before their 32 bits are full: what is counted by them goes on."""

from __future__ import annotations

import ctypes

from mtsid import Allocator


def test_releases_are_counted_past_the_wrap_of_a_version(scheduler: ctypes.CDLL) -> None:
    ids = Allocator(1, 100)
    for released in range(1, 6):
        ids.release(ids.acquire())
        assert ids.stats().released == released
    ids.release_many(ids.acquire_many(90))
    for id in ids.acquire_many(40).tolist():
        ids.quarantine(id)
        ids.release(id)
    ids.resize(50)
    ids.resize(100)
    assert (ids.stats().released, ids.stats().acquired) == (135, 135)
    ids._check()
