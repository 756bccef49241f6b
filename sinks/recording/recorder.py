"""The recorder: a thread that makes segments of the packets of one stream.

    source --PacketQueue--> PacketClock --> ring of the last seconds --> SegmentFile --> final name, then retention
                                              (only around events)

Nothing is decoded or encoded. A segment begins with a keyframe, and ends at the first keyframe at which it is long
enough, at which the pictures take another form, or behind which the camera's clock was set; and with the connection.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.events import OutputCounts
from pipeline.sources.decoding.tap import CodedPacket, CodedTracks
from sinks.recording.muxer import Container, choose_container
from sinks.recording.packet_clock import PacketClock, PlacedPacket
from sinks.recording.packet_groups import PacketGroups
from sinks.recording.packet_queue import Item, PacketQueue, Wanted
from sinks.recording.parameter_sets import PictureForms
from sinks.recording.segment_file import SegmentFile
from sinks.recording.shelves import Shelves

logger = logging.getLogger(__name__)

# An event comes so long after its packets, at most, and they may take so many bytes.
_LATEST_EVENT_S = 15.0
_MOST_WAITING = 64_000_000


class Recorder:
    """Records one stream.

    Args:
        stream: its name.
        shelves: where segments go, and how long they stay.
        segment_s: length of a segment in seconds.
        only_events: record only what is around ``Wanted`` moments, which come in by the queue as well.
        before_s: how far back that may lie, in seconds.
        patient: wait out what keeps files from being written; else it is raised by ``raise_failure``.
        now_s: the time, in seconds since 1970.
        queue: where its packets come in.
    """

    def __init__(
        self,
        stream: str,
        shelves: Shelves,
        *,
        segment_s: float,
        only_events: bool,
        before_s: float,
        patient: bool,
        queue: PacketQueue,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._stream = stream
        self._shelves = shelves
        self._segment_s = segment_s
        self._only_events = only_events
        self._before_s = before_s
        self._patient = patient
        self._queue = queue
        self._now_s = now_s
        self._tracks: CodedTracks | None = None
        self._container: Container | None = None
        self._refused = False
        self._clock: PacketClock | None = None
        self._forms: PictureForms | None = None
        self._early: list[CodedPacket] = []  # sound that came before the first picture
        self._begun_before: list[PlacedPacket] = []
        self._cut = False
        # What waits for an event that is told of later.
        self._waiting = PacketGroups(before_s + _LATEST_EVENT_S, _MOST_WAITING)
        self._wanted = Wanted(math.inf, -math.inf)
        self._recording = not only_events
        self._segment: SegmentFile | None = None
        self._holds_event = False
        self._before: tuple[Path, float] | None = None  # the last plain segment, and when it ended
        self._last_dts = -1
        self._end_s = 0.0
        # What the media time 0 is in seconds since 1970, for a file.
        self._epoch_s = now_s()
        self._unheld = 0  # pictures that no container holds
        self._done = OutputCounts()
        self._count_lock = threading.Lock()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"record {stream}")
        self._thread.start()

    @property
    def recording(self) -> bool:
        """Whether packets that come now are recorded; for any thread."""
        return self._recording

    def counts(self) -> OutputCounts:
        """Pictures that were to be recorded; for any thread."""
        with self._count_lock:
            segment, done, lost = self._segment, self._done, self._queue.lost + self._unheld
            counts = done if segment is None else done + segment.counts
        return counts + OutputCounts(given=lost, lost=lost)

    def raise_failure(self) -> None:
        """Raise what ended the thread, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self, timeout_s: float | None) -> bool:
        """Record what waits, and complete the last segment; returns whether that was done in time."""
        self._queue.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._shelves.tidy()
            while (items := self._queue.get()) is not None:
                for item in items:
                    self._take(item)
                self._shelves.see_to_room()
            self._end_segment()
        except BaseException as error:  # noqa: BLE001 - raised in the sink's thread
            self._failure = error
            if self._segment is not None:
                self._segment.give_up()
        finally:
            self._queue.close()

    def _take(self, item: Item) -> None:
        if isinstance(item, CodedPacket):
            self._take_packet(item)
        elif isinstance(item, Wanted):
            self._want(item)
        else:
            self._end_connection()
            if item is not None:
                self._begin(item)

    def _begin(self, tracks: CodedTracks) -> None:
        self._tracks, self._container, self._refused = tracks, None, False
        again = tracks.again
        self._clock = PacketClock(tracks, 0.0 if tracks.live or again else self._end_s)
        self._last_dts = self._last_dts if again else -1
        self._forms = PictureForms(tracks)

    def _end_connection(self) -> None:
        self._end_segment()
        if self._clock is not None:
            self._end_s = max(self._end_s, self._clock.end_s)
        self._waiting.clear()
        self._early = []
        self._clock = None

    def _take_packet(self, packet: CodedPacket) -> None:
        if self._clock is None:
            return
        if self._refused:
            self._unheld += self._recording and not packet.sound
            return
        placed = self._clock.place(packet)
        if placed is None:
            self._early.append(packet)
            return
        early, self._early = self._early, []
        self._take_placed(placed)
        for sound in early:
            self._take_packet(sound)

    def _take_placed(self, placed: PlacedPacket) -> None:
        packet = placed.packet
        starts = packet.is_keyframe and not packet.sound
        if self._only_events and self._recording and starts and placed.at_s > self._wanted.until_s:
            self._recording = False
            self._end_segment()
        if self._recording:
            self._write(placed)
        else:
            self._waiting.add(placed)

    def _want(self, wanted: Wanted) -> None:
        """Something happened: what is around it belongs to it."""
        joined = wanted.from_s <= self._wanted.until_s
        self._wanted = Wanted(self._wanted.from_s if joined else wanted.from_s, wanted.until_s)
        self._holds_event = True
        if self._before is not None and self._before[1] >= wanted.from_s:
            self._shelves.move_to_events(self._before[0])
            self._before = None
        if self._recording:
            return
        self._recording = True
        for placed in self._waiting.take(wanted.from_s):
            self._write(placed)

    def _write(self, placed: PlacedPacket) -> None:
        packet = placed.packet
        self._cut |= placed.jumped
        if packet.is_keyframe and not packet.sound:
            assert self._forms is not None
            segment, changed = self._segment, self._forms.changes(packet)
            if changed:
                self._container = None
            if segment is not None and (changed or self._cut or segment.length_s(placed) >= self._segment_s):
                self._end_segment()
            if self._segment is None:
                self._begun_before = []
                if placed.dts > self._last_dts:
                    self._begin_segment(placed)
        if self._segment is None:
            if not self._refused:
                self._pass_over(placed)
            return
        self._segment.add(placed)
        if not packet.sound:
            self._last_dts = max(self._last_dts, placed.dts)

    def _pass_over(self, placed: PlacedPacket) -> None:
        """Leave out what was recorded before of a file that is read again, up to the group in which that ended."""
        packet = placed.packet
        if not self._begun_before and (packet.sound or not packet.is_keyframe):
            return  # who joins between two keyframes can't begin yet
        self._begun_before.append(placed)
        if packet.sound or placed.dts <= self._last_dts:
            return
        group, self._begun_before = self._begun_before, []
        self._begin_segment(group[0])
        if self._segment is not None:
            for each in group:
                self._segment.add(each)
            self._last_dts = placed.dts

    def _begin_segment(self, first: PlacedPacket) -> None:
        assert self._clock is not None
        assert self._forms is not None
        assert self._tracks is not None
        self._cut = False
        if self._container is None:
            try:
                self._container = choose_container(self._stream, replace(self._tracks, video=self._forms.video))
            except SinkError as error:
                if not self._patient:
                    raise
                logger.error("%s", error)
                self._refused = True
                return
        self._holds_event = self._only_events or first.at_s <= self._wanted.until_s
        moment_s = self._epoch_s + first.at_s
        if self._tracks.live:
            moment_s = self._now_s() - (time.monotonic() - first.at_s)
        segment = SegmentFile(
            self._shelves.place(moment_s, self._container.suffix),
            self._container,
            first,
            self._clock.ticks,
            patient=self._patient,
            mount=self._shelves.mount,
            extradata=self._forms.extradata,
        )
        with self._count_lock:
            self._segment = segment

    def _end_segment(self) -> None:
        segment = self._segment
        if segment is None:
            return
        try:
            complete = segment.finish()
        finally:
            with self._count_lock:
                self._done += segment.counts
                self._segment = None
            self._shelves.release(segment.path)
        if complete and not self._only_events:
            self._before = (segment.path, segment.end_s)
            if self._holds_event:
                self._shelves.move_to_events(segment.path)
                self._before = None
        self._shelves.tidy()
