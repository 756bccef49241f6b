"""The section for a rule."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.errors import ConfigError
from pipeline.rules.rule import Condition, Direction, Rule, Severity
from pipeline.rules.schedule import Schedule
from sightline.config.values import Count, NotNegative, Positive, Section, Share, Text, Unit

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class RuleSection(Section):
    """A condition, and what is told when it is met."""

    when: Condition
    zone: Text | None = None
    line: Text | None = None
    direction: Direction = "both"
    at_least: Count | None = None
    speed_mps: Positive | None = None
    coverage: Share | None = None
    hysteresis: NotNegative = 0.0
    for_s: NotNegative = 0.0
    clear_s: NotNegative = 2.0
    cooldown_s: NotNegative = 0.0
    classes: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    min_score: Unit = 0.0
    min_size: tuple[NotNegative, NotNegative] = (0.0, 0.0)
    days: Annotated[tuple[Day, ...], Field(min_length=1)] | None = None
    hours: tuple[Text, Text] | None = None
    time_zone: Text = "UTC"
    severity: Severity = "warning"
    text: str = ""

    @model_validator(mode="after")
    def _makes_a_rule(self) -> Self:
        try:
            self.rule("rule")
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    def rule(self, name: str) -> Rule:
        """The rule of that name; raises ``ConfigError`` for one that can't be."""
        return Rule(
            name=name,
            when=self.when,
            zone=self.zone,
            line=self.line,
            direction=self.direction,
            at_least=self.at_least,
            speed_mps=self.speed_mps,
            coverage=self.coverage,
            hysteresis=self.hysteresis,
            for_s=self.for_s,
            clear_s=self.clear_s,
            cooldown_s=self.cooldown_s,
            classes=self.classes,
            min_score=self.min_score,
            min_size=self.min_size,
            schedule=Schedule(days=self.days, hours=self.hours, time_zone=self.time_zone),
            severity=self.severity,
            text=self.text,
        )
