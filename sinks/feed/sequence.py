"""Puts numbered events back in order."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from pipeline.events import Event


class NumberedEvent(NamedTuple):
    """An event and its place in the feed.

    Attributes:
        seq: its number.
        previous: number of the event published before it. It is less than ``seq - 1`` in a feed that leaves event types
            out, so comparing it with what came last is the one way to see a gap.
        event: the event, or None for a type that this version does not know.
    """

    seq: int
    previous: int
    event: Event | None


class EventSequence:
    """The events of one run, in whatever order they arrive.

    Args:
        held_limit: how many events that came too early are kept; more are let go, to be asked for later.

    Attributes:
        last: every event up to this number has been returned or skipped; None until ``start``.
        newest: the highest number known to have been published.
        duplicates: events that had arrived before.
    """

    def __init__(self, held_limit: int) -> None:
        self.last: int | None = None
        self.newest = 0
        self.duplicates = 0
        self._held_limit = held_limit
        self._held: deque[NumberedEvent] = deque()

    @property
    def first_held(self) -> NumberedEvent | None:
        """The earliest of the events that came too early."""
        return self._held[0] if self._held else None

    def start(self, last: int) -> list[NumberedEvent]:
        """Begin after the event numbered ``last``; returns what is in order now."""
        self.last = last
        return self._flush()

    def accept(self, link: NumberedEvent) -> list[NumberedEvent]:
        """Take an event; returns what is in order now, each event once."""
        self.newest = max(self.newest, link.seq)
        if self.last is not None:
            if link.seq <= self.last:
                self.duplicates += 1
                return []
            if link.previous <= self.last:
                self.last = link.seq
                return [link, *self._flush()] if self._held else [link]
        if not self._held or link.seq > self._held[-1].seq:
            if len(self._held) < self._held_limit:
                self._held.append(link)
        else:
            self.duplicates += 1
        return []

    def missing(self) -> tuple[int, int] | None:
        """``(after, through)``: the events with ``after < seq <= through`` come next and are not here."""
        if self.last is None:
            return None
        through = self._held[0].previous if self._held else self.newest
        return (self.last, through) if through > self.last else None

    def skip(self, through: int) -> list[NumberedEvent]:
        """Do without the events up to ``through``; returns what is in order now."""
        if self.last is None or through > self.last:
            self.last = through
        return self._flush()

    def _flush(self) -> list[NumberedEvent]:
        ready = []
        while self._held and self.last is not None and self._held[0].previous <= self.last:
            link = self._held.popleft()
            if link.seq > self.last:
                self.last = link.seq
                ready.append(link)
        return ready
