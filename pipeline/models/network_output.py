"""What the numbers that networks compute have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.errors import ModelError
from pipeline.types import Float32Array


def sigmoid(logits: Float32Array) -> Float32Array:
    """``1 / (1 + exp(-logits))``, float32 of any shape; 0 and 1 for what is infinite, NaN for NaN."""
    with np.errstate(over="ignore"):  # an exponential of infinity is a score of 0
        result: Float32Array = np.float32(1) / (np.float32(1) + np.exp(-logits))
    return result


def not_finite(weights: str | Path) -> ModelError:
    """The error to raise where a network computed infinities or NaN; ``weights`` says which file it was made from."""
    return ModelError(
        f"{weights}: with these weights the network computes what is not a finite number; the file is damaged or "
        "belongs to another network."
    )
