"""The live tracks of a stream, by rows, for what looks at all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.analytics.track_table import Column, TrackTable
from pipeline.types import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class LiveTracks:
    """Columns of the table in which analytics keeps tracks. Rows that are free hold anything.

    Attributes:
        table: gives each track its row.
        class_names: ``class_id`` indexes it.
        class_id: int32, of the class that a track was first shown with.
        xyxy: float32 ``(rows, 4)``, boxes in pixels, as they were shown last.
        score: float32.
        seen_s: float64, media time of the last frame in which a track was detected.
        speeds: makes float64 ``(rows,)`` in m/s; NaN for what is not known. Costs nothing when asked again in a frame.
        zones_of: names of the zones that the track in a row is in.
    """

    table: TrackTable
    class_names: Sequence[str]
    class_id: Column
    xyxy: Column
    score: Column
    seen_s: Column
    speeds: Callable[[], Float64Array]
    zones_of: Callable[[int], Sequence[str]]

    def class_name(self, row: int) -> str:
        """The name of the class of the track in a row."""
        return self.class_names[int(self.class_id.values[row])]
