"""Which anchors the numbers of each head are about.

That is a matter of how the weights were trained, and no file of weights says it. The wrong anchors leave the scores as
they are and make every box of that head the wrong size: with the official YOLOv3-tiny weights, AP50 is 0.378 with
1,2,3 on the finer head, which they were trained with, and 0.228 with 0,1,2, which the configuration file in circulation
says and most programs use.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import numpy as np

from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.parameters import ConvolutionParameters

logger = logging.getLogger(__name__)

# By the SHA-256 of the last convolution's weights, which no conversion between the formats changes.
_TRAINED_WITH = {
    # yolov3-tiny.weights, and what ImageAI and others made of it
    "dbe2a903a08774b3eecd04912585fb8910bb8b908f02fe1b9459eacbda692c80": ((3, 4, 5), (1, 2, 3)),
}


def choose_masks(
    network: DarknetNetwork, parameters: Sequence[ConvolutionParameters], given: Sequence[Sequence[int]] | None = None
) -> DarknetNetwork:
    """The network with the anchors that fit its weights.

    Args:
        network: as described; its own masks count unless something else is known.
        parameters: its weights. Where they are published ones that were trained with other masks than the network says,
            those are used, and the log says so.
        given: the user's masks, which win.

    Raises:
        ConfigError: masks that don't fit the network.
    """
    if given is not None:
        return network.with_masks(given)
    last = np.ascontiguousarray(parameters[-1].weights, dtype="<f4")
    trained = _TRAINED_WITH.get(hashlib.sha256(last.tobytes()).hexdigest())
    if trained is None or trained == network.masks():
        return network
    logger.warning(
        "%s: these are the official weights, which were trained with the anchors %s; they are used in place of %s",
        network.name,
        [list(mask) for mask in trained],
        [list(mask) for mask in network.masks()],
    )
    return network.with_masks(trained)
