"""The Darknet description of YOLOv3-tiny, as OpenCV's importer reads it."""

from __future__ import annotations

ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"


def tiny_yolov3_cfg(fine_mask: str = "0,1,2", size: int = 416) -> str:
    """The text of a ``yolov3-tiny.cfg``.

    Args:
        fine_mask: anchors of the finer head. The file in circulation says 0,1,2, so that is what its users get,
            although the weights were trained with 1,2,3.
        size: sides of the input in pixels.
    """
    parts = [_section("net", batch=1, width=size, height=size, channels=3)]
    for filters in (16, 32, 64, 128, 256):
        parts += [_convolution(filters, 3), _section("maxpool", size=2, stride=2)]
    parts += [_convolution(512, 3), _section("maxpool", size=2, stride=1)]
    parts += [_convolution(1024, 3), _convolution(256, 1), _convolution(512, 3)]
    parts += [_predictor(), _head("3,4,5")]
    parts += [_section("route", layers="-4"), _convolution(128, 1), _section("upsample", stride=2)]
    parts += [_section("route", layers="-1, 8"), _convolution(256, 3)]
    parts += [_predictor(), _head(fine_mask)]
    return "\n".join(parts)


def _section(name: str, **settings: int | float | str) -> str:
    return f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in settings.items())


def _convolution(filters: int, size: int) -> str:
    return _section("convolutional", batch_normalize=1, filters=filters, size=size, stride=1, pad=1, activation="leaky")


def _predictor() -> str:
    return _section("convolutional", size=1, stride=1, pad=1, filters=255, activation="linear")


def _head(mask: str) -> str:
    return _section("yolo", mask=mask, anchors=ANCHORS, classes=80, num=6, thresh=0.0001)
