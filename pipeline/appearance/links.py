"""TrackLinks: which of the tracks that were told apart are the same object, by how they look.

A tracker that loses an object for long, or in a crowd, gives it a new id when it is found again, and what was told is
not taken back. Where a new track begins near one that was lost, the question is whether it goes on with that one. It
is asked once it is certain that the tracker itself won't find the lost one again, and there are pictures of both. The
answer is a link between the two ids, and it takes a likeness that is high in itself and clearly above that of any
other lost track: a wrong link costs more than a right one gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.appearance.embedder import PictureEmbedder
from pipeline.appearance.gallery import Box, Gallery, Sample, SeenTrack
from pipeline.errors import ConfigError
from pipeline.models.class_names import class_ids
from pipeline.types import Float32Array, TrackedFrame

# How far a new track may begin from where a lost one was last, in heights of that: by how exactly boxes tell it, and in
# a second; and by what factor the heights may differ. People run at two heights a second.
_NEAR, _NEAR_PER_S, _HEIGHTS = 0.5, 2.0, 1.6
# Ages of tracks are rounded: what lies closer may be the same frame.
_SAME_TIME_S = 1e-3
# Pictures of each that an answer needs, and questions that may wait.
_LEAST_SAMPLES, _MOST_QUESTIONS = 3, 32


@dataclass(frozen=True, slots=True)
class TrackLink:
    """A track that goes on with an older one.

    Attributes:
        track_id: the newer one.
        linked_to: the older one, whose only successor it is.
        similarity: how alike they look, at most 1.
        class_id: of both.
        score, xyxy: as the newer one was shown last.
    """

    track_id: int
    linked_to: int
    similarity: float
    class_id: int
    score: float
    xyxy: Box


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """What was asked.

    Attributes:
        questions: new tracks that began near a lost one.
        answered: those of which the network was asked. Of the others the tracker found the lost one itself, or the new
            one was not seen well for long enough, or they still wait.
        dropped: those that were given up since there were too many, or they waited for too long.
        linked: those that were answered with a link.
        pictures: that went through the network.
    """

    questions: int = 0
    answered: int = 0
    dropped: int = 0
    linked: int = 0
    pictures: int = 0

    def __add__(self, other: LinkCounts) -> LinkCounts:
        return LinkCounts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(slots=True, eq=False)
class _Question:
    """Whether a track goes on with one of the candidates. ``samples`` are those of the track, once it is asked."""

    track: SeenTrack
    candidates: list[SeenTrack]
    samples: tuple[Sample, ...] = ()

    @property
    def asked(self) -> bool:
        return bool(self.samples)

    def unseen(self) -> list[Sample]:
        """Pictures that the network has not seen yet."""
        samples = [*self.samples, *(sample for track in self.candidates for sample in track.samples)]
        return [sample for sample in samples if sample.vector is None]


class TrackLinks:
    """Links the tracks of one stream. Several may share a network on one thread.

    It works on tracks as they are told, behind any tracker and any hindsight, and changes none of them. A track is
    linked to one older one at most, and is the only one that is linked to that; never to one that is or was shown while
    it was there itself, nor to one of another class.

    Args:
        embedder: the network.
        class_names: the detector's classes.
        classes: those of them that the network knows how to tell apart.
        similarity: least likeness of two tracks that are linked.
        margin: by how much it must exceed the likeness of every other lost track that it may be.
        memory_s: seconds after which a lost track is forgotten.
        patience_s: seconds after which a question is given up.
        per_frame: most pictures that go through the network in a frame; more wait for the next.
        most_tracks: that are kept at a time, see `Gallery`.
        most_samples: pictures that are kept of each.

    Raises:
        ConfigError: a class that the detector does not have, or a number out of its range.
    """

    def __init__(
        self,
        embedder: PictureEmbedder,
        class_names: Sequence[str],
        *,
        classes: Sequence[str] = ("person",),
        similarity: float = 0.8,
        margin: float = 0.1,
        memory_s: float = 10.0,
        patience_s: float = 5.0,
        per_frame: int = 4,
        most_tracks: int = 128,
        most_samples: int = 4,
    ) -> None:
        if per_frame < 1 or most_tracks < 1 or most_samples < _LEAST_SAMPLES:
            raise ConfigError(
                f"appearance: expected at least 1 picture per frame, 1 track and {_LEAST_SAMPLES} samples, got "
                f"{per_frame}, {most_tracks} and {most_samples}"
            )
        if not -1 <= similarity <= 1 or not 0 <= margin <= 2:
            raise ConfigError(
                f"appearance: expected a similarity from -1 to 1 and a margin from 0 to 2, got {similarity}, {margin}"
            )
        wanted = frozenset(class_ids(classes, class_names, where="tracker.appearance_classes"))
        self._embedder = embedder
        self._gallery = Gallery(embedder, wanted, most_tracks=most_tracks, most_samples=most_samples, memory_s=memory_s)
        self._similarity, self._margin = similarity, margin
        self._memory_s, self._patience_s, self._per_frame = memory_s, patience_s, per_frame
        self._questions: list[_Question] = []
        self._counts = LinkCounts()

    def update(self, tracked: TrackedFrame) -> list[TrackLink]:
        """Take in the next frame, its tracks as they are told; returns what is linked now, oldest question first."""
        pts_s = tracked.frame.pts_s
        for track in self._gallery.update(tracked):
            self._wonder(track)
        self._give_up(pts_s)
        for question in self._questions:
            if not question.asked and self._can_ask(question):
                question.samples = tuple(question.track.samples)
        self._embed()
        links = []
        for question in [each for each in self._questions if each.asked and not each.unseen()]:
            self._questions.remove(question)
            link = self._answer(question)
            if link is not None:
                links.append(link)
        return links

    def finish(self) -> None:
        """All tracks are over, at a gap or the stream's end: nothing goes on with any of them."""
        self._gallery.clear()
        self._questions.clear()

    def take_counts(self) -> LinkCounts:
        """What was asked since this was called last."""
        counts, self._counts = self._counts, LinkCounts()
        return counts

    def _count(self, **more: int) -> None:
        self._counts += LinkCounts(**more)

    def _wonder(self, track: SeenTrack) -> None:
        """Ask whether a new track goes on with a lost one, if one is near."""
        candidates = [other for other in self._gallery.tracks.values() if self._may_be(track, other)]
        if not candidates:
            return
        self._count(questions=1)
        if len(self._questions) >= _MOST_QUESTIONS:
            self._count(dropped=1)
            return
        self._questions.append(_Question(track, candidates))

    def _may_be(self, track: SeenTrack, lost: SeenTrack) -> bool:
        """Whether a track may go on with another by time, place and size."""
        gap_s = track.first_s - lost.last_s
        if lost.class_id != track.class_id or not _SAME_TIME_S < gap_s <= self._memory_s:
            return False
        (left, top, right, bottom), (first_left, first_top, first_right, first_bottom) = lost.xyxy, track.first_box
        height, first_height = bottom - top, first_bottom - first_top
        far = np.hypot(left + right - first_left - first_right, top + bottom - first_top - first_bottom) / 2.0
        alike = height <= _HEIGHTS * first_height and first_height <= _HEIGHTS * height
        return bool(alike and far <= height * (_NEAR + _NEAR_PER_S * gap_s))

    def _give_up(self, now_s: float) -> None:
        """Let go of questions that have no answer, or wait for too long."""
        kept = []
        for question in self._questions:
            track = question.track
            question.candidates = [lost for lost in question.candidates if _is_lost(lost, track)]
            if not question.candidates or (track.ended and len(track.samples) < _LEAST_SAMPLES):
                continue
            if now_s - track.first_s > self._patience_s:
                self._count(dropped=1)
                continue
            kept.append(question)
        self._questions = kept

    def _can_ask(self, question: _Question) -> bool:
        """Whether the tracker can't find a candidate any more, and there are pictures enough.

        Those that ended without enough pictures are no candidates any more.
        """
        given_up = all(lost.ended for lost in question.candidates)
        question.candidates = [
            lost for lost in question.candidates if not lost.ended or len(lost.samples) >= _LEAST_SAMPLES
        ]
        return given_up and bool(question.candidates) and len(question.track.samples) >= _LEAST_SAMPLES

    def _embed(self) -> None:
        """Have the network see what it has to, as much as a frame may cost."""
        waiting = [sample for question in self._questions if question.asked for sample in question.unseen()]
        chosen = list(dict.fromkeys(waiting))[: self._per_frame]
        if not chosen:
            return
        vectors = self._embedder.embed([sample.picture for sample in chosen if sample.picture is not None])
        for sample, vector in zip(chosen, vectors, strict=True):
            sample.picture, sample.vector = None, vector
        self._count(pictures=len(chosen))

    def _answer(self, question: _Question) -> TrackLink | None:
        """The link that a question comes to, if any."""
        track = question.track
        lost = [each for each in question.candidates if _is_lost(each, track)]
        if not lost:
            return None
        self._count(answered=1)
        own = _mean(question.samples)
        alike = np.array([float(own @ _mean(tuple(each.samples))) for each in lost])
        best = int(alike.argmax())
        second = np.delete(alike, best).max(initial=-1.0)
        if alike[best] < self._similarity or alike[best] - second < self._margin:
            return None
        lost[best].continued = True
        self._gallery.remove(lost[best])
        self._count(linked=1)
        similarity = round(float(alike[best]), 4)
        return TrackLink(track.track_id, lost[best].track_id, similarity, track.class_id, track.score, track.xyxy)


def _is_lost(lost: SeenTrack, track: SeenTrack) -> bool:
    """Whether a candidate still is one: nothing is linked to it, and it was not shown since the track began."""
    return not lost.continued and lost.last_s < track.first_s - _SAME_TIME_S


def _mean(samples: Sequence[Sample]) -> Float32Array:
    """The mean direction of vectors, of length 1; of length 0 where they cancel out."""
    total = np.sum([sample.vector for sample in samples if sample.vector is not None], axis=0)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length > 0 else total, np.float32)
