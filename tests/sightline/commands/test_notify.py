"""``notify test``: a line about each target, and an exit code."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from sightline.commands.main import main
from tests.sinks.integrations.test_webhook import Server
from tests.support.free_ports import free_port

ROOT = Path(__file__).parents[3]
pytest.importorskip("apprise", reason="needs Apprise: pip install 'sightline[notify]'")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "my.yaml"
    path.write_text("notify: {targets: {phone: {url_env: TEST_PHONE}, mail: {url_env: TEST_MAIL}}}\n")
    return str(path)


def test_one_message_is_sent_with_a_picture(
    server: Server, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_PHONE", f"json://127.0.0.1:{server.port}/")
    monkeypatch.delenv("TEST_MAIL", raising=False)
    assert main(["notify", "test", "--config", config, "phone"]) == 0
    assert capsys.readouterr().out == "phone: sent\n"
    ((_, _, body),) = server.requests
    (attached,) = json.loads(body)["attachments"]
    assert base64.b64decode(attached["base64"]).startswith(b"\xff\xd8")


def test_without_a_target_each_is_tried(
    server: Server, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_PHONE", f"json://127.0.0.1:{server.port}/")
    monkeypatch.setenv("TEST_MAIL", f"json://user:hunter2@127.0.0.1:{free_port()}/")
    assert main(["notify", "test", "-c", config]) == 1
    printed = capsys.readouterr()
    assert printed.out == "phone: sent\n"
    assert printed.err.startswith("mail: not sent: ")
    assert len(printed.err.splitlines()) == 1
    assert "hunter2" not in printed.err


def test_the_lines_of_the_page(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``notifications.md`` shows, with an address of a server that is here."""
    text = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
    (settings,), (lines,) = (re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S) for kind in ("yaml", "sh"))
    export, command = lines.splitlines()
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(settings)
    monkeypatch.setenv(export.removeprefix("export ").partition("=")[0], f"json://127.0.0.1:{server.port}/")
    assert main(shlex.split(command)[2:]) == 0
    assert capsys.readouterr().out == "phone: sent\n"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there is nobody to be told"),
        (["fone", "-c", "CONFIG"], "did you mean phone?"),
        (["phone", "-c", "CONFIG"], "TEST_PHONE is not set"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    says: str,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("TEST_PHONE", raising=False)
    assert main(["notify", "test", *(config if word == "CONFIG" else word for word in arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
