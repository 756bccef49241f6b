"""The sockets of the reading side, shared by the plain and the asyncio form of a subscription."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zmq

from pipeline.errors import ConfigError
from pipeline.event_codec import topic
from pipeline.events import Event, Heartbeat
from pipeline.feed_events import FeedGap, FeedSnapshot
from sinks.feed.keys import read_key_pair, read_public_key
from sinks.feed.protocol import HEARTBEAT_TOPIC, encode_message, read_event
from sinks.feed.reader import FeedReader, ReadCounters
from sinks.feed.topics import topic_prefixes

_TICK_S = 0.1
_MESSAGES_AT_A_TIME = 1000
_MESSAGES_WHILE_REPAIRING = 200
_ADDRESS = re.compile(r"(?P<host>tcp://(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)):(?P<port>\d{1,5})|ipc://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to read a feed; see ``sinks.feed.client.subscribe``."""

    topics: Sequence[str] = ()
    requests: str | None = None
    verify: bool = True
    history: bool = False
    follow: bool = True
    heartbeats: bool = False
    timeout_s: float | None = None
    give_up_s: float = 10.0
    keys: str | Path | None = None
    server_key: str | Path | None = None


def requests_address(endpoint: str) -> str:
    """Where a feed answers requests unless told otherwise: the next port, or ``PATH.requests``.

    Raises:
        ConfigError: the endpoint is none.
    """
    match = _ADDRESS.fullmatch(endpoint)
    if match is None or not 1 <= int(match["port"] or 1) <= 65534:
        raise ConfigError(f"feed {endpoint!r}: expected tcp://HOST:PORT such as tcp://127.0.0.1:5556, or ipc://PATH")
    return f"{match['host']}:{int(match['port']) + 1}" if match["port"] else f"{endpoint}.requests"


class FeedConnection:
    """A connection to one feed.

    Attributes:
        events: those that are ready to be read.
        poller: of the sockets; when one is readable, or after ``wait_ms``, call ``receive``.
        counters: what was received, repaired, doubled, not understood.
    """

    def __init__(self, endpoint: str, options: Options) -> None:
        requests = options.requests or requests_address(endpoint)
        self.events: deque[Event] = deque()
        self.poller = zmq.Poller()
        self.counters = ReadCounters()
        self._endpoint = endpoint
        self._options = options
        self._prefixes = topic_prefixes(options.topics)
        self._reader = FeedReader(history=options.history, give_up_s=options.give_up_s)
        self._final = False
        self._heard_at = time.monotonic()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealer: zmq.Socket[bytes] | None = None
        with ExitStack() as undo:
            undo.callback(self.close)
            self._subscriber = self._connect(zmq.SUB, endpoint)
            # To see that nothing is missing one has to see everything, so topics are filtered on this side.
            for prefix in ("",) if options.verify else (*(self._prefixes or ("",)), HEARTBEAT_TOPIC.decode()):
                self._subscriber.subscribe(prefix)
            if options.verify:
                self.counters = self._reader.counters
                self._dealer = self._connect(zmq.DEALER, requests)
                self._ask()
            undo.pop_all()

    def _connect(self, kind: int, address: str) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.setsockopt(zmq.IPV6, int("[" in address))
        # Always so soon, however long nobody was there: a run may be over within a second of its beginning.
        made.setsockopt(zmq.RECONNECT_IVL, 100)
        made.setsockopt(zmq.TCP_KEEPALIVE, 1)
        made.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 15)
        made.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
        made.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        if kind == zmq.SUB:
            made.setsockopt(zmq.RCVHWM, 10_000)
            made.setsockopt(zmq.LINGER, 0)
        else:
            made.setsockopt(zmq.SNDHWM, 4)
            made.setsockopt(zmq.LINGER, 100)  # for the last word, that this reader is done
        self._use_keys(made)
        try:
            made.connect(address)
        except zmq.ZMQError as error:
            raise ConfigError(
                f"feed {address}: {error.strerror}; expected an address like tcp://127.0.0.1:5556"
            ) from error
        self.poller.register(made, zmq.POLLIN)
        return made

    def _use_keys(self, made: zmq.Socket[bytes]) -> None:
        if self._options.keys is None and self._options.server_key is None:
            return
        if self._options.keys is None or self._options.server_key is None:
            raise ConfigError(f"feed {self._endpoint}: give both this client's keys and the publisher's public key")
        pair = read_key_pair(Path(self._options.keys))
        made.setsockopt(zmq.CURVE_SERVERKEY, read_public_key(self._options.server_key))
        made.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
        made.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)

    @property
    def ended(self) -> bool:
        """The publisher's run is over and the reader wanted no other."""
        return not self._options.follow and (self._reader.finished if self._options.verify else self._final)

    @property
    def repairing(self) -> bool:
        """Whether events are missing that the publisher may still have."""
        return self._reader.repairing

    def give_up(self) -> None:
        """The publisher is gone for good: what is missing is reported as a gap, and what came after that comes out."""
        self._reader.give_up()
        self.events.extend(event for event in self._reader.take() if self._is_wanted(event))

    def wait_ms(self) -> int:
        """How long to wait for a socket to become readable, at most."""
        return math.ceil(_TICK_S * 1000)

    def receive(self) -> None:
        """Take in what has arrived, and ask for what is missing.

        Raises:
            TimeoutError: nothing was heard of the publisher for as long as the options allow.
        """
        heard = self._receive_live()
        if self._dealer is not None:
            heard |= self._receive_replies(self._dealer)
            self._ask()
            self.events.extend(event for event in self._reader.take() if self._is_wanted(event))
        now = time.monotonic()
        timeout_s = self._options.timeout_s
        if heard:
            self._heard_at = now
        elif timeout_s is not None and now - self._heard_at >= timeout_s and not self.events:
            raise TimeoutError(f"nothing was heard from {self._endpoint} for {timeout_s:g} s; is it running?")

    def _receive_live(self) -> bool:
        # What is missing comes first: the publisher holds it for a limited time only.
        for count in range(_MESSAGES_WHILE_REPAIRING if self._reader.repairing else _MESSAGES_AT_A_TIME):
            try:
                frames = _receive(self._subscriber)
            except zmq.Again:
                return count > 0
            if len(frames) < 3:
                self.counters.malformed += 1
                continue
            if self._dealer is not None:
                self._reader.live(frames[1], frames[2])
            if frames[0] == HEARTBEAT_TOPIC or self._dealer is None:
                self._take_unverified(frames[1])
        return True

    def _take_unverified(self, payload: bytes) -> None:
        try:
            _, _, event = read_event(payload)
        except msgspec.DecodeError:
            self.counters.malformed += 1
            return
        if isinstance(event, Heartbeat):
            self._final = event.final
            if self._options.heartbeats:
                self.events.append(event)
            return
        self.counters.events += 1
        if event is None:
            self.counters.unknown += 1
        else:
            self.events.append(event)

    def _receive_replies(self, dealer: zmq.Socket[bytes]) -> bool:
        heard = False
        while True:
            try:
                frames = _receive(dealer)
            except zmq.Again:
                return heard
            heard = True
            self._reader.reply(frames, time.monotonic())
            self._ask()

    def _ask(self) -> None:
        request = self._reader.request(time.monotonic())
        if request is not None and self._dealer is not None:
            try:
                self._dealer.send(encode_message(request), zmq.NOBLOCK)
            except zmq.Again:
                return  # nobody is there to answer; the reader asks again

    def _is_wanted(self, event: Event) -> bool:
        return (
            not self._prefixes or isinstance(event, FeedSnapshot | FeedGap) or topic(event).startswith(self._prefixes)
        )

    def close(self) -> None:
        """Give the sockets back."""
        self._context.destroy()


def _receive(receiver: zmq.Socket[bytes]) -> list[bytes]:
    """A message that is there already; raises ``zmq.Again`` if none is. A third of what ``recv_multipart`` takes."""
    frames = [receiver.recv(zmq.NOBLOCK)]
    while receiver.get(zmq.RCVMORE):
        frames.append(receiver.recv(zmq.NOBLOCK))
    return frames
