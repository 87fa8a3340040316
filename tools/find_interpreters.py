"""Print the oldest and the newest CPython at hand that the package supports, one `version path` a line.

Looks at the names python3.N on PATH and at pyenv's versions. What was found, and what was passed over and why, goes to
standard error. Free-threaded builds and pre-releases are passed over: the first are tested apart, for the second the
dependencies have no wheels yet.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROBE = """
import ensurepip, json, os, platform, sys, sysconfig, venv
print(json.dumps({
    "version": sys.version_info[:3],
    "path": os.path.realpath(sys.executable),
    "implementation": platform.python_implementation(),
    "final": sys.version_info.releaselevel == "final",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
}))
"""


def oldest_minor() -> int:
    found = re.search(r'^requires-python = ">=3\.(\d+)"', Path("pyproject.toml").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit("find_interpreters: pyproject.toml states no requires-python")
    return int(found.group(1))


def candidates(first: int) -> list[str]:
    names = [f"python3.{minor}" for minor in range(first, 30)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    paths = [shutil.which(name) for name in names]
    paths += [str(path) for name in names for path in sorted(pyenv.glob(f"versions/*/bin/{name}"))]
    return [path for path in paths if path]


def probe(path: str) -> dict[str, Any] | str:
    """What the interpreter says of itself, or why it cannot be used."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", PROBE], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}"
    if done.returncode != 0:
        return f"does not run: {(done.stderr.strip().splitlines() or ['no message'])[0]}"
    found: dict[str, Any] = json.loads(done.stdout)
    if found["implementation"] != "CPython":
        return f"{found['implementation']}, not CPython"
    if not found["final"]:
        return "a pre-release"
    if found["free_threaded"]:
        return "free-threaded: tested apart"
    if not found["headers"]:
        return "has no Python.h: nothing can be compiled for it"
    return found


def main() -> int:
    usable: dict[str, tuple[int, ...]] = {}
    for path in candidates(oldest_minor()):
        found = probe(path)
        if isinstance(found, str):
            print(f"passed over {path}: {found}", file=sys.stderr)
        else:
            usable.setdefault(found["path"], tuple(found["version"]))
    if not usable:
        print("find_interpreters: no usable CPython at hand", file=sys.stderr)
        return 1
    ranked = sorted((version, path) for path, version in usable.items())
    for version, path in ranked:
        print(f"found {'.'.join(map(str, version))} {path}", file=sys.stderr)
    for version, path in dict.fromkeys([ranked[0], ranked[-1]]):
        print(".".join(map(str, version)), path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
