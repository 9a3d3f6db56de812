"""Fine-tuning from the browser: start, leave, come back, stop, and what others see."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

from demo.words.common import LABELS, PLAIN
from tests.app import RunningApp, running_app
from tests.browser.conftest import DESKTOP, LAPTOP, PHONE, screenshot
from tests.browser.finetune import (
    PATIENCE_MS,
    choose,
    expect_command,
    expect_job,
    open_tab,
    start,
)
from tests.jobs import seed_pace


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder for jobs as a mounted disk is one: neither where the app runs nor among temporary
    files, from both of which Gradio serves."""
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix="quartet-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def app(home: Path) -> Iterator[RunningApp]:
    """An app without the full data set, and with jobs of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QUARTET_DATA", raising=False)
        patch.setenv("QUARTET_HOME", str(home))
        seed_pace(home, "last_block", 100.0)
        with running_app() as running:
            yield running


@pytest.fixture(scope="module")
def watcher(browser: Browser, app: RunningApp) -> Iterator[Page]:
    """A visitor's page on which a job has ended; tests leave it on the Fine-tune tab."""
    context = browser.new_context(viewport=DESKTOP)
    page = open_tab(context, app)
    choose(page, "Start from", LABELS["sgd_frozen"])
    start(page, Training_images="400", Epochs="2")
    expect_job(page, "Done")
    yield page
    context.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP)
    yield context
    context.close()


@pytest.mark.screenshots
def test_start_watch_and_compare(watcher: Page, app: RunningApp, home: Path) -> None:
    page = watcher
    result = page.locator("#job-result")
    expect(result).to_contain_text("before")
    expect(result).to_contain_text("McNemar's exact test")
    by_class = page.locator("#job-classes")
    expect(by_class.get_by_role("row")).to_have_count(11)
    expect(by_class).to_contain_text("change, points")
    expect_command(page, "--images 400")
    by_images = page.locator("#jobs").get_by_role("columnheader", name="images")
    for order in ("descending", "ascending"):
        by_images.get_by_role("button").click()
        expect(by_images).to_have_attribute("aria-sort", order)
    expect(page.locator(".q-epochs rect.q-right")).to_have_count(10)
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.path().stat().st_size > 20_000_000
    with page.expect_download() as card:
        page.locator("#download-card").click()
    assert "model-index" in card.value.path().read_text()
    screenshot(page, "finetune")
    links = page.locator("#job-exports a")
    expect(links).to_have_count(3)
    for link in links.all():
        app.client.get(f"/{link.get_attribute('href')}").raise_for_status()
    page.wait_for_url(re.compile(r"tab=fine-tune&job=\w+\.\w+"))
    assert page.context.browser is not None
    with contextlib.closing(page.context.browser.new_context()) as elsewhere:
        other = elsewhere.new_page()
        other.goto(page.url)
        expect(other.locator("#job-result")).to_contain_text("McNemar's exact test")
    # What was given to this visitor are copies: the folder of jobs itself is served to nobody.
    for path in home.rglob("*"):
        assert app.client.get(f"/gradio_api/file={path}").status_code == 403


def test_the_form_shows_what_runs_however_late_the_answers_are(
    visitor: BrowserContext, app: RunningApp
) -> None:
    page = open_tab(visitor, app)

    def delay(route: Route, request: Request) -> None:
        page.wait_for_timeout(500)  # the fault: an answer that is late by half a second
        route.continue_()

    page.get_by_text("More settings").click()
    page.route("**/gradio_api/queue/join*", delay)
    choose(page, "Start from", LABELS["adam_frozen"])
    start(page, Training_images="77", Epochs="2")
    shown = {
        label: page.get_by_label(label, exact=True).input_value()
        for label in ("Training images", "Epochs", "Learning rate", "Batch size")
    }
    assert page.get_by_label("Adam", exact=True).is_checked()
    expect_job(page, "Done")
    page.unroute_all(behavior="ignoreErrors")
    command = page.locator("#command textarea").input_value()
    for flag, label in (
        ("images", "Training images"), ("epochs", "Epochs"), ("learning-rate", "Learning rate"),
        ("batch-size", "Batch size"),
    ):  # fmt: skip
        assert f"--{flag} {shown[label]} " in command
        expect(page.get_by_label(label, exact=True)).to_have_value(shown[label])
    assert "--optimizer adam " in command
    assert "--trained last_layer " in command
    assert shown["Training images"] == "77"


def test_the_backbone_is_its_own_before(visitor: BrowserContext, app: RunningApp) -> None:
    page = open_tab(visitor, app)
    choose(page, "Start from", PLAIN)
    start(page, Training_images="1000", Or_steps="3")
    expect_job(page, "Done")
    said = page.locator("#job-result").inner_text()
    match = re.search(r"([\d.]+) % before", said)
    assert match, said
    assert float(match[1]) < 30  # a last layer that has learned nothing; the trained one has 67 %


def test_stop_keeps_the_model_and_a_second_button_deletes_it(
    visitor: BrowserContext, app: RunningApp
) -> None:
    page = open_tab(visitor, app)
    page.get_by_label("all layers", exact=True).check()
    start(page, Training_images="1500", Epochs="500")
    expect_job(page, r"Step [\d,]+ of")
    page.close()
    page = open_tab(visitor, app)  # the page finds the job again
    expect_job(page, "Running")
    page.locator("#stop-job").click()
    expect_job(page, "Stopped")
    expect_job(page, "Its model is kept as it was after step")
    expect(page.locator("#stop-job")).to_be_disabled()
    expect(page.locator("#job-result")).to_contain_text("before", timeout=PATIENCE_MS)
    expect(page.locator("#download")).to_be_enabled()
    job = page.locator("#jobs").get_by_role("button", name=re.compile("^job ")).inner_text()
    page.locator("#go-on").click()
    expect(page.get_by_label("Start from", exact=True)).to_have_value(job)
    page.get_by_label("the last layer", exact=True).check()
    start(page, Training_images="64", Epochs="1")
    expect_job(page, "Done")
    expect_command(page, "--start finetuned.safetensors")
    page.locator("#jobs").get_by_role("button", name=job).click()
    expect_job(page, "Stopped")
    page.locator("#delete-job").click()
    expect(page.locator("#delete-question")).to_contain_text(f"Delete {job}")
    page.locator("#delete-not").click()
    expect(page.locator("#delete-question")).to_be_hidden()
    page.locator("#delete-job").click()
    page.locator("#delete-now").click()
    expect_job(page, "Done")
    expect(page.locator("#jobs").get_by_role("button", name=re.compile("^job "))).to_have_count(1)


def test_run_it_again_starts_it_and_shows_it(watcher: Page) -> None:
    page, link = watcher, watcher.get_by_text("Link to this job")
    first = link.get_attribute("href") or ""
    page.get_by_label("Training images").fill("7")
    page.locator("#again").click()
    expect(link).not_to_have_attribute("href", first)
    expect_job(page, "Done")
    expect(page.locator("#jobs").get_by_role("button", name=re.compile("^job "))).to_have_count(2)
    expect_command(page, "--images 400 ")
    expect(page.get_by_label("Training images")).to_have_value("7")


def test_two_visitors_do_not_see_each_other(
    watcher: Page, visitor: BrowserContext, app: RunningApp
) -> None:
    page = open_tab(visitor, app)
    expect(page.locator("#job")).to_contain_text("press Start")
    expect(page.locator("#jobs").get_by_role("row")).to_have_count(0)
    link = watcher.get_by_text("Link to this job").get_attribute("href")
    assert link
    page.goto(f"{app.url}/{link}")
    expect_job(page, "Done")
    expect(page.locator("#job-result")).to_contain_text("before")
    expect(page.locator("#jobs").get_by_role("row")).to_have_count(0)
    page.goto(f"{app.url}/{link[:-1]}")
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator("#job")).to_contain_text("press Start")


def test_the_start_fills_the_form(visitor: BrowserContext, app: RunningApp) -> None:
    page = open_tab(visitor, app)
    expect(page.get_by_label("all layers", exact=True)).to_be_checked()
    page.get_by_text("More settings").click()
    page.get_by_label("Or steps").fill("5")
    choose(page, "Start from", LABELS["sgd_frozen"])
    expect(page.get_by_label("the last layer", exact=True)).to_be_checked()
    expect(page.get_by_label("Learning rate", exact=True)).to_have_value("0.01")
    expect(page.get_by_label("Or steps")).to_have_value("0")
    page.get_by_label("Or steps").fill("5")
    expect(page.locator("#estimate")).to_contain_text("Trains on 640 images")


def test_a_job_that_cannot_end_in_time_is_said_and_what_fits_is_offered(
    visitor: BrowserContext, app: RunningApp
) -> None:
    page = open_tab(visitor, app)
    page.get_by_label("the last block and layer").check()
    page.get_by_label("Epochs", exact=True).fill("100")
    expect(page.locator("#estimate").get_by_role("alert")).to_contain_text("A job is ended after")
    fit = page.locator("#fit")
    expect(fit).to_contain_text("Take")
    fitting = re.sub(r"\D", "", fit.inner_text())
    fit.click()
    expect(page.get_by_label("Training images")).to_have_value(fitting)
    expect(fit).to_be_hidden()
    expect(page.locator("#estimate").get_by_role("status")).to_contain_text("Trains on")


def test_impossible_settings_are_said_once_and_nothing_starts(
    visitor: BrowserContext, app: RunningApp
) -> None:
    page = open_tab(visitor, app)
    page.get_by_text("More settings").click()
    for label, values, said in (
        ("Learning rate", ("-1", ""), "Learning rate: give a number above 0"),
        ("Epochs", ("1.5", "0", ""), "Epochs: give a whole number"),
        ("Training images", ("-3",), "Training images: give a whole number"),
        ("Training images", ("0",), "Training images: give 2 or more"),
        ("Or steps", ("-3",), "Or steps: give a whole number"),
    ):
        field = page.get_by_label(label, exact=True)
        right = field.input_value()
        for value in values:
            field.fill(value)
            page.locator("#start-job").click()
            expect(page.locator("#estimate").get_by_role("alert")).to_contain_text(said)
            expect(page.get_by_text(said)).to_have_count(1)
        field.fill(right)
        expect(page.locator("#estimate").get_by_role("status")).to_contain_text("Trains on")
    expect(page.locator("#job")).to_contain_text("press Start")


@pytest.mark.screenshots
def test_taught_pictures_change_the_fifth_card(
    browser: Browser, app: RunningApp, tmp_path: Path
) -> None:
    """Three pictures and a burst taught, on one screen, and the forgetting told."""
    paths = [tmp_path / f"{shade}.png" for shade in (200, 225, 250)]
    for shade, path in zip((200, 225, 250), paths, strict=True):
        Image.new("RGB", (80, 60), (shade, 0, shade)).save(path)
    with contextlib.closing(browser.new_context(viewport=LAPTOP)) as visitor:
        page = visitor.new_page()
        page.goto(f"{app.url}/?tab=teach-it")
        buckets, cards = page.locator("#buckets"), page.locator("#tried-cards article")
        first, second = (buckets.locator("[data-bucket]").nth(n) for n in range(2))
        first.locator("input").set_input_files(paths)
        expect(buckets.get_by_role("alert")).to_contain_text("Choose what they show first")
        first.get_by_role("combobox").select_option("frog")
        first.locator("input").set_input_files(paths)
        expect(buckets).to_contain_text("Added 3 pictures as a frog")
        first.locator("input").set_input_files(paths[:1])
        expect(buckets).to_contain_text("was there already")
        first.get_by_role("button", name="Take out this frog").last.click()
        expect(buckets).to_contain_text("2 pictures")
        second.get_by_role("combobox").select_option("ship")
        burst = second.get_by_role("button", name="Hold to take pictures")
        burst.focus()
        page.keyboard.down("Enter")
        expect(burst).to_have_attribute("data-taken", re.compile("[3-9]"))
        page.keyboard.up("Enter")
        expect(buckets).to_contain_text(re.compile(r"Added \d+ pictures as a ship"))
        expect(burst).to_be_focused()
        taken = 2 + second.get_by_role("img", name="a ship").count()
        page.locator("#try input").set_input_files(paths[0])
        expect(cards).to_have_count(4)
        page.locator("#train").click()
        expect(page.locator("#taught-job")).to_contain_text("Done", timeout=PATIENCE_MS)
        own = cards.and_(page.get_by_role("article", name="Your job's model"))
        expect(own.locator(".q-answer")).to_have_text("frog")  # answered anew, beside the four
        expect(cards).to_have_count(5)
        expect(cards.nth(3).locator(".q-answer")).not_to_have_text("frog")
        expect(page.locator("#forgot")).to_contain_text(re.compile("test images: .* before"))
        for part in ("#forgot", "#buckets", "#train", "#taught-job", "#try", "#tried"):
            expect(page.locator(part)).to_be_in_viewport(ratio=1)
        expect(cards.last).to_be_in_viewport(ratio=1)
        page.locator("[data-live]").click()
        expect(own.locator(".q-answer")).to_have_text("ship")
        screenshot(page, "teach", full_page=False)
        page.get_by_role("tab", name="Compare").click()
        page.locator("#picture input[type=file]").set_input_files(paths[0])
        fifth = page.locator("#result").get_by_role("article", name="Your job's model")
        expect(fifth.locator(".q-answer")).to_have_text("frog")
        choose(page, "Wrong? It is a", "truck")  # until now it was taught as a frog
        page.get_by_role("button", name="Teach it", exact=True).click()
        expect(page.locator("#taught")).to_contain_text("truck")
        page.get_by_role("tab", name="Fine-tune").click()
        page.wait_for_url(re.compile("tab=teach-it"))
        expect(page.locator("[data-camera]")).to_have_attribute("aria-pressed", "false")
        expect(buckets.get_by_role("img", name="a truck")).to_be_visible()
        page.get_by_role("tab", name="Set up a job").click()
        expect(page.locator("#own-pictures")).to_contain_text(f"{taken} pictures of your own")
        expect_command(page, "--own PICTURES")


@pytest.mark.screenshots
@pytest.mark.parametrize(("theme", "name"), [("light", None), ("dark", "finetune-phone")])
def test_the_tab_fits_a_phone(
    watcher: Page, browser: Browser, app: RunningApp, theme: str, name: str | None
) -> None:
    link = watcher.get_by_text("Link to this job").get_attribute("href")
    context = browser.new_context(viewport=PHONE)
    try:
        page = context.new_page()
        page.goto(f"{app.url}/{link}&__theme={theme}")
        expect(page.locator("#job-result")).to_contain_text("before")
        width, inner = page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert width <= inner
        screenshot(page, name)
    finally:
        context.close()
