"""The network for int8 of given weights: the one that was calibrated on this machine, before any other.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.engines.int8_files import load_int8, read_record, weights_digest
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.parameters import ConvolutionParameters

LEAST_AGREEMENT = 0.95
"""F1 of int8's detections with float32's taken as the truth; below it, int8 is for those who ask for it."""


def has_int8(network: DarknetNetwork, parameters: Sequence[ConvolutionParameters]) -> bool:
    """Whether int8 is known to find nearly what float32 finds with these weights, so that it may run unasked.

    Reads a small file or two, and imports nothing heavy.
    """
    try:
        record = read_record(network, weights_digest(network, parameters))
    except ModelError:
        return False  # damaged, which `int8_model` tells those who ask for it
    return record is not None and record.agreement >= LEAST_AGREEMENT


def int8_model(network: DarknetNetwork, parameters: Sequence[ConvolutionParameters]) -> Any:
    """The ``openvino.Model`` that computes a network in int8.

    Raises:
        ConfigError: there is none for these weights; the message says how to make one.
        ModelError: the calibrated one is damaged.
    """
    _, model = load_int8(network, parameters)
    return model
