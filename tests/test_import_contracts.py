"""The import contracts hold something: each breaks when a wrong import is put into a copy of the product."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "sightline", "sinks", "trackers")

WAY_OF_A_FRAME = "Inside pipeline: a frame's way, from the bottom up"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of their contracts."""
    folder = tmp_path_factory.mktemp("product")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def verdicts(product: Path) -> tuple[int, dict[str, str]]:
    """Exit status of ``lint-imports`` and what it says behind the name of each contract."""
    contracts = tomllib.loads((product / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "lint-imports"],
        cwd=product, env={**os.environ, "COLUMNS": "500"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    found = {}
    for name in (contract["name"] for contract in contracts):
        found[name] = next(line.removeprefix(name) for line in lines if line.startswith(name))
    return done.returncode, found


@pytest.fixture(scope="module")
def kept(product: Path) -> dict[str, str]:
    """The verdicts on the product as it is."""
    status, found = verdicts(product)
    assert status == 0
    return found


@pytest.mark.parametrize(
    ("module", "line", "breaks"),
    [
        ("trackers/sort.py", "import sinks.files", {"The parts, and the whole that is made of them"}),
        ("sinks/files/jsonl.py", "import trackers", {"The parts, and the whole that is made of them"}),
        (
            "pipeline/detection/filters.py",
            "from pipeline.runtime import report",
            {WAY_OF_A_FRAME, "No circles, at any depth"},
        ),
        (
            "sinks/files/jsonl.py",
            "def late() -> None:\n    from sinks.feed import zeromq_sink",
            {"Inside sinks: no output knows another, but that the report is made from the store"},
        ),
        ("sinks/feed/client.py", "import numpy", {"Reading an event feed takes pyzmq and msgspec only"}),
        (
            "pipeline/analytics/zones.py",
            "import av",
            {"Only who puts parts together opens sources; all else works on frames, and without PyAV"},
        ),
        ("pipeline/without_a_place.py", "", {WAY_OF_A_FRAME}),
    ],
)
def test_a_wrong_import_is_caught(
    module: str, line: str, breaks: set[str], product: Path, kept: dict[str, str]
) -> None:
    path = product / module
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        status, found = verdicts(product)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    assert status != 0
    assert {name for name in kept if found.get(name) != kept[name]} == breaks
