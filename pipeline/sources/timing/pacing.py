"""Pictures that come in bursts, handed out at the pace of their own timestamps.

A live list (HLS) grows by a piece of some seconds at a time, and each piece comes at once. Whoever reads it at
the pace of its timestamps needs no memory for what is ahead: that waits on the server.
"""

from __future__ import annotations

# A step of the timestamps beyond this is no pause but another clock, as behind a discontinuity.
_LARGEST_STEP_S = 10.0
# A read that takes longer than this has waited for something that was not there yet.
_WAITED_S = 0.3


class Pacer:
    """Says when pictures are due. All times are in seconds.

    The first picture is due when it comes, each further one as much later as its timestamp is. A picture that comes
    late because the list had nothing newer moves the schedule: all that follow are due later, by as much. That is
    allowed up to ``most_behind_s`` in all. Beyond that the line was too slow, and pictures are due at once, whatever
    their timestamps, until the schedule is caught up with, or there is nothing newer.

    Args:
        frame_s: nominal duration of a frame, for pictures without a usable timestamp.
        most_behind_s: how far the schedule may move; about the longest piece there is.

    Attributes:
        behind_s: how far the schedule has moved; ``monotonic() - behind_s`` is the time of arrival of a picture as if
            the list had always been in time.
    """

    def __init__(self, frame_s: float, *, most_behind_s: float = 10.0) -> None:
        self._frame_s = frame_s
        self._most_behind_s = most_behind_s
        self.behind_s = 0.0
        self._moved_s = 0.0  # since the list was last known to have nothing newer
        self._stamp_s: float | None = None
        self._due_s = 0.0
        self._catching_up = False

    def wait_s(self, stamp_s: float | None, asked_s: float, now_s: float) -> float:
        """How long to wait before the next picture is handed out; 0 for at once.

        Args:
            stamp_s: its timestamp, on any clock; None where it has none.
            asked_s: when reading it began, on the clock of ``now_s``.
            now_s: when it was there.
        """
        due_s = self._due_of(stamp_s, now_s)
        late_s = now_s - due_s
        if late_s <= 0:
            self._catching_up = False
        elif self._catching_up and now_s - asked_s > _WAITED_S:
            self._move(late_s)  # there was nothing newer: this is the live edge
            self._moved_s = 0.0
            self._catching_up = False
            due_s = now_s
        elif not self._catching_up and self._moved_s + late_s <= self._most_behind_s:
            self._move(late_s)
            due_s = now_s
        else:
            self._catching_up = True
        self._due_s = due_s
        return max(0.0, due_s - now_s)

    def _due_of(self, stamp_s: float | None, now_s: float) -> float:
        last_s = self._stamp_s
        if stamp_s is not None:
            self._stamp_s = stamp_s
        elif last_s is not None:
            self._stamp_s = last_s + self._frame_s
        if last_s is None:
            return self._due_s + self._frame_s if self._due_s else now_s
        step_s = (self._stamp_s or 0.0) - last_s
        due_s = self._due_s + step_s
        # A leap that only makes good for what was missed meanwhile is none.
        if step_s <= 0 or (step_s > _LARGEST_STEP_S and due_s - now_s > _LARGEST_STEP_S):
            return self._due_s + self._frame_s
        return due_s

    def _move(self, late_s: float) -> None:
        self.behind_s += late_s
        self._moved_s += late_s
