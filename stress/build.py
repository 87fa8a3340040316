"""The sanitized builds: the package and the native stress modules, compiled with one sanitizer, each under build/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = ["ROOT", "build"]

ROOT = Path(__file__).resolve().parents[1]

#: For setuptools, in an interpreter of its own. `weakened` is `native` without memory orders.
MODULES = """
import sys
from glob import glob
from Cython.Build import cythonize
from setuptools import Extension, setup
place, core, flags = sys.argv[1], sys.argv[2], sys.argv[3:]
def module(name, *more):
    return Extension(
        "stress_" + name,
        [f"{place}/modules/stress_{name}.pyx"],
        include_dirs=[core, f"{place}/modules"],
        depends=glob(f"{core}/*.[hp]*") + glob(f"{place}/modules/*.h"),
        extra_compile_args=flags + list(more),
        extra_link_args=flags,
    )
modules = [module("native"), module("planted"), module("weakened", "-include", f"{place}/modules/weakened.h")]
setup(
    name="stress",
    ext_modules=cythonize(modules, quiet=True, include_path=[f"{place}/lib"]),
    script_args=["-q", "build_ext", f"--build-temp={place}/temp", f"--build-lib={place}/lib", "--parallel=2"],
)
"""


def _run(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ...\n{done.stdout}{done.stderr}")


def build(sanitizer: str) -> Path:
    """Compile what has changed; return the folder. Raises RuntimeError with the compiler's words if that fails.

    In the folder: `lib` for the import path, with the package, `stress_native`, `stress_planted`, `stress_weakened`.
    """
    tag = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
    place = ROOT / "build" / f"sanitized-{sanitizer}-{tag}"
    modules = place / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    here = Path(__file__).parent
    for source, name in (
        ("native.pyx", "stress_native.pyx"),
        ("native.pyx", "stress_weakened.pyx"),
        ("planted.pyx", "stress_planted.pyx"),
        ("weakened.h", "weakened.h"),
        ("objects.h", "objects.h"),
        ("references.h", "references.h"),
    ):
        shutil.copy2(here / source, modules / name)  # with its time, by which setuptools sees what has changed
    environment = {"MTSID_SANITIZE": sanitizer}
    if sanitizer == "thread" and sysconfig.get_config_var("Py_GIL_DISABLED"):
        environment["CFLAGS"] = f"{os.environ.get('CFLAGS', '')} -include {modules / 'references.h'}"
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(place), "--build-lib", str(place / "lib")]
    _run([*command, "build_ext", "--parallel=2"], **environment)
    flags = ["-O1", "-g", "-std=c11", f"-fsanitize={sanitizer}", "-fno-omit-frame-pointer"]  # those of setup.py
    if sanitizer == "undefined":
        flags += ["-fno-sanitize-recover=undefined", "-fno-wrapv"]
    # Not imported meanwhile: without its sanitizer the package cannot be.
    _run([sys.executable, "-c", MODULES, str(place), str(place / "lib" / "mtsid" / "core"), *flags], **environment)
    return place
