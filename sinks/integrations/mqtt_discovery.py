"""Home Assistant's discovery messages: each topic as an entity of a device that stands for the stream.

Their keys are those of Home Assistant's pages on MQTT sensors, binary sensors and images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sinks.integrations.mqtt_names import Identifiers, sendable


class _Announced(msgspec.Struct):
    """What is read of a discovery message to tell whose it is."""

    availability_topic: str
    origin: dict[str, str]
    state_topic: str | None = None
    image_topic: str | None = None


Component = Literal["sensor", "binary_sensor", "image"]
COMPONENTS: tuple[Component, ...] = ("sensor", "binary_sensor", "image")


@dataclass(frozen=True, slots=True)
class Entity:
    """A topic, its value, and what Home Assistant makes of it.

    Attributes:
        topic: whose values it shows.
        value: the one there is now; None for none yet.
        label: what it is called; without, it is no entity of its own.
        component: what it is to Home Assistant.
        kind: of a sensor: ``measurement``, ``total_increasing``, or None for a state in words.
        attributes: topic with a JSON object of more about it.
    """

    topic: str
    value: bytes | None
    label: str = ""
    component: Component = "sensor"
    kind: str | None = None
    attributes: str | None = None


class Discovery:
    """Makes the messages, and knows those of Sightline again.

    Args:
        begin: begins their topics, usually ``homeassistant``.
        availability: the topic that says whether the program runs.

    Attributes:
        announced: where the message about each topic is.
    """

    def __init__(self, begin: str, availability: str) -> None:
        self.begin = begin
        self.announced: dict[str, str] = {}
        self._availability = availability
        self._identifiers = Identifiers()

    def reserve(self, topic: str) -> None:
        """Give a topic its identifier before others that it may be like."""
        self._identifiers.identifier(topic)

    def announce(self, entity: Entity, *, device: str, device_name: str) -> tuple[str, bytes]:
        """The message about a topic.

        Args:
            entity: the topic, and what it is called.
            device: the topic that its device stands for.
            device_name: what that is called.
        """
        device, identifier = self._identifiers.identifier(device), self._identifiers.identifier(entity.topic)
        told: dict[str, Any] = {
            "name": sendable(entity.label),
            "unique_id": identifier,
            "default_entity_id": f"{entity.component}.{identifier.lower().replace('-', '_')}",
            "availability_topic": self._availability,
            "device": {"identifiers": [device], "name": sendable(device_name), "manufacturer": "Sightline"},
            "origin": {"name": "Sightline"},
            **_of_component(entity),
        }
        if entity.attributes is not None:
            told["json_attributes_topic"] = entity.attributes
        self.announced[entity.topic] = f"{self.begin}/{entity.component}/{device}/{identifier}/config"
        return self.announced[entity.topic], msgspec.json.encode(told)

    def announced_by(self, message: bytes) -> str | None:
        """The topic that a message of this program, or of one before it, is about; None if it is of another program."""
        try:
            announced = msgspec.json.decode(message, type=_Announced)
        except msgspec.DecodeError:
            return None
        is_ours = announced.origin.get("name") == "Sightline" and announced.availability_topic == self._availability
        return announced.state_topic or announced.image_topic if is_ours else None


def _of_component(entity: Entity) -> dict[str, str]:
    if entity.component == "image":
        return {"image_topic": entity.topic, "content_type": "image/jpeg", "icon": "mdi:image-frame"}
    if entity.component == "binary_sensor":
        return {"state_topic": entity.topic, "payload_on": "ON", "payload_off": "OFF", "icon": "mdi:bell-alert"}
    if entity.kind is None:
        return {"state_topic": entity.topic, "icon": "mdi:cctv"}
    unit = "crossings" if entity.kind == "total_increasing" else "objects"
    return {
        "state_topic": entity.topic,
        "icon": "mdi:counter",
        "state_class": entity.kind,
        "unit_of_measurement": unit,
    }
