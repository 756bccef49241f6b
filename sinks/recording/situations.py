"""Which events a recording is kept around, and for how long: a situation lasts from its beginning to its end."""

from __future__ import annotations

import math
from collections.abc import Collection

from pipeline.events import (
    AlertEnded,
    AlertStarted,
    Event,
    StreamEnded,
    TrackEnded,
    TrackStarted,
    ZoneEntered,
    ZoneLeft,
)

_Key = tuple[object, ...]


class Situations:
    """Follows what goes on in a stream.

    Args:
        types: of the events that count. Of a track, a visit to a zone or an alert that begins, the end is looked for,
            whether its type is among them or not.
    """

    def __init__(self, types: Collection[str]) -> None:
        self._types = frozenset(types)
        self._open: set[_Key] = set()

    def look(self, event: Event) -> bool:
        """Whether something began, happened or ended with this event."""
        begun = event.__struct_config__.tag in self._types
        if (key := _beginning(event)) is not None and begun:
            self._open.add(key)
        if isinstance(event, StreamEnded):
            ended = bool(self._open)
            self._open.clear()
            return ended
        if (key := _end(event)) is not None and key in self._open:
            self._open.discard(key)
            return True
        return begun

    @property
    def lasting_s(self) -> float:
        """0 where nothing goes on, else infinity."""
        return math.inf if self._open else 0.0


def _beginning(event: Event) -> _Key | None:
    if isinstance(event, TrackStarted):
        return ("track", event.track_id)
    if isinstance(event, ZoneEntered):
        return ("zone", event.zone, event.track_id)
    return ("alert", event.alert_id) if isinstance(event, AlertStarted) else None


def _end(event: Event) -> _Key | None:
    if isinstance(event, TrackEnded):
        return ("track", event.track_id)
    if isinstance(event, ZoneLeft):
        return ("zone", event.zone, event.track_id)
    return ("alert", event.alert_id) if isinstance(event, AlertEnded) else None
