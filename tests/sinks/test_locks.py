"""One writer for each output, and nothing lost of what a killed run left. See also ``Claim`` and ``sinks.locks``."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.errors import SinkError
from sightline.commands.main import main
from sinks.files.image_copies import ImageCopies
from sinks.files.jsonl import JsonlSink
from sinks.files.mot import MotSink
from sinks.integrations.notifications import NotificationSink
from sinks.integrations.webhook import WebhookSink
from sinks.locks import FileLock, FolderLock, is_locked_elsewhere
from sinks.output_files import Claim, OutputFile, check_output
from sinks.store.parquet_store import ParquetStore
from sinks.store.sqlite_store import SqliteStore
from sinks.video.mp4 import Mp4Sink
from sinks.video.segments import SegmentedMp4Sink
from tests.sinks.test_contract import CLASS_NAMES, INFO, Case, feed
from tests.sinks.test_files import WRITERS
from tests.support.clips import write_clip
from tests.support.fakes import BlobDetector
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
# Stores that several runs may write to at once: docs/store.md.
SHARED = ("sqlite", "parquet")
exclusive = pytest.mark.parametrize(
    "case", [case for case in WRITERS if case.name not in SHARED], ids=lambda case: case.name
)
KILLED = """
import os, signal, sys, time
from pathlib import Path
from tests.sinks.test_contract import feed
from tests.sinks.test_files import WRITERS
case = next(case for case in WRITERS if case.name == sys.argv[1])
sink = case.make(Path(sys.argv[2]))
sink.check()
feed(sink, 20 if case.name.startswith("segments") else 60)  # one segment, of which no other has the name
def written():
    found = [path for path in Path(sys.argv[2]).rglob("*") if path.is_file() and path.suffix != ".partial"]
    return any(path.stat().st_size for path in found)
while not written():
    time.sleep(0.01)
print("written", flush=True)
sys.stdin.read()
"""


def another_process(case: Case, folder: Path) -> subprocess.Popen[str]:
    """A process that has written to an output, and holds it, stopped where it is, until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, case.name, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@exclusive
def test_a_second_run_is_refused_and_a_later_one_loses_nothing(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, link = tmp_path / "out", tmp_path / "link"
    out.mkdir()
    link.symlink_to(out)
    process = another_process(case, out)
    try:
        before = contents(out)
        for folder in (out, link):
            with pytest.raises(SinkError, match=r"another run (is writing|uses) it; .*") as caught:
                second = case.make(folder)
                second.check()
                second.open("camera", INFO, CLASS_NAMES)  # of a folder the stream's name decides, which comes only now
            assert len(str(caught.value).splitlines()) == 1
            second.close(caught.value)
            assert contents(out) == before
    finally:
        end(process)

    # A batch in the making is none; its events are among those that a kill may lose.
    left = {name: data for name, data in contents(out).items() if data and not name.endswith(".partial")}
    assert left, "nothing was written before the kill"
    sink = case.make(out)
    sink.check()
    feed(sink)
    sink.close()
    assert set(left.values()) <= set(contents(out).values()), "something of the killed run is lost"
    if case.output is not None:
        ((name, data),) = left.items()
        assert "partial" in name
        (aside,) = set(contents(out)) - {case.output}
        assert re.fullmatch(rf"a\.partial-\d{{8}}T\d{{6}}Z\{Path(case.output).suffix}", aside)
        assert contents(out)[aside] == data
        (record,) = (record for record in caplog.records if "was left by a run" in record.message)
        assert str(out / aside) in record.message


@pytest.mark.parametrize("name", SHARED)
def test_stores_take_two_runs_at_once(name: str, tmp_path: Path) -> None:
    case = next(case for case in WRITERS if case.name == name)
    one, other = case.make(tmp_path), case.make(tmp_path)
    for sink in (one, other):
        sink.check()
        sink.open("camera", INFO, CLASS_NAMES)
    one.close()
    other.close()


def test_every_kind_of_output_is_in_one_of_the_two_tests() -> None:
    kinds = {type(case.make(Path())) for case in WRITERS}
    assert kinds == {
        Mp4Sink,
        SegmentedMp4Sink,
        JsonlSink,
        MotSink,
        SqliteStore,
        ParquetStore,
        WebhookSink,
        NotificationSink,
    }


class TestClaim:
    def test_two_in_one_process(self, tmp_path: Path) -> None:
        claim = Claim(tmp_path / "x.txt")
        (tmp_path / "link.txt").symlink_to("x.txt")
        for name in ("x.txt", "link.txt"):
            with pytest.raises(SinkError, match=rf"cannot write .*{name}: another run is writing it; end that one or"):
                Claim(tmp_path / name)
        claim.release()
        claim.release()
        Claim(tmp_path / "x.txt").release()
        assert [path.name for path in tmp_path.iterdir()] == ["link.txt"]

    def test_ones_own_does_not_stand_in_the_way_of_a_check(self, tmp_path: Path) -> None:
        """A reload checks the outputs of a stream while those that it is to replace are being written."""
        claim = Claim(tmp_path / "x.txt")
        check_output(tmp_path / "x.txt")
        claim.release()

    def test_a_check_sees_another_process(self, tmp_path: Path) -> None:
        (tmp_path / "x.partial.txt").write_text("rows")
        script = f"import fcntl; f = open({str(tmp_path / 'x.partial.txt')!r}); fcntl.flock(f, 2); print(); input()"
        with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(SinkError, match="another run is writing it"):
                check_output(tmp_path / "x.txt")
            process.kill()
        check_output(tmp_path / "x.txt")
        assert (tmp_path / "x.partial.txt").read_text() == "rows"

    def test_what_was_left_never_replaces_anything(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(5):
            (tmp_path / "x.partial.txt").write_text(f"{number}")
            Claim(tmp_path / "x.txt").release()
        assert sorted(path.read_text() for path in tmp_path.iterdir()) == list("01234")

    def test_what_is_begun_anew_in_a_folder_that_was_gone_is_claimed_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sinks.steady_file._RETRY_S", 0.0)
        folder = tmp_path / "out"
        folder.mkdir()
        file, lock = OutputFile(folder / "x.txt", patient=True), FolderLock(folder, "door")
        file.write(b"1\n")
        shutil.rmtree(folder)
        file.write(b"2\n")
        lock.renew()
        folder.mkdir()
        file.write(b"3\n")
        lock.renew()
        with pytest.raises(SinkError, match="another run is writing it"):
            Claim(folder / "x.txt")
        with pytest.raises(SinkError, match="another run is writing it"):
            FolderLock(folder, "door")
        file.finish()
        lock.release()
        assert contents(folder) == {"x.txt": b"2\n3\n"}

    @pytest.mark.parametrize("name", ["x", "x.tar.gz", ".hidden", "x" * 215])
    def test_any_name(self, name: str, tmp_path: Path) -> None:
        for content in (b"1", b"2"):
            output = OutputFile(tmp_path / name)
            output.write(content)
            output.finish(RuntimeError())
        with OutputFile(tmp_path / name) as output:
            output.write(b"3")
        assert (tmp_path / name).read_bytes() == b"3"
        assert sorted(contents(tmp_path).values()) == [b"1", b"2", b"3"]

    def test_a_link_in_the_place_of_the_partial_file_is_not_written_through(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("kept")
        (tmp_path / "x.partial.txt").symlink_to("precious")
        with OutputFile(tmp_path / "x.txt") as output:
            output.write(b"new")
        assert (tmp_path / "precious").read_text() == "kept"
        assert (tmp_path / "x.txt").read_text() == "new"

    @pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
    def test_something_else_in_its_place_is_one_line(self, make: object, tmp_path: Path) -> None:
        assert callable(make)
        make(tmp_path / "x.partial.txt")
        with pytest.raises(SinkError, match=r"cannot write .*x\.txt: .*x\.partial\.txt is in the way; move it away"):
            Claim(tmp_path / "x.txt")

    def test_a_file_that_takes_its_final_name_meanwhile(self, tmp_path: Path) -> None:
        """Who waits for the partial file of one that is just being completed must not come to hold the final file."""
        first, path = FileLock(tmp_path / "x.partial"), tmp_path / "x"
        os.write(first.descriptor, b"complete")
        second = os.open(tmp_path / "x.partial", os.O_RDWR)
        (tmp_path / "x.partial").rename(path)
        first.release()
        fcntl.flock(second, fcntl.LOCK_EX)
        with FileLock(tmp_path / "x.partial") as third:
            assert third.in_place
        os.close(second)
        assert path.read_bytes() == b"complete"

    def test_many_at_once_and_one_gets_it(self, tmp_path: Path) -> None:
        counter = itertools.count()
        refused: list[SinkError] = []
        inside: list[int] = []
        most: list[int] = []

        def use() -> None:
            for _ in range(40):
                try:
                    with OutputFile(tmp_path / "x.txt") as output:
                        inside.append(1)
                        most.append(len(inside))
                        output.write(f"{next(counter)}".encode())
                        inside.pop()
                except SinkError as error:
                    refused.append(error)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(most) == {1}
        assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
        assert all("another run is writing it" in str(error) for error in refused)

    def test_a_file_system_without_locks_is_told_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def flock(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr("sinks.locks.fcntl.flock", flock)
        monkeypatch.setattr("sinks.locks._warned", set())
        for name in ("a", "b"):
            check_output(tmp_path / name)
            with OutputFile(tmp_path / name) as output:
                output.write(b"x")
        (record,) = caplog.records
        assert "this file system has no locks" in record.message


class TestFolderLock:
    def test_it_leaves_nothing_and_takes_over_what_a_kill_left(self, tmp_path: Path) -> None:
        (tmp_path / ".door.lock").touch()
        lock = FolderLock(tmp_path, "door")
        assert not is_locked_elsewhere(tmp_path / ".door.lock"), "it is this process's own"
        with pytest.raises(SinkError, match="another run is writing it"):
            FolderLock(tmp_path, "door")
        FolderLock(tmp_path, "gate").release()
        lock.release()
        assert not list(tmp_path.iterdir())

    def test_two_runs_of_detect_in_one_folder(self, tmp_path: Path) -> None:
        outputs = [ImageCopies(tmp_path / "out", [], CLASS_NAMES, extract=False) for _ in range(2)]
        with outputs[0], pytest.raises(SinkError, match="another run is writing it"), outputs[1]:
            pass
        with outputs[1]:
            pass
        assert not list((tmp_path / "out").iterdir())

    def test_a_missing_folder_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="cannot write"):
            FolderLock(tmp_path / "none", "door")


def test_a_report_is_claimed_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written last, but a second run with the same one is refused while the first goes on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sightline.composition.pipeline.create_detector", lambda *_, **__: BlobDetector())
    write_clip(Path("clip.mp4"), count=3)
    Path("look.py").write_text(
        "from sinks.output_files import Claim\n"
        "def on_frame(frame):\n"
        "    try:\n"
        "        Claim('report.json')\n"
        "    except OSError as error:\n"
        "        open('said.txt', 'w').write(str(error))\n"
    )
    assert main(["clip.mp4", "--report", "report.json", "--callbacks", "look.py", "--quiet"]) == 0
    assert "another run is writing it" in Path("said.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "look.py", "report.json", "said.txt"]
    assert "clip" in Path("report.json").read_text()
