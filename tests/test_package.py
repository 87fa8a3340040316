"""The package as its users meet it: names, what an import costs, types, headers for `cimport`, docstring examples."""

from __future__ import annotations

import doctest
import importlib
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

import mtsid
from mtsid import v40

ERRORS = {
    "AuditError": (),
    "Empty": (),
    "Exhausted": (),
    "Full": ("Exhausted",),
    "InUse": (),
    "Late": ("NotInUse",),
    "MtsidError": (),
    "NotInUse": (),
    "ShutDown": (),
    "Stale": ("NotInUse",),
}
VERBS = {
    "Allocator": "acquire release reserve acquire_many release_many reserve_many state reset capacity available",
    "MessageQueue": "put get ack nack put_nowait get_nowait put_many get_many ack_many peek delete qsize in_flight "
    "empty full join shutdown snapshot audit",
    "Message": "mtsid body deliveries priority",
}
#: What 4.0 has not.
VERBS_OF_SP2 = {
    "Allocator": "acquire_async quarantine lease resize stats",
    "MessageQueue": "put_async get_async receive receive_async stats",
}
CLIENT = """
# cython: language_level=3, freethreading_compatible=True
from libc.stdint cimport int64_t, uint32_t
from mtsid.core.allocator cimport EXHAUSTED, LIVE, NOT_LIVE, Allocator

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    int pthread_create(pthread_t*, void*, void* (*)(void*) noexcept nogil, void*)
    int pthread_join(pthread_t, void**)

cdef enum:
    HELD = 8
    LAST = 64

cdef struct Job:
    void* ids
    int rounds
    int me
    int* owner
    long twins
    long acquired

cdef void* work(void* argument) noexcept nogil:
    cdef Job* job = <Job*> argument
    cdef int64_t[HELD] held
    cdef int i, n
    for n in range(job.rounds):
        for i in range(HELD):
            held[i] = (<Allocator> job.ids).acquire_id()
            if held[i] == EXHAUSTED:
                job.twins += 1
                return NULL
            job.acquired += 1
            job.owner[held[i]] = job.me
        for i in range(HELD):
            if job.owner[held[i]] != job.me:
                job.twins += 1
            if (<Allocator> job.ids).release_id(<uint32_t> held[i]) != 0:
                job.twins += 1
    return NULL

def two_threads(Allocator ids, int rounds):
    cdef pthread_t[2] threads
    cdef Job[2] jobs
    cdef int[LAST + 1] owner
    cdef int i
    for i in range(2):
        jobs[i].ids = <void*> ids
        jobs[i].rounds = rounds
        jobs[i].me = i + 1
        jobs[i].owner = owner
        jobs[i].twins = jobs[i].acquired = 0
    with nogil:
        for i in range(2):
            pthread_create(&threads[i], NULL, work, &jobs[i])
        for i in range(2):
            pthread_join(threads[i], NULL)
    return jobs[0].twins + jobs[1].twins, jobs[0].acquired + jobs[1].acquired

def codes(Allocator ids, uint32_t inside, uint32_t outside):
    "What each native call answers, by name."
    names = {EXHAUSTED: "EXHAUSTED", LIVE: "LIVE", NOT_LIVE: "NOT_LIVE"}
    seen = [ids.reserve_id(inside), ids.reserve_id(inside), ids.reserve_id(outside), ids.release_id(outside),
            ids.release_id(inside), ids.release_id(inside)]
    return [names.get(code, code) for code in seen]

def release(Allocator ids, uint32_t id):
    cdef int64_t code
    with nogil:
        code = ids.release_id(id)
    return code

def acquire(Allocator ids):
    cdef int64_t id
    with nogil:
        id = ids.acquire_id()
    return id

def reserve(Allocator ids, uint32_t id):
    cdef int64_t code
    with nogil:
        code = ids.reserve_id(id)
    return code
"""
BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
import mtsid
setup(
    name="client",
    ext_modules=cythonize([Extension("client", ["client.pyx"], include_dirs=[mtsid.get_include()])], quiet=True),
    script_args=["-q", "build_ext", "--inplace"],
)
"""


@pytest.mark.parametrize("name", [*ERRORS, *VERBS, "get_include"])
def test_the_public_names_are_exported(name: str) -> None:
    assert name in mtsid.__all__
    assert hasattr(mtsid, name)


def test_everything_exported_is_there() -> None:
    for module in (mtsid, v40):
        assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_of_the_family(error: str) -> None:
    for base in ("MtsidError", *ERRORS[error]):
        assert issubclass(getattr(mtsid, error), getattr(mtsid, base))


def test_a_wrong_id_is_a_value_error_and_a_key_error() -> None:
    assert issubclass(mtsid.NotInUse, (ValueError, KeyError))
    assert issubclass(mtsid.NotInUse, ValueError)
    assert issubclass(mtsid.InUse, ValueError)


@pytest.mark.parametrize("kind", VERBS)
def test_each_class_has_its_verbs_each_with_a_docstring(kind: str) -> None:
    for verb in VERBS[kind].split():
        if (kind, verb) != ("Message", "body"):
            assert getattr(getattr(mtsid, kind), verb).__doc__, verb


@pytest.mark.parametrize(
    ("kind", "verb"), [(kind, verb) for kind in VERBS_OF_SP2 for verb in VERBS_OF_SP2[kind].split()]
)
def test_so_has_each_verb_of_sp2_alone(kind: str, verb: str) -> None:
    assert getattr(getattr(mtsid, kind), verb).__doc__
    assert not hasattr(getattr(v40, kind), verb)


@pytest.mark.parametrize("kind", ["Allocator", "MessageQueue"])
def test_4_0_has_the_same_verbs(kind: str) -> None:
    for verb in VERBS[kind].split():
        assert hasattr(getattr(v40, kind), verb), verb


@pytest.mark.parametrize(
    "module", ["numpy", "rich", "simpy", "asyncio", "mtsid.v40", "mtsid.lab", "mtsid.mta", "mtsid.integrations"]
)
def test_an_import_of_mtsid_does_not_import(module: str, in_child: Callable[..., str]) -> None:
    in_child(f"import sys, mtsid; assert {module!r} not in sys.modules, sorted(sys.modules)")


def test_single_ids_and_messages_need_no_numpy(in_child: Callable[..., str]) -> None:
    in_child(
        """
import sys, mtsid
ids, queue = mtsid.Allocator(), mtsid.MessageQueue()
ids.release(ids.acquire())
queue.put("a")
queue.nack(queue.get())
queue.ack_many(queue.get_many(5))
queue.audit(), queue.shutdown(), repr(queue), list(ids)
assert "numpy" not in sys.modules
ids.acquire_many(1)
assert "numpy" in sys.modules
"""
    )


def test_the_package_is_typed() -> None:
    package = Path(mtsid.__file__ or "").parent
    assert (package / "py.typed").exists()
    for name in (
        "core/allocator",
        "core/id_range",
        "core/id_verbs",
        "core/lease",
        "core/message",
        "core/queue",
        "v40/allocator",
        "v40/queue",
    ):
        assert (package / f"{name}.pyi").exists(), name


def test_the_headers_for_cimport_are_installed() -> None:
    package = Path(mtsid.__file__ or "").parent
    assert (Path(mtsid.get_include()) / "atomic.h").exists()
    for name in (
        "__init__.pxd",
        "core/__init__.pxd",
        "core/allocator.pxd",
        "core/id_verbs.pxd",
        "core/bitmap.pxd",
        "core/atomic.pxd",
    ):
        assert (package / name).exists(), name


@pytest.mark.parametrize(
    "name",
    ["core.allocator", "core.id_range", "core.id_verbs", "core.message", "core.queue", "v40.allocator", "v40.queue"],
)
def test_the_examples_in_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"mtsid.{name}")
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner()
    names = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == module.__name__]
    examples = [example for thing in names for example in finder.find(thing, globs=vars(module).copy())]
    for example in examples:
        runner.run(example)
    results = runner.summarize()
    assert results.failed == 0
    assert results.attempted or name == "core.message"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a compiled client of the native allocator."""
    import subprocess

    pytest.importorskip("Cython", reason="compiles a client")
    place = tmp_path_factory.mktemp("client")
    (place / "client.pyx").write_text(CLIENT)
    (place / "build.py").write_text(BUILD)
    built = subprocess.run([sys.executable, "build.py"], cwd=place, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert list(place.glob(f"client*{sysconfig.get_config_var('EXT_SUFFIX')}"))
    return place


def test_two_native_threads_without_the_gil_never_share_an_id(client: Path, in_child: Callable[..., str]) -> None:
    in_child(
        f"""
import sys
sys.path.insert(0, {str(client)!r})
import client, mtsid
ids = mtsid.Allocator(1, 64)
assert client.two_threads(ids, 500_000) == (0, 2 * 8 * 500_000)
assert list(ids) == []
ids._check()
"""
    )


def test_native_calls_answer_in_codes(client: Path, in_child: Callable[..., str]) -> None:
    in_child(
        f"""
import sys
sys.path.insert(0, {str(client)!r})
import client, mtsid
ids = mtsid.Allocator(5, 64, exclude=[9])
for outside in (4, 9, 65, 2**32 - 1):
    assert client.codes(ids, 6, outside) == [0, "LIVE", "NOT_LIVE", "NOT_LIVE", 0, "NOT_LIVE"]
"""
    )


def test_a_native_release_wakes_a_python_thread(client: Path, in_child: Callable[..., str]) -> None:
    in_child(
        f"""
import sys, threading, time
sys.path.insert(0, {str(client)!r})
import client, mtsid
from mtsid.core.waiting import _waiters
ids = mtsid.Allocator(1, 1)
ids.acquire()
thread = threading.Thread(target=ids.acquire, args=(None,), daemon=True)
thread.start()
while not _waiters():
    time.sleep(0.001)
client.release(ids, 1)
thread.join(20)
assert not thread.is_alive()
"""
    )


def test_native_calls_know_of_quarantine(client: Path, in_child: Callable[..., str]) -> None:
    in_child(
        f"""
import sys
sys.path.insert(0, {str(client)!r})
import client, mtsid
from mtsid.core.waiting import _advance_clock
EXHAUSTED, NOT_LIVE, LIVE = -1, -2, -3
ids = mtsid.Allocator(1, 2)
assert client.acquire(ids) == 1 and client.acquire(ids) == 2
ids.quarantine(1), ids.quarantine(2, 3600)
assert (client.acquire(ids), client.reserve(ids, 1)) == (EXHAUSTED, LIVE)
assert (client.release(ids, 1), client.release(ids, 1)) == (0, NOT_LIVE)
assert (client.acquire(ids), client.acquire(ids)) == (1, EXHAUSTED)
_advance_clock(3600)
assert (client.release(ids, 2), client.reserve(ids, 2), client.reserve(ids, 2)) == (NOT_LIVE, 0, LIVE)
ids.quarantine(2, 3600)
_advance_clock(3600)
assert (client.acquire(ids), client.acquire(ids)) == (2, EXHAUSTED)
ids._check()
"""
    )


def test_a_native_release_of_a_quarantined_id_wakes_a_python_thread(client: Path, in_child: Callable[..., str]) -> None:
    in_child(
        f"""
import sys, threading, time
sys.path.insert(0, {str(client)!r})
import client, mtsid
from mtsid.core.waiting import _waiters
ids = mtsid.Allocator(1, 1)
ids.quarantine(ids.acquire())
thread = threading.Thread(target=ids.acquire, args=(None,), daemon=True)
thread.start()
while not _waiters():
    time.sleep(0.001)
client.release(ids, 1)
thread.join(20)
assert not thread.is_alive()
"""
    )
