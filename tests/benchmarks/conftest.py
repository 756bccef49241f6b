"""A clip that is over soon."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import pytest

FIRST = 30


@pytest.fixture(scope="session")
def short_clip(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of the demo's clip in which there is something to see."""
    path = tmp_path_factory.mktemp("clips") / "short.mp4"
    with av.open(str(demo_clip)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video = source.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for number, frame in enumerate(islice(source.decode(video), FIRST, FIRST + 10)):
            picture = frame.reformat(format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    return path
