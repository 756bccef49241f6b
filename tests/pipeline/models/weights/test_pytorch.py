"""The reader of PyTorch's files: files that PyTorch wrote, hostile ones, and damage of any kind."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.weights.pytorch import read_state_dict
from pipeline.models.weights.pytorch_writer import write_state_dict

FILES = Path(__file__).parent / "torch_files"
MATRIX = np.arange(24, dtype=np.float32).reshape(4, 6)


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ModelError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def archive(path: Path, described: bytes, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    """A zip in PyTorch's layout around a pickle."""
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("archive/data.pkl", described)
        made.writestr("archive/data/0", bytes(16))
        for name, content in entries.items():
            made.writestr(f"archive/{name}", content)
    return path


def tensor(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, numel: int = 4) -> bytes:
    """The pickle of a dictionary with one float32 tensor."""

    def row(*values: int) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"

    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0" + b"X\3\0\0\0cpu"
    storage += b"\x8a\x08" + struct.pack("<q", numel) + b"tQ"
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"\x8a\x08" + struct.pack("<q", offset)
    return b"\x80\x02}X\1\0\0\0a" + rebuilt + row(*shape) + row(*strides) + b"\x89NtRs."


@pytest.mark.parametrize("name", ["tensors.pt", "tensors-legacy.pth"])
def test_what_pytorch_wrote_is_read(name: str) -> None:
    read = read_state_dict(FILES / name)
    expected: dict[str, NDArray[Any]] = {
        "matrix": MATRIX,
        "turned": MATRIX.T,
        "part": MATRIX[1:, ::2],
        "integers": np.arange(-2, 3),
        "half": np.array([0.5, -2], np.float16),
        "brain": np.array([0.5, -3, 1e30], np.float32),
        "double": np.array([0.1]),
        "scalar": np.array(7),
        "empty": np.empty((0, 3), np.float32),
        "flags": np.array([True, False]),
        "parameter": np.array([1.5], np.float32),
    }
    assert list(read) == list(expected)
    for key, array in expected.items():
        assert (read[key].dtype, read[key].shape) == (array.dtype, array.shape)
        np.testing.assert_allclose(read[key], array, rtol=2**-8 if key == "brain" else 0)


def test_the_weights_of_a_checkpoint_are_found() -> None:
    read = read_state_dict(FILES / "checkpoint.pt")
    assert {name: array.item() for name, array in read.items()} == {"weight": 2, "bias": 3}


def test_a_whole_model_and_a_program_are_no_weights() -> None:
    assert "asks to run torch.nn.modules.linear.Linear" in refusal(FILES / "whole-model.pt")
    assert "TorchScript program" in refusal(FILES / "script.pt")


def test_what_we_write_we_read(tmp_path: Path) -> None:
    tensors = {"a.weight": MATRIX.T, "a.count": np.array(3), "bias": np.zeros(3, np.float32)}
    with (tmp_path / "a.pt").open("wb") as file:
        write_state_dict(file, tensors)
    read = read_state_dict(tmp_path / "a.pt")
    assert list(read) == list(tensors)
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


class _Command:
    """When unpickled by Python's own reader, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("bare", [False, True])
def test_a_file_that_would_run_a_command_runs_nothing(tmp_path: Path, protocol: int, bare: bool) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps({"conv1.weight": _Command(trace)}, protocol)
    pickle.loads(content)  # noqa: S301 - it is ours, and shows that the file is a danger
    assert trace.exists()
    trace.unlink()
    path = tmp_path / "hostile.pt"
    if bare:
        path.write_bytes(content)
    else:
        archive(path, content)
    message = refusal(path)
    assert not trace.exists()
    if protocol >= 2:
        assert "asks to run posix.system" in message


@pytest.mark.parametrize(
    ("described", "says"),
    [
        (b"\x80\x02cbuiltins\neval\nX\1\0\0\0" + b"1\x85R.", "asks to run builtins.eval"),
        (b"\x80\x02(S'ls'\nios\nsystem\n.", "pickle instruction STRING"),
        (b"\x80\x02(X\2\0\0\0lsios\nsystem\n.", "asks to run os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93X\2\0\0\0ls\x85R.", "asks to run os.system"),
        (b"\x80\x02\x82\x01.", "pickle instruction EXT1"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "pickle instruction NEWOBJ"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "arguments that PyTorch does not give"),
        (b"\x80\x02]}b.", "sets the state"),
        (b"\x80\x02cevil\x1b[31m\n" + b"x" * 300 + b"\nR.", "asks to run evil?"),
        (b"\x80\x02" + b"h\7.", "damaged"),
        (b"\x80\x02}X\xff\xff\xff\xffa", "ends too early"),
        (b"\x80\x02}.", "no tensors by name"),
        (b"\x80\x02(.", "no tensors by name"),
        (b"\x80\x02\xff.", "byte 255"),
        (b"\x80\x02}((ttNs.", "neither text nor a number"),
        (b"\x80\x02" + b"N" * 2_000_000 + b".", "more than 1,000,000 instructions"),
        (b"\x80\x02}q\0X\1\0\0\0ah\0s.", "nests its tensors deeper"),
        (tensor((2, 2), (2, 1), numel=3), "reaches beyond its 3 numbers"),
        (tensor((5,), (0,)), "reaches beyond its 4 numbers"),
        (tensor((2,), (1,), offset=3), "reaches beyond"),
        (tensor((2,), (1,), offset=-1), "impossible shape"),
        (tensor((-2,), (1,)), "impossible shape"),
        (tensor((2,), (1, 1)), "impossible shape"),
        (tensor((0, 1 << 60), (1, 1)), "impossible shape"),
        (tensor((1,) * 17, (1,) * 17), "impossible shape"),
        (tensor((5,), (1,), numel=5), "a storage has 16 bytes, expected 20"),
        (tensor((4,), (1,), numel=1 << 60), "a storage has 16 bytes, expected"),
        (tensor((4,), (1,), numel=-1), "not described as PyTorch does"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_no_state_dict_needs_is_refused(tmp_path: Path, described: bytes, says: str) -> None:
    assert says in refusal(archive(tmp_path / "odd.pt", described))


def test_dictionaries_that_multiply_are_refused(tmp_path: Path) -> None:
    # Each level names the one below a hundred times: 10^12 names from a few thousand bytes.
    described = b"\x80\x02" + tensor((4,), (1,))[2:-1] + b"q\0"
    for level in range(1, 6):
        entries = b"".join(b"K" + bytes([key]) + b"h" + bytes([level - 1]) for key in range(100))
        described += b"}(" + entries + b"uq" + bytes([level])
    message = refusal(archive(tmp_path / "bomb.pt", described + b"."))
    assert "more than 100,000" in message


def test_archives_that_are_not_pytorchs(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    assert "compressed entries" in refusal(archive(path, tensor((4,), (1,)), zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("word/document.xml", "<xml/>")
    assert "not one of PyTorch's" in refusal(path)
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data.pkl", tensor((4,), (1,)))
    assert "has no 'archive/data/0'" in refusal(path)
    path.write_bytes(b"<!DOCTYPE html><title>Not found</title>")
    assert "begins with b'<!DOCTYPE html" in refusal(path)
    path.write_bytes(b"")
    assert "begins with b''" in refusal(path)
    assert "No such file" in refusal(tmp_path / "none.pt")
    assert "Is a directory" in refusal(tmp_path)


def test_numbers_of_the_other_byte_order(tmp_path: Path) -> None:
    numbers = np.array([1, 2, 3, 4], ">f4").tobytes()
    with zipfile.ZipFile(tmp_path / "big.pt", "w") as made:
        for name, content in {"data.pkl": tensor((4,), (1,)), "byteorder": b"big", "data/0": numbers}.items():
            made.writestr(f"x/{name}", content)
    np.testing.assert_array_equal(read_state_dict(tmp_path / "big.pt")["a"], [1, 2, 3, 4])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["tensors.pt", "tensors-legacy.pth", "checkpoint.pt"]))
def test_any_damage_ends_in_arrays_or_one_plain_error(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray((FILES / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        content[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    path = tmp_path / "damaged.pt"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        arrays = read_state_dict(path)
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert sum(array.size for array in arrays.values()) < len(content)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_000_000, "memory must not follow what the file claims"
