"""What a re-identification network adds to the default tracker, on clips whose people are known.

    python -m benchmarks.tracking_appearance DATA RECORDED NETWORK

``DATA`` holds ``mot15`` and ``videos``; ``RECORDED`` is what ``benchmarks/tracking_record.py`` wrote; ``NETWORK`` is
the ONNX file. Links are told and change no id: figures without the network are those of the ids as told, and with it
those after every id has been replaced by the oldest that it is linked to.

The ground truth of vtest.avi gives people a new number each time they come back into the picture; by eye its 19 are ten
people (`SAME_PERSON`). Figures are given for both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.tracking_data import SEEDS, Boxes, Unit, disturbed, read_units
from benchmarks.tracking_record import CLIPS
from benchmarks.tracking_scores import Figures, iou, judge
from benchmarks.tracking_validation import CONFIDENCE
from pipeline.appearance.embedder import Embedder
from pipeline.appearance.links import LinkCounts, TrackLink, TrackLinks
from pipeline.errors import PipelineError
from pipeline.interfaces import SightingTracker
from pipeline.sampling.settling import TrackSettler
from pipeline.sources.opening import open_source
from pipeline.types import Image, TrackedFrame
from trackers.factory import DEFAULT_TRACKER, create_tracker

# Who comes back, by eye: what the ground truth calls the person, and what it called the same one first.
SAME_PERSON: Mapping[str, Mapping[int, int]] = {
    "PETS09-S2L1": {14: 15, 18: 15, 8: 15, 1: 19, 4: 12, 3: 11, 2: 13, 5: 9, 6: 10}
}
_APART_S = 0.3
# Detections that came with the data: nobody has their pictures.
PUBLISHED = ("sort", "pointrcnn")


@dataclass
class Watched:
    """What came of one unit: the boxes as told, the links, and seconds per frame for them and for all the rest."""

    told: list[Boxes] = field(default_factory=list)
    links: list[TrackLink] = field(default_factory=list)
    counts: LinkCounts = field(default_factory=LinkCounts)
    link_s: list[float] = field(default_factory=list)
    track_s: list[float] = field(default_factory=list)

    def linked(self) -> list[Boxes]:
        """The boxes with each id replaced by the oldest that it is linked to."""
        older = {link.track_id: link.linked_to for link in self.links}

        def oldest(track_id: int) -> int:
            while track_id in older:
                track_id = older[track_id]
            return track_id

        ids = [np.array([oldest(each) for each in boxes.track_id.tolist()], np.int64) for boxes in self.told]
        return [Boxes(one, boxes.xyxy) for one, boxes in zip(ids, self.told, strict=True)]


def tracked_frames(unit: Unit, clip: Path, *, hindsight: bool, seconds: list[float]) -> Iterator[TrackedFrame]:
    """A unit's frames with their pictures and tracks as they are told; adds to ``seconds`` what tracking took."""
    tracker, settler = create_tracker(DEFAULT_TRACKER, confidence=CONFIDENCE), TrackSettler()
    with open_source(str(clip)) as source:
        for index, (frame, found) in enumerate(zip(source, unit.detections, strict=False)):
            begun = time.perf_counter()
            frame = frame.placed(index=index, pts_s=index / unit.fps)
            tracked = TrackedFrame(frame, found, tracker.update(found, frame.pts_s), tracker.ended)
            ready = (
                list(settler.add(tracked, tracker.sighted if isinstance(tracker, SightingTracker) else None))
                if hindsight
                else [tracked]
            )
            seconds.append(time.perf_counter() - begun)
            yield from ready
    yield from settler.flush()


def watch(unit: Unit, clip: Path, links: TrackLinks, *, hindsight: bool) -> Watched:
    """Track a unit and ask about its tracks."""
    watched = Watched()
    for tracked in tracked_frames(unit, clip, hindsight=hindsight, seconds=watched.track_s):
        begun = time.perf_counter()
        watched.links += links.update(tracked)
        watched.link_s.append(time.perf_counter() - begun)
        watched.told.append(Boxes(tracked.tracks.track_id, tracked.tracks.xyxy.astype(np.float64)))
    watched.counts = links.take_counts()
    return watched


def persons(told: Sequence[Boxes], unit: Unit) -> dict[int, list[int]]:
    """The person that each track was on, for each frame in which it was on one."""
    seen: dict[int, list[int]] = defaultdict(list)
    for boxes, truth in zip(told, unit.truth, strict=True):
        overlap = iou(boxes.xyxy, truth.xyxy)
        for track_id, row in zip(boxes.track_id.tolist(), overlap, strict=True):
            if len(row) and row.max() >= 0.5:
                seen[track_id].append(int(truth.track_id[row.argmax()]))
    return seen


def is_right(link: TrackLink, seen: Mapping[int, Sequence[int]]) -> bool:
    """Whether the older track ended on the person on whom the newer one began; ten frames are asked on either side."""
    before, after = seen.get(link.linked_to, ())[-10:], seen.get(link.track_id, ())[:10]
    return bool(before and after) and Counter(before).most_common(1)[0][0] == Counter(after).most_common(1)[0][0]


def as_people(unit: Unit) -> Unit:
    """The unit with one number for each person, also for those who leave the picture and come back."""
    same = SAME_PERSON.get(unit.name, {})
    truth = [
        Boxes(np.array([same.get(each, each) for each in boxes.track_id.tolist()], np.int64), boxes.xyxy)
        for boxes in unit.truth
    ]
    return replace(unit, truth=tuple(truth))


def report(unit: Unit, watched: Watched, manner: str) -> str:
    """A unit's figures, as the ground truth numbers people and as they are."""
    people = as_people(unit)
    seen = persons(watched.told, people)
    right = sum(is_right(link, seen) for link in watched.links)
    lines = [f"{unit.label}, {manner}"]
    for name, boxes in (("as told", watched.told), ("linked", watched.linked())):
        one, other = judge(boxes, people), judge(boxes, unit)
        lines.append(
            f"  {name:8} {one.mota:.1f} / {one.idf1:.1f} / {one.hota:.1f}, {one.switches} switches; against the ground "
            f"truth's own numbers {other.mota:.1f} / {other.idf1:.1f} / {other.hota:.1f}, {other.switches} switches"
        )
    counts, frames, link_s = watched.counts, len(watched.link_s), sum(watched.link_s)
    asked = f"{counts.questions} questions, {counts.answered} answered, {counts.dropped} dropped"
    lines.append(f"  {len(watched.links)} links, {right} right; {asked}, {counts.pictures} pictures")
    per_picture = f"{1e3 * link_s / counts.pictures:.1f} ms a picture, " if counts.pictures else ""
    lines.append(
        f"  {per_picture}{1e3 * link_s / frames:.2f} ms a frame, {link_s / sum(watched.track_s):.2f} of the time that "
        f"tracking takes; at most {1e3 * max(watched.link_s):.0f} ms"
    )
    return "\n".join(lines)


def gained(unit: Unit, watched: Watched) -> Figures:
    """What the links add to the figures, with people as they are."""
    people = as_people(unit)
    pairs = zip(judge(watched.linked(), people), judge(watched.told, people), strict=True)
    mota, idf1, hota, switches = (one - other for one, other in pairs)
    return Figures(mota, idf1, hota, int(switches))


def in_other_worlds(units: Sequence[Unit], clip: Path, make_links: Callable[[], TrackLinks]) -> str:
    """What links add on a clip where the detections are disturbed: mean, least and most, and how many are right."""
    gains, right, count = [], 0, 0
    for unit in (disturbed(unit, seed) for unit in units for seed in SEEDS):
        for hindsight in (False, True):
            watched = watch(unit, clip, make_links(), hindsight=hindsight)
            seen = persons(watched.told, as_people(unit))
            gains.append(gained(unit, watched))
            right += sum(is_right(link, seen) for link in watched.links)
            count += len(watched.links)
    table = np.array(gains)
    lines = [
        f"{clip.name}, disturbed by {len(SEEDS)} seeds, {len(gains)} runs: {count} links, {right} right; gained "
        "in MOTA, IDF1, HOTA, switches"
    ]
    for name, row in (("mean", table.mean(axis=0)), ("least", table.min(axis=0)), ("most", table.max(axis=0))):
        lines.append(f"  {name:6}" + ", ".join(f"{value:+.1f}" for value in row))
    return "\n".join(lines)


def picture_ms(embedder: Embedder) -> float:
    """Milliseconds that the network takes for a picture, in batches of four; the median of some."""
    pictures, took = [np.zeros((*embedder.size, 3), np.uint8)] * 4, []
    for _ in range(30):
        begun = time.perf_counter()
        embedder.embed(pictures)
        took.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(took)) / len(pictures)


def likeness(unit: Unit, clip: Path, embedder: Embedder) -> str:
    """How alike four pictures of a person look to four of the same one, and of others, half a second later on."""
    unit = as_people(unit)
    seen: dict[int, list[tuple[float, Image]]] = defaultdict(list)
    step = max(1, round(_APART_S * unit.fps))
    with open_source(str(clip)) as source:
        for index, (frame, found, truth) in enumerate(zip(source, unit.detections, unit.truth, strict=False)):
            if index % step or not len(truth):
                continue
            boxes = found.xyxy[found.score >= CONFIDENCE].astype(np.float64)
            free = iou(boxes, boxes).sum(axis=1) < 1.2
            for person, row in zip(truth.track_id.tolist(), iou(truth.xyxy, boxes[free]), strict=True):
                if len(row) and row.max() > 0.6:
                    left, top, right, bottom = boxes[free][row.argmax()].round().astype(int).clip(0).tolist()
                    seen[person].append((index / unit.fps, embedder.fitted(frame.image[top:bottom, left:right])))
    pieces = [
        (person, seen[person][first][0], seen[person][first + 3][0], embedder.embed([one for _, one in chosen]))
        for person in seen
        for first in range(0, len(seen[person]) - 3, 4)
        if (chosen := seen[person][first : first + 4])
    ]
    if not pieces:
        return f"{unit.label}: too short"
    whose, begun, ended = (np.array(column) for column in list(zip(*pieces, strict=True))[:3])
    means = np.array([vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0)) for *_, vectors in pieces])
    gap = begun - ended[:, None]
    near, same, alike = (gap > 0.5) & (gap <= 10), whose == whose[:, None], means @ means.T
    if not (near & same).any() or not (near & ~same).any():
        return f"{unit.label}: too short"
    lines = [f"{unit.label}: {int((near & same).sum())} pairs of one person, {int((near & ~same).sum())} of two"]
    for least in (0.65, 0.7, 0.75, 0.8, 0.85):
        one, two = (alike[near & same] >= least).mean(), (alike[near & ~same] >= least).mean()
        lines.append(f"  alike by {least}: {100 * one:.1f}% of one person, {100 * two:.2f}% of two")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds mot15 and videos")
    parser.add_argument("recorded", type=Path, help="recorded detections")
    parser.add_argument("network", type=Path, help="re-identification network, ONNX")
    parser.add_argument("--similarity", type=float, help="least likeness of what is linked")
    parser.add_argument("--margin", type=float, help="least difference to what is second")
    parser.add_argument("--likeness", action="store_true", help="only how alike people look, whatever a tracker does")
    parser.add_argument("--disturbed", action="store_true", help="only what links add where detections are disturbed")
    chosen = parser.parse_args(arguments)
    tried = {name: value for name in ("similarity", "margin") if (value := getattr(chosen, name)) is not None}
    try:
        embedder = Embedder(chosen.network)
        recorded = [each for each in read_units(chosen.data, chosen.recorded) if each.detector not in PUBLISHED]
        if chosen.disturbed:
            for name, clip in CLIPS.items():
                units = [unit for unit in recorded if unit.name == name]
                make = partial(TrackLinks, embedder, ["person"], **tried)
                print(in_other_worlds(units, chosen.data / "videos" / clip, make), flush=True)
            return 0
        print(f"{picture_ms(embedder):.1f} ms a picture in batches of four")
        for unit in recorded:
            clip = chosen.data / "videos" / CLIPS[unit.name]
            if chosen.likeness:
                print(likeness(unit, clip, embedder), flush=True)
                continue
            for manner, hindsight in (("live", False), ("files", True)):
                links = TrackLinks(embedder, ["person"], **tried)
                print(report(unit, watch(unit, clip, links, hindsight=hindsight), manner), flush=True)
    except PipelineError as error:
        print(f"tracking_appearance: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
