"""The picture of a camera that is away: its last one, darker, with the time since when."""

from __future__ import annotations

from datetime import datetime

from pipeline.types import Image
from sinks.drawing.lettering import lettering

# BGR.
_COLOR = (60, 60, 230)
_LIGHT_LEFT = 0.45


def away(picture: Image, since: datetime) -> Image:
    """A copy of a camera's last picture that says that it is away: uint8 ``(height, width, 3)``, BGR.

    Args:
        picture: the last there is.
        since: when the camera went.
    """
    dark: Image = (picture * _LIGHT_LEFT).astype(picture.dtype)
    unit = max(1.0, min(picture.shape[:2]) / 480)
    plate = lettering(max(8, round(14 * unit))).plate(f"offline since {since:%H:%M:%S}", _COLOR)
    plate = plate[: picture.shape[0], : picture.shape[1]]
    dark[-plate.shape[0] :, : plate.shape[1]] = plate
    return dark
