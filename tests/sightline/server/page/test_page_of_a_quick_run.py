"""The page over a quick run of pictures in memory: who may only look, a run that has ended, one without a store."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

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
