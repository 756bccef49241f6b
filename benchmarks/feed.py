"""The event feed under load: does every subscriber get every event, and what does it cost the publisher?

    python -m benchmarks.feed throughput     many events to three subscribers, one of which is stopped in the middle
    python -m benchmarks.feed restart        the publisher is killed again and again
    python -m benchmarks.feed fuzz           malformed messages on both sockets

Each prints its figures as JSON and exits with 1 when a promise was not kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zmq

from benchmarks.feed_flood import flood
from pipeline.events import TrackUpdated
from pipeline.feed_events import FeedGap, FeedSnapshot
from pipeline.types import SourceInfo
from sinks.feed.client import Subscription, subscribe
from sinks.feed.zeromq_sink import ZeroMqSink
from tests.support.free_ports import free_port_pair

BURST_S = 0.001
WALL = "2026-01-02T03:04:05.678Z"


def moved(seq: int, run: str) -> TrackUpdated:
    """One of twenty tracks that move."""
    left = float(seq % 600)
    return TrackUpdated(
        seq=seq,
        run=run,
        stream="cam",
        pts_s=seq / 25,
        wall=WALL,
        track_id=seq % 20,
        class_name="person",
        score=0.875,
        xyxy=(left, 100.5, left + 40.25, 220.75),
        age_s=1.5,
        unseen_s=0.0,
    )


def subscriber(endpoint: str) -> int:
    """Read a feed until its run is over; print ``ready``, and then what came as JSON."""
    received = out_of_order = 0
    gaps: list[str] = []
    last = 0
    with subscribe(endpoint, follow=False, timeout_s=30) as events, contextlib.suppress(TimeoutError):
        for event in events:  # a publisher that falls silent shows in what was received
            if isinstance(event, FeedSnapshot):
                last = event.seq
                print("ready", flush=True)
            elif isinstance(event, FeedGap):
                gaps.append(f"{event.first_seq}-{event.last_seq} {event.reason}")
                last = event.last_seq
            else:
                out_of_order += event.seq != last + 1
                last = event.seq
                received += 1
    counters = events.counters
    report = {"received": received, "last": last, "out_of_order": out_of_order, "gaps": gaps}
    print(json.dumps(report | {"repaired": counters.repaired, "duplicates": counters.duplicates}), flush=True)
    return 0


def throughput(rate: int, seconds: float, stop_s: float, replay: int, subscribers: int) -> dict[str, Any]:
    """Publish ``rate`` events/s; one subscriber is stopped for ``stop_s`` in the middle."""
    sink = ZeroMqSink("tcp://127.0.0.1:*", replay=replay, linger_s=10.0)
    sink.open("cam", SourceInfo(width=640, height=480), ["person"])
    children: list[subprocess.Popen[str]] = []
    try:
        command = [sys.executable, "-m", "benchmarks.feed", "subscriber", sink.endpoint]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(subscribers)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        send_ns, wall_s = _publish(sink, children[-1].pid, rate, seconds, stop_s)
        cpu_s = psutil.Process().cpu_times()
        sink.close()
        reports = [json.loads(child.communicate(timeout=60)[0].splitlines()[-1]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
        sink.close()
    total = len(send_ns)
    return {
        "events": total,
        "events_per_s": round(total / wall_s),
        "send_p50_us": round(float(np.percentile(send_ns, 50)) / 1e3, 1),
        "send_p99_us": round(float(np.percentile(send_ns, 99)) / 1e3, 1),
        "send_max_us": round(float(send_ns.max()) / 1e3, 1),
        "publisher_cpu_s": round(cpu_s.user + cpu_s.system, 1),
        "peak_rss_mb": round(_peak_rss_mb()),
        "counters": dict(sink.counters),
        "subscribers": reports,
        "kept": all(
            (report["received"], report["last"], report["out_of_order"], report["gaps"]) == (total, total, 0, [])
            for report in reports
        )
        and bool(np.percentile(send_ns, 99) < 1e6),
    }


def _publish(sink: ZeroMqSink, stopped: int, rate: int, seconds: float, stop_s: float) -> tuple[Any, float]:
    run = str(uuid.uuid4())
    total = int(rate * seconds)
    send_ns = np.zeros(total, np.int64)
    stop_at, continue_at = (seconds - stop_s) / 2, (seconds + stop_s) / 2
    began = time.monotonic()
    seq = 0
    while seq < total:
        now_s = time.monotonic() - began
        if stop_at is not None and now_s >= stop_at:
            os.kill(stopped, signal.SIGSTOP)
            stop_at = float("inf")
        if now_s >= continue_at:
            os.kill(stopped, signal.SIGCONT)
            continue_at = float("inf")
        for _ in range(min(int(now_s * rate) - seq, total - seq)):
            event = moved(seq + 1, run)
            before = time.perf_counter_ns()
            sink.on_event(event)
            send_ns[seq] = time.perf_counter_ns() - before
            seq += 1
        time.sleep(BURST_S)
    os.kill(stopped, signal.SIGCONT)
    return send_ns, time.monotonic() - began


# Restarts.

_KILLED_AFTER = 100  # events


def publisher(endpoint: str) -> int:
    """Publish 500 events/s until killed."""
    sink = ZeroMqSink(endpoint)
    sink.check()
    sink.open("cam", SourceInfo(width=640, height=480), ["person"])
    run, seq = str(uuid.uuid4()), 0
    while True:
        seq += 1
        sink.on_event(moved(seq, run))
        time.sleep(0.002)


def restart(times: int) -> dict[str, Any]:
    """Kill the publisher so many times; its subscriber has to see each new run from its first event, without a hole.

    What a killed publisher had not sent or not sent again is gone with it; a gap says so, and is no fault of the feed:
    it is killed while what came before the subscription is still being asked for.
    """
    endpoint = f"tcp://127.0.0.1:{free_port_pair()}"
    command = [sys.executable, "-m", "benchmarks.feed", "publisher", endpoint]
    received: dict[str, list[int]] = {}
    with subscribe(endpoint, timeout_s=60) as events:
        for _ in range(times + 1):
            child = subprocess.Popen(command)
            try:
                _read_until(events, _KILLED_AFTER, received)
            finally:
                child.kill()
                child.wait()
    return {
        "runs": len(received),
        "events": sum(len(numbers) for numbers in received.values()),
        "kept": len(received) == times + 1
        and all(numbers == list(range(1, len(numbers) + 1)) for numbers in received.values()),
    }


def _read_until(events: Subscription, seq: int, received: dict[str, list[int]]) -> None:
    """Note the numbers of what comes, per run and -1 for a gap before ``seq`` or without a cause, until that comes."""
    for event in events:
        if isinstance(event, FeedSnapshot):
            continue
        numbers = received.setdefault(event.run, [])
        if not isinstance(event, FeedGap):
            numbers.append(event.seq)
            if event.seq == seq:
                return
        elif event.reason == "new_run" and event.first_seq > seq:
            numbers.extend(range(event.first_seq, event.last_seq + 1))  # gone with the killed publisher
        else:
            numbers.append(-1)


def fuzz(messages: int) -> dict[str, Any]:
    """Flood both sockets while a subscriber reads; neither it nor the publisher may notice."""
    sink = ZeroMqSink("tcp://127.0.0.1:*", replay=10_000, linger_s=10.0)
    sink.open("cam", SourceInfo(width=640, height=480), ["person"])
    command = [sys.executable, "-m", "benchmarks.feed"]
    children: list[subprocess.Popen[str]] = []
    try:
        reader = subprocess.Popen([*command, "subscriber", sink.endpoint], stdout=subprocess.PIPE, text=True)
        children.append(reader)
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        run, seq, send_ns = str(uuid.uuid4()), 0, list[int]()
        rss_mb: list[float] = []
        # Some never arrive, for connections that misbehave are cut, so rounds go on until enough have been counted.
        while len(rss_mb) < 3 or (sink.counters["malformed"] < messages and len(rss_mb) < 12):
            floods = [
                subprocess.Popen(
                    [*command, "flood", str(address), kind, str(messages // 3), str(len(rss_mb))], text=True
                )
                for address, kind in ((sink.endpoint, "XSUB"), (sink.requests_endpoint, "DEALER"))
            ]
            children.extend(floods)
            while any(flood.poll() is None for flood in floods):
                seq += 1
                before = time.perf_counter_ns()
                sink.on_event(moved(seq, run))
                send_ns.append(time.perf_counter_ns() - before)
                time.sleep(0.005)
            assert not any(flood.returncode for flood in floods)
            rss_mb.append(round(psutil.Process().memory_info().rss / 2**20, 1))
        sink.close()
        report = json.loads(reader.communicate(timeout=60)[0].splitlines()[-1])
    finally:
        for child in children:
            child.kill()
            child.wait()
        sink.close()
    return {
        "sent_per_socket": messages // 3 * len(rss_mb),
        "send_p99_us": round(float(np.percentile(send_ns, 99)) / 1e3, 1),
        "rss_mb": rss_mb,
        "counters": dict(sink.counters),
        "subscriber": report,
        # The first round lets what is kept for good settle; the others may add nothing.
        "kept": rss_mb[-1] - rss_mb[0] < 10
        and (report["received"], report["last"], report["out_of_order"], report["gaps"]) == (seq, seq, 0, []),
    }


def _peak_rss_mb() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("throughput")
    load.add_argument("--rate", type=int, default=20_000, help="events per second")
    load.add_argument("--seconds", type=float, default=10.0)
    load.add_argument("--stop", type=float, default=3.0, help="seconds for which one subscriber is stopped")
    load.add_argument("--replay", type=int, default=100_000, help="size of the replay ring")
    load.add_argument("--subscribers", type=int, default=3)
    garbage = commands.add_parser("fuzz")
    garbage.add_argument("--messages", type=int, default=100_000, help="per socket")
    restarts = commands.add_parser("restart")
    restarts.add_argument("--times", type=int, default=20)
    publish = commands.add_parser("publisher")
    publish.add_argument("endpoint")
    reader = commands.add_parser("subscriber")
    reader.add_argument("endpoint")
    flooder = commands.add_parser("flood")
    flooder.add_argument("endpoint")
    flooder.add_argument("kind", choices=["XSUB", "DEALER"])
    flooder.add_argument("messages", type=int)
    flooder.add_argument("seed", type=int)
    arguments = parser.parse_args()
    if arguments.command == "subscriber":
        return subscriber(arguments.endpoint)
    if arguments.command == "publisher":
        return publisher(arguments.endpoint)
    if arguments.command == "flood":
        kind = zmq.XSUB if arguments.kind == "XSUB" else zmq.DEALER
        flood(arguments.endpoint, kind, arguments.messages, arguments.seed)
        return 0
    if arguments.command == "restart":
        report = restart(arguments.times)
    elif arguments.command == "fuzz":
        report = fuzz(arguments.messages)
    else:
        report = throughput(arguments.rate, arguments.seconds, arguments.stop, arguments.replay, arguments.subscribers)
    print(json.dumps(report, indent=2))
    return 0 if report["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
