"""The page of a cluster and its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from prometheus_client.parser import text_string_to_metric_families

from pipeline.events import FrameCounts
from pipeline.runtime.report import ObjectCounts
from pipeline.runtime.streams.stream_past import StreamPast
from sightline.cluster.pictures import StreamPicture
from sightline.cluster.status import ClusterStatus, NodeStatus, StreamStatusLine, status_text
from sightline.cluster.web import cluster_app
from sightline.server.access import Access
from sightline.server.http_server import HttpServer
from tests.support.waiting import PATIENCE_S

TOKEN = "a-word-of-16-letters"


def stream(name: str, state: str, node: str | None) -> StreamStatusLine:
    past = StreamPast(
        frames=FrameCounts(decoded=10, processed=7, dropped={"stale": 3}, failed={}),
        objects={"person": ObjectCounts(unique=4, max=2)},
        zones={"yard": {"person": {"unique": 3, "max": 1, "dwell_s": 2.0}}},
        lines={"gate": {"person": {"in": 2, "out": 1}}},
        outages=1,
    )
    return StreamStatusLine(
        name=name,
        source="rtsp://camera/1",
        node=node,
        state=state,
        reason="<why>" if node is None else "",
        epoch=1,
        fps=4.5,
        decoded_fps=5.0,
        p50_ms=20.0,
        p95_ms=30.0,
        objects=2,
        past=past,
    )


def node(name: str, why: str = "") -> NodeStatus:
    return NodeStatus(
        name=name,
        host="127.0.0.1",
        labels={},
        cores=2,
        capacity=100.0,
        wanted=5.0,
        streams=1,
        processes=1,
        memory_mb=300.0,
        why=why,
    )


STATUS = ClusterStatus(
    run="r",
    events=12,
    missed=0,
    seconds=1.0,
    nodes=[node("a"), node("b", "drained")],
    streams=[stream("door", "online", "a"), stream("lane", "waiting", None)],
)


def picture(name: str, width: int) -> StreamPicture | None:
    """The door's alone can be had."""
    return StreamPicture(f"a picture {width} wide".encode(), 0.25) if name == "door" else None


@contextmanager
def served(access: Access) -> Iterator[str]:
    with HttpServer("127.0.0.1", 0) as server:
        server.start(cluster_app(lambda: STATUS, picture, access))
        yield server.url


def test_it_shows_machines_and_streams() -> None:
    with served(Access()) as url:
        page = requests.get(url, timeout=PATIENCE_S)
        assert page.status_code == 200 and "/page/cluster.js" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert requests.get(f"{url}page/cluster.js", timeout=PATIENCE_S).ok
        assert requests.get(f"{url}api/cluster", timeout=PATIENCE_S).json()["streams"][0]["name"] == "door"
        assert requests.get(f"{url}healthz", timeout=PATIENCE_S).ok
        ready = requests.get(f"{url}readyz", timeout=PATIENCE_S)
        assert (ready.status_code, ready.json()["trouble"]) == (503, ["lane: waiting"])


def test_a_picture_comes_with_its_age() -> None:
    with served(Access()) as url:
        shown = requests.get(f"{url}api/streams/door/frame.jpg?width=320", timeout=PATIENCE_S)
        assert shown.content == b"a picture 320 wide"
        assert (shown.headers["Content-Type"], shown.headers["X-Age-Seconds"]) == ("image/jpeg", "0.250")
        assert shown.headers["Cache-Control"] == "no-store"
        assert requests.get(f"{url}api/streams/lane/frame.jpg", timeout=PATIENCE_S).status_code == 404
        assert requests.get(f"{url}api/streams/door/frame.jpg?width=1", timeout=PATIENCE_S).status_code == 422


def test_metrics_name_the_node() -> None:
    with served(Access()) as url:
        text = requests.get(f"{url}metrics", timeout=PATIENCE_S).text
    told = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    door = (("node", "a"), ("stream", "door"))
    assert told["sightline_stream_up", *door] == 1
    assert told["sightline_frames_decoded_total", *door] == 10
    assert told["sightline_frames_dropped_total", ("node", "a"), ("reason", "stale"), ("stream", "door")] == 3
    assert told["sightline_node_up", ("node", "b")] == 0
    crossings = "sightline_line_crossings_total", ("class", "person"), ("direction", "in"), ("line", "gate"), *door
    assert told[crossings] == 2


def test_who_has_no_token_sees_nothing() -> None:
    with served(Access(TOKEN)) as url:
        assert "door" not in requests.get(url, timeout=PATIENCE_S).text, (
            "the page asks for the token, and shows nothing before"
        )
        for path in ("api/cluster", "metrics", "api/streams/door/frame.jpg"):
            refused = requests.get(f"{url}{path}", timeout=PATIENCE_S)
            assert refused.status_code == 401 and "door" not in refused.text
        assert requests.get(f"{url}readyz", timeout=PATIENCE_S).json()["trouble"] == []
        allowed = requests.get(f"{url}api/cluster", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE_S)
        assert "door" in allowed.text
        with requests.Session() as browser:
            assert (
                browser.post(f"{url}api/session", json={"token": "another-word-of-16"}, timeout=PATIENCE_S).status_code
                == 401
            )
            assert browser.post(f"{url}api/session", json={"token": TOKEN}, timeout=PATIENCE_S).ok
            assert browser.get(f"{url}api/streams/door/frame.jpg", timeout=PATIENCE_S).ok


def test_in_words() -> None:
    assert status_text(STATUS).splitlines() == [
        "node a: 1 streams in 1 processes, 5 of 100 looks/s, 300 MB",
        "node b: 1 streams in 1 processes, 5 of 100 looks/s, 300 MB; drained",
        "stream door: online on a, 4.5 of 5.0 frames/s, 20 ms, 2 objects",
        "stream lane: waiting: <why>",
        "feed: 12 events, 0 lost",
    ]
