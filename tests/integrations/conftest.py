"""What the tests of the adapters share: brokers on loopback, and what is said when a stock client no longer fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

CONNACK, SECONDS = bytes([0x20, 2, 0, 0]), 30


@dataclass(frozen=True)
class Packet:
    """An MQTT packet as it came over the wire."""

    kind: str
    qos: int
    body: bytes

    @property
    def mid(self) -> int:
        """The packet id; that of a PUBLISH stands behind the topic."""
        start = 2 + int.from_bytes(self.body[:2], "big") if self.kind == "PUBLISH" else 0
        return int.from_bytes(self.body[start : start + 2], "big")


KINDS = {1: "CONNECT", 3: "PUBLISH", 4: "PUBACK", 6: "PUBREL", 8: "SUBSCRIBE", 10: "UNSUBSCRIBE", 14: "DISCONNECT"}
ANSWERS = {"PUBACK": 0x40, "PUBREC": 0x50, "PUBCOMP": 0x70, "SUBACK": 0x90, "UNSUBACK": 0xB0}


class SilentBroker:
    """A broker on loopback that answers CONNECT and then says what it is told to say. It keeps what has a packet id."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.packets: list[Packet] = []
        self._changed = threading.Condition()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionError):
                self._connection = connection
                with connection.makefile("rb") as stream:
                    while self._take(connection, stream.read):
                        pass

    def _take(self, connection: socket.socket, read: Callable[[int], bytes]) -> bool:
        if not (head := read(1)):
            return False
        length, shift = 0, 0
        while True:
            digit = read(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
        packet = Packet(KINDS.get(head[0] >> 4, "other"), head[0] >> 1 & 3, read(length))
        if packet.kind == "CONNECT":
            connection.sendall(CONNACK)
        if packet.kind != "PUBLISH" or packet.qos:
            with self._changed:
                self.packets.append(packet)
                self._changed.notify_all()
        return True

    def expect(self, kind: str, count: int = 1) -> list[int]:
        """The ids of the packets of this kind, in order, as soon as `count` have come."""

        def seen() -> list[int]:
            return [packet.mid for packet in self.packets if packet.kind == kind]

        with self._changed:
            assert self._changed.wait_for(lambda: len(seen()) >= count, SECONDS), f"{kind}: {seen()}"
            return seen()

    def answer(self, kind: str, mid: int) -> None:
        """Send this answer for `mid`."""
        assert self._connection is not None
        body = mid.to_bytes(2, "big") + (b"\0" if kind == "SUBACK" else b"")
        self._connection.sendall(bytes([ANSWERS[kind], len(body)]) + body)

    def hang_up(self) -> None:
        """Close the connection; the next one is welcome."""
        assert self._connection is not None
        self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


class Mosquitto:
    """A Mosquitto of the test's own: loopback, a free port, no persistence, ended by its own process id."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n"
            "max_inflight_messages 0\n"  # paho resends all that it has at once
        )
        self._program = program
        self.start()

    def start(self) -> None:
        command = [self._program, "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while True:
            assert self._process.poll() is None, f"mosquitto ended with {self._process.returncode}"
            assert time.monotonic() < deadline, "mosquitto does not listen"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)


@pytest.fixture
def silent_broker() -> Iterator[SilentBroker]:
    """A broker that acknowledges nothing by itself."""
    broker = SilentBroker()
    yield broker
    broker.close()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real Mosquitto."""
    program = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if program is None:
        lacking = "there is no mosquitto here: apt-get install mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(lacking)
        pytest.skip(lacking)
    broker = Mosquitto(program, tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def stock_failure() -> Callable[[str, str], contextlib.AbstractContextManager[None]]:
    """A stock client fails within a block under `stock_failure(package, release)`; that release does for sure.

    In another release the failure may be gone. Then the test is skipped, and says that the adapter may be needless.
    """

    @contextlib.contextmanager
    def shown(package: str, release: str) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            if version(package) == release:
                raise
            pytest.skip(f"{package} {version(package)} does not fail as {release} did; is the adapter needed? {error}")

    return shown


@pytest.fixture
def run_example() -> Callable[..., str]:
    """`run_example(name, *arguments)`: run it, as a reader would; what it printed."""

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, "-W", "error", str(Path(__file__).parents[2] / "examples" / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
