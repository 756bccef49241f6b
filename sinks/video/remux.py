"""The final MP4: the pictures of a finished recording and the sound of its source, with the index in front."""

from __future__ import annotations

import heapq
import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet

from sinks.video.sound_clock import PictureClock
from sinks.video.source_audio import SoundError, SourceAudio

logger = logging.getLogger(__name__)


def remux(
    partial: Path, finished: Path, audio_from: str | os.PathLike[str] | None, clock: PictureClock | None, end_s: float
) -> None:
    """Copy the pictures of ``partial`` and the sound of ``audio_from`` into a plain MP4.

    Sound never costs the pictures: packets that are damaged or that MP4 can't hold are left out; sound that can't be
    copied is encoded, and where that fails, too, the video is silent. Each of these is logged as a warning.

    Args:
        partial: the recording; it stays.
        finished: the file to write.
        audio_from: a file with sound; None for a silent video.
        clock: what the source's pictures said of its clock; None looks in the file for their start.
        end_s: length of the pictures in seconds.

    Raises:
        av.FFmpegError: ``partial`` can't be read or ``finished`` not be written.
    """
    for copy in () if audio_from is None else (True, False):
        try:
            if _with_sound(partial, finished, os.fspath(audio_from or ""), clock, end_s, copy=copy):
                return
        except SoundError as error:
            after = "it is encoded anew" if copy else "the video is silent"
            logger.warning("the sound of %s: %s; %s", os.fspath(audio_from or ""), error, after)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            logger.warning("the sound of %s does not fit into an MP4: %s", os.fspath(audio_from or ""), error.strerror)
    with av.open(str(partial)) as pictures, _output(finished) as output:
        for packet in _packets(pictures, output):
            output.mux(packet)


def _with_sound(
    partial: Path, finished: Path, audio_from: str, clock: PictureClock | None, end_s: float, *, copy: bool
) -> bool:
    """Returns whether that was possible at all: there is sound, and of a kind that may be copied where it should."""
    try:
        audio = SourceAudio(audio_from, clock)
    except av.FFmpegError as error:
        # It could be read when the run began; a finished run's pictures are worth keeping without it.
        if not copy:
            logger.warning("the video is silent: cannot read the sound of %s: %s", audio_from, error.strerror)
        return False
    try:
        if not audio.present or (copy and not audio.can_be_copied):
            return False
        with av.open(str(partial)) as pictures, _output(finished) as output:
            # The merge asks both for their first packet before it gives out any, so that both tracks are there then.
            sound = audio.add_to(output, end_s, copy=copy)
            refused = 0
            for packet in heapq.merge(_packets(pictures, output), sound, key=_decoding_time):
                try:
                    output.mux(packet)
                except av.InvalidDataError:
                    if packet.stream.type != "audio":
                        raise
                    refused += 1
        left_out = audio.left_out + refused
        if left_out:
            packets = "a damaged packet" if left_out == 1 else f"{left_out} damaged packets"
            logger.warning("the sound of %s: %s left out", audio_from, packets)
        return True
    finally:
        audio.close()


def _output(path: Path) -> OutputContainer:
    return av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})


def _packets(pictures: av.container.InputContainer, output: OutputContainer) -> Iterator[Packet[Any]]:
    track = output.add_stream_from_template(pictures.streams.video[0])
    for packet in pictures.demux(video=0):
        if packet.dts is not None:
            packet.stream = track
            yield packet


def _decoding_time(packet: Packet[Any]) -> Fraction:
    return (packet.dts or 0) * packet.time_base
