"""What is published over MQTT of alerts and their pictures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator

import msgspec

from pipeline.events import AlertEnded, AlertStarted, AlertUpdated
from sinks.integrations.mqtt_discovery import Entity

Alert = AlertStarted | AlertUpdated | AlertEnded

ON, OFF = b"ON", b"OFF"
_JPEG = b"\xff\xd8"
# Alerts whose rule is remembered for a picture that is still to come.
_REMEMBERED = 1000
_TOLD = ("severity", "text", "since_s", "count", "tracks", "classes", "zone", "line", "alert_id")


class AlertTopics:
    """The topics of alerts, and what is there.

    ==================================  ================================================
    ``PREFIX/STREAM/alerts/RULE``       ``ON`` while there is an alert, else ``OFF``
    ``.../RULE/about``                  JSON: what the newest one is about
    ``.../RULE/picture``                the newest one's picture, a JPEG file
    ``PREFIX/STREAM/picture``           the newest picture of any alert
    ==================================  ================================================

    Args:
        place: makes a topic of a stream's name and levels below it.
        below: puts a name below a topic.
        pictures: whether pictures are published.
    """

    def __init__(self, *, place: Callable[..., str], below: Callable[[str, str], str], pictures: bool) -> None:
        self._place = place
        self._below = below
        self._pictures = pictures
        self._rule_of: OrderedDict[tuple[str, int], str] = OrderedDict()

    def of_rule(self, stream: str, rule: str) -> str:
        """The topic of a rule's alerts."""
        return self._below(self._place(stream, "alerts"), rule)

    def begin(self, stream: str, rules: Collection[str]) -> Iterator[Entity]:
        """A stream starts: there is no alert yet."""
        for rule in sorted(rules):
            yield self._state(stream, rule, OFF)
            if self._pictures:
                yield self._picture(stream, rule)
        if self._pictures and rules:
            yield self._picture(stream)

    def apply(self, event: Alert) -> Iterator[Entity]:
        """What an alert changes."""
        told = {key: getattr(event, key) for key in _TOLD} | {"wall": event.wall}
        if isinstance(event, AlertEnded):
            told |= {"duration_s": event.duration_s, "reason": event.reason}
        # Its picture may come after its end.
        self._rule_of[event.stream, event.alert_id] = event.rule
        while len(self._rule_of) > _REMEMBERED:
            self._rule_of.popitem(last=False)
        topic = self.of_rule(event.stream, event.rule)
        # Before the state, so that who looks at that finds what it is about.
        yield Entity(f"{topic}/about", msgspec.json.encode(told))
        yield self._state(event.stream, event.rule, OFF if isinstance(event, AlertEnded) else ON)

    def show(self, stream: str, alert_id: int, picture: bytes) -> Iterator[Entity]:
        """A picture of an alert is there."""
        rule = self._rule_of.get((stream, alert_id))
        if rule is not None:
            yield self._picture(stream, rule, picture)
            yield self._picture(stream, None, picture)

    def anew(self, stream: str, topic: str, rules: Collection[str]) -> Entity | None:
        """What becomes of a value that an earlier run left; None where it is to be taken away.

        The newest picture stays the newest.
        """
        for rule in rules:
            if topic == self.of_rule(stream, rule):
                return self._state(stream, rule, OFF)
            if topic == f"{self.of_rule(stream, rule)}/picture" and self._pictures:
                return self._picture(stream, rule)
        return self._picture(stream) if topic == self._place(stream, "picture") and self._pictures and rules else None

    def is_own(self, levels: list[str], value: bytes | None) -> bool:
        """Whether a value of those levels below a stream could be of these."""
        match levels:
            case ["alerts", _]:
                return value in (None, ON, OFF)
            case ["alerts", _, "about"]:
                return value is None or value.startswith(b'{"severity":')
            case ["alerts", _, "picture"] | ["picture"]:
                return value is None or value.startswith(_JPEG)
        return False

    def _state(self, stream: str, rule: str, value: bytes) -> Entity:
        topic = self.of_rule(stream, rule)
        return Entity(topic, value, rule, "binary_sensor", attributes=f"{topic}/about")

    def _picture(self, stream: str, rule: str | None = None, value: bytes | None = None) -> Entity:
        if rule is None:
            return Entity(self._place(stream, "picture"), value, "newest alert", "image")
        return Entity(f"{self.of_rule(stream, rule)}/picture", value, f"{rule}, picture", "image")
