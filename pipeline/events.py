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


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event of a feed that joins several comes from.

    Attributes:
        node: name of the machine.
        run, seq: of the event in the feed of the process that made it. An event that was made by who joins the feeds,
            since that process is lost, has no ``seq``.
    """

    node: str
    run: str
    seq: int | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all events share.

    Attributes:
        schema: version of this schema.
        seq: number of the event within its run, from 1, without gaps.
        run: UUID of the run.
        stream: name of the stream.
        pts_s: media time in seconds from the stream's start.
        wall: UTC time of capture, ISO 8601 with milliseconds and ``Z``.
        origin: where it comes from, in a feed that joins those of a cluster; other events have no such field.
    """

    schema: int = SCHEMA_VERSION
    seq: int
    run: str
    stream: str
    pts_s: float
    wall: str
    origin: Origin | msgspec.UnsetType = msgspec.UNSET


class FrameCounts(msgspec.Struct, frozen=True, kw_only=True):
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
    """A live source delivers frames again, of that size and rate; they may be others than before."""

    offline_s: float
    width: int | None = None
    height: int | None = None
    fps: float | None = None


class StreamFrozen(Event, frozen=True, kw_only=True, tag="stream.frozen"):
    """A live picture has been exactly the same for ``still_s`` though frames come; ``frozen`` false: it moves again."""

    frozen: bool
    still_s: float


class StreamEnded(Event, frozen=True, kw_only=True, tag="stream.ended"):
    """The last event of a stream."""

    reason: Literal["end", "duration", "interrupted", "removed", "error"]
    error: str | None = None
    ledger: FrameCounts


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
    evidence: str | None = None


class TrackClassified(_Track, frozen=True, kw_only=True, tag="track.classified"):
    """A second network, a classifier, named a track, once. Score and box are those of the detection it looked at.

    Attributes:
        seen_s: media time of that detection in seconds.
        label: what the classifier calls it.
        probability: in [0, 1].
        model: the classifier's name.
    """

    seen_s: float
    label: str
    probability: float
    model: str


class TrackLinked(_Track, frozen=True, kw_only=True, tag="track.linked"):
    """A track looks so much like an older one that it is the same object. Score and box are the last that were shown.

    Attributes:
        linked_to: id of the older track, which ended before this one began; no other is linked to it.
        similarity: how alike they look by the network that was asked, at most 1.
    """

    linked_to: int
    similarity: float


class _Zone(Event, frozen=True, kw_only=True):
    zone: str
    track_id: int
    class_name: str = msgspec.field(name="class")
    evidence: str | None = None


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
    evidence: str | None = None


class _Alert(Event, frozen=True, kw_only=True):
    """What all events of an alert share.

    Attributes:
        alert_id: ``seq`` of its ``alert.started``, which no other alert of the run has.
        rule: the rule's name.
        severity: as the rule has it.
        text: the rule's, filled in.
        since_s: media time at which its condition began to be met.
        count: objects that it is about now.
        tracks: ids of these; of more than 64 the lowest.
        classes: names of their classes, each once.
        evidence: the same in all events of an alert.
    """

    alert_id: int
    rule: str
    severity: Literal["info", "warning", "critical"]
    text: str
    since_s: float
    count: int
    tracks: tuple[int, ...]
    classes: tuple[str, ...]
    zone: str | None = None
    line: str | None = None
    evidence: str | None = None


class AlertStarted(_Alert, frozen=True, kw_only=True, tag="alert.started"):
    """The condition of a rule is met."""


class AlertUpdated(_Alert, frozen=True, kw_only=True, tag="alert.updated"):
    """An alert is about other objects than was told last; at most once a second of media time."""


class AlertEnded(_Alert, frozen=True, kw_only=True, tag="alert.ended"):
    """An alert is over. Objects and text are the last that were told; ``duration_s`` is since ``alert.started``."""

    duration_s: float
    reason: Literal["cleared", "gap", "schedule", "reload", "end"]


class EvidenceReady(Event, frozen=True, kw_only=True, tag="evidence.ready"):
    """A file that shows what an earlier event tells of: a picture, or the part of it with the object, or a clip.

    Attributes:
        evidence: what that event has in its own ``evidence``; there may be one of these per ``kind``.
        kind: ``picture`` is the whole of a frame, ``crop`` the part of one with the objects, ``clip`` a video.
        about: type of the event it belongs to; of an alert that is ``alert.started``.
        about_seq: that event's ``seq``.
        alert_id: of the alert, where it is one.
        track_ids: of the objects that the event is about.
        path: of the file, below the folder of the evidence, with ``/`` between its parts.
        media_type: such as ``image/jpeg`` or ``video/mp4``.
        size_bytes: of the file.
        from_pts_s, to_pts_s: the media time that it shows; of a picture both are the same.
        annotated: whether boxes and names are drawn into it.
        masked: whether parts of it may be hidden, because the stream has such.
    """

    evidence: str
    kind: Literal["picture", "crop", "clip"]
    about: str
    about_seq: int
    alert_id: int | None = None
    track_ids: tuple[int, ...] = ()
    path: str
    media_type: str
    size_bytes: int
    from_pts_s: float
    to_pts_s: float
    annotated: bool
    masked: bool


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


class OutputCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the frames or events that an output was given.

    Attributes:
        given: how many.
        written: that it has taken, to its file or to the other side.
        retried: attempts that were made again after one that failed.
        lost: that it will never have. What is in none of these still waits.
        unseen: those of the lost that never reached it, because it could not keep up or had failed.
        refused: those of the lost that the other side has read and will never take.
    """

    given: int = 0
    written: int = 0
    retried: int = 0
    lost: int = 0
    unseen: int = 0
    refused: int = 0

    def __add__(self, other: OutputCounts) -> OutputCounts:
        return OutputCounts(
            given=self.given + other.given,
            written=self.written + other.written,
            retried=self.retried + other.retried,
            lost=self.lost + other.lost,
            unseen=self.unseen + other.unseen,
            refused=self.refused + other.refused,
        )


class Stats(Event, frozen=True, kw_only=True, tag="stats"):
    """State of a stream: where its frames went and how fast it runs.

    Attributes:
        fps: frames processed per second since the last one.
        latency: from capture to the frame's events, so far.
        sink_latency: from capture until an output was done with the frame, so far, per output that works on its own.
        outputs: so far, per output that keeps count, those that all streams share included.
        clock_steps: how often the camera's timestamps had lost touch with the arrival of its pictures, so far.
    """

    ledger: FrameCounts
    fps: float
    latency: Latency | None = None
    sink_latency: dict[str, Latency] = {}
    outputs: dict[str, OutputCounts] = {}
    clock_steps: int = 0


class Heartbeat(Event, frozen=True, kw_only=True, tag="heartbeat"):
    """The publisher is alive. ``seq`` repeats the last one that was sent; a heartbeat has none of its own.

    It belongs to no stream: ``stream`` is empty and ``pts_s`` is 0.

    Attributes:
        requests_port: TCP port on which the same publisher answers requests for snapshots and replays, if it does.
        final: the publisher sends nothing after this.
    """

    requests_port: int | None = None
    final: bool = False


AnyEvent = (
    StreamStarted
    | StreamOffline
    | StreamOnline
    | StreamFrozen
    | StreamEnded
    | TrackStarted
    | TrackUpdated
    | TrackEnded
    | TrackClassified
    | TrackLinked
    | ZoneEntered
    | ZoneLeft
    | LineCrossed
    | AlertStarted
    | AlertUpdated
    | AlertEnded
    | EvidenceReady
    | WindowSecond
    | WindowMinute
    | Stats
    | Heartbeat
)
EVENT_TYPES: tuple[type[Event], ...] = AnyEvent.__args__
