"""Check 7: a long outage: 4284/4287 pairs exactly one open interval apart; a non-delivery report after 144."""

from typing import Any

from mtsid.mta import Primitive, Version, Way


def test_pairs_one_interval_apart_and_an_ndr_after_144(line: Any, version: Version) -> None:
    at = line(version)
    entries = at.enter(0.0, "a", "b", "c")
    at.open(0.0)
    at.lose(1000.0)
    while len(at.hop):
        now = at.wake()
        if at.asks():
            at.answer(now, Primitive.DISCONNECT_INDICATION)  # the link is down
    times = {id: [entry.time for entry in at.mta.log.filter(ids={id})] for id in (4284, 4287)}
    assert times[4284] == times[4287] == [1000.0 + 600 * n for n in range(145)]
    assert at.ids() == [4284, 4287] * 145
    assert {entry.way for entry in entries} == {Way.RETRIES}
    assert {entry.left_at for entry in entries} == {1000.0 + 24 * 3600}


def test_the_interval_and_the_retries_are_the_callers(line: Any, version: Version) -> None:
    at = line(version, open_interval=60.0, open_retries=3)
    [entry] = at.enter(0.0, "a")
    at.answer(0.0, Primitive.DISCONNECT_INDICATION)  # the first open is not yet a retry
    while len(at.hop):
        now = at.wake()
        if at.asks():
            at.answer(now, Primitive.DISCONNECT_INDICATION)
    assert [found.time for found in at.mta.log.filter(ids={4284})] == [0.0, 60.0, 120.0, 180.0]
    assert (entry.way, entry.left_at) == (Way.RETRIES, 180.0)
