"""Notifications through Apprise against real servers that fail, stall, refuse and recover."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError, SinkError
from pipeline.events import OutputCounts
from pipeline.types import SourceInfo
from sinks.integrations.apprise_target import AppriseTarget
from sinks.integrations.notification import Message
from sinks.integrations.notifications import NotificationSink, Wanted
from tests.sinks.integrations.test_webhook import Server
from tests.support.alerts import ended, picture, started, updated
from tests.support.feed_parts import updated as track_updated
from tests.support.free_ports import free_port
from tests.support.smtp_server import SmtpServer, pictures_of, text_of
from tests.support.waiting import PATIENCE_S, wait_until

pytest.importorskip("apprise", reason="needs Apprise: pip install 'sightline[notify]'")
INFO = SourceInfo(width=64, height=48, live=True)
ALL = ("alert.started", "alert.updated", "alert.ended")
SECRET = "hunter2-geheim"


@pytest.fixture
def begun() -> Iterator[list[Any]]:
    """Servers, which are stopped at the end."""
    servers: list[Any] = []
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.integrations.spool_sender._RETRY_FIRST_S", 0.01)


def mail_to(port: int) -> AppriseTarget:
    url = f"mailto://127.0.0.1:{port}/?from=cam@example.org&to=me@example.org&mode=insecure"
    return AppriseTarget("family", url)


def post_to(port: int) -> AppriseTarget:
    url = f"json://user:{SECRET}@127.0.0.1:{port}/{SECRET}-path?rto={PATIENCE_S}&method=POST"
    return AppriseTarget("phone", url)


def sink_to(target: AppriseTarget, folder: Path, **options: Any) -> NotificationSink:
    sink = NotificationSink(
        target,
        spool=folder / "spool",
        evidence=folder,
        **{"retry_most_s": 0.05, "every_s": 0, "linger_s": PATIENCE_S, **options},
    )
    sink.check()
    sink.open("cam", INFO, [])
    return sink


def waiting(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.json"))


def posted(server: Server) -> list[dict[str, Any]]:
    return [json.loads(body) for _, _, body in server.requests]


def attached(post: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(each["base64"]) for each in post["attachments"]]


def show(sink: NotificationSink, folder: Path, *seqs: int) -> list[bytes]:
    """Give a sink alerts of different rules, each with a picture of its own, and return these."""
    pictures = []
    for seq in seqs:
        alert = started(seq, rule=f"rule-{seq}", evidence=f"evidence-{seq}")
        pictures.append(os.urandom(1000) + b"%d" % seq)
        sink.on_event(alert)
        sink.on_event(picture(seq + 1000, alert, folder, pictures[-1]))
    return pictures


def test_a_mail_has_the_alert_and_its_picture_once(begun: list[Any], tmp_path: Path) -> None:
    begun.append(server := SmtpServer())
    sink = sink_to(mail_to(server.port), tmp_path)
    pictures = show(sink, tmp_path, 1)
    sink.close()
    (message,) = server.messages
    assert message["Subject"] == "cam: rule-1"
    assert message["To"] == "me@example.org"
    assert "alert 1" in text_of(message)
    assert pictures_of(message) == pictures
    assert waiting(tmp_path) == []
    assert sink.counts() == OutputCounts(given=1, written=1)


@pytest.mark.parametrize("service", ["mail", "web"])
def test_after_an_outage_each_comes_once_in_order_with_its_picture(
    service: str, begun: list[Any], tmp_path: Path
) -> None:
    port = free_port()
    sink = sink_to(mail_to(port) if service == "mail" else post_to(port), tmp_path, digest_from=10)
    pictures = show(sink, tmp_path, 1, 2, 3)
    wait_until(lambda: sink.counts().retried >= 2, "attempts")
    if service == "mail":
        begun.append(mail := SmtpServer(port))
        mail.wait_for(3)
    else:
        begun.append(web := Server(port))
        web.wait_for(3)
    pictures += show(sink, tmp_path, 4)
    sink.close()
    if service == "mail":
        got = [(str(message["Subject"]), pictures_of(message)) for message in mail.messages]
    else:
        got = [(post["title"], attached(post)) for post in posted(web)]
    assert got == [(f"cam: rule-{seq}", [pictures[seq - 1]]) for seq in (1, 2, 3, 4)]
    assert waiting(tmp_path) == []
    counts = sink.counts()
    assert (counts.given, counts.written, counts.lost) == (4, 4, 0)


def test_of_many_that_waited_one_message_tells_how_many_of_which(begun: list[Any], tmp_path: Path) -> None:
    port = free_port()
    sink = sink_to(post_to(port), tmp_path, digest_from=5)
    for seq in range(1, 8):
        sink.on_event(started(seq, rule="prowler" if seq < 5 else "parked"))
    wait_until(lambda: len(waiting(tmp_path)) == 7, "all seven")
    # An attempt that is under way has not seen all of them.
    before = sink.counts().retried
    wait_until(lambda: sink.counts().retried >= before + 2, "an attempt with all of them")
    begun.append(server := Server(port))
    sink.close()
    (post,) = posted(server)
    assert post["title"] == "7 alerts: 4 prowler, 3 parked"
    assert sink.counts().written == 7


def test_a_stalled_service_holds_up_nothing(begun: list[Any], tmp_path: Path) -> None:
    go_on = threading.Event()
    begun.append(server := Server(answer=lambda number: 200 if number > 1 else 200 * go_on.wait(PATIENCE_S)))
    sink = sink_to(post_to(server.port), tmp_path)
    sink.on_event(started(1))
    server.wait_for(1)
    for seq in range(2, 20_001):
        sink.on_event(track_updated(seq) if seq % 50 else started(seq))
    go_on.set()
    sink.close()
    first, *others = posted(server)
    assert first["title"] == "cam: prowler"
    told = sum(int(post["title"].split()[0]) if post["title"][0].isdigit() else 1 for post in others)
    assert told == 400
    assert sink.counts() == OutputCounts(given=401, written=401)


def test_what_a_dead_service_does_not_take_is_sent_by_the_next_run(
    begun: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    sink = sink_to(post_to(port), tmp_path)
    pictures = show(sink, tmp_path, 1, 2)
    sink.close()
    assert "2 messages wait in" in caplog.text
    counts = sink.counts()
    assert (counts.given, counts.written, counts.lost) == (2, 0, 0)
    begun.append(server := Server(port))
    later = sink_to(post_to(port), tmp_path)
    later.close()
    assert [(post["title"], attached(post)) for post in posted(server)] == [
        ("cam: rule-1", pictures[:1]),
        ("cam: rule-2", pictures[1:]),
    ]
    assert later.counts() == OutputCounts(), "of an earlier run"


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from tests.sinks.integrations.test_notifications import post_to, sink_to
from tests.support.alerts import started

sink = sink_to(post_to(1), Path(sys.argv[1]))
for seq in range(1, 5):
    sink.on_event(started(seq))
while len(list(Path(sys.argv[1]).glob("spool/*.json"))) < 4:
    threading.Event().wait(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_has_not_told_is_told_by_the_next(begun: list[Any], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    begun.append(server := Server())
    sink_to(post_to(server.port), tmp_path).close()
    assert [post["message"].splitlines()[0] for post in posted(server)] == [f"alert {seq}" for seq in range(1, 5)]


def test_an_attempt_that_goes_on_is_left_to_itself_and_holds_the_folder(begun: list[Any], tmp_path: Path) -> None:
    go_on = threading.Event()
    begun.append(server := Server(answer=lambda number: 200 * go_on.wait(PATIENCE_S)))
    sink = sink_to(post_to(server.port), tmp_path, linger_s=0.05)
    sink.on_event(started(1))
    server.wait_for(1)
    (sender,) = [each for each in threading.enumerate() if each.name == "notify phone sender"]
    sink.close()
    with pytest.raises(SinkError, match="another run uses it"):
        sink_to(post_to(server.port), tmp_path)
    go_on.set()
    sender.join(PATIENCE_S)
    assert waiting(tmp_path) == [], "it came through after all, and is not sent again"
    sink_to(post_to(server.port), tmp_path).close()
    assert len(server.requests) == 1


def test_a_service_that_takes_no_picture_gets_the_message_without(
    begun: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun.append(server := Server())
    server.answer = lambda number: 413 if posted(server)[-1]["attachments"] else 200
    sink = sink_to(post_to(server.port), tmp_path)
    show(sink, tmp_path, 1)
    sink.on_event(started(2))
    wait_until(lambda: sink.counts().written == 2, "both")
    sink.close()
    taken = [post["title"] for post in posted(server) if not post["attachments"]]
    assert taken == ["cam: rule-1", "cam: prowler"]
    assert "without its picture" in caplog.text


def test_only_what_is_wanted_is_told(begun: list[Any], tmp_path: Path) -> None:
    begun.append(server := Server())
    wanted = Wanted(rules=["prowler"], severities=["critical"], streams=["cam"], types=ALL)
    sink = sink_to(post_to(server.port), tmp_path, wanted=wanted)
    events = [
        started(1),
        started(2, rule="parked"),
        started(3, severity="info"),
        started(4, stream="yard"),
        track_updated(5),
        updated(6),
        ended(7),
    ]
    assert [sink.takes(event) for event in events] == [True, False, False, False, False, True, True]
    assert ended(8) not in Wanted()
    for event in events:
        sink.on_event(event)
    sink.close()
    assert [post["title"] for post in posted(server)] == ["cam: prowler", "cam: prowler", "cam: prowler is over"]
    assert [post["type"] for post in posted(server)] == ["failure"] * 3
    assert sink.counts() == OutputCounts(given=3, written=3)


def test_a_picture_that_can_not_be_read_is_left_out(
    begun: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun.append(server := Server())
    sink = sink_to(post_to(server.port), tmp_path)
    alert = started(1, evidence="one")
    ready = picture(2, alert, tmp_path, b"x")
    (tmp_path / ready.path).unlink()
    sink.on_event(alert)
    sink.on_event(ready)
    sink.close()
    assert [attached(post) for post in posted(server)] == [[]]
    assert "cannot read" in caplog.text


def test_what_a_full_spool_drops_is_counted(tmp_path: Path) -> None:
    sink = sink_to(post_to(free_port()), tmp_path, max_spool_mb=0.003, linger_s=0, digest_from=1000)
    for seq in range(1, 201):
        sink.on_event(started(seq))
    sink.close()
    kept = len(waiting(tmp_path))
    counts = sink.counts()
    assert (counts.given, counts.written) == (200, 0)
    assert 0 < kept == 200 - counts.lost


def test_no_part_of_an_address_is_shown(
    begun: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    begun.append(server := Server(answer=lambda number: 401 if number < 3 else 200))
    target = post_to(server.port)
    sink = sink_to(target, tmp_path)
    sink.on_event(started(1))
    server.wait_for(3)
    sink.close()
    assert len(server.requests) == 3
    assert server.requests[0][0] == f"/{SECRET}-path"
    assert "trying again" in caplog.text
    assert "error=401" in caplog.text
    trouble = post_to(free_port()).send(Message("title", "body"))
    texts = [caplog.text, repr(target), str(target), repr(sink), str(sink.name), str(trouble), str(sink.counts())]
    for url in (f"nothing://{SECRET}", SECRET, f"tgram://{SECRET}", f"json://{SECRET} json://{SECRET}2"):
        with pytest.raises(ConfigError, match=r"^notify phone: [^\n]*$") as caught:
            AppriseTarget("phone", url).check()
        texts.append(str(caught.value))
    for text in texts:
        assert "hunter2" not in text, text
        assert "geheim" not in text, text


def test_apprise_s_own_log_is_left_to_others(caplog: pytest.LogCaptureFixture) -> None:
    post_to(1).check()
    logging.getLogger("apprise").warning("somebody else's")
    assert "somebody else's" in caplog.text


def test_without_apprise_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SinkError, match=r"pip install 'sightline\[notify\]'$"):
        post_to(1).check()
