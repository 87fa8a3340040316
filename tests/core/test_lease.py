"""Promises of `Allocator.lease`: an id for as long as a block runs, and never somebody else's freed."""

from __future__ import annotations

import copy
import json
import pickle
import struct
from collections.abc import Callable
from typing import Any

import pytest

from mtsid import Allocator, Exhausted, NotInUse, Stale
from mtsid.core.lease import Lease, LeasedId


class OwnError(Exception):
    pass


def block(ids: Allocator, *steps: Callable[[Any], object]) -> None:
    """A with statement whose block does so much with its id."""
    with ids.lease() as id:
        for step in steps:
            step(id)


def fail(id: int) -> None:
    raise OwnError


@pytest.fixture
def ids() -> Allocator:
    return Allocator(1, 3)


def test_the_block_has_an_id_and_gives_it_back(ids: Allocator) -> None:
    with ids.lease() as id:
        assert (id, ids.state(id), list(ids)) == (1, "live", [1])
    assert (ids.state(1), len(ids)) == ("free", 0)
    ids._check()


def test_what_the_block_has_is_an_int(ids: Allocator) -> None:
    with ids.lease() as id:
        assert isinstance(id, int)
        assert (f"{id}", id + 1, {1: "x"}[id], struct.pack("!H", id), json.dumps(id)) == ("1", 2, "x", b"\0\1", "1")
        assert type(id.id) is int
        ids.release(id)
        ids.reserve(id)


@pytest.mark.parametrize("last", [2**31 - 1, 2**31, 2**32 - 1])
def test_an_id_beyond_half_the_range_can_be_leased(last: int) -> None:
    ids = Allocator(last, last)
    with ids.lease() as id:
        assert (id, id.id, ids.state(last)) == (last, last, "live")
    assert len(ids) == 0


def test_nothing_is_taken_before_the_block_is_entered(ids: Allocator) -> None:
    lease = ids.lease()
    assert len(ids) == 0
    with pytest.raises(RuntimeError, match="no id yet"):
        _ = lease.id
    with lease as id:
        assert lease.id == id == 1
        assert "id 1, held" in repr(lease)
    assert "id 1, over" in repr(lease)


def test_an_exception_of_the_block_gives_the_id_back_and_comes_through(ids: Allocator) -> None:
    with pytest.raises(OwnError), ids.lease():
        raise OwnError
    assert len(ids) == 0


@pytest.mark.parametrize("through", ["id", "lease"])
def test_an_id_that_was_kept_stays_live(ids: Allocator, through: str) -> None:
    lease = ids.lease()
    with lease as id:
        (id if through == "id" else lease).keep()
        lease.keep()
    assert list(ids) == [1]
    ids.release(1)
    with pytest.raises(OwnError):
        block(ids, LeasedId.keep, fail)
    assert list(ids) == [2]


def test_without_a_free_id_the_block_does_not_begin(ids: Allocator) -> None:
    ids.acquire_many(3)
    for timeout in (0.0, 0.001):
        with pytest.raises(Exhausted), ids.lease(timeout):
            pytest.fail("the block began")


def test_a_lease_that_got_nothing_may_be_entered_again(ids: Allocator) -> None:
    lease = ids.lease()
    held = ids.acquire_many(3)
    with pytest.raises(Exhausted):
        lease.__enter__()
    ids.release(held[0])
    with lease as id:
        assert id == held[0]


def test_a_lease_is_entered_once(ids: Allocator) -> None:
    lease = ids.lease()
    with lease, pytest.raises(RuntimeError, match="once"):
        lease.__enter__()
    with pytest.raises(RuntimeError, match="once"):
        lease.__enter__()
    assert len(ids) == 0


def test_a_lease_that_holds_nothing_keeps_nothing(ids: Allocator) -> None:
    lease = ids.lease()
    with pytest.raises(RuntimeError, match="inside"):
        lease.keep()
    lease.__exit__(None, None, None)
    with ids.lease() as id:
        pass
    with pytest.raises(RuntimeError, match="inside"):
        id.keep()
    assert len(ids) == 0


# After a reset ----------------------------------------------------------------------------------------------------


def test_after_a_reset_the_exit_frees_nobody_elses_id_and_says_so(ids: Allocator) -> None:
    with pytest.raises(Stale) as caught:
        block(ids, lambda id: ids.reset(), ids.reserve)  # that is somebody else's
    assert caught.value.id == 1
    assert list(ids) == [1]


def test_after_a_reset_an_exception_of_the_block_is_not_hidden(ids: Allocator) -> None:
    with pytest.raises(OwnError):
        block(ids, lambda id: ids.reset(), ids.reserve, fail)
    assert list(ids) == [1]


def test_after_a_reset_nothing_can_be_kept(ids: Allocator) -> None:
    with pytest.raises(Stale, match="not kept"):
        block(ids, lambda id: ids.reset(), LeasedId.keep)
    assert len(ids) == 0


def test_what_was_kept_before_a_reset_is_left_alone_at_the_exit(ids: Allocator) -> None:
    with ids.lease() as id:
        id.keep()
        ids.reset()
        ids.reserve(1)
    assert list(ids) == [1]


def test_a_lease_of_after_a_reset_is_as_good_as_any(ids: Allocator) -> None:
    seen: list[int] = []
    with pytest.raises(Stale):
        block(ids, lambda id: ids.reset(), lambda id: block(ids, seen.append), lambda id: seen.append(len(ids)))
    assert (seen, len(ids)) == ([2, 0], 0)


# What else a block may do -----------------------------------------------------------------------------------------


def test_a_block_that_has_released_its_id_is_told(ids: Allocator) -> None:
    with pytest.raises(NotInUse, match="released it already") as caught:
        block(ids, ids.release)
    assert not isinstance(caught.value, Stale)
    with pytest.raises(OwnError):
        block(ids, ids.release, fail)


def test_an_id_that_the_block_put_in_quarantine_stays_there(ids: Allocator) -> None:
    with pytest.raises(OwnError):
        block(ids, ids.quarantine, fail)  # a request that timed out: its answer may yet come
    block(ids, ids.quarantine)
    assert [ids.state(id) for id in (1, 2, 3)] == ["quarantined", "quarantined", "free"]
    ids._check()


# An object among others -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_lease_is_not_copied_and_its_id_is_copied_as_an_int(ids: Allocator, way: Callable[[Any], Any]) -> None:
    lease = ids.lease()
    with lease as id:
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            way(lease)
        twin = pickle.loads(way(id)) if way is pickle.dumps else way(id)
        assert (type(twin), twin) == (int, 1)
    assert len(ids) == 0


def test_a_lease_is_not_made_by_hand() -> None:
    with pytest.raises(TypeError, match="by hand"):
        Lease()
    with pytest.raises(RuntimeError):
        Lease.__new__(Lease).__enter__()


def test_a_lease_keeps_its_allocator() -> None:
    with Allocator(1, 1).lease() as id:
        assert id == 1
