"""What the live page costs and how late it is: from a picture's drawing to a browser's canvas, and by viewers.

    python -m benchmarks.live_page [--seconds 20] [--rounds 5] [--browser /usr/bin/chromium]

A run analyses a camera of 25 fps and serves its page. The camera is a real RTSP server; for the first figure it sends
640x480 whose pixels carry the time that they were drawn at, for the next three the demo's clip. Prints

1. glass to glass: a browser shows the camera, and what its canvas holds after each drawing is read back;
2. processor time of the run without viewers, with one and with three, in rounds, each viewer reading every picture;
3. what a viewer costs that reads nothing for a minute: memory, and frames analysed beside it and without it;
4. after how long a tile says that its camera's server was killed;
5. frames a second and processor time of a file's run that serves its page while nobody looks, and of one that doesn't,
   in rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import sync_playwright

from benchmarks.measure import ROOT
from pipeline.events import TrackUpdated
from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES
from sightline.server.live.hub import LiveHub
from tests.support.clips import GRID, UnreadableNumberError, read_time_ms
from tests.support.free_ports import free_port
from tests.support.live_app import LiveClient
from tests.support.rtsp_server import FileLoop, LivePicture, RtspServer
from tests.support.tracked_frames import tracked_frame

_PROGRAM = [str(ROOT / ".venv/bin/python"), str(ROOT / "run_pipeline.py")]
_VIEWERS = (0, 1, 3)
_WIDTH = 960
# After each drawing, the brightness in the middle of each cell of the picture's grid, and when that was.
_READ_BACK = """
(grid) => {
  window.shown = [];
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    draw.apply(this, given);
    const { width, height } = this.canvas;
    const pixels = this.getImageData(0, 0, width, height).data;
    const cells = [];
    for (let row = 0; row < grid; row += 1) {
      for (let column = 0; column < grid; column += 1) {
        const x = Math.floor(((column + 0.5) * width) / grid);
        const y = Math.floor(((row + 0.5) * height) / grid);
        cells.push(pixels[4 * (y * width + x)]);
      }
    }
    window.shown.push([performance.timeOrigin + performance.now(), cells]);
  };
}
"""


@contextmanager
def serving(camera: str) -> Iterator[tuple[psutil.Process, str]]:
    """A run of one camera that serves its page; gives the process and ``HOST:PORT``."""
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen([*_PROGRAM, "run", camera, "--web", address, "--quiet"], cwd=ROOT)
    try:
        with LiveClient(f"ws://{address}/api/live", starting=True) as client:
            client.watch(live=160)
            client.picture(timeout_s=60)
        yield psutil.Process(process.pid), address
    finally:
        process.terminate()
        process.wait()


def glass_to_glass(address: str, seconds: float, browser: str) -> list[float]:
    """Milliseconds from each picture's drawing to its being on a browser's canvas, for those that were shown."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://{address}/#/camera/live")
        page.locator(".screen.large:not(.blank)").wait_for()
        page.evaluate(_READ_BACK, GRID)
        page.wait_for_timeout(1000 * seconds)
        shown: list[tuple[float, list[int]]] = page.evaluate("window.shown")
        chromium.close()
    # The pictures' clock, monotonic, beside that of the browser.
    offset_ms = 1000 * (time.time() - time.monotonic())
    found = []
    for at_ms, cells in shown:
        grid = np.array(cells, np.uint8).reshape(GRID, GRID)
        try:
            drawn_ms = read_time_ms(np.kron(grid, np.ones((GRID, GRID), np.uint8)))
        except UnreadableNumberError:
            continue  # in between two pictures of the camera, or damaged
        found.append((at_ms - offset_ms - drawn_ms) % 2**32)
    return found


def seconds_until_told(server: RtspServer, address: str, browser: str) -> float:
    """Kill the camera's server; how long it takes until the tile in a browser says so."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page()
        page.goto(f"http://{address}/")
        page.locator(".tile[data-state=online]:not(.blank)").wait_for()
        began_s = time.monotonic()
        server.kill()
        page.locator(".tile[data-state=reconnecting]").wait_for()
        took_s = time.monotonic() - began_s
        chromium.close()
    return took_s


def stalled_viewer(process: psutil.Process, address: str, seconds: float) -> tuple[float, float, float]:
    """What a viewer adds that reads nothing: megabytes of memory; frames analysed per second with it, and without."""

    def analysed_per_s() -> float:
        before, began_s = analysed(address), time.monotonic()
        time.sleep(seconds)
        return (analysed(address) - before) / (time.monotonic() - began_s)

    alone = analysed_per_s()
    with LiveClient(f"ws://{address}/api/live") as client:
        memory = process.memory_info().rss
        client.watch(live=_WIDTH)
        beside = analysed_per_s()
        return (process.memory_info().rss - memory) / 1e6, beside, alone


def analysed(address: str) -> int:
    """Frames of the camera that were analysed so far."""
    with urllib.request.urlopen(f"http://{address}/api/report") as answer:
        return int(json.load(answer)["streams"]["live"]["processed"])


def watch(client: LiveClient, stop: threading.Event) -> None:
    """Read every picture at once."""
    client.watch(live=_WIDTH)
    while not stop.is_set():
        client.picture()
        client.acknowledge("live")


def viewing_cost(process: psutil.Process, address: str, viewers: int, seconds: float) -> float:
    """Processor time of a run per second while so many look."""
    stop = threading.Event()
    with ExitStack() as stack:
        threads = []
        for _ in range(viewers):
            client = stack.enter_context(LiveClient(f"ws://{address}/api/live"))
            threads.append(threading.Thread(target=watch, args=(client, stop)))
            threads[-1].start()
        time.sleep(1)
        before, began_s = process.cpu_times(), time.monotonic()
        time.sleep(seconds)
        after, ended_s = process.cpu_times(), time.monotonic()
        stop.set()
        for thread in threads:
            thread.join()
    return (after.user + after.system - before.user - before.system) / (ended_s - began_s)


def unwatched_us() -> float:
    """Microseconds that a frame with an event takes in the live pictures' output while nobody looks."""
    hub, count = LiveHub(), 100_000
    tracked = tracked_frame(0, 0.0, {})
    box = (0.0, 0.0, 1.0, 1.0)
    told: dict[str, Any] = {
        "seq": 1,
        "run": "",
        "stream": "door",
        "pts_s": 0.0,
        "wall": "",
        "track_id": 1,
        "class_name": "person",
    }
    event = TrackUpdated(**told, score=0.5, xyxy=box, age_s=1.0, unseen_s=0.0)
    began_s = time.perf_counter()
    for _ in range(count):
        hub.on_result(tracked, (event,))
    return 1e6 * (time.perf_counter() - began_s) / count


def file_run(clip: Path, *options: str) -> tuple[float, float]:
    """Frames a second of a file's run, and processor seconds of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [*_PROGRAM, "run", str(clip), "--quiet", "--report", str(report), *options]
        process = subprocess.Popen(command, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return json.loads(report.read_text())["fps"], usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    given = parser.parse_args()
    clip = find_packaged(BIKES)
    assert clip is not None, "no demo clip: run make setup, which installs the package that carries it"
    with RtspServer(LivePicture(640, 480, fps=25)) as server, serving(server.url) as (process, address):
        late = glass_to_glass(address, given.seconds, given.browser)
        p50, p95, p99 = np.percentile(late, [50, 95, 99])
        print(f"glass to glass: {len(late)} pictures, ms p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}")
    with RtspServer({"live": FileLoop(clip, fps=25)}) as server, serving(server.url) as (process, address):
        rounds = [
            [viewing_cost(process, address, viewers, given.seconds / 2) for viewers in _VIEWERS]
            for _ in range(given.rounds)
        ]
        grown_mb, beside, alone = stalled_viewer(process, address, 3 * given.seconds)
        told_s = seconds_until_told(server, address, given.browser)
    none, one, three = (statistics.median(each) for each in zip(*rounds, strict=True))
    print(f"cores used: without viewers {none:.3f}, one {one:.3f}, three {three:.3f}")
    run_ratio = statistics.median(three / one for _, one, three in rounds)
    looking_ratio = (three - none) / (one - none)
    print(
        f"three viewers beside one: the run {run_ratio:.2f} times, what looking costs alone {looking_ratio:.2f} times"
    )
    print(
        f"a viewer that reads nothing for {3 * given.seconds:.0f} s: {grown_mb:+.1f} MB, "
        f"{beside:.1f} frames/s analysed beside it, {alone:.1f} without"
    )
    print(f"server killed: the tile says so after {told_s:.1f} s")
    print(f"a frame with an event in the live pictures' output while nobody looks: {unwatched_us():.2f} microseconds")
    pairs = [(file_run(clip), file_run(clip, "--web", f"127.0.0.1:{free_port()}")) for _ in range(given.rounds)]
    rates = [served[0] / plain[0] for plain, served in pairs]
    extra = [served[1] - plain[1] for plain, served in pairs]
    print(
        f"served, nobody looking, beside not served: frames/s {statistics.median(rates):.3f} times "
        f"({min(rates):.3f} to {max(rates):.3f}), processor time of the whole command {statistics.median(extra):+.2f} s"
    )


if __name__ == "__main__":
    main()
