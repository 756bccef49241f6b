"""Settings that change nothing are told, and nothing else is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from sightline.config.idle import idle_settings, warn_of_idle_settings
from sightline.config.loading import load_config

CONFIGS = Path(__file__).parents[3] / "configs"
YARD = {"polygon": [[0, 0], [9, 0], [9, 9]]}
RULE = {"when": "in_zone", "zone": "yard", "for_s": 3}


def told(settings: dict[str, Any]) -> list[str]:
    return idle_settings(load_config(None, options={"source": "clip.mp4", **settings}))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"events": {"encoding": "msgpack"}}, "events.encoding: changes nothing without events.endpoint"),
        ({"events": {"types": ["stats"]}}, "events.types: changes nothing without events.endpoint or output.jsonl"),
        ({"store": {"keep_days": 3, "max_mb": 9}}, "store.keep_days, store.max_mb: change nothing without store.path"),
        ({"mqtt": {"topic": "x"}}, "mqtt.topic: changes nothing without mqtt.url"),
        ({"mqtt": {"url": "mqtt://h", "retain_pictures": True}}, "mqtt.retain_pictures: changes nothing without mqtt."),
        ({"webhook": {"secret_env": "X"}}, "webhook.secret_env: changes nothing without webhook.url"),
        ({"notify": {"wait_picture_s": 9}}, "notify.wait_picture_s: changes nothing without notify.targets"),
        ({"notify": {"targets": {"me": {"url_env": "X"}}}}, "notify.targets: are told of alerts, which come from"),
        ({"web": {"stay": True}}, "web.stay: changes nothing without web.address"),
        ({"classify": {"detections": 9}}, "classify.detections: changes nothing without classify.model"),
        ({"callback_errors": "continue"}, "callback_errors: changes nothing without callbacks"),
        ({"output": {"fps": 5}}, "output.fps: changes nothing without output.video"),
        ({"output": {"video": "x.mp4", "keep_mb": 5}}, "output.keep_hours and keep_mb: delete pieces, and without"),
        ({"recording": {"mode": "events"}}, "recording.mode: changes nothing without recording.folder"),
        ({"tracker": {"appearance_classes": ["car"]}}, "tracker.appearance_classes: changes nothing without tracker."),
        ({"privacy": {"effect": "blur"}}, "privacy.effect: changes nothing without privacy.areas or privacy.classes"),
        ({"evidence": {"zones": True}}, "evidence.zones: changes nothing without evidence.folder"),
        ({"evidence": {"folder": "x", "tracks": True, "clip": {"after_s": 3}}}, "evidence.clip.after_s: changes"),
        ({"evidence": {"folder": "x"}}, "evidence.folder: nothing is written into it: there are no rules"),
        ({"evidence": {"folder": "x", "zones": True}}, "evidence.folder: nothing is written into it"),
        (
            {"store": {"path": "x.db", "types": ["alert.started", "zone.left"]}},
            "store.types: nothing makes alert.started or zone.left without rules or zones",
        ),
        (
            {"recording": {"folder": "x", "types": ["line.crossed"]}},
            "recording.types: nothing makes line.crossed without lines",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_changes_nothing_is_told(settings: dict[str, Any], line: str) -> None:
    (only,) = told(settings)
    assert only.startswith(line)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"store": {"keep_days": None, "format": "sqlite"}},  # as they are by themselves
        {"events": {"update_hz": 2}},  # of tracks for every output
        {"events": {"types": ["stats"]}, "output": {"jsonl": "x.jsonl"}},
        {"web": {"changes": "x.yaml"}},  # read by every run
        {"output": {"video": "x.mp4", "fps": 5, "segment_s": 60, "keep_mb": 5}},
        {"evidence": {"folder": "x", "zones": True}, "zones": {"yard": YARD}},
        {"evidence": {"folder": "x"}, "zones": {"yard": YARD}, "rules": {"in": RULE}},
        {"store": {"path": "x.db", "types": ["alert.started", "zone.left"]}, "zones": {"yard": YARD}},
        {"cluster": {"rebalance": False}, "node": {"site": "yard"}},  # for cluster run
    ],
    ids=str,
)
def test_what_has_an_effect_is_not_told(settings: dict[str, Any]) -> None:
    assert told(settings) == []


def test_what_one_of_several_streams_makes_use_of_is_not_told() -> None:
    streams: dict[str, dict[str, Any]] = {
        "door": {"source": "a.mp4", "recording": {"folder": "x"}},
        "yard": {"source": "b.mp4"},
    }
    shared = {"recording": {"segment_s": 60.0}}
    assert idle_settings(load_config(None, options={"streams": streams, **shared})) == []
    streams["yard"]["recording"] = {"keep_mb": 5}
    (line,) = idle_settings(load_config(None, options={"streams": streams, **shared}))
    assert line.startswith("streams.yard.recording.keep_mb: changes nothing without streams.yard.recording.folder")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_that_come_along_have_none(path: Path) -> None:
    config = load_config(path)
    assert idle_settings(config if config.streams else load_config(path, options={"source": "clip.mp4"})) == []


def test_a_warning_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_idle_settings(load_config(None, options={"source": "clip.mp4", "store": {"max_mb": 5}}))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
