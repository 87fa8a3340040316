"""The scheduled build: the package compiled with scheduling points, and the scheduler, side by side under build/."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = ["ROOT", "build", "load"]

ROOT = Path(__file__).resolve().parents[1]


def _place() -> Path:
    if os.environ.get("MTSID_COVERAGE") == "1":
        return ROOT / "build" / "coverage-scheduled"  # compiled otherwise; of `make coverage`, which makes it anew
    return ROOT / "build" / f"scheduled-{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"


def build(source: Path = ROOT, place: Path | None = None) -> Path:
    """Compile what has changed; return the folder. Raises RuntimeError with the compiler's words if that fails."""
    place = place or _place()
    place.mkdir(parents=True, exist_ok=True)
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    include = sysconfig.get_path("include")
    scheduler = ["-O1", "-g", "-fPIC", "-shared", f"-I{include}", "-o", str(place / "scheduler.so")]
    commands = [
        [*compiler, *scheduler, str(ROOT / "schedules" / "scheduler.c"), "-lpthread"],
        [sys.executable, "setup.py", "-q", "build", "--build-base", str(place), "--build-lib", str(place / "lib")],
    ]
    for command in commands:
        done = subprocess.run(
            command, cwd=source, env={**os.environ, "MTSID_SCHEDULED": "1"}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return place


def load(place: Path) -> ctypes.CDLL:
    """Load the scheduler, then make `mtsid` the scheduled one. Before anything imports mtsid."""
    if "mtsid" in sys.modules:
        raise RuntimeError("mtsid is imported already, and it is another build")
    scheduler = ctypes.CDLL(str(place / "scheduler.so"), mode=ctypes.RTLD_GLOBAL)
    sys.path.insert(0, str(place / "lib"))
    return scheduler
