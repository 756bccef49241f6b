"""The folder of evidence: whole files, and old ones that go, of which nobody else's is one."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from pipeline.errors import SinkError
from pipeline.events import StreamOffline
from sinks.evidence.folder import EvidenceFolder
from sinks.keeping import Limits
from tests.support.small_disk import small_disk


class Clock:
    """Seconds since the machine's start, as a test says."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> tuple[str, float]:
        return "boot", self.now_s


def event(seq: int, wall: str = "2026-11-30T22:04:24.286Z") -> StreamOffline:
    return StreamOffline(seq=seq, run="one", stream="gate", pts_s=2.0, wall=wall, reason="no data")


def listing(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def seqs(path: Path) -> list[int]:
    return sorted(int(file.name.split("-")[-2]) for file in path.rglob("*-picture.jpg"))


def test_a_file_is_named_by_stream_time_and_event(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path / "new", "gate")
    folder.check()
    assert listing(tmp_path) == []
    folder.open()
    path = folder.write(event(7), "picture", ".jpg", b"jpeg")
    folder.close()
    assert path == "gate/2026-11-30/gate-20261130T220424.286Z-stream.offline-7-picture.jpg"
    assert (tmp_path / "new" / path).read_bytes() == b"jpeg"
    assert listing(tmp_path / "new") == ["gate/.evidence.written", path]


def test_what_was_never_used_leaves_nothing(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path, "gate")
    folder.open()
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_write_there_at_once(tmp_path: Path) -> None:
    first, second = EvidenceFolder(tmp_path, "gate"), EvidenceFolder(tmp_path, "gate")
    first.open()
    with pytest.raises(SinkError, match="another run"):
        second.open()
    EvidenceFolder(tmp_path, "yard").open()
    first.close()
    second.open()


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(), [1, 2, 3, 4]),
        (Limits.of(days=1), [3, 4]),
        (Limits(size=2300), [3, 4]),  # the record counts too
        (Limits.of(days=9, mb=9), [1, 2, 3, 4]),
        (Limits(free=10**18), []),
    ],
    ids=["none", "age", "size", "wide", "free disk"],
)
def test_only_what_is_too_much_and_ours_is_deleted(tmp_path: Path, limits: Limits, left: list[int]) -> None:
    clock = Clock()
    folder = EvidenceFolder(tmp_path, "gate", limits=Limits(), clock=clock)
    folder.open()
    for seq in range(1, 5):
        # The clock on the wall was set back in between; ages go by the other one.
        folder.write(event(seq, f"2026-11-{30 - seq:02d}T22:04:24.286Z"), "picture", ".jpg", bytes(700))
        clock.now_s += 43_200
    folder.close()
    foreign = [
        "gate/2026-11-29/gate-20261129T220424.286Z-stream.offline-9-picture.jpg",
        "gate/2026-11-28/notes.txt",
        "gate/notes.jpg",
        "other/2026-11-29/other-20261129T220424.286Z-stream.offline-9-picture.jpg",
    ]
    for name in foreign:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(5000))
    again = EvidenceFolder(tmp_path, "gate", limits=limits, clock=clock)
    clock.now_s -= 1
    again.open()
    again.close()
    assert [seq for seq in seqs(tmp_path) if seq != 9] == left
    assert set(foreign) <= set(listing(tmp_path))


def test_it_is_kept_small_while_it_is_written(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path, "gate", limits=Limits(size=50_000))
    folder.open()
    for seq in range(1, 60):
        folder.write(event(seq), "picture", ".jpg", bytes(4000))
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 50_000
    assert seqs(tmp_path)[-1] == 59
    assert len(seqs(tmp_path)) > 5


def test_a_record_that_was_tampered_with_deletes_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "2026-11-30"
    outside.mkdir()
    victim = outside / "gate-20261130T220424.286Z-stream.offline-7-picture.jpg"
    victim.write_bytes(b"somebody's")
    path = tmp_path / "evidence"
    folder = EvidenceFolder(path, "gate")
    folder.open()
    written = folder.write(event(1), "picture", ".jpg", b"ours")
    folder.close()
    record = path / "gate" / ".evidence.written"
    line = record.read_text()
    name = written.removeprefix("gate/")
    (path / "gate" / "2026-12-01").symlink_to(outside)
    for other in (f"../../2026-11-30/{victim.name}", f"2026-12-01/{victim.name}", str(victim), "../../evidence/x.jpg"):
        record.write_text(record.read_text() + line.replace(name, other))
    again = EvidenceFolder(path, "gate", limits=Limits(free=10**18))
    again.open()
    again.close()
    assert victim.read_bytes() == b"somebody's"
    assert not (path / written).exists()


def test_a_full_disk_loses_no_more_than_what_finds_no_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 200) as disk:
        folder = EvidenceFolder(disk.path, "gate")
        folder.open()
        folder.write(event(1), "picture", ".jpg", bytes(20_000))
        disk.fill()
        with pytest.raises(SinkError, match="disk is full"):
            folder.write(event(2), "picture", ".jpg", bytes(20_000))
        assert seqs(disk.path) == [1], "nothing half is under a final name"
        disk.free()
        folder.write(event(3), "picture", ".jpg", bytes(20_000))
        folder.close()
        assert seqs(disk.path) == [1, 3]
        assert not [name for name in listing(disk.path) if "partial" in name]


def test_the_oldest_make_room_on_the_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 400) as disk:
        folder = EvidenceFolder(disk.path, "gate", limits=Limits(free=150_000))
        folder.open()
        for seq in range(1, 30):
            folder.write(event(seq), "picture", ".jpg", bytes(30_000))
            assert shutil.disk_usage(disk.path).free > 110_000
        folder.close()
        assert seqs(disk.path)[-1] == 29
        assert 1 < len(seqs(disk.path)) < 10


def test_a_disk_that_was_taken_away_is_not_written_to_in_its_absence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 200) as disk:
        folder = EvidenceFolder(disk.path, "gate")
        folder.open()
        disk.unplug()
        with pytest.raises(SinkError):
            folder.write(event(1), "picture", ".jpg", b"jpeg")
        assert listing(disk.path) == []
        disk.plug_another()
        folder.write(event(2), "picture", ".jpg", b"jpeg")
        assert seqs(disk.path) == [2]
        folder.close()


def test_a_folder_that_can_not_be_is_told_before_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "evidence").write_bytes(b"")
    with caplog.at_level(logging.WARNING), pytest.raises(SinkError) as caught:
        EvidenceFolder(tmp_path / "evidence", "gate").check()
    assert len(str(caught.value).splitlines()) == 1
