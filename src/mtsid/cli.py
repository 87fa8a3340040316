"""The command line: `mtsid compare`, `mtsid storm`, `mtsid audit` and `mtsid states`.

Exit status: 0 done; 2 bad input, with one line on standard error; 1 anything else, among it an audit that found a
duplicate or could not go through. A pipe that is closed early and
Ctrl-C end without a word. Everything of the extra `lab` is imported late, so that its absence is one line too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from mtsid import MessageQueue, v40
from mtsid.mta import DEFECTS, VERSIONS, LogEntry, Policy, Version, diagrams

if TYPE_CHECKING:
    from mtsid.lab.compare import Comparison

__all__ = ["main"]

DONE, FAILED, BAD_INPUT = 0, 1, 2
EXTRA = ("rich", "simpy")  # the packages of the extra `lab`


class BadInput(Exception):
    """What the user gave cannot be used; the text is the line to print."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` by default) and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name must not stop a report
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
        if sys.stdout is not None:  # it may have been closed from the start
            sys.stdout.flush()
        return status
    except BadInput as error:
        return _say(str(error), BAD_INPUT)
    except BrokenPipeError:
        # The interpreter flushes once more at exit: give it somewhere to write.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        return _say(f"this needs the package {error.name}: pip install 'mtsid[lab]'", FAILED)
    except OSError as error:
        return _say(f"{error.strerror or error}", FAILED)


def _say(line: str, status: int) -> int:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"mtsid: {line}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mtsid", description="Identifiers that are never in use twice, beside the 1996 defects they mend."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    compare = commands.add_parser(
        "compare",
        help="the same mail and the same outages through a 4.0 and an SP2 MTA",
        description="Run the same mail and the same outages through a 4.0 and an SP2 MTA, in virtual time.",
    )
    compare.set_defaults(run=_compare)
    compare.add_argument(
        "trace",
        nargs="?",
        metavar="TRACE",
        help='"sender recipient seconds" lines or an mbox, .gz and .xz too; "-": standard input; none: a generated day',
    )
    compare.add_argument("--seed", type=int, metavar="N", help="draws outages, sizes and delays; the default is fixed")
    compare.add_argument(
        "--defect", choices=DEFECTS, default=DEFECTS[0], metavar="NAME", help=_defects_help(DEFECTS[:3])
    )
    compare.add_argument("--ids", type=int, metavar="N", help="MTSIDs in each queue (default: 65535)")
    compare.add_argument(
        "--control-blocks", type=int, metavar="N", help=f"kernel control blocks (default: {Policy().control_blocks})"
    )
    outages = compare.add_mutually_exclusive_group()
    outages.add_argument(
        "--outages",
        metavar="FILE",
        help='your own outages, not drawn ones: "start end peer" lines, in seconds of the trace; * for every peer',
    )
    outages.add_argument(
        "--print-outages", action="store_true", help="print the outages that would be drawn, for --outages, and end"
    )
    compare.add_argument("--json", metavar="FILE", help="write the figures")
    compare.add_argument("--html", metavar="FILE", help="write the report as a web page")
    compare.add_argument("--events", metavar="FILE", help="write every event of both versions, as JSON lines")

    states = commands.add_parser(
        "states",
        help="the life cycle of a control block, and where 4.0's differs",
        description="Print the rows in which 4.0's table of kernel control blocks differs from SP2's, side by side.",
    )
    states.set_defaults(run=_states)
    which = states.add_mutually_exclusive_group()
    which.add_argument("--table", choices=VERSIONS, metavar="VERSION", help="one version's whole table: SP2 or 4.0")
    which.add_argument("--diagram", choices=VERSIONS, metavar="VERSION", help="the same as a Mermaid state diagram")

    storm = commands.add_parser(
        "storm",
        help="real threads on one queue: throughput and duplicates",
        description="Real threads put, get, ack and nack on one queue of either version.",
    )
    storm.set_defaults(run=_storm)
    storm.add_argument("--version", choices=("SP2", "4.0"), help="default: SP2, or 4.0 with --defect")
    storm.add_argument("--defect", choices=DEFECTS, metavar="NAME", help=_defects_help(DEFECTS))
    storm.add_argument("--threads", type=_threads, default=4, metavar="N", help="default: %(default)s")
    storm.add_argument("--seconds", type=_seconds, default=3.0, metavar="S", help="default: %(default)s")

    audit = commands.add_parser(
        "audit",
        help="an id source of your own: is an id ever in use twice?",
        description="Audit an id source: one thread until its numbers come round, then threads, then to exhaustion.",
        epilog="Exit status: 0 if no id was in use twice; 1 if one was, or if a call hung; 2 for bad input.",
    )
    audit.set_defaults(run=_audit)
    audit.add_argument(
        "target",
        metavar="MODULE:FACTORY",
        help="a function that makes a pair (acquire, release), or an object with both; release may be None",
    )
    audit.add_argument("--threads", type=_threads, default=4, metavar="N", help="1: no threads; default: %(default)s")
    audit.add_argument("--live", type=_positive, default=16, metavar="N", help="ids held meanwhile (%(default)s)")
    audit.add_argument(
        "--operations", type=_positive, default=200_000, metavar="N", help="acquires in a phase, at most (%(default)s)"
    )
    audit.add_argument(
        "--timeout", type=_seconds, default=5.0, metavar="S", help="without an answer, a call hangs (%(default)s)"
    )
    audit.add_argument("--json", metavar="FILE", help="write the figures")
    return parser


def _defects_help(defects: Sequence[str]) -> str:
    return f"what 4.0 does wrong: {', '.join(defects)}"


def _threads(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 1024:
        raise argparse.ArgumentTypeError(f"must be 1 to 1024, not {text!r}")
    return number


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= threading.TIMEOUT_MAX:  # NaN too
        raise argparse.ArgumentTypeError(f"must be positive and finite, not {text!r}")
    return number


def _compare(options: argparse.Namespace) -> int:
    from mtsid.lab import TraceError, drawn_outages, report
    from mtsid.lab.compare import DEFAULT_SEED, check
    from mtsid.lab.outages import format_outages
    from mtsid.lab.output import OutputError, OutputFile

    files: dict[str, str] = {
        name: path for name in ("json", "html", "events") if (path := getattr(options, name)) is not None
    }
    if options.trace == options.outages == "-":
        raise BadInput("the trace and the outages cannot both be standard input: put one of them in a file")
    if options.print_outages and files:
        raise BadInput(f"--print-outages runs nothing, so there is nothing to write: leave out --{next(iter(files))}")
    _check_files([options.trace, options.outages], files)
    chosen: dict[str, Any] = {
        name: value for name in ("seed", "defect", "ids") if (value := getattr(options, name)) is not None
    }
    try:
        check(**chosen)
        if options.control_blocks is not None:
            chosen["policy"] = Policy(control_blocks=options.control_blocks)
    except ValueError as error:
        raise BadInput(str(error)) from error
    try:
        if options.print_outages:
            drawn = drawn_outages(options.trace, **{k: v for k, v in chosen.items() if k in ("seed", "policy")})
            print(f"# start end peer, in seconds: drawn from seed {chosen.get('seed', DEFAULT_SEED)}")
            print(format_outages(drawn), end="")
            return DONE
        if options.outages is not None:
            chosen["outages"] = options.outages
        with contextlib.ExitStack() as stack:
            out = {name: stack.enter_context(OutputFile(path)) for name, path in files.items()}
            write_event = _event_writer(out["events"].write) if "events" in out else None
            comparison = _run(options.trace, chosen, write_event)
            if "json" in out:
                out["json"].write(comparison.to_json())
            if "html" in out:
                out["html"].write(report.html(comparison))
    except (TraceError, OutputError) as error:
        raise BadInput(str(error)) from error
    report.render(comparison, _console())
    return DONE


def _run(trace: str | None, chosen: dict[str, Any], on_event: Callable[[Version, LogEntry], None] | None) -> Comparison:
    """Run the comparison with a progress bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from mtsid.lab import compare

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("messages", total=None)
        return compare(
            trace,
            **chosen,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
            on_event=on_event,
        )


def _event_writer(write: Callable[[str], None]) -> Callable[[Version, LogEntry], None]:
    def on_event(version: Version, entry: LogEntry) -> None:
        write(json.dumps({"version": version, **entry.record()}) + "\n")

    return on_event


def _check_files(inputs: Sequence[str | None], files: dict[str, str]) -> None:
    """Refuse result files that would replace an input or one another."""
    names = ("the trace", "the outages")
    taken = {os.path.realpath(path): name for path, name in zip(inputs, names, strict=True) if path not in (None, "-")}
    for name, path in files.items():
        if path == "-":
            raise BadInput(f"--{name} needs a file: standard output holds the report")
        place = os.path.realpath(path)
        if place in taken and (not os.path.exists(place) or os.path.isfile(place)):
            raise BadInput(f"--{name} {path!r} would overwrite {taken[place]}")
        taken[place] = f"--{name}"


def _states(options: argparse.Namespace) -> int:
    if options.table is not None:
        text = diagrams.table(options.table)
    elif options.diagram is not None:
        text = diagrams.life_cycle(options.diagram)
    else:
        text = diagrams.difference()
    print(text, end="")
    return DONE


def _storm(options: argparse.Namespace) -> int:
    if options.version == "SP2" and options.defect is not None:
        raise BadInput("SP2 has no defect to choose: leave --defect out, or use --version 4.0")
    console = _console()
    from mtsid.lab.storm import storm

    queue: Any
    if options.version == "4.0" or options.defect is not None:
        queue = v40.MessageQueue(defect=options.defect or DEFECTS[0])
    else:
        queue = MessageQueue()
    storm(queue, threads=options.threads, seconds=options.seconds).render(console)
    return DONE


def _audit(options: argparse.Namespace) -> int:
    console = _console()
    from mtsid.lab import audit_ids
    from mtsid.lab.audit_factory import FactoryError, make
    from mtsid.lab.output import OutputError, OutputFile

    _check_files([None, None], {} if options.json is None else {"json": options.json})
    try:
        acquire, release = make(options.target)
        with contextlib.ExitStack() as stack:
            out = None if options.json is None else stack.enter_context(OutputFile(options.json))
            report = audit_ids(
                acquire,
                release,
                threads=options.threads,
                live=options.live,
                operations=options.operations,
                timeout=options.timeout,
                name=options.target,
            )
            if out is not None:
                out.write(report.to_json())
    except (FactoryError, OutputError) as error:
        raise BadInput(str(error)) from error
    except (TypeError, ValueError) as error:
        raise BadInput(f"{options.target}: {error}") from error
    except SystemExit as error:  # its status would pass for ours
        raise BadInput(f"{options.target}: acquire or release raised SystemExit({error.code!r})") from error
    report.render(console)
    return DONE if report.ok else FAILED


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)
