"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models import find_packaged
from sample_videos.fetch import BIKES

# How long an example takes says something about the machine, not about the code.
settings.register_profile("sightline", deadline=None)
settings.load_profile("sightline")


@pytest.fixture(scope="session")
def eval_dir() -> Path:
    """The evaluation data, or a skip that says how to get it."""
    folder = os.environ.get("SIGHTLINE_EVAL")
    if not folder:
        pytest.skip("no evaluation data: set SIGHTLINE_EVAL to its folder")
    return Path(folder).resolve(strict=True)


@pytest.fixture(scope="session")
def demo_clip() -> Path:
    """The clip of ``make demo``: 250 frames of street scenes, 640x272 at 25 fps."""
    clip = find_packaged(BIKES)
    if clip is None:
        pytest.skip("no demo clip: run make setup, which installs the package that carries it")
    return clip


@pytest.fixture(scope="session")
def tiny_weights() -> Path:
    """The official YOLOv3-tiny weights, or a skip that says how to get them."""
    try:
        return models.find_weights("tiny-yolov3")
    except ModelError as error:
        pytest.skip(f"no weights: {error}")
