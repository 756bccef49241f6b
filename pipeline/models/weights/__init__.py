"""Files of weights, read into arrays. No framework inside, and nothing in a file is ever run."""

from pipeline.models.weights.darknet import read_darknet_weights
from pipeline.models.weights.formats import read_weights, write_weights
from pipeline.models.weights.parameters import BatchNorm, ConvolutionParameters
from pipeline.models.weights.pytorch import read_state_dict

__all__ = [
    "BatchNorm",
    "ConvolutionParameters",
    "read_darknet_weights",
    "read_state_dict",
    "read_weights",
    "write_weights",
]
