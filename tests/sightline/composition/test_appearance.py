"""``tracker.appearance`` in a configuration: what it builds, and what is wrong with it in one line."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.runtime.streams.stream import Stream
from sightline.composition.pipeline import build_pipeline
from sightline.composition.streams import Sight, build_stream
from sightline.config.files import stream_files
from sightline.config.loading import load_config
from tests.support.fakes import BlobDetector, MemorySource, picture
from tests.support.onnx_embedding import write_embedding


def built(keys: dict[str, Any], names: tuple[str, ...] = ("person",)) -> list[Stream]:
    config = load_config(None, (), keys)
    with ExitStack() as stack:
        return [
            build_stream(config, described, Sight(names), stack, source=MemorySource([picture([])]))
            for described in config.resolved_streams()
        ]


def test_each_stream_has_links_of_its_own_and_shares_the_network(tmp_path: Path) -> None:
    network = write_embedding(tmp_path / "net.onnx")
    other = write_embedding(tmp_path / "other.onnx")
    streams = {
        "door": {"source": tmp_path},
        "yard": {"source": tmp_path},
        "roof": {"source": tmp_path, "tracker": {"appearance": str(other)}},
    }
    door, yard, roof = built({"streams": streams, "tracker": {"appearance": str(network)}})
    assert door.links is not None and yard.links is not None and roof.links is not None
    assert door.links is not yard.links
    assert door.links._embedder is yard.links._embedder
    assert door.links._embedder is not roof.links._embedder
    assert all(stream.links is None for stream in built({"source": tmp_path}))


@pytest.mark.parametrize(
    ("written", "names", "tracker", "told"),
    [
        (None, ("person",), {}, r"net\.onnx: is no file"),
        ({"twice": True}, ("person",), {}, r"net\.onnx: is no re-identification network"),
        ({"metadata": {"task": "detect"}}, ("person",), {}, r"net\.onnx: is no re-identification network"),
        ({}, ("car", "van"), {}, r"tracker\.appearance_classes: .*person"),
        ({}, ("person",), {"appearance_classes": ["persn"]}, r"tracker\.appearance_classes: .*persn.*person"),
        ({}, ("person",), {"appearance_classes": []}, r"tracker\.appearance_classes: got \[\]"),
        ({}, ("person",), {"appearance": ""}, r"tracker\.appearance: "),
    ],
)
def test_what_can_not_be_is_told_in_one_line(
    written: dict[str, Any] | None, names: tuple[str, ...], tracker: dict[str, Any], told: str, tmp_path: Path
) -> None:
    network = tmp_path / "net.onnx"
    if written is not None:
        write_embedding(network, **written)
    with pytest.raises(PipelineError, match=told) as caught:
        built({"source": tmp_path, "tracker": {"appearance": str(network), **tracker}}, names)
    assert "\n" not in str(caught.value)


def test_no_output_takes_the_place_of_the_network(tmp_path: Path) -> None:
    network = write_embedding(tmp_path / "net.onnx")
    keys = {"source": tmp_path, "tracker": {"appearance": str(network)}, "output": {"jsonl": str(network)}}
    config = load_config(None, (), {**keys, "filters": {"classes": ["blob"]}})
    (described,) = config.resolved_streams()
    assert network in [path for files in stream_files(described) for path in files.files]
    content = network.read_bytes()
    source = MemorySource([picture([])], stream=described.name)
    config = load_config(None, (), {**keys, "tracker": {"appearance": str(network), "appearance_classes": ["blob"]}})
    with pytest.raises(PipelineError, match=r"net\.onnx"):
        build_pipeline(config, detector=BlobDetector(), sources={described.name: source}).run()
    assert network.read_bytes() == content
