"""Networks that were calibrated for int8, as the cache folder keeps them.

One network takes three files in ``int8/`` of the cache folder. ``NAME-DIGEST.json`` tells what it is and names the
other two, an OpenVINO model and its weights, with their SHA-256. It is written last, in one step, so that a
calibration that is cut short leaves the earlier one in place. Files are not trusted: each is read within a limit, and
a model is used only if its hash, its input and its outputs are right.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from pipeline.errors import ConfigError, ModelError
from pipeline.files import FolderFiles, OutputFiles
from pipeline.models.cache import cache_folder, read_limited, write_whole
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.networks.darknet import DarknetNetwork, Yolo
from pipeline.models.weights.parameters import ConvolutionParameters

_LARGEST_RECORD = 64 * 1024
_LARGEST_DESCRIPTION = 16 * 1024 * 1024
_HOW_TO = "calibrate one with your own frames: the command calibrate"

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$")]


class Int8Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a calibrated network.

    Attributes:
        network: name of its description.
        weights: SHA-256 of the description and the parameters, see `weights_digest`.
        clip: name of the video that it was calibrated with.
        input_shape: height and width of the network's input for that video.
        frames: how many of the video's frames calibrated it.
        held_out: how many others it was compared on.
        agreement: of its detections on those with float32's, in [0, 1], see `pipeline.detection.calibration`.
        speed_up: its rate divided by that of the precision ``auto``, on the machine where it was made.
        versions: of the libraries that made it.
        files: name and SHA-256 of the model's description and of its numbers.
    """

    network: str
    weights: Sha256
    clip: str
    input_shape: tuple[int, int]
    frames: int
    held_out: int
    agreement: float
    speed_up: float
    versions: dict[str, str]
    files: tuple[tuple[FileName, Sha256], tuple[FileName, Sha256]] | None = None


def weights_digest(network: DarknetNetwork, parameters: Sequence[ConvolutionParameters]) -> str:
    """SHA-256 of what a network computes: its layers and folded parameters, whatever file they came from.

    Which anchors the heads' outputs stand for is not part of that.
    """
    layers = [len(layer.mask) if isinstance(layer, Yolo) else layer for layer in network.layers]
    digest = hashlib.sha256(repr((layers, network.class_count)).encode())
    for entry in parameters:
        for array in entry.folded():
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def record_path(network: str, digest: str) -> Path:
    """Where the record of a network of that name with those weights is, or would be."""
    return _folder() / f"{_stem(network, digest)}.json"


def calibrated_files() -> OutputFiles:
    """What ``save`` may write."""
    part = FolderFiles(_folder(), re.compile(r".*\.(json|xml|bin)"), "model.xml")
    return OutputFiles("the calibrated network", _folder(), (), (part,))


def save_int8(record: Int8Record, description: bytes, numbers: bytes) -> Path:
    """Keep a calibrated network in place of the one for the same weights, if any; returns the record's path.

    Args:
        record: what is known of it.
        description, numbers: the two files that OpenVINO makes of a model.

    Raises:
        SinkError: they can't be written.
    """
    folder = _folder()
    stem = _stem(record.network, record.weights)
    files = []
    for data, ending in ((description, "xml"), (numbers, "bin")):
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{stem}-{sha256[:8]}.{ending}"
        write_whole(folder / name, data)
        files.append((name, sha256))
    path = folder / f"{stem}.json"
    whole = msgspec.structs.replace(record, files=(files[0], files[1]))
    write_whole(path, msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")
    for old in folder.glob(f"{stem}-*"):
        if old.name not in dict(files):
            old.unlink(missing_ok=True)
    return path


def read_record(network: str, digest: str) -> Int8Record | None:
    """What is known of the network that was calibrated for weights of that digest; None where none was.

    Raises:
        ModelError: its record is damaged.
    """
    path = record_path(network, digest)
    if not path.is_file():
        return None
    data = read_limited(path, _LARGEST_RECORD)
    try:
        record = msgspec.json.decode(data or b"", type=Int8Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    if record.weights != digest or record.files is None:
        raise _damaged(path, "it belongs to other weights")
    return record


def load_int8(network: DarknetNetwork, digest: str) -> tuple[Int8Record, Any]:
    """The record and the ``openvino.Model`` that was calibrated for weights of that digest.

    Raises:
        ConfigError: none was; the message says how to make one.
        ModelError: its files are damaged.
    """
    record, model = load_calibrated(network.name, digest, 4 * network.parameter_count())
    channels = [str(len(head.anchors) * (5 + network.class_count)) for head in network.heads()]
    found = [
        output.get_partial_shape()[3].to_string() for output in model.outputs if len(output.get_partial_shape()) == 4
    ]
    if len(model.inputs) != 1 or found != channels:
        raise _damaged(
            record_path(network.name, digest),
            f"its model has outputs of {' and '.join(found)} channels, expected {' and '.join(channels)}",
        )
    return record, model


def load_calibrated(network: str, digest: str, most_bytes: int) -> tuple[Int8Record, Any]:
    """As `load_int8`, of a network of any kind; its inputs and outputs are left to the caller.

    Args:
        network: its name.
        digest: of its weights.
        most_bytes: that its numbers may take, a megabyte aside.
    """
    path = record_path(network, digest)
    record = read_record(network, digest)
    if record is None:
        others = list(path.parent.glob(f"{path.stem[:-16]}{'[0-9a-f]' * 16}.json"))
        known = " (those that are here belong to other weights)" if others else ""
        raise ConfigError(
            f"precision: no network for int8 is calibrated for these weights of {network}{known}; {_HOW_TO}, with "
            "the same model and weights."
        )
    assert record.files is not None
    (description, numbers) = (
        _read(path.parent / name, sha256, limit)
        for (name, sha256), limit in zip(record.files, (_LARGEST_DESCRIPTION, most_bytes + 2**20), strict=True)
    )
    return record, _model(path, description, numbers)


def _read(path: Path, sha256: str, limit: int) -> bytes:
    data = read_limited(path, limit)
    if data is None:
        raise _damaged(path, "it is missing, can't be read, or is too large")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _damaged(path, "its SHA-256 is not that of the file that was written")
    return data


def _model(path: Path, description: bytes, numbers: bytes) -> Any:
    from pipeline.models.engines.quiet_openvino import ov

    try:
        # From the bytes whose hash was right, not from the files, which might have changed since.
        return openvino_core().read_model(description.decode(), ov.Tensor(np.frombuffer(numbers, np.uint8)))
    except (RuntimeError, ValueError) as error:
        raise _damaged(path, " ".join(str(error).split())[:200]) from error


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path}: the calibrated network can't be used: {what}; {_HOW_TO}.")


def _folder() -> Path:
    return cache_folder() / "int8"


def _stem(network: str, digest: str) -> str:
    return f"{re.sub('[^A-Za-z0-9_.-]', '_', network)}-{digest[:16]}"
