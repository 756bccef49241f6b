"""Which events are to have evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigError
from pipeline.events import AlertStarted, Event, LineCrossed, TrackEnded, ZoneEntered, ZoneLeft
from pipeline.models.class_names import class_ids

Choice = bool | Sequence[str]
"""All of them, none, or those of these names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceWanted:
    """What is to be shown.

    Attributes:
        alerts: those of these rules.
        zones: who comes in and who leaves.
        lines: who crosses them.
        tracks: each object, when its track has ended.
        classes: only objects of these classes, and alerts about one of them; None for all.

    >>> EvidenceWanted(zones=("door",)).zones
    ('door',)
    """

    alerts: Choice = True
    zones: Choice = False
    lines: Choice = False
    tracks: bool = False
    classes: Sequence[str] | None = None

    @property
    def moments(self) -> bool:
        """Whether pictures of certain moments are asked for, and not only the best ones."""
        return bool(self.zones or self.lines)

    def __call__(self, event: Event) -> bool:
        """Whether that event is to have evidence."""
        look = _LOOKS.get(type(event))
        return look is not None and look(self, event)

    def _of_class(self, *names: str) -> bool:
        return self.classes is None or not names or any(name in self.classes for name in names)


def _chosen(choice: Choice, name: str) -> bool:
    return choice if isinstance(choice, bool) else name in choice


_LOOKS: dict[type[Event], Callable[[EvidenceWanted, Any], bool]] = {
    AlertStarted: lambda wanted, event: _chosen(wanted.alerts, event.rule) and wanted._of_class(*event.classes),
    ZoneEntered: lambda wanted, event: _chosen(wanted.zones, event.zone) and wanted._of_class(event.class_name),
    ZoneLeft: lambda wanted, event: _chosen(wanted.zones, event.zone) and wanted._of_class(event.class_name),
    LineCrossed: lambda wanted, event: _chosen(wanted.lines, event.line) and wanted._of_class(event.class_name),
    TrackEnded: lambda wanted, event: wanted.tracks and wanted._of_class(event.class_name),
}


def check_wanted(
    wanted: EvidenceWanted,
    class_names: Sequence[str],
    *,
    rules: Collection[str],
    zones: Collection[str],
    lines: Collection[str],
) -> None:
    """Whether there is what evidence is wanted of.

    Args:
        wanted: of one stream.
        class_names: of the detector.
        rules, zones, lines: names of those that the stream has.

    Raises:
        ConfigError: a rule, a zone, a line or a class that there is not; all of them are told.
    """
    choices = (("rule", "alerts", wanted.alerts, rules), ("zone", "zones", wanted.zones, zones))
    wrong = []
    for kind, key, choice, known in (*choices, ("line", "lines", wanted.lines, lines)):
        for name in () if isinstance(choice, bool) else choice:
            if name not in known:
                wrong.append(f"evidence.{key}: there is no {kind} {name!r}; there is {', '.join(known) or 'none'}")
    if wanted.classes is not None:
        try:
            class_ids(wanted.classes, class_names, where="evidence.classes")
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))
