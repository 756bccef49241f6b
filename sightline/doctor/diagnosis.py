"""What ``sightline.doctor.examination`` found, and how it is told to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.types import Image, SourceInfo

State = Literal["ok", "warning", "problem"]

# Of the time there is, this much may be used up: the rest is for trackers, outputs and for what else goes on.
_USABLE = 0.8


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: ``problem`` where a run would fail.
        text: one line: what was found, and what to do about it.
    """

    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A source, as read for a few seconds.

    Attributes:
        info: what it says of itself.
        frames: how many were read, and in ``seconds``.
        first_s: seconds from opening it to the first frame.
        longest_gap_s: longest time between two frames.
        cpu_s: processor seconds per frame.
        images: the last of them.
    """

    info: SourceInfo
    frames: int
    seconds: float
    first_s: float
    longest_gap_s: float
    cpu_s: float
    images: tuple[Image, ...]

    @property
    def fps(self) -> float:
        """Frames per second that came: a camera's rate, or how fast a file is decoded."""
        return (self.frames - 1) / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds that all processor cores together need per frame, stage by stage; 0 for what was not timed."""

    decode: float = 0.0
    detect: float = 0.0
    encode: float = 0.0

    @property
    def bottleneck(self) -> str:
        """The stage that takes most; empty when none was timed."""
        stages = {"decode": self.decode, "detect": self.detect, "encode": self.encode}
        slowest = max(stages, key=lambda stage: stages[stage])
        return slowest if stages[slowest] else ""

    def cameras(self, fps: float, detect_every: int = 1) -> int:
        """How many cameras of that rate fit, with some time to spare."""
        per_frame_s = self.decode + self.detect / detect_every + self.encode
        return int(_USABLE / (per_frame_s * fps)) if per_frame_s * fps > 0 else 0


@dataclass(frozen=True, slots=True)
class Remedy:
    """A setting with which a machine carries more cameras.

    Attributes:
        setting: as one writes it.
        cameras: how many it carries then.
        reason: what was timed, or is left out.
    """

    setting: str
    cameras: int
    reason: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found; ``str`` of it is for a person.

    Attributes:
        machine: in one line.
        checks: what was looked at.
        reading: of the source, or None where there was none or it could not be read.
        decode_fps, encode_fps: frames per second of each stage alone; None where it was not timed.
        detect_fps: likewise per number of pictures given to the detector at once.
        shape: of the network's input, ``(height, width)``; None without a detector.
        load: per frame.
        fps: rate of the cameras that are counted.
        remedies: what would make them more, best first.
        models: lines that compare the published models; empty where they were not timed.
    """

    machine: str
    checks: tuple[Check, ...]
    reading: Reading | None
    decode_fps: float | None
    detect_fps: dict[int, float]
    encode_fps: float | None
    shape: tuple[int, int] | None
    load: Load
    fps: float
    remedies: tuple[Remedy, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a run would work."""
        return all(check.state != "problem" for check in self.checks)

    @property
    def cameras(self) -> int:
        """How many such cameras this machine carries when every frame is looked at and recorded."""
        return self.load.cameras(self.fps)

    def __str__(self) -> str:
        marks = {"ok": "  ok       ", "warning": "  warning  ", "problem": "  PROBLEM  "}
        lines = [self.machine, "", *(marks[check.state] + check.text for check in self.checks), ""]
        if self.reading is None:
            lines.append("No pictures of a source: what follows is for drawn ones of 640x480, without decoding.")
        if self.decode_fps is not None:
            lines.append(f"decode  {self.decode_fps:7.1f} frames per second")
        for batch, rate in self.detect_fps.items():
            height, width = self.shape or (0, 0)
            lines.append(f"detect  {rate:7.1f} frames per second, {batch} at a time, {width}x{height}")
        if self.encode_fps is not None:
            lines.append(f"encode  {self.encode_fps:7.1f} frames per second")
        return "\n".join([*lines, *self._conclusion(), *self.models])

    def _conclusion(self) -> list[str]:
        if not self.load.detect:
            return ["", "How many cameras this machine carries is not known: the detector could not be timed."]
        words = {"decode": "decoding the video", "detect": "the detector", "encode": "recording the video"}
        lines = ["", f"The bottleneck is {words[self.load.bottleneck]}."]
        such = f"of {self.fps:g} frames per second"
        if self.cameras:
            lines.append(f"This machine carries {counted(self.cameras)} {such}, recorded and every frame looked at.")
        else:
            lines.append(f"This machine does not keep up with one such camera {such} when every frame is looked at.")
        lines += [f"With {each.setting} it carries {each.cameras}: {each.reason}." for each in self.remedies]
        if not self.cameras and not self.remedies:
            lines.append(
                "Nor with any setting that was tried: ask the camera for a smaller picture, or for fewer of them."
            )
        return lines


def counted(cameras: int) -> str:
    """Such as ``2 such cameras``."""
    return f"{cameras} such camera{'s' * (cameras != 1)}"
