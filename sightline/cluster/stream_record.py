"""What the driver knows of one stream: where it runs, what it came to, how often it took its process down."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from pipeline.runtime.streams.stream_past import StreamPast
from sightline.cluster.memory import RememberedStream
from sightline.cluster.messages import StreamState
from sightline.cluster.placement import need
from sightline.config.schema import ResolvedStream

# Crashes that are longer ago count no more.
_FORGIVEN_S = 600.0
_FIRST_WAIT_S = 60.0
_LONGEST_WAIT_S = 3600.0

Place = Literal["waiting", "placed", "leaving", "aside", "done"]


@dataclass(slots=True, eq=False)
class StreamRecord:
    """One stream.

    Attributes:
        description: what it is to be.
        place: ``waiting`` for a shard; ``placed`` in one; ``leaving`` it; set ``aside`` for a while; ``done``.
        shard: name of the shard that has it.
        epoch: of its newest assignment.
        past: what it had come to when it was placed, or since.
        given: what it goes on from in its shard.
        run, seq: the events up to which that tells of everything.
        goes_to: id of the node that it is to run on next, if that is decided.
        group: of the process that it is to run in, where that is to be one of its own.
        removed: whether it is to run no more.
        reason: why it waits, or is set aside.
        state: how it is doing, as its shard told last.
        new: whether it has run nowhere under this driver, so that a moment matters little.
    """

    description: ResolvedStream
    place: Place = "waiting"
    shard: str | None = None
    epoch: int = 0
    past: StreamPast = field(default_factory=StreamPast)
    given: StreamPast = field(default_factory=StreamPast)
    run: str = ""
    seq: int = 0
    goes_to: str | None = None
    group: int | None = None
    removed: bool = False
    reason: str = ""
    state: StreamState | None = None
    new: bool = True
    told_s: float = field(default_factory=time.monotonic)
    crashes: list[float] = field(default_factory=list)
    _aside_until_s: float = 0.0
    _set_aside: int = 0

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self.description.name

    @property
    def need(self) -> float:
        """Looks of the detector a second that it wants, by the frames that its camera sends."""
        fps = self.state.decoded_fps if self.state is not None and self.state.decoded_fps > 1 else None
        return need(self.description, fps)

    def crashed(self) -> int:
        """Its process ended by itself; returns how often that was lately."""
        now_s = time.monotonic()
        self.crashes = [at_s for at_s in self.crashes if now_s - at_s < _FORGIVEN_S] + [now_s]
        return len(self.crashes)

    def set_aside(self, reason: str) -> None:
        """Leave it alone for a minute, and twice as long each time after that."""
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**self._set_aside)
        self._set_aside += 1
        self._aside_until_s = time.monotonic() + wait_s
        self.place, self.shard, self.reason = "aside", None, f"{reason}; tried again every {wait_s:.0f} s"

    def comes_back(self) -> None:
        """Where it was set aside for long enough, it is to be placed again."""
        if self.place == "aside" and time.monotonic() >= self._aside_until_s:
            self.place = "waiting"

    def wait(self, reason: str, goes_to: str | None = None) -> None:
        """It is to be placed."""
        self.place, self.shard, self.state, self.reason = "waiting", None, None, reason
        self.goes_to = goes_to if goes_to is not None else self.goes_to

    def know(self, past: StreamPast, run: str, seq: int) -> None:
        """What it has come to by that event."""
        self.past, self.run, self.seq, self.told_s = past, run, seq, time.monotonic()

    def remembered(self) -> RememberedStream:
        """For the driver's memory."""
        told = time.time() - (time.monotonic() - self.told_s)
        ran = self.place in ("placed", "leaving")
        return RememberedStream(epoch=self.epoch, past=self.past, run=self.run, seq=self.seq, told=told, ran=ran)

    def recall(self, remembered: RememberedStream) -> None:
        """Take over what an earlier driver knew."""
        self.epoch, self.past = remembered.epoch, remembered.past
        self.run, self.seq = remembered.run, remembered.seq
        self.told_s = time.monotonic() - max(0.0, time.time() - remembered.told)
