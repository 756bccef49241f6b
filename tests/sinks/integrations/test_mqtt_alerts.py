"""Alerts and their pictures over MQTT, against Debian's mosquitto, and as Home Assistant's pages have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.events import Event, FrameCounts, OutputCounts, StreamEnded, StreamStarted
from pipeline.types import SourceInfo
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.mqtt_topics import Places, Topics
from tests.sinks.integrations.test_mqtt import needs_broker
from tests.sinks.integrations.test_mqtt_retained import publish, retained, until
from tests.support.alerts import ended, picture, started, updated
from tests.support.fault_proxy import FaultProxy, Faults
from tests.support.feed_parts import RUN, WALL
from tests.support.mqtt_broker import Broker, Listener, free_port
from tests.support.waiting import PATIENCE_S, wait_until

INFO = SourceInfo(width=64, height=48, live=True)
JPEG = b"\xff\xd8\xff\xe0 picture %d"
COMMON = {"seq": 1, "run": RUN, "stream": "cam", "pts_s": 0.0, "wall": WALL}
BEGIN = StreamStarted(**COMMON, source="x", width=64, height=48, live=True)  # type: ignore[arg-type]
END = StreamEnded(
    **COMMON,  # type: ignore[arg-type]
    reason="removed",
    ledger=FrameCounts(decoded=1, processed=1, dropped={}, failed={}),
)

# The configuration variables on Home Assistant's pages.
_ANY = {
    *("availability", "availability_mode", "availability_template", "availability_topic", "default_entity_id"),
    *("device", "enabled_by_default", "encoding", "entity_category", "entity_picture", "icon", "name", "origin"),
    *("json_attributes_template", "json_attributes_topic", "payload_available", "payload_not_available"),
    *("platform", "qos", "unique_id"),
}
DOCUMENTED = {
    "sensor": {
        *("device_class", "expire_after", "force_update", "last_reset_value_template", "options", "state_class"),
        *("state_topic", "suggested_display_precision", "unit_of_measurement", "value_template", *_ANY),
    },
    "binary_sensor": {
        *("device_class", "expire_after", "force_update", "off_delay", "payload_off", "payload_on"),
        *("state_topic", "value_template", *_ANY),
    },
    "image": {"content_type", "image_encoding", "image_topic", "url_template", "url_topic", *_ANY},
}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Callable[[], Broker]]:
    brokers: list[Broker] = []

    def begin() -> Broker:
        brokers.append(Broker(tmp_path, port))
        return brokers[-1]

    yield begin
    for broker in brokers:
        broker.stop()


def sink_to(port: int, folder: Path, **options: Any) -> MqttSink:
    settings: dict[str, Any] = {
        "reconnect_most_s": 1,
        "linger_s": PATIENCE_S,
        "evidence": folder,
        "places": {"cam": Places(rules=["prowler"])},
    }
    sink = MqttSink(f"mqtt://127.0.0.1:{port}", **{**settings, **options})
    sink.check()
    sink.open("cam", INFO, ["person"])
    return sink


@needs_broker
def test_an_alert_is_on_until_it_is_over_and_has_its_picture(
    start: Callable[[], Broker], port: int, tmp_path: Path
) -> None:
    start()
    listener = Listener(port)
    sink = sink_to(port, tmp_path, discovery="homeassistant")
    sink.on_event(BEGIN)
    listener.wait_for("sightline/cam/alerts/prowler", "OFF")
    alert = started(2, evidence="two")
    sink.on_event(alert)
    listener.wait_for("sightline/cam/alerts/prowler", "ON")
    about = json.loads(listener.values["sightline/cam/alerts/prowler/about"])
    assert (about["severity"], about["text"], about["tracks"]) == ("critical", "alert 2", [1])
    sink.on_event(picture(3, alert, tmp_path, JPEG % 1))
    wait_until(lambda: listener.data.get("sightline/cam/alerts/prowler/picture") == JPEG % 1, "the picture")
    wait_until(lambda: listener.data.get("sightline/cam/picture") == JPEG % 1, "the picture")
    sink.on_event(updated(4, alert_id=2, text="two of them"))
    sink.on_event(ended(5, alert_id=2, text="two of them"))
    listener.wait_for("sightline/cam/alerts/prowler", "OFF")
    about = json.loads(listener.values["sightline/cam/alerts/prowler/about"])
    assert (about["text"], about["duration_s"], about["reason"]) == ("two of them", 12.0, "cleared")
    sink.close()
    listener.stop()
    assert not any(topic.endswith("picture") for topic in retained(port)), "not asked for"
    assert sink.counts() == OutputCounts(given=5, written=5)


@needs_broker
def test_after_an_outage_of_the_broker_the_newest_is_there_and_events_came_once_in_order(
    start: Callable[[], Broker], port: int, tmp_path: Path
) -> None:
    start()
    first = Listener(port)
    with FaultProxy(to=("127.0.0.1", port)) as proxy:
        proxy.set(Faults(refused=True))
        sink = sink_to(proxy.port, tmp_path, retain_pictures=True, types=["alert.started"])
        sink.on_event(BEGIN)
        for seq in range(2, 7):
            alert = started(seq, evidence=str(seq))
            sink.on_event(alert)
            sink.on_event(picture(seq + 100, alert, tmp_path, JPEG % seq))
        proxy.set(Faults())
        wait_until(lambda: first.data.get("sightline/cam/picture") == JPEG % 6, "the picture")
        first.wait_for("sightline/cam/alerts/prowler", "ON")
        sink.close()
    first.stop()
    told = [json.loads(value)["seq"] for topic, value, _ in first.all if topic.endswith("events/alert.started")]
    assert told == [2, 3, 4, 5, 6]
    late = Listener(port)
    wait_until(lambda: late.data.get("sightline/cam/alerts/prowler/picture") == JPEG % 6, "the picture")
    late.stop()


@needs_broker
def test_what_an_earlier_run_left(start: Callable[[], Broker], port: int, tmp_path: Path) -> None:
    start()
    left = {
        "sightline/cam/alerts/prowler": "ON",
        "sightline/cam/alerts/prowler/about": '{"severity":"info"}',
        "sightline/cam/alerts/old": "ON",
        "sightline/cam/alerts/old/about": '{"severity":"info"}',
        "sightline/cam/alerts/mine": "on",
        "sightline/cam/alerts/mine/about": "something else",
    }
    publish(port, left)
    sink = sink_to(port, tmp_path)
    sink.on_event(BEGIN)
    values = until(port, lambda values: "sightline/cam/alerts/old" not in values and "sightline/status" in values)
    assert {topic: value for topic, value in values.items() if "alerts" in topic} == {
        "sightline/cam/alerts/prowler": "OFF",
        "sightline/cam/alerts/mine": "on",
        "sightline/cam/alerts/mine/about": "something else",
    }
    sink.close()


def topics(**options: Any) -> Topics:
    places = {"cam": Places(rules=["prowler", "front door"])}
    return Topics("p", window="second", discovery="ha", places=places, **options)


def announced(messages: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    return {topic: json.loads(value) for topic, value in messages.items() if topic.endswith("/config") and value}


def test_home_assistant_is_told_with_keys_that_its_pages_have() -> None:
    found = announced(dict(topics(pictures=True).apply(BEGIN)))
    kinds: dict[str, list[dict[str, Any]]] = {}
    for topic, config in found.items():
        begin, component, device, identifier, end = topic.split("/")
        assert (begin, device, end) == ("ha", "p_cam", "config")
        assert config["unique_id"] == identifier
        assert config["default_entity_id"].startswith(f"{component}.p_cam_")
        assert set(config) <= DOCUMENTED[component]
        assert set(config["device"]) <= {"identifiers", "name", "manufacturer"}
        kinds.setdefault(component, []).append(config)
    assert {component: len(configs) for component, configs in kinds.items()} == {
        "sensor": 1,
        "binary_sensor": 2,
        "image": 3,
    }
    prowler = next(config for config in kinds["binary_sensor"] if config["name"] == "prowler")
    assert (prowler["state_topic"], prowler["payload_on"], prowler["payload_off"]) == (
        "p/cam/alerts/prowler",
        "ON",
        "OFF",
    )
    assert prowler["json_attributes_topic"] == "p/cam/alerts/prowler/about"
    images = {config["image_topic"]: config["content_type"] for config in kinds["image"]}
    assert images == dict.fromkeys(
        ["p/cam/picture", "p/cam/alerts/prowler/picture", "p/cam/alerts/front_door/picture"], "image/jpeg"
    )


def test_what_goes_with_a_stream_goes_as_a_whole() -> None:
    one = topics(pictures=True)
    values = dict(one.apply(BEGIN))
    events: list[Event] = [started(2, evidence="two")]
    values |= dict(one.apply(events[0]))
    values |= dict(one.show("cam", 2, JPEG % 1))
    assert values["p/cam/picture"] == JPEG % 1
    gone = dict(one.apply(END))
    assert set(gone) == set(values)
    assert set(gone.values()) == {b""}


def test_a_picture_that_comes_after_the_end_is_that_of_its_rule() -> None:
    one = topics(pictures=True)
    for event in (BEGIN, started(2, rule="front door"), ended(3, alert_id=2, rule="front door")):
        one.apply(event)
    assert dict(one.show("cam", 2, JPEG % 1))["p/cam/alerts/front_door/picture"] == JPEG % 1
    assert one.show("cam", 99, JPEG % 1) == []


def test_retained_pictures_stay_where_their_rule_is_and_go_where_it_is_not() -> None:
    left = {"p/cam/picture": JPEG % 1, "p/cam/alerts/prowler/picture": JPEG % 2, "p/cam/alerts/old/picture": JPEG % 3}
    one = topics(pictures=True)
    one.expect("cam", ["person"])
    gone = {topic for topic, value in one.found(left) if value == b""}
    assert gone == {"p/cam/alerts/old/picture"}
    other = topics()
    other.expect("cam", ["person"])
    assert {topic for topic, value in other.found(left) if value == b""} == set(left)
    assert topics().found({"p/cam/picture": b"somebody else's"}) == []


@needs_broker
def test_the_part_with_the_object_will_do_where_there_is_no_whole_picture(
    start: Callable[[], Broker], port: int, tmp_path: Path
) -> None:
    start()
    listener = Listener(port)
    sink = sink_to(port, tmp_path)
    sink.on_event(BEGIN)
    first, second = started(2, evidence="two"), started(3, evidence="three")
    sink.on_event(first)
    sink.on_event(picture(4, first, tmp_path, JPEG % 1, kind="crop"))
    wait_until(lambda: listener.data.get("sightline/cam/picture") == JPEG % 1, "the picture")
    sink.on_event(second)
    sink.on_event(picture(5, second, tmp_path, JPEG % 2))
    sink.on_event(picture(6, second, tmp_path, JPEG % 3, kind="crop"))
    sink.close()
    wait_until(lambda: listener.data.get("sightline/cam/picture") == JPEG % 2, "the picture")
    listener.wait_for("sightline/status", "offline")
    assert listener.data["sightline/cam/picture"] == JPEG % 2
    listener.stop()
