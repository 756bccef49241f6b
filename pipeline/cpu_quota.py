"""How much processor time the containers around this process allow it: what Linux's control groups are set to.

A container that may use one core of many still sees all of them; a program that starts a thread for each of those is
stopped for most of every tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_MOST_BYTES = 1 << 20  # of a file; a machine with a thousand containers lists its mounts in a fifth of it


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Processor cores whose time this process may use up, such as 1.5; None where nothing limits it.

    Of the limits of its own group and of all groups around that, in either version of control groups, it is the least.

    Args:
        root: where ``proc`` and the mounted control groups are looked for.
    """
    groups = dict(_groups(root / "proc/self/cgroup"))
    limits = [
        limit
        for kind, top, mount in _mounts(root / "proc/self/mountinfo")
        if kind in groups
        for folder in _folders(root / mount.lstrip("/"), top, groups[kind])
        if (limit := _limit(folder)) is not None
    ]
    return min(limits, default=None)


def _groups(path: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """The group of this process that limits processor time: for version 2 and for version 1, as ``cgroup2`` and
    ``cgroup``."""
    for line in _lines(path):
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            yield "cgroup2", PurePosixPath(group)
        elif "cpu" in controllers.split(","):
            yield "cgroup", PurePosixPath(group)


def _mounts(path: Path) -> Iterator[tuple[str, PurePosixPath, str]]:
    """Kind, topmost group and place of the file systems that show groups which may limit processor time."""
    for line in _lines(path):
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or len(kinds) < 3:
            continue
        if kinds[0] == "cgroup2" or (kinds[0] == "cgroup" and "cpu" in kinds[2].split(",")):
            yield kinds[0], PurePosixPath(_plain(fields[3])), _plain(fields[4])


def _folders(mount: Path, top: PurePosixPath, group: PurePosixPath) -> Iterator[Path]:
    """The folders of a group and of those around it, as far as this process can see them."""
    # A group outside of what is mounted, or of this process's namespace (/../..), is seen as the topmost one.
    inside = group.relative_to(top) if group.is_relative_to(top) else PurePosixPath()
    if ".." in inside.parts:
        inside = PurePosixPath()
    for part in (inside, *inside.parents):
        yield mount / part


def _limit(folder: Path) -> float | None:
    """The limit of one group in cores; None without one."""
    words = " ".join(_lines(folder / "cpu.max")).split()
    if not words:
        words = [" ".join(_lines(folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period")]
    try:
        quota, period = map(int, words)
    except ValueError:  # "max", or neither file is there
        return None
    return quota / period if quota > 0 and period > 0 else None


def _lines(path: Path) -> list[str]:
    """Those of a small file; none where it can't be read, as anywhere but on Linux."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="surrogateescape").splitlines()
    except OSError:
        return []


def _plain(text: str) -> str:
    """Without the escapes for spaces and the like that the list of mounts has."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
