"""What visitors do, in a real browser: the system's chromium, or Playwright's own."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from demo.gallery import EXAMPLES_DIR
from demo.words.common import FINETUNE_TAB, LABELS
from demo.words.finetune import NOT_KEPT, OPEN_ALONE
from tests.app import RunningApp, running_app
from tests.browser.conftest import DESKTOP, PHONE, TABLET, open_app, screenshot
from tests.browsing import embedding
from tests.conftest import CHECKPOINTS
from trainer.recipe import CLASSES, RECIPE_NAMES

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUARTET_HOME", str(tmp_path_factory.mktemp("home")))
        with running_app() as running:
            yield running


@pytest.fixture
def open_page(app: RunningApp, browser: Browser) -> Iterator[OpenPage]:
    """Opens the app in a window of its own and waits for the first cards."""
    contexts: list[BrowserContext] = []

    def open_page(theme: str = "light", viewport: ViewportSize = DESKTOP) -> Page:
        contexts.append(browser.new_context(viewport=viewport))
        return open_app(contexts[-1], app.url, theme)

    yield open_page
    for context in contexts:
        context.close()


def cards(page: Page) -> Locator:
    return page.locator("#result").get_by_role("article")


def upload(page: Page, path: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(path)


def open_accuracy(page: Page) -> None:
    page.get_by_role("tab", name="Accuracy").click()
    expect(page.locator("#pair-images figure").first).to_be_visible()


def test_upload_and_read_four_answers(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Clear").or_(page.get_by_label("Remove Image")).first.click()
    expect(page.locator("#result")).to_contain_text("Choose a picture")
    upload(page, EXAMPLES_DIR / "dog-photo.jpg")
    expect(page.locator("#result")).to_contain_text("it is a dog")
    for card, label in zip(cards(page).all(), LABELS.values(), strict=True):
        expect(card).to_have_accessible_name(label)
        expect(card.locator(".q-mark")).to_have_text(re.compile("right|wrong"))
        expect(card).not_to_contain_text(" ms")
    first = cards(page).first
    first.get_by_text("all ten classes").click()
    for name in CLASSES:
        expect(first.get_by_text(name, exact=True).first).to_be_visible()


def test_crop_changes_what_the_models_see(open_page: OpenPage) -> None:
    page = open_page()
    seen = page.get_by_alt_text("Your picture reduced to")
    upload(page, EXAMPLES_DIR / "truck-photo.jpg")
    expect(page.locator("#result")).to_contain_text("it is a truck")
    centre = seen.get_attribute("src")
    page.get_by_label("all of it, on white").check()
    expect(seen).not_to_have_attribute("src", centre or "")


def test_an_image_they_disagree_on(open_page: OpenPage) -> None:
    page = open_page()
    before = page.get_by_alt_text("Your picture reduced to").get_attribute("src")
    page.get_by_role("button", name="An image they disagree on").click()
    expect(page.get_by_alt_text("Your picture reduced to")).not_to_have_attribute(
        "src", before or ""
    )
    expect(page.locator("#result")).to_contain_text("This one is known")
    answers = {card.locator(".q-answer").inner_text() for card in cards(page).all()}
    assert len(answers) > 1


def test_example_is_one_click(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Example: an automobile, enlarged").click()
    expect(page.locator("#result")).to_contain_text("it is an automobile")


def test_cell_shows_its_images_by_mouse_and_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    open_accuracy(page)
    matrix, images = page.locator("#matrix"), page.locator("#cell-images")
    confusion = json.loads((CHECKPOINTS / "sgd_full.json").read_text())["test"]["confusion"]
    ship, truck = CLASSES.index("ship"), CLASSES.index("truck")
    count = confusion[ship][truck]
    cell = matrix.get_by_role("button", name=f"true ship, predicted truck: {count} images")
    cell.click()
    expect(images).to_contain_text("a ship taken for a truck")
    expect(images).to_contain_text(f"{count} test image")
    expect(cell).to_have_attribute("aria-pressed", "true")
    for figure in images.locator("figure").all():
        expect(figure.locator("strong")).to_have_text("ship")
        expect(figure.locator("li").first).to_contain_text("truck")
    other = matrix.get_by_role("button", name="true dog, predicted cat")
    other.focus()
    page.keyboard.press("Enter")
    expect(images).to_contain_text("a dog taken for a cat")
    expect(page.get_by_label("True class", exact=True)).to_have_value("dog")
    expect(other).to_be_focused()


def test_model_and_normalisation_can_be_switched(open_page: OpenPage) -> None:
    page = open_page()
    open_accuracy(page)
    cell = page.locator("#matrix [data-choice='3,5']")
    confusion = json.loads((CHECKPOINTS / "adam_frozen.json").read_text())["test"]["confusion"]
    page.locator("#matrix-model").get_by_label(LABELS["adam_frozen"]).check()
    expect(cell).to_have_text(f"{100 * confusion[3][5] / sum(confusion[3]):.1f}")
    page.get_by_label("images", exact=True).check()
    expect(cell).to_have_text(str(confusion[3][5]))
    expect(page.locator("#facts")).to_contain_text("Adam (last layer) knows")


def test_curves_show_values_on_hover(open_page: OpenPage) -> None:
    page = open_page()
    open_accuracy(page)
    expect(page.locator(".vega-embed svg, .vega-embed canvas")).to_have_count(3)
    plot = page.locator(".vega-embed svg, .vega-embed canvas").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    tooltip = page.locator("#vg-tooltip-element")
    for share in range(30, 95, 3):  # across the plot, until a curve's point is met
        page.mouse.move(box["x"] + box["width"] * share / 100, box["y"] + box["height"] / 3)
        if tooltip.is_visible():
            break
    expect(tooltip).to_contain_text(re.compile("all layers|last layer"))
    expect(tooltip).to_contain_text("Epoch")


def test_two_models_are_compared(open_page: OpenPage) -> None:
    page = open_page()
    open_accuracy(page)
    table, verdict = page.locator("#overlap table"), page.locator("#verdict")
    expect(verdict).to_contain_text(re.compile("exact (permutation )?test"))
    expect(table.get_by_role("button")).to_have_count(4)
    page.get_by_label("Second model").click()
    page.get_by_role("option", name=LABELS["adam_frozen"]).click()
    expect(verdict).to_contain_text(re.compile(r"SGD \(all layers\) (is really better|beats)"))
    expect(table).to_contain_text(f"{LABELS['adam_frozen']}: wrong")
    page.locator("#alone").get_by_role("button", name="Adam (all layers) alone").click()
    expect(page.locator("#pair-images")).to_contain_text("Adam (all layers) alone is right")


def test_figures_can_be_sorted(open_page: OpenPage) -> None:
    page = open_page()
    open_accuracy(page)
    table = page.get_by_role("grid", name="How often they are right")
    expect(table.get_by_role("row")).to_have_count(1 + len(LABELS))
    accuracy = table.get_by_role("columnheader", name="test accuracy, %")
    accuracy.hover()
    accuracy.get_by_role("button").first.click()
    page.get_by_text("Sort ascending").click()
    expect(table.get_by_role("row").nth(1)).to_contain_text("last layer")
    accuracy.hover()
    accuracy.get_by_role("button").first.click()
    page.get_by_text("Sort descending").click()
    expect(table.get_by_role("row").nth(1)).to_contain_text("all layers")


def test_teaching_asks_for_a_class(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_label("Wrong? It is a", exact=True)).to_have_value("")
    teach, taught = page.get_by_role("button", name="Teach it", exact=True), page.locator("#taught")
    teach.click()
    expect(taught).to_contain_text("Choose what the picture shows first.")
    page.get_by_label("Wrong? It is a", exact=True).click()
    page.get_by_role("option", name="ship", exact=True).click()
    teach.click()
    expect(taught).to_contain_text("Added as a ship. 1 picture taught so far.")
    teach.click()
    expect(taught).to_contain_text("Already there as a ship. 1 picture taught so far.")


def test_in_a_foreign_page_that_denies_storage_it_works_and_says_so(
    app: RunningApp, browser: Browser
) -> None:
    with browser.new_context() as context, embedding(app.url) as address:
        page, faults = context.new_page(), list[str]()
        page.on("pageerror", lambda error: faults.append(error.message))
        page.goto(address)
        frame = page.frame_locator("iframe")
        expect(frame.locator("#result").get_by_role("article")).to_have_count(4)
        frame.get_by_role("tab", name=FINETUNE_TAB).click()
        expect(frame.get_by_text(NOT_KEPT)).to_be_visible()
        with context.expect_page() as opened:
            frame.get_by_role("link", name=OPEN_ALONE).click()
        expect(opened.value.locator("#start-job")).to_be_visible()
        expect(opened.value.get_by_text(NOT_KEPT)).to_be_hidden()
        assert not faults


def test_bad_file_gives_the_sentence_and_the_page_goes_on(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture at all")
    upload(page, bad)
    expect(page.get_by_role("alert")).to_contain_text("The file is not a whole picture")
    expect(cards(page)).to_have_count(0)
    page.get_by_label("Remove Image").first.click()
    upload(page, EXAMPLES_DIR / "ship-test.png")
    expect(page.locator("#result")).to_contain_text("it is a ship")
    expect(cards(page)).to_have_count(4)


@pytest.mark.screenshots
@pytest.mark.parametrize(
    ("theme", "viewport", "columns", "name"),
    [
        ("light", DESKTOP, 4, "compare"),
        ("dark", DESKTOP, 4, "compare-dark"),
        ("light", TABLET, 2, None),
        ("dark", PHONE, 1, "compare-phone"),
    ],
)
def test_cards_stand_in_columns_without_overlap(
    open_page: OpenPage,
    theme: str,
    viewport: ViewportSize,
    columns: int,
    name: str | None,
) -> None:
    page = open_page(theme, viewport)
    boxes = [card.bounding_box() for card in cards(page).all()]
    assert all(boxes)
    assert len({round(box["x"]) for box in boxes if box}) == columns
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            assert one
            assert other
            assert (
                one["x"] + one["width"] <= other["x"] + 1
                or one["y"] + one["height"] <= other["y"] + 1
            )
    assert_fits(page)
    screenshot(page, name)


@pytest.mark.screenshots
@pytest.mark.parametrize(
    ("theme", "viewport", "name"),
    [("light", DESKTOP, "accuracy"), ("dark", PHONE, None)],
)
def test_accuracy_fits_the_screen(
    open_page: OpenPage, theme: str, viewport: ViewportSize, name: str | None
) -> None:
    page = open_page(theme, viewport)
    open_accuracy(page)
    expect(page.locator("#overview table")).to_have_count(4)
    diagrams = page.locator("#reliability svg")
    expect(diagrams).to_have_count(4)
    box = diagrams.first.bounding_box()
    assert box is not None
    assert box["width"] > 240, "their text would be too small to read"
    expect(page.locator(".vega-embed svg, .vega-embed canvas")).to_have_count(3)
    assert_fits(page)
    screenshot(page, name, full_page=False)
    page.locator("#matrix").scroll_into_view_if_needed()
    screenshot(page, name and f"{name}-matrix", full_page=False)


def test_every_picture_and_control_has_a_name(open_page: OpenPage) -> None:
    page = open_page()
    open_accuracy(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('img:not([alt])')].length +
          [...document.querySelectorAll('main button, main select, main input:not([type=file])')]
          .filter(e => !(e.getAttribute('aria-label') || e.innerText || e.title ||
            (e.labels && e.labels.length))).length"""
    )
    assert nameless == 0
    page.get_by_role("tab", name="About").click()
    expect(page.get_by_role("heading", name="Limits")).to_be_visible()
    expect(page.get_by_role("grid", name="The recipes").get_by_role("row")).to_have_count(
        1 + len(RECIPE_NAMES)
    )


def assert_fits(page: Page) -> None:
    """Nothing sticks out sideways."""
    width, inner = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner
