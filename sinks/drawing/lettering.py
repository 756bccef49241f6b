"""Colours and text for drawing: a colour per track id, and labels set from a cached alphabet.

OpenCV's vector fonts look coarse at label sizes. Here each character is drawn once, large, and shrunk; labels are then
put together from those masks, which is also faster than drawing text.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Image
from sinks.drawing.colors import Color, _ramp

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Size at which characters are drawn before they are shrunk, relative to the final one.
_OVERSIZE = 8
# Labels kept ready-made, per letter size.
_KEPT_LABELS = 512


@lru_cache(maxsize=16)
def lettering(cap_height: int) -> Lettering:
    """The labels whose capitals are so many pixels high; the same again where the same is asked for."""
    return Lettering(cap_height)


class Lettering:
    """Labels of one letter size.

    Args:
        cap_height: height of a capital letter in pixels.
    """

    def __init__(self, cap_height: int) -> None:
        self._cap_height = cap_height
        self._padding = max(2, round(cap_height * 0.35))
        self._glyphs = {chr(code): self._glyph(chr(code)) for code in range(32, 127)}
        self._kept = lru_cache(maxsize=_KEPT_LABELS)(self._set)

    def plate(self, text: str, background: Color) -> Image:
        """A label ready to be copied into a picture: uint8 ``(height, width, 3)`` BGR, not to be changed."""
        return self._kept(text, background)

    def _set(self, text: str, background: Color) -> Image:
        mask = np.hstack(
            [self._margin, *(self._glyphs.get(letter, self._glyphs["?"]) for letter in text), self._margin]
        )
        plate: Image = _ramp(background)[mask]
        plate.flags.writeable = False
        return plate

    @property
    def _margin(self) -> NDArray[np.uint8]:
        return np.zeros((self._glyphs[" "].shape[0], self._padding), np.uint8)

    def _glyph(self, letter: str) -> NDArray[np.uint8]:
        """The coverage of one character, 0 to 255, uint8 ``(height, advance)``; all have the same height."""
        large_cap = self._cap_height * _OVERSIZE
        stroke = max(1, round(large_cap * 0.14))
        scale = cv2.getFontScaleFromHeight(_FONT, large_cap, 1)
        descent = round(self._cap_height * 0.38)
        height = self._cap_height + descent + 2 * self._padding - descent // 2
        advance = max(1, round(cv2.getTextSize(letter, _FONT, scale, 1)[0][0] / _OVERSIZE))
        large = np.zeros((height * _OVERSIZE, advance * _OVERSIZE), np.uint8)
        baseline = (self._padding + self._cap_height) * _OVERSIZE
        cv2.putText(large, letter, (0, baseline), _FONT, scale, 255, stroke, cv2.LINE_AA)
        return np.asarray(cv2.resize(large, (advance, height), interpolation=cv2.INTER_AREA), np.uint8)
