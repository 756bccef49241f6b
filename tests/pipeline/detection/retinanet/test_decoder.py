"""The steps from raw outputs to boxes, one by one, without a network."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.detection.retinanet.anchors import anchors, moved
from pipeline.detection.retinanet.decoder import Decoder
from pipeline.detection.retinanet.placement import Placement
from pipeline.errors import ModelError
from pipeline.models.networks.retinanet import PIXEL_MEAN_BGR, LevelOutput

# An input of 256 x 320 that its picture, half as large, fills.
PLACEMENT = Placement.fit(128, 160, 256, 10_000)
GRIDS = ((32, 40), (16, 20), (8, 10), (4, 5), (2, 3))


def outputs(class_count: int = 3, logit: float = -20.0) -> list[LevelOutput]:
    """Nothing found anywhere."""
    return [
        LevelOutput(
            np.full((1, *grid, 9, class_count), logit, dtype=np.float32), np.zeros((1, *grid, 9, 4), dtype=np.float32)
        )
        for grid in GRIDS
    ]


def decoder(confidence: float = 0.05, iou: float = 0.5, most: int = 300) -> Decoder:
    return Decoder("some.pth", confidence, iou, most)


def test_an_anchor_that_is_not_moved() -> None:
    levels = outputs()
    levels[2].logits[0, 3, 4, 3, 1] = 1.0
    (found,) = decoder().decode(levels, [PLACEMENT])
    # The square anchor of 128 pixels around the cell's corner at (4, 3) * 32; the picture is half as large.
    assert found.xyxy.tolist() == [[(128 - 64) / 2, (96 - 64) / 2, (128 + 64) / 2, (96 + 64) / 2]]
    assert found.class_id.tolist() == [1]
    assert found.score[0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_offsets_move_and_stretch() -> None:
    box = np.array([[100, 100, 140, 120]], dtype=np.float32)
    offsets = np.array([[0.5, -0.5, np.log(2), np.log(0.5)]], dtype=np.float32)
    np.testing.assert_allclose(moved(box, offsets), [[140 - 40, 100 - 5, 140 + 40, 100 + 5]], rtol=1e-6)


def test_growth_has_a_limit() -> None:
    box = np.array([[-8, -8, 8, 8]], dtype=np.float32)
    np.testing.assert_allclose(moved(box, np.full((1, 4), 80, np.float32))[0, 2:] - 80 * 16, [500, 500], rtol=1e-5)


def test_coarse_levels_are_as_far_apart_as_whole_numbers_allow() -> None:
    """800 pixels make 13 rows of P6, which are 61 pixels apart for torchvision, and for what it was trained on."""
    first, second = anchors(3, np.array([0, 13 * 9]), (13, 13), (800, 800))
    assert (second - first).tolist() == [0, 61, 0, 61]


def test_boxes_are_cut_to_the_picture_and_what_is_outside_is_dropped() -> None:
    levels = outputs()
    levels[4].logits[0, 0, 0, 3, 0] = 2.0
    levels[0].logits[0, 0, 0, 3, 0] = 1.0
    levels[0].offsets[0, 0, 0, 3, :2] = -5  # far out at the top left
    (found,) = decoder().decode(levels, [PLACEMENT])
    assert found.xyxy.tolist() == [[0, 0, 128, 128]]


def test_overlapping_boxes_of_a_class_are_dropped_and_of_others_kept() -> None:
    levels = outputs()
    levels[1].logits[0, 8, 8, 3, 0] = 2.0
    levels[1].logits[0, 8, 8, 4, 0] = 1.0  # the next size, 1.26 times as large: an IoU of 0.63
    levels[1].logits[0, 8, 8, 4, 1] = 0.5
    (found,) = decoder().decode(levels, [PLACEMENT])
    assert found.class_id.tolist() == [0, 1]
    (loose,) = decoder(iou=0.7).decode(levels, [PLACEMENT])
    assert loose.class_id.tolist() == [0, 0, 1]


def test_a_level_has_no_more_than_a_thousand_candidates() -> None:
    generator = np.random.default_rng(0)
    levels = outputs(1)
    for level in levels[:2]:
        level.logits[...] = generator.uniform(0, 1, level.logits.shape)
        level.offsets[..., 2:] = -3  # so small that none overlaps another by much
    (found,) = decoder(most=100_000, iou=1.0).decode(levels, [PLACEMENT])
    (few,) = decoder(most=7, iou=1.0).decode(levels, [PLACEMENT])
    best = np.concatenate([np.sort(level.logits.ravel())[-1000:] for level in levels[:2]]).astype(np.float64)
    np.testing.assert_allclose(found.score, np.sort(1 / (1 + np.exp(-best)))[::-1], rtol=1e-6)
    assert few.score.tolist() == found.score[:7].tolist()


@pytest.mark.parametrize("confidence", [0.0, 1e-30, 1e-9, 0.05, 0.5, 0.999_999, 1 - 1e-8, 1.0])
def test_the_confidence_counts_to_the_last_digit(confidence: float) -> None:
    logits = np.concatenate([np.linspace(-70, 70, 200), [-100.0, 100.0]]).astype(np.float32)
    near = np.log(confidence / (1 - confidence)) if 0 < confidence < 1 else 0
    logits = np.concatenate([logits, np.linspace(near - 1e-3, near + 1e-3, 98).astype(np.float32)])
    levels = outputs(300, logit=-1000.0)
    levels[2].logits[0, 4, 5, 3] = logits
    (found,) = decoder(confidence, most=1000).decode(levels, [PLACEMENT])
    found_classes = set(found.class_id[found.score > 0].tolist())
    with np.errstate(over="ignore"):
        scores = np.float32(1) / (np.float32(1) + np.exp(-logits))
    assert found_classes == set(np.flatnonzero((scores >= np.float32(confidence)) & (scores > 0)).tolist())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_told(value: float) -> None:
    levels = outputs()
    levels[3].logits[0, 0, 0, 0, 0] = value
    with pytest.raises(ModelError, match=r"some\.pth: with these weights the network computes what is not a finite"):
        decoder().decode(levels, [PLACEMENT])
    levels = outputs()
    levels[3].logits[0, 0, 0, 0, 0] = 1
    levels[3].offsets[0, 0, 0, 0, 0] = value
    with pytest.raises(ModelError, match="not a finite number"):
        decoder().decode(levels, [PLACEMENT])


def test_a_batch_is_decoded_picture_by_picture() -> None:
    levels = [LevelOutput(*(np.concatenate([part, part]) for part in level)) for level in outputs()]
    levels[2].logits[1, 3, 4, 3, 1] = 1.0
    first, second = decoder().decode(levels, [PLACEMENT, Placement.fit(256, 320, 256, 10_000)])
    assert len(first) == 0
    assert second.xyxy.tolist() == [[64, 32, 192, 160]]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4000), (4000, 1), (33, 31)])
def test_thin_pictures_keep_a_pixel(height: int, width: int) -> None:
    placement = Placement.fit(height, width, 64, 106)
    assert placement.height % 32 == placement.width % 32 == 0
    out = np.full((placement.height, placement.width, 3), np.nan, dtype=np.float32)
    placement.draw(np.full((height, width, 3), 9, dtype=np.uint8), out)
    assert (out[: placement.scaled_height, : placement.scaled_width] == 9).all()
    assert (out[placement.scaled_height :] == PIXEL_MEAN_BGR).all()
    assert (out[:, placement.scaled_width :] == PIXEL_MEAN_BGR).all()
