"""The runs of a batch: what there is to do, and doing it, one file after the other or some at a time."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from pipeline.errors import ConfigError, PipelineError, SourceNotFoundError
from pipeline.interfaces import DetectorLike
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from sightline.batch.manifest import Entry, Manifest, State, fingerprint, is_done
from sightline.composition.pipeline import build_pipeline
from sightline.composition.reloader import build_reloader
from sightline.composition.running import run_configured
from sightline.composition.written import present_files, written_files
from sightline.config.schema import Config

_PATTERN = "{stream}"


@dataclass(frozen=True, slots=True)
class Job:
    """One file and its configuration, with outputs under names of their own.

    Attributes:
        name: of the stream, and in the names of the outputs.
        input: the file.
        config: of its run.
    """

    name: str
    input: Path
    config: Config

    @property
    def settings(self) -> str:
        """Hash of what decides on the results."""
        told = f"{version('sightline')} {self.config.model_dump_json(exclude={'threads', 'queues'})}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def jobs(sources: Mapping[str, str], read: Callable[[str, str], Config]) -> list[Job]:
    """The job of each source.

    Args:
        sources: paths by the names of their streams.
        read: gives the configuration for a name and a path.

    Raises:
        SourceNotFoundError: there is no such file.
        ConfigError: something that is no file, or outputs without ``{stream}``, which would replace each other.
    """
    made: list[Job] = []
    for name, source in sources.items():
        path = Path(source)
        if not path.is_file():
            kind = "is a folder; name the files in it" if path.is_dir() else "no such file; check the path"
            raise (ConfigError if path.is_dir() else SourceNotFoundError)(f"--each: {source}: {kind}")
        config = read(name, source)
        for key in ("video", "tracks", "jsonl", "report"):
            output = getattr(config.output, key)
            if len(sources) > 1 and output is not None and _PATTERN not in str(output):
                raise ConfigError(f"output.{key}: every file needs an output of its own; put {_PATTERN} in {output}")
        named = {
            key: Path(str(output).replace(_PATTERN, name))
            for key in ("jsonl", "report")
            if (output := getattr(config.output, key)) is not None
        }
        made.append(Job(name, path, config.model_copy(update={"output": config.output.model_copy(update=named)})))
    return made


@dataclass(slots=True)
class Batch:
    """Jobs on their way. ``stop`` ends those that run, and begins no more.

    Args:
        work: what there is to do.
        manifest: learns of every change.
        at_once: how many run at a time; they share the network.
        progress: show a progress bar for each.
        say: told a line for each job that is over.

    Attributes:
        states: what became of the jobs, and ``skipped`` for those that were done before.
        objects: of all jobs that are done, by class.
    """

    work: Sequence[Job]
    manifest: Manifest
    at_once: int = 1
    progress: bool = False
    say: Callable[[str], object] = print
    states: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    _stopped: bool = False
    _detector: DetectorLike | None = None
    _running: set[Pipeline] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Do all that is not done. What fails is noted, and the others go on.

        Raises:
            Exception: a fault in Sightline or in user code; what was running is noted as it is.
        """
        with ThreadPoolExecutor(self.at_once, "each") as pool:
            waiting = [pool.submit(self._do, job) for job in self.work]
            try:
                for one in waiting:
                    one.result()
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End what runs, with its outputs complete up to there, and begin no more. For any thread."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for pipeline in running:
            pipeline.stop()

    def _do(self, job: Job) -> None:
        if self._stopped:
            return
        known = self.manifest.entries.get(str(job.input))
        size, modified_ns, sha256 = fingerprint(job.input, known)
        if is_done(known, sha256, job.settings):
            assert known is not None, "it is done"
            self._note(job, None, "skipped", known.objects)
            return

        def note(state: State, report: Report | None = None, error: str | None = None) -> Entry:
            stream = None if report is None else report.streams[job.name]
            there = present_files(job.config) if state == "done" else []
            written = [path for path in there if path in own or path not in before]
            return Entry(
                input=str(job.input),
                bytes=size,
                modified_ns=modified_ns,
                sha256=sha256,
                settings=job.settings,
                state=state,
                outputs={str(path): path.stat().st_size for path in written},
                frames=0 if stream is None else stream.processed,
                objects={} if stream is None else {name: seen.unique for name, seen in stream.objects.items()},
                seconds=round(time.monotonic() - begun_s, 2),
                error=error,
            )

        own, before = {*written_files(job.config).values()}, {*present_files(job.config)}
        begun_s = time.monotonic()
        with self._lock:
            self.manifest.record(note("running"))
        try:
            report = self._run(job)
        except PipelineError as error:
            entry = note("failed", error=str(error))
        else:
            entry = note("interrupted" if self._stopped else "done", report)
        self._note(job, entry, entry.state, entry.objects if entry.state == "done" else {})

    def _run(self, job: Job) -> Report:
        with self._lock:  # the first one loads the network, which the others share
            pipeline = build_pipeline(job.config, progress=self.progress, detector=self._detector)
            self._detector = pipeline.detector
            if self._stopped:
                pipeline.stop()
            self._running.add(pipeline)
        try:
            return run_configured(job.config, pipeline, build_reloader(pipeline, job.config, lambda: job.config))
        finally:
            with self._lock:
                self._running.discard(pipeline)

    def _note(self, job: Job, entry: Entry | None, state: str, objects: Mapping[str, int]) -> None:
        with self._lock:
            if entry is not None:
                self.manifest.record(entry)
            self.states[state] += 1
            self.objects.update(objects)
        if entry is None:
            self.say(f"{job.name}: done before")
        elif entry.error is not None:
            self.say(f"{job.name}: failed: {entry.error}")
        else:
            seen = ", ".join(f"{count} {name}" for name, count in entry.objects.items()) or "no objects"
            ended = "ended early, " if state == "interrupted" else ""
            self.say(f"{job.name}: {ended}{entry.frames} frames in {entry.seconds:.1f} s, {seen}")
