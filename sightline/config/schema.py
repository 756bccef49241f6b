"""The configuration: a closed schema, and ``load_config``, which names every mistake at once.

Pure data: nothing here opens a source, a model or an output. Unknown keys are refused, types are strict (``"3"`` is
not a number), every section is frozen, and relative paths are relative to the current directory, as on the command
line. Later wins: the file, then ``key.path=value`` overrides, then the options of the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.errors import ConfigError
from pipeline.models.custom import ModelFiles
from pipeline.models.networks.onnx_network import OnnxOptions
from pipeline.printable import encodable, readable
from pipeline.sources.uri import stream_name
from pipeline.stream_names import LONGEST, LONGEST_BYTES, is_plain_name
from sightline.config.evidence import EvidenceSection, StreamEvidenceSection
from sightline.config.rules import RuleSection
from sightline.config.sections import (
    ClassifySection,
    ClusterSection,
    CustomModelSection,
    EventSection,
    FilterSection,
    InputSection,
    ModelSection,
    MqttSection,
    NotifySection,
    OutputSection,
    QueueSection,
    RecordingSection,
    StoreSection,
    StreamOutputSection,
    ThreadSection,
    TrackerSection,
    WebhookSection,
    WebSection,
)
from sightline.config.shapes import HomographySection, LineSection, PrivacySection, ZoneSection
from sightline.config.values import (
    DetectEvery,
    DetectRegion,
    Endpoint,
    FilePath,
    Positive,
    Section,
    Share,
    SourceText,
    Text,
)
from sightline.config.yaml_reader import Document


def _stream_name(value: str) -> str:
    if not is_plain_name(value):
        raise ValueError(
            f"expected a stream name of at most {LONGEST} letters, digits, _ and -, and of {LONGEST_BYTES} bytes"
        )
    return value


class StreamSettings(Section):
    """What may differ from stream to stream."""

    detect_every: DetectEvery = 1
    motion_gate: Share | None = None
    detect_region: DetectRegion | None = None
    latency_target_ms: Positive = 150.0
    duration_s: Positive | None = None
    input: InputSection = InputSection()
    filters: FilterSection = FilterSection()
    tracker: TrackerSection = TrackerSection()
    output: StreamOutputSection = StreamOutputSection()
    recording: RecordingSection = RecordingSection()
    zones: dict[Text, ZoneSection] = {}
    lines: dict[Text, LineSection] = {}
    privacy: PrivacySection = PrivacySection()
    homography: HomographySection | None = None
    rules: dict[Text, RuleSection] = {}
    evidence: StreamEvidenceSection = StreamEvidenceSection()
    node: dict[Text, Text] = {}


class StreamSection(Section):
    """One of several streams. What it does not give is as at the top level."""

    source: Annotated[SourceText, Field(repr=False)]  # It may hold a password.
    enabled: bool = True
    detect_every: DetectEvery | None = None
    motion_gate: Share | None = None
    detect_region: DetectRegion | None = None
    latency_target_ms: Positive | None = None
    duration_s: Positive | None = None
    input: InputSection | None = None
    filters: FilterSection | None = None
    tracker: TrackerSection | None = None
    output: StreamOutputSection | None = None
    recording: RecordingSection | None = None
    zones: dict[Text, ZoneSection] | None = None
    lines: dict[Text, LineSection] | None = None
    privacy: PrivacySection | None = None
    homography: HomographySection | None = None
    rules: dict[Text, RuleSection] | None = None
    evidence: StreamEvidenceSection | None = None
    node: dict[Text, Text] | None = None


class ResolvedStream(StreamSettings):
    """A stream with everything decided: its own settings over those of the top level."""

    name: str
    source: Annotated[str, Field(repr=False)]


class Config(StreamSettings):
    """All of it. ``source`` is short for a single entry of ``streams``."""

    source: Annotated[SourceText | None, Field(repr=False)] = None
    streams: dict[Annotated[str, AfterValidator(_stream_name)], StreamSection] = Field(default_factory=dict)
    output: OutputSection = OutputSection()
    evidence: EvidenceSection = EvidenceSection()
    model: ModelSection = ModelSection()
    models: dict[Text, CustomModelSection] = Field(default_factory=dict)
    classify: ClassifySection = ClassifySection()
    events: EventSection = EventSection()
    store: StoreSection = StoreSection()
    mqtt: MqttSection = MqttSection()
    webhook: WebhookSection = WebhookSection()
    notify: NotifySection = NotifySection()
    web: WebSection = WebSection()
    control: Endpoint | None = None
    callbacks: FilePath | None = None
    callback_errors: Literal["stop", "continue"] = "stop"
    queues: QueueSection = QueueSection()
    threads: ThreadSection = ThreadSection()
    cluster: ClusterSection = ClusterSection()

    @model_validator(mode="after")
    def _one_kind_of_source(self) -> Self:
        if self.source is not None and self.streams:
            raise ValueError("source and streams are both given; keep one of them")
        return self

    def custom_models(self) -> dict[str, ModelFiles]:
        """The detectors of one's own, by name; none of their files is read."""
        return {name: _model_files(own) for name, own in self.models.items()}

    def resolved_streams(self) -> tuple[ResolvedStream, ...]:
        """Every stream that is enabled with its final settings, in the order given; none where no source is given.

        Raises:
            ConfigError: two streams write the same video or tracks file, or a recording would show what is masked.
        """
        streams = dict(self.streams)
        if self.source is not None:
            streams = {stream_name(self.source): StreamSection(source=self.source)}
        shared = {name: getattr(self, name) for name in StreamSettings.model_fields}
        resolved = []
        for name, stream in streams.items():
            if not stream.enabled:
                continue
            own = {key: _overlay(base, getattr(stream, key)) for key, base in shared.items()}
            own["output"] = _named_output(own["output"], name)
            own["recording"] = _named_recording(own["recording"], name)
            resolved.append(ResolvedStream.model_construct(name=name, source=stream.source, **own))
        _refuse_shared_files(resolved)
        for described in resolved:
            _refuse_unmasked(described)
        return tuple(resolved)

    def disabled_streams(self) -> dict[str, str]:
        """The sources of those streams that are not to run, by name."""
        return {name: stream.source for name, stream in self.streams.items() if not stream.enabled}


def _model_files(own: CustomModelSection) -> ModelFiles:
    options = OnnxOptions(
        family=own.family,
        color=own.color,
        range=own.range,
        mean=own.mean,
        deviation=own.deviation,
        layout=own.layout,
        placement=own.placement,
        pad=own.pad,
        logits=own.logits,
        nms=own.nms,
        anchors=own.anchors,
    )
    return ModelFiles(
        weights=own.weights,
        cfg=own.cfg,
        network=own.network,
        names=own.names,
        onnx=own.onnx,
        options=options if own.onnx is not None else None,
    )


def _refuse_undecodable(document: Document) -> None:
    """Raise ``ConfigError`` for names of files that are no text: events, logs and reports could not tell of them."""

    def look(value: Any, path: tuple[str | int, ...]) -> None:
        if isinstance(value, str) and encodable(value) != value:
            document.add_problem(
                path, f"{readable(value)}: the name is not UTF-8; rename the file, or make a link to it"
            )
        for key, inner in value.items() if isinstance(value, dict) else ():
            look(key, path)
            look(inner, (*path, key))
        for number, inner in enumerate(value if isinstance(value, list) else ()):
            look(inner, (*path, number))

    look(document.data, ())
    document.raise_problems()


def _overlay(base: Any, own: Any) -> Any:
    """A stream's own value over the shared one: sections key by key, anything else whole."""
    if own is None:
        return base
    if not isinstance(own, Section) or not isinstance(base, Section):
        return own
    given = {name: _overlay(getattr(base, name), getattr(own, name)) for name in own.model_fields_set}
    return base.model_copy(update=given)


def _named_output(output: StreamOutputSection, name: str) -> StreamOutputSection:
    paths = {key: getattr(output, key) for key in ("video", "tracks")}
    named = {key: Path(str(path).replace("{stream}", name)) for key, path in paths.items() if path is not None}
    own = {key: getattr(output, key) for key in StreamOutputSection.model_fields}
    return StreamOutputSection.model_construct(**{**own, **named})


def _named_recording(recording: RecordingSection, name: str) -> RecordingSection:
    if recording.folder is None:
        return recording
    return recording.model_copy(update={"folder": Path(str(recording.folder).replace("{stream}", name))})


def _refuse_unmasked(stream: ResolvedStream) -> None:
    recording = stream.recording
    if recording.folder is not None and stream.privacy.privacy() is not None and not recording.unmasked:
        raise ConfigError(
            f"streams.{stream.name}.recording: would show what privacy hides, as the camera's own packets can't be "
            "masked; record output.video instead, or set recording.unmasked to true"
        )


def _refuse_shared_files(streams: Sequence[ResolvedStream]) -> None:
    writer: dict[Path, str] = {}
    for stream in streams:
        for key in ("video", "tracks"):
            path = getattr(stream.output, key)
            if path is None:
                continue
            if path in writer:
                raise ConfigError(
                    f"streams.{stream.name}.output.{key}: {path} is also written for {writer[path]}; "
                    "put {stream} in the path"
                )
            writer[path] = f"stream {stream.name}"
