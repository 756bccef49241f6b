"""A run that is looked at and changed over HTTP while it goes on: real sockets, a real store, a real configuration."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
import pytest
import requests

from pipeline.event_codec import event_type
from pipeline.events import Event, LineCrossed, StreamOffline, TrackStarted, ZoneEntered, ZoneLeft
from sightline.config.changes import Changes
from sightline.config.loading import load_config
from tests.support.clips import write_clip
from tests.support.served_run import Served, served_run
from tests.support.waiting import PATIENCE_S

LEFT = {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "units": "fraction"}
MIDDLE = {"start": [0.5, 0], "end": [0.5, 1], "units": "fraction"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_run(tmp_path) as run:
        run.wait_for(lambda: len(run.sink.frames) > 5, "frames")
        yield run


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that nothing is changed in."""
    with served_run(tmp_path_factory.mktemp("calm")) as run:
        run.wait_for(lambda: len(run.sink.frames) > 5, "frames")
        yield run


def events_of(served: Served, kind: type[Event]) -> list[Any]:
    return [event for event in list(served.sink.events) if isinstance(event, kind)]


def reached(served: Served, frames: int) -> bool:
    return len(served.sink.frames) >= frames


def errors(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {error["where"]: error["message"] for error in answer.json()["errors"]}


def test_zones_and_lines_change_while_the_track_goes_on(served: Served) -> None:
    given = served.put("/api/streams/door/zones", {"zones": {"left": LEFT}}).json()["zones"]["left"]
    assert given == {**LEFT, "anchor": "bottom_center", "classes": None, "hysteresis": 0.0}
    served.put("/api/streams/door/lines", {"lines": {"middle": {**MIDDLE, "classes": ["blob"]}}})
    served.wait_for(lambda: events_of(served, LineCrossed) and events_of(served, ZoneEntered), "a crossing")
    (started,) = events_of(served, TrackStarted)
    assert {event.track_id for event in events_of(served, LineCrossed)} == {started.track_id}
    assert events_of(served, StreamOffline) == []
    counted = served.get("/api/counts").json()["streams"]["door"]
    assert counted["objects"] == {"blob": {"unique": 1, "max": 1}}
    assert sum(counted["lines"]["middle"]["blob"].values()) >= 1
    served.end()
    indices = [tracked.frame.index for tracked in served.sink.frames]
    assert all(after == before + 1 for before, after in pairwise(indices)), "no frame is lost"


@pytest.mark.parametrize("edits", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_many_edits_lose_no_frame_and_no_id_and_take_no_memory(edits: int, tmp_path: Path) -> None:
    """Two zones and a line are drawn, moved and taken away again and again, by two who do not know of each other."""
    process, early = psutil.Process(), 0
    with served_run(tmp_path, fps=200) as served:

        def draw_lines() -> None:
            for number in range(edits // 2):
                end = 0.3 + 0.4 * (number % 7) / 7
                lines = {"middle": {**MIDDLE, "start": [end, 0]}} if number % 3 else {}
                assert served.put("/api/streams/door/lines", {"lines": lines}).status_code == 200

        other = threading.Thread(target=draw_lines)
        other.start()
        for number in range(edits // 2):
            far = 0.2 + 0.7 * (number % 11) / 11
            zones = {"left": {**LEFT, "polygon": [[0, 0], [far, 0], [far, 1], [0, 1]]}}
            if number % 2:
                zones[f"number {number}"] = LEFT
            assert served.put("/api/streams/door/zones", {"zones": zones}).status_code == 200
            if number == edits // 4:
                early = process.memory_info().rss
        other.join()
        late = process.memory_info().rss
        served.end()
        report = served.pipeline.report
    assert report is not None
    door = report.streams["door"]
    assert [tracked.frame.index for tracked in served.sink.frames] == list(range(len(served.sink.frames)))
    assert sum(door.dropped.values()) <= 20, "those that were on their way when it was ended"
    assert not door.failed
    starts = [event.track_id for event in events_of(served, TrackStarted)]
    assert starts == [1], "one object, one id, however often the zones changed"
    assert events_of(served, StreamOffline) == []
    entered = len([event for event in events_of(served, ZoneEntered) if event.zone == "left"])
    left = len([event for event in events_of(served, ZoneLeft) if event.zone == "left"])
    assert abs(entered - left) <= 1
    assert entered > 1
    # What remembers each frame and event for this test grows with them.
    remembered = 4_000 * len(served.sink.frames)
    assert late - early < 20e6 + remembered, f"{(late - early) / 1e6:.0f} MB more"


def test_changes_outlive_the_run_and_the_configuration_stays_as_it_was(tmp_path: Path) -> None:
    with served_run(tmp_path) as served:
        before = (tmp_path / "cameras.yaml").read_bytes()
        served.put("/api/streams/door/zones", {"zones": {"1:30": LEFT, "no": LEFT}})
        served.put("/api/streams/door", {"filters": {"classes": ["blob"]}, "detect_every": 2})
        served.put("/api/streams/door", {"filters": {"min_size": [1, 1]}})
    assert (tmp_path / "cameras.yaml").read_bytes() == before
    kept = tmp_path / "cameras.changes.yaml"
    assert kept.stat().st_mode & 0o077 == 0, "it may hold a camera's password"
    (stream,) = load_config(
        tmp_path / "cameras.yaml", changes=Changes.beside(tmp_path / "cameras.yaml")
    ).resolved_streams()
    assert list(stream.zones) == ["1:30", "no"]
    assert (stream.filters.classes, stream.filters.min_size, stream.detect_every) == (("blob",), (1.0, 1.0), 2)
    with served_run(tmp_path) as served:
        assert list(served.get("/api/streams/door/zones").json()["zones"]) == ["1:30", "no"]
        served.wait_for(lambda: events_of(served, ZoneEntered), "a zone that was drawn in another run")
    assert sorted(path.name for path in tmp_path.glob("*changes*")) == ["cameras.changes.yaml"]


def test_every_mistake_is_told_at_once_and_nothing_changes(served: Served) -> None:
    served.put("/api/streams/door/zones", {"zones": {"left": LEFT}})
    kept = served.changes.path.read_bytes() if served.changes.path else b""
    zones = {
        "short": {"polygon": [[0, 0], [1, 1]], "units": "fraction"},
        "crossed": {"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]], "units": "fraction"},
        "named": {**LEFT, "unit": "pixels", "classes": ["blib"]},
        "far": {**LEFT, "polygon": [[0, 0], ["1e400", 0], [1, 1]]},
    }
    body = json.dumps({"zones": zones}).replace('"1e400"', "1e400")
    headers = {"Content-Type": "application/json"}
    found = errors(requests.put(f"{served.url}/api/streams/door/zones", data=body, headers=headers, timeout=PATIENCE_S))
    assert set(found) == {
        "zones.short.polygon", "zones.crossed", "zones.named.unit", "zones.named.classes", "zones.far.polygon[1]"
    }  # fmt: skip
    assert "did you mean blob?" in found["zones.named.classes"]
    assert "did you mean units?" in found["zones.named.unit"]
    assert list(served.get("/api/streams/door/zones").json()["zones"]) == ["left"]
    assert served.changes.path is not None
    assert served.changes.path.read_bytes() == kept


@pytest.mark.parametrize(
    "body",
    [
        {"zones": []}, {"zones": None}, {}, {"zones": {"a": None}}, {"zones": {"": LEFT}}, {"zones": {"a\x00": LEFT}},
        {"zones": {"a": {**LEFT, "polygon": "x"}}}, {"zones": {"\ud800": LEFT}}, {"zones": {}, "more": 1}, [], 7,
        {"zones": {"a": {"b": json.loads("[" * 200 + "]" * 200)}}}, {"zones": {str(n): LEFT for n in range(2000)}},
    ],
    ids=lambda body: str(body)[:40].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_what_is_no_zone_is_refused(calm: Served, body: Any) -> None:
    errors(calm.put("/api/streams/door/zones", body))
    assert calm.get("/api/streams/door/zones").json() == {"zones": {}}


def test_names_that_would_run_in_a_browser_stay_text(served: Served) -> None:
    name = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
    assert served.put("/api/streams/door/zones", {"zones": {name: LEFT}}).status_code == 200
    for path in ("/api/streams/door/zones", "/api/config", "/api/report", "/api/counts", "/metrics"):
        answer = served.get(path)
        kind = answer.headers["Content-Type"].partition(";")[0]
        assert kind in ("application/json", "text/plain")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert list(served.get("/api/counts").json()["streams"]["door"]["zones"]) == [name]


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"output": {"video": "elsewhere/x.mp4"}}, "output.video"),
        ({"recording": {"folder": "/etc", "keep_mb": 1}}, "recording"),
        ({"filters": {"predicate": "evil.py:run"}}, "filters.predicate"),
        ({"input": {"password_env": "AWS_SECRET_ACCESS_KEY"}}, "input.password_env"),
        ({"source": "no/such/file.mp4"}, ""),
        ({"detect_every": 0}, "detect_every"),
        ({"nonsense": 1}, "nonsense"),
        ({"filters": {"confidence": {"blib": 0.5}}}, "filters.confidence"),
    ],
    ids=str,
)
def test_what_reaches_beyond_the_run_or_can_t_be_is_refused(calm: Served, keys: Any, where: str) -> None:
    assert where in errors(calm.put("/api/streams/door", keys))
    assert not list(calm.folder.glob("*changes*"))
    before = len(calm.sink.frames)
    calm.wait_for(lambda: len(calm.sink.frames) > before, "the run to go on")


def test_streams_come_go_and_rest(served: Served) -> None:
    clip = write_clip(served.folder / "yard.mp4", count=2000)
    new = {"name": "yard", "source": str(clip), "zones": {"left": LEFT}}
    assert served.post("/api/streams", new).status_code == 201
    served.wait_for(lambda: any(t.frame.stream == "yard" for t in list(served.sink.frames)), "the new stream")
    assert served.post("/api/streams", new).status_code == 409
    assert errors(served.post("/api/streams", {"name": "a/b", "source": "x"}))
    assert errors(served.post("/api/streams", {"name": "lane"}))
    states = {view["name"]: view["state"] for view in served.post("/api/streams/door/disable").json()["streams"]}
    served.wait_for(lambda: all(status.name != "door" for status in served.pipeline.status()), "the end of door")
    states = {view["name"]: view["state"] for view in served.get("/api/streams").json()["streams"]}
    assert states["door"] == "disabled"
    assert served.delete("/api/streams/yard").status_code == 409, "the run would end"
    assert served.get("/api/streams/none/zones").status_code == served.delete("/api/streams/none").status_code == 404
    assert served.put("/api/streams/none", {}).status_code == 404


def test_events_are_found_by_what_they_are_and_page_by_page(served: Served) -> None:
    served.put("/api/streams/door/zones", {"zones": {"left": LEFT, "other": LEFT}})
    served.put("/api/streams/door/lines", {"lines": {"middle": MIDDLE}})
    served.wait_for(lambda: len(events_of(served, LineCrossed)) > 2, "crossings")
    served.end()
    all_of_them = [json.loads(json.dumps({"type": event_type(e), "seq": e.seq})) for e in served.sink.events]
    found, cursor = [], ""
    while True:
        page = served.get(f"/api/events?limit=7{cursor}").json()
        found += page["events"]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert [{"type": e["type"], "seq": e["seq"]} for e in reversed(found)] == all_of_them
    crossed = served.get("/api/events?type=line.crossed&line=middle&class=blob&stream=door&limit=1000").json()["events"]
    assert len(crossed) == len(events_of(served, LineCrossed))
    both = served.get("/api/events?type=line.crossed&type=zone.entered&zone=left").json()["events"]
    assert {event["type"] for event in both} == {"zone.entered"}
    assert served.get("/api/events?type=alert.ended&zone=other").json() == {"events": [], "cursor": None}
    middle = all_of_them[len(all_of_them) // 2]
    wall = next(event["wall"] for event in found if event["seq"] == middle["seq"])
    before = served.get("/api/events", params={"until": wall, "limit": 1000}).json()["events"]
    after = served.get("/api/events", params={"since": wall, "limit": 1000}).json()["events"]
    assert len(before) + len(after) == len(found)
    assert all(event["wall"] < wall for event in before)
    assert errors(served.get("/api/events?since=yesterday")).keys() == {"since"}
    assert errors(served.get("/api/events?cursor=1%20OR%201=1")).keys() == {"cursor"}
    assert errors(served.get("/api/events", params={"stream": "' OR 1=1 --"})).keys() == {"stream"}


@pytest.mark.parametrize(
    ("query", "where", "told"),
    [
        ("events?type=nope", "type", "there are stream.started, "),
        ("events?type=zone.left&type=zone.lef", "type", "did you mean zone.left"),
        ("events?types=zone.left", "types", "did you mean type?"),
        ("events?stream=dor", "stream", "did you mean door?"),
        ("events?stream=nowhere", "stream", "there is door"),
        ("events?class=cat", "class", "there is blob"),
        ("events?zone=nowhere", "zone", "there is none"),
        ("events?line=nowhere", "line", "there is none"),
        ("events/live?type=nope", "type", "there are stream.started"),
        ("events/live?stream=nowhere", "stream", "there is door"),
        ("events/live?zone=left", "zone", "there are stream, type"),
        ("counts?stream=door", "stream", "there is none"),
        ("counts/history?stream=nowhere", "stream", "there is door"),
        ("counts/history?stream=door&step=60", "step", "did you mean step_s"),
        ("streams/door/frame.jpg?box=1", "box", "did you mean boxes?"),
        ("report?stream=door", "stream", "there is none"),
    ],
)  # fmt: skip
def test_what_a_query_names_and_there_is_not_is_told(calm: Served, query: str, where: str, told: str) -> None:
    (mistake,) = errors(calm.get(f"/api/{query}")).items()
    assert mistake[0] == where
    assert told in mistake[1]


def test_health_and_metrics_may_be_asked_with_any_parameters(calm: Served) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert calm.get(f"{path}?probe=1").ok


def test_what_only_stored_events_name_is_known(served: Served) -> None:
    served.put("/api/streams/door/zones", {"zones": {"left": LEFT}})
    served.wait_for(lambda: served.get("/api/events?zone=left").json()["events"], "the zone in the store")
    served.put("/api/streams/door/zones", {"zones": {}})
    answer = served.get("/api/events?zone=left&type=line.crossed")
    assert answer.json() == {"events": [], "cursor": None}


def test_a_dry_run_counts_what_the_run_counted(served: Served) -> None:
    served.put("/api/streams/door/lines", {"lines": {"middle": MIDDLE}})
    served.wait_for(lambda: len(events_of(served, LineCrossed)) > 3, "crossings")
    served.end()
    found = served.post("/api/streams/door/dry-run", {"zones": {"left": LEFT}, "hours": 1}).json()
    counted = served.get("/api/counts").json()["streams"]["door"]["lines"]["middle"]["blob"]
    assert (found["tracks"], found["complete"]) == (1, True)
    # The run had no line at first, when the blob may have been beyond it.
    assert abs(found["lines"]["middle"]["in"] - counted["in"]) <= 1
    assert abs(found["lines"]["middle"]["out"] - counted["out"]) <= 1
    assert found["lines"]["middle"]["by_class"]["blob"]["out"] == found["lines"]["middle"]["out"]
    assert found["zones"]["left"]["by_class"] == {"blob": found["zones"]["left"]["entered"]}
    assert found["from"] < found["to"]
    assert served.get("/api/streams/door/zones").json() == {"zones": {}}, "nothing is changed by it"
    assert "lines.x" in errors(
        served.post("/api/streams/door/dry-run", {"lines": {"x": {"start": [1, 1], "end": [1, 1]}}})
    )


def test_events_come_as_they_happen_to_who_asked_for_them(served: Served) -> None:
    with served.get("/api/events/live?type=zone.entered&type=zone.left&stream=door", stream=True) as feed:
        assert feed.headers["Content-Type"].startswith("text/event-stream")
        lines = (line.decode() for line in feed.iter_lines())
        assert next(lines).startswith(":")
        served.put("/api/streams/door/zones", {"zones": {"left": LEFT}})
        told = next(line for line in lines if line.startswith("data: "))
        event = json.loads(told.removeprefix("data: "))
        assert (event["type"], event["zone"], event["stream"]) == ("zone.entered", "left", "door")


def test_who_listens_and_does_not_read_costs_no_memory_and_no_frame(tmp_path: Path) -> None:
    with served_run(tmp_path, fps=400) as served, served.get("/api/events/live", stream=True) as feed:
        before = len(served.sink.frames)
        served.wait_for(lambda: len(served.sink.frames) > before + 400, "frames while nobody reads")
        assert feed.status_code == 200


def test_a_feed_that_is_listened_to_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    ended = threading.Event()

    def listen(url: str) -> None:
        with requests.get(f"{url}/api/events/live", stream=True, timeout=PATIENCE_S) as feed:
            for _ in feed.iter_content(1000):
                pass
        ended.set()

    with served_run(tmp_path) as served:
        threading.Thread(target=listen, args=(served.url,)).start()
        served.wait_for(lambda: len(served.sink.frames) > 30, "frames")
    assert ended.wait(PATIENCE_S)


def test_a_picture_is_the_newest_frame(calm: Served) -> None:
    answer = calm.get("/api/streams/door/frame.jpg?boxes=1&width=80")
    assert answer.headers["Content-Type"] == "image/jpeg"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (60, 80, 3)
    assert calm.get("/api/streams/none/frame.jpg").status_code == 404


def test_secrets_are_not_told(tmp_path: Path) -> None:
    settings = {
        "mqtt": {"url": None},
        "webhook": {"url": None, "secret_env": "hunter2-in-the-wrong-place"},
        "streams": {
            "door": {
                "source": "rtsp://admin:hunter2@10.0.0.1/stream?password=hunter2",
                "input": {"password_env": "hunter2"},
            }
        },
    }
    with served_run(tmp_path, settings) as served:
        for path in ("/api/config", "/api/streams", "/api/report", "/metrics"):
            assert "hunter2" not in served.get(path).text, path


def test_without_a_store_its_questions_say_so(tmp_path: Path) -> None:
    with served_run(tmp_path, {"store": {}}) as served:
        for path in ("/api/events", "/api/counts/history?stream=door"):
            answer = served.get(path)
            assert answer.status_code == 409
            assert "store.path" in answer.json()["errors"][0]["message"]
        assert served.post("/api/streams/door/dry-run", {}).status_code == 409


def test_a_recording_goes_on_while_what_is_drawn_changes(tmp_path: Path) -> None:
    with served_run(tmp_path, {"output": {"video": str(tmp_path / "out" / "{stream}.mp4")}}) as served:
        served.wait_for(lambda: len(served.sink.frames) > 20, "frames")
        look = {"show_ids": False, "show_scores": False, "trail_s": 0, "scale": 2}
        for annotate in (look, {"trail_s": 3.0}):
            assert served.put("/api/streams/door", {"output": {"annotate": annotate}}).status_code == 200
            wanted = len(served.sink.frames) + 15
            served.wait_for(partial(reached, served, wanted), "frames")
        served.put("/api/streams/door/zones", {"zones": {"left": LEFT}})
        served.wait_for(lambda: events_of(served, ZoneEntered), "the zone")
        served.end()
        frames = len(served.sink.frames)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["door.mp4"]
    with av.open(tmp_path / "out" / "door.mp4") as video:
        pictures = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    assert len(pictures) == frames
    assert len(events_of(served, TrackStarted)) == 1
    (entered,) = events_of(served, ZoneEntered)[:1]
    coloured = [int((np.ptp(picture[95:118, 5:60].astype(int), axis=2) > 20).sum()) for picture in pictures]
    number = next(n for n, tracked in enumerate(served.sink.frames) if tracked.frame.pts_s >= entered.pts_s)
    assert max(coloured[: number - 30]) == 0, "nothing is drawn where the zone will be"
    assert min(coloured[number + 20 :], default=1) > 0, "the zone is drawn into the same recording"
