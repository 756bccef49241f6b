"""Polygons: what is inside and how far their edges are."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry.shapes import Polygons
from tests.support.watched_paths import Path


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=40),
    st.integers(3, 12),
    st.integers(0, 1000),
)
def test_inside_and_distance_agree_with_opencv(points: Path, corner_count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    outlines = []
    for _ in range(3):
        angles = np.sort(random.uniform(0, 2 * math.pi, corner_count))
        radius = random.uniform(30, 200, corner_count)
        outlines.append(250 + np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1))
    outlines = [outline.astype(np.float32).astype(np.float64) for outline in outlines]
    polygons = Polygons(outlines)
    places = np.array(points, np.float32).astype(np.float64)
    stacked = np.repeat(places[:, None], 3, axis=1)
    inside, distance = polygons.contains(stacked), polygons.distance(stacked)
    for row, (x, y) in enumerate(places.tolist()):
        for column, outline in enumerate(outlines):
            depth = cv2.pointPolygonTest(outline.astype(np.float32), (x, y), True)
            assert distance[row, column] == pytest.approx(abs(depth), abs=1e-2)
            if abs(depth) > 1e-2:
                assert inside[row, column] == (depth > 0)


def test_zones_that_share_an_edge_share_no_point() -> None:
    left, right = (
        [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)],
        [(10.0, 0.0), (20.0, 0.0), (20.0, 10.0), (10.0, 10.0)],
    )
    points = np.array([[x, y] for x in range(21) for y in range(11)], np.float64)
    inside = Polygons([np.array(left), np.array(right)]).contains(np.repeat(points[:, None], 2, axis=1))
    assert inside.any(axis=1).sum() == 20 * 10 and not inside.all(axis=1).any()
