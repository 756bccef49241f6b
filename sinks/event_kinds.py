"""The event types an output is asked for, by their names."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from pipeline.errors import ConfigError
from pipeline.events import EVENT_TYPES, Event, Heartbeat

_BY_NAME = {str(kind.__struct_config__.tag): kind for kind in EVENT_TYPES}


def event_kinds(names: Collection[str] | None) -> frozenset[type[Event]]:
    """The types of those names; all of a run's for None. A heartbeat is the feed's own and never among them.

    Raises:
        ConfigError: there is no event type of that name.
    """
    if names is None:
        return frozenset(EVENT_TYPES) - {Heartbeat}
    return frozenset(_kind(name) for name in names) - {Heartbeat}


def _kind(name: str) -> type[Event]:
    kind = _BY_NAME.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, _BY_NAME)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_BY_NAME)}"
        raise ConfigError(f"unknown event type {name!r}: {hint}")
    return kind
