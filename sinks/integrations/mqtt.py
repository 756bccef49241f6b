"""Counts, zones and lines over MQTT, as Home Assistant expects them. See docs/feeds.md.

Needs paho-mqtt, which comes with the extra ``mqtt``.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipeline.errors import SinkPathError
from pipeline.event_codec import encode_json, event_kinds, event_type
from pipeline.events import Event, EvidenceReady, OutputCounts
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.batching import Batcher
from sinks.integrations.evidence_pictures import read_picture
from sinks.integrations.mqtt_address import BrokerAddress
from sinks.integrations.mqtt_discovery import COMPONENTS
from sinks.integrations.mqtt_link import BrokerLink, load_paho
from sinks.integrations.mqtt_names import can_begin_topics
from sinks.integrations.mqtt_topics import Message, Places, Topics

# Evidence of which a whole picture was published, and a part of it is no longer of use.
_REMEMBERED = 100


class MqttSink(Sink):
    """Publishes the values that ``mqtt_topics.Topics`` lists, retained, each time they change.

    While the broker can't be reached only the newest values are kept, and sent when it is back; nothing piles up and
    the pipeline never waits. When the process dies, the broker publishes ``offline`` as the availability of them all.
    What an earlier run left retained under ``topic`` is set anew or taken away each time the broker is reached.

    Args:
        url: ``mqtt://[USER:PASSWORD@]HOST[:PORT]``, or ``mqtts://`` for TLS; the ports are 1883 and 8883 by default.
        topic: begins every topic; programs that use one broker need different ones.
        window: ``second`` or ``minute``: the windows that objects are counted in.
        types: event types that are also published as they are, as JSON at ``TOPIC/STREAM/events/TYPE``, not retained.
        discovery: begins the topics of Home Assistant's discovery, usually ``homeassistant``; None sends none.
        places: the zones, lines and rules of each stream, as far as they are known: their counts of an earlier run are
            set to zero; without, they are taken away until something is counted.
        evidence: folder of the evidence, of which the pictures of alerts are published; None publishes none.
        retain_pictures: whether the broker keeps the newest pictures, also after the run.
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
        places: Mapping[str, Places] | None = None,
        evidence: str | os.PathLike[str] | None = None,
        retain_pictures: bool = False,
        reconnect_most_s: float = 30.0,
        linger_s: float = 2.0,
    ) -> None:
        if window not in {"second", "minute"} or reconnect_most_s < 1 or linger_s < 0:
            raise ValueError("expected window 'second' or 'minute', reconnect_most_s >= 1 and linger_s >= 0")
        for each in (topic, *([] if discovery is None else [discovery])):
            if not can_begin_topics(each):
                raise SinkPathError(f"mqtt: {each!r:.80} can't begin a topic; choose a short word without + and #")
        self._address = BrokerAddress(url)
        self._topics = Topics(
            topic.strip("/"), window=window, discovery=discovery, places=places, pictures=evidence is not None
        )
        self._evidence = None if evidence is None else Path(evidence)
        self._retain_pictures = retain_pictures
        self._whole: deque[str] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()  # of the topics: events and what is found come from different threads
        self._sent_as_they_are = event_kinds(types)
        self._wanted = (
            self._topics.kinds | self._sent_as_they_are | ({EvidenceReady} if evidence is not None else set())
        )
        self._discovery = discovery
        self._reconnect_most_s = reconnect_most_s
        self._linger_s = linger_s
        self._batcher: Batcher[Event] | None = None
        self._link: BrokerLink | None = None
        self._gathered = OutputCounts()
        self._closed = False

    def check(self) -> None:
        """Raise ``SinkError`` if paho-mqtt is not installed. The broker may come later."""
        load_paho()

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Begin to look for the broker, with the first stream."""
        with self._lock:
            self._topics.expect(stream, class_names)
        if self._batcher is None:
            watched = [f"{self._topics.prefix}/#"]
            if self._discovery is not None:
                watched += [f"{self._discovery}/{component}/+/+/config" for component in COMPONENTS]
            self._link = BrokerLink(
                self._address,
                self._topics.status,
                watched=watched,
                on_found=self._settle,
                reconnect_most_s=self._reconnect_most_s,
            )
            self._batcher = Batcher(self._apply, name="mqtt", period_s=0.05, when_full="drop")

    def on_event(self, event: Event) -> None:
        """Hand an event over; never waits."""
        if self._batcher is None:
            raise RuntimeError("MqttSink: an event came before open")
        if self.takes(event):
            self._batcher.put(event)

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events that change a value or are sent as they are."""
        return type(item) in self._wanted

    def counts(self) -> OutputCounts:
        """Events so far; ``written`` are those of which the broker has confirmed everything."""
        link, batcher = self._link, self._batcher
        written, lost = (0, 0) if link is None else (link.written, link.lost)
        taken = self._gathered if batcher is None else batcher.counts
        lost = taken.given - written if self._closed else taken.lost + lost
        return OutputCounts(given=taken.given, written=written, lost=lost, unseen=taken.unseen)

    def close(self, error: BaseException | None = None) -> None:
        """Give the broker a bounded time to take what is left, and say ``offline``."""
        batcher, self._batcher = self._batcher, None
        try:
            if batcher is not None:
                batcher.close()
        finally:
            if batcher is not None:
                self._gathered = batcher.counts
            if self._link is not None:
                self._link.close(self._linger_s)
            self._closed = True

    def _apply(self, events: Sequence[Event]) -> None:
        assert self._link is not None
        values: dict[str, bytes] = {}
        pictures: dict[str, bytes] = {}
        passing: list[Message] = []
        with self._lock:
            for event in events:
                values |= self._topics.apply(event)
                if isinstance(event, EvidenceReady) and (picture := self._picture(event)) is not None:
                    assert event.alert_id is not None
                    pictures |= self._topics.show(event.stream, event.alert_id, picture)
                if type(event) in self._sent_as_they_are:
                    place = self._topics.event_topic(event.stream, event_type(event))
                    passing.append((place, _escaped(encode_json(event))))
            fleeting = [] if self._retain_pictures else [topic for topic in pictures if topic.endswith("/picture")]
            self._link.publish(values | pictures, passing, events=len(events) - len(passing), fleeting=fleeting)

    def _picture(self, event: EvidenceReady) -> bytes | None:
        """The picture of an alert, whole where there is such a one; None for all else, and where it can't be read."""
        if event.kind == "clip" or event.alert_id is None or self._evidence is None:
            return None
        if event.kind == "crop" and event.evidence in self._whole:
            return None
        if event.kind == "picture":
            self._whole.append(event.evidence)
        return read_picture(self._evidence, event, "mqtt")

    def _settle(self, messages: Mapping[str, bytes]) -> None:
        """Set anew, or take away, what an earlier run left."""
        assert self._link is not None
        with self._lock:
            self._link.publish(dict(self._topics.found(messages)), [])


def _escaped(text: bytes) -> bytes:
    """JSON with the control characters escaped that it leaves as they are."""
    return re.sub(rb"\x7f|\xc2([\x80-\x9f])", lambda found: b"\\u00%02x" % found[0][-1], text)
