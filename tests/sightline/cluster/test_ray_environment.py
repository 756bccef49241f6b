"""What Ray is told by environment variables: where it is started by hand, and by this program, the same."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sightline.cluster.ray_environment import RAY_ENVIRONMENT, use_ray_environment

PAGE = Path(__file__).parents[3] / "docs" / "cluster.md"


def test_the_page_tells_to_start_nodes_with_it() -> None:
    told = dict(re.findall(r"^(RAY_\w+)=(\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert told == RAY_ENVIRONMENT


def test_what_is_set_already_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RAY_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    environment = dict(RAY_ENVIRONMENT, RAY_memory_monitor_refresh_ms="100")
    use_ray_environment()
    assert {name: value for name, value in os.environ.items() if name in RAY_ENVIRONMENT} == environment
