"""Random weights and pictures for RetinaNet, the same on every machine; what the oracle and the tests both use.

Made from the raw numbers of a bit generator, whose stream NumPy promises never to change, name by name, so that neither
the order nor the number of the tensors matters. Imports nothing but NumPy: the oracle lives in an environment of its
own.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

ANCHORS = 9
SLOTS = 91
# Category numbers that COCO never used, and the background.
UNUSED_SLOTS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
USED_SLOTS = [slot for slot in range(SLOTS) if slot not in UNUSED_SLOTS]

_TINY_VARIANCE = 2e-5
_NEVER = -100.0


def uniform(key: str, count: int) -> Array:
    """float32 ``(count,)`` in [-1, 1), by name."""
    words = np.random.PCG64(zlib.crc32(key.encode())).random_raw((count + 1) // 2)
    bits = words.astype("<u8").view("<u4")[:count] >> np.uint32(8)
    values: Array = bits.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return values


def tensor(name: str, shape: tuple[int, ...]) -> Array:
    """A tensor of a sensible scale: activations neither fade nor grow, and some scores pass the threshold."""
    values = uniform(name, math.prod(shape)).reshape(shape)
    module, _, part = name.rpartition(".")
    if len(shape) == 4:
        return values * np.float32(_limit(module, math.prod(shape[1:])))
    if part == "running_var":
        values = np.float32(1) + values / np.float32(2)
        values[0] = _TINY_VARIANCE  # tells whether an epsilon is added
        return values
    if part == "running_mean":
        values = values * np.float32(0.3)
        values[0] = 0
        return values
    if part == "weight":  # of a batch norm; the sum of a block grows by little
        values = (np.float32(1) + values / np.float32(5)) * np.float32(0.3 if module.endswith("bn3") else 1)
        values[0] *= np.float32(math.sqrt(_TINY_VARIANCE))
        return values
    if module.endswith("cls_logits"):
        bias: Array = values / np.float32(2) - np.float32(8)
        bias.reshape(-1, SLOTS)[:, UNUSED_SLOTS] = _NEVER  # as if trained: they never come up
        return bias
    return values / np.float32(10)


def _limit(module: str, fan_in: int) -> float:
    if module.endswith("cls_logits"):
        return math.sqrt(3 / fan_in)
    if module.endswith("bbox_reg"):
        return 0.3 * math.sqrt(3 / fan_in)
    if "_blocks." in module and "extra" not in module:  # no activation follows in the pyramid
        return 0.5 * math.sqrt(3 / fan_in)
    return math.sqrt(6 / fan_in)


def state_dict(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Array]:
    """The tensors of these names and shapes."""
    return {name: tensor(name, shape) for name, shape in shapes}


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """uint8 ``(height, width, 3)``, BGR: patches of colour with some grain."""
    rows, columns = -(-height // 12), -(-width // 12)
    coarse = uniform(f"patches {height} {width}", rows * columns * 3).reshape(rows, columns, 3)
    patches = coarse.repeat(12, axis=0).repeat(12, axis=1)[:height, :width]
    grain = uniform(f"grain {height} {width}", height * width * 3).reshape(height, width, 3)
    pixels: NDArray[np.uint8] = np.clip(127 + 100 * patches + 25 * grain, 0, 255).astype(np.uint8)
    return pixels


def samples(values: Array, count: int = 400) -> Array:
    """Evenly spaced values, all of them where there are few, and at the end the mean and the standard deviation."""
    flat = values.reshape(-1)
    spread = flat[np.linspace(0, flat.size - 1, min(count, flat.size)).astype(np.int64)]
    summary = [flat.mean(dtype=np.float64), flat.std(dtype=np.float64)]
    return np.concatenate([spread, summary]).astype(np.float32)
