"""The container's limit of processor time, in trees of files as Linux shows them, and in a real control group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.cpu_quota import cpu_quota
from pipeline.hardware import CpuBudget, available_threads, processor_cores

V2_MOUNT = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = (
    "29 23 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "31 23 0:27 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
)
OTHER_MOUNTS = "23 1 8:1 / / rw,relatime - ext4 /dev/root rw\n24 23 0:22 / /proc rw - proc proc rw\nnonsense\n"


def tree(root: Path, group: str, mounts: str, files: Mapping[str, str]) -> Path:
    """A machine's files: the process's groups, the mounts, and what lies in the mounted groups."""
    told = {"proc/self/cgroup": group, "proc/self/mountinfo": OTHER_MOUNTS + mounts, **files}
    for name, text in told.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(root: Path, group: str, limits: Mapping[str, str], *, top: str = "/") -> Path:
    files = {f"sys/fs/cgroup/{folder}/cpu.max": text for folder, text in limits.items()}
    return tree(root, f"0::{group}\n", V2_MOUNT.format(root=top), files)


def v1(root: Path, group: str, limits: Mapping[str, tuple[int, int]], *, top: str = "/") -> Path:
    files = {
        f"sys/fs/cgroup/cpu,cpuacct/{folder}/cpu.cfs_{name}_us": f"{number}\n"
        for folder, numbers in limits.items()
        for name, number in zip(("quota", "period"), numbers, strict=True)
    }
    return tree(root, f"5:memory:/other\n4:cpu,cpuacct:{group}\n0::{group}\n", V1_MOUNT.format(root=top), files)


@pytest.mark.parametrize(
    ("group", "limits", "quota"),
    [
        ("/", {".": "max 100000\n"}, None),
        ("/", {".": "150000 100000\n"}, 1.5),  # a namespace of its own: the container's limit is at the top
        ("/a/b", {"a/b": "100000 100000\n", "a": "max 100000\n"}, 1.0),
        ("/a/b", {"a/b": "400000 100000\n", "a": "50000 100000\n"}, 0.5),
        ("/a/b", {"a/b": "max 100000\n", "a": "200000 100000\n"}, 2.0),
        ("/a/b", {"c": "100000 100000\n"}, None),
        ("/../../x", {".": "300000 100000\n", "x": "100000 100000\n"}, 3.0),  # outside of the namespace
        ("/a/b", {"a/b": "what 100000\n", "a": "0 0\n"}, None),
        ("/a/b", {"a/b": "100000\n"}, None),
    ],
)
def test_version_2(group: str, limits: Mapping[str, str], quota: float | None, tmp_path: Path) -> None:
    assert cpu_quota(v2(tmp_path, group, limits)) == quota


@pytest.mark.parametrize(
    ("group", "limits", "quota"),
    [
        ("/", {".": (-1, 100_000)}, None),
        ("/a/b", {"a/b": (-1, 100_000), "a": (250_000, 100_000)}, 2.5),
        ("/a/b", {"a/b": (50_000, 50_000), "a": (250_000, 100_000)}, 1.0),
        ("/a/b", {"a/b": (0, 0)}, None),
    ],
)
def test_version_1(group: str, limits: Mapping[str, tuple[int, int]], quota: float | None, tmp_path: Path) -> None:
    assert cpu_quota(v1(tmp_path, group, limits)) == quota


def test_a_container_that_sees_only_its_own_group(tmp_path: Path) -> None:
    """Docker without a namespace for groups: the path is the machine's, and what is mounted is the group itself."""
    assert cpu_quota(v1(tmp_path, "/docker/1f", {".": (50_000, 100_000)}, top="/docker/1f")) == 0.5
    assert cpu_quota(v1(tmp_path, "/docker/1f/in", {"in": (20_000, 100_000)}, top="/docker/1f")) == 0.2


def test_the_least_of_both_versions_counts(tmp_path: Path) -> None:
    v1(tmp_path, "/a", {"a": (200_000, 100_000)})
    files = {"sys/fs/cgroup/unified/a/cpu.max": "100000 100000\n"}
    mounts = V1_MOUNT.format(root="/") + V2_MOUNT.format(root="/").replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")
    assert cpu_quota(tree(tmp_path, "4:cpu,cpuacct:/a\n0::/a\n", mounts, files)) == 1.0


def test_a_mount_with_a_space_in_its_name(tmp_path: Path) -> None:
    mounts = V2_MOUNT.format(root="/").replace("/sys/fs/cgroup ", "/my\\040groups ")
    assert cpu_quota(tree(tmp_path, "0::/\n", mounts, {"my groups/cpu.max": "100000 50000\n"})) == 2.0


def test_where_nothing_is_told(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert cpu_quota(tree(tmp_path, "", "", {})) is None
    (tmp_path / "proc/self/cgroup").write_bytes(b"\xff\n" * 10)
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("limit", "most"), [("max", 10**6), ("150000", 2), ("100000", 1), ("1000", 1)])
def test_threads_are_no_more_than_the_quota_allows(limit: str, most: int, tmp_path: Path) -> None:
    assert available_threads(v2(tmp_path, "/", {".": f"{limit} 100000"})) == min(processor_cores(), most)


def test_a_change_is_seen(tmp_path: Path) -> None:
    root = v2(tmp_path, "/", {".": "max 100000"})
    assert available_threads(root) == processor_cores()
    (root / "sys/fs/cgroup/cpu.max").write_text("10000 100000")
    assert available_threads(root) == 1


@pytest.fixture
def one_core() -> Iterator[Path]:
    """A real group of half a core, into which processes can be put."""
    for folder, files in (
        (Path("/sys/fs/cgroup"), {"cpu.max": "50000 100000"}),
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
    ):
        group = folder / f"sightline-test-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            try:
                for name, text in files.items():
                    if not (group / name).exists():  # a group without limits of processor time
                        raise OSError
                    (group / name).write_text(text)
                yield group
                return
            finally:
                group.rmdir()
    pytest.skip("no control group can be made here: that takes Linux and root")


def test_in_a_real_group(one_core: Path) -> None:
    code = f"""
import os
from pathlib import Path
from pipeline.cpu_quota import cpu_quota
from pipeline.hardware import CpuBudget, available_threads
print(cpu_quota())
(Path({str(one_core)!r}) / "cgroup.procs").write_text(str(os.getpid()))
print(cpu_quota(), available_threads(), CpuBudget.of_this_machine().cores)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, inside = done.stdout.splitlines()
    assert before == str(cpu_quota())
    assert inside == "0.5 1 1"
    assert CpuBudget.of_this_machine().cores == available_threads()
