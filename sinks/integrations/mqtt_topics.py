"""What is published over MQTT: topics and their values, made from events, and Home Assistant's discovery messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.events import (
    AlertEnded,
    AlertStarted,
    AlertUpdated,
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
from sinks.integrations.mqtt_alerts import AlertTopics
from sinks.integrations.mqtt_discovery import Discovery, Entity
from sinks.integrations.mqtt_names import Levels

Message = tuple[str, bytes]
_STATES: dict[type[Event], bytes] = {
    StreamStarted: b"running",
    StreamOnline: b"running",
    StreamOffline: b"offline",
    StreamEnded: b"ended",
}
_GONE = b""  # retained, it takes what was retained away


@dataclass(frozen=True, slots=True)
class Places:
    """The names of a stream's zones, lines and rules."""

    zones: Collection[str] = ()
    lines: Collection[str] = ()
    rules: Collection[str] = ()


class Topics:
    """The values that hold now, by topic; ``apply`` says what an event changes, ``found`` what an earlier run left.

    ==============================================  ==================================================================
    ``PREFIX/status``                               ``online``, or ``offline`` (the last will)
    ``PREFIX/STREAM/state``                         ``running``, ``offline`` (a camera delivers nothing), ``ended``
    ``PREFIX/STREAM/objects/CLASS``                 most objects at once in the newest window
    ``PREFIX/STREAM/zones/ZONE/CLASS``              objects in the zone now
    ``PREFIX/STREAM/lines/LINE/CLASS/in``, ``out``  crossings since the stream started
    ``PREFIX/STREAM/alerts/...``, ``picture``       see ``AlertTopics``
    ==============================================  ==================================================================

    All of these are meant to be retained; an empty value takes away what is. Characters that mean something to MQTT
    become ``_``; names that would share a topic or an identifier by that are kept apart.

    Args:
        prefix: begins every topic.
        window: the windows that objects are counted in.
        discovery: begins the topics of Home Assistant's discovery, usually ``homeassistant``; None sends none.
        places: the zones, lines and rules of the streams that will run, as far as they are known.
        pictures: whether pictures of alerts are published; ``show`` is given them.
    """

    def __init__(
        self,
        prefix: str,
        *,
        window: Literal["second", "minute"],
        discovery: str | None,
        places: Mapping[str, Places] | None = None,
        pictures: bool = False,
    ) -> None:
        self.prefix = prefix
        self.status = f"{prefix}/status"
        self._window = WindowSecond if window == "second" else WindowMinute
        self._discovery = Discovery(discovery, self.status) if discovery is not None else None
        self._levels = Levels()
        self._alerts = AlertTopics(place=self._place, below=self._below, pictures=pictures)
        self._values: dict[str, bytes] = {}
        self._objects: dict[str, set[str]] = {}
        self._inside: dict[tuple[str, str, str], set[int]] = {}
        self._crossed: Counter[tuple[str, str, str, str]] = Counter()
        self._away: set[str] = set()
        self._classes: Collection[str] = ()
        self._places = dict(places or {})
        self._levels.know(prefix, self._places)
        for stream, each in self._places.items():
            self._levels.know(self._place(stream, "zones"), each.zones)
            self._levels.know(self._place(stream, "lines"), each.lines)
            self._levels.know(self._place(stream, "alerts"), each.rules)

    @property
    def kinds(self) -> frozenset[type[Event]]:
        """The events that can change something."""
        counted = {self._window, ZoneEntered, ZoneLeft, LineCrossed}
        return frozenset({*_STATES, *counted, AlertStarted, AlertUpdated, AlertEnded})

    def expect(self, stream: str, class_names: Collection[str]) -> None:
        """A stream is about to start; ``class_names`` are those of the detector."""
        self._classes = class_names
        self._places.setdefault(stream, Places())
        self._levels.know(self._place(stream, "objects"), class_names)
        for kind, names in (("zones", self._places[stream].zones), ("lines", self._places[stream].lines)):
            for name in sorted(names):
                place = self._below(self._place(stream, kind), name)
                self._levels.know(place, class_names)
                for topic in [self._below(place, each) for each in sorted(class_names)] if self._discovery else ():
                    for end in [""] if kind == "zones" else ["/in", "/out"]:
                        self._reserve(f"{topic}{end}")

    def _reserve(self, topic: str) -> None:
        if self._discovery is not None:
            self._discovery.reserve(topic)

    def event_topic(self, stream: str, name: str) -> str:
        """Where events of a type are published as they are."""
        return f"{self._place(stream, 'events')}/{name}"

    def apply(self, event: Event) -> list[Message]:
        """Take an event into account; returns the topics that changed, with their new values."""
        return [message for message in self._changes(event) if self._is_new(message)]

    def show(self, stream: str, alert_id: int, picture: bytes) -> list[Message]:
        """Take a picture of an alert into account, a JPEG file; likewise."""
        entities = self._alerts.show(stream, alert_id, picture)
        return [message for each in entities for message in self._set(stream, each) if self._is_new(message)]

    def found(self, messages: Mapping[str, bytes]) -> list[Message]:
        """What to publish where these messages are retained under this prefix, or as discovery messages.

        Values that an earlier run left are set anew where they are of streams, zones and lines that are there, and
        taken away where they are not. What Sightline would not have written stays, and so does what belongs to a
        program whose own prefix lies below this one.
        """
        others = tuple(
            topic.removesuffix("status")
            for topic, value in messages.items()
            if topic.endswith("/status") and topic != self.status and value in {b"online", b"offline"}
        )
        found: list[Message] = []
        for topic, value in messages.items():
            if topic.startswith(f"{self.prefix}/"):
                own = not topic.startswith(others) and self._is_own(topic, value)
                found += self._settle(topic) if own else []
            elif self._discovery is not None and topic.startswith(f"{self._discovery.begin}/"):
                state = self._discovery.announced_by(value)
                own = state is not None and not state.startswith(others) and self._is_own(state)
                found += self._settle_announcement(topic, state) if state is not None and own else []
        return [message for message in found if message[1] == _GONE or self._is_new(message)]

    def _settle_announcement(self, topic: str, state: str) -> Iterator[Message]:
        """What becomes of a discovery message about one of our topics that an earlier run left."""
        if state not in self._values and self._is_awaited(state):
            return
        yield from self._settle(state)
        if self._discovery is not None and self._discovery.announced.get(state) != topic:
            yield topic, _GONE

    def _is_own(self, topic: str, value: bytes | None = None) -> bool:
        """Whether Sightline could have retained such a value there."""
        if not topic.startswith(f"{self.prefix}/"):
            return False
        match topic.removeprefix(f"{self.prefix}/").split("/"):
            case [_, "state"]:
                return value is None or value in set(_STATES.values())
            case [_, "objects", _] | [_, "zones", _, _] | [_, "lines", _, _, "in" | "out"]:
                return value is None or re.fullmatch(rb"\d{1,12}", value) is not None
            case [_, *levels]:
                return self._alerts.is_own(levels, value)
        return False

    def _is_awaited(self, topic: str) -> bool:
        """Whether a stream that is about to start will tell its state there."""
        stream, _, end = topic.removeprefix(f"{self.prefix}/").partition("/")
        return end == "state" and self._levels.name(self.prefix, stream) in self._places

    def _settle(self, topic: str) -> Iterator[Message]:
        """What becomes of a value that an earlier run left."""
        if topic in self._values or self._is_awaited(topic):
            return
        level, *levels = topic.removeprefix(f"{self.prefix}/").split("/")
        stream = self._levels.name(self.prefix, level)
        if levels[0] in ("alerts", "picture"):
            places = self._places.get(stream) if stream is not None else None
            entity = (
                self._alerts.anew(stream, topic, places.rules) if stream is not None and places is not None else None
            )
            yield from [(topic, _GONE)] if entity is None or stream is None else self._set(stream, entity)
            return
        counts = stream is not None and stream in self._places and levels != ["state"]
        anew = list(self._nothing_yet(stream, levels)) if stream is not None and counts else []
        yield from anew or [(topic, _GONE)]

    def _nothing_yet(self, stream: str, levels: list[str]) -> Iterator[Message]:
        """A count of zero, where the stream has such a zone or line and the detector such a class."""
        kind, *inner = levels
        place = self._place(stream, kind)
        within = self._levels.name(place, inner[0])
        name = within if kind == "objects" else self._levels.name(f"{place}/{inner[0]}", inner[1])
        if name not in self._classes or name is None or within is None:
            return
        if kind == "objects":
            self._objects.setdefault(stream, set()).add(name)
            yield from self._object_count(stream, name, 0)
        elif kind == "zones" and within in self._places[stream].zones:
            self._inside.setdefault((stream, within, name), set())
            yield from self._zone_count((stream, within, name))
        elif kind == "lines" and within in self._places[stream].lines:
            yield from self._line_total((stream, within, name, inner[2]))

    def _is_new(self, message: Message) -> bool:
        topic, value = message
        if self._values.get(topic) == value:
            return False
        if value == _GONE:
            return self._values.pop(topic, None) is not None
        self._values[topic] = value
        return True

    def _changes(self, event: Event) -> Iterator[Message]:
        stream = event.stream
        state = _STATES.get(type(event))
        if isinstance(event, StreamEnded) and event.reason == "removed":
            yield from self._forget(stream)
        elif state is not None:
            (self._away.add if isinstance(event, StreamOffline) else self._away.discard)(stream)
            if not isinstance(event, StreamOnline):
                yield from self._clear(stream, lines=isinstance(event, StreamStarted))
            yield from self._value(stream, self._place(stream, "state"), state.decode(), label="state")
            if isinstance(event, StreamStarted):
                for entity in self._alerts.begin(stream, self._places.get(stream, Places()).rules):
                    yield from self._set(stream, entity)
        elif isinstance(event, AlertStarted | AlertUpdated | AlertEnded):
            for entity in self._alerts.apply(event):
                yield from self._set(stream, entity)
        elif isinstance(event, self._window):
            known = self._objects.setdefault(stream, set())
            known.update(event.objects)
            for name in sorted(known):
                counts = event.objects.get(name) if stream not in self._away else None
                yield from self._object_count(stream, name, counts.max if counts is not None else 0)
        elif isinstance(event, ZoneEntered | ZoneLeft):
            key = (stream, event.zone, event.class_name)
            inside = self._inside.setdefault(key, set())
            (inside.add if isinstance(event, ZoneEntered) else inside.discard)(event.track_id)
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
            self._inside[key].clear()
            yield from self._zone_count(key)
        for crossing in [key for key in self._crossed if key[0] == stream and lines]:
            self._crossed[crossing] = 0
            yield from self._line_total(crossing)

    def _forget(self, stream: str) -> Iterator[Message]:
        """Take everything of a stream away that is no longer part of the run, or is about to begin as another."""
        self._objects.pop(stream, None)
        self._away.discard(stream)
        self._places.pop(stream, None)
        self._inside = {key: ids for key, ids in self._inside.items() if key[0] != stream}
        self._crossed = Counter({key: count for key, count in self._crossed.items() if key[0] != stream})
        announced = {} if self._discovery is None else self._discovery.announced
        for topic in [topic for topic in {**self._values, **announced} if topic.startswith(f"{self._place(stream)}/")]:
            if topic in announced:
                yield announced.pop(topic), _GONE
            yield topic, _GONE

    def _object_count(self, stream: str, name: str, count: int) -> Iterator[Message]:
        topic = self._below(self._place(stream, "objects"), name)
        yield from self._value(stream, topic, str(count), label=name, kind="measurement")

    def _zone_count(self, key: tuple[str, str, str]) -> Iterator[Message]:
        topic, label = self._zone_topic(*key), f"{key[2]} in {key[1]}"
        yield from self._value(key[0], topic, str(len(self._inside.get(key, ()))), label=label, kind="measurement")

    def _line_total(self, key: tuple[str, str, str, str]) -> Iterator[Message]:
        stream, line, name, direction = key
        label = f"{name} across {line}, {direction}"
        topic = self._line_topic(*key)
        yield from self._value(stream, topic, str(self._crossed[key]), label=label, kind="total_increasing")

    def _place(self, stream: str, *levels: str) -> str:
        return "/".join([self.prefix, self._levels.level(self.prefix, stream), *levels])

    def _zone_topic(self, stream: str, zone: str, name: str) -> str:
        return self._below(self._below(self._place(stream, "zones"), zone), name)

    def _line_topic(self, stream: str, line: str, name: str, direction: str) -> str:
        return f"{self._below(self._below(self._place(stream, 'lines'), line), name)}/{direction}"

    def _below(self, place: str, name: str) -> str:
        return f"{place}/{self._levels.level(place, name)}"

    def _value(self, stream: str, topic: str, value: str, *, label: str, kind: str | None = None) -> Iterator[Message]:
        yield from self._set(stream, Entity(topic, value.encode(), label, kind=kind))

    def _set(self, stream: str, entity: Entity) -> Iterator[Message]:
        if self._discovery is not None and entity.label and entity.topic not in self._discovery.announced:
            device, device_name = self._place(stream), f"{self.prefix} {stream}"
            yield self._discovery.announce(entity, device=device, device_name=device_name)
        if entity.value is not None:
            yield entity.topic, entity.value
