"""What a rule asks for."""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.errors import ConfigError
from pipeline.models.class_names import class_ids
from pipeline.rules.schedule import Schedule

Condition = Literal[
    "in_zone", "crowd", "crossed", "speed_above", "speed_below", "stationary", "absent", "offline", "coverage_below"
]
Severity = Literal["info", "warning", "critical"]
Direction = Literal["in", "out", "both"]

# What each condition must be told, and what it may be told besides that it is about.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "in_zone": ("zone",),
    "crowd": ("at_least",),
    "crossed": ("line",),
    "speed_above": ("speed_mps",),
    "speed_below": ("speed_mps",),
    "stationary": ("for_s",),
    "absent": ("for_s",),
    "offline": (),
    "coverage_below": ("coverage",),
}
_OBJECTS = ("classes", "min_score", "min_size")
_TAKES: Mapping[str, tuple[str, ...]] = {
    "in_zone": _OBJECTS,
    "crowd": ("zone", "hysteresis", *_OBJECTS),
    "crossed": ("direction", *_OBJECTS),
    "speed_above": ("zone", "hysteresis", *_OBJECTS),
    "speed_below": ("zone", "hysteresis", *_OBJECTS),
    "stationary": ("zone", *_OBJECTS),
    "absent": ("zone", *_OBJECTS),
    "offline": (),
    "coverage_below": ("hysteresis",),
}
_OF_SOME = ("zone", "line", "direction", "at_least", "speed_mps", "coverage", "hysteresis", *_OBJECTS)

_TEXTS: Mapping[str, str] = {
    "in_zone": "{count} in {zone} for {seconds:.0f} s: {classes}",
    "crowd": "{count} at once{in_zone}: {classes}",
    "crossed": "{count} crossed {line}: {classes}",
    "speed_above": "{count} too fast{in_zone}: {classes}",
    "speed_below": "{count} too slow{in_zone}: {classes}",
    "stationary": "{count} not moving for {seconds:.0f} s{in_zone}: {classes}",
    "absent": "nothing{in_zone} for {seconds:.0f} s: {classes}",
    "offline": "{stream} offline for {seconds:.0f} s",
    "coverage_below": "too little of {stream} is seen",
}
PLACEHOLDERS = ("rule", "stream", "zone", "in_zone", "line", "count", "classes", "seconds", "severity", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition, and what is told when it is met. ``docs/rules.md`` says when that is.

    Attributes:
        name: of the rule.
        when: the condition.
        zone, line: the name of the one that it is about; where a zone is optional, None is the whole picture.
        direction: of crossings that count.
        at_least: so many objects are a crowd.
        speed_mps: in metres per second.
        coverage: the part of each second, 0 to 1, that is to be observed.
        hysteresis: once met, a condition stays so until its value is that far on the other side: objects, m/s, a part.
        for_s: how many seconds of media time it must be met.
        clear_s: it is over when it was not met for longer than that.
        cooldown_s: after an alert there is none of this rule for so long.
        classes: names of those objects that count; None for all.
        min_score: an object counts from its first detection on that scores as much.
        min_size: likewise with a box of that width and height in pixels.
        schedule: when it counts.
        severity: how bad it is.
        text: what is told, with ``PLACEHOLDERS``; empty for one that suits the condition.

    Raises:
        ConfigError: it lacks what its condition needs, or has what that does not know; a number out of its range.
    """

    name: str
    when: Condition
    zone: str | None = None
    line: str | None = None
    direction: Direction = "both"
    at_least: int | None = None
    speed_mps: float | None = None
    coverage: float | None = None
    hysteresis: float = 0.0
    for_s: float = 0.0
    clear_s: float = 2.0
    cooldown_s: float = 0.0
    classes: Sequence[str] | None = None
    min_score: float = 0.0
    min_size: tuple[float, float] = (0.0, 0.0)
    schedule: Schedule = field(default_factory=Schedule)
    severity: Severity = "warning"
    text: str = ""

    def __post_init__(self) -> None:
        if self.when not in _NEEDS:
            raise ConfigError(f"when: got {self.when!r}, expected one of {', '.join(_NEEDS)}")
        wrong = [*self._missing(), *self._foreign(), *self._out_of_range()]
        wrong += check_text(self.text)
        if wrong:
            raise ConfigError("; ".join(wrong))

    def _missing(self) -> list[str]:
        absent = [key for key in _NEEDS[self.when] if not getattr(self, key) and getattr(self, key) != 0.0]
        if "for_s" in _NEEDS[self.when] and not self.for_s > 0:
            absent.append("for_s")
        return [f"{key}: is missing, which {self.when} needs" for key in absent]

    def _foreign(self) -> list[str]:
        known = {*_NEEDS[self.when], *_TAKES[self.when]}
        foreign = [key for key in _OF_SOME if key not in known and getattr(self, key) != _default(key)]
        if self.when == "crossed" and self.for_s:
            foreign.append("for_s")
        return [f"{key}: {self.when} has no such key" for key in foreign]

    def _out_of_range(self) -> list[str]:
        seconds = {key: getattr(self, key) for key in ("for_s", "clear_s", "cooldown_s", "hysteresis", "min_score")}
        wrong = [f"{key}: expected 0 or more, got {value:g}" for key, value in seconds.items() if not value >= 0]
        if self.at_least is not None and not self.hysteresis < self.at_least:
            wrong.append("hysteresis: as large as at_least, so the alert would never end")
        if self.when == "speed_above" and self.speed_mps and not self.hysteresis <= self.speed_mps:
            wrong.append("hysteresis: larger than speed_mps, so the alert would never end")
        if self.coverage is not None and not 0 < self.coverage <= 1:
            wrong.append(f"coverage: expected a part above 0 and at most 1, got {self.coverage:g}")
        return wrong

    @property
    def words(self) -> str:
        """The text with its placeholders."""
        return self.text or _TEXTS[self.when]


def _default(key: str) -> Any:
    return Rule.__dataclass_fields__[key].default


# Characters.
_LONGEST_TEXT = 2000


def check_text(text: str) -> list[str]:
    """What is wrong with a text: braces that don't match, a placeholder that there is not or that can't be shown so."""
    sample = dict.fromkeys(PLACEHOLDERS, "x") | {"count": 1, "seconds": 1.0}
    if len(text) > _LONGEST_TEXT:
        return [f"text: has {len(text)} characters, at most {_LONGEST_TEXT} are told"]
    try:
        found = [(name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name is not None]
        names = [name for name, _ in found]
        for name, form in found:
            # A width of a thousand million is that much memory at once.
            if "{" in form or re.search(r"\d{3}", form):
                return [f"text: {{{name}:{form}}}: expected a format of at most 99 characters, such as {{seconds:.0f}}"]
        unknown = [name for name in names if name not in PLACEHOLDERS]
        if unknown:
            return [f"text: no placeholder {{{unknown[0]}}}; there are {', '.join(PLACEHOLDERS)}"]
        text.format_map(sample)
    except (ValueError, LookupError) as error:
        return [f"text: {error}"]
    return []


def check_rules(
    rules: Sequence[Rule], class_names: Sequence[str], zones: Collection[str], lines: Collection[str], *, speeds: bool
) -> None:
    """Whether rules can be about what there is.

    Args:
        rules: of one stream.
        class_names: of the detector.
        zones, lines: names of those there are.
        speeds: whether there is a homography.

    Raises:
        ConfigError: a zone, a line or a class that there is not; speeds without a homography; two rules of one name.
    """
    wrong = []
    for position, rule in enumerate(rules):
        where = f"rule {rule.name!r}"
        if any(rule.name == other.name for other in rules[:position]):
            wrong.append(f"{where}: two have this name; give each its own")
        wrong += [f"{where}: {problem}" for problem in missing_parts(rule, zones, lines, speeds=speeds)]
        if rule.classes is not None:
            try:
                class_ids(rule.classes, class_names, where=where)
            except ConfigError as error:
                wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))


def missing_parts(rule: Rule, zones: Collection[str], lines: Collection[str], *, speeds: bool) -> list[str]:
    """What a rule is about that there is not, in words."""
    wrong = []
    for kind, name, known in (("zone", rule.zone, zones), ("line", rule.line, lines)):
        if name is not None and name not in known:
            wrong.append(f"{kind}: there is no {name!r}; there is {', '.join(known) or 'none'}")
    if rule.when in ("speed_above", "speed_below") and not speeds:
        wrong.append(f"when: {rule.when} needs speeds, which come with a homography")
    return wrong
