"""Writes a state dict in PyTorch's own layout, without PyTorch: what ``torch.load(path, weights_only=True)`` reads."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_ROOT = "archive"
_STORAGES = {np.dtype(np.float32): "FloatStorage", np.dtype(np.int64): "LongStorage"}
_WRITTEN = (1980, 1, 1, 0, 0, 0)  # the earliest time that an archive can say: equal weights make equal files
_ALIGNMENT = 64  # where PyTorch puts the numbers, so that it can map them


def write_state_dict(file: BinaryIO, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write tensors by name, each with a storage of its own, as an ``OrderedDict``.

    Args:
        file: open for writing, at its beginning.
        tensors: float32 and int64.

    Raises:
        OSError: it can't be written.
    """
    arrays = [np.ascontiguousarray(array).reshape(np.shape(array)) for array in tensors.values()]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, file, "data.pkl", _described(tensors))
        _add(archive, file, "byteorder", b"little")
        for key, array in enumerate(arrays):
            _add(archive, file, f"data/{key}", array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        _add(archive, file, "version", b"3\n")


def _add(archive: zipfile.ZipFile, file: BinaryIO, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(f"{_ROOT}/{name}", _WRITTEN)
    # An extra field of no meaning moves the content to a multiple of the alignment.
    begins = file.tell() + 30 + len(entry.filename) + 4
    entry.extra = struct.pack("<2sH", b"FB", -begins % _ALIGNMENT) + b"Z" * (-begins % _ALIGNMENT)
    archive.writestr(entry, content)


def _described(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The pickle: protocol 2, and only what PyTorch's own restricted reader knows."""
    parts = [b"\x80\x02", _ORDERED_DICT, b"("]
    for key, (name, array) in enumerate(tensors.items()):
        storage = b"(" + _text("storage") + f"ctorch\n{_STORAGES[array.dtype]}\n".encode()
        storage += _text(str(key)) + _text("cpu") + _integer(array.size) + b"tQ"
        strides = [stride // array.itemsize for stride in np.empty(array.shape, array.dtype).strides]
        parts += [_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n(", storage, _integer(0)]
        parts += [_tuple(array.shape), _tuple(strides), b"\x89", _ORDERED_DICT, b"tR"]
    return b"".join([*parts, b"u."])


_ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _tuple(values: tuple[int, ...] | list[int]) -> bytes:
    return b"(" + b"".join(map(_integer, values)) + b"t"
