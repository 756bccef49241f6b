"""classify as a user meets it, and what docs/classification.md shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import pytest

from pipeline.classification.registry import find_classifier
from pipeline.models.class_names import imagenet_names
from sightline.commands.main import main
from tests.support.images import blocks

TEXT = (Path(__file__).parents[3] / "docs" / "classification.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with random weights in the place of the published ones, and a file of one's own."""
    from pipeline.models.engines.quiet_tensorflow import tf

    folder = tmp_path_factory.mktemp("cache")
    published = folder / find_classifier("mobilenetv2").url.rpartition("/")[2]
    tf.keras.applications.MobileNetV2(weights=None).save(published)
    tf.keras.applications.MobileNetV2(weights=None, classes=3).save(folder / "mine.h5")
    return folder


@pytest.fixture
def folder(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("street.jpg", "sign.png"):
        assert cv2.imwrite(str(tmp_path / "photos" / name), blocks(300, 400))
    (tmp_path / "mine.h5").symlink_to(cache / "mine.h5")
    (tmp_path / "mine.json").write_text('{"0": "cat", "1": "dog", "2": "pony"}')
    monkeypatch.setenv("SIGHTLINE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_page_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (commands,) = [text for language, text in BLOCKS if language == "sh"]
    for line in commands.splitlines():
        assert main(shlex.split(line)[2:]) == 0, line
    said = capsys.readouterr()
    assert said.err == ""
    assert re.search(r"^photos/street\.jpg: (cat|dog|pony) \d+\.\d%, ", said.out, re.MULTILINE)
    written = json.loads((folder / "out.json").read_text())
    assert [picture["file"] for picture in written["pictures"]] == ["photos/street.jpg", "photos/sign.png"]
    for picture in written["pictures"]:
        probabilities = [answer["probability"] for answer in picture["classes"]]
        assert len(probabilities) == 5
        assert probabilities == sorted(probabilities, reverse=True)
        assert (picture["width"], picture["height"]) == (400, 300)


def test_the_program_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python"]
    exec(compile(program, "docs/classification.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.slow
def test_tracked_objects_are_named_once(folder: Path, demo_clip: Path, tiny_weights: Path) -> None:
    (shown,) = [text for language, text in BLOCKS if language == "yaml"]
    (folder / "shown.yaml").write_text(shown)
    (folder / "clip.mp4").symlink_to(demo_clip)
    settings = ["classify.classes=[person,bicycle,car]", "classify.min_size=[24,24]", "duration_s=3"]
    options = [word for setting in settings for word in ("--set", setting)]
    runs = []
    for name in ("first.jsonl", "second.jsonl"):
        assert main(["run", "--config", "shown.yaml", *options, "--jsonl", name, "--quiet"]) == 0
        runs.append([json.loads(line) for line in (folder / name).read_text().splitlines()])
    events = runs[0]
    named = {event["track_id"]: event for event in events if event["type"] == "track.classified"}
    assert len(named) == sum(event["type"] == "track.classified" for event in events) >= 3, "each once"
    for track_id, event in named.items():
        mine = [other for other in events if other.get("track_id") == track_id]
        kinds = [other["type"] for other in mine]
        assert kinds.index("track.started") < kinds.index("track.classified") < kinds.index("track.ended")
        assert event["class"] == mine[0]["class"]
        assert event["class"] in ("person", "bicycle", "car")
        assert event["label"] in imagenet_names()
        assert event["model"] == "mobilenetv2"
        assert 0 < event["probability"] <= 1
        assert mine[0]["pts_s"] <= event["seen_s"] <= event["pts_s"]
    changing = ("run", "wall", "ledger")  # frames read beyond the duration are a matter of chance
    first, second = ([{k: v for k, v in event.items() if k not in changing} for event in run] for run in runs)
    assert first == second, "the same file gives the same events"


def test_a_broken_picture_is_named_and_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos" / "broken.jpg").write_text("no")
    options = ["--weights", "mine.h5", "--names", "mine.json"]
    assert main(["classify", "photos", "--json", "out.json", *options]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("WARNING: photos/broken.jpg: is no image")
    assert "2 pictures, 1 file left out" in said.out
    entries = json.loads((folder / "out.json").read_text())["pictures"]
    assert ["error" in entry for entry in entries] == [True, False, False]
    assert main(["classify", "photos", "--strict", *options]) == 1
    assert main(["classify", "photos/broken.jpg", *options]) == 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["nothing.jpg"], 2, "nothing.jpg: no such file"),
        (["photos", "--model", "resnet"], 2, "no classifier called 'resnet'"),
        (["photos", "--weights", "mine.h5"], 2, "give their names (--names FILE)"),
        (["photos", "--weights", "photos/sign.png", "--names", "mine.json"], 1, "can't be read as HDF5"),
        (["photos", "--json", "photos/sign.png"], 2, "is one of the images given"),
        (["photos", "--top", "0"], 2, "--top"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], code: int, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", *options]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert words in line
