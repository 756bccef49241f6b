"""The driver's end of a shard: how it asks one that answers, one that is silent, and one that is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from sightline.cluster.messages import Feed, Order, ShardStatus
from sightline.cluster.placement import Node
from sightline.cluster.shard_link import BUSY_S, STEADY_S, ShardGoneError, ShardLink, ShardSilentError

FEED = Feed(endpoint="tcp://127.0.0.1:1", server_key="", public="", secret="")


def status(version: int = 0, memory_mb: float = 1.0) -> ShardStatus:
    return ShardStatus(
        name="s",
        version=version,
        pid=1,
        versions={},
        feed=FEED,
        pictures="",
        pasts=None,
        pasts_age_s=0.0,
        capacity=5.0,
        threads=1,
        memory_mb=memory_mb,
        trouble=None,
        streams={},
    )


class Handle:
    """Answers as the test says, and notes how long it was to wait."""

    def __init__(self) -> None:
        self.answers: SimpleQueue[ShardStatus | Exception] = SimpleQueue()
        self.waits: SimpleQueue[tuple[float, float]] = SimpleQueue()

    def sync(self, order: Order | None, wait_s: float, timeout_s: float) -> ShardStatus:
        self.waits.put((wait_s, timeout_s))
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self, timeout_s: float) -> None: ...

    def kill(self) -> None:
        self.answers.put(ShardGoneError("it was killed", crashed=False))


@pytest.fixture
def handle() -> Iterator[Handle]:
    yield Handle()


def asked(handle: Handle, answer: ShardStatus | Exception) -> float:
    """How long it is to wait for something to tell in the next question, which is answered so."""
    wait_s, timeout_s = handle.waits.get(timeout=20)
    assert timeout_s > wait_s, "an answer that comes when it is to come is no silence"
    handle.answers.put(answer)
    return wait_s


def test_only_one_that_answers_is_to_wait(handle: Handle) -> None:
    link = ShardLink("s", Node("id", "n", "127.0.0.1", 1.0, {}), 0, handle)
    try:
        assert asked(handle, ShardSilentError("it is being made")) == 0.0
        assert asked(handle, status()) == 0.0, "it answers all that it was asked meanwhile"
        assert asked(handle, status()) == BUSY_S
        link.wait_s = STEADY_S
        assert asked(handle, ShardSilentError("no answer")) in (BUSY_S, STEADY_S)
        assert asked(handle, status()) == 0.0
        assert asked(handle, status()) == STEADY_S
    finally:
        link.kill()


def test_what_changes_is_news(handle: Handle) -> None:
    news = threading.Semaphore(0)
    link = ShardLink("s", Node("id", "n", "127.0.0.1", 1.0, {}), 0, handle, news=news.release)
    try:
        asked(handle, status())
        assert news.acquire(timeout=20), "it is there"
        asked(handle, status(memory_mb=2.0))
        asked(handle, status(version=1))
        assert news.acquire(timeout=20), "it carried an order out"
        assert not news.acquire(blocking=False), "other figures are none"
        asked(handle, ShardGoneError("its process ended", crashed=True))
        assert news.acquire(timeout=20), "it is lost"
        wait_for(lambda: link.loss is not None and link.loss.crashed)
    finally:
        link.kill()


def wait_for(true: Callable[[], bool], within_s: float = 20.0) -> None:
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s, "it did not come about in time"
        time.sleep(0.02)
