"""A second, slow implementation of the analytics, written from their description.

Exact arithmetic and plain loops over the whole recording, nothing incremental, and nothing shared with the product but
the definitions of zones and lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pipeline.analytics.lines import Line
from pipeline.analytics.zones import Zone

Point = tuple[Fraction, Fraction]
LONGEST_WAIT = 2  # seconds for which a change of side waits for a second look


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


@dataclass
class Turn:
    """A change of side: the number of the look that saw it first, and the frame in which it is told.

    ``at_end`` says that it is told because the track ends there.
    """

    look: int
    told: int
    at_end: bool = False


def turns(recording: Recording, looked: list[int], right: list[bool], certain: list[bool], over: int) -> list[Turn]:
    """Every change of side, looking ahead from each look for what becomes of it.

    Args:
        recording: all frames.
        looked: the frames in which the track was detected.
        right: per look, on which side it was.
        certain: per look, whether beyond the hysteresis.
        over: the frame with which the track ends.
    """
    times = [recording.moments[n].at for n in looked]
    found: list[Turn] = []
    side, seen, number = right[0], 1, 1
    while number < len(looked):
        if right[number] == side or not certain[number]:
            seen, number = seen + 1, number + 1
        elif seen == 1:
            found.append(Turn(number, looked[number]))
            side, number = right[number], number + 1
        else:
            late = next(
                (n for n in range(looked[number], over + 1) if recording.moments[n].at - times[number] > LONGEST_WAIT),
                None,
            )
            later = [n for n in range(number + 1, len(looked)) if late is None or looked[n] < late]
            judge = next((n for n in later if certain[n]), None)
            if judge is not None:
                if right[judge] != side:
                    found.append(Turn(number, looked[judge]))
                    side = right[judge]
                number = judge + 1
            elif late is not None:
                if not later:
                    found.append(Turn(number, late))
                    side, seen = right[number], 1
                number += 1 + len(later)
            else:
                if right[-1] != side:
                    found.append(Turn(number, over, at_end=True))
                return found
    return found


def line_crossings(line: Line, path: list[tuple[int, int]]) -> tuple[list[bool], list[bool], list[bool]]:
    """Per point of a path: whether it is on the right, beyond the hysteresis, and came there through the line."""
    (ax, ay), (bx, by) = line.start, line.end
    dx, dy = Fraction(bx) - Fraction(ax), Fraction(by) - Fraction(ay)
    length_squared = dx * dx + dy * dy
    band = Fraction(line.hysteresis or 0)

    def across(point: tuple[int, int]) -> Fraction:  # distance times length
        return dx * (point[1] - Fraction(ay)) - dy * (point[0] - Fraction(ax))

    right = [across(point) > 0 for point in path]
    certain = [across(point) ** 2 > band**2 * length_squared for point in path]
    through = []
    for number in range(len(path)):
        # The last step that passed the endless line, and where on the line it did.
        steps = [n for n in range(1, number + 1) if right[n - 1] != right[n]]
        if not steps:
            through.append(False)
            continue
        step = steps[-1]
        before, after = across(path[step - 1]), across(path[step])
        part = before / (before - after)
        x = path[step - 1][0] + part * (path[step][0] - path[step - 1][0])
        y = path[step - 1][1] + part * (path[step][1] - path[step - 1][1])
        along = ((x - Fraction(ax)) * dx + (y - Fraction(ay)) * dy) / length_squared
        through.append(0 <= along <= 1)
    return right, certain, through


def stays(recording: Recording, track: int, zone: Zone) -> list[tuple[Turn, Turn | None]]:
    """When a track came into a zone and left it; None where it was inside when it ended."""
    seen = [n for n, moment in enumerate(recording.moments) if track in moment.shown]
    looked = [n for n in seen if recording.moments[n].shown[track].detected]
    if not looked or not counts(zone, recording.class_of[track]):
        return []
    places = [recording.moments[n].shown[track] for n in looked]
    within = [inside(zone, place.x, place.y) for place in places]
    found = turns(recording, looked, within, [True] * len(looked), _end_of(recording, track, seen[-1])[0])
    if within[0]:
        found.insert(0, Turn(0, looked[0]))
    return [(came, found[2 * n + 1] if 2 * n + 1 < len(found) else None) for n, came in enumerate(found[::2])]


def happenings(recording: Recording, zones: list[Zone], lines: list[Line]) -> list[tuple[Any, ...]]:
    """Every event of tracks, zones and lines but updates.

    Each is ``(number of the frame that tells it, kind, track, name of the zone or line, value, frame it happened in)``.
    """
    found: list[tuple[Any, ...]] = []
    for track, name in recording.class_of.items():
        seen = [n for n, moment in enumerate(recording.moments) if track in moment.shown]
        if not seen:
            continue
        over, reason = _end_of(recording, track, seen[-1])
        found.append((seen[0], "track.started", track, "", "", seen[0]))
        found.append((over, "track.ended", track, "", reason, over))
        looked = [n for n in seen if recording.moments[n].shown[track].detected]
        places = [recording.moments[n].shown[track] for n in looked]
        for zone in zones:
            for came, went in stays(recording, track, zone):
                since = looked[came.look]
                found.append((came.told, "zone.entered", track, zone.name, "", since))
                if went is None:
                    dwell = recording.moments[seen[-1]].at - recording.moments[since].at
                    found.append((over, "zone.left", track, zone.name, dwell, over))
                else:
                    dwell = recording.moments[looked[went.look]].at - recording.moments[since].at
                    found.append((went.told, "zone.left", track, zone.name, dwell, looked[went.look]))
        for line in lines:
            if counts(line, name) and looked:
                right, certain, through = line_crossings(line, [(place.x, place.y) for place in places])
                for turn in turns(recording, looked, right, certain, over):
                    if through[turn.look]:
                        way = "in" if right[turn.look] else "out"
                        found.append((turn.told, "line.crossed", track, line.name, way, looked[turn.look]))
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
        here = [event for event in events if event[5] in own]
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
    """Tracks shown in a frame that are in a zone, as far as that was known by then; all for None."""
    members = set()
    for track in recording.moments[number].shown:
        if zone is None:
            members.add(track)
            continue
        for came, went in stays(recording, track, zone):
            has_come = came.told <= number and not came.at_end
            if has_come and not (went is not None and went.told <= number and not went.at_end):
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
