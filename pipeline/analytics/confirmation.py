"""On which side of a line, or of a zone's edge, tracks are: believed once a second look says the same.

A detector's box is now and then wrong for one look, and jumps over a line and back. So a track changes its side when
two looks, one after the other, have seen it there for certain, and the change then has the time of the first of them.
A look that sees it within the hysteresis is no look for either side. In detail:

- A track that is seen for certain on its old side again was not away: the look between was an outlier. But a side on
  which a single look saw it so far is left at once: neither look is more likely wrong than the other.
- A track that ends before a second look has changed its side if the last look saw it there: objects leave the picture
  right behind a line. So has one that is not seen again within ``CONFIRM_WITHIN_S``: what is looked at less often than
  that is seen nowhere twice. One that was seen since, but only within the hysteresis, has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.analytics.track_table import TrackTable
from pipeline.types import IndexArray

# Media time in seconds for which a change waits for the look that confirms it.
CONFIRM_WITHIN_S = 2.0

# Media times are sums of floats: what is not yet late may look so by less than this.
_LONGEST_WAIT_S = CONFIRM_WITHIN_S + 1e-6

SideArray = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Look:
    """When a frame was looked at.

    Attributes:
        pts_s: media time in seconds.
        captured_s: monotonic time of its capture in seconds.
    """

    pts_s: float
    captured_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """A track's change of side, as the first look saw it that found the track there.

    Attributes:
        row: the track's row.
        item: number of the line or zone.
        side: where it is then: +1 or -1.
        look: when.
        counts: whether it is one to tell of, as a line's is not when the path passed beside its ends.
        speed_mps: the track's speed at that look in metres per second, where it was known.
    """

    row: int
    item: int
    side: int
    look: Look
    counts: bool = True
    speed_mps: float | None = None


class Sides:
    """Keeps on which side of each of K lines or edges the tracks of a table are.

    Args:
        table: rows of the live tracks; this adds its columns.
        count: K.
    """

    def __init__(self, table: TrackTable, count: int) -> None:
        self._side = table.column(np.int8, (count,))  # 0: not seen yet
        self._half = table.column(np.int8, (count,))
        self._looks = table.column(np.int8, (count,))
        self._waits = table.column(np.bool_, (count,))
        self._doubted = table.column(np.bool_, (count,))
        # Changes that no second look has confirmed.
        self._open: dict[tuple[int, int], Change] = {}

    def of(self, rows: IndexArray) -> SideArray:
        """int8 ``(N, K)``: +1 or -1, the side that is believed; 0 where a track was not seen yet."""
        side: SideArray = self._side.values[rows]
        return side

    def forget(self) -> None:
        """Take every track as not seen yet. What waits is to be settled before."""
        self._side.values[:] = 0

    def look(
        self,
        rows: IndexArray,
        half: SideArray,
        certain: NDArray[np.bool_],
        look: Look,
        *,
        counts: NDArray[np.bool_] | None = None,
        speeds: Sequence[float | None] = (),
    ) -> list[Change]:
        """Take in where tracks were seen; a track that was not seen before is on that side at once, without a change.

        Args:
            rows: the tracks' rows ``(N,)``.
            half: int8 ``(N, K)``, on which side each was seen: +1 or -1.
            certain: bool ``(N, K)``, whether further from the edge than the hysteresis.
            look: when.
            counts: bool ``(N, K)``, goes into the changes; all True by default.
            speeds: the N tracks' speeds, go into the changes.

        Returns:
            The changes that this look settled.
        """
        side = self._side.values[rows]
        first = side == 0
        self._half.values[rows] = half
        away = certain & (half == -side)
        busy = (self._waits.values[rows] | away) & ~first
        self._side.values[rows] = np.where(first, half, side)
        looks = self._looks.values[rows]
        self._looks.values[rows] = np.where(first, 1, np.where(busy, looks, np.minimum(looks + 1, 2)))
        settled: list[Change] = []
        for position, item in np.argwhere(busy).tolist():
            row = int(rows[position])
            seen = int(half[position, item]) if certain[position, item] else 0
            counted = counts is None or bool(counts[position, item])
            speed = speeds[position] if speeds else None
            settled += self._weigh((row, item), Change(row, item, seen, look, counted, speed))
        return settled

    def overdue(self, pts_s: float) -> list[Change]:
        """Settle what has waited for too long by that media time, in seconds."""
        late = [key for key, change in self._open.items() if change.look.pts_s < pts_s - _LONGEST_WAIT_S]
        return [change for key in late for change in self._settle(key, across=not self._doubted.values[key])]

    def end(self, rows: Iterable[int] | None = None, *, items: Iterable[int] | None = None) -> list[Change]:
        """Settle what waits of tracks that are seen no more, at lines or edges that are to be no more; None: of all."""
        if not self._open:
            return []
        wanted, places = (None if some is None else set(some) for some in (rows, items))
        keys = [
            (row, item)
            for row, item in self._open
            if (wanted is None or row in wanted) and (places is None or item in places)
        ]
        across = self._half.values != self._side.values
        return [change for key in keys for change in self._settle(key, across=bool(across[key]))]

    def rearrange(self, origins: Sequence[int]) -> None:
        """Go on with other lines or edges; ``origins`` as for ``rearranged``. What waits at those left out is to be
        settled before."""
        for column in (self._side, self._half, self._looks, self._waits, self._doubted):
            column.rearrange(origins)
        places = {old: new for new, old in enumerate(origins) if old >= 0}
        self._open = {
            (row, places[item]): replace(change, item=places[item]) for (row, item), change in self._open.items()
        }

    def oldest_s(self) -> float:
        """Media time of the oldest change that waits, in seconds; infinite where none does."""
        return min((change.look.pts_s for change in self._open.values()), default=float("inf"))

    def _weigh(self, key: tuple[int, int], seen: Change) -> list[Change]:
        """What a look amounts to that saw a track on the other side, or at one of which a change waits.

        ``seen.side`` is 0 for a look that is not certain.
        """
        side, waiting = int(self._side.values[key]), self._open.get(key)
        if waiting is None and self._looks.values[key] < 2:
            self._side.values[key] = seen.side
            return [seen]
        if waiting is None:
            self._open[key] = seen
            self._waits.values[key], self._doubted.values[key] = True, False
            return []
        if seen.side == 0:
            self._doubted.values[key] = True
            return []
        self._close(key)
        if seen.side == side:
            return []
        self._side.values[key] = -side
        return [waiting]

    def _settle(self, key: tuple[int, int], *, across: bool) -> list[Change]:
        """Decide without a further look, by whether the track was seen across last."""
        waiting = self._open[key]
        self._close(key)
        if not across:
            return []
        self._side.values[key], self._looks.values[key] = waiting.side, 1
        return [waiting]

    def _close(self, key: tuple[int, int]) -> None:
        del self._open[key]
        self._waits.values[key] = False
