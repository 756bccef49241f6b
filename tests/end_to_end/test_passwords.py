"""Passwords in addresses of every form: in no output, name, topic, log record or error, whatever they are part of."""

from __future__ import annotations

import logging
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, SinkError, SourceError
from pipeline.sources.backoff import Backoff
from pipeline.sources.opening import open_source
from pipeline.sources.reconnect import ReconnectingSource
from sightline.commands.main import main
from sinks.feed.client import subscribe
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.webhook import WebhookSink
from tests.support.clips import read_number, write_clip
from tests.support.free_ports import free_port
from tests.support.mqtt_broker import MOSQUITTO, NO_BROKER, Broker, Listener
from tests.support.passwords import FORMS, SECRET, USER, Form, shown_secrets
from tests.support.waiting import PATIENCE_S

every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


class _Camera(ThreadingHTTPServer):
    """Gives one clip at every path; ``moved_to`` sends those who ask there, once they have logged in."""

    def __init__(self, clip: bytes, *, moved_to: str | None = None, locked: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clip, self.moved_to, self.locked = clip, moved_to, locked
        self.asked: list[tuple[str, str | None]] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> _Camera:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: _Camera

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        self.server.asked.append((self.path, login))
        data = b"" if self.server.moved_to or (self.server.locked and login is None) else self.server.clip
        if self.server.locked and login is None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        elif self.server.moved_to is not None:
            self.send_response(302)
            self.send_header("Location", self.server.moved_to)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Tests print no access log."""


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    (tmp_path / "clips").mkdir()
    write_clip(tmp_path / "clips" / "clip.ts", count=3)
    return (tmp_path / "clips" / "clip.ts").read_bytes()


@pytest.mark.skipif(MOSQUITTO is None, reason=NO_BROKER)
@pytest.mark.usefixtures("tiny_weights")
def test_a_run_shows_no_secret_anywhere(
    clip: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("http_proxy", f"http://{USER}:{SECRET}@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    broker, feed = Broker(tmp_path, free_port()), free_port()
    listener = Listener(broker.port)
    received: list[str] = []

    def follow() -> None:
        with subscribe(f"tcp://127.0.0.1:{feed}", history=True, follow=False, timeout_s=PATIENCE_S) as events:
            received.extend(map(repr, events))

    with _Camera(clip) as camera:
        addresses = [form.at("HTTP", f"127.0.0.1:{camera.server_port}", path="clip.ts") for form in FORMS]
        arguments = [
            *addresses, "--jsonl", "x.jsonl", "--report", "x.json", "--tracks", "{stream}.txt", "--input-size", "64",
            "--engine", "tensorflow", "--precision", "float32",
            "--events", f"tcp://127.0.0.1:{feed}", "--set", "store.path=x.db", "--set", "events.update_hz=100",
            "--set", f"mqtt.url=mqtt://{USER}:{SECRET}@127.0.0.1:{broker.port}",
            "--set", "mqtt.discovery=homeassistant", "--set", "mqtt.types=[stream.started,stream.ended]",
            "--set", f"webhook.url=http://{USER}:{SECRET}@127.0.0.1:1/{SECRET}?token={SECRET}",
            "--set", "webhook.spool=spool",
        ]  # fmt: skip
        follower = threading.Thread(target=follow)
        follower.start()
        assert main(["run", *arguments]) == 0
        follower.join()
    assert len({path for path, _ in camera.asked}) > 20, "the addresses must reach the camera as they are"
    listener.wait_for("sightline/status", "offline")
    listener.stop()
    broker.stop()
    assert main(["report-html", "x.html", "--store", "x.db"]) == 0
    assert len(received) > 2 * len(FORMS)
    assert len(listener.all) > 2 * len(FORMS)
    printed = capfd.readouterr()
    texts = [printed.out, printed.err, caplog.text, *received, *map(repr, listener.all)]
    files = [path for path in work.rglob("*") if path.is_file()]
    assert len(files) > len(FORMS)
    for path in files:
        assert not list(shown_secrets(str(path.relative_to(work)))), path
        assert not list(shown_secrets(path.read_bytes())), path
    for text in texts:
        assert not list(shown_secrets(text)), text


@every_form
def test_a_camera_that_can_not_be_reached(form: Form, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address = form.at("rtsp", f"127.0.0.1:{free_port()}")
    with pytest.raises(SourceError, match="refused") as raised:
        open_source(address)
    reasons: list[str] = []
    source = ReconnectingSource(
        lambda: open_source(address), stream="door", uri=address, backoff=Backoff(first_s=0.01, cap_s=0.01, attempts=1)
    )
    source.listen(on_offline=reasons.append, on_online=lambda _: None)
    with source, pytest.raises(SourceError):
        list(source)
    texts = ["".join(traceback.format_exception(raised.value)), *reasons, source.info.uri, caplog.text]
    assert len(texts) == 4
    for text in texts:
        assert not list(shown_secrets(text)), text
        assert "127.0.0.1" in text


@every_form
def test_what_is_wrong_with_an_address_is_told_without_it(
    form: Form, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told: list[str] = []
    for scheme in ("gopher", "mqtt"):
        address = form.at(scheme, "192.0.2.7")
        for use in (open_source, MqttSink, lambda url: WebhookSink(url, spool=tmp_path), lambda url: subscribe(url)):
            try:
                use(address)
            except (ConfigError, SinkError) as error:
                told.append("".join(traceback.format_exception(error)))
    # A word behind a question mark is a pattern for files.
    forgotten = "" if form.name == "query, bare" else form.address.replace("HOST", "192.0.2.7").replace("PATH", "live")
    commands = (
        [forgotten],
        [form.at("rtsp", "192.0.2.7"), "--fps", form.at("rtsp", "192.0.2.7")],
        ["listen", form.at("tcp", "192.0.2.7:1")],
        ["control", form.at("tcp", "192.0.2.7:1"), "stop"],
        ["detect", form.at("rtsp", "192.0.2.7")],
    )
    # Each takes a third of a second; every form meets the first, and every command some of the forms.
    for arguments in commands[:: FORMS.index(form) % (len(commands) - 1) + 1][:2]:
        assert main(arguments) in (1, 2)
        told.append(capsys.readouterr().err)
    assert len(told) >= 7
    for text in told:
        assert not list(shown_secrets(text)), text


def test_passwords_as_their_owners_write_them_open_the_door(clip: bytes) -> None:
    for form in FORMS:
        if "@HOST/PATH" not in form.address:
            continue
        with (
            _Camera(clip, locked=True) as camera,
            open_source(form.at("HTTP", f"127.0.0.1:{camera.server_port}", path="clip.ts")) as source,
        ):
            assert [read_number(frame.image) for frame in source] == [0, 1, 2], form.name
            assert source.info.uri == f"HTTP://127.0.0.1:{camera.server_port}/clip.ts"


def test_a_redirect_to_another_host_gets_no_password(clip: bytes) -> None:
    with _Camera(clip) as other:
        place = f"http://localhost:{other.server_port}/elsewhere.ts"
        with (
            _Camera(clip, moved_to=place, locked=True) as camera,
            open_source(f"http://{USER}:{SECRET}@127.0.0.1:{camera.server_port}/clip.ts?x=1") as source,
        ):
            assert len(list(source)) == 3
    assert [login is None for _, login in camera.asked] == [True, False]
    assert other.asked
    assert {login for _, login in other.asked} == {None}


@pytest.mark.parametrize(("scheme", "most"), [("rtsp", 127), ("rtsps", 127), ("http", 1023), ("https", 1023)])
def test_a_password_too_long_for_ffmpeg_is_said_to_be(scheme: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"127.0.0.1:{free_port()}"
    password = "p" * (most - len("admin:"))
    with pytest.raises(SourceError, match="refused"):
        open_source(f"{scheme}://admin:{password}@{host}/live")
    monkeypatch.setenv("CAMERA_PASSWORD", f"{password}x")
    for uri, variable in ((f"admin:{password}x@{host}", None), (f"admin@{host}", "CAMERA_PASSWORD")):
        with pytest.raises(ConfigError, match=f"take {most + 1} characters.* FFmpeg passes on {most} in") as raised:
            open_source(f"{scheme}://{uri}/live", password_env=variable)
        assert "ppp" not in str(raised.value)


def test_the_longest_passwords_that_are_not_refused_reach_the_camera_whole(clip: bytes) -> None:
    with (
        _Camera(clip, locked=True) as camera,
        open_source(f"http://admin:{'p' * 1017}@127.0.0.1:{camera.server_port}/clip.ts?token={'t' * 3000}") as source,
    ):
        assert len(list(source)) == 3
    path, login = camera.asked[-1]
    assert len(path) == len("/clip.ts?token=") + 3000
    assert login is not None
    assert len(login) > 1023 * 4 // 3


@pytest.mark.parametrize(("scheme", "most"), [("rtsp", 2047), ("http", 4095)])
def test_a_token_too_long_for_ffmpeg_is_said_to_be(scheme: str, most: int) -> None:
    with pytest.raises(ConfigError, match=f"take {most + 1} characters; FFmpeg passes on {most}"):
        open_source(f"{scheme}://127.0.0.1:1/{'x' * most}")
