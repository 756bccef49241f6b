"""Settings as programs give them: numbers of NumPy, arrays, sets, paths of any kind."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from sightline.config.given import plain
from sightline.config.loading import load_config


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.float32(0.25), 0.25),
        (np.float64(0.3), 0.3),
        (np.int64(2), 2),
        (np.bool_(False), False),
        (np.array([[0, 1], [2, 3]]), [[0, 1], [2, 3]]),
        (np.array(["person"]), ["person"]),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), 0.5),
        ({"person", "car"}, ["car", "person"]),
        ((name for name in ["person"]), ["person"]),
        (range(2), [0, 1]),
        (Path("a/b"), "a/b"),
        (b"a/b", "a/b"),
        ({"a": None, 1: {"b": (Path("x"),)}}, {"1": {"b": ["x"]}}),
    ],
)
def test_they_are_what_yaml_would_have_said(given: Any, said: Any) -> None:
    found = plain(given)
    assert found == said
    assert type(found) is type(said)


def test_what_is_no_setting_is_named_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"zones\.a\.polygon\[1\]: got timedelta, expected a number, text"):
        plain({"zones": {"a": {"polygon": [1, datetime.timedelta(seconds=1)]}}})


def test_a_configuration_of_them() -> None:
    corners = np.array([[0, 0], [100, 0], [100, 100]])
    config = load_config(None, options={"detect_every": np.int64(2), "zones": {"z": {"polygon": corners}}})
    assert config.detect_every == 2
    assert config.zones["z"].polygon == ((0, 0), (100, 0), (100, 100))
