"""Alerts on their way to somebody: until their pictures are there, and the pause of their rule is over."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.events import EvidenceReady
from sinks.integrations.notification import Alert

# Evidence of so many events is remembered, for what is told of an alert later.
_REMEMBERED = 1000
# So many alerts of a rule wait for its pause to be over; then they are told of.
_MOST_HELD = 500


@dataclass(slots=True, eq=False)
class Gathered:
    """An event of an alert, and its picture where there is one."""

    event: Alert
    picture: EvidenceReady | None
    due_s: float


class Gathering:
    """Says what is to be told when; pure but for the times it is given, of ``time.monotonic()``.

    Events are told in the order in which they came, but for those of a rule of a stream that was told of less than
    ``every_s`` ago: they are told together, once that time is over.

    Args:
        every_s: seconds between two messages about a rule of a stream.
        wait_picture_s: seconds that an event waits for its picture, and those behind it with it.
    """

    def __init__(self, *, every_s: float, wait_picture_s: float) -> None:
        self._every_s = every_s
        self._wait_picture_s = wait_picture_s
        self._waiting: deque[Gathered] = deque()
        self._pictures: OrderedDict[str, EvidenceReady] = OrderedDict()
        self._told_s: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], list[Gathered]] = {}

    def add(self, event: Alert, now_s: float) -> None:
        """An alert begins, changes or ends."""
        wait_s = 0.0 if event.evidence is None else self._wait_picture_s
        self._waiting.append(Gathered(event, None, now_s + wait_s))

    def add_picture(self, picture: EvidenceReady) -> None:
        """A file is there: the picture of an event before it, or something else."""
        known = self._pictures.get(picture.evidence)
        if picture.kind == "picture" or (picture.kind == "crop" and known is None):
            self._pictures[picture.evidence] = picture
            while len(self._pictures) > _REMEMBERED:
                self._pictures.popitem(last=False)

    def due(self, now_s: float) -> Iterator[list[Gathered]]:
        """What is to be told by now, a message each."""
        while self._waiting and (self._waiting[0].due_s <= now_s or self._has_picture(self._waiting[0])):
            yield from self._offer(self._waiting.popleft(), now_s)
        for key in [key for key in self._held if self._free_s(key) <= now_s]:
            yield self._release(key, now_s)

    def rest(self, now_s: float) -> Iterator[list[Gathered]]:
        """All that is left, at once."""
        while self._waiting:
            yield from self._offer(self._waiting.popleft(), now_s)
        for key in list(self._held):
            yield self._release(key, now_s)

    def next_s(self) -> float | None:
        """When something will be due, if nothing else comes."""
        times = [self._free_s(key) for key in self._held]
        if self._waiting:
            times.append(self._waiting[0].due_s)
        return min(times, default=None)

    def _has_picture(self, one: Gathered) -> bool:
        found = self._pictures.get(one.event.evidence or "")
        return found is not None and found.kind == "picture"

    def _free_s(self, key: tuple[str, str]) -> float:
        return self._told_s[key] + self._every_s

    def _offer(self, one: Gathered, now_s: float) -> Iterator[list[Gathered]]:
        one.picture = self._pictures.get(one.event.evidence or "")
        key = (one.event.stream, one.event.rule)
        if key not in self._held and (key not in self._told_s or self._free_s(key) <= now_s):
            self._told_s[key] = now_s
            yield [one]
            return
        held = self._held.setdefault(key, [])
        held.append(one)
        if len(held) >= _MOST_HELD:
            yield self._release(key, now_s)

    def _release(self, key: tuple[str, str], now_s: float) -> list[Gathered]:
        self._told_s[key] = now_s
        return self._held.pop(key)
