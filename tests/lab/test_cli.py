"""The command line, as a user meets it: a child process, its two streams and its exit status."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EVENTS = (1004, 1008, 1198, 1277, 4282, 4283, 4284, 4287)

TRACE = "".join(f"user{n % 9} user{n % 7} {n * 3}\n" for n in range(400))


Finished = subprocess.CompletedProcess[str]


def mtsid(*arguments: str | os.PathLike[str], cwd: Path | None = None, stdin: str = "", **env: str) -> Finished:
    return subprocess.run(
        [sys.executable, "-m", "mtsid", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80", **env},
        timeout=120,
    )


def refused(run: Finished, *words: str) -> bool:
    """Whether the run ended with status 2, one line that holds `words`, and nothing on standard output."""
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert run.stderr.endswith("\n")
    assert "Traceback" not in run.stderr
    for word in words:
        assert word in run.stderr
    return True


def test_compare_without_a_trace_tells_the_story() -> None:
    run = mtsid("compare")
    assert (run.returncode, run.stderr) == (0, "")
    for words in (
        "a generated working day",
        "duplicate MTSIDs",
        "Outages, drawn from the seed",
        "The first collision",
        "4282 An interop",
        "The first control block that 4.0 leaves stuck",
        "1004 An error",
        "1277 An interop",
        "Try next",
    ):
        assert words in run.stdout
    assert "\x1b" not in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert mtsid("compare").stdout == run.stdout


def test_compare_writes_json_events_and_html(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(TRACE)
    files = ("--json", "r.json", "--events", "e.jsonl", "--html", "r.html")
    run = mtsid("compare", trace, "--seed", "3", *files, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    data = json.loads((tmp_path / "r.json").read_text())
    assert (data["trace"], data["seed"]) == (str(trace), 3)
    for result in data["versions"].values():
        assert result["messages"] == 400 == result["delivered"] + result["non_delivered"] + result["still_queued"]
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert events
    for event in events:
        assert set(event) >= {"time", "version", "id", "category", "text", "tag"}
        assert event["text"].endswith(event["tag"])
        assert ("Error code=" in event["text"]) == (event["id"] > 4000)
    assert {event["version"] for event in events} == {"4.0", "SP2"}
    for version, result in data["versions"].items():
        ids = [event["id"] for event in events if event["version"] == version]
        assert {str(id): ids.count(id) for id in EVENTS} == result["events"]
    assert "duplicate MTSIDs" in (tmp_path / "r.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.jsonl", "r.html", "r.json", "trace"]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run = mtsid("compare", "--seed", "9", "--json", tmp_path / name, PYTHONHASHSEED=str(ord(name)))
        assert run.returncode == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_compare_reads_standard_input(tmp_path: Path) -> None:
    run = mtsid("compare", "-", "--json", tmp_path / "r.json", stdin=TRACE)
    assert run.returncode == 0
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["trace"] == "standard input"
    assert data["versions"]["SP2"]["messages"] == 400


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a b\n", ["trace: line 1: 2 fields"]),
        ("a b 1\na b x\n", ["trace: line 2:", "number of seconds"]),
        ("a b 2\na b 1\n", ["trace: line 2:", "backwards"]),
        ("", ["trace: empty"]),
    ],
)
def test_a_broken_trace_is_one_line(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "trace"
    path.write_text(content)
    results = tmp_path / "r.json"
    assert refused(mtsid("compare", path, "--json", results), *words)
    assert not results.exists()


def test_a_missing_trace_and_a_directory_are_one_line(tmp_path: Path) -> None:
    assert refused(mtsid("compare", tmp_path / "none"), "none: No such file")
    assert refused(mtsid("compare", tmp_path), "is a directory")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "--seed", "x"], "--seed"),
        (["compare", "--ids", "0"], "ids must be"),
        (["compare", "--ids", "many"], "--ids"),
        (["compare", "--defect", "typo"], "--defect"),
        (["compare", "--control-blocks", "0"], "control_blocks must be positive"),
        (["compare", "--control-blocks", "-3"], "control_blocks must be positive"),
        (["compare", "--control-blocks", "65536"], "control_blocks must be at most 65,535"),
        (["compare", "--control-blocks", "some"], "--control-blocks"),
        (["compare", "--outages"], "--outages"),
        (["compare", "--outages", "F", "--print-outages"], "not allowed with argument --outages"),
        (["compare", "--outages", "none"], "none: No such file"),
        (["compare", "--outages", "."], "is a directory"),
        (["states", "--table", "5.5"], "--table"),
        (["states", "--table", "4.0", "--diagram", "4.0"], "not allowed with argument --table"),
        (["states", "more"], "more"),
        (["compare", "--defect", "racy-claim"], "mtsid storm --defect racy-claim"),
        (["compare", "--json", "/no/such/folder/r.json"], "/no/such/folder/r.json"),
        (["compare", "--json", "r", "--html", "r"], "would overwrite --json"),
        (["compare", "--json", "-"], "--json needs a file"),
        (["compare", "--html", "-"], "--html needs a file"),
        (["compare", "--events", "-", "--json", "r"], "--events needs a file"),
        (["compare", "--colour"], "--colour"),
        (["storm", "--threads", "0"], "--threads"),
        (["storm", "--threads", "many"], "--threads"),
        (["storm", "--seconds", "nan"], "--seconds"),
        (["storm", "--seconds", "-1"], "--seconds"),
        (["storm", "--version", "5.5"], "--version"),
        (["storm", "--version", "SP2", "--defect", "racy-claim"], "SP2 has no defect"),
        (["weather"], "weather"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    assert refused(mtsid(*arguments, cwd=tmp_path), words)
    assert os.listdir(tmp_path) == []


def test_a_result_file_must_not_replace_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(TRACE)
    assert refused(mtsid("compare", path, "--json", path), "would overwrite the trace")
    assert path.read_text() == TRACE


def test_a_result_file_must_not_replace_the_outages(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("1 2 NORTH\n")
    (tmp_path / "link").symlink_to(path)
    for option, name in (("--json", path), ("--html", tmp_path / "link"), ("--events", "list")):
        run = mtsid("compare", "--outages", path, option, name, cwd=tmp_path)
        assert refused(run, f"{option} '{name}' would overwrite the outages")
    assert path.read_text() == "1 2 NORTH\n"
    assert sorted(os.listdir(tmp_path)) == ["link", "list"]


# The user's own outages.


def test_printed_outages_given_back_give_the_same_figures(tmp_path: Path) -> None:
    for arguments in ([], ["trace", "--seed", "4", "--control-blocks", "3"]):
        (tmp_path / "trace").write_text(TRACE)
        printed = mtsid("compare", *arguments, "--print-outages", cwd=tmp_path)
        assert (printed.returncode, printed.stderr) == (0, "")
        head, *lines = printed.stdout.splitlines()
        seed = 4 if arguments else 152897
        assert head == f"# start end peer, in seconds: drawn from seed {seed}"
        assert lines
        assert all(len(line.split()) == 3 for line in lines)
        (tmp_path / "mine.txt").write_text(printed.stdout)
        drawn = mtsid("compare", *arguments, "--json", "drawn.json", cwd=tmp_path)
        given = mtsid("compare", *arguments, "--outages", "mine.txt", "--json", "given.json", cwd=tmp_path)
        assert (drawn.returncode, given.returncode) == (0, 0)
        assert (tmp_path / "drawn.json").read_bytes() == (tmp_path / "given.json").read_bytes()
        assert "Outages, drawn from the seed" in drawn.stdout
        assert "Outages, drawn from the seed" not in given.stdout
        outages = json.loads((tmp_path / "given.json").read_text())["outages"]
        assert [[float(a), float(b), peer] for a, b, peer in map(str.split, lines)][: len(outages)] == outages


def test_outages_are_read_from_standard_input_and_packed(tmp_path: Path) -> None:
    text = "# mine\n36000 36600 NORTH\n37000 37010.5 *\n"
    (tmp_path / "list.gz").write_bytes(gzip.compress(text.encode()))
    for name, stdin in (("-", text), ("list.gz", "")):
        run = mtsid("compare", "--outages", name, "--json", "r.json", cwd=tmp_path, stdin=stdin)
        assert (run.returncode, run.stderr) == (0, "")
        assert "\nOutages\n" in run.stdout
        outages = json.loads((tmp_path / "r.json").read_text())["outages"]
        assert outages == [[36000.0, 36600.0, "NORTH"], [37000.0, 37010.5, "*"]]


def test_an_empty_list_is_a_day_without_outages(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# none\n")
    run = mtsid("compare", "--outages", "list", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "No link was lost." in " ".join(run.stdout.split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1 2\n", ["list: line 1: should be `start end peer`"]),
        ("1 2 NORTH\n\n# x\n3 4 NORTH 5\n", ["list: line 4:", "should be"]),
        ("1 2 NORTH\nx 4 NORTH\n", ["list: line 2:", "should be"]),
        ("1 nan NORTH\n", ["list: line 1:", "finite"]),
        ("1 inf *\n", ["list: line 1:", "finite"]),
        ("4 3 NORTH\n", ["list: line 1:", "reversed"]),
        ("4 4 NORTH\n", ["list: line 1:", "reversed"]),
        ("1 2 BOSTON\n", ["list: line 1:", "no peer 'BOSTON'", "NORTH, EAST, SOUTH, WEST"]),
        ("1 9 NORTH\n2 3 NORTH\n", ["list: line 2: overlaps line 1"]),
        ("1 9 NORTH\n2 3 *\n", ["list: line 2: overlaps line 1"]),
        ("\x00\x1b[31m\n", ["list: line 1:", "should be"]),
    ],
)
def test_a_broken_list_of_outages_is_one_line(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "list"
    path.write_text(content)
    run = mtsid("compare", "--outages", path, "--json", tmp_path / "r.json")
    assert refused(run, str(path), *words)
    assert "\x1b" not in run.stderr
    assert not (tmp_path / "r.json").exists()


def test_printing_outages_runs_nothing_and_writes_no_file(tmp_path: Path) -> None:
    run = mtsid("compare", "--print-outages", cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout
    assert "mtsid compare" not in run.stdout
    assert os.listdir(tmp_path) == []
    (tmp_path / "trace").write_text("a b 1\na b x\n")
    assert refused(mtsid("compare", "trace", "--print-outages", cwd=tmp_path), "trace: line 2:")


@pytest.mark.parametrize("option", ["--json", "--html", "--events"])
def test_a_result_file_beside_print_outages_is_refused_and_not_forgotten(tmp_path: Path, option: str) -> None:
    run = mtsid("compare", "--print-outages", option, "result", cwd=tmp_path)
    assert refused(run, "--print-outages runs nothing", f"leave out {option}")
    assert os.listdir(tmp_path) == []


def test_one_standard_input_is_not_read_as_trace_and_outages(tmp_path: Path) -> None:
    run = mtsid("compare", "-", "--outages", "-", "--json", "r.json", cwd=tmp_path, stdin=TRACE)
    assert refused(run, "cannot both be standard input")
    assert os.listdir(tmp_path) == []
    (tmp_path / "list").write_text("100 110 NORTH\n")
    (tmp_path / "trace").write_text(TRACE)
    run = mtsid("compare", "-", "--outages", "list", cwd=tmp_path, stdin=TRACE)
    assert (run.returncode, run.stderr) == (0, "")
    assert "\n  mtsid compare - --outages list --events events.jsonl\n" in run.stdout
    run = mtsid("compare", "trace", "--outages", "-", cwd=tmp_path, stdin="100 110 NORTH\n")
    assert (run.returncode, run.stderr) == (0, "")


def test_outages_of_another_time_than_the_traces_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(TRACE)  # the seconds 0 to 1197
    (tmp_path / "list").write_text("820000000 820000600 NORTH\n820001000 820002000 *\n")
    run = mtsid("compare", "trace", "--outages", "list", "--json", "r.json", cwd=tmp_path)
    assert refused(run, "list: none of them lies within the trace, which runs from 0 to 1197")
    assert not (tmp_path / "r.json").exists()
    run = mtsid("compare", "trace", "--outages", "-", cwd=tmp_path, stdin="820000000 820000600 NORTH\n")
    assert refused(run, "standard input: none of them lies within the trace")
    (tmp_path / "list").write_text("100 110 NORTH\n820000000 820000600 NORTH\n820001000 820002000 *\n")
    run = mtsid("compare", "trace", "--outages", "list", "--json", "r.json", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "once and down for 10 s in all (2 outages lie outside of the run)." in " ".join(run.stdout.split())
    assert json.loads((tmp_path / "r.json").read_text())["outages"] == [[100.0, 110.0, "NORTH"]]


def test_a_folder_given_as_outages_is_not_called_a_trace(tmp_path: Path) -> None:
    assert refused(mtsid("compare", "--outages", tmp_path), f"{tmp_path}: is a directory, not a file")
    assert refused(mtsid("compare", tmp_path), f"{tmp_path}: is a directory, not a file")


def test_the_pool_of_control_blocks_is_the_users(tmp_path: Path) -> None:
    run = mtsid("compare", "--control-blocks", "2", "--json", tmp_path / "r.json")
    assert run.returncode == 0
    versions = json.loads((tmp_path / "r.json").read_text())["versions"]
    assert [result["control_blocks"] for result in versions.values()] == [2, 2]
    assert "2 control blocks" in " ".join(run.stdout.split())


# The life cycle of a control block.


def test_states_prints_where_40_differs() -> None:
    run = mtsid("states")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("Kernel control blocks: where 4.0's table differs from SP2's\n")
    assert "In 5 OPEN_ERROR: disconnect timer [answer pending, failed in state 2]\n" in run.stdout
    for id in (1004, 1008, 1198, 1277):
        assert f"log {id}" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80


@pytest.mark.parametrize("version", ["SP2", "4.0"])
def test_states_prints_a_table_and_a_diagram(version: str) -> None:
    table = mtsid("states", "--table", version)
    assert (table.returncode, table.stderr) == (0, "")
    head, rule, *rows = table.stdout.splitlines()
    assert (head, rule) == ("| state | primitive | when | steps | next state |", "|---|---|---|---|---|")
    assert len(rows) > 25
    assert any("return early" in row for row in rows) == (version == "4.0")
    diagram = mtsid("states", "--diagram", version)
    assert (diagram.returncode, diagram.stderr) == (0, "")
    assert diagram.stdout.startswith("stateDiagram-v2\n")
    assert ("(4.0 only)" in diagram.stdout) == (version == "4.0")
    assert "[*] --> IDLE" in diagram.stdout


def test_a_defect_that_does_not_show_says_so() -> None:
    run = mtsid("compare", "--defect", "unchecked-wrap")
    assert run.returncode == 0
    assert "No collision in 4.0" in run.stdout


def without(folder: Path, package: str) -> str:
    """A PYTHONPATH on which `package` is not installed: its import fails as it does then."""
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--version", "SP2"], "mtsid storm: SP2"),
        (["--version", "4.0"], "mtsid storm: 4.0"),
        (["--defect", "unchecked-wrap"], "mtsid storm: 4.0"),  # a defect is 4.0's
    ],
)
def test_a_storm_runs_as_long_as_it_was_told(options: list[str], words: str) -> None:
    run = mtsid("storm", "--threads", "2", "--seconds", "0.2", *options)
    assert (run.returncode, run.stderr) == (0, "")
    assert words in run.stdout
    assert "Try next" in run.stdout


@pytest.mark.parametrize(("command", "package"), [("compare", "rich"), ("compare", "simpy"), ("storm", "rich")])
def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, package: str, command: str) -> None:
    run = mtsid(command, PYTHONPATH=without(tmp_path, package))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"mtsid: this needs the package {package}: pip install 'mtsid[lab]'\n"


@pytest.mark.parametrize("package", ["rich", "simpy"])
def test_states_needs_no_extra(tmp_path: Path, package: str) -> None:
    for arguments in ([], ["--table", "SP2"], ["--diagram", "4.0"]):
        run = mtsid("states", *arguments, PYTHONPATH=without(tmp_path, package))
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout == mtsid("states", *arguments).stdout != ""


def test_importing_mtsid_and_its_command_line_imports_neither_rich_nor_simpy() -> None:
    code = "import mtsid, mtsid.mta, mtsid.cli, sys; print(sorted({'rich', 'simpy'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("command", ["compare", "states"])
def test_a_pipe_closed_early_ends_quietly(command: str) -> None:
    child = subprocess.Popen([sys.executable, "-m", "mtsid", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait(60) == 1


def test_ctrl_c_ends_quietly_and_leaves_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    child = subprocess.Popen(
        [sys.executable, "-m", "mtsid", "compare", tmp_path / "pipe", "--json", tmp_path / "r.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with open(tmp_path / "pipe", "wb") as pipe:  # returns once the child reads: it is past its start
        pipe.write(TRACE.encode())
        pipe.flush()
        child.send_signal(signal.SIGINT)
        out, error = child.communicate(timeout=60)
    assert (out, error, child.returncode) == (b"", b"", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_full_disk_is_one_line() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w") as full:
        run = subprocess.run([sys.executable, "-m", "mtsid", "compare"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1
    assert run.stderr == "mtsid: No space left on device\n"
    assert refused(mtsid("compare", "--json", "/dev/full"), "cannot write '/dev/full': No space left on device")


def test_names_that_the_terminal_cannot_print_do_not_stop_the_report(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("".join(f"käthe jürgen{n} {n}\n" for n in range(300)))
    run = mtsid("compare", path, PYTHONIOENCODING="ascii")
    assert (run.returncode, run.stderr) == (0, "")


def test_help_names_the_options() -> None:
    run = mtsid("compare", "--help")
    assert run.returncode == 0
    for option in ("TRACE", "--seed", "--defect", "--ids", "--json", "--html", "--events"):
        assert option in run.stdout
    for option in ("--control-blocks", "--outages", "--print-outages"):
        assert option in run.stdout
    commands = mtsid("--help").stdout
    for command in ("compare", "states", "storm"):
        assert f"    {command} " in commands
