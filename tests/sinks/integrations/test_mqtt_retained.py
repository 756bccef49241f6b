"""What is retained at a broker is what is so: after restarts and kills, beside other programs, with any names."""

from __future__ import annotations

import json
import socket
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SinkError
from pipeline.events import (
    ClassCounts,
    Event,
    FrameCounts,
    LineCrossed,
    StreamEnded,
    StreamOffline,
    StreamOnline,
    StreamStarted,
    WindowSecond,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.types import SourceInfo
from sightline.config.loading import load_config
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.mqtt_names import Identifiers, Levels
from sinks.integrations.mqtt_topics import Places, Topics
from tests.support.feed_parts import RUN, WALL
from tests.support.free_ports import free_port
from tests.support.mqtt_broker import MOSQUITTO, NO_BROKER, Broker, Listener
from tests.support.waiting import PATIENCE_S, wait_until

paho: Any = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'sightline[mqtt]'")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason=NO_BROKER)
INFO = SourceInfo(width=64, height=48, live=True)
CLASSES = ["person", "car", "dining table"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path, free_port())
    yield broker
    broker.stop()


def at(stream: str, seq: int = 1) -> dict[str, Any]:
    return {"seq": seq, "run": RUN, "stream": stream, "pts_s": float(seq), "wall": WALL}


def started(stream: str) -> StreamStarted:
    return StreamStarted(**at(stream), source="x", width=64, height=48, live=True)


def ended(stream: str, reason: str = "end") -> StreamEnded:
    ledger = FrameCounts(decoded=1, processed=1, dropped={}, failed={})
    return StreamEnded(**at(stream), reason=reason, ledger=ledger)  # type: ignore[arg-type]


def window(stream: str, **counts: int) -> WindowSecond:
    objects = {name: ClassCounts(mean=count, max=count, unique=count) for name, count in counts.items()}
    return WindowSecond(**at(stream), index=1, start_s=1.0, end_s=2.0, frames=25, coverage=1.0, objects=objects)


def seen(stream: str, zone: str = "yard", line: str = "gate", name: str = "person") -> list[Event]:
    """A stream that has started and has something in view, in a zone and across a line."""
    return [
        started(stream),
        window(stream, **{name: 2}),
        ZoneEntered(**at(stream), zone=zone, track_id=1, class_name=name),
        LineCrossed(**at(stream), line=line, track_id=1, class_name=name, direction="in"),
    ]


def run(port: int, *streams: str, **options: Any) -> MqttSink:
    sink = MqttSink(
        f"mqtt://127.0.0.1:{port}",
        **{"discovery": "homeassistant", "reconnect_most_s": 1, "linger_s": PATIENCE_S, **options},
    )
    for stream in streams:
        sink.open(stream, INFO, CLASSES)
    return sink


def send(sink: MqttSink, *events: Event) -> None:
    for event in events:
        sink.on_event(event)


def retained(port: int) -> dict[str, str]:
    """What a client that comes now is told."""
    listener = Listener(port)
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()

    # What is published now comes after what was retained; the listener may not have subscribed yet.
    def heard() -> bool:
        client.publish("test/all", b"there", qos=1)
        with listener.changed:
            return listener.changed.wait_for(lambda: "test/all" in listener.values, 0.1)

    wait_until(heard, "a message of its own")
    client.disconnect()
    client.loop_stop()
    listener.stop()
    return {topic: value for topic, value, is_retained in listener.all if is_retained}


def until(port: int, is_so: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """What is retained, as soon as it is as it should be."""
    values: dict[str, str] = {}

    def so() -> bool:
        values.clear()
        values.update(retained(port))
        return is_so(values)

    wait_until(so, "what is to be retained", lambda: values)
    return values


def publish(port: int, messages: dict[str, str]) -> None:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic, value in messages.items():
        client.publish(topic, value.encode(), qos=1, retain=True).wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


class KilledRun:
    """A run of which the broker does not know yet that it is dead."""

    def __init__(self, port: int, topic: str = "sightline") -> None:
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="killed")
        self._client.will_set(f"{topic}/status", b"offline", qos=1, retain=True)
        self._client.connect("127.0.0.1", port, keepalive=600)
        self._client.loop_start()
        self._client.publish(f"{topic}/status", b"online", qos=1, retain=True).wait_for_publish(PATIENCE_S)
        self._client.loop_stop()

    def give_up(self) -> None:
        """Have the broker notice."""
        self._client.socket().shutdown(socket.SHUT_RDWR)


LEFT_BY_A_KILLED_RUN = {
    "sightline/door/state": "running",
    "sightline/door/objects/person": "3",
    "sightline/door/objects/zebra": "1",
    "sightline/door/zones/yard/person": "2",
    "sightline/door/zones/old/person": "2",
    "sightline/door/lines/gate/car/in": "12",
    "sightline/door/lines/old/car/out": "7",
    "sightline/cellar/state": "running",
    "sightline/cellar/objects/person": "1",
}
NOT_OURS = {
    "sightline/door/temperature": "21",
    "sightline/door/objects/person/colour": "red",
    "sightline/lamp/state": "on",
    "sightline/lamp/objects/person": "many",
    "sightline/settings": "{}",
    "sightline2/door/objects/person": "4",
    "sightline/garden/status": "online",
    "sightline/garden/zones/objects/person": "5",
    "garden/status": "online",
    "garden/door/objects/person": "6",
    "homeassistant/sensor/lamp/power/config": '{"state_topic": "lamp/power", "origin": {"name": "lamp"}}',
    "homeassistant/sensor/broken/x/config": "no JSON",
    "homeassistant/sensor/garden_door/garden_door_objects_person/config": json.dumps(
        {
            "state_topic": "garden/door/objects/person",
            "availability_topic": "garden/status",
            "origin": {"name": "Sightline"},
        }
    ),
}


@needs_broker
def test_what_a_killed_run_left_is_set_anew_or_taken_away(broker: Broker) -> None:
    publish(broker.port, LEFT_BY_A_KILLED_RUN | NOT_OURS)
    sink = run(broker.port, "door", places={"door": Places(["yard"], ["gate"])})
    send(sink, started("door"))
    values = until(broker.port, lambda values: "sightline/cellar/state" not in values and "sightline/status" in values)
    own = {topic: value for topic, value in values.items() if topic not in NOT_OURS}
    assert {topic: value for topic, value in own.items() if not topic.startswith("homeassistant")} == {
        "sightline/status": "online",
        "sightline/door/state": "running",
        "sightline/door/objects/person": "0",
        "sightline/door/zones/yard/person": "0",
        "sightline/door/lines/gate/car/in": "0",
    }
    assert {topic: values.get(topic) for topic in NOT_OURS} == NOT_OURS
    sink.close()


@needs_broker
def test_a_run_leaves_nothing_of_streams_zones_and_lines_that_are_no_longer_there(broker: Broker) -> None:
    first = run(
        broker.port, "door", "yard", linger_s=0, places={name: Places(["all"], ["gate"]) for name in ("door", "yard")}
    )
    send(first, *seen("door", "all"), *seen("yard", "all"))
    before = until(broker.port, lambda values: values.get("sightline/yard/lines/gate/person/in") == "1")
    assert sum(topic.endswith("/config") for topic in before) == 8
    client = first._link._client  # type: ignore[union-attr]
    client.loop_stop()
    client.socket().close()  # as if it was killed
    second = run(broker.port, "door", places={"door": Places(["whole"])})
    send(second, started("door"))
    values = until(broker.port, lambda values: not any("yard" in topic or "gate" in topic for topic in values))
    assert {topic: value for topic, value in values.items() if not topic.startswith("homeassistant")} == {
        "sightline/status": "online",
        "sightline/door/state": "running",
        "sightline/door/objects/person": "0",
    }
    shown = [json.loads(value)["state_topic"] for topic, value in values.items() if topic.endswith("/config")]
    assert sorted(shown) == ["sightline/door/objects/person", "sightline/door/state"]
    second.close()
    first.close()


@needs_broker
def test_a_run_that_is_short_clears_as_well(broker: Broker) -> None:
    publish(broker.port, LEFT_BY_A_KILLED_RUN)
    sink = run(broker.port, "hall")
    send(sink, started("hall"), ended("hall"))
    sink.close()
    values = {topic: value for topic, value in retained(broker.port).items() if not topic.startswith("homeassistant")}
    assert values == {"sightline/status": "offline", "sightline/hall/state": "ended"}


@needs_broker
def test_an_old_last_will_leaves_a_living_run_online(broker: Broker) -> None:
    killed = KilledRun(broker.port)
    sink = run(broker.port, "door")
    send(sink, started("door"))
    listener = Listener(broker.port)
    listener.wait_for("sightline/door/state", "running")
    listener.wait_for("sightline/status", "online")
    killed.give_up()
    listener.wait_for("sightline/status", "offline")
    listener.wait_for("sightline/status", "online")
    assert retained(broker.port)["sightline/status"] == "online"
    sink.close()
    listener.wait_for("sightline/status", "offline")
    listener.stop()
    assert retained(broker.port)["sightline/status"] == "offline"


@needs_broker
def test_a_stream_that_a_reload_removes_or_changes(broker: Broker) -> None:
    sink = run(broker.port, "door", "yard")
    send(sink, *seen("door"), *seen("yard", zone="old", line="old"))
    until(broker.port, lambda values: "sightline/yard/lines/old/person/in" in values)
    send(sink, ended("door", "removed"), ended("yard", "removed"))
    sink.open("yard", INFO, CLASSES)
    send(sink, *seen("yard", zone="new", line="new"))
    values = until(broker.port, lambda values: "sightline/yard/lines/new/person/in" in values)
    assert not [topic for topic in values if "door" in topic or "old" in topic]
    assert values["sightline/yard/zones/new/person"] == "1"
    assert sum(topic.endswith("/config") for topic in values) == 4
    sink.close()


@needs_broker
def test_thousands_of_retained_values_are_all_looked_at(broker: Broker) -> None:
    count = 2500
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    sent = [
        client.publish(f"sightline/yard/zones/z{number}/person", b"1", qos=1, retain=True) for number in range(count)
    ]
    sent[-1].wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    sink = run(broker.port, "door")
    send(sink, started("door"))
    until(broker.port, lambda values: not any(topic.startswith("sightline/yard") for topic in values))
    sink.close()


def test_an_offline_camera_shows_no_objects() -> None:
    topics = Topics("p", window="second", discovery=None)
    values: dict[str, bytes] = {}

    def apply(*events: Event) -> None:
        for event in events:
            values.update(topics.apply(event))

    apply(*seen("door"), StreamOffline(**at("door"), reason="silent"), window("door", person=2))
    assert values == {
        "p/door/state": b"offline",
        "p/door/objects/person": b"0",
        "p/door/zones/yard/person": b"0",
        "p/door/lines/gate/person/in": b"1",
    }
    apply(StreamOnline(**at("door"), offline_s=3.0), window("door", person=1))
    entered = ZoneEntered(**at("door"), zone="yard", track_id=2, class_name="person")
    apply(entered, ZoneLeft(**at("door"), zone="yard", track_id=1, class_name="person", dwell_s=1.0))
    assert (values["p/door/state"], values["p/door/objects/person"]) == (b"running", b"1")
    assert values["p/door/zones/yard/person"] == b"1", "who left the zone while the camera was away left it once"


names = st.text(max_size=12) | st.sampled_from(
    ["a b", "a_b", "a+b", "a/b", "a#b", "", "_", "\x00", "\x85", "\ud800", "\ufffe", "$SYS", "é", "-e9-", "x" * 70_000]
)


@given(st.lists(names, max_size=12, unique=True))
def test_no_two_names_share_a_topic_and_none_is_refused_by_a_broker(given_names: list[str]) -> None:
    levels = Levels()
    found = [levels.level("p", name) for name in given_names]
    assert len(set(found)) == len(found)
    assert found == [levels.level("p", name) for name in given_names]
    for name, level in zip(given_names, found, strict=True):
        assert levels.name("p", level) == name
        assert 0 < len(level.encode("utf-8")) <= 250
        assert not set("+#/") & set(level)
        assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in level)
        assert not any(ord(letter) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(letter) <= 0xFDEF for letter in level)
    known = Levels()
    known.know("p", reversed(given_names))
    again = Levels()
    again.know("p", given_names)
    assert [known.level("p", name) for name in given_names] == [again.level("p", name) for name in given_names]
    for name in given_names:
        if found[given_names.index(name)] == name:
            assert known.level("p", name) == name, "a name that is a level stays so"


@given(st.lists(names, max_size=12, unique=True))
def test_no_two_topics_share_an_identifier(topics: list[str]) -> None:
    identifiers = Identifiers()
    found = [identifiers.identifier(topic) for topic in topics]
    assert len(set(found)) == len(found)
    assert all(set(each) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") for each in found)


def test_zones_and_classes_that_would_share_an_identifier_get_the_same_ones_in_every_run() -> None:
    places = {"door": Places(["yard", "yard dining", "yard_dining"], [])}
    classes = ["dining table", "table"]
    events = [
        ZoneEntered(**at("door"), zone=zone, track_id=1, class_name=name)
        for zone in places["door"].zones
        for name in classes
    ]
    runs = []
    for order in (events, events[::-1]):
        topics = Topics("p", window="second", discovery="homeassistant", places=places)
        topics.expect("door", classes)
        runs.append({topic: value for event in order for topic, value in topics.apply(event)})
    assert runs[0] == runs[1]
    configs = [json.loads(value) for topic, value in runs[0].items() if topic.endswith("/config")]
    assert len({config["unique_id"] for config in configs}) == len({config["state_topic"] for config in configs}) == 6


@needs_broker
def test_control_characters_reach_no_broker(broker: Broker) -> None:
    name = "a\x00b\x01\x85\x9f+#/\ufffe"
    sink = run(broker.port, "door", types=["zone.entered"])
    listener = Listener(broker.port)
    send(sink, started("door"), ZoneEntered(**at("door"), zone=name, track_id=1, class_name=name))
    listener.wait_for("sightline/door/zones/a_b_______/a_b_______", "1")
    sink.close()
    listener.wait_for("sightline/status", "offline")
    listener.stop()
    event = json.loads(listener.values["sightline/door/events/zone.entered"])
    assert event["zone"] == name, "as JSON says it, with nothing but printable characters on the way"
    for topic, value, _ in listener.all:
        for text in (topic, value):
            assert not any(unicodedata.category(letter) == "Cc" for letter in text), (topic, value)
        if topic.endswith("/config"):
            assert not any(unicodedata.category(letter) == "Cc" for letter in json.loads(value)["name"])


@pytest.mark.parametrize(
    "topic", ["a\x00", "a\x1f", "\x7f", "a\x85b", "\ud800", "$SYS/x", "a+", "a/#", "//", "x" * 300, "\uffff"]
)
def test_what_can_not_begin_a_topic_is_refused(topic: str) -> None:
    with pytest.raises(SinkError, match="can't begin a topic"):
        MqttSink("mqtt://localhost", topic=topic)
    with pytest.raises(SinkError, match="can't begin a topic"):
        MqttSink("mqtt://localhost", discovery=topic)


def test_zones_whose_names_differ_in_one_character_are_kept_apart_in_a_configuration() -> None:
    from sightline.composition.outputs import build_shared_sinks

    square = {"polygon": [[0, 0], [1, 0], [1, 1]], "units": "fraction"}
    zones = {"front left": square, "front/left": square, "front_left": square}
    options = {"source": "clip.mp4", "zones": zones, "mqtt": {"url": "mqtt://localhost"}}
    (sink,) = build_shared_sinks(load_config(None, (), options), progress=False)
    assert isinstance(sink, MqttSink)
    found = {
        topic
        for zone in zones
        for topic, _ in sink._topics.apply(ZoneEntered(**at("clip"), zone=zone, track_id=1, class_name="person"))
    }
    assert len(found) == 3
    assert "sightline/clip/zones/front_left/person" in found


def test_waiting_for_a_broker_that_does_not_answer_is_bounded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sink = run(mute.getsockname()[1], "door", linger_s=0.3)
        send(sink, started("door"))
        sink.close()  # would hang here
