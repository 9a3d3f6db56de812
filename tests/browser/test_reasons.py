"""Why the models disagree, in a real browser: what comes after the answers, and moves nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, ViewportSize, expect

from demo.words import compare as words
from demo.words.common import LABELS
from tests.app import RunningApp, running_app
from tests.browser.axe import find_serious
from tests.browser.conftest import DESKTOP, PHONE, open_app


@pytest.fixture(scope="module")
def app(analysed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUARTET_HOME", str(tmp_path_factory.mktemp("home")))
        with running_app(analysed) as running:
            yield running


class Held:
    """Keeps the page's questions for explanations, and for nothing else, until `release`."""

    def __init__(self, page: Page, app: RunningApp) -> None:
        config = app.client.get("/config").json()
        drawn = {
            one["id"] for one in config["components"]
            if one["props"].get("elem_id") in ("reasons", "mind")
        }  # fmt: skip
        asking = {one["id"] for one in config["dependencies"] if drawn & set(one["outputs"])}
        self._page, self._routes = page, list[Route]()

        def hold(route: Route, request: Request) -> None:
            asked = request.post_data_json
            if asked and asked.get("fn_index") in asking:
                self._routes.append(route)
            else:
                route.continue_()

        page.route("**/gradio_api/queue/join*", hold)

    def release(self) -> None:
        """Lets them go."""
        assert self._routes, "nothing was asked"
        for route in self._routes:
            route.continue_()
        self._page.unroute("**/gradio_api/queue/join*")


def cards(page: Page) -> Locator:
    return page.locator("#cards").get_by_role("article")


def heats(page: Page) -> Locator:
    return page.locator("#cards .q-heat img")


def list_boxes(page: Page) -> list[object]:
    """Where what is on screen stands."""
    parts = [*cards(page).all(), page.locator("#asked"), page.locator("#examples"),
             page.locator("#mind-kind")]  # fmt: skip
    return [part.bounding_box() for part in parts]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_explanations_come_after_the_answers_and_move_nothing(
    app: RunningApp, browser: Browser, viewport: ViewportSize
) -> None:
    context = browser.new_context(viewport=viewport)
    page = open_app(context, app.url)
    expect(heats(page)).to_have_count(4)
    held = Held(page, app)
    page.get_by_role("button", name="Example: an automobile, enlarged").click()
    expect(page.locator("#result")).to_contain_text("it is an automobile")
    expect(heats(page)).to_have_count(0)
    expect(page.locator("#mind .q-mind")).to_be_hidden()
    before = list_boxes(page)
    held.release()
    expect(heats(page)).to_have_count(4)
    expect(page.locator("#mind .q-mind")).to_be_visible()
    for card, label in zip(cards(page).all(), LABELS.values(), strict=True):
        expect(card.locator(".q-like img")).to_have_count(8)
        expect(card.locator(".q-reason")).to_contain_text(re.compile("Clearly|Narrowly"))
        expect(card.locator("button.q-heat")).to_have_accessible_name(
            re.compile(f"^Where {label} looked, for ")
        )
    assert list_boxes(page) == before
    context.close()


def test_class_slider_and_large_heats_by_keyboard(app: RunningApp, browser: Browser) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = open_app(context, app.url)
    first = heats(page).first
    own = first.get_attribute("src")
    asked = page.get_by_label(words.HEAT_FOR)
    asked.click()
    page.get_by_role("option", name="truck", exact=True).click()
    expect(first).not_to_have_attribute("src", own or "")
    for card in cards(page).all():
        expect(card.locator(".q-heat + figcaption")).to_contain_text("for truck")

    page.locator("#cards button.q-heat").first.focus()
    page.keyboard.press("Enter")
    large = page.get_by_role("dialog")
    expect(large.locator("figure")).to_have_count(4)
    expect(large.locator("figure").first).to_contain_text("for truck")
    box = large.locator("img").first.bounding_box()
    assert box is not None
    assert box["width"] >= 240
    assert not find_serious(page)
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(page.locator("#cards button.q-heat").first).to_be_focused()

    slider = page.get_by_role("slider", name=words.STRENGTH)
    marker = page.locator(".q-curves .q-here")
    at = marker.bounding_box()
    slider.focus()
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^3.2 px: "))
    expect(page.locator(".q-step figcaption >> visible=true")).to_have_text("3.2 px")
    moved = marker.bounding_box()
    assert at is not None
    assert moved is not None
    assert moved["x"] > at["x"] + 100
    curve = page.locator(".q-curves polyline").first
    blurred = curve.get_attribute("points")
    page.get_by_label("Brightness", exact=True).check()
    expect(curve).not_to_have_attribute("points", blurred or "")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^0 stops: all answer as before"))
    assert not find_serious(page)
    context.close()


@pytest.mark.parametrize(("viewport", "rows"), [(DESKTOP, 1), (PHONE, 5)], ids=["desktop", "phone"])
def test_five_cards_with_reasons_are_readable(
    app: RunningApp, browser: Browser, viewport: ViewportSize, rows: int
) -> None:
    context = browser.new_context(viewport=viewport)
    page = open_app(context, app.url)
    expect(heats(page)).to_have_count(4)
    page.evaluate("""() => {
      const cards = document.querySelector('#cards .q-cards');
      cards.append(cards.firstElementChild.cloneNode(true));
    }""")
    width, inner = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner
    tops = {round(box["y"]) for card in cards(page).all() if (box := card.bounding_box())}
    assert len(tops) == rows
    for bar in page.locator("#cards .q-card > .q-bars i").all():
        box = bar.bounding_box()
        assert box is not None
        assert box["width"] > 90, "too short to be read"
    context.close()
