"""What a driver remembers beyond its own end, in a file: what streams had come to, how far their feeds were read."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError
from pipeline.runtime.streams.stream_past import StreamPast
from sinks.output_files import OutputFile, make_folder

logger = logging.getLogger(__name__)


class RememberedStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream.

    Attributes:
        epoch: of its newest assignment.
        past: what it is known to have come to.
        run, seq: the events up to which that tells of everything.
        told: when that was, in seconds since 1970.
        ran: whether a process had it.
    """

    epoch: int
    past: StreamPast
    run: str = ""
    seq: int = 0
    told: float = 0.0
    ran: bool = True


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """All that is remembered.

    Attributes:
        streams: by name.
        positions: per run of a shard, the number of its newest event that went out.
        drained: names of nodes that are to be left alone.
    """

    streams: dict[str, RememberedStream] = {}
    positions: dict[str, int] = {}
    drained: list[str] = []


def recall(path: Path) -> Memory:
    """What the file holds; nothing where there is none.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"cluster.state: {path} can't be read ({error}); remove it to begin anew") from None


def remember(path: Path, memory: Memory) -> None:
    """Write the file as a whole. Trouble with it is logged: cameras go on."""
    try:
        make_folder(path.parent, str(path))
        with OutputFile(path) as file:
            file.write(msgspec.json.encode(memory))
    except OSError as error:
        logger.error("cluster.state: %s", error)
