"""What is said of a camera's own motion, on pictures whose motion is known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.geometry.similarity import Motion, after, inverse
from pipeline.sampling.camera_motion import CameraMotion
from pipeline.types import Frame, Image

WIDTH, HEIGHT, FPS = 416, 234, 10.0
NOTHING = np.zeros((0, 4), np.float32)


@pytest.fixture(scope="module")
def scene() -> Image:
    """A picture with texture everywhere."""
    noise = np.random.default_rng(3).integers(0, 256, (60, 104, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def pose(x: float = 0.0, y: float = 0.0, scale: float = 1.0) -> Motion:
    """Scaled about the middle, then shifted."""
    return np.array([[scale, 0, (1 - scale) * WIDTH / 2 + x], [0, scale, (1 - scale) * HEIGHT / 2 + y]])


def told(
    pictures: Sequence[Image],
    boxes: Sequence[NDArray[np.float32]] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> list[Motion | None]:
    camera, found = CameraMotion(), []
    for index, picture in enumerate(pictures):
        frame = Frame(np.zeros((*size, 3), np.uint8), index, index / FPS, 0.0, "clip", reduced=picture)
        found.append(camera.update(frame, NOTHING if boxes is None else boxes[index]))
    return found


def seen(scene: Image, path: Sequence[Motion]) -> list[Image]:
    return [
        np.asarray(cv2.warpAffine(scene, each, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT), np.uint8)
        for each in path
    ]


def farthest(one: Motion, other: Motion) -> float:
    """How far apart two motions take any corner, in pixels."""
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [0, HEIGHT, 1], [WIDTH, HEIGHT, 1]]).T
    return float(np.abs((one - other) @ corners).max())


@pytest.mark.parametrize(
    "path",
    [
        [pose(x=6.0 * step, y=2.0 * step) for step in range(8)],
        [pose(scale=1.03**step) for step in range(8)],
        [pose(x=float(x), y=float(y)) for x, y in np.random.default_rng(1).normal(0, 6, (8, 2))],
    ],
    ids=["pan", "zoom", "shake"],
)
def test_the_motion_is_that_of_the_picture(scene: Image, path: list[Motion]) -> None:
    motions = told(seen(scene, path))
    assert motions[0] is None
    for motion, now, before in zip(motions[1:], path[1:], path[:-1], strict=True):
        assert motion is not None
        assert farthest(motion, after(now, inverse(before))) < 1.5


def test_it_is_in_pixels_of_the_whole_frame(scene: Image) -> None:
    motion = told(seen(scene, [pose(), pose(x=6.0)]), size=(3 * HEIGHT, 3 * WIDTH))[1]
    assert motion is not None
    np.testing.assert_allclose(motion, [[1, 0, 18], [0, 1, 0]], atol=1.0)


def test_a_camera_that_stands_still_is_said_to(scene: Image) -> None:
    random = np.random.default_rng(2)
    pictures = [np.clip(scene + random.normal(0, 4, scene.shape), 0, 255).astype(np.uint8) for _ in range(12)]
    assert told(pictures) == [None] * 12


def test_it_is_hardly_looked_at_until_it_moves(scene: Image) -> None:
    asked: list[int] = []
    path = [pose(x=max(0, index - 20) * 5.0) for index in range(30)]
    pictures = seen(scene, path)
    camera, total = CameraMotion(), np.eye(2, 3)
    for index, picture in enumerate(pictures):

        def ask(index: int = index, picture: Image = picture) -> Image:
            asked.append(index)
            return picture

        frame = Frame(scene, index, index / FPS, 0.0, "clip", reduced=ask)
        motion = camera.update(frame, NOTHING)
        total = total if motion is None else after(motion, total)
    assert len([index for index in asked if 10 <= index < 20]) <= 4
    assert set(range(25, 30)) <= set(asked)
    # What it did before anybody noticed is told, too.
    assert farthest(total, path[-1]) < 3.0


def test_a_slow_pan_adds_up(scene: Image) -> None:
    path = [pose(x=0.1 * index) for index in range(60)]
    total = np.eye(2, 3)
    for motion in told(seen(scene, path)):
        total = total if motion is None else after(motion, total)
    assert farthest(total, path[-1]) < 1.5


def test_what_moves_in_front_of_a_still_camera_is_not_its_motion(scene: Image) -> None:
    half = np.array([[0, 0, WIDTH * 0.55, HEIGHT]], np.float32)
    pictures = seen(scene, [pose(x=5.0 * index) for index in range(8)])
    for picture in pictures:
        picture[:, int(WIDTH * 0.55) :] = scene[:, int(WIDTH * 0.55) :]
    assert told(pictures, [half] * 8) == [None] * 8  # a lorry that is detected
    assert told(pictures) == [None] * 8  # one that is not


@pytest.mark.parametrize("picture", [np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((3, 5, 3), np.uint8)])
def test_where_nothing_is_to_be_seen_nobody_can_say(picture: Image) -> None:
    assert told([picture] * 3) == [None] * 3


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (3, 2000), (1, 1)])
def test_a_strip_is_a_picture_too(size: tuple[int, int]) -> None:
    camera, picture = CameraMotion(), np.zeros((*size, 3), np.uint8)
    frames = [Frame(picture, index, index / FPS, 0.0, "clip") for index in range(3)]
    assert [camera.update(frame, NOTHING) for frame in frames] == [None] * 3


def test_pictures_of_other_sizes_or_scenes_are_not_compared(scene: Image) -> None:
    other = np.ascontiguousarray(scene[::-1, ::-1])
    assert told([scene, scene[:, :200].copy(), other, scene]) == [None] * 4


def test_after_a_gap_it_begins_anew(scene: Image) -> None:
    pictures = seen(scene, [pose(), pose(x=9.0)])
    camera = CameraMotion()
    camera.update(Frame(pictures[0], 0, 0.0, 0.0, "clip"), NOTHING)
    camera.reset()
    assert camera.update(Frame(pictures[1], 1, 0.1, 0.0, "clip"), NOTHING) is None
