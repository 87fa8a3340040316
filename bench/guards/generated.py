"""Does a `nogil` function touch Python? Read off the C that Cython made: what `cython -a` shows by colour, listed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["functions", "python_calls"]

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
DEFINITION = re.compile(r"^static [^;{}]*?\b(\w+)\([^;{}]*\) \{$(.*?)^\}$", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(->)?\b([A-Za-z_]\w*)\s*\(")
PYTHON = re.compile(r"_?Py[A-Z_]|__Pyx_(?!L\d)")


def functions(text: str) -> dict[str, str]:
    """Name and body of each function of a C file."""
    return {found[1]: found[2] for found in DEFINITION.finditer(COMMENT.sub("", text))}


def python_calls(bodies: Mapping[str, str], root: str, doors: Sequence[str] = ()) -> Iterator[str]:
    """Each use of Python's C-API in a function, or in those of the same file that it calls.

    Calls through a method table cannot be followed; but for those named as doors, they are reported as well.
    """
    seen, left = set(), [root]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        for arrow, called in CALL.findall(bodies[name]):
            if arrow:
                if called not in doors:
                    yield f"{name} calls {called} through a table"
            elif PYTHON.match(called):
                yield f"{name} calls {called}"
            elif called in bodies:
                left.append(called)
