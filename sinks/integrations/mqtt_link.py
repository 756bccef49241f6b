"""The connection to an MQTT broker, which may come and go."""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pipeline.errors import SinkError
from sinks.integrations.mqtt_address import BrokerAddress

logger = logging.getLogger(__name__)

_AT_ONCE = 20  # messages that the broker has not confirmed yet
_PASSING = 1000  # events that wait for the broker; the oldest go
_KEEPALIVE_S = 30
_WATCHED_S = 10.0  # some brokers send what is retained after other messages

Message = tuple[str, bytes]


class BrokerLink:
    """The connection to the broker, which may come and go.

    Two threads: paho's own reads and writes the socket; the other decides what is published next, when there is a
    broker and it has confirmed enough of what came before.

    Args:
        address: of the broker.
        status: the topic that is ``online`` while there is a connection, and ``offline`` after it.
        watched: filters of topics; what is retained there is told each time the broker is reached.
        on_found: told of it, by paho's thread: all that the broker had when it was asked, or what came later.
        reconnect_most_s: longest pause in seconds between tries.
    """

    def __init__(
        self,
        address: BrokerAddress,
        status: str,
        *,
        watched: Sequence[str],
        on_found: Callable[[Mapping[str, bytes]], None],
        reconnect_most_s: float,
    ) -> None:
        self._address = address
        self._status = status
        self._watched = watched
        self._on_found = on_found
        self._found: dict[str, bytes] = {}
        self._settled = False
        self._settled_s = 0.0
        self._watching = False
        self._trying = True
        self._values: dict[str, bytes] = {}
        self._fleeting: set[str] = set()
        self._changed_topics: dict[str, None] = {}
        self._passing: deque[Message] = deque()
        self._unconfirmed = 0
        self._sent = 0
        # Events behind values that have not all been sent yet; then, in order, how many messages must be confirmed
        # until so many events are.
        self._behind_values = 0
        self._to_confirm: deque[tuple[int, int]] = deque()
        self._confirmed_events = self._lost_events = 0
        self._connected = False
        self._refused = False
        self._closing = False
        self._changed = threading.Condition()
        paho = load_paho()
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
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.connect_async(address.host, address.port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._main, name="mqtt publisher")
        self._thread.start()

    def publish(
        self, values: dict[str, bytes], passing: Sequence[Message], *, events: int = 0, fleeting: Collection[str] = ()
    ) -> None:
        """Publish values, retained, where only the newest of each topic matters, and messages that pass.

        Args:
            values: by topic.
            passing: of one event each.
            events: how many others are behind the values.
            fleeting: topics, of those of the values, of which nothing is to be retained.
        """
        with self._changed:
            self._values |= values
            self._fleeting.update(fleeting)
            self._changed_topics |= dict.fromkeys(values)
            self._passing.extend(passing)
            while len(self._passing) > _PASSING:
                self._passing.popleft()
                self._lost_events += 1
            self._behind_values += events
            self._await_values()
            self._changed.notify_all()

    @property
    def written(self) -> int:
        """Events so far of which the broker has confirmed all; a value that a newer one replaced needs no more."""
        return self._confirmed_events

    @property
    def lost(self) -> int:
        """Events that were let go, since too many waited."""
        return self._lost_events

    def _await_values(self) -> None:
        """Where no value waits to be sent, the events behind them are only to be confirmed."""
        if self._behind_values and not self._changed_topics:
            self._to_confirm.append((self._sent, self._behind_values))
            self._behind_values = 0
            self._take_confirmed()

    def _take_confirmed(self) -> None:
        # The broker confirms messages in the order in which they came.
        while self._to_confirm and self._to_confirm[0][0] <= self._sent - self._unconfirmed:
            self._confirmed_events += self._to_confirm.popleft()[1]

    def close(self, linger_s: float) -> None:
        """Publish what is left as far as time allows, say ``offline`` and disconnect."""
        with self._changed:
            # A run may be over before the broker has been reached at all.
            self._changed.wait_for(lambda: (self._idle or not self._connected) and not self._trying, linger_s)
            self._closing = True
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
                self._sent += 1
                self._changed.wait_for(lambda: self._unconfirmed <= 0 or not self._connected, linger_s)
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _idle(self) -> bool:
        return self._settled and not self._changed_topics and not self._passing and self._unconfirmed <= 0

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
                self._sent += 1
                self._await_values()
                # What was taken away is not there to be sent again, nor is what nobody keeps.
                value, retain = self._values[topic], topic not in self._fleeting
                if not value or not retain:
                    del self._values[topic]
                return topic, value, retain
            if self._passing and self._connected:
                self._unconfirmed += 1
                self._sent += 1
                self._to_confirm.append((self._sent, 1))
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
            self._give_up_trying()
            return
        # In this order: what comes back of our own "online" comes after all that was retained.
        self._watch(client)
        with self._changed:
            self._connected = True
            self._trying = False
            self._refused = False
            self._values[self._status] = b"online"
            # A broker that was restarted may have forgotten everything.
            self._changed_topics = dict.fromkeys([self._status, *self._values])
            self._changed.notify_all()

    def _on_connect_fail(self, *_: Any) -> None:
        self._complain("the broker can't be reached")
        self._give_up_trying()

    def _watch(self, client: Any) -> None:
        """Ask for what is retained."""
        with self._changed:
            self._found = {}
            self._settled, self._watching = False, True
        # Of thousands of messages that need to be confirmed, brokers drop most; of others none.
        client.subscribe([(self._status, 1), *((each, 0) for each in self._watched)])

    def _give_up_trying(self) -> None:
        with self._changed:
            self._trying = False
            self._changed.notify_all()

    def _on_subscribe(self, _: Any, __: Any, ___: Any, reasons: Any, *____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._complain("the broker does not let us read what is retained; values of earlier runs may stay")
            self._settle()

    def _on_message(self, client: Any, _: Any, message: Any) -> None:
        if message.retain:
            if message.topic == self._status or not message.payload:
                return
            self._found[message.topic] = message.payload
            if self._settled:  # a broker that takes its time
                self._settle()
            return
        if message.topic != self._status:
            if self._watching and self._settled and time.monotonic() - self._settled_s > _WATCHED_S:
                self._watching = False
                client.unsubscribe(list(self._watched))
            return
        if message.payload == b"online":
            self._settle()
            return
        with self._changed:
            if self._connected and not self._closing:
                # The last will of an earlier run, or of an earlier connection, that the broker has only now given up.
                self._changed_topics[self._status] = None
                self._changed.notify_all()

    def _settle(self) -> None:
        found, self._found = self._found, {}
        if found:
            self._on_found(found)
        with self._changed:
            self._settled, self._settled_s = True, time.monotonic()
            self._changed.notify_all()

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
            self._take_confirmed()
            self._changed.notify_all()

    def _complain(self, trouble: str) -> None:
        if not self._refused:
            self._refused = True
            logger.warning("mqtt %s: %s; trying again", self._address, trouble)


def load_paho() -> Any:
    try:
        return importlib.import_module("paho.mqtt.client")
    except ImportError as error:
        raise SinkError("MQTT needs paho-mqtt, which is not installed: pip install 'sightline[mqtt]'") from error
