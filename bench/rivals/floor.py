"""The floor: compiled methods without work (floor.pyx), built when the benchmarks run. Nothing in Python can cost less.

The module lands in build/bench, under a name that says what it was made from and for; so it is built once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from importlib.metadata import version
from itertools import repeat
from pathlib import Path
from typing import Any

from bench.harness import Loop

NAME = "compiled calls without work"
SOURCE = Path(__file__).with_name("floor.pyx")


@cache
def module() -> Any:
    """Build the module if need be, and import it. Needs Cython, setuptools and a C compiler."""
    made_from = hashlib.sha256(f"{version('cython')} {SOURCE.read_text()}".encode()).hexdigest()[:16]
    folder = SOURCE.parents[2] / "build" / "bench" / f"{sysconfig.get_config_var('SOABI')}-{made_from}"
    built = folder / f"floor{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE, folder)
        # The directives of mtsid's own modules, so that calls are made alike.
        directives = ["-X", "freethreading_compatible=True", "-X", "binding=False"]
        command = [sys.executable, "-m", "Cython.Build.Cythonize", "-q", "-i", "-3", *directives, SOURCE.name]
        subprocess.run(command, cwd=folder, env={**os.environ, "CFLAGS": "-O3"}, check=True, timeout=300)
    spec = importlib.util.spec_from_file_location("floor", built)
    assert spec is not None
    assert spec.loader is not None
    floor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(floor)
    return floor


def id_pair() -> Loop:
    """Two calls; one returns a fresh int, the other takes one."""
    ids = module().Ids()
    acquire, release = ids.acquire, ids.release

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            release(acquire())

    return loop


def cycle() -> Loop:
    """Three calls; one returns a fresh int, one a fresh message."""
    queue = module().Queue()
    put, get, ack = queue.put, queue.get, queue.ack
    body = object()

    def loop(n: int) -> None:
        for _ in repeat(None, n):
            put(body)
            ack(get())

    return loop
