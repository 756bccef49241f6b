"""What is to be counted of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.analytics.lines import Line
from pipeline.analytics.totals import LiveHistory
from pipeline.analytics.zones import Zone
from pipeline.geometry.ground import Homography


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalyticsOptions:
    """What is to be counted of a stream, and how often tracks are told.

    Compared by identity: a stream that takes another's place goes on counting where it has the very same options.

    Attributes:
        update_hz: most ``track.updated`` events per track and second of media time; 0 for none.
        zones, lines: what to count in.
        homography: gives speeds in m/s; without it they are None.
        live: kept up to date with the counts of zones and lines, for drawing them.
    """

    update_hz: float = 5.0
    zones: Sequence[Zone] = ()
    lines: Sequence[Line] = ()
    homography: Homography | None = None
    live: LiveHistory = field(default_factory=LiveHistory)
