"""Packet ids in paho-mqtt: the stock client beside that of mtsid.

    python examples/paho_packet_ids.py [HOST:PORT]

Needs `pip install 'mtsid[paho]'`. With the address of an MQTT broker, messages are sent there as well.
"""

import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from mtsid.integrations.paho import Client

V2 = CallbackAPIVersion.VERSION2


def one_waits_and_another_comes(client: mqtt.Client) -> mqtt.MQTTMessageInfo:
    """Queue a message, which takes packet id 1; send as many as there are other ids; queue one more."""
    client.publish("news", "waits for the connection", qos=1)
    for _ in range(65_534):
        client.publish("news", "needs no packet id", qos=0)
    return client.publish("news", "one more", qos=1)


def without_a_broker() -> None:
    stock = one_waits_and_another_comes(mqtt.Client(V2))
    if stock.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
        print("stock: one message waits, 65,534 ids are free, and the next message is refused")
    else:
        print(f"stock: the next message gets packet id {stock.mid}")
    print(f"mtsid: one message waits, and the next gets packet id {one_waits_and_another_comes(Client(V2)).mid}")


def with_a_broker(host: str, port: int) -> None:
    client = Client(V2, id_timeout=10)  # a publish without a free id waits up to 10 seconds for one
    client.connect(host, port)
    client.loop_start()
    sent = [client.publish("news", f"message {number}", qos=1) for number in range(100)]
    for message in sent:
        message.wait_for_publish(10)
    print(f"{len(sent)} messages were acknowledged; ids live: {len(client.packet_ids)}")
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    without_a_broker()
    if len(sys.argv) > 1:
        host, _, port = sys.argv[1].rpartition(":")
        with_a_broker(host, int(port))
