"""Timers: when they end, in which order, and that a stopped or replaced one never does."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from mtsid.mta.timers import Timers


def ended(timers: Timers[str], now: float) -> list[str]:
    keys = []
    while (key := timers.pop_due(now)) is not None:
        keys.append(key)
    return keys


def test_without_timers_nothing_is_due() -> None:
    timers: Timers[str] = Timers()
    assert (timers.next, timers.at("a"), timers.pop_due(float("inf"))) == (None, None, None)


def test_a_timer_ends_at_its_time_not_before_and_once() -> None:
    timers: Timers[str] = Timers()
    timers.start("a", 5.0)
    assert (timers.at("a"), timers.next) == (5.0, 5.0)
    assert timers.pop_due(4.999) is None
    assert timers.at("a") == 5.0
    assert timers.pop_due(5.0) == "a"
    assert (timers.at("a"), timers.next, timers.pop_due(5.0)) == (None, None, None)


def test_the_earliest_ends_first_whatever_the_order_of_starts() -> None:
    timers: Timers[str] = Timers()
    for key, at in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        timers.start(key, at)
    assert timers.next == 1.0
    assert ended(timers, 2.0) == ["a", "b"]
    assert ended(timers, 9.0) == ["c"]


def test_those_of_one_time_end_in_the_order_of_their_starts() -> None:
    timers: Timers[str] = Timers()
    for key in "badc":
        timers.start(key, 1.0)
    assert ended(timers, 1.0) == list("badc")


def test_keys_of_one_time_need_no_order() -> None:
    timers: Timers[object] = Timers()
    keys = [("open", "x"), ("open", 1), object(), 3]
    for key in keys:
        timers.start(key, 1.0)
    assert [timers.pop_due(1.0) for _ in keys] == keys


def test_a_timer_started_again_is_replaced() -> None:
    timers: Timers[str] = Timers()
    timers.start("later", 1.0)
    timers.start("later", 5.0)
    timers.start("sooner", 8.0)
    timers.start("sooner", 2.0)
    assert (timers.at("later"), timers.at("sooner"), timers.next) == (5.0, 2.0, 2.0)
    assert ended(timers, 4.0) == ["sooner"]
    assert ended(timers, 9.0) == ["later"]


def test_a_timer_put_off_and_back_ends_once() -> None:
    timers: Timers[str] = Timers()
    for at in (1.0, 2.0, 1.0):
        timers.start("a", at)
    assert ended(timers, 9.0) == ["a"]
    timers.start("a", 20.0)
    assert timers.next == 20.0
    assert ended(timers, 19.0) == []
    assert ended(timers, 20.0) == ["a"]


def test_a_stopped_timer_never_ends() -> None:
    timers: Timers[str] = Timers()
    timers.start("a", 1.0)
    timers.start("b", 2.0)
    timers.stop("a")
    timers.stop("unknown")
    assert (timers.at("a"), timers.next) == (None, 2.0)
    assert ended(timers, 9.0) == ["b"]


def test_a_timer_stopped_and_started_again_ends_at_its_new_time_only() -> None:
    timers: Timers[str] = Timers()
    timers.start("a", 1.0)
    timers.stop("a")
    timers.start("a", 3.0)
    assert ended(timers, 2.0) == []
    assert ended(timers, 3.0) == ["a"]


def test_a_timer_stopped_and_started_again_for_the_same_time_ends_after_those_started_meanwhile() -> None:
    timers: Timers[str] = Timers()
    timers.start("a", 5.0)
    timers.stop("a")
    timers.start("b", 5.0)
    timers.start("a", 5.0)
    assert (timers.next, timers.at("a")) == (5.0, 5.0)
    assert ended(timers, 5.0) == ["b", "a"]


def test_a_timer_replaced_for_the_same_time_ends_after_those_started_meanwhile() -> None:
    timers: Timers[str] = Timers()
    for key in ("a", "b", "a"):
        timers.start(key, 5.0)
    assert ended(timers, 5.0) == ["b", "a"]
    for key, at in (("a", 7.0), ("b", 7.0), ("a", 9.0), ("a", 7.0)):
        timers.start(key, at)
    assert ended(timers, 9.0) == ["b", "a"]


def test_clear_stops_all() -> None:
    timers: Timers[str] = Timers()
    timers.start("a", 1.0)
    timers.start("b", 2.0)
    timers.clear()
    assert (timers.next, timers.at("a"), timers.at("b")) == (None, None, None)
    timers.start("a", 4.0)
    assert ended(timers, 3.0) == []
    assert ended(timers, 4.0) == ["a"]


# Few keys, few times, many starts, no lists that end at once: many a timer started again is then tied with others.
TIMES = st.integers(0, 6).map(float)
CALLS = st.tuples(
    st.sampled_from(["start"] * 8 + ["pop", "pop", "stop", "clear"]),
    st.sampled_from("abc"),
    st.integers(0, 2).map(float),
)


@given(st.lists(CALLS, min_size=10, max_size=60))
@example([("start", "a", 1.0), ("start", "b", 1.0), ("start", "a", 1.0)])
@example([("start", "a", 1.0), ("stop", "a", 1.0), ("start", "b", 1.0), ("start", "a", 1.0)])
def test_timers_do_what_a_plain_dict_does(calls: list[tuple[str, str, float]]) -> None:
    timers: Timers[str] = Timers()
    model: dict[str, tuple[float, int]] = {}  # when, and which call started it

    def pop(now: float) -> None:
        due = [key for key, (at, _) in model.items() if at <= now]
        first = min(due, key=lambda key: model[key], default=None)
        assert timers.pop_due(now) == first
        if first is not None:
            del model[first]

    for number, (call, key, time) in enumerate(calls):
        if call == "start":
            timers.start(key, time)
            model[key] = time, number
        elif call == "stop":
            timers.stop(key)
            model.pop(key, None)
        elif call == "clear":
            timers.clear()
            model.clear()
        else:
            pop(time)
        assert timers.next == min((at for at, _ in model.values()), default=None)
        assert {key: timers.at(key) for key in "abc"} == {key: model.get(key, (None, 0))[0] for key in "abc"}
    while model:
        pop(2.0)
    assert (timers.next, timers.pop_due(2.0)) == (None, None)


@given(st.lists(TIMES, max_size=30))
def test_timers_of_their_own_keys_end_by_time_and_then_by_start(times: list[float]) -> None:
    timers: Timers[int] = Timers()
    for key, time in enumerate(times):
        timers.start(key, time)
    order = []
    while (due := timers.pop_due(6.0)) is not None:
        order.append(due)
    assert order == sorted(range(len(times)), key=lambda key: times[key])
