"""The limits and timers: their published defaults, and what they refuse."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest

from mtsid.mta import Policy

# Exchange 4.0/5.0; seconds and counts.
PUBLISHED: dict[str, float] = {
    "open_interval": 600.0,  # Q234157
    "open_retries": 144,  # Q234157, Q157630
    "recovery": 60.0,  # Q234157
    "association_lifetime": 300.0,  # Q234157
    "disconnect": 120.0,  # Q234157
    "threshold": 50,  # Q234157
    "associations": 9,  # Q194589
    "control_blocks": 20,  # assumed, after the TCP/IP control blocks of Q166602
}
COUNTS = ("open_retries", "threshold", "associations", "control_blocks")
TIMERS = tuple(name for name in PUBLISHED if name not in COUNTS)
LISTED = ("associations", "control_blocks")  # what the MTA keeps a list of


def policy(name: str, value: Any) -> Policy:
    return Policy(**{name: value})


def test_the_defaults_are_the_published_ones() -> None:
    assert asdict(Policy()) == PUBLISHED


def test_the_defaults_return_mail_after_a_day() -> None:
    assert Policy().open_retries * Policy().open_interval == 24 * 3600


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_field_can_be_set_alone(name: str) -> None:
    assert asdict(policy(name, 7)) == {**PUBLISHED, name: 7}


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_may_have_a_fraction(name: str) -> None:
    assert getattr(policy(name, 0.25), name) == 0.25


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("value", [0, 0.0, -1, -0.5, float("nan"), float("inf"), float("-inf")])
def test_a_field_refuses_what_is_not_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive and finite"):
        policy(name, value)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("value", [True, False, "600", None, [600], 600j])
def test_a_field_refuses_what_is_no_number(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a number"):
        policy(name, value)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [1.5, 2.0])
def test_a_count_refuses_fractions(name: str, value: float) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a whole number"):
        policy(name, value)


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_of_a_millisecond_is_the_shortest(name: str) -> None:
    assert getattr(policy(name, 0.001), name) == 0.001
    with pytest.raises(ValueError, match=f"{name} must be at least 0.001, not 0.0009"):
        policy(name, 0.0009)


@pytest.mark.parametrize("name", LISTED)
def test_what_the_mta_lists_has_an_upper_limit(name: str) -> None:
    assert getattr(policy(name, 65535), name) == 65535
    with pytest.raises(ValueError, match=f"{name} must be at most 65,535, not 65536"):
        policy(name, 65536)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in LISTED])
def test_the_others_have_one_beyond_any_use(name: str) -> None:
    for value in (10_000_000, 10**12):
        assert getattr(policy(name, value), name) == value
    with pytest.raises(ValueError, match=f"{name} must be at most 1,000,000,000,000, not 1000000000001"):
        policy(name, 10**12 + 1)


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_of_a_million_millions_of_seconds_is_the_longest(name: str) -> None:
    assert getattr(policy(name, 1e12), name) == 1e12
    for value in (1.000001e12, 1e300):
        with pytest.raises(ValueError, match=f"{name} must be at most"):
            policy(name, value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_whole_number_beyond_any_float_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at most"):
        policy(name, 10**400)
    with pytest.raises(ValueError, match=f"{name} must be positive and finite"):
        policy(name, -(10**400))


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Policy().open_interval = 1.0  # type: ignore[misc]
