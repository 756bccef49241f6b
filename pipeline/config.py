"""The configuration: a closed schema, and ``load_config``, which names every mistake at once.

Pure data: nothing here opens a source, a model or an output. Unknown keys are refused, types are strict (``"3"`` is
not a number), every section is frozen, and relative paths are relative to the current directory, as on the command
line. Later wins: the file, then ``key.path=value`` overrides, then the options of the command line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from pipeline.config_errors import describe_errors
from pipeline.config_reader import Document, apply_override, plain, read_yaml_file
from pipeline.errors import ConfigError
from pipeline.events import EVENT_TYPES

EVENT_TYPE_NAMES = tuple(str(kind.__struct_config__.tag) for kind in EVENT_TYPES)
STREAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def _some_text(value: str) -> str:
    if not value.strip():
        raise ValueError("expected text that is not empty")
    return value


def _some_path(value: Path) -> Path:
    if value == Path():
        raise ValueError("expected the path of a file")
    return value


def _predicate(value: str) -> str:
    file, _, function = value.rpartition(":")
    if not file or not function.isidentifier():
        raise ValueError("expected a Python file and a function in it, such as my_file.py:keep")
    return value


def _setting(value: object) -> float | int | bool:
    if isinstance(value, bool | int) or (isinstance(value, float) and abs(value) < float("inf")):
        return value
    raise ValueError("expected a number, true or false")


def _endpoint(value: str) -> str:
    if not re.fullmatch(r"tcp://\S+:([0-9]{1,5}|\*)|ipc://\S+", value):
        raise ValueError("expected tcp://HOST:PORT, such as tcp://127.0.0.1:5556, or ipc://PATH")
    return value


def _event_type(value: str) -> str:
    if value not in EVENT_TYPE_NAMES:
        raise ValueError(f"expected one of {', '.join(EVENT_TYPE_NAMES)}")
    return value


def _stream_name(value: str) -> str:
    if not STREAM_NAME.fullmatch(value):
        raise ValueError("expected a stream name of at most 64 letters, digits, _ and -")
    return value


Text = Annotated[str, AfterValidator(_some_text)]
FilePath = Annotated[Path, AfterValidator(_some_path)]
Unit = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Point = tuple[float, float]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3)]
FourPoints = tuple[Point, Point, Point, Point]
Anchor = Literal["bottom_center", "center", "top_center"]
Units = Literal["pixels", "fraction"]


class Section(BaseModel):
    """What all sections share: closed, frozen, strict, finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelSection(Section):
    """The detector."""

    name: Text = "tiny-yolov3"
    weights: FilePath | None = None
    input_size: Annotated[int, Field(ge=32, le=2048, multiple_of=32)] = 416
    square: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    confidence: Unit = 0.25
    iou: Unit = 0.45
    batch: Annotated[int, Field(ge=1, le=64)] = 4


class FilterSection(Section):
    """Which detections are kept."""

    classes: tuple[Text, ...] | None = None
    confidence: dict[Text, Unit] = {}
    min_size: tuple[NotNegative, NotNegative] | None = None
    max_size: tuple[NotNegative, NotNegative] | None = None
    region: Polygon | None = None
    predicate: Annotated[str, AfterValidator(_predicate)] | None = None


class TrackerSection(Section):
    """The tracker; ``settings`` are keyword arguments of its constructor and are checked against those."""

    name: Text | None = None
    settings: dict[Text, Annotated[float | int | bool, PlainValidator(_setting)]] = {}


class AnnotateSection(Section):
    """What is drawn on the video."""

    labels: bool = True
    scores: bool = True
    ids: bool = True
    trail_s: Annotated[float, Field(ge=0, le=60)] = 1.0


class StreamOutputSection(Section):
    """Files of one stream; null writes none. ``{stream}`` in a path stands for the stream's name."""

    video: FilePath | None = None
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    audio: bool = True
    annotate: AnnotateSection = AnnotateSection()
    tracks: FilePath | None = None


class OutputSection(StreamOutputSection):
    """Files of each stream, and of the run as a whole."""

    jsonl: FilePath | None = None
    report: FilePath | None = None


class EventSection(Section):
    """The event feed."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = None
    encoding: Literal["json", "msgpack"] = "json"
    types: tuple[Annotated[str, AfterValidator(_event_type)], ...] | None = None
    update_hz: Annotated[float, Field(gt=0, le=240)] = 5.0
    replay: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    insecure: bool = False


class ZoneSection(Section):
    """A named polygon in which objects are counted."""

    polygon: Polygon
    units: Units = "pixels"
    classes: tuple[Text, ...] | None = None
    anchor: Anchor = "bottom_center"


class LineSection(Section):
    """A named, directed line whose crossings are counted."""

    start: Point
    end: Point
    units: Units = "pixels"
    hysteresis: NotNegative | None = None
    classes: tuple[Text, ...] | None = None
    anchor: Anchor = "bottom_center"

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.start == self.end:
            raise ValueError("expected a line whose start and end differ")
        return self


class HomographySection(Section):
    """Four points of the ground in the image, and the same four in metres; gives speeds in m/s."""

    image: FourPoints
    metres: FourPoints


class QueueSection(Section):
    """How much may wait between stages."""

    frames: Annotated[int, Field(ge=1, le=1024)] = 8
    sink: Annotated[int, Field(ge=1, le=4096)] = 64


class ThreadSection(Section):
    """Threads per stage; null leaves it to Sightline."""

    decode: Annotated[int, Field(ge=1, le=256)] | None = None


class StreamSettings(Section):
    """What may differ from stream to stream."""

    detect_every: Count = 1
    duration_s: Positive | None = None
    filters: FilterSection = FilterSection()
    tracker: TrackerSection = TrackerSection()
    output: StreamOutputSection = StreamOutputSection()
    zones: dict[Text, ZoneSection] = {}
    lines: dict[Text, LineSection] = {}
    homography: HomographySection | None = None


class StreamSection(Section):
    """One of several streams. What it does not give is as at the top level."""

    source: Annotated[Text, Field(repr=False)]  # It may hold a password.
    detect_every: Count | None = None
    duration_s: Positive | None = None
    filters: FilterSection | None = None
    tracker: TrackerSection | None = None
    output: StreamOutputSection | None = None
    zones: dict[Text, ZoneSection] | None = None
    lines: dict[Text, LineSection] | None = None
    homography: HomographySection | None = None


class ResolvedStream(StreamSettings):
    """A stream with everything decided: its own settings over those of the top level."""

    name: str
    source: Annotated[str, Field(repr=False)]


class Config(StreamSettings):
    """All of it. ``source`` is short for a single entry of ``streams``."""

    source: Annotated[Text | None, Field(repr=False)] = None
    streams: dict[Annotated[str, AfterValidator(_stream_name)], StreamSection] = {}
    output: OutputSection = OutputSection()
    model: ModelSection = ModelSection()
    events: EventSection = EventSection()
    callbacks: FilePath | None = None
    callback_errors: Literal["stop", "continue"] = "stop"
    queues: QueueSection = QueueSection()
    threads: ThreadSection = ThreadSection()

    @model_validator(mode="after")
    def _one_kind_of_source(self) -> Self:
        if self.source is not None and self.streams:
            raise ValueError("source and streams are both given; keep one of them")
        return self

    def resolved_streams(self) -> tuple[ResolvedStream, ...]:
        """Every stream with its final settings, in the order given; none where no source is given.

        Raises:
            ConfigError: two streams write the same video or tracks file.
        """
        streams = dict(self.streams)
        if self.source is not None:
            streams = {stream_name(self.source): StreamSection(source=self.source)}
        shared = {name: getattr(self, name) for name in StreamSettings.model_fields}
        resolved = []
        for name, stream in streams.items():
            own = {key: _overlay(base, getattr(stream, key)) for key, base in shared.items()}
            own["output"] = _named_output(own["output"], name)
            resolved.append(ResolvedStream.model_construct(name=name, source=stream.source, **own))
        _refuse_shared_files(resolved)
        return tuple(resolved)


def stream_name(source: str) -> str:
    """A name for a stream that was given none: the file's name or the address, without what names may not hold.

    >>> stream_name("clips/traffic mini.mp4")
    'traffic-mini'
    """
    address = re.sub(r"^[a-z]+://([^/]*@)?", "", source)
    stem = Path(address.split("?")[0]).stem
    return re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-_")[:64] or "stream"


def load_config(path: Path | None, overrides: Sequence[str] = (), options: Mapping[str, Any] | None = None) -> Config:
    """The configuration from a YAML file, overrides and command-line options, the later over the earlier.

    Args:
        path: the YAML file, or None for the defaults.
        overrides: ``key.path=value`` each, the value as YAML: ``filters.classes=[person, car]``.
        options: nested like the file; ``None`` values were not given and change nothing. Paths and tuples may be used.

    Raises:
        ConfigError: with one line per problem: file and line, key path, what was given, what is allowed.
    """
    document = read_yaml_file(path) if path is not None else Document()
    for override in overrides:
        apply_override(document, override)
    document.merge(plain(options or {}), "command line")
    config: Config | None = None
    try:
        config = Config.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        describe_errors(Config, error, document)
    document.raise_problems()
    assert config is not None
    return config


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
    return output.model_copy(update=named)


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
