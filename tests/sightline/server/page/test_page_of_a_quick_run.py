"""The page over a quick run of pictures in memory: who may only look, runs that ended or keep nothing, evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.page_browser import Visitor
from tests.support.served_run import ADMIN, READER, served_run


def test_who_may_only_look_is_offered_no_changes(browser: Browser, tmp_path: Path) -> None:
    with served_run(tmp_path, tokens=True) as served, Visitor(browser, f"{served.url}/") as reader:
        page, edit = reader.page, "Edit zones and lines"
        reader.log_in(READER)
        expect(page.get_by_text("Read only")).to_be_visible()
        page.get_by_role("link", name="Open door").click()
        expect(page.locator(".screen.large:not(.blank)")).to_be_visible()
        expect(page.get_by_role("button", name=edit)).to_have_count(0)
        page.get_by_role("button", name="Log out").click()
        reader.log_in(ADMIN)
        expect(page.get_by_role("button", name=edit)).to_be_visible()


def test_a_run_that_has_ended_and_kept_nothing_still_shows_its_last_picture(browser: Browser, tmp_path: Path) -> None:
    with served_run(tmp_path, {"store": {}}) as served, Visitor(browser, f"{served.url}/") as visitor:
        page = visitor.page
        expect(page.locator(".tile[data-state=online]:not(.blank)")).to_be_visible()
        served.end()
        expect(page.locator(".tile[data-state=ended]:not(.old)")).to_be_visible()
        page.reload()
        expect(page.locator(".tile[data-state=ended]:not(.blank)")).to_be_visible()
        page.get_by_role("link", name="Counts").click()
        expect(page.get_by_text("Counts over time need a store")).to_be_visible()
        page.get_by_role("link", name="Events").click()
        expect(page.get_by_text("Past events need a store")).to_be_visible()


RIGHT = {"polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]], "units": "fraction"}


@pytest.mark.parametrize("stored", [True, False], ids=["from the store", "as it happens"])
def test_events_are_shown_by_their_pictures(stored: bool, browser: Browser, tmp_path: Path) -> None:
    settings = {
        "zones": {"right": RIGHT},
        "rules": {"prowler": {"when": "in_zone", "zone": "right", "for_s": 0.2, "clear_s": 0.1}},
        "evidence": {"folder": str(tmp_path / "evidence"), "zones": True},
        **({} if stored else {"store": {}}),
    }
    with served_run(tmp_path, settings) as served, Visitor(browser, f"{served.url}/") as visitor:
        page = visitor.page
        page.get_by_role("link", name="Events").click()
        for kind, told in (("zone.entered", "Entered right"), ("alert.started", "Alert prowler")):
            page.get_by_label("Kind").select_option(kind)
            row = page.locator(".events li").filter(has=page.locator(".thumbnail")).last
            expect(row).to_contain_text(told)
            row.locator("summary").click()
            picture = row.get_by_role("img", name="Picture of this event")
            expect(picture).to_be_visible()
            assert picture.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 160


def test_a_clip_is_linked_and_another_site_is_not_asked(browser: Browser, tmp_path: Path) -> None:
    event = {"type": "line.crossed", "stream": "door", "wall": "2026-01-01T00:00:00.000Z", "line": "gate"}
    event["direction"] = "in"
    shown = {"id": "0123abcd-7", "clip": "/api/evidence/0123abcd-7/clip", "picture": "https://elsewhere.example/a.jpg"}

    def answer(route: Route) -> None:
        route.fulfill(json={"events": [{**event, "class": "car", "track_id": 1, "evidence": shown}], "cursor": None})

    with served_run(tmp_path) as served, Visitor(browser, f"{served.url}/") as visitor:
        page = visitor.page
        page.route("**/api/events?*", answer)
        page.get_by_role("link", name="Events").click()
        row = page.locator(".events li").filter(has_text="gate").first
        row.locator("summary").click()
        expect(row.get_by_role("link", name="Video of this event")).to_have_attribute("href", shown["clip"])
        expect(row.get_by_role("img")).to_have_count(0)
