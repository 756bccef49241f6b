"""Tells the kinds of weights files apart by what is in them, and reads and writes each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.errors import ConfigError, ModelError
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.darknet import read_darknet_weights, write_darknet_weights
from pipeline.models.weights.keras import HDF5_BEGINS, read_keras_weights
from pipeline.models.weights.keras_writer import write_keras_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.models.weights.pytorch import is_state_dict
from pipeline.models.weights.pytorch_writer import write_state_dict
from pipeline.models.weights.pytorch_yolo import read_pytorch_weights, state_dict

Format = Literal["darknet", "keras", "pytorch"]

SUFFIXES: dict[str, Format] = {".weights": "darknet", ".h5": "keras", ".pt": "pytorch", ".pth": "pytorch"}
"""Which format a file is written in."""

_READERS = {"darknet": read_darknet_weights, "keras": read_keras_weights, "pytorch": read_pytorch_weights}


def weights_format(path: str | Path) -> Format:
    """What kind of file it is, whatever its name.

    Raises:
        ModelError: it can't be read, or is a page of text, such as the message of a server that has no such file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            begins = file.read(64)
    except OSError as error:
        raise ModelError(f"{path}: can't read the weights: {error.strerror or error}.") from error
    if begins.startswith(HDF5_BEGINS):
        return "keras"
    if is_state_dict(begins) or (begins.startswith(b"\x80") and begins[1:2] in b"\2\3\4\5"):
        return "pytorch"
    if begins.lstrip().startswith((b"<", b"{", b"[")) and all(byte in _PRINTABLE for byte in begins):
        start = begins.decode("ascii", "replace").split("\n")[0][:40]
        raise ModelError(
            f"{path}: is text that begins with {start!r}, not weights; perhaps a page with an error message that was "
            "downloaded in their place."
        )
    return "darknet"


_PRINTABLE = frozenset(b"\t\n\r") | frozenset(range(32, 127))


def read_weights(path: str | Path, network: DarknetNetwork) -> list[ConvolutionParameters]:
    """The parameters of each convolution of ``network``, in its order, from a file of any kind that is known.

    Known are Darknet's ``.weights``, Keras' ``.h5`` as ImageAI 2 uses it, and PyTorch's ``.pt`` as ImageAI 3 uses it.
    The kind is told by the content. Each comes with the batch-norm epsilon of its framework.

    Args:
        path: the file; it is not trusted, nothing in it is run, and the memory it takes is bounded by its size and the
            network's.
        network: what the file must fit exactly.

    Raises:
        ModelError: the file can't be read, is of no known kind, damaged, or belongs to another network; the message
            says what was found and what was expected.
    """
    return _READERS[weights_format(path)](path, network)


def format_to_write(path: Path) -> Format:
    """The format in which a file of that name is written.

    Raises:
        ConfigError: its suffix says none.
    """
    known = SUFFIXES.get(path.suffix.lower())
    if known is None:
        raise ConfigError(f"{path}: its name must end in {', '.join(SUFFIXES)}, which says the format to write.")
    return known


def write_weights(
    path: Path, parameters: Sequence[ConvolutionParameters], network: DarknetNetwork, written: Format
) -> None:
    """Write the parameters of ``network`` at ``path``, which is replaced.

    Where the formats' epsilons differ, the variances and scales are written such that the results stay the same (see
    `BatchNorm.with_variance`); all other numbers are written as they are.

    Raises:
        OSError: it can't be written; what is there then is no whole file.
    """
    if written == "keras":
        write_keras_weights(path, parameters, network)
        return
    with path.open("wb") as file:
        if written == "darknet":
            write_darknet_weights(file, parameters)
        else:
            write_state_dict(file, state_dict(parameters))
