"""What takes over a changed configuration while the pipeline runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pipeline.models.custom import choose_model
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.streams.stream_past import StreamPast
from sightline.composition.outputs import recorded_files
from sightline.composition.reload import Before, Reloader, differing
from sightline.composition.streams import ConfiguredStream, Sight, build_stream
from sightline.config.schema import Config, ResolvedStream
from sinks.files.mot import MotSink
from sinks.video.mp4 import Mp4Sink

# What a reload can't change while the run goes on.
FIXED_KEYS = tuple(key for key in Config.model_fields if key not in ("source", "streams", *ResolvedStream.model_fields))


def build_reloader(
    pipeline: Pipeline,
    config: Config,
    read: Callable[[], Config],
    *,
    past_of: Callable[[str], StreamPast | None] = lambda name: None,
) -> Reloader[ResolvedStream]:
    """What takes over a changed configuration while the pipeline runs.

    Args:
        pipeline: the one that runs.
        config: what it was built from.
        read: reads the configuration anew.
        past_of: what a stream that begins came to in another process, by its name.
    """
    sight = Sight.of(choose_model(config.model.name, config.custom_models(), config.model.weights), config.model)
    sight = replace(sight, class_names=tuple(pipeline.class_names))

    def load() -> tuple[tuple[ResolvedStream, ...], Sequence[str]]:
        new = read()
        files = [f"output.{key}" for key in differing(config.output, new.output, ("jsonl", "report"))]
        return new.resolved_streams(), [*differing(config, new, FIXED_KEYS), *files]

    recorded = {path for stream in config.resolved_streams() for path in recorded_files(stream)}

    def build(description: ResolvedStream, before: Before[ResolvedStream] | None) -> Stream:
        with ExitStack() as stack:
            stream = build_stream(
                config, description, sight, stack, before=before, past=past_of(description.name), recorded=recorded
            )
            stack.pop_all()
        return stream

    def accepted(stream: Stream) -> None:
        if isinstance(stream, ConfiguredStream):
            stream.annotators.restyle(stream.drawn)
        recorded.update(Path(sink.path).resolve() for sink in stream.sinks if isinstance(sink, Mp4Sink | MotSink))

    return Reloader(pipeline, config.resolved_streams(), load=load, build=build, accepted=accepted)
