"""The event feed: every event on a ZeroMQ PUB socket, with what a subscriber needs to know that it missed none.

Each message has three frames: the topic ``<stream>/<type>/<class>``, which subscribers filter by prefix; the event;
and, as decimal digits, the number of the event published before it, which shows gaps. Every second there is a heartbeat
(topic ``/heartbeat/``) with the number of the last event. On a second socket, at the next port, readers get the state
as it is now and the events that they missed; ``sinks.feed.client`` does all that, and ``sinks.feed.protocol`` describes
it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pipeline.errors import SinkError, SinkPathError
from pipeline.event_codec import EVENT_TYPES_BY_NAME
from pipeline.events import Event, Heartbeat, OutputCounts
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.feed.endpoint import Endpoint
from sinks.feed.keys import read_allowed, read_key_pair
from sinks.feed.memory import Encoding, FeedMemory
from sinks.feed.publisher import Publisher
from sinks.feed.sockets import FeedSockets, Security


class ZeroMqSink(Sink):
    """Publishes events. Slow, dead or hostile subscribers cost the caller nothing: ``on_event`` never waits.

    Args:
        endpoint: ``tcp://HOST:PORT`` or ``ipc://PATH`` to bind; ``*`` as the port takes any free one.
        requests: where readers ask for snapshots and replays; by default the next port, or ``PATH.requests``.
        types: the event types to publish; None for all. Heartbeats are always sent.
        encoding: ``json`` or ``msgpack``.
        replay: how many of the newest events are kept for readers that missed some.
        high_water: messages kept for a subscriber that reads too slowly; more are dropped for it, and it asks for them.
        heartbeat_s: seconds between heartbeats.
        keys: path of the publisher's ``.key_secret`` file; then only ``clients`` can read, and all is encrypted.
        clients: who may read: public keys (40 characters), ``.key`` files, or folders of such files.
        insecure: allow addresses that other machines can reach without keys.
        linger_s: how long ``close`` waits, at most, for subscribers to take what was published (and then, again at
            most so long, for the network to take it).

    Attributes:
        endpoint, requests_endpoint: the addresses; once open, with the ports that were taken.
    """

    may_stall = False

    def __init__(
        self,
        endpoint: str,
        *,
        requests: str | None = None,
        types: Collection[str] | None = None,
        encoding: Encoding = "json",
        replay: int = 10_000,
        high_water: int = 10_000,
        heartbeat_s: float = 1.0,
        keys: Path | None = None,
        clients: Sequence[str | Path] = (),
        insecure: bool = False,
        linger_s: float = 5.0,
    ) -> None:
        if types is not None and not (types and EVENT_TYPES_BY_NAME.keys() >= set(types)):
            raise ValueError(f"types: expected some of {', '.join(EVENT_TYPES_BY_NAME)}, got {sorted(types)}")
        if encoding not in {"json", "msgpack"}:
            raise ValueError(f"encoding: expected 'json' or 'msgpack', got {encoding!r}")
        if replay < 0 or high_water < 1 or heartbeat_s <= 0 or linger_s < 0:
            raise ValueError(
                "expected replay >= 0, high_water >= 1, heartbeat_s > 0 and linger_s >= 0, got "
                f"{replay}, {high_water}, {heartbeat_s} and {linger_s}"
            )
        self.endpoint = endpoint
        self.requests_endpoint = requests
        self._wanted = (endpoint, requests)
        self._types = frozenset(types or ())
        self._kinds = {EVENT_TYPES_BY_NAME[name] for name in types or EVENT_TYPES_BY_NAME} - {Heartbeat}
        self._encoding: Encoding = encoding
        self._replay = replay
        self._high_water = high_water
        self._heartbeat_s = heartbeat_s
        self._keys = keys
        self._clients = clients
        self._insecure = insecure
        self._linger_s = linger_s
        self._publisher: Publisher | None = None
        self._counts = OutputCounts()
        self._final_counters: Mapping[str, int] = {}

    def check(self) -> None:
        """Raise ``SinkError`` for an address that is malformed, in use, or open to others without leave, and
        ``ConfigError`` for keys that can't be read."""
        self._security()
        for endpoint in self._endpoints():
            endpoint.check_free()

    def _endpoints(self) -> tuple[Endpoint, Endpoint]:
        endpoint = Endpoint.parse(self._wanted[0])
        requests = Endpoint.parse(self._wanted[1]) if self._wanted[1] is not None else endpoint.requests()
        for each in (endpoint, requests):
            if not each.local and self._keys is None and not self._insecure:
                raise SinkPathError(
                    f"{each.purpose} {each}: other machines could read the events there; use 127.0.0.1, give keys, or "
                    "set insecure"
                )
        return endpoint, requests

    def _security(self) -> Security | None:
        if self._keys is None:
            return None
        return Security(read_key_pair(self._keys), read_allowed(self._clients))

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Bind and begin, at the first stream."""
        if self._publisher is not None:
            return
        sockets = FeedSockets(*self._endpoints(), high_water=self._high_water, security=self._security())
        self.endpoint, self.requests_endpoint = str(sockets.endpoint), str(sockets.requests_endpoint)
        feed = FeedMemory(types=self._types, encoding=self._encoding, replay=self._replay)
        self._publisher = Publisher(sockets, feed, heartbeat_s=self._heartbeat_s, linger_s=self._linger_s)

    def on_event(self, event: Event) -> None:
        """Publish it, if its type is to be published; never waits.

        Raises:
            SinkError: the feed's own thread failed.
        """
        if self._publisher is None:
            raise SinkError(f"events endpoint {self._wanted[0]}: an event came before the feed was opened")
        if type(event) in self._kinds:
            self._publisher.publish(event)

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events of the types to publish."""
        return type(item) in self._kinds

    def counts(self) -> OutputCounts:
        """Events so far; ``written`` are those that went out, ``unseen`` those that came faster than they could."""
        return self._counts if self._publisher is None else self._publisher.counts

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened so far: ``published`` and ``dropped`` events, ``requests``, ``malformed`` requests,
        ``unsent_replies``, connections ``cut`` off for sending too much, clients ``refused`` for their key."""
        return self._publisher.count() if self._publisher is not None else self._final_counters

    def close(self, error: BaseException | None = None) -> None:
        """Let subscribers take what was published, for a bounded time, and give the ports back."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            try:
                publisher.close()
            finally:
                self._counts, self._final_counters = publisher.counts, publisher.count()
