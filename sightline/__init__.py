"""Real-time video analytics: tracked objects, counts and events from any video file or camera.

    import sightline

    for result in sightline.analyze("clip.mp4", classes=["person"]):
        print(result.pts_s, [thing.track_id for thing in result.objects])

Importing it is cheap: what it has loads when it is first asked for.

batch        Many files one after the other, each as a run of its own
commands     The command line: one module a command
composition  From a configuration to a pipeline with its trackers and sinks
config       From YAML and options to a checked configuration
doctor       What this machine and a source can do, and what holds them back
imageai      ImageAI's classes on Sightline's pipeline: a script runs when its import line becomes
library      What a program calls: the loop over results, detect, track, draw, conversions
server       Ways into a pipeline that is running
terminal     What a person sees in the terminal: progress, live rates, the summary
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.sources.opening import open_source
    from pipeline.types import Detections, Frame, Tracks
    from sightline.composition.pipeline import build_pipeline
    from sightline.config.loading import load_config
    from sightline.library.analysis import Analysis, analyze
    from sightline.library.conversions import (
        from_supervision,
        to_coco,
        to_mot,
        to_pandas,
        to_polars,
        to_supervision,
    )
    from sightline.library.pictures import detect, draw
    from sightline.library.result import Result
    from sightline.library.tracking import track
    from sinks.drawing.annotator import Annotator

__all__ = [
    "Analysis",
    "Annotator",
    "Detections",
    "Frame",
    "PipelineError",
    "Result",
    "Tracks",
    "analyze",
    "build_pipeline",
    "detect",
    "draw",
    "from_supervision",
    "load_config",
    "open_source",
    "to_coco",
    "to_mot",
    "to_pandas",
    "to_polars",
    "to_supervision",
    "track",
]

_HOMES = {
    "Analysis": "sightline.library.analysis",
    "Annotator": "sinks.drawing.annotator",
    "Detections": "pipeline.types",
    "Frame": "pipeline.types",
    "PipelineError": "pipeline.errors",
    "Result": "sightline.library.result",
    "Tracks": "pipeline.types",
    "analyze": "sightline.library.analysis",
    "build_pipeline": "sightline.composition.pipeline",
    "detect": "sightline.library.pictures",
    "draw": "sightline.library.pictures",
    "from_supervision": "sightline.library.conversions",
    "load_config": "sightline.config.loading",
    "open_source": "pipeline.sources.opening",
    "to_coco": "sightline.library.conversions",
    "to_mot": "sightline.library.conversions",
    "to_pandas": "sightline.library.conversions",
    "to_polars": "sightline.library.conversions",
    "to_supervision": "sightline.library.conversions",
    "track": "sightline.library.tracking",
}


def _refuse_strangers() -> None:
    """Say what else is called like a part of Sightline, before it fails in other words.

    Raises:
        ImportError: a file or package of that name comes before Sightline's own on ``sys.path``.
    """
    for name in ("pipeline", "sinks", "trackers"):
        own = Path(__file__).parents[1] / name / "__init__.py"
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ImportError(f"Sightline's package {name!r} is missing: install Sightline again")
        if spec.origin != str(own) and not (own.exists() and own.samefile(spec.origin)):
            raise ImportError(
                f"Sightline's package {name!r} is hidden by {spec.origin}: rename that, or keep it off sys.path"
            )


_refuse_strangers()


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
