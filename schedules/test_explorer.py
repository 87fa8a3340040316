"""The explorer itself: complete where it says so, able to fail, and exact about what it saw."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest

import mtsid
from schedules.build import ROOT
from schedules.explorer import Explorer, Found, Run, Scenario, story
from schedules.linearizability import Ids, linearizable
from schedules.scenarios import racy_claim, sp2

LOAD, STORE = 0, 1


@pytest.fixture(scope="module")
def explorer(scheduler: ctypes.CDLL) -> Explorer:
    return Explorer(scheduler)


def outcomes(explorer: Explorer, scenario: Scenario, bound: int | None) -> tuple[Found, set[tuple[Any, ...]]]:
    """Everything that can be seen of a scenario: the results, and which calls came before which."""
    seen: set[tuple[Any, ...]] = set()

    def note(run: Run) -> str:
        order = tuple(
            (a.thread, a.name, str(a.result), tuple(b.ended < a.begun for b in run.history)) for a in run.history
        )
        seen.add(order)
        return ""

    scenario = Scenario(scenario.name, scenario.setup, scenario.threads, note, scenario.perform)
    return explorer.search(scenario, bound=bound), seen


def test_the_build_under_test_is_the_scheduled_one() -> None:
    assert str(ROOT / "build") in str(mtsid.__file__)


@pytest.mark.parametrize("name", ["release | release of one id", "reserve | reserve of one id", "get | delete"])
def test_sleep_sets_leave_out_nothing_that_can_be_seen(explorer: Explorer, name: str) -> None:
    [plan] = [plan for plan in sp2() if plan.scenario.name.startswith(name)]
    reduced, few = outcomes(explorer, plan.scenario, None)
    every, many = outcomes(explorer, plan.scenario, 99)  # so many preemptions are no bound, and need no sleep sets
    assert few == many
    assert reduced.complete
    assert every.complete
    assert reduced.schedules < every.schedules


def test_every_interleaving_of_two_threads_of_two_points_is_seen(explorer: Explorer, scheduler: ctypes.CDLL) -> None:
    point = scheduler.mtsid_schedule_point
    seen: list[tuple[int, ...]] = []

    def perform(subject: Any, name: str, arguments: tuple[Any, ...]) -> None:
        point(STORE, 1)  # the same word, so nothing is independent

    def check(run: Run) -> str:
        seen.append(tuple(run.schedule))
        return ""

    found = explorer.search(Scenario("points", object, [[("a", ())], [("b", ())]], check, perform))
    # start, call and store a thread: six points in all, three of each.
    assert sorted(seen) == sorted(set(seen))
    assert found.schedules == len(seen) == 20


def test_a_lost_wake_up_is_found(explorer: Explorer) -> None:
    scenario = Scenario("a get for ever", lambda: mtsid.MessageQueue(1), [[("get", ())]], lambda run: "")
    found = explorer.search(scenario)
    assert "lost wake-up" in found.violation


def test_an_exception_that_no_operation_may_raise_is_found(explorer: Explorer) -> None:
    scenario = Scenario("a wrong call", lambda: mtsid.Allocator(1, 2), [[("release", ("x",))]], lambda run: "")
    assert "TypeError" in explorer.search(scenario).violation


def test_a_scenario_that_is_not_deterministic_is_refused(explorer: Explorer, scheduler: ctypes.CDLL) -> None:
    runs = iter(range(10**6))

    def perform(subject: int, name: str, arguments: tuple[Any, ...]) -> None:
        for _ in range(subject % 2 + 1):
            scheduler.mtsid_schedule_point(STORE, 1)

    scenario = Scenario("moody", lambda: next(runs), [[("a", ())], [("b", ())]], lambda run: "", perform)
    with pytest.raises(RuntimeError, match="not deterministic"):
        explorer.search(scenario)


def test_the_race_of_40_is_found_and_told_and_can_be_replayed(explorer: Explorer) -> None:
    found = explorer.shortest(racy_claim())
    assert found.bound == 0
    assert found.run is not None
    assert "in use by several messages" in found.violation
    again = explorer.replay(racy_claim(), found.run.schedule)
    assert [str(operation) for operation in again.history] == [str(operation) for operation in found.run.history]
    told = "\n".join(story(found.run))
    assert "put_nowait('alice') -> 1" in told
    assert "put_nowait('bob') -> 1" in told


def test_the_judge_refuses_histories_that_no_allocator_gives(explorer: Explorer) -> None:
    def wrong(perform: Callable[[Any, str, tuple[Any, ...]], Any]) -> str:
        threads = [[("acquire", ())], [("acquire", ())]]

        def check(run: Run) -> str:
            return "" if linearizable(run.history, Ids(1, 2)) else "refused"

        return explorer.search(Scenario("forged", object, threads, check, perform)).violation

    assert wrong(lambda subject, name, arguments: 1) == "refused"  # twice the same id
    assert wrong(lambda subject, name, arguments: 3) == "refused"  # an id that there is not
    numbers = iter(range(10**6))
    assert wrong(lambda subject, name, arguments: 1 + next(numbers) % 2) == ""


def test_threads_that_are_not_the_schedulers_are_left_alone() -> None:
    ids = mtsid.Allocator(1, 100)
    threads = [threading.Thread(target=ids.acquire) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(ids) == 4
