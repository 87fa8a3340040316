"""Leases beside resets, under threads: no exit frees what is another's, and no id is left behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mtsid import Allocator, Exhausted, Stale

Threads = Callable[..., None]


@pytest.mark.parametrize("threads", [2, 4, 8])
@pytest.mark.parametrize("last", [2, 40])
def test_leases_beside_resets(threads: int, last: int, run_threads: Threads) -> None:
    """Whoever holds an id of after the last reset holds it alone; in the end none is live.

    `term` is how many resets have begun, as the test counts; an owner signs with the term that he saw before, so that
    who finds a signature of the term that he is in himself has met a twin.
    """
    ids = Allocator(1, last)
    term = [0]
    done = [0]
    owner: list[tuple[int, object]] = [(-1, None)] * (last + 1)
    stale = [0]

    def lease(me: int) -> None:
        for _ in range(1500):
            try:
                with ids.lease() as id:
                    seen = term[0]
                    owner[id] = (seen, me)
                    if owner[id][1] != me:
                        assert term[0] > seen, f"{id} was leased to {me} and {owner[id]}"
            except Stale:
                stale[0] += 1
            except Exhausted:
                continue
        done[0] += 1

    def reset() -> None:
        while done[0] < threads - 1:
            term[0] += 1
            ids.reset()

    run_threads(reset, *[lambda me=me: lease(me) for me in range(threads - 1)])
    assert (len(ids), ids.available) == (0, last)
    ids._check()


def test_what_is_reserved_after_a_reset_outlives_every_lease_of_before(run_threads: Threads) -> None:
    """One thread leases the only id again and again; the other resets, takes it, and finds it his until he is done."""
    ids = Allocator(1, 1)
    done = [False]

    def lease() -> None:
        while not done[0]:
            try:
                with ids.lease():
                    pass
            except (Stale, Exhausted):
                continue

    def reset() -> None:
        try:
            for _ in range(3000):
                ids.reset()
                try:
                    ids.acquire()
                except Exhausted:
                    continue  # a new lease was quicker
                for _ in range(5):
                    assert ids.state(1) == "live"
                ids.release(1)
        finally:
            done[0] = True

    run_threads(reset, lease)
    assert len(ids) == 0


def test_a_lease_that_waits_is_not_entered_by_another(run_threads: Threads, waiting: Callable[[int], None]) -> None:
    ids = Allocator(1, 2)
    held = list(ids.acquire_many(2))
    lease = ids.lease(timeout=None)

    def wait() -> None:
        with lease as id:
            assert list(ids) == [id]

    def intrude() -> None:
        waiting(1)
        with pytest.raises(RuntimeError, match="once"):
            lease.__enter__()
        with pytest.raises(RuntimeError, match="no id yet"):
            _ = lease.id
        assert "being entered" in repr(lease)
        ids.release_many(held)

    run_threads(wait, intrude)
    assert len(ids) == 0
    with pytest.raises(RuntimeError, match="once"):
        lease.__enter__()
