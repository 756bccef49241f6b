"""Packets into a file that can be played however it ends: fragmented MP4, or Matroska for what MP4 can't hold."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet

from pipeline.errors import SinkError
from pipeline.sources.decoding.tap import CodedTracks
from sinks.recording.clusters import ClusterWriter
from sinks.steady_file import SteadyFile
from sinks.video.fragments import FragmentWriter

logger = logging.getLogger(__name__)

# A fragment begins with a keyframe, but not sooner than half a second after the one before, as in Motion JPEG every
# picture is one; where keyframes are far apart, one is written every two seconds. (Microseconds, and milliseconds.)
_FRAGMENTS = {"min_frag_duration": "500000", "frag_duration": "2000000"}
_MOVFLAGS = "frag_keyframe+empty_moov+default_base_moof"
_CLUSTERS = {"cluster_time_limit": "2000", "cluster_size_limit": "16000000"}
# Pictures don't wait longer for sound that does not come, as where a microphone is off (microseconds).
_COMMON = {"flush_packets": "1", "max_interleave_delta": "1000000"}
# In the order of preference. QuickTime's own, older form of MP4 holds G.711, the sound of many cameras.
_FORMATS = {"mp4": ".mp4", "matroska": ".mkv", "mov": ".mov"}


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """A kind of file, and the tracks that go into it.

    Attributes:
        format: FFmpeg's name.
        tracks: without the sound, where there is no format that holds both.
    """

    format: str
    tracks: CodedTracks

    @property
    def suffix(self) -> str:
        """What its files end in."""
        return _FORMATS[self.format]


def choose_container(name: str, tracks: CodedTracks) -> Container:
    """The first kind of file that holds these tracks; another than MP4, and sound that none holds, are logged.

    Args:
        name: of the stream, for the log.
        tracks: what is to be recorded.

    Raises:
        SinkError: there is none that holds the pictures.
    """
    video, sound = tracks.video.codec_context.name, tracks.sound and tracks.sound.codec_context.name
    for held in (tracks,) if sound is None else (tracks, replace(tracks, sound=None)):
        for form, suffix in _FORMATS.items():
            if not _holds(form, held):
                continue
            if held is not tracks:
                logger.warning("%s: is recorded without its sound: no container holds %s", name, sound)
            elif form != "mp4":
                codecs = video if sound is None else f"{video} with {sound}"
                logger.warning("%s: MP4 can't hold %s; it is recorded as %s", name, codecs, suffix)
            return Container(form, held)
    raise SinkError(f"{name}: no container holds {video}, so it can't be recorded; record the annotated video instead")


def _holds(form: str, tracks: CodedTracks) -> bool:
    try:
        # As a fragmented file, which is complete without a single packet.
        options = {} if form == "matroska" else {"movflags": "empty_moov"}
        with av.open(io.BytesIO(), "w", format=form, options=options) as trial:
            _add_tracks(trial, tracks)
            trial.start_encoding()
    except (ValueError, av.FFmpegError):
        return False
    return True


def _add_tracks(output: av.container.OutputContainer, tracks: CodedTracks) -> dict[bool, Any]:
    """The output's streams, by whether they are the sound."""
    streams: dict[bool, Any] = {False: output.add_stream_from_template(tracks.video, opaque=True)}
    if tracks.sound is not None:
        streams[True] = output.add_stream_from_template(tracks.sound, opaque=True)
    return streams


class PacketMuxer:
    """Writes packets into one file.

    Args:
        container: what it is, and its tracks.
        target: what grows, and gets whole fragments, or clusters; or a file that is complete only when it is closed;
            one given by its path has its index in front.
        ticks: seconds per tick of packets, of pictures (False) and sound (True).
        extradata: what decoders are to be told now, in place of what the tracks say.
    """

    def __init__(
        self,
        container: Container,
        target: SteadyFile | str | io.BytesIO,
        ticks: Mapping[bool, Fraction],
        extradata: bytes | None = None,
    ) -> None:
        tracks = container.tracks
        if isinstance(target, SteadyFile):
            self._output = _open_growing(container, target)
        else:
            in_front = isinstance(target, str) and container.format != "matroska"
            options = {"movflags": "faststart"} if in_front else {}
            self._output = av.open(target, "w", format=container.format, options=options)
        self._streams = _add_tracks(self._output, tracks)
        for sound, stream in self._streams.items():
            stream.time_base = ticks[sound]
        if extradata is not None:
            self._streams[False].codec_context.extradata = extradata
        self._ticks = ticks

    def add(self, data: bytes, *, sound: bool, dts: int, pts: int, duration: int, is_keyframe: bool) -> None:
        """Add a packet; its times are in ticks of its track, and rise from one to the next by their ``dts``.

        Raises:
            av.FFmpegError: the muxer can't take it.
            SinkError: the file can't be written.
        """
        packet: Packet[Any] = Packet(data)
        packet.dts, packet.pts, packet.duration, packet.time_base = dts, pts, duration, self._ticks[sound]
        packet.is_keyframe = is_keyframe
        packet.stream = self._streams[sound]
        self._output.mux_one(packet)

    def close(self) -> None:
        """Write what it still holds.

        Raises:
            av.FFmpegError, SinkError: as ``add``.
        """
        self._output.close()


def _open_growing(container: Container, file: SteadyFile) -> av.container.OutputContainer:
    if container.format == "matroska":
        return av.open(ClusterWriter(file), "w", format=container.format, options={**_CLUSTERS, **_COMMON})
    # Sound that tells in its packets alone what it is has to be waited for.
    sound = container.tracks.sound
    late = sound is not None and sound.codec_context.name == "aac" and not sound.codec_context.extradata
    options = {**_FRAGMENTS, **_COMMON, "movflags": f"{_MOVFLAGS}{'+delay_moov' if late else ''}"}
    return av.open(FragmentWriter(file), "w", format=container.format, options=options)
