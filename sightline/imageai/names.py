"""Class names as ImageAI spells them. Its two generations differ from each other and from COCO.

ImageAI 2 says ``hair dryer``; ImageAI 3 has Darknet's older names with YOLO, such as ``motorbike``, and COCO's with
RetinaNet. As keyword arguments all of them are written with ``_`` for the space.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.models.class_names import COCO_CLASS_NAMES, class_ids

Generation = Literal[2, 3]
CustomObjects = Mapping[str, bool | str] | Iterable[str]

_SECOND: Mapping[str, str] = {"hair drier": "hair dryer"}
_THIRD_YOLO: Mapping[str, str] = {
    "motorcycle": "motorbike",
    "airplane": "aeroplane",
    "couch": "sofa",
    "potted plant": "pottedplant",
    "dining table": "diningtable",
    "tv": "tvmonitor",
}
_CANONICAL = {theirs: coco for spelling in (_SECOND, _THIRD_YOLO) for coco, theirs in spelling.items()}
_CHOICES: Mapping[object, bool] = {True: True, False: False, "valid": True, "invalid": False}


def generation_of(model_path: str | Path | None) -> Generation:
    """The ImageAI that a file of weights belongs to: 3 for PyTorch's ``.pt`` and ``.pth``, else 2."""
    return 3 if model_path is not None and Path(model_path).suffix.lower() in (".pt", ".pth") else 2


def spelled(class_names: Sequence[str], generation: Generation, *, yolo: bool) -> tuple[str, ...]:
    """The model's class names as that generation gives them in results."""
    spelling = (_THIRD_YOLO if yolo else {}) if generation == 3 else _SECOND
    return tuple(spelling.get(name, name) for name in class_names)


def canonical(name: str, class_names: Sequence[str] = COCO_CLASS_NAMES) -> str:
    """The model's own name for a class given in any spelling, with spaces or underscores.

    Raises:
        ConfigError: no such class; the message lists near matches.
    """
    spaced = name.replace("_", " ")
    for candidate in (name, spaced, _CANONICAL.get(spaced, "")):
        if candidate in class_names:
            return candidate
    (class_id,) = class_ids([spaced], class_names, where="custom objects")  # raises, and says which names are like it
    return class_names[class_id]


def custom_objects(chosen: Mapping[str, bool], class_names: Sequence[str] = COCO_CLASS_NAMES) -> dict[str, bool]:
    """What ``CustomObjects`` returns: every class by keyword, and whether it is wanted.

    Raises:
        ConfigError: a class that there is not, or a value that is neither true nor false.
    """
    wanted = dict.fromkeys(class_names, False)
    for keyword, value in chosen.items():
        wanted[canonical(keyword, class_names)] = _choice(keyword, value)
    return {name.replace(" ", "_"): value for name, value in wanted.items()}


def wanted_classes(objects: CustomObjects | None, class_names: Sequence[str]) -> tuple[str, ...] | None:
    """The model's names of the classes to detect; None for all of them.

    Args:
        objects: what ``CustomObjects`` returned, such a dictionary written by hand (with true and false, or
            ``"valid"`` and ``"invalid"``), or a list of names.
        class_names: the model's classes.

    Raises:
        ConfigError: as for ``custom_objects``.
    """
    if objects is None:
        return None
    if isinstance(objects, str):
        raise ConfigError(f"custom_objects: expected what CustomObjects() returns or a list of names, got {objects!r}")
    if isinstance(objects, Mapping):
        objects = [name for name, value in objects.items() if _choice(name, value)]
    return tuple(canonical(name, class_names) for name in objects)


def _choice(name: str, value: object) -> bool:
    if not isinstance(value, (bool, str)) or value not in _CHOICES:
        raise ConfigError(f"custom objects: {name}: expected True or False, got {value!r}")
    return _CHOICES[value]
