"""What a stream has come to over a whole run, however often it was changed, removed and added again.

    StreamRun --places frames, counts--> StreamAccount --> the next StreamRun of that name, StreamReport

One account per stream's name: its frames are numbered on, media time and the ids of tracks go on, and what it adds to
the report is one sum.
"""

from __future__ import annotations

import copy
import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipeline.appearance.links import LinkCounts
from pipeline.events import OutputCounts
from pipeline.interfaces import Source
from pipeline.printable import encodable
from pipeline.redaction import redact
from pipeline.runtime.frame_ledger import FrameLedger
from pipeline.runtime.report import ObjectCounts, StreamReport
from pipeline.runtime.streams.stream_past import StreamPast
from pipeline.runtime.timing import Durations, StageReport
from pipeline.types import Frame, Int64Array, Tracks

# How long the last frame of a source is shown that tells no rate.
_FRAME_S = 0.04

Totals = Mapping[str, Mapping[str, Mapping[str, float]]]


class _Place(NamedTuple):
    number: int
    pts_s: float
    captured_s: float


class StreamAccount:
    """The account of one stream.

    Args:
        past: what the stream came to before this run.

    Attributes:
        ledger: where its frames went.
        latency: of its frames, from capture to the sinks.
        highest_id: of the tracks it had so far, 0 before the first.
        last_pts_s: media time of the newest frame that was processed; None before the first.
        newest_s: when that frame was captured (``time.monotonic()``); None before the first.
        outages: how often its source went away.
        takes_over: whether its next frame is the first after those of another process.
        error: what ended it, or is known to have gone wrong in it.
    """

    def __init__(self, past: StreamPast | None = None) -> None:
        past = past or StreamPast()
        self.ledger = FrameLedger(past.frames)
        self.latency = Durations()
        self.highest_id = past.highest_id
        self.last_pts_s: float | None = None if past.number is None else past.pts_s
        self.newest_s: float | None = None
        self.outages = past.outages
        self._offline_s = past.offline_s
        self.error: BaseException | None = None
        # Where the newest frame was placed, by the thread that reads the source.
        self._newest: _Place | None = None
        self.takes_over = past.number is not None
        if past.number is not None:
            # Another process, or another machine, has another monotonic clock.
            self._newest = _Place(past.number, past.pts_s, time.monotonic() - (time.time() - past.captured))
        self._placing: FramePlacer | None = None
        self._objects: dict[str, ObjectCounts] = dict(past.objects)
        self._zones: dict[str, dict[str, dict[str, float]]] = {
            zone: {name: dict(visits) for name, visits in classes.items()} for zone, classes in past.zones.items()
        }
        self._lines: dict[str, dict[str, dict[str, int]]] = {
            line: {name: dict(crossings) for name, crossings in classes.items()} for line, classes in past.lines.items()
        }
        self._lost: dict[str, Counter[str]] = {}
        self._missed_events: dict[str, Counter[str]] = {}
        self._outputs: dict[str, OutputCounts] = {}
        self._sink_latency: dict[str, Durations] = {}
        self._links: LinkCounts | None = None

    def placer(self, source: Source, *, frame_s: float) -> FramePlacer:
        """What places the frames of a further source behind those of the one before.

        Frames that the one before still gives once the new one has begun go nowhere.

        Args:
            source: the new one.
            frame_s: seconds between two frames of the source before; 0 where that is not known.
        """
        return FramePlacer(self, source, frame_s=frame_s or _FRAME_S)

    def copy(self) -> StreamAccount:
        """The same as of now, for what is added to it alone; the ledger and the latency are shared."""
        copied = copy.copy(self)
        copied._objects = dict(self._objects)
        copied._zones = {zone: dict(classes) for zone, classes in self._zones.items()}
        copied._lines = {line: dict(classes) for line, classes in self._lines.items()}
        copied._lost = {name: Counter(reasons) for name, reasons in self._lost.items()}
        copied._missed_events = {name: Counter(reasons) for name, reasons in self._missed_events.items()}
        copied._outputs = dict(self._outputs)
        copied._sink_latency = {}
        for name, durations in self._sink_latency.items():
            copied._sink_latency.setdefault(name, Durations()).merge(durations)
        return copied

    def went_offline(self) -> None:
        """An outage begins."""
        self.outages += 1

    def came_back(self, offline_s: float) -> None:
        """An outage of so many seconds is over."""
        self._offline_s += offline_s

    def note(self, tracks: Tracks) -> None:
        """Take in tracks that are shown now, so that their ids are not used again."""
        if len(tracks):
            self.highest_id = max(self.highest_id, int(tracks.track_id.max()))

    def add_links(self, counts: LinkCounts) -> None:
        """What was asked about how its tracks look."""
        self._links = counts if self._links is None else self._links + counts

    def add_totals(self, objects: Mapping[str, Mapping[str, int]], zones: Totals, lines: Totals) -> None:
        """What was counted in a part that is over; in the next one no track goes on."""
        for name, counts in objects.items():
            known = self._objects.get(name, ObjectCounts(unique=0, max=0))
            self._objects[name] = ObjectCounts(
                unique=known.unique + counts["unique"], max=max(known.max, counts["max"])
            )
        for zone, classes in zones.items():
            of_zone = self._zones.setdefault(zone, {})
            for name, visits in classes.items():
                before = of_zone.get(name, {"unique": 0, "max": 0, "dwell_s": 0.0})
                of_zone[name] = {
                    "unique": before["unique"] + visits["unique"],
                    "max": max(before["max"], visits["max"]),
                    "dwell_s": round(before["dwell_s"] + visits["dwell_s"], 6),
                }
        for line, directions in lines.items():
            of_line = self._lines.setdefault(line, {})
            for name, crossings in directions.items():
                past = of_line.get(name, {"in": 0, "out": 0})
                of_line[name] = {way: past[way] + int(crossings[way]) for way in ("in", "out")}

    def add_outputs(
        self,
        lost: Mapping[str, Mapping[str, int]],
        missed_events: Mapping[str, Mapping[str, int]],
        counts: Mapping[str, OutputCounts],
        latency: Mapping[str, Durations],
    ) -> None:
        """What became of outputs of its own, which are closed: what they did not see, what they wrote, how late."""
        for known, missed in ((self._lost, lost), (self._missed_events, missed_events)):
            for name, reasons in missed.items():
                known.setdefault(name, Counter()).update(reasons)
        for name, more in counts.items():
            self._outputs[name] = self._outputs[name] + more if name in self._outputs else more
        for name, durations in latency.items():
            self._sink_latency.setdefault(name, Durations()).merge(durations)

    def past(self) -> StreamPast:
        """What another process needs to go on from here; ``add_totals`` has been told of all there is."""
        newest = self._newest
        return StreamPast(
            highest_id=self.highest_id,
            frames=self.ledger.snapshot(),
            number=None if newest is None else newest.number,
            pts_s=0.0 if newest is None else newest.pts_s,
            captured=0.0 if newest is None else time.time() - (time.monotonic() - newest.captured_s),
            outages=self.outages,
            offline_s=self._offline_s,
            objects=dict(self._objects),
            zones={zone: dict(classes) for zone, classes in self._zones.items()},
            lines={line: dict(classes) for line, classes in self._lines.items()},
        )

    def report(self, *, media_s: float, live: bool, shown_from: float) -> StreamReport:
        """All of it, for the run's report, once every part is over."""
        ledger = self.ledger.snapshot()
        sink_latency: dict[str, StageReport] = {name: each.report() for name, each in self._sink_latency.items()}
        return StreamReport(
            decoded=ledger.decoded,
            processed=ledger.processed,
            dropped=ledger.dropped,
            failed=ledger.failed,
            media_s=round(media_s, 3),
            outages=self.outages,
            offline_s=round(self._offline_s, 3),
            objects=dict(self._objects),
            zones={zone: dict(classes) for zone, classes in self._zones.items()},
            lines={line: dict(classes) for line, classes in self._lines.items()},
            sinks={name: dict(reasons) for name, reasons in self._lost.items()},
            missed_events={name: dict(reasons) for name, reasons in self._missed_events.items()},
            outputs=dict(self._outputs),
            latency=self.latency.report() if live else None,
            sink_latency=sink_latency if live else {},
            error=None if self.error is None else redact(encodable(str(self.error))),
            shown_from=shown_from,
            appearance=self._links,
        )


class FramePlacer:
    """Numbers and times the frames of one source behind those of the sources before it. For the thread that reads it.

    Args:
        account: whose frames they become.
        source: gives the frames. Of a live one media time goes on by the real time that passed in between.
        frame_s: how long the last frame before lasts where the source is a file.
    """

    def __init__(self, account: StreamAccount, source: Source, *, frame_s: float) -> None:
        self._account = account
        self._source = source
        self._frame_s = frame_s
        self._begun = False
        self._before: _Place | None = None  # the newest frame when this source gives its first; frames may stay without
        self._shift = (0, 0.0)

    def __call__(self, frame: Frame) -> Frame:
        """The frame in its place."""
        if not self._begun:
            self._begin(frame)
        if self._before is not None:
            index, seconds = self._shift
            pts_s = max(frame.pts_s + seconds, math.nextafter(self._before.pts_s, math.inf))
            frame = frame.placed(index=frame.index + index, pts_s=pts_s)
        if self._account._placing is self:
            self._account._newest = _Place(frame.index, frame.pts_s, frame.captured_s)
        return frame

    def _begin(self, first: Frame) -> None:
        # Not earlier: until it is stopped the source before gives frames, which are numbered and counted too.
        self._begun, self._account._placing = True, self
        self._before = before = self._account._newest
        if before is not None:
            passed_s = first.captured_s - before.captured_s if self._source.info.live else self._frame_s
            if self._account.takes_over and self._source.info.live:
                self._account.came_back(max(0.0, passed_s))
            self._account.takes_over = False
            self._shift = before.number + 1 - first.index, before.pts_s + passed_s - first.pts_s


def numbered_on(track_ids: Int64Array, after: int) -> Int64Array:
    """Ids of a tracker that begins at 1, as those of a stream whose highest id so far is ``after``."""
    return np.asarray(track_ids + after, np.int64) if after else track_ids


def tracks_numbered_on(tracks: Tracks, after: int) -> Tracks:
    """The same for tracks."""
    return replace(tracks, track_id=numbered_on(tracks.track_id, after)) if after else tracks
