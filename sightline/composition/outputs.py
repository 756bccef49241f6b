"""The outputs that a configuration asks for.

Those that many runs have no use for, and what they stand on, are imported when a run does: that is a tenth of a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import ConfigError
from pipeline.interfaces import Sink
from pipeline.redaction import environment_variable
from pipeline.sources.uri import local_path
from sightline.composition.reload import Before, differing
from sightline.config.schema import Config, ResolvedStream
from sinks.callbacks import CallbacksSink
from sinks.drawing.annotator import AnnotatorFactory
from sinks.files.jsonl import JsonlSink
from sinks.files.mot import MotSink
from sinks.output_files import is_stream
from sinks.video.mp4 import Mp4Sink
from sinks.video.segments import SegmentedMp4Sink

if TYPE_CHECKING:
    from sinks.integrations.apprise_target import AppriseTarget
    from sinks.integrations.webhook import WebhookSink
    from sinks.recording.sink import RecordingSink

AnySink = TypeVar("AnySink", bound=Sink)


def build_sinks(
    config: Config,
    stream: ResolvedStream,
    annotator: AnnotatorFactory,
    *,
    before: Before[ResolvedStream] | None = None,
    drawn_on: bool = False,
    recorded: Collection[Path] = (),
    recording: RecordingSink | None = None,
) -> list[Sink]:
    """The outputs that one stream has to itself.

    Args:
        config: for what all streams have in common.
        stream: the description.
        annotator: makes what draws on its pictures.
        before: the running stream whose place it takes.
        drawn_on: whether what is drawn besides the tracks is the same as before.
        recorded: files that were written in this run.
        recording: takes its packets.
    """
    old = None if before is None else before.description

    def going_on(kind: type[AnySink], same: bool) -> AnySink | None:
        running = () if before is None or not same else before.stream.sinks
        return next((sink for sink in running if isinstance(sink, kind)), None)

    sinks: list[Sink] = []
    if stream.output.video is not None:
        same = old is not None and drawn_on and same_video(old, stream)
        sinks.append(
            going_on(SegmentedMp4Sink, same)
            or going_on(Mp4Sink, same)
            or build_video(stream, annotator, config.threads.encode or None, part=before is not None, recorded=recorded)
        )
    if stream.output.tracks is not None:
        same = old is not None and old.output.tracks == stream.output.tracks
        sinks.append(going_on(MotSink, same) or MotSink(unused(stream.output.tracks, recorded)))
    if config.callbacks is not None:
        same = old is not None and drawn_on and old.output.annotate == stream.output.annotate
        sinks.append(
            going_on(CallbacksSink, same)
            or CallbacksSink(config.callbacks, errors=config.callback_errors, annotator=annotator)
        )
    if recording is not None:
        sinks.append(recording)
    return sinks


def build_recording(stream: ResolvedStream) -> RecordingSink | None:
    """What records a stream's packets, if that is wanted."""
    wanted = stream.recording
    if wanted.folder is None:
        return None
    from sinks.recording.sink import RecordingSink

    return RecordingSink(
        wanted.folder,
        stream.name,
        mode=wanted.mode,
        types=wanted.types or recorded_types(stream),
        before_s=wanted.before_s,
        after_s=wanted.after_s,
        segment_s=wanted.segment_s,
        keep_hours=wanted.keep_hours,
        keep_mb=wanted.keep_mb,
        keep_free_mb=wanted.keep_free_mb,
        event_keep_hours=wanted.event_keep_hours or wanted.keep_hours,
        event_keep_mb=wanted.event_keep_mb or wanted.keep_mb,
    )


def recorded_types(stream: ResolvedStream) -> tuple[str, ...]:
    """The events that are recorded where nobody says which: the most telling that the stream has."""
    if stream.rules:
        return ("alert.started",)
    if stream.zones or stream.lines:
        return ("zone.entered", "line.crossed")
    # Where all is recorded anyway, nearly every segment would belong to some track.
    return ("track.started",) if stream.recording.mode == "events" else ()


def same_video(old: ResolvedStream, new: ResolvedStream) -> bool:
    """Whether the recording of a stream can go on. A file's sound belongs to that file."""
    keys = set(type(new.output).model_fields) - {"tracks", "jsonl", "report"}
    with_sound = new.output.segment_s is None and sound_of(old) is not None
    return not differing(old.output, new.output, sorted(keys)) and not (with_sound and old.source != new.source)


def recorded_files(stream: ResolvedStream) -> list[Path]:
    """The files that a stream writes under the very names it is given."""
    output = stream.output
    video = output.video if output.segment_s is None else None
    return [path.resolve() for path in (video, output.tracks) if path is not None]


def unused(path: Path, recorded: Collection[Path]) -> Path:
    """The path, with a number before its ending where this run has written to it already: ``door-2.mp4``."""
    if path.resolve() not in recorded or is_stream(path):
        return path
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return next(other for other in numbered if other.resolve() not in recorded and not os.path.lexists(other))


def build_video(
    stream: ResolvedStream,
    annotator: AnnotatorFactory,
    threads: int | None,
    *,
    part: bool = False,
    recorded: Collection[Path] = (),
) -> Sink:
    """The annotated video of a stream: one file, or one after the other; ``part`` says that it begins where another
    recording of the stream ended."""
    output = stream.output
    assert output.video is not None
    if output.segment_s is not None:
        return SegmentedMp4Sink(
            output.video,
            segment_s=output.segment_s,
            keep_hours=output.keep_hours,
            keep_mb=output.keep_mb,
            fps=output.fps,
            annotate=annotator,
            threads=threads,
        )
    path = unused(output.video, recorded)
    return Mp4Sink(
        path,
        fps=output.fps,
        annotate=annotator,
        audio_from=None if part else sound_of(stream),
        input_path=local_path(stream.source),
        part=part,
        threads=threads,
    )


def sound_of(stream: ResolvedStream) -> str | None:
    """The file whose sound goes with a stream's video, if there is one."""
    source = local_path(stream.source)
    return source if stream.output.audio and source is not None and Path(source).is_file() else None


def build_shared_sinks(config: Config, *, progress: bool) -> list[Sink]:
    """The outputs that all streams share."""
    sinks: list[Sink] = []
    if config.output.jsonl is not None:
        sinks.append(JsonlSink(config.output.jsonl, types=config.events.types))
    if config.events.endpoint is not None:
        from sinks.feed.zeromq_sink import ZeroMqSink

        sinks.append(
            ZeroMqSink(
                config.events.endpoint,
                types=config.events.types,
                encoding=config.events.encoding,
                replay=config.events.replay,
                insecure=config.events.insecure,
                keys=config.events.keys,
                clients=config.events.clients,
            )
        )
    if config.store.path is not None:
        from sinks.store.parquet_store import ParquetStore
        from sinks.store.sqlite_store import SqliteStore

        store = config.store
        kind = SqliteStore if store.format == "sqlite" else ParquetStore
        sinks.append(kind(config.store.path, types=store.types, keep_days=store.keep_days, max_mb=store.max_mb))
    if config.mqtt.url is not None:
        from sinks.integrations.mqtt import MqttSink
        from sinks.integrations.mqtt_topics import Places

        places = {
            stream.name: Places(tuple(stream.zones), tuple(stream.lines), tuple(stream.rules))
            for stream in config.resolved_streams()
        }
        sinks.append(
            MqttSink(
                config.mqtt.url,
                places=places,
                topic=config.mqtt.topic,
                window=config.mqtt.window,
                types=config.mqtt.types,
                discovery=config.mqtt.discovery,
                evidence=config.evidence.folder if config.mqtt.pictures else None,
                retain_pictures=config.mqtt.retain_pictures,
            )
        )
    if config.webhook.url is not None:
        sinks.append(build_webhook(config, config.webhook.url))
    sinks.extend(build_notifications(config))
    if progress and sys.stderr.isatty():
        from rich.console import Console

        from sightline.terminal.progress import ProgressSink

        sinks.append(ProgressSink(Console(stderr=True)))
    return sinks


def build_webhook(config: Config, url: str) -> WebhookSink:
    """The sink that posts events; its secret comes from the environment."""
    from sinks.integrations.webhook import WebhookSink

    variable = config.webhook.secret_env
    if variable is not None and variable not in os.environ:
        raise ConfigError(f"webhook.secret_env: {environment_variable(variable)} is not set")
    return WebhookSink(
        url,
        secret=os.environ[variable] if variable is not None else None,
        spool=config.webhook.spool,
        types=config.webhook.types,
        evidence=config.evidence.folder if config.webhook.pictures is not None else None,
        multipart=config.webhook.pictures == "multipart",
        max_spool_mb=config.webhook.max_spool_mb,
    )


def build_notifications(config: Config) -> list[Sink]:
    """A sink for each target that is told of alerts."""
    if not config.notify.targets:
        return []
    from sinks.integrations.notifications import NotificationSink, Wanted

    targets = notification_targets(config)
    return [
        NotificationSink(
            targets[name],
            wanted=Wanted(rules=one.rules, severities=one.severities, streams=one.streams, types=one.types),
            spool=config.notify.spool / name,
            evidence=config.evidence.folder,
            every_s=one.every_s,
            digest_from=one.digest_from,
            wait_picture_s=config.notify.wait_picture_s,
            max_spool_mb=config.notify.max_spool_mb,
        )
        for name, one in config.notify.targets.items()
    ]


def notification_targets(config: Config) -> dict[str, AppriseTarget]:
    """Those who are told of alerts, by name, with the addresses that the environment holds.

    Raises:
        ConfigError: it does not hold some of them.
    """
    from sinks.integrations.apprise_target import AppriseTarget

    missing = [
        f"notify.targets.{name}.url_env: {environment_variable(one.url_env)} is not set"
        for name, one in config.notify.targets.items()
        if not os.environ.get(one.url_env)
    ]
    if missing:
        raise ConfigError("\n".join(missing))
    return {
        name: AppriseTarget(name, os.environ[one.url_env], where=environment_variable(one.url_env))
        for name, one in config.notify.targets.items()
    }
