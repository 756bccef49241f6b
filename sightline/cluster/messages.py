"""What the driver of a cluster and its shards tell each other. All of it pickles."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Literal

from pipeline.runtime.streams.stream_past import RunPasts, StreamPast
from sightline.config.schema import Config

ShardState = Literal["starting", "waiting", "online", "offline", "ended", "failed", "released"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A stream that a shard is to run.

    Attributes:
        epoch: grows with each process that gets the stream, so that two of them can be told apart.
        past: what it came to elsewhere.
    """

    epoch: int
    past: StreamPast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All that a shard is to do.

    Attributes:
        version: of the order; a shard ignores what is older than what it has.
        config: the configuration with the streams to run and no others.
        streams: by name.
    """

    version: int
    config: Config
    streams: Mapping[str, Assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where a shard publishes its events, and the keys to read them by.

    Attributes:
        endpoint: of the events; requests are answered at the next port.
        server_key: the shard's public key.
        public, secret: a key pair that may read.
    """

    endpoint: str
    server_key: str
    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """How a shard's stream is doing.

    Attributes:
        epoch: of its assignment.
        state: ``released`` was taken from the shard; its past is then final.
        error: what it failed with.
        source: its address, without user and password.
        live: whether it is a camera, or may be for all that is known.
        width, height: of the picture in pixels; 0 before they are known.
        decoded_fps, fps: frames per second that came in and that were processed lately.
        p50_ms, p95_ms: latency from capture to events.
        objects: tracks that its newest frame showed.
        picture_age_s: seconds since its newest frame was captured; None before the first.
    """

    epoch: int
    state: ShardState
    error: str | None = None
    source: str = ""
    live: bool = True
    width: int = 0
    height: int = 0
    decoded_fps: float = 0.0
    fps: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    objects: int = 0
    picture_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatus:
    """How a shard is doing.

    Attributes:
        name: of the shard.
        version: of the order that it has taken over.
        pid: of its process.
        versions: of Python, Ray and Sightline.
        feed: where it publishes.
        pictures: where its streams' pictures are to be had, with the keys of the feed.
        pasts: what its streams have come to, of one moment; None before it runs any.
        pasts_age_s: how old that is.
        capacity: pictures a second that its detector looks at; None before that is measured.
        threads: cores that its network may use.
        memory_mb: resident memory of the process, in 10**6 bytes.
        trouble: why it can run nothing.
        streams: those of its order, and those that were taken from it.
    """

    name: str
    version: int
    pid: int
    versions: Mapping[str, str]
    feed: Feed
    pictures: str
    pasts: RunPasts | None
    pasts_age_s: float
    capacity: float | None
    threads: int
    memory_mb: float
    trouble: str | None
    streams: Mapping[str, StreamState]

    def outline(self) -> tuple[object, ...]:
        """What of it decides where streams run: equal ones call for nothing to be done."""
        states = {name: (stream.epoch, stream.state) for name, stream in self.streams.items()}
        return self.version, self.capacity, self.trouble, states


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSpec:
    """What a shard is made with.

    Attributes:
        name: unique in the cluster.
        group: number of the process among those of its node.
        node: name of the machine, for events and metrics.
        host: address of the machine under which the driver reaches it.
        threads: cores that its network may use; 0 leaves it to Sightline.
        config: of all streams, for the detector.
    """

    name: str
    group: int
    node: str
    host: str
    threads: int
    config: Config


def own_versions() -> dict[str, str]:
    """Versions that must be the same on all machines of a cluster."""
    return {
        "python": platform.python_version(),
        "ray": metadata.version("ray"),
        "sightline": metadata.version("sightline"),
    }
