"""The catalogue of models and the places its weights come from."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib.metadata
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.models import registry as models
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.networks.onnx_network import OnnxNetwork
from pipeline.models.networks.yolov3_family import yolov3_tiny
from pipeline.models.published import PublishedFile
from pipeline.models.registry import Model, catalogue, fetch, find_model, find_weights

CONTENT = b"the published weights" * 100


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


def model_with(*urls: str, name: str = "a.weights", content: bytes = CONTENT, package: str | None = None) -> Model:
    digest = hashlib.sha256(content).hexdigest()
    return Model("test", yolov3_tiny, COCO_CLASS_NAMES, PublishedFile(name, len(content), digest, urls, package))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_classes_are_cocos_in_order() -> None:
    names = COCO_CLASS_NAMES
    assert len(names) == len(set(names)) == 80
    assert (names[0], names[2], names[16], names[62], names[79]) == ("person", "car", "dog", "tv", "toothbrush")


def test_the_catalogue_fits_its_networks() -> None:
    for name in models.model_names():
        model = find_model(name)
        network = model.network()
        assert model.file is not None
        if isinstance(network, DarknetNetwork):
            assert model.file.size == 20 + 4 * network.parameter_count()
        if not isinstance(network, OnnxNetwork):
            assert len(model.class_names) == network.class_count
            assert len(model.file.urls) == 2
        assert model.about is not None
        assert 0 < model.about.average_precision < 100


@pytest.mark.parametrize(
    ("given", "meant"),
    [("tiny-yolo3", "tiny-yolov3"), ("yolov3-tiny", "tiny-yolov3"), ("YOLOv3", "yolov3"), ("yolo3", "yolov3")],
)
def test_unknown_model_names_what_may_be_meant(given: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"there is none called '{given}'; did you mean .*{meant}") as caught:
        find_weights(given)
    assert caught.value.exit_code == 2


def test_a_name_like_nothing_gets_the_whole_list() -> None:
    with pytest.raises(ConfigError, match="known are tiny-yolov3, yolov3, yolox-nano, yolox-tiny, yolox-s, retinanet"):
        find_model("zebra")


def test_the_callers_file_comes_first(tmp_path: Path, cache: Path) -> None:
    cache.mkdir()
    (cache / "a.weights").write_bytes(CONTENT)
    own = tmp_path / "own.weights"
    own.write_bytes(b"anything")
    assert find_weights(model_with(), own) == own


def test_the_callers_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.weights: the weights of yolov3 are not there") as caught:
        find_weights("yolov3", tmp_path / "none.weights")
    assert caught.value.exit_code == 2
    with pytest.raises(ConfigError, match="are a folder, not a file"):
        find_weights("yolov3", tmp_path)


def test_a_genuine_file_in_the_cache_is_used(cache: Path) -> None:
    cache.mkdir()
    (cache / "a.weights").write_bytes(CONTENT)
    assert fetch(model_with()) == cache / "a.weights"


def test_a_file_inside_an_installed_package_is_found_and_checked(cache: Path) -> None:
    entry = next(file for file in importlib.metadata.files("pytest") or [] if file.name == "recwarn.py")
    content = Path(str(entry.locate())).read_bytes()
    nowhere = "http://127.0.0.1:9/recwarn.py"
    found = fetch(model_with(nowhere, name="recwarn.py", content=content, package="pytest"))
    assert found.name == "recwarn.py"
    assert cache not in found.parents
    with pytest.raises(ModelError, match="can't download"):  # one of that name that is another file
        fetch(model_with(nowhere, name="recwarn.py", content=content + b"x", package="pytest"))


def test_the_official_file_needs_no_network(tiny_weights: Path) -> None:
    assert tiny_weights.stat().st_size == 35_434_956


def test_a_package_that_is_not_installed_is_no_error(site: tuple[Path, str], cache: Path) -> None:
    folder, address = site
    (folder / "a.weights").write_bytes(CONTENT)
    assert fetch(model_with(f"{address}/a.weights", package="no-such-package")) == cache / "a.weights"


def test_download_lands_in_the_cache(site: tuple[Path, str], cache: Path) -> None:
    folder, address = site
    (folder / "a.weights").write_bytes(CONTENT)
    model = model_with(f"{address}/a.weights")
    path = find_weights(model)
    assert path == cache / "a.weights"
    assert path.read_bytes() == CONTENT
    (folder / "a.weights").unlink()
    assert find_weights(model) == path


def test_the_second_host_stands_in(site: tuple[Path, str]) -> None:
    folder, address = site
    (folder / "a.weights").write_bytes(CONTENT)
    assert fetch(model_with(f"{address}/gone.weights", f"{address}/a.weights")).read_bytes() == CONTENT


def test_tampered_weights_are_replaced(site: tuple[Path, str], cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, address = site
    (folder / "a.weights").write_bytes(CONTENT)
    model = model_with(f"{address}/a.weights")
    path = fetch(model)
    tampered = bytearray(CONTENT)
    tampered[1000] ^= 1
    path.write_bytes(tampered)
    os.utime(path, ns=(1, 1))
    with caplog.at_level(logging.WARNING):
        assert fetch(model).read_bytes() == CONTENT
    assert "is not the published file" in caplog.text


def test_a_download_that_is_not_the_file_is_thrown_away(site: tuple[Path, str], cache: Path) -> None:
    folder, address = site
    (folder / "a.weights").write_bytes(b"<html>sign in to this network</html>")
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:\d+: what came is not the published file"):
        fetch(model_with(f"{address}/a.weights"))
    assert list(cache.iterdir()) == []


def test_a_hash_of_which_only_the_beginning_is_published(site: tuple[Path, str], cache: Path) -> None:
    folder, address = site
    (folder / "a.pth").write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    for known, right in ((digest[:8], True), ("00000000", False)):
        file = PublishedFile("a.pth", None, known, (f"{address}/a.pth",))
        model = Model("test", yolov3_tiny, COCO_CLASS_NAMES, file)
        if right:
            assert fetch(model) == cache / "a.pth"
            (cache / "a.pth").unlink()
        else:
            with pytest.raises(ModelError, match="what came is not the published file"):
                fetch(model)
            assert list(cache.iterdir()) == []


def test_without_network_the_message_says_what_to_do(cache: Path) -> None:
    model = model_with("http://127.0.0.1:9/a.weights")
    with pytest.raises(ModelError) as caught:
        fetch(model)
    message = str(caught.value)
    assert "\n" not in message
    assert "127.0.0.1:9" in message
    assert f"put it at {cache / 'a.weights'}, or pass --weights FILE." in message


def test_a_cache_that_can_not_be_written(
    tmp_path: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = site
    (folder / "a.weights").write_bytes(CONTENT)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "below"))
    with pytest.raises(ModelError, match="can't download"):
        fetch(model_with(f"{address}/a.weights"))


def test_the_catalogue_says_where_weights_are(cache: Path, tmp_path: Path) -> None:
    by_name = {status.model.name: status for status in catalogue()}
    assert set(by_name) == {"tiny-yolov3", "yolov3", "yolox-nano", "yolox-tiny", "yolox-s", "retinanet"}
    assert by_name["yolov3"].where == "missing"
    assert by_name["yolov3"].path == cache / "yolov3.weights"
    assert not cache.exists()
