"""A shard: one process that runs an ordinary pipeline for its part of a cluster's streams.

    Order --Shard--> build_pipeline, Reloader --> Pipeline --> its feed of events

A shard is told what to run, as a whole and as often as one likes, and brings its pipeline to that in a thread of its
own; how it is doing can be asked at any time, and is told at once. It goes on whether somebody asks or not.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
import psutil

from pipeline.analytics.event_stamper import EventStamper
from pipeline.errors import PipelineError
from pipeline.interfaces import DetectorLike
from pipeline.redaction import redact, redact_address
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import StreamStatus
from pipeline.runtime.streams.stream_past import RunPasts, StreamPast
from sightline.cluster.messages import Assignment, Order, ShardSpec, ShardState, ShardStatus, StreamState
from sightline.cluster.pictures import PictureServer
from sightline.cluster.shard_config import shard_config
from sightline.cluster.shard_feed import LentSink, open_feed
from sightline.composition.pipeline import build_detector, build_pipeline, shown_confidence
from sightline.composition.reload import Reloader
from sightline.composition.reloader import build_reloader
from sightline.config.schema import Config, ResolvedStream
from sightline.doctor.timing import per_second
from sightline.server.live.hub import LiveHub

logger = logging.getLogger(__name__)

# How often a shard looks what its streams have come to.
_LOOK_S = 0.5
# How long its detector is timed.
_TIMED_S = 0.3
_STATES: dict[str, ShardState] = {"waiting": "waiting", "online": "online", "offline": "offline"}


class Shard:
    """Runs streams as it is told, in threads of its own, from the moment it is made until ``close``.

    Args:
        spec: what it is.
        versions: what ``ShardStatus`` tells of versions.
        detector: in place of that of the configuration.
    """

    def __init__(self, spec: ShardSpec, versions: dict[str, str], *, detector: DetectorLike | None = None) -> None:
        self._spec = spec
        self._versions = versions
        self._detector = detector
        self._confidence = spec.config.model.confidence
        self._pasts_of: dict[str, StreamPast] = {}
        self._stamper = EventStamper()
        self._sink, self._feed, security = open_feed(spec.host)
        self._hub = LiveHub()
        self._pictures = PictureServer(spec.host, self._hub, security)
        self._changed = threading.Condition()
        self._news = threading.Event()
        self._hub.listen(self._news.set)
        self._process = psutil.Process()
        self._order: Order | None = None
        self._version = 0
        self._over = False
        self._running: dict[str, Assignment] = {}
        self._ended: dict[str, StreamState] = {}
        self._pipeline: Pipeline | None = None
        self._runner: threading.Thread | None = None
        self._reloader: Reloader[ResolvedStream] | None = None
        self._pasts: RunPasts | None = None
        self._pasts_s = time.monotonic()
        self._capacity: float | None = None
        self._trouble: str | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="shard")
        self._thread.start()

    def sync(self, order: Order | None = None, wait_s: float = 0.0) -> ShardStatus:
        """Take an order to be carried out soon, and tell how all is. For any thread.

        Args:
            order: what to run from now on; None leaves it as it is.
            wait_s: how long to wait, at most, for a change since this was told last: a stream that comes, goes or ends,
                an order that is carried out.

        Raises:
            RuntimeError: the shard can do no more.
        """
        with self._changed:
            if order is not None and order.version > (0 if self._order is None else self._order.version):
                self._order = order
                self._changed.notify()
        self._news.wait(wait_s)
        self._news.clear()
        if self._failure is not None:
            raise RuntimeError(f"the shard's thread ended: {self._failure}") from self._failure
        with self._changed:
            states = self._states()
            self._await_frames(states)
            return ShardStatus(
                name=self._spec.name,
                version=self._version,
                pid=os.getpid(),
                versions=self._versions,
                feed=self._feed,
                pictures=self._pictures.endpoint,
                pasts=self._known_pasts(states),
                pasts_age_s=time.monotonic() - self._pasts_s if self._pipeline is not None else 0.0,
                capacity=self._capacity,
                threads=self._spec.threads,
                memory_mb=round(self._process.memory_info().rss / 1e6, 1),
                trouble=self._trouble,
                streams=states,
            )

    def _await_frames(self, states: Mapping[str, StreamState]) -> None:
        """The next frame of a stream that has none makes news."""
        for name, stream in states.items():
            if stream.state in ("starting", "waiting", "offline"):
                self._hub.forget(name, self._news.set)
                self._hub.call_at_next(name, self._news.set)

    def close(self) -> None:
        """End all streams, complete their outputs, and end. May be called again."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()
        self._pictures.close()
        self._sink.close()

    def _known_pasts(self, states: Mapping[str, StreamState]) -> RunPasts | None:
        """What streams have come to, but those that are yet to begin: what they came to here before is an old story."""
        pasts = self._pasts
        if pasts is None:
            return None
        streams = {name: past for name, past in pasts.streams.items() if name in states}
        streams = {name: past for name, past in streams.items() if states[name].state != "starting"}
        return RunPasts(run=pasts.run, seq=pasts.seq, streams=streams)

    def _states(self) -> dict[str, StreamState]:
        states = dict(self._ended)
        if self._order is not None:
            for name, assignment in self._order.streams.items():
                known = states.get(name)
                if known is None or known.epoch < assignment.epoch:
                    states[name] = StreamState(epoch=assignment.epoch, state="starting")
        pipeline = self._pipeline
        for status in () if pipeline is None else pipeline.status():
            running = self._running.get(status.name)
            if running is not None:
                states[status.name] = _state(running.epoch, status)
        for name, assignment in self._running.items():
            if name not in states or states[name].epoch < assignment.epoch:
                states[name] = StreamState(epoch=assignment.epoch, state="starting")
        return states

    # The shard's own thread.

    def _work(self) -> None:
        try:
            self._get_ready()
            while True:
                with self._changed:
                    if not self._over and self._is_done():
                        self._changed.wait(_LOOK_S)
                    order, over = self._order, self._over
                if over:
                    break
                if order is not None and order.version != self._version:
                    self._carry_out(order)
                self._look()
            self._end_pipeline()
        except BaseException as error:
            logger.exception("the shard's thread ended")
            self._failure = error
            self._news.set()

    def _is_done(self) -> bool:
        return self._order is None or self._order.version == self._version

    def _get_ready(self) -> None:
        """Have a detector that is warm, and know how fast it is."""
        try:
            if self._detector is None:
                every = [stream.name for stream in self._spec.config.resolved_streams()]
                self._detector = build_detector(shard_config(self._spec.config, every, threads=self._spec.threads))
                self._confidence = shown_confidence(self._spec.config)
            picture = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
            pictures = [picture] * self._spec.config.model.batch
            detector = self._detector
            detector.detect(pictures)
            self._capacity = round(len(pictures) * per_second(lambda: detector.detect(pictures), _TIMED_S), 1)
        except PipelineError as error:
            self._trouble = redact(str(error))
            logger.error("the detector can't be had: %s", error)
        self._news.set()

    def _carry_out(self, order: Order) -> None:
        wanted = dict(order.streams)
        config = shard_config(order.config, wanted, threads=self._spec.threads)
        config = config.model_copy(update={"model": config.model.model_copy(update={"confidence": self._confidence})})
        described = {stream.name: stream for stream in config.resolved_streams()}
        if self._trouble is None:
            for name, running in list(self._running.items()):
                if name not in wanted or wanted[name].epoch != running.epoch:
                    self._end_stream(name)
            for name, assignment in wanted.items():
                if name not in described:
                    self._fail(name, assignment.epoch, "the configuration does not name it")
                elif not self._has_ended(name, assignment.epoch):
                    self._begin_or_change(config, described[name], assignment)
        with self._changed:
            self._version = order.version
        self._news.set()

    def _has_ended(self, name: str, epoch: int) -> bool:
        return name in self._ended and self._ended[name].epoch == epoch

    def _begin_or_change(self, config: Config, stream: ResolvedStream, assignment: Assignment) -> None:
        """Have the pipeline run a stream, and as it is described now."""
        name = stream.name
        running = self._running.get(name)
        if running is None:
            self._forget_past(name)
        try:
            if self._pipeline is None:
                self._start_pipeline(config, name, assignment)
            else:
                assert self._reloader is not None
                others = [each for each in self._described() if each.name != name]
                self._pasts_of = {} if assignment.past is None else {name: assignment.past}
                self._reloader.take_over([*others, stream])
        except PipelineError as error:
            if running is None:
                self._fail(name, assignment.epoch, redact(str(error)))
            else:
                logger.error("%s goes on as it was: %s", name, error)
            return
        with self._changed:
            self._running[name] = assignment
            self._ended.pop(name, None)

    def _forget_past(self, name: str) -> None:
        with self._changed:
            if self._pasts is not None:
                others = {of: past for of, past in self._pasts.streams.items() if of != name}
                self._pasts = RunPasts(run=self._pasts.run, seq=self._pasts.seq, streams=others)

    def _described(self) -> Sequence[ResolvedStream]:
        assert self._reloader is not None
        return [stream for stream in self._reloader.streams if stream.name in self._running]

    def _start_pipeline(self, config: Config, name: str, assignment: Assignment) -> None:
        config = shard_config(config, [name], threads=self._spec.threads)
        self._pasts_of = {} if assignment.past is None else {name: assignment.past}
        pipeline = build_pipeline(
            config,
            detector=self._detector,
            sinks=[LentSink(self._sink), self._hub],
            pasts=self._pasts_of,
            stamper=self._stamper,
        )
        self._reloader = build_reloader(pipeline, config, lambda: config, past_of=lambda of: self._pasts_of.get(of))
        self._runner = threading.Thread(target=self._run, args=(pipeline,), name="pipeline")
        with self._changed:
            self._pasts_s = time.monotonic()  # there was none until now, maybe for long: it has not been hanging
            self._pipeline = pipeline
        self._runner.start()

    def _run(self, pipeline: Pipeline) -> None:
        try:
            pipeline.run()
        except PipelineError as error:
            logger.error("the pipeline ended: %s", redact(str(error)))

    def _end_stream(self, name: str) -> None:
        """Take a stream out of the pipeline; what it came to then is final."""
        assert self._pipeline is not None and self._reloader is not None
        pipeline, epoch = self._pipeline, self._running[name].epoch
        others = [stream for stream in self._described() if stream.name != name]
        if others:
            self._reloader.take_over(others)
            self._wait_for_end(name)
            self._keep_pasts(pipeline)
        else:
            self._end_pipeline()
        with self._changed:
            self._running.pop(name, None)
            self._ended[name] = StreamState(epoch=epoch, state="released")

    def _wait_for_end(self, name: str) -> None:
        pipeline, runner = self._pipeline, self._runner
        while pipeline is not None and runner is not None and runner.is_alive() and pipeline.stream(name) is not None:
            runner.join(0.01)

    def _end_pipeline(self) -> None:
        pipeline, runner = self._pipeline, self._runner
        if pipeline is None or runner is None:
            return
        pipeline.stop("removed")
        runner.join()
        self._keep_pasts(pipeline)
        with self._changed:
            self._pipeline = self._runner = self._reloader = None

    def _fail(self, name: str, epoch: int, error: str) -> None:
        logger.error("%s: %s", name, error)
        with self._changed:
            self._running.pop(name, None)
            self._ended[name] = StreamState(epoch=epoch, state="failed", error=error)

    def _look(self) -> None:
        """See what the streams have come to, and which of them have ended by themselves."""
        pipeline, runner = self._pipeline, self._runner
        if pipeline is None or runner is None:
            return
        over = not runner.is_alive()
        self._keep_pasts(pipeline)
        alive = set() if over else {status.name for status in pipeline.status()}
        reports = pipeline.ended()
        for name, assignment in list(self._running.items()):
            if name in alive or (name not in reports and not over):
                continue
            error = reports[name].error if name in reports else "the pipeline ended"
            with self._changed:
                self._running.pop(name)
                state: ShardState = "ended" if error is None else "failed"
                self._ended[name] = StreamState(epoch=assignment.epoch, state=state, error=error)
            self._news.set()
        if over:
            with self._changed:
                self._pipeline = self._runner = self._reloader = None

    def _keep_pasts(self, pipeline: Pipeline) -> None:
        try:
            pasts = pipeline.pasts_so_far(timeout_s=_LOOK_S)
        except TimeoutError:
            return  # a batch takes long; how old what is known is, is told
        with self._changed:
            known = {*self._running, *self._ended}
            before = {} if self._pasts is None else self._pasts.streams
            before = {name: past for name, past in before.items() if name in known}
            self._pasts = RunPasts(run=pasts.run, seq=pasts.seq, streams={**before, **pasts.streams})
            self._pasts_s = time.monotonic()


def _state(epoch: int, status: StreamStatus) -> StreamState:
    newest_s = status.newest_s
    return StreamState(
        epoch=epoch,
        state=_STATES[status.state],
        source=redact_address(status.info.uri),
        live=status.info.live,
        width=status.info.width,
        height=status.info.height,
        decoded_fps=round(status.rates.decoded, 2),
        fps=round(status.rates.processed, 2),
        p50_ms=round(status.p50_ms, 1),
        p95_ms=round(status.p95_ms, 1),
        objects=status.objects,
        picture_age_s=None if newest_s is None else round(max(0.0, time.monotonic() - newest_s), 3),
    )
