"""The page of a cluster in a real browser: pictures of cameras that run, what keeps others, machines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from sightline.cluster.pictures import StreamPicture
from sightline.cluster.status import ClusterStatus
from sightline.cluster.web import cluster_app
from sightline.server.access import Access
from sightline.server.http_server import HttpServer
from tests.sightline.cluster.test_web import STATUS, TOKEN, node, stream
from tests.support.page_browser import Visitor, open_browser


@dataclass
class Cluster:
    """What the page is told, to be changed while somebody looks."""

    status: ClusterStatus
    age_s: float = 0.1
    asked: tuple[str, ...] = ()

    def picture(self, name: str, width: int) -> StreamPicture | None:
        self.asked += (name,)
        _, jpeg = cv2.imencode(".jpg", np.full((9 * width // 16, width, 3), 90, np.uint8))
        return StreamPicture(jpeg.tobytes(), self.age_s)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as chromium:
        yield chromium


def test_cameras_show_their_pictures_once_the_token_is_given(browser: Browser) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    cluster = Cluster(
        msgspec.structs.replace(STATUS, streams=[*STATUS.streams, stream(hostile, "online", "b")], nodes=[node("a")])
    )
    with HttpServer("127.0.0.1", 0) as server:
        server.start(cluster_app(lambda: cluster.status, cluster.picture, Access(TOKEN)))
        with Visitor(browser, server.url, expected=("401",)) as visitor:
            page = visitor.page
            expect(page.get_by_label("Token")).to_be_visible()
            assert not cluster.asked
            visitor.log_in(TOKEN)
            expect(page.locator(".tile")).to_have_count(3)
            door, lane = (page.locator(".tile", has_text=name) for name in ("door", "lane"))
            expect(door.locator("img")).to_have_js_property("complete", True)
            expect(door).not_to_have_class(re.compile("blank|old"))
            assert door.locator("img").evaluate("image => image.naturalWidth") > 100
            expect(door).to_contain_text("Online")
            expect(lane).to_have_class(re.compile("blank"))
            expect(lane).to_contain_text("Waiting")
            expect(lane).to_contain_text("<why>")
            assert "lane" not in cluster.asked, "no picture is asked for of what runs nowhere"
            expect(page.locator(".tile", has_text=hostile)).to_be_visible()
            expect(page.locator("tbody tr")).to_contain_text(["a"])
            small = door.locator("img").evaluate("image => image.naturalWidth")
            door.get_by_role("button").click()
            page.wait_for_function("small => document.querySelector('.wide img').naturalWidth > small", arg=small)
            cluster.age_s = 30.0
            expect(door).to_have_class(re.compile("old"))
            expect(door.locator(".badge")).to_contain_text("30 s old")
            cluster.status = msgspec.structs.replace(STATUS, streams=[stream("lane", "online", "a")])
            expect(page.locator(".tile")).to_have_count(1)
            expect(lane).not_to_have_class(re.compile("blank"))
