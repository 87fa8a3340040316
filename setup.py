"""The compiled modules and their build switches. All metadata is in pyproject.toml.

Switches, as environment variables:

MTSID_DEBUG=1             no optimisation, assertions kept
MTSID_SANITIZE=thread     compiled with -fsanitize=thread (or address, undefined); for `make sanitize`, see stress/
MTSID_COVERAGE=1          compiled for gcov, without optimisation; for `make coverage`
MTSID_SCHEDULED=1         every atomic operation is a scheduling point; for `make schedules` alone
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCE = Path("src")
MODULES = [
    "mtsid.core.waiting",
    "mtsid.core.id_range",
    "mtsid.core.id_verbs",
    "mtsid.core.lease",
    "mtsid.core.allocator",
    "mtsid.core.table_contents",
    "mtsid.core.table",
    "mtsid.core.message",
    "mtsid.core.contents",
    "mtsid.core.verbs",
    "mtsid.core.receiving",
    "mtsid.core.queue",
    "mtsid.v40.allocator",
    "mtsid.v40.queue",
]

debug = os.environ.get("MTSID_DEBUG") == "1"
sanitize = os.environ.get("MTSID_SANITIZE", "")
coverage = os.environ.get("MTSID_COVERAGE") == "1"
scheduled = os.environ.get("MTSID_SCHEDULED") == "1"

# Under a sanitizer -O1, which keeps the accesses as they are written, and compiles in half the time.
compile_args = ["-std=c11", "-O0" if debug or coverage else "-O1" if sanitize else "-O3", "-g"]
link_args = []
macros = [] if debug else [("NDEBUG", "1")]
if sanitize:
    compile_args += [f"-fsanitize={sanitize}", "-fno-omit-frame-pointer"]
    link_args += [f"-fsanitize={sanitize}"]
if sanitize == "undefined":
    # The first report ends the program. Python's own flags make signed overflow defined; here it shall be reported.
    compile_args += ["-fno-sanitize-recover=undefined", "-fno-wrapv"]
if sanitize == "address":
    # A freed Message goes to malloc, and not into a list of ours, where its late use would not be seen.
    macros += [("CYTHON_USE_FREELISTS", "0")]
if coverage:
    compile_args += ["--coverage", "-fprofile-update=atomic"]  # threads count together
    link_args += ["--coverage"]
if scheduled:
    macros += [("MTSID_SCHEDULED", "1")]

headers = [str(path) for path in sorted(SOURCE.rglob("*.h"))]
extensions = [
    Extension(
        name,
        [str(SOURCE.joinpath(*name.split(".")).with_suffix(".pyx"))],
        include_dirs=["src/mtsid/core"],
        depends=headers,
        define_macros=macros,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )
    for name in MODULES
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        include_path=["src"],
        compiler_directives={
            "language_level": 3,
            "freethreading_compatible": True,
            "embedsignature": True,
            "embedsignature.format": "clinic",
            "binding": False,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "auto_pickle": False,
        },
    )
)
