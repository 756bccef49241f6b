"""Compares trackers, and settings of them, on every sequence there is and in other worlds made of them.

Figures are means over worlds, then over the sequences of a scene, then over scenes, so that neither a long sequence nor
a scene that many detectors saw rules. A candidate is chosen by leaving out one scene at a time: for each, the best on
all others is what it is judged by there.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking_data import Boxes, Unit, every_world
from benchmarks.tracking_scores import judge
from pipeline.errors import ConfigError
from pipeline.geometry.similarity import Motion
from pipeline.interfaces import MovableTracker, SightingTracker, Tracker
from pipeline.sampling.settling import TrackSettler
from pipeline.types import Detections, Frame, Image, TrackedFrame, Tracks
from trackers.factory import create_tracker

# What a tracker shows on each frame of each unit.
Runner = Callable[[Sequence[Unit]], list[list[Boxes]]]
# MOTA, IDF1, HOTA in percent, by unit.
Measured = dict[str, NDArray[np.float64]]

CONFIDENCE = 0.25
# What a peer gets to see by its defaults: those that use weak detections, use them from here on.
_WEAKEST = 0.1
_PICTURE = np.zeros((1, 1, 3), np.uint8)


def ours(candidate: str) -> Runner:
    """A tracker of this project's: its name, then settings, and ``hindsight``: ``buffered iou=0.3 hindsight``."""
    name, *words = candidate.split()
    hindsight = "hindsight" in words
    settings: dict[str, Any] = {}
    for word in words:
        if word == "hindsight":
            continue
        key, _, value = word.partition("=")
        try:
            settings[key] = float(value)
        except ValueError:
            raise ConfigError(f"candidate {candidate!r}: expected NAME SETTING=NUMBER ..., got {word!r}") from None

    def run(units: Sequence[Unit]) -> list[list[Boxes]]:
        make = (create_tracker(name, confidence=CONFIDENCE, **settings) for _ in units)
        return [follow(tracker, unit, hindsight=hindsight) for tracker, unit in zip(make, units, strict=True)]

    return run


def follow(
    tracker: Tracker, unit: Unit, *, hindsight: bool = False, motions: Sequence[Motion | None] | None = None
) -> list[Boxes]:
    """What one tracker shows on a unit's frames, at once or with a second of hindsight.

    ``motions`` tells how the camera moved before each frame, if anybody looked at that.
    """
    settler, shown = TrackSettler(), []
    for index, found in enumerate(unit.detections):
        motion = None if motions is None else motions[index]
        if motion is not None and isinstance(tracker, MovableTracker):
            tracker.move(motion)
        tracks = tracker.update(found, index / unit.fps)
        if not hindsight:
            shown.append(_boxes(tracks))
            continue
        sighted = tracker.sighted if isinstance(tracker, SightingTracker) else None
        frame = TrackedFrame(Frame(_PICTURE, index, index / unit.fps, 0.0, unit.name), found, tracks, tracker.ended)
        shown += [_boxes(settled.tracks) for settled in settler.add(frame, sighted, motion)]
    return shown + [_boxes(settled.tracks) for settled in settler.flush()]


class _Recorded:
    """A tracker whose tracks are known already, such as a peer's."""

    needs_image = False
    lowest_score = 0.0

    def __init__(self, shown: Sequence[Boxes]) -> None:
        self._shown = iter(shown)

    def update(self, detections: Detections | None, pts_s: float, image: Image | None = None) -> Tracks:
        """The next frame's tracks, each taken to be a sure detection."""
        boxes = next(self._shown)
        count, nothing = len(boxes), np.zeros(len(boxes), np.float32)
        corners = boxes.xyxy.astype(np.float32)
        corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2])
        ids = boxes.track_id + 1  # some peers count from 0
        return Tracks(corners, nothing + 1, np.zeros(count, np.int32), ids, nothing, nothing)

    @property
    def ended(self) -> NDArray[np.int64]:
        """Nobody says."""
        return np.zeros(0, np.int64)

    def reset(self) -> NDArray[np.int64]:
        """Nothing to forget."""
        return self.ended


def peer(python: str, tracker: str) -> Runner:
    """Another library's tracker, run by an interpreter that has it; see ``tracking_peer_runner``.

    Behind ``+hindsight`` its tracks are settled like ours.
    """
    tracker, _, hindsight = tracker.partition("+")
    threshold = tracker.partition("@")[2]
    weakest = float(threshold) if threshold else _WEAKEST

    def run(units: Sequence[Unit]) -> list[list[Boxes]]:
        with tempfile.TemporaryDirectory() as scratch:
            given, out = Path(scratch, "in.npz"), Path(scratch, "out.npz")
            _pack(units, weakest, given)
            script = Path(__file__).with_name("tracking_peer_runner.py")
            try:
                subprocess.run([python, str(script), tracker, str(given), str(out)], check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise ConfigError(f"peer {tracker}: {python} could not run it ({error})") from error
            shown = _unpack(units, out)
        if not hindsight:
            return shown
        return [follow(_Recorded(each), unit, hindsight=True) for each, unit in zip(shown, units, strict=True)]

    return run


def measure(runner: Runner, units: Sequence[Unit]) -> Measured:
    """The figures of each unit, means over its worlds."""
    everywhere = every_world(units)
    found: dict[str, list[list[float]]] = defaultdict(list)
    for unit, shown in zip(everywhere, runner(everywhere), strict=True):
        figures = judge(shown, unit)
        found[unit.label].append([figures.mota, figures.idf1, figures.hota])
    return {label: np.mean(each, axis=0) for label, each in found.items()}


class Gain(NamedTuple):
    """What a candidate gains over another, in the mean of the three measures.

    Attributes:
        mean, error: over scenes, and its standard error.
        worst, worst_unit: the least gain of any unit.
        wins: part of the units that gain.
    """

    mean: float
    error: float
    worst: float
    worst_unit: str
    wins: float


def by_scene(measured: Measured, units: Sequence[Unit]) -> dict[str, NDArray[np.float64]]:
    """Means over the units of each scene."""
    found = defaultdict(list)
    for unit in units:
        found[unit.scene].append(measured[unit.label])
    return {scene: np.mean(each, axis=0) for scene, each in found.items()}


def by_detector(measured: Measured, units: Sequence[Unit]) -> dict[str, NDArray[np.float64]]:
    """Means over the units of each detector, KITTI's cars and people apart."""
    found = defaultdict(list)
    for unit in units:
        kind = {"kcar": " cars", "kped": " people"}.get(unit.name.partition("-")[0], "")
        found[unit.detector + kind].append(measured[unit.label])
    return {name: np.mean(each, axis=0) for name, each in found.items()}


def gain(candidate: Measured, reference: Measured, units: Sequence[Unit]) -> Gain:
    """What the candidate gains."""
    each = {unit.label: float((candidate[unit.label] - reference[unit.label]).mean()) for unit in units}
    scenes = np.array(
        [
            (there - here).mean()
            for there, here in zip(
                by_scene(candidate, units).values(), by_scene(reference, units).values(), strict=True
            )
        ]
    )
    worst = min(each, key=lambda label: each[label])
    return Gain(
        mean=float(scenes.mean()),
        error=float(scenes.std(ddof=1) / np.sqrt(len(scenes))) if len(scenes) > 1 else float("inf"),
        worst=each[worst],
        worst_unit=worst,
        wins=float(np.mean([value > 0 for value in each.values()])),
    )


class Chosen(NamedTuple):
    """A choice by leaving out one scene at a time.

    Attributes:
        name: the best over all scenes.
        votes: how many of the choices without one scene fell on it, as a part of all.
        figures: MOTA, IDF1, HOTA, means over the scenes, each by what was chosen without it.
    """

    name: str
    votes: float
    figures: NDArray[np.float64]


def choose(candidates: Mapping[str, Measured], units: Sequence[Unit]) -> Chosen:
    """The best candidate in the mean of the three measures, and what such a choice is worth on a scene not seen."""
    names = list(candidates)
    table = np.array([list(by_scene(candidates[name], units).values()) for name in names])  # (names, scenes, 3)
    worth = table.mean(axis=2)
    best = int(np.argmax(worth.mean(axis=1)))
    held_out, votes = [], 0
    for scene in range(worth.shape[1]):
        without = int(np.argmax(np.delete(worth, scene, axis=1).mean(axis=1)))
        votes += without == best
        held_out.append(table[without, scene])
    return Chosen(names[best], votes / worth.shape[1], np.mean(held_out, axis=0))


def report(candidates: Mapping[str, Measured], units: Sequence[Unit]) -> str:
    """Every candidate's figures, its gain over the first, and the choice, as text."""
    reference = next(iter(candidates.values()))
    groups = list(by_detector(reference, units))
    width = max(len(name) for name in candidates) + 2
    lines = ["MOTA / IDF1 / HOTA", " " * width + "".join(f"{name:>22}" for name in [*groups, "scenes"])]
    for name, measured in candidates.items():
        cells = list(by_detector(measured, units).values())
        cells.append(np.mean(list(by_scene(measured, units).values()), axis=0))
        lines.append(f"{name:{width}}" + "".join(f"{' / '.join(f'{each:.1f}' for each in cell):>22}" for cell in cells))
    lines += ["", f"against {next(iter(candidates))}: gain, standard error, units won, worst scene, worst unit"]
    for name, measured in candidates.items():
        if measured is reference:
            continue
        found = gain(measured, reference, units)
        scenes = {
            scene: float((figures - by_scene(reference, units)[scene]).mean())
            for scene, figures in by_scene(measured, units).items()
        }
        scene = min(scenes, key=lambda each: scenes[each])
        lines.append(
            f"{name:{width}}{found.mean:+6.2f} {found.error:5.2f} {100 * found.wins:4.0f}%"
            f"   {scenes[scene]:+6.2f} {scene:16} {found.worst:+6.2f} {found.worst_unit}"
        )
    chosen = choose(candidates, units)
    figures = " / ".join(f"{each:.1f}" for each in chosen.figures)
    lines += ["", f"chosen: {chosen.name} ({100 * chosen.votes:.0f}% of the choices without one scene)"]
    lines.append(f"a choice without a scene gives there, in the mean over scenes: {figures}")
    return "\n".join(lines)


def _boxes(tracks: Tracks) -> Boxes:
    return Boxes(tracks.track_id, tracks.xyxy.astype(np.float64))


def _pack(units: Sequence[Unit], weakest: float, path: Path) -> None:
    number, parts = 0, []
    for unit in units:
        for found in unit.detections:
            strong = found.select(found.score >= weakest)
            parts.append((strong.xyxy, strong.score, np.full(len(strong), number)))
            number += 1
    boxes, score, frame = (np.concatenate(part) for part in zip(*parts, strict=True))
    arrays: dict[str, Any] = {"boxes": boxes, "score": score, "frame": frame}
    np.savez(path, frames=[len(unit.truth) for unit in units], fps=[unit.fps for unit in units], **arrays)


def _unpack(units: Sequence[Unit], path: Path) -> list[list[Boxes]]:
    with np.load(path) as file:
        boxes, track_id, frame = file["boxes"], file["track_id"], file["frame"]
    total = sum(len(unit.truth) for unit in units)
    ends = np.searchsorted(frame, np.arange(total + 1))
    shown = [
        Boxes(track_id[first:last].astype(np.int64), boxes[first:last].astype(np.float64))
        for first, last in pairwise(ends.tolist())
    ]
    lengths = np.cumsum([0, *(len(unit.truth) for unit in units)]).tolist()
    return [shown[first:last] for first, last in pairwise(lengths)]
