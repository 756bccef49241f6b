"""detect: pictures in, annotated copies, cut-out objects and a file of results out."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.geometry.boxes import iou_matrix
from pipeline.images.reading import read_image
from pipeline.models.class_names import COCO_CLASS_NAMES
from sightline.commands.main import main
from sinks.files.coco_results import category_ids, image_ids
from sinks.files.image_copies import copy_names, cut, safe_name
from sinks.files.image_results import in_order
from tests.support.images import blocks

SIZES = ((300, 400), (400, 300), (300, 300), (200, 400))


@pytest.fixture
def folder(tmp_path: Path, tiny_weights: Path) -> Path:
    """Six pictures with a stop sign each."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(6):
        assert cv2.imwrite(str(pictures / f"sign {number}.png"), blocks(*SIZES[number % 4], number))
    return pictures


def detect(*arguments: str | Path) -> int:
    return main(["detect", *map(str, arguments), "--input-size", "224", "--batch", "3", "--precision", "float32"])


def test_copies_cut_outs_and_results(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    results = {kind: tmp_path / f"results.{kind}" for kind in ("json", "csv", "coco")}
    files = [word for kind, path in results.items() for word in (f"--{kind}", path)]
    assert detect(folder, "--output", out, "--extract", *files) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "6 stop sign in 6 pictures" in said.out
    assert ", float32, threads: " in said.out.partition("network: ")[2]
    assert str(results["coco"]) in said.out
    assert f"copies: {out} (6 pictures, {len(list(out.glob('*-objects/*')))} objects cut out)" in said.out

    detector = YoloDetector(input_size=224, precision="float32")
    written = json.loads(results["json"].read_text())
    assert written["model"] == "tiny-yolov3"
    assert [entry["file"] for entry in written["pictures"]] == [str(folder / f"sign {n}.png") for n in range(6)]
    rows = list(csv.DictReader(results["csv"].open()))
    for entry in written["pictures"]:
        image = read_image(entry["file"])
        assert (entry["height"], entry["width"]) == image.shape[:2]
        alone = detector.detect(image)
        assert [thing["class"] for thing in entry["objects"]] == [COCO_CLASS_NAMES[n] for n in alone.class_id]
        np.testing.assert_allclose([thing["xyxy"] for thing in entry["objects"]], alone.xyxy, atol=0.05)
        np.testing.assert_allclose([thing["score"] for thing in entry["objects"]], alone.score, atol=1e-4)
        mine = [row for row in rows if row["file"] == entry["file"]]
        assert [float(row["left"]) for row in mine] == [thing["xyxy"][0] for thing in entry["objects"]]
        copy = read_image(out / entry["annotated"])
        assert copy.shape == image.shape
        assert 0 < (copy != image).any(axis=2).mean() < 0.5
        for thing in entry["objects"]:
            difference = read_image(out / thing["file"]).astype(int) - cut(image, thing["xyxy"])
            assert np.abs(difference).mean() < 10
    assert len(rows) == sum(len(entry["objects"]) for entry in written["pictures"]) >= 6
    assert (out / "sign 0-objects" / "stop-sign-1.jpg").is_file()
    assert not list(tmp_path.rglob("*.partial*"))


def test_without_outputs_the_findings_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(folder / "sign 1.png", folder / "sign [0-2].png", "--classes", "stop sign", "--quiet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": stop sign ")[0] for line in lines] == [str(folder / f"sign {n}.png") for n in (1, 0, 2)]
    assert detect(folder / "sign 1.png", "--classes", "person") == 0
    assert capsys.readouterr().out.startswith(f"{folder / 'sign 1.png'}: nothing\n1 picture")


def test_a_broken_picture_is_named_and_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sign 3.png").write_text("no picture")
    results, coco = tmp_path / "results.json", tmp_path / "coco.json"
    assert detect(folder, "--json", results, "--coco", coco) == 0
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"WARNING: {folder / 'sign 3.png'}: is no image")
    assert "5 pictures, 1 file left out" in said.out
    entries = json.loads(results.read_text())["pictures"]
    assert [("error" in entry, "objects" in entry) for entry in entries] == [
        (number == 3, number != 3) for number in range(6)
    ]
    assert [image["id"] for image in json.loads(coco.read_text())["images"]] == [1, 2, 3, 5, 6]

    results.unlink()
    assert detect(folder, "--json", results, "--strict") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "sign 3.png: is no image" in line
    assert not results.exists()

    assert detect(folder / "sign 3.png") == 1
    assert "none of the 1 files is an image" in capsys.readouterr().err


def test_files_of_one_name_from_two_folders(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    cv2.imwrite(str(other / "sign 0.png"), blocks(90, 90))
    out = tmp_path / "out"
    assert detect(folder / "sign 0.png", other / "sign 0.png", "-o", out, "--extract") == 0
    assert read_image(out / "sign 0.png").shape == (300, 400, 3)
    assert read_image(out / "sign 0-2.png").shape == (90, 90, 3)


def test_names_of_copies() -> None:
    given = ["a/x.jpg", "b/x.jpg", "b/X.png", "x-2.jpg", "y.gif", "z.JPG", "w"]
    assert copy_names([Path(name) for name in given]) == [
        *("x.jpg", "x-2.jpg", "X-3.png", "x-2-2.jpg", "y.png", "z.JPG", "w.png")
    ]
    assert [safe_name(name) for name in ("traffic light", "../../etc", "a/b\\c", "..")] == [
        *("traffic-light", "etc", "a-b-c", "object")
    ]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["{folder}", "--output", "{folder}"], 2, "it is one of the images given; choose another name"),
        (["{folder}", "--json", "{folder}/sign 2.png"], 2, "it is one of the images given"),
        (
            ["{folder}", "--json", "{folder}/../a", "--csv", "{folder}/../a"],
            2,
            "the results in JSON would be written there too",
        ),
        (["{folder}", "--extract"], 2, "--extract: the cut-out objects need a folder; add --output DIR"),
        (["{folder}", "--classes", "persn"], 2, "no class 'persn' in this model; did you mean 'person'"),
        (["{folder}", "--json", "{folder}"], 2, "it is a folder; name a file in it"),
        (["{folder}", "--model", "tiny"], 2, "did you mean tiny-yolov3"),
        (["{folder}/nothing.jpg"], 2, "nothing.jpg: no such file or folder"),
        (["{folder}/*.jpg"], 2, "no file matches this pattern"),
        (["{folder}/.."], 1, "folder without images"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(
    options: list[str], code: int, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}
    assert main(["detect", *(option.format(folder=folder) for option in options)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")} == before


def test_a_link_to_a_picture_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "sign 0.png").symlink_to(folder / "sign 0.png")
    assert detect(folder / "sign 0.png", "-o", out) == 2


def test_results_come_in_order() -> None:
    assert list(in_order([(2, "c"), (0, "a"), (1, "b"), (4, "e"), (5, "f")])) == [
        *((0, "a"), (1, "b"), (2, "c"), (4, "e"), (5, "f"))
    ]


def test_ids_of_coco() -> None:
    assert image_ids([Path("a/000000000139.jpg"), Path("7.png")]) == [139, 7]
    assert image_ids([Path("a/7.jpg"), Path("b/7.png")]) == [1, 2]
    assert image_ids([Path("a.jpg"), Path("7.png")]) == [1, 2]
    assert category_ids(("cat", "dog")) == (1, 2)
    assert category_ids(COCO_CLASS_NAMES)[:13] == (*range(1, 12), 13, 14)
    assert category_ids(COCO_CLASS_NAMES)[-1] == 90


def test_cut_keeps_at_least_a_pixel() -> None:
    image = blocks(50, 60)
    assert cut(image, (10.2, 20.7, 11.1, 22.0)).shape == (2, 2, 3)
    assert cut(image, (59.9, 49.9, 60.0, 50.0)).shape == (1, 1, 3)
    np.testing.assert_array_equal(cut(image, (0, 0, 60, 50)), image)


# Left, top, right, bottom as measured by eye in the picture, with lines every 50 pixels drawn over it.
DOG_PICTURE = {"dog": (134, 222, 310, 540), "bicycle": (126, 135, 566, 420), "car truck": (468, 76, 692, 170)}


def test_the_dog_the_bicycle_and_the_car_or_truck(
    eval_dir: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "dog.json"
    assert main(["detect", str(eval_dir / "images" / "dog.jpg"), "--json", str(results)]) == 0
    (picture,) = json.loads(results.read_text())["pictures"]
    for names, place in DOG_PICTURE.items():
        alternatives = names.split() if names.startswith("car") else [names]
        boxes = [thing["xyxy"] for thing in picture["objects"] if thing["class"] in alternatives]
        assert boxes, f"no {names}"
        assert iou_matrix(np.array(boxes), np.array([place])).max() > 0.5, f"{names} somewhere else: {boxes}"


def test_pycocotools_reads_the_results(eval_dir: Path, tiny_weights: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    files = sorted((eval_dir / "coco" / "images").glob("*.jpg"))[:30]
    results = tmp_path / "coco.json"
    options = ["--confidence", "0.01", "--coco", str(results), "--quiet"]
    assert main(["detect", *map(str, files), *options]) == 0
    with contextlib.redirect_stdout(io.StringIO()):
        found, truth = COCO(str(results)), COCO(str(eval_dir / "coco" / "instances.json"))
        evaluation: Any = COCOeval(truth, truth.loadRes(list(found.anns.values())), "bbox")
        evaluation.params.imgIds = found.getImgIds()
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert found.getImgIds() == [int(file.stem) for file in files]
    assert {entry["id"]: entry["name"] for entry in found.cats.values()} == {
        entry["id"]: entry["name"] for entry in truth.cats.values()
    }
    assert all(truth.imgs[image]["width"] == found.imgs[image]["width"] for image in found.getImgIds())
    assert evaluation.stats[1] > 0.3


def test_another_engine_finds_the_same(folder: Path, tmp_path: Path) -> None:
    found = []
    for engine in ("tensorflow", "openvino"):
        path = tmp_path / f"{engine}.json"
        assert detect(folder, "--engine", engine, "--json", path) == 0
        found.append(json.loads(path.read_text())["pictures"])
    first, second = ([thing for entry in pictures for thing in entry["objects"]] for pictures in found)
    assert len(first) == len(second) >= 6
    np.testing.assert_allclose([thing["xyxy"] for thing in first], [thing["xyxy"] for thing in second], atol=0.1)


def test_names_that_are_no_text(folder: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Every file of results can be read, each file is told of in a line, and copies have the very names."""
    odd = [os.fsdecode(b"caf\xe9.png"), "a\nb.png", "\x1b[31mred.png", "[red]カメラ.png", "=1+1.png"]
    for name in (*odd, "x" * 240 + ".png"):
        (folder / name).write_bytes((folder / "sign 0.png").read_bytes())
    (folder / os.fsdecode(b"br\xe9ken\n.png")).write_bytes(b"")
    out, files = tmp_path / os.fsdecode(b"\xe9"), {kind: tmp_path / f"x.{kind}" for kind in ("json", "csv", "coco")}
    words = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    assert detect(folder, "--output", out, "--extract", *words) == 0
    said = capsysbinary.readouterr()
    assert said.err.count(b"\n") == 1
    assert b"br\\xe9ken\\n.png: is empty; copy it anew; left out" in said.err
    assert b"copies: " in said.out
    told = {Path(entry["file"]).name: entry for entry in json.loads(files["json"].read_bytes())["pictures"]}
    assert {"caf\\xe9.png", "a\nb.png", "\x1b[31mred.png", "[red]カメラ.png", "=1+1.png"} <= set(told)
    assert "br\\xe9ken\\n.png" in told["br\\xe9ken\n.png"]["error"]
    assert told["caf\\xe9.png"]["annotated"] == "caf\\xe9.png"
    written = sorted(path.name for path in out.glob("*.png"))
    assert written == sorted([*(f"sign {number}.png" for number in range(6)), *odd, "x" * 180 + ".png"])
    rows = list(csv.DictReader(files["csv"].open(newline="")))
    assert {Path(row["file"]).name for row in rows} == set(told) - {"br\\xe9ken\n.png"}
    assert len(json.loads(files["coco"].read_bytes())["images"]) == 12

    assert detect(folder / odd[0], folder / odd[1]) == 0
    said = capsysbinary.readouterr()
    assert [line.count(b": ") for line in said.out.splitlines()] == [1, 1, 0]
    assert detect(folder / ("y" * 300 + ".png")) == 2
    assert capsysbinary.readouterr().err.count(b"\n") == 1
