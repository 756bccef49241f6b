"""What was measured on this machine before: the fastest engine and precision in a situation.

Each choice is a small file of its own in ``engines/`` of the cache folder, named after its situation, so that programs
that measure at the same time take nothing from each other. The folder is not trusted: a file is read within a limit,
and one that is damaged, or is of another situation, counts as none.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import msgspec

from pipeline.errors import SinkError
from pipeline.models.cache import cache_folder, read_limited, write_whole

logger = logging.getLogger(__name__)

_LARGEST = 64 * 1024
_MOST_REMEMBERED = 200


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that may decide what is the fastest: two that are equal need one measurement.

    Attributes:
        processor: its name and its instructions for networks.
        threads: processor cores that the network may use.
        network: name, and digest of its layers and weights.
        input_shape: height and width of its input.
        batch: images in one call.
        candidates: what was there to choose from, such as ``openvino bfloat16``.
        versions: of Sightline and of the libraries that compute.
    """

    processor: str
    threads: int
    network: str
    input_shape: tuple[int, int]
    batch: int
    candidates: tuple[str, ...]
    versions: dict[str, str]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured in a situation: images per second by candidate, and the fastest of them."""

    situation: Situation
    fastest: str
    images_per_s: dict[str, float]


def recall(situation: Situation) -> Choice | None:
    """What was measured in that situation; None where nothing was, or what is left of it is damaged."""
    path = _path(situation)
    if not path.exists():
        return None
    data = read_limited(path, _LARGEST)
    try:
        choice = msgspec.json.decode(data or b"", type=Choice)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        logger.warning("%s is damaged (%s): what is the fastest is measured anew", path, error)
        return None
    return choice if choice.situation == situation and choice.fastest in situation.candidates else None


def remember(choice: Choice) -> None:
    """Keep what was measured; the oldest go when there are many. Where that can't be done, a warning says so."""
    path = _path(choice.situation)
    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(choice), indent=1) + b"\n")
        kept = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for old in kept[:-_MOST_REMEMBERED]:
            old.unlink(missing_ok=True)
    except (SinkError, OSError) as error:
        logger.warning("what is the fastest will be measured again next time: %s", error)


def _path(situation: Situation) -> Path:
    digest = hashlib.sha256(msgspec.json.encode(situation, order="deterministic")).hexdigest()
    return cache_folder() / "engines" / f"{digest[:32]}.json"
