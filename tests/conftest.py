"""What the whole suite relies on: which mtsid is tested, and whether the GIL is on.

Continuous integration sets two variables; a run in which they do not hold ends before its first test:

MTSID_EXPECT_NOGIL=1       the GIL is off and stays off when the compiled modules and numpy are imported
MTSID_EXPECT_INSTALLED=1   mtsid comes from the environment's site-packages, not from a source tree
"""

import importlib
import os
import sys
import sysconfig
from pathlib import Path

import pytest


def compiled_modules() -> list[str]:
    """Whatever would turn the GIL on again if it lacked the free-threading flag: each compiled module, and numpy."""
    import mtsid

    package = Path(mtsid.__file__ or "").parent
    found = {(path.parent.relative_to(package.parent), path.name.split(".")[0]) for path in package.rglob("*.so")}
    names = sorted(".".join([*folder.parts, name]) for folder, name in found)
    assert "mtsid.core.queue" in names, f"{package} holds no compiled modules"
    return [*names, "numpy"]


def gil_is_on() -> bool:
    probe = getattr(sys, "_is_gil_enabled", None)
    return True if probe is None else bool(probe())


def expected(name: str) -> bool:
    return os.environ.get(name) == "1"


def pytest_report_header() -> list[str]:
    import mtsid

    return [f"mtsid: {Path(mtsid.__file__ or '').parent}, GIL {'on' if gil_is_on() else 'off'}"]


def pytest_sessionstart() -> None:
    if expected("MTSID_EXPECT_NOGIL"):
        for name in compiled_modules():
            importlib.import_module(name)
            if gil_is_on():
                pytest.exit(f"MTSID_EXPECT_NOGIL: the GIL is on after `import {name}`", returncode=1)
    if expected("MTSID_EXPECT_INSTALLED"):
        import mtsid

        places = [Path(sysconfig.get_path(kind)).resolve() for kind in ("platlib", "purelib")]
        if not any(place in Path(mtsid.__file__ or "").resolve().parents for place in places):
            pytest.exit(f"MTSID_EXPECT_INSTALLED: mtsid comes from {mtsid.__file__}", returncode=1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # A test may have imported something that turned the GIL on half way: then the rest proved nothing.
    if expected("MTSID_EXPECT_NOGIL") and gil_is_on():
        pytest.exit("MTSID_EXPECT_NOGIL: the GIL came on during the run", returncode=1)
