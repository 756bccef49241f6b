"""What goes in with wide pixels, a crop, HDR or transparency comes out of the MP4 as it is displayed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.images.reading import read_image
from pipeline.sources.decoding.tone import Curve
from pipeline.sources.video_file import VideoFile
from pipeline.types import Image
from sinks.video.mp4 import Mp4Sink
from tests.pipeline.sources.decoding.test_display import SDR, patches, write_chart
from tests.support.clips import read_number, write_clip
from tests.support.video_files import tracked


def recorded(source_path: Path, output: Path) -> tuple[list[Image], dict[str, Any]]:
    """Record the file plainly: the pictures, BGR, and what the output says of them."""
    sink = Mp4Sink(output, annotate=None)
    with VideoFile(source_path) as source:
        sink.open(source.stream, source.info, [])
        for frame in source:
            sink.on_frame(tracked(frame.image, frame.index, frame.pts_s, stream=source.stream))
        sink.close(None)
    with av.open(str(output)) as container:
        pictures = [read_image(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
        track = container.streams.video[0]
        context = track.codec_context
        return pictures, {
            "size": (context.width, context.height),
            "aspect": track.sample_aspect_ratio,
            "transfer": context.color_trc,
            "primaries": context.color_primaries,
            "format": context.pix_fmt,
        }


def test_wide_pixels_come_out_square(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "wide.mp4", count=5, pixel_aspect=Fraction(64, 45))
    pictures, said = recorded(source, tmp_path / "out.mp4")
    assert [read_number(picture) for picture in pictures] == list(range(5))
    assert said["size"] == (228, 120)
    assert said["aspect"] in (None, 1)


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_hdr_comes_out_as_bt709_and_says_so(tmp_path: Path, curve: Curve) -> None:
    pictures, said = recorded(write_chart(tmp_path / "hdr.mkv", "ffv1", curve), tmp_path / "out.mp4")
    assert patches(pictures[0]) == pytest.approx(SDR * 255, abs=10)
    assert (said["transfer"], said["primaries"], said["format"]) == (1, 1, "yuv420p")
