"""Constructors get what the configuration says by keyword arguments that are written out: none may be forgotten."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sightline
from sightline.config.problems import key_paths
from sightline.config.schema import Config

_SOURCES = [path for path in Path(sightline.__path__[0]).rglob("*.py") if path.name != "sections.py"]
_READ = {
    node.attr for path in _SOURCES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
}


@pytest.mark.parametrize("key", sorted({path[-1] for path, _ in key_paths(Config)} - {"NAME"}))
def test_every_key_of_the_configuration_is_read(key: str) -> None:
    assert key in _READ
