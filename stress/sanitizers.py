"""What each sanitizer needs in order to run, what it must report if planted, and which tests it leaves out."""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SANITIZERS", "Planted", "Sanitizer"]

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@dataclass(frozen=True)
class Planted:
    """A fault on purpose: the program that has it, and what the report must say."""

    program: tuple[str, ...]
    reported: str
    builds: tuple[bool, ...] = (True, False)  # with which of (free-threaded, not) there is anything to see


@dataclass(frozen=True)
class Sanitizer:
    """How one of them runs."""

    variable: str  # of its options
    options: dict[str, str]
    planted: tuple[Planted, ...]
    runtime: str = ""  # that must be loaded before the interpreter, which is not compiled with it
    environment: dict[str, str] = field(default_factory=dict)
    suite: bool = False  # does the test suite run under it?

    def launcher(self) -> list[str]:
        """What goes before the command: gcc 12's ThreadSanitizer cannot live with too random addresses."""
        bits = Path("/proc/sys/vm/mmap_rnd_bits")
        if self.variable == "TSAN_OPTIONS" and bits.exists() and int(bits.read_text("ascii")) > 28:
            return ["setarch", platform.machine(), "--addr-no-randomize"]
        return []

    def environ(self, lib: Path, reports: Path) -> dict[str, str]:
        """The environment of a process that imports the package in `lib` and writes its reports to `reports`.PID."""
        options = {**self.options, "log_path": str(reports), "exitcode": "66"}
        preload = {}
        if self.runtime:
            compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
            command = [compiler, f"-print-file-name={self.runtime}"]
            preload = {"LD_PRELOAD": subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()}
        return {
            **{name: value for name, value in os.environ.items() if name != "PYTHON_GIL"},
            **self.environment,
            **preload,
            "PYTHONPATH": f"{lib}{os.pathsep}{lib.parents[2]}",
            "PYTHONFAULTHANDLER": "1",
            self.variable: ":".join(f"{name}={value}" for name, value in options.items()),
        }


SANITIZERS = {
    "thread": Sanitizer(
        variable="TSAN_OPTIONS",
        options={
            # What the interpreter and numpy do with memory is not judged, since how they synchronise is not seen. What
            # they do to synchronise through the C library (locks, threads, a GIL) still counts.
            "ignore_noninstrumented_modules": "1",
            "history_size": "5",  # so that a report knows the other side's stack too
            # Each line with its reason; they have nothing to match where there is a GIL.
            "suppressions": str(Path(__file__).with_name("suppressions.txt")),
            "print_suppressions": "0",
        },
        runtime="libtsan.so",
        planted=(
            Planted(("planted", "race"), "data race"),
            Planted(("planted", "unguarded"), "data race", builds=(True,)),  # a GIL guards it all the same
            Planted(("weakened",), "data race"),
        ),
    ),
    "address": Sanitizer(
        variable="ASAN_OPTIONS",
        options={
            # An interpreter ends with much unfreed on purpose (interned strings, static types, numpy). That memory does
            # not grow with use is held by tests/hazards, in a normal build.
            "detect_leaks": "0",
            "detect_stack_use_after_return": "1",
            "strict_string_checks": "1",
        },
        runtime="libasan.so",
        # Every object a block of malloc's own, so that its late use is seen; there is no such choice without a GIL.
        environment={} if FREE_THREADED else {"PYTHONMALLOC": "malloc"},
        suite=True,
        planted=(
            Planted(("planted", "overflow"), "heap-buffer-overflow"),
            Planted(("planted", "use_after_free"), "heap-use-after-free"),
            Planted(("planted", "stale_object"), "heap-use-after-free", builds=(False,)),
        ),
    ),
    "undefined": Sanitizer(
        variable="UBSAN_OPTIONS",
        options={"print_stacktrace": "1"},
        suite=True,
        planted=(
            Planted(("planted", "signed_overflow"), "signed integer overflow"),
            Planted(("planted", "shift"), "shift exponent"),
            Planted(("planted", "misaligned"), "misaligned address"),
        ),
    ),
}

#: The part of the suite that reaches the compiled code's error paths. `tests/mta` and `tests/lab` are pure Python.
SUITE = ["tests/core", "tests/v40", "tests/threads", "tests/hazards"]

#: Left out, each with its reason.
LEFT_OUT = {
    "tests/core/test_footprint.py": "weighs memory, to which a sanitizer adds its own",
    "tests/hazards/test_levels.py": "the same, and freed memory is kept back",
    "tests/hazards/test_no_address_space.py": "AddressSanitizer takes the whole address space for itself",
    "tests/hazards/test_reentrance.py::test_memory_does_not_grow_with_use": "as test_levels.py",
    "tests/hazards/test_table_hazards.py::test_references_and_memory_stay_level": "as test_levels.py",
}
