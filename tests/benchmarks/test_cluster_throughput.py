"""The comparison of a cluster with plain processes: what it takes of what they told, and whose time it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.cluster_throughput import Turn, processed_fps, whose


def told(stream: str, wall_s: float, pts_s: float, processed: int) -> str:
    wall = datetime.fromtimestamp(wall_s, UTC).isoformat().replace("+00:00", "Z")
    return json.dumps(
        {"type": "stats", "stream": stream, "wall": wall, "pts_s": pts_s, "ledger": {"processed": processed}}
    )


def test_only_what_was_told_in_the_window_counts(tmp_path: Path) -> None:
    door, lane = tmp_path / "door.jsonl", tmp_path / "lane.jsonl"
    # Before and after the window the machine was busy with something else.
    door.write_text("\n".join(told("door", 1000 + at, at, 10 * max(0, at - 10)) for at in (0, 10, 20, 30)))
    lane.write_text("\n".join(told("lane", 1005 + at, at, 5 * at) for at in (0, 10, 20)) + '\n{"type": "heartbeat"}')
    assert processed_fps([door, lane], ["door", "lane"], 1009.0, 1031.0) == pytest.approx(10 + 5)
    with pytest.raises(SystemExit, match="too little was told of lane"):
        processed_fps([door, lane], ["door", "lane"], 1009.0, 1020.0 + 1)


def test_processor_time_is_told_by_what_used_it() -> None:
    assert whose(["python", "run_pipeline.py", "--config", "node0.yaml"]) == "plain"
    assert whose(["python", "/x/run_pipeline.py", "cluster", "run", "c.yaml"]) == "driver"
    assert whose(["ray::_ShardActor"]) == "shards"
    assert whose(["python3", "/x/rtsp_server_main.py"]) == "cameras"
    assert whose(["/x/raylet", "--raylet_socket_name=y"]) == "Ray"
    turn = Turn(fps=20.0, pipelines=1.0, beside=0.2)
    assert (turn.frame_ms, turn.all_ms) == pytest.approx((50.0, 60.0))
