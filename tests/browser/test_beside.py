"""Two jobs beside each other, from Start to what they differ in, in a real browser."""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pandas
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from demo.words.common import LABELS
from tests.app import RunningApp, running_app
from tests.browser.axe import find_serious
from tests.browser.conftest import PHONE, screenshot
from tests.browser.finetune import PATIENCE_MS, choose, expect_job, open_tab, start

LAPTOP: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        patch.setenv("QUARTET_HOME", str(tmp_path_factory.mktemp("home")))
        with running_app() as running:
            yield running


@pytest.fixture
def laptop(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=LAPTOP)
    yield context
    context.close()


def expect_fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    width, inner = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner


@pytest.mark.screenshots
def test_two_jobs_are_compared(laptop: BrowserContext, app: RunningApp) -> None:
    page = open_tab(laptop, app)
    for part in ("setting-trained", "setting-optimizer", "setting-learning_rate"):
        above = page.locator(f"#{part}").bounding_box()
        below = page.locator("#setting-epochs").bounding_box()
        assert above
        assert below
        assert above["y"] + above["height"] <= below["y"]
    choose(page, "Start from", LABELS["sgd_frozen"])
    start(page, Training_images="300", Epochs="3")
    expect_job(page, "Done")
    expect(page.locator("#job-result .q-sentence")).to_have_text(
        re.compile("It |On the whole|No class"), timeout=PATIENCE_MS
    )
    page.evaluate("() => window.scrollTo(0, 0)")
    for part in ("#start-job", "#job [role=progressbar]", "#job-result .q-sentence"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    page.get_by_label("Adam", exact=True).check()
    start(page, Learning_rate="0.05")
    jobs = page.locator("#jobs").get_by_role("button", name=re.compile("^job "))
    expect(jobs).to_have_count(2, timeout=PATIENCE_MS)
    expect_job(page, "Done")
    chosen = page.locator("#beside-chosen")
    mine = chosen.get_by_role("checkbox", name=re.compile("^job "))
    expect(mine).to_have_count(2, timeout=PATIENCE_MS)
    mine.first.check()
    expect(page.locator("#beside")).to_contain_text("Choose one more")
    mine.last.check()
    said = page.locator("#beside")
    expect(said).to_contain_text("They differ in optimizer and learning rate.")
    expect(
        page.locator("#beside-validation_loss canvas, #beside-validation_loss svg").first
    ).to_be_visible()
    table = page.locator("#beside-table")
    expect(table.get_by_role("row", name=re.compile("^Optimizer"))).to_contain_text("SGD")
    expect(table.get_by_role("row", name=re.compile("^cat"))).to_contain_text(
        re.compile(r"\d \([+-]\d")
    )
    assert not find_serious(page)
    page.wait_for_url(re.compile("beside="))
    query = re.sub(r"&?__theme=\w+", "", page.url.partition("?")[2])
    assert page.context.browser is not None
    other = page.context.browser.new_context(viewport=PHONE)
    try:
        elsewhere = other.new_page()
        elsewhere.goto(f"{app.url}/?{query}&__theme=dark")
        expect(elsewhere.locator("#beside")).to_contain_text("They differ in optimizer")
        expect(elsewhere.locator("#beside-chosen input:checked")).to_have_count(2)
        expect_fits(elsewhere)
        elsewhere.locator("#beside").evaluate("(said) => said.scrollIntoView()")
        screenshot(elsewhere, "beside-phone", full_page=False)
    finally:
        other.close()
    said.evaluate("(said) => said.scrollIntoView()")
    screenshot(page, "beside", full_page=False)
    chosen.get_by_label(LABELS["sgd_frozen"], exact=True).check()
    expect(table.get_by_role("columnheader", name=LABELS["sgd_frozen"])).to_be_visible()
    expect(said).to_contain_text("what they start from")
    links = table.locator(".q-exports a")
    expect(links).to_have_count(3)
    for link in links.all():
        address = link.get_attribute("href") or ""
        content = app.client.get(f"/{address}").raise_for_status().content
        if ".svg" in address:
            assert ElementTree.fromstring(content).tag.endswith("svg")
        else:
            assert pandas.read_csv(io.BytesIO(content))["model"].nunique() == 3
    expect_fits(page)
