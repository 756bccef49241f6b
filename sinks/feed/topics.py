"""Which events a reader wants: prefixes of ``<stream>/<type>/<class>``, each of which some event may have."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError
from pipeline.event_codec import EVENT_TYPES_BY_NAME


def topic_prefixes(topics: Sequence[str]) -> tuple[str, ...]:
    """The prefixes as they were given.

    Raises:
        ConfigError: they are one text, whose letters would be taken for prefixes, or no event has such a topic.
    """
    if isinstance(topics, str):
        raise ConfigError(f"topics: expected a list of texts such as [{topics!r}], got {topics!r}")
    for topic in topics:
        _check_prefix(topic)
    return tuple(topics)


def _check_prefix(topic: str) -> None:
    stream, slash, rest = topic.partition("/")
    kind, ended, _ = rest.partition("/")
    if not slash:
        if "." in stream and any(name.startswith(stream) for name in EVENT_TYPES_BY_NAME):
            raise ConfigError(
                f"topic {topic!r}: begins with a type of events; expected STREAM/TYPE/CLASS, or its beginning"
            )
        return
    fits = kind in EVENT_TYPES_BY_NAME if ended else any(name.startswith(kind) for name in EVENT_TYPES_BY_NAME)
    if not fits:
        hint = did_you_mean(kind, EVENT_TYPES_BY_NAME) or f"there are {', '.join(EVENT_TYPES_BY_NAME)}"
        raise ConfigError(f"topic {topic!r}: there is no event type {kind!r}; {hint}")
