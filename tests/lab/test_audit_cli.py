"""`mtsid audit`, as a user meets it: a child process, its two streams and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = """
import itertools
import sys
from mtsid import Allocator, v40

class Lab:
    @staticmethod
    def ids():
        return Allocator(1, 100)

class OnlyAcquire:
    def __init__(self):
        self.acquire = itertools.count().__next__

def pair():
    ids = Allocator(1, 100)
    return ids.acquire, ids.release

def counter():
    return itertools.cycle(range(100)).__next__, None

def alone():
    return itertools.count().__next__

def broken():
    raise ConnectionError("no broker\\nhere")

def empty():
    return lambda: None, None

def leaves():
    raise SystemExit

def leaves_late():
    numbers = itertools.count()
    return lambda: next(numbers) if next(numbers) < 50 else sys.exit(), None

def half():
    return Allocator().acquire, 7

def several():
    return 1, 2, 3

ids = Allocator(1, 100)
number = 7
"""

Finished = subprocess.CompletedProcess[str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SOURCES)
    (tmp_path / "faulty.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "script.py").write_text("raise SystemExit\n")
    (tmp_path / "unreadable.py").write_text("def (\n")
    return tmp_path


def mtsid_audit(place: Path, *arguments: str) -> Finished:
    # -P where there is one: the command is installed as a script, which has not the working directory on its path.
    safe = ("-P",) if sys.version_info >= (3, 11) else ()
    return subprocess.run(
        [sys.executable, *safe, "-m", "mtsid", "audit", *arguments],
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, "COLUMNS": "100"},
        timeout=120,
    )


@pytest.mark.parametrize("target", ["mine:Lab.ids", "mine:pair", "mine:ids", "mine:alone", "mine:OnlyAcquire"])
def test_whatever_a_factory_may_make_is_audited(place: Path, target: str) -> None:
    run = mtsid_audit(place, target, "--operations", "1000")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(f"mtsid audit: {target}, 4 threads, 16 ids held meanwhile\n")
    assert "No id was in use twice" in run.stdout
    assert "\x1b" not in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 100


def test_a_duplicate_is_status_1_and_a_story(place: Path) -> None:
    run = mtsid_audit(place, "mine:counter", "--operations", "1000", "--live", "3", "--threads", "1")
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.startswith("mtsid audit: mine:counter, 1 thread, 3 ids held meanwhile\n")
    assert "The first duplicate\nAcquire 1 returned id" in run.stdout


def test_a_factory_of_the_package_is_found_everywhere(tmp_path: Path) -> None:
    run = mtsid_audit(tmp_path, "mtsid:Allocator", "--operations", "100", "--timeout", "60")
    assert (run.returncode, run.stderr) == (0, "")


def test_the_figures_are_written(place: Path) -> None:
    for target, status in (("mine:pair", 0), ("mine:counter", 1)):
        run = mtsid_audit(place, target, "--operations", "1000", "--json", "r.json")
        assert (run.returncode, run.stderr) == (status, "")
        data = json.loads((place / "r.json").read_text())
        assert (data["name"], data["operations"], data["ok"]) == (target, 1000, status == 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "MODULE:FACTORY"),
        (["mine"], "'mine' should be MODULE:FACTORY"),
        (["mine:"], "should be MODULE:FACTORY"),
        (["nowhere:ids"], "cannot import 'nowhere': ModuleNotFoundError"),
        (["faulty:ids"], "cannot import 'faulty': ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        (["unreadable:ids"], "cannot import 'unreadable': SyntaxError"),
        (["mine:nothing"], "mine:nothing: there is no 'nothing' in it"),
        (["mine:Lab.nothing"], "there is no 'nothing' in it"),
        (["mine:number"], "mine:number is no function, but a 'int'"),
        (["mine:broken"], "mine:broken raised ConnectionError: no broker here"),
        (["mine:leaves"], "mine:leaves raised SystemExit"),
        (["mine:leaves_late"], "mine:leaves_late: acquire or release raised SystemExit(None)"),
        (["script:ids"], "cannot import 'script': SystemExit"),
        (["mine:several"], "must make a pair (acquire, release), or an object with these; it made a 'tuple'"),
        (["mine:half"], "acquire must be a function, and release one too, or None"),
        (["mine:empty"], "mine:empty: the first acquire returned None"),
        (["mine:pair", "--threads", "0"], "--threads"),
        (["mine:pair", "--live", "none"], "--live"),
        (["mine:pair", "--live", "9999999"], "live must be 1 to"),
        (["mine:pair", "--operations", "-1"], "--operations"),
        (["mine:pair", "--timeout", "nan"], "--timeout"),
        (["mine:pair", "--json", "-"], "--json needs a file"),
        (["mine:pair", "--json", "/no/such/folder/r.json"], "/no/such/folder/r.json"),
    ],
)
def test_bad_input_is_one_line(place: Path, arguments: list[str], words: str) -> None:
    before = sorted(path.name for path in place.iterdir())
    run = mtsid_audit(place, *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1
    assert words in run.stderr
    assert sorted(path.name for path in place.iterdir() if path.name != "__pycache__") == before
