"""What would let this machine carry more cameras, and how many: by what was timed on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sightline.doctor.diagnosis import Load, Remedy
from sightline.doctor.models import TimedModel

_EVERY = (2, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class TimedEngine:
    """What computes the network where the choice is left to the program.

    Attributes:
        name: the engine and its precision.
        fps: pictures per second.
    """

    name: str
    fps: float


def remedies(
    load: Load,
    fps: float,
    *,
    model: str = "",
    models: Sequence[TimedModel] = (),
    automatic: TimedEngine | None = None,
) -> tuple[Remedy, ...]:
    """Settings with which more cameras fit than without, best first.

    Args:
        load: of the stages as they were timed.
        fps: of the cameras.
        model: the one that ``load`` is of, which is compared with those of ``models`` by the times of these.
        models: the published ones.
        automatic: None where the choice was the program's already.
    """
    count, found = load.cameras(fps), []
    if not load.detect:
        return ()
    every = next((number for number in _EVERY if load.cameras(fps, number) > count), None)
    if every is not None:
        looks = f"the detector looks at one frame in {every}"
        found.append(Remedy(f"detect_every: {every}", load.cameras(fps, every), looks))
    if automatic is not None:
        text = f"{automatic.name} does {automatic.fps:.1f} pictures a second, where it is {1 / load.detect:.1f} now"
        cameras = replace(load, detect=1 / automatic.fps).cameras(fps)
        found.append(Remedy("engine and precision left out", cameras, text))
    own = next((each.fps for each in models if each.name == model), None)
    faster = [each for each in models if each.fps is not None and own is not None and each.fps > own]
    if own is not None and faster:
        best = max(faster, key=lambda each: (each.cameras, each.average_precision))
        text = f"{best.fps:.1f} pictures a second, where {model} does {own:.1f}"
        found.append(Remedy(f"--model {best.name}", best.cameras, text))
    if load.encode:
        found.append(Remedy("nothing recorded", replace(load, encode=0.0).cameras(fps), "nothing is encoded"))
    better = [remedy for remedy in found if remedy.cameras > count]
    return tuple(sorted(better, key=lambda remedy: -remedy.cameras))
