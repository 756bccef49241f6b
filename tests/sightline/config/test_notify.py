"""The section for notifications: every mistake at once, and no address in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from sightline.config.loading import load_config

SECRET = "tgram://hunter2:geheim/12345"


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "my.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    return [line.replace(f"{folder}/", "") for line in str(error.value).splitlines()]


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "notify:\n"
        "  targets:\n"
        "    a: {rules: [x]}\n"
        "    b: {url_env: B, severities: [bad]}\n"
        "    c: {url_env: C, types: [track.started]}\n"
        "    d/e: {url_env: D}\n"
        "    f: {url_env: F, digest_from: 1}\n"
        "    g: {url_env: G, severities: []}\n",
    )
    starts = [f"my.yaml:{number}: notify.targets.{name}" for number, name in enumerate(("a", "b", "c", "d/e"), 3)]
    assert len(told) == 6
    for line, start in zip(told, starts, strict=False):
        assert line.startswith(start)
    for line, says in zip(told, ("is missing", "critical", "alert.ended", "letters", "at least 2", ""), strict=True):
        assert says in line


def test_an_address_has_no_place_in_the_file_and_is_not_repeated(tmp_path: Path) -> None:
    for key in ("url_env", "url", "address"):
        told = "\n".join(problems(tmp_path, f'notify: {{targets: {{phone: {{{key}: "{SECRET}"}}}}}}\n'))
        assert "notify.targets.phone" in told
        assert "url_env" in told
        for part in ("hunter2", "geheim", "12345"):
            assert part not in told


def test_pictures_need_evidence(tmp_path: Path) -> None:
    text = "mqtt: {url: mqtt://h, pictures: true}\nwebhook: {url: http://h, pictures: base64}\n"
    told = problems(tmp_path, text)
    assert [line.partition(": there")[0] for line in told] == [
        "my.yaml:1: mqtt.pictures",
        "my.yaml:2: webhook.pictures",
    ]
    (tmp_path / "my.yaml").write_text(f"{text}evidence: {{folder: out}}\n")
    assert load_config(tmp_path / "my.yaml").webhook.pictures == "base64"


def test_rules_and_streams_are_looked_for(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "notify:\n"
        "  targets:\n"
        "    phone: {url_env: PHONE, rules: [prowler, away, own], streams: [door, roof]}\n"
        "rules: {prowler: {when: offline}}\n"
        "streams:\n"
        "  door: {source: rtsp://h/1, rules: {own: {when: offline}}}\n",
    )
    assert told == [
        "my.yaml:3: notify.targets.phone.rules: there is no 'away'; there is own, prowler",
        "my.yaml:3: notify.targets.phone.streams: there is no 'roof'; there is door",
    ]
