"""What the server sees of a run: asked from its threads at any time, also before the run begins and after its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline.runtime.report import Report
from pipeline.runtime.streams.stream import StreamStatus
from pipeline.runtime.timing import Durations
from sightline.config.shapes import LineSection, ZoneSection

StreamState = Literal["opening", "online", "reconnecting", "ended", "failed", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """How a stream is doing, as it is told over HTTP.

    Attributes:
        name: of the stream.
        source: its address, without user and password.
        live: whether it is a camera, or may be for all that is known.
        state: ``reconnecting`` is a camera that is away.
        width, height: of the picture in pixels; 0 before they are known.
        fps: frames analysed per second lately.
        dropped: frames left out so far, whatever for.
        latency_ms: median from capture to events so far.
        objects: tracks that its newest frame showed.
        last_picture_age_s: seconds since the newest analysed frame was captured; None before the first.
    """

    name: str
    source: str
    live: bool
    state: StreamState
    width: int = 0
    height: int = 0
    fps: float = 0.0
    dropped: int = 0
    latency_ms: float = 0.0
    objects: int = 0
    last_picture_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong in what was asked for.

    Attributes:
        where: the key, such as ``zones.yard.polygon``; empty where it concerns all of it.
        message: what is wrong, and what would be right.
    """

    where: str
    message: str


class InvalidError(Exception):
    """What was asked for is wrong; nothing was changed."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(mistake.message for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class NotThereError(Exception):
    """There is no such stream."""


class NotNowError(Exception):
    """It can't be done as the run is now; the message says why."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Zones and lines of a stream, by name."""

    zones: Mapping[str, ZoneSection] = field(default_factory=dict)
    lines: Mapping[str, LineSection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether all that the run is for is being done.

    Attributes:
        ready: whether there is no trouble.
        trouble: what there is, a sentence each.
    """

    ready: bool
    trouble: Sequence[str]


class RunAccess(Protocol):
    """A run as the server sees it; for any thread."""

    @property
    def store(self) -> Path | None:
        """The SQLite store that keeps the run's events; None where there is none."""
        ...

    @property
    def model(self) -> str:
        """The name of the detector's model."""
        ...

    @property
    def class_names(self) -> Sequence[str]:
        """What the detector tells apart."""
        ...

    def streams(self) -> Sequence[StreamView]:
        """Every stream of the run, those that have ended and those that are disabled included."""
        ...

    def add_stream(self, name: str, keys: Mapping[str, Any]) -> None:
        """Begin a further stream, and keep it. Raises as ``change_stream``."""
        ...

    def change_stream(self, name: str, keys: Mapping[str, Any]) -> None:
        """Give a stream other settings, and keep them. They count from the next frames on.

        Raises:
            InvalidError: the settings can't be used.
            NotThereError: there is no such stream.
            NotNowError: the run can't take it over, or it can't be kept.
        """
        ...

    def remove_stream(self, name: str) -> None:
        """End a stream for good. Raises as ``change_stream``."""
        ...

    def shapes(self, name: str) -> Shapes:
        """The zones and lines of a stream. Raises ``NotThereError``."""
        ...

    def checked_shapes(self, name: str, keys: Mapping[str, Any]) -> Shapes:
        """What ``shapes`` would tell after these ``zones`` and ``lines`` were given to a stream, which they are not.

        Raises as ``change_stream``.
        """
        ...

    def config(self) -> Mapping[str, Any]:
        """The configuration without secrets."""
        ...

    def report(self, timeout_s: float = 5.0) -> Report:
        """What the run's report would say now. Raises ``TimeoutError`` where the run is too busy to tell in time."""
        ...

    def statuses(self) -> Sequence[StreamStatus]:
        """How each running stream is doing."""
        ...

    def latencies(self) -> Mapping[str, Durations]:
        """Per stream that there was so far, from capture to the outputs."""
        ...

    def readiness(self) -> Readiness:
        """Whether all that the run is for is being done."""
        ...
