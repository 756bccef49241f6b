"""The comparison of a cluster with plain processes: what it takes of what they told, and whose time it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.cluster_throughput import Turn, processed_fps, whose


def told(kind: str, stream: str, wall_s: float, processed: int | None) -> str:
    wall = datetime.fromtimestamp(wall_s, UTC).isoformat().replace("+00:00", "Z")
    ledger = {} if processed is None else {"ledger": {"processed": processed}}
    return json.dumps({"type": kind, "stream": stream, "wall": wall, **ledger})


def test_frames_of_the_window_count_and_no_others(tmp_path: Path) -> None:
    # What came before the window was slow, and so is what comes after it.
    streams = {
        "door": [(1000.0, None), (1010.0, 10), (1020.0, 110), (1030.0, 210), (1040.0, 211)],
        "lane": [(1005.0, None), (1015.0, 50), (1025.0, 100), (1035.0, 150)],
    }
    paths = []
    for name, points in streams.items():
        kinds = ["stream.started", *["stats"] * (len(points) - 2), "stream.ended"]
        lines = [told(kind, name, *at) for kind, at in zip(kinds, points, strict=True)]
        paths.append(tmp_path / f"{name}.jsonl")
        paths[-1].write_text("\n".join(['{"type": "heartbeat"}', *lines]))
    assert processed_fps(paths, ["door", "lane"], 1010.0, 1030.0) == pytest.approx(10 + 5)
    assert processed_fps(paths[:1], ["door"], 1015.0, 1020.0) == pytest.approx(10)
    with pytest.raises(SystemExit, match="lane did not run all the time"):
        processed_fps(paths, ["door", "lane"], 1001.0, 1030.0)


def test_processor_time_is_told_by_what_used_it() -> None:
    assert whose(["python", "run_pipeline.py", "--config", "node0.yaml"]) == "plain"
    assert whose(["python", "/x/run_pipeline.py", "cluster", "run", "c.yaml"]) == "driver"
    assert whose(["ray::_ShardActor"]) == "shards"
    assert whose(["python3", "/x/rtsp_server_main.py"]) == "cameras"
    assert whose(["/x/raylet", "--raylet_socket_name=y"]) == "Ray"
    turn = Turn(fps=20.0, pipelines=1.0, beside=0.2)
    assert (turn.frame_ms, turn.all_ms) == pytest.approx((50.0, 60.0))
