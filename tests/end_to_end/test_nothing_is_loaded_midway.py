"""A run loads its modules before the first frame is looked at: what is loaded later stops all stages while it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.models.cache import CACHE_VARIABLE

ROOT = Path(__file__).parents[2]

CODE = """
import sys
from trackers.buffered import BufferedTracker

update, late, looked = BufferedTracker.update, [], False

def watched(self, *given):
    global looked
    looked = True
    return update(self, *given)

BufferedTracker.update = watched
sys.addaudithook(lambda event, given: late.append(given[0]) if event == "import" and looked else None)

from sightline.commands.main import main

clip, weights, *more = sys.argv[1:]
words = [clip, "--duration", "2", "-o", "out.mp4", "--jsonl", "out.jsonl", "-q", "--weights", weights]
assert main([*words, "--engine", "openvino", "--precision", "float32", *more]) == 0
assert looked
print("late:", *late)
"""


@pytest.mark.parametrize(
    "settings", [(), ("--set", "detect_every=auto", "--set", "motion_gate=0.006")], ids=["every frame", "fewer looks"]
)
def test_nothing_is_loaded_once_frames_are_looked_at(
    settings: tuple[str, ...], demo_clip: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(demo_clip), str(tiny_weights), *settings],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), CACHE_VARIABLE: str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "late:"
