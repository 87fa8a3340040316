"""Run what the README shows, so that it stays true.

    python tools/run_readme.py README.md [COMMAND ...]

Run it with the interpreter of an environment in which mtsid is installed. Blocks fenced as `console` are run line by
line: each line that begins with `$ ` is a command for bash. Blocks fenced as `python` are run as one program, in their
order. A fence that says `console not-run` or `python not-run` is listed and left out, and so is a command that is named
on the command line: the caller has run it already.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND_SECONDS = 900


def blocks(text: str, language: str) -> Iterator[tuple[str, bool]]:
    """The body of each block in `language`, and whether it is to be run."""
    for found in FENCE.finditer(text):
        words = found["info"].split()
        if words[:1] == [language]:
            yield found["body"], "not-run" not in words[1:]


def run(arguments: list[str], shown: str) -> None:
    print(f"README: {shown}", flush=True)
    # The environment that this runs in comes first, so that `mtsid` and `python` are the ones under test.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    try:
        done = subprocess.run(
            arguments, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(f"README: took over {COMMAND_SECONDS} seconds: {shown}") from None
    if done.returncode != 0:
        raise SystemExit(f"README: status {done.returncode}: {shown}")


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    text = Path(sys.argv[1]).read_text("utf-8")
    already = set(sys.argv[2:])
    ran = 0
    for body, wanted in blocks(text, "console"):
        # A backslash at the end continues a command, as in a shell.
        for line in re.findall(r"^\$ ((?:[^\n]*\\\n)*[^\n]*)", body, re.MULTILINE):
            command = line.strip()
            if not wanted or command in already:
                print(f"README: {'run before' if wanted else 'marked not-run'}: {command}", flush=True)
                continue
            run(["bash", "-euo", "pipefail", "-c", command], command)
            ran += 1
    programs = list(blocks(text, "python"))
    for body, wanted in programs:
        if not wanted:
            print(f"README: marked not-run: {body.strip().splitlines()[0]} ...", flush=True)
    program = "\n".join(body for body, wanted in programs if wanted)
    if program:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "readme.py")
            file.write_text(program, "utf-8")
            run([sys.executable, str(file)], f"the Python blocks ({len(program.splitlines())} lines)")
        ran += 1
    if not ran:
        raise SystemExit(f"README: {sys.argv[1]} shows nothing that could be run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
