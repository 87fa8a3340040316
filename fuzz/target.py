"""What the fuzzer calls with each input; and, by `python -m fuzz.target`, the process in which it does so."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from fuzz.allocator_session import AllocatorSession
from fuzz.queue_session import QueueSession
from fuzz.source import Session, Source

__all__ = ["main", "open_session", "run"]

#: The queue under test, as module:class; the driver names fuzz.planted's here to see whether a fault is found.
QUEUE = "MTSID_FUZZ_QUEUE"


def _queue_under_test() -> Callable[..., Any]:
    module, _, name = os.environ.get(QUEUE, "mtsid:MessageQueue").partition(":")
    kind: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return kind


def open_session(data: bytes, log: Callable[[str], object] | None = None) -> Session:
    """The first byte says what is tested; SP2 beside its models most of the time."""
    import mtsid
    from mtsid import v40

    source = Source(data)
    what = source.below(8)
    if what < 2:
        return AllocatorSession(source, mtsid.Allocator, modelled=True, log=log)
    if what < 5:
        return QueueSession(source, _queue_under_test(), modelled=True, log=log)
    if what == 5:
        return QueueSession(source, _queue_under_test(), modelled=False, reentrant=True, log=log)
    if what == 6:
        return AllocatorSession(source, v40.Allocator, modelled=False, log=log)
    return QueueSession(source, v40.MessageQueue, modelled=False, defect=True, log=log)


def run(data: bytes, log: Callable[[str], object] | None = None) -> None:
    """Do what the input says; an exception is a finding."""
    open_session(data, log).run()


def main() -> None:
    """Fuzz until libFuzzer's limits are reached. Needs its run-time preloaded, which the driver sees to."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["mtsid"]):
        package = importlib.import_module("mtsid")
        importlib.import_module("mtsid.v40")
        importlib.import_module("mtsid.core.views")
        _queue_under_test()
    # The installed build has no edges to see: fuzzing it would be blind, and look well.
    assert "build/fuzz" in str(package.__file__), package.__file__
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
