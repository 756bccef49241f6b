"""Tracks as MOT text, read back with NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SinkError
from pipeline.types import Frame, SourceInfo, TrackedFrame, Tracks
from sinks.files.mot import MotSink

INFO = SourceInfo(width=4, height=2)
Row = tuple[int, float, float, float, float, float]


def tracked(index: int, rows: list[Row], stream: str = "camera") -> TrackedFrame:
    count = len(rows)
    boxes = np.array([row[1:5] for row in rows], np.float32).reshape(count, 4)
    boxes[:, 2:] += boxes[:, :2]
    tracks = Tracks(
        xyxy=boxes,
        score=np.array([row[5] for row in rows], np.float32),
        class_id=np.zeros(count, np.int32),
        track_id=np.array([row[0] for row in rows], np.int64),
        age_s=np.zeros(count, np.float32),
        unseen_s=np.zeros(count, np.float32),
    )
    frame = Frame(np.zeros((2, 4, 3), np.uint8), index, index / 25, 0.0, stream)
    return TrackedFrame(frame, None, tracks, np.zeros(0, np.int64))


sizes = st.floats(0, 4000, width=32)
positions = st.floats(-4000, 4000, width=32)
row_lists = st.lists(
    st.tuples(st.integers(1, 10**12), positions, positions, sizes, sizes, st.floats(0, 1, width=32)), max_size=6
)


@given(frames=st.lists(row_lists, max_size=6))
def test_every_shown_track_is_one_row(tmp_path_factory: pytest.TempPathFactory, frames: list[list[Row]]) -> None:
    path = tmp_path_factory.mktemp("mot") / "x.txt"
    sink = MotSink(path)
    sink.check()
    sink.open("camera", INFO, ["person"])
    for index, rows in enumerate(frames):
        sink.on_frame(tracked(index, rows))
    sink.close()
    expected = np.array(
        [(index + 1, *row, -1, -1, -1) for index, rows in enumerate(frames) for row in rows], np.float64
    ).reshape(-1, 10)
    text = path.read_text()
    written = np.array([line.split(",") for line in text.splitlines()], np.float64).reshape(-1, 10)
    np.testing.assert_array_equal(written[:, [0, 1, 7, 8, 9]], expected[:, [0, 1, 7, 8, 9]])
    # Two decimals each way, plus float32's own error in left + width.
    np.testing.assert_allclose(written[:, 2:6], expected[:, 2:6], atol=0.0151)
    np.testing.assert_allclose(written[:, 6], expected[:, 6], atol=0.0001)


def test_the_text_is_as_documented(tmp_path: Path) -> None:
    sink = MotSink(tmp_path / "x.txt")
    sink.open("camera", INFO, ["person"])
    sink.on_frame(tracked(0, []))
    sink.on_frame(tracked(1, [(3, 1.5, 2.25, 10.0, 20.0, 0.5), (1, 0.0, 0.0, 1.0, 1.0, 1.0)]))
    sink.close()
    assert (tmp_path / "x.txt").read_text() == (
        "2,3,1.50,2.25,10.00,20.00,0.5000,-1,-1,-1\n2,1,0.00,0.00,1.00,1.00,1.0000,-1,-1,-1\n"
    )


def test_only_the_chosen_stream_is_written(tmp_path: Path) -> None:
    sink = MotSink(tmp_path / "x.txt", stream="two")
    for stream in ("one", "two"):
        sink.open(stream, INFO, [])
    for stream, track in (("one", 1), ("two", 2)):
        sink.on_frame(tracked(0, [(track, 0.0, 0.0, 1.0, 1.0, 1.0)], stream))
    sink.close()
    assert [line.split(",")[1] for line in (tmp_path / "x.txt").read_text().splitlines()] == ["2"]


def test_a_second_stream_is_an_error_unless_one_was_chosen(tmp_path: Path) -> None:
    sink = MotSink(tmp_path / "x.txt")
    sink.open("one", INFO, [])
    with pytest.raises(SinkError, match="holds one stream, and there are 'one' and 'two'; choose one"):
        sink.open("two", INFO, [])


def test_an_error_leaves_the_old_file_and_keeps_what_was_processed(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    sink = MotSink(path)
    sink.open("camera", INFO, [])
    sink.on_frame(tracked(0, [(1, 0.0, 0.0, 1.0, 1.0, 1.0)]))
    sink.close(RuntimeError("the run failed"))
    assert path.read_text() == "old"
    assert (tmp_path / "x.partial.txt").read_text().startswith("1,1,0.00")


def test_an_interrupt_completes_it(tmp_path: Path) -> None:
    sink = MotSink(tmp_path / "x.txt")
    sink.open("camera", INFO, [])
    sink.on_frame(tracked(0, [(1, 0.0, 0.0, 1.0, 1.0, 1.0)]))
    sink.close(KeyboardInterrupt())
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.txt"]


def test_check_makes_a_missing_folder(tmp_path: Path) -> None:
    MotSink(tmp_path / "new" / "x.txt").check()
    assert (tmp_path / "new").is_dir()
