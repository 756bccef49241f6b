"""What recording a camera's packets costs, and what a kill leaves of it.

    python -m benchmarks.recording [--rounds 5] [--seconds 20] [--clip FILE]
    python -m benchmarks.recording --kills 20

A real RTSP server sends 1920x1080 at 25 fps. In turn the camera is read and recorded, and only read, each by a process
of its own; the difference of their processor times is the price of recording, and so, with far less noise, is the time
of the recording's own thread and of the tap on the packets, which are shown beside it. With ``--kills``, a recording is
killed at random again and again, and what is left is looked through.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path
from statistics import median

import psutil

from benchmarks.measure import run
from pipeline.sources.decoding.tap import PacketTap
from pipeline.sources.opening import open_source
from sinks.recording.packet_queue import PacketQueue
from sinks.recording.sink import RecordingSink
from tests.sinks.recording.test_trouble import check_killed, kill_while_recording
from tests.support.clips import write_clip
from tests.support.coded_packets import read_packets, segments
from tests.support.rtsp_server import FileLoop, RtspServer, missing_packages

_FPS = 25


def read(url: str, seconds: float, folder: Path | None) -> dict[str, float]:
    """Read a camera for a while, and record it if there is a folder; its frames are decoded, but not converted.

    Returns:
        What it cost as parts of a core: ``process``, and of that ``recording``, its own thread.
    """
    sink = None if folder is None else RecordingSink(folder, "camera", segment_s=10)
    tap = None if sink is None else PacketTap([sink.packets], sound=True)
    with open_source(url, stream="camera", tap=tap, reduce_to=416) as source:
        if sink is not None:
            sink.check()
            sink.open("camera", source.info, [])
        frames = iter(source)
        for _ in islice(frames, _FPS):  # until all runs evenly
            pass
        began_s, cpu_s, own_s = time.monotonic(), time.process_time(), recording_s()
        while time.monotonic() < began_s + seconds:
            next(frames)
        wall_s = time.monotonic() - began_s
        cost = {
            "process": (time.process_time() - cpu_s) / wall_s,
            "recording": (recording_s() - own_s) / wall_s,
        }
    if sink is not None:
        sink.close()
        counts = sink.counts()
        assert counts.given == counts.written > 0, counts
    return cost


def recording_s() -> float:
    """Processor time of the threads that record, in seconds."""
    own = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("record ")}
    return sum(each.user_time + each.system_time for each in psutil.Process().threads() if each.id in own)


def tap_us(clip: Path, count: int = 20_000) -> float:
    """Microseconds of processor time that the reading thread spends on a packet for it to be recorded."""
    import av

    class Nobody(PacketQueue):
        """Takes packets, and lets go of them at once."""

        def get_rid(self) -> None:
            self._items.clear()
            self._bytes = 0

    queue = Nobody()
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        connection = PacketTap([queue], sound=False).connect(
            container, video, frame_s=1 / _FPS, live=True, by_arrival=False
        )
        packets = [packet for packet in container.demux(video) if packet.size]
        took_s = 0.0
        turns = max(1, count // len(packets))
        for _ in range(turns):
            begun_s = time.thread_time()
            for packet in packets:
                connection.take(packet)
            took_s += time.thread_time() - begun_s
            queue.get_rid()
        return 1e6 * took_s / (turns * len(packets))


def compare(clip: Path, rounds: int, seconds: float) -> None:
    """Print what it costs."""
    each_us = tap_us(clip)
    print(f"the tap: {each_us:.1f} us a packet, {100 * each_us * _FPS / 1e6:.3f} % of a core at {_FPS} fps")
    found: dict[str, list[dict[str, float]]] = {"plain": [], "recorded": []}
    with RtspServer(FileLoop(clip, fps=_FPS, width=1920, height=1080, kbps=4000)) as server:
        for number in range(rounds):
            for way in ("plain", "recorded") if number % 2 else ("recorded", "plain"):
                with tempfile.TemporaryDirectory() as folder:
                    options = [] if way == "plain" else ["--folder", folder]
                    command = [sys.executable, "-m", "benchmarks.recording", "--read", server.url, *options]
                    found[way].append(run([*command, "--seconds", str(seconds)]).said)
            print(
                f"round {number + 1}: read {100 * found['plain'][-1]['process']:.2f} % of a core, read and recorded "
                f"{100 * found['recorded'][-1]['process']:.2f} %, the recording's thread "
                f"{100 * found['recorded'][-1]['recording']:.3f} %"
            )
    plain, recorded = (median(each["process"] for each in found[way]) for way in ("plain", "recorded"))
    own = median(each["recording"] for each in found["recorded"])
    print(
        f"median: {100 * plain:.2f} % and {100 * recorded:.2f} %, ratio {recorded / plain:.3f}; thread and tap "
        f"{100 * (own + each_us * _FPS / 1e6):.3f} % of a core for a camera of 1920x1080"
    )


def kills(count: int) -> None:
    """Print what kills leave of a recording."""
    source = random.Random(20)
    worst = 0
    with tempfile.TemporaryDirectory() as place:
        clip = write_clip(Path(place) / "clip.mp4", count=50, keyframe_every=25, options={"sc_threshold": "0"})
        everything = read_packets(clip).pictures
        for number in range(count):
            folder = Path(place) / str(number)
            written, came = kill_while_recording(clip, folder, fps=50, came=source.randint(26, 200))
            left = check_killed(folder, everything)
            assert left >= written, (left, written)
            worst = max(worst, came - left)
            print(f"kill {number + 1}: {came} pictures had come, {left} are there in {len(segments(folder))} segments")
    print(f"{count} kills: no segment damaged, at most {worst} pictures of the open one lost; groups have 25")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clip", type=Path, help="what the camera shows; made if it is not given")
    parser.add_argument("--kills", type=int, help="kill a recording so many times instead")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read is not None:
        print(json.dumps(read(given.read, given.seconds, given.folder)))
    elif given.kills is not None:
        kills(given.kills)
    elif problem := missing_packages():
        parser.exit(1, f"{problem}\n")
    else:
        with tempfile.TemporaryDirectory() as place:
            clip = given.clip or write_clip(Path(place) / "clip.mp4", count=125, size=(1920, 1080))
            compare(clip, given.rounds, given.seconds)


if __name__ == "__main__":
    main()
