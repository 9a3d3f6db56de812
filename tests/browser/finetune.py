"""What a visitor does on the Fine-tune tab."""

import re

from playwright.sync_api import BrowserContext, Page, expect

from tests.app import RunningApp
from tests.browser.conftest import open_app

PATIENCE_MS = 90_000
"""For a job."""


def open_tab(context: BrowserContext, app: RunningApp) -> Page:
    page = open_app(context, app.url)
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator("#estimate")).to_contain_text("Trains on")
    return page


def start(page: Page, **fields: str) -> None:
    """Fills fields by their labels, and starts at once, whatever is still under way."""
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)
    page.locator("#start-job").click()


def expect_job(page: Page, said: str) -> None:
    expect(page.locator("#job")).to_contain_text(re.compile(said), timeout=PATIENCE_MS)


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def expect_command(page: Page, said: str) -> None:
    expect(page.locator("#command textarea")).to_have_value(re.compile(said), timeout=PATIENCE_MS)
