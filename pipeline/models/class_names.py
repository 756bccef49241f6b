"""Class names as users write them, turned into the model's class ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError


def class_ids(names: Iterable[str], class_names: Sequence[str], *, where: str = "classes") -> tuple[int, ...]:
    """The ids of class names, in the order given and each once.

    Args:
        names: names as the user wrote them; must match the model's exactly.
        class_names: the model's classes; the position in it is the id.
        where: what the names belong to, for the message.

    Raises:
        ConfigError: a name the model does not have; the message lists the names most like it. Or a single text, each
            letter of which would be taken for a name.
    """
    if isinstance(names, str):
        raise ConfigError(f"{where}: got {names!r}, expected a list of names, such as [{names!r}]")
    id_of = {name: position for position, name in enumerate(class_names)}
    found: dict[int, None] = {}
    for name in names:
        if name not in id_of:
            raise ConfigError(_unknown(name, class_names, where))
        found[id_of[name]] = None
    return tuple(found)


def _unknown(name: str, class_names: Sequence[str], where: str) -> str:
    """One line that says which name is unknown and which ones are like it."""
    hint = did_you_mean(str(name), class_names, show=repr)
    # Whoever is far off is shown them all: one long line, but nothing left to look up.
    hint = hint or f"its {len(class_names)} classes are {', '.join(class_names)}"
    return f"{where}: no class {name!r} in this model; {hint}"


# In the order of COCO's category ids, which is that of the networks' outputs.
COCO_CLASS_NAMES: tuple[str, ...] = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
    *("microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)
_LONGEST_NAMES = 1_000_000


def imagenet_names() -> tuple[str, ...]:
    """The 1,000 classes of ImageNet in the order of Keras's outputs; ``crane`` and ``maillot`` each name two."""
    text = resources.files("pipeline.models").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(line.partition(" ")[2] for line in text.splitlines())


def read_names(path: str | Path) -> tuple[str, ...]:
    """Class names from a file: a line each, or JSON: a list, or an object ``{"0": "cat", "1": "dog"}`` as ImageAI's
    ``model_class.json``; in place of a name a list may end in it, as in Keras's ``imagenet_class_index.json``.

    Raises:
        ConfigError: no such file, or not such names.
    """
    path = Path(path).expanduser()
    try:
        with path.open(encoding="utf-8-sig") as file:  # editors on Windows begin a file with a mark of its encoding
            text = file.read(_LONGEST_NAMES + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(
            f"{path}: the class names can't be read ({reason}); check the path given as names."
        ) from error
    if len(text) > _LONGEST_NAMES:
        raise ConfigError(f"{path}: is too large for a list of class names.")
    if text.lstrip().startswith(("[", "{")):
        names = _json_names(text, path)
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise ConfigError(f"{path}: holds no class names.")
    return tuple(names)


def _json_names(text: str, path: Path) -> list[str]:
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            found = [found[str(number)] for number in range(len(found))]
        names = [entry[-1] if isinstance(entry, list) else entry for entry in found]
    except (ValueError, KeyError, IndexError, RecursionError) as error:
        raise ConfigError(f'{path}: expected JSON such as ["cat", "dog"] or {{"0": "cat", "1": "dog"}}.') from error
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ConfigError(f"{path}: expected names that are text, got {names!r:.100}.")
    return names
