"""Rules for docstrings that a program can check."""

from __future__ import annotations

import ast
import re
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


def test_what_is_explained_is_what_is_taken() -> None:
    """Every parameter under ``Args:`` is one of the function, of the constructor, or a field of the class."""
    wrong = [
        f"{where}: {name}"
        for where, node, text in _docstrings()
        if not isinstance(node, ast.Module) and "Args:" in text and (taken := _taken(node)) is not None
        for name in _explained(text)
        if name not in taken
    ]
    assert not wrong


def _explained(text: str) -> list[str]:
    _, _, section = text.partition("Args:\n")
    section = re.split(r"^\w+:$", section, maxsplit=1, flags=re.MULTILINE)[0]
    heads = re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", section, re.MULTILINE)
    return [name.strip("* ") for head in heads for name in head.split(",")]


def _taken(node: ast.AST) -> set[str] | None:
    """Names of parameters, or None where they are another class's, which a program can't tell from the text alone."""
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.name in ("__init__", "__new__"):
                return _taken(inner)
        fields = {
            inner.target.id
            for inner in node.body
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
        }
        return fields or None
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    given = node.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {each.arg for each in named if each is not None}
