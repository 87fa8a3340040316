"""MODULE:FACTORY on the command line: the function that makes an id source, and the source that it makes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["FactoryError", "make"]

Verbs = tuple[Callable[[], Hashable | None], Callable[[Any], object] | None]


class FactoryError(ValueError):
    """No id source comes of MODULE:FACTORY; one line says why."""


def make(target: str) -> Verbs:
    """Call the factory that `target` names, and return the acquire and the release of what it makes.

    MODULE is looked for in the working directory too; FACTORY may be a name with dots. It returns an object with
    `acquire` and perhaps `release`, a pair of functions, the second of which may be None, or the first alone; or it is
    such an object itself. Raises FactoryError.
    """
    module, colon, path = target.partition(":")
    if not (module and colon and path):
        raise FactoryError(f"{target!r} should be MODULE:FACTORY, as in mtsid:Allocator")
    factory: Any = _import(module)
    for name in path.split("."):
        try:
            factory = getattr(factory, name)
        except AttributeError:
            raise FactoryError(f"{target}: there is no {name!r} in it") from None
    if not isinstance(factory, type) and hasattr(factory, "acquire"):
        return verbs(factory, target)
    if not callable(factory):
        raise FactoryError(f"{target} is no function, but a {type(factory).__name__!r}")
    try:
        made = factory()
    except (Exception, SystemExit) as error:
        raise FactoryError(f"{target} raised {_one_line(error)}") from error
    return verbs(made, target)


def verbs(made: Any, target: str) -> Verbs:
    """Return the acquire and the release of an object, or of a pair."""
    if hasattr(made, "acquire"):
        acquire, release = made.acquire, getattr(made, "release", None)
    elif isinstance(made, (tuple, list)) and len(made) == 2:
        acquire, release = made
    elif callable(made):
        acquire, release = made, None
    else:
        kind = type(made).__name__
        raise FactoryError(f"{target} must make a pair (acquire, release), or an object with these; it made a {kind!r}")
    if not callable(acquire) or not (release is None or callable(release)):
        raise FactoryError(f"{target}: acquire must be a function, and release one too, or None")
    return acquire, release


def _import(module: str) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise FactoryError(f"cannot import {module!r}: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
