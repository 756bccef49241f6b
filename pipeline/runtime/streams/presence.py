"""Whether a stream's source is there, as far as its sinks were told."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Presence:
    """Moments are ``time.monotonic()``.

    Attributes:
        state: as statuses tell it.
        offline_since: since when the source is known to be away; None where it is not.
        went_s: media time in seconds at which it went.
        changed_since: since when sinks are told that it is away because the stream was changed; None where they aren't.
    """

    state: Literal["waiting", "online", "offline"] = "waiting"
    offline_since: float | None = None
    went_s: float = 0.0
    changed_since: float | None = None

    def go(self, media_s: float) -> None:
        """The source went away."""
        self.state, self.offline_since, self.went_s = "offline", time.monotonic(), media_s

    def come(self) -> None:
        """It is back, or a frame of it came through."""
        self.state, self.offline_since = "online", None

    @property
    def now_s(self) -> float | None:
        """Media time, which goes on by the clock on the wall while it is offline; None while it is not."""
        return None if self.offline_since is None else self.went_s + time.monotonic() - self.offline_since
