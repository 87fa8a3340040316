"""aiocoap: what the stock client does with its message ids, and the same with the adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

aiocoap = pytest.importorskip("aiocoap", reason="needs aiocoap: pip install 'mtsid[aiocoap]'")

from mtsid.core.waiting import _advance_clock  # noqa: E402
from mtsid.integrations import aiocoap as adapter  # noqa: E402
from mtsid.integrations.aiocoap import Context, NoMessageId  # noqa: E402

from . import coap  # noqa: E402

pytestmark = pytest.mark.skipif(not coap.has_ipv6(), reason="aiocoap's transport on Linux needs IPv6 sockets")

PINNED = ("aiocoap", "0.4.17")


class Long(aiocoap.numbers.constants.TransportTuning):  # type: ignore[misc, name-defined]
    """Such long times that those of the test are nothing to them. A message is given up after two sendings."""

    ACK_TIMEOUT, MAX_RETRANSMIT = 0.02, 1
    EXCHANGE_LIFETIME, PROCESSING_DELAY, MAX_LATENCY = 1000.0, 100.0, 10_000.0


class Answered(Long):
    """The peer has time to answer."""

    ACK_TIMEOUT = 60


#: How long an id rests once it was acknowledged, and otherwise; a little less, and that little.
SEEN, UNSEEN, LITTLE = 1100, 11_100, 50


@pytest.fixture
def few_ids(monkeypatch: pytest.MonkeyPatch) -> int:
    """Four ids for each peer, and two for multicast."""
    monkeypatch.setattr(adapter, "_ALL", 6)
    monkeypatch.setattr(adapter, "_MULTICAST", 2)
    return 4


async def ask(context: Any, uri: str, **options: Any) -> Any:
    return await context.request(coap.get(uri, **options)).response


def ids(context: Any) -> Any:
    """The allocator of the only peer."""
    [allocator] = coap.manager(context)._allocators.values()
    return allocator


def test_stock_hangs_at_an_id_that_the_peer_remembers(stock_failure: Callable[..., Any]) -> None:
    async def story() -> None:
        async with coap.server() as (server, uri), coap.peer() as other, coap.client(aiocoap.Context) as context:
            copies = coap.copies_seen(server)
            assert (await ask(context, uri)).payload == b"1"
            # One counter for all peers: 65,535 messages to another one, and the first peer's id is due again.
            await coap.send_without_answer(context, other.uri, 65_535)
            request = context.request(coap.get(uri))
            answered = await coap.answered_or_hung(context, copies, request.response)
            with stock_failure(*PINNED):
                assert not answered
        with pytest.raises(aiocoap.error.LibraryShutdown):
            await request.response

    coap.run(story())


def test_with_the_adapter_it_is_answered_and_the_other_peer_is_not_overrun() -> None:
    async def story() -> None:
        async with coap.server() as (_, uri), coap.peer() as other, coap.client(Context) as context:
            assert (await ask(context, uri)).payload == b"1"
            await coap.send_without_answer(context, other.uri, 64_512)
            with pytest.raises(NoMessageId) as refused:
                await coap.send_without_answer(context, other.uri, 1)
            assert (refused.value.live, refused.value.quarantined, refused.value.capacity) == (0, 64_512, 64_512)
            with pytest.raises(aiocoap.error.NetworkError, match=r"no message id for .*64,512 of 64,512"):
                await ask(context, other.uri)
            assert (await ask(context, uri)).payload == b"2"

    coap.run(story())


@pytest.mark.parametrize("reliable", [True, False])
def test_an_id_rests_as_long_as_the_peer_may_remember_it(few_ids: int, reliable: bool) -> None:
    tuning = Answered()
    tuning.reliability = reliable

    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            for _ in range(few_ids):
                assert (await ask(context, peer.uri, transport_tuning=tuning)).code == aiocoap.CONTENT
            _advance_clock((SEEN if reliable else UNSEEN) - LITTLE)
            with pytest.raises(NoMessageId) as refused:
                await ask(context, peer.uri, transport_tuning=tuning)
            assert (refused.value.live, refused.value.quarantined) == (0, few_ids)
            assert len(set(peer.mids)) == len(peer.mids) == few_ids
            _advance_clock(LITTLE)
            assert (await ask(context, peer.uri, transport_tuning=tuning)).code == aiocoap.CONTENT
            assert peer.mids == [*peer.mids[:few_ids], peer.mids[0]]

    coap.run(story())


def test_each_peer_has_ids_of_its_own(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as one, coap.peer() as another, coap.client(Context) as context:
            for _ in range(few_ids):
                await ask(context, one.uri), await ask(context, another.uri)
            assert one.mids == another.mids

    coap.run(story())


def test_what_was_given_up_rests_longer_and_what_was_never_sent_is_free(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            peer.manner = "silent"
            # One at a time: the others wait behind the first, with ids already.
            requests = [ask(context, peer.uri, transport_tuning=Long()) for _ in range(few_ids)]
            failures = await asyncio.gather(*requests, return_exceptions=True)
            assert [type(failure) for failure in failures] == [aiocoap.error.ConRetransmitsExceeded] * few_ids
            assert len(set(peer.mids)) == 1
            assert (len(ids(context)), ids(context).available) == (0, few_ids - 1)
            _advance_clock(UNSEEN - LITTLE)
            assert ids(context).available == few_ids - 1
            _advance_clock(LITTLE)
            assert ids(context).available == few_ids

    coap.run(story())


def test_a_reset_is_an_answer(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            peer.manner = "reset"
            with pytest.raises(aiocoap.error.MessageError):
                await ask(context, peer.uri, transport_tuning=Answered())
            assert (len(ids(context)), ids(context).available) == (0, few_ids - 1)
            _advance_clock(SEEN)
            assert ids(context).available == few_ids

    coap.run(story())


def test_a_peer_that_is_not_there_costs_no_more_than_what_was_sent(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer:
            uri = peer.uri
        async with coap.client(Context) as context:
            messages, sent = coap.manager(context), set()
            send = messages._send_via_transport

            def seen(message: Any) -> None:
                sent.add(message.mid)
                send(message)

            messages._send_via_transport = seen
            requests = [ask(context, uri) for _ in range(few_ids)]
            for failure in await asyncio.gather(*requests, return_exceptions=True):
                assert isinstance(failure, aiocoap.error.NetworkError)
            assert messages._outgoing == {}
            assert sent
            assert (len(ids(context)), ids(context).available) == (0, few_ids - len(sent))

    coap.run(story())


def test_a_server_never_takes_a_new_request_for_an_old_one(few_ids: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers' memory and the ids' rest are both shortened, and 40 requests share four ids."""
    tuning = aiocoap.numbers.constants.TransportTuning
    monkeypatch.setattr(tuning, "EXCHANGE_LIFETIME", 0.1)
    monkeypatch.setattr(tuning, "PROCESSING_DELAY", 0.05)

    async def story() -> None:
        async with coap.server() as (server, uri), coap.client(Context) as context:
            context.at_exhaustion = "wait"
            copies = coap.copies_seen(server)
            answers = await asyncio.gather(*[ask(context, uri) for _ in range(40)])
            assert sorted(int(answer.payload) for answer in answers) == list(range(1, 41))
            assert copies == [False] * 40
            assert coap.manager(context)._lines == coap.manager(context)._servers == {}

    coap.run(story())


async def exhausted(context: Any, peer: Any, few_ids: int) -> Any:
    """Use all the ids up, and let further requests wait; the allocator."""
    for _ in range(few_ids):
        await ask(context, peer.uri)
    context.at_exhaustion = "wait"
    return ids(context)


def in_line(context: Any) -> int:
    return sum(len(line) for line in coap.manager(context)._lines.values())


def test_requests_that_wait_are_sent_in_their_order_and_hold_up_no_other_peer(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.peer() as other, coap.client(Context) as context:
            allocator = await exhausted(context, peer, few_ids)
            done: list[int] = []

            async def waits(number: int) -> None:
                await ask(context, peer.uri)
                done.append(number)

            tasks = []
            for number in range(3):
                tasks.append(asyncio.create_task(waits(number)))
                await coap.eventually(lambda: in_line(context) == len(tasks))
            await ask(context, other.uri)
            assert (done, len(peer.mids)) == ([], few_ids)
            for number in range(3):
                first = next(id for id in range(2, 6) if allocator.state(id) == "quarantined")
                allocator.release(first)
                await tasks[number]
                assert done == list(range(number + 1))

    coap.run(story())


def test_a_request_that_is_cancelled_leaves_the_line(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            allocator = await exhausted(context, peer, few_ids)
            cancelled, further = (asyncio.create_task(ask(context, peer.uri)) for _ in range(2))
            await coap.eventually(lambda: in_line(context) == 2)
            cancelled.cancel()
            await coap.eventually(lambda: in_line(context) == 1)
            allocator.release(2)
            await further
            assert len(peer.mids) == few_ids + 1

    coap.run(story())


async def unanswered(context: Any, uri: str) -> Any:
    """A message that nobody waits for, ready to be sent."""
    message = coap.get(uri, transport_tuning=aiocoap.Unreliable())
    await coap.manager(context).fill_or_recognize_remote(message)
    message.token = b"t"
    return message


def test_who_comes_later_goes_behind_those_who_wait(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            allocator = await exhausted(context, peer, few_ids)
            messages = coap.manager(context)
            first, second = await unanswered(context, peer.uri), await unanswered(context, peer.uri)
            messages.send_message(first, lambda: None)
            await asyncio.sleep(0)  # it stands in the allocator's line now
            allocator.release(2)
            messages.send_message(second, lambda: None)
            assert in_line(context) == 2
            await coap.eventually(lambda: in_line(context) == 1)
            assert first.mid is not None
            assert second.mid is None

    coap.run(story())


def test_an_allocator_for_which_messages_wait_is_not_dropped(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            allocator = await exhausted(context, peer, few_ids)
            messages = coap.manager(context)
            messages.send_message(await unanswered(context, peer.uri), lambda: None)
            await asyncio.sleep(0)
            for id in range(2, 6):
                allocator.release(id)
            messages._sweep()
            assert ids(context) is allocator
            await coap.eventually(lambda: not messages._lines)

    coap.run(story())


def test_an_answer_that_waits_for_a_peer_that_fails_is_given_up(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            await exhausted(context, peer, few_ids)
            message = await unanswered(context, peer.uri)
            coap.manager(context).send_message(message, lambda: None)
            coap.manager(context).dispatch_error(OSError("unreachable"), message.remote)
            assert in_line(context) == 0

    coap.run(story())


def test_what_waits_for_a_peer_that_fails_is_given_up(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            allocator = await exhausted(context, peer, few_ids)
            request = context.request(coap.get(peer.uri))
            await coap.eventually(lambda: in_line(context) == 1)
            coap.manager(context).dispatch_error(OSError("unreachable"), next(iter(coap.manager(context)._lines)))
            with pytest.raises(aiocoap.error.NetworkError):
                await request.response
            assert in_line(context) == 0
            allocator.release(2)
            await coap.eventually(lambda: not coap.manager(context)._servers)
            assert (len(allocator), allocator.available, len(peer.mids)) == (0, 1, few_ids)

    coap.run(story())


def test_a_message_that_cannot_be_sent_after_its_wait_keeps_no_id_and_holds_up_nobody(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            allocator = await exhausted(context, peer, few_ids)
            messages, told = coap.manager(context), []
            broken, further = await unanswered(context, peer.uri), await unanswered(context, peer.uri)
            broken.payload = None  # cannot be encoded
            for message in (broken, further):
                messages.send_message(message, lambda: told.append("failed"))
            allocator.release(2), allocator.release(3)
            await coap.eventually(lambda: not messages._servers)
            assert told == ["failed"]
            assert messages._outgoing == {}
            await coap.eventually(lambda: len(peer.mids) == few_ids + 1)

    coap.run(story())


def test_a_shutdown_ends_the_waiting(few_ids: int) -> None:
    async def story() -> None:
        async with coap.peer() as peer, coap.client(Context) as context:
            await exhausted(context, peer, few_ids)
            request = context.request(coap.get(peer.uri))
            await coap.eventually(lambda: in_line(context) == 1)
        with pytest.raises(aiocoap.error.LibraryShutdown):
            await request.response
        assert coap.manager(context)._servers == {}

    coap.run(story())


def test_an_answer_waits_even_where_requests_are_refused(few_ids: int) -> None:
    async def story() -> None:
        async with coap.server(Context) as (server, uri), coap.client(aiocoap.Context) as context:
            site, late = server.serversite, asyncio.Event()

            class Late(aiocoap.resource.Resource):  # type: ignore[misc, name-defined]
                async def render_get(self, request: Any) -> Any:
                    await late.wait()
                    return aiocoap.Message(payload=b"late")

            site.add_resource(["late"], Late())
            request = context.request(coap.get(uri.replace("count", "late")))
            messages = coap.manager(server)
            await coap.eventually(lambda: bool(messages.token_manager.incoming_requests))
            await coap.eventually(lambda: not messages._piggyback_opportunities)
            [remote] = [remote for _, remote in messages.token_manager.incoming_requests]
            allocator = messages._ids(remote)
            taken = [allocator.acquire() for _ in range(few_ids)]
            late.set()
            await coap.eventually(lambda: in_line(server) == 1)
            allocator.release(taken[2])
            assert (await request.response).payload == b"late"

    coap.run(story())


def test_multicast_shares_no_id_with_a_single_peer(few_ids: int) -> None:
    async def story() -> None:
        async with coap.client(Context) as context:
            messages = coap.manager(context)
            group, single = messages._ids(Remote(0, is_multicast=True)), messages._ids(Remote(1))
            assert messages._ids(Remote(2, is_multicast=True)) is group
            assert (group.capacity, single.capacity) == (2, few_ids)
            assert not {group.acquire() for _ in range(2)} & {single.acquire() for _ in range(few_ids)}

    coap.run(story())


def test_the_allocators_of_idle_peers_are_dropped() -> None:
    async def story() -> None:
        async with coap.client(Context) as context:
            messages = coap.manager(context)
            busy = messages._ids(Remote(0))
            busy.quarantine(busy.acquire())
            for number in range(1, 201):
                messages._ids(Remote(number))
            assert len(messages._allocators) <= 65
            assert messages._ids(Remote(0)) is busy

    coap.run(story())


class Remote:
    """A peer's address."""

    def __init__(self, number: int, *, is_multicast: bool = False) -> None:
        self.number = number
        self.is_multicast = is_multicast

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other.number == self.number


def test_the_example_shows_both(run_example: Callable[..., str]) -> None:
    stock, told = run_example("aiocoap_message_ids.py").split("mtsid:")
    assert "no answer: the server took the request for a copy of the first one" in stock
    assert "after 64,512 messages to another peer: no message id for" in told
    assert "answered: noon" in told


def test_without_aiocoap_the_extra_is_named(in_child: Callable[..., str]) -> None:
    in_child(
        """
import sys
sys.modules["aiocoap"] = None
try:
    import mtsid.integrations.aiocoap
except ModuleNotFoundError as error:
    assert "pip install 'mtsid[aiocoap]'" in str(error), error
else:
    raise SystemExit("imported")
"""
    )


def test_what_to_do_at_exhaustion_is_one_of_two_things() -> None:
    context = Context.__new__(Context)
    with pytest.raises(ValueError, match="not 'bogus'"):
        context.at_exhaustion = "bogus"  # type: ignore[assignment]
    assert context.at_exhaustion == "raise"
    context.at_exhaustion = "wait"
    assert context.at_exhaustion == "wait"
