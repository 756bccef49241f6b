"""What every source promises, run over every implementation.

To put another one under the contract, add a maker to ``MAKERS``: given a folder, it opens a source named "door" that
shows the numbers 0 to 11, and closes what it needed itself, such as a server, when its block ends.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.interfaces import Source
from pipeline.sources.opening import open_source
from pipeline.sources.pipe import PipeSource
from pipeline.sources.video_file import VideoFile
from pipeline.sources.webcam import Webcam
from pipeline.types import Frame
from tests.support.clips import draw_number, read_number, write_clip
from tests.support.held_resources import all_given_back
from tests.support.http_server import serve_http
from tests.support.waiting import PATIENCE_S

COUNT = 12

Maker = Callable[[Path], AbstractContextManager[Source]]
MAKERS: dict[str, Maker] = {}


def maker(function: Callable[[Path], Iterator[Source]]) -> Maker:
    """Put the source that ``function`` makes under the contract, under the function's name."""
    MAKERS[function.__name__] = contextlib.contextmanager(function)
    return MAKERS[function.__name__]


@maker
def file(folder: Path) -> Iterator[Source]:
    with VideoFile(write_clip(folder / "clip.mp4", count=COUNT, b_frames=2), stream="door") as source:
        yield source


@maker
def file_through_open_source(folder: Path) -> Iterator[Source]:
    # This width leaves no padding behind the rows, so that images are views of the decoder's memory.
    path = write_clip(folder / "clip.mkv", count=COUNT, size=(128, 96))
    with open_source(str(path), stream="door", threads=1) as source:
        yield source


@maker
def turned_file(folder: Path) -> Iterator[Source]:
    path = write_clip(folder / "turned.mp4", count=COUNT, rotation=90, size=(160, 96))
    with VideoFile(path, stream="door") as source:
        yield source


@maker
def image_folder(folder: Path) -> Iterator[Source]:
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"{number}.png"), draw_number(number))
    with open_source(str(folder), stream="door") as source:
        yield source


@maker
def image_pattern(folder: Path) -> Iterator[Source]:
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"shot {number}.jpg"), draw_number(number))
    with open_source(str(folder / "*.jpg"), stream="door", fps=12.5) as source:
        yield source


@maker
def pipe(folder: Path) -> Iterator[Source]:
    clip = write_clip(folder / "clip.ts", count=COUNT, b_frames=2).read_bytes()
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            stream.write(clip)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with PipeSource(reading, stream="door") as source:
            yield source
    finally:
        os.close(reading)
        writer.join()


@maker
def video_over_http(folder: Path) -> Iterator[Source]:
    write_clip(folder / "clip.mkv", count=COUNT)
    with serve_http(folder) as address, open_source(f"{address}/clip.mkv", stream="door") as source:
        yield source


@maker
def motion_jpeg_over_http(folder: Path) -> Iterator[Source]:
    with (
        serve_http(folder) as address,
        open_source(f"{address}/camera.mjpeg?count={COUNT}&fps=50", stream="door") as source,
    ):
        yield source


@maker
def webcam(folder: Path) -> Iterator[Source]:
    """OpenCV reads the clip in the place of a camera."""
    path = write_clip(folder / "clip.mp4", count=COUNT)
    with Webcam(str(path), stream="door", backend=cv2.CAP_FFMPEG) as source:
        yield source


def frames_of(source: Source) -> Iterator[Frame]:
    """All frames; for a live source the end of the stream is an error, here it is just the end."""
    try:
        yield from source
    except SourceError:
        assert source.info.live


@pytest.fixture(params=list(MAKERS))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    with MAKERS[request.param](tmp_path) as made:
        yield made


def test_it_is_a_source_and_names_its_stream(source: Source) -> None:
    assert isinstance(source, Source)
    assert source.stream == "door"
    assert dict(source.failed) == {}


def test_each_frame_comes_once_in_order_with_rising_times(source: Source) -> None:
    frames = list(frames_of(source))
    assert [read_number(frame.image) for frame in frames] == list(range(COUNT))
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert frames[0].pts_s == 0
    assert all(earlier.pts_s < later.pts_s for earlier, later in itertools.pairwise(frames))
    assert all(earlier.captured_s <= later.captured_s for earlier, later in itertools.pairwise(frames))
    assert {frame.stream for frame in frames} == {"door"}
    assert sum(source.failed.values()) == 0


def test_info_agrees_with_the_frames(source: Source) -> None:
    info = source.info
    frames = list(frames_of(source))
    assert {(frame.width, frame.height) for frame in frames} == {(info.width, info.height)}
    assert info.uri
    if info.live:
        assert info.frame_count is None
        assert info.duration_s is None
        return
    assert info.frame_count in (None, COUNT)
    if info.fps is not None:
        assert frames[1].pts_s == pytest.approx(1 / float(info.fps), rel=0.1)
    if info.duration_s is not None:
        assert info.duration_s == pytest.approx(frames[-1].pts_s + frames[1].pts_s, rel=0.05)


def test_images_are_ready_for_opencv_and_stay_valid_after_close(source: Source) -> None:
    frames = list(frames_of(source))
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
    first = [frame.index for frame in itertools.islice(source, 3)]
    rest = [frame.index for frame in frames_of(source)]
    assert first + rest == list(range(COUNT))
    assert list(source) == []


def test_another_thread_may_read_it_all(source: Source) -> None:
    numbers: list[int] = []

    def read() -> None:
        with source:
            numbers.extend(read_number(frame.image) for frame in frames_of(source))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(PATIENCE_S)
    assert numbers == list(range(COUNT))


def test_closing_early_or_twice_is_fine_and_reading_afterwards_is_an_error(source: Source) -> None:
    next(iter(source))
    source.close()
    source.close()
    with pytest.raises(SourceError, match="closed"):
        list(source)


@pytest.mark.parametrize("name", list(MAKERS))
def test_closing_gives_everything_back(name: str, tmp_path: Path) -> None:
    with MAKERS[name](tmp_path) as warm_up:
        list(frames_of(warm_up))
    with all_given_back():
        for _ in range(5):
            with MAKERS[name](tmp_path) as made:
                next(iter(made))


def test_frames_are_freed_without_the_garbage_collector(source: Source) -> None:
    """A frame in a circle of references would keep its memory until the collector runs, hundreds of frames later."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for frame in frames_of(source):
            del frame
        gc.collect()
        kept = [type(kept).__name__ for kept in gc.garbage if isinstance(kept, av.VideoFrame | av.Packet | Frame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    # One frame per stream may be asked for its display matrix.
    assert len(kept) <= 1
