"""What a configuration makes of a stream where it says nothing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.runtime.streams.privacy import Privacy
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


def test_what_is_hidden_and_where_nothing_counts_is_the_streams_own(tmp_path: Path) -> None:
    hidden = {"areas": {"yard": [[0, 0], [0.5, 0], [0.5, 1]]}, "units": "fraction", "classes": ["person"]}
    streams = {
        "door": {"source": tmp_path},
        "yard": {"source": tmp_path, "privacy": hidden, "filters": {"exclude": [[[0, 0], [9, 0], [9, 9]]] * 2}},
    }
    config = load_config(None, (), {"streams": streams})
    with ExitStack() as stack:
        door, yard = (
            build_stream(config, described, Sight(("person",)), stack, source=MemorySource([picture([])]))
            for described in config.resolved_streams()
        )
    assert door.privacy is None and not door.filters
    assert yard.privacy == Privacy(areas=config.streams["yard"].privacy.areas, units="fraction", classes=("person",))  # type: ignore[union-attr]
    assert len(yard.filters) == 2


def test_an_area_that_can_not_be_is_told_with_its_name(tmp_path: Path) -> None:
    crossing = {"areas": {"yard": [[0, 0], [9, 9], [9, 0], [0, 9]]}}
    with pytest.raises(ConfigError, match=r"privacy: .*yard.*cross"):
        load_config(None, (), {"source": tmp_path, "privacy": crossing})
