"""The composition root: builds the parts that a configuration asks for, and joins them.

The only module that knows every other; the command line and the library stand on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.analytics.event_stamper import EventStamper
from pipeline.detection.base import ImageDetector
from pipeline.detection.factory import create_detector
from pipeline.errors import ConfigError
from pipeline.interfaces import DetectorLike, Sink, Source
from pipeline.models.custom import choose_model
from pipeline.models.registry import Model
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.run_files import RunFiles
from pipeline.runtime.streams.stream_past import StreamPast
from sightline.composition.outputs import build_shared_sinks
from sightline.composition.streams import Sight, build_stream, build_tracker
from sightline.config.files import configured_files
from sightline.config.schema import Config
from sinks.output_files import check_output, written_file


def build_pipeline(
    config: Config,
    *,
    progress: bool = False,
    path: Path | None = None,
    sources: Mapping[str, Source] | None = None,
    sinks: Sequence[Sink] = (),
    detector: DetectorLike | None = None,
    pasts: Mapping[str, StreamPast] | None = None,
    stamper: EventStamper | None = None,
    started_s: float | None = None,
) -> Pipeline:
    """The pipeline that a configuration describes. Mistakes that show without the model are found before it loads.

    Args:
        config: what to build.
        progress: show a progress bar.
        path: of the configuration, which is not to be written over.
        sources: by the names of their streams, in place of the addresses in the configuration; closed with the run.
        sinks: outputs that all streams share, besides those of the configuration.
        detector: in place of that of the configuration.
        pasts: by stream, what it came to in another process, to go on from.
        stamper, started_s: as ``Pipeline`` has them.

    Raises:
        PipelineError: of the kind that describes what can't be used.
    """
    sources, pasts = sources or {}, pasts or {}
    described = config.resolved_streams()
    if not described:
        raise ConfigError("nothing to process: name a video file, or set source in the configuration")
    model = config.model
    with ExitStack() as stack:
        for source in sources.values():
            stack.callback(source.close)
        chosen = choose_model(config.model.name, config.custom_models(), config.model.weights)
        sight = Sight.of(chosen, model) if detector is None else Sight.of_given(detector, model.confidence)
        streams = [
            build_stream(config, stream, sight, stack, source=sources.get(stream.name), past=pasts.get(stream.name))
            for stream in described
        ]
        progress = progress and not any(stream.source.info.live for stream in streams)
        shared = [*build_shared_sinks(config, progress=progress), *sinks]
        report = [written_file("the report", config.output.report)] if config.output.report is not None else []
        reads = configured_files(config, chosen, path)
        RunFiles(shared, streams=streams, reads=reads, writes=report).check()
        if config.output.report is not None:
            check_output(config.output.report)
        if config.control is not None:
            from sightline.server.control_socket import parse_endpoint

            parse_endpoint(config.control)
        for sink in (*shared, *(sink for stream in streams for sink in stream.sinks)):
            sink.check()
        pipeline = Pipeline(
            streams,
            detector or _create_detector(config, chosen, sight, [stream.tracker.lowest_score for stream in streams]),
            sinks=shared,
            reads=reads,
            writes=report,
            batch=model.batch,
            max_wait_s=model.max_wait_ms / 1000,
            queue=max(config.queues.frames, model.batch),
            sink_queue=config.queues.sink,
            queue_mb=config.queues.max_mb,
            stamper=stamper,
            started_s=started_s,
        )
        stack.pop_all()
    return pipeline


def build_detector(config: Config) -> DetectorLike:
    """The detector that `build_pipeline` would make for all streams of a configuration, of which it may be given some.

    Raises:
        PipelineError: of the kind that describes what can't be used.
    """
    chosen = choose_model(config.model.name, config.custom_models(), config.model.weights)
    sight = Sight.of(chosen, config.model)
    return _create_detector(
        config, chosen, sight, [build_tracker(stream, sight).lowest_score for stream in config.resolved_streams()]
    )


def shown_confidence(config: Config) -> float:
    """The score from which outputs show what is found; a model has its own where the configuration gives none."""
    return Sight.of(
        choose_model(config.model.name, config.custom_models(), config.model.weights), config.model
    ).confidence


def _create_detector(
    config: Config, chosen: Model, sight: Sight, lowest_scores: Sequence[float]
) -> ImageDetector[Any, Any]:
    confidence = min(sight.confidence, *lowest_scores)
    return create_detector(chosen, confidence=confidence, **detector_options(config))


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
