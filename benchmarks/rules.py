"""What 50 rules cost a frame in which 10,000 tracks are shown: ``python -m benchmarks.rules``.

Tracks move, stand, come and go; rules of every condition look at them, some in zones, some with scores. Timed is what
rules add to a frame, after analytics has counted it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.zones import Zone
from pipeline.geometry.ground import Homography
from pipeline.rules.alert import Moment
from pipeline.rules.rule import Rule, check_rules
from pipeline.rules.schedule import Schedule
from pipeline.rules.stream_rules import StreamRules
from pipeline.types import Frame, TrackedFrame, Tracks

_SIZE = (1920, 1080)
_CLASSES = ("person", "car", "bicycle", "dog")
_FPS = 25


def zones() -> list[Zone]:
    """Five strips that cover the picture."""
    edges = [(number / 5, (number + 1) / 5) for number in range(5)]
    return [
        Zone(f"zone {number}", [(left, 0.1), (right, 0.1), (right, 0.9), (left, 0.9)], units="fraction")
        for number, (left, right) in enumerate(edges)
    ]


def rules(count: int) -> list[Rule]:
    """So many rules, in turn of every condition."""
    night = Schedule(hours=("22:00", "06:00"), time_zone="Europe/Berlin")
    made: list[Rule] = []
    while len(made) < count:
        turn = len(made) // 9
        zone, classes = f"zone {turn % 5}", (_CLASSES[turn % 4],)
        some = [
            Rule(name=f"in {turn}", when="in_zone", zone=zone, for_s=10 + turn, classes=classes, schedule=night),
            Rule(name=f"crowd {turn}", when="crowd", zone=zone, at_least=50 + turn, for_s=2, hysteresis=10),
            Rule(name=f"crossed {turn}", when="crossed", line="gate", classes=classes),
            Rule(name=f"fast {turn}", when="speed_above", speed_mps=8 + turn, hysteresis=1, for_s=0.5),
            Rule(name=f"slow {turn}", when="speed_below", speed_mps=0.1, hysteresis=0.2, zone=zone, for_s=5),
            Rule(name=f"still {turn}", when="stationary", for_s=20 + turn, classes=classes, zone=zone),
            Rule(name=f"absent {turn}", when="absent", for_s=5, classes=classes, min_score=0.6),
            Rule(name=f"offline {turn}", when="offline", for_s=5),
            Rule(name=f"coverage {turn}", when="coverage_below", coverage=0.5, min_score=0),
        ]
        made += some
    return made[:count]


class Crowd:
    """So many tracks on their ways; some go in each frame, and others come."""

    def __init__(self, count: int, churn: int) -> None:
        self._random = np.random.default_rng(19)
        self._churn = churn
        self._ids = np.arange(1, count + 1)
        self._next = count + 1
        self._at = self._random.uniform((50, 200), (_SIZE[0] - 50, _SIZE[1] - 50), (count, 2))
        self._move = self._random.normal(0, 2, (count, 2)) * (self._random.random((count, 1)) < 0.5)
        self._class = self._random.integers(0, len(_CLASSES), count).astype(np.int32)
        self._picture = np.zeros((_SIZE[1], _SIZE[0], 3), np.uint8)

    def frame(self, number: int) -> TrackedFrame:
        """The next frame."""
        self._at = np.clip(self._at + self._move + self._random.normal(0, 0.5, self._at.shape), 40, _SIZE[1] - 1)
        gone = self._random.choice(len(self._ids), self._churn, replace=False)
        ended = self._ids[gone].astype(np.int64)
        self._ids[gone] = np.arange(self._next, self._next + self._churn)
        self._next += self._churn
        x, y = self._at.T
        count = len(self._ids)
        tracks = Tracks(
            xyxy=np.stack([x - 15, y - 40, x + 15, y], axis=1).astype(np.float32),
            score=self._random.uniform(0.3, 1, count).astype(np.float32),
            class_id=self._class,
            track_id=self._ids.astype(np.int64),
            age_s=np.full(count, 1, np.float32),
            unseen_s=np.zeros(count, np.float32),
        )
        return TrackedFrame(Frame(self._picture, number, number / _FPS, number / _FPS, "door"), None, tracks, ended)


def measure(tracks: int, count: int, frames: int, churn: int) -> tuple[list[float], int]:
    """Milliseconds of processor time that rules took in each frame but the first, and how many alerts were told."""
    stamper = EventStamper("bench")
    ground = Homography(
        image=[(0, 0), (1, 0), (1, 1), (0, 1)], metres=[(0, 0), (40, 0), (40, 22), (0, 22)], units="fraction"
    )
    line = Line("gate", (0.5, 0), (0.5, 1), units="fraction")
    analytics = StreamAnalytics("door", _CLASSES, stamper=stamper, zones=zones(), lines=[line], homography=ground)
    chosen = rules(count)
    check_rules(chosen, _CLASSES, [zone.name for zone in zones()], ["gate"], speeds=True)
    watching = StreamRules("door", chosen, analytics.tracks, stamper)
    crowd, took_ms, told = Crowd(tracks, churn), [], 0
    for number in range(frames + 1):
        tracked = crowd.frame(number)
        analytics.update(tracked)
        analytics.facts(tracked.tracks)  # as a run does, in which speeds are known by then
        now = Moment(tracked.frame.pts_s, None, 1_772_323_200 + tracked.frame.pts_s)
        begun_s = time.thread_time()
        told += len(watching.update(analytics.turns, now))
        if number:
            took_ms.append(1000 * (time.thread_time() - begun_s))
    return took_ms, told


def main() -> None:
    """Measure, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--rules", type=int, default=50)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--churn", type=int, default=5, help="tracks that go and come in each frame")
    given = parser.parse_args()
    took_ms, told = measure(given.tracks, given.rules, given.frames, given.churn)
    median, high = np.percentile(took_ms, [50, 95])
    print(
        f"{given.tracks} tracks, {given.rules} rules: {np.mean(took_ms):.3f} ms a frame on average, "
        f"median {median:.3f}, p95 {high:.3f}; {told} events of alerts in {given.frames} frames"
    )


if __name__ == "__main__":
    main()
