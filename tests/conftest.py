"""Fixtures that every test may use."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import settings

from pipeline.errors import ModelError
from pipeline.models import registry as models
from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES
from tests.support.held_resources import give_back_memory

# How long an example takes says something about the machine, not about the code. CI tries the same examples every time:
# what it says of a change is then about that change. Everybody else's runs look for new ones.
settings.register_profile("sightline", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("sightline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow ones, unless they are asked for; the summary names them."""
    if not config.getoption("--slow"):
        left_out = pytest.mark.skip(reason="slow: `make test-all` runs it")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(left_out)


_FAULTS = pytest.StashKey[TextIO]()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have a process that crashes say where, in a file: what one of several writes to its standard error is lost."""
    folder = config.rootpath / ".pytest_cache"
    folder.mkdir(exist_ok=True)
    file = (folder / f"crash.{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.txt").open("w")
    config.stash[_FAULTS] = file
    faulthandler.enable(file)


@pytest.fixture(scope="module", autouse=True)
def _networks_are_let_go() -> Iterator[None]:
    """Large networks are of no use behind the module that made them, and other tests run beside it."""
    yield
    give_back_memory(beyond=2 << 30)


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
