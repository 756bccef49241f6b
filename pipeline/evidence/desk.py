"""What passes between the loop of a stream and what makes its evidence.

    loop --events that name evidence--> makers, in their own threads --Piece--> EvidenceDesk --> loop --> sinks

The loop gives the numbers, so that events keep their order; what makes the files takes its time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from pipeline.analytics.event_stamper import EventStamper
from pipeline.event_codec import event_type
from pipeline.events import AlertEnded, AlertStarted, AlertUpdated, Event, EvidenceReady
from pipeline.evidence.wanted import EvidenceWanted

logger = logging.getLogger(__name__)

# Finished pieces that may lie there; the loop takes them with every frame.
_MOST = 1000

EvidenceKind = Literal["picture", "crop", "clip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A file that is finished; the attributes are those of ``EvidenceReady``."""

    evidence: str
    kind: EvidenceKind
    path: str
    media_type: str
    size_bytes: int
    from_pts_s: float
    to_pts_s: float
    annotated: bool
    masked: bool


@dataclass(frozen=True, slots=True)
class _Promise:
    about: str
    about_seq: int
    alert_id: int | None
    track_ids: tuple[int, ...]


class EvidenceDesk:
    """Where what makes the evidence of a stream lays down what is finished. For any thread.

    Args:
        wanted: which events are to have evidence.
        makers: how many make something of each; each settles every event that names evidence.

    Attributes:
        wanted: likewise.
        masked: whether something is hidden in the stream's pictures now.
        hidden_after_s: pictures up to that media time are of no use: since then something else is hidden.
    """

    def __init__(self, wanted: EvidenceWanted, *, makers: int = 1) -> None:
        self.wanted = wanted
        self.makers = makers
        self.masked = False
        self.hidden_after_s = float("-inf")
        self._changed = threading.Condition()
        self._owed: dict[str, int] = {}
        self._finished: list[Piece] = []
        self._settled: list[str] = []
        self._when_ending: list[Callable[[], None]] = []

    def when_ending(self, call: Callable[[], None]) -> None:
        """Have that called when nothing more comes, and what is under way should be finished as it is."""
        self._when_ending.append(call)

    def end(self) -> None:
        """Nothing more comes."""
        for call in self._when_ending:
            call()

    def owe(self, evidence: str) -> None:
        """An event that names that evidence is on its way to the makers."""
        with self._changed:
            self._owed[evidence] = self.makers

    def put(self, piece: Piece) -> None:
        """Lay down a finished file. Where nobody has taken a thousand of them, it is told of in the log alone."""
        with self._changed:
            if len(self._finished) >= _MOST:
                logger.warning("%s: no event tells of it, since %d others wait", piece.path, _MOST)
                return
            self._finished.append(piece)

    def settle(self, evidence: str) -> None:
        """A maker has done what it can for that evidence."""
        with self._changed:
            left = self._owed.pop(evidence, 1) - 1
            if left:
                self._owed[evidence] = left
                return
            self._settled.append(evidence)
            self._changed.notify_all()

    @property
    def busy(self) -> bool:
        """Whether something is under way, or lies there."""
        return bool(self._owed or self._finished or self._settled)

    def take(self) -> tuple[list[Piece], list[str]]:
        """What is finished, in the order in which it was, and for what evidence nothing more comes."""
        if not self._finished and not self._settled:  # looked at with every frame
            return [], []
        with self._changed:
            finished, self._finished = self._finished, []
            settled, self._settled = self._settled, []
        return finished, settled

    @property
    def owing(self) -> int:
        """For how much evidence something is under way."""
        return len(self._owed)

    def wait(self, within_s: float, *, at_most: int = 0) -> bool:
        """Wait until no more evidence than that is under way; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._owed) <= at_most, within_s)


class StreamEvidence:
    """The loop's side of a desk. Only the thread that runs the pipeline uses it.

    Args:
        stream: name of the stream.
        desk: where finished pieces come from.
        stamper: numbers the run's events.
    """

    def __init__(self, stream: str, desk: EvidenceDesk, stamper: EventStamper) -> None:
        self._stream = stream
        self._desk = desk
        self._stamper = stamper
        self._promises: dict[str, _Promise] = {}
        self._of_alerts: dict[int, str] = {}

    @property
    def waits(self) -> bool:
        """Whether something is under way."""
        return self._desk.busy

    def hide(self, masked: bool, after_s: float) -> None:
        """Something else is hidden in pictures later than that media time, or nothing any more."""
        self._desk.masked, self._desk.hidden_after_s = masked, after_s

    def named(self, events: Iterable[Event]) -> list[Event]:
        """The same events, of which those name their evidence that are to have some."""
        return [self._named(event) for event in events]

    def ready(self, pts_s: float, captured_s: float | None = None) -> list[Event]:
        """The events of what is finished; at the time of the newest frame."""
        pieces, settled = self._desk.take()
        events = [event for piece in pieces if (event := self._event(piece, pts_s, captured_s)) is not None]
        for evidence in settled:
            self._promises.pop(evidence, None)
        return events

    def finish(self, pts_s: float, within_s: float, *, for_each: bool = False) -> list[Event]:
        """The same at the end, once what is under way is finished.

        Args:
            pts_s: the time of the newest frame.
            within_s: seconds for all that is under way, or ``for_each``, while one after the other is done; what takes
                longer is left out.
            for_each: see there.
        """
        self._desk.end()
        events: list[Event] = []
        while owing := self._desk.owing:
            if not self._desk.wait(within_s, at_most=owing - 1 if for_each else 0):
                logger.warning("%s: some evidence was not finished within %g s", self._stream, within_s)
                break
            events += self.ready(pts_s)
        return events + self.ready(pts_s)

    def _named(self, event: Event) -> Event:
        if isinstance(event, AlertUpdated | AlertEnded):
            evidence = self._of_alerts.get(event.alert_id)
            if isinstance(event, AlertEnded):
                self._of_alerts.pop(event.alert_id, None)
            return event if evidence is None else msgspec.structs.replace(event, evidence=evidence)
        if not self._desk.wanted(event):
            return event
        evidence = f"{event.run[:8]}-{event.seq}"
        alert_id: int | None = None
        if isinstance(event, AlertStarted):
            alert_id, track_ids = event.alert_id, event.tracks
            self._of_alerts[event.alert_id] = evidence
        else:
            track_ids = (event.track_id,)  # type: ignore[attr-defined]  # all others are of one object
        self._promises[evidence] = _Promise(event_type(event), event.seq, alert_id, track_ids)
        self._desk.owe(evidence)
        return msgspec.structs.replace(event, evidence=evidence)

    def _event(self, piece: Piece, pts_s: float, captured_s: float | None) -> Event | None:
        promise = self._promises.get(piece.evidence)
        if promise is None:
            # It came after it was settled, or to a stream that was made anew meanwhile.
            logger.warning("%s: no event tells of it, since it came too late", piece.path)
            return None
        return self._stamper(
            EvidenceReady,
            stream=self._stream,
            pts_s=pts_s,
            captured_s=captured_s,
            about=promise.about,
            about_seq=promise.about_seq,
            alert_id=promise.alert_id,
            track_ids=promise.track_ids,
            **{name: getattr(piece, name) for name in Piece.__dataclass_fields__},
        )
