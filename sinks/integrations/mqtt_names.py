"""Names as parts of MQTT topics and as Home Assistant's identifiers: each its own, and with nothing brokers refuse."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable

logger = logging.getLogger(__name__)

_LONGEST_BYTES = 200
# Control characters, halves of surrogate pairs and Unicode's noncharacters: brokers may close the connection for them.
_CONTROL = "\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
_NOT_SENT = re.compile(f"[{_CONTROL}]")
_NOT_IN_LEVEL = re.compile(rf"[+#/\s{_CONTROL}]")


def sendable(text: str) -> str:
    """The text with "_" for each character that must not reach a broker."""
    return _NOT_SENT.sub("_", text)


def can_begin_topics(text: str) -> bool:
    """Whether a text can be the first levels of topics."""
    return (
        bool(text.strip("/"))
        and text == sendable(text)
        and not set("+#") & set(text)
        and not text.startswith("$")
        and len(text.encode()) <= _LONGEST_BYTES
    )


class Levels:
    """Names as levels of topics: what MQTT does not allow in them becomes "_", and no two names share a level.

    A name that is a level as it is stays so. Of several that would become the same, the first that is asked for gets
    it; to each other is added what is made of its letters. To have it the same in every run, name all that are known
    first.
    """

    def __init__(self) -> None:
        self._levels: dict[str, dict[str, str]] = {}

    def know(self, place: str, names: Iterable[str]) -> None:
        """Give the names of a place their levels in an order that does not depend on when they are met."""
        for name in sorted(set(names), key=lambda name: (_level(name) != name, name)):
            self.level(place, name)

    def level(self, place: str, name: str) -> str:
        """The level of a name; ``place`` is the topic that it is put under."""
        names = self._levels.setdefault(place, {})
        if name not in names:
            level = _level(name)
            taken = set(names.values())
            if level in taken:
                level = _own(level, name, taken)
                logger.warning(
                    "mqtt: %s is at %s/%s, for another name has the plain place", sendable(name), place, level
                )
            names[name] = level
        return names[name]

    def name(self, place: str, level: str) -> str | None:
        """The name that has a level; None where none has."""
        return next((name for name, held in self._levels.get(place, {}).items() if held == level), None)


class Identifiers:
    """Topics as identifiers of Home Assistant, which allows letters, digits, "_" and "-"; no two topics share one."""

    def __init__(self) -> None:
        self._identifiers: dict[str, str] = {}
        self._topics: dict[str, str] = {}

    def identifier(self, topic: str) -> str:
        """The identifier of a topic."""
        if topic not in self._identifiers:
            plain = re.sub(r"[^A-Za-z0-9_-]", lambda match: "_" if match[0] in "/_ " else f"-{ord(match[0]):x}-", topic)
            if plain in self._topics:
                plain = _own(plain, topic, self._topics)
            self._identifiers[topic], self._topics[plain] = plain, topic
        return self._identifiers[topic]


def _level(name: str) -> str:
    level = _NOT_IN_LEVEL.sub("_", name) or "_"
    if len(level.encode()) <= _LONGEST_BYTES:
        return level
    beginning = level.encode()[: _LONGEST_BYTES - 20].decode(errors="ignore")
    return f"{beginning}_{_digest(name)[:16]}"


def _own(text: str, name: str, taken: Iterable[str]) -> str:
    held = set(taken)
    digest = _digest(name)
    return next(own for own in (f"{text}_{digest[:length]}" for length in range(8, len(digest) + 1)) if own not in held)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
