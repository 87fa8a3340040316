"""CoAP peers on loopback, for the tests of the adapter for aiocoap."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiocoap
import aiocoap.resource

SECONDS = 60


def has_ipv6() -> bool:
    """Whether there are IPv6 sockets, which aiocoap's transport on Linux uses for IPv4 as well."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def run(coroutine: Coroutine[Any, Any, None], seconds: float = SECONDS) -> None:
    """Run a test to its end, which must come within so many seconds."""
    asyncio.run(asyncio.wait_for(coroutine, seconds))


def manager(context: Any) -> Any:
    """The message manager of a context with one UDP transport."""
    [tokens] = context.request_interfaces
    return tokens.token_interface


async def eventually(condition: Callable[[], bool]) -> None:
    """Poll it until it is true."""
    deadline = asyncio.get_running_loop().time() + SECONDS
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition never came true"
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def client(kind: Any) -> AsyncIterator[Any]:
    """A client of this kind of Context, with the transport that is the default on Linux."""
    context = await kind.create_client_context(transports=["udp6"])
    try:
        yield context
    finally:
        await context.shutdown()


class Counter(aiocoap.resource.Resource):  # type: ignore[misc]
    """Answers each request with its number."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0

    async def render_get(self, request: Any) -> Any:
        self.requests += 1
        return aiocoap.Message(payload=str(self.requests).encode())


@contextlib.asynccontextmanager
async def server(kind: Any = aiocoap.Context) -> AsyncIterator[tuple[Any, str]]:
    """A server of this kind of Context, and the address of its Counter."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = aiocoap.resource.Site()
    site.add_resource(["count"], Counter())
    context = await kind.create_server_context(site, bind=("127.0.0.1", port), transports=["udp6"])
    try:
        yield context, f"coap://127.0.0.1:{port}/count"
    finally:
        await context.shutdown()


class Peer(asyncio.DatagramProtocol):
    """A peer that keeps the ids of what it receives, and answers as it is told to."""

    def __init__(self) -> None:
        self.mids: list[int] = []
        #: "ack" answers at once, "reset" refuses, "silent" does nothing.
        self.manner = "ack"

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port: int = transport.get_extra_info("sockname")[1]
        self.uri = f"coap://127.0.0.1:{self.port}/"

    def datagram_received(self, data: bytes, address: Any) -> None:
        token, kind = data[4 : 4 + (data[0] & 15)], data[0] >> 4 & 3
        self.mids.append(int.from_bytes(data[2:4], "big"))
        if self.manner == "ack":  # piggybacked on the acknowledgement, or in a message of its own
            head = 0x60 if kind == 0 else 0x50
            self._transport.sendto(bytes([head | len(token), 0x45]) + data[2:4] + token, address)
        elif self.manner == "reset":
            self._transport.sendto(bytes([0x70, 0]) + data[2:4], address)


@contextlib.asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    """A Peer on loopback."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Peer, local_addr=("127.0.0.1", 0))
    try:
        yield protocol
    finally:
        transport.close()


def copies_seen(server: Any) -> list[bool]:
    """For each request that the server gets from now on, whether it took that for a copy of an earlier one."""
    seen: list[bool] = []
    messages = manager(server)
    look = messages._deduplicate_message

    def looked(message: Any) -> Any:
        seen.append(look(message) is True)
        return seen[-1]

    messages._deduplicate_message = looked
    return seen


async def answered_or_hung(context: Any, copies: list[bool], response: Any) -> bool:
    """Whether it is answered. It hangs once it was taken for a copy and acknowledged: nothing else will come."""
    await eventually(lambda: response.done() or (any(copies) and not manager(context)._active_exchanges))
    return bool(response.done())


def get(uri: str, **options: Any) -> Any:
    """A GET request."""
    return aiocoap.Message(code=aiocoap.GET, uri=uri, **options)


async def send_without_answer(context: Any, uri: str, count: int) -> None:
    """Send so many messages that need no answer: what a request does below the tokens."""
    message = get(uri, transport_tuning=aiocoap.Unreliable())
    messages = manager(context)
    assert await messages.fill_or_recognize_remote(message)
    message.token = b"t"
    for _ in range(count):
        message.mid = None
        messages.send_message(message, lambda: None)
