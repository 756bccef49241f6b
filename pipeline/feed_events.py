"""The wire schema, version 1, continued: what a feed answers and its reader adds; no run numbers any of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.events import Box, Event


class TrackState(msgspec.Struct, frozen=True, kw_only=True):
    """A track that is being shown, as its newest event gave it."""

    track_id: int
    class_name: str = msgspec.field(name="class")
    score: float
    xyxy: Box
    age_s: float = 0.0
    unseen_s: float = 0.0
    speed_mps: float | None = None


class LineTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Crossings of one line by one class since its stream started."""

    entered: int = msgspec.field(name="in", default=0)
    left: int = msgspec.field(name="out", default=0)


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one stream now.

    Attributes:
        status: ``running``, ``offline`` (a live source delivers nothing at the moment) or ``ended``.
        pts_s, wall: of the stream's newest event.
        source, width, height, fps, frame_count, live: as ``stream.started`` gave them; None before it.
        tracks: the tracks shown now, by increasing id.
        zones: per zone and class name, the ids of the tracks inside, increasing; nothing for empty ones.
        lines: per line and class name, the crossings so far.
    """

    status: Literal["running", "offline", "ended"]
    pts_s: float
    wall: str
    source: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    frame_count: int | None = None
    live: bool | None = None
    tracks: list[TrackState] = []
    zones: dict[str, dict[str, list[int]]] = {}
    lines: dict[str, dict[str, LineTotals]] = {}


class FeedSnapshot(Event, frozen=True, kw_only=True, tag="feed.snapshot"):
    """The state after the event numbered ``seq``, so that a reader that was not there knows it too.

    A feed gives it on request; it is not part of the numbered events and belongs to no stream.

    Attributes:
        types: the event types that the feed publishes; empty for all. Tracks and zones are kept only where the types
            that end them are published.
        streams: by name.
    """

    types: list[str] = []
    streams: dict[str, StreamState]


class FeedGap(Event, frozen=True, kw_only=True, tag="feed.gap"):
    """Events that this reader missed for good. Made by the reading side; ``seq`` repeats ``last_seq``.

    Attributes:
        first_seq, last_seq: every event of the feed numbered from ``first_seq`` to ``last_seq`` was missed.
        reason: ``unavailable`` (the publisher no longer holds them), ``no_answer`` (it did not answer requests) or
            ``new_run`` (it was restarted meanwhile).
    """

    first_seq: int
    last_seq: int
    reason: Literal["unavailable", "no_answer", "new_run"]


FeedEvent = FeedSnapshot | FeedGap
FEED_EVENT_TYPES: tuple[type[Event], ...] = FeedEvent.__args__
