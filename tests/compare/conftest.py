"""How a contract's table is read: each cell of a module's TABLE is a test, `promise` by `version`, `broken` or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

#: What says that a promise was broken. Anything else, a crash above all, is a failure in every version.
BROKEN = (AssertionError, pytest.fail.Exception)


def cells(table: str) -> list[tuple[str, str, bool]]:
    head, *lines = table.strip("\n").splitlines()
    versions = head.split()
    rows = [line.split() for line in lines]
    return [(row[0], version, mark == "x") for row in rows for version, mark in zip(versions, row[1:], strict=True)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"promise", "version", "broken"} <= set(metafunc.fixturenames):
        metafunc.parametrize("promise, version, broken", cells(metafunc.module.TABLE))


@pytest.fixture
def marks(request: pytest.FixtureRequest) -> dict[str, int]:
    """How many promises each version breaks, by the table."""
    count: dict[str, int] = {}
    for _, version, broken in cells(request.module.TABLE):
        count[version] = count.get(version, 0) + broken
    return count


@pytest.fixture
def hold() -> Callable[[Callable[[Any], None], Any, bool], None]:
    """`hold(promise, make, broken)`: fail unless it is kept, or broken, as the table says."""

    def check(promise: Callable[[Any], None], make: Any, broken: bool) -> None:
        if not broken:
            promise(make)
            return
        with pytest.raises(BROKEN):
            promise(make)

    return check
