"""The reader of Darknet's weights: what it reads, and what it refuses."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.models.networks.darknet import Convolution
from pipeline.models.networks.yolov3_family import yolov3, yolov3_tiny
from pipeline.models.weights.darknet import read_darknet_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from tests.support.darknet_files import miniature, random_parameters, write_weights

NETWORK = miniature()
HEADER = 20
FIRST_VARIANCE = HEADER + 4 * 3 * 8  # after shift, scale and mean of the first layer's 8 filters


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "genuine.weights"
    return write_weights(path, random_parameters(NETWORK)).read_bytes()


def refused(path: Path, content: bytes) -> str:
    """The message with which a file of this content is refused."""
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_darknet_weights(path, NETWORK)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize(("version", "header"), [((0, 2, 0), 20), ((0, 2, 5), 20), ((0, 1, 0), 16)])
def test_what_is_written_is_read(tmp_path: Path, version: tuple[int, int, int], header: int) -> None:
    parameters = random_parameters(NETWORK)
    path = write_weights(tmp_path / "a.weights", parameters, version=version)
    assert path.stat().st_size == header + 4 * NETWORK.parameter_count()
    read = read_darknet_weights(path, NETWORK)
    assert len(read) == len(parameters)
    for ours, theirs in zip(read, parameters, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        assert (ours.batch_norm is None) == (theirs.batch_norm is None)
        for first, second in zip(ours.folded(), theirs.folded(), strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-7)


def test_folding_changes_nothing_that_is_computed() -> None:
    entry = random_parameters(NETWORK)[1]
    assert entry.batch_norm is not None
    patch = np.random.default_rng(1).normal(size=entry.weights.shape[1:])
    norm = entry.batch_norm
    plain = (entry.weights * patch).sum(axis=(1, 2, 3), dtype=np.float64)
    expected = (plain - norm.mean) / norm.deviation * norm.scale + norm.shift
    weights, bias = entry.folded()
    np.testing.assert_allclose((weights * patch).sum(axis=(1, 2, 3)) + bias, expected, rtol=1e-5, atol=1e-6)
    assert weights.dtype == bias.dtype == np.float32


def test_the_official_weights(tiny_weights: Path) -> None:
    network = yolov3_tiny()
    parameters = read_darknet_weights(tiny_weights, network)
    shapes = [entry.weights.shape for entry in parameters]
    assert shapes[0] == (16, 3, 3, 3)
    assert shapes[-1] == (255, 256, 1, 1)
    assert len(shapes) == sum(isinstance(layer, Convolution) for layer in network.layers)


def test_weights_of_the_other_network(tiny_weights: Path) -> None:
    with pytest.raises(ModelError, match=r"found 35,434,956 bytes .*yolov3 with 80 classes needs exactly 248,007,048"):
        read_darknet_weights(tiny_weights, yolov3())
    with pytest.raises(ModelError, match=r"yolov3-tiny with 3 classes needs exactly"):
        read_darknet_weights(tiny_weights, yolov3_tiny(3))


@pytest.mark.parametrize("length", [0, 1, 11, 12, 19, 20, 500, -4, -1])
def test_truncated(tmp_path: Path, genuine: bytes, length: int) -> None:
    message = refused(tmp_path / "short.weights", genuine[:length])
    assert f"found {len(genuine[:length]):,} bytes" in message
    assert f"needs exactly {len(genuine):,} bytes ({NETWORK.parameter_count():,} numbers)" in message


@pytest.mark.parametrize("more", [1, 4, 4096])
def test_too_long(tmp_path: Path, genuine: bytes, more: int) -> None:
    message = refused(tmp_path / "long.weights", genuine + b"\0" * more)
    assert f"found {len(genuine) + more:,} bytes" in message


def test_a_file_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.weights"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk, and would in memory
    with pytest.raises(ModelError, match=r"found 1,099,511,627,776 bytes"):
        read_darknet_weights(path, NETWORK)


def test_an_error_page_in_place_of_weights(tmp_path: Path) -> None:
    assert "needs exactly" in refused(tmp_path / "page.weights", b"<!DOCTYPE html><title>Not found</title>" * 20)


def test_text_of_the_right_size(tmp_path: Path, genuine: bytes) -> None:
    message = refused(tmp_path / "text.weights", (b"abcdefgh" * len(genuine))[: len(genuine)])
    assert "the header says version" in message


def test_header_that_no_darknet_wrote(tmp_path: Path, genuine: bytes) -> None:
    message = refused(tmp_path / "a.weights", struct.pack("<3i", 0, 2, -7) + genuine[12:])
    assert "version 0.2.-7" in message
    message = refused(tmp_path / "b.weights", genuine[:12] + struct.pack("<q", -1) + genuine[20:])
    assert "-1 images seen" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("number", [0, 9, 300, -1])
def test_numbers_that_are_not_finite(tmp_path: Path, genuine: bytes, value: float, number: int) -> None:
    position = range(NETWORK.parameter_count())[number]
    start = HEADER + 4 * position
    content = genuine[:start] + struct.pack("<f", value) + genuine[start + 4 :]
    assert f"number {position:,} of the file is {value}" in refused(tmp_path / "odd.weights", content)


def test_both_infinities(tmp_path: Path, genuine: bytes) -> None:
    content = genuine[:HEADER] + struct.pack("<2f", float("inf"), float("-inf")) + genuine[HEADER + 8 :]
    assert "number 0 of the file is inf" in refused(tmp_path / "odd.weights", content)


def test_negative_variance(tmp_path: Path, genuine: bytes) -> None:
    content = genuine[:FIRST_VARIANCE] + struct.pack("<f", -0.5) + genuine[FIRST_VARIANCE + 4 :]
    message = refused(tmp_path / "odd.weights", content)
    assert "layer 0 of miniature: a variance of -0.5" in message


def test_no_file_no_folder_no_permission(tmp_path: Path, genuine: bytes) -> None:
    with pytest.raises(ModelError, match=f"can't read the weights: {os.strerror(errno.ENOENT)}"):
        read_darknet_weights(tmp_path / "none.weights", NETWORK)
    with pytest.raises(ModelError, match=f"can't read the weights: {os.strerror(errno.EISDIR)}"):
        read_darknet_weights(tmp_path, NETWORK)
    if os.geteuid() == 0:
        return  # root may read everything
    locked = tmp_path / "locked.weights"
    locked.write_bytes(genuine)
    locked.chmod(0)
    with pytest.raises(ModelError, match=f"can't read the weights: {os.strerror(errno.EACCES)}"):
        read_darknet_weights(locked, NETWORK)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_ends_in_weights_or_one_plain_error(tmp_path: Path, genuine: bytes, data: st.DataObject) -> None:
    content = bytearray(genuine)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        content[start : start + 4] = data.draw(st.binary(min_size=0, max_size=8))
    path = tmp_path / "damaged.weights"
    path.write_bytes(content)
    try:
        parameters = read_darknet_weights(path, NETWORK)
    except ModelError as error:
        assert "\n" not in str(error)
        return
    assert all_finite(parameters)


def all_finite(parameters: list[ConvolutionParameters]) -> bool:
    return all(np.isfinite(entry.weights).all() for entry in parameters)
