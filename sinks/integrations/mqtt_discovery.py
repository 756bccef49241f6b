"""Home Assistant's discovery messages: each topic as a sensor of a device that stands for the stream."""

from __future__ import annotations

import msgspec

from sinks.integrations.mqtt_names import Identifiers, sendable


class _Announced(msgspec.Struct):
    """What is read of a discovery message to tell whose it is."""

    state_topic: str
    availability_topic: str
    origin: dict[str, str]


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

    def announce(self, topic: str, label: str, *, kind: str | None, device: str, device_name: str) -> tuple[str, bytes]:
        """The message about a topic.

        Args:
            topic: whose values the sensor shows.
            label: what it is called.
            kind: ``measurement``, ``total_increasing``, or None for a state in words.
            device: the topic that its device stands for.
            device_name: what that is called.
        """
        device, identifier = self._identifiers.identifier(device), self._identifiers.identifier(topic)
        entity = {
            "name": sendable(label),
            "unique_id": identifier,
            "object_id": identifier,
            "state_topic": topic,
            "availability_topic": self._availability,
            "icon": "mdi:counter" if kind is not None else "mdi:cctv",
            "device": {"identifiers": [device], "name": sendable(device_name), "manufacturer": "Sightline"},
            "origin": {"name": "Sightline"},
        }
        if kind is not None:
            entity["state_class"] = kind
            entity["unit_of_measurement"] = "crossings" if kind == "total_increasing" else "objects"
        self.announced[topic] = f"{self.begin}/sensor/{device}/{identifier}/config"
        return self.announced[topic], msgspec.json.encode(entity)

    def announced_by(self, message: bytes) -> str | None:
        """The topic that a message of this program, or of one before it, is about; None if it is of another program."""
        try:
            announced = msgspec.json.decode(message, type=_Announced)
        except msgspec.DecodeError:
            return None
        is_ours = announced.origin.get("name") == "Sightline" and announced.availability_topic == self._availability
        return announced.state_topic if is_ours else None
