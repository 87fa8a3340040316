"""The tests of this folder run on the scheduled build: it is loaded here, before anything imports mtsid."""

from __future__ import annotations

import ctypes

import pytest

from schedules.build import build, load

SCHEDULER: ctypes.CDLL = load(build())


@pytest.fixture(scope="session")
def scheduler() -> ctypes.CDLL:
    """The scheduler, with the scheduled mtsid on the path."""
    return SCHEDULER
