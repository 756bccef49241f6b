"""What a configuration makes of a stream where it says nothing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sightline.composition.streams import Sight, build_stream
from sightline.config.loading import load_config
from tests.support.fakes import MemorySource, picture


@pytest.mark.parametrize(
    ("tracker", "follows"),
    [
        ({}, True),
        ({"name": "bytetrack"}, True),
        ({"name": "sort"}, False),
        ({"name": "sort", "camera_motion": True}, True),
        ({"camera_motion": False}, False),
    ],
)
def test_every_tracker_but_sort_follows_the_camera_unless_told_otherwise(
    tracker: dict[str, Any], follows: bool, tmp_path: Path
) -> None:
    config = load_config(None, (), {"source": tmp_path, "tracker": tracker})
    with ExitStack() as stack:
        (described,) = config.resolved_streams()
        stream = build_stream(config, described, Sight(("person",)), stack, source=MemorySource([picture([])]))
    assert stream.camera_motion is follows
