"""Modules of somebody else's that are called like Sightline's packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.doctor.machine import _strangers

ROOT = Path(__file__).parents[1]


def importing(folder: Path) -> str:
    """What is said where a folder comes before Sightline on ``sys.path``."""
    done = subprocess.run(
        [sys.executable, "-c", "import sightline"], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
    )  # fmt: skip
    return done.stderr.rpartition("ImportError: ")[2].strip()


@pytest.mark.parametrize("name", ["pipeline", "sinks", "trackers"])
def test_one_that_comes_first_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").touch()
    said = importing(tmp_path)
    assert said.startswith(f"Sightline's package '{name}' is hidden by {tmp_path / name}.py: ")
    assert "\n" not in said


def test_the_same_package_by_another_path_is_no_stranger(tmp_path: Path) -> None:
    (tmp_path / "pipeline").symlink_to(ROOT / "pipeline")
    assert importing(tmp_path) == ""


def test_the_doctor_names_a_library_with_a_package_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _strangers() == []
    known = tmp_path / "roboflow_trackers-2.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: roboflow-trackers\nVersion: 2.0\n")
    (known / "top_level.txt").write_text("trackers\n")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = _strangers()
    assert found.text.startswith("libraries: roboflow-trackers has a package 'trackers', too")
