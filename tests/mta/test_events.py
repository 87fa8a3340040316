"""The event table against the article's own text, and the log."""

import pytest

from mtsid.mta import Event, EventLog, LogEntry

# Q152897, between the event's heading and the next one.
ARTICLE = {
    4282: "An interoperability error occurred. Interface protocol 131 was violated. "
    "Error code=8453 [POP4 MAIN BASE 1 18] (14)",
    4283: "Unable to recognize an internal message identifier. Internal connection handle (LP1) 1-3-14 "
    "Error code=8464 [POP4 POP4 UP 5 228] (14)",
    4284: "An error has occurred during connection/disconnection. Error code=8511 [POP4 POP4 DOWN 4 179] (14)",
    4287: "An internal MTA occurred. Contact Microsoft Product Support Services. "
    "Error code=8650 [POP4 POP4 DOWN4 18] (14)",
}


@pytest.mark.parametrize("id", ARTICLE)
def test_kb_rendering_is_the_articles_text_to_the_character(id: int) -> None:
    event = Event(id)
    assert event.text() == event.text("kb") == ARTICLE[id]


@pytest.mark.parametrize("id", ARTICLE)
def test_tag_is_the_end_of_the_kb_text(id: int) -> None:
    event = Event(id)
    assert event.tag == ARTICLE[id][ARTICLE[id].index("[") :]
    assert event.tag.endswith(f"({event.severity})")


def test_normalised_rendering_mends_every_known_misprint() -> None:
    assert "(LPI) 1-3-14" in Event(4283).text("normalised")
    assert Event(4287).text("normalised") == (
        "An internal MTA error occurred. Contact Microsoft Product Support Services. "
        "Error code=8640 [POP4 POP4 DOWN 4 18] (14)"
    )


@pytest.mark.parametrize("id", [4282, 4284])
def test_normalised_rendering_leaves_the_rest_alone(id: int) -> None:
    assert Event(id).text("normalised") == ARTICLE[id]


@pytest.mark.parametrize("id", ARTICLE)
def test_every_event_has_source_category_and_severity(id: int) -> None:
    event = Event(id)
    assert (event.source, event.category, event.severity) == ("MSExchangeMTA", "X.400 Service", 14)


def test_fields_replace_the_articles_parameters() -> None:
    assert "(LP1) 1-3-20 Error" in Event(4283, {"handle": "1-3-20"}).text()
    assert "protocol 7 was" in Event(4282, {"interface": 7}).text()


def test_unknown_event_field_and_rendering_are_refused() -> None:
    with pytest.raises(KeyError, match="9999"):
        Event(9999)
    with pytest.raises(ValueError, match="entity"):
        Event(4284, {"entity": "x"})
    with pytest.raises(ValueError, match="rendering"):
        Event(4284).text("latin")  # type: ignore[arg-type]


def test_log_keeps_order_counts_and_tells_a_listener() -> None:
    heard: list[LogEntry] = []
    log = EventLog(on_event=heard.append)
    for time, id in ((1.0, 4284), (1.0, 4287), (601.0, 4284)):
        log.write(time, Event(id))
    assert [(entry.time, entry.event.id) for entry in log] == [(1.0, 4284), (1.0, 4287), (601.0, 4284)]
    assert heard == list(log)
    assert log.counts == {4284: 2, 4287: 1}
    assert len(log) == 3


def test_log_that_keeps_some_counts_all() -> None:
    log = EventLog(keep=1)
    for time in range(5):
        log.write(time, Event(4282))
    assert [entry.time for entry in log] == [0]
    assert len(log) == 5
    assert log.counts[4282] == 5
