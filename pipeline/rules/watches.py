"""Which class watches for which condition."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.rules.members import Members
from pipeline.rules.object_watches import Crossed, Fast, InZone, Slow, Stationary
from pipeline.rules.rule import Rule
from pipeline.rules.stillness import Stillness
from pipeline.rules.stream_watches import Absent, CoverageBelow, Crowd, Offline
from pipeline.rules.watch import Watch

_KINDS: Mapping[str, type[Watch]] = {
    "in_zone": InZone,
    "crowd": Crowd,
    "crossed": Crossed,
    "speed_above": Fast,
    "speed_below": Slow,
    "absent": Absent,
    "offline": Offline,
    "coverage_below": CoverageBelow,
}


def make_watch(rule: Rule, members: Members, stillness: Stillness | None, now_s: float) -> Watch:
    """What watches for a rule's condition.

    Args:
        rule: whose.
        members: what it is about.
        stillness: needed for ``stationary`` alone.
        now_s: media time of the newest frame.
    """
    if rule.when == "stationary":
        assert stillness is not None
        made: Watch = Stationary(rule, members, stillness)
    else:
        made = _KINDS[rule.when](rule, members)
    if isinstance(made, InZone | Stationary):
        members.tell(made, now_s)
    return made
