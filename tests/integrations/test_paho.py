"""paho-mqtt: what the stock client does with its packet ids, and the same with the adapter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtsid import Allocator

mqtt = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'mtsid[paho]'")

from mtsid.integrations.paho import Client  # noqa: E402

PINNED = ("paho-mqtt", "2.2.0")
V2 = mqtt.CallbackAPIVersion.VERSION2
since_2_2 = pytest.mark.skipif(
    not hasattr(mqtt.Client, "drop_out_messages"), reason="paho-mqtt drops messages, and reinitialises, since 2.2.0"
)
REFUSED, SENT, OFFLINE = mqtt.MQTT_ERR_QUEUE_SIZE, mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_NO_CONN
SECONDS = 30

Connect = Callable[..., Any]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """`connect(broker, kind, loop=..., before=..., **options)`: such a client, connected; ended after the test."""
    clients = []

    def connected(broker: Any, kind: Any = Client, *, loop: bool = True, before: Any = None, **options: Any) -> Any:
        client = kind(V2, **options)
        if before is not None:
            before(client)
        clients.append(client)
        up = threading.Event()
        client.on_connect = lambda *_: up.set()
        client.reconnect_delay_set(0.1, 0.1)
        client.connect("127.0.0.1", broker.port)
        if loop:
            client.loop_start()
            assert up.wait(SECONDS)
        while not up.is_set():
            assert client.loop(SECONDS) == SENT
        return client

    yield connected
    for client in clients:
        client.disconnect()
        client.loop_stop()
        client.__del__()  # closes the sockets that paho else leaves to the collector


def publish_65534(client: Any) -> None:
    """As many messages as there are packet ids beside one."""
    for _ in range(65_534):
        client.publish("t", qos=0)


def test_stock_refuses_a_publish_while_65534_packet_ids_are_free(
    silent_broker: Any, connect: Connect, stock_failure: Callable[..., Any]
) -> None:
    client = connect(silent_broker, mqtt.Client, loop=False)
    held = client.publish("t", qos=1)
    publish_65534(client)
    with stock_failure(*PINNED):
        assert client.publish("t", qos=1).rc == REFUSED
        assert silent_broker.expect("PUBLISH") == [held.mid]


def test_stock_subscribes_with_a_packet_id_that_a_publish_holds(
    silent_broker: Any, connect: Connect, stock_failure: Callable[..., Any]
) -> None:
    client = connect(silent_broker, mqtt.Client, loop=False)
    held = client.publish("t", qos=1)
    publish_65534(client)
    client.subscribe("t")
    [subscribed] = silent_broker.expect("SUBSCRIBE")
    with stock_failure(*PINNED):
        assert subscribed == held.mid
        assert not held.is_published()


def test_with_the_adapter_neither_happens(silent_broker: Any, connect: Connect) -> None:
    client = connect(silent_broker, loop=False)
    held = client.publish("t", qos=1)
    publish_65534(client)
    further = client.publish("t", qos=1)
    client.subscribe("t")
    client.unsubscribe("t")
    assert further.rc == SENT
    [subscribed], [unsubscribed] = silent_broker.expect("SUBSCRIBE"), silent_broker.expect("UNSUBSCRIBE")
    ids = [*silent_broker.expect("PUBLISH", 2), subscribed, unsubscribed]
    assert ids[:2] == [held.mid, further.mid]
    assert ids == [1, 2, 3, 4] == list(client.packet_ids)


def test_stock_refuses_a_publish_beside_mosquitto_too(
    mosquitto: Any, connect: Connect, stock_failure: Callable[..., Any]
) -> None:
    client = connect(mosquitto, mqtt.Client, loop=False)
    held = client.publish("t", qos=1)
    publish_65534(client)
    with stock_failure(*PINNED):
        assert client.publish("t", qos=1).rc == REFUSED
    while not held.is_published():
        client.loop(SECONDS)


def test_a_message_of_qos_0_takes_no_packet_id(silent_broker: Any, connect: Connect) -> None:
    client = connect(silent_broker, loop=False)
    told: list[int] = []
    client.on_publish = lambda client, userdata, mid, reason, properties: told.append(mid)
    mids = [client.publish("t", qos=0).mid for _ in range(3)]
    assert told == mids
    assert len(set(mids)) == 3
    assert min(mids) > 65_535
    assert len(client.packet_ids) == 0


@pytest.mark.parametrize("qos", [1, 2])
def test_each_answer_frees_its_own_id(silent_broker: Any, connect: Connect, qos: int) -> None:
    client = connect(silent_broker, loop=False)
    info = client.publish("t", qos=qos)
    (_, subscribed), (_, unsubscribed) = client.subscribe("t"), client.unsubscribe("t")

    def answered(kind: str, mid: int) -> list[int]:
        silent_broker.answer(kind, mid)
        assert client.loop(SECONDS) == SENT
        return list(client.packet_ids)

    # An answer to another kind of packet, or a second one, frees nothing.
    assert answered("SUBACK", info.mid) == [1, 2, 3]
    assert answered("UNSUBACK", subscribed) == [1, 2, 3]
    if qos == 2:
        assert answered("PUBREC", info.mid) == [1, 2, 3]
        assert silent_broker.expect("PUBREL") == [info.mid]
    assert answered("PUBACK" if qos == 1 else "PUBCOMP", info.mid) == [2, 3]
    assert info.is_published()
    assert answered("SUBACK", subscribed) == [3]
    assert answered("SUBACK", subscribed) == [3]
    assert answered("UNSUBACK", unsubscribed) == []


def test_an_id_is_still_taken_while_its_callback_is_told(silent_broker: Any, connect: Connect) -> None:
    client = connect(silent_broker, loop=False)
    seen: list[bool] = []

    def look(client: Any, userdata: Any, mid: int, *more: Any) -> None:
        seen.append(mid in client.packet_ids)

    client.on_publish = client.on_subscribe = client.on_unsubscribe = look
    mids = [client.publish("t", qos=1).mid, client.subscribe("t")[1], client.unsubscribe("t")[1]]
    for kind, mid in zip(["PUBACK", "SUBACK", "UNSUBACK"], mids, strict=True):
        silent_broker.answer(kind, mid)
        client.loop(SECONDS)
    assert seen == [True, True, True]
    assert len(client.packet_ids) == 0


def test_without_a_free_id_each_call_is_refused_and_queues_nothing(silent_broker: Any, connect: Connect) -> None:
    log: list[str] = []
    client = connect(silent_broker, loop=False, ids=Allocator(1, 2), id_timeout=None)
    client.on_log = lambda client, userdata, level, text: log.append(text)
    first, _ = client.publish("t", qos=1), client.publish("t", qos=2)
    log.clear()
    assert list(client.publish("t", qos=1)) == [REFUSED, 0]
    assert client.subscribe("t") == client.unsubscribe("t") == (REFUSED, None)
    assert client.publish("t", qos=0).rc == SENT
    assert [line for line in log if "all 2 are live" in line]
    assert len(client._out_messages) == 2
    silent_broker.answer("PUBACK", first.mid)
    client.loop(SECONDS)
    assert client.publish("t", qos=1).rc == SENT
    assert silent_broker.expect("PUBLISH", 3) == [1, 2, 1]


def test_a_call_that_fails_keeps_no_id(silent_broker: Any, connect: Connect) -> None:
    client = connect(silent_broker, loop=False, before=lambda client: client.max_queued_messages_set(1))
    for wrong in ({"topic": "#"}, {"topic": "t", "qos": 3}, {"topic": "t", "payload": object()}):
        with pytest.raises((ValueError, TypeError)):
            client.publish(**{"qos": 1, **wrong})
    for call in (client.subscribe, client.unsubscribe):
        with pytest.raises(ValueError):
            call("")
    assert client.publish("t", qos=1).rc == SENT
    assert client.publish("t", qos=1).rc == REFUSED
    assert list(client.packet_ids) == [1]


def test_a_message_that_was_entered_keeps_its_id_even_if_the_call_fails() -> None:
    client = Client(V2)
    client._send_publish = lambda *arguments: 1 / 0  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        client.publish("t", qos=1)
    assert list(client.packet_ids) == list(client._out_messages) == [1]


def test_publishing_in_a_callback_of_publish(silent_broker: Any, connect: Connect) -> None:
    client = connect(silent_broker, loop=False)

    def again(client: Any, userdata: Any, mid: int, *more: Any) -> None:
        if mid > 65_535:
            assert client.publish("t", qos=1).mid == client.subscribe("t")[1] - 1

    client.on_publish = again
    client.publish("t", qos=0)
    assert list(client.packet_ids) == [1, 2]


def test_a_signal_handler_may_publish_while_publish_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    client, now = Client(V2), mqtt.time_func
    nested: list[Any] = []

    def interrupted() -> float:  # paho asks for the time when it has the id and has not entered the message yet
        monkeypatch.setattr(mqtt, "time_func", now)
        nested.append(client.publish("t", qos=1))
        return float(now())

    monkeypatch.setattr(mqtt, "time_func", interrupted)
    assert client.publish("t", qos=1).mid == 1
    assert [info.mid for info in nested] == [2]
    assert list(client.packet_ids) == sorted(client._out_messages) == [1, 2]


def test_a_thread_beside_the_loop_may_wait_for_an_id(
    silent_broker: Any, connect: Connect, waiting: Callable[[int], None]
) -> None:
    client = connect(silent_broker, ids=Allocator(1, 1), id_timeout=SECONDS)
    client.publish("t", qos=1)
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(client.publish("t", qos=1)))
    thread.start()
    waiting(1)
    silent_broker.answer("PUBACK", 1)
    thread.join(SECONDS)
    assert [info.rc for info in done] == [SENT]
    assert silent_broker.expect("PUBLISH", 2) == [1, 1]


def test_offline_messages_keep_their_ids_over_connections_and_requests_do_not(
    silent_broker: Any, connect: Connect
) -> None:
    client = connect(silent_broker, loop=False)
    held = client.publish("t", qos=1)
    client.subscribe("t"), client.unsubscribe("t")
    assert list(client.packet_ids) == [1, 2, 3]
    for round in range(1, 4):
        silent_broker.hang_up()
        while client.loop(SECONDS) == SENT:
            pass
        assert client.subscribe("t") == (OFFLINE, None)
        client.reconnect()
        assert list(client.packet_ids) == [held.mid]
        assert silent_broker.expect("CONNECT", round + 1)
        while len(silent_broker.expect("PUBLISH", round)) == round:
            client.loop(0.01)
        client.subscribe("t")
    silent_broker.answer("PUBACK", held.mid)
    while not held.is_published():
        client.loop(SECONDS)
    assert silent_broker.expect("PUBLISH") == [1] * 4
    assert len(client.packet_ids) == 1


def test_a_request_that_is_under_way_as_a_connection_begins_keeps_its_id(silent_broker: Any, connect: Connect) -> None:
    client = connect(silent_broker, loop=False)
    queue = client._packet_queue

    def overtaken(*packet: Any) -> Any:
        client._messages_reconnect_reset()  # another thread reconnects, before this packet is queued
        return queue(*packet)

    client._packet_queue = overtaken
    assert client.subscribe("t")[1] == 1
    assert list(client.packet_ids) == [1]
    client._messages_reconnect_reset()
    assert len(client.packet_ids) == 0


@since_2_2
def test_an_answer_to_a_dropped_message_is_not_taken_for_another(silent_broker: Any, connect: Connect) -> None:
    client = connect(silent_broker, loop=False, ids=Allocator(1, 3))
    client.publish("t", qos=1), client.publish("t", qos=2)
    assert [message.mid for message in client.drop_out_messages()] == [1, 2]
    assert [client.packet_ids.state(mid) for mid in (1, 2)] == ["quarantined"] * 2
    alive = client.publish("t", qos=1)
    assert alive.mid == 3
    assert client.publish("t", qos=1).rc == REFUSED
    for kind, mid in [("PUBACK", 1), ("PUBREC", 2), ("PUBCOMP", 2)]:
        silent_broker.answer(kind, mid)
        client.loop(SECONDS)
    assert silent_broker.expect("PUBREL") == [2]
    assert not alive.is_published()
    assert list(client.packet_ids) == [3]
    assert client.packet_ids.available == 2


@since_2_2
@pytest.mark.parametrize("clean", [True, False])
def test_dropped_messages_rest_no_longer_than_the_broker_may_know_them(
    silent_broker: Any, connect: Connect, clean: bool
) -> None:
    client = connect(silent_broker, loop=False, client_id="c", clean_session=clean)
    client.publish("t", qos=1), client.publish("t", qos=2)
    client.drop_out_messages()
    silent_broker.hang_up()
    while client.loop(SECONDS) == SENT:
        pass
    client.reconnect()
    assert [client.packet_ids.state(mid) for mid in (1, 2)] == ["free", "free" if clean else "quarantined"]


@since_2_2
def test_messages_that_were_never_sent_are_free_once_dropped() -> None:
    client = Client(V2)
    assert client.publish("t", qos=1).rc == client.publish("t", qos=2).rc == OFFLINE
    assert len(client.drop_out_messages()) == 2
    assert client.packet_ids.available == 65_535


@since_2_2
def test_reinitialised_it_has_all_its_ids_again() -> None:
    ids = Allocator(1, 9)
    client = Client(V2, ids=ids)
    client.publish("t", qos=1)
    client.reinitialise("c")
    assert client.packet_ids is ids
    assert len(ids) == 0
    assert client.publish("t", qos=1).mid == 2


@pytest.mark.parametrize("range_", [(0, 9), (1, 65_536), (65_537, 65_600)])
def test_ids_that_are_no_packet_ids_are_refused(range_: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no packet id"):
        Client(V2, ids=Allocator(*range_))


def test_what_is_no_allocator_and_no_timeout_is_refused() -> None:
    with pytest.raises(TypeError, match="must be an Allocator, not 'range'"):
        Client(V2, ids=range(1, 9))  # type: ignore[arg-type]
    for id_timeout in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            Client(V2, id_timeout=id_timeout)
    with pytest.raises(TypeError, match="timeout"):
        Client(V2, id_timeout="soon")  # type: ignore[arg-type]


def test_a_release_that_asks_for_ids_in_another_way_is_told() -> None:
    with pytest.raises(RuntimeError, match="outside of publish"):
        Client(V2)._mid_generate()


def test_with_mosquitto_threads_share_few_ids_and_none_leaks(
    mosquitto: Any, connect: Connect, run_threads: Callable[..., None]
) -> None:
    client = connect(mosquitto, ids=Allocator(1, 8), id_timeout=SECONDS)
    infos: list[Any] = []

    def work() -> None:
        for turn in range(100):
            infos.append(client.publish("t", str(turn), qos=1 + turn % 2))
            assert client.subscribe(f"t/{turn}")[0] == client.unsubscribe(f"t/{turn}")[0] == SENT

    run_threads(*[work] * 4)
    for info in infos:
        info.wait_for_publish(SECONDS)
        assert info.is_published()


def test_with_mosquitto_nothing_is_lost_over_its_restarts(
    mosquitto: Any, connect: Connect, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    client = connect(mosquitto, client_id="restarts", clean_session=False)
    infos, acknowledged = [], []

    def told(client: Any, userdata: Any, mid: int, *more: Any) -> None:
        if mid < 65_536:
            acknowledged.append(mid)

    client.on_publish = told
    for turn in range(3):
        infos += [client.publish("t", qos=qos) for qos in (1, 2, 0) for _ in range(50)]
        client.subscribe(f"t/{turn}")
        mosquitto.stop()
        infos += [client.publish("t", qos=qos) for qos in (1, 2) for _ in range(50)]
        client.unsubscribe(f"t/{turn}")
        mosquitto.start()
        eventually(client.is_connected)
    eventually(lambda: len(client.packet_ids) == 0)
    assert client.packet_ids.available == 65_535
    assert sorted(acknowledged) == [info.mid for info in infos if info.mid < 65_536]


def test_the_example_shows_both(mosquitto: Any, run_example: Callable[..., str]) -> None:
    told = run_example("paho_packet_ids.py", f"127.0.0.1:{mosquitto.port}")
    assert "stock: one message waits, 65,534 ids are free, and the next message is refused" in told
    assert "mtsid: one message waits, and the next gets packet id 2" in told
    assert "100 messages were acknowledged; ids live: 0" in told


def test_without_paho_the_extra_is_named(in_child: Callable[..., str]) -> None:
    in_child(
        """
import sys
sys.modules["paho"] = None
try:
    import mtsid.integrations.paho
except ModuleNotFoundError as error:
    assert "pip install 'mtsid[paho]'" in str(error), error
else:
    raise SystemExit("imported")
"""
    )
