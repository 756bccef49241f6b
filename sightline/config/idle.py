"""Settings that change nothing, since what they belong to is off: told, as who gave them expects something of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pipeline.event_codec import EVENT_TYPES_BY_NAME
from sightline.config.schema import Config, ResolvedStream
from sightline.config.values import Section

logger = logging.getLogger(__name__)

# By section, what it is off without, and the keys that then change nothing; None is all others.
_OF_THE_RUN: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "events": ("endpoint", ("encoding", "replay", "insecure", "keys", "clients")),
    "store": ("path", None),
    "mqtt": ("url", None),
    "webhook": ("url", None),
    "notify": ("targets", None),
    "web": ("address", ("token_env", "read_token_env", "hosts", "stay")),
    "classify": ("model", None),
}
_OF_A_STREAM: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "output": ("video", ("fps", "segment_s", "keep_hours", "keep_mb")),
    "recording": ("folder", None),
    "tracker": ("appearance", ("appearance_classes",)),
}
# What events are made by, by the beginnings of their types: nothing else makes them.
_MAKERS = {
    "alert.": "rules",
    "zone.": "zones",
    "line.": "lines",
    "evidence.": "evidence.folder",
    "track.classified": "classify.model",
    "track.linked": "tracker.appearance",
}


def warn_of_idle_settings(config: Config) -> None:
    """Log a warning for each setting that changes nothing."""
    for line in idle_settings(config):
        logger.warning("%s", line)


def idle_settings(config: Config) -> list[str]:
    """A line for each group of settings that were given and change nothing: their keys, and what is missing."""
    streams = config.resolved_streams()
    return [
        *_of_the_run(config),
        *_of_streams(config, streams),
        *_without_events(config, streams),
        *_types_of_nothing(config, streams),
    ]


def _of_the_run(config: Config) -> Iterator[str]:
    for name, (needed, keys) in _OF_THE_RUN.items():
        section: Section = getattr(config, name)
        if not getattr(section, needed):
            yield from _told(name, _given(section, keys, but=needed), f"{name}.{needed}")
    if config.callback_errors != "stop" and config.callbacks is None:
        yield "callback_errors: changes nothing without callbacks"
    if config.events.types is not None and config.events.endpoint is None and config.output.jsonl is None:
        yield "events.types: changes nothing without events.endpoint or output.jsonl"
    if config.mqtt.retain_pictures and config.mqtt.url is not None and not config.mqtt.pictures:
        yield "mqtt.retain_pictures: changes nothing without mqtt.pictures"
    if config.evidence.folder is None:
        yield from _told("evidence", _given(config.evidence, None, but="folder"), "evidence.folder")
        for name, stream in config.streams.items():
            if stream.enabled and stream.evidence is not None:
                path = f"streams.{name}.evidence"
                yield from _told(path, _given(stream.evidence, None), "evidence.folder")


def _of_streams(config: Config, streams: tuple[ResolvedStream, ...]) -> Iterator[str]:
    """What all streams were given and none has a use for, then what single ones were given."""
    for name, (needed, of_it) in _OF_A_STREAM.items():
        if not any(getattr(getattr(stream, name), needed) for stream in streams):
            yield from _told(name, _given(getattr(config, name), of_it, but=needed), f"{name}.{needed}")
        for stream in streams:
            own = config.streams.get(stream.name)
            section = None if own is None else getattr(own, name)
            if section is not None and not getattr(getattr(stream, name), needed):
                path = f"streams.{stream.name}.{name}"
                yield from _told(path, _given(section, of_it, but=needed), f"{path}.{needed}")
    for stream in streams:
        output, where = stream.output, f" (stream {stream.name})" if len(streams) > 1 else ""
        if output.video is not None and output.segment_s is None and (output.keep_hours or output.keep_mb):
            told = "delete pieces, and without output.segment_s there are none; nothing is deleted"
            yield f"output.keep_hours and keep_mb: {told}{where}"
        if stream.evidence.clip.before_s is None and _given(stream.evidence.clip, None):
            yield f"evidence.clip.after_s: changes nothing without evidence.clip.before_s{where}"
        if stream.privacy.privacy() is None and (keys := _given(stream.privacy, None)):
            yield f"privacy.{keys[0]}: changes nothing without privacy.areas or privacy.classes{where}"


def _without_events(config: Config, streams: tuple[ResolvedStream, ...]) -> Iterator[str]:
    """What is about events that nothing makes."""
    if not streams:
        return
    if config.notify.targets and not any(stream.rules for stream in streams):
        yield "notify.targets: are told of alerts, which come from rules, and there are none"
    if config.evidence.folder is not None and not any(_has_evidence(stream) for stream in streams):
        yield (
            "evidence.folder: nothing is written into it: there are no rules, and evidence.zones, evidence.lines and "
            "evidence.tracks are false, or there are none of them"
        )


def _has_evidence(stream: ResolvedStream) -> bool:
    of = stream.evidence
    pairs = ((of.alerts, stream.rules), (of.zones, stream.zones), (of.lines, stream.lines))
    return of.tracks or any(wanted and there for wanted, there in pairs)


def _types_of_nothing(config: Config, streams: tuple[ResolvedStream, ...]) -> Iterator[str]:
    """Lists of types of events none of which anything makes."""
    there = {
        "rules": any(stream.rules for stream in streams),
        "zones": any(stream.zones for stream in streams),
        "lines": any(stream.lines for stream in streams),
        "evidence.folder": config.evidence.folder is not None,
        "classify.model": config.classify.model is not None,
        "tracker.appearance": any(stream.tracker.appearance is not None for stream in streams),
    }
    lists = {
        "events.types": config.events.types,
        "store.types": config.store.types if config.store.path is not None else None,
        "mqtt.types": config.mqtt.types if config.mqtt.url is not None else None,
        "webhook.types": config.webhook.types if config.webhook.url is not None else None,
        "recording.types": next((stream.recording.types for stream in streams if stream.recording.folder), None),
    }
    for key, types in lists.items():
        makers = [_maker(name) for name in types or ()]
        if streams and makers and not any(maker is None or there[maker] for maker in makers):
            missing = " or ".join(dict.fromkeys(maker for maker in makers if maker))
            yield f"{key}: nothing makes {' or '.join(types or ())} without {missing}"


def _maker(name: str) -> str | None:
    assert name in EVENT_TYPES_BY_NAME
    return next((maker for start, maker in _MAKERS.items() if name.startswith(start)), None)


def _given(section: Section, keys: tuple[str, ...] | None, but: str = "") -> list[str]:
    """The keys of a section that were given another value than they have by themselves."""
    fields = type(section).model_fields
    return [
        key
        for key in fields
        if key in section.model_fields_set
        and key != but
        and (keys is None or key in keys)
        and getattr(section, key) != fields[key].get_default(call_default_factory=True)
    ]


def _told(path: str, keys: list[str], needed: str) -> Iterator[str]:
    if keys:
        named = ", ".join(f"{path}.{key}" for key in keys)
        yield f"{named}: {'changes' if len(keys) == 1 else 'change'} nothing without {needed}"
