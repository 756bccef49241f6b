"""The event types an output is asked for, by their names."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import msgspec

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError
from pipeline.events import EVENT_TYPES, SCHEMA_VERSION, AnyEvent, Event, Heartbeat
from pipeline.feed_events import FEED_EVENT_TYPES, FeedEvent


def type_name(kind: type[Event]) -> str:
    """The ``type`` that events of a kind are tagged with, such as ``"track.started"``."""
    return str(kind.__struct_config__.tag)


EVENT_TYPES_BY_NAME: dict[str, type[Event]] = {type_name(kind): kind for kind in EVENT_TYPES}
"""The types an output can be asked for, by the ``type`` they are tagged with."""


def event_kinds(names: Collection[str] | None) -> frozenset[type[Event]]:
    """The types of those names; all of a run's for None. A heartbeat is the feed's own and never among them.

    Raises:
        ConfigError: there is no event type of that name.
    """
    if names is None:
        return frozenset(EVENT_TYPES) - {Heartbeat}
    return frozenset(event_kind(name) for name in names) - {Heartbeat}


def event_kind(name: str) -> type[Event]:
    """The type of that name.

    Raises:
        ConfigError: there is none; the message names those that are meant most likely, or all.
    """
    kind = EVENT_TYPES_BY_NAME.get(name)
    if kind is None:
        hint = did_you_mean(name, EVENT_TYPES_BY_NAME) or f"there are {', '.join(EVENT_TYPES_BY_NAME)}"
        raise ConfigError(f"unknown event type {name!r}: {hint}")
    return kind


def event_type(event: Event) -> str:
    """The ``type`` an event is tagged with, such as ``"track.started"``."""
    return type_name(type(event))


def wall_time(utc_s: float) -> str:
    """Seconds since 1970 as events write a time: UTC, ISO 8601 with milliseconds and ``Z``."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def topic(event: Event) -> str:
    """``<stream>/<type>/<class>``; the class is empty for events that concern none."""
    return f"{event.stream}/{event_type(event)}/{getattr(event, 'class_name', '')}"


def encode_json(event: Event) -> bytes:
    """One JSON object without a line break, UTF-8."""
    return msgspec.json.encode(event)


def encode_msgpack(event: Event) -> bytes:
    """One MessagePack map, with the same keys and values as the JSON."""
    return msgspec.msgpack.encode(event)


class _Envelope(msgspec.Struct):
    type: str
    schema: int = SCHEMA_VERSION


_KNOWN = frozenset(type_name(kind) for kind in EVENT_TYPES + FEED_EVENT_TYPES)
_JSON = msgspec.json.Decoder(AnyEvent | FeedEvent)
_JSON_ENVELOPE = msgspec.json.Decoder(_Envelope)
_MSGPACK = msgspec.msgpack.Decoder(AnyEvent | FeedEvent)
_MSGPACK_ENVELOPE = msgspec.msgpack.Decoder(_Envelope)


def decode_json(data: bytes) -> Event | None:
    """Read one event from JSON; fields that this version does not know are skipped.

    Returns:
        The event, or None for a type or a version of the schema that this version does not know.

    Raises:
        msgspec.DecodeError: it is no event.

    >>> from pipeline.events import StreamOffline
    >>> event = StreamOffline(seq=7, run="one", stream="gate", pts_s=2.0, wall="", reason="no data")
    >>> decode_json(encode_json(event)) == event
    True
    """
    try:
        return _of_this_schema(_JSON.decode(data))
    except msgspec.ValidationError:
        if _is_known(_JSON_ENVELOPE.decode(data)):
            raise
        return None


def decode_msgpack(data: bytes) -> Event | None:
    """Read one event from MessagePack; otherwise like ``decode_json``."""
    try:
        return _of_this_schema(_MSGPACK.decode(data))
    except msgspec.ValidationError:
        if _is_known(_MSGPACK_ENVELOPE.decode(data)):
            raise
        return None


def _of_this_schema(event: Event) -> Event | None:
    return event if event.schema == SCHEMA_VERSION else None


def _is_known(envelope: _Envelope) -> bool:
    return envelope.schema == SCHEMA_VERSION and envelope.type in _KNOWN


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one event, as ``docs/events.schema.json`` holds it."""
    import inspect  # what subscribers import starts quickly

    schema = msgspec.json.schema(AnyEvent | FeedEvent)
    for definition in schema["$defs"].values():
        # How a docstring is indented depends on the versions of Python and msgspec.
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Sightline event, schema {SCHEMA_VERSION}",
        **schema,
    }


def json_schema_text() -> str:
    """The schema as text, the way it is printed and committed."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
