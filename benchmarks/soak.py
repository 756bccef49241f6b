"""Runs the whole pipeline on cameras that misbehave, for minutes or hours, and says whether anything gave way.

    python benchmarks/soak.py --minutes 10                 4 cameras behind bad lines, the server killed now and then
    python benchmarks/soak.py --minutes 5 --no-faults      good lines, to compare with
    python benchmarks/soak.py --restarts 20                kill and restart the server 20 times at random moments

A real RTSP server plays ``--clip`` to each camera's reader through a proxy of its own, which cuts, stalls, slows,
corrupts, drops and reorders on a schedule. The detector, the trackers, the analytics and a JSON Lines output are the
real ones. Every second the process's memory, file descriptors and threads are noted. At the end the ledgers and the
events are checked; the exit code is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

if __package__ in (None, ""):  # run as a script: the project's root is what has to be importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.events import Event, StreamOffline, StreamOnline
from pipeline.interfaces import Sink
from pipeline.models.published import find_packaged
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.runtime.streams.stream import Stream
from pipeline.sources.backoff import Backoff
from pipeline.sources.opening import open_source
from pipeline.sources.reconnect import ReconnectingSource
from sample_videos.fetch import BIKES
from sinks.files.jsonl import JsonlSink
from tests.support.fault_proxy import FaultProxy, Faults, Step
from tests.support.rtsp_server import FileLoop, RtspServer, missing_packages
from trackers.factory import create_tracker

WARM_UP_S = 60.0
READ_TIMEOUT_S = 3.0
LONGEST_WAIT_S = 2.0
# How much longer than the wait between two attempts a camera's return may take.
BACK_WITHIN_S = 2.0
MOST_GROWTH_MB = 20.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment: seconds since the start, MB of memory, descriptors, Python's threads, all threads."""

    at_s: float
    rss_mb: float
    descriptors: int
    threads: int
    tasks: int


class OutageLog(Sink):
    """Notes when each camera went and came back, by ``time.monotonic()``."""

    may_stall = False

    def __init__(self) -> None:
        self.offline: dict[str, list[tuple[float, str]]] = {}
        self.online: dict[str, list[float]] = {}
        self.events: Counter[str] = Counter()
        self.out_of_step: list[str] = []
        self.changed = threading.Condition()

    def on_event(self, event: Event) -> None:
        """As ``Sink``: an offline and an online take turns, or it is noted."""
        self.events[type(event).__name__] += 1
        if not isinstance(event, StreamOffline | StreamOnline):
            return
        with self.changed:
            offline, online = self.offline.setdefault(event.stream, []), self.online.setdefault(event.stream, [])
            if isinstance(event, StreamOffline):
                offline.append((time.monotonic(), event.reason))
            else:
                online.append(time.monotonic())
            if len(offline) - len(online) not in (0, 1):
                self.out_of_step.append(f"{event.stream}: {len(offline)} offline and {len(online)} online events")
            self.changed.notify_all()

    def all_online(self, count: int, streams: Sequence[str]) -> bool:
        """Whether each stream came back for the ``count``-th time."""
        return all(len(self.online.get(name, ())) >= count for name in streams)

    def all_offline(self, count: int, streams: Sequence[str]) -> bool:
        """Whether each stream went for the ``count``-th time."""
        return all(len(self.offline.get(name, ())) >= count for name in streams)


class Sampler:
    """Notes the state of the process every second on a thread of its own, from entry to exit."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._process = psutil.Process()
        self._begun_s = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def take(self) -> Sample:
        """The state now."""
        return Sample(
            time.monotonic() - self._begun_s,
            self._process.memory_info().rss / 1e6,
            self._process.num_fds(),
            threading.active_count(),
            self._process.num_threads(),
        )

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            self.samples.append(self.take())


def bad_line(number: int, bytes_per_s: float) -> tuple[list[Step], float]:
    """What happens to camera ``number``'s line and when, and after how many seconds it begins again."""
    faults = [
        Faults(corrupt=0.05),
        Faults(bytes_per_s=bytes_per_s / 2),
        Faults(drop=0.05),
        Faults(stalled=True),
        Faults(reorder=0.05),
        Faults(refused=True),
    ]
    turned = faults[number % len(faults) :] + faults[: number % len(faults)]
    steps = []
    at_s = 5.0 + 2 * number
    for fault in turned:
        steps += [Step(at_s, fault, cut=fault.refused), Step(at_s + 6, Faults())]
        at_s += 9
    steps.append(Step(at_s, cut=True))
    return steps, at_s + 5


def cameras(given: argparse.Namespace, stack: ExitStack) -> tuple[RtspServer, dict[str, str], dict[str, FaultProxy]]:
    """The server, the address of each camera, and the proxies in between."""
    clip = given.clip or find_packaged(BIKES)
    if clip is None:
        sys.exit("no clip: give one with --clip, or run make setup")
    kbps = 600
    content = FileLoop(clip, fps=given.fps, keyframe_every=given.fps, kbps=kbps)
    names = [f"camera{number}" for number in range(given.streams)]
    server = stack.enter_context(RtspServer(dict.fromkeys(names, content)))
    urls, proxies = {}, {}
    for number, name in enumerate(names):
        if given.faults and not given.restarts:
            steps, repeat_s = bad_line(number, kbps * 1000 / 8)
            proxies[name] = stack.enter_context(
                FaultProxy(("127.0.0.1", server.port), schedule=steps, repeat_s=repeat_s, seed=number)
            )
            urls[name] = server.url_of(name, port=proxies[name].port)
        else:
            urls[name] = server.url_of(name)
    return server, urls, proxies


def build(urls: dict[str, str], detector: YoloDetector, log: OutageLog, events: Path) -> Pipeline:
    """The pipeline over all cameras."""
    streams = []
    for name, url in urls.items():
        connect = partial(open_source, url, stream=name, open_timeout_s=READ_TIMEOUT_S, read_timeout_s=READ_TIMEOUT_S)
        source = ReconnectingSource(connect, stream=name, uri=url, backoff=Backoff(cap_s=LONGEST_WAIT_S))
        streams.append(Stream(source=source, tracker=create_tracker()))
    return Pipeline(streams, detector, sinks=[log, JsonlSink(events)], batch=len(streams))


def soak(given: argparse.Namespace, server: RtspServer, chance: random.Random) -> Iterator[str]:
    """Run for the time asked for; with faults the server is killed about once a minute. Yields what is going on."""
    until_s = time.monotonic() + given.minutes * 60
    while (left_s := until_s - time.monotonic()) > 0:
        pause_s = chance.uniform(40, 80) if given.faults else left_s
        time.sleep(min(pause_s, left_s))
        if pause_s < left_s:
            server.kill()
            time.sleep(chance.uniform(0, 5))
            server.restart()
            yield "the server was killed and restarted"


def restarts(given: argparse.Namespace, server: RtspServer, log: OutageLog, chance: random.Random) -> Iterator[str]:
    """Kill and restart at random moments, each time when all cameras were back; yields how long that took."""
    names = list(server.content)
    for number in range(1, given.restarts + 1):
        time.sleep(chance.uniform(0.5, 4))
        server.kill()
        with log.changed:
            if not log.changed.wait_for(lambda count=number: log.all_offline(count, names), 60):  # type: ignore[misc]
                raise TimeoutError(f"restart {number}: not every camera was told offline")
        time.sleep(chance.uniform(0, 3))
        server.restart()
        back_s = time.monotonic()
        with log.changed:
            if not log.changed.wait_for(lambda count=number: log.all_online(count, names), 60):  # type: ignore[misc]
                raise TimeoutError(f"restart {number}: not every camera was back")
        late_s = max(log.online[name][-1] for name in names) - back_s
        if late_s > LONGEST_WAIT_S + BACK_WITHIN_S:
            log.out_of_step.append(f"restart {number}: back after {late_s:.2f} s")
        yield f"restart {number}: all cameras back after {late_s:.2f} s"


def checks(
    report: Report, log: OutageLog, samples: Sequence[Sample], warm_up_s: float
) -> Iterator[tuple[str, bool, str]]:
    """What was to hold: its name, whether it did, and the figures."""
    for name, stream in report.streams.items():
        kept = stream.processed + sum(stream.dropped.values()) + sum(stream.failed.values())
        offline, online = len(log.offline.get(name, ())), len(log.online.get(name, ()))
        yield (
            f"{name}",
            stream.decoded == kept and offline - online in (0, 1) and stream.processed > 0 and stream.error is None,
            f"decoded {stream.decoded} = processed {stream.processed} + dropped {dict(stream.dropped)} "
            f"+ failed {dict(stream.failed)}; {offline} offline, {online} online",
        )
    yield "offline and online take turns", not log.out_of_step, "; ".join(log.out_of_step) or "always"
    settled = [sample for sample in samples if sample.at_s >= warm_up_s]
    if not settled:
        return
    growth_mb = max(sample.rss_mb for sample in settled[-10:]) - settled[0].rss_mb
    yield (
        "memory",
        growth_mb < MOST_GROWTH_MB,
        f"{settled[0].rss_mb:.1f} MB after {settled[0].at_s:.0f} s, {settled[-1].rss_mb:.1f} MB at the end, "
        f"at most {max(sample.rss_mb for sample in settled):.1f} MB; growth {growth_mb:+.1f} MB",
    )
    for name in ("descriptors", "threads", "tasks"):
        # Connections come and go; what was open at the most must not grow from the first half to the second.
        half = len(settled) // 2
        first, second = (
            max(getattr(sample, name) for sample in part) for part in (settled[: half + 1], settled[half:])
        )
        yield name, second <= first + 2, f"at most {first} in the first half, {second} in the second"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--fps", type=int, default=10, help="of each camera")
    parser.add_argument("--clip", type=Path, help="what the cameras show; default: the demo's clip")
    parser.add_argument("--faults", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--restarts", type=int, default=0, help="instead: restart the server so often, on good lines")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if problem := missing_packages():
        sys.exit(problem)
    chance, log = random.Random(given.seed), OutageLog()
    detector = YoloDetector()
    with ExitStack() as stack:
        events = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "events.jsonl"
        server, urls, proxies = cameras(given, stack)
        pipeline = build(urls, detector, log, events)
        running = threading.Thread(target=pipeline.run, name="pipeline")
        before = threading.active_count()
        with Sampler() as sampler:
            running.start()
            try:
                work = restarts(given, server, log, chance) if given.restarts else soak(given, server, chance)
                for news in work:
                    state = sampler.take()
                    print(f"{state.at_s:7.1f} s {state.rss_mb:7.1f} MB {state.descriptors} fds: {news}", flush=True)
            finally:
                asked_s = time.monotonic()
                pipeline.stop()
                running.join()
                stop_s = time.monotonic() - asked_s
        counts: Counter[str] = sum((proxy.counts for proxy in proxies.values()), Counter())
        time.sleep(READ_TIMEOUT_S + 1)  # what was in a read ends by its timeout
        left = threading.active_count() - before
    assert pipeline.report is not None
    results = list(checks(pipeline.report, log, sampler.samples, min(WARM_UP_S, sampler.samples[-1].at_s / 3)))
    results.append(("threads left behind", left == 0, str(left)))
    print(f"events: {dict(log.events)}\nfaults: {dict(counts)}\nstop took {stop_s:.2f} s")
    for reason, count in Counter(reason for told in log.offline.values() for _, reason in told).most_common():
        print(f"  offline {count} times: {reason}")
    for name, held, figures in results:
        print(f"{'ok  ' if held else 'FAIL'} {name}: {figures}")
    return 0 if all(held for _, held, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
