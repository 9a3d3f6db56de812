"""A browser, and the app in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.browsing import open_browser

PHONE: ViewportSize = {"width": 390, "height": 844}
TABLET: ViewportSize = {"width": 800, "height": 1100}
PATIENCE_MS = 30_000
"""What is waited for comes sooner on a machine that is not busy."""
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
LAPTOP: ViewportSize = {"width": 1366, "height": 768}
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""Of Chromium: a camera that sees a green square in which something turns, and is never refused."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's chromium, else Playwright's own. Closed after this folder: while it is open its
    event loop runs in the main thread, where no other can."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        try:
            browser = open_browser(playwright, *FAKE_CAMERA)
        except Error as error:
            pytest.skip(f"no browser, run playwright install chromium: {error.message[:60]}")
        yield browser
        browser.close()


def open_app(context: BrowserContext, url: str, theme: str = "light") -> Page:
    """A page with the app's first answers on it."""
    page = context.new_page()
    page.goto(f"{url}/?__theme={theme}")
    expect(page.locator("#result").get_by_role("article")).to_have_count(4)
    expect(page.locator("#picture img")).to_be_visible()
    return page


def screenshot(page: Page, name: str | None, full_page: bool = True) -> None:
    """Saves what is seen where `make screenshots` wants it; elsewhere does nothing."""
    folder = os.environ.get("QUARTET_SCREENSHOTS")
    if folder and name:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=full_page)
