"""The wire schema, version 1: every event Sightline emits, as tagged msgspec structs.

An event encodes to one JSON object (or MessagePack map) whose ``type`` names its kind. Readers must skip types and
fields that they do not know: later versions of schema 1 add some and rename none.

Coordinates are pixels of the source image, x to the right and y down; times are seconds of media time unless the name
says otherwise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

Box = tuple[float, float, float, float]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all events share.

    Attributes:
        schema: version of this schema.
        seq: number of the event within its run, from 1, without gaps.
        run: UUID of the run.
        stream: name of the stream.
        pts_s: media time in seconds from the stream's start.
        wall: UTC time of capture, ISO 8601 with milliseconds and ``Z``.
    """

    schema: int = SCHEMA_VERSION
    seq: int
    run: str
    stream: str
    pts_s: float
    wall: str


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Where the frames went: ``decoded = processed + sum(dropped) + sum(failed)``."""

    decoded: int
    processed: int
    dropped: dict[str, int]
    failed: dict[str, int]


class StreamStarted(Event, frozen=True, kw_only=True, tag="stream.started"):
    """The first frame of a stream is about to be processed."""

    source: str
    width: int
    height: int
    fps: float | None = None
    frame_count: int | None = None
    live: bool


class StreamOffline(Event, frozen=True, kw_only=True, tag="stream.offline"):
    """A live source stopped delivering frames."""

    reason: str


class StreamOnline(Event, frozen=True, kw_only=True, tag="stream.online"):
    """A live source delivers frames again."""

    offline_s: float


class StreamEnded(Event, frozen=True, kw_only=True, tag="stream.ended"):
    """The last event of a stream."""

    reason: Literal["end", "duration", "interrupted", "removed", "error"]
    error: str | None = None
    ledger: Ledger


class _Track(Event, frozen=True, kw_only=True):
    track_id: int
    class_name: str = msgspec.field(name="class")
    score: float
    xyxy: Box


class TrackStarted(_Track, frozen=True, kw_only=True, tag="track.started"):
    """A track was confirmed and is shown for the first time."""


class TrackUpdated(_Track, frozen=True, kw_only=True, tag="track.updated"):
    """Where a track is now; rate-limited per track."""

    age_s: float
    unseen_s: float
    speed_mps: float | None = None


class TrackEnded(_Track, frozen=True, kw_only=True, tag="track.ended"):
    """A track was let go; score and box are the last that were shown."""

    age_s: float
    reason: Literal["lost", "gap", "end"]


class _Zone(Event, frozen=True, kw_only=True):
    zone: str
    track_id: int
    class_name: str = msgspec.field(name="class")


class ZoneEntered(_Zone, frozen=True, kw_only=True, tag="zone.entered"):
    """A track's anchor point came into a zone."""


class ZoneLeft(_Zone, frozen=True, kw_only=True, tag="zone.left"):
    """A track's anchor point left a zone, or the track ended inside it."""

    dwell_s: float


class LineCrossed(Event, frozen=True, kw_only=True, tag="line.crossed"):
    """A track crossed a directed line."""

    line: str
    track_id: int
    class_name: str = msgspec.field(name="class")
    direction: Literal["in", "out"]
    speed_mps: float | None = None


class ClassCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One class in one window.

    Attributes:
        mean: objects at once, averaged over the observed part of the window.
        max: most objects at once.
        unique: different track ids shown.
        entered, left: tracks that started and ended in the window.
    """

    mean: float
    max: int
    unique: int
    entered: int = 0
    left: int = 0


class LineCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Crossings of one line by one class in one window."""

    entered: int = msgspec.field(name="in")
    left: int = msgspec.field(name="out")
    mean_speed_mps: float | None = None


class _Window(Event, frozen=True, kw_only=True):
    """Counts over the half-open interval ``[start_s, end_s)`` of media time.

    Attributes:
        index: number of the window; ``start_s = index * length``.
        frames: frames processed in it.
        coverage: the part of the window, 0 to 1, that was really observed.
        objects: counts per class name.
        zones: per zone, counts per class name.
        lines: per line, crossings per class name.
    """

    index: int
    start_s: float
    end_s: float
    frames: int
    coverage: float
    objects: dict[str, ClassCounts]
    zones: dict[str, dict[str, ClassCounts]] = {}
    lines: dict[str, dict[str, LineCounts]] = {}


class WindowSecond(_Window, frozen=True, kw_only=True, tag="window.second"):
    """One second of media time; the last may be partial."""


class WindowMinute(_Window, frozen=True, kw_only=True, tag="window.minute"):
    """One minute of media time; the last may be partial."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of a delay in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


class Stats(Event, frozen=True, kw_only=True, tag="stats"):
    """State of a stream: where its frames went and how fast it runs."""

    ledger: Ledger
    fps: float
    latency: Latency | None = None


class Heartbeat(Event, frozen=True, kw_only=True, tag="heartbeat"):
    """The publisher is alive. ``seq`` repeats the last one that was sent; a heartbeat has none of its own."""


AnyEvent = (
    StreamStarted
    | StreamOffline
    | StreamOnline
    | StreamEnded
    | TrackStarted
    | TrackUpdated
    | TrackEnded
    | ZoneEntered
    | ZoneLeft
    | LineCrossed
    | WindowSecond
    | WindowMinute
    | Stats
    | Heartbeat
)
EVENT_TYPES: tuple[type[Event], ...] = AnyEvent.__args__


def event_type(event: Event) -> str:
    """The ``type`` an event is tagged with, such as ``"track.started"``."""
    return str(type(event).__struct_config__.tag)


def topic(event: Event) -> str:
    """``<stream>/<type>/<class>``; the class is empty for events that concern none."""
    return f"{event.stream}/{event_type(event)}/{getattr(event, 'class_name', '')}"


def encode_json(event: Event) -> bytes:
    """One JSON object without a line break, UTF-8."""
    return msgspec.json.encode(event)


class _Envelope(msgspec.Struct):
    type: str
    schema: int


_ENVELOPE_JSON = msgspec.json.Decoder(_Envelope)
_EVENT_JSON = msgspec.json.Decoder(AnyEvent)
_TAGS = frozenset(kind.__struct_config__.tag for kind in EVENT_TYPES)


def decode_json(data: bytes) -> Event | None:
    """Read one event; fields that this version does not know are skipped.

    Returns:
        The event, or None for a type or a version of the schema that this version does not know.

    Raises:
        msgspec.DecodeError: it is no event.
    """
    try:
        event: Event = _EVENT_JSON.decode(data)
    except msgspec.ValidationError:
        envelope = _ENVELOPE_JSON.decode(data)
        if envelope.schema == SCHEMA_VERSION and envelope.type in _TAGS:
            raise
        return None
    return event if event.schema == SCHEMA_VERSION else None
