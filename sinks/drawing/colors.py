"""Colours of tracks, and of text that stands on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pipeline.types import Image

Color = tuple[int, int, int]
_GOLDEN = (math.sqrt(5) - 1) / 2
# Colours this far apart in OKLab are told apart at a glance; so many others are tried for one that is.
_APART, _ATTEMPTS, _STRIDE = 0.14, 8, 5
_DARK, _LIGHT = (24, 20, 16), (255, 255, 255)


@lru_cache(maxsize=4096)
def track_color(track_id: int) -> Color:
    """The colour of a track, BGR: always the same for an id, and far from those of the ids near it.

    Hues follow the golden angle, at even lightness in the OKLCH colour space (Ottosson, "A perceptual color space for
    image processing", 2020), so that none is too dark or too pale to see.
    """
    hue = 2 * math.pi * ((track_id * _GOLDEN + 0.08) % 1)
    lightness = (0.74, 0.66, 0.82)[track_id % 3]
    # The strongest colour of that hue and lightness that a screen can show.
    chroma = 0.22
    while (rgb := _oklch_to_rgb(lightness, chroma, hue)) is None:
        chroma -= 0.005
    red, green, blue = rgb
    return blue, green, red


def color_apart(track_id: int, neighbours: Sequence[Color]) -> Color:
    """The colour of a track, or where a neighbour has one like it another, as far from theirs as there is one.

    Args:
        track_id: whose.
        neighbours: the colours of what is shown near it.
    """
    best, best_distance = track_color(track_id), -1.0
    for attempt in range(_ATTEMPTS):
        color = track_color(track_id + attempt * _STRIDE)
        distance = min((_distance(color, other) for other in neighbours), default=_APART)
        if distance >= _APART:
            return color
        if distance > best_distance:
            best, best_distance = color, distance
    return best


@lru_cache(maxsize=4096)
def _distance(one: Color, other: Color) -> float:
    """How different two colours look: the distance in OKLab, in which black and white are 1 apart."""
    return math.dist(_oklab(one), _oklab(other))


@lru_cache(maxsize=4096)
def _oklab(color: Color) -> tuple[float, float, float]:
    blue, green, red = map(_linear, color)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _linear(value: int) -> float:
    return value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4


def text_color(background: Color) -> Color:
    """Near-black or white, whichever has more contrast (WCAG 2) against ``background``; all are BGR."""
    luminance = _luminance(background)
    dark, light = _luminance(_DARK), _luminance(_LIGHT)
    return _DARK if (luminance + 0.05) ** 2 > (dark + 0.05) * (light + 0.05) else _LIGHT


@lru_cache(maxsize=512)
def _ramp(background: Color) -> Image:
    """From ``background`` at 0 to its text colour at 255: uint8 ``(256, 3)``."""
    share = np.arange(256)[:, np.newaxis] / 255
    colors = np.array(background) * (1 - share) + np.array(text_color(background)) * share
    return np.rint(colors).astype(np.uint8)


def _oklch_to_rgb(lightness: float, chroma: float, hue: float) -> Color | None:
    """sRGB, 0 to 255 each, or None where a screen can't show the colour."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    if min(linear) < 0 or max(linear) > 1:
        return None
    red, green, blue = (
        round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)) for value in linear
    )
    return red, green, blue


def _luminance(color: Color) -> float:
    blue, green, red = map(_linear, color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
