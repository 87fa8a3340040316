"""The id sources of stock clients, called as shipped and without a network: what `mtsid audit` and the benchmarks use.

    pip install -e '.[lab,clients]'         # pins the versions
    mtsid audit clients:gmqtt
    python -m clients                       # all of them, as the table of docs/AUDIT.md

Each function makes one source: `acquire` and `release` do what the client does for an id's sake when a request goes out
and when its answer comes in, and nothing else; `inside` is the client's own object. A client is imported when it is
asked for, and raises ImportError if it is not there.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Callable
from types import MethodType, SimpleNamespace
from typing import Any, NamedTuple

__all__ = ["CLIENTS", "Client", "Ids", "amqtt", "cassandra", "gmqtt", "paho", "pika", "py_amqp"]


class Ids(NamedTuple):
    """An id source as shipped."""

    acquire: Callable[[], int]
    release: Callable[[int], object] | None  # None: the source is not told
    inside: Any


def gmqtt() -> Ids:
    """MQTT packet ids: a counter and a set of what is in use."""
    ids = shipped("gmqtt.mqtt.utils").IdGenerator()
    return Ids(ids.next_id, ids.free_id, ids)


def amqtt() -> Ids:
    """MQTT packet ids: a counter that looks into a dict; what is sent enters it in a second step."""
    session = shipped("amqtt.session").Session()
    in_flight = session.inflight_out

    def acquire() -> int:
        number: int = session.next_packet_id
        in_flight[number] = None  # the message; in ProtocolHandler
        return number

    return Ids(acquire, lambda number: in_flight.pop(number, None), session)


def paho() -> Ids:
    """MQTT packet ids: a counter under a lock. Nobody tells it when one is done."""
    client = shipped("paho.mqtt.client")
    source = client.Client(client.CallbackAPIVersion.VERSION2)
    return Ids(source._mid_generate, None, source)


def pika(channel_max: int = 2047) -> Ids:
    """AMQP channel numbers: the first that is no key of a dict. 2,047 of them is what RabbitMQ proposes."""
    connection = shipped("pika.connection").Connection
    channels: dict[int, object] = {}
    # A stand-in for a connection that is open, with what these two methods of it need.
    inside = SimpleNamespace(params=SimpleNamespace(channel_max=channel_max), _channels=channels, is_closing=False)
    inside._next_channel_number = MethodType(connection._next_channel_number, inside)
    inside._on_channel_cleanup = MethodType(connection._on_channel_cleanup, inside)

    def acquire() -> int:
        number: int = inside._next_channel_number()
        channels[number] = None  # the channel; in Connection.channel
        return number

    return Ids(acquire, lambda number: inside._on_channel_cleanup(SimpleNamespace(channel_number=number)), inside)


def py_amqp(channel_max: int = 2047) -> Ids:
    """AMQP channel numbers: the first that is not in an array. 2,047 of them is what RabbitMQ proposes."""
    connection = shipped("amqp").Connection(channel_max=channel_max)  # never opened
    used = connection._used_channel_ids

    def release(number: int) -> None:
        with contextlib.suppress(ValueError):  # as in Channel.collect
            used.remove(number)

    return Ids(connection._get_free_channel_id, release, connection)


def cassandra() -> Ids:
    """CQL stream ids: a list of free ones and a count, under the connection's lock, as its pool uses them."""
    connection = shipped("cassandra.connection").Connection("127.0.0.1")  # never opened
    refused = shipped("cassandra.pool").NoConnectionsAvailable
    requests = connection._requests

    def acquire() -> int:  # HostConnection.borrow_connection, without its waiting, and Connection.send_msg
        with connection.lock:
            if connection.in_flight >= connection.max_request_id:
                raise refused("All request IDs are currently in use")
            connection.in_flight += 1
            number: int = connection.get_request_id()
        requests[number] = answered, decoded, None
        return number

    def decoded(*_: object) -> None:
        pass

    def answered(_: object) -> None:  # HostConnection.return_connection
        with connection.lock:
            connection.in_flight -= 1

    def release(number: int) -> None:
        connection.process_msg(SimpleNamespace(stream=number, version=4, flags=0, opcode=8), b"")

    return Ids(acquire, release, connection)


def shipped(module: str) -> Any:
    """Import a client's module. Its deprecations are its own; that the GIL came on (a RuntimeWarning) is told."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, PendingDeprecationWarning, SyntaxWarning):
            warnings.simplefilter("ignore", kind)
        return importlib.import_module(module)


class Client(NamedTuple):
    """One row of the table."""

    package: str  # its name on PyPI
    make: Callable[..., Ids]
    what: str
    threads: str  # who may use one of its connections


CLIENTS = (
    Client("gmqtt", gmqtt, "MQTT packet ids", "one event loop"),
    Client("amqtt", amqtt, "MQTT packet ids", "one event loop"),
    Client("paho-mqtt", paho, "MQTT packet ids", "threads"),
    Client("pika", pika, "AMQP channel numbers", "one thread"),
    Client("amqp", py_amqp, "AMQP channel numbers", "not said"),
    Client("cassandra-driver", cassandra, "CQL stream ids", "threads"),
)
