"""aiocoap at full length: 65,537 requests to one peer within the 247 s for which it remembers ids. `make coap-full`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

aiocoap = pytest.importorskip("aiocoap", reason="needs aiocoap: pip install 'mtsid[aiocoap]'")

from mtsid.integrations.aiocoap import Context, NoMessageId  # noqa: E402

from . import coap  # noqa: E402

pytestmark = pytest.mark.skipif(os.environ.get("MTSID_COAP_FULL") != "1", reason="takes 6 minutes: make coap-full")

PINNED = ("aiocoap", "0.4.17")
LIFETIME, REST, IDS = 247, 249, 64_512
DEADLINE = 1200


async def count(context: Any, uri: str, first: int, last: int) -> None:
    """Ask the Counter, and hold the answers to what they must be."""
    for number in range(first, last + 1):
        assert int((await context.request(coap.get(uri)).response).payload) == number


def test_stock_hangs_at_request_65537(stock_failure: Callable[..., Any]) -> None:
    async def story() -> None:
        async with coap.server() as (server, uri), coap.client(aiocoap.Context) as context:
            copies = coap.copies_seen(server)
            start = time.monotonic()
            await count(context, uri, 1, 65_536)
            took = time.monotonic() - start
            if took >= LIFETIME:
                pytest.skip(f"65,536 requests took {took:.0f} s on this machine, and the peer has forgotten the first")
            print(f"65,536 requests in {took:.0f} s")
            request = context.request(coap.get(uri))
            answered = await coap.answered_or_hung(context, copies, request.response)
            with stock_failure(*PINNED):
                assert not answered
            assert copies.count(True) == 1
        with pytest.raises(aiocoap.error.LibraryShutdown):
            await request.response

    coap.run(story(), DEADLINE)


def test_with_the_adapter_no_id_comes_again_before_the_peer_has_forgotten_it() -> None:
    async def story() -> None:
        async with coap.server() as (server, uri), coap.client(Context) as context:
            copies = coap.copies_seen(server)
            start = time.monotonic()
            await count(context, uri, 1, IDS)
            took = time.monotonic() - start
            if took < LIFETIME:
                with pytest.raises(NoMessageId) as refused:
                    await context.request(coap.get(uri)).response
                assert refused.value.live == 0
                print(f"{IDS:,} requests in {took:.0f} s; then: {refused.value}")
            context.at_exhaustion = "wait"
            await count(context, uri, IDS + 1, IDS + 5_000)
            waited = time.monotonic() - start
            assert waited >= REST
            print(f"{len(copies):,} requests in {waited:.0f} s, each answered; taken for copies: {copies.count(True)}")
            assert not any(copies)

    coap.run(story(), DEADLINE)
