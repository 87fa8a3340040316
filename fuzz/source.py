"""Bytes as a sequence of choices, and calls whose outcome is a value or a documented exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mtsid import MtsidError

__all__ = ["BAD", "DOCUMENTED", "Outcome", "Session", "Source"]

#: What any call may raise; anything else is a finding.
DOCUMENTED = (MtsidError, TypeError, ValueError)

#: No number and no id list, for any argument that wants one.
BAD: tuple[Any, ...] = (True, 1.0, float("nan"), "1", b"1", None, (), 2**70, -(2**70), -1, 2**32, object())


class Source:
    """The choices that an input encodes. One that has run out chooses 0 for ever."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        if not self:
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, bound: int) -> int:
        """A number within 0 .. bound-1, of one byte if that is enough."""
        number = self.byte()
        if bound > 256:
            number = number << 8 | self.byte()
        return number % bound


class Outcome(NamedTuple):
    """How a call ended."""

    value: Any = None
    error: Exception | None = None

    def returned(self) -> Any:
        """The value of a call that had to succeed."""
        if self.error is not None:
            raise AssertionError(f"it raised {self.error!r}") from self.error
        return self.value

    def raised(self, kind: type[Exception] | tuple[type[Exception], ...], **carried: object) -> None:
        """A call that had to fail, just so, with these values as attributes of the exception."""
        if self.error is None:
            raise AssertionError(f"it returned {self.value!r} instead of raising {kind}")
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(self.error) not in kinds:
            raise AssertionError(f"it raised {self.error!r} instead of {kind}") from self.error
        for name, value in carried.items():
            if getattr(self.error, name) != value:
                raise AssertionError(f".{name} is {getattr(self.error, name)!r}, not {value!r}") from self.error


class Session:
    """One object under test: reads operations from the source and does them. `log` is told of each call, if given."""

    #: The operations, by the byte that chooses them (modulo their number). Adding one at the end keeps the corpus.
    operations: tuple[str, ...] = ()

    def __init__(self, source: Source, log: Callable[[str], object] | None = None) -> None:
        self.source = source
        self.log = log

    def call(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
        try:
            outcome = Outcome(verb(*args, **kwargs))
        except DOCUMENTED as error:
            # Its traceback would hold this frame, and so the arguments, beyond the call.
            outcome = Outcome(error=error.with_traceback(None))
        if self.log:
            given = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
            ended = repr(outcome.value) if outcome.error is None else repr(outcome.error)
            self.log(f"{getattr(verb, '__name__', verb)}({', '.join(given)}) -> {ended}")
        return outcome

    def bad(self) -> Any:
        return BAD[self.source.below(len(BAD))]

    def check(self) -> None:
        """What must hold after each operation."""

    def finish(self) -> None:
        """What must hold at the end."""

    def run(self) -> None:
        while self.source:
            getattr(self, self.operations[self.source.byte() % len(self.operations)])()
            self.check()
        self.finish()
