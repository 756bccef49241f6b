"""Lists of pictures: the three forms of the batch tutorial, as scripts have them but for the import line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from pipeline.errors import ConfigError, SourceError
from sightline.imageai import ObjectDetection
from sightline.imageai.picture_lists import output_paths
from tests.support.images import blocks

TUTORIAL = {
    "paths": """
from sightline.imageai import ObjectDetection
import os

detector = ObjectDetection()
detector.setModelTypeAsTinyYOLOv3()
detector.loadModel()
images = [os.path.join("photos", name) for name in sorted(os.listdir("photos"))]
results = detector.detectObjectsFromImage(
    input_image=images, output_image_path="detected", minimum_percentage_probability=20
)
""",
    "bytes": """
from sightline.imageai import ObjectDetection
import os

detector = ObjectDetection()
detector.setModelTypeAsTinyYOLOv3()
detector.loadModel()
images = []
for name in sorted(os.listdir("photos")):
    with open(os.path.join("photos", name), "rb") as file:
        images.append(file.read())
results = detector.detectObjectsFromImage(
    input_image=images, input_type="stream", output_image_path="detected", minimum_percentage_probability=20
)
""",
    "arrays": """
from sightline.imageai import ObjectDetection
import cv2
import os

detector = ObjectDetection()
detector.setModelTypeAsTinyYOLOv3()
detector.loadModel()
images = [cv2.imread(os.path.join("photos", name)) for name in sorted(os.listdir("photos"))]
results = [
    objects
    for picture, objects in detector.detectObjectsFromImage(
        input_image=images, input_type="array", output_type="array", minimum_percentage_probability=20
    )
]
""",
}


@pytest.fixture
def photos(demo_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three frames of a street and a picture of another size, without loss, in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    capture = cv2.VideoCapture(str(demo_clip))
    for number in range(3):
        capture.set(cv2.CAP_PROP_POS_FRAMES, 60 * number)
        cv2.imwrite(str(folder / f"{number}.png"), capture.read()[1])
    cv2.imwrite(str(folder / "blocks.png"), blocks(300, 400))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def detector(tiny_weights: Path) -> ObjectDetection:
    detector = ObjectDetection()
    detector.setModelTypeAsTinyYOLOv3()
    detector.loadModel()
    return detector


@pytest.mark.parametrize("form", TUTORIAL)
def test_a_tutorial_gives_what_single_calls_give(form: str, photos: list[Path], detector: ObjectDetection) -> None:
    names: dict[str, Any] = {}
    exec(TUTORIAL[form], names)
    alone = [detector.detectObjectsFromImage(str(path), minimum_percentage_probability=20) for path in photos]
    assert [[item["name"] for item in objects] for objects in names["results"]] == [
        [item["name"] for item in objects] for objects in alone
    ]
    for objects, single in zip(names["results"], alone, strict=True):
        for item, other in zip(objects, single, strict=True):
            assert item["box_points"] == pytest.approx(other["box_points"], abs=1)
            assert item["percentage_probability"] == pytest.approx(other["percentage_probability"], abs=0.5)
    assert any(alone)
    written = {"paths": ["0.png", "1.png", "2.png", "blocks.png"], "bytes": ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]}
    if form in written:
        assert sorted(path.name for path in Path("detected").iterdir()) == written[form]


def test_a_list_may_hold_anything_and_a_broken_item_is_named(photos: list[Path], detector: ObjectDetection) -> None:
    mixed = [photos[0], photos[1].read_bytes(), cv2.imread(str(photos[2])), PIL.Image.open(photos[3])]
    assert len(detector.detectObjectsFromImage(mixed)) == 4
    assert detector.detectObjectsFromImage([]) == []
    with pytest.raises(SourceError, match=r"input_image\[1\]: is no image"):
        detector.detectObjectsFromImage([photos[0], b"no picture at all"])
    with pytest.raises(SourceError, match=r"input_image\[1\]: .*missing\.jpg: no such file"):
        detector.detectObjectsFromImage([photos[0], "missing.jpg"])
    with pytest.raises(ConfigError, match=r"input_image\[0\]: expected a path"):
        detector.detectObjectsFromImage([7])
    with pytest.raises(ConfigError, match="expected a folder for a list"):
        detector.detectObjectsFromImage(photos, output_image_path="out.jpg")


def test_cut_out_objects_and_custom_objects_come_in_lists_too(photos: list[Path], detector: ObjectDetection) -> None:
    custom = detector.CustomObjects(car=True, person=True)
    results = detector.detectObjectsFromImage(
        photos, "detected", extract_detected_objects=True, custom_objects=custom, minimum_percentage_probability=20
    )
    assert len(results) == len(photos)
    for objects, paths in results:
        assert {item["name"] for item in objects} <= {"car", "person"}
        assert len(paths) == len(objects)
        assert all(Path(path).is_file() for path in paths)


def test_pictures_of_one_name_are_kept_apart() -> None:
    pictures = ["a/x.jpg", Path("b/x.JPG"), np.zeros((8, 8, 3), np.uint8), "x.webp"]
    names = [path.name for path in output_paths(pictures, Path("out"))]
    assert names == ["x.jpg", "x-2.JPG", "3.jpg", "x-3.jpg"]
