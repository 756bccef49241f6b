"""What docs/rules.md and configs/alarm.yaml show works as it stands there, and the page tells of every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from pipeline.events import AlertEnded
from pipeline.rules.rule import PLACEHOLDERS, Condition, check_rules
from sightline.config.loading import load_config
from sightline.config.rules import RuleSection
from tests.support.tracked_frames import standing_at, tracked_frame

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_every_condition_key_placeholder_and_end_is_told() -> None:
    for name in (*get_args(Condition), *RuleSection.model_fields):
        assert f"`{name}`" in TEXT, name
    for name in PLACEHOLDERS:
        assert f"`{{{name}}}`" in TEXT, name
    for reason in get_args(AlertEnded.__annotations__["reason"]) or ("gap", "schedule", "reload", "end"):
        assert reason == "cleared" or f'"{reason}"' in TEXT, reason


def test_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python"]
    frames = [tracked_frame(number, number / 10, {1: standing_at(300, 300)}) for number in range(40)]
    exec(compile(program, "docs/rules.md", "exec"), {"tracked_frames": frames})
    assert capsys.readouterr().out == "1 in yard for 2 s: person (1,)\n"


def test_the_alarm_has_a_rule_of_almost_every_kind() -> None:
    config = load_config(ROOT / "configs" / "alarm.yaml")
    names = config.filters.classes
    assert names is not None
    for stream in config.resolved_streams():
        rules = [section.rule(name) for name, section in stream.rules.items()]
        check_rules(rules, names, stream.zones, stream.lines, speeds=stream.homography is not None)
        assert {rule.when for rule in rules} == set(get_args(Condition)) - {"speed_below"}
