"""Timers: when they end, in which order, and that a stopped or replaced one never does."""

from __future__ import annotations

from hypothesis import given
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
    keys = [("open", "x"), ("open", 1), None, object()]
    for key in keys[:2]:
        timers.start(key, 1.0)
    assert [timers.pop_due(1.0), timers.pop_due(1.0)] == keys[:2]


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


def test_clear_stops_all() -> None:
    timers: Timers[str] = Timers()
    timers.start("a", 1.0)
    timers.start("b", 2.0)
    timers.clear()
    assert (timers.next, timers.at("a"), timers.at("b")) == (None, None, None)
    timers.start("a", 4.0)
    assert ended(timers, 3.0) == []
    assert ended(timers, 4.0) == ["a"]


KEYS = st.sampled_from("abcd")
TIMES = st.integers(0, 6).map(float)
CALLS = st.one_of(
    st.tuples(st.just("start"), KEYS, TIMES),
    st.tuples(st.just("stop"), KEYS, TIMES),
    st.tuples(st.just("pop"), KEYS, TIMES),
    st.tuples(st.just("clear"), KEYS, TIMES),
)


@given(st.lists(CALLS, max_size=60))
def test_timers_do_what_a_plain_dict_does(calls: list[tuple[str, str, float]]) -> None:
    timers: Timers[str] = Timers()
    model: dict[str, float] = {}
    for call, key, time in calls:
        if call == "start":
            timers.start(key, time)
            model[key] = time
        elif call == "stop":
            timers.stop(key)
            model.pop(key, None)
        elif call == "clear":
            timers.clear()
            model.clear()
        else:
            popped = timers.pop_due(time)
            first = min(model.values(), default=None)
            if first is None or first > time:
                assert popped is None
            else:
                assert popped is not None
                assert model.pop(popped) == first
        assert timers.next == min(model.values(), default=None)
        assert {key: timers.at(key) for key in "abcd"} == {key: model.get(key) for key in "abcd"}


@given(st.lists(TIMES, max_size=30))
def test_timers_of_their_own_keys_end_by_time_and_then_by_start(times: list[float]) -> None:
    timers: Timers[int] = Timers()
    for key, time in enumerate(times):
        timers.start(key, time)
    order = []
    while (due := timers.pop_due(6.0)) is not None:
        order.append(due)
    assert order == sorted(range(len(times)), key=lambda key: times[key])
