"""``cluster run`` in a process of its own, who reads its merged feed, and what that must be; for tests."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.events import Event, Origin, StreamStarted, TrackStarted
from pipeline.feed_events import FeedGap, FeedSnapshot
from sinks.feed.client import subscribe
from tests.support.free_ports import free_port_pair
from tests.support.ray_cluster import RayCluster
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


class Driver:
    """``cluster run`` in a process of its own, and the commands that it takes."""

    def __init__(self, cluster: RayCluster, config: Path) -> None:
        self.control = f"tcp://127.0.0.1:{free_port_pair()}"
        self._cluster, self._folder = cluster, config.parent
        self.process = self._start("run", str(config), "--address", cluster.address, "--set", f"control={self.control}")

    def _start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "run_pipeline.py"), "cluster", *words],
            cwd=self._folder,
            env=self._cluster.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *words: str) -> str:
        process = self._start(*words, "--control", self.control)
        printed, _ = process.communicate(timeout=PATIENCE_S)
        return printed

    def places(self) -> dict[str, str]:
        """Per stream that is online, the node that it is on."""
        return dict(re.findall(r"^stream (\S+): online on ([^,]+),", self("status"), re.MULTILINE))

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def end(self) -> str:
        printed, _ = self.process.communicate(timeout=PATIENCE_S)
        return printed


class Reader:
    """Reads the merged feed from its beginning, in a thread."""

    def __init__(self, endpoint: str) -> None:
        self.events: list[Event] = []
        self._over = threading.Event()
        self._endpoint = endpoint
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with subscribe(self._endpoint, history=True, heartbeats=True) as feed:
            for event in feed:
                self.events.append(event)
                if self._over.is_set():
                    return

    def close(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE_S)

    def of(self, kind: type[Any], stream: str) -> list[Any]:
        return [event for event in list(self.events) if isinstance(event, kind) and event.stream == stream]


def wait_for(true: Callable[[], bool], what: str, within_s: float = 90.0) -> None:
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s, what
        time.sleep(0.2)


def endpoint(config: Path) -> str:
    found = re.search(r"endpoint: ([^}]+)", config.read_text())
    assert found is not None
    return found[1]


def check_feed(events: list[Event], *, killed: bool = False) -> None:
    """Runs of the merged feed, each numbered without gaps; no event of a process comes twice or is left out.

    Args:
        killed: whether a driver was, so that the next one may tell events of its last seconds once more.
    """
    assert not [event for event in events if isinstance(event, FeedGap)]
    told = [event for event in events if isinstance(event.origin, Origin) and not isinstance(event, FeedSnapshot)]
    for run in {event.run for event in told}:
        seqs = [event.seq for event in told if event.run == run]
        assert seqs == list(range(1, len(seqs) + 1))
    origins: dict[str, list[int]] = {}
    ids: dict[str, list[int]] = {"door": [], "lane": []}
    for event in told:
        assert isinstance(event.origin, Origin)
        seqs = origins.setdefault(event.origin.run, [])
        if killed and event.origin.seq in seqs:
            continue
        if event.origin.seq is not None:
            seqs.append(event.origin.seq)
        if isinstance(event, TrackStarted):
            ids[event.stream].append(event.track_id)
    origins.pop("", None)  # of what a driver told that took streams over
    assert len(origins) >= 2
    for seqs in origins.values():
        assert seqs == list(range(1, len(seqs) + 1))
    for name, given in ids.items():
        assert given == sorted(set(given)), "ids grow, and none comes twice"
        assert any(isinstance(event, StreamStarted) and event.stream == name for event in told)
