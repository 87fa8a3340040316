"""The package compiled with edges that libFuzzer can see, and the planted fault beside it, under build/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "build"]

ROOT = Path(__file__).resolve().parents[1]
WATCHED = "-fsanitize=address -fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp"

PLANT = """
from Cython.Build import cythonize
from setuptools import Extension, setup

module = Extension("fuzz_planted", ["fuzz/fuzz_planted.pyx"], include_dirs=["src/mtsid/core"])
directives = {"language_level": 3, "binding": False, "boundscheck": False, "cdivision": True, "auto_pickle": False}
setup(
    name="planted",
    packages=[],
    py_modules=[],
    ext_modules=cythonize(
        [module], build_dir="build/fuzz/cython", include_path=["src"], compiler_directives=directives
    ),
)
"""


def _clang() -> str:
    """Clang, by its plain name or the newest of Debian's. gcc has no counters of the kind that libFuzzer reads."""
    names = ["clang", *(f"clang-{version}" for version in range(30, 12, -1))]
    for name in [os.environ.get("CLANG", ""), *names]:
        if name and shutil.which(name):
            return name
    raise RuntimeError("make fuzz needs clang: apt-get install -y clang")


def build() -> Path:
    """Compile what has changed; return the folder to import from. RuntimeError has the compiler's words."""
    place = ROOT / "build" / "fuzz"
    place.mkdir(parents=True, exist_ok=True)
    clang = _clang()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MTSID_")}
    # At link time the flag would ask for Debian's copy of the run-time; atheris brings its own.
    environment |= {"CC": f"{clang} {WATCHED}", "LDSHARED": f"{clang} -shared"}
    rest = ["-q", "build", "--build-base", str(place), "--build-lib", str(place / "lib")]
    for command in ([sys.executable, "setup.py", *rest], [sys.executable, "-c", PLANT, *rest]):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return place / "lib"
