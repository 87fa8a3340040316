"""Check 2: an outage with a transfer in flight and a backlog, then one entry: 4.0 has one duplicated id, SP2 none."""

from typing import Any

import pytest

from mtsid.mta import Version


@pytest.mark.parametrize("backlog", [1, 2, 10])
def test_one_entry_after_the_loss_is_a_twin_in_40_and_none_in_sp2(line: Any, version: Version, backlog: int) -> None:
    at = line(version)
    entries = at.enter(0.0, *(f"m{i}" for i in range(1 + backlog)))
    at.open(0.0)
    assert at.carried() == "m0"
    at.lose(1.0)
    [late] = at.enter(2.0, "late")
    numbers = [entry.mtsid for entry in (*entries, late)]
    if version == "SP2":
        assert len(set(numbers)) == len(numbers)
        assert (at.hop.duplicates, at.duplicates()) == (0, ())
    else:
        assert late.mtsid == entries[0].mtsid
        assert len(set(numbers)) == len(numbers) - 1
        assert (at.hop.duplicates, at.duplicates()) == (1, ((late.mtsid, 2),))


def test_the_second_entry_after_the_loss_gets_a_number_of_its_own(line: Any, version: Version) -> None:
    at = line(version)
    at.enter(0.0, "a", "b")
    at.open(0.0)
    at.lose(1.0)
    at.enter(2.0, "twin", "other")
    assert len(at.duplicates()) == (version == "4.0")
