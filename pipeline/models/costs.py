"""What models were measured to cost on this machine, kept so that a list of them can tell.

Each is a small file of its own in ``costs/`` of the cache folder, which is not trusted: one that is damaged, or comes
from another processor, counts as none.
"""

from __future__ import annotations

import logging
import re

import msgspec

from pipeline.errors import SinkError
from pipeline.models.cache import cache_folder, read_limited, write_whole

logger = logging.getLogger(__name__)

_LARGEST = 4096


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one picture costs a model's detector.

    Attributes:
        processor: its name.
        threads: processor cores that were used.
        precision: what the network computed in.
        input_shape: height and width of the network's input.
        picture_ms: milliseconds from picture to boxes, in batches.
    """

    processor: str
    threads: int
    precision: str
    input_shape: tuple[int, int]
    picture_ms: float


def remember_cost(model: str, cost: Cost) -> None:
    """Keep what a model was measured to cost. Where that can't be done, a warning says so."""
    try:
        write_whole(cache_folder() / "costs" / _name(model), msgspec.json.encode(cost))
    except SinkError as error:
        logger.warning("what %s costs will not be listed: %s", model, error)


def known_cost(model: str, processor: str) -> Cost | None:
    """What a model was measured to cost on this processor; None where it was not."""
    data = read_limited(cache_folder() / "costs" / _name(model), _LARGEST)
    try:
        cost = msgspec.json.decode(data or b"", type=Cost)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return cost if cost.processor == processor else None


def _name(model: str) -> str:
    return f"{re.sub('[^A-Za-z0-9_.-]', '_', model)}.json"
