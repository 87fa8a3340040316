"""The event table against the two articles' own texts."""

from __future__ import annotations

from typing import Any

import pytest

from mtsid.mta import Event
from mtsid.mta.events import ROWS

# Q152897 and Q152877, between the event's heading and the next one, white space folded.
ARTICLES = {
    1004: "An error occurred while processing an association 1 with entity./O=organization/OU=site/CN=CONFIGURATION"
    "/CN=SERVERS /CN=MICROSOFT MTA. The association will be terminated and restarted if necessary. "
    "[2 20 1 8 PLATFORM KERNEL 10] (14)",
    1008: "An error occurred while processing an association with entity . The association will be terminated and "
    "restarted if necessary. [2 26 PLATFORM KERNEL ]",
    1198: "An error occurred while processing an association to entity . Presentation error: state check failure. "
    "Current state 0, service type 20, service flavor 2 Control block index 3. The association will be terminated and "
    "restarted if necessary. [PLATFORM KERNEL 27 108] (14)",
    1277: "An interoperability error occurred. Session error: the remotely initiated transport connection was refused. "
    "Control block index 6. Type1[/O=Organization/OU=Site/CN=CONFIGURATION/CN=SERVERS/CN= Servername/CN=MICROSOFT MTA "
    "PLATFORM KERNEL] (14)",
    4282: "An interoperability error occurred. Interface protocol 131 was violated. "
    "Error code=8453 [POP4 MAIN BASE 1 18] (14)",
    4283: "Unable to recognize an internal message identifier. Internal connection handle (LP1) 1-3-14 "
    "Error code=8464 [POP4 POP4 UP 5 228] (14)",
    4284: "An error has occurred during connection/disconnection. Error code=8511 [POP4 POP4 DOWN 4 179] (14)",
    4287: "An internal MTA occurred. Contact Microsoft Product Support Services. "
    "Error code=8650 [POP4 POP4 DOWN4 18] (14)",
}

# What changes when the known misprints are mended: no number but 8650.
NORMALISED = {
    1004: "An error occurred while processing an association 1 with entity /O=organization/OU=site/CN=CONFIGURATION"
    "/CN=SERVERS /CN=MICROSOFT MTA. The association will be terminated and restarted if necessary. "
    "[2 20 1 8 PLATFORM KERNEL 10] (14)",
    1008: "An error occurred while processing an association with entity . The association will be terminated and "
    "restarted if necessary. [2 26 PLATFORM KERNEL] (14)",
    1198: "An error occurred while processing an association to entity . Presentation error: state check failure. "
    "Current state 0, service type 20, service flavor 2. Control block index 3. The association will be terminated and "
    "restarted if necessary. [PLATFORM KERNEL 27 108] (14)",
    1277: "An interoperability error occurred. Session error: the remotely initiated transport connection was refused. "
    "Control block index 6. Type 1. [/O=Organization/OU=Site/CN=CONFIGURATION/CN=SERVERS/CN= Servername"
    "/CN=MICROSOFT MTA PLATFORM KERNEL] (14)",
    4282: ARTICLES[4282],
    4283: "Unable to recognize an internal message identifier. Internal connection handle (LPI) 1-3-14 "
    "Error code=8464 [POP4 POP4 UP 5 228] (14)",
    4284: ARTICLES[4284],
    4287: "An internal MTA error occurred. Contact Microsoft Product Support Services. "
    "Error code=8640 [POP4 POP4 DOWN 4 18] (14)",
}

FIELDS: list[tuple[int, dict[str, object], str]] = [
    (1004, {"association": 7}, "processing an association 7 with entity./O=organization/"),
    (1004, {"entity": "/O=A"}, "with entity./O=A. The association"),
    (1198, {"state": 5}, "Current state 5, service type 20,"),
    (1198, {"type": 21}, "state 0, service type 21, service flavor 2 "),
    (1198, {"flavor": 3}, "service flavor 3 Control"),
    (1198, {"index": 19}, "Control block index 19. The"),
    (1277, {"index": 0}, "Control block index 0. Type1["),
    (1277, {"type": 2}, "Control block index 6. Type2["),
    (1277, {"entity": "/O=B"}, "Type1[/O=B PLATFORM KERNEL] (14)"),
    (4282, {"interface": 7}, "Interface protocol 7 was violated."),
    (4283, {"handle": "1-3-20"}, "(LP1) 1-3-20 Error code=8464"),
]


def test_the_table_holds_the_eight_events_of_the_two_articles() -> None:
    assert set(ROWS) == set(ARTICLES)
    assert all(row.id == id for id, row in ROWS.items())


@pytest.mark.parametrize("id", ARTICLES)
def test_kb_rendering_is_the_articles_text_to_the_character(id: int) -> None:
    assert Event(id).text() == Event(id).text("kb") == ARTICLES[id]


@pytest.mark.parametrize("id", ARTICLES)
def test_tag_is_the_end_of_the_kb_text(id: int) -> None:
    assert Event(id).tag == ARTICLES[id][ARTICLES[id].index("[") :]


@pytest.mark.parametrize("id", ARTICLES)
def test_normalised_rendering_mends_the_known_misprints_and_nothing_else(id: int) -> None:
    assert Event(id).text("normalised") == NORMALISED[id]


@pytest.mark.parametrize("id", ARTICLES)
def test_every_event_has_source_category_and_severity(id: int) -> None:
    event = Event(id)
    assert (event.source, event.category, event.severity) == ("MSExchangeMTA", "X.400 Service", 14)
    assert event.text("normalised").endswith(f"] ({event.severity})")


@pytest.mark.parametrize(("id", "fields", "part"), FIELDS)
def test_fields_replace_the_articles_parameters(id: int, fields: dict[str, object], part: str) -> None:
    event = Event(id, fields)
    assert part in event.text()
    assert event.text().endswith(event.tag)
    assert str(next(iter(fields.values()))) in event.text("normalised")


def test_the_fields_tested_are_all_there_are() -> None:
    named = {(id, name) for id, fields, _ in FIELDS for name in fields}
    assert named == {(id, name) for id, row in ROWS.items() for name in row.parameters}


def test_all_fields_at_once() -> None:
    event = Event(1198, {"state": 1, "type": 2, "flavor": 3, "index": 4})
    assert "Current state 1, service type 2, service flavor 3 Control block index 4." in event.text()


def test_braces_in_a_field_are_printed_as_they_are() -> None:
    assert "(LP1) {state} Error" in Event(4283, {"handle": "{state}"}).text()


def test_events_of_the_same_values_are_equal() -> None:
    assert Event(4283) == Event(4283)
    assert Event(4283) != Event(4283, {"handle": "1-3-20"})
    assert len({Event(4283), Event(4283), Event(4284)}) == 2


@pytest.mark.parametrize("id", [9999, 0, -4282, 4282.5, "4282", None])
def test_an_unknown_event_is_refused(id: Any) -> None:
    with pytest.raises(KeyError, match="not in the table"):
        Event(id)


@pytest.mark.parametrize(
    ("id", "name"), [(4284, "entity"), (1008, "entity"), (4283, "component"), (4283, "severity"), (1277, "association")]
)
def test_a_field_that_the_event_has_not_is_refused(id: int, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Event(id, {name: "x"})


@pytest.mark.parametrize("rendering", ["latin", "KB", "", None])
def test_an_unknown_rendering_is_refused(rendering: Any) -> None:
    with pytest.raises(ValueError, match="rendering"):
        Event(4284).text(rendering)
