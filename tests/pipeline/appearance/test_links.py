"""TrackLinks: what is linked and what never is, when the network is asked, and that all of it keeps to its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.appearance.links import LinkCounts, TrackLink, TrackLinks
from pipeline.errors import ConfigError
from pipeline.types import Float32Array, Frame, Image, TrackedFrame, Tracks

NAMES = ("person", "car")
FPS = 10
HEIGHT, WIDTH = 240, 320
RED, BLUE, GREEN = (0, 0, 255), (255, 0, 0), (0, 255, 0)


class Colours:
    """Tells pictures by their mean colour, and remembers how many it saw at a time."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def fitted(self, picture: Image) -> Image:
        return np.full((4, 2, 3), picture.reshape(-1, 3).mean(axis=0).round(), np.uint8)

    def embed(self, pictures: Sequence[Image]) -> Float32Array:
        self.calls.append(len(pictures))
        colours = np.array([picture[0, 0] for picture in pictures], np.float32)
        return np.asarray(colours / np.maximum(np.linalg.norm(colours, axis=1, keepdims=True), 1e-6), np.float32)


@dataclass(frozen=True)
class Seen:
    """A track in one frame, of one colour, as a box of 20 x 60 pixels around ``x``."""

    track_id: int
    x: float
    colour: tuple[int, int, int] = RED
    class_id: int = 0
    age_s: float = 0.0
    unseen_s: float = 0.0


def frame(number: int, seen: Sequence[Seen], ended: Sequence[int] = ()) -> TrackedFrame:
    """A grey picture with the tracks painted into it."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    boxes = np.array([(one.x - 10, 100, one.x + 10, 160) for one in seen], np.float32).reshape(-1, 4)
    for one in seen:
        image[100:160, max(0, int(one.x) - 10) : int(one.x) + 10] = one.colour
    tracks = Tracks(
        boxes,
        np.full(len(seen), 0.9, np.float32),
        np.array([one.class_id for one in seen], np.int32),
        np.array([one.track_id for one in seen], np.int64),
        np.array([one.age_s for one in seen], np.float32),
        np.array([one.unseen_s for one in seen], np.float32),
    )
    return TrackedFrame(Frame(image, number, number / FPS, 0.0, "s"), None, tracks, np.array(ended, np.int64))


def play(links: TrackLinks, shown: dict[int, Sequence[Seen]], ended: dict[int, Sequence[int]]) -> list[TrackLink]:
    """All frames up to the last that shows or ends anything."""
    found = []
    for number in range(max([*shown, *ended]) + 1):
        found += links.update(frame(number, shown.get(number, ()), ended.get(number, ())))
    return found


def spell(track_id: int, first: int, last: int, x: float, **facts: object) -> dict[int, list[Seen]]:
    """A track that stands at ``x`` from one frame to another."""
    return {
        number: [Seen(track_id, x, age_s=(number - first) / FPS, **facts)]  # type: ignore[arg-type]
        for number in range(first, last + 1)
    }


def together(*spells: dict[int, list[Seen]]) -> dict[int, Sequence[Seen]]:
    return {number: [one for each in spells for one in each.get(number, ())] for number in range(200)}


def test_two_people_who_cross_behind_a_pillar_keep_who_they_are() -> None:
    """Red walks right and blue walks left, both are lost behind a pillar, and the tracker begins anew."""
    shown: dict[int, Sequence[Seen]] = {}
    for number in range(60):
        red, blue = 40.0 + 4 * number, 280.0 - 4 * number
        hidden = 22 <= number <= 37
        late = number > 37
        if not hidden:
            age = (number - 38 if late else number) / FPS
            # The ids after the pillar are those of places: the tracker thinks that both turned round, or knows nothing.
            shown[number] = [
                Seen(3 if late else 1, red, RED, age_s=age),
                Seen(4 if late else 2, blue, BLUE, age_s=age),
            ]
    found = play(TrackLinks(Colours(), NAMES), shown, {36: [1, 2]})
    assert {(link.track_id, link.linked_to) for link in found} == {(3, 1), (4, 2)}
    assert all(link.similarity > 0.99 and link.class_id == 0 for link in found)
    assert all(link.xyxy[0] > 150 for link in found if link.track_id == 3), "as it was shown last"


def test_somebody_else_is_not_linked() -> None:
    shown = together(spell(1, 0, 15, 100), spell(2, 40, 60, 110, colour=GREEN))
    links = TrackLinks(Colours(), NAMES)
    assert play(links, shown, {30: [1]}) == []
    assert links.take_counts() == LinkCounts(questions=1, answered=1, pictures=7)
    assert links.take_counts() == LinkCounts(), "they were taken"


def test_of_two_that_look_alike_neither_is_linked() -> None:
    shown = together(spell(1, 0, 15, 100), spell(2, 0, 15, 200), spell(3, 40, 60, 150))
    links = TrackLinks(Colours(), NAMES)
    assert play(links, shown, {30: [1, 2]}) == []
    assert links.take_counts().answered == 1


def test_nothing_is_asked_where_nobody_was_lost_near() -> None:
    embedder = Colours()
    shown = together(spell(1, 0, 40, 60), spell(2, 0, 4, 300), spell(3, 20, 40, 290, class_id=1))
    assert play(TrackLinks(embedder, NAMES), shown, {10: [2]}) == []
    assert embedder.calls == [], "one was there meanwhile, another is of another class"


def test_nobody_is_linked_to_who_was_lost_too_far_away_to_have_come() -> None:
    links = TrackLinks(Colours(), NAMES)
    assert play(links, together(spell(1, 0, 15, 40), spell(2, 20, 60, 290)), {30: [1]}) == []
    assert links.take_counts() == LinkCounts()
    later = together(spell(1, 0, 15, 40), spell(2, 60, 100, 290))
    assert len(play(TrackLinks(Colours(), NAMES), later, {30: [1]})) == 1, "in time they could"


def test_a_person_is_no_car() -> None:
    shown = together(spell(1, 0, 15, 100), spell(2, 30, 60, 100, class_id=1))
    assert play(TrackLinks(Colours(), NAMES, classes=NAMES), shown, {25: [1]}) == []


def test_of_two_that_begin_where_one_was_lost_one_is_linked() -> None:
    shown = together(spell(1, 0, 15, 100), spell(2, 30, 60, 80), spell(3, 30, 60, 120))
    (link,) = play(TrackLinks(Colours(), NAMES), shown, {25: [1]})
    assert (link.track_id, link.linked_to) == (2, 1)


def test_more_tracks_than_there_is_room_for_are_not_kept() -> None:
    embedder = Colours()
    links = TrackLinks(embedder, NAMES, most_tracks=3)
    crowd = [spell(number, 0, 15, 30 * number) for number in range(1, 8)]
    again = spell(20, 20, 60, 60, colour=RED)
    shown = together(*crowd, again)
    for number in range(61):
        links.update(frame(number, shown[number], range(1, 8) if number == 30 else ()))
        assert len(links._gallery.tracks) <= 3
    assert links.take_counts() == LinkCounts(questions=1, answered=1, pictures=sum(embedder.calls)), "two look alike"
    assert sum(embedder.calls) <= 12, "of three tracks"


def test_it_waits_until_the_tracker_has_given_up() -> None:
    shown = together(spell(1, 0, 15, 100), spell(2, 20, 60, 100))
    links = TrackLinks(Colours(), NAMES)
    for number in range(50):
        assert links.update(frame(number, shown[number])) == []
    (link,) = links.update(frame(50, shown[50], [1])) + links.update(frame(51, shown[51]))
    assert (link.track_id, link.linked_to) == (2, 1)


def test_a_lost_track_that_is_found_again_is_no_candidate() -> None:
    first = spell(1, 0, 15, 100)
    shown = together(first, spell(2, 20, 60, 110), {40: [Seen(1, 90, age_s=4.0)]})
    assert play(TrackLinks(Colours(), NAMES), shown, {45: [1]}) == []


def test_a_question_is_given_up_in_time_and_counted() -> None:
    links = TrackLinks(Colours(), NAMES, patience_s=2.0)
    assert play(links, together(spell(1, 0, 15, 100), spell(2, 20, 60, 100)), {50: [1]}) == []
    assert links.take_counts() == LinkCounts(questions=1, dropped=1)


def test_what_a_frame_may_cost_is_kept_to() -> None:
    embedder = Colours()
    crowd = [spell(number, 0, 15, 20 + 30 * number, colour=(40 * number, 0, 200)) for number in range(1, 6)]
    again = [spell(10 + number, 30, 60, 20 + 30 * number, colour=(40 * number, 0, 200)) for number in range(1, 6)]
    links = TrackLinks(embedder, NAMES, per_frame=3, margin=0.0)
    found = play(links, together(*crowd, *again), {29: [1, 2, 3, 4, 5]})
    assert max(embedder.calls) == 3
    assert sum(embedder.calls) == links.take_counts().pictures == 35, "each picture once"
    assert {(link.track_id, link.linked_to) for link in found} == {(10 + number, number) for number in range(1, 6)}


def test_hidden_cut_off_and_small_boxes_are_not_looked_at() -> None:
    embedder = Colours()
    hidden = together(spell(1, 0, 15, 100), spell(2, 0, 90, 105, colour=BLUE), spell(3, 40, 90, 100))
    assert play(TrackLinks(embedder, NAMES), hidden, {30: [1]}) == []
    cut = together(spell(1, 0, 15, 2), spell(3, 40, 60, 2))
    assert play(TrackLinks(embedder, NAMES), cut, {30: [1]}) == []
    coasting = together(spell(1, 0, 15, 100, unseen_s=0.5), spell(3, 40, 60, 100))
    assert play(TrackLinks(embedder, NAMES), coasting, {30: [1]}) == []
    assert embedder.calls == []


def test_nothing_goes_on_over_a_gap() -> None:
    links = TrackLinks(Colours(), NAMES)
    for number in range(20):
        links.update(frame(number, spell(1, 0, 19, 100)[number]))
    links.finish()
    assert play_from(links, 30, together(spell(2, 30, 60, 100))) == []


def play_from(links: TrackLinks, first: int, shown: dict[int, Sequence[Seen]]) -> list[TrackLink]:
    return [link for number in range(first, 61) for link in links.update(frame(number, shown[number]))]


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_frame": 0},
        {"most_samples": 2},
        {"most_tracks": 0},
        {"margin": -0.1},
        {"similarity": 1.5},
        {"classes": ("persn",)},
    ],
)
def test_what_makes_no_sense_is_told(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        TrackLinks(Colours(), NAMES, **wrong)  # type: ignore[arg-type]


# First frame, last frame, place, colour, class, and whether it is told to end: a track, its id by its order.
Story = list[tuple[int, int, int, int, int, bool]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    starts = sorted(draw(st.lists(st.integers(0, 90), min_size=2, max_size=9)))
    return [
        (
            first,
            first + draw(st.sampled_from([0, 3, 8, 12, 16, 30])),
            draw(st.integers(1, 4)),
            draw(st.integers(0, 2)),
            draw(st.sampled_from([0, 0, 0, 0, 1])),
            draw(st.sampled_from([True, True, True, False])),
        )
        for first in starts
    ]


@settings(max_examples=60, deadline=None)
@given(stories(), st.integers(3, 8), st.integers(1, 5))
def test_whatever_happens_links_keep_to_what_is_promised(story: Story, most_tracks: int, per_frame: int) -> None:
    """Held against the whole story, which the linker itself never has."""
    embedder = Colours()
    colours = (RED, BLUE, (20, 0, 230))
    spells = [
        spell(number, first, last, 45.0 * place, colour=colours[colour], class_id=kind)
        for number, (first, last, place, colour, kind, _) in enumerate(story, 1)
    ]
    ended: dict[int, list[int]] = {}
    for number, (_, last, *_, told) in enumerate(story, 1):
        if told:
            ended.setdefault(last + 8, []).append(number)
    links = TrackLinks(embedder, NAMES, most_tracks=most_tracks, per_frame=per_frame, memory_s=4.0, patience_s=3.0)
    found = play(links, together(*spells), {**ended, 150: []})
    counts = links.take_counts()
    for link in found:
        newer, older = story[link.track_id - 1], story[link.linked_to - 1]
        assert older[1] < newer[0], "one was over before the other began, so they are not the same either"
        assert newer[0] - older[1] <= 40, "not longer ago than it remembers"
        assert newer[4] == older[4] == link.class_id == 0
        assert older[5], "the tracker had given it up"
        assert link.similarity >= 0.8
    assert len({link.linked_to for link in found}) == len({link.track_id for link in found}) == len(found)
    assert max(embedder.calls, default=0) <= per_frame
    assert counts.pictures == sum(embedder.calls)
    assert counts.linked == len(found) <= counts.answered <= counts.answered + counts.dropped <= counts.questions
    gallery = links._gallery.tracks
    assert len(gallery) <= most_tracks
    assert all(len(track.samples) <= 4 for track in gallery.values())
    if most_tracks >= len(story):
        assert {(link.track_id, link.linked_to) for link in found} <= _possible(story)


def _possible(story: Story) -> set[tuple[int, int]]:
    """Pairs that a plain reading allows: near in place and time, alike in colour, seen well and often enough."""
    reds = (0, 2)
    return {
        (newer, older)
        for newer, (first, last, place, colour, kind, _) in enumerate(story, 1)
        for older, (_, other_last, other_place, other_colour, other_kind, told) in enumerate(story, 1)
        if other_last < first
        and kind == other_kind == 0
        and told
        and (colour == other_colour or (colour in reds and other_colour in reds))
        and abs(place - other_place) * 45 <= 60 * (0.5 + 2.0 * (first - other_last) / FPS) + 1e-3
        and last - first >= 6
    }
