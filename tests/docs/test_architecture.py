"""Every module, package, class and file that the page of the architecture names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PARTS = ("pipeline", "trackers", "sinks", "sightline")
TREE = {
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__"): path
    for part in PARTS
    for path in (ROOT / part).rglob("*.py")
}
SOURCES = {module: path.read_text(encoding="utf-8") for module, path in TREE.items()}
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_contract.py"))

_BLOCKS = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HOUSE = _BLOCKS.findall(PAGE)[0]
NAMES = sorted(set(re.findall(r"`([^`]+)`", _BLOCKS.sub("", PAGE))) - {"make lint", "code"})


def _modules(name: str) -> list[str]:
    """The modules and packages whose path ends in that name."""
    return [module for module in TREE if f".{module}".endswith(f".{name}")]


def _defines(source: str, name: str) -> bool:
    return re.search(rf"^(?:(?:class|def) {name}\b|{name}(?:\b.*)? = )", source, re.MULTILINE) is not None


def _is_there(name: str) -> bool:
    if "/" in name or name.endswith((".py", ".toml")):
        return (ROOT / name).exists() or (name == "__init__.py")
    name, called, _ = name.partition("(")
    module, _, last = name.rpartition(".")
    if called or name[0].isupper():
        return any(_defines(source, name) for source in SOURCES.values()) or _defines(TESTS, name)
    return bool(_modules(name)) or any(_defines(SOURCES[found], last) for found in _modules(module) if module)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_names_is_there(name: str) -> None:
    assert _is_there(name)


@pytest.mark.parametrize(
    "wrong",
    ["runtime.stream_run", "pipeline/run.py", "trackers.base.NoTracker", "NoFrame", "sources.mjpg", "no_register(app)"],
)
def test_a_name_that_is_not_there_is_noticed(wrong: str) -> None:
    assert not _is_there(wrong)


def test_the_house_has_every_room_and_no_other() -> None:
    """The picture's first column: a room and, indented, what is in it."""
    named: set[str] = set()
    part = ""
    for line in HOUSE.splitlines()[1:-1]:
        of_names = re.sub(r"\(.*", "", line)
        if not line.startswith(" "):
            part = line.split()[0].removesuffix("/")
            named.add(part)
            continue
        words = [word for word in of_names.split() if word.endswith(("/", ".py"))]
        named.update(f"{part}/{word.removesuffix('/')}" for word in words)
        named.update(f"{part}/{words[0]}{inner}" for inner in re.findall(r"(\w+)/", line.partition("(")[2]))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert not missing
    rooms = {
        f"{part}/{path.name}" for part in PARTS for path in (ROOT / part).iterdir() if (path / "__init__.py").exists()
    }
    assert not rooms - named
