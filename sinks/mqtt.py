"""Counts, zones and lines over MQTT, as Home Assistant expects them. See docs/feeds.md.

Needs paho-mqtt, which comes with the extra ``mqtt``.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any, Literal

from pipeline.addresses import parse_address
from pipeline.errors import ConfigError, SinkError
from pipeline.events import Event, encode_json, event_type
from pipeline.redaction import redact_address
from pipeline.types import Sink, SourceInfo
from sinks.batching import Batcher
from sinks.event_kinds import event_kinds
from sinks.mqtt_topics import Message, Topics

logger = logging.getLogger(__name__)

_AT_ONCE = 20  # messages that the broker has not confirmed yet
_PASSING = 1000  # events that wait for the broker; the oldest go
_KEEPALIVE_S = 30


class MqttSink(Sink):
    """Publishes the values that ``mqtt_topics.Topics`` lists, retained, each time they change.

    While the broker can't be reached only the newest values are kept, and sent when it is back; nothing piles up and
    the pipeline never waits. When the process dies, the broker publishes ``offline`` as the availability of them all.

    Args:
        url: ``mqtt://[USER:PASSWORD@]HOST[:PORT]``, or ``mqtts://`` for TLS; the ports are 1883 and 8883 by default.
        topic: begins every topic; programs that use one broker need different ones.
        window: ``second`` or ``minute``: the windows that objects are counted in.
        types: event types that are also published as they are, as JSON at ``TOPIC/STREAM/events/TYPE``, not retained.
        discovery: begins the topics of Home Assistant's discovery, usually ``homeassistant``; None sends none.
        reconnect_most_s: longest pause in seconds between tries to reach the broker, from 1.
        linger_s: seconds that ``close`` waits, at most, for the broker to take what is left.

    Raises:
        SinkError: a URL or a topic that can't be used.
        ConfigError: an event type that does not exist.
    """

    may_stall = False  # it has threads of its own

    def __init__(
        self,
        url: str,
        *,
        topic: str = "sightline",
        window: Literal["second", "minute"] = "second",
        types: Collection[str] = (),
        discovery: str | None = None,
        reconnect_most_s: float = 30.0,
        linger_s: float = 2.0,
    ) -> None:
        if window not in {"second", "minute"} or reconnect_most_s < 1 or linger_s < 0:
            raise ValueError("expected window 'second' or 'minute', reconnect_most_s >= 1 and linger_s >= 0")
        for each in (topic, *([] if discovery is None else [discovery])):
            if not each.strip("/") or any(character in each for character in "+#\0") or each.startswith("$"):
                raise SinkError(f"mqtt: {each!r} can't begin a topic; choose a word without + and #")
        self._address = _Address(url)
        self._topics = Topics(topic.strip("/"), window=window, discovery=discovery)
        self._sent_as_they_are = event_kinds(types)
        self._wanted = self._topics.kinds | self._sent_as_they_are
        self._reconnect_most_s = reconnect_most_s
        self._linger_s = linger_s
        self._batcher: Batcher[Event] | None = None
        self._link: _Link | None = None

    def check(self) -> None:
        """Raise ``SinkError`` if paho-mqtt is not installed. The broker may come later."""
        _load_paho()

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Begin to look for the broker, with the first stream."""
        if self._batcher is None:
            self._link = _Link(self._address, self._topics.status, reconnect_most_s=self._reconnect_most_s)
            self._batcher = Batcher(self._apply, name="mqtt", period_s=0.05, when_full="drop")

    def on_event(self, event: Event) -> None:
        """Hand an event over; never waits."""
        if self._batcher is None:
            raise RuntimeError("MqttSink: an event came before open")
        if type(event) in self._wanted:
            self._batcher.put(event)

    def close(self, error: BaseException | None = None) -> None:
        """Give the broker a bounded time to take what is left, and say ``offline``."""
        batcher, self._batcher = self._batcher, None
        try:
            if batcher is not None:
                batcher.close()
        finally:
            if self._link is not None:
                self._link.close(self._linger_s)

    def _apply(self, events: Sequence[Event]) -> None:
        assert self._link is not None
        values: dict[str, bytes] = {}
        passing: list[Message] = []
        for event in events:
            values |= self._topics.apply(event)
            if type(event) in self._sent_as_they_are:
                passing.append((self._topics.event_topic(event.stream, event_type(event)), encode_json(event)))
        self._link.publish(values, passing)


class _Link:
    """The connection to the broker, which may come and go.

    Two threads: paho's own reads and writes the socket; the other decides what is published next, when there is a
    broker and it has confirmed enough of what came before.
    """

    def __init__(self, address: _Address, status: str, *, reconnect_most_s: float) -> None:
        self._address = address
        self._status = status
        self._values: dict[str, bytes] = {}
        self._changed_topics: dict[str, None] = {}
        self._passing: deque[Message] = deque(maxlen=_PASSING)
        self._unconfirmed = 0
        self._connected = False
        self._refused = False
        self._closing = False
        self._changed = threading.Condition()
        paho = _load_paho()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"sightline-{os.getpid()}-{os.urandom(4).hex()}"
        )
        if address.user is not None:
            self._client.username_pw_set(address.user, address.password)
        if address.secure:
            self._client.tls_set()
        self._client.will_set(status, b"offline", qos=1, retain=True)
        self._client.reconnect_delay_set(1, max(1, round(reconnect_most_s)))
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.connect_async(address.host, address.port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._main, name="mqtt publisher")
        self._thread.start()

    def publish(self, values: dict[str, bytes], passing: Sequence[Message]) -> None:
        """Publish values, retained, where only the newest of each topic matters, and messages that pass."""
        with self._changed:
            self._values |= values
            self._changed_topics |= dict.fromkeys(values)
            self._passing.extend(passing)
            self._changed.notify_all()

    def close(self, linger_s: float) -> None:
        """Publish what is left as far as time allows, say ``offline`` and disconnect."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._idle or not self._connected, linger_s)
            self._passing.clear()
            self._changed_topics.clear()
            connected = self._connected
            self._changed.notify_all()
        self._thread.join()
        if connected:
            # An orderly goodbye makes the broker forget the will, so it is said here.
            self._client.publish(self._status, b"offline", qos=1, retain=True)
            with self._changed:
                self._unconfirmed += 1
                self._changed.wait_for(lambda: self._unconfirmed <= 0 or not self._connected, linger_s)
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _idle(self) -> bool:
        return not self._changed_topics and not self._passing and self._unconfirmed <= 0

    def _main(self) -> None:
        while (message := self._next()) is not None:
            topic, payload, retain = message
            # Not under the lock: paho calls back under locks of its own.
            self._client.publish(topic, payload, qos=1, retain=retain)

    def _next(self) -> tuple[str, bytes, bool] | None:
        """What to publish next, when the broker is ready for it; None at the end."""
        with self._changed:
            self._changed.wait_for(self._has_next)
            if self._changed_topics and self._connected:
                topic = next(iter(self._changed_topics))
                del self._changed_topics[topic]
                self._unconfirmed += 1
                return topic, self._values[topic], True
            if self._passing and self._connected:
                self._unconfirmed += 1
                return *self._passing.popleft(), False
            return None

    def _has_next(self) -> bool:
        waiting = bool(self._changed_topics or self._passing)
        if self._closing and not (waiting and self._connected):
            return True
        return waiting and self._connected and self._unconfirmed < _AT_ONCE

    # Called by paho's thread.

    def _on_connect(self, client: Any, _: Any, __: Any, reason: Any, *___: Any) -> None:
        if reason.is_failure:
            self._complain(f"the broker refuses: {reason}")
            return
        with self._changed:
            self._connected = True
            self._refused = False
            self._values[self._status] = b"online"
            # A broker that was restarted may have forgotten everything.
            self._changed_topics = dict.fromkeys([self._status, *self._values])
            self._changed.notify_all()

    def _on_connect_fail(self, *_: Any) -> None:
        self._complain("the broker can't be reached")

    def _on_disconnect(self, *_: Any) -> None:
        with self._changed:
            was_connected, self._connected = self._connected, False
            closing = self._closing
            self._changed.notify_all()
        if was_connected and not closing:
            self._complain("the connection was lost")

    def _on_publish(self, *_: Any) -> None:
        with self._changed:
            self._unconfirmed -= 1
            self._changed.notify_all()

    def _complain(self, trouble: str) -> None:
        if not self._refused:
            self._refused = True
            logger.warning("mqtt %s: %s; trying again", self._address, trouble)


class _Address:
    """Where the broker is. ``str()`` of it holds no user and no password."""

    def __init__(self, url: str) -> None:
        try:
            parts = parse_address(url)
            host, port = parts.host_and_port()
        except ConfigError as error:
            raise SinkError(f"mqtt: {error}") from None
        if parts.scheme not in {"mqtt", "mqtts"} or not host or parts.tail.strip("/"):
            raise SinkError(f"mqtt: expected mqtt://HOST:PORT, or mqtts://, got {redact_address(url)}")
        self.secure = parts.scheme == "mqtts"
        self.host = host
        self.port = port or (8883 if self.secure else 1883)
        self.user = parts.user.decode(errors="replace") if parts.user else None
        self.password = parts.password or None
        self._shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __str__(self) -> str:
        return self._shown


def _load_paho() -> Any:
    try:
        return importlib.import_module("paho.mqtt.client")
    except ImportError as error:
        raise SinkError("MQTT needs paho-mqtt, which is not installed: pip install 'sightline[mqtt]'") from error
