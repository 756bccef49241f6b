"""What a keyframe says of the pictures that follow: the parameter sets of H.264 and H.265, the size of a JPEG.

A camera that is set to another resolution goes on in the same connection and tells it in its next keyframe alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av

from pipeline.images.header import read_header
from pipeline.images.limits import MAX_PIXELS
from pipeline.sources.decoding.tap import CodedPacket, CodedTracks

# Types of NAL units: ITU-T H.264, table 7-1, and H.265, table 7-1. Those that hold slices come behind all others. Sets
# for single pictures are no matter: each may have its own.
_H264_SETS, _H264_SLICES = (7,), range(1, 6)
_H265_SETS, _H265_SLICES = (32, 33), range(32)


@dataclass(frozen=True, slots=True)
class PictureForm:
    """What pictures are like that one decoder can go on with.

    Attributes:
        sets: parameter sets of the sequence without start codes, in their order; empty for codecs that have none.
        size: width and height in pixels, of a JPEG.
    """

    sets: tuple[bytes, ...] = ()
    size: tuple[int, int] | None = None


class FormReader:
    """Reads the form of pictures out of keyframes.

    Args:
        codec: FFmpeg's name of it.
        extradata: what the container tells decoders.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self.codec = codec
        self._set_types, self._slices = {
            "h264": (_H264_SETS, _H264_SLICES),
            "hevc": (_H265_SETS, _H265_SLICES),
        }.get(codec, ((), range(0)))
        # An avcC or hvcC box begins with its version, 1; what begins with a start code is a byte stream (annex B).
        stated = extradata or b""
        self.by_length = stated[:1] == b"\1"
        self.stated = PictureForm(() if self.by_length else tuple(self._sets(stated)))

    def form(self, keyframe: bytes) -> PictureForm | None:
        """The form of the pictures from this keyframe on; None where it does not say."""
        if self.codec == "mjpeg":
            header = read_header(keyframe)
            return None if header is None else PictureForm(size=(header.width, header.height))
        if not self._set_types or self.by_length:
            return None
        found = tuple(self._sets(keyframe))
        return PictureForm(found) if found else None

    def _sets(self, data: bytes) -> Iterator[bytes]:
        """The parameter sets in front of the first slice; each once, as they may be repeated."""
        seen = set()
        for unit in _units(data):
            kind = unit[0] >> 1 & 0x3F if self.codec == "hevc" else unit[0] & 0x1F
            if kind in self._slices:
                return
            if kind in self._set_types and unit not in seen:
                seen.add(unit)
                yield unit


def _units(data: bytes) -> Iterator[bytes]:
    """The NAL units of a byte stream, one after the other as they are asked for."""
    start = data.find(b"\0\0\1")
    while start >= 0:
        begin = start + 3
        start = data.find(b"\0\0\1", begin)
        unit = data[begin:] if start < 0 else data[begin:start].rstrip(b"\0")
        if unit:
            yield unit


class PictureForms:
    """Follows the form of the pictures of a connection.

    Args:
        tracks: of the connection.

    Attributes:
        extradata: what decoders must be told now, where the container has told it anew.
    """

    def __init__(self, tracks: CodedTracks) -> None:
        context = tracks.video.codec_context
        self._reader = FormReader(context.name, context.extradata)
        self._form = self._reader.stated
        self._video = tracks.video
        self._known = context.width > 0
        self._picture: av.container.InputContainer | None = None
        self.extradata: bytes | None = None

    def changes(self, keyframe: CodedPacket) -> bool:
        """Whether the pictures take another form with this keyframe."""
        if keyframe.extradata is not None:
            self.extradata = keyframe.extradata
            return True
        form = self._reader.form(keyframe.data)
        if form is None or (form == self._form and self._known):
            return False
        self._form = form
        if form.sets and (opened := open_keyframe(self._reader.codec, keyframe.data)) is not None:
            self._picture, self._known = opened, True
        return True

    @property
    def video(self) -> av.VideoStream:
        """A stream to make others from that have the form of the last keyframe."""
        return self._video if self._picture is None else self._picture.streams.video[0]


def open_keyframe(codec: str, keyframe: bytes) -> av.container.InputContainer | None:
    """A keyframe as a container of its own, whose stream says what it found in its parameter sets; None where that says
    nothing."""
    try:
        container = av.open(
            io.BytesIO(keyframe), "r", format=codec, options={"max_pixels": str(MAX_PIXELS), "probesize": "5000000"}
        )
    except av.FFmpegError:
        return None
    context = container.streams.video[0].codec_context
    if context.extradata and context.width:
        return container
    container.close()
    return None
