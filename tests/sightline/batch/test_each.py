"""``run --each``: every file once, outputs whole, whatever ends the batch and however often."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sightline.commands.main import main
from sightline.composition import pipeline as composition
from tests.support.clips import write_clip
from tests.support.fakes import BlobDetector

ROOT = Path(__file__).parents[3]
FRAMES, FILES = 8, 30
OUTPUTS = ["--jsonl", "out/{stream}.jsonl", "-o", "out/{stream}.mp4", "--report", "out/{stream}.json"]
PROGRAM = """
import sys
from sightline.commands.main import main
from sightline.composition import pipeline
from tests.support.fakes import BlobDetector
pipeline.create_detector = lambda *_, **__: BlobDetector()
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(composition, "create_detector", lambda *_, **__: BlobDetector())
    write_clip(tmp_path / "clip-0.mp4", count=FRAMES)
    for number in range(1, FILES):
        (tmp_path / f"clip-{number}.mp4").write_bytes((tmp_path / "clip-0.mp4").read_bytes())
    return [f"clip-{number}.mp4" for number in range(FILES)]


def entries(path: str = "out/manifest.jsonl") -> list[dict[str, Any]]:
    """The whole lines of a manifest."""
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.split("\n")[:-1] if line]


def check_whole(clips: list[str]) -> None:
    known = {entry["input"]: entry for entry in entries()}
    assert set(known) == set(clips)
    assert len(entries()) == len(clips), "one line for each input"
    for clip in clips:
        entry, name = known[clip], Path(clip).stem
        assert (entry["state"], entry["frames"]) == ("done", FRAMES)
        assert set(entry["outputs"]) == {f"out/{name}.mp4", f"out/{name}.jsonl", f"out/{name}.json"}
        assert all(Path(path).stat().st_size == size for path, size in entry["outputs"].items())
        events = [json.loads(line)["type"] for line in Path(f"out/{name}.jsonl").read_text().splitlines()]
        assert (events[0], events[-1]) == ("stream.started", "stream.ended")


def test_videos_in_pieces_and_recordings_are_noted_piece_by_piece(clips: list[str]) -> None:
    pieces = ["--set", "output.segment_s=1", "--set", "recording.segment_s=1", "--record", "out/kept-{stream}"]
    command = ["run", *clips[:2], "--each", "-q", "-o", "out/{stream}.mp4", *pieces]
    assert main(command) == 0
    for entry in entries():
        name = Path(entry["input"]).stem
        video, recorded = sorted(entry["outputs"], key=len)
        assert video.startswith(f"out/{name}-2")
        assert recorded.startswith(f"out/kept-{name}/{name}-2")
        assert all(Path(path).stat().st_size == size for path, size in entry["outputs"].items())
    before = entries()
    assert main(command) == 0
    assert entries() == before, "they are done"
    Path(sorted(before[0]["outputs"])[0]).unlink()
    assert main(command) == 0
    assert sum(len(entry["outputs"]) for entry in entries()) == 4, "of the new run, not of that before"


@pytest.mark.slow
def test_a_batch_that_is_killed_three_times_does_every_file_once(clips: list[str]) -> None:
    chance = random.Random(17)
    command = [sys.executable, "-c", PROGRAM, *clips, "--each", *OUTPUTS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    completed: Counter[str] = Counter()
    for _ in range(3):
        before = sum(entry["state"] == "done" for entry in entries())
        wanted = before + chance.randint(2, 8)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None and sum(entry["state"] == "done" for entry in entries()) < wanted:
            time.sleep(0.01)
        time.sleep(chance.random() / 20)
        assert process.poll() is None, process.stderr and process.stderr.read()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        completed.update(dict.fromkeys({entry["input"] for entry in entries() if entry["state"] == "done"}, 1))
    done_before = {entry["input"] for entry in entries() if entry["state"] == "done"}
    last = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    assert f"{FILES} files: {FILES - len(done_before)} done, {len(done_before)} done before" in last.stdout
    check_whole(clips)


def test_what_is_done_is_left_out_until_something_changes(clips: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = [*clips[:3], "--each", "--at-once", "2", *OUTPUTS]
    assert main(given) == 0
    assert "3 files: 3 done" in capsys.readouterr().out
    check_whole(clips[:3])
    assert main(given) == 0
    assert "3 files: 3 done before" in capsys.readouterr().out
    Path("out/clip-1.jsonl").unlink()
    write_clip(Path("clip-2.mp4"), count=FRAMES - 2)
    assert main(given) == 0
    assert "3 files: 2 done, 1 done before" in capsys.readouterr().out
    assert main([*given, "--confidence", "0.5"]) == 0
    assert "3 files: 3 done\n" in capsys.readouterr().out


def test_one_that_fails_is_named_and_tried_again(clips: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("clip-1.mp4").write_text("no video")
    given = [*clips[:3], "--each", *OUTPUTS]
    assert main(given) == 1
    told = capsys.readouterr().out
    assert "clip-1: failed: clip-1.mp4" in told
    assert "3 files: 2 done, 1 failed" in told
    assert [entry["state"] for entry in entries()] == ["done", "failed", "done"]
    Path("clip-1.mp4").write_bytes(Path("clip-0.mp4").read_bytes())
    assert main(given) == 0
    assert "3 files: 1 done, 2 done before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["clip-0.mp4", "clip-1.mp4", "--each", "-o", "out/x.mp4"], "put {stream} in out/x.mp4"),
        (["clip-0.mp4", "missing.mp4", "--each"], "missing.mp4: no such file"),
        ([".", "--each"], "is a folder; name the files in it"),
        (["clip-0.mp4", "--at-once", "2"], "are for --each"),
        (["clip-0.mp4", "--each", "--show"], "leave one of them out"),
        (["clip-0.mp4", "--each", "--manifest", "clip-1.mp4"], "is no manifest of a batch"),
        (["clip-0.mp4", "clip-1.mp4", "--each", "--manifest", "clip-1.mp4"], "it is a file to process"),
        (["clip-0.mp4", "--each", *OUTPUTS, "--manifest", "out/clip-0.jsonl"], "the manifest"),
    ],
)
def test_mistakes_are_one_line(
    given: list[str], says: str, clips: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("clip-1.mp4").read_bytes()
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert Path("clip-1.mp4").read_bytes() == before
