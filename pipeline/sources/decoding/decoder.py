"""Packets in, frames out in display order, and an honest account of the frames that damage swallowed."""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import Any

import av
from av.codec.context import ThreadType
from av.packet import Packet

from pipeline.hardware import CpuBudget
from pipeline.images.limits import MAX_PIXELS
from pipeline.sources.decoding.packets import PacketLedger, PacketTail
from pipeline.sources.decoding.tap import TapConnection

logger = logging.getLogger(__name__)

# Codecs with packets that are never shown, so that packets and frames can't be paired. (VP9 and AV1 have hidden frames
# too, but each is in one packet with a shown one.)
_HIDDEN_FRAME_CODECS = frozenset({"vp8"})
# Reorder buffers hold at most 16 frames in any codec.
_MOST_REORDERED = 16
_MOST_READ_ERRORS = 100
# FFmpeg's number for it.
_EOF = -541478725


def is_broadcast(container: av.container.InputContainer) -> bool:
    """Whether it is an MPEG transport or programme stream, whose clock may restart and whose counters may gap."""
    return bool({"mpegts", "mpeg", "vob"} & set(container.format.name.split(",")))


class PacketDecoder:
    """Decodes one video stream of an open container.

    Args:
        container, stream: opened by the caller, who closes the container after the last use of this object.
        name: what to call the source in the log.
        threads: decoding threads; 0 takes as many as ``pipeline.hardware`` gives pictures of this size.
        live: hand out each frame as soon as its packet is in (threads share a picture's slices, not whole frames),
            and also frames that the decoder had to patch up: a camera's next whole one may be seconds away.
        frame_s: nominal duration of a frame in seconds, or None.
        network: read errors end the stream and are raised, instead of being counted and read past.
        tap: gets every packet, those of the sound too where it wants them; None where nobody does.

    Attributes:
        failed: frames that were there but could not be decoded whole, under ``"decode"``.
        packets: packets read so far.
        first_packet: what the first of them holds.
        is_growing: says at the end whether more is being written, so that what is incomplete there is not missing; None
            where nothing can be.
        give_up_after: packets after which to end instead of looking further for a first frame, or None.
        start_tick: the earliest timestamp so far, also of a packet that could not be decoded, in the stream's ticks.
        end_tick: the latest end of a packet so far, in the stream's ticks.
        last_dts: decoding timestamp of the last packet that has one.
        waited_s: how long the last read took, behind which was the end.
        is_whole: asked at the end of a network file, with whether reading failed there: is that its end? If not, what
            the decoder holds is left in it, as it comes again when the file is read on, and reading has failed.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        *,
        name: str,
        threads: int = 0,
        live: bool = False,
        frame_s: float | None = None,
        network: bool = False,
        tap: TapConnection | None = None,
    ) -> None:
        self._container = container
        self._stream = stream
        self._name = name
        self._live = live
        self._network = network
        self._tap = tap
        self._started = False
        context = stream.codec_context
        context.thread_type = ThreadType.SLICE if live else ThreadType.AUTO
        workers = threads or CpuBudget.of_this_machine().decode(context.width, context.height)
        context.thread_count = workers
        context.options = {"max_pixels": str(MAX_PIXELS)}
        self._stated_aspect = stream.sample_aspect_ratio
        self._aspect_follows = self._stated_aspect in (None, context.sample_aspect_ratio)
        self._held_back = workers + _MOST_REORDERED + 2
        self._frame_threads = not live and workers > 1
        tick_s = float(stream.time_base) if stream.time_base else 1.0
        self._ledger = PacketLedger(
            self._held_back,
            pairs=context.codec.canonical_name not in _HIDDEN_FRAME_CODECS,
            # An MPEG-TS flags whole packets too, next to a gap in its counters, as where two recordings were joined or
            # where the next piece of a playlist begins.
            believes_flags=not is_broadcast(container) and container.format.name != "hls",
            frame_ticks=(frame_s or 0.0) / tick_s,
            mpeg4=context.codec.canonical_name == "mpeg4",
        )
        self._tail = PacketTail(at_least=self._held_back)
        self._newest: av.VideoFrame | None = None
        self._unsettled: list[tuple[int, str]] = []
        self.is_growing: Callable[[], bool] | None = None
        self._grows: bool | None = None
        self.failed: Counter[str] = Counter()
        self.packets = 0
        self.first_packet = b""
        self.give_up_after: int | None = None
        self.start_tick: int | None = None
        self.end_tick: int | None = None
        self.last_dts: int | None = None
        self.waited_s = 0.0
        self.is_whole: Callable[[bool], bool] | None = None

    def frames(self) -> Generator[av.VideoFrame, None, None]:
        """The frames, once, in display order.

        Raises:
            av.FFmpegError: a network stream broke off or timed out; what had been received came out before.
        """
        broken: list[av.FFmpegError] = []
        for packet in self._packets(broken):
            self._settle()
            if self._frame_threads:
                self._tail.append(packet)
            self._ledger.sent(packet)
            try:
                decoded = self._stream.decode(packet)
            except av.FFmpegError as error:
                logger.debug("%s: packet at %s: %s", self._name, packet.pts, error)
                if self._ledger.refused(packet):
                    self._unsettled.append(self._damaged(1))
                decoded = []
            yield from self._whole(decoded)
            if self._live and not decoded:
                yield from self._repeated(None)
        if self.is_whole is not None:
            if not self.is_whole(bool(broken)):
                raise broken.pop() if broken else av.EOFError(_EOF, "the connection was closed")
            broken.clear()
        yield from self._flushed()
        self._close_accounts()
        if broken:
            # Taken out of the list: its traceback leads back here, and in a circle the codec's threads would live on.
            raise broken.pop()

    def grows(self) -> bool:
        """Whether more is being written, which is logged; to be asked at the end only."""
        if self._grows is None:
            self._grows = self.is_growing is not None and self.is_growing()
            if self._grows:
                logger.warning("%s: is still being written; read up to its present end", self._name)
        return self._grows

    def _close_accounts(self) -> None:
        """Count what is missing; of a file that is still being written, the last packet may be there in part."""
        if (self._unsettled or self._ledger.waiting) and self.grows():
            self._unsettled.clear()
            self._ledger.forget_newest()
        self._ledger.close()
        self._account()
        self._settle()

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width of a pixel divided by its height in the frame that was handed out last; None where nobody says.

        What the container says counts. Where it only repeated what the stream said at its beginning, or nothing, the
        stream may change it: broadcasters switch between 4:3 and 16:9.
        """
        return (
            (self._stream.codec_context.sample_aspect_ratio or self._stated_aspect)
            if self._aspect_follows
            else (self._stated_aspect)
        )

    def close(self) -> None:
        """Let go of the codec, whose threads end when nothing refers to it any more. ``failed`` stays."""
        self._settle()
        self.is_growing = None
        self._tail.clear()
        self._newest = None
        del self._stream, self._container

    def count_failed(self, frames: int, what: str) -> None:
        """Count frames that are known to be missing; the first time, ``what`` happened is logged as a warning."""
        if not self.failed:
            logger.warning("%s: %s", self._name, what)
        self.failed["decode"] += frames

    def _packets(self, broken: list[av.FFmpegError]) -> Iterator[Packet[av.VideoStream]]:
        """Packets that hold data. Reading goes on behind damage; what ends a network stream is left in ``broken``."""
        errors = 0
        while True:
            asked_s = time.monotonic()
            try:
                for packet in self._demux():
                    errors = 0
                    self.packets += 1
                    if self.packets == 1:
                        self.first_packet = bytes(packet)
                    self.last_dts = self.last_dts if packet.dts is None else packet.dts
                    if self.give_up_after is not None and self.packets > self.give_up_after:
                        return
                    if packet.pts is not None:
                        if not packet.is_discard:
                            self.start_tick = min(
                                packet.pts if self.start_tick is None else self.start_tick, packet.pts
                            )
                        self.end_tick = max(self.end_tick or 0, packet.pts + (packet.duration or 0))
                    yield packet
                    asked_s = time.monotonic()
                self.waited_s = time.monotonic() - asked_s
                return
            except av.FFmpegError as error:
                if self._network and not isinstance(error, av.InvalidDataError):
                    broken.append(error)
                    return
                errors += 1
                logger.debug("%s: reading: %s", self._name, error)
                if errors == 1:
                    self._unsettled.append(
                        (1, f"damaged behind packet {self.packets} ({error.strerror}); going on behind that")
                    )
                if errors > _MOST_READ_ERRORS:
                    return

    def _demux(self) -> Iterator[Packet[av.VideoStream]]:
        """The packets of the pictures that hold data; the tap gets these, and those of the sound if it wants them."""
        tap = self._tap
        packets: Iterator[Packet[Any]] = self._container.demux(*((self._stream,) if tap is None else tap.streams))
        for packet in packets:
            # An empty packet would tell the decoder that the stream is over.
            if packet.size and (tap is None or tap.take(packet)):
                yield packet

    def _whole(self, decoded: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in self._received(decoded):
            yield from self._with_repeats(frame)
        self._account()

    def _received(self, decoded: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in decoded:
            if self._live and not self._started:
                self._ledger.start_from(frame)
            self._started = True
            if self._ledger.received(frame) or self._live:
                yield frame
            elif frame.pts is not None and frame.pts == self._ledger.newest:
                self._unsettled.append(self._damaged(1))
            else:
                self._ledger.lost += 1

    def _with_repeats(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """The frame, behind those before it that are the same as the one before them."""
        if frame.pts is not None:
            yield from self._repeated(frame.pts)
        self._newest = frame
        yield frame

    def _repeated(self, before: int | None) -> Iterator[av.VideoFrame]:
        """The newest frame once more for each packet that said so; it is told by its timestamp alone."""
        for pts in self._ledger.unchanged(before):
            if self._newest is None:
                self._ledger.lost += 1
                continue
            self._newest.pts, self._newest.dts = pts, None
            yield self._newest

    def _account(self) -> None:
        if self._live and not self._started:
            # Who joins a camera between two keyframes misses nothing that was meant for him.
            return
        lost = self._ledger.lost
        if lost:
            self._ledger.lost = 0
            self.count_failed(*self._damaged(lost))

    def _damaged(self, lost: int) -> tuple[int, str]:
        frames = "a frame" if lost == 1 else f"{lost} frames"
        return lost, f"damaged: can't decode {frames} of the first {self.packets}; going on"

    def _settle(self) -> None:
        """Count what is missing of the last packet: one more came behind it, or no more will."""
        for frames, what in self._unsettled:
            self.count_failed(frames, what)
        self._unsettled.clear()

    def _flushed(self) -> Iterator[av.VideoFrame]:
        """What the decoder still holds at the end.

        With frame threads, PyAV can't reach the frames behind an error that shows only then. They are decoded again,
        pushed through the threads by more packets instead of by the end of the stream.
        """
        try:
            decoded = self._stream.decode(None)
        except av.FFmpegError as error:
            logger.debug("%s: at the end: %s", self._name, error)
            decoded = []
        frames = list(self._received(decoded))
        self._account()
        if self._ledger.waiting and self._tail.packets():
            frames += self._received(self._decoded_again(self._ledger.waiting))
            frames.sort(key=lambda frame: frame.pts or 0)
        for frame in frames:
            yield from self._with_repeats(frame)
        yield from self._repeated(None)

    def _decoded_again(self, wanted: frozenset[int]) -> list[av.VideoFrame]:
        tail = self._tail.packets()
        pushing = itertools.islice(itertools.cycle(tail), self._held_back)
        self._stream.codec_context.flush_buffers()
        found: dict[int, av.VideoFrame] = {}
        for packet in itertools.chain(tail, pushing):
            try:
                decoded = self._stream.decode(packet)
            except av.FFmpegError as error:
                logger.debug("%s: decoding the end again: %s", self._name, error)
                continue
            for frame in decoded:
                if frame.pts in wanted:
                    found.setdefault(frame.pts, frame)
        return list(found.values())
