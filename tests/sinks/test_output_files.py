"""Output files: what is refused before anything is written, and what is left when a run ends well or badly."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.errors import SinkError
from sinks.output_files import OutputFile, check_output, commit, is_stream, keep_partial, partial_path
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter, as pytest's own are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere; then act as nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the operating system refuse to let a file grow past a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def assert_refused(path: Path | str, reason: str, suffixes: tuple[str, ...] = ()) -> None:
    with pytest.raises(SinkError) as caught:
        check_output(path, suffixes)
    message = str(caught.value)
    assert reason in message
    assert "\n" not in message
    assert str(path) in message


class TestCheckOutput:
    def test_a_new_file_and_an_existing_one_are_fine_and_nothing_is_written(self, tmp_path: Path) -> None:
        (tmp_path / "old.txt").write_text("old")
        check_output(tmp_path / "new.txt")
        check_output(tmp_path / "old.txt")
        check_output(tmp_path / "NEW.MP4", (".mp4",))
        assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]

    def test_a_missing_folder_is_made(self, tmp_path: Path) -> None:
        check_output(tmp_path / "new" / "folder" / "x.txt")
        assert (tmp_path / "new" / "folder").is_dir()

    def test_a_file_where_a_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert_refused(tmp_path / "file" / "x.txt", "part of its path is a file")
        assert_refused(tmp_path / "file" / "more" / "x.txt", "part of its path is a file")

    def test_a_directory(self, tmp_path: Path) -> None:
        assert_refused(tmp_path, "it is a folder; name a file in it")

    def test_an_empty_name(self) -> None:
        with pytest.raises(SinkError, match="without a name"):
            check_output("")

    def test_a_name_too_long(self, tmp_path: Path) -> None:
        assert_refused(tmp_path / ("x" * 300), "too long")

    def test_another_ending(self, tmp_path: Path) -> None:
        assert_refused(tmp_path / "x.avi", "must end in .mp4 or .mov", (".mp4", ".mov"))

    def test_a_link_to_itself(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        assert_refused(tmp_path / "loop", "links")

    def test_a_folder_without_permission(self, folder: Path) -> None:
        folder.chmod(0o555)
        with ordinary_user():
            assert_refused(folder / "x.txt", "no permission to write in")

    def test_a_folder_that_may_not_be_entered(self, folder: Path) -> None:
        folder.chmod(0o000)
        with ordinary_user():
            assert_refused(folder / "x.txt", "no permission")

    def test_a_write_protected_file(self, folder: Path) -> None:
        path = folder / "kept.txt"
        path.write_text("kept")
        path.chmod(0o444)
        folder.chmod(0o777)
        with ordinary_user():
            assert_refused(path, "write-protected")


class TestOutputFile:
    def test_replaces_the_old_output_only_when_complete(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_text("old")
        with OutputFile(path) as output:
            output.write(b"new\n")
            assert path.read_text() == "old"
            assert (tmp_path / "x.partial.txt").read_text() == "new\n", "each record is in the file at once"
        assert path.read_text() == "new\n"
        assert [entry.name for entry in tmp_path.iterdir()] == ["x.txt"]

    def test_an_interrupt_completes_it(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), OutputFile(tmp_path / "x.txt") as output:
            output.write(b"new\n")
            raise KeyboardInterrupt
        assert (tmp_path / "x.txt").read_text() == "new\n"

    def test_an_error_keeps_the_old_output_and_what_was_written(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "x.txt"
        path.write_text("old")
        with pytest.raises(ZeroDivisionError), OutputFile(path) as output:
            output.write(b"new\n")
            raise ZeroDivisionError
        assert path.read_text() == "old"
        assert (tmp_path / "x.partial.txt").read_text() == "new\n"
        assert str(tmp_path / "x.partial.txt") in caplog.text

    def test_an_error_before_the_first_record_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), OutputFile(tmp_path / "x.txt"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_fills_up_leaves_whole_records(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        with (
            pytest.raises(SinkError, match=r"cannot write .*x\.txt: ") as caught,
            largest_file(1000),
            OutputFile(path) as o,
        ):
            for _ in range(100):
                o.write(b"0123456789abcdefgh\n")
        assert "\n" not in str(caught.value)
        assert not path.exists()
        written = partial_path(path).read_bytes()
        assert written == b"0123456789abcdefgh\n" * (1000 // 19)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that Linux has")
    def test_a_full_disk_is_one_line_that_says_what_to_do(self) -> None:
        with pytest.raises(SinkError, match=r"^cannot write /dev/full: the disk is full; free some space"):
            OutputFile("/dev/full").write(b"x")

    def test_a_killed_program_leaves_what_it_wrote(self, tmp_path: Path) -> None:
        script = (
            "import os, signal, sys\n"
            "from sinks.output_files import OutputFile\n"
            "output = OutputFile(sys.argv[1])\n"
            "for number in range(1000): output.write(b'%d\\n' % number)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        root = Path(__file__).parents[2]
        killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x.txt")], cwd=root)
        assert killed.returncode == -9
        assert not (tmp_path / "x.txt").exists()
        assert (tmp_path / "x.partial.txt").read_text().splitlines() == [str(number) for number in range(1000)]

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "x.txt").write_text("old")
        link = tmp_path / "link.txt"
        link.symlink_to(tmp_path / "real" / "x.txt")
        with OutputFile(link) as output:
            output.write(b"new")
        assert link.is_symlink()
        assert (tmp_path / "real" / "x.txt").read_text() == "new"

    def test_a_pipe_is_written_to_directly(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        check_output(pipe)
        assert is_stream(pipe)
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
        reader.start()
        with OutputFile(pipe) as output:
            output.write(b"a")
            output.write(b"b" * 1_000_000)
        reader.join(PATIENCE_S)
        assert read == [b"a" + b"b" * 1_000_000]
        assert stat.S_ISFIFO(pipe.stat().st_mode)

    def test_standard_output_works_by_its_device(self) -> None:
        script = (
            "from sinks.output_files import OutputFile, check_output\n"
            "check_output('/dev/stdout')\n"
            "with OutputFile('/dev/stdout') as output: output.write(b'line\\n')\n"
        )
        root = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True)
        assert done.stdout == b"line\n"


def test_commit_of_a_file_that_has_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write"):
        commit(tmp_path / "x.partial.txt", tmp_path / "x.txt")


def test_keeping_a_file_that_was_never_begun_does_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep_partial(tmp_path / "x.partial.txt", tmp_path / "x.txt")
    assert caplog.text == ""
