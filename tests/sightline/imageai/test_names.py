"""Class names as the two generations of ImageAI spell them."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigError
from pipeline.models.class_names import COCO_CLASS_NAMES
from sightline.imageai import ObjectDetection, VideoObjectDetection
from sightline.imageai.names import canonical, generation_of, spelled, wanted_classes

# The keyword arguments of CustomObjects in ImageAI 2.1.6.
_SECOND = """
    person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter bench
    bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee skis
    snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork
    knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed
    dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator book clock
    vase scissors teddy_bear hair_dryer toothbrush
"""
# The names in ImageAI 3.0.3's coco_classes.txt, which its YOLO networks use.
_THIRD = """
    person bicycle car motorbike aeroplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter bench
    bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee skis
    snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork
    knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair sofa pottedplant bed
    diningtable toilet tvmonitor laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator book
    clock vase scissors teddy_bear hair_drier toothbrush
"""
SECOND, THIRD = _SECOND.split(), _THIRD.split()


def test_results_are_spelled_as_the_script_expects() -> None:
    assert [name.replace(" ", "_") for name in spelled(COCO_CLASS_NAMES, 2, yolo=True)] == SECOND
    assert [name.replace(" ", "_") for name in spelled(COCO_CLASS_NAMES, 3, yolo=True)] == THIRD
    assert spelled(COCO_CLASS_NAMES, 3, yolo=False) == COCO_CLASS_NAMES


@pytest.mark.parametrize("names", [SECOND, THIRD], ids=["2", "3"])
@pytest.mark.parametrize("kind", [ObjectDetection, VideoObjectDetection])
def test_custom_objects_takes_every_name_of_both_generations(
    names: list[str], kind: type[ObjectDetection | VideoObjectDetection]
) -> None:
    detector = kind()
    for name, expected in zip(names, COCO_CLASS_NAMES, strict=True):
        chosen = detector.CustomObjects(**{name: True})
        assert len(chosen) == len(COCO_CLASS_NAMES)
        assert wanted_classes(chosen, COCO_CLASS_NAMES) == (expected,)
        assert canonical(name.replace("_", " ")) == expected
    both = detector.CustomObjects(person=True, car=False, dog=True)
    assert wanted_classes(both, COCO_CLASS_NAMES) == ("person", "dog")


def test_what_scripts_may_give_as_custom_objects() -> None:
    assert wanted_classes(None, COCO_CLASS_NAMES) is None
    assert wanted_classes({"person": "valid", "car": "invalid"}, COCO_CLASS_NAMES) == ("person",)
    assert wanted_classes(["sofa", "hair dryer"], COCO_CLASS_NAMES) == ("couch", "hair drier")
    assert wanted_classes(ObjectDetection().CustomObjects(), COCO_CLASS_NAMES) == ()
    # A model of the user's own has other classes, and only those.
    assert wanted_classes(["sofa"], ("sofa", "lamp")) == ("sofa",)
    with pytest.raises(ConfigError, match="custom objects: no class 'couch' in this model"):
        wanted_classes(["couch"], ("sofa", "lamp"))


@pytest.mark.parametrize(
    ("path", "generation"),
    [(None, 2), ("yolo.h5", 2), ("yolov3.weights", 2), ("yolov3.pt", 3), ("retinanet_resnet50_fpn_coco.PTH", 3)],
)
def test_the_model_file_tells_the_generation(path: str | None, generation: int) -> None:
    assert generation_of(path) == generation


@pytest.mark.parametrize("name", ["persn", "hair-dryer", ""])
def test_an_unknown_object_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="custom objects: no class"):
        ObjectDetection().CustomObjects(**{name: True})
