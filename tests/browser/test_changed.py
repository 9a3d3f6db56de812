"""What training changed, in a real browser, over models whose analysis is invented."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from demo.words.common import CHANGED_TAB, PLAIN
from tests.analysis import GUESS
from tests.app import RunningApp, running_app
from tests.browser.axe import find_serious
from tests.browser.conftest import DESKTOP, PHONE, open_app
from tests.browser.finetune import PATIENCE_MS, choose, expect_job, open_tab, start
from trainer.recipe import CLASSES


@pytest.fixture(scope="module")
def app(invented: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUARTET_HOME", str(tmp_path_factory.mktemp("home")))
        with running_app(invented) as running:
            yield running


def open_changed(page: Page) -> None:
    page.get_by_role("tab", name=CHANGED_TAB).click()
    expect(page.locator("#maps .q-star")).to_have_count(3)
    expect(page.locator("#layers svg")).to_have_count(2)
    expect(sentence(page)).to_be_visible()


def sentence(page: Page) -> Locator:
    return page.locator("#path-answer .q-sentence")


def test_map_and_path_are_read_by_mouse_and_keyboard(app: RunningApp, browser: Browser) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = open_app(context, app.url)
    page.get_by_role("tab", name="Accuracy").click()
    page.locator("#matrix [data-choice='3,5']").click()
    expect(page.locator("#cell-images")).to_contain_text("a cat taken for a dog")
    open_changed(page)
    expect(page.locator("#maps .q-lit").first).to_be_visible()
    expect(page.locator("#maps")).to_contain_text("true cat, predicted dog by SGD (all layers)")

    first = page.locator(".q-map").first
    first.click(position={"x": 60, "y": 60})
    images = page.locator("#map-images")
    expect(images.locator("figure")).to_have_count(12)
    page.wait_for_url(re.compile(r"tab=what-training-changed.*spot=sgd_full"))
    expect(first).to_be_focused()
    before = images.inner_text()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(images).not_to_have_text(before)
    expect(first).to_be_focused()
    expect(images.locator("figure")).to_have_count(12)

    expect(sentence(page)).to_have_text(re.compile(f"Here the backbone says {CLASSES[GUESS]}"))
    slider = page.locator("#path-place").get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    expect(sentence(page)).to_contain_text("Here SGD (all layers) says")
    expect(page.locator("#path-answer")).to_contain_text("400 of 500 test images are right")
    page.wait_for_url(re.compile("way=100"))
    page.get_by_label("Path", exact=True).click()
    page.get_by_role("option", name="from SGD (all layers) to Adam (all layers)").click()
    expect(page.locator("#path-curve")).to_contain_text("falls to 60, at 50 %")
    page.wait_for_url(re.compile("path=sgd_full-adam_full"))
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator("#path-curve")).to_contain_text("falls to 60, at 50 %")
    expect(other.locator("#map-images figure")).to_have_count(12)
    expect(other.get_by_role("tab", name=CHANGED_TAB)).to_have_attribute("aria-selected", "true")
    context.close()


def test_own_model_is_explained_beside_the_four(app: RunningApp, browser: Browser) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = open_tab(context, app)
    layers, compute = page.locator("#layers"), page.locator("#compute-own")
    choose(page, "Start from", PLAIN)
    start(page, Training_images="64", Epochs="1")
    expect_job(page, "Done")
    open_changed(page)
    expect(layers).to_contain_text(f"not one of its 20 layers moved from {PLAIN}")
    expect(page.locator("#steps")).to_contain_text("Your job's model")
    expect(page.locator("#maps")).to_contain_text("Adam (last layer) and your job's model")
    compute.click()
    expect(compute).to_be_hidden(timeout=PATIENCE_MS)
    page.get_by_label("Path", exact=True).click()
    page.get_by_role("option", name="from the backbone to your job's model").click()
    page.locator("#path-place").get_by_role("slider").focus()
    page.keyboard.press("End")
    expect(sentence(page)).to_contain_text("Here your job's model says")
    assert not find_serious(page)
    stranger = open_app(browser.new_context(viewport=DESKTOP), app.url)
    stranger.goto(page.url)
    expect(stranger.locator("#maps .q-star")).to_have_count(3)
    expect(stranger.locator("#layers")).not_to_contain_text("Your job's model")
    expect(stranger.locator("#own-change")).to_be_hidden()
    stranger.context.close()

    context.close()


@pytest.mark.parametrize(("theme", "viewport"), [("light", DESKTOP), ("dark", PHONE)])
def test_tab_fits_the_screen(
    app: RunningApp, browser: Browser, theme: str, viewport: ViewportSize
) -> None:
    context = browser.new_context(viewport=viewport)
    page = open_app(context, app.url, theme)
    open_changed(page)
    width, inner = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner
    assert not find_serious(page)
    for svg in page.locator("#layers svg, #maps svg, #path-curve svg").all():
        box = svg.bounding_box()
        assert box
        assert box["width"] > 250, "too small to read"
    context.close()
