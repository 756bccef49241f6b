"""A TCP proxy that treats connections badly, for tests and for trying out settings against a camera of one's own.

    with FaultProxy(to=("127.0.0.1", 8554)) as proxy:
        source = open_source(f"rtsp://127.0.0.1:{proxy.port}/live")
        proxy.set(Faults(corrupt=0.05))        # from now on
        proxy.set(Faults(stalled=True))        # connections stay open, nothing comes through
        proxy.cut()                            # and now they are gone

    python -m tests.support.fault_proxy --listen 127.0.0.1:8555 --to 127.0.0.1:8554 --corrupt 0.05 --stall-at 10

RTSP over TCP is taken apart into its packets, so that damage hits the video inside them as it does on UDP, and packets
can be dropped and swapped. Of any other protocol the chunks in which it arrives count as packets. The reader's side of
a connection, which only asks, is passed on as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import random
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

T = TypeVar("T")

_CHUNK = 16_384
_RTP_HEADER = 12
_CONTENT_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How connections are treated, all of them and from now on; without arguments well.

    Attributes:
        stalled: connections stay open and nothing comes from the camera.
        refused: new connections are closed at once.
        bytes_per_s: most that comes from the camera over one connection; None for no limit.
        corrupt: share of packets in which bytes are changed.
        drop: share of packets that are left out.
        reorder: share of packets that come after the next one.
        delay_s: how much later everything comes.
    """

    stalled: bool = False
    refused: bool = False
    bytes_per_s: float | None = None
    corrupt: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """At ``at_s`` seconds after the start: cut all connections, or set ``faults``, or both."""

    at_s: float
    faults: Faults | None = None
    cut: bool = False


class Splitter:
    """Takes what a camera sends apart into packets, each whole; what is no RTSP stays as it arrives."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_rtsp: bool | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are complete now."""
        if self._is_rtsp is False:
            return [data]
        self._rest += data
        if self._is_rtsp is None:
            if len(self._rest) < 5 and b"RTSP/".startswith(self._rest):
                return []
            self._is_rtsp = self._rest.startswith(b"RTSP/")
            if not self._is_rtsp:
                return [self._flush()]
        packets = []
        while size := self._complete():
            packets.append(self._rest[:size])
            self._rest = self._rest[size:]
        return packets

    def _complete(self) -> int:
        """Length of the packet at the beginning; 0 while it is not all there."""
        rest = self._rest
        if rest[:1] == b"$":
            size = 4 + int.from_bytes(rest[2:4], "big")
            return size if len(rest) >= max(4, size) else 0
        head, end, _ = rest.partition(b"\r\n\r\n")
        if not end:
            return 0
        length = _CONTENT_LENGTH.search(head)
        size = len(head) + 4 + (int(length[1]) if length else 0)
        return size if len(rest) >= size else 0

    def _flush(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest


class FaultProxy:
    """Listens while its context is entered, on a thread of its own.

    Args:
        to: host and port of the real server.
        listen: host and port; port 0 for a free one.
        faults: how connections are treated from the start.
        schedule: what changes when.
        repeat_s: begin the schedule again after so many seconds; None for once.
        seed: of the random choices.

    Attributes:
        counts: what was done so far: ``connections``, ``refused``, ``cut``; ``bytes`` and ``packets`` that came from
            the camera; ``corrupted``, ``dropped``, ``reordered``.
    """

    def __init__(
        self,
        to: tuple[str, int],
        *,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        faults: Faults | None = None,
        schedule: Sequence[Step] = (),
        repeat_s: float | None = None,
        seed: int = 0,
    ) -> None:
        self._to = to
        self._listen = listen
        self._faults = faults or Faults()
        self._schedule = sorted(schedule, key=lambda step: step.at_s)
        self._repeat_s = repeat_s
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="fault proxy")
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._scheduled: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.port = listen[1]

    def set(self, faults: Faults) -> None:
        """Treat all connections so from now on. For any thread."""
        self._call(self._set(faults))

    def cut(self) -> None:
        """Reset all connections. For any thread."""
        self._call(self._cut())

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._call(self._start())
        except BaseException:
            self._stop_loop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._stop_loop()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # All that follows runs in the loop's thread.

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, *self._listen)
        self.port = self._server.sockets[0].getsockname()[1]
        self._scheduled = asyncio.create_task(self._follow_schedule())

    async def _stop(self) -> None:
        assert self._server is not None
        assert self._scheduled is not None
        self._scheduled.cancel()
        self._server.close()
        tasks = [*self._connections, self._scheduled]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _set(self, faults: Faults) -> None:
        self._faults = faults
        # Whoever waits for the old faults to end looks again at the new ones.
        self._changed.set()
        self._changed = asyncio.Event()

    async def _cut(self) -> None:
        tasks = list(self._connections)
        for task, reader_side in self._connections.items():
            self.counts["cut"] += 1
            # Without lingering, closing resets the connection, as a camera without power or a firewall does.
            reader_side.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow_schedule(self) -> None:
        begun_s = time.monotonic()
        while True:
            for step in self._schedule:
                await asyncio.sleep(max(begun_s + step.at_s - time.monotonic(), 0))
                if step.faults is not None:
                    await self._set(step.faults)
                if step.cut:
                    await self._cut()
            if self._repeat_s is None:
                return
            begun_s += self._repeat_s
            await asyncio.sleep(max(begun_s - time.monotonic(), 0))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        self.counts["connections"] += 1
        try:
            # Cancelled when the connection is cut: that is its end, nothing to be told of.
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                if self._faults.refused:
                    self.counts["refused"] += 1
                    return
                await self._serve(reader, writer)
        finally:
            del self._connections[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        camera_reader, camera_writer = await asyncio.open_connection(*self._to)
        try:
            directions = [
                asyncio.ensure_future(self._pass_on(reader, camera_writer)),
                asyncio.ensure_future(self._treat(camera_reader, writer)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
        finally:
            camera_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()

    async def _treat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        splitter = Splitter()
        held: bytes | None = None
        free_s = 0.0
        while data := await reader.read(_CHUNK):
            self.counts["bytes"] += len(data)
            while self._faults.stalled:
                await self._changed.wait()
            if self._faults.delay_s:
                await asyncio.sleep(self._faults.delay_s)
            for packet in splitter.feed(data):
                treated = self._damaged(packet)
                if treated is None:
                    continue
                if held is None and self._chosen(self._faults.reorder) and _is_media(packet):
                    self.counts["reordered"] += 1
                    held = treated
                    continue
                free_s = await self._slowly(len(treated), free_s)
                writer.write(treated)
                if held is not None:
                    writer.write(held)
                    held = None
                await writer.drain()

    async def _slowly(self, size: int, free_s: float) -> float:
        """Wait until the line is free; returns when it will be free again."""
        limit = self._faults.bytes_per_s
        if limit is None:
            return 0.0
        now_s = time.monotonic()
        if free_s > now_s:
            await asyncio.sleep(free_s - now_s)
        return max(free_s, now_s) + size / limit

    def _damaged(self, packet: bytes) -> bytes | None:
        self.counts["packets"] += 1
        if not _is_media(packet):
            return packet
        if self._chosen(self._faults.drop):
            self.counts["dropped"] += 1
            return None
        if self._chosen(self._faults.corrupt):
            self.counts["corrupted"] += 1
            return self._corrupted(packet)
        return packet

    def _corrupted(self, packet: bytes) -> bytes:
        changed = bytearray(packet)
        # Behind the headers: a wrong length would be a cut, which there is another fault for.
        first = 4 + _RTP_HEADER if packet[:1] == b"$" else 0
        for _ in range(3):
            if first < len(changed):
                changed[self._random.randrange(first, len(changed))] ^= self._random.randrange(1, 256)
        return bytes(changed)

    def _chosen(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


def _is_media(packet: bytes) -> bool:
    return not packet.startswith(b"RTSP/")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def _schedule_of(given: argparse.Namespace) -> tuple[Faults, list[Step]]:
    """The faults of the whole run, and what the ``--...-at`` options add to them for a while."""
    always = Faults(
        bytes_per_s=given.bytes_per_s,
        corrupt=given.corrupt,
        drop=given.drop,
        reorder=given.reorder,
        delay_s=given.delay,
    )
    passing: Mapping[str, Callable[[float], list[Step]]] = {
        "cut_at": lambda at_s: [Step(at_s, cut=True)],
        "stall_at": lambda at_s: [
            Step(at_s, dataclasses.replace(always, stalled=True)),
            Step(at_s + given.stall_for, always),
        ],
        "refuse_at": lambda at_s: [
            Step(at_s, dataclasses.replace(always, refused=True), cut=True),
            Step(at_s + given.refuse_for, always),
        ],
    }
    steps = [step for name, make in passing.items() for at_s in getattr(given, name) for step in make(at_s)]
    return always, steps


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.fault_proxy", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 8555), metavar="HOST:PORT")
    parser.add_argument("--to", type=_address, required=True, metavar="HOST:PORT", help="the camera")
    parser.add_argument("--bytes-per-s", type=float, help="most that comes through one connection")
    for name, what in (("corrupt", "changed"), ("drop", "left out"), ("reorder", "swapped with the next")):
        parser.add_argument(f"--{name}", type=float, default=0.0, metavar="SHARE", help=f"share of packets {what}")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    for name, what in (("cut", "reset connections"), ("stall", "let nothing through"), ("refuse", "be off")):
        parser.add_argument(f"--{name}-at", type=float, nargs="+", default=[], metavar="SECONDS", help=what)
    parser.add_argument("--stall-for", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--refuse-for", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--repeat", type=float, metavar="SECONDS", help="begin the schedule again after so long")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    faults, steps = _schedule_of(given)
    with FaultProxy(
        given.to, listen=given.listen, faults=faults, schedule=steps, repeat_s=given.repeat, seed=given.seed
    ) as proxy:
        sys.stdout.write(f"listening on {given.listen[0]}:{proxy.port}; Ctrl-C ends\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        sys.stdout.write(", ".join(f"{name} {count}" for name, count in sorted(proxy.counts.items())) + "\n")


if __name__ == "__main__":
    main()
