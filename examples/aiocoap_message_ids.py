"""Message ids in aiocoap: the stock client beside that of mtsid.

    python examples/aiocoap_message_ids.py

Needs `pip install 'mtsid[aiocoap]'`. It talks to a server of its own, on loopback.
"""

import asyncio
import socket
from typing import Any

import aiocoap
import aiocoap.resource

from mtsid.integrations.aiocoap import Context, NoMessageId


class Clock(aiocoap.resource.Resource):  # type: ignore[misc]
    """What the clients ask for."""

    async def render_get(self, request: Any) -> Any:
        return aiocoap.Message(payload=b"noon")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def asked_again(context: Any, uri: str, other: str) -> str:
    """Ask once; send 65,535 messages to somebody else; ask again, well within the 247 s of the server's memory."""
    await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response
    message = aiocoap.Message(code=aiocoap.GET, uri=other, transport_tuning=aiocoap.Unreliable())
    sent = 0
    try:
        for _ in range(65_535):
            await send(context, message)
            sent += 1
    except NoMessageId as refusal:
        print(f"  after {sent:,} messages to another peer: {refusal}")
    try:
        # aiocoap would wait for ever. Nothing else is under way, so a second is plenty.
        answer = await asyncio.wait_for(context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response, 1)
        return f"answered: {answer.payload.decode()}"
    except asyncio.TimeoutError:
        return "no answer: the server took the request for a copy of the first one"


async def send(context: Any, message: Any) -> None:
    """Send a message that needs no answer: what `request` comes to, in a tenth of the time."""
    [tokens] = context.request_interfaces
    await tokens.fill_or_recognize_remote(message)
    message.mid, message.token = None, b"t"
    tokens.token_interface.send_message(message, lambda: None)


async def main() -> None:
    port = free_port()
    site = aiocoap.resource.Site()
    site.add_resource(["clock"], Clock())
    server = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port), transports=["udp6"])
    uri = f"coap://127.0.0.1:{port}/clock"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))  # a peer that says nothing
        other = f"coap://127.0.0.1:{listener.getsockname()[1]}/"
        for name, kind in [("stock", aiocoap.Context), ("mtsid", Context)]:
            context = await kind.create_client_context(transports=["udp6"])
            print(f"{name}:")
            print(f"  {await asked_again(context, uri, other)}")
            await context.shutdown()
    await server.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
