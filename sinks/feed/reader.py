"""Puts a feed together again: order, duplicates, gaps, restarts. No sockets, no clock of its own, no threads.

A reader is given what arrives (``live``, ``reply``), is asked what to send (``request``) and which events are ready
(``take``). Whatever is lost, delayed or doubled on the way, the events come out in order, each once, and what can't be
had is reported as a ``feed.gap`` in its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from pipeline.events import Event, Heartbeat
from pipeline.feed_events import FeedGap, FeedSnapshot
from sinks.feed.protocol import (
    DoneRequest,
    ReplayReply,
    ReplayRequest,
    Request,
    SnapshotReply,
    SnapshotRequest,
    decode_reply,
    read_event,
    utc_now,
)
from sinks.feed.sequence import EventSequence, NumberedEvent

_SILENCE_S = 0.2
_STALL_S = 2.5
GapReason = Literal["unavailable", "no_answer", "new_run"]


@dataclass(slots=True)
class ReadCounters:
    """What a reader met.

    Attributes:
        events: numbered events that came out, of types known or not.
        unknown: of these, the ones of a type that this version does not know, and so skips.
        repaired: events that were missed and had to be asked for.
        duplicates: events that arrived more than once.
        malformed: messages that made no sense.
    """

    events: int = 0
    unknown: int = 0
    repaired: int = 0
    duplicates: int = 0
    malformed: int = 0


class FeedReader:
    """The reading side of one feed.

    What comes out is, per run: a ``feed.snapshot`` and then every event after it. A run that began while this reader
    was there already starts with an empty snapshot numbered 0, and so with its first event. After a ``feed.gap``
    another snapshot follows as soon as there is one, in the place that its ``seq`` says.

    Args:
        history: begin with the first event of the run, if it is still to be had, not with the state as it is now.
        retry_s: seconds after which an unanswered request is sent again.
        give_up_s: seconds without progress after which what is missing is reported as a gap.
        held_limit: how many events that came too early are kept; more are let go, to be asked for later.
    """

    def __init__(
        self, *, history: bool = False, retry_s: float = 1.0, give_up_s: float = 10.0, held_limit: int = 50_000
    ) -> None:
        self._history = history
        self._retry_s = retry_s
        self._give_up_s = give_up_s
        self._held_limit = held_limit
        self._chain = EventSequence(held_limit)
        self._run: str | None = None  # of the chain; None before anything was heard
        self._retired: deque[str] = deque(maxlen=8)  # runs that are over; late replies may still speak of them
        self._types: list[str] = []
        self._resync = True  # a snapshot is wanted
        self._snapshot: FeedSnapshot | None = None  # waits for the event of its number
        self._final = False
        self._final_seq: int | None = None
        self._done = False
        self._heard = False  # something live since the last look at the clock
        self._heard_at = 0.0
        self._began: float | None = None
        self._asked: Request | None = None
        self._asked_at = 0.0
        self._stuck: tuple[object, float] = (None, 0.0)
        self._ready: list[Event] = []
        self.counters = ReadCounters()

    @property
    def finished(self) -> bool:
        """The publisher said that its run is over, and all of it has come out."""
        return self._done

    @property
    def repairing(self) -> bool:
        """Whether events are missing that the publisher may still have."""
        return self._chain.missing() is not None

    def give_up(self) -> None:
        """Nobody answers any more: report all that is missing."""
        while (missing := self._chain.missing()) is not None:
            self._lose(missing[1], "no_answer")

    def take(self) -> list[Event]:
        """The events that are ready, in order, each once."""
        ready, self._ready = self._ready, []
        return ready

    def live(self, payload: bytes, previous: bytes) -> None:
        """A message of the PUB socket arrived.

        Args:
            payload: its second frame, the event.
            previous: its third frame, the number of the event published before it.
        """
        try:
            run, seq, event = read_event(payload)
            link = NumberedEvent(seq, int(previous), event)
        except (msgspec.DecodeError, ValueError):
            self.counters.malformed += 1
            return
        self._heard = True
        if run in self._retired or (self._run and not run):  # an empty run: a publisher without any event yet
            return
        if run != self._run:
            self._begin(run)
        if isinstance(event, Heartbeat):
            self._chain.newest = max(self._chain.newest, seq)
            self._final = self._final or event.final
        else:
            self._put_out(self._chain.accept(link))

    def reply(self, frames: Sequence[bytes], now: float) -> None:
        """A reply of the ROUTER socket arrived.

        Args:
            frames: the header and what follows it.
            now: seconds on the clock that ``request`` is given.
        """
        try:
            header = decode_reply(frames[0])
            events = [read_event(payload) for payload in frames[1:]]
            if self._run is None:
                self._begin(header.run)
            elif header.run != self._run:
                return  # late, from a run that is over, or early: a new run is believed when its messages come
            if isinstance(header, SnapshotReply):
                self._take_snapshot(events, now - header.age_s)
            elif isinstance(header, ReplayReply):
                self._take_replay(header, events)
                if now - self._heard_at >= _STALL_S:
                    self._chain.newest = max(self._chain.newest, header.seq)
            else:
                self._final_seq = header.seq
        except (msgspec.DecodeError, ValueError, IndexError):
            self.counters.malformed += 1

    def request(self, now: float) -> Request | None:
        """What to ask the publisher at this moment, if anything.

        Args:
            now: seconds on any clock that only goes forward.
        """
        if self._began is None:
            self._began = self._heard_at = now
        if self._heard:
            self._heard, self._heard_at = False, now
        if self._final_seq is not None and now - self._heard_at >= _SILENCE_S:
            # The end was announced on the other socket. What is under way on this one has had its time to come.
            self._chain.newest = max(self._chain.newest, self._final_seq)
            self._final = True
        self._give_up(now)
        needed = self._needed() or self._probe(now)
        if isinstance(needed, DoneRequest):
            self._done = True
        elif needed is None or (needed == self._asked and now - self._asked_at < self._retry_s):
            return None
        self._asked, self._asked_at = needed, now
        return needed

    def _needed(self) -> Request | None:
        missing = self._chain.missing()
        if missing is not None and self._run is not None:
            return ReplayRequest(self._run, *missing)
        if self._final and self._run is not None and self._chain.last is not None:
            return None if self._done else DoneRequest(self._run, self._chain.last)
        return SnapshotRequest() if self._resync else None

    def _probe(self, now: float) -> Request | None:
        """Ask where the publisher is when not even a heartbeat comes; the other socket may still get through."""
        if self._run is None or self._final or self._chain.last is None or now - self._heard_at < _STALL_S:
            return None
        return ReplayRequest(self._run, self._chain.last, self._chain.last + 1)

    def _give_up(self, now: float) -> None:
        """Report as missed what nobody answers for. A reader that merely waits for its publisher never gives up."""
        missing = self._chain.missing()
        first = self._chain.first_held
        if missing is None and self._chain.last is None and first is not None:
            missing = (0, first.previous)
        if missing is None:
            self._stuck = (None, now)
        elif self._stuck[0] != (self._run, missing[0]):
            self._stuck = ((self._run, missing[0]), now)
        elif now - self._stuck[1] >= self._give_up_s:
            self._lose(missing[1], "no_answer")

    def _begin(self, run: str) -> None:
        """The feed is in another run than before: settle the old one, start the new one from its first event."""
        old = self._run
        if old is not None and self._chain.last is not None:
            while (missing := self._chain.missing()) is not None:
                self._lose(missing[1], "new_run")
        if old:
            self._retired.append(old)
        self._count_duplicates()
        joined_before = old is not None
        self._run = run
        self._chain = EventSequence(self._held_limit)
        self._snapshot, self._resync = None, True
        self._final, self._final_seq, self._done = False, None, False
        if joined_before:
            self._ready.append(self._empty_snapshot())
            self._put_out(self._chain.start(0))

    def _take_snapshot(self, events: list[tuple[str, int, Event | None]], began: float) -> None:
        _, _, snapshot = events[0]
        if not isinstance(snapshot, FeedSnapshot):
            raise ValueError("a reply without the snapshot that it should hold")
        if not self._resync:
            return
        self._types = snapshot.types
        if self._chain.last is None:
            was_waiting = self._began is not None and self._began <= began
            self._resync = False
            if self._history or was_waiting:
                self._chain.newest = max(self._chain.newest, snapshot.seq)
                self._ready.append(self._empty_snapshot())
                self._put_out(self._chain.start(0))
            else:
                self._ready.append(snapshot)
                self._put_out(self._chain.start(snapshot.seq))
        elif snapshot.seq >= self._chain.last:
            self._resync = False
            self._snapshot = snapshot
            self._put_out(())

    def _take_replay(self, header: ReplayReply, events: Iterable[tuple[str, int, Event | None]]) -> None:
        if header.after == self._chain.last and header.previous > header.after:
            self._lose(header.previous, "unavailable")
        previous = header.previous
        for _, seq, event in events:
            before = self._chain.last
            self._put_out(self._chain.accept(NumberedEvent(seq, previous, event)))
            self.counters.repaired += self._chain.last != before
            previous = seq

    def _lose(self, through: int, reason: GapReason) -> None:
        first = (self._chain.last or 0) + 1
        if through >= first:
            self._ready.append(
                FeedGap(
                    seq=through,
                    run=self._run or "",
                    stream="",
                    pts_s=0.0,
                    wall=utc_now(),
                    first_seq=first,
                    last_seq=through,
                    reason=reason,
                )
            )
        self._snapshot, self._resync = None, True
        self._put_out(self._chain.skip(through))

    def _put_out(self, links: Iterable[NumberedEvent]) -> None:
        for link in links:
            self.counters.events += 1
            if link.event is None:
                self.counters.unknown += 1
            else:
                self._ready.append(link.event)
            if self._snapshot is not None and link.seq == self._snapshot.seq:
                self._ready.append(self._snapshot)
                self._snapshot = None
        if self._snapshot is not None and self._chain.last == self._snapshot.seq:
            self._ready.append(self._snapshot)
            self._snapshot = None
        self._count_duplicates()

    def _count_duplicates(self) -> None:
        self.counters.duplicates += self._chain.duplicates
        self._chain.duplicates = 0

    def _empty_snapshot(self) -> FeedSnapshot:
        return FeedSnapshot(
            seq=0,
            run=self._run or "",
            stream="",
            pts_s=0.0,
            wall=utc_now(),
            types=self._types,
            streams={},
        )
