"""Make the virtual environment that the Makefile works in, or keep the one that is there if it still fits.

    python3 tools/prepare_environment.py DIRECTORY

Writes DIRECTORY/interpreter and DIRECTORY/switches, and only if their content changes, so that make can compare times.
Says in one line what the machine lacks.
"""

# For Python 3.7: it must run far enough to say that it is too old.
from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SWITCHES = ["MTSID_DEBUG", "MTSID_SANITIZE", "MTSID_COVERAGE", "CC", "CFLAGS", "LDFLAGS"]


def oldest_python() -> tuple[int, ...]:
    """The `requires-python` of pyproject.toml, which is the only place that states it."""
    found = re.search(r'^requires-python = ">=(\d+)\.(\d+)"', Path("pyproject.toml").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit("make: pyproject.toml states no requires-python")
    return tuple(int(part) for part in found.groups())


def complaint() -> str | None:
    """What this machine lacks, as one line that says what to do; None if it lacks nothing."""
    oldest = oldest_python()
    if sys.version_info[:2] < oldest:
        mine, wanted = (".".join(map(str, version)) for version in (sys.version_info[:2], oldest))
        return f"{sys.executable} is Python {mine}, mtsid needs {wanted} or later: say PYTHON=..."

    missing = []
    packages = []
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        missing.append("venv")
        packages.append("python3-venv")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("its headers (Python.h)")
        packages.append("python3-dev")
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        missing.append(f"a C compiler ({compiler})")
        packages += ["gcc", "libc6-dev"]
    if not missing:
        return None
    remedy = f"apt-get install -y {' '.join(packages)}"
    if not os.path.realpath(sys.executable).startswith("/usr/bin/"):
        remedy += " serves Debian's own python3; complete this one by its own means, or say PYTHON=..."
    return f"{sys.executable} lacks {', '.join(missing)}: {remedy}"


def write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    # Called from within an environment, perhaps from this very one: its base is what counts, and what survives.
    python = str(getattr(sys, "_base_executable", None) or sys.executable)
    # The place belongs to it because an environment cannot be moved.
    identity = "\n".join([os.path.realpath(python), sys.version, os.path.realpath(directory), ""])
    stamp = directory / "interpreter"
    if not stamp.exists() or stamp.read_text("utf-8") != identity:
        problem = complaint()
        if problem:
            print(f"make: {problem}", file=sys.stderr)
            return 1
        print(f"making {directory} for Python {sys.version.split()[0]} ({python})", flush=True)
        if subprocess.call([python, "-m", "venv", "--clear", str(directory)]) != 0:
            return 1
        stamp.write_text(identity, "utf-8")
    write_if_changed(directory / "switches", "".join(f"{name}={os.environ.get(name, '')}\n" for name in SWITCHES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
