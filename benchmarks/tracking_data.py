"""Sequences with ground truth for judging trackers, and other worlds made of them.

A sequence is a folder in the MOT Challenge's format: ``det/det.txt``, ``gt/gt.txt``, ``seqinfo.ini``, and, for KITTI,
``ignore.txt``. Everything is read once and kept as arrays per frame, so that thousands of runs need no files.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, SourceNotFoundError
from pipeline.types import Detections

Table = NDArray[np.float64]

# How far a disturbance goes: boxes by this part of their size, scores by this much, and this part left out.
_DISTURBANCE = 0.01
SEEDS = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """What is in one frame: ``track_id`` int64 ``(N,)`` and ``xyxy`` float64 ``(N, 4)`` in pixels."""

    track_id: NDArray[np.int64]
    xyxy: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.track_id)


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One sequence as one detector saw it: what a tracker is judged on.

    Attributes:
        name: of the sequence.
        detector: whose detections these are.
        scene: sequences of one recording share it, whatever detector or kind of object.
        world: ``as it is``, ``backwards``, ``half rate``, ``half rate backwards``.
        fps: frames per second.
        detections: what the detector found, a frame each; one class.
        truth: the ground truth, a frame each.
        neighbours: objects of a neighbouring class; a track on one counts neither way.
        unclear: regions whose content the ground truth does not tell; what lies in them counts neither way.
    """

    name: str
    detector: str
    scene: str
    fps: float
    detections: tuple[Detections, ...]
    truth: tuple[Boxes, ...]
    neighbours: tuple[Boxes, ...]
    unclear: tuple[Boxes, ...]
    world: str = "as it is"

    @property
    def label(self) -> str:
        """Sequence and detector."""
        return f"{self.name} {self.detector}"

    def frames(self, chosen: slice, *, fps: float, world: str) -> Unit:
        """Some of the frames as a unit of its own."""
        parts = {name: getattr(self, name)[chosen] for name in ("detections", "truth", "neighbours", "unclear")}
        return replace(self, fps=fps, world=world, **parts)


def read_text(path: Path) -> Table:
    """A MOT text file as float64 ``(rows, columns)``: frame from 1, id, left, top, width, height, score, ..."""
    if not path.is_file():
        raise SourceNotFoundError(f"{path}: no such file; expected MOT text there")
    if not path.stat().st_size:
        return np.zeros((0, 10))
    return np.loadtxt(path, delimiter=",", ndmin=2)


def sequence_info(folder: Path) -> tuple[int, float]:
    """``(frames, frames per second)`` as ``seqinfo.ini`` states them, else as the ground truth ends, at 25."""
    info = configparser.ConfigParser()
    if info.read(folder / "seqinfo.ini"):
        return info.getint("Sequence", "seqLength"), info.getfloat("Sequence", "frameRate")
    return int(read_text(folder / "gt" / "gt.txt")[:, 0].max()), 25.0


def read_detections(folder: Path, frames: int | None = None) -> list[Detections]:
    """``det/det.txt`` of a sequence, one ``Detections`` per frame; MOT's x, y, w, h and a score within [0, 1]."""
    table = read_text(folder / "det" / "det.txt")
    found = []
    for rows in _by_frame(table, sequence_info(folder)[0] if frames is None else frames):
        score = np.clip(rows[:, 6], 0.0, 1.0)
        found.append(Detections(_corners(rows[:, 2:6]).astype(np.float32), score.astype(np.float32), _one_class(rows)))
    return found


def find_sequences(mot: Path, wanted: str | None = None) -> list[str]:
    """Names of the sequences below ``mot``: those in the comma-separated ``wanted``, or all."""
    there = sorted(path.parent.parent.name for path in mot.glob("*/det/det.txt"))
    names = [name.strip() for name in wanted.split(",")] if wanted else there
    missing = [name for name in names if name not in there]
    if missing or not names:
        raise ConfigError(f"{mot}: no sequence {', '.join(missing) or 'at all'}; it holds {', '.join(there) or 'none'}")
    return names


def read_unit(folder: Path, detector: str, detections: Path | None = None, fps: float | None = None) -> Unit:
    """A sequence's folder as a unit.

    Args:
        folder: of the sequence, with the ground truth.
        detector: what to call the detector.
        detections: folder whose ``det/det.txt`` to take instead of the sequence's own.
        fps: frames per second, if not those of ``seqinfo.ini``.
    """
    frames, stated_fps = sequence_info(folder)
    truth = read_text(folder / "gt" / "gt.txt")
    truth = truth[truth[:, 6] != 0]  # as TrackEval does
    ignored = np.zeros((0, 6))
    if (folder / "ignore.txt").is_file():
        ignored = read_text(folder / "ignore.txt")
    return Unit(
        name=folder.name,
        detector=detector,
        scene=_scene(folder.name),
        fps=stated_fps if fps is None else fps,
        detections=tuple(read_detections(folder if detections is None else detections, frames)),
        truth=_boxes(truth[:, :6], frames),
        neighbours=_boxes(ignored[ignored[:, 1] == 1], frames),
        unclear=_boxes(ignored[ignored[:, 1] == 0], frames),
    )


def read_units(data: Path, recorded: Path | None) -> list[Unit]:
    """Every unit there is: MOT15 and KITTI with the detections that come with them, and recorded ones end to end.

    Args:
        data: the evaluation data, with ``mot15`` and ``kitti``.
        recorded: ``DETECTOR/SEQ/det/det.txt`` of sequences of ``mot15``, at the rate of the clip that was looked at.
    """
    units = [read_unit(data / "mot15" / name, "sort") for name in find_sequences(data / "mot15")]
    units += [read_unit(data / "kitti" / name, "pointrcnn") for name in find_sequences(data / "kitti")]
    if recorded is None:
        return units
    for folder in sorted(path for path in recorded.iterdir() if path.is_dir()):
        for name in find_sequences(folder):
            # vtest.avi shows the frames of PETS09-S2L1 at 10 a second, not at the 7 of the sequence.
            fps = {"PETS09-S2L1": 10.0}.get(name)
            units.append(read_unit(data / "mot15" / name, folder.name, folder / name, fps))
    return units


def worlds(unit: Unit) -> list[Unit]:
    """The unit as it is, played backwards, at half the frame rate, and both."""
    half = unit.fps / 2
    return [
        unit,
        unit.frames(slice(None, None, -1), fps=unit.fps, world="backwards"),
        unit.frames(slice(None, None, 2), fps=half, world="half rate"),
        unit.frames(slice(None, None, -2), fps=half, world="half rate backwards"),
    ]


def disturbed(unit: Unit, seed: int) -> Unit:
    """The unit with boxes changed by 1% of their size, scores by 0.01, and one detection in 100 left out."""
    random = np.random.default_rng(seed)
    return replace(unit, detections=tuple(_disturb(found, random) for found in unit.detections))


def _disturb(found: Detections, random: np.random.Generator) -> Detections:
    size = np.tile(found.xyxy[:, 2:] - found.xyxy[:, :2], 2)
    # Corners that stay corners: no box is turned inside out by so little.
    xyxy = found.xyxy + random.normal(0.0, _DISTURBANCE, found.xyxy.shape).astype(np.float32) * size
    score = np.clip(found.score + random.normal(0.0, _DISTURBANCE, len(found)), 0.0, 1.0).astype(np.float32)
    kept = random.random(len(found)) >= _DISTURBANCE
    xyxy[:, 2:] = np.maximum(xyxy[:, 2:], xyxy[:, :2])
    return Detections(xyxy[kept], score[kept], found.class_id[kept])


def every_world(units: Iterable[Unit], change: Callable[[Unit], Unit] = lambda unit: unit) -> list[Unit]:
    """All worlds of all units, each unit changed first."""
    return [world for unit in units for world in worlds(change(unit))]


def _scene(name: str) -> str:
    kind, _, number = name.partition("-")
    return f"kitti-{number}" if kind in ("kcar", "kped") else name


def _by_frame(table: Table, frames: int) -> list[Table]:
    return [table[table[:, 0] == frame] for frame in range(1, frames + 1)]


def _corners(boxes: Table) -> Table:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]], axis=1)


def _boxes(table: Table, frames: int) -> tuple[Boxes, ...]:
    return tuple(Boxes(rows[:, 1].astype(np.int64), _corners(rows[:, 2:6])) for rows in _by_frame(table, frames))


def _one_class(rows: Table) -> NDArray[np.int32]:
    return np.zeros(len(rows), np.int32)
