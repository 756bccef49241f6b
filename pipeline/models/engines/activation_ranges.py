"""Ranges of a network's activations, as Sightline ships them for weights that it has measured.

A file of ``pipeline/models/ranges/`` belongs to the weights whose digest it names and holds numbers only: what int8
needs to know of the values between the layers, how that was measured, and how accurate int8 was with it.
`benchmarks/int8_ranges.py` writes it.

Importing this module imports neither OpenVINO nor numpy.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import msgspec

_LARGEST_FILE = 4 * 1024 * 1024
_MOST_CHANNELS = 65_536

MOST_LOST_AP50 = 0.004
LEAST_AGREEMENT = 0.95
"""F1 of int8's detections with float32's taken as the truth; below it, int8 is for those who ask for it."""

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Channels = Annotated[tuple[float, ...], msgspec.Meta(max_length=_MOST_CHANNELS)]


class LayerRanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one layer that is computed.

    Attributes:
        low: of its output, per channel: the mean over pictures of the smallest value in each. What lies below is rare,
            and leaky ReLU has made it small.
        high: of its output, per channel: the largest value in any picture.
        mean: of its input, per channel; of convolutions. A head has no ranges, since its output is not rounded.
    """

    low: Channels = ()
    high: Channels = ()
    mean: Channels = ()


class Accuracy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How accurate int8 was with ranges that were measured in one way.

    Attributes:
        held_out: whether it was judged on pictures and clips that its ranges were not measured on.
        square: whether pictures were letterboxed into a square.
        ap50_float32, ap50_int8: on ``eval/coco``, every class of a box reported.
        f1: of int8's detections with float32's taken as the truth, by clip.
    """

    held_out: bool
    square: bool
    ap50_float32: Fraction
    ap50_int8: Fraction
    f1: dict[str, Fraction]

    def within_gate(self) -> bool:
        """Whether int8 is as good as float32 for what people use it for."""
        lost = self.ap50_float32 - self.ap50_int8
        return lost <= MOST_LOST_AP50 and min(self.f1.values(), default=1.0) >= LEAST_AGREEMENT


class ActivationRanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of one network.

    Attributes:
        network: name of its description.
        weights: digest of the description and the parameters, see `pipeline.models.engines.int8_files.weights_digest`.
        program: what measured it.
        versions: of the libraries that did.
        input_size: longer side of the pictures, which were not padded to a square.
        pictures: how many of each source.
        accuracy: in every way that it was judged.
        layers: by position in the network.
    """

    network: str
    weights: Sha256
    program: str
    versions: dict[str, str]
    input_size: int
    pictures: dict[str, int]
    accuracy: tuple[Accuracy, ...]
    layers: dict[int, LayerRanges]

    def within_gate(self, *, square: bool) -> bool:
        """Whether int8 was accurate enough in every way that it was judged for inputs of that kind, and was judged."""
        judged = [entry for entry in self.accuracy if entry.square == square]
        return bool(judged) and all(entry.within_gate() for entry in judged)


class _Heading(msgspec.Struct):
    weights: Sha256


def shipped_ranges(digest: str) -> ActivationRanges | None:
    """The ranges for the weights of that digest; None where there are none."""
    folder = resources.files("pipeline.models").joinpath("ranges")
    for file in folder.iterdir():
        if file.name.endswith(".json"):
            with file.open("rb") as opened:
                data = opened.read(_LARGEST_FILE)
            if msgspec.json.decode(data, type=_Heading).weights == digest:
                return msgspec.json.decode(data, type=ActivationRanges)
    return None
