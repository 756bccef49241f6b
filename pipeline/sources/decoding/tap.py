"""A tap on the packets of a source: who records them gets each one as it came, before anything is decoded.

    container --demux--> PacketDecoder --> frames
                              |
                        PacketTap.take --> receivers (a recording, a ring of the last seconds)

A packet costs a copy of its bytes and an entry in the receivers' queues; whatever takes longer they do in threads of
their own.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import av
from av.packet import Packet

from pipeline.sources.decoding.crop import NO_CROP, Crop, crop_of
from pipeline.sources.decoding.video_stream import is_opaque


class CodedPacket(NamedTuple):
    """A packet as a container gave it.

    Attributes:
        sound: whether it is of the sound; else it is of the pictures.
        data: its bytes.
        pts, dts: in ticks of its track, None where the container says nothing.
        duration: in ticks; 0 where it is not known.
        is_keyframe: whether decoding can begin with it.
        arrived_s: when it was there, by ``time.monotonic()``.
        extradata: what decoders must be told from here on, where the container says that it changes.
    """

    sound: bool
    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    is_keyframe: bool
    arrived_s: float
    extradata: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CodedTracks:
    """What the packets that follow are packets of.

    Attributes:
        video: a stream of pictures to make others from, as ``add_stream_from_template`` does; it outlives the source.
        sound: likewise of the sound; None where there is none, or nobody wants it.
        frame_s: nominal duration of a picture in seconds; None where nobody says.
        live: whether it is a camera, whose packets come at their time.
        by_arrival: whether the timestamps are made up, so that only the arrival tells the time.
        again: whether it is the same file from its beginning, after a connection that broke.
        crop, opaque, pixel_aspect: how pictures are displayed, as ``DisplayReader`` takes it.
    """

    video: av.VideoStream
    sound: av.AudioStream | None
    frame_s: float | None
    live: bool
    by_arrival: bool
    again: bool
    crop: Crop = NO_CROP
    opaque: bool = False
    pixel_aspect: Fraction | None = None


class PacketReceiver(Protocol):
    """Takes packets. All calls come from the thread that reads the source, and return at once, but where ``take`` has
    the source of a file wait."""

    def begin(self, tracks: CodedTracks) -> None:
        """A connection, or a part of it, begins."""
        ...

    def take(self, packet: CodedPacket) -> None:
        """The next packet, in the order of the container."""
        ...

    def decoded(self, tick: int | None, captured_s: float) -> None:
        """The picture with that timestamp, in ticks of its track, became the frame with that ``captured_s``."""
        ...

    def end(self) -> None:
        """The connection is over."""
        ...


class PacketTap:
    """Hands on the packets of one stream, over any number of connections.

    Args:
        receivers: get them.
        sound: whether they want the sound too.
    """

    def __init__(self, receivers: Sequence[PacketReceiver], *, sound: bool) -> None:
        self._receivers = tuple(receivers)
        self.sound = sound
        self._connections = 0

    def connect(
        self,
        container: av.container.InputContainer,
        video: av.VideoStream,
        *,
        frame_s: float | None,
        live: bool,
        by_arrival: bool,
        part: bool = False,
    ) -> TapConnection:
        """Begin with the packets of a container, or of a further ``part`` of what the last one gave."""
        self._connections += not part
        sound = container.streams.best("audio") if self.sound else None
        assert sound is None or isinstance(sound, av.AudioStream)
        # Holds the tracks' descriptions, since those of the source are gone when it is closed.
        holder = av.open(io.BytesIO(), "w", format="nut")
        held_sound = None
        if sound is not None:
            held_sound = holder.add_stream_from_template(sound, opaque=True)
        tracks = CodedTracks(
            video=holder.add_stream_from_template(video, opaque=True),
            sound=held_sound,
            frame_s=frame_s,
            live=live,
            by_arrival=by_arrival,
            again=not live and not part and self._connections > 1,
            crop=crop_of(container, video),
            opaque=is_opaque(container, video),
            pixel_aspect=video.sample_aspect_ratio,
        )
        for receiver in self._receivers:
            receiver.begin(tracks)
        return TapConnection(self._receivers, video, sound)


class TapConnection:
    """The packets of one connection. For the thread that reads it.

    Attributes:
        streams: what is to be read of the container: the pictures, and the sound if it is wanted.
    """

    def __init__(
        self, receivers: Sequence[PacketReceiver], video: av.VideoStream, sound: av.AudioStream | None
    ) -> None:
        self.streams: tuple[av.VideoStream | av.AudioStream, ...] = (video,) if sound is None else (video, sound)
        self._video = video.index
        self._receivers = receivers

    def take(self, packet: Packet[Any]) -> bool:
        """Hand on a packet that holds data; returns whether it is of the pictures."""
        keyframe = packet.is_keyframe
        is_video = packet.stream_index == self._video
        extradata = None
        if keyframe and is_video and packet.has_sidedata("new_extradata"):
            extradata = bytes(packet.get_sidedata("new_extradata"))
        coded = CodedPacket(
            not is_video,
            bytes(packet),
            packet.pts,
            packet.dts,
            packet.duration or 0,
            keyframe,
            time.monotonic(),
            extradata,
        )
        for receiver in self._receivers:
            receiver.take(coded)
        return is_video

    def decoded(self, tick: int | None, captured_s: float) -> None:
        """A picture became a frame: see ``PacketReceiver``."""
        for receiver in self._receivers:
            receiver.decoded(tick, captured_s)

    def close(self) -> None:
        """The connection is over. More than once does no harm."""
        receivers, self._receivers = self._receivers, ()
        for receiver in receivers:
            receiver.end()
