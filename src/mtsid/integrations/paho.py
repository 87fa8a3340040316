"""paho-mqtt whose packet ids are never in use twice.

    from mtsid.integrations.paho import Client

is `paho.mqtt.client.Client` but for its packet ids. Stock paho counts them from 1 to 65,535 and again from 1, without a
look at who still holds one. Here each comes from an `Allocator`, and goes back when MQTT says that it is free again:

    PUBLISH, QoS 1 and 2     when the message leaves paho's map of outgoing messages: at its PUBACK or PUBCOMP
    SUBSCRIBE, UNSUBSCRIBE   at its answer, or when the next connection begins, in which no answer can come
    a dropped message        at once if it was never sent; else at its late answer, or when the next connection begins
                             (one of QoS 2: the next that begins with a clean session)

A message of QoS 0 has no packet id, and takes none. Its `mid`, which is never sent, is above 65,535, so that it is not
mistaken for one. Messages that survive a reconnection keep their ids, as they must.

What this stands on, in paho-mqtt 2.0 to 2.2: `publish`, `subscribe` and `unsubscribe` each call `_mid_generate` once,
in the caller's thread; a message is in `_out_messages` as long as its id is in use; `reconnect` calls
`_messages_reconnect_reset` behind the last packet of the old connection.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from mtsid.core.allocator import Allocator
from mtsid.errors import Exhausted

try:
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import MessageState, MQTTErrorCode
    from paho.mqtt.properties import Properties
    from paho.mqtt.subscribeoptions import SubscribeOptions
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "mtsid.integrations.paho needs paho-mqtt: pip install 'mtsid[paho]'", name=_missing.name
    ) from _missing

__all__ = ["Client"]

#: Added to paho's own counter for the `mid` of a QoS 0 message.
_NO_PACKET_ID = 0x10000
#: The broker of this connection may have the message, and has not answered to the end.
_SENT = (
    MessageState.MQTT_MS_WAIT_FOR_PUBACK,
    MessageState.MQTT_MS_WAIT_FOR_PUBREC,
    MessageState.MQTT_MS_WAIT_FOR_PUBCOMP,
)


class _Refused(Exception):
    """No packet id is free. It goes from `_mid_generate` to the call that asked for one, and no further."""


class _Call:
    """One call of `publish`, `subscribe` or `unsubscribe`."""

    __slots__ = ("kind", "mid", "over")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        #: The packet id that this call took and has not handed on yet.
        self.mid: int | None = None
        self.over = False


class _OutMessages(collections.OrderedDict[int, mqtt.MQTTMessage]):
    """paho's map of outgoing messages. Whoever enters takes the id over; whoever leaves gives it back."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def __setitem__(self, mid: int, message: mqtt.MQTTMessage) -> None:
        super().__setitem__(mid, message)
        self._client._entered(mid)

    def __delitem__(self, mid: int) -> None:
        super().__delitem__(mid)
        self._client.packet_ids.release(mid)

    def pop(self, mid: int) -> mqtt.MQTTMessage:  # type: ignore[override]
        message = self[mid]
        del self[mid]
        return message

    def clear(self) -> None:
        messages = list(self.values())
        super().clear()
        for message in messages:
            self._client._dropped(message)


def _has(ids: Allocator, id: int) -> bool:
    try:
        ids.state(id)
    except ValueError:
        return False
    return True


class Client(mqtt.Client):
    """`paho.mqtt.client.Client` with packet ids that are never in use twice.

    Parameters
    ----------
    ids
        Where the packet ids come from; `Allocator(1, 65535)` unless given. One within that range which is the client's
        alone: a smaller one for a broker that allows less in flight, or one with ids reserved.
    id_timeout
        What `publish`, `subscribe` and `unsubscribe` do when no id is free: 0.0 refuses at once; seconds wait so long;
        None waits for ever. Only a thread beside that of `loop_start` waits. Whoever reads the answers himself, in a
        callback or with `loop`, would wait for what he keeps from coming, and is refused at once.

    All others are paho's. A refusal is paho's too: `MQTT_ERR_QUEUE_SIZE`, with a `mid` of 0 (`publish`) or None; the
    log says how many ids are live. Nothing was queued, and no id is lost.

    Methods may be called from any thread, as far as paho's may. `ValueError` if `ids` has ids that are no packet ids;
    that and `TypeError` if `id_timeout` is no timeout.
    """

    #: Live: in use. Quarantined: of a dropped message that may yet be answered.
    packet_ids: Allocator

    def __init__(
        self, *args: Any, ids: Allocator | None = None, id_timeout: float | None = 0.0, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._number_from(Allocator(1, 65535) if ids is None else ids, id_timeout)

    def _number_from(self, ids: Allocator, id_timeout: float | None) -> None:
        if not isinstance(ids, Allocator):
            raise TypeError(f"ids must be an Allocator, not {type(ids).__name__!r}")
        for outside in (0, 65536):
            if _has(ids, outside):
                raise ValueError(
                    f"{outside} is no packet id, but ids has it: use Allocator(1, 65535), or a part of that"
                )
        if not any(_has(ids, mid) for mid in range(1, 65536)):
            raise ValueError("ids has no packet id at all: use Allocator(1, 65535), or a part of that")
        ids.lease(id_timeout)  # which is not entered: it refuses what is no timeout
        self.packet_ids = ids
        self._id_timeout = id_timeout
        self._out_messages = _OutMessages(self)
        #: Which call each thread is in.
        self._calling = threading.local()
        #: Calls of subscribe and unsubscribe that await their answer, by id.
        self._unanswered: dict[int, _Call] = {}
        #: The QoS of dropped messages of which the broker may still know, by id. Guarded by `_out_message_mutex`.
        self._resting: dict[int, int] = {}

    def reinitialise(self, client_id: str = "", clean_session: bool = True, userdata: Any = None) -> None:
        """As paho's. Every packet id is free again."""
        ids, id_timeout = self.packet_ids, self._id_timeout
        super().reinitialise(client_id, clean_session, userdata)
        ids.reset()
        self._number_from(ids, id_timeout)

    # Taking an id.

    def publish(
        self,
        topic: str,
        payload: Any = None,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> mqtt.MQTTMessageInfo:
        """As paho's. `rc` is `MQTT_ERR_QUEUE_SIZE` and `mid` 0 if no packet id was free."""
        try:
            with self._in_call("PUBLISH" if qos else "QoS 0"):
                return super().publish(topic, payload, qos, retain, properties)
        except _Refused as refusal:
            info = mqtt.MQTTMessageInfo(0)
            info.rc = self._told(refusal, "PUBLISH")
            return info

    def subscribe(
        self,
        topic: Any,
        qos: int = 0,
        options: SubscribeOptions | None = None,
        properties: Properties | None = None,
    ) -> tuple[MQTTErrorCode, int | None]:
        """As paho's. `(MQTT_ERR_QUEUE_SIZE, None)` if no packet id was free."""
        try:
            with self._in_call("SUBSCRIBE"):
                return super().subscribe(topic, qos, options, properties)
        except _Refused as refusal:
            return self._told(refusal, "SUBSCRIBE"), None

    def unsubscribe(
        self, topic: str | list[str], properties: Properties | None = None
    ) -> tuple[MQTTErrorCode, int | None]:
        """As paho's. `(MQTT_ERR_QUEUE_SIZE, None)` if no packet id was free."""
        try:
            with self._in_call("UNSUBSCRIBE"):
                return super().unsubscribe(topic, properties)
        except _Refused as refusal:
            return self._told(refusal, "UNSUBSCRIBE"), None

    @contextmanager
    def _in_call(self, kind: str) -> Iterator[None]:
        # A callback or a signal handler may publish while this very thread publishes.
        outer: _Call | None = getattr(self._calling, "call", None)
        call = self._calling.call = _Call(kind)
        try:
            yield
        finally:
            self._calling.call = outer
            call.over = True
            if call.mid is not None:  # refused, or failed before the message was entered
                self.packet_ids.release(call.mid)

    def _mid_generate(self) -> int:
        call: _Call | None = getattr(self._calling, "call", None)
        if call is None:
            raise RuntimeError("paho-mqtt asks for a packet id outside of publish, subscribe and unsubscribe")
        if call.kind == "QoS 0":
            return _NO_PACKET_ID + super()._mid_generate()
        beside_the_loop = self._thread is not None and self._thread is not threading.current_thread()
        try:
            mid = self.packet_ids.acquire(self._id_timeout if beside_the_loop else 0.0)
        except Exhausted as error:
            raise _Refused(str(error)) from error
        if call.kind == "PUBLISH":
            call.mid = mid
        else:
            # Entered before it is sent: the answer may come in another thread while this one is still in its call. Even
            # if the call fails, the packet may have been queued before; so the id waits for the answer all the same.
            self._unanswered[mid] = call
        return mid

    def _told(self, refusal: _Refused, kind: str) -> MQTTErrorCode:
        self._easy_log(mqtt.MQTT_LOG_WARNING, "%s refused: %s", kind, refusal)
        return MQTTErrorCode.MQTT_ERR_QUEUE_SIZE

    def _entered(self, mid: int) -> None:
        """The message is in the map: from now on that has the id."""
        call: _Call | None = getattr(self._calling, "call", None)
        if call is not None and call.mid == mid:
            call.mid = None

    # Giving it back. That of a message which is answered: _OutMessages.pop.

    def _handle_suback(self) -> None:
        try:
            super()._handle_suback()
        finally:  # behind on_subscribe, which is still told this id
            self._answered("SUBSCRIBE")

    def _handle_unsuback(self) -> MQTTErrorCode:
        try:
            return super()._handle_unsuback()
        finally:
            self._answered("UNSUBSCRIBE")

    def _answered(self, kind: str) -> None:
        mid = self._mid_received()
        call = self._unanswered.get(mid)
        if call is None or call.kind != kind:
            self._easy_log(mqtt.MQTT_LOG_WARNING, "Answer to no %s of ours (Mid: %d)", kind, mid)
        elif self._unanswered.pop(mid, None) is not None:
            self.packet_ids.release(mid)

    def _mid_received(self) -> int:
        return int.from_bytes(self._in_packet["packet"][:2], "big")

    def _messages_reconnect_reset(self) -> None:
        super()._messages_reconnect_reset()
        for mid, call in self._unanswered.copy().items():
            # One that is not over may put its packet into the connection that begins now.
            if call.over and self._unanswered.pop(mid, None) is not None:
                self.packet_ids.release(mid)
        with self._out_message_mutex:
            for mid, qos in self._resting.copy().items():
                if qos == 1 or self._check_clean_session():
                    self._wake(mid)

    # Messages that were dropped: an answer to one must not be taken for an answer to the next owner of its id.

    def _dropped(self, message: mqtt.MQTTMessage) -> None:
        sent = message.state in _SENT
        # In a session that outlives the connection, the broker keeps the id of a QoS 2 message until it is released.
        kept = message.qos == 2 and (message.dup or message.state == MessageState.MQTT_MS_RESEND_PUBREL)
        if sent or (kept and not self._check_clean_session()):
            self.packet_ids.quarantine(message.mid)
            self._resting[message.mid] = message.qos
        else:
            self.packet_ids.release(message.mid)

    def _wake(self, mid: int) -> None:
        if self._resting.pop(mid, None) is not None:
            self.packet_ids.release(mid)

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        result = super()._handle_pubackcomp(cmd)
        with self._out_message_mutex:
            self._wake(self._mid_received())
        return result

    def _handle_pubrec(self) -> MQTTErrorCode:
        result = super()._handle_pubrec()
        with self._out_message_mutex:
            if self._mid_received() in self._resting:
                # paho has forgotten the message; PUBREL lets the broker forget the id as well.
                return self._send_pubrel(self._mid_received())
        return result
