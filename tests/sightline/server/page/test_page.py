"""The page in a real browser, over a real run of four cameras of a real RTSP server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.page_browser import PHONE, Visitor
from tests.support.page_run import ServedRun, serve_run
from tests.support.rtsp_server import FileLoop, LivePicture, RtspServer

_CAMERAS = ("street", "lane", "one", "two")
_REFUSED = "401 (Unauthorized)"
_HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def cameras(demo_clip: Path) -> Iterator[RtspServer]:
    """Four cameras, of which two see a street."""
    street = FileLoop(demo_clip, fps=6, width=320, height=136)
    with RtspServer({"street": street, "lane": street, "one": LivePicture(fps=6), "two": LivePicture(fps=6)}) as server:
        yield server


@pytest.fixture(scope="module")
def run(cameras: RtspServer, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRun]:
    """A run of these cameras that serves its page to who has the token."""
    folder = tmp_path_factory.mktemp("served")
    config = {
        "streams": {name: {"source": cameras.url_of(name)} for name in _CAMERAS},
        # So that something is seen also where a busy machine looks at few of the frames.
        "model": {"input_size": 320, "confidence": 0.12},
        "store": {"path": str(folder / "store.sqlite")},
        "input": {"longest_wait_s": 1.0},
    }
    with serve_run(folder, config) as served:
        yield served


@pytest.fixture
def visitor(browser: Browser, run: ServedRun) -> Iterator[Visitor]:
    """Somebody who has logged in and sees the cameras."""
    with Visitor(browser, run.url) as somebody:
        somebody.log_in(run.token)
        expect(somebody.page.locator(".tile:not(.blank)")).to_have_count(len(_CAMERAS))
        yield somebody


def begin_editing(visitor: Visitor, camera: str = "street") -> None:
    """Open the editor of a camera's zones and lines."""
    visitor.page.get_by_role("link", name=f"Open {camera}").click()
    expect(visitor.page.locator(".screen.large:not(.blank)")).to_be_visible()
    visitor.page.get_by_role("button", name="Edit zones and lines").click()


def place_of(visitor: Visitor, x: float, y: float) -> tuple[float, float]:
    """Where in the window a place of the picture is, in fractions of it."""
    area = visitor.page.locator(".overlay.editing").bounding_box()
    assert area is not None
    return area["x"] + x * area["width"], area["y"] + y * area["height"]


def click_at(visitor: Visitor, x: float, y: float) -> None:
    """Click on the picture."""
    visitor.page.mouse.click(*place_of(visitor, x, y))


def drag(visitor: Visitor, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one place of the picture to another."""
    mouse = visitor.page.mouse
    mouse.move(*place_of(visitor, *begin))
    mouse.down()
    mouse.move(*place_of(visitor, *end), steps=3)
    mouse.up()


def answering(answer: Any) -> Callable[[Route], None]:
    """What answers a browser's request with JSON in place of the server."""
    return lambda route: route.fulfill(json=answer)


def test_who_has_the_token_sees_four_cameras_move(browser: Browser, run: ServedRun) -> None:
    with Visitor(browser, run.url, expected=(_REFUSED,)) as visitor:
        page = visitor.page
        visitor.log_in("a-wrong-token")
        expect(page.get_by_role("alert")).to_have_text("This token is not right.")
        expect(page.locator(".tile")).to_have_count(0)
        visitor.log_in(run.token)
        expect(page.locator(".tile[data-state=online]:not(.blank)")).to_have_count(len(_CAMERAS))
        for camera in _CAMERAS:
            visitor.wait_for_other_pixels(camera, visitor.pixels(camera))
        page.reload()
        expect(page.locator(".tile:not(.blank)")).to_have_count(len(_CAMERAS))


def test_a_camera_is_one_click_away_and_its_overlays_can_be_switched(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Open street").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("street")
    expect(page.locator(".screen.large:not(.blank)")).to_be_visible()
    expect(page.locator(".now")).to_contain_text("person")
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    overlay = page.locator(".overlay")
    for name in ("Boxes", "Names", "Trails"):
        page.get_by_role("button", name=name).click()
    assert not overlay.evaluate(drawn)
    page.reload()
    expect(page.get_by_role("button", name="Boxes")).to_have_attribute("aria-pressed", "false")


def test_a_zone_drawn_by_mouse_counts_at_once_and_ids_go_on(visitor: Visitor, run: ServedRun) -> None:
    page = visitor.page
    begin_editing(visitor)
    page.get_by_role("button", name="Add zone").click()
    for x, y in ((0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.02)):
        click_at(visitor, x, y)
    page.get_by_label("Name").fill("everywhere")
    page.get_by_role("button", name="Try").click()
    expect(page.locator(".tried")).to_contain_text("everywhere would have counted")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Applied.")).to_be_visible()
    polygon = run.ask("api/streams/street/zones")["zones"]["everywhere"]["polygon"]
    assert [[round(x, 1), round(y, 1)] for x, y in polygon] == [[0, 0], [1, 0], [1, 1], [0, 1]]
    run.wait_for("api/events?stream=street&type=zone.entered&zone=everywhere", lambda answer: answer["events"])
    # The camera was not opened again, and no track began anew.
    events = run.ask("api/events?stream=street&type=track.started&type=stream.started&limit=1000")["events"]
    ids = [event["track_id"] for event in events if event["type"] == "track.started"]
    assert len(ids) == len(set(ids)) > 1
    assert [event["type"] for event in events].count("stream.started") == 1


def test_a_zone_can_be_drawn_with_the_keyboard_alone(visitor: Visitor, run: ServedRun) -> None:
    page = visitor.page
    begin_editing(visitor)
    page.get_by_role("button", name="Add zone").press("Enter")
    for key, times in ((" ", 1), ("ArrowRight", 20), (" ", 1), ("ArrowDown", 30), (" ", 1), ("Enter", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    # The second corner goes one step to the left.
    for key in ("n", "n", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("[aria-live=polite]").last).to_have_text("Corner 2 of 3: 69.0% across, 50.0% down")
    page.get_by_label("Name").fill("by keys")
    page.get_by_role("button", name="Apply").press("Enter")
    expect(page.get_by_text("Applied.")).to_be_visible()
    zone = run.ask("api/streams/street/zones")["zones"]["by keys"]
    assert zone["polygon"] == [[0.5, 0.5], [0.69, 0.5], [0.7, 0.8]]
    assert zone["units"] == "fraction"


def test_corners_are_dragged_added_and_removed(visitor: Visitor, run: ServedRun) -> None:
    page = visitor.page
    begin_editing(visitor, "lane")
    page.get_by_role("button", name="Add zone").click()
    for x, y in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.2)):
        click_at(visitor, x, y)
    drag(visitor, (0.8, 0.8), (0.6, 0.7))
    drag(visitor, (0.5, 0.2), (0.5, 0.1))  # the middle of an edge becomes a corner
    page.mouse.dblclick(*place_of(visitor, 0.8, 0.2))
    drag(visitor, (0.45, 0.3), (0.35, 0.4))  # all of it
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Applied.")).to_be_visible()
    polygon = run.ask("api/streams/lane/zones")["zones"]["zone-1"]["polygon"]
    assert [[round(x, 1), round(y, 1)] for x, y in polygon] == [[0.1, 0.3], [0.4, 0.2], [0.5, 0.8]]


def test_a_lines_direction_can_be_turned(visitor: Visitor, run: ServedRun) -> None:
    page = visitor.page
    begin_editing(visitor)
    page.get_by_role("button", name="Add line").click()
    click_at(visitor, 0.1, 0.5)
    click_at(visitor, 0.9, 0.5)
    page.get_by_role("button", name="Turn direction").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Applied.")).to_be_visible()
    line = run.ask("api/streams/street/lines")["lines"]["line-1"]
    assert [round(x, 1) for x, _ in (line["start"], line["end"])] == [0.9, 0.1]


def test_what_the_server_refuses_is_told_beside_the_zone(browser: Browser, run: ServedRun) -> None:
    with Visitor(browser, run.url, expected=("422 (Unprocessable",)) as visitor:
        visitor.log_in(run.token)
        before = run.ask("api/streams/lane/zones")
        page = visitor.page
        begin_editing(visitor, "lane")
        page.get_by_role("button", name="Add zone").click()
        for x, y in ((0.3, 0.3), (0.6, 0.3), (0.6, 0.6)):
            click_at(visitor, x, y)
        page.get_by_role("button", name="Finish").click()
        page.get_by_label("Classes").fill("no such class")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator(".shapes .error")).to_contain_text("no such class")
        assert run.ask("api/streams/lane/zones") == before


def test_an_event_is_found_by_its_filters(visitor: Visitor, run: ServedRun) -> None:
    found = run.wait_for("api/events?stream=street&type=track.ended", lambda answer: answer["events"])["events"][-1]
    page = visitor.page
    page.get_by_role("link", name="Events").click()
    page.get_by_label("Camera").select_option("street")
    page.get_by_label("Kind").select_option("track.ended")
    page.get_by_label("Class").fill(found["class"])
    page.get_by_label("Class").press("Enter")
    row = page.locator(".events li").filter(has_text=f"#{found['track_id']}").last
    row.locator("summary").click()
    expect(row).to_contain_text(f"seq{found['seq']}")
    expect(page.locator(".events .what").filter(has_not_text="Gone")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("track.ended")


def test_counts_and_health_tell_what_the_run_did(browser: Browser, run: ServedRun) -> None:
    # While a camera is away the server says so with a 503, which the browser writes down.
    with Visitor(browser, run.url, expected=("503 (Service",)) as visitor:
        visitor.log_in(run.token)
        page = visitor.page
        page.get_by_role("link", name="Counts").click()
        expect(page.locator(".ranking")).to_contain_text("person")
        page.get_by_role("button", name="Paths").click()
        expect(page.get_by_role("img", name="Where they went")).to_be_visible()
        page.get_by_role("link", name="Health").click()
        expect(page.get_by_role("row", name="street")).to_contain_text("Online")
        expect(page.get_by_role("row", name="SqliteStore").first).to_be_visible()


def test_names_run_no_script(browser: Browser, run: ServedRun) -> None:
    shape = {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]], "units": "fraction", "classes": [_HOSTILE]}
    event = {"stream": _HOSTILE, "wall": "2026-01-01T00:00:00.000Z", "class": _HOSTILE, "track_id": 1, "zone": _HOSTILE}
    answers = {
        "**/api/streams": {"streams": [{**run.ask("api/streams")["streams"][0], "name": _HOSTILE, "reason": _HOSTILE}]},
        "**/zones": {"zones": {_HOSTILE: shape}},
        "**/lines": {"lines": {_HOSTILE: {"start": [0, 0], "end": [1, 1], "units": "fraction"}}},
        "**/api/events?*": {"events": [{**event, "type": "zone.entered"}], "cursor": None},
    }
    with Visitor(browser, run.url) as visitor:
        page = visitor.page
        for pattern, answer in answers.items():
            page.route(pattern, answering(answer))
        # The run has no such stream, and says so.
        page.route("**/api/events/live?*", lambda route: route.fulfill(content_type="text/event-stream", body=":\n\n"))
        visitor.log_in(run.token)
        page.get_by_role("link", name=f"Open {_HOSTILE}").click()
        page.get_by_role("button", name="Edit zones and lines").click()
        page.get_by_role("button", name=f"{_HOSTILE} Zone").click()
        expect(page.get_by_label("Classes")).to_have_value(_HOSTILE)
        page.get_by_role("link", name="Events").click()
        expect(page.locator(".what")).to_contain_text(_HOSTILE)
        assert page.locator("img:not([src^='/page/'])").count() == 0


def test_the_tile_of_a_camera_that_is_away_says_so_until_it_is_back(visitor: Visitor, cameras: RtspServer) -> None:
    page = visitor.page
    try:
        cameras.kill()
        expect(page.locator(".tile[data-state=reconnecting]")).to_have_count(len(_CAMERAS))
        expect(page.locator(".tile.old")).to_have_count(len(_CAMERAS))
        expect(page.get_by_role("link", name="Open street")).to_contain_text("No signal")
    finally:
        cameras.restart()
    expect(page.locator(".tile[data-state=online]:not(.old)")).to_have_count(len(_CAMERAS))
    for camera in _CAMERAS:
        visitor.wait_for_other_pixels(camera, visitor.pixels(camera))


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, run: ServedRun) -> None:
    with Visitor(browser, run.url, size=PHONE) as visitor:
        page = visitor.page
        visitor.log_in(run.token)
        for tab in ("Cameras", "Counts", "Events", "Health"):
            page.get_by_role("link", name=tab, exact=True).tap()
            expect(page.get_by_role("heading", level=1)).to_have_text(tab)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        page.get_by_role("link", name="Cameras", exact=True).tap()
        page.get_by_role("link", name="Open street").tap()
        expect(page.locator(".screen.large:not(.blank)")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_language_is_that_of_the_browser_and_can_be_changed(browser: Browser, run: ServedRun) -> None:
    with Visitor(browser, run.url, locale="zh-CN") as visitor:
        page = visitor.page
        page.get_by_label("令牌").fill(run.token)
        page.get_by_role("button", name="登录").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("摄像头")
        page.get_by_role("button", name="EN").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Cameras")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Cameras")
