"""Where objects were, as a picture laid over the scene."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from pipeline.types import Image
from sinks.html_report.data import StreamData

_PICTURE_WIDTH = 960  # pixels


def _heat_picture(data: StreamData, background: Image | None) -> Image:
    """uint8 ``(height, width, 3)``, BGR: the frame, greyed, with warm colours where objects were."""
    assert data.heat is not None
    given = background if background is not None else data.picture
    width = _PICTURE_WIDTH
    height = max(1, round(width * data.height / data.width))
    if given is None:
        grey = np.full((height, width), 60, np.uint8)
    else:
        smaller: Any = cv2.resize(given, (width, height), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(smaller, cv2.COLOR_BGR2GRAY)
    frame = np.repeat(grey[:, :, None].astype(np.float32) * 0.75, 3, axis=2)
    spread: Any = cv2.GaussianBlur(data.heat, (0, 0), sigmaX=data.heat.shape[1] / 110)
    spread = cv2.resize(spread, (width, height), interpolation=cv2.INTER_CUBIC)
    # A few spots where something stood for long must not hide all others: the scale follows the square root.
    busy = spread[spread > spread.max() * 0.01]
    level = np.sqrt(np.clip(spread / max(float(np.percentile(busy, 99)), 1e-12), 0, 1))
    colour: Any = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = np.clip(level * 1.6, 0, 0.85)[:, :, None]
    blended: Image = np.clip(frame * (1 - opacity) + colour * opacity, 0, 255).astype(np.uint8)
    return blended
