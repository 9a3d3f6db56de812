"""Fine-tuning from the browser: start, leave, come back, stop, and what others see."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from trainer.settings import OWN_REPEATS

from demo.text import LABELS
from tests.app import RunningApp, running_app
from tests.browser.conftest import DESKTOP, open_app, screenshot

PATIENCE_MS = 90_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """An app without the full data set, and with jobs of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        patch.setenv("QUARTET_HOME", str(tmp_path_factory.mktemp("home")))
        with running_app() as running:
            yield running


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP)
    yield context
    context.close()


def open_tab(context: BrowserContext, app: RunningApp) -> Page:
    page = open_app(context, app.url)
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator("#start-job")).to_be_visible()
    return page


def start(
    page: Page, images: int, epochs: int, trained: str = "the last layer", own: int = 0
) -> None:
    page.get_by_label("Training images").fill(str(images))
    page.get_by_label("Epochs").fill(str(epochs))
    page.get_by_label("Epochs").blur()
    page.get_by_label(trained, exact=True).check()
    seen = (images + OWN_REPEATS * own) * epochs
    expect(page.locator("#estimate")).to_contain_text(f"{seen:,} images")
    page.locator("#start-job").click()


def expect_job(page: Page, said: str) -> None:
    expect(page.locator("#job")).to_contain_text(re.compile(said), timeout=PATIENCE_MS)


def test_start_watch_and_compare(visitor: BrowserContext, app: RunningApp, tmp_path: Path) -> None:
    page = open_tab(visitor, app)
    start(page, 400, 2)
    expect_job(page, "Running|Waiting|Done")
    expect_job(page, "Done")
    result = page.locator("#job-result")
    expect(result).to_contain_text("before")
    expect(result).to_contain_text("McNemar's exact test")
    expect(result.get_by_role("row")).to_have_count(11)
    expect(page.locator("#command textarea")).to_have_value(re.compile("--images 400"))
    jobs = page.locator("#jobs")
    expect(jobs.get_by_role("row")).to_have_count(2)
    by_images = jobs.get_by_role("columnheader", name="images")
    by_images.get_by_role("button").click()
    expect(by_images).to_have_attribute("aria-sort", "descending")
    by_images.get_by_role("button").click()
    expect(by_images).to_have_attribute("aria-sort", "ascending")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the model").or_(
            page.get_by_role("link", name="Download the model")
        ).first.click()
    path = tmp_path / "model.safetensors"
    download.value.save_as(path)
    assert path.stat().st_size > 20_000_000
    expect(page.locator(".q-epochs rect.q-right")).to_have_count(10)
    with page.expect_download() as card:
        page.get_by_text("Its model card").click()
    assert "model-index" in card.value.path().read_text()
    screenshot(page, "finetune")
    page.get_by_label("Training images").fill("7")
    page.get_by_role("button", name="Run it again").click()
    expect(page.get_by_label("Training images")).to_have_value("400")


def test_reload_finds_the_job_and_stop_ends_it(visitor: BrowserContext, app: RunningApp) -> None:
    page = open_tab(visitor, app)
    start(page, 1500, 500, "all layers")
    expect_job(page, "Step")
    page.close()
    page = open_tab(visitor, app)
    expect_job(page, "Running")
    page.locator("#stop-job").click()
    expect_job(page, "Stopped")
    expect(page.locator("#stop-job")).to_be_disabled()


def test_two_visitors_do_not_see_each_other(browser: Browser, app: RunningApp) -> None:
    one, two = browser.new_context(), browser.new_context()
    try:
        first = open_tab(one, app)
        start(first, 64, 1)
        expect_job(first, "Done")
        second = open_tab(two, app)
        expect(second.locator("#job")).to_contain_text("press Start")
        expect(second.locator("#jobs").get_by_role("row")).to_have_count(0)
        link = first.get_by_text("Link to this job").get_attribute("href")
        assert link
        second.goto(f"{app.url}/{link}")
        expect_job(second, "Done")
        expect(second.locator("#job-result")).to_contain_text("before")
        expect(second.locator("#jobs").get_by_role("row")).to_have_count(0)
        second.goto(f"{app.url}/{link[:-1]}")
        second.get_by_role("tab", name="Fine-tune").click()
        expect(second.locator("#job")).to_contain_text("press Start")
    finally:
        one.close()
        two.close()


def test_presets_fill_the_form(visitor: BrowserContext, app: RunningApp) -> None:
    page = open_tab(visitor, app)
    page.get_by_label("teach it my pictures").check()
    expect(page.get_by_label("Epochs")).to_have_value("3")
    expect(page.get_by_text("Drop File Here")).to_be_visible()
    page.get_by_label("ten times higher").check()
    page.get_by_text("More settings").click()
    expect(page.get_by_label("Learning rate", exact=True)).to_have_value("0.01")
    expect(page.get_by_label("all layers", exact=True)).to_be_checked()
    page.get_by_label("Or steps").fill("5")
    page.get_by_label("Or steps").blur()
    expect(page.locator("#estimate")).to_contain_text("Trains on 80 images")


def test_impossible_settings_are_refused_in_words(visitor: BrowserContext, app: RunningApp) -> None:
    page = open_tab(visitor, app)
    page.get_by_text("More settings").click()
    rate = page.get_by_label("Learning rate", exact=True)
    rate.fill("-1")
    rate.blur()
    expect(page.locator("#estimate")).to_contain_text("Learning_rate must lie in")
    page.locator("#start-job").click()
    expect(page.get_by_text("Learning_rate must lie in").last).to_be_visible()


def test_taught_pictures_change_the_fifth_card(
    visitor: BrowserContext, app: RunningApp, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{shade}.png" for shade in (200, 225, 250)]
    for shade, path in zip((200, 225, 250), paths, strict=True):
        Image.new("RGB", (80, 60), (shade, 0, shade)).save(path)
    page = open_tab(visitor, app)
    page.get_by_text("Teach it your own pictures").click()
    page.locator("input[type=file][multiple]").set_input_files(paths)
    choose(page, "They show a", "frog")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#own-pictures")).to_contain_text("3 pictures")
    choose(page, "Start from", LABELS["sgd_frozen"])
    start(page, 64, 5, own=len(paths))
    expect_job(page, "Done")
    page.get_by_role("tab", name="Compare").click()
    cards = page.locator("#result").get_by_role("article")
    expect(cards).to_have_count(5)
    page.locator("#picture input[type=file]").set_input_files(paths[0])
    own = page.get_by_role("article", name="Your job's model")
    expect(own.locator(".q-answer")).to_have_text("frog")
    first = page.get_by_role("article", name=LABELS["sgd_frozen"])
    expect(first.locator(".q-answer")).not_to_have_text("frog")
    choose(page, "Wrong? It is a", "ship")
    page.get_by_role("button", name="Teach it", exact=True).click()
    expect(page.locator("#taught")).to_contain_text("Added as a ship. 4 pictures")


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
