"""What a run was made with: machine, Python, libraries. Names no host."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["cores", "describe", "has_gil", "label", "title"]

LIBRARIES = ["mtsid", "numpy", "cython", "culsans", "aiologic", "ft_utils", "gmqtt", "pika", "amqp", "cassandra-driver"]
DEBIAN = ["g++", "libboost-dev", "libconcurrentqueue-dev", "libck-dev", "libtbb-dev", "libdpdk-dev"]


def has_gil() -> bool:
    """Is the GIL on, now?"""
    probe = getattr(sys, "_is_gil_enabled", None)
    return True if probe is None else bool(probe())


def label() -> str:
    """A name for files: `cpython-3.11-gil`, `cpython-3.13-nogil`."""
    gil = "gil" if has_gil() else "nogil"
    return f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}-{gil}"


def title() -> str:
    """The same for people."""
    gil = "with the GIL" if has_gil() else "without the GIL"
    return f"{platform.python_implementation()} {platform.python_version()}, {gil}"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """All of it, for the JSON file."""
    return {
        "title": title(),
        "gil": has_gil(),
        "processor": _processor(),
        "cores": cores(),
        "compiler": platform.python_compiler(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "packages": _debian(),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _debian() -> dict[str, str]:
    command = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *DEBIAN]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return {}
    found = (line.split(" ") for line in told.splitlines())
    return {words[0]: words[1] for words in found if len(words) == 2 and words[1]}
