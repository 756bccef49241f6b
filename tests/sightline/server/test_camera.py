"""A real camera is changed over HTTP without being opened anew, and shows where it goes away and comes back."""

from __future__ import annotations

from pathlib import Path

from pipeline.events import StreamOffline, StreamStarted
from tests.sightline.server.test_metrics import figure, scrape
from tests.support.rtsp_server import LivePicture, RtspServer, require_rtsp_server
from tests.support.served_run import served_run


def test_edits_leave_the_connection_and_an_outage_shows(tmp_path: Path) -> None:
    require_rtsp_server()
    with RtspServer(LivePicture()) as server:
        settings = {"streams": {"door": {"source": server.url, "input": {"longest_wait_s": 1}}}}
        with served_run(tmp_path, settings, opened=True) as served:
            served.wait_for(lambda: len(served.sink.frames) > 10, "frames")
            for number in range(1, 11):
                zones = {"left": {"polygon": [[0, 0], [number / 11, 0], [number / 11, 1], [0, 1]], "units": "fraction"}}
                assert served.put("/api/streams/door/zones", {"zones": zones}).status_code == 200
                served.put("/api/streams/door", {"filters": {"min_size": [number, number]}})
            before = len(served.sink.frames)
            served.wait_for(lambda: len(served.sink.frames) > before + 10, "frames after the edits")
            kinds = [type(event) for event in served.sink.events]
            assert kinds.count(StreamStarted) == 1
            assert StreamOffline not in kinds
            assert figure(scrape(served), "outages_total", stream="door") == 0
            server.kill()
            served.wait_for(lambda: served.get("/readyz").status_code == 503, "the outage")
            (view,) = served.get("/api/streams").json()["streams"]
            assert view["state"] == "reconnecting"
            samples = scrape(served)
            assert figure(samples, "stream_up", stream="door") == 0
            assert figure(samples, "outages_total", stream="door") == 1
            server.restart()
            served.wait_for(lambda: served.get("/readyz").status_code == 200, "its return")
            assert figure(scrape(served), "outage_seconds_total", stream="door") > 0
            assert list(served.get("/api/streams/door/zones").json()["zones"]) == ["left"]
            served.end()
            report = served.pipeline.report
    assert report is not None
    assert report.streams["door"].outages == 1
    assert report.streams["door"].offline_s > 0
