"""How a stored picture is to be displayed: cropped, stretched to square pixels, tone-mapped, turned.

The order is that of the list. It is what the container and the stream say of their pictures; players do the same.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import av
from av.sidedata.sidedata import SideData, Type

from pipeline.images.limits import too_large
from pipeline.images.orientation import UPRIGHT, Orientation
from pipeline.sources.decoding.crop import NO_CROP, Crop
from pipeline.sources.decoding.tone import Curve, curve_of

logger = logging.getLogger(__name__)

# The widest pixels in use are those of 352x576 shown at 16:9: 128:45. What is further from square than this is damage.
_MOST_STRETCHED = 4
# Pixels that are square but for the rounding of somebody's arithmetic.
_NEARLY_SQUARE = 0.005
# Kinds of side data that FFmpeg may know beyond those of this PyAV.
_KINDS_BEYOND = 32


@dataclass(frozen=True, slots=True)
class Display:
    """How pictures of one kind are displayed.

    Attributes:
        crop: what of the stored picture is not shown.
        width, height: of what is shown, in square pixels, before it is turned.
        turned: how it is turned then.
        curve: the wide range or gamut that is mapped to BT.709; None for an ordinary picture.
        alpha: whether it may be transparent, and is laid on white.
        stretched: whether the stored pixels are not square.
    """

    crop: Crop
    width: int
    height: int
    turned: Orientation
    curve: Curve | None
    alpha: bool
    stretched: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels as displayed."""
        return self.turned.displayed_size(self.width, self.height)

    @property
    def plain(self) -> bool:
        """Whether scaling and turning is all there is to do."""
        return self.crop == NO_CROP and self.curve is None and not self.alpha


class DisplayReader:
    """Reads from frames of one stream how they are displayed.

    Args:
        name: what to call the stream in the log.
        crop: what the container says is not shown; it is about pictures as large as the first one.
        opaque: pay no attention to transparency, where the fourth channel is known to be unused.
    """

    def __init__(self, name: str = "", crop: Crop = NO_CROP, *, opaque: bool = False) -> None:
        self._name = name
        self._crop = crop
        self._opaque = opaque
        self._first_size: tuple[int, int] | None = None
        self._seen: tuple[object, ...] | None = None
        self._display: Display | None = None

    def read(self, frame: av.VideoFrame, pixel_aspect: Fraction | None = None) -> Display:
        """How this frame is displayed; ``pixel_aspect`` is the width of its pixels divided by their height."""
        # In PyAV, who asks a frame for its side data ties the two in a circle, and the frame's memory waits for the
        # garbage collector. So all is read once, and again only where something that is told otherwise changes.
        transfer, primaries = frame.color_trc, frame.color_primaries
        seen = (frame.rotation, frame.width, frame.height, frame.format.name, transfer, primaries, pixel_aspect)
        if seen == self._seen and self._display is not None:
            return self._display
        size = (frame.width, frame.height)
        self._first_size = self._first_size or size
        crop = self._crop if size == self._first_size and min(self._crop.size(*size)) > 0 else NO_CROP
        kept = crop.size(*size)
        width, height = self._stretched(*kept, pixel_aspect)
        self._display = Display(
            crop,
            width,
            height,
            orientation_of(frame),
            curve_of(transfer, primaries),
            not self._opaque and _has_alpha(frame.format.name),
            (width, height) != kept,
        )
        self._seen = seen
        return self._display

    def _stretched(self, width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
        """The size in square pixels: one side grows, so that nothing of the picture is lost."""
        if pixel_aspect is None or pixel_aspect <= 0 or abs(pixel_aspect - 1) < _NEARLY_SQUARE:
            return width, height
        size = (round(width * pixel_aspect), height) if pixel_aspect > 1 else (width, round(height / pixel_aspect))
        if too_large(*size) or not Fraction(1, _MOST_STRETCHED) <= pixel_aspect <= _MOST_STRETCHED:
            logger.warning(
                "%s: pixels of %d:%d are not believed; taken to be square",
                self._name,
                pixel_aspect.numerator,
                pixel_aspect.denominator,
            )
            return width, height
        return size


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """From the display matrix that the container or the stream gave with this frame; the nearest quarter turn."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return UPRIGHT
    # With (x, y) in the stored picture, y down, the display is at (a x + c y, b x + d y).
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    try:
        entries = frame.side_data
    except ValueError:
        # PyAV can't read the side data of a frame that has any of a kind which it does not know.
        entries = _of_known_kinds(frame).side_data
    # PyAV's type hints call this a dictionary; iterating it gives the entries themselves.
    for entry in cast("Iterable[SideData]", entries):
        if entry.type.name == "DISPLAYMATRIX":
            return bytes(memoryview(cast(Any, entry)))
    return None


def _of_known_kinds(frame: av.VideoFrame) -> av.VideoFrame:
    """The same picture without the side data of kinds that PyAV does not know."""
    graph = av.filter.Graph()
    size = f"{frame.width}x{frame.height}"
    nodes = [graph.add("buffer", f"video_size={size}:pix_fmt={frame.format.name}:time_base=1/1")]
    newest = max(int(cast(Any, kind).value) for kind in Type)
    nodes += [graph.add("sidedata", f"mode=delete:type={newest + k}") for k in range(1, _KINDS_BEYOND)]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


@lru_cache(maxsize=64)
def _has_alpha(pixel_format: str) -> bool:
    form = av.VideoFormat(pixel_format)
    return form.has_palette or any(component.is_alpha for component in form.components)
