"""What the whole suite relies on: which mtsid is tested, and whether the GIL is on.

Continuous integration sets two variables; a run in which they do not hold ends before its first test:

MTSID_EXPECT_NOGIL=1       the GIL is off and stays off when the compiled modules and numpy are imported
MTSID_EXPECT_INSTALLED=1   mtsid comes from the environment's site-packages, not from a source tree
"""

import asyncio
import faulthandler
import gc
import importlib
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest


def compiled_modules() -> list[str]:
    """Whatever would turn the GIL on again if it lacked the free-threading flag: each compiled module, and numpy."""
    import mtsid

    package = Path(mtsid.__file__ or "").parent
    found = {(path.parent.relative_to(package.parent), path.name.split(".")[0]) for path in package.rglob("*.so")}
    names = sorted(".".join([*folder.parts, name]) for folder, name in found)
    assert "mtsid.core.queue" in names, f"{package} holds no compiled modules"
    return [*names, "numpy"]


def gil_is_on() -> bool:
    probe = getattr(sys, "_is_gil_enabled", None)
    return True if probe is None else bool(probe())


def expected(name: str) -> bool:
    return os.environ.get(name) == "1"


def pytest_report_header() -> list[str]:
    import mtsid

    return [f"mtsid: {Path(mtsid.__file__ or '').parent}, GIL {'on' if gil_is_on() else 'off'}"]


def pytest_sessionstart() -> None:
    if expected("MTSID_EXPECT_NOGIL"):
        for name in compiled_modules():
            importlib.import_module(name)
            if gil_is_on():
                pytest.exit(f"MTSID_EXPECT_NOGIL: the GIL is on after `import {name}`", returncode=1)
    if expected("MTSID_EXPECT_INSTALLED"):
        import mtsid

        places = [Path(sysconfig.get_path(kind)).resolve() for kind in ("platlib", "purelib")]
        if not any(place in Path(mtsid.__file__ or "").resolve().parents for place in places):
            pytest.exit(f"MTSID_EXPECT_INSTALLED: mtsid comes from {mtsid.__file__}", returncode=1)


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_stays() -> None:
    """Thousands of tests and reports are objects too, and would be most of what the collector looks at in a test.

    Without the GIL it looks at them all the same.
    """
    if gil_is_on():
        gc.collect()
        gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    # A test may have imported something that turned the GIL on half way: then the rest proved nothing.
    if expected("MTSID_EXPECT_NOGIL") and gil_is_on():
        pytest.exit("MTSID_EXPECT_NOGIL: the GIL came on during the run", returncode=1)


# What tests of several rooms share. Fixtures, since a test module cannot import its neighbour under importlib mode.


@pytest.fixture
def run_threads() -> Callable[..., None]:
    """`run_threads(*workers, seconds=60)`: each in a thread, all off at once; what a worker raises is raised here."""

    def run(*workers: Callable[[], object], seconds: float = 60) -> None:
        start = threading.Barrier(len(workers))
        failures: list[BaseException] = []

        def guarded(worker: Callable[[], object]) -> None:
            try:
                start.wait(seconds)
                worker()
            except BaseException as error:
                failures.append(error)

        # With a GIL, threads must change often to meet at all.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        threads = [threading.Thread(target=guarded, args=(worker,), daemon=True) for worker in workers]
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            # In short turns: once a worker has failed, the others may wait for it in vain.
            while thread.is_alive() and time.monotonic() < deadline and not failures:
                thread.join(0.1)
        sys.setswitchinterval(interval)
        if failures:
            raise failures[0]
        if any(thread.is_alive() for thread in threads):
            faulthandler.dump_traceback(all_threads=True)
            pytest.fail(f"{sum(thread.is_alive() for thread in threads)} threads are still at it after {seconds} s")

    return run


@pytest.fixture
def run_beside_collector(run_threads: Callable[..., None]) -> Callable[..., None]:
    """`run_beside_collector(*workers)`: as `run_threads`, with a thread more that collects until the last one ends."""

    def run(*workers: Callable[[], object]) -> None:
        ended: list[None] = []

        def watched(worker: Callable[[], object]) -> Callable[[], object]:
            def work() -> None:
                try:
                    worker()
                finally:
                    ended.append(None)

            return work

        def collect() -> None:
            gc.collect()
            while len(ended) < len(workers):
                time.sleep(0.001)  # without the GIL everybody stands still meanwhile
                gc.collect()

        run_threads(collect, *map(watched, workers))

    return run


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """`eventually(condition)`: poll it until it is true; fail after 30 s."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "the condition never came true"
            time.sleep(0.001)

    return wait


@pytest.fixture
def waiting(eventually: Callable[[Callable[[], bool]], None]) -> Callable[..., None]:
    """`waiting(n)`: return as soon as n threads and tasks of this test stand in some line of the library's.

    `waiting(n, or_came=results)` returns as well once something is in that list: for who waits with a time limit, which
    may be over before a busy machine lets anybody look.
    """
    # Not gc.get_objects(): it would hold objects that other threads are only just building.
    from mtsid.core.waiting import _waiters as in_line

    before = in_line()  # a test that failed may have left some behind

    def wait(threads: int, *, or_came: Sequence[object] = ()) -> None:
        eventually(lambda: in_line() - before == threads or bool(or_came))

    return wait


@pytest.fixture
def in_child(tmp_path: Path) -> Callable[..., str]:
    """`in_child(code, seconds=60)`: run it in an interpreter of its own, which must end well; what it printed."""

    def run(code: str, *, seconds: float = 60, options: tuple[str, ...] = ()) -> str:
        command = [sys.executable, "-X", "faulthandler", *options, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


class Stepped:
    """An event loop that is run turn by turn, in the test's own thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.loop.create_task(coroutine)

    def turn(self, turns: int = 1) -> None:
        for _ in range(turns):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def close(self) -> None:
        self.loop.close()


@pytest.fixture
def stepped() -> Iterator[Callable[[], Stepped]]:
    """`stepped()`: a loop with `task`, `turn` and `close`; its tasks are cancelled when the test is over."""
    made: list[Stepped] = []

    def make() -> Stepped:
        made.append(Stepped())
        return made[-1]

    yield make
    for one in made:
        if not one.loop.is_closed():
            for task in asyncio.all_tasks(one.loop):
                task.cancel()
            one.turn(3)
            one.close()


@pytest.fixture
def forget() -> Callable[[list[asyncio.Task[Any]]], None]:
    """`forget(tasks)`: drop those of a closed loop."""

    def drop(tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:  # they never end, and would say so on standard error when they are collected
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        tasks.clear()
        gc.collect()

    return drop


# The contracts of tests/compare: each cell of a module's TABLE is a test, `promise` by `version`, `broken` or not.

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
