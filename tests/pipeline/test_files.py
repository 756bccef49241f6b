"""No output is an input or another output, whatever the paths are called: compared as the file system knows them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SourceNotFoundError
from pipeline.files import FileKeys, FolderFiles, InputFiles, OutputFiles, ignores_case, refuse_conflicts
from pipeline.sources.image_folder import find_images
from pipeline.sources.local_files import picture_files, source_files


def reads(*paths: Path) -> InputFiles:
    return InputFiles("the video", paths)


def writes(*paths: Path, what: str = "the tracks") -> OutputFiles:
    return OutputFiles(what, paths[0], paths)


def hard_link(target: Path, name: Path) -> Path:
    name.hardlink_to(target)
    return name


def link(target: Path, name: Path) -> Path:
    name.symlink_to(target)
    return name


def linked_folder(target: Path, name: Path) -> Path:
    name.symlink_to(target.parent)
    return name / target.name


SPELLINGS: dict[str, Callable[[Path, Path], Path]] = {
    "the same": lambda target, _: target,
    "by the folder above": lambda target, _: target.parent / ".." / target.parent.name / target.name,
    "relative": lambda target, _: Path(os.path.relpath(target)),
    "with points": lambda target, _: Path(f"{target.parent}/./{target.name}"),
    "a link": link,
    "a link to a link": lambda target, name: link(link(target, name.with_suffix(".1")), name),
    "a relative link": lambda target, name: link(Path(os.path.relpath(target, name.parent)), name),
    "a linked folder": linked_folder,
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A file that is there, and one that is not."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "there.mp4").write_bytes(b"video")
    return tmp_path / "in" / "there.mp4", tmp_path / "in" / "unborn.mp4"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_file_is_seen_through(spelling: str, folders: tuple[Path, Path], tmp_path: Path) -> None:
    there, unborn = folders
    with pytest.raises(ConfigError, match=r"cannot write the tracks to .*: it is the video; choose another name"):
        refuse_conflicts([reads(there)], [writes(SPELLINGS[spelling](there, tmp_path / "one"))])
    other = SPELLINGS[spelling](unborn, tmp_path / "two")
    with pytest.raises(ConfigError, match=r"cannot write the events to .*: the tracks would be written there too"):
        refuse_conflicts([], [writes(unborn), writes(other, what="the events")])
    assert not unborn.exists()


def test_a_hard_link_is_the_same_file(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it is the video"):
        refuse_conflicts([reads(folders[0])], [writes(hard_link(folders[0], tmp_path / "other"))])


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "b" / "x.txt", tmp_path / "a" / "c" / ".." / "b" / "x.txt"
    with pytest.raises(ConfigError, match="would be written there too, as"):
        refuse_conflicts([], [writes(one), writes(other, what="the events")])
    refuse_conflicts([], [writes(one), writes(tmp_path / "a" / "x.txt", what="the events")])


def test_the_names_on_the_way_count_too(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_conflicts([reads(folders[0])], [writes(tmp_path / "x.mp4", folders[0])])
    assert str(caught.value) == (
        f"cannot write the tracks to {tmp_path / 'x.mp4'}: {folders[0]} would be written for it, and it is the video; "
        "choose another name"
    )


def test_what_has_nothing_to_do_with_each_other_is_fine(folders: tuple[Path, Path], tmp_path: Path) -> None:
    there, unborn = folders
    refuse_conflicts([reads(there)], [writes(unborn), writes(tmp_path / "there.mp4", what="the events")])
    refuse_conflicts([reads(there), reads(there)], [])
    refuse_conflicts([reads(unborn)], [writes(tmp_path / "unborn.mp4")])


def test_devices_and_pipes_can_be_shared_by_outputs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (Path("/dev/null"), tmp_path / "pipe"):
        refuse_conflicts([], [writes(place), writes(place, what="the events")])
    refuse_conflicts([reads(Path("/dev/null"))], [writes(Path("/dev/null"))])
    with pytest.raises(ConfigError, match="it is the video"):
        refuse_conflicts([reads(tmp_path / "pipe")], [writes(tmp_path / "pipe")])


def test_a_loop_of_links_is_left_to_those_who_open_it(tmp_path: Path) -> None:
    loop = link(tmp_path / "loop", tmp_path / "loop")
    refuse_conflicts([reads(loop)], [writes(loop), writes(loop, what="the events")])


class TestFolders:
    """Outputs of which only the kind of name is known."""

    @staticmethod
    def segments(folder: Path, prefix: str = "door", what: str = "the video") -> OutputFiles:
        names = re.compile(rf"{prefix}-\d+\.mp4")
        return OutputFiles(what, folder / f"{prefix}.mp4", (), (FolderFiles(folder, names, f"{prefix}-1.mp4"),))

    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_an_input_called_like_them(self, spelling: str, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "door-7.mp4").write_bytes(b"")
        given = SPELLINGS[spelling](tmp_path / "out" / "door-7.mp4", tmp_path / "name")
        with pytest.raises(ConfigError, match=r"door\.mp4: .* would be written for it, and it is the video"):
            refuse_conflicts([reads(given)], [self.segments(tmp_path / "out")])

    def test_another_output_called_like_them(self, tmp_path: Path) -> None:
        for first in (True, False):
            outputs = [self.segments(tmp_path), writes(tmp_path / "door-7.mp4")]
            with pytest.raises(ConfigError, match="would be written there too"):
                refuse_conflicts([], outputs if first else outputs[::-1])

    def test_two_of_a_kind(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="would be written there too"):
            refuse_conflicts([], [self.segments(tmp_path), self.segments(tmp_path / ".", what="the other")])
        refuse_conflicts([], [self.segments(tmp_path), self.segments(tmp_path, "gate")])
        refuse_conflicts([], [self.segments(tmp_path / "a"), self.segments(tmp_path / "b")])

    def test_other_names_are_fine(self, tmp_path: Path) -> None:
        (tmp_path / "door-x.mp4").write_bytes(b"")
        refuse_conflicts([reads(tmp_path / "door-x.mp4")], [self.segments(tmp_path)])


NAMES = ("a.jpg", "b.png", "1.jpg", ".h.jpg")
FOLDERS = ("", "x", "x/y", "z", ".s")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in folders of folders."""
    root = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        (root / folder).mkdir(exist_ok=True, parents=True)
        for name in NAMES:
            (root / folder / name).write_bytes(b"")
    return root


class TestSources:
    def test_a_video_by_its_address(self, tmp_path: Path) -> None:
        video = tmp_path / "two bikes.mp4"
        video.write_bytes(b"video")
        for address in (str(video), f"file://{video}", f"FILE://{tmp_path}/two%20bikes.mp4"):
            (given,) = source_files(address, "bikes")
            with pytest.raises(ConfigError, match="it is what stream bikes reads"):
                refuse_conflicts([given], [writes(video)])

    @pytest.mark.parametrize(
        "uri", ["webcam:0", "-", "rtsp://user:secret@camera/x", "http://camera/x.mp4", "none.mp4", None]
    )
    def test_no_file(self, uri: str | None) -> None:
        assert source_files(uri, "x") == ()

    def test_a_folder_of_images(self, tmp_path: Path) -> None:
        (tmp_path / "1.jpg").write_bytes(b"")
        (given,) = source_files(str(tmp_path), "shots")
        for name in ("1.jpg", "2.PNG"):
            with pytest.raises(ConfigError, match="one of the images that stream shots reads"):
                refuse_conflicts([given], [writes(tmp_path / name)])
        refuse_conflicts([given], [writes(tmp_path / "x.txt"), writes(tmp_path / "in" / "2.png", what="the events")])

    def test_what_a_playlist_names(self, tmp_path: Path) -> None:
        (tmp_path / "a.m3u8").write_text('#EXTM3U\n#EXT-X-MAP:URI="head.mp4"\n#EXTINF:1,\n1.mp4\n#EXT-X-ENDLIST\n')
        (tmp_path / "b.ffconcat").write_text("ffconcat version 1.0\nfile '1.mp4'\nfile head.mp4\n")
        for name in ("1.mp4", "head.mp4"):
            (tmp_path / name).write_bytes(b"part")
            for listing in ("a.m3u8", "b.ffconcat"):
                with pytest.raises(ConfigError, match=r"it is a part of .*, which stream x reads"):
                    refuse_conflicts(source_files(str(tmp_path / listing), "x"), [writes(tmp_path / name)])

    @given(st.lists(st.sampled_from(["*", "**", "x", "?", "[xz]", "*.jpg", "a*", ".*"]), min_size=1, max_size=4))
    @settings(max_examples=60)
    def test_a_pattern_takes_what_it_finds(self, tree: Path, parts: list[str]) -> None:
        pattern = "/".join([str(tree), *parts, "*.*"])
        try:
            found = set(find_images(pattern))
        except SourceNotFoundError:
            found = set()
        (given_files,) = picture_files([], [pattern])
        assert given_files.takes is not None
        taken = {path for path in tree.rglob("*") if path.is_file() and given_files.takes(path)}
        assert taken == found


@pytest.fixture(scope="module")
def folder_without_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of a file system for which ``A`` and ``a`` are one name, in a file that is mounted."""
    place = tmp_path_factory.mktemp("case")
    image = place / "image"
    image.write_bytes(bytes(4_000_000))
    disk = place / "disk"
    disk.mkdir()
    make, mount = (shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") for name in ("mkntfs", "lowntfs-3g"))
    if os.geteuid() != 0 or make is None or mount is None:
        pytest.skip("needs root, mkntfs and lowntfs-3g (Debian: ntfs-3g), for a disk without capitals")
    subprocess.run([make, "-Q", "-F", "-q", str(image)], check=True, capture_output=True)
    mounted = subprocess.run([mount, "-o", "ignore_case", str(image), str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no disk without capitals: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_capitals_where_the_file_system_does_not_tell_them_apart(folder_without_case: Path) -> None:
    (folder_without_case / "New").mkdir()
    assert ignores_case(folder_without_case)
    assert ignores_case(folder_without_case / "New")
    assert ignores_case(folder_without_case / "New" / "to be made")
    with pytest.raises(ConfigError, match="would be written there too"):
        refuse_conflicts(
            [], [writes(folder_without_case / "X.txt"), writes(folder_without_case / "x.TXT", what="the events")]
        )


def test_capitals_of_unborn_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above on any machine: only what the file system is asked is put in its place."""
    one, other = writes(tmp_path / "Été.txt"), writes(tmp_path / "e\u0301T\u00c9.TXT", what="the events")
    (tmp_path / "ab").write_bytes(b"")
    assert not ignores_case(tmp_path)
    refuse_conflicts([], [one, other])
    monkeypatch.setattr("pipeline.files.ignores_case", lambda folder: True)
    with pytest.raises(ConfigError, match="would be written there too"):
        refuse_conflicts([], [one, other])
    part = FolderFiles(tmp_path, re.compile(r"door-\d+\.mp4"), "door-1.mp4")
    assert FileKeys().in_folder(tmp_path / "DOOR-7.MP4", part)
