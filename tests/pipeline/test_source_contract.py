"""What every source promises, run over every implementation.

To put another one under the contract, add a maker to ``MAKERS``: given a folder, it opens a source named "door" that
shows the numbers 0 to 11.
"""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.errors import SourceError
from pipeline.sources import VideoFile, open_source
from pipeline.types import Frame, Source
from tests.clips import read_number, write_clip

COUNT = 12


def _file(folder: Path) -> Source:
    return VideoFile(write_clip(folder / "clip.mp4", count=COUNT, b_frames=2), stream="door")


def _opened_file(folder: Path) -> Source:
    # This width leaves no padding behind the rows, so that images are views of the decoder's memory.
    return open_source(str(write_clip(folder / "clip.mkv", count=COUNT, size=(128, 96))), stream="door", threads=1)


def _turned_file(folder: Path) -> Source:
    return VideoFile(write_clip(folder / "turned.mp4", count=COUNT, rotation=90, size=(160, 96)), stream="door")


MAKERS: dict[str, Callable[[Path], Source]] = {
    "file": _file,
    "file through open_source": _opened_file,
    "file that is turned": _turned_file,
}


@pytest.fixture(params=list(MAKERS))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    made = MAKERS[request.param](tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_it_is_a_source_and_names_its_stream(source: Source) -> None:
    assert isinstance(source, Source)
    assert source.stream == "door"
    assert dict(source.failed) == {}


def test_each_frame_comes_once_in_order_with_rising_times(source: Source) -> None:
    frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(COUNT))
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert frames[0].pts_s == 0
    assert all(earlier.pts_s < later.pts_s for earlier, later in itertools.pairwise(frames))
    assert all(earlier.captured_s <= later.captured_s for earlier, later in itertools.pairwise(frames))
    assert {frame.stream for frame in frames} == {"door"}
    assert sum(source.failed.values()) == 0


def test_info_agrees_with_the_frames(source: Source) -> None:
    info = source.info
    frames = list(source)
    assert {(frame.width, frame.height) for frame in frames} == {(info.width, info.height)}
    if info.fps is not None:
        assert frames[1].pts_s == pytest.approx(1 / float(info.fps), rel=0.1)
    if not info.live:
        assert info.frame_count in (None, COUNT)
    if info.duration_s is not None:
        assert info.duration_s == pytest.approx(frames[-1].pts_s + frames[1].pts_s, rel=0.05)
    assert info.uri


def test_images_are_ready_for_opencv_and_stay_valid_after_close(source: Source) -> None:
    frames = list(source)
    source.close()
    for number, frame in enumerate(frames):
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert read_number(frame.image) == number


def test_frames_pickle(source: Source) -> None:
    frame = next(iter(source))
    copy: Frame = pickle.loads(pickle.dumps(frame))  # noqa: S301 - our own bytes
    assert (copy.index, copy.pts_s, copy.stream) == (frame.index, frame.pts_s, frame.stream)
    assert np.array_equal(copy.image, frame.image)


def test_a_second_loop_goes_on_where_the_first_stopped(source: Source) -> None:
    first = [frame.index for frame, _ in zip(source, range(3), strict=False)]
    rest = [frame.index for frame in source]
    # zip takes one frame more than it gives.
    assert first == [0, 1, 2]
    assert rest == list(range(4, COUNT)) or rest == list(range(3, COUNT))
    assert list(source) == []


def test_another_thread_may_read_it_all(source: Source) -> None:
    numbers: list[int] = []

    def read() -> None:
        with source:
            numbers.extend(read_number(frame.image) for frame in source)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(timeout=30)
    assert numbers == list(range(COUNT))


def test_closing_early_or_twice_is_fine_and_reading_afterwards_is_an_error(source: Source) -> None:
    next(iter(source))
    source.close()
    source.close()
    with pytest.raises(SourceError, match="closed"):
        list(source)


@pytest.mark.parametrize("maker", list(MAKERS))
def test_closing_gives_everything_back(maker: str, tmp_path: Path) -> None:
    process = psutil.Process()
    with MAKERS[maker](tmp_path) as warm_up:
        list(warm_up)
    threads, files = process.num_threads(), process.num_fds()
    for _ in range(5):
        with MAKERS[maker](tmp_path) as source:
            next(iter(source))
    assert process.num_threads() <= threads
    assert process.num_fds() <= files
