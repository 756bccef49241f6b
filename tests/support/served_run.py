"""A real run that is served: an endless camera from memory, a detector of bright blobs, a store, real sockets."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
import yaml

from pipeline.interfaces import Sink
from pipeline.runtime.pipeline import Pipeline
from pipeline.types import Frame
from sightline.composition.pipeline import build_pipeline
from sightline.composition.reloader import build_reloader
from sightline.composition.serving.site import Site
from sightline.config.changes import Changes
from sightline.config.loading import load_config
from sightline.config.schema import Config
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, picture
from tests.support.waiting import PATIENCE_S, wait_until

ADMIN, READER = "the-token-of-the-admin", "the-token-of-a-reader"
TOKENS = {"SIGHTLINE_TEST_ADMIN": ADMIN, "SIGHTLINE_TEST_READER": READER}


class EndlessCamera(MemorySource):
    """A blob that wanders to the right and back, until the camera is closed.

    Args:
        stream: its name.
        fps: frames per second, on the wall.
        live: whether it says that it is a camera.

    Attributes:
        held: while it is set, no frame comes.
    """

    def __init__(self, stream: str, fps: int = 50, *, live: bool = False) -> None:
        self._places = [*range(10, 110, 2), *range(110, 10, -2)]
        super().__init__([picture([(left, 40, left + 30, 80)]) for left in self._places], fps=fps, stream=stream)
        self._period_s = 1 / fps
        self.info = replace(self.info, live=live, frame_count=None, duration_s=None)
        self.held = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while not self.closed.wait(self._period_s):
            image = self._images[index % len(self._images)]
            if not self.held.is_set():
                yield Frame(image, index, index * self._period_s, time.monotonic(), self.stream)
                index += 1


@dataclass
class Served:
    """What is served.

    Attributes:
        url: without a slash at its end.
        pipeline: the run.
        sink: remembers all of it.
        cameras: by the names of their streams.
        changes: where changes are kept.
        folder: of the configuration ``cameras.yaml``.
        end: ends the run, and returns once it has ended; it is served on.
    """

    url: str
    pipeline: Pipeline
    sink: MemorySink
    cameras: Mapping[str, EndlessCamera]
    changes: Changes
    folder: Path
    end: Callable[[], None]

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=PATIENCE_S, **options)

    def put(self, path: str, body: Any, **options: Any) -> requests.Response:
        return requests.put(self.url + path, json=body, timeout=PATIENCE_S, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=PATIENCE_S, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return requests.delete(self.url + path, timeout=PATIENCE_S, **options)

    def wait_for(self, done: Callable[[], object], what: str) -> None:
        """Wait until ``done`` says so."""
        wait_until(done, what)


@contextmanager
def served_run(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    tokens: bool = False,
    fps: int = 50,
    live: bool = False,
    sinks: Sequence[Sink] = (),
    opened: bool = False,
) -> Iterator[Served]:
    """Serve a run of one camera, ``door``, on a port of its own until the block is left.

    Args:
        folder: for its configuration and its store.
        settings: of the configuration, over those here.
        tokens: ask for ``ADMIN``, or ``READER``.
        fps: of the camera.
        live: whether it says that it is one; else it is taken for a file, of which no frame is lost.
        sinks: further outputs.
        opened: whether the sources that the settings name are opened, in place of the camera from memory.
    """
    web: dict[str, Any] = {"address": "127.0.0.1:0"}
    if tokens:
        web |= {"token_env": "SIGHTLINE_TEST_ADMIN", "read_token_env": "SIGHTLINE_TEST_READER"}
    path = folder / "cameras.yaml"
    plain = {
        "streams": {"door": {"source": "door.mp4"}},
        "store": {"path": str(folder / "events.db")},
        "web": web,
        **(settings or {}),
    }
    path.write_text(f"# The cameras.\n{yaml.safe_dump(json.loads(json.dumps(plain)))}", encoding="utf-8")
    changes = Changes.beside(path)

    def read(changed: Changes) -> Config:
        return load_config(path, changes=changed)

    before = {name: os.environ.get(name) for name in TOKENS}
    os.environ.update(TOKENS)
    try:
        config = read(changes)
        cameras = {
            stream.name: EndlessCamera(stream.name, fps, live=live)
            for stream in config.resolved_streams()
            if not opened
        }
        sink = MemorySink()
        with Site(config) as site:
            pipeline = build_pipeline(
                config, sources=dict(cameras), sinks=[*site.sinks, sink, *sinks], detector=BlobDetector()
            )
            runner = threading.Thread(target=pipeline.run, name="run")

            def end() -> None:
                pipeline.stop()
                runner.join()

            site.begin(pipeline, changes, read, build_reloader(pipeline, config, lambda: read(changes)))
            runner.start()
            try:
                yield Served(site.url.rstrip("/"), pipeline, sink, cameras, changes, folder, end)
            finally:
                end()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
