"""What the feed promises whatever the network does: properties over recorded runs and a network that loses things."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from pipeline.event_codec import event_type
from pipeline.events import Event
from pipeline.feed_events import FeedGap, FeedSnapshot
from sinks.feed.memory import Encoding, FeedMemory
from sinks.feed.protocol import decode_request, encode_message
from sinks.feed.reader import FeedReader
from sinks.feed.replay_ring import ReplayRing
from sinks.feed.state import FeedState, make_snapshot
from tests.support.feed_parts import RUN, WALL, updated
from tests.support.feed_runs import recorded_run

LONG = 1e6  # seconds
OTHER_RUN = "6f1f3d0e-0000-4000-8000-000000000002"


class Network:
    """A publisher and one reader with a network between them that loses what it is told to lose."""

    def __init__(self, feed: FeedMemory, reader: FeedReader) -> None:
        self.feed = feed
        self.reader = reader
        self.live: deque[Sequence[bytes]] = deque()
        self.requests: deque[bytes] = deque()
        self.replies: deque[list[bytes]] = deque()
        self.previous = 0
        self.now = 0.0
        self.out: list[Event] = []

    def publish(self, event: Event) -> None:
        if event.run != self.feed.run:
            self.previous = 0
        self.live.append(self.feed.publish(event, self.previous))
        self.previous = event.seq

    def heartbeat(self, *, final: bool = False) -> None:
        self.live.append(self.feed.heartbeat(None, final=final))

    def tick(self, seconds: float = 0.1) -> None:
        self.now += seconds
        request = self.reader.request(self.now)
        if request is not None:
            self.requests.append(encode_message(request))

    def deliver(self, *, lose: bool = False) -> None:
        if self.live:
            _, payload, previous = self.live.popleft()
            if not lose:
                self.reader.live(payload, previous)
        self.out.extend(self.reader.take())

    def answer(self, *, lose: bool = False) -> None:
        if self.requests:
            reply = self.feed.answer(decode_request(self.requests.popleft()))
            if reply and not lose:
                self.replies.append(reply)

    def receive_reply(self, *, lose: bool = False) -> None:
        if self.replies:
            reply = self.replies.popleft()
            if not lose:
                self.reader.reply(reply, self.now)
        self.out.extend(self.reader.take())

    def settle(self) -> None:
        """From now on nothing is lost, and there is time enough for everything that has to be asked for."""
        for number in range(60):
            if number % 10 == 0:
                self.heartbeat()
            self.tick()
            while self.live or self.requests or self.replies:
                self.deliver()
                self.answer()
                self.receive_reply()


def numbered(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, FeedSnapshot | FeedGap)]


def state_of(events: Sequence[Event]) -> FeedState:
    """The state that a reader comes to which does as the documentation says."""
    state = FeedState()
    for event in events:
        if isinstance(event, FeedSnapshot):
            state = FeedState.from_snapshot(event)
        else:
            state.apply(event)
    return state


def published_state(events: Sequence[Event], types: Sequence[str] = ()) -> FeedState:
    state = FeedState(types)
    for event in events:
        state.apply(event)
    return state


def act(network: Network, action: str, lose: bool, pending: deque[Event]) -> None:
    if action == "publish":
        if pending:
            network.publish(pending.popleft())
    elif action == "deliver":
        network.deliver(lose=lose)
    elif action == "answer":
        network.answer(lose=lose)
    elif action == "reply":
        network.receive_reply(lose=lose)
    elif action == "heartbeat":
        network.heartbeat()
    else:
        network.tick(0.5)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["publish"] * 6 + ["deliver"] * 4 + ["answer"] * 2 + ["reply"] * 2 + ["tick", "heartbeat"]),
        st.booleans(),
    ),
    max_size=150,
)


@given(
    seed=st.integers(0, 10_000),
    before=st.integers(1, 60),
    actions=ACTIONS,
    encoding=st.sampled_from(["json", "msgpack"]),
)
@settings(max_examples=60, deadline=None)
def test_a_late_joiner_misses_nothing_and_sees_nothing_twice(
    seed: int, before: int, actions: list[tuple[str, bool]], encoding: Encoding
) -> None:
    run = recorded_run(seed, 200)
    feed = FeedMemory(encoding=encoding, replay=1000)
    feed._began -= LONG  # the run began long before the reader
    network = Network(feed, FeedReader())
    for event in run[:before]:
        network.publish(event)
    network.live.clear()  # nobody listened yet
    pending = deque(run[before:])
    network.tick()
    for action, lose in actions:
        act(network, action, lose, pending)
    network.settle()
    sent = run[: len(run) - len(pending)]
    first = network.out[0]
    assert isinstance(first, FeedSnapshot)
    assert first.seq >= before
    assert network.out[1:] == sent[first.seq :]  # no gap, no duplicate, in order, nothing else
    assert state_of(network.out) == published_state(sent)


@given(seed=st.integers(0, 10_000), actions=ACTIONS, replay=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_what_can_not_be_had_is_reported_in_its_place(seed: int, actions: list[tuple[str, bool]], replay: int) -> None:
    run = recorded_run(seed, 200)
    network = Network(FeedMemory(replay=replay), FeedReader())
    pending = deque(run)
    network.tick()
    network.now += LONG  # the reader was there long before the run
    for action, lose in actions:
        act(network, action, lose, pending)
    network.settle()
    sent = run[: len(run) - len(pending)]
    accounted: list[int] = []
    for event in network.out:
        if isinstance(event, FeedGap):
            assert event.reason == "unavailable"
            accounted.extend(range(event.first_seq, event.last_seq + 1))
        elif isinstance(event, FeedSnapshot):
            # A snapshot stands just after the event of its number, or after the gap that holds it.
            assert event.seq == (accounted[-1] if accounted else 0)
        else:
            assert event == sent[event.seq - 1]
            accounted.append(event.seq)
    assert accounted == [event.seq for event in sent]
    assert state_of(network.out) == published_state(sent)


@given(
    seed=st.integers(0, 10_000),
    actions=ACTIONS,
    types=st.sets(
        st.sampled_from(["track.started", "track.updated", "track.ended", "zone.entered", "zone.left", "line.crossed"]),
        min_size=1,
    ),
)
@settings(max_examples=40, deadline=None)
def test_leaving_types_out_makes_no_gaps_and_hides_none(
    seed: int, actions: list[tuple[str, bool]], types: set[str]
) -> None:
    run = [event for event in recorded_run(seed, 300) if event_type(event) in types]
    network = Network(FeedMemory(types=types, replay=1000), FeedReader())
    pending = deque(run)
    network.tick()
    network.now += LONG
    for action, lose in actions:
        act(network, action, lose, pending)
    network.settle()
    sent = run[: len(run) - len(pending)]
    assert numbered(network.out) == sent
    assert not [event for event in network.out if isinstance(event, FeedGap)]
    assert state_of(network.out).streams() == published_state(sent, sorted(types)).streams()


@given(seed=st.integers(0, 10_000), first=ACTIONS, second=ACTIONS)
@settings(max_examples=40, deadline=None)
def test_a_new_run_starts_from_its_first_event(
    seed: int, first: list[tuple[str, bool]], second: list[tuple[str, bool]]
) -> None:
    runs = recorded_run(seed, 100), recorded_run(seed + 1, 100, OTHER_RUN)
    network = Network(FeedMemory(replay=1000), FeedReader())
    pending = deque(runs[0])
    network.tick()
    network.publish(pending.popleft())
    network.deliver()
    for action, lose in first:
        act(network, action, lose, pending)
    # The publisher is killed and another takes its place: what was on its way back is lost.
    network.requests.clear()
    network.replies.clear()
    network.feed = FeedMemory(replay=1000)
    network.previous = 0
    pending = deque(runs[1])
    for action, lose in second:
        act(network, action, lose, pending)
    network.publish(pending.popleft()) if pending else None
    network.settle()
    sent = runs[1][: len(runs[1]) - len(pending)]
    begins = [index for index, event in enumerate(network.out) if event.run == OTHER_RUN]
    assert all(event.run == OTHER_RUN for event in network.out[begins[0] :])
    assert numbered(network.out[begins[0] :]) == sent
    opening = network.out[begins[0]]
    assert isinstance(opening, FeedSnapshot)
    assert (opening.seq, opening.streams) == (0, {})
    assert state_of(network.out) == published_state(sent)
    of_first = [event.seq for event in numbered(network.out[: begins[0]])]
    assert of_first == sorted(set(of_first))


def test_a_reader_that_was_there_first_gets_everything() -> None:
    reader = FeedReader()
    reader.request(0.0)
    feed = FeedMemory(replay=100)
    network = Network(feed, reader)
    network.now = 5.0  # it waited for five seconds, and then the publisher came
    for event in recorded_run(1, 50):
        network.publish(event)
    network.live.clear()
    network.settle()
    assert [event.seq for event in network.out] == list(range(51))


def test_history_begins_with_what_is_still_there() -> None:
    feed = FeedMemory(replay=10)
    feed._began -= LONG
    network = Network(feed, FeedReader(history=True))
    run = recorded_run(2, 50)
    for event in run:
        network.publish(event)
    network.live.clear()
    network.settle()
    gap = next(event for event in network.out if isinstance(event, FeedGap))
    assert (gap.first_seq, gap.last_seq) == (1, 40)
    assert numbered(network.out) == run[40:]
    assert state_of(network.out) == published_state(run)


def test_a_publisher_that_answers_nothing_delays_but_does_not_stop_the_reader() -> None:
    network = Network(FeedMemory(), FeedReader(give_up_s=3.0))
    run = recorded_run(3, 30)
    network.tick()
    for event in run[:20]:
        network.publish(event)
    for index in range(20):
        network.deliver(lose=index < 5 or index == 12)
    for _ in range(100):
        network.requests.clear()
        network.tick()
        network.deliver()
    gaps = [(event.first_seq, event.last_seq, event.reason) for event in network.out if isinstance(event, FeedGap)]
    assert gaps == [(1, 5, "no_answer"), (13, 13, "no_answer")]
    assert [event.seq for event in numbered(network.out)] == [*range(6, 13), *range(14, 21)]


def test_events_are_had_on_the_other_socket_while_the_first_one_is_stuck() -> None:
    network = Network(FeedMemory(replay=1000), FeedReader())
    run = recorded_run(8, 300)
    network.publish(run[0])
    network.tick()
    network.answer()
    network.receive_reply()
    for event in run[1:]:
        network.publish(event)
    stuck = list(network.live)
    network.live.clear()
    for _ in range(100):
        network.tick()
        network.answer()
        network.receive_reply()
    assert numbered(network.out) == run[1:]
    network.live.extend(stuck)
    network.settle()
    assert numbered(network.out) == run[1:]


def test_what_is_known_to_be_lost_with_a_run_is_reported() -> None:
    network = Network(FeedMemory(replay=100), FeedReader())
    network.tick()
    for event in recorded_run(4, 10):
        network.publish(event)
    network.now += LONG
    network.answer()
    network.receive_reply()
    for index in range(10):
        network.deliver(lose=index == 9)
    network.heartbeat()
    network.deliver()
    network.feed, network.previous = FeedMemory(), 0
    network.publish(updated(1, run=OTHER_RUN))
    network.deliver()
    gap = next(event for event in network.out if isinstance(event, FeedGap))
    assert (gap.run, gap.first_seq, gap.last_seq, gap.reason) == (RUN, 10, 10, "new_run")


def test_events_of_types_to_come_are_counted_and_skipped() -> None:
    network = Network(FeedMemory(), FeedReader())
    network.tick()
    network.now += LONG
    for event in recorded_run(5, 3):
        network.publish(event)
    topic, payload, previous = network.live[1]
    network.live[1] = (topic, payload.replace(b'"type":"', b'"type":"robot.'), previous)
    network.settle()
    assert [event.seq for event in network.out] == [0, 1, 3]
    assert network.reader.counters.unknown == 1
    assert not [event for event in network.out if isinstance(event, FeedGap)]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"{}"],
        [b'{"reply":"snapshot","run":"x","seq":1,"age_s":0}'],
        [b'{"reply":"snapshot","run":"x","seq":1,"age_s":0}', b"{}"],
        [b'{"reply":"replay","run":"x","after":0,"previous":0,"seq":1}', b"\xc1"],
    ],
)
def test_replies_that_make_no_sense_are_counted(frames: list[bytes]) -> None:
    reader = FeedReader()
    reader.request(0.0)
    reader.reply(frames, 0.0)
    assert reader.counters.malformed == 1
    assert reader.take() == []


@given(payload=st.binary(max_size=80), previous=st.binary(max_size=8))
def test_garbage_from_a_publisher_is_counted(payload: bytes, previous: bytes) -> None:
    reader = FeedReader()
    reader.live(payload, previous)
    assert reader.counters.malformed == 1
    assert reader.take() == []


@given(
    capacity=st.integers(0, 20),
    steps=st.lists(st.integers(1, 4), max_size=60),
    span=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    max_events=st.integers(1, 30),
)
def test_the_ring_against_a_plain_list(capacity: int, steps: list[int], span: tuple[int, int], max_events: int) -> None:
    ring = ReplayRing(capacity)
    published: list[tuple[int, int]] = []
    seq = 0
    for step in steps:
        published.append((seq + step, seq))
        ring.append(seq + step, seq, b"%d" % (seq + step))
        seq += step
    numbers = [0, *(number for number, _ in published)]  # readers ask up to a number that they heard of
    after, through = sorted(numbers[index % len(numbers)] for index in span)
    if after == through:
        return
    kept = published[len(published) - min(capacity, len(published)) :]
    previous, payloads = ring.read(after, through, max_events, 10_000)
    wanted = [number for number, _ in kept if after < number <= through]
    assert [int(payload) for payload in payloads] == wanted[:max_events]
    missing = [number for number, _ in published if after < number <= through and number not in wanted]
    assert (previous > after) == bool(missing or not wanted)
    if missing and wanted:
        assert missing[-1] <= previous < wanted[0]


def test_a_reply_is_bounded_in_bytes_but_holds_something() -> None:
    ring = ReplayRing(10)
    for seq in range(1, 6):
        ring.append(seq, seq - 1, b"x" * 100)
    assert len(ring.read(0, 5, 10, 250)[1]) == 2
    assert len(ring.read(0, 5, 10, 50)[1]) == 1


def test_state_knows_zones_lines_and_streams() -> None:
    run = recorded_run(7, 400)
    state = published_state(run)
    streams = state.streams()
    zones = {name for stream in streams.values() for name in stream.zones}
    lines = sum(total.entered + total.left for s in streams.values() for c in s.lines.values() for total in c.values())
    assert zones <= {"door", "yard"}
    assert 0 < lines <= sum(event_type(event) == "line.crossed" for event in run)
    again = FeedState.from_snapshot(make_snapshot(state, seq=400, run=RUN, wall=WALL))
    assert again == state


def test_tracks_are_not_kept_where_nothing_would_ever_end_them() -> None:
    state = FeedState(["track.updated"])
    for seq in range(1, 100):
        state.apply(updated(seq, track_id=seq))
    assert state.streams()["cam"].tracks == []
