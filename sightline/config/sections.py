"""The sections of the configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.models.registry import DEFAULT_MODEL
from pipeline.rules.rule import Severity
from sightline.config.values import (
    Classes,
    Count,
    Endpoint,
    EventType,
    FilePath,
    FolderPath,
    Head,
    NotNegative,
    NotNegativeInteger,
    PixelValue,
    Polygon,
    Positive,
    Predicate,
    Section,
    Setting,
    TargetName,
    Text,
    Unit,
    WebAddress,
    this_machine_only,
)

AlertType = Literal["alert.started", "alert.updated", "alert.ended"]
Family = Literal[
    "yolox",
    "yolox-decoded",
    "yolov5",
    "yolov8",
    "end-to-end",
    "yolov7-nms",
    "counted",
    "rt-detr",
    "rt-detr-logits",
    "rt-detr-rows",
    "rt-detr-finished",
    "rf-detr",
    "nanodet-plus",
    "nanodet",
    "nanodet-levels",
    "yolo-nas",
    "darknet",
    "yolov4-boxes",
]
"""The names in `pipeline.detection.onnx.families.FAMILIES`, which a test compares with these."""


class AnchorSection(Section):
    """Which anchors each head of the network predicts with."""

    mask: Annotated[tuple[tuple[NotNegativeInteger, ...], ...], Field(min_length=1)] | None = None


class CustomModelSection(Section):
    """A detector of one's own: an ONNX file, or weights with what describes their network."""

    onnx: FilePath | None = None
    weights: FilePath | None = None
    cfg: FilePath | None = None
    network: Literal["tiny-yolov3", "yolov3", "yolov3-spp", "imageai-3-tiny-yolov3", "imageai-3-yolov3"] | None = None
    names: FilePath | None = None
    family: Family | None = None
    color: Literal["rgb", "bgr"] | None = None
    range: Literal["0-1", "0-255", "imagenet"] | None = None
    mean: tuple[PixelValue, PixelValue, PixelValue] | None = None
    deviation: tuple[Positive, Positive, Positive] | None = None
    layout: Literal["nchw", "nhwc"] | None = None
    placement: Literal["centred", "top-left", "stretched"] | None = None
    pad: Annotated[int, Field(ge=0, le=255)] | None = None
    logits: bool | None = None
    nms: bool | None = None
    anchors: Annotated[tuple[Head, ...], Field(min_length=2, max_length=3)] | None = None

    @model_validator(mode="after")
    def _one_kind_of_file(self) -> Self:
        described = [key for key in ("weights", "cfg", "network") if getattr(self, key) is not None]
        if self.onnx is not None and described:
            raise ValueError(f"onnx holds the network and its weights; leave {' and '.join(described)} out")
        if self.onnx is None and self.weights is None:
            raise ValueError("expected onnx, or weights with cfg or network")
        known = ("onnx", "weights", "cfg", "network", "names")
        told = [key for key in sorted(self.model_fields_set) if key not in known]
        if self.onnx is None and told:
            raise ValueError(f"{', '.join(told)}: only an ONNX file can be told that; give it as onnx")
        if self.range is not None and (self.mean is not None or self.deviation is not None):
            raise ValueError("range and mean or deviation are both given; keep one of them")
        return self


class ModelSection(Section):
    """Settings of the detector: which network, how it computes, what it reports."""

    name: Text = DEFAULT_MODEL
    weights: FilePath | None = None
    input_size: Annotated[int, Field(ge=32, le=2048, multiple_of=32)] | None = None
    anchors: AnchorSection = AnchorSection()
    square: bool = False
    engine: Literal["auto", "tensorflow", "openvino"] | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    confidence: Unit | None = None
    iou: Unit | None = None
    batch: Annotated[int, Field(ge=1, le=64)] = 4
    max_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0


class InputSection(Section):
    """How a source is opened, and a lost camera found again. What does not concern a kind of source is ignored."""

    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    width: Count | None = None
    height: Count | None = None
    pixel_format: Text | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: Positive = 5.0
    read_timeout_s: Positive | None = None
    username_env: Text | None = None
    password_env: Text | None = None
    reconnect: bool = True
    longest_wait_s: Annotated[float, Field(ge=0.5, le=3600)] = 30.0
    frozen_after_s: Positive | None = 120.0


class FilterSection(Section):
    """Which detections are kept, before the tracker sees them."""

    classes: Classes | None = None
    confidence: dict[Text, Unit] = {}
    min_size: tuple[NotNegative, NotNegative] | None = None
    max_size: tuple[NotNegative, NotNegative] | None = None
    region: Polygon | None = None
    exclude: tuple[Polygon, ...] = ()
    predicate: Predicate | None = None

    @model_validator(mode="after")
    def _some_size_is_left(self) -> Self:
        low, high = self.min_size, self.max_size
        if low and high and (low[0] > high[0] or low[1] > high[1]):
            raise ValueError("min_size is larger than max_size, so nothing would be left")
        return self


class TrackerSection(Section):
    """The tracker; ``settings`` are keyword arguments of its constructor and are checked against those.

    ``appearance`` is a re-identification network, which is asked about objects of ``appearance_classes``.
    """

    name: Text | None = None
    show_weak: bool = False
    lag_s: Annotated[float, Field(ge=0, le=10)] | None = None
    camera_motion: bool | None = None
    appearance: FilePath | None = None
    appearance_classes: Annotated[tuple[Text, ...], Field(min_length=1)] = ("person",)
    settings: dict[Text, Setting] = {}


class AnnotateSection(Section):
    """What is drawn on the video."""

    show_scores: bool = True
    show_ids: bool = True
    trail_s: Annotated[float, Field(ge=0, le=60)] = 1.5
    scale: Annotated[float, Field(ge=0.1, le=10)] = 1.0


class StreamOutputSection(Section):
    """Files of one stream; null writes none. ``{stream}`` in a path stands for the stream's name."""

    video: FilePath | None = None
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    audio: bool = True
    segment_s: Annotated[float, Field(ge=1, le=86_400)] | None = None
    keep_hours: Positive | None = None
    keep_mb: Positive | None = None
    annotate: AnnotateSection = AnnotateSection()
    tracks: FilePath | None = None


class OutputSection(StreamOutputSection):
    """Files of each stream, and of the run as a whole."""

    jsonl: FilePath | None = None
    report: FilePath | None = None


class RecordingSection(Section):
    """The camera's own packets, as they came; a null folder records nothing."""

    folder: FolderPath | None = None
    mode: Literal["continuous", "events"] = "continuous"
    audio: bool = True
    types: Annotated[tuple[EventType, ...], Field(min_length=1)] | None = None
    before_s: Annotated[float, Field(ge=0, le=300)] = 10.0
    after_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    segment_s: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    keep_hours: Positive | None = None
    keep_mb: Positive | None = None
    keep_free_mb: Positive | None = None
    event_keep_hours: Positive | None = None
    event_keep_mb: Positive | None = None
    unmasked: bool = False


class ClassifySection(Section):
    """A second network that names each tracked object once."""

    model: Text | None = None
    weights: FilePath | None = None
    names: FilePath | None = None
    classes: tuple[Text, ...] | None = None
    detections: Annotated[int, Field(ge=2, le=1000)] = 5
    min_size: tuple[NotNegative, NotNegative] = (32.0, 32.0)
    per_frame: Annotated[int, Field(ge=1, le=64)] = 2


class EventSection(Section):
    """Settings of the event feed over ZeroMQ."""

    endpoint: Endpoint | None = None
    encoding: Literal["json", "msgpack"] = "json"
    types: tuple[EventType, ...] | None = None
    update_hz: Annotated[float, Field(ge=0, le=240)] = 5.0
    replay: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    insecure: bool = False
    keys: FilePath | None = None
    clients: tuple[Text, ...] = ()


EventTypes = tuple[EventType, ...]


class StoreSection(Section):
    """A store of events that can be asked later: an SQLite file, or a folder of Parquet files."""

    path: FolderPath | None = None
    format: Literal["sqlite", "parquet"] = "sqlite"
    types: EventTypes | None = None
    keep_days: Positive | None = None
    max_mb: Annotated[float, Field(ge=1)] | None = None


class MqttSection(Section):
    """Counts for an MQTT broker."""

    url: Annotated[Text | None, Field(repr=False)] = None
    topic: Text = "sightline"
    window: Literal["second", "minute"] = "second"
    types: EventTypes = ()
    discovery: Text | None = None
    pictures: bool = False
    retain_pictures: bool = False


class WebhookSection(Section):
    """Events posted to a web server."""

    url: Annotated[Text | None, Field(repr=False)] = None
    spool: FolderPath = Path("out/webhook")
    types: EventTypes | None = None
    secret_env: Annotated[Text | None, Field(repr=False)] = None
    max_spool_mb: Positive = 100.0
    pictures: Literal["base64", "multipart"] | None = None


class NotifyTargetSection(Section):
    """Somebody who is told of alerts, and of which; null is all."""

    url_env: Annotated[Text, Field(repr=False)]
    rules: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] | None = None
    streams: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    types: Annotated[tuple[AlertType, ...], Field(min_length=1)] = ("alert.started",)
    every_s: NotNegative = 30.0
    digest_from: Annotated[int, Field(ge=2)] = 5

    @model_validator(mode="after")
    def _no_address(self) -> Self:
        # Said of the section, so that the value, which may be a secret, is not repeated.
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.url_env):
            raise ValueError(
                "url_env: expected the name of an environment variable that holds the address, such as PHONE_URL; "
                "the address itself is a secret and has no place in this file"
            )
        return self


class NotifySection(Section):
    """People who are told of alerts."""

    targets: dict[TargetName, NotifyTargetSection] = {}
    wait_picture_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    spool: FolderPath = Path("out/notify")
    max_spool_mb: Positive = 50.0


class WebSection(Section):
    """The server of the live page, the API and the metrics."""

    address: WebAddress | None = None
    token_env: Annotated[Text | None, Field(repr=False)] = None
    read_token_env: Annotated[Text | None, Field(repr=False)] = None
    hosts: tuple[Text, ...] = ()
    stay: bool = False
    changes: FilePath | None = None

    @model_validator(mode="after")
    def _strangers_need_a_token(self) -> Self:
        if self.read_token_env is not None and self.token_env is None:
            raise ValueError(
                "read_token_env is of use only beside token_env, without which everybody may change things"
            )
        if self.address is not None and self.token_env is None:
            host = self.address.rpartition(":")[0]
            if not this_machine_only(host):
                raise ValueError(
                    f"address: other machines can reach {self.address}; name the environment variable that holds a "
                    "token in token_env, or listen on 127.0.0.1"
                )
        return self


class QueueSection(Section):
    """How much may wait between stages."""

    frames: Annotated[int, Field(ge=1, le=1024)] = 16
    sink: Annotated[int, Field(ge=1, le=4096)] = 16
    max_mb: Annotated[float, Field(gt=0, le=1_000_000)] = 128


class ThreadSection(Section):
    """Threads per stage; 0 leaves it to Sightline."""

    decode: Annotated[int, Field(ge=0, le=256)] = 0
    network: Annotated[int, Field(ge=0, le=256)] = 0
    encode: Annotated[int, Field(ge=0, le=256)] = 0


class ClusterSection(Section):
    """How streams are placed on the machines of a cluster."""

    address: Text | None = None
    placement: Literal["spread", "together"] = "spread"
    rebalance: bool = True
    processes_per_node: Annotated[int, Field(ge=1, le=64)] = 1
    state: FilePath = Path("out/cluster.json")
