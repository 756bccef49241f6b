"""A second, slow implementation of the analytics, written from their description.

Exact arithmetic and plain loops over the whole recording, nothing incremental, and nothing shared with the product but
the definitions of zones and lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pipeline.zones import Line, Zone

Point = tuple[Fraction, Fraction]


@dataclass
class Sighting:
    """A track in a frame: its anchor in whole pixels, and whether it was detected there."""

    x: int
    y: int
    detected: bool = True


@dataclass
class Moment:
    """A frame: its time in milliseconds, the tracks it shows, those let go, and whether a gap follows."""

    at_ms: int
    shown: dict[int, Sighting]
    ended: list[int] = field(default_factory=list)
    gap_after: bool = False

    @property
    def at(self) -> Fraction:
        return Fraction(self.at_ms, 1000)


@dataclass
class Recording:
    """All frames of a stream, and the class of each track."""

    moments: list[Moment]
    class_of: dict[int, str]


def inside(zone: Zone, x: int, y: int) -> bool:
    """Crossing number of a ray to the right, by exact arithmetic."""
    corners = [(Fraction(a), Fraction(b)) for a, b in zone.polygon]
    hits = 0
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (ay > y) != (by > y):
            meets = ax + (y - ay) * (bx - ax) / (by - ay)
            hits += x < meets
    return hits % 2 == 1


def counts(item: Zone | Line, name: str) -> bool:
    return item.classes is None or name in item.classes


def line_crossings(line: Line, path: list[tuple[int, int]]) -> list[tuple[int, str]]:
    """``(number of the point, direction)`` of each crossing of a path, looking back over the path each time."""
    (ax, ay), (bx, by) = line.start, line.end
    dx, dy = Fraction(bx) - Fraction(ax), Fraction(by) - Fraction(ay)
    length_squared = dx * dx + dy * dy
    band = Fraction(line.hysteresis or 0)

    def across(point: tuple[int, int]) -> Fraction:  # distance times length
        return dx * (point[1] - Fraction(ay)) - dy * (point[0] - Fraction(ax))

    crossings = []
    certain = across(path[0]) > 0 if path else False
    for number in range(1, len(path)):
        far = across(path[number]) ** 2 > band**2 * length_squared
        right = across(path[number]) > 0
        if not far or right == certain:
            continue
        certain = right
        # The last step that passed the endless line, and where on the line it did.
        step = max(n for n in range(1, number + 1) if (across(path[n - 1]) > 0) != (across(path[n]) > 0))
        before, after = across(path[step - 1]), across(path[step])
        part = before / (before - after)
        x = path[step - 1][0] + part * (path[step][0] - path[step - 1][0])
        y = path[step - 1][1] + part * (path[step][1] - path[step - 1][1])
        along = ((x - Fraction(ax)) * dx + (y - Fraction(ay)) * dy) / length_squared
        if 0 <= along <= 1:
            crossings.append((number, "in" if right else "out"))
    return crossings


def happenings(recording: Recording, zones: list[Zone], lines: list[Line]) -> list[tuple[Any, ...]]:
    """Every event of tracks, zones and lines but updates.

    Each is ``(number of the frame, kind, track, name of the zone or line, value)``.
    """
    found: list[tuple[Any, ...]] = []
    for track, name in recording.class_of.items():
        seen = [n for n, moment in enumerate(recording.moments) if track in moment.shown]
        if not seen:
            continue
        over, reason = _end_of(recording, track, seen[-1])
        found.append((seen[0], "track.started", track, "", ""))
        found.append((over, "track.ended", track, "", reason))
        looked = [n for n in seen if recording.moments[n].shown[track].detected]
        places = [recording.moments[n].shown[track] for n in looked]
        for zone in zones:
            since: int | None = None
            for n, place in zip(looked, places, strict=True):
                now = counts(zone, name) and inside(zone, place.x, place.y)
                if now and since is None:
                    found.append((n, "zone.entered", track, zone.name, ""))
                    since = n
                elif not now and since is not None:
                    dwell = recording.moments[n].at - recording.moments[since].at
                    found.append((n, "zone.left", track, zone.name, dwell))
                    since = None
            if since is not None:
                dwell = recording.moments[seen[-1]].at - recording.moments[since].at
                found.append((over, "zone.left", track, zone.name, dwell))
        for line in lines:
            if counts(line, name):
                for point, direction in line_crossings(line, [(place.x, place.y) for place in places]):
                    found.append((looked[point], "line.crossed", track, line.name, direction))
    return found


def _end_of(recording: Recording, track: int, last_seen: int) -> tuple[int, str]:
    for number in range(last_seen, len(recording.moments)):
        if number > last_seen and track in recording.moments[number].ended:
            return number, "lost"
        if recording.moments[number].gap_after:
            return number, "gap"
    return len(recording.moments) - 1, "end"


def windows(
    recording: Recording, zones: list[Zone], lines: list[Line], *, length: int, hold: Fraction, frame: Fraction
) -> list[dict[str, Any]]:
    """The windows of that length in seconds that were observed at all."""
    moments = recording.moments
    spans = _spans(moments, length, hold, frame)
    events = happenings(recording, zones, lines)
    members = [_members(recording, number, zone) for number in range(len(moments)) for zone in [None, *zones]]
    groups = 1 + len(zones)
    answer = []
    last = max((math.floor(moment.at / length) for moment in moments), default=-1)
    for index in sorted({index for span in spans for index in _touched(span, length) if index <= last}):
        start, end = Fraction(index * length), Fraction((index + 1) * length)
        own = [n for n, moment in enumerate(moments) if start <= moment.at < end]
        parts = [(n, min(b, end) - max(a, start)) for n, (a, b) in enumerate(spans) if min(b, end) > max(a, start)]
        if not parts:
            continue
        if own:  # what was observed before the window's first frame counts as that frame
            parts = [(max(n, own[0]), duration) for n, duration in parts]
        observed = sum((duration for _, duration in parts), Fraction(0))
        judged = own or [parts[0][0]]
        here = [event for event in events if event[0] in own]
        answer.append(
            {
                "index": index,
                "frames": len(own),
                "coverage": observed / length,
                "groups": [
                    {
                        name: values
                        for name in sorted(set(recording.class_of.values()))
                        if any(values := _group(recording, name, group, groups, members, parts, judged, here, zones))
                    }
                    for group in range(groups)
                ],
                "lines": [
                    {
                        name: (came, went)
                        for name in sorted(set(recording.class_of.values()))
                        if any(
                            (
                                came := _crossed(recording, here, line, name, "in"),
                                went := _crossed(recording, here, line, name, "out"),
                            )
                        )
                    }
                    for line in lines
                ],
            }
        )
    return answer


def _spans(moments: list[Moment], length: int, hold: Fraction, frame: Fraction) -> list[tuple[Fraction, Fraction]]:
    """What time each frame stands for."""
    spans = []
    usual = min(frame, hold)
    for number, moment in enumerate(moments):
        following = moments[number + 1].at if number + 1 < len(moments) else None
        until = moment.at + hold
        if following is None or moment.gap_after:
            window_end = Fraction((math.floor(moment.at / length) + 1) * length)
            until = min(moment.at + usual, window_end)
        else:
            usual = min(following - moment.at, hold)
        spans.append((moment.at, until if following is None else min(until, following)))
    return spans


def _touched(span: tuple[Fraction, Fraction], length: int) -> range:
    return range(math.floor(span[0] / length), math.floor(span[1] / length) + 1)


def _members(recording: Recording, number: int, zone: Zone | None) -> set[int]:
    """Tracks shown in a frame that are in a zone, where they were last detected; all for None."""
    members = set()
    for track in recording.moments[number].shown:
        if zone is None:
            members.add(track)
            continue
        earlier = [moment.shown[track] for moment in recording.moments[: number + 1] if track in moment.shown]
        detected = [place for place in earlier if place.detected]
        if detected and counts(zone, recording.class_of[track]) and inside(zone, detected[-1].x, detected[-1].y):
            members.add(track)
    return members


def _group(
    recording: Recording,
    name: str,
    group: int,
    groups: int,
    members: list[set[int]],
    parts: list[tuple[int, Fraction]],
    judged: list[int],
    here: list[tuple[Any, ...]],
    zones: list[Zone],
) -> tuple[Fraction, int, int, int, int]:
    """mean, max, unique, entered, left."""

    def of(number: int) -> set[int]:
        return {track for track in members[number * groups + group] if recording.class_of[track] == name}

    observed = sum((duration for _, duration in parts), Fraction(0))
    mean = sum((len(of(number)) * duration for number, duration in parts), Fraction(0)) / observed
    came, went = ("zone.entered", "zone.left") if group else ("track.started", "track.ended")
    where = zones[group - 1].name if group else ""
    mine = [event for event in here if recording.class_of[event[2]] == name and event[3] == where]
    return (
        mean,
        max(len(of(number)) for number in judged),
        len(set().union(*(of(number) for number in judged))),
        sum(event[1] == came for event in mine),
        sum(event[1] == went for event in mine),
    )


def _crossed(recording: Recording, here: list[tuple[Any, ...]], line: Line, name: str, direction: str) -> int:
    return sum(
        event[1] == "line.crossed"
        and event[3] == line.name
        and event[4] == direction
        and recording.class_of[event[2]] == name
        for event in here
    )
