"""Class names as users write them, turned into the model's class ids."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pipeline.errors import ConfigError


def class_ids(names: Iterable[str], class_names: Sequence[str], *, where: str = "classes") -> tuple[int, ...]:
    """The ids of class names, in the order given and each once.

    Args:
        names: names as the user wrote them; must match the model's exactly.
        class_names: the model's classes; the position in it is the id.
        where: what the names belong to, for the message.

    Raises:
        ConfigError: a name the model does not have; the message lists the names most like it.
    """
    id_of = {name: position for position, name in enumerate(class_names)}
    found: dict[int, None] = {}
    for name in names:
        if name not in id_of:
            raise ConfigError(_unknown(name, class_names, where))
        found[id_of[name]] = None
    return tuple(found)


def _unknown(name: str, class_names: Sequence[str], where: str) -> str:
    """One line that says which name is unknown and which ones are like it."""
    lowered = {candidate.lower(): candidate for candidate in reversed(class_names)}
    # Whoever is far off is shown them all: one long line, but nothing left to look up.
    matches = difflib.get_close_matches(str(name).lower(), lowered, n=4, cutoff=0.55)
    matches += [c for c in lowered if (name and str(name).lower() in c) and c not in matches][: 4 - len(matches)]
    if matches:
        hint = f"did you mean {' or '.join(repr(lowered[match]) for match in matches)}?"
    else:
        hint = f"its {len(class_names)} classes are {', '.join(class_names)}"
    return f"{where}: no class {name!r} in this model; {hint}"
