"""Results to and from what other libraries hold: supervision, pandas, Polars, COCO, MOT.

A library is imported only by the function that needs it; it is none of Sightline's own requirements. ``objects`` may be
a `Result`, `Detections` or `Tracks`, or several of them one after the other, such as the loop of ``analyze``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.errors import ConfigError
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.objects import DetectedObject, TrackedObject, class_name_of
from pipeline.types import Detections, Tracks
from sinks.callback_results import FrameResult
from sinks.files.coco_results import category_ids
from sinks.files.mot import mot_rows

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import supervision as sv

Found: TypeAlias = FrameResult | Detections

# The columns of a table, and how each is read from an object of a frame.
_COLUMNS = (
    *("stream", "frame", "pts_s", "track_id", "class", "score", "left", "top", "right", "bottom"),
    *("age_s", "unseen_s", "zones", "speed_mps"),
)


def to_supervision(objects: Found) -> sv.Detections:
    """One frame's objects as ``supervision.Detections``, with ``tracker_id`` and ``data["class_name"]``.

    Raises:
        ConfigError: supervision is not installed, or it is not one frame's.
    """
    if not isinstance(objects, FrameResult | Detections):
        kind = type(objects).__name__
        raise ConfigError(f"to_supervision: got {kind}, expected the result, tracks or detections of one frame")
    library = _library("supervision")
    found = _arrays(objects)
    names = tuple(found.class_names)
    detections: sv.Detections = library.Detections(
        xyxy=found.xyxy,
        confidence=found.score,
        class_id=found.class_id.astype(int),
        tracker_id=found.track_id.astype(int) if isinstance(found, Tracks) else None,
        data={"class_name": np.array([class_name_of(names, number) for number in found.class_id.tolist()], str)},
    )
    return detections


def from_supervision(detections: sv.Detections, class_names: Sequence[str] = ()) -> Detections:
    """What a ``supervision.Detections`` holds, as `Tracks` where it has ``tracker_id``, else as `Detections`.

    Args:
        detections: without scores they get 1, without classes 0. Of tracks neither age nor gaps are known: both are 0.
        class_names: of the model; without them, those in ``data["class_name"]`` are taken.
    """
    count = len(detections.xyxy)
    class_id = np.zeros(count, np.int32) if detections.class_id is None else detections.class_id.astype(np.int32)
    told = detections.data.get("class_name")
    if not class_names and told is not None and count:
        by_id = dict(zip(class_id.tolist(), map(str, told), strict=True))
        class_names = [by_id.get(number, f"class {number}") for number in range(max(by_id) + 1)]
    score = np.ones(count, np.float32) if detections.confidence is None else detections.confidence.astype(np.float32)
    xyxy = np.asarray(detections.xyxy, np.float32)
    if detections.tracker_id is None:
        return Detections(xyxy, score, class_id, class_names=class_names)
    nothing = np.zeros(count, np.float32)
    ids = detections.tracker_id.astype(np.int64)
    return Tracks(xyxy, score, class_id, track_id=ids, age_s=nothing, unseen_s=nothing, class_names=class_names)


def to_pandas(objects: Found | Iterable[Found]) -> pd.DataFrame:
    """A table with a row for each object of each frame.

    Columns: ``stream``, ``frame``, ``pts_s`` (None where they are not known), ``track_id``, ``class``, ``score``,
    ``left``, ``top``, ``right``, ``bottom`` in pixels, ``age_s``, ``unseen_s``, ``zones`` (names, comma between them),
    ``speed_mps``.

    Raises:
        ConfigError: pandas is not installed.
    """
    table: pd.DataFrame = _library("pandas").DataFrame(_columns(objects))
    return table


def to_polars(objects: Found | Iterable[Found]) -> pl.DataFrame:
    """The same table as ``to_pandas``, of Polars.

    Raises:
        ConfigError: Polars is not installed.
    """
    table: pl.DataFrame = _library("polars").DataFrame(_columns(objects))
    return table


def to_coco(objects: Found | Iterable[Found], file_names: Sequence[str] = ()) -> dict[str, Any]:
    """COCO's format: ``images``, ``annotations`` with a ``score`` and, of tracks, a ``track_id``, and ``categories``.

    Category ids are COCO's own, from 1 to 90, where the classes are COCO's, else the place of the class, from 1.

    Args:
        objects: one image after the other; their numbers are the images' ids, from 1.
        file_names: of the images, in their order; without them each is called by its stream and number.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: Sequence[str] = COCO_CLASS_NAMES
    ids = category_ids(names)
    for number, found in enumerate(_frames(objects)):
        arrays = _arrays(found)
        if arrays.class_names and arrays.class_names is not names:
            names = arrays.class_names
            ids = category_ids(names)
        image: dict[str, Any] = {"id": number + 1}
        if isinstance(found, FrameResult):
            image |= {"file_name": f"{found.stream}-{found.index:06}", "width": found.width, "height": found.height}
        if number < len(file_names):
            image["file_name"] = file_names[number]
        images.append(image)
        for thing in arrays:
            left, top, width, height = thing.xywh
            annotation = {
                "id": len(annotations) + 1,
                "image_id": number + 1,
                "category_id": ids[thing.class_id],
                "bbox": [left, top, width, height],
                "area": width * height,
                "iscrowd": 0,
                "score": thing.score,
            }
            annotations.append(annotation | _identity(thing))
    categories = [{"id": number, "name": name} for number, name in zip(ids, names, strict=True)]
    return {"images": images, "annotations": annotations, "categories": categories}


def to_mot(objects: FrameResult | Tracks | Iterable[FrameResult | Tracks]) -> str:
    """MOT Challenge text, as ``--tracks`` writes it: ``frame,id,left,top,width,height,score,-1,-1,-1``.

    Frames count from 1: by their number in the stream, or where `Tracks` are given, by their place.

    Raises:
        ConfigError: objects without ids.
    """
    rows: list[str] = []
    for number, found in enumerate(_frames(objects)):
        tracks = _arrays(found)
        if not isinstance(tracks, Tracks):
            raise ConfigError("to_mot: got detections, expected tracks, which have ids")
        rows.append(mot_rows(found.index if isinstance(found, FrameResult) else number, tracks))
    return "".join(rows)


def _frames(objects: Found | Iterable[Found]) -> Iterator[Found]:
    if isinstance(objects, FrameResult | Detections):
        yield objects
    else:
        yield from objects


def _arrays(found: Found) -> Detections:
    return found.tracks if isinstance(found, FrameResult) else found


def _columns(objects: Found | Iterable[Found]) -> dict[str, list[Any]]:
    rows: list[tuple[Any, ...]] = []
    for found in _frames(objects):
        result = found if isinstance(found, FrameResult) else None
        place = (None, None, None) if result is None else (result.stream, result.index, result.pts_s)
        things: Iterable[DetectedObject] = found.objects if isinstance(found, FrameResult) else found
        rows += [(*place, *_cells(thing)) for thing in things]
    columns = zip(*rows, strict=True) if rows else ([] for _ in _COLUMNS)
    return dict(zip(_COLUMNS, map(list, columns), strict=True))


def _cells(thing: DetectedObject) -> tuple[Any, ...]:
    if not isinstance(thing, TrackedObject):
        return (None, thing.class_name, thing.score, *thing.xyxy, None, None, None, None)
    zones = ",".join(thing.zones)
    known = (thing.age_s, thing.unseen_s, zones, thing.speed_mps)
    return (thing.track_id, thing.class_name, thing.score, *thing.xyxy, *known)


def _identity(thing: DetectedObject) -> dict[str, int]:
    return {"track_id": thing.track_id} if isinstance(thing, TrackedObject) else {}


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigError(f"{name} is not installed; get it with: pip install {name}") from error
