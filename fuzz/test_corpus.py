"""The committed inputs, and what must hold for the fuzzer's word to be worth something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mtsid
from fuzz.queue_session import QueueSession
from fuzz.source import Source
from fuzz.target import open_session, run

CORPUS = sorted(Path(__file__).with_name("corpus").iterdir())


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_an_input_of_the_corpus_finds_nothing(file: Path) -> None:
    run(file.read_bytes())


def test_the_corpus_opens_every_kind_of_session() -> None:
    seen = {
        (type(session).__name__, vars(session)["modelled"], vars(session).get("reentrant", False))
        for session in (open_session(file.read_bytes()) for file in CORPUS)
    }
    assert len(seen) == 5


class Forgetful(mtsid.MessageQueue):  # type: ignore[type-arg]
    def nack(self, message_or_mtsid: Any) -> None:
        if isinstance(message_or_mtsid, mtsid.Message) and message_or_mtsid.deliveries > 1:
            self.ack(message_or_mtsid)
        else:
            super().nack(message_or_mtsid)


def test_a_queue_that_loses_a_message_is_caught_by_the_model() -> None:
    for file in CORPUS:
        try:
            QueueSession(Source(file.read_bytes()), Forgetful, modelled=True).run()
        except AssertionError:
            return
    raise AssertionError("no input of the corpus told a forgetful queue from a sound one")


def test_an_input_that_has_run_out_ends() -> None:
    for first in range(256):
        run(bytes([first]))
