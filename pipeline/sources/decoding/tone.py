"""From pictures of a wide range and gamut (HDR, BT.2020) to BT.709, as one table from colour to colour.

The curves are those of ITU-R BT.2100: PQ gives display light, HLG scene light that its system of gamma 1.2 shows on a
display of 1000 cd/m2. 203 cd/m2 is the white of a graphic (BT.2408), so it is what an SDR master would have as white.
What is not brighter than ``_KNEE`` of that, in code values, is left as it is; what is brighter is compressed smoothly,
all three channels by one factor so that hues stay, and takes the rest of the range up to 255. White comes out at 242.
Colours outside of BT.709 are mixed with grey of their own luminance until they are inside.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

Curve = Literal["pq", "hlg", "sdr"]
"""How light is coded: the two HDR curves, or an ordinary one with the primaries of BT.2020."""

Float64Array = NDArray[np.float64]

# Numbers of ITU-T H.273, as frames state them.
_CURVES: dict[int, Curve] = {16: "pq", 18: "hlg"}
_BT2020_PRIMARIES = 9
_SDR_TRANSFERS = frozenset({1, 2, 6, 14, 15})

_WHITE_NITS = 203.0
_HLG_PEAK_NITS = 1000.0
_PEAK_NITS: dict[Curve, float] = {"pq": 10_000.0, "hlg": _HLG_PEAK_NITS, "sdr": _WHITE_NITS}
_DISPLAY_GAMMA = 2.4
_KNEE = 0.9
# Entries a side: between them FFmpeg interpolates.
_SIDE = 33
_TO_BT709 = np.array([[1.660491, -0.587641, -0.07285], [-0.12455, 1.1329, -0.00835], [-0.018151, -0.100579, 1.11873]])
_LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593])
_LUMA_BT709 = np.array([0.2126, 0.7152, 0.0722])


def curve_of(transfer: int, primaries: int) -> Curve | None:
    """What is to be done to a picture that states these (numbers of H.273); None for an ordinary one."""
    if transfer in _CURVES:
        return _CURVES[transfer]
    return "sdr" if primaries == _BT2020_PRIMARIES and transfer in _SDR_TRANSFERS else None


def to_bt709(coded: Float64Array, curve: Curve) -> Float64Array:
    """Colours in BT.709 as an SDR display of gamma 2.4 (BT.1886) takes them.

    Args:
        coded: ``(..., 3)``, RGB with the primaries of BT.2020, coded by ``curve``, in [0, 1].

    Returns:
        ``(..., 3)``, RGB in [0, 1].
    """
    linear = _light(np.clip(coded, 0, 1), curve) @ _TO_BT709.T
    luma = np.maximum(linear @ _LUMA_BT709, 0)[..., None]
    lowest = linear.min(axis=-1, keepdims=True)
    inside = np.where(lowest < 0, luma / np.maximum(luma - lowest, 1e-12), 1.0)
    linear = np.maximum(luma + (linear - luma) * inside, 0)
    brightest = linear.max(axis=-1, keepdims=True) ** (1 / _DISPLAY_GAMMA)
    rolled = _rolled_off(brightest, (_PEAK_NITS[curve] / _WHITE_NITS) ** (1 / _DISPLAY_GAMMA))
    factor = np.divide(rolled, brightest, out=np.ones_like(rolled), where=brightest > 0)
    result: Float64Array = np.clip(linear ** (1 / _DISPLAY_GAMMA) * factor, 0, 1)
    return result


def add_table(graph: av.filter.Graph, curve: Curve) -> av.filter.context.FilterContext:
    """A filter in ``graph`` that does this to planar RGB of 16 bits, given as full range."""
    with tempfile.TemporaryDirectory() as folder:
        # FFmpeg takes such a table from a file only, which it reads at once.
        path = Path(folder) / "table.cube"
        path.write_text(_cube(curve))
        return graph.add("lut3d", file=str(path), interp="tetrahedral")


@lru_cache(maxsize=len(_PEAK_NITS))
def _cube(curve: Curve) -> str:
    """The table as Adobe's .cube text: red changes fastest."""
    axis = np.linspace(0, 1, _SIDE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    rows = to_bt709(np.stack([red, green, blue], axis=-1), curve).reshape(-1, 3)
    return f"LUT_3D_SIZE {_SIDE}\n" + "".join(f"{r:.6f} {g:.6f} {b:.6f}\n" for r, g, b in rows.tolist())


def _light(coded: Float64Array, curve: Curve) -> Float64Array:
    """Light on the display, linear, 1 for the white of a graphic."""
    if curve == "sdr":
        return coded**_DISPLAY_GAMMA
    if curve == "pq":
        root = coded ** (32 / 2523)
        return (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305) * (
            _PEAK_NITS["pq"] / _WHITE_NITS
        )
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    luminance: Float64Array = scene @ _LUMA_BT2020
    return scene * (luminance[..., None] ** 0.2 * (_HLG_PEAK_NITS / _WHITE_NITS))


def _rolled_off(value: Float64Array, peak: float) -> Float64Array:
    """Reinhard's extended curve above the knee: slope 1 there, ``peak`` at 1; all as code values, 1 for white."""
    if peak <= 1:
        return np.minimum(value, 1)
    over = np.maximum(value - _KNEE, 0) / (1 - _KNEE)
    top = (peak - _KNEE) / (1 - _KNEE)
    return np.minimum(value, _KNEE) + (1 - _KNEE) * over * (1 + over / top**2) / (1 + over)
