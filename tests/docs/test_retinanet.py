"""What docs/retinanet.md says: its commands and its program, run as they stand there on small pictures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import pytest

from pipeline.models.networks.retinanet import RetinaNet
from pipeline.models.registry import find_model
from sightline.commands.main import main
from tests.oracles.retinanet_weights import picture
from tests.support.retinanet_files import write_random_weights

TEXT = (Path(__file__).parents[2] / "docs" / "retinanet.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published one's name and layout, with random numbers in it."""
    model = find_model("retinanet")
    network = model.network()
    assert isinstance(network, RetinaNet)
    assert model.file is not None
    return write_random_weights(tmp_path_factory.mktemp("retinanet") / model.file.name, network)


def test_it_names_the_catalogue_s_file() -> None:
    file = find_model("retinanet").file
    assert file is not None
    assert f"`{file.name}`" in TEXT
    assert file.sha256 in file.name
    assert all(url.replace(file.name, "NAME") in TEXT for url in file.urls)


@pytest.mark.slow
def test_its_commands_run(weights: Path, demo_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch, plain, quick = (line for language, text in BLOCKS if language == "sh" for line in text.splitlines())
    assert fetch == "python run_pipeline.py models fetch retinanet"  # which needs a network
    assert quick.startswith(plain)  # so that one run tells of both
    arguments = shlex.split(quick.removeprefix("python run_pipeline.py ").replace("VIDEO", str(demo_clip)))
    arguments += ["--weights", str(weights), "--tracks", str(tmp_path / "tracks.txt"), "--duration", "0.4"]
    # What random weights see is noise, which only the plainest tracker takes for objects at once.
    arguments += ["--tracker", "sort", "--set", "tracker.lag_s=0"]
    assert main([*arguments, "--input-size", "96", "--confidence", "0.1"]) == 0
    assert "10 processed" in capsys.readouterr().out
    assert len((tmp_path / "tracks.txt").read_text().splitlines()) >= 10  # random weights see things everywhere


@pytest.mark.slow
def test_its_program_runs(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(weights.name).symlink_to(weights)
    cv2.imwrite("photo.jpg", picture(60, 1000))
    (program,) = [text for language, text in BLOCKS if language == "python"]
    found: dict[str, object] = {}
    exec(program, found)
    assert len(found["found"]) > 0  # type: ignore[arg-type]
