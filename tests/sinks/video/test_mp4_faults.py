"""What is left of an MP4 when its run is killed or the disk fills up: real processes, a real small file system."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.support.video_files import box_names

# A program that records noise for as long as it is let.
RECORDER = """
import resource, signal, sys
from fractions import Fraction
import numpy as np
from pipeline.types import Frame, SourceInfo, TrackedFrame, Tracks
from sinks.video.mp4 import Mp4Sink
path, frames, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
images = np.random.default_rng(0).integers(0, 256, (10, 240, 320, 3), dtype=np.uint8)
sink = Mp4Sink(path, annotate=None)
sink.open("camera", SourceInfo(320, 240, Fraction(25)), [])
error = None
try:
    for index in range(frames):
        frame = Frame(images[index % 10], index, index / 25, 0.0, "camera")
        sink.on_frame(TrackedFrame(frame, None, Tracks.empty(), np.zeros(0, np.int64)))
except OSError as caught:
    error = caught
    print(type(error).__name__, error, index)
if "wait" in sys.argv:
    print("ready", flush=True)
    sys.stdin.read()
try:
    sink.close(error)
    print("closed")
except OSError as caught:
    print(type(caught).__name__, caught)
"""


def recorder(path: Path, frames: int, limit: int, *more: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(RECORDER), str(path), str(frames), str(limit), *more]


def test_a_killed_run_leaves_a_playable_file(tmp_path: Path) -> None:
    command = recorder(tmp_path / "a.mp4", 120, 0, "wait")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["a.partial.mp4"]
    with av.open(str(tmp_path / "a.partial.mp4")) as container:
        count = sum(1 for _ in container.decode(video=0))
    # 120 frames are 4.8 s; a second may be missing, and what the encoder still held.
    assert 90 <= count <= 120


def run_recorder(path: Path, frames: int, limit: int) -> str:
    run = subprocess.run(recorder(path, frames, limit), capture_output=True, text=True)
    assert "Traceback" not in run.stderr
    assert run.returncode == 0
    return run.stdout


def assert_playable(path: Path, frames: int) -> None:
    assert "(cut off)" not in box_names(path)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= frames


def test_a_file_that_may_grow_no_further(tmp_path: Path) -> None:
    said = run_recorder(tmp_path / "a.mp4", 400, 2_500_000).splitlines()
    assert said[0].startswith(f"SinkError cannot write {tmp_path / 'a.mp4'}: ")
    assert said[1:] == ["closed"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.partial.mp4"]
    assert_playable(tmp_path / "a.partial.mp4", 25)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 2.5 MB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", str(mounted)], capture_output=True)
    if mount.returncode:
        pytest.skip("a full disk needs a small file system: run as root where mounting tmpfs is allowed")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_disk_that_fills_up_while_recording(small_disk: Path) -> None:
    said = run_recorder(small_disk / "a.mp4", 400, 0).splitlines()
    assert "the disk is full" in said[0]
    assert said[1:] == ["closed"]
    assert [path.name for path in small_disk.iterdir()] == ["a.partial.mp4"]
    assert_playable(small_disk / "a.partial.mp4", 25)


def test_a_disk_that_fills_up_while_finishing(small_disk: Path) -> None:
    (small_disk / "a.mp4").write_bytes(b"yesterday's")
    said = run_recorder(small_disk / "a.mp4", 45, 0)
    assert said.startswith(f"SinkError cannot write {small_disk / 'a.mp4'}: the disk is full")
    assert said.rstrip().endswith(f"the pictures are kept in {small_disk / 'a.partial.mp4'}")
    assert len(said.splitlines()) == 1
    assert (small_disk / "a.mp4").read_bytes() == b"yesterday's"
    assert sorted(path.name for path in small_disk.iterdir()) == ["a.mp4", "a.partial.mp4"]
    assert_playable(small_disk / "a.partial.mp4", 45)
