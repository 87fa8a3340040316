"""Subinterpreters are refused with an ImportError that says why: the compiled modules serve one interpreter a process.

Their state (types, wait lines, the count of forks) is the process's own. Whoever imports mtsid first has it; before
Python 3.12 that may be a subinterpreter, later it is always the main one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

if sys.version_info < (3, 13):
    pytest.importorskip("_xxsubinterpreters", reason="this interpreter has no subinterpreters")
else:
    pytest.importorskip("_interpreters", reason="this interpreter has no subinterpreters")

SUB = """
import sys
try:
    import _interpreters as interpreters
    run, kinds = interpreters.exec, (["isolated"], ["legacy"])
except ImportError:
    import _xxsubinterpreters as interpreters
    run, kinds = interpreters.run_string, ([],)

TRY = '''
try:
    import mtsid
    queue, ids = mtsid.MessageQueue(3), mtsid.Allocator(1, 3)
    queue.put("a")
    queue.ack(queue.get())
    ids.release(ids.acquire())
    outcome = "works"
except ImportError as error:
    outcome = "ImportError"
    words = str(error)
    assert "interpreter" in words, words
print(outcome, flush=True)
'''

def sub(kind):
    "Try it in a subinterpreter of this kind, and end that one."
    name = interpreters.create(*kind)
    failure = run(name, TRY)
    if failure is not None:
        raise SystemExit(str(failure))
    interpreters.destroy(name)
"""


def test_a_subinterpreter_is_refused_and_the_main_one_works_on(in_child: Callable[..., str]) -> None:
    told = in_child(
        SUB
        + """
exec(TRY)
for kind in kinds * 2:
    sub(kind)
queue.put("b")
assert (queue.get().body, ids.acquire()) == ("b", 2)
"""
    ).split()
    assert told[0] == "works"
    assert len(told) >= 3
    assert set(told[1:]) == {"ImportError"}


def test_whoever_imports_it_first_has_it_and_the_next_are_refused(in_child: Callable[..., str]) -> None:
    told = in_child(SUB + "sub(kinds[0]), sub(kinds[-1]), exec(TRY)").split()
    if sys.version_info < (3, 12):
        assert told == ["works", "ImportError", "ImportError"]
    else:
        assert told[0] == "ImportError"
        assert told.count("works") == 1


def test_an_interpreter_may_exit_with_a_subinterpreter_that_was_refused(in_child: Callable[..., str]) -> None:
    assert in_child(SUB + "import mtsid\nrun(interpreters.create(*kinds[0]), TRY)").split() == ["ImportError"]
