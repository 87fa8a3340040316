"""Stock clients: what an audit finds in one thread, which does not depend on luck, and what the page says of them."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from mtsid.lab import audit_ids

ROOT = Path(__file__).resolve().parents[2]
PINS = dict(re.findall(r'"([\w-]+)==([\d.]+)', (ROOT / "pyproject.toml").read_text("utf-8")))

clients = pytest.importorskip("clients", reason="for `python -m pytest` in the checkout")


def stock(make: str) -> Any:
    """The source, of the version that is pinned."""
    [client] = [client for client in clients.CLIENTS if client.make.__name__ == make]
    try:
        found = version(client.package)
    except PackageNotFoundError:
        pytest.skip(f"{client.package} is not installed: make clients, or pip install 'mtsid[clients]'")
    if found != PINS[client.package]:
        pytest.skip(f"{client.package} {found} is not the {PINS[client.package]} that this is about")
    return client.make()


@pytest.mark.parametrize(
    ("make", "ids", "exhaustion", "second_release", "rest"),
    [
        ("gmqtt", 65535, "OverflowError", "ignored", 65535 - 17),
        ("amqtt", 65535, "AMQTTError", "ignored", 65535 - 17),
        ("pika", 2047, "NoFreeChannels", "ignored", 0),
        ("py_amqp", 2047, "ResourceError", "ignored", 0),
        ("cassandra", 32767, "NoConnectionsAvailable", "believed", 300 - 17),
    ],
)
def test_those_that_look_have_no_duplicate_in_one_thread(
    make: str, ids: int, exhaustion: str, second_release: str, rest: int
) -> None:
    source = stock(make)
    report = audit_ids(source.acquire, source.release, threads=1, operations=66_000, timeout=60)
    assert report.ok, str(report)
    assert (report.exhaustion.kind, report.exhaustion.error, report.exhaustion.held) == ("raises", exhaustion, ids)
    assert report.second_release.kind == second_release
    assert report.turns.rest == rest
    assert report.raised == {}


def test_paho_hands_out_what_is_held_when_its_counter_comes_round() -> None:
    source = stock("paho")
    report = audit_ids(source.acquire, source.release, threads=1, operations=66_000)
    assert report.turns.duplicates == 16
    assert (report.exhaustion.kind, report.exhaustion.held) == ("duplicate", 65535)


@pytest.mark.parametrize("client", clients.CLIENTS, ids=lambda client: client.package)
def test_the_page_tells_of_the_version_that_is_pinned(client: Any) -> None:
    page = (ROOT / "docs" / "AUDIT.md").read_text("utf-8")
    [row] = [line for line in page.splitlines() if f"`clients:{client.make.__name__}`" in line and line[:2] == "| "]
    assert row.startswith(f"| {client.package} {PINS[client.package]}, {client.what}")
    assert f"| {client.threads} |" in row


def test_the_table_takes_its_place_in_a_page_and_leaves_the_rest() -> None:
    from clients.__main__ import BEGIN, END, written

    page = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    assert written(page, ["| new |"]) == f"above\n{BEGIN}\n\n| new |\n\n{END}\nbelow\n"
    with pytest.raises(SystemExit, match="marks"):
        written("above\n", ["| new |"])
