"""Errors in order, links opened elsewhere, exports opened by what people open them with, and what
axe-core says, in a real browser."""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator

import pandas
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from demo.gallery import Gallery
from demo.words.common import CHANGED_TAB, LABELS, TEACH_TAB
from tests.app import RunningApp, running_app
from tests.browser.axe import find_serious
from tests.browser.conftest import DESKTOP, PHONE, screenshot
from tests.conftest import CHECKPOINTS
from tests.dataset_hub import running_dataset_hub
from trainer.checkpoint import load_predictions, load_record
from trainer.shards import HUB_DATASET, encode_image, encode_shard

OpenLink = Callable[..., Page]
TABS = ("Compare", "Lessons", "Accuracy", CHANGED_TAB, "Fine-tune", TEACH_TAB, "About")


def make_test_file() -> bytes:
    """The Hub's file of test images, but with one grey image for all that a clone does not hold."""
    record = load_record(CHECKPOINTS, "sgd_full")
    labels = load_predictions(CHECKPOINTS, record).labels
    gallery = Gallery(record.data.digest, len(labels), CHECKPOINTS)
    grey = encode_image(torch.full((3, 32, 32), 128, dtype=torch.uint8))
    contents = [grey] * len(labels)
    for row, image in zip(gallery.rows.tolist(), gallery.split.images, strict=True):
        written = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(written, "PNG")
        contents[row] = written.getvalue()
    return encode_shard(contents, labels, torch.arange(len(labels)), "test")


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """Where the app finds the Hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        files = {"plain_text/test-00000-of-00001.parquet": make_test_file()}
    with running_dataset_hub(HUB_DATASET, files) as url:
        yield url


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, hub: str) -> Iterator[RunningApp]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub)
        patch.setenv("HF_HUB_OFFLINE", "0")
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("QUARTET_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("QUARTET_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("QUARTET_DATA", raising=False)
        with running_app() as running:
            yield running


@pytest.fixture
def open_link(app: RunningApp, browser: Browser) -> Iterator[OpenLink]:
    """Opens an address of the app, as a browser that was never there."""
    contexts: list[BrowserContext] = []

    def open_link(query: str = "", theme: str = "light", viewport: ViewportSize = DESKTOP) -> Page:
        contexts.append(browser.new_context(viewport=viewport))
        page = contexts[-1].new_page()
        page.goto(f"{app.url}/?{query}&__theme={theme}" if query else f"{app.url}/?__theme={theme}")
        expect(page.get_by_role("tab", name="Compare")).to_be_visible()
        return page

    yield open_link
    for context in contexts:
        context.close()


def query_of(page: Page) -> str:
    return re.sub(r"&?__theme=\w+", "", page.url.partition("?")[2])


def sentence(page: Page, part: str) -> Locator:
    return page.locator(f"#{part} .q-sentence")


def test_errors_are_behind_every_figure_and_a_link_opens_them_elsewhere(
    open_link: OpenLink,
) -> None:
    page = open_link()
    page.get_by_role("tab", name="Accuracy").click()
    small = page.locator("#overview").get_by_role("grid", name=LABELS["adam_frozen"])
    small.get_by_role("button", name="true cat, predicted dog").click()
    expect(sentence(page, "cell-images")).to_have_text(
        f"{LABELS['adam_frozen']}: a cat taken for a dog"
    )
    expect(page.locator("#matrix-model").get_by_label(LABELS["adam_frozen"])).to_be_checked()
    images = page.locator("#cell-images")
    images.get_by_role("button", name="where models differ most").click()
    expect(images.get_by_role("button", name="where models differ most")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.locator("#facts").get_by_role("button").last.click()
    expect(sentence(page, "cell-images")).not_to_contain_text("a cat taken for a dog")
    page.locator("#overlap").get_by_role("button", name="Adam (all layers) is right, SGD").click()
    expect(sentence(page, "pair-images")).to_have_text(
        "Adam (all layers) is right, SGD (all layers) is wrong"
    )
    page.locator("#difference").get_by_role("button", name="true ship, predicted truck").click()
    expect(sentence(page, "pair-images")).to_contain_text("for a truck")
    page.locator("#alone").get_by_role("button", name="Adam (last layer) alone").click()
    expect(sentence(page, "pair-images")).to_have_text("Adam (last layer) alone is right")
    expect(page.locator("#pair-images figure").first).to_be_visible()
    said = [sentence(page, part).inner_text() for part in ("cell-images", "pair-images")]
    page.wait_for_url(re.compile("images=alone-adam_frozen"))
    other = open_link(query_of(page))
    expect(other.get_by_role("tab", name="Accuracy")).to_have_attribute("aria-selected", "true")
    expect(sentence(other, "cell-images")).to_have_text(said[0])
    expect(sentence(other, "pair-images")).to_have_text(said[1])
    other.reload()
    expect(sentence(other, "pair-images")).to_have_text(said[1])


def test_images_are_paged(open_link: OpenLink) -> None:
    page = open_link("tab=accuracy&true=cat&predicted=cat")
    images = page.locator("#cell-images")
    expect(images.get_by_text("Page 1 of", exact=False).last).to_be_visible()
    first = images.locator("figure a").first.inner_text()
    images.get_by_role("button", name="Further").click()
    expect(images.locator("figure a").first).not_to_have_text(first)
    page.wait_for_url(re.compile("page=2"))


def test_matrix_is_one_tab_stop_with_arrows_inside(open_link: OpenLink) -> None:
    page = open_link("tab=accuracy")
    matrix = page.locator("#matrix")
    expect(matrix.get_by_role("button")).to_have_count(100)
    expect(matrix.locator("[tabindex='0']")).to_have_count(1)
    matrix.locator("[data-choice='3,5']").click()
    cell = matrix.locator("[data-choice='3,5']")
    expect(cell).to_have_attribute("aria-pressed", "true")
    expect(cell).to_be_focused()
    for key, choice in (("ArrowRight", "3,6"), ("ArrowDown", "4,6"), ("Home", "4,0"),
                        ("ArrowLeft", "4,0"), ("End", "4,9"), ("ArrowUp", "3,9")):  # fmt: skip
        page.keyboard.press(key)
        expect(matrix.locator(f"[data-choice='{choice}']")).to_be_focused()
    expect(matrix.locator("[tabindex='0']")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(sentence(page, "cell-images")).to_contain_text("a cat taken for a truck")
    expect(matrix.locator("[data-choice='3,9']")).to_be_focused()
    page.keyboard.press("Tab")
    assert not page.evaluate("document.querySelector('#matrix').contains(document.activeElement)")


def test_small_matrix_stays_one_tab_stop_after_a_click(open_link: OpenLink) -> None:
    """It is not drawn anew, so that what was its stop before is still there."""
    page = open_link("tab=accuracy")
    small = page.locator("#overview").get_by_role("grid", name=LABELS["sgd_frozen"])
    small.locator("[data-choice$=',3,5']").click()
    expect(sentence(page, "cell-images")).to_contain_text("a cat taken for a dog")
    page.keyboard.press("ArrowRight")
    expect(small.locator("[data-choice$=',3,6']")).to_be_focused()
    expect(small.locator("[tabindex='0']")).to_have_count(1)
    page.keyboard.press("Shift+Tab")
    assert not small.evaluate("(table) => table.contains(document.activeElement)")


def test_accuracy_sends_nothing_again(open_link: OpenLink) -> None:
    page = open_link()
    page.get_by_role("tab", name="Accuracy").click()
    expect(page.locator("#pair-images figure").first).to_be_visible()
    expect(page.locator("#reliability svg")).to_have_count(4)
    page.get_by_role("tab", name="About").click()
    seen = (
        "#overview table, #matrix table, #difference table, #reliability svg, #pair-images figure"
    )
    count = page.evaluate(
        """(seen) => {
          const drawn = [...document.querySelectorAll(seen)];
          drawn.forEach((element) => { element.id = 'drawn-before'; });
          return drawn.length;
        }""",
        seen,
    )
    page.get_by_role("tab", name="Accuracy").click()
    page.locator("#matrix [data-choice='0,9']").click()
    expect(sentence(page, "cell-images")).to_contain_text("an airplane taken for a truck")
    expect(page.locator("[id=drawn-before]")).to_have_count(count)
    page.get_by_label("True class", exact=True).click()
    page.get_by_role("option", name="ship", exact=True).click()
    expect(sentence(page, "cell-images")).to_contain_text("a ship taken for a truck")
    pressed = page.locator("#matrix [aria-pressed=true]")
    expect(pressed).to_have_attribute("data-choice", "8,9")
    expect(page.locator("#matrix [tabindex='0']")).to_have_attribute("data-choice", "8,9")
    page.locator("#matrix-model").get_by_label(LABELS["adam_frozen"]).check()
    expect(sentence(page, "cell-images")).to_contain_text(LABELS["adam_frozen"])
    expect(pressed).to_have_attribute("data-choice", "8,9")
    expect(page.locator("#matrix-model").get_by_label(LABELS["adam_frozen"])).to_be_focused()
    page.locator("#difference [data-choice='3,5']").click()
    expect(page.locator("#difference [aria-pressed=true]")).to_have_attribute("data-choice", "3,5")
    page.locator("#overlap").get_by_role("button").first.click()
    expect(page.locator("#difference [aria-pressed=true]")).to_have_count(0)


def test_picture_is_in_the_address_and_opens_elsewhere(open_link: OpenLink) -> None:
    page = open_link()
    page.get_by_role("button", name="Example: an automobile, enlarged").click()
    expect(page.locator("#result")).to_contain_text("it is an automobile")
    page.wait_for_url(re.compile("picture=automobile-photo"))
    other = open_link(query_of(page))
    expect(other.locator("#result")).to_contain_text("it is an automobile")
    page.get_by_role("button", name="An image they disagree on").click()
    page.wait_for_url(re.compile(r"picture=test-\d+"))
    expect(sentence(page, "result")).not_to_have_text("All four say automobile.")
    other = open_link(query_of(page))
    expect(sentence(other, "result")).to_have_text(sentence(page, "result").inner_text())


def test_about_opens_by_a_link(open_link: OpenLink) -> None:
    page = open_link("tab=about")
    expect(page.get_by_role("heading", name="Limits")).to_be_visible()


def test_card_of_a_shared_link_shows_quartet(app: RunningApp) -> None:
    page = app.client.get("/").text
    cards = re.findall(
        r'<meta (?:property|name)="((?:og|twitter):[\w:]+)" content="(.*?)" />', page
    )
    named = dict(cards)
    assert len(named) == len(cards), "no tag twice"
    assert named["og:title"] == named["twitter:title"] == "Quartet"
    assert named["og:image"].startswith(app.url.rstrip("/"))
    assert "Gradio" not in " ".join(named.values())
    picture = app.client.get(named["og:image"].removeprefix(app.url.rstrip("/")))
    assert picture.content.startswith(b"\x89PNG")


@pytest.mark.parametrize("tab", ["accuracy", "about"])
def test_every_export_opens(open_link: OpenLink, app: RunningApp, tab: str) -> None:
    page = open_link(f"tab={tab}")
    links = page.locator(".q-exports a:visible")
    if tab == "accuracy":
        expect(page.locator("#overlap .q-exports a")).to_have_count(1)
        expect(page.locator("#reliability .q-exports a")).to_have_count(2)
    expect(links.first).to_be_visible()
    addresses = [link.get_attribute("href") or "" for link in links.all()]
    kinds = set()
    for address in addresses:
        answer = app.client.get(f"/{address}").raise_for_status()
        kind = address.partition("?")[0].rpartition(".")[2]
        kinds.add(kind)
        if kind == "csv":
            assert len(pandas.read_csv(io.BytesIO(answer.content))) > 1
        elif kind == "svg":
            assert ElementTree.fromstring(answer.content).tag.endswith("svg")
        else:
            answers = pandas.read_parquet(io.BytesIO(answer.content))
            assert len(answers) == 10_000
            assert 0.8 < (answers["sgd_full"] == answers["true"]).mean() < 1
    assert kinds == ({"csv", "svg", "parquet"} if tab == "accuracy" else {"csv"})
    with page.expect_download() as download:
        links.first.click()
    assert download.value.suggested_filename.startswith("quartet-")
    for wrong in ("nothing.csv", "difference.csv", "job-classes.csv?job=a.b"):
        assert app.client.get(f"/gradio_api/export/{wrong}").status_code == 404


@pytest.mark.screenshots
@pytest.mark.parametrize(("theme", "viewport"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing_serious(open_link: OpenLink, theme: str, viewport: ViewportSize) -> None:
    page = open_link(theme=theme, viewport=viewport)
    expect(page.locator("#result").get_by_role("article")).to_have_count(4)
    found = {}
    for name in TABS:
        tab = page.get_by_role("tab", name=name, exact=True)
        expect(tab).to_be_in_viewport()
        tab.click()
        if name == "Accuracy":
            expect(page.locator("#pair-images figure").first).to_be_visible()
            screenshot(page, "accuracy-errors" if theme == "light" else "accuracy-phone")
        if name == CHANGED_TAB:
            expect(page.locator("#missing, #maps .q-star").first).to_be_visible()
            screenshot(page, "changed" if theme == "light" else "changed-phone")
        if serious := find_serious(page):
            found[name] = serious
        width, inner = page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert width <= inner, name
    assert not found


def test_button_fetches_all_test_images(open_link: OpenLink) -> None:
    """Last: all images are then at hand."""
    page = open_link("tab=accuracy&true=cat&predicted=cat")
    images = page.locator("#cell-images")
    expect(images).to_contain_text("of them at hand")
    page.get_by_role("button", name="Fetch all test images").click()
    expect(page.locator("#fetched")).to_contain_text("All test images are here.")
    expect(images).not_to_contain_text("at hand")
    expect(page.get_by_role("button", name="Fetch all test images")).to_be_hidden()
    expect(images.locator("figure")).to_have_count(24)
