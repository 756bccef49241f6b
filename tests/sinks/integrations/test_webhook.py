"""The webhook against a real HTTP server that fails, stalls, refuses and recovers."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from pipeline.errors import ConfigError, SinkError, SinkPathError
from pipeline.event_codec import decode_json
from pipeline.events import Event, OutputCounts
from pipeline.types import SourceInfo
from sinks.integrations.spool import Spool
from sinks.integrations.webhook import WebhookSink
from tests.support.alerts import picture, started
from tests.support.feed_parts import updated
from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S

INFO = SourceInfo(width=64, height=48)


class Server:
    """An HTTP server on loopback. ``answer`` gives the status of the n-th request, from 1; 0 hangs up."""

    def __init__(self, port: int = 0, answer: Callable[[int], int] = lambda number: 200) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer = answer
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.changed:
                    outer.requests.append((self.path, dict(self.headers.items()), body))
                    number = len(outer.requests)
                    outer.changed.notify_all()
                status = outer.answer(number)
                if status:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, PATIENCE_S)

    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for _, headers, _ in self.requests]

    def events(self) -> list[Event | None]:
        """What arrived, each batch once."""
        batches = {headers["Idempotency-Key"]: body for _, headers, body in self.requests}
        return [decode_json(json.dumps(event).encode()) for body in batches.values() for event in json.loads(body)]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(port: int = 0, answer: Callable[[int], int] = lambda number: 200) -> Server:
        servers.append(Server(port, answer))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.integrations.spool_sender._RETRY_FIRST_S", 0.01)


def sink_to(url: str | int, folder: Path, **options: Any) -> WebhookSink:
    address = url if isinstance(url, str) else f"http://127.0.0.1:{url}/hook"
    quick = {"batch_s": 0.01, "retry_most_s": 0.05, "timeout_s": PATIENCE_S, "linger_s": PATIENCE_S}
    sink = WebhookSink(address, spool=folder / "spool", **{**quick, **options})
    sink.check()
    sink.open("cam", INFO, [])
    return sink


def waiting(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.json"))


def test_events_arrive_in_order_in_batches(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    sink = sink_to(server.port, tmp_path, batch_events=100)
    events = [updated(seq) for seq in range(1, 1001)]
    for event in events:
        sink.on_event(event)
    sink.close()
    assert server.events() == events
    assert len(server.requests) == sink.delivered == len(set(server.keys())) >= 10
    path, headers, _ = server.requests[0]
    assert (path, headers["Content-Type"]) == ("/hook", "application/json")
    assert waiting(tmp_path) == []


def test_a_failing_server_gets_the_same_batch_with_the_same_key_again(
    serve: Callable[..., Server], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = {1: 500, 2: 0, 3: 429, 4: 302, 5: 404}
    server = serve(answer=lambda number: troubles.get(number, 200))
    sink = sink_to(server.port, tmp_path, batch_events=2)
    for seq in (1, 2):
        sink.on_event(updated(seq))
    server.wait_for(6)
    for seq in (3, 4):
        sink.on_event(updated(seq))
    sink.close()
    assert len(set(server.keys()[:6])) == 1
    assert len({body for _, _, body in server.requests[:6]}) == 1
    assert server.events() == [updated(seq) for seq in (1, 2, 3, 4)]
    assert sink.delivered == 2
    assert sum("trying again" in record.message for record in caplog.records) == 1, "told once"


def test_a_server_that_comes_late_gets_everything(serve: Callable[..., Server], tmp_path: Path) -> None:
    port = free_port()
    sink = sink_to(port, tmp_path)
    for seq in range(1, 51):
        sink.on_event(updated(seq))
    server = serve(port)
    server.wait_for(1)
    sink.close()
    assert server.events() == [updated(seq) for seq in range(1, 51)]


def test_a_stalled_server_holds_up_nothing_and_recovers(serve: Callable[..., Server], tmp_path: Path) -> None:
    go_on = threading.Event()

    def stall(number: int) -> int:
        if number == 1:
            go_on.wait(PATIENCE_S)
        return 200

    server = serve(answer=stall)
    sink = sink_to(server.port, tmp_path, timeout_s=2.0)
    sink.on_event(updated(1))
    server.wait_for(1)
    for seq in range(2, 20_001):
        sink.on_event(updated(seq))
    server.wait_for(2)
    sink.close()
    assert server.events() == [updated(seq) for seq in range(1, 20_001)]
    go_on.set()


def test_close_leaves_what_a_stalled_server_does_not_take_to_the_next_run(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    go_on = threading.Event()
    stalled = serve(answer=lambda number: 200 * go_on.wait(PATIENCE_S))
    sink = sink_to(stalled.port, tmp_path, linger_s=0.1)
    sink.on_event(updated(1))
    stalled.wait_for(1)
    sink.on_event(updated(2))
    sink.close()  # would hang here
    go_on.set()
    assert len(waiting(tmp_path)) == 2
    server = serve()
    later = sink_to(server.port, tmp_path)
    later.on_event(updated(1, run="next"))
    later.close()
    assert server.events() == [updated(1), updated(2), updated(1, run="next")]
    assert server.keys()[0] == stalled.keys()[0]
    assert waiting(tmp_path) == []


KILLED = """
import os, signal, sys, threading
from pipeline.types import SourceInfo
from sinks.integrations.webhook import WebhookSink
from tests.support.alerts import picture, started
from tests.support.feed_parts import updated

sink = WebhookSink("http://127.0.0.1:1/", spool=sys.argv[1], batch_s=0.01, batch_events=10)
sink.open("cam", SourceInfo(width=64, height=48), [])
for seq in range(1, 101):
    sink.on_event(updated(seq))
while len(os.listdir(sys.argv[1])) < 9:
    threading.Event().wait(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_s_batches_are_sent_by_the_next(serve: Callable[..., Server], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "spool")], env=environment, check=False)
    assert waiting(tmp_path)
    server = serve()
    sink_to(server.port, tmp_path).close()
    got = server.events()
    assert got == [updated(seq) for seq in range(1, len(got) + 1)]
    assert len(got) >= 60


def test_what_the_server_will_never_take_is_dropped_and_counted(
    serve: Callable[..., Server], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(answer=lambda number: 422 if number == 1 else 200)
    sink = sink_to(server.port, tmp_path)
    sink.on_event(updated(1))
    server.wait_for(1)
    sink.on_event(updated(2))
    sink.close()
    assert (sink.rejected, sink.delivered) == (1, 1)
    assert sink.counts() == OutputCounts(given=2, written=1, lost=1, refused=1)
    assert "answers 422" in caplog.text


def test_signature_login_and_headers_and_no_secret_in_the_log(
    serve: Callable[..., Server], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(answer=lambda number: 503 if number == 1 else 200)
    url = f"http://me:p%40ss@127.0.0.1:{server.port}/hook?token=hush"
    sink = sink_to(url, tmp_path, secret="key", headers={"X-Mine": "yes"})
    sink.on_event(updated(1))
    server.wait_for(2)
    sink.close()
    path, headers, body = server.requests[0]
    assert path == "/hook?token=hush"
    assert headers["X-Mine"] == "yes"
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    assert headers["X-Sightline-Signature"] == f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}"
    assert "trying again" in caplog.text
    for secret in ("p@ss", "p%40ss", "hush", "me:"):
        assert secret not in caplog.text


def test_only_the_types_asked_for(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    sink = sink_to(server.port, tmp_path, types=["line.crossed"])
    sink.on_event(updated(1))
    sink.close()
    assert server.requests == []
    with pytest.raises(ConfigError, match="unknown event type"):
        WebhookSink("http://localhost", spool=tmp_path / "x", types=["line"])


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://host/", "localhost:80", "http://", "http://h:99999/", "http://h/ü", "http://[::"],
)
def test_other_urls_are_refused_in_one_line_without_the_url(url: str, tmp_path: Path) -> None:
    with pytest.raises(SinkPathError, match=r"^webhook: [^\n]*$"):
        WebhookSink(url, spool=tmp_path / "spool")


def test_headers_cannot_smuggle_others(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="'X'"):
        WebhookSink("http://localhost", spool=tmp_path / "spool", headers={"X": "a\r\nEvil: b"})


def test_a_spool_is_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    for index in range(30):
        spool.add(f"batch-{index}", b"x" * 100)
    assert len(spool) == len(waiting(tmp_path)) == 10
    assert spool.dropped == 20
    (oldest,) = spool.oldest()
    assert oldest.name == "batch-20"
    spool.done(oldest)
    spool.close()
    (tmp_path / "spool" / "000000000099-torn.partial").write_bytes(b"x")
    again = Spool(tmp_path / "spool", max_bytes=1000)
    assert len(again) == 9
    again.add("next", b"")
    assert [path.name[13:-5] for path in waiting(tmp_path)] == [*(f"batch-{index}" for index in range(21, 30)), "next"]
    assert not list((tmp_path / "spool").glob("*.partial"))
    again.close()


def test_a_spool_touches_only_its_own_files(serve: Callable[..., Server], tmp_path: Path) -> None:
    """Files of others, whatever they are called, and a batch that a loss of power has damaged."""
    folder = tmp_path / "spool"
    folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("elsewhere")
    (folder / "notes.json").write_text("mine")
    (folder / "lock").write_text("mine")
    (folder / "download.partial").write_text("somebody's")
    (folder / "000000000001-abc.json").write_bytes(b'[{"type":"zone.en')
    (folder / "000000000002-abd.json").write_bytes(b"")
    (folder / "000000000003-list.json").write_bytes(b"x" * 2000)
    (folder / "linked.partial").symlink_to(elsewhere)
    (folder / "000000000004-abe.json").symlink_to(elsewhere)
    (folder / "x.partial").mkdir()
    (folder / "000000000005-abf.partial").mkdir()
    before = {path.name for path in folder.iterdir()}
    server = serve(answer=lambda number: 200)
    sink = sink_to(server.port, tmp_path, max_spool_mb=0.001)
    sent = [updated(seq) for seq in range(1, 4)]
    for event in sent:
        sink.on_event(event)
    sink.close()
    assert server.events() == sent
    assert {path.name for path in folder.iterdir()} - {".sightline-spool.lock"} == before
    assert (folder / "lock").read_text() == (folder / "notes.json").read_text() == "mine"
    assert sink.counts() == OutputCounts(given=3, written=3)


def test_what_a_full_spool_drops_is_counted(tmp_path: Path) -> None:
    sink = sink_to(1, tmp_path, max_spool_mb=0.005, batch_events=5, linger_s=0)
    for seq in range(1, 201):
        sink.on_event(updated(seq))
    sink.close()
    kept = sum(len(json.loads(path.read_bytes())) for path in waiting(tmp_path))
    counts = sink.counts()
    assert (counts.given, counts.written) == (200, 0)
    assert 0 < kept == 200 - counts.lost


def test_two_runs_cannot_share_a_spool(tmp_path: Path) -> None:
    sink = sink_to(1, tmp_path)
    with pytest.raises(SinkError, match="another run uses it"):
        sink_to(1, tmp_path)
    sink.close()
    sink_to(1, tmp_path).close()
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="part of its path is a file"):
        WebhookSink("http://localhost", spool=tmp_path / "file" / "spool").check()


@pytest.mark.parametrize("how", ["base64", "multipart"])
def test_pictures_come_with_the_events_that_tell_of_them_once_also_after_an_outage(
    how: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(answer=lambda number: 503 if number < 3 else 200)
    sink = sink_to(server.port, tmp_path, evidence=tmp_path, multipart=how == "multipart", secret="key")
    alert = started(1, evidence="one")
    pictures = {"picture": os.urandom(3000), "crop": b"\r\n--boundary\r\n"}
    ready = [picture(2 + number, alert, tmp_path, pictures[kind], kind) for number, kind in enumerate(pictures)]
    clip = structs.replace(ready[0], seq=4, kind="clip", media_type="video/mp4")
    for event in (alert, *ready, clip):
        sink.on_event(event)
    server.wait_for(3)
    sink.close()
    _, headers, body = server.requests[2]
    assert {posted for _, _, posted in server.requests} == {body}
    assert headers["X-Sightline-Signature"] == f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}"
    if how == "multipart":
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        assert isinstance(form, EmailMessage)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in form.iter_parts()}
        found = parts["events"].get_payload(decode=True)
        found = json.loads(bytes(found))
        files = {seq: parts[f"picture-{seq}"].get_payload(decode=True) for seq in (2, 3)}
        assert parts["picture-2"].get_content_type() == "image/jpeg"
        assert parts["picture-2"].get_filename() == "1-picture.jpg"
        assert len(parts) == 3
    else:
        found = json.loads(body)
        files = {event["seq"]: base64.b64decode(event.pop("data")) for event in found if "data" in event}
    assert files == {2: pictures["picture"], 3: pictures["crop"]}
    assert [decode_json(json.dumps(event).encode()) for event in found] == [alert, *ready, clip]


def test_a_picture_that_is_gone_is_left_out(
    serve: Callable[..., Server], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    sink = sink_to(server.port, tmp_path, evidence=tmp_path)
    ready = picture(2, started(1, evidence="one"), tmp_path, b"x")
    (tmp_path / ready.path).unlink()
    sink.on_event(ready)
    sink.close()
    assert server.events() == [ready]
    assert "cannot read" in caplog.text
