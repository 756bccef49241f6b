"""The points of a box that can count."""

from __future__ import annotations

import numpy as np

from pipeline.geometry.anchors import anchor_index, anchor_points


def test_anchors() -> None:
    box = np.array([[10, 20, 30, 60]], np.float32)
    names = ["bottom_center", "center", "top_center", "left_center", "right_center", "top_left", "bottom_right"]
    points = anchor_points(box)[0]
    assert [points[anchor_index(name)].tolist() for name in names] == [
        [20, 60], [20, 40], [20, 20], [10, 40], [30, 40], [10, 20], [30, 60],
    ]  # fmt: skip
