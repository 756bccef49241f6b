"""The composition root: builds the parts that a configuration asks for, and joins them.

The only module that knows every other; nothing but the command line imports it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from pipeline.analytics.lines import Line
from pipeline.analytics.totals import LiveHistory
from pipeline.analytics.zones import Zone
from pipeline.classification.classifier import Classifier
from pipeline.classification.tracks import TrackClassifier
from pipeline.config import Config, ResolvedStream
from pipeline.configured_files import configured_files, stream_files
from pipeline.detection.factory import create_detector, reduced_side
from pipeline.detection.filters import make_filters
from pipeline.errors import ConfigError
from pipeline.geometry.ground import Homography
from pipeline.geometry.region import Region
from pipeline.interfaces import Sink, Source
from pipeline.models.class_names import read_names
from pipeline.models.custom import choose_model
from pipeline.models.registry import Model
from pipeline.redaction import environment_variable
from pipeline.reload import Before, Reloader, differing
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import process_started_s
from pipeline.runtime.run_files import RunFiles
from pipeline.runtime.streams.stream import Stream
from pipeline.sampling.latency import LatencyPace
from pipeline.sampling.motion_gate import MotionGate
from pipeline.sampling.predictive import PredictivePace
from pipeline.sampling.sampler import EveryNth, Pace, PaceBySource
from pipeline.sources.backoff import Backoff
from pipeline.sources.network import connection_address
from pipeline.sources.opening import is_camera, is_network, open_source
from pipeline.sources.reconnect import ReconnectingSource
from pipeline.sources.uri import has_scheme, local_path
from sinks.callbacks import CallbacksSink
from sinks.control import ControlSocket, parse_endpoint
from sinks.drawing.annotator import Annotator, AnnotatorFactory
from sinks.drawing.count_overlay import CountOverlay
from sinks.feed.zeromq_sink import ZeroMqSink
from sinks.files.jsonl import JsonlSink
from sinks.files.mot import MotSink
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.mqtt_topics import Places
from sinks.integrations.webhook import WebhookSink
from sinks.output_files import check_output, is_stream, written_file
from sinks.status import line
from sinks.store.parquet_store import ParquetStore
from sinks.store.sqlite_store import SqliteStore
from sinks.terminal import ProgressSink
from sinks.video.mp4 import Mp4Sink
from sinks.video.segments import SegmentedMp4Sink
from trackers.factory import DEFAULT_TRACKER, create_tracker

AnySink = TypeVar("AnySink", bound=Sink)

# What a reload can't change while the run goes on.
FIXED_KEYS = tuple(key for key in Config.model_fields if key not in ("source", "streams", *ResolvedStream.model_fields))


def build_pipeline(config: Config, *, progress: bool, path: Path | None = None) -> Pipeline:
    """The pipeline that a configuration describes. Mistakes that show without the model are found before it loads.

    Args:
        config: what to build.
        progress: show a progress bar.
        path: of the configuration, which is not to be written over.

    Raises:
        PipelineError: of the kind that describes what can't be used.
    """
    described = config.resolved_streams()
    if not described:
        raise ConfigError("nothing to process: name a video file, or set source in the configuration")
    model = config.model
    with ExitStack() as stack:
        chosen = choose_model(config.model.name, config.own_models())
        streams = [build_stream(config, stream, chosen, stack) for stream in described]
        progress = progress and not any(stream.source.info.live for stream in streams)
        shared = build_shared_sinks(config, progress=progress)
        report = [written_file("the report", config.output.report)] if config.output.report is not None else []
        files: dict[str, Any] = {"reads": configured_files(config, chosen, path), "writes": report}
        RunFiles(shared, streams=streams, **files).check()
        if config.output.report is not None:
            check_output(config.output.report)
        if config.control is not None:
            parse_endpoint(config.control)
        for sink in (*shared, *(sink for stream in streams for sink in stream.sinks)):
            sink.check()
        detector = create_detector(
            chosen,
            confidence=min(model.confidence, *(stream.tracker.lowest_score for stream in streams)),
            **detector_options(config),
        )
        pipeline = Pipeline(
            streams,
            detector,
            sinks=shared,
            **files,
            batch=model.batch,
            max_wait_s=model.max_wait_ms / 1000,
            queue=max(config.queues.frames, model.batch),
            sink_queue=config.queues.sink,
            started_s=process_started_s(),
        )
        stack.pop_all()
    return pipeline


def detector_options(config: Config) -> dict[str, Any]:
    """What `create_detector` is given beside the model and the confidence."""
    model = config.model
    return {
        "weights": model.weights,
        "input_size": model.input_size,
        "masks": model.anchors.mask,
        "square": model.square or None,  # a model that can't be square can still be told not to be
        "engine": model.engine,
        "precision": model.precision,
        "iou": model.iou,
        "batch_size": model.batch,
        "threads": config.threads.network or None,
    }


def build_reloader(pipeline: Pipeline, config: Config, read: Callable[[], Config]) -> Reloader[ResolvedStream]:
    """What takes over a changed configuration while the pipeline runs; ``read`` reads it anew."""
    model = choose_model(config.model.name, config.own_models())

    def load() -> tuple[tuple[ResolvedStream, ...], Sequence[str]]:
        new = read()
        files = [f"output.{key}" for key in differing(config.output, new.output, ("jsonl", "report"))]
        return new.resolved_streams(), [*differing(config, new, FIXED_KEYS), *files]

    recorded = {path for stream in config.resolved_streams() for path in recorded_files(stream)}

    def build(description: ResolvedStream, before: Before[ResolvedStream] | None) -> Stream:
        with ExitStack() as stack:
            stream = build_stream(config, description, model, stack, before=before, recorded=recorded)
            stack.pop_all()
        return stream

    def accepted(stream: Stream) -> None:
        recorded.update(Path(sink.path).resolve() for sink in stream.sinks if isinstance(sink, Mp4Sink | MotSink))

    return Reloader(pipeline, config.resolved_streams(), load=load, build=build, accepted=accepted)


def build_control(config: Config, pipeline: Pipeline, reloader: Reloader[ResolvedStream]) -> ControlSocket | None:
    """The socket that takes commands while the pipeline runs, if one is wanted."""
    if config.control is None:
        return None

    def stop() -> str:
        pipeline.stop()
        return "stopping"

    def status() -> str:
        return "\n".join(line(stream) for stream in pipeline.status())

    return ControlSocket(config.control, {"reload": reloader.reload, "status": status, "stop": stop})


def build_stream(
    config: Config,
    stream: ResolvedStream,
    model: Model,
    stack: ExitStack,
    *,
    before: Before[ResolvedStream] | None = None,
    recorded: Collection[Path] = (),
) -> Stream:
    """One stream as the configuration describes it.

    Args:
        config: for what all streams have in common.
        stream: the description.
        model: of the run's detector.
        stack: closes the source if the pipeline never comes to be.
        before: the running stream whose place it takes; of that it has the source, the counting and the outputs, each
            unless it was changed.
        recorded: files that were written in this run. None of them is written again.
    """
    source = running_source(stream, before)
    if source is None:
        source = build_source(config, stream, reduced_side(model, config.model.input_size), at_once=before is not None)
        stack.callback(source.close)
    analytics = running_analytics(stream, before) or build_analytics(config, stream)
    overlay = CountOverlay(
        zones=analytics["zones"],
        lines=analytics["lines"],
        counts=analytics["live"].at,
        scale=stream.output.annotate.scale,
    )
    annotator = partial(Annotator, overlays=[overlay], **dict(stream.output.annotate))
    tracker = create_tracker(
        stream.tracker.name or DEFAULT_TRACKER, confidence=config.model.confidence, **stream.tracker.settings
    )
    drawn_on = before is not None and analytics is before.stream.analytics
    return Stream(
        source=source,
        tracker=tracker,
        sinks=build_sinks(config, stream, annotator, before=before, drawn_on=drawn_on, recorded=recorded),
        filters=make_filters(model.class_names, **dict(stream.filters)),
        detect_every=PaceBySource(lambda live: build_pace(stream, tracker.start_score, live=live)),
        region=build_region(stream),
        classify=build_track_classifier(config, model.class_names),
        duration_s=stream.duration_s,
        frozen_after_s=stream.input.frozen_after_s,
        analytics=analytics,
        reads=stream_files(stream),
    )


def running_source(stream: ResolvedStream, before: Before[ResolvedStream] | None) -> Source | None:
    """The source of the stream before, where it is to be the same."""
    if before is None or before.description.source != stream.source:
        return None
    settings = set(type(stream.input).model_fields) - {"frozen_after_s"}
    return None if differing(before.description.input, stream.input, sorted(settings)) else before.stream.source


def running_analytics(stream: ResolvedStream, before: Before[ResolvedStream] | None) -> Mapping[str, Any] | None:
    """What is counted in the stream before, where it is to be the same."""
    if before is None or any(differing(before.description, stream, ("zones", "lines", "homography"))):
        return None
    return before.stream.analytics


def build_analytics(config: Config, stream: ResolvedStream) -> Mapping[str, Any]:
    """What is to be counted."""
    return {
        "update_hz": config.events.update_hz,
        "zones": [Zone(name=name, **dict(zone)) for name, zone in stream.zones.items()],
        "lines": [Line(name=name, **dict(line)) for name, line in stream.lines.items()],
        "live": LiveHistory(),
        "homography": Homography(**dict(stream.homography)) if stream.homography else None,
    }


def build_track_classifier(config: Config, class_names: Sequence[str]) -> TrackClassifier | None:
    """What names a stream's tracks by a second network, if that is wanted; all streams share the network."""
    chosen = config.classify
    if chosen.model is None:
        return None
    return TrackClassifier(
        load_classifier(chosen.model, chosen.weights, chosen.names),
        class_names,
        **chosen.model_dump(exclude={"model", "weights", "names"}),
    )


@lru_cache(maxsize=1)  # it takes seconds and a hundred megabytes
def load_classifier(model: str, weights: Path | None, names: Path | None) -> Classifier:
    """A classifier; the same again where the same is asked for."""
    return Classifier(model, weights=weights, names=read_names(names) if names is not None else None)


def build_source(config: Config, stream: ResolvedStream, reduce_to: int | None, *, at_once: bool = False) -> Source:
    """Where a stream's frames come from.

    What is on the network is not opened yet: a camera may be off, and is looked for again. ``at_once`` opens it
    nevertheless, so that one that can't be opened does not take the place of one that runs.
    """
    settings = stream.input
    connect = partial(
        open_source,
        stream.source,
        stream=stream.name,
        threads=config.threads.decode,
        reduce_to=reduce_to,
        **settings.model_dump(exclude={"reconnect", "longest_wait_s", "frozen_after_s"}),
    )
    camera = is_camera(stream.source)
    if not (settings.reconnect and (camera or is_network(stream.source))):
        return connect()
    if has_scheme(stream.source):
        connection_address(stream.source, settings.username_env, settings.password_env)  # a mistake is told at once
    backoff = Backoff(cap_s=settings.longest_wait_s)
    opened = connect() if at_once else None
    return ReconnectingSource(
        connect,
        stream=stream.name,
        uri=stream.source,
        backoff=backoff,
        live=True if camera else None,
        opened=opened,
    )


def build_pace(stream: ResolvedStream, start_score: float, *, live: bool) -> Pace:
    """Which frames are looked at; ``start_score`` is the score at which the stream's tracker starts tracks."""
    pace: Pace
    if isinstance(stream.detect_every, int):
        pace = EveryNth(stream.detect_every)
    elif live:
        pace = LatencyPace(stream.latency_target_ms / 1000, name=stream.name)
    else:
        pace = PredictivePace(sure_score=start_score)
    if stream.motion_gate is None:
        return pace
    return MotionGate(pace, area=stream.motion_gate, sure_score=start_score)


def build_region(stream: ResolvedStream) -> Region | None:
    """The part of the picture that is looked at; None for all of it."""
    if stream.detect_region is None:
        return None
    if stream.detect_region == "zones":
        shapes = [(zone.polygon, zone.units) for zone in stream.zones.values()]
        return Region([*shapes, *(((line.start, line.end), line.units) for line in stream.lines.values())], margin=0.15)
    left, top, right, bottom = stream.detect_region
    return Region([(((left, top), (right, bottom)), "fraction")])


def build_sinks(
    config: Config,
    stream: ResolvedStream,
    annotator: AnnotatorFactory,
    *,
    before: Before[ResolvedStream] | None = None,
    drawn_on: bool = False,
    recorded: Collection[Path] = (),
) -> list[Sink]:
    """The outputs that one stream has to itself.

    Args:
        config: for what all streams have in common.
        stream: the description.
        annotator: makes what draws on its pictures.
        before: the running stream whose place it takes.
        drawn_on: whether what is drawn besides the tracks is the same as before.
        recorded: files that were written in this run.
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
    return sinks


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
        sinks.append(
            ZeroMqSink(
                config.events.endpoint,
                **config.events.model_dump(include={"types", "encoding", "replay", "insecure", "keys", "clients"}),
            )
        )
    if config.store.path is not None:
        kind = {"sqlite": SqliteStore, "parquet": ParquetStore}[config.store.format]
        sinks.append(kind(config.store.path, **config.store.model_dump(include={"types", "keep_days", "max_mb"})))
    if config.mqtt.url is not None:
        places = {stream.name: Places(tuple(stream.zones), tuple(stream.lines)) for stream in config.resolved_streams()}
        sinks.append(MqttSink(config.mqtt.url, places=places, **config.mqtt.model_dump(exclude={"url"})))
    if config.webhook.url is not None:
        sinks.append(build_webhook(config, config.webhook.url))
    if progress and sys.stderr.isatty():
        sinks.append(ProgressSink(Console(stderr=True)))
    return sinks


def build_webhook(config: Config, url: str) -> WebhookSink:
    """The sink that posts events; its secret comes from the environment."""
    variable = config.webhook.secret_env
    if variable is not None and variable not in os.environ:
        raise ConfigError(f"webhook.secret_env: {environment_variable(variable)} is not set")
    return WebhookSink(
        url,
        secret=os.environ[variable] if variable is not None else None,
        **config.webhook.model_dump(include={"spool", "types", "max_spool_mb"}),
    )


def written_files(config: Config) -> dict[str, Path]:
    """What the run leaves behind, by kind."""
    streams = config.resolved_streams()
    paths = {
        **{f"video of {stream.name}" if len(streams) > 1 else "video": stream.output.video for stream in streams},
        **{f"tracks of {stream.name}" if len(streams) > 1 else "tracks": stream.output.tracks for stream in streams},
        "events": config.output.jsonl,
        "report": config.output.report,
    }
    return {kind: path for kind, path in paths.items() if path is not None}
