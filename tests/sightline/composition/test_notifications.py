"""Notifications of a run, as its configuration asks for them."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.runtime.report import Report
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from tests.sinks.integrations.test_webhook import Server
from tests.support.fakes import BlobDetector, MemorySource, moving_box
from tests.support.waiting import PATIENCE_S

pytest.importorskip("apprise", reason="needs Apprise: pip install 'sightline[notify]'")
FRAMES = 40
SETTINGS: dict[str, Any] = {
    "source": "memory",
    "zones": {"yard": {"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]], "units": "fraction"}},
    "rules": {"prowler": {"when": "in_zone", "zone": "yard", "for_s": 0.5, "text": "{count} in {zone}"}},
    "evidence": {"folder": "evidence"},
    "notify": {
        "targets": {"phone": {"url_env": "TEST_PHONE", "types": ["alert.started", "alert.ended"], "every_s": 0}},
        "spool": "spool",
    },
}


def run() -> Report:
    path = Path("my.json")
    path.write_text(json.dumps(SETTINGS))
    sources = {"memory": MemorySource(moving_box(FRAMES))}
    return build_pipeline(load_config(path), path=path, sources=sources, detector=BlobDetector()).run()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_tells_of_its_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    monkeypatch.setenv("TEST_PHONE", f"json://127.0.0.1:{server.port}/")
    report = run()
    server.stop()
    posts = [json.loads(body) for _, _, body in server.requests]
    ((picture, *_), _) = pictures = [
        [base64.b64decode(each["base64"]) for each in post["attachments"]] for post in posts
    ]
    assert pictures == [[picture], [picture]], "that of the alert's start"
    (written,) = Path("evidence").rglob("*alert.started*-picture.jpg")
    assert picture == written.read_bytes()
    assert [(post["title"], post["message"].splitlines()[0]) for post in posts] == [
        ("memory: prowler", "1 in yard"),
        ("memory: prowler is over", "1 in yard (over after 4 s)"),
    ]
    assert report.outputs["NotificationSink-phone"].written == 2


def test_a_dead_service_costs_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    server = Server(answer=lambda number: 200 * go_on.wait(PATIENCE_S))
    monkeypatch.setenv("TEST_PHONE", f"json://127.0.0.1:{server.port}/?rto=0.3")
    report = run()
    go_on.set()
    server.stop()
    stream = report.streams["memory"]
    assert (stream.decoded, stream.processed) == (FRAMES, FRAMES)
    counts = report.outputs["NotificationSink-phone"]
    assert (counts.given, counts.written, counts.lost) == (2, 0, 0)
    assert len(list(Path("spool/phone").glob("*.json"))) == 2


def test_variables_that_are_not_set_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_PHONE", raising=False)
    with pytest.raises(ConfigError, match=r"^notify.targets.phone.url_env: .*TEST_PHONE is not set$"):
        run()
