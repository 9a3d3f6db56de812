"""A lesson from guess to why, and a link to one, in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from demo.lessons.table import ALONE, FORGETTING, FROZEN, LESSONS, RATE
from demo.words import lessons as words
from tests.app import RunningApp, running_app
from tests.browser.axe import find_serious
from tests.browser.conftest import DESKTOP, PHONE, open_app, screenshot

PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """An app without the full data set, and with jobs of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        patch.setenv("QUARTET_HOME", str(tmp_path_factory.mktemp("home")))
        with running_app() as running:
            yield running


def title(page: Page, name: str) -> None:
    """Waits until a lesson is on screen."""
    heading = page.get_by_role("heading", name=words.TOLD[name].title)
    expect(heading).to_be_visible()


@pytest.mark.screenshots
def test_a_lesson_from_guess_to_why(browser: Browser, app: RunningApp) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = open_app(context, app.url)
    page.get_by_role("tab", name="Lessons").click()
    title(page, FROZEN)
    page.get_by_role("button", name=words.TOLD[FORGETTING].title).click()
    title(page, FORGETTING)
    page.wait_for_url(re.compile(r"tab=lessons&lesson=forgetting"))
    page.locator("#lesson-run").click()
    expect(page.locator("#lesson-said")).to_contain_text("Guess first")
    page.get_by_label(words.TOLD[FORGETTING].guesses["kept"]).check()
    page.locator("#lesson-run").click()
    states = page.locator("#lesson-states")
    run = words.label_run(ALONE, LESSONS[FORGETTING].runs[ALONE])
    expect(states.get_by_role("rowheader", name=run)).to_be_visible()
    result = page.locator("#lesson-result")
    expect(result.get_by_role("heading", name="Why")).to_be_visible(timeout=PATIENCE_MS)
    expect(result.get_by_role("listitem")).to_have_count(3)
    expect(result).to_contain_text(re.compile("As you guessed|You guessed otherwise"))
    for curves in ("#lesson-accuracy", "#lesson-loss"):
        expect(page.locator(f"{curves} path[aria-roledescription='line mark']")).to_have_count(2)
    assert not find_serious(page)
    screenshot(page, "lessons")
    page.reload()  # the lesson is in the address, its runs are the visitor's
    expect(result.get_by_role("listitem")).to_have_count(3)
    figures = states.get_by_role("row").nth(1).get_by_role("cell").all_inner_texts()
    states.get_by_role("link", name=words.OPEN).first.click()
    expect(page.locator("#job-result")).to_contain_text("before")
    for figure in figures:
        expect(page.locator("#job-result")).to_contain_text(figure)
    context.close()


@pytest.mark.screenshots
@pytest.mark.parametrize(("theme", "viewport"), [("light", DESKTOP), ("dark", PHONE)])
def test_a_link_opens_its_lesson_elsewhere(
    browser: Browser, app: RunningApp, theme: str, viewport: ViewportSize
) -> None:
    """And what was recorded is shown to who does not want to wait."""
    context = browser.new_context(viewport=viewport)
    page = context.new_page()
    page.goto(f"{app.url}/?lesson={RATE}&__theme={theme}")
    title(page, RATE)
    expect(page.get_by_role("tab", name="Lessons")).to_have_attribute("aria-selected", "true")
    page.get_by_label(words.TOLD[RATE].guesses["same"]).check()
    page.locator("#lesson-show").click()
    expect(page.locator("#lesson-result").get_by_role("listitem")).to_have_count(3)
    expect(page.locator("#lesson-result")).to_contain_text("Recorded over")
    width, inner = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner
    assert not find_serious(page)
    screenshot(page, "lessons-phone" if viewport == PHONE else None)
    context.close()
