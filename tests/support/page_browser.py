"""A real browser that looks at a served page: Debian's Chromium, without a window, driven by Playwright.

with open_browser() as chromium, Visitor(chromium, url) as visitor:
    visitor.page.get_by_role("link", name="Events").click()
# What went wrong in the browser, and every request to another host, fails at the end of the ``with``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.support.waiting import PATIENCE_S, wait_until

CHROMIUM = Path("/usr/bin/chromium")
DESKTOP, PHONE = (1440, 900), (390, 844)
# Of all that tests expect of a page; Playwright itself would wait for 5 s, and not for what a page's own limit says.
expect.set_options(timeout=1000 * PATIENCE_S)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser, or a skip that says what is missing."""
    if not CHROMIUM.exists():
        pytest.skip("no browser: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser of their own, without anybody's cookies.

    Args:
        browser: what to open it in.
        url: of the page, such as ``http://127.0.0.1:8080/``.
        path: what to open of it.
        size: of the window in pixels; that of a phone is touched.
        expected: parts of console messages that are no problem here, such as the browser's own note of a refusal.
        locale: of the browser.

    Attributes:
        page: what is seen.
        problems: what went wrong so far: errors, and requests to other hosts.
    """

    def __init__(
        self,
        browser: Browser,
        url: str,
        path: str = "",
        *,
        size: tuple[int, int] = DESKTOP,
        expected: tuple[str, ...] = (),
        locale: str = "en-GB",
        **settings: Any,
    ) -> None:
        phone = size == PHONE
        self._context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            has_touch=phone,
            is_mobile=phone,
            locale=locale,
            **settings,
        )
        self._expected = expected
        self._host = urlsplit(url).netloc
        self._address = url + path
        self.problems: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self._requested(request.url))
        self.page.on("websocket", lambda socket: self._requested(socket.url))

    def __enter__(self) -> Self:
        self.page.goto(self._address)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._context.close()
        if kind is None:
            assert not self.problems, self.problems

    def log_in(self, token: str) -> None:
        """Give a token where one is asked for."""
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Log in").click()

    def pixels(self, camera: str) -> str:
        """What a camera's picture shows now, as text that differs where a pixel does."""
        picture = self.page.get_by_role("img", name=f"Live picture of {camera}")
        said: str = picture.evaluate("canvas => canvas.toDataURL()")
        return said

    def wait_for_other_pixels(self, camera: str, before: str) -> None:
        """Wait until a camera's picture has changed."""
        wait_until(lambda: self.pixels(camera) != before, f"another picture of {camera}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(part in message.text for part in self._expected):
            self.problems.append(f"{message.type}: {message.text}")

    def _requested(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data") and parts.netloc != self._host:
            self.problems.append(f"request to {url}")
