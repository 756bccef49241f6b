"""The thread that publishes events, sends heartbeats and answers readers."""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec
import zmq

from pipeline.errors import SinkError
from pipeline.events import Event, OutputCounts
from sinks.feed.memory import FeedMemory
from sinks.feed.protocol import DoneRequest, Request, decode_request
from sinks.feed.sockets import FeedSockets

logger = logging.getLogger(__name__)

_HAND_OVER = 100_000  # events that may wait for the thread
_TICK_S = 0.1
_GATHER_S = 0.002
_EVENTS_AT_A_TIME = 2000
_REQUESTS_AT_A_TIME = 5
# More requests wait their turn, in ZeroMQ's queues and then in the network's. A hundred events sent count as a request.
_REQUESTS_PER_TICK = 500
_MAX_READERS = 256
_GOODBYE_S = 0.1
_MORE = zmq.SNDMORE | zmq.NOBLOCK


class Publisher:
    """Publishes events from a thread of its own, which also sends heartbeats and answers readers.

    ``publish`` never waits: it hands the event over, and drops it when the thread is hopelessly behind. Readers see the
    gap.

    Args:
        sockets: owned by the thread from now on.
        feed: likewise.
        heartbeat_s: seconds between heartbeats.
        linger_s: how long ``close`` waits for subscribers to take what was published.
    """

    def __init__(self, sockets: FeedSockets, feed: FeedMemory, *, heartbeat_s: float, linger_s: float) -> None:
        self._sockets = sockets
        self._feed = feed
        self._heartbeat_s = heartbeat_s
        self._linger_s = linger_s
        self._queue: deque[tuple[Event, int]] = deque()
        self._run = ""
        self._previous = 0
        self._lost = ("", 0)  # the newest event that was dropped
        self._awake = False
        self._closing = False
        self._failure: BaseException | None = None
        self._given = 0
        # Readers that asked for something and have not said that they are done, the newest last.
        self._readers: OrderedDict[bytes, None] = OrderedDict()
        self._wake_end, self._sleep_end = socket.socketpair()
        self._wake_end.setblocking(False)
        self._sleep_end.setblocking(False)
        self.counters = {"published": 0, "dropped": 0, "requests": 0, "malformed": 0, "unsent_replies": 0}
        self._poller_without_requests = zmq.Poller()
        self._poller_without_requests.register(self._sleep_end, zmq.POLLIN)
        if sockets.gatekeeper is not None:
            self._poller_without_requests.register(sockets.gatekeeper.socket, zmq.POLLIN)
        self._poller = zmq.Poller()
        for polled, flags in self._poller_without_requests.sockets:
            self._poller.register(polled, flags)
        self._poller.register(sockets.router, zmq.POLLIN)
        self._thread = threading.Thread(target=self._main, name="event feed")
        self._thread.start()

    # Called by the pipeline.

    def publish(self, event: Event) -> None:
        """Hand an event over; returns at once."""
        if self._failure is not None:
            raise SinkError(f"the event feed stopped: {self._failure}") from self._failure
        if event.run != self._run:
            self._run, self._previous = event.run, 0
        previous, self._previous = self._previous, event.seq
        self._given += 1
        if len(self._queue) >= _HAND_OVER:
            if not self.counters["dropped"]:
                logger.warning("event feed: events come faster than they can be sent; some are dropped")
            self.counters["dropped"] += 1
            self._lost = (event.run, event.seq)
            return
        self._queue.append((event, previous))
        # The thread clears the flag before it looks at the queue for the last time and falls asleep, so either it sees
        # this event or this sees the flag cleared.
        if not self._awake:
            self._awake = True
            self._wake()

    def close(self) -> None:
        """Publish what was handed over, let readers take it for a bounded time, and end the thread."""
        self._closing = True
        self._wake()
        self._thread.join()
        self._wake_end.close()
        self._sleep_end.close()
        if self._failure is not None:
            raise SinkError(f"the event feed stopped: {self._failure}") from self._failure

    @property
    def counts(self) -> OutputCounts:
        """Events so far; ``written`` is what ZeroMQ has taken, for it doesn't tell what subscribers have."""
        over = not self._thread.is_alive()
        written, dropped = self.counters["published"], self.counters["dropped"]
        lost = self._given - written if over else dropped
        return OutputCounts(given=self._given, written=written, lost=lost, unseen=dropped)

    def count(self) -> dict[str, int]:
        """What happened so far, by name."""
        gatekeeper = self._sockets.gatekeeper
        return self.counters | {
            "cut": sum(guard.cut for guard in self._sockets.guards),
            "refused": gatekeeper.refused if gatekeeper is not None else 0,
        }

    def _wake(self) -> None:
        try:
            self._wake_end.send(b"\0")
        except BlockingIOError:
            return  # the thread has more than enough reason to wake already

    # The thread.

    def _main(self) -> None:
        linger_s = 0.0
        try:
            self._serve()
            self._say_goodbye()
            linger_s = self._linger_s
        except BaseException as error:  # noqa: BLE001 - raised in the pipeline's thread, by publish and close
            self._failure = error
        finally:
            self._queue.clear()
            self._sockets.close(linger_s)

    def _serve(self) -> None:
        heartbeat_at = time.monotonic()
        while not self._closing:
            now = time.monotonic()
            if now >= heartbeat_at:
                heartbeat_at = max(heartbeat_at + self._heartbeat_s, now)
                self._send(self._feed.heartbeat(self._sockets.requests_port))
            self._serve_for_a_tick(now + _TICK_S)
        while self._queue:
            self._send_queued()

    def _serve_for_a_tick(self, until: float) -> None:
        """Publish and answer until a moment, with a limit on the answers, and then look after the connections."""
        budget = _REQUESTS_PER_TICK
        busy = False
        while (left_s := until - time.monotonic()) > 0 and not self._closing:
            # Events come in bursts. After the first ones this thread looks again in a moment without being woken for
            # each of the others, which would cost the pipeline more than the sending.
            self._awake = busy
            wait_s = 0.0 if self._queue else min(left_s, _GATHER_S) if busy else left_s
            readable = self._poll(wait_s, requests=budget > 0)
            self._awake = True
            if self._sleep_end.fileno() in readable:
                self._sleep_end.recv(4096)
            busy = self._send_queued()
            if self._sockets.gatekeeper is not None and self._sockets.gatekeeper.socket in readable:
                self._sockets.gatekeeper.serve()
            if self._sockets.router in readable:
                budget -= self._answer_some()
        for guard in self._sockets.guards:
            guard.look()

    def _poll(self, timeout_s: float, *, requests: bool) -> set[object]:
        poller = self._poller if requests else self._poller_without_requests
        return {ready for ready, _ in poller.poll(math.ceil(timeout_s * 1000))}

    def _send_queued(self) -> bool:
        """Publish what was handed over, up to a limit; returns whether there was anything."""
        count = min(len(self._queue), _EVENTS_AT_A_TIME)
        for _ in range(count):
            self._send(self._feed.publish(*self._queue.popleft()))
            self.counters["published"] += 1
        if not self._queue:
            self._feed.lose(*self._lost)
        return count > 0

    def _send(self, message: tuple[bytes, bytes, bytes]) -> None:
        # Never waits: a PUB socket drops what a subscriber has no room for, for that subscriber. (And frame by frame,
        # for send_multipart takes three times as long.)
        send = self._sockets.publisher.send
        send(message[0], _MORE)
        send(message[1], _MORE)
        send(message[2], zmq.NOBLOCK)

    def _answer_some(self) -> int:
        """Answer the requests that are there, up to a limit; returns what that took of the budget."""
        cost = 0
        for _ in range(_REQUESTS_AT_A_TIME):
            try:
                frames = self._sockets.router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            cost += 1
            self._sockets.completed(frames[-1])
            address, request = frames[0].bytes, _read_request([frame.bytes for frame in frames[1:3]], len(frames))
            if request is None:
                if not self.counters["malformed"]:
                    logger.warning("event feed: a request made no sense; such are counted and dropped")
                self.counters["malformed"] += 1
                continue
            self.counters["requests"] += 1
            self._remember(address, request)
            envelope = [address, b""] if len(frames) == 3 else [address]
            reply = self._feed.answer(request)
            if reply:
                cost += len(reply) // 100
                self._reply(address, [*envelope, *reply])
        return cost

    def _remember(self, address: bytes, request: Request) -> None:
        self._readers.pop(address, None)
        if isinstance(request, DoneRequest) and (request.run, request.seq) == (self._feed.run, self._feed.seq):
            return
        self._readers[address] = None
        if len(self._readers) > _MAX_READERS:
            self._readers.popitem(last=False)

    def _reply(self, address: bytes, message: Sequence[bytes]) -> None:
        router = self._sockets.router
        try:
            try:
                router.send_multipart(message, zmq.NOBLOCK)
            except zmq.Again:
                # ZeroMQ looks only now and then at what readers have taken, unless it is asked for its events.
                router.get(zmq.EVENTS)
                router.send_multipart(message, zmq.NOBLOCK)
        except zmq.Again:
            self.counters["unsent_replies"] += 1  # the reader does not read its replies; it asks again when it does
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._readers.pop(address, None)

    def _say_goodbye(self) -> None:
        """Tell readers that this is the end, and answer them until each has everything or time is up."""
        self._send(self._feed.heartbeat(self._sockets.requests_port, final=True))
        until = time.monotonic() + self._linger_s
        while self._readers and (left_s := until - time.monotonic()) > 0:
            for address in list(self._readers):  # again and again: that is how it shows that one has gone
                self._reply(address, [address, *self._feed.final()])
            readable = self._poll(min(left_s, _GOODBYE_S), requests=True)
            if self._sleep_end.fileno() in readable:
                self._sleep_end.recv(4096)
            if self._sockets.gatekeeper is not None and self._sockets.gatekeeper.socket in readable:
                self._sockets.gatekeeper.serve()
            if self._sockets.router in readable:
                self._answer_some()


def _read_request(body: Sequence[bytes], frames: int) -> Request | None:
    """The request in a message of so many frames: one frame (DEALER), or an empty one before it (REQ)."""
    if frames == 3 and not body[0]:
        body = body[1:]
    elif frames != 2:
        return None
    try:
        return decode_request(body[0])
    except msgspec.DecodeError:
        return None
