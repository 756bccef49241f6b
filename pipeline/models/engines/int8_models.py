"""The network for int8 of given weights: calibrated here, else from shipped ranges.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.engines.activation_ranges import LEAST_AGREEMENT, ActivationRanges, shipped_ranges
from pipeline.models.engines.int8_files import load_int8, read_record
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.parameters import ConvolutionParameters

_MEASURED_ON = ("x86_64", "amd64")


def has_int8(network: DarknetNetwork, digest: str, *, square: bool = False) -> bool:
    """Whether int8 is known to find nearly what float32 finds with these weights on this machine, so that it may run
    unasked.

    Reads a small file or two, and imports nothing heavy.

    Args:
        network: its description.
        digest: of its layers and weights, see `pipeline.models.engines.int8_files.weights_digest`.
        square: whether pictures are letterboxed into a square.
    """
    calibrated = serves_unasked(network.name, digest)
    if calibrated is not None:
        return calibrated
    if platform.machine().lower() not in _MEASURED_ON:
        return False
    ranges = shipped_ranges(digest)
    return ranges is not None and ranges.within_gate(square=square)


def serves_unasked(network: str, digest: str) -> bool | None:
    """Whether what was calibrated here for a network finds nearly what float32 finds; None where nothing was.

    Args:
        network: its name.
        digest: of its weights.
    """
    try:
        record = read_record(network, digest)
    except ModelError:
        return False  # damaged, which those are told who ask for it
    return None if record is None else record.agreement >= LEAST_AGREEMENT


def ranges_for_int8(network: DarknetNetwork, digest: str) -> ActivationRanges | None:
    """The shipped ranges that `int8_model` would build the network from; None where it would not.

    Raises:
        ModelError: the record of the calibrated one is damaged.
    """
    return shipped_ranges(digest) if read_record(network.name, digest) is None else None


def int8_model(network: DarknetNetwork, parameters: Sequence[ConvolutionParameters], digest: str) -> Any:
    """The ``openvino.Model`` that computes a network in int8.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
        digest: of both, see `pipeline.models.engines.int8_files.weights_digest`.

    Raises:
        ConfigError: there is none for these weights; the message says how to make one.
        ModelError: the calibrated one is damaged.
    """
    if (ranges := ranges_for_int8(network, digest)) is not None:
        from pipeline.models.engines.openvino_int8 import build_int8_model

        return build_int8_model(network, parameters, ranges.layers)
    _, model = load_int8(network, digest)
    return model
