"""When packets come, whatever the camera's clock does."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pipeline.sources.decoding.tap import CodedPacket, CodedTracks
from sinks.recording.packet_clock import PacketClock
from tests.support.clips import write_clip
from tests.support.coded_packets import as_camera

FRAME = 3600  # ticks of a clock of 90 kHz at 25 frames per second


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> CodedTracks:
    clip = write_clip(tmp_path_factory.mktemp("clip") / "clip.ts", count=2, audio=True)
    found, _ = as_camera(clip)
    assert found.video.time_base == Fraction(1, 90_000)
    return found


def picture(stamp: int | None, arrived_s: float = 0.0, *, pts: int | None = None) -> CodedPacket:
    return CodedPacket(False, b"x", stamp if pts is None else pts, stamp, FRAME, False, arrived_s)


def sound(stamp: int) -> CodedPacket:
    return CodedPacket(True, b"x", stamp, stamp, 1800, True, 0.0)


def places(clock: PacketClock, stamps: list[int | None]) -> list[tuple[float, bool]]:
    """In frames, and whether it jumped there; packets arrive evenly."""
    placed = [clock.place(picture(stamp, number / 25)) for number, stamp in enumerate(stamps)]
    return [(each.dts / FRAME, each.jumped) for each in placed if each is not None]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([7 * FRAME, 8 * FRAME, 10 * FRAME], [(0, False), (1, False), (3, False)]),
        ([None, 5 * FRAME, 6 * FRAME], [(0, False), (1, False), (2, False)]),
        ([2**33 - FRAME, 0, FRAME], [(0, False), (1, True), (2, False)]),
        ([0, FRAME, 90_000 * 60, 90_000 * 60 + FRAME], [(0, False), (1, False), (2, True), (3, False)]),
        ([0, FRAME, None, 3 * FRAME], [(0, False), (1, False), (2, False), (3, False)]),
    ],
    ids=["rising", "none at first", "wrapped", "leapt", "none in between"],
)
def test_pictures_are_placed(tracks: CodedTracks, stamps: list[int | None], expected: list[tuple[float, bool]]) -> None:
    assert places(PacketClock(tracks), stamps) == expected


def test_what_slips_back_is_put_behind_the_one_before(tracks: CodedTracks) -> None:
    placed = places(PacketClock(tracks), [0, 2 * FRAME, FRAME, 4 * FRAME])
    assert [jumped for _, jumped in placed] == [False] * 4
    assert placed[2][0] == pytest.approx(2 + 1 / FRAME)
    assert placed[3][0] == 4


def test_a_pause_that_the_arrival_confirms_is_no_leap(tracks: CodedTracks) -> None:
    clock = PacketClock(tracks)
    first, second = clock.place(picture(0, 0.0)), clock.place(picture(90_000 * 60, 60.0))
    assert first is not None
    assert second is not None
    assert (second.dts, second.jumped) == (90_000 * 60, False)


def test_where_timestamps_are_made_up_the_arrival_counts(tracks: CodedTracks) -> None:
    clock = PacketClock(replace(tracks, by_arrival=True))
    placed = [clock.place(picture(number * FRAME, arrived_s)) for number, arrived_s in enumerate((5.0, 5.5, 7.0))]
    assert [each.dts / 90_000 for each in placed if each is not None] == [0.0, 0.5, 2.0]


def test_pictures_in_another_order_keep_it(tracks: CodedTracks) -> None:
    clock = PacketClock(tracks)
    placed = [clock.place(picture(dts * FRAME, dts / 25, pts=pts * FRAME)) for dts, pts in ((0, 1), (1, 3), (2, 2))]
    assert [each.pts / FRAME for each in placed if each is not None] == [1, 3, 2]


def test_sound_keeps_its_place_by_its_own_stamps(tracks: CodedTracks) -> None:
    clock = PacketClock(tracks)
    assert clock.place(sound(100)) is None
    clock.place(picture(900_000))
    placed = [clock.place(sound(900_000 + offset)) for offset in (-1800, 0, 1800)]
    assert [each.dts for each in placed if each is not None] == [-1800, 0, 1800]


def test_sound_that_strays_is_put_beside_the_pictures(tracks: CodedTracks) -> None:
    clock = PacketClock(tracks)
    clock.place(picture(900_000))
    placed = [clock.place(sound(stamp)) for stamp in (5, 1805)]
    assert [each.dts for each in placed if each is not None] == [0, 1800]
