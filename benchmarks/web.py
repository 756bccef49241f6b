"""What it costs a run to be served, and what it takes: nobody who looks, many edits, many requests.

    python -m benchmarks.web [cost] [edits] [requests] [--clip CLIP] [--rounds 5] [--edits 500] [--requests 10000]

cost      frames a second of a run with and without `--web`, in turn, nobody looking
edits     zones drawn and moved over HTTP while a run goes on: ids given twice, frames lost, memory
requests  requests of all kinds, right and wrong, as fast as they are answered, to the run of a camera of 25 fps and to
          that of a file: frames a second before, meanwhile and after, memory, answers of the 5xx kind
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import av
import psutil
import requests

from benchmarks.measure import ROOT
from benchmarks.throughput import default_clips
from tests.support.rtsp_server import FileLoop, RtspServer

SETTLED = 0.2  # part of the edits or requests after which memory is compared


def arguments_of(source: Path | str, folder: Path) -> list[str]:
    """The command of a run that writes its events and its report."""
    outputs = ["--jsonl", str(folder / "events.jsonl"), "--report", str(folder / "report.json")]
    return [sys.executable, str(ROOT / "run_pipeline.py"), "run", str(source), *outputs]


def frames_a_second(clip: Path, *options: str) -> float:
    """Those of a run to the end of a clip."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*arguments_of(clip, Path(folder)), "--quiet", *options]
        subprocess.run(command, check=True, capture_output=True)
        return float(json.loads((Path(folder) / "report.json").read_text())["fps"])


def cost(clip: Path, rounds: int) -> None:
    """Print frames a second with and without a server that nobody looks at."""
    plain, served = [], []
    for _ in range(rounds):
        plain.append(frames_a_second(clip))
        served.append(frames_a_second(clip, "--web", "127.0.0.1:0"))
    ratios = [with_web / without for with_web, without in zip(served, plain, strict=True)]
    print(f"without --web {median(plain):.1f} fps, with it {median(served):.1f} fps")
    print(f"ratio per round: {', '.join(f'{ratio:.3f}' for ratio in ratios)}; median {median(ratios):.3f}")


def long_clip(clip: Path, folder: Path, seconds: float) -> Path:
    """The clip again and again, without encoding it anew."""
    target = folder / "long.mp4"
    with av.open(target, "w") as output:
        stream, shift = None, 0
        while stream is None or shift * (stream.time_base or 0) < seconds:
            with av.open(clip) as source:
                video = source.streams.video[0]
                stream = stream or output.add_stream_from_template(video)
                last = 0
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    last = max(last, packet.pts + (packet.duration or 1))
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    output.mux(packet)
                shift += last
    return target


@contextmanager
def served(source: Path | str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A run that is served until the block is left: its address and its process."""
    command = [*arguments_of(source, folder), "--web", "127.0.0.1:0", "--set", f"store.path={folder / 'events.db'}"]
    told = folder / "told.txt"
    with told.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as process:
        while (found := re.search(r"^web: (\S+)/$", told.read_text(), re.MULTILINE)) is None:
            assert process.poll() is None, told.read_text()
            time.sleep(0.1)
        url = found[1]
        while requests.get(f"{url}/api/streams", timeout=60).json()["streams"][0]["state"] != "online":
            time.sleep(0.2)
        yield url, psutil.Process(process.pid)
        process.terminate()
        process.wait()


def account(folder: Path) -> str:
    """What became of the frames and the ids of a run."""
    (stream,) = json.loads((folder / "report.json").read_text())["streams"].values()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    ids = Counter(event["track_id"] for event in events if event["type"] == "track.started")
    twice = sum(count > 1 for count in ids.values())
    offline = sum(event["type"] == "stream.offline" for event in events)
    lost = {**stream["dropped"], **stream["failed"]}
    return f"{stream['processed']} of {stream['decoded']} frames, {lost}; {len(ids)} ids, {twice} twice; {offline} gaps"


def growth(sizes: Sequence[int]) -> str:
    """How much memory there was, of sizes in bytes."""
    early, late = sizes[int(SETTLED * len(sizes))], sizes[-1]
    return f"memory {early / 1e6:.0f} MB after the first fifth, {late / 1e6:.0f} MB at the end"


def edits(clip: Path, count: int) -> None:
    """Print what many edits do to a run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(long_clip(clip, folder, 600), folder) as (url, process):
            took, sizes = [], []
            for number in range(count):
                far = 0.2 + 0.7 * (number % 11) / 11
                zones: dict[str, Any] = {"left": {"polygon": [[0, 0], [far, 0], [far, 1], [0, 1]], "units": "fraction"}}
                if number % 2:
                    zones[f"zone {number}"] = zones["left"]
                begun_s = time.perf_counter()
                answer = requests.put(f"{url}/api/streams/long/zones", json={"zones": zones}, timeout=60)
                took.append(time.perf_counter() - begun_s)
                assert answer.status_code == 200, answer.text
                sizes.append(process.memory_info().rss)
        print(f"{count} edits, {1000 * median(took):.0f} ms each in the median; {account(folder)}")
        print(growth(sizes))


def some_request(random: Random, url: str, stream: str) -> tuple[str, str, dict[str, Any]]:
    """Method, address and options of a request, of which some are wrong."""
    junk = random.choice(["", "%00", "../..", "<script>", "9" * 40, stream, "none", "\u202e"])
    path = random.choice([
        "/api/streams", "/api/counts", "/api/report", "/api/config", "/metrics", "/readyz", "/", "/api/events",
        f"/api/events?stream={junk}&limit={junk}", f"/api/counts/history?stream={junk}", f"/api/streams/{junk}/zones",
        f"/api/streams/{junk}/frame.jpg?width={junk}", f"/api/streams/{stream}/frame.jpg?boxes=1&width=320",
        f"/page/{junk}", f"/api/streams/{stream}/zones", f"/api/streams/{stream}/lines", f"/{junk}",
    ])  # fmt: skip
    body: Any = random.choice(
        [None, {}, {"zones": junk}, {"zones": {junk: {"polygon": [[0, 0]]}}}, {"token": junk}, []]
    )
    return random.choice(["GET", "GET", "GET", "PUT", "POST", "PATCH"]), url + path, {"json": body}


def floods(clip: Path, count: int) -> None:
    """Print what many requests do to the run of a camera and to that of a file."""
    with tempfile.TemporaryDirectory() as name, RtspServer({"live": FileLoop(clip, fps=25)}) as server:
        flood(server.url, Path(name), count)
    with tempfile.TemporaryDirectory() as name:
        flood(long_clip(clip, Path(name), 1200), Path(name), count // 4)  # a file does not last so long


def flood(source: Path | str, folder: Path, count: int) -> None:
    """Print what many requests do to a run."""
    random = Random(1)
    answers: Counter[int] = Counter()
    sizes = []
    stream = source.stem if isinstance(source, Path) else source.rpartition("/")[2]
    with served(source, folder) as (url, process), requests.Session() as session:
        alone = rate(url, 10.0)
        begun_s, before = time.monotonic(), processed(url)
        for _ in range(count):
            method, address, options = some_request(random, url, stream)
            answers[session.request(method, address, timeout=60, **options).status_code] += 1
            sizes.append(process.memory_info().rss)
        took_s = time.monotonic() - begun_s
        beside = (processed(url) - before) / took_s
        rest = rate(url, 10.0)
    bugs = sum(number for status, number in answers.items() if status >= 500)
    print(f"{stream}: {count} requests in {took_s:.0f} s; {bugs} answered 5xx; {dict(answers)}")
    print(f"frames a second: {alone:.1f} before, {beside:.1f} meanwhile, {rest:.1f} after; {account(folder)}")
    print(growth(sizes))


def processed(url: str) -> int:
    """Frames that the run has processed so far."""
    (stream,) = requests.get(f"{url}/api/report", timeout=60).json()["streams"].values()
    return int(stream["processed"])


def rate(url: str, seconds: float) -> float:
    """Frames a second of the run over some seconds."""
    before = processed(url)
    time.sleep(seconds)
    return (processed(url) - before) / seconds


def main(given: Sequence[str] | None = None) -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", choices=["cost", "edits", "requests", []], default=["cost", "edits", "requests"]
    )
    parser.add_argument("--clip", type=Path, help="default: the traffic clip, or the demo's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--edits", type=int, default=500)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args(given)
    clip = (options.clip or default_clips()[0]).resolve()
    if "cost" in options.what:
        cost(clip, options.rounds)
    if "edits" in options.what:
        edits(clip, options.edits)
    if "requests" in options.what:
        floods(clip, options.requests)


if __name__ == "__main__":
    main()
