"""PyTorch's ``.pt`` and ``.pth`` files, read without PyTorch and without running what is in them.

Two layouts are known. Since 1.6 a file is a zip archive of uncompressed entries: ``NAME/data.pkl``, a pickle that
describes the tensors, and ``NAME/data/KEY``, the numbers of each storage. Before, it was a row of pickles (a magic
number, a protocol number, the machine's integer sizes, the description, the storages' keys) with the storages after
them, each behind its length. `pipeline.models.weights.pickles` reads the pickles.

Both name the tensors as the modules of a network do: ``conv1.batch_norm.running_mean``.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.weights.pickles import Storage, Tensor, Unpickler

ZIP_BEGINS = b"PK\x03\x04"
LEGACY_BEGINS = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""The magic number, pickled."""

_LEGACY_PROTOCOL = 1001
_LARGEST_DESCRIPTION = 32 << 20  # bytes of pickle; a thousand tensors take about 200,000
_LARGEST_DIRECTORY = 16 << 20  # bytes of the archive's own; as many tensors again as anything has
_MOST_TENSORS = 100_000
_DEEPEST = 16
_LONGEST_NAME = 512
# Where checkpoints keep the weights beside the optimizer, the epoch and the like.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "ema")

_Array = NDArray[Any]


def read_state_dict(path: str | Path) -> dict[str, _Array]:
    """The tensors of a file that ``torch.save(model.state_dict(), path)`` wrote, by name.

    Of a checkpoint, a dictionary with the weights under ``state_dict``, ``model_state_dict``, ``model``, ``net`` or
    ``ema``, the weights; dictionaries within are flattened, their keys joined by dots. ``module.``, which a network
    trained on several GPUs has before every name, is taken off.

    Args:
        path: the file; it is not trusted. Nothing in it is run, and the memory it takes is bounded by its size.

    Returns:
        Read-only arrays in native byte order, in the file's order; bfloat16, which NumPy lacks, as float32. Arrays may
        share memory.

    Raises:
        ModelError: the file can't be read, is damaged, holds no tensors by name, or asks for anything but tensors,
            text, numbers, lists and dictionaries.
    """
    path = Path(path)
    try:
        with _CautiousFile(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            begins = file.read(len(LEGACY_BEGINS))
            file.seek(0)
            if begins.startswith(ZIP_BEGINS):
                return _flattened(*_read_archive(file, size, str(path)), str(path))
            if not begins.startswith(b"\x80"):
                raise ModelError(f"{path}: is no PyTorch file: it begins with {begins!r}.")
            return _flattened(*_read_legacy(file, size, str(path)), str(path))
    except OSError as error:
        raise ModelError(f"{path}: can't read the weights: {error.strerror or error}.") from error


def is_state_dict(begins: bytes) -> bool:
    """Whether a file that begins with these bytes (at least 16, unless it ends before) may be one of PyTorch's."""
    return begins.startswith((ZIP_BEGINS, LEGACY_BEGINS))


_Storages = Callable[[Storage], _Array]


class _CautiousFile(io.FileIO):
    """A file of which nobody reads more than ``limit`` bytes at once, whatever lengths are written in it."""

    limit = _LARGEST_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.limit:
            raise zipfile.BadZipFile(f"a part of {size:,} bytes")
        return super().read(size) or b""


def _read_archive(file: _CautiousFile, size: int, where: str) -> tuple[object, _Storages]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        raise ModelError(f"{where}: the archive is damaged or cut short ({error}).") from error
    file.limit = size
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ModelError(f"{where}: is a zip archive, but not one of PyTorch's: it holds {len(roots)} data.pkl.")
    root = roots[0]
    if f"{root}constants.pkl" in names:
        raise ModelError(f"{where}: is a TorchScript program, not weights; save the model's state_dict() instead.")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise ModelError(f"{where}: the archive holds compressed entries, which PyTorch never writes; refused.")
    if sum(entry.file_size for entry in entries) > size:
        raise ModelError(f"{where}: the archive is damaged: its entries are larger than the file.")
    order = "<"
    if f"{root}byteorder" in names and _entry(archive, f"{root}byteorder", 16, where).strip() == b"big":
        order = ">"
    unpickler = Unpickler(_entry(archive, f"{root}data.pkl", _LARGEST_DESCRIPTION, where), where)

    def numbers(storage: Storage) -> _Array:
        content = _entry(archive, f"{root}data/{storage.key}", size, where)
        return _decoded(content, storage, order, where)

    return unpickler.load(), numbers


def _entry(archive: zipfile.ZipFile, name: str, largest: int, where: str) -> bytes:
    try:
        if archive.getinfo(name).file_size > largest:
            raise ModelError(f"{where}: {name} is larger than the {largest:,} bytes that it may have.")
        return archive.read(name)
    except KeyError:
        raise ModelError(f"{where}: the archive is damaged: it has no {name!r}.") from None
    # RuntimeError: an entry that asks for a password.
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{where}: the archive is damaged: {name!r} can't be read ({error}).") from error


def _read_legacy(file: _CautiousFile, size: int, where: str) -> tuple[object, _Storages]:
    file.limit = size + 1
    unpickler = Unpickler(file.read(min(size, _LARGEST_DESCRIPTION)), where)
    magic = unpickler.load()
    if magic != int.from_bytes(LEGACY_BEGINS[4:], "little"):
        raise ModelError(f"{where}: is a pickle, but no PyTorch file; save the weights with torch.save().")
    if unpickler.load() != _LEGACY_PROTOCOL:
        raise ModelError(f"{where}: is of a protocol that is not known; save it anew with a current PyTorch.")
    machine = unpickler.load()
    order = ">" if isinstance(machine, dict) and machine.get("little_endian") is False else "<"
    described, keys = unpickler.load(), unpickler.load()
    places = _legacy_places(unpickler, keys, file, size, where)

    def numbers(storage: Storage) -> _Array:
        if storage.key not in places:
            raise ModelError(f"{where}: the file is damaged: it lacks the numbers of storage {storage.key!r:.80}.")
        file.seek(places[storage.key])
        return _decoded(file.read(storage.count * storage.dtype.itemsize), storage, order, where)

    return described, numbers


def _legacy_places(unpickler: Unpickler, keys: object, file: _CautiousFile, size: int, where: str) -> dict[str, int]:
    """Where each storage's numbers begin. Everything behind the pickles must be storages."""
    if not isinstance(keys, list):
        raise ModelError(f"{where}: the file is damaged: it has no list of storages.")
    places: dict[str, int] = {}
    position = unpickler.position
    for key in keys:
        storage = unpickler.storages.get(key) if isinstance(key, str) else None
        if storage is None or key in places:
            raise ModelError(f"{where}: the file is damaged: it lists a storage that no tensor or two are made of.")
        file.seek(position)
        length = file.read(8)
        if len(length) < 8 or struct.unpack("<q", length)[0] != storage.count:
            raise ModelError(f"{where}: the file is damaged or cut short: it lacks {storage.count:,} numbers.")
        places[key] = position + 8
        position += 8 + storage.count * storage.dtype.itemsize
        if position > size:
            raise ModelError(f"{where}: the file is cut short: found {size:,} bytes, expected at least {position:,}.")
    return places


def _decoded(content: bytes, storage: Storage, order: str, where: str) -> _Array:
    expected = storage.count * storage.dtype.itemsize
    if len(content) != expected:
        raise ModelError(
            f"{where}: the file is damaged: a storage has {len(content):,} bytes, expected {expected:,} "
            f"({storage.count:,} numbers)."
        )
    numbers: _Array = np.frombuffer(content, storage.dtype.newbyteorder(">" if order == ">" else "<"))
    if order == ">" or storage.bfloat16:
        numbers = numbers.astype(storage.dtype)
    if storage.bfloat16:  # the upper half of a float32
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    numbers.flags.writeable = False
    return numbers


def _flattened(described: object, numbers: _Storages, where: str) -> dict[str, _Array]:
    tensors = dict(_named_tensors(_unwrapped(described), where))
    if not tensors:
        raise ModelError(f"{where}: holds no tensors by name; expected a state_dict(), or a checkpoint with one in it.")
    prefix = "module."
    if all(name.startswith(prefix) for name in tensors):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    read: dict[Storage, _Array] = {}
    arrays = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        if storage not in read:
            read[storage] = numbers(storage)
        arrays[name] = _cut(read[storage], tensor)
    return arrays


def _unwrapped(described: object) -> object:
    """The weights of a checkpoint, if this is one."""
    if isinstance(described, dict) and not any(isinstance(value, Tensor) for value in described.values()):
        for key in _WRAPPERS:
            if isinstance(described.get(key), dict):
                return described[key]
    return described


def _named_tensors(described: object, where: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a nest of dictionaries, with their keys joined by dots. A file can refer to one dictionary from
    many places, and to one within itself, so the walk is bounded."""
    seen = 0
    waiting: list[tuple[str, int, object]] = [("", 0, described)]
    while waiting:
        name, depth, value = waiting.pop()
        seen += 1
        if isinstance(value, Tensor) and name:
            yield name, value
        elif isinstance(value, dict):
            if depth >= _DEEPEST or len(name) > _LONGEST_NAME or seen + len(waiting) + len(value) > _MOST_TENSORS:
                raise ModelError(
                    f"{where}: nests its tensors deeper than {_DEEPEST}, or has more than {_MOST_TENSORS:,}; refused."
                )
            if any(isinstance(key, str) and len(key) > _LONGEST_NAME for key in value):
                raise ModelError(f"{where}: a tensor's name has more than {_LONGEST_NAME} characters; refused.")
            named = [(f"{name}.{key}" if name else str(key), depth + 1, item) for key, item in value.items()]
            waiting.extend(reversed(named))


def _cut(numbers: _Array, tensor: Tensor) -> _Array:
    if not math.prod(tensor.shape):
        return np.empty(tensor.shape, numbers.dtype)
    strides = [step * numbers.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
