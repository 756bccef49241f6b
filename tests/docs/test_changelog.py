"""The table of what has moved: every new place is there, and nothing is left in the old one."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOVED = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


def _find(path: str) -> object:
    """What a dotted path names: a module, or something in one."""
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if not error.name or not f"{path}.".startswith(f"{error.name}."):
            raise  # a module of somebody else's is missing
        module, dot, name = path.rpartition(".")
        if not dot:
            raise
        return getattr(import_module(module), name)


def test_there_is_something_to_look_at() -> None:
    assert len(MOVED) > 25


@pytest.mark.parametrize("now", sorted({now for _, now in MOVED}))
def test_what_has_moved_is_where_the_changelog_says(now: str) -> None:
    assert _find(now) is not None


@pytest.mark.parametrize("before", sorted({before for before, _ in MOVED}))
def test_what_has_moved_is_no_longer_where_it_was(before: str) -> None:
    with pytest.raises((ModuleNotFoundError, AttributeError)):
        _find(before)
