"""The command line as a user meets it: one plain line for each mistake, the right exit code, nothing half-written."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import typer

from sightline.commands.main import COMMANDS, command_line, main
from sightline.commands.plain_log import _StandardErrorHandler
from sightline.server.control_socket import ControlSocket
from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[3]


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    return lines[0]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / "run_pipeline.py"), *map(str, arguments)]


def text_file(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("this is no video\n" * 100)
    return path


def zero_bytes(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def audio_only(folder: Path) -> Path:
    path = folder / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for _ in range(20):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda folder: folder / "missing.mp4", 2, "missing.mp4"),
        (lambda folder: folder, 1, "folder"),
        (text_file, 1, "text.mp4"),
        (zero_bytes, 1, "empty.mp4"),
        (audio_only, 1, "sound.m4a"),
    ],
    ids=["missing", "directory", "text", "zero bytes", "audio only"],
)
def test_a_bad_input_is_one_line(
    make: Callable[[Path], Path], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "out"
    outputs.mkdir()
    source = make(tmp_path)
    given = [str(source), "-o", str(outputs / "x.mp4"), "--jsonl", str(outputs / "x.jsonl")]
    assert main(given) == code
    assert says in error_line(capsys)
    assert list(outputs.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--model", "tiny-yolo"], 2, "tiny-yolov3"),
        (["--classes", "persn"], 2, "person"),
        (["--weights", "nowhere.weights"], 2, "nowhere.weights"),
        (["--set", "model.confidense=0.5"], 2, "confidence"),
        (["--set", "model.confidence=5"], 2, "confidence"),
        (["--input-size", "417"], 2, "32"),
        (["--tracker", "sorty"], 2, "sort"),
        (["--detect-every", "0"], 2, "detect_every"),
        (["--config", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["--callbacks", "nowhere.py"], 2, "nowhere.py"),
        (["--no-such-option"], 2, "--no-such-option"),
        (["-o", "x.avi"], 2, ".mp4"),
        (["--jsonl", "/"], 2, "it is a folder; name a file in it"),
        (["-o", "/"], 2, "its name must end in .mp4"),
        (["-c", "/"], 2, "is not a file; give the path of a YAML file"),
        (["-c", "."], 2, "is not a file; give the path of a YAML file"),
        (["--set", "store.path=/"], 2, "it is a folder; name a file in it"),
        (["--record", ""], 2, "is empty; name a folder"),
        (["--report", f"{__file__}/x.json"], 2, "part of its path is a file"),
        (["--classes", ""], 2, "names no class"),
        (["--tracker", "swort"], 2, "did you mean sort"),
        (["--events", "tcp://0.0.0.0:5556"], 2, "127.0.0.1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(
    arguments: Sequence[str],
    code: int,
    says: str,
    demo_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(demo_clip), *arguments]) == code
    assert says in error_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_all_mistakes_of_a_config_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("source: a.mp4\nmodle:\n  name: x\ndetect_every: 0\n")
    assert main(["--config", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert any("modle" in line and "model" in line and ":2" in line for line in lines)
    assert any("detect_every" in line and ":4" in line for line in lines)


def test_a_port_in_use_is_told_before_the_video_is_read(demo_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([str(demo_clip), "--events", f"tcp://127.0.0.1:{port}"]) == 1
    assert str(port) in error_line(capsys)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to drop to a user without permission")
def test_no_permission_on_the_output_folder(demo_clip: Path) -> None:
    # Root may write anywhere, so the check runs as nobody, in a place that nobody can reach. Nobody may not read Python
    # either, where that is root's own: a run before, which fails by the same way, has imported what is needed.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "locked").mkdir(mode=0o555)
        (folder / "file").touch()
        script = (
            "import os, sys; from run_pipeline import main; "
            f"run = lambda output: main([{str(demo_clip)!r}, '-o', output]); "
            f"run({str(folder / 'file' / 'x.mp4')!r}); "
            "os.seteuid(65534); "
            f"sys.exit(run({str(folder / 'locked' / 'x.mp4')!r}))"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert "no permission" in done.stderr.splitlines()[1]


def test_truncated_weights_are_refused(
    demo_clip: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short.weights"
    path.write_bytes(tiny_weights.read_bytes()[:-4])
    output = tmp_path / "x.mp4"
    assert main([str(demo_clip), "--weights", str(path), "-o", str(output)]) == 1
    line = error_line(capsys)
    assert "35434956" in line.replace(",", "").replace(" ", "") or "35,434,956" in line
    assert not output.exists()


@pytest.fixture(scope="module")
def finished_run(demo_clip: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run of the demo clip as a user starts it, with every file output."""
    folder = tmp_path_factory.mktemp("run")
    done = subprocess.run(
        command(
            demo_clip, "-o", folder / "x.mp4", "--jsonl", folder / "x.jsonl", "--tracks", folder / "x.txt",
            "--report", folder / "x.json", "--duration", "4",
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a run that goes well says nothing on standard error where that is no terminal"
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def test_the_main_job_leaves_all_its_outputs(finished_run: Path) -> None:
    assert sorted(path.name for path in finished_run.iterdir()) == ["stdout.txt", "x.json", "x.jsonl", "x.mp4", "x.txt"]
    report = json.loads((finished_run / "x.json").read_text())
    stream = report["streams"]["bikes"]
    assert stream["decoded"] == stream["processed"] + sum(stream["dropped"].values()) + sum(stream["failed"].values())
    assert stream["processed"] == 100
    assert stream["objects"]["person"]["unique"] >= 1
    assert {"p50_ms", "p95_ms", "p99_ms"} <= set(report["stages"]["decode"])
    assert report["input_shape"] == [192, 416]
    assert report["fps"] > 0
    assert 0 < report["start_s"] <= report["wall_s"]
    assert report["precision"] in ("float32", "bfloat16", "float16", "int8")
    assert report["network_threads"] >= 1
    assert "; precision auto, measured " in report["engine_reason"] or "the only precision" in report["engine_reason"]
    assert "tensorflow" in report["versions"]
    with av.open(str(finished_run / "x.mp4")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert sum(1 for _ in container.decode(video)) == 100


def test_the_summary_tells_what_was_seen(finished_run: Path) -> None:
    printed = (finished_run / "stdout.txt").read_text()
    assert "person" in printed
    assert "100 processed" in printed
    assert "network: " in printed
    assert "x.mp4" in printed.replace("\n", "")


def test_the_events_are_numbered_without_gaps(finished_run: Path) -> None:
    events = [json.loads(line) for line in (finished_run / "x.jsonl").read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "stream.started"
    assert events[-1]["type"] == "stream.ended"
    assert sum(event["type"] == "window.second" for event in events) == 4
    started = {event["track_id"] for event in events if event["type"] == "track.started"}
    ended = [event["track_id"] for event in events if event["type"] == "track.ended"]
    assert sorted(started) == sorted(ended)


def in_file(path: Path, text: bytes) -> bool:
    return path.exists() and text in path.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_run_finishes_its_outputs(
    number: signal.Signals, demo_clip: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    jsonl, video, report = tmp_path / "x.jsonl", tmp_path / "x.mp4", tmp_path / "x.json"
    given = command(demo_clip, "-o", video, "--jsonl", jsonl, "--report", report, "--input-size", "608")
    process = subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    partial = jsonl.with_name("x.partial.jsonl")
    wait_until(lambda: process.poll() is not None or in_file(partial, b"window.second"), "the first second")
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    last = json.loads(jsonl.read_text().splitlines()[-1])
    assert (last["type"], last["reason"]) == ("stream.ended", "interrupted")
    ledger = last["ledger"]
    assert ledger["decoded"] == ledger["processed"] + sum(ledger["dropped"].values()) + sum(ledger["failed"].values())
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == ledger["processed"]
    assert report.exists()


def test_a_run_takes_commands_and_a_changed_configuration(
    demo_clip: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    config, jsonl = tmp_path / "run.yaml", tmp_path / "x.jsonl"
    text = f"output: {{jsonl: {jsonl}}}\ncontrol: {endpoint}\nmodel: {{input_size: 608}}\nstreams:\n"
    text += f"  one: {{source: {demo_clip}}}\n"
    config.write_text(text)
    process = subprocess.Popen(command("--config", config), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    partial = jsonl.with_name("x.partial.jsonl")
    wait_until(lambda: process.poll() is not None or in_file(partial, b"window.second"), "the first second")
    assert process.poll() is None, process.communicate()
    assert main(["control", endpoint, "status"]) == 0
    told = re.fullmatch(
        r"one: online, ([\d.]+) fps in, ([\d.]+) fps analysed over the last (\d+) s,.*\n", capsys.readouterr().out
    )
    assert told is not None, "the first answer tells real rates"
    assert float(told[1]) > 0
    assert float(told[2]) > 0
    config.write_text(text + f"  two: {{source: {demo_clip}}}\n")
    assert main(["control", endpoint, "reload"]) == 0
    assert "1 added (two), 1 unchanged" in capsys.readouterr().out
    config.write_text("streams: 3\n")
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: process.poll() is not None or in_file(partial, b'"stream":"two"'), "the other stream")
    assert process.poll() is None, process.communicate()
    assert main(["control", endpoint, "stop"]) == 0
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "streams: got 3" in errors
    events = [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert {event["stream"] for event in events if event["type"] == "stream.ended"} == {"one", "two"}


@pytest.mark.slow
def test_doctor_says_what_a_clip_needs(demo_clip: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", str(demo_clip)])
    printed = capsys.readouterr().out
    assert "640x272" in printed
    assert "The bottleneck is" in printed


def test_help_names_every_option_of_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    text = capsys.readouterr().out
    options = (
        "output fps model weights input-size engine precision classes confidence iou detect-every tracker events jsonl "
        "tracks callbacks config set report duration quiet no-audio"
    )
    for option in options.split():
        assert f"--{option}" in text


@pytest.mark.parametrize(
    "command",
    [
        *("", "run", "control", "calibrate", "listen", "query", "export", "detect", "classify"),
        *("models", "models fetch", "models convert", "keys", "keys new"),
    ],
)
def test_a_command_without_its_argument_shows_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert f"run_pipeline.py {command}".rstrip() in lines[0]
    assert len(lines) > 5
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lsiten"], "error: lsiten: there is no such file and no such command; did you mean listen"),
        (["frobnicate", "--quiet"], "error: frobnicate: there is no such file and no such command; check the path"),
        (["nothing.mp4"], "error: nothing.mp4: no such file"),
        (["run", "--fps"], "error: Option '--fps' requires an argument"),
        (
            ["listen", "tcp://127.0.0.1:1", "--types", "zone.letf"],
            "error: unknown event type 'zone.letf': did you mean",
        ),
        (["listen", "tcp://127.0.0.1:1", "--types", "stats,nope"], "error: unknown event type 'nope': there are"),
        (["listen", "tcp://127.0.0.1:1", "--types", ","], "error: --types: names no type"),
        (["listen", "tcp://127.0.0.1:1", "--topic", "zone.left"], "error: topic 'zone.left': begins with a type"),
    ],
)
def test_a_slip_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(says)


def test_models_list_says_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    printed = capsys.readouterr().out
    assert "tiny-yolov3" in printed
    assert "yolov3" in printed


def test_a_section_that_is_none_is_told_whatever_the_command_line_adds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("source: clip.mp4\noutput: x.mp4\ntracker: sort\n")
    assert main(["-c", str(config), "-o", str(tmp_path / "y.mp4"), "--tracker", "bytetrack"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert 'bad.yaml:2: output: got "x.mp4", expected a section' in first
    assert 'bad.yaml:3: tracker: got "sort", expected a section' in second


def test_the_other_command_is_named(tmp_path: Path, demo_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(demo_clip)]) == 2
    assert "is a video, not a picture; give it to the command run" in error_line(capsys)
    picture = tmp_path / "a.png"
    picture.write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    assert main([str(picture)]) == 2
    assert "is a picture, not a video; give it to the command detect" in error_line(capsys)


def test_version_and_whole_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"sightline \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert main(["--help"]) == 0
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_an_error_of_a_run_is_an_exit_code_of_control(capsys: pytest.CaptureFixture[str]) -> None:
    with ControlSocket("tcp://127.0.0.1:*", {"reload": lambda: "error: not taken over"}) as control:
        assert main(["control", control.endpoint, "reload"]) == 1
        assert error_line(capsys) == "error: not taken over"
        assert main(["control", control.endpoint, "dance"]) == 1
        assert "there are reload" in error_line(capsys)


def test_the_log_may_be_objects(capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import logging\nfrom sightline.commands.plain_log import *\nlog_to_standard_error()\n"
        "set_log(log_format='json', verbose=1, quiet=False)\n"
        "logging.getLogger('sinks.video').info('opened %s', 'rtsp://admin:secret@door/')\n"
        "logging.getLogger('elsewhere').info('nobody asked')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"]) == ("info", "sinks.video")
    assert "secret" not in told["message"]


def test_the_log_goes_above_what_is_shown_live() -> None:
    handler = _StandardErrorHandler()
    taken = io.StringIO()
    with redirect_stderr(taken):
        handler.handle(logging.LogRecord("x", logging.WARNING, "x", 1, "above", (), None))
    assert taken.getvalue() == "above\n"


def test_every_command_is_found_by_its_name() -> None:
    whole = typer.main.get_command(command_line()).commands  # type: ignore[attr-defined]
    assert set(whole) == set(COMMANDS)
    for name in COMMANDS:
        assert name in typer.main.get_command(command_line(name)).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("arguments", ["schema", "--version"])
def test_a_full_standard_output_is_told_in_one_line(arguments: str) -> None:
    line = f"{sys.executable} {ROOT / 'run_pipeline.py'} {arguments} > /dev/full"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: can't write to standard output: ")
    assert done.stderr.count("\n") == 1


def test_closed_standard_streams_are_no_fault(demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    events = tmp_path / "x.jsonl"
    line = f"{sys.executable} {ROOT / 'run_pipeline.py'} {demo_clip} --duration 0.1 --jsonl {events}"
    line += " --engine openvino --precision float32 <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], check=False).returncode == 0
    assert all(event.startswith("{") for event in events.read_text().splitlines())


def test_the_installed_command_ends_as_run_pipeline_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        module, _, function = tomllib.load(file)["project"]["scripts"]["sightline"].partition(":")
    monkeypatch.setattr(sys, "argv", ["sightline", "--version"])
    ended: list[int] = []
    monkeypatch.setattr(f"{module}.end_process", ended.append)
    getattr(importlib.import_module(module), function)()
    assert ended == [0]
