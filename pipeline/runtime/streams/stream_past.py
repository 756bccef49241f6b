"""What a stream came to in one process, for another process to go on from."""

from __future__ import annotations

import msgspec

from pipeline.events import FrameCounts
from pipeline.runtime.report import ObjectCounts


class StreamPast(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream had come to at one moment. A stream that is given it goes on from there.

    Attributes:
        highest_id: of the tracks it had so far, 0 before the first; the next one has the number after it.
        frames: where its frames went. Those that were on their way must be in one of the accounts.
        number: index of its newest frame; None before the first.
        pts_s: media time of that frame.
        captured: when it was captured, in seconds since 1970. Media time goes on by the time that passed since.
        outages: how often its source went away.
        offline_s: seconds for which it was away.
        objects, zones, lines: as ``StreamReport`` has them.
    """

    highest_id: int = 0
    frames: FrameCounts = FrameCounts(decoded=0, processed=0, dropped={}, failed={})
    number: int | None = None
    pts_s: float = 0.0
    captured: float = 0.0
    outages: int = 0
    offline_s: float = 0.0
    objects: dict[str, ObjectCounts] = {}
    zones: dict[str, dict[str, dict[str, float]]] = {}
    lines: dict[str, dict[str, dict[str, int]]] = {}


class RunPasts(msgspec.Struct, frozen=True, kw_only=True):
    """What all streams of a run had come to at one moment.

    Attributes:
        run: the run's UUID.
        seq: number of the run's newest event by then, 0 before the first: what it tells is in the pasts, what later
            events tell is not.
        streams: by name; those that have ended, too.
    """

    run: str
    seq: int
    streams: dict[str, StreamPast]
