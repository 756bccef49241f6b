"""The families of networks: how each reads its picture and writes its boxes.

What stands here is what each project's own exporter and post-processing do; docs/models.md says what was checked
against what. All of it but the layout can be set by hand, see `pipeline.models.networks.onnx_network.OnnxOptions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.detection.onnx import matching
from pipeline.detection.onnx.layouts import darknet, distances, finished, grid, queries, rows
from pipeline.detection.onnx.layouts.base import Layout
from pipeline.detection.onnx.matching import Matcher
from pipeline.images.letterbox import LETTERBOX_VALUE, Placement
from pipeline.models.networks.onnx_network import Color
from pipeline.models.registry import DEFAULT_CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Networks that read pictures and write boxes in the same way.

    Attributes:
        title: what people call them.
        match: finds its outputs.
        layout: from those outputs to boxes.
        color: order of the channels.
        range: of the values, a name of `VALUE_RANGES`; a network whose input is uint8 takes them as they are.
        placement: where the picture lies in the input.
        pad: value of every channel where there is no picture.
        logits: whether scores are still to go through a sigmoid.
        nms: whether no overlapping boxes are left to suppress.
        reshapes: whether its boxes are decoded here, for an input of any size, and not by constants inside it that were
            made for one size.
        alone: whether pictures go through it one at a time, since its outputs are not one row of numbers a picture.
        names: outputs that are always called so, where shapes don't tell the family from another.
        written: what the exporter's description has to say, in lower case and without dashes, where shapes don't tell.
        confidence: smallest score to report where nothing else is asked for, by the rule of
            `benchmarks/default_confidence.py` where weights were there to be measured.
        exponentials: whether the network itself takes exponentials, where shapes don't tell; None for either.
    """

    title: str
    match: Matcher
    layout: Layout
    color: Color = "rgb"
    range: str = "0-1"
    placement: Placement = "centred"
    pad: int = 114
    logits: bool = False
    nms: bool = False
    reshapes: bool = False
    alone: bool = False
    names: frozenset[str] = frozenset()
    written: str = ""
    exponentials: bool | None = None
    confidence: float = DEFAULT_CONFIDENCE


# Of YOLOX-nano and NanoDet-m; others of their families were trained in the same way.
_YOLOX_CONFIDENCE, _NANODET_CONFIDENCE = 0.35, 0.4

_YOLOV3_ANCHORS = (
    ((116, 90), (156, 198), (373, 326)),
    ((30, 61), (62, 45), (59, 119)),
    ((10, 13), (16, 30), (33, 23)),
)

FAMILIES: Mapping[str, Family] = {
    "yolox": Family(
        title="YOLOX",
        match=matching.match_grid,
        layout=grid.decode_offsets,
        color="bgr",
        range="0-255",
        placement="top-left",
        reshapes=True,
        exponentials=False,
        confidence=_YOLOX_CONFIDENCE,
    ),
    "yolox-decoded": Family(
        title="YOLOX, decoded inside",
        match=matching.match_grid,
        layout=rows.decode_rows_with_objectness,
        color="bgr",
        range="0-255",
        placement="top-left",
        exponentials=True,
        confidence=_YOLOX_CONFIDENCE,
    ),
    "yolov5": Family(
        title="YOLOv5 or YOLOv7", match=matching.match_anchored_rows, layout=rows.decode_rows_with_objectness
    ),
    "yolov8": Family(title="YOLOv8, 9, 11 or 12", match=matching.match_columns, layout=rows.decode_columns),
    "end-to-end": Family(
        title="YOLOv10, YOLO26 or suppression inside",
        match=matching.match_corner_rows,
        layout=finished.decode_corner_rows,
        nms=True,
    ),
    "yolov7-nms": Family(
        title="YOLOv7 with suppression inside",
        match=matching.match_numbered_rows,
        layout=finished.decode_numbered_rows,
        nms=True,
        alone=True,
    ),
    "counted": Family(
        title="boxes with their number, suppression inside",
        match=matching.match_counted,
        layout=finished.decode_counted,
        nms=True,
    ),
    "rt-detr": Family(
        title="RT-DETR, D-FINE or DEIM",
        match=matching.match_labels,
        layout=queries.decode_labels,
        placement="stretched",
        nms=True,
    ),
    "rt-detr-logits": Family(
        title="RT-DETR or D-FINE with logits",
        match=matching.match_logits,
        layout=queries.decode_logits,
        placement="stretched",
        logits=True,
        nms=True,
        names=frozenset({"logits", "pred_boxes"}),
    ),
    "rt-detr-rows": Family(
        title="Ultralytics' RT-DETR",
        match=matching.match_query_rows,
        layout=queries.decode_query_rows,
        placement="stretched",
        nms=True,
        written="rtdetr",
    ),
    "rt-detr-finished": Family(
        title="Ultralytics' RT-DETR, best classes only",
        match=matching.match_corner_rows,
        layout=queries.decode_finished_parts,
        placement="stretched",
        nms=True,
        written="rtdetr",
    ),
    "rf-detr": Family(
        title="RF-DETR",
        match=matching.match_spare_logits,
        layout=queries.decode_spare_logits,
        range="imagenet",
        placement="stretched",
        logits=True,
        nms=True,
        names=frozenset({"dets", "labels"}),
    ),
    "nanodet-plus": Family(
        title="NanoDet-Plus",
        match=matching.match_distances_plus,
        layout=distances.decode_plus,
        color="bgr",
        range="imagenet",
        placement="stretched",
        reshapes=True,
        confidence=_NANODET_CONFIDENCE,
    ),
    "nanodet": Family(
        title="NanoDet",
        match=matching.match_distances,
        layout=distances.decode_joined,
        color="bgr",
        range="imagenet",
        pad=0,
        reshapes=True,
        confidence=_NANODET_CONFIDENCE,
    ),
    "nanodet-levels": Family(
        title="NanoDet, an output for each grid",
        match=matching.match_distances_by_level,
        layout=distances.decode_by_level,
        color="bgr",
        range="imagenet",
        pad=0,
        reshapes=True,
        confidence=_NANODET_CONFIDENCE,
    ),
    "yolo-nas": Family(
        title="YOLO-NAS", match=matching.match_corners_and_scores, layout=rows.decode_corners_and_scores
    ),
    "darknet": Family(
        title="Darknet's heads",
        match=matching.match_maps,
        layout=darknet.MapDecoder(_YOLOV3_ANCHORS),
        pad=LETTERBOX_VALUE,
        logits=True,
        reshapes=True,
    ),
    "yolov4-boxes": Family(
        title="YOLOv3 or YOLOv4 from PyTorch",
        match=matching.match_boxes_and_confidences,
        layout=darknet.decode_boxes_and_confidences,
        placement="stretched",
    ),
}
"""By the name that ``family`` has in a configuration."""
