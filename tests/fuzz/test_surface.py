"""Any Python object as any argument of anything public: a documented exception and nothing changed, or it works.

The callables and their arguments are found by introspection and the stubs, so that a new one is fuzzed from its first
day: a public name or an argument that is not spoken of in GOOD fails by name. Objects that re-enter the queue, drop it,
change the list they stand in or lie are among those that are tried. Derandomised: a run is the same each time.
"""

from __future__ import annotations

import array
import contextlib
import gc
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mtsid
from mtsid import v40


class OwnError(Exception):
    """What a hostile object raises: it must come through as it is."""


#: What a call may raise, and then nothing has changed. NotInUse in bulk and ShutDown are told apart below.
DOCUMENTED = (TypeError, ValueError, mtsid.MtsidError, OwnError)

# Hostile objects --------------------------------------------------------------------------------------------------


class Stage:
    """The object under test and the list that is passed to it, within reach of the hostile ones."""

    thing: Any = None
    arguments: list[Any]

    def __init__(self) -> None:
        self.arguments = []

    def reenter(self) -> None:
        """Use the object under test, and leave it as it was."""
        thing = self.thing
        if isinstance(thing, mtsid.MessageQueue | v40.MessageQueue):
            # All verbs, but nothing that would tell in the snapshot: what enters leaves again.
            with contextlib.suppress(mtsid.MtsidError):
                number = thing.put("from inside", False, priority="non-urgent")
                thing.peek(number), thing.nack(number), thing.delete(number)
            thing.snapshot(), len(thing), repr(thing)
        elif isinstance(thing, mtsid.InFlightTable):
            with contextlib.suppress(mtsid.MtsidError):
                number = thing.add("from inside")
                thing.quarantine(number), thing.pop(number, None)
            thing.items(), len(thing), repr(thing)
        elif thing is not None and type(thing) is not Stage:
            with contextlib.suppress(mtsid.MtsidError):
                thing.release(thing.acquire())
            list(thing), len(thing), repr(thing)

    def drop(self) -> None:
        """Let go of the object under test: now only the call itself holds it."""
        self.thing = None
        gc.collect(0)

    def mutate(self) -> None:
        """Change the list of arguments while it is read."""
        if len(self.arguments) > 50:
            self.arguments.clear()
        else:
            self.arguments += [2, "x"]


def _act(self: Any, value: Any) -> Any:
    if self.action == "raise":
        raise OwnError
    if self.action != "lie":
        getattr(self.stage, self.action)()
    return value if self.action != "lie" else self.lie


class Hostile:
    """Answers every question of Python's, and does something else besides."""

    def __init__(self, stage: Stage, action: str, lie: Any, number: int) -> None:
        self.stage, self.action, self.lie, self.number = stage, action, lie, number

    def __repr__(self) -> str:
        return f"<hostile: {self.action}>"  # tests print it


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "__index__": lambda self: self.number,
    "__int__": lambda self: self.number,
    "__float__": lambda self: float(self.number),
    "__bool__": lambda self: bool(self.number),
    "__len__": lambda self: 2,
    "__length_hint__": lambda self: 2,
    "__iter__": lambda self: iter([self.number, self.number + 1]),
    "__getitem__": lambda self: self.number,
    "__hash__": lambda self: 1,
    "__eq__": lambda self: True,
    "__lt__": lambda self: True,
    "__gt__": lambda self: True,
    "__le__": lambda self: True,
    "__ge__": lambda self: True,
    "__str__": lambda self: "normal",
    "__array__": lambda self: np.array([self.number], np.uint32),
}


def _kinds() -> Iterator[type]:
    """Hostile in one respect each, so that every way in is tried by itself; and one in all."""

    def method(answer: Callable[[Any], Any]) -> Callable[..., Any]:
        def called(self: Any, *arguments: Any, **_: Any) -> Any:
            if answer is ANSWERS["__getitem__"] and arguments[0] >= 2:
                raise IndexError  # or the list of it would never end
            return _act(self, answer(self))

        return called

    for name, answer in ANSWERS.items():
        yield type(f"Hostile{name}", (Hostile,), {name: method(answer), **({"__hash__": None} if "eq" in name else {})})
    yield type("HostileInAll", (Hostile,), {name: method(answer) for name, answer in ANSWERS.items()})
    # As an array is known by its attributes, so is a false one.
    for attribute in ("dtype", "ndim", "mask", "bit_length"):
        yield type(f"Hostile_{attribute}", (Hostile,), {attribute: property(lambda self: _act(self, 1))})
    yield type("FalseArray", (Hostile,), {"dtype": np.dtype(np.uint32), "ndim": 1, "__len__": lambda self: 2})


class HostileText(str):
    """Text that does something when it is compared."""

    action: str
    stage: Stage
    lie: Any

    def __eq__(self, other: object) -> Any:
        return _act(self, str.__eq__(self, other))

    __hash__ = str.__hash__


class HostileList(list[Any]):
    def __iter__(self) -> Any:
        return _act(self, list.__iter__(self))

    def __len__(self) -> Any:
        return _act(self, list.__len__(self))


KINDS = list(_kinds())
ACTIONS = ["raise", "lie", "reenter", "drop", "mutate"]
LIES: list[Any] = [None, "text", -1, 2**70, -(2**70), 1.5, float("nan"), True, [], object()]


Recipe = Callable[[Stage], Any]  # strategies are made once; what they make meets its stage later


def _hostile(kind: type, action: str, lie: Any, number: int, text: str) -> Recipe:
    def prepare(stage: Stage) -> Any:
        if issubclass(kind, Hostile):
            return kind(stage, action, lie, number)
        thing: Any = HostileText(text) if kind is HostileText else HostileList([1, 2])
        thing.stage, thing.action, thing.lie = stage, action, lie
        return thing

    return prepare


hostile: st.SearchStrategy[Recipe] = st.builds(
    _hostile,
    st.sampled_from([*KINDS, HostileText, HostileList]),
    st.sampled_from(ACTIONS),
    st.sampled_from(LIES),
    st.sampled_from([0, 1, 2, 3, 9, 10, -1, 2**40]),
    st.sampled_from(["normal", "urgent", "cyclic", "x"]),
)


# Everything else --------------------------------------------------------------------------------------------------

DTYPES = ["u1", "i1", "u2", ">u2", "u4", ">u4", "i8", ">i8", "u8", "f4", "f8", "c8", "?", "M8[s]", "m8[s]", "S2", "U2"]


def _arrays() -> Iterator[Any]:
    for dtype in [*DTYPES, "O", "V4", [("a", "u4")]]:
        for shape in [(), (0,), (1,), (2,), (1, 1), (2, 2), (0, 3)]:
            yield np.ones(shape, dtype) if dtype not in ("V4",) else np.zeros(shape, dtype)
    base = np.arange(1, 13, dtype=np.uint32)
    yield from (base[:4], base[::3], base[::-1][:3], base.reshape(3, 4)[:, 1], np.broadcast_to(base[:1], (3,)))
    yield from (base.view(np.ndarray)[:2], np.array([2**32 - 1], "u4"), np.array([2**32], "u8"), np.array([-1], "i8"))
    readonly = base[:3].copy()
    readonly.flags.writeable = False
    yield readonly
    yield np.frombuffer(b"\0\1\0\0\0\2\0\0\0", np.uint32, 2, 1)  # not aligned
    yield from (
        np.ma.array([1, 2], mask=[False, True], dtype="u4"),
        np.ma.array([-5, 2], mask=[True, False], dtype="i8"),
    )
    yield np.ma.masked
    yield np.array([1, 2]).view(np.recarray)


ARRAYS = list(_arrays())
SCALARS = [np.dtype(name).type(1) for name in ("u1", "i8", "u8", "f8", "c16", "?")]
SCALARS += [np.datetime64(1, "s"), np.str_("x")]
numbers = st.one_of(
    st.integers(-2, 12),
    st.sampled_from([2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**64)]),
    st.sampled_from([1, -1]).map(lambda sign: sign * 10**5000),  # which Python does not print, nor Hypothesis
    st.floats(),
    st.booleans(),
    st.complex_numbers(),
    st.builds(Fraction, st.integers(-3, 3)),
    st.builds(Decimal, st.sampled_from(["1", "-1", "NaN", "sNaN", "Infinity", "1e999999"])),
    st.sampled_from(SCALARS),
)
texts = st.one_of(
    st.text(max_size=3), st.binary(max_size=3), st.sampled_from(["normal", "urgent", "cyclic", "\ud800", "lowest"])
)
scalars = st.one_of(st.none(), numbers, texts, st.sampled_from([..., NotImplemented, object, int, print, sys]))


def _always(value: Any) -> Recipe:
    return lambda stage: value


def _listed(recipes: list[Recipe], wrap: Callable[[list[Any]], Any]) -> Recipe:
    def prepare(stage: Stage) -> Any:
        stage.arguments = [recipe(stage) for recipe in recipes]
        return wrap(stage.arguments)

    return prepare


def _plain(value: Any) -> Any:
    return value


VIEWS: list[Any] = ["B", "I", "f", "?"]
elements = st.one_of(scalars.map(_always), st.integers(0, 11).map(_always), hostile)
#: Whatever a caller may pass by mistake or malice.
ANYTHING: st.SearchStrategy[Recipe] = st.one_of(
    scalars.map(_always),
    hostile,
    st.builds(
        _listed,
        st.lists(elements, max_size=4),
        st.sampled_from([_plain, _plain, tuple, iter, lambda items: (item for item in items)]),
    ),
    st.one_of(
        st.lists(st.integers(0, 11), max_size=5).map(set),
        st.dictionaries(st.integers(0, 11), st.none(), max_size=2),
        st.builds(range, st.integers(-2, 3), st.integers(-2, 12)),
        st.sampled_from(ARRAYS),
        st.sampled_from(["i", "I", "Q", "d"]).map(lambda code: array.array(code, [1, 2])),
        st.sampled_from(VIEWS).map(lambda code: memoryview(bytes(8)).cast(code)),
        st.just(bytearray(b"\1")),
    ).map(_always),
    st.one_of(st.integers(0, 1).map(lambda n: lambda stage: MESSAGES[n]), st.just(lambda stage: stage.thing)),
)


# What is public ---------------------------------------------------------------------------------------------------


def _other_queue() -> Any:
    other: Any = mtsid.MessageQueue(3)
    other.put_many("xy")
    return other


_OTHER = _other_queue()
MESSAGES: list[Any] = [_OTHER.get(), _OTHER.get()]

#: An argument for each parameter with which the call neither blocks nor ends the object.
GOOD: dict[str, Any] = {
    "first": 1,
    "last": 9,
    "exclude": (),
    "order": "cyclic",
    "maxsize": 9,
    "timeout": 0,
    "seconds": None,
    "id": 1,
    "n": 1,
    "ids": [1, 2],
    "payload": "x",
    "default": None,
    "generation": None,
    "item": "x",
    "items": ["x"],
    "block": False,
    "priority": "normal",
    "max": 1,
    "message_or_mtsid": 1,
    "messages_or_mtsids": [1],
    "mtsid": 1,
    "immediate": False,
    "key": 1,
    "other": None,
    "max_deliveries": 3,
    "on_dead": print,
    "protocol": 2,
}
#: The arguments of what C calls by slots, which have no signature.
SLOTS = {
    "__contains__": ["key"],
    "__eq__": ["other"],
    "__ne__": ["other"],
    "__lt__": ["other"],
    "__reduce_ex__": ["protocol"],
    "__class_getitem__": ["key"],
}
CONSTRUCTORS = {
    mtsid.Allocator: ["first", "last", "exclude", "order"],
    mtsid.InFlightTable: ["first", "last", "exclude", "order"],
    mtsid.MessageQueue: ["maxsize", "first", "max_deliveries", "on_dead"],
    v40.Allocator: ["first", "last", "exclude", "order", "defect"],
    v40.MessageQueue: ["maxsize", "first", "defect"],
}
MAKERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Allocator": (mtsid.Allocator, {}),
    "Allocator-lowest": (mtsid.Allocator, {"order": "lowest", "exclude": [5]}),
    "InFlightTable": (mtsid.InFlightTable, {}),
    "InFlightTable-lowest": (mtsid.InFlightTable, {"order": "lowest", "exclude": [5]}),
    "MessageQueue": (mtsid.MessageQueue, {}),
    "MessageQueue-dying": (mtsid.MessageQueue, {"max_deliveries": 1, "on_dead": lambda message: None}),
    **{f"4.0 Allocator {name}": (v40.Allocator, {"defect": name}) for name in v40.allocator.DEFECTS},
    **{f"4.0 MessageQueue {name}": (v40.MessageQueue, {"defect": name}) for name in v40.queue.DEFECTS},
}


class Argument(NamedTuple):
    maker: str
    verb: str
    name: str
    others: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.maker}-{self.verb}-{self.name}"


def parameters(verb: Any, name: str) -> list[inspect.Parameter]:
    if name in SLOTS:
        return [inspect.Parameter(slot, inspect.Parameter.POSITIONAL_ONLY) for slot in SLOTS[name]]
    return [each for each in inspect.signature(verb).parameters.values() if each.name != "self"]


def verbs_of(kind: Any) -> Iterator[str]:
    for name in dir(kind):
        if not name.startswith("_") and callable(getattr(kind, name)):
            yield name
    yield from (name for name in SLOTS if hasattr(kind, name))


def every_argument() -> Iterator[Argument]:
    for maker, (kind, _) in MAKERS.items():
        for verb in verbs_of(kind):
            all_of = [each.name for each in parameters(getattr(kind, verb), verb)]
            for name in all_of:
                yield Argument(maker, verb, name, tuple((each, GOOD[each]) for each in all_of if each != name))


def make(maker: str) -> Any:
    """Ids 1 .. 9. An allocator with 1 .. 3 live; a table, and 4 rests; a queue with 1, 2 in flight, 3 .. 5 waiting."""
    kind, options = MAKERS[maker]
    if "Allocator" in maker:
        ids = kind(1, 9, **options)
        ids.acquire_many(3)
        return ids
    if "Table" in maker:
        table = kind(1, 9, **options)
        for n in range(4):
            table.add(f"payload {n}")
        table.quarantine(4)
        return table
    queue = kind(9, **options)
    queue.put_many([f"body {n}" for n in range(5)])
    queue.get_many(2)
    return queue


def state_of(thing: Any) -> object:
    if hasattr(thing, "snapshot"):
        try:
            audit = thing.audit()
        except mtsid.AuditError as error:
            audit = error.audit
        assert not audit.faults
        return thing.snapshot().tolist(), audit, len(thing), thing.qsize(), thing.in_flight(), thing.full()
    if hasattr(thing, "_check"):
        thing._check()
    if isinstance(thing, mtsid.InFlightTable):
        return list(thing.items()), thing.stats().quarantined, thing.available, thing.capacity
    return list(thing), len(thing), thing.available, thing.capacity


def invoke(thing: Any, argument: Argument, value: Any) -> Any:
    by_name = {argument.name: value, **dict(argument.others)}
    positional, named = [], {}
    for each in parameters(getattr(thing, argument.verb), argument.verb):
        if each.kind is inspect.Parameter.KEYWORD_ONLY:
            named[each.name] = by_name[each.name]
        else:
            positional.append(by_name[each.name])
    result = getattr(thing, argument.verb)(*positional, **named)
    if not inspect.isawaitable(result):
        return result
    try:
        result.send(None)  # type: ignore[attr-defined]
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


# The tests --------------------------------------------------------------------------------------------------------

FUZZED = settings(
    derandomize=True, database=None, deadline=None, max_examples=80, suppress_health_check=list(HealthCheck)
)
ARGUMENTS = list(every_argument())
#: What nobody else holds: a reference too many is the library's.
COUNTED = (Hostile, HostileText, HostileList, list, np.ndarray)


def test_whatever_is_public_is_fuzzed() -> None:
    classes = {name for name in mtsid.__all__ if isinstance(getattr(mtsid, name), type)}
    plain = {"AllocatorStats", "Audit", "Message", "QueueStats", "TableStats"}
    plain |= {name for name in classes if issubclass(getattr(mtsid, name), Exception)}
    assert classes - plain == {"Allocator", "InFlightTable", "MessageQueue"}
    assert set(mtsid.__all__) - classes == {"get_include"}
    assert {name for module in (mtsid, v40) for name in module.__all__ if name not in plain} - {"get_include"} == {
        kind.__name__ for kind in CONSTRUCTORS
    }
    tried = {(argument.maker, argument.verb) for argument in ARGUMENTS}
    assert ("MessageQueue", "put_many") in tried
    assert ("4.0 Allocator racy-claim", "reserve_many") in tried
    assert len(ARGUMENTS) > 150


@pytest.mark.parametrize("kind", CONSTRUCTORS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_the_constructors_arguments_are_those_that_are_documented(kind: Any) -> None:
    names = CONSTRUCTORS[kind]
    kind(**{name: GOOD.get(name, "double-release") for name in names})
    with pytest.raises(TypeError, match="unexpected keyword"):
        kind(another=1)
    # One more than there are by position tells how many there are.
    with pytest.raises(TypeError, match="positional"):
        kind(*[1] * len(names))


@pytest.mark.parametrize("argument", ARGUMENTS, ids=str)
def test_any_object_as_any_argument(argument: Argument) -> None:
    @settings(FUZZED, max_examples=25 if argument.maker.startswith("4.0") else 80)
    @given(recipe=ANYTHING)
    def check(recipe: Recipe) -> None:
        stage = Stage()
        stage.thing = thing = make(argument.maker)
        value = recipe(stage)
        before = state_of(thing)
        references = sys.getrefcount(value)
        stored = argument.name in ("item", "items", "payload")
        changed = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of an __index__ that lies
                result = invoke(thing, argument, value)
            changed = True
            stored = stored or argument.verb in ("__class_getitem__", "__contains__")
            del result
        except DOCUMENTED as error:
            if isinstance(error, mtsid.NotInUse) and argument.verb in ("release_many", "ack_many"):
                changed = len(error.refused) > 0  # the rest is released; that is the promise
            changed = changed or isinstance(error, mtsid.Late)  # which frees an id
            error.__traceback__ = None
        except MemoryError:
            assert isinstance(value, Hostile | HostileList), "a plain object must not cost so much"
        if not changed:
            assert state_of(thing) == before
        else:
            state_of(thing)
        if isinstance(value, COUNTED) and not stored:
            assert sys.getrefcount(value) <= references, "the argument was kept"

    check()


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in CONSTRUCTORS.items() for name in names],
    ids=lambda part: part if isinstance(part, str) else f"{part.__module__}.{part.__name__}",
)
def test_any_object_as_any_argument_of_a_constructor(kind: Any, name: str) -> None:
    @FUZZED
    @given(recipe=ANYTHING)
    def check(recipe: Recipe) -> None:
        stage = Stage()
        value = recipe(stage)
        options = {each: GOOD[each] for each in CONSTRUCTORS[kind] if each in GOOD} | {name: value}
        references = sys.getrefcount(value)
        try:
            made = kind(**options)
        except DOCUMENTED as error:
            error.__traceback__ = None
        except MemoryError:
            assert isinstance(value, Hostile | HostileList | int), "a plain object must not cost so much"
        else:
            repr(made) if "Queue" in kind.__name__ else made.capacity
            del made
        options.clear()
        if isinstance(value, COUNTED):
            assert sys.getrefcount(value) <= references, "the argument was kept"

    check()


@pytest.mark.parametrize("maker", MAKERS)
def test_too_many_too_few_or_unknown_arguments_change_nothing(maker: str) -> None:
    thing = make(maker)
    before = state_of(thing)
    for verb in verbs_of(type(thing)):
        call = getattr(thing, verb)
        known = parameters(call, verb)
        needed = [each for each in known if each.default is each.empty]
        positional = [each for each in known if each.kind is not each.KEYWORD_ONLY]
        if needed:
            with pytest.raises(TypeError):
                call()
        with pytest.raises(TypeError):
            call(*[1] * (len(positional) + 1))
        with pytest.raises(TypeError):
            call(*[1] * len(needed), no_such_argument=1)
    assert state_of(thing) == before
