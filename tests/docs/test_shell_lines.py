"""Every line that a page gives to a shell runs, and prints and leaves what the page says of it.

Most pages have a test file of their own for that. Here are the lines of the others, and the account of all: a line that
no test runs is named with the reason.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.event_codec import decode_json
from sightline.commands.feed import describe
from sightline.commands.main import main
from tests.support.clips import write_clip
from tests.support.free_ports import free_port, free_port_pair
from tests.support.images import blocks as blocks_of
from tests.support.rtsp_server import FileLoop, RtspServer, require_rtsp_server
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
# Those in Chinese have the same lines, as test_chinese.py sees to.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = "python run_pipeline.py "

# Each of these tests takes all lines of its page.
ELSEWHERE = {
    "api.md": "tests/docs/test_api.py",
    "cluster.md": "tests/sightline/cluster/test_ray.py",
    "classification.md": "tests/sightline/commands/test_classify.py",
    "engines.md": "tests/docs/test_engines.py",
    "first-steps.md": "tests/docs/test_first_steps.py",
    "models.md": "tests/docs/test_models.py",
    "notifications.md": "tests/sightline/commands/test_notify.py",
    "page.md": "tests/sightline/server/page/test_page.py",
    "pictures.md": "tests/docs/test_pictures.py",
    "README.md": "tests/docs/test_readme.py",  # but for cameras and `listen`, which are here
    "retinanet.md": "tests/docs/test_retinanet.py",
}
NOT_RUN = {
    "make demo": "it is the product as a whole, set up from nothing; its parts are what all other tests run",
    "make test": "it is this",
    "make test-all": "it is this",
    "make lint": "it is what comes before this",
    "pytest tests/trackers -q": "it is a part of this",
    "source .venv/bin/activate": "it changes the shell that it is given to, and nothing else",
    f"{PROGRAM}models fetch yolov3": "it needs a network; tests/pipeline/models/test_downloader.py has a server for it",
    f"{PROGRAM}models fetch retinanet": "likewise",
    f"{PROGRAM}VIDEO --model yolov3": "its weights, 248 MB, are on no test machine",
    f"{PROGRAM}webcam:0 --jsonl out/events.jsonl": "it needs a device; tests/pipeline/sources/test_webcam.py has one",
    "python benchmarks/tracking.py --mot DIR --tracker buffered --out OUT": "it needs MOT's data: tests/benchmarks",
    "python benchmarks/tracking.py --score tracks.txt --gt DIR/SEQ": "likewise",
    "python benchmarks/tracking.py --speed --mot DIR": "likewise",
    "python benchmarks/tracking.py --cross-validate DATA --recorded RECORDED": "it takes an hour",
    "python -m benchmarks.tracking_camera DATA RECORDED": "it needs recorded detections and takes minutes",
    "python -m benchmarks.tracking_appearance DATA RECORDED NETWORK.onnx": "likewise",
    "sudo git clone . /opt/sightline && sudo make -C /opt/sightline setup": "it changes the machine",
    "sudo install -D -m 644 my.yaml /etc/sightline/sightline.yaml": "likewise",
    "sudo install -m 644 packaging/sightline.service /etc/systemd/system/": "likewise; a test rates the unit",
    "sudo systemctl daemon-reload && sudo systemctl enable --now sightline": "it needs systemd as the first process",
    "docker build -t sightline .": "it needs Docker; tests/test_container.py has what can be tried without",
    "SIGHTLINE_TOKEN=a-word-of-16-letters docker compose up": "likewise",
    "docker run --rm sightline --help": "likewise",
}


def shell_lines() -> Iterator[tuple[str, str]]:
    """Each line that is for a shell, with its page, without remarks."""
    for page in PAGES:
        for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language in ("sh", "console", "bash", "shell"):
                for line in text.replace("\\\n", " ").splitlines():
                    yield page.name, re.sub(r" +# .*", "", line).strip()


def of_page(page: str, holding: str = "") -> list[list[str]]:
    """The words after the program's name of each line of a page that holds a text."""
    found = [line for name, line in shell_lines() if name == page and holding in line and line not in NOT_RUN]
    assert found, f"{page} has no such line any more"
    return [shlex.split(line.removeprefix(PROGRAM)) for line in found]


def blocks(page: str, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall((ROOT / "docs" / page).read_text("utf-8")) if found == language]


def events(path: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.fixture
def folder(demo_clip: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the clips that the pages speak of."""
    for name in ("clip.mp4", "hall.mp4", "folder/a.mp4", "folder/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(demo_clip, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def cameras() -> Iterator[Callable[[str], str]]:
    """A server of cameras, and what turns the addresses of a page into its."""
    require_rtsp_server()
    clip = FileLoop(Path("clip.mp4"))
    with RtspServer({"stream": clip, "yard": clip}) as server:
        places = {"rtsp://camera.local/stream": server.url_of("stream"), "webcam:0": server.url_of("yard")}
        yield lambda word: places.get(word, word)


def test_every_line_is_run_or_it_is_said_why_not() -> None:
    here = (Path(__file__)).read_text()
    for page, line in shell_lines():
        assert line in NOT_RUN or page in ELSEWHERE or f'"{page}"' in here, (page, line)
    assert not set(NOT_RUN) - {line for _, line in shell_lines()}
    for page, test in ELSEWHERE.items():
        assert (ROOT / test).exists(), page


@pytest.mark.slow
def test_the_readme_s_cameras(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, doctor = of_page("README.md", "rtsp://")
    with cameras() as placed:
        assert main([*map(placed, run), "--duration", "2", "--quiet"]) == 0
        capsys.readouterr()
        assert main([*map(placed, doctor)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"carries \d+ such camera|does not keep up with one such camera", told)
    kinds = Counter((event["stream"], event["type"]) for event in events("out/events.jsonl"))
    assert [kinds[name, "stream.ended"] for name in ("stream", "yard")] == [1, 1]


def test_who_listens_gets_what_is_in_the_file(folder: Path) -> None:
    run, listen = of_page("README.md", "tcp://127.0.0.1:5556")
    port = free_port_pair()
    address = f"tcp://127.0.0.1:{port}"
    run, listen = ([word.replace("tcp://127.0.0.1:5556", address) for word in words] for words in (run, listen))
    command = [sys.executable, str(ROOT / "run_pipeline.py"), *listen]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        try:
            # It may come before the run, and must be there before the run is over: until it is, somebody else answers.
            with socket.create_server(("127.0.0.1", port)) as door:
                door.settimeout(PATIENCE_S)
                door.accept()[0].close()
            assert main([*run, "--duration", "2", "--quiet"]) == 0
            heard, _ = listener.communicate(timeout=PATIENCE_S)
        finally:
            listener.kill()
    told = heard.splitlines()
    lines = Path("out/events.jsonl").read_bytes().splitlines()
    written = [describe(event) for line in lines if (event := decode_json(line)) is not None]
    assert told[0].split()[2] == "feed.snapshot"
    assert len(told) > 10
    assert told[1:] == written[1 - len(told) :], "from when it joined it misses nothing"


def test_many_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = of_page("batch.md")
    words = [str(path) for word in words for path in (sorted(folder.glob(word)) if "*" in word else [word])]
    assert main([*words, "--duration", "1"]) == 0
    assert "2 files: 2 done" in capsys.readouterr().out
    told = events("out/manifest.jsonl")
    assert [entry["state"] for entry in told] == ["done", "done"]
    for field in re.findall(r"`(\w+)`", (ROOT / "docs" / "batch.md").read_text().partition("object a\n")[2])[:5]:
        assert field in told[0], field
    assert {path.name for path in Path("out").glob("*.mp4")} == {"a.mp4", "b.mp4"}


def test_callbacks(folder: Path, demo_clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (words,) = of_page("callbacks.md")
    Path("my_file.py").write_text(blocks("callbacks.md", "python")[0])
    assert main([str(demo_clip) if word == "VIDEO" else word for word in words]) == 0
    told = capfd.readouterr().out
    for line in (
        r"\d+\.\d\d s: \w+ number \d+ at \(",
        r"second \d+: \d+\.\d people at once, \d+ different ones",
        r"minute 0: 250 frames, \d+% of it seen",
        r"\S+ \d+\.\d+ TrackStarted",
        r"\S+ ended \(end\): 250 of 250 frames processed",
    ):
        assert re.search(f"^{line}", told, re.MULTILINE), line


def test_configurations(folder: Path, demo_clip: Path) -> None:
    Path("my.yaml").write_text(blocks("configuration.md", "yaml")[0])
    for words in of_page("configuration.md"):
        given = [str(demo_clip) if word == "VIDEO" else word for word in words]
        assert main([*given, "--duration", "3", "--quiet"]) == 0
        wanted = {"person"} if "filters.classes=[person]" in words else {"person", "bicycle"}
        assert Path("out/annotated.mp4").stat().st_size > 0
        if "output.jsonl=" in words:
            assert not Path("out/events.jsonl").exists(), "an empty value is none"
        else:
            found = {event["class"] for event in events("out/events.jsonl") if event["type"] == "track.started"}
            assert found <= wanted
            Path("out/events.jsonl").unlink()


def test_mistakes_are_told_as_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = blocks("configuration.md", "text")
    (wrong,) = (text for text in blocks("configuration.md", "yaml") if "confidense" in text)
    Path("my.yaml").write_text(wrong)
    assert main(["clip.mp4", "--config", "my.yaml"]) == 2
    assert shown in capsys.readouterr().err


def test_a_live_stream(folder: Path) -> None:
    (words,) = of_page("live.md", "rtsp://camera.local")
    with cameras() as placed:
        assert main([*map(placed, words), "--duration", "2", "--quiet"]) == 0
    kinds = [event["type"] for event in events("out/events.jsonl")]
    assert (kinds[0], kinds[-1]) == ("stream.started", "stream.ended")


@pytest.mark.slow
def test_a_camera_on_a_bad_line(folder: Path) -> None:
    """The proxy as the page starts it, with the test's addresses, and its first outage a little earlier."""
    proxy, run = (words for words in of_page("live.md") if "rtsp://camera.local/stream" not in words)
    port = free_port()
    with cameras() as placed:
        camera = placed("rtsp://camera.local/stream")
        host = re.search(r"127\.0\.0\.1:\d+", camera)
        assert host is not None
        given = [host[0] if word == "10.0.0.7:554" else word for word in proxy[3:]]
        given[given.index("--listen") + 1] = f"127.0.0.1:{port}"
        for option, earlier in (("--stall-at", "60"), ("--cut-at", "2")):
            given[given.index(option) + 1] = earlier
        command = [sys.executable, "-m", *proxy[2:3], *given]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                address = camera.replace(host[0], f"127.0.0.1:{port}")
                words = [address if word.startswith("rtsp://") else word for word in run]
                assert main([*words, "--duration", "5", "--quiet"]) == 0
            finally:
                process.kill()
    kinds = Counter(event["type"] for event in events("out/events.jsonl"))
    assert kinds["stream.offline"] >= 1
    assert kinds["stream.online"] >= 1


def test_less_work(folder: Path) -> None:
    Path("my_zones.yaml").write_text(blocks("zones.md", "yaml")[0])
    write_clip(Path("hall.mp4"), count=50, draw=lambda _: blocks_of(120, 160))
    for words in of_page("speed.md"):
        assert main([*words, "--report", "report.json", "--quiet"]) == 0
        report = json.loads(Path("report.json").read_text())
        (stream,) = report["streams"].values()
        assert 0 < report["stages"]["detect"]["count"] < stream["processed"]


def test_a_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["store={path: events.db}", "lines={gate: {start: [0, 0.5], end: [1, 0.5], units: fraction}}"]
    options = [word for setting in settings for word in ("--set", setting)]
    for name in ("gate=clip.mp4", "clip.mp4"):
        source = ["--set", "streams={gate: {source: clip.mp4}}"] if "=" in name else [name]
        assert main([*source, *options, "--jsonl", "all.jsonl", "--duration", "4", "--quiet"]) == 0
    newest = events("all.jsonl")
    capsys.readouterr()
    commands = of_page("store.md")
    ((_, sql, *_),) = (words for words in commands if words[0] == "query")
    assert main(["query", sql]) == 0
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    counts = [int(row["tracks"]) for row in table]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) >= sum(event["type"] == "track.ended" for event in newest) > 0
    for words in commands:
        if words[0] != "query":
            assert main([str(newest[0]["run"]) if word == "6f1f3d0e" else word for word in words]) == 0, words
    exported = csv.DictReader(Path("events.csv").read_text().splitlines())
    assert {row["type"] for row in exported} <= {"line.crossed", "zone.left"}
    assert {event["stream"] for event in events("events.jsonl")} == {"gate"}
    page = Path("report.html").read_text()
    assert "<svg" in page
    assert not re.search(r"(?:src|href)=\"https?:", page), "it loads nothing from anywhere"
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    assert parquet.read_table("events.parquet").num_rows == len(newest)
