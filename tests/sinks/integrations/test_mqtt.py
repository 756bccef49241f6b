"""MQTT against Debian's mosquitto: values, last will, restarts of the broker, passwords, Home Assistant's discovery."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError, SinkError, SinkPathError
from pipeline.events import (
    ClassCounts,
    Event,
    FrameCounts,
    LineCrossed,
    OutputCounts,
    StreamEnded,
    StreamOffline,
    StreamStarted,
    WindowSecond,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.types import SourceInfo
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.mqtt_topics import Topics
from tests.support.feed_parts import RUN, WALL, updated
from tests.support.feed_runs import recorded_run
from tests.support.free_ports import free_port
from tests.support.mqtt_broker import MOSQUITTO, NO_BROKER, Broker, Listener
from tests.support.waiting import PATIENCE_S, wait_until

paho: Any = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'sightline[mqtt]'")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason=NO_BROKER)
INFO = SourceInfo(width=64, height=48)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Callable[..., Broker]]:
    brokers: list[Broker] = []

    def begin(*lines: str) -> Broker:
        brokers.append(Broker(tmp_path, port, *lines))
        return brokers[-1]

    yield begin
    for broker in brokers:
        broker.stop()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def begin(*arguments: Any) -> Listener:
        listeners.append(Listener(*arguments))
        return listeners[-1]

    yield begin
    for listener in listeners:
        listener.stop()


def common(seq: int) -> dict[str, Any]:
    return {"seq": seq, "run": RUN, "stream": "cam", "pts_s": float(seq), "wall": WALL}


def window(seq: int, **counts: int) -> WindowSecond:
    objects = {name: ClassCounts(mean=count / 2, max=count, unique=count) for name, count in counts.items()}
    return WindowSecond(
        **common(seq), index=seq, start_s=float(seq), end_s=seq + 1.0, frames=25, coverage=1.0, objects=objects
    )


STARTED = StreamStarted(**common(1), source="clip.mp4", width=64, height=48, live=False)
ENTERED = ZoneEntered(**common(3), zone="front door", track_id=1, class_name="person")
LEFT = ZoneLeft(**common(5), zone="front door", track_id=1, class_name="person", dwell_s=1.0)
CROSSED = LineCrossed(**common(4), line="gate", track_id=1, class_name="person", direction="in")
ENDED = StreamEnded(**common(9), reason="end", ledger=FrameCounts(decoded=1, processed=1, dropped={}, failed={}))


def sink_to(port: int, **options: Any) -> MqttSink:
    sink = MqttSink(f"mqtt://127.0.0.1:{port}", **{"reconnect_most_s": 1, "linger_s": PATIENCE_S, **options})
    sink.check()
    sink.open("cam", INFO, [])
    return sink


@needs_broker
def test_values_are_published_retained_and_end_as_offline(
    start: Callable[..., Broker], listen: Callable[..., Listener], port: int
) -> None:
    start()
    listener = listen(port)
    sink = sink_to(port, discovery="homeassistant", types=["line.crossed"])
    first: list[Event] = [STARTED, window(2, person=3, car=1), ENTERED, CROSSED, updated(7)]
    for event in first:
        sink.on_event(event)
    for topic, value in {
        "sightline/status": "online",
        "sightline/cam/state": "running",
        "sightline/cam/objects/person": "3",
        "sightline/cam/objects/car": "1",
        "sightline/cam/zones/front_door/person": "1",
        "sightline/cam/lines/gate/person/in": "1",
    }.items():
        listener.wait_for(topic, value)
    late = listen(port)
    late.wait_for("sightline/cam/objects/person", "3")
    assert json.loads(listener.values["sightline/cam/events/line.crossed"])["line"] == "gate"
    sink.on_event(window(8, car=2))
    sink.on_event(LEFT)
    listener.wait_for("sightline/cam/objects/person", "0")
    listener.wait_for("sightline/cam/objects/car", "2")
    listener.wait_for("sightline/cam/zones/front_door/person", "0")
    late.wait_for("sightline/cam/zones/front_door/person", "0")
    assert not any(topic.startswith("sightline/cam/events/") for topic, _, _ in late.all), "events are not retained"
    sink.on_event(ENDED)
    sink.close()
    listener.wait_for("sightline/cam/state", "ended")
    listener.wait_for("sightline/cam/objects/car", "0")
    listener.wait_for("sightline/status", "offline")

    configs = {topic: json.loads(value) for topic, value in listener.values.items() if topic.endswith("/config")}
    assert len(configs) == len({config["unique_id"] for config in configs.values()}) == 5
    for topic, config in configs.items():
        assert topic == f"homeassistant/sensor/sightline_cam/{config['unique_id']}/config"
        assert config["state_topic"] in listener.values
        assert config["availability_topic"] == "sightline/status"
        assert config["device"]["identifiers"] == ["sightline_cam"]
    crossings = configs["homeassistant/sensor/sightline_cam/sightline_cam_lines_gate_person_in/config"]
    assert crossings["state_class"] == "total_increasing"


KILLED = """
import sys, threading
from pipeline.types import SourceInfo
from sinks.integrations.mqtt import MqttSink

sink = MqttSink(f"mqtt://127.0.0.1:{sys.argv[1]}", topic="killed")
sink.open("cam", SourceInfo(width=64, height=48), [])
threading.Event().wait(60)
"""


@needs_broker
def test_when_the_process_dies_the_broker_says_offline(
    start: Callable[..., Broker], listen: Callable[..., Listener], port: int
) -> None:
    start()
    listener = listen(port)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(port)], env=environment) as process:
        listener.wait_for("killed/status", "online")
        process.send_signal(signal.SIGKILL)
    listener.wait_for("killed/status", "offline")


@needs_broker
def test_a_broker_that_comes_late_or_is_restarted_gets_the_newest_values(
    start: Callable[..., Broker],
    listen: Callable[..., Listener],
    port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = sink_to(port)
    for seq in range(1, 5001):
        sink.on_event(window(seq, person=seq % 10))
    broker = start()
    listener = listen(port)
    listener.wait_for("sightline/cam/objects/person", "0")
    listener.stop()
    broker.stop()
    sink.on_event(window(6000, person=7))
    start()
    again = listen(port)
    again.wait_for("sightline/cam/objects/person", "7")
    again.wait_for("sightline/status", "online")
    sink.close()
    again.wait_for("sightline/status", "offline")
    assert len(caplog.records) < 10, "it does not say the same again and again"


@needs_broker
def test_passwords(
    start: Callable[..., Broker],
    listen: Callable[..., Listener],
    port: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("needs mosquitto_passwd: apt-get install mosquitto")
    passwords = tmp_path / "passwords"
    subprocess.run([tool, "-b", "-c", str(passwords), "camera", "p@ss"], check=True, capture_output=True)
    start("allow_anonymous false", f"password_file {passwords}")
    listener = listen(port, ("camera", "p@ss"))
    refused = MqttSink(f"mqtt://camera:wrong-word@127.0.0.1:{port}", topic="refused")
    refused.open("cam", INFO, [])
    sink = MqttSink(f"mqtt://camera:p%40ss@127.0.0.1:{port}")
    sink.open("cam", INFO, [])
    listener.wait_for("sightline/status", "online")
    sink.close()
    refused.close()
    assert "refused/status" not in listener.values
    for secret in ("p@ss", "p%40ss", "wrong-word", "camera:"):
        assert secret not in caplog.text


def test_a_broker_that_never_answers_holds_up_nothing(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        sink = sink_to(port, linger_s=0.1, types=["track.updated"])
        for seq in range(1, 20_001):
            sink.on_event(updated(seq))
        sink.close()


def test_occupancy_and_totals_agree_with_the_events() -> None:
    events = recorded_run(11, 3000)
    topics = Topics("p", window="second", discovery=None)
    values: dict[str, bytes] = {}
    inside: dict[tuple[str, str, str], set[int]] = {}
    for event in events:
        values |= dict(topics.apply(event))
        if isinstance(event, StreamStarted | StreamOffline):
            inside = {key: set() if key[0] == event.stream else ids for key, ids in inside.items()}
        elif isinstance(event, ZoneEntered):
            inside.setdefault((event.stream, event.zone, event.class_name), set()).add(event.track_id)
        elif isinstance(event, ZoneLeft):
            inside[event.stream, event.zone, event.class_name].discard(event.track_id)
        for (stream, zone, name), ids in inside.items():
            assert values[f"p/{stream}/zones/{zone}/{name}"] == str(len(ids)).encode()
    last: dict[str, int] = {}
    for event in events:
        if isinstance(event, StreamStarted):
            last[event.stream] = event.seq
    for stream, started in last.items():
        crossed = [event for event in events if isinstance(event, LineCrossed) and event.stream == stream]
        total = sum(int(value) for topic, value in values.items() if topic.startswith(f"p/{stream}/lines/"))
        assert total == sum(event.seq > started for event in crossed)


def test_names_cannot_make_other_topics() -> None:
    topics = Topics("p", window="second", discovery="homeassistant")
    event = ZoneEntered(**{**common(1), "stream": "a/#"}, zone="+/../x\n", track_id=1, class_name="żaba #1")
    (config, _), (topic, _) = topics.apply(event)
    assert topic == "p/a__/zones/__.._x_/żaba__1"
    assert set("+#").isdisjoint(config)
    assert config.isascii()
    assert config.count("/") == 4


def test_without_paho_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(SinkError, match=r"pip install 'sightline\[mqtt\]'$"):
        MqttSink("mqtt://localhost").check()


@pytest.mark.parametrize("url", ["localhost", "http://host", "mqtt://", "mqtt://u:secret@/", "mqtt://u:secret@h:x"])
def test_other_urls_are_refused_in_one_line_without_passwords(url: str) -> None:
    with pytest.raises(SinkPathError, match=r"^mqtt: [^\n]*$") as caught:
        MqttSink(url)
    assert "secret" not in str(caught.value)


def test_other_mistakes() -> None:
    with pytest.raises(SinkError, match="can't begin a topic"):
        MqttSink("mqtt://localhost", topic="a/#")
    with pytest.raises(ConfigError, match="unknown event type"):
        MqttSink("mqtt://localhost", types=["nothing"])
    events: list[Event] = [STARTED]
    with pytest.raises(RuntimeError):
        MqttSink("mqtt://localhost").on_event(events[0])


@needs_broker
def test_what_the_broker_has_confirmed_is_written(start: Callable[..., Broker], port: int) -> None:
    start()
    sink = sink_to(port, types=["line.crossed"])
    for event in [STARTED, window(2, person=3), window(3, person=4), ENTERED, CROSSED, LEFT, ENDED]:
        assert sink.takes(event)
        sink.on_event(event)
    sink.on_event(updated(7))
    assert not sink.takes(updated(7))
    sink.close()
    assert sink.counts() == OutputCounts(given=7, written=7)


@needs_broker
def test_events_that_came_while_the_broker_was_away_are_counted(start: Callable[..., Broker], port: int) -> None:
    sink = sink_to(port, types=["track.updated"])
    for number in range(1500):
        sink.on_event(updated(number))
    sink.on_event(window(2, person=3))
    wait_until(lambda: sink.counts().lost == 500, "the loss")
    assert sink.counts() == OutputCounts(given=1501, lost=500), "a thousand wait, and a value"
    start()
    wait_until(lambda: sink.counts().written == 1001, "the rest")
    sink.close()
    assert sink.counts() == OutputCounts(given=1501, written=1001, lost=500)
