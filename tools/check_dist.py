"""Check what a source distribution and a wheel hold.

    python3 tools/check_dist.py SDIST WHEEL

The source distribution must hold every file of the checkout that somebody wrote, and none that was generated. The wheel
must hold a compiled module for each `.pyx`, every `.py`, `.pyi`, `.pxd` and header in `src`, and nothing else.
"""

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ROOMS = [".ci", "bench", "clients", "docs", "examples", "schedules", "src", "stress", "tests", "tools"]
TOP = ["pyproject.toml", "setup.py", "MANIFEST.in", "Makefile"]
TOP += ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"]
GENERATED = {".so", ".pyc"}
IN_WHEEL = {".py", ".pyi", ".pxd", ".h", ".typed"}


def written() -> set[str]:
    """The files of the checkout that somebody wrote."""
    files = {str(path) for room in ROOMS for path in Path(room).rglob("*") if path.is_file()}
    made = {"__pycache__", ".hypothesis", ".benchmarks"}
    return set(TOP) | {
        file
        for file in files
        if PurePosixPath(file).suffix not in GENERATED
        and not made & set(PurePosixPath(file).parts)
        and not any(part.endswith(".egg-info") for part in PurePosixPath(file).parts)
    }


def complaints(sdist: Path, wheel: Path) -> list[str]:
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    found = [f"{sdist.name} lacks {name}" for name in sorted(written() - inside)]
    found += [
        f"{sdist.name} holds {name}, which is generated"
        for name in sorted(inside)
        if PurePosixPath(name).suffix in GENERATED or name.startswith(("build/", "dist/"))
    ]

    with zipfile.ZipFile(wheel) as archive_:
        inside = {name for name in archive_.namelist() if not name.endswith("/")}
    package = {str(PurePosixPath(file).relative_to("src")) for file in written() if file.startswith("src/")}
    wanted = {name for name in package if PurePosixPath(name).suffix in IN_WHEEL}
    found += [f"{wheel.name} lacks {name}" for name in sorted(wanted - inside)]
    stems = {name.split(".")[0] for name in inside if name.endswith(".so")}
    sources = {name.removesuffix(".pyx") for name in package if name.endswith(".pyx")}
    found += [f"{wheel.name} lacks the compiled {name}" for name in sorted(sources - stems)]
    extra = {name for name in inside - wanted if ".dist-info/" not in name and name.split(".")[0] not in sources}
    found += [f"{wheel.name} holds {name}" for name in sorted(extra)]
    return found


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    found = complaints(Path(sys.argv[1]), Path(sys.argv[2]))
    for line in found:
        print(f"check_dist: {line}", file=sys.stderr)
    if not found:
        print("check_dist: both hold what they should")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
