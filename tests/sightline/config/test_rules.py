"""Rules in a configuration: every mistake at once, with its line, and what rules are about in each stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from sightline.composition.streams import build_rules, can_go_on
from sightline.config.loading import load_config
from sightline.config.schema import ResolvedStream

ZONES = "zones: {yard: {polygon: [[0, 0], [1, 0], [1, 1]], units: fraction}}\n"


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "my.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    return [line.replace(f"{folder}/", "") for line in str(error.value).splitlines()]


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "rules:\n"
        "  a: {when: in_zone, for_s: 3, line: gate}\n"
        "  b: {when: loiter}\n"
        "  c: {when: crowd, at_least: 0}\n"
        '  d: {when: offline, text: "{what}"}\n'
        "  e: {when: offline, time_zone: Mars/City}\n"
        "  f: {when: offline, days: [monday]}\n"
        "  g: {when: offline, clear: 3}\n",
    )
    starts = [f"my.yaml:{number}: rules.{name}" for number, name in enumerate("abcdefg", 2)]
    assert len(told) == len(starts)
    for line, start in zip(told, starts, strict=True):
        assert line.startswith(start)
    for line, says in zip(
        told, ("zone: is missing", "in_zone", "at least 1", "{what}", "Mars", "mon?", "clear_s"), strict=True
    ):
        assert says in line


def test_what_a_rule_is_about_is_looked_for_in_each_stream(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "rules:\n"
        "  a: {when: in_zone, zone: yard}\n"
        "  b: {when: speed_below, speed_mps: 2}\n"
        "streams:\n"
        "  door: {source: rtsp://h/1, zones: {yard: {polygon: [[0, 0], [9, 0], [9, 9]]}}}\n"
        "  gate: {source: rtsp://h/2, rules: {c: {when: crossed, line: kerb}}}\n"
        "  roof: {source: rtsp://h/3}\n",
    )
    assert told == [
        "my.yaml:2: rules.a.zone: there is no 'yard'; there is none (stream roof)",
        "my.yaml:3: rules.b.when: speed_below needs speeds, which come with a homography (stream door)",
        "my.yaml:3: rules.b.when: speed_below needs speeds, which come with a homography (stream roof)",
        "my.yaml:6: streams.gate.rules.c.line: there is no 'kerb'; there is none (stream gate)",
    ]


def test_a_class_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("source: a.mp4\n" + ZONES + "rules: {a: {when: in_zone, zone: yard, classes: [persn]}}\n")
    (stream,) = load_config(path).resolved_streams()
    with pytest.raises(ConfigError, match=r"rule 'a'.*persn.*person"):
        build_rules(stream, ["person", "car"])


def test_a_stream_goes_on_where_its_rules_change(tmp_path: Path) -> None:
    described: list[ResolvedStream] = []
    for rules in ("{}", "{a: {when: in_zone, zone: yard, hours: ['22:00', '06:00'], time_zone: Asia/Tokyo}}"):
        path = tmp_path / "my.yaml"
        path.write_text(f"source: a.mp4\n{ZONES}rules: {rules}\n")
        described += load_config(path).resolved_streams()
    assert can_go_on(*described)
    (rule,) = build_rules(described[1], ["person"])
    assert (rule.name, rule.schedule.hours, rule.schedule.time_zone) == ("a", ("22:00", "06:00"), "Asia/Tokyo")
