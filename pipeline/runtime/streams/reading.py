"""The reading side of a stream: its source in a decode thread, and the way from there into the intake."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipeline.interfaces import RecoveringSource, Source
from pipeline.runtime.decode_thread import DecodeThread
from pipeline.runtime.intake import Inlet, Intake
from pipeline.runtime.streams.manner import room
from pipeline.runtime.streams.stream import EndReason
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.runtime.timing import Timings
from pipeline.types import SourceInfo


class StreamReading:
    """How a stream's frames come in.

    Attributes:
        inlet: where they come in.
        active: whether frames may be coming.

    Args:
        source: read in a thread of its own, which closes it.
        intake: where its frames go.
        account: numbers and times the frames, and counts them.
        timings: of the run.
        queue: decoded frames of a file that may wait.
        frame_s: seconds between two frames of the source before, 0 where there was none or it told no rate.
        before: the reading of the stream that this one takes the place of; of the very same source it goes on.
    """

    def __init__(
        self,
        source: Source,
        intake: Intake,
        account: StreamAccount,
        timings: Timings,
        *,
        queue: int,
        frame_s: float = 0.0,
        before: StreamReading | None = None,
    ) -> None:
        self.active = False
        self._source = source
        self._call = intake.call
        self._queue = queue
        self._goes_on = before is not None and source is before._source
        self.inlet: Inlet
        self._thread: DecodeThread
        if before is not None and self._goes_on:
            self.inlet, self._thread = before.inlet, before._thread
            return
        capacity, when_full = room(source.info.live, queue)
        ledger = account.ledger
        self.inlet = intake.add(capacity=capacity, when_full=when_full, on_drop=lambda _: ledger.dropped("stale"))
        place = account.placer(source, frame_s=frame_s)
        self._thread = DecodeThread(source, self.inlet, ledger, timings, place)

    def start(
        self,
        begin: Callable[[SourceInfo], None],
        *,
        on_offline: Callable[[str], None],
        on_online: Callable[[float], None],
    ) -> None:
        """Begin to decode, where that does not go on from before. All that is given is called by the pipeline's thread.

        Args:
            begin: called at once, or before the first frame comes, where what the source is shows only with the first
                attempt to open it.
            on_offline: the source went away, for this reason.
            on_online: the source is back after so many seconds.
        """
        source = self._source
        if isinstance(source, RecoveringSource):
            source.listen(
                on_offline=lambda reason: self._call(partial(on_offline, reason)),
                on_online=lambda offline_s: self._call(partial(on_online, offline_s)),
                on_known=partial(self._known, begin),
            )
            if not source.known:
                self._read()
                return
        begin(source.info)
        self._read()

    def stop(self, reason: EndReason, within_s: float | None) -> None:
        """Have the source come to its end, and wait for that at most ``within_s`` seconds; None waits as it takes."""
        self._thread.stop(reason, within_s)

    def _read(self) -> None:
        """Start the thread, unless it runs already."""
        self.active = True
        if not self._goes_on:
            self._thread.start()

    def _known(self, begin: Callable[[SourceInfo], None], info: SourceInfo) -> None:
        """It shows what the source is; called by the thread that reads it."""
        capacity, when_full = room(info.live, self._queue)
        self.inlet.settle(capacity=capacity, when_full=when_full)
        self._call(partial(begin, info))
