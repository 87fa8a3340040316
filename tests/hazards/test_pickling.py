"""Pickling and copying: refused by whatever is alive, with a text that says what to do; done by what is mere data."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import mtsid
from mtsid import v40


class SubclassOfAllocator(mtsid.Allocator):
    pass


class SubclassOfQueue(mtsid.MessageQueue):  # type: ignore[type-arg]
    pass


class SubclassOfTable(mtsid.InFlightTable):  # type: ignore[type-arg]
    pass


def a_message() -> Any:
    queue: mtsid.MessageQueue[int] = mtsid.MessageQueue(1)
    queue.put(1)
    return queue.get()


ALIVE: dict[str, Callable[[], Any]] = {
    "mtsid.Allocator": lambda: mtsid.Allocator(1, 3),
    "mtsid.InFlightTable": lambda: mtsid.InFlightTable(1, 3),
    "mtsid.MessageQueue": lambda: mtsid.MessageQueue(3),
    "mtsid.Message": a_message,
    "mtsid.v40.Allocator": lambda: v40.Allocator(1, 3),
    "mtsid.v40.MessageQueue": lambda: v40.MessageQueue(3),
    "a subclass of Allocator": lambda: SubclassOfAllocator(1, 3),
    "a subclass of InFlightTable": lambda: SubclassOfTable(1, 3),
    "a subclass of MessageQueue": lambda: SubclassOfQueue(3),
}
ALIVE |= {
    "a block that receives": lambda: mtsid.MessageQueue(3).receive(),
    "a coroutine's block": lambda: mtsid.MessageQueue(3).receive_async(),
}
DATA: dict[str, Callable[[], Any]] = {
    "mtsid.AllocatorStats": lambda: mtsid.Allocator(1, 3).stats(),
    "mtsid.TableStats": lambda: mtsid.InFlightTable(1, 3).stats(),
    "mtsid.QueueStats": lambda: mtsid.MessageQueue(3).stats(),
    "mtsid.Audit": lambda: mtsid.Audit(3, 1, 1, 1, ((2, 2),), ("x",)),
    "mtsid.MtsidError": lambda: mtsid.MtsidError("x"),
    "mtsid.AuditError": lambda: mtsid.AuditError("x", audit=mtsid.Audit(3, 1, 1, 1)),
    "mtsid.Exhausted": lambda: mtsid.Exhausted("x", live=1, quarantined=2, capacity=3, wanted=4),
    "mtsid.Full": lambda: mtsid.Full("x", live=1, capacity=3, wanted=4),
    "mtsid.Empty": lambda: mtsid.Empty("x", in_flight=2),
    "mtsid.NotInUse": lambda: mtsid.NotInUse("x", refused=[1, 2]),
    "mtsid.Stale": lambda: mtsid.Stale("x", id=2),
    "mtsid.Late": lambda: mtsid.Late("x", id=2),
    "mtsid.InUse": lambda: mtsid.InUse("x", id=2),
    "mtsid.ShutDown": lambda: mtsid.ShutDown("x", discarded=["a"]),
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy of a container": lambda thing: copy.deepcopy([thing]),
    **{
        f"pickle {protocol}": partial(pickle.dumps, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def test_every_public_class_is_spoken_of_here() -> None:
    public = {
        f"{module.__name__}.{name}"
        for module in (mtsid, v40)
        for name in module.__all__
        if isinstance(getattr(module, name), type)
    }
    assert public <= ALIVE.keys() | DATA.keys()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ALIVE)
def test_what_is_alive_refuses_to_be_copied_and_says_what_to_do(name: str, way: str) -> None:
    thing = ALIVE[name]()
    with pytest.raises(TypeError, match=r"cannot be pickled or copied: .+; \w+"):
        WAYS[way](thing)
    if hasattr(thing, "audit"):
        thing.audit()


@pytest.mark.parametrize("name", DATA)
def test_what_is_data_comes_through_whole(name: str) -> None:
    """An exception must cross from a worker process to the one that asked for the work."""
    thing = DATA[name]()
    for twin in (pickle.loads(pickle.dumps(thing)), copy.copy(thing), copy.deepcopy(thing)):
        assert type(twin) is type(thing)
        assert str(twin) == str(thing)
        assert getattr(twin, "__dict__", None) == getattr(thing, "__dict__", None)


def test_a_queue_is_no_argument_of_a_spawned_process() -> None:
    process = multiprocessing.get_context("spawn").Process(target=print, args=(mtsid.MessageQueue(1),))
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        process.start()
