"""Debian's mosquitto on a port of loopback, and a client that hears everything; for tests."""

from __future__ import annotations

import getpass
import importlib
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.support.free_ports import free_port as free_port
from tests.support.waiting import PATIENCE_S, listens, wait_until

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
NO_BROKER = "needs mosquitto: apt-get install mosquitto"


class Broker:
    """mosquitto on a port of loopback."""

    def __init__(self, folder: Path, port: int, *lines: str) -> None:
        self.port = port
        config = folder / "mosquitto.conf"
        # Otherwise a broker that root starts becomes another user, who can't read the test's files.
        user = getpass.getuser()
        text = [f"user {user}", f"listener {port} 127.0.0.1", *(lines or ["allow_anonymous true"]), "persistence false"]
        config.write_text("\n".join(text) + "\n")
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: listens("127.0.0.1", port), "mosquitto")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


class Listener:
    """Subscribes to everything and keeps the newest message of each topic."""

    def __init__(self, port: int, login: tuple[str, str] | None = None) -> None:
        self.values: dict[str, str] = {}
        self.data: dict[str, bytes] = {}
        self.all: list[tuple[str, str, bool]] = []
        self.changed = threading.Condition()
        paho: Any = importlib.import_module("paho.mqtt.client")
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, client: Any, _: Any, message: Any) -> None:
        with self.changed:
            self.data[message.topic] = message.payload
            self.values[message.topic] = message.payload.decode(errors="replace")
            self.all.append((message.topic, self.values[message.topic], message.retain))
            self.changed.notify_all()

    def wait_for(self, topic: str, value: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.values.get(topic) == value, PATIENCE_S), (topic, self.values)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
