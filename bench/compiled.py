"""What the benchmarks compile when they run. It lands in build/bench, under a name that says what it was made from."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mtsid
from bench.harness import Absent

__all__ = ["cython_module", "has_header", "shared_library"]

BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"
# The directives of mtsid's own modules, so that calls are made alike.
DIRECTIVES = ["-X", "freethreading_compatible=True", "-X", "binding=False"]


@cache
def cython_module(source: Path) -> Any:
    """Build the module if need be, against the installed mtsid, and import it."""
    include = Path(mtsid.get_include())
    headers = sorted(path for path in include.rglob("*") if path.suffix in (".pxd", ".h"))
    made_from = _digest(version("cython"), *(path.read_text("utf-8") for path in [source, *headers]))
    folder = BUILD / f"{sysconfig.get_config_var('SOABI')}-{made_from}"
    built = folder / f"{source.stem}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder)
        command = [sys.executable, "-m", "Cython.Build.Cythonize", "-q", "-i", "-3", *DIRECTIVES, source.name]
        environment = {**os.environ, "CFLAGS": f"-O3 -I{include}"}
        subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300)
    spec = importlib.util.spec_from_file_location(source.stem, built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def shared_library(source: Path, flags: Sequence[str] = ()) -> ctypes.CDLL:
    """Build the C++ or C file if need be, and load it."""
    beside = sorted(source.parent.glob("*.h"))
    made_from = _digest(*flags, *(path.read_text("utf-8") for path in [source, *beside]))
    built = BUILD / f"native-{made_from}" / f"{source.stem}.so"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        standard = "-std=gnu11" if source.suffix == ".c" else "-std=c++17"
        command = [
            _gxx(source.suffix == ".c"),
            standard,
            "-O3",
            "-DNDEBUG",
            "-fPIC",
            "-shared",
            "-pthread",
            "-Wno-attributes",
        ]
        subprocess.run([*command, "-o", str(built), str(source), *flags], check=True, timeout=300)
    return ctypes.CDLL(str(built))


@cache
def has_header(header: str, flags: Sequence[str] = ()) -> bool:
    """Does the compiler find it?"""
    command = [_gxx(), "-E", "-x", "c++", "-fsyntax-only", *flags, "-"]
    return subprocess.run(command, input=f"#include <{header}>\n", text=True, capture_output=True).returncode == 0


def _gxx(is_c: bool = False) -> str:
    found = shutil.which("gcc" if is_c else "g++")
    if found is None:
        raise Absent("no g++ here: apt-get install g++")
    return found


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
