"""What the server sees of a run: asked from its thread at any time, also before the run begins and after its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

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
    width: int
    height: int
    fps: float
    dropped: int
    latency_ms: float
    objects: int
    last_picture_age_s: float | None


class RunAccess(Protocol):
    """A run as the server sees it; for any thread."""

    def streams(self) -> Sequence[StreamView]:
        """Every stream of the run, those that have ended and those that are disabled included."""
        ...
