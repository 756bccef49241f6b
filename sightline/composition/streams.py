"""A stream with its source, tracker, filters and outputs, as a configuration describes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.places import check_places
from pipeline.detection.factory import default_confidence, reduced_side
from pipeline.detection.filters import make_filters
from pipeline.errors import ConfigError
from pipeline.geometry.region import Region
from pipeline.interfaces import DetectionFilter, DetectorLike, Source
from pipeline.models.class_names import read_names
from pipeline.models.registry import DEFAULT_CONFIDENCE, Model
from pipeline.rules.rule import Rule, check_rules
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.streams.stream_past import StreamPast
from pipeline.sampling.latency import LatencySampler
from pipeline.sampling.motion_gate import MotionGate
from pipeline.sampling.predictive import PredictiveSampler
from pipeline.sampling.sampler import EveryNth, Sampler, SamplerBySource
from pipeline.sources.backoff import Backoff
from pipeline.sources.decoding.tap import PacketTap
from pipeline.sources.network import connection_address
from pipeline.sources.opening import is_camera, is_network, open_source
from pipeline.sources.reconnect import ReconnectingSource
from pipeline.sources.uri import has_scheme
from sightline.composition.annotators import StreamAnnotators
from sightline.composition.appearance import build_links
from sightline.composition.evidence import Evidence, build_evidence, check_evidence
from sightline.composition.outputs import build_recording, build_sinks, recorded_types
from sightline.composition.reload import Before, differing
from sightline.config.files import stream_files
from sightline.config.schema import Config, ResolvedStream
from sightline.config.sections import AnnotateSection, ModelSection
from trackers.base import ArrayTracker
from trackers.factory import DEFAULT_TRACKER, create_tracker

if TYPE_CHECKING:
    from pipeline.classification.classifier import Classifier
    from pipeline.classification.tracks import TrackClassifier
    from sinks.recording.sink import RecordingSink


@dataclass(frozen=True, slots=True)
class Sight:
    """What streams must know of the detector that looks at them, before there is one.

    Attributes:
        class_names: what it tells apart.
        reduce_to: the longer side to which sources may reduce pictures for it; None where it wants them whole.
        confidence: no output shows what scores less.
    """

    class_names: Sequence[str]
    reduce_to: int | None = None
    confidence: float = DEFAULT_CONFIDENCE

    @classmethod
    def of(cls, model: Model, wanted: ModelSection) -> Self:
        """That of a model's detector."""
        confidence = default_confidence(model, wanted.weights) if wanted.confidence is None else wanted.confidence
        return cls(model.class_names, reduced_side(model, wanted.input_size), confidence)

    @classmethod
    def of_given(cls, detector: DetectorLike, confidence: float | None) -> Self:
        """That of a detector that a program brings along."""
        reduce_to = getattr(detector, "reduced_side", None)
        return cls(tuple(detector.class_names), reduce_to, DEFAULT_CONFIDENCE if confidence is None else confidence)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfiguredStream(Stream):
    """A stream as a configuration describes it.

    Attributes:
        annotators: what draws on its pictures.
        drawn: what they are to draw.
    """

    annotators: StreamAnnotators
    drawn: AnnotateSection


def build_stream(
    config: Config,
    stream: ResolvedStream,
    sight: Sight,
    stack: ExitStack,
    *,
    source: Source | None = None,
    before: Before[ResolvedStream] | None = None,
    past: StreamPast | None = None,
    recorded: Collection[Path] = (),
) -> Stream:
    """One stream as the configuration describes it.

    Args:
        config: for what all streams have in common.
        stream: the description.
        sight: of the run's detector.
        stack: closes the source if the pipeline never comes to be.
        source: where its frames come from, in place of the address in the description.
        before: the running stream whose place it takes; of that it has the source, the counting and the outputs, each
            unless it was changed.
        past: what the stream came to in another process, to go on from where it begins.
        recorded: files that were written in this run. None of them is written again.
    """
    if before is not None and can_go_on(before.description, stream):
        return adjusted_stream(config, stream, sight, before)
    given = source is not None
    analytics = running_analytics(stream, before) or build_analytics(config, stream)
    name, camera_motion = stream.tracker.name or DEFAULT_TRACKER, stream.tracker.camera_motion
    tracker = build_tracker(stream, sight)
    drawn_on = before is not None and analytics is before.stream.analytics
    drawn = stream.output.annotate
    annotators = StreamAnnotators(drawn, analytics.live)
    if before is not None and drawn_on and isinstance(before.stream, ConfiguredStream) and before.stream.drawn == drawn:
        annotators = before.stream.annotators  # outputs that go on draw with these
    rules = build_rules(stream, sight.class_names)
    evidence = build_evidence(config, stream, sight.class_names, annotators)
    running = None if given else running_source(stream, before)
    recording = build_recording(stream) if running is None else running_recording(before)
    tap = build_tap(stream, recording, evidence)
    if given and tap is not None:
        raise ConfigError(f"streams.{stream.name}: pictures that a program hands over have no packets to record")
    source = source or running
    if source is None:
        source = build_source(config, stream, sight.reduce_to, at_once=before is not None, tap=tap)
        stack.callback(source.close)
    sinks = build_sinks(
        config, stream, annotators, before=before, drawn_on=drawn_on, recorded=recorded, recording=recording
    )
    return ConfiguredStream(
        source=source,
        tracker=tracker,
        sinks=[*sinks, *evidence.sinks],
        filters=build_filters(stream, sight.class_names),
        detect_every=SamplerBySource(lambda live: build_pace(stream, tracker.start_score, live=live)),
        region=build_region(stream),
        classify=build_track_classifier(config, sight.class_names),
        links=build_links(config, stream, sight.class_names),
        duration_s=stream.duration_s,
        # Pictures that a program hands over are worked on as they come, unless it asks for more.
        lag_s=0.0 if stream.tracker.lag_s is None and given else stream.tracker.lag_s,
        # As published, SORT knows nothing of it.
        camera_motion=name != "sort" if camera_motion is None else camera_motion,
        privacy=stream.privacy.privacy(),
        shown_from=0.0 if stream.tracker.show_weak else sight.confidence,
        frozen_after_s=stream.input.frozen_after_s,
        analytics=analytics,
        rules=rules,
        evidence=evidence.desk,
        reads=stream_files(stream),
        past=past if before is None else None,
        annotators=annotators,
        drawn=drawn,
    )


# What a stream takes over while it goes on, with its tracks and their ids.
_ADJUSTABLE = ("zones", "lines", "rules", "filters", "privacy", "duration_s", "node")
_LOOKS = ("detect_every", "motion_gate", "detect_region", "latency_target_ms")


def can_go_on(old: ResolvedStream, new: ResolvedStream) -> bool:
    """Whether a running stream can go on as another description says, with its source, its tracks and its outputs."""
    keys = set(ResolvedStream.model_fields) - {*_ADJUSTABLE, *_LOOKS, "input", "output"}
    inputs = set(type(new.input).model_fields) - {"frozen_after_s"}
    outputs = set(type(new.output).model_fields) - {"annotate"}
    return same_recording(old, new) and not (
        differing(old, new, sorted(keys))
        or differing(old.input, new.input, sorted(inputs))
        or differing(old.output, new.output, sorted(outputs))
    )


def adjusted_stream(config: Config, stream: ResolvedStream, sight: Sight, before: Before[ResolvedStream]) -> Stream:
    """The running stream as it goes on by another description, which ``can_go_on`` has found to be possible.

    Raises:
        ConfigError: it can't be what is described.
    """
    running, old = before.stream, before.description
    assert isinstance(running, ConfiguredStream), "it was made by build_stream"
    analytics = running.analytics
    if differing(old, stream, ("zones", "lines")):
        analytics = replace(build_analytics(config, stream), live=analytics.live, homography=analytics.homography)
        check_places(analytics.zones, analytics.lines, sight.class_names)
    check_evidence(stream, sight.class_names)
    looks = running.detect_every
    if differing(old, stream, _LOOKS):
        tracker = running.tracker
        assert isinstance(tracker, ArrayTracker), "it was made by create_tracker"
        looks = SamplerBySource(lambda live: build_pace(stream, tracker.start_score, live=live))
    return replace(
        running,
        filters=build_filters(stream, sight.class_names),
        detect_every=looks,
        region=build_region(stream),
        privacy=stream.privacy.privacy(),
        duration_s=stream.duration_s,
        frozen_after_s=stream.input.frozen_after_s,
        analytics=analytics,
        rules=build_rules(stream, sight.class_names),
        reads=stream_files(stream),
        drawn=stream.output.annotate,
    )


def running_source(stream: ResolvedStream, before: Before[ResolvedStream] | None) -> Source | None:
    """The source of the stream before, where it is to be the same, and so is what becomes of its packets."""
    if before is None or before.description.source != stream.source or not same_recording(before.description, stream):
        return None
    if any(described.evidence.clip.before_s is not None for described in (before.description, stream)):
        return None  # clips are cut from packets that come to the stream as it is now
    settings = set(type(stream.input).model_fields) - {"frozen_after_s"}
    return None if differing(before.description.input, stream.input, sorted(settings)) else before.stream.source


def same_recording(old: ResolvedStream, new: ResolvedStream) -> bool:
    """Whether what records a stream's packets can go on."""
    by_default = new.recording.folder is not None and new.recording.types is None
    return old.recording == new.recording and not (by_default and recorded_types(old) != recorded_types(new))


def build_tap(stream: ResolvedStream, recording: RecordingSink | None, evidence: Evidence) -> PacketTap | None:
    """What hands on the packets of a stream's source; None where nobody wants them."""
    if recording is None and not evidence.receivers:
        return None
    receivers = [*([] if recording is None else [recording.packets]), *evidence.receivers]
    return PacketTap(receivers, sound=stream.recording.audio)


def running_recording(before: Before[ResolvedStream] | None) -> RecordingSink | None:
    """What records the stream before, whose source goes on."""
    if before is None or before.description.recording.folder is None:
        return None
    from sinks.recording.sink import RecordingSink

    return next((sink for sink in before.stream.sinks if isinstance(sink, RecordingSink)), None)


def running_analytics(stream: ResolvedStream, before: Before[ResolvedStream] | None) -> AnalyticsOptions | None:
    """What is counted in the stream before, where it is to be the same."""
    if before is None or any(differing(before.description, stream, ("zones", "lines", "homography"))):
        return None
    return before.stream.analytics


def build_analytics(config: Config, stream: ResolvedStream) -> AnalyticsOptions:
    """What is to be counted."""
    return AnalyticsOptions(
        update_hz=config.events.update_hz,
        zones=[zone.zone(name) for name, zone in stream.zones.items()],
        lines=[line.line(name) for name, line in stream.lines.items()],
        homography=stream.homography.homography() if stream.homography else None,
    )


def build_tracker(stream: ResolvedStream, sight: Sight) -> ArrayTracker:
    """What gives a stream's objects their ids."""
    return create_tracker(
        stream.tracker.name or DEFAULT_TRACKER,
        confidence=sight.confidence,
        show_weak=stream.tracker.show_weak,
        **stream.tracker.settings,
    )


def build_filters(stream: ResolvedStream, class_names: Sequence[str]) -> list[DetectionFilter]:
    """What says which detections are kept."""
    wanted = stream.filters
    return make_filters(
        class_names,
        classes=wanted.classes,
        confidence=wanted.confidence,
        min_size=wanted.min_size,
        max_size=wanted.max_size,
        region=wanted.region,
        exclude=wanted.exclude,
        predicate=wanted.predicate,
    )


def build_track_classifier(config: Config, class_names: Sequence[str]) -> TrackClassifier | None:
    """What names a stream's tracks by a second network, if that is wanted; all streams share the network."""
    chosen = config.classify
    if chosen.model is None:
        return None
    from pipeline.classification.tracks import TrackClassifier

    return TrackClassifier(
        load_classifier(chosen.model, chosen.weights, chosen.names),
        class_names,
        classes=chosen.classes,
        detections=chosen.detections,
        min_size=chosen.min_size,
        per_frame=chosen.per_frame,
    )


@lru_cache(maxsize=1)  # it takes seconds and a hundred megabytes
def load_classifier(model: str, weights: Path | None, names: Path | None) -> Classifier:
    """A classifier; the same again where the same is asked for."""
    from pipeline.classification.classifier import Classifier

    return Classifier(model, weights=weights, names=read_names(names) if names is not None else None)


def build_source(
    config: Config,
    stream: ResolvedStream,
    reduce_to: int | None,
    *,
    at_once: bool = False,
    tap: PacketTap | None = None,
) -> Source:
    """Where a stream's frames come from.

    What is on the network is not opened yet: a camera may be off, and is looked for again. ``at_once`` opens it
    nevertheless, so that one that can't be opened does not take the place of one that runs. ``tap`` gets its packets.
    """
    settings = stream.input
    connect = partial(
        open_source,
        stream.source,
        stream=stream.name,
        threads=config.threads.decode,
        reduce_to=reduce_to,
        fps=settings.fps,
        width=settings.width,
        height=settings.height,
        pixel_format=settings.pixel_format,
        transport=settings.transport,
        open_timeout_s=settings.open_timeout_s,
        read_timeout_s=settings.read_timeout_s,
        username_env=settings.username_env,
        password_env=settings.password_env,
        tap=tap,
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


def build_rules(stream: ResolvedStream, class_names: Sequence[str]) -> tuple[Rule, ...]:
    """What is told as alerts; raises ``ConfigError`` for what can't be met."""
    rules = tuple(section.rule(name) for name, section in stream.rules.items())
    check_rules(rules, class_names, stream.zones, stream.lines, speeds=stream.homography is not None)
    return rules


def build_pace(stream: ResolvedStream, start_score: float, *, live: bool) -> Sampler:
    """Which frames are looked at; ``start_score`` is the score at which the stream's tracker starts tracks."""
    pace: Sampler
    if isinstance(stream.detect_every, int):
        pace = EveryNth(stream.detect_every)
    elif live:
        pace = LatencySampler(stream.latency_target_ms / 1000, name=stream.name)
    else:
        pace = PredictiveSampler(sure_score=start_score)
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
