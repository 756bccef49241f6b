"""What is published over MQTT: topics and their values, made from events, and Home Assistant's discovery messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

from pipeline.events import (
    Event,
    LineCrossed,
    StreamEnded,
    StreamOffline,
    StreamOnline,
    StreamStarted,
    WindowMinute,
    WindowSecond,
    ZoneEntered,
    ZoneLeft,
)

Message = tuple[str, bytes]
_STATES: dict[type[Event], bytes] = {
    StreamStarted: b"running",
    StreamOnline: b"running",
    StreamOffline: b"offline",
    StreamEnded: b"ended",
}


class Topics:
    """The values that hold now, by topic; ``apply`` says what an event changes.

    ==============================================  ==================================================================
    ``PREFIX/status``                               ``online``, or ``offline`` (the last will)
    ``PREFIX/STREAM/state``                         ``running``, ``offline`` (a camera delivers nothing), ``ended``
    ``PREFIX/STREAM/objects/CLASS``                 most objects at once in the newest window
    ``PREFIX/STREAM/zones/ZONE/CLASS``              objects in the zone now
    ``PREFIX/STREAM/lines/LINE/CLASS/in``, ``out``  crossings since the stream started
    ==============================================  ==================================================================

    All of these are meant to be retained. Characters that mean something to MQTT become ``_``.

    Args:
        prefix: begins every topic.
        window: the windows that objects are counted in.
        discovery: begins the topics of Home Assistant's discovery, usually ``homeassistant``; None sends none.
    """

    def __init__(self, prefix: str, *, window: Literal["second", "minute"], discovery: str | None) -> None:
        self.prefix = prefix
        self.status = f"{prefix}/status"
        self._window = WindowSecond if window == "second" else WindowMinute
        self._discovery = discovery
        self._values: dict[str, bytes] = {}
        self._objects: dict[str, set[str]] = {}
        self._inside: Counter[tuple[str, str, str]] = Counter()
        self._crossed: Counter[tuple[str, str, str, str]] = Counter()

    @property
    def kinds(self) -> frozenset[type[Event]]:
        """The events that can change something."""
        return frozenset({*_STATES, self._window, ZoneEntered, ZoneLeft, LineCrossed})

    def event_topic(self, stream: str, name: str) -> str:
        """Where events of a type are published as they are."""
        return f"{self.prefix}/{_level(stream)}/events/{name}"

    def apply(self, event: Event) -> list[Message]:
        """Take an event into account; returns the topics that changed, with their new values."""
        return [message for message in self._changes(event) if self._is_new(message)]

    def _is_new(self, message: Message) -> bool:
        topic, value = message
        if self._values.get(topic) == value:
            return False
        self._values[topic] = value
        return True

    def _changes(self, event: Event) -> Iterator[Message]:
        stream = event.stream
        state = _STATES.get(type(event))
        if state is not None:
            if isinstance(event, StreamStarted | StreamEnded):
                yield from self._clear(stream, lines=isinstance(event, StreamStarted))
            yield from self._value(stream, "state", state.decode(), label="state")
        elif isinstance(event, self._window):
            known = self._objects.setdefault(stream, set())
            known.update(event.objects)
            for name in sorted(known):
                counts = event.objects.get(name)
                yield from self._object_count(stream, name, counts.max if counts is not None else 0)
        elif isinstance(event, ZoneEntered | ZoneLeft):
            key = (stream, event.zone, event.class_name)
            self._inside[key] = max(0, self._inside[key] + (1 if isinstance(event, ZoneEntered) else -1))
            yield from self._zone_count(key)
        elif isinstance(event, LineCrossed):
            crossing = (stream, event.line, event.class_name, event.direction)
            self._crossed[crossing] += 1
            yield from self._line_total(crossing)

    def _clear(self, stream: str, *, lines: bool) -> Iterator[Message]:
        """Nothing is seen any more; when a stream starts anew, nothing has crossed a line yet either."""
        for name in sorted(self._objects.get(stream, ())):
            yield from self._object_count(stream, name, 0)
        for key in [key for key in self._inside if key[0] == stream]:
            self._inside[key] = 0
            yield from self._zone_count(key)
        for crossing in [key for key in self._crossed if key[0] == stream and lines]:
            self._crossed[crossing] = 0
            yield from self._line_total(crossing)

    def _object_count(self, stream: str, name: str, count: int) -> Iterator[Message]:
        yield from self._value(stream, f"objects/{_level(name)}", str(count), label=name, kind="measurement")

    def _zone_count(self, key: tuple[str, str, str]) -> Iterator[Message]:
        stream, zone, name = key
        topic = f"zones/{_level(zone)}/{_level(name)}"
        yield from self._value(stream, topic, str(self._inside[key]), label=f"{name} in {zone}", kind="measurement")

    def _line_total(self, key: tuple[str, str, str, str]) -> Iterator[Message]:
        stream, line, name, direction = key
        topic = f"lines/{_level(line)}/{_level(name)}/{direction}"
        label = f"{name} across {line}, {direction}"
        yield from self._value(stream, topic, str(self._crossed[key]), label=label, kind="total_increasing")

    def _value(self, stream: str, end: str, value: str, *, label: str, kind: str | None = None) -> Iterator[Message]:
        topic = f"{self.prefix}/{_level(stream)}/{end}"
        if self._discovery is not None and topic not in self._values:
            yield self._announcement(stream, topic, label, kind)
        yield topic, value.encode()

    def _announcement(self, stream: str, topic: str, label: str, kind: str | None) -> Message:
        """What makes Home Assistant show the topic as a sensor of a device that stands for the stream."""
        device = _identifier(f"{self.prefix}/{_level(stream)}")
        identifier = _identifier(topic)
        entity = {
            "name": label,
            "unique_id": identifier,
            "object_id": identifier,
            "state_topic": topic,
            "availability_topic": self.status,
            "icon": "mdi:counter" if kind is not None else "mdi:cctv",
            "device": {"identifiers": [device], "name": f"{self.prefix} {stream}", "manufacturer": "Sightline"},
            "origin": {"name": "Sightline"},
        }
        if kind is not None:
            entity["state_class"] = kind
            entity["unit_of_measurement"] = "crossings" if kind == "total_increasing" else "objects"
        return f"{self._discovery}/sensor/{device}/{identifier}/config", msgspec.json.encode(entity)


def _level(name: str) -> str:
    """A name as one level of a topic."""
    return re.sub(r"[+#/\s\x00-\x1f\x7f]", "_", name) or "_"


def _identifier(topic: str) -> str:
    """A topic as an identifier: Home Assistant allows letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda match: "_" if match[0] in "/_ " else f"-{ord(match[0]):x}-", topic)
