"""Rules for docstrings that a program can check."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:")


@cache
def _docstrings() -> list[tuple[str, ast.AST, str]]:
    """Where each docstring of the product stands, what it is of, and the docstring."""
    found: list[tuple[str, ast.AST, str]] = []
    for part in ("pipeline", "trackers", "sinks", "sightline"):
        for path in sorted((ROOT / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    text = ast.get_docstring(node)
                    if text is not None:
                        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', '')}"
                        found.append((where, node, text))
    return found


def test_what_a_constructor_takes_is_told_by_the_class() -> None:
    wrong = [
        where for where, node, text in _docstrings() if getattr(node, "name", "") == "__init__" and "Args:" in text
    ]
    assert not wrong


def test_a_docstring_has_its_noun() -> None:
    """It is read in a tooltip, without what stands around it."""
    pronouns = ("Its ", "Of ", "Those of ", "That of ")
    wrong = [where for where, _, text in _docstrings() if len(text.split()) <= 4 and text.startswith(pronouns)]
    assert not wrong


def test_a_docstring_begins_with_a_line_that_says_what_it_is() -> None:
    wrong = [where for where, _, text in _docstrings() if not text.strip() or text.lstrip().startswith(SECTIONS)]
    assert not wrong


def test_every_module_says_what_it_is_for() -> None:
    told = {where.partition(":")[0] for where, node, _ in _docstrings() if isinstance(node, ast.Module)}
    modules = {
        str(path.relative_to(ROOT))
        for part in ("pipeline", "trackers", "sinks", "sightline")
        for path in (ROOT / part).rglob("*.py")
    }
    assert not modules - told
