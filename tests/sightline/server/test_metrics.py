"""What Prometheus reads is what the report says, and what is wrong with a run shows in its health."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.interfaces import Sink
from pipeline.types import TrackedFrame
from sightline.composition.serving.served_run import ServedRun
from tests.support.served_run import Served, served_run
from tests.support.waiting import PATIENCE_S

LEFT = {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "units": "fraction"}
MIDDLE = {"start": [0.5, 0], "end": [0.5, 1], "units": "fraction"}


def scrape(served: Served) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels, as Prometheus's own reader has it."""
    answer = served.get("/metrics")
    assert answer.status_code == 200
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def figure(samples: dict[Any, float], name: str, **labels: str) -> float:
    return samples[f"sightline_{name}", tuple(sorted(labels.items()))]


def test_at_the_end_the_metrics_are_the_report(tmp_path: Path) -> None:
    with served_run(tmp_path, {"output": {"jsonl": str(tmp_path / "events.jsonl")}}) as served:
        served.put("/api/streams/door/zones", {"zones": {'left "of" \\ it': LEFT}})
        served.put("/api/streams/door/lines", {"lines": {"middle": MIDDLE}})
        served.wait_for(lambda: len(served.sink.frames) > 150, "frames")
        during = scrape(served)
        served.end()
        report = json.loads(served.get("/api/report").text)
        samples = scrape(served)
    assert figure(during, "stream_up", stream="door") == 1
    assert 0 < figure(during, "frames_decoded_total", stream="door") < report["streams"]["door"]["decoded"]
    door = report["streams"]["door"]
    assert served.pipeline.report is not None
    assert json.loads(served.pipeline.report.to_json()) == report
    assert figure(samples, "frames_decoded_total", stream="door") == door["decoded"]
    assert figure(samples, "frames_processed_total", stream="door") == door["processed"]
    told = {
        kind: {
            dict(labels)["reason"]: value
            for (name, labels), value in samples.items()
            if name == f"sightline_frames_{kind}_total"
        }
        for kind in ("dropped", "failed")
    }
    assert (told["dropped"], told["failed"]) == (door["dropped"], door["failed"])
    assert door["decoded"] == door["processed"] + sum(told["dropped"].values()) + sum(told["failed"].values())
    assert figure(samples, "latency_seconds_count", stream="door") == door["processed"]
    buckets = [v for (name, _), v in samples.items() if name == "sightline_latency_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == door["processed"]
    assert figure(samples, "tracks_total", stream="door", **{"class": "blob"}) == door["objects"]["blob"]["unique"]
    zone = 'left "of" \\ it'
    visits = figure(samples, "zone_tracks_total", stream="door", zone=zone, **{"class": "blob"})
    assert visits == door["zones"][zone]["blob"]["unique"]
    for way in ("in", "out"):
        crossings = figure(
            samples, "line_crossings_total", stream="door", line="middle", direction=way, **{"class": "blob"}
        )
        assert crossings == door["lines"]["middle"]["blob"][way]
    for output in ("JsonlSink", "SqliteStore"):
        for key in ("given", "written"):
            assert figure(samples, f"output_{key}_total", stream="", output=output) == report["outputs"][output][key]
    assert samples["sightline_run_info", tuple(sorted({
        "model": "tiny-yolov3", "engine": "", "precision": "uint8", "version": report["versions"]["sightline"]
    }.items()))] == 1  # fmt: skip


def test_every_metric_is_documented(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    dashboard = (Path(__file__).parents[3] / "docs" / "grafana.json").read_text(encoding="utf-8")
    panels = json.loads(dashboard)["panels"]
    asked = {target["expr"] for panel in panels for target in panel.get("targets", [])}
    with served_run(tmp_path) as served:
        served.wait_for(lambda: len(served.sink.frames) > 5, "frames")
        families = list(text_string_to_metric_families(served.get("/metrics").text))
    names = {family.name for family in families if family.name.startswith("sightline_")}
    for name in names:
        assert f"`{name}" in text, name
    for expression in asked:
        assert any(name in expression for name in names), expression


def test_a_run_that_does_not_tell_still_tells_of_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    class Stuck(Sink):
        """Holds the run up, as a file's output may."""

        may_stall = False

        def on_frame(self, tracked: TrackedFrame) -> None:
            if tracked.frame.index == 20:
                held.wait(PATIENCE_S)

    with served_run(tmp_path, sinks=[Stuck()]) as served:
        served.wait_for(lambda: len(served.sink.frames) >= 20, "frames")
        try:
            with monkeypatch.context() as patch:
                patch.setattr(ServedRun.report, "__defaults__", (0.3,))
                patch.setattr("sightline.server.metrics._PATIENCE_S", 0.3)
                assert served.get("/api/report").status_code == 503
                samples = scrape(served)
            assert figure(samples, "stream_up", stream="door") == 1
            assert ("sightline_frames_decoded_total", (("stream", "door"),)) not in samples
            assert served.get("/healthz").status_code == 200
        finally:
            held.set()
        served.wait_for(lambda: len(served.sink.frames) > 30, "the run to go on")
        assert served.get("/api/report").status_code == 200


def test_a_camera_without_frames_is_not_ready(tmp_path: Path) -> None:
    with served_run(tmp_path, live=True) as served:
        served.wait_for(lambda: len(served.sink.frames) > 5, "frames")
        assert served.get("/readyz").json() == {"ready": True, "trouble": []}
        served.cameras["door"].held.set()
        before = len(served.sink.frames)
        later = time.monotonic() + 60
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sightline.composition.serving.readiness._PATIENCE_S", 0.2)
            served.wait_for(lambda: served.get("/readyz").status_code == 503, "trouble")
            answer = served.get("/readyz")
        assert answer.json() == {"ready": False, "trouble": ["stream door gives no frames"]}
        assert len(served.sink.frames) - before < 3
        assert time.monotonic() < later
        served.cameras["door"].held.clear()
        served.wait_for(lambda: served.get("/readyz").status_code == 200, "its return")


def test_an_output_that_is_stuck_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    class Slow(Sink):
        """Does not come back for a while."""

        def on_frame(self, tracked: TrackedFrame) -> None:
            if tracked.frame.index == 10:
                held.wait(PATIENCE_S)

    monkeypatch.setattr("sightline.composition.serving.readiness._PATIENCE_S", 0.3)
    with served_run(tmp_path, live=True, sinks=[Slow()]) as served:
        try:
            served.wait_for(lambda: served.get("/readyz").status_code == 503, "trouble")
            served.wait_for(lambda: "output Slow is losing what it is given" in served.get("/readyz").text, "losses")
            assert "output Slow is stuck" in served.get("/readyz").json()["trouble"]
            samples = scrape(served)
            assert figure(samples, "output_busy_seconds", stream="door", output="Slow") > 0.3
            assert figure(samples, "output_queue", stream="door", output="Slow") > 0
        finally:
            held.set()


def test_a_disk_that_is_full_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    with served_run(tmp_path) as served:
        served.wait_for(lambda: len(served.sink.frames) > 5, "frames")
        real = shutil.disk_usage
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path: usage(1e12, 1e12, 5e6) if Path(path) == tmp_path else real(path)
        )
        answer = served.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["trouble"] == [f"the disk of {tmp_path} is full: 5 MB are left"]
